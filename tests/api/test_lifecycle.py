"""Start, stop, kill, restart, pause, rename, resize, remove, prune, and inspect in every state."""
import json
import time
import unittest

from harness import ApiTest, HeldStart

TRAP = ("sh", "-c", "trap 'exit 9' TERM; trap 'exit 10' INT; echo ready; while true; do sleep 0.05; done")


class Lifecycle(ApiTest):
    def post(self, cid, what, version="v1.51", **query):
        return self.d.call("POST", f"/containers/{cid}/{what}", query=query, version=version)

    def trapped(self, **config):
        cid = self.d.up(*TRAP, **config)
        self.d.wait_for(lambda: b"ready" in self.d.logs(cid), "the traps")
        return cid

    def state(self, cid):
        return self.d.inspect(cid)["State"]

    def test_inspect(self):
        cid = self.d.up("sleep", "1000", name="inspected", HostConfig={"Binds": ["golden:/v", "/tmp:/t:ro"]}, ExposedPorts={"80/tcp": {}})
        c = self.d.inspect(cid)
        self.assertGolden("inspect-running", c)
        self.assertEqual(self.d.inspect("inspected"), c)
        self.assertEqual(self.d.inspect("%2Finspected"), c)
        self.assertEqual(self.d.inspect(cid[:12]), c)
        self.post(cid, "kill")
        self.post(cid, "wait")
        self.assertGolden("inspect-exited", self.d.inspect(cid))
        self.d.remove(cid)

    def test_networks_in_inspect(self):
        for mode in ("bridge", "host", "none"):
            c = self.d.inspect(self.d.create("true", HostConfig={"NetworkMode": mode}))
            self.assertEqual((list(c["NetworkSettings"]["Networks"]), c["NetworkSettings"]["Ports"]), ([mode], {}))
            cid = self.d.up(HostConfig={"NetworkMode": mode}, ExposedPorts={"80/tcp": {}})
            self.assertEqual(self.d.inspect(cid)["NetworkSettings"]["Ports"], {"80/tcp": None} if mode == "bridge" else {})
            self.d.remove(cid)
        endpoint = self.d.inspect(self.d.create("true"))["NetworkSettings"]["Networks"]["bridge"]
        self.assertEqual((endpoint["IPPrefixLen"], endpoint["IPAddress"], endpoint["DNSNames"]), (0, "", None))
        old = self.d.inspect(self.d.create("true"), "v1.43")["NetworkSettings"]["Networks"]["bridge"]
        self.assertNotIn("DNSNames", old)
        self.assertNotIn("GwPriority", old)
        failed = "failed to set up container networking: "
        other = self.d.create("true", name="stopped")
        cid = self.d.create("true", HostConfig={"NetworkMode": "container:" + other})
        self.assertError(self.post(cid, "start"), 409,
                         failed + "cannot join network namespace of a non running container: container stopped is created")
        cid = self.d.create("true", HostConfig={"NetworkMode": "nope"})
        self.assertError(self.post(cid, "start"), 404, failed + "network nope not found")
        self.assertEqual(self.state(cid)["Status"], "created")

    def test_start(self):
        cid = self.d.create("sleep", "1000")
        self.assertError(self.post(cid, "start", checkpoint="x"), 400, "checkpoint is only supported in experimental mode")
        self.assertError(self.d.call("POST", f"/containers/{cid}/start", {"HostConfig": {}}), 400,
                         "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24")
        reply = self.d.call("POST", f"/containers/{cid}/start", b"{}", headers={"Content-Type": "application/json"})
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.assertEqual(self.post(cid, "start").status, 304)
        self.post(cid, "pause")
        self.assertError(self.post(cid, "start"), 409, "cannot start a paused container, try unpause instead")
        self.d.remove(cid)
        self.assertError(self.post("nope", "start"), 404, "No such container: nope")

    def test_during_the_first_start(self):
        """As dockerd, which holds the container's lock: what comes while it starts is done afterwards."""
        stopped, running = ("exited", 137), ("running", 0)
        for what, query, status, state in (("stop", {"t": 0}, 204, stopped), ("kill", {}, 204, stopped), ("restart", {"t": 0}, 204, running),
                                           ("pause", {}, 204, ("paused", 0)), ("kill", {"signal": "USR1"}, 204, running)):
            with self.subTest((what, query)):
                cid = self.d.create("sleep", "1000")
                with HeldStart(self.d, cid) as held:
                    start = self.d.later("POST", f"/containers/{cid}/start")
                    held.until_it_begins()
                    self.assertIsNone(start(0))
                    reply = self.d.later("POST", f"/containers/{cid}/{what}", query=query)
                    self.assertIsNone(reply(0.2))
                    held.release()
                    self.assertEqual((start().status, reply().status), (204, status))
                self.assertEqual((self.state(cid)["Status"], self.state(cid)["ExitCode"]), state)
                self.d.remove(cid)

    def test_two_starts(self):
        cid = self.d.create("sh", "-c", "sleep 0.5; exit 4")
        with HeldStart(self.d, cid) as held:
            first = self.d.later("POST", f"/containers/{cid}/start")
            held.until_it_begins()
            self.assertIsNone(first(0))
            second, wait = self.d.later("POST", f"/containers/{cid}/start"), self.d.later("POST", f"/containers/{cid}/wait")
            self.assertIsNone(second(0.2))
            self.assertIsNone(wait(0))
            held.release()
            self.assertEqual((first().status, second().status, wait().json["StatusCode"]), (204, 304, 4))
        cid = self.d.create("/nope")
        with HeldStart(self.d, cid) as held:
            first = self.d.later("POST", f"/containers/{cid}/start")
            held.until_it_begins()
            self.assertIsNone(first(0))
            second, wait = self.d.later("POST", f"/containers/{cid}/start"), self.d.later("POST", f"/containers/{cid}/wait")
            self.assertIsNone(second(0.2))
            held.release()
            self.assertEqual((first().status, second().status), (400, 400)) # it tries for itself
            self.assertEqual(wait().json["StatusCode"], 127)

    def test_during_a_start_that_fails(self):
        for what, status, text in (("stop", 304, None), ("kill", 409, "cannot kill container: {0}: container {0} is not running")):
            cid = self.d.create("/nope")
            with HeldStart(self.d, cid) as held:
                start = self.d.later("POST", f"/containers/{cid}/start")
                held.until_it_begins()
                self.assertIsNone(start(0))
                reply = self.d.later("POST", f"/containers/{cid}/{what}")
                self.assertIsNone(reply(0.2))
                held.release()
                self.assertEqual((start().status, reply().status), (400, status))
            if text:
                self.assertEqual(reply().message, text.format(cid))

    def test_failed_start(self):
        cid = self.d.create("/nope")
        reply = self.post(cid, "start")
        self.assertEqual(reply.status, 400)
        state = self.state(cid)
        self.assertEqual((state["Status"], state["ExitCode"], state["Error"]), ("created", 127, reply.message))

    def test_stop(self):
        cid = self.trapped()
        self.assertEqual(self.post(cid, "stop").status, 204)
        self.assertEqual((self.state(cid)["Status"], self.state(cid)["ExitCode"]), ("exited", 9))
        self.assertEqual(self.post(cid, "stop").status, 304)
        for config, query, version, code in (({}, {"signal": "INT"}, "v1.51", 10), ({}, {"signal": "INT"}, "v1.41", 9),
                                             ({"StopSignal": "SIGINT"}, {}, "v1.51", 10), ({"StopSignal": "2"}, {"signal": "TERM"}, "v1.51", 9)):
            with self.subTest((config, query, version)):
                cid = self.trapped(**config)
                self.post(cid, "stop", version, **query)
                self.assertEqual(self.state(cid)["ExitCode"], code)
        cid = self.d.up(StopTimeout=0)
        before = time.time()
        self.assertError(self.post(cid, "stop", signal="NOPE"), 400, f"cannot stop container: {cid}: invalid signal: NOPE")
        self.assertEqual(self.post(cid, "stop", t="x").status, 400)
        self.assertEqual(self.post(cid, "stop").status, 204)
        self.assertLess(time.time() - before, 5)
        self.assertEqual(self.state(cid)["ExitCode"], 137)

    def test_kill(self):
        cid = self.trapped()
        self.assertError(self.post(cid, "kill", signal="NOPE"), 400, f"cannot kill container: {cid}: invalid signal: NOPE")
        for signal in ("2", "INT", "SIGINT", "sigint"):
            with self.subTest(signal):
                self.assertEqual(self.post(cid, "kill", signal=signal).status, 204)
                self.assertEqual(self.post(cid, "wait").json["StatusCode"], 10)
                self.post(cid, "start")
                self.d.wait_for(lambda: self.d.logs(cid, since=self.state(cid)["StartedAt"]).endswith(b"ready\n"), "the traps")
        self.assertEqual(self.post(cid, "kill").status, 204)
        self.post(cid, "wait")
        self.assertError(self.post(cid, "kill"), 409, f"cannot kill container: {cid}: container {cid} is not running")
        self.assertError(self.post(cid[:12], "kill"), 409, f"cannot kill container: {cid[:12]}: container {cid} is not running")
        self.assertError(self.post("nope", "kill"), 404, "cannot kill container: nope: No such container: nope")
        self.assertError(self.post("nope", "kill", signal="NOPE"), 400, "cannot kill container: nope: invalid signal: NOPE")

    def test_restart(self):
        cid = self.trapped()
        first = self.state(cid)
        self.assertEqual(self.post(cid, "restart").status, 204)
        second = self.state(cid)
        self.assertEqual(second["Status"], "running")
        self.assertGreater(second["StartedAt"], first["StartedAt"])
        self.assertNotEqual(second["Pid"], first["Pid"])
        self.post(cid, "stop")
        self.assertEqual(self.post(cid, "restart").status, 204)
        self.assertTrue(self.state(cid)["Running"])
        self.d.remove(cid)

    def test_restart_that_fails(self):
        cid = self.d.create("/nope")
        failed = self.post(cid, "start").message
        self.assertError(self.post(cid[:20], "restart"), 500, f"Cannot restart container {cid[:20]}: {failed}")
        self.assertError(self.post(cid, "restart", signal="NOPE"), 500, f"Cannot restart container {cid}: invalid signal: NOPE")

    def test_realtime_signals(self):
        cid = self.d.up("sh", "-c", "trap 'exit 7' 37; echo ready; while :; do sleep 0.02; done", StopSignal="SIGRTMIN+3")
        self.d.wait_for(lambda: b"ready" in self.d.logs(cid), "the trap")
        since = time.time()
        self.assertEqual(self.post(cid, "stop").status, 204)
        self.assertEqual(self.state(cid)["ExitCode"], 7)
        self.assertEqual(self.d.events(since, container=[cid])[0]["Actor"]["Attributes"]["signal"], "37")

    def test_pause(self):
        cid = self.d.create("sleep", "1000")
        self.assertEqual(self.post(cid, "pause").status, 409)
        self.post(cid, "start")
        self.assertEqual(self.post(cid, "unpause").status, 409)
        self.assertEqual(self.post(cid, "pause").status, 204)
        state = self.state(cid)
        self.assertEqual((state["Status"], state["Running"], state["Paused"]), ("paused", True, True))
        self.assertEqual(self.post(cid, "pause").status, 409)
        self.assertEqual(self.post(cid, "unpause").status, 204)
        self.post(cid, "pause")
        self.assertEqual(self.post(cid, "stop", t=0).status, 204)
        self.assertEqual(self.state(cid)["ExitCode"], 137)

    def test_rename(self):
        cid = self.d.create("true", name="before")
        self.d.create("true", name="taken")
        self.assertEqual(self.post(cid, "rename", name="after").status, 204)
        self.assertEqual(self.d.inspect("after")["Name"], "/after")
        self.assertEqual(self.d.call("GET", "/containers/before/json").status, 404)
        self.assertEqual(self.post(cid, "rename", name="taken").status, 409)
        for name in ("after", "", "-x"):
            self.assertEqual(self.post(cid, "rename", name=name).status, 400, name)

    def test_resize(self):
        cid = self.d.create("sh", "-c", "stty size; read x", Tty=True, OpenStdin=True)
        self.assertError(self.post(cid, "resize", h=20, w=30), 409, f"Container {cid} is not running")
        for query, text in (({}, 'height "": invalid syntax'), ({"h": 1}, 'width "": invalid syntax'),
                            ({"h": "x", "w": 1}, 'height "x": invalid syntax'), ({"h": "+1", "w": 1}, 'height "+1": invalid syntax'),
                            ({"h": -1, "w": 1}, 'height "-1": value out of range'),
                            ({"h": 1, "w": 1 << 32}, 'width "4294967296": value out of range')):
            self.assertError(self.post(cid, "resize", **query), 400, "invalid resize " + text)
        with self.d.attach(cid) as a:
            self.post(cid, "start")
            self.assertEqual(a.read(b"\n"), b"20 30\r\n") # what was said before the start holds
            self.assertEqual(self.post(cid, "resize", h=21, w=31).status, 200)
        self.d.remove(cid)

    def test_console_size_of_creation(self):
        cid = self.d.create("stty", "size", Tty=True, OpenStdin=True, HostConfig={"ConsoleSize": [25, 95]})
        self.post(cid, "start")
        self.post(cid, "wait")
        self.assertEqual(self.d.logs(cid), b"25 95\r\n")

    def test_remove(self):
        cid = self.d.up(name="removed")
        reply = self.d.call("DELETE", "/containers/removed")
        self.assertError(reply, 409, 'cannot remove container "removed": container is running: stop the container before removing or force remove')
        self.assertError(self.d.call("DELETE", f"/containers/{cid[:12]}"), 409,
                         f'cannot remove container "{cid[:12]}": container is running: stop the container before removing or force remove')
        self.post(cid, "pause")
        self.assertError(self.d.call("DELETE", "/containers/removed"), 409, 'cannot remove container "removed": container is paused and must be unpaused first')
        self.assertEqual(self.d.call("DELETE", "/containers/removed", query={"link": 1}).status, 500)
        self.assertEqual(self.d.call("DELETE", "/containers/removed", query={"force": 1}).status, 204)
        self.assertEqual(self.d.call("DELETE", f"/containers/{cid}").status, 404)
        self.assertEqual(self.d.call("GET", f"/containers/{cid}/json").status, 404)

    def test_prune(self):
        kept, old = self.d.up(), self.d.create("true", Labels={"prune": "1"})
        between = f"{time.time():.9f}"
        new = self.d.create("true", Labels={"prune": "2"})

        def prune(**filters):
            reply = self.d.call("POST", "/containers/prune", query={"filters": json.dumps(filters)})
            self.assertEqual(reply.status, 200, reply.body)
            return reply.json["ContainersDeleted"]
        self.assertEqual(prune(label=["nope"]), None)
        self.assertEqual(prune(label=["prune"], until=[between]), [old])
        self.assertEqual(prune(**{"label": ["prune"], "label!": ["prune=2"]}), None)
        self.assertEqual(prune(label=["prune=2"]), [new])
        self.assertEqual(self.d.call("POST", "/containers/prune", query={"filters": '{"until":["x"]}'}).status, 400)
        self.assertEqual(self.d.call("POST", "/containers/prune", query={"filters": '{"nope":["x"]}'}).status, 400)
        self.d.remove(kept)

    def test_ambiguous_prefix(self):
        seen = {}
        for _ in range(40):
            cid = self.d.create("true")
            if cid[0] in seen:
                self.assertError(self.d.call("GET", f"/containers/{cid[0]}/json"), 400, f"Multiple IDs found with provided prefix: {cid[0]}")
                return
            seen[cid[0]] = cid
        self.fail("no two ids begin alike")


if __name__ == "__main__":
    unittest.main()
