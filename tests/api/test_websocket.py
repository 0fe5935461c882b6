"""GET /containers/{id}/attach/ws."""
import hashlib
import os
import struct
import unittest

import wsclient
from harness import ApiTest
from wsclient import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT


class WebSocket(ApiTest):
    def ws(self, cid, query="stream=1&stdin=1&stdout=1&stderr=1", version="v1.51", **kwargs):
        return wsclient.Client(self.d.connect(), f"/{version}/containers/{cid}/attach/ws?{query}", **kwargs)

    def cat(self, *cmd, **config):
        return self.d.create(*(cmd or ("cat",)), OpenStdin=True, StdinOnce=True, **config)

    def start(self, cid):
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/start").status, 204)

    def wait(self, cid):
        return self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"]

    def test_both_ways(self):
        cid = self.cat("sh", "-c", "while read x; do echo out $x; echo err $x >&2; done; exit 7")
        with self.ws(cid) as c:
            self.assertEqual((c.status, c.headers["upgrade"].lower(), c.headers["connection"].lower()), (101, "websocket", "upgrade"))
            self.start(cid)
            c.send(b"one\n")
            self.assertEqual(c.frame()[0], BINARY)
            c.send(b"two\n", opcode=TEXT)
            out, _ = c.read(until=b"err two")
            self.assertIn(b"out two\n", out)
            c.send(struct.pack(">H", 1000), opcode=CLOSE)
            self.assertEqual(c.read()[1], 1000)
            self.assertEqual(self.wait(cid), 7)

    def test_ends_with_the_container(self):
        cid = self.d.create("sh", "-c", "echo a; echo b >&2; exit 3")
        with self.ws(cid) as c:
            self.start(cid)
            out, status = c.read()
            self.assertEqual((sorted(out.split()), status), ([b"a", b"b"], 1000))
            c.send(struct.pack(">H", 1000), opcode=CLOSE)
            self.assertIsNone(c.frame())

    def test_fragments_and_controls(self):
        cid = self.cat()
        with self.ws(cid) as c:
            self.start(cid)
            c.send(b"a", opcode=TEXT, fin=False)
            c.send(b"hello", opcode=PING)
            c.send(b"b", opcode=CONTINUATION, fin=False)
            c.send(b"", opcode=PONG)
            c.send(b"c\n", opcode=CONTINUATION)
            frames, seen = [], b""
            while b"abc\n" not in seen:
                frames.append(c.frame())
                seen += frames[-1][1] if frames[-1][0] == BINARY else b""
            self.assertIn((PONG, b"hello"), frames)
            self.assertEqual(seen, b"abc\n")

    def test_much(self):
        """One frame of 24 MiB in, the same bytes out, the daemon's memory flat."""
        cid = self.cat()
        data = os.urandom(1 << 20) * 24
        with self.ws(cid) as c:
            self.start(cid)
            pid = os.fork()
            if pid == 0:
                try:
                    c.send(data)
                finally:
                    os._exit(0)
            total, digest = 0, hashlib.md5()
            while total < len(data):
                opcode, payload = c.frame()
                self.assertEqual(opcode, BINARY)
                total += len(payload)
                digest.update(payload)
            os.waitpid(pid, 0)
            self.assertEqual((total, digest.digest()), (len(data), hashlib.md5(data).digest()))
            with open(f"/proc/{self.d.process.pid}/status", encoding="ascii") as f:
                rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
            if "san" not in os.environ.get("B", ""):
                self.assertLess(rss, 60 << 10)

    def test_a_slow_reader_loses_nothing(self):
        cid = self.d.create("sh", "-c", "head -c 20000000 /dev/zero; echo end")
        with self.ws(cid, "stream=1&stdout=1") as c:
            self.start(cid)
            self.d.wait_for(lambda: self.d.inspect(cid)["State"]["Running"], "it did not start")
            out, status = c.read()
            self.assertEqual((len(out), out[-4:], status), (20000004, b"end\n", 1000))

    def test_versions(self):
        """Before 1.42 all streams, whatever was asked for; before 1.28 text."""
        for version, query, opcode, want in (("v1.41", "stream=1", BINARY, [b"e", b"o"]), ("v1.27", "stream=1&stdout=0", TEXT, [b"e", b"o"]),
                                             ("v1.42", "stream=1&stdout=1", BINARY, [b"o"]), ("v1.51", "stream=1&stderr=1", BINARY, [b"e"])):
            cid = self.d.create("sh", "-c", "echo o; echo e >&2; true")
            with self.ws(cid, query, version) as c:
                self.start(cid)
                first = c.frame()
                out, _ = c.read()
                self.assertEqual((first[0], sorted((first[1] + out).split())), (opcode, want), version)

    def test_logs(self):
        cid, _ = self.d.run("echo", "past")
        with self.ws(cid, "logs=1&stdout=1") as c:
            self.assertEqual(c.read(), (b"past\n", 1000))

    def test_terminal_and_detach(self):
        cid = self.d.create("sh", Tty=True, OpenStdin=True)
        with self.ws(cid, "stream=1&stdin=1&stdout=1&detachKeys=ctrl-x,d") as c:
            self.start(cid)
            c.send(b"echo a$((1+1))b\r")
            c.read(until=b"a2b")
            c.send(b"\x18")
            c.send(b"d")
            self.assertEqual(c.read()[1], 1000)
        self.assertTrue(self.d.inspect(cid)["State"]["Running"])
        self.d.remove(cid)

    def test_subprotocol(self):
        cid = self.d.create("true")
        for asked, status in (("tty.v1", 101), ("a, b", 400)):
            with self.ws(cid, headers={"Sec-WebSocket-Protocol": asked}) as c:
                self.assertEqual(c.status, status)
                if status == 101:
                    self.assertEqual(c.headers["sec-websocket-protocol"], asked)

    def test_refusals(self):
        cid = self.d.create("true")
        path = f"/containers/{cid}/attach/ws"
        self.assertError(self.d.call("GET", path), 400, "not websocket protocol")
        self.assertError(self.d.call("GET", "/containers/nope/attach/ws"), 404, "No such container: nope")
        for headers, status, text in (({"Upgrade": "tcp"}, 400, b"not websocket protocol"),
                                      ({"Sec-WebSocket-Version": "8"}, 400, b"missing or bad WebSocket Version"),
                                      ({"Sec-WebSocket-Key": None}, 400, b"mismatch challenge/response")):
            with self.ws(cid, headers=headers) as c:
                self.assertEqual(c.status, status)
                self.assertIn(text, c.take(int(c.headers["content-length"])))
        with self.ws(cid, "stream=1&detachKeys=nonsense") as c:
            self.assertEqual(c.status, 400)
        up = self.d.up()
        self.d.call("POST", f"/containers/{up}/pause")
        with self.ws(up) as c:
            self.assertEqual(c.status, 409)
        self.d.remove(up)

    def test_second_request_of_a_connection(self):
        cid = self.d.create("echo", "x")
        s = self.d.connect()
        s.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        got = b""
        while not got.endswith(b"\r\n\r\nOK"):
            got += s.recv(65536)
        with wsclient.Client(s, f"/containers/{cid}/attach/ws?stream=1&stdout=1") as c:
            self.start(cid)
            self.assertEqual(c.read(), (b"x\n", 1000))

    def test_garbage(self):
        """A frame that is none ends the connection with 1002, not the container or the daemon."""
        cid = self.cat()
        self.start(cid)
        for kwargs in ({"opcode": 3}, {"opcode": 11}, {"reserved": 7}, {"opcode": CONTINUATION}, {"opcode": PING, "fin": False},
                       {"opcode": PING, "data": b"x" * 126}, {"length": 1 << 63}):
            with self.ws(cid, "stream=1&stdout=1") as c:
                self.assertEqual(c.status, 101)
                c.send(**{"data": b"x", **kwargs})
                self.assertIn(c.read()[1], (1002, 1009, None), kwargs)
        with self.ws(cid, "stream=1&stdout=1") as c:
            c.sock.sendall(os.urandom(10000))
            c.read()
        self.assertEqual(self.d.call("GET", "/_ping").status, 200)
        self.assertTrue(self.d.inspect(cid)["State"]["Running"])
        self.d.remove(cid)

    def test_a_client_that_vanishes(self):
        before = len(os.listdir(f"/proc/{self.d.process.pid}/fd"))
        cid = self.d.create("sh", "-c", "cat; echo gone; sleep 1000", OpenStdin=True, StdinOnce=True)
        never = self.d.create("cat", OpenStdin=True)
        self.ws(never).close()
        c = self.ws(cid)
        self.start(cid)
        c.send(b"x\n")
        c.read(until=b"x\n")
        c.reset()
        self.d.wait_for(lambda: b"gone" in self.d.logs(cid), "stdin did not end with its only client")
        self.d.remove(cid)
        self.d.wait_for(lambda: len(os.listdir(f"/proc/{self.d.process.pid}/fd")) < before + 8, "descriptors stay open")

    def test_many(self):
        cid = self.d.up("sh", "-c", "sleep 1000")
        clients = [self.ws(cid, "stream=1&stdout=1") for _ in range(100)]
        self.assertEqual({c.status for c in clients}, {101})
        self.d.remove(cid)
        self.assertEqual({c.read()[1] for c in clients}, {1000})
        for c in clients:
            c.close()


class Stop(ApiTest):
    def test_the_daemon_stops_with_clients(self):
        cid = self.d.up("sleep", "1000")
        self.clients = [wsclient.Client(self.d.connect(), f"/containers/{cid}/attach/ws?stream=1&stdout=1") for _ in range(3)]
        self.assertEqual({c.status for c in self.clients}, {101})  # tearDownClass stops the daemon, and looks at how it ended


if __name__ == "__main__":
    unittest.main()
