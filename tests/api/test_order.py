"""The order of a container's events and what they carry, as compose's monitor relies on it: against each way to end one."""
import threading
import time
import unittest

from harness import ApiTest

OBEYS = ("sh", "-c", "trap 'exit 4' TERM; echo ready; while :; do sleep 0.02; done")


class Order(ApiTest):
    def post(self, cid, what, **query):
        return self.d.call("POST", f"/containers/{cid}/{what}", query=query)

    def told(self, cid, since):
        """(action, signal or exit code)"""
        out = []
        for e in self.d.events(since, type=["container"], container=[cid]):
            a = e["Actor"]["Attributes"]
            out.append((e["Action"], a.get("signal") or a.get("exitCode")))
        return out

    def obedient(self, **config):
        cid = self.d.up(*OBEYS, **config)
        self.d.wait_for(lambda: b"ready" in self.d.logs(cid), "the trap")
        return cid, time.time()

    def test_exit(self):
        since = time.time()
        cid, _ = self.d.run("sh", "-c", "exit 5")
        self.assertEqual(self.told(cid, since), [("create", None), ("start", None), ("die", "5")])

    def test_stop(self):
        cid, since = self.obedient()
        self.post(cid, "stop")
        self.assertEqual(self.told(cid, since), [("kill", "15"), ("die", "4"), ("stop", None)])
        cid = self.d.up("sleep", "1000")
        since = time.time()
        self.post(cid, "stop", t=0)
        self.assertEqual(self.told(cid, since), [("kill", "15"), ("kill", "9"), ("die", "137"), ("stop", None)])

    def test_kill(self):
        cid, since = self.obedient()
        self.post(cid, "kill", signal="USR2") # which its pid 1 does not feel
        self.post(cid, "kill")
        self.assertEqual(self.told(cid, since), [("kill", "12"), ("kill", "9"), ("die", "137")])

    def test_restart(self):
        cid, since = self.obedient()
        self.post(cid, "restart")
        self.assertEqual(self.told(cid, since), [("kill", "15"), ("die", "4"), ("stop", None), ("start", None), ("restart", None)])
        self.d.remove(cid)

    def test_policy_restart(self):
        since = time.time()
        cid = self.d.up("sh", "-c", "exit 1", HostConfig={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}})
        self.d.wait_for(lambda: self.d.inspect(cid)["State"]["Status"] == "exited", "the last end")
        self.assertEqual(self.told(cid, since)[1:], [("start", None), ("die", "1"), ("start", None), ("die", "1")])

    def test_remove_by_force(self):
        cid, since = self.obedient()
        self.d.call("DELETE", f"/containers/{cid}", query={"force": 1})
        self.assertEqual(self.told(cid, since), [("kill", "9"), ("die", "137"), ("destroy", None)])

    def test_auto_remove(self):
        for how, told in (("kill", [("kill", "9"), ("die", "137"), ("destroy", None)]),
                          ("stop", [("kill", "15"), ("die", "4"), ("stop", None), ("destroy", None)])):
            cid, since = self.obedient(HostConfig={"AutoRemove": True})
            self.post(cid, how)
            self.d.wait_for(lambda: self.d.call("GET", f"/containers/{cid}/json").status == 404, "the removal")
            self.assertEqual(self.told(cid, since), told)

    def test_paused(self):
        """It goes on before it ends: killed, unpaused, dead."""
        for how, told in (("stop", [("kill", "15"), ("unpause", None), ("die", "4"), ("stop", None)]),
                          ("kill", [("kill", "9"), ("unpause", None), ("die", "137")])):
            cid, _ = self.obedient()
            self.assertEqual(self.post(cid, "pause").status, 204)
            since = time.time()
            self.assertEqual(self.post(cid, how).status, 204)
            self.assertEqual(self.told(cid, since), told)
            self.assertEqual(self.d.inspect(cid)["State"]["Paused"], False)

    def test_memory(self):
        since = time.time()
        cid, code = self.d.run("sh", "-c", "x=aaaaaaaa; while :; do x=$x$x; done", HostConfig={"Memory": 16 << 20})
        self.assertEqual(code, 137)
        self.assertEqual(self.told(cid, since)[2:], [("oom", None), ("die", "137")])
        self.assertTrue(self.d.inspect(cid)["State"]["OOMKilled"])

    def test_failed_start(self):
        since = time.time()
        cid = self.d.create("/nope")
        self.assertEqual(self.post(cid, "start").status, 400)
        self.assertEqual(self.told(cid, since), [("create", None)])

    def test_attributes(self):
        """Labels are in every one: compose finds its service by them."""
        cid, since = self.obedient(name="labelled", Labels={"com.docker.compose.project": "p", "com.docker.compose.service": "s"})
        time.sleep(1.1)
        self.post(cid, "restart")
        self.d.call("DELETE", f"/containers/{cid}", query={"force": 1})
        events = self.d.events(since, type=["container"], container=[cid])
        self.assertEqual([e["Action"] for e in events], ["kill", "die", "stop", "start", "restart", "kill", "die", "destroy"])
        for e in events:
            a = e["Actor"]["Attributes"]
            self.assertEqual((a["com.docker.compose.project"], a["com.docker.compose.service"], a["image"], a["name"]), ("p", "s", "busybox", "labelled"))
            self.assertEqual("exitCode" in a, e["Action"] == "die")
        self.assertGreaterEqual(int(events[1]["Actor"]["Attributes"]["execDuration"]), 1)
        self.assertLess(int(events[1]["Actor"]["Attributes"]["execDuration"]), 60)
        self.assertEqual(self.told(cid, since), [("kill", "15"), ("die", "4"), ("stop", None), ("start", None), ("restart", None),
                                                 ("kill", "9"), ("die", "137"), ("destroy", None)])
        times = [e["timeNano"] for e in events]
        self.assertEqual(times, sorted(set(times)))

    def test_kill_answers_when_it_has_ended(self):
        for _ in range(5):
            cid = self.d.up()
            self.assertEqual(self.post(cid, "kill").status, 204)
            self.assertEqual(self.d.inspect(cid)["State"]["Status"], "exited")
            self.d.remove(cid)

    def test_several_at_once(self):
        """Each is answered; it ends once."""
        cid = self.d.up("sleep", "1000")
        since = time.time()
        replies = []

        def ask(what, query):
            replies.append((what, self.d.call("POST", f"/containers/{cid}/{what}", query=query).status))
        threads = [threading.Thread(target=ask, args=a) for a in
                   [("wait", {}), ("wait", {"condition": "next-exit"}), ("stop", {"t": 30}), ("stop", {"t": 0}), ("stop", {"t": 30})]]
        for t in threads:
            t.start()
            time.sleep(0.05)
        for t in threads:
            t.join()
        self.assertEqual(len(replies), 5)
        self.assertLessEqual({s for _, s in replies}, {200, 204, 304})
        self.assertEqual([a for a, _ in self.told(cid, since)].count("die"), 1)

    def test_what_races_with_the_end(self):
        """Whatever is asked of a container while it ends is answered."""
        for i in range(30):
            cid = self.d.up("sleep", "1000")
            x = self.d.exec(cid, "true")
            replies = []

            def ask(method, path, body=None):
                replies.append(self.d.call(method, path, body).status)
            calls = [("POST", f"/exec/{x}/start", {"Detach": True}), ("POST", f"/containers/{cid}/pause"), ("GET", f"/containers/{cid}/top"),
                     ("GET", f"/containers/{cid}/stats?stream=0&one-shot=1"), ("POST", f"/containers/{cid}/kill"), ("POST", f"/containers/{cid}/unpause")]
            threads = [threading.Thread(target=ask, args=c) for c in (calls if i % 2 else reversed(calls))]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(len(replies), len(calls))
            self.d.remove(cid)


if __name__ == "__main__":
    unittest.main()
