"""Stand-ins: the reaper of testcontainers, as clients start it and as they speak to it."""
import socket
import time
import unittest

from harness import ApiTest, HeldStart

RYUK = "testcontainers/ryuk:0.14.0"
LABELS = {"org.testcontainers": "true", "session": "s 1"}


class Ryuk(ApiTest):
    def pull(self, name=RYUK):
        image, tag = name.rsplit(":", 1)
        reply = self.d.call("POST", "/images/create", query={"fromImage": image, "tag": tag})
        self.assertEqual(reply.status, 200, reply.body)

    def reaper(self, *env):
        self.pull()
        config = {"Image": RYUK, "Env": list(env), "ExposedPorts": {"8080/tcp": {}}, "Labels": {"org.testcontainers.ryuk": "true"},
                  "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}}
        reply = self.d.call("POST", "/containers/create", config)
        self.assertEqual(reply.status, 201, reply.body)
        cid = reply.json["Id"]
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/start").status, 204)
        return cid, int(self.d.inspect(cid)["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"])

    @staticmethod
    def say(port, *lines):
        sock = socket.create_connection(("127.0.0.1", port), 20)
        for line in lines:
            sock.sendall(line + b"\n")
            answer = b""
            while len(answer) < 4:
                part = sock.recv(4 - len(answer))
                if not part:
                    break
                answer += part
            assert answer == b"ACK\n", answer
        return sock

    def is_there(self, path):
        return self.d.call("GET", path).status == 200

    def test_is_told_as_such(self):
        for name in (RYUK, "registry.example/mirror/testcontainers/ryuk:0.9.0"):
            self.pull(name)
            labels = self.d.call("GET", f"/images/{name}/json").json["Config"]["Labels"]
            self.assertEqual(labels["sockerless.image"], "stand-in")
        self.assertEqual(self.d.call("POST", "/images/create", query={"fromImage": "127.0.0.1:9/ryuk", "tag": "1"}).status, 500)
        cid, _ = self.reaper()
        self.assertEqual(self.d.inspect(cid)["Config"]["Labels"]["sockerless.driver"], "stand-in")
        self.d.wait_for(lambda: b"msg=Started" in self.d.logs(cid), "it says that it has started")
        reply = self.d.call("POST", f"/containers/{cid}/exec", {"Cmd": ["true"]})
        self.assertEqual(reply.status, 201)
        self.assertIn("/bin/ryuk", str(self.d.call("GET", f"/containers/{cid}/top").json))
        self.d.remove(cid)

    def test_a_label_makes_no_stand_in(self):
        cid = self.d.create("echo", "real", Labels={"sockerless.stand-in": "ryuk", "sockerless.image": "stand-in"})
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/start").status, 204)
        self.d.call("POST", f"/containers/{cid}/wait")
        self.assertIn(b"real", self.d.logs(cid))

    def test_removes_nothing_more_when_it_is_killed(self):
        cid, port = self.reaper("RYUK_RECONNECTION_TIMEOUT=50ms", "RYUK_RETRY_OFFSET=1s")
        mine = self.d.create("true", Labels={"session": "killed"})
        self.d.call("POST", "/networks/create", {"Name": "ryuk-killed", "Labels": {"session": "killed"}})
        with HeldStart(self.d, mine) as held:
            start = self.d.later("POST", f"/containers/{mine}/start")
            held.until_it_begins()
            self.assertIsNone(start(0))
            self.say(port, b"label=session%3Dkilled").close()
            self.d.wait_for(lambda: b"prune check" in self.d.logs(cid), "it begins with the container, which must start first")
            self.assertEqual(self.d.call("POST", f"/containers/{cid}/kill").status, 204)
            held.release()
            self.assertEqual(start().status, 204)
        self.d.wait_for(lambda: not self.is_there(f"/containers/{mine}/json"), "the removal that it began")
        time.sleep(0.3)
        self.assertTrue(self.is_there("/networks/ryuk-killed"))
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 137)
        self.d.call("DELETE", "/networks/ryuk-killed")

    def test_removes_what_is_meant_and_ends(self):
        cid, port = self.reaper("RYUK_RECONNECTION_TIMEOUT=100ms", "RYUK_RETRY_OFFSET=1s")
        mine = self.d.up(Labels=LABELS, HostConfig={"Binds": ["ryuk-mine:/d"]})
        other = self.d.up(Labels={"org.testcontainers": "true", "session": "other"})
        self.d.call("POST", "/networks/create", {"Name": "ryuk-net", "Labels": LABELS})
        self.d.call("POST", "/volumes/create", {"Name": "ryuk-volume", "Labels": LABELS})
        sock = self.say(port, b"label=org.testcontainers%3Dtrue&label=session%3Ds+1", b"nonsense", b"label=never=there")
        time.sleep(0.3)
        self.assertTrue(self.is_there(f"/containers/{mine}/json"), "while somebody is connected nothing goes")
        sock.close()
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 0)
        for path, there in ((f"/containers/{mine}/json", False), (f"/containers/{other}/json", True), ("/networks/ryuk-net", False),
                            ("/volumes/ryuk-volume", False), ("/volumes/ryuk-mine", True), ("/images/busybox/json", True)):
            with self.subTest(path):
                self.assertEqual(self.is_there(path), there)
        log = self.d.logs(cid)
        self.assertIn(b"removed containers=1 networks=1 volumes=1 images=0", log)
        self.assertIn(b"unknown filter key: nonsense", log)
        for c in (cid, other):
            self.d.remove(c)

    def test_ends_without_clients_and_by_signal(self):
        cid, _ = self.reaper("RYUK_CONNECTION_TIMEOUT=100ms")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 0)
        cid, port = self.reaper("RYUK_SHUTDOWN_TIMEOUT=100ms")
        sock = self.say(port, b"label=a")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/stop", query={"t": 20}).status, 204)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 0)
        sock.close()
        cid, port = self.reaper()
        sock = self.say(port, b"label=a")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/kill").status, 204)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 137)
        self.assertEqual(sock.recv(1), b"")
        sock.close()

    def test_bad_settings_fail_the_start(self):
        self.pull()
        for env in ("RYUK_PORT=70000", "RYUK_RECONNECTION_TIMEOUT=soon", "RYUK_REMOVE_RETRIES=-1"):
            cid = self.d.call("POST", "/containers/create", {"Image": RYUK, "Env": [env]}).json["Id"]
            reply = self.d.call("POST", f"/containers/{cid}/start")
            self.assertGreaterEqual(reply.status, 400)
            self.assertIn(env.split("=", maxsplit=1)[0], reply.message)

    def test_a_client_that_floods_is_cut_off(self):
        cid, port = self.reaper()
        sock = socket.create_connection(("127.0.0.1", port), 20)
        try:
            for _ in range(100):
                sock.sendall(b"x" * 65536)
        except OSError:
            pass
        self.d.wait_for(lambda: b"client disconnected" in self.d.logs(cid), "a line without end")
        self.assertEqual(self.d.inspect(cid)["State"]["Running"], True)
        sock.close()
        self.d.remove(cid)


if __name__ == "__main__":
    unittest.main()
