"""Restart policies: when they act, what the state in between answers, what ends them, and the daemon's own restart."""
import io
import json
import tarfile
import time
import unittest

from harness import DEADLINE_S, ApiTest, Daemon, HeldStart, UnixConnection

CRASH = ("sh", "-c", "echo again; exit 3")


def policy(name, count=0, **host):
    return {"HostConfig": {"RestartPolicy": {"Name": name, "MaximumRetryCount": count}, **host}}


class Restart(ApiTest):
    def post(self, cid, what, **query):
        return self.d.call("POST", f"/containers/{cid}/{what}", query=query)

    def state(self, cid):
        return self.d.inspect(cid)["State"]

    def actions(self, cid, since):
        """What was told of the container; signals and exit codes beside their events."""
        out = []
        for e in self.d.events(since, type=["container"], container=[cid]):
            a = e["Actor"]["Attributes"]
            out.append(e["Action"] + {"kill": " " + a.get("signal", ""), "die": " " + a.get("exitCode", "")}.get(e["Action"], ""))
        return out

    def waits(self, cid, count):
        """It waits for its next start, and that is the longer the more there were."""
        c = self.d.inspect(cid)
        return c["State"]["Restarting"] and c["RestartCount"] >= count

    def between(self, check, *cmd, count=3):
        """check(cid, since) with a container that ends at once, caught where it waits for its next start. Where a busy machine
        takes so long that it has started, once more, with a longer wait."""
        for n in range(count, count + 4):
            cid = self.d.up(*(cmd or CRASH), **policy("always"))
            self.d.wait_for(lambda: self.waits(cid, n), "the restarts")
            since = time.time()
            try:
                check(cid, since)
                return
            except AssertionError:
                if self.actions(cid, since)[:1] != ["start"] or n == count + 3:
                    raise
            finally:
                self.d.remove(cid)

    def test_on_failure_counts(self):
        since = time.time()
        cid = self.d.up(*CRASH, **policy("on-failure", 2))
        self.d.wait_for(lambda: self.state(cid)["Status"] == "exited", "the last end")
        c = self.d.inspect(cid)
        self.assertEqual((c["RestartCount"], c["State"]["ExitCode"], c["State"]["Restarting"]), (2, 3, False))
        self.assertEqual(self.actions(cid, since), ["create"] + ["start", "die 3"] * 3)
        self.assertEqual(self.d.logs(cid).count(b"again\n"), 3)
        since = time.time()
        self.post(cid, "start") # counts from the beginning
        self.d.wait_for(lambda: self.state(cid)["Status"] == "exited", "the last end")
        self.assertEqual(self.actions(cid, since), ["start", "die 3"] * 3)

    def test_waits_grow(self):
        since = time.time()
        cid = self.d.up(*CRASH, **policy("on-failure", 4))
        self.d.wait_for(lambda: self.state(cid)["Status"] == "exited", "the last end")
        times = [(e["Action"], e["timeNano"] / 1e9) for e in self.d.events(since, type=["container"], container=[cid])][1:]
        gaps = [b[1] - a[1] for a, b in zip(times, times[1:]) if (a[0], b[0]) == ("die", "start")]
        for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8)):
            self.assertGreaterEqual(gap, least)
            self.assertLess(gap, least + 30) # on a busy machine

    def test_good_end(self):
        cid = self.d.up("true", **policy("on-failure"))
        self.d.wait_for(lambda: self.state(cid)["Status"] == "exited", "the end")
        self.assertEqual(self.d.inspect(cid)["RestartCount"], 0)
        for name in ("always", "unless-stopped"):
            cid = self.d.up("true", **policy(name))
            self.d.wait_for(lambda: self.d.inspect(cid)["RestartCount"] > 1, name)
            self.d.remove(cid)

    def test_between_two_runs(self):
        self.between(self.check_between_two_runs)

    def check_between_two_runs(self, cid, since):
        state = self.state(cid)
        self.assertEqual((state["Status"], state["Running"], state["Restarting"], state["Pid"], state["ExitCode"]), ("restarting", True, True, 0, 3))
        busy = f"Container {cid} is restarting, wait until the container is running"
        self.assertError(self.d.call("POST", f"/containers/{cid}/exec", {"Cmd": ["true"]}), 409, busy)
        self.assertError(self.post(cid, "pause"), 409, busy)
        self.assertError(self.post(cid, "attach", stream=1, stdout=1), 409, busy)
        self.assertError(self.d.call("GET", f"/containers/{cid}/top"), 409, busy)
        self.assertEqual(self.post(cid, "start").status, 304)
        reply = self.d.call("DELETE", f"/containers/{cid}")
        self.assertEqual(reply.status, 409)
        self.assertIn("container is restarting: stop the container before removing or force remove", reply.message)
        listed = self.d.call("GET", "/containers/json", query={"filters": json.dumps({"status": ["restarting"], "id": [cid]})}).json
        self.assertEqual([c["State"] for c in listed], ["restarting"])
        self.assertRegex(listed[0]["Status"], r"^Restarting \(3\) (Less than a second|1 second|\d+ seconds) ago$")
        self.assertEqual(self.post(cid, "stop").status, 204)
        self.assertEqual((self.state(cid)["Status"], self.state(cid)["ExitCode"]), ("exited", 3))
        self.assertEqual(self.actions(cid, since), ["stop"]) # there was nothing to be killed
        time.sleep(1)
        self.assertEqual(self.actions(cid, since), ["stop"])

    def test_stop_between_is_over(self):
        """The time of a stop that there was nothing to wait for does not end the next run."""
        def check(cid, since):
            self.assertEqual(self.post(cid, "stop", t=1).status, 204)
            self.assertEqual(self.actions(cid, since), ["stop"])
            self.assertEqual(self.put(cid, "go"), 200)
            self.assertEqual(self.post(cid, "start").status, 204)
            time.sleep(1.5)
            self.assertTrue(self.state(cid)["Running"])
            self.assertEqual(self.actions(cid, since), ["stop", "extract-to-dir", "start"])
        self.between(check, "sh", "-c", "[ -e /go ] && exec sleep 1000; exit 3")

    def put(self, cid, name, text=b""):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text))
        return self.d.call("PUT", f"/containers/{cid}/archive", data.getvalue(), query={"path": "/"}).status

    def test_during_a_start(self):
        """What comes while the policy starts it again is done when that has ended."""
        for what, query, told in (("stop", {"t": 0}, ["start", "kill 15", "kill 9", "die 137", "stop"]),
                                  ("kill", {}, ["start", "kill 9", "die 137"]),
                                  ("kill", {"signal": "USR1"}, ["start", "kill 10"])):
            with self.subTest((what, query)):
                self.check_during_a_start(what, query, told)

    def check_during_a_start(self, what, query, told):
        for count in (3, 4, 5, 6): # once more where a busy machine takes longer than the wait to have it held
            cid = self.d.up("sh", "-c", f"echo >>/n; [ $(wc -l </n) -gt {count} ] && exec sleep 1000; exit 3", **policy("always"))
            self.d.wait_for(lambda: self.waits(cid, count), "the restarts")
            since = time.time()
            with HeldStart(self.d, cid) as held:
                if self.waits(cid, count) and not self.actions(cid, since):
                    held.until_it_begins()
                    reply = self.d.later("POST", f"/containers/{cid}/{what}", query=query)
                    self.assertIsNone(reply(0.3))
                    held.release()
                    self.assertEqual(reply().status, 204)
                    self.assertEqual(self.actions(cid, since), told)
                    self.d.remove(cid)
                    return
            self.d.remove(cid)
        self.fail("it is never caught where it waits")

    def test_kill_between(self):
        def check(cid, since):
            self.assertEqual(self.post(cid, "kill").status, 204)
            self.assertEqual(self.state(cid)["Status"], "exited")
            self.assertEqual(self.actions(cid, since), [])
        self.between(check, count=2)

    def test_restart_between(self):
        def check(cid, since):
            self.assertEqual(self.post(cid, "restart").status, 204)
            self.assertEqual(self.actions(cid, since)[:2], ["stop", "start"])
            self.assertIn("restart", self.actions(cid, since)[2:4])
            self.assertLessEqual(self.d.inspect(cid)["RestartCount"], 1)
        self.between(check, count=2)

    def test_remove_between(self):
        def check(cid, since):
            self.assertEqual(self.d.call("DELETE", f"/containers/{cid}", query={"force": 1}).status, 204)
            self.assertEqual(self.actions(cid, since), ["destroy"])
        self.between(check, count=2)

    def test_operations_at_any_moment(self):
        """Also while a start of the policy's is under way nothing is lost or left behind."""
        for i in range(12):
            cid = self.d.up("true", **policy("always"))
            time.sleep(0.09 + 0.004 * i)
            what = ("stop", "kill", "restart", None)[i % 4]
            if what:
                self.assertEqual(self.post(cid, what, **({"t": 1} if what != "kill" else {})).status, 204)
                if what != "restart":
                    self.assertEqual(self.state(cid)["Status"], "exited")
            self.assertEqual(self.d.call("DELETE", f"/containers/{cid}", query={"force": 1}).status, 204)

    def test_by_hand(self):
        for name in ("always", "unless-stopped", "on-failure"):
            for what, told in (("stop", ["kill 15", "kill 9", "die 137", "stop"]), ("kill", ["kill 9", "die 137"])):
                with self.subTest((name, what)):
                    cid = self.d.up("sleep", "1000", StopTimeout=0, **policy(name))
                    since = time.time()
                    self.assertEqual(self.post(cid, what).status, 204)
                    self.assertEqual(self.state(cid)["Status"], "exited")
                    self.assertEqual(self.actions(cid, since), told)
                    self.d.remove(cid)

    def test_other_signal(self):
        """Only signals that are meant to end it do so for good, where it says which one that is."""
        cid = self.d.up("sh", "-c", "trap 'exit 4' USR1; echo ready; while true; do sleep 0.02; done", StopSignal="TERM", **policy("always"))
        self.d.wait_for(lambda: b"ready" in self.d.logs(cid), "the trap")
        self.post(cid, "kill", signal="USR1")
        self.d.wait_for(lambda: self.d.logs(cid).count(b"ready") == 2, "the second run")
        self.post(cid, "kill", signal="KILL")
        self.assertEqual(self.state(cid)["Status"], "exited")
        self.d.remove(cid)

    def test_update_while_it_runs(self):
        cid = self.d.up("sh", "-c", "trap 'exit 2' USR1; echo ready; while true; do sleep 0.02; done", StopSignal="TERM")

        def end(count):
            self.d.wait_for(lambda: self.d.logs(cid).count(b"ready") == count, "the trap")
            self.post(cid, "kill", signal="USR1")
        reply = self.d.call("POST", f"/containers/{cid}/update", {"RestartPolicy": {"Name": "always"}})
        self.assertEqual(reply.status, 200, reply.body)
        end(1)
        self.d.wait_for(lambda: self.d.logs(cid).count(b"ready") == 2, "the second run")
        self.d.call("POST", f"/containers/{cid}/update", {"RestartPolicy": {"Name": "no"}})
        end(2)
        self.d.wait_for(lambda: self.state(cid)["Status"] == "exited", "the end")
        self.assertEqual((self.d.inspect(cid)["RestartCount"], self.state(cid)["ExitCode"]), (1, 2))

    def end_run(self, cid, code):
        """The run that is there ends with the code."""
        eid = self.d.exec(cid, "sh", "-c", f"echo {code} >/code.new; mv /code.new /code")
        with self.d.hijack(f"/exec/{eid}/start", {}) as s:
            s.read()

    ENDS = ("sh", "-c", "echo one; while ! test -e /code; do sleep 0.02; done; read code </code; rm /code; exit $code")

    def test_wait(self):
        cid = self.d.up(*self.ENDS, **policy("always"))
        for code, condition in ((5, "not-running"), (6, "next-exit"), (7, "not-running")): # each waits for another end
            self.d.wait_for(lambda: not self.state(cid)["Restarting"], "the next run")
            result = self.d.waiting(cid, condition)
            self.end_run(cid, code)
            self.assertEqual(result(), {"StatusCode": code})
        self.d.remove(cid)

    def test_logs_are_followed_to_the_end_of_one_run(self):
        cid = self.d.up(*self.ENDS, **policy("always"))
        self.d.wait_for(lambda: b"one" in self.d.logs(cid), "the line")
        connection = UnixConnection(self.d.socket)
        connection.request("GET", f"/v1.51/containers/{cid}/logs?stdout=1&follow=1")
        reply = connection.getresponse()
        self.end_run(cid, 0)
        self.assertEqual(reply.read().count(b"one\n"), 1)
        connection.close()
        self.d.remove(cid)

    def test_start_that_fails(self):
        cid = self.d.create("/s", **policy("always"))
        self.assertEqual(self.put(cid, "s", b"#!/bin/sh\nrm /s\nexit 6\n"), 200)
        self.assertEqual(self.post(cid, "start").status, 204)
        self.d.wait_for(lambda: self.state(cid)["Status"] == "exited", "the end")
        c = self.d.inspect(cid)
        self.assertEqual((c["RestartCount"], c["State"]["ExitCode"]), (1, 6))
        self.assertIn("no such file or directory", c["State"]["Error"])

    def test_refused(self):
        for host, text in (({"AutoRemove": True, "RestartPolicy": {"Name": "always"}}, "can't create 'AutoRemove' container with restart policy"),
                           ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 1}}, "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
                           ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -1}}, "invalid restart policy: maximum retry count cannot be negative"),
                           ({"RestartPolicy": {"Name": "x"}}, "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'")):
            self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": host}), 400, text)
        reply = self.d.call("POST", "/containers/create", {"Image": "busybox", **policy("always")})
        self.assertEqual(reply.json["Warnings"], [])


class DaemonRestart(unittest.TestCase):
    def test_who_runs_again(self):
        for end in ("crash", "stop"):
            with self.subTest(end):
                self.who_runs_again(end)

    def who_runs_again(self, end):
        d = Daemon()
        wanted = {"always": True, "always stopped": True, "unless-stopped": True, "unless-stopped stopped": False, "on-failure": True,
                  "on-failure stopped": True, "no": False, "always never": False, "shares": True}
        ids = {}
        for name in wanted:
            host = policy(name.split()[0])
            if name == "shares":
                host = policy("always", NetworkMode="container:" + ids["always"])
            ids[name] = d.create("sleep", "1000", StopTimeout=0, **host)
            if "never" not in name:
                d.call("POST", f"/containers/{ids[name]}/start")
            if "stopped" in name.split():
                self.assertEqual(d.call("POST", f"/containers/{ids[name]}/stop").status, 204)
        looping = d.up("false", **policy("always"))
        d.wait_for(lambda: d.inspect(looping)["State"]["Restarting"], "a restart")
        if end == "crash":
            d.kill()
        else:
            d.end()
        d.start()
        d.wait_for(lambda: all(d.inspect(ids[n])["State"]["Running"] == up for n, up in wanted.items()),
                   {n: d.inspect(i)["State"] for n, i in ids.items()})
        self.assertEqual(d.inspect(ids["no"])["State"]["ExitCode"], 137)
        d.wait_for(lambda: d.inspect(looping)["State"]["Running"], "the loop")
        time.sleep(0.2)
        for n, up in wanted.items():
            self.assertEqual(d.inspect(ids[n])["State"]["Running"], up, n)
        d.stop()


class DaemonStop(unittest.TestCase):
    """As dockerd's: each container gets its stop signal and the time it has, and clients hear of its end."""
    OBEYS = ("sh", "-c", "trap 'echo bye; exit 9' TERM; echo ready; while true; do sleep 0.02; done")

    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.stop)

    def ready(self, *cmd, **config):
        cid = self.d.up(*(cmd or self.OBEYS), **config)
        self.d.wait_for(lambda: b"ready" in self.d.logs(cid), "the traps")
        return cid

    def state(self, cid):
        return self.d.inspect(cid)["State"]

    def test_stop_signal(self):
        cid = self.ready()
        other = self.ready("sh", "-c", "trap 'exit 7' USR1; echo ready; while true; do sleep 0.02; done", StopSignal="USR1")
        gone = self.ready(HostConfig={"AutoRemove": True})
        wait, removed = self.d.waiting(cid), self.d.waiting(gone, "removed")
        with self.d.attach(cid) as attached:
            self.d.end() # with the exit codes of who obeyed: nobody waited until they were killed
            self.assertIn(b"bye", attached.read())
        self.assertEqual((wait(), removed()), ({"StatusCode": 9}, {"StatusCode": 9}))
        self.d.start()
        self.assertEqual([(self.state(c)["Status"], self.state(c)["ExitCode"]) for c in (cid, other)], [("exited", 9), ("exited", 7)])
        self.assertEqual(self.d.call("GET", f"/containers/{gone}/json").status, 404)
        self.assertTrue(self.d.logs(cid).endswith(b"bye\n"))

    def test_its_time(self):
        cids = [self.d.up("sleep", "1000", StopTimeout=1) for _ in range(40)]
        before = time.time()
        self.d.end()
        took = time.time() - before
        self.assertGreater(took, 0.9)
        self.assertLess(took, 30) # all at once
        self.d.start()
        self.assertEqual({(self.state(c)["Status"], self.state(c)["ExitCode"]) for c in cids}, {("exited", 137)})

    def test_in_any_state(self):
        paused = self.ready()
        self.d.call("POST", f"/containers/{paused}/pause")
        looping = self.d.up("sh", "-c", "exit 3", **policy("unless-stopped"))
        self.d.wait_for(lambda: self.d.inspect(looping)["RestartCount"] >= 3 and self.state(looping)["Restarting"], "the restarts")
        starting = self.d.create(*self.OBEYS)
        with HeldStart(self.d, starting) as held:
            start = self.d.later("POST", f"/containers/{starting}/start")
            held.until_it_begins()
            self.assertIsNone(start(0))
            self.d.process.terminate()
            self.d.wait_for(lambda: "stopping on signal" in self.d.log_text(), "it stops")
            time.sleep(0.2)
            self.assertIsNone(self.d.process.poll())
            held.release()
            self.assertEqual(start().status, 204)
        self.d.end() # the second signal says nothing new
        self.d.start()
        self.assertEqual(self.state(paused)["ExitCode"], 9)
        self.assertEqual(self.state(starting)["Status"], "exited")
        self.d.wait_for(lambda: self.d.inspect(looping)["RestartCount"] >= 1, "who was not stopped by hand is started again")

    def test_nothing_is_started(self):
        slow = self.ready("sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.02; done", StopTimeout=5, **policy("always"))
        idle = self.d.create("true")
        with self.d.connect() as s: # listeners are gone by then
            s.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
            while not s.recv(65536).endswith(b"OK"):
                pass
            self.d.process.terminate()
            self.d.wait_for(lambda: "stopping on signal" in self.d.log_text(), "it stops")
            s.sendall(f"POST /v1.51/containers/{idle}/start HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n".encode())
            reply = b"".join(iter(lambda: s.recv(65536), b""))
        self.assertIn(b" 503 ", reply.splitlines()[0])
        self.assertIn(b'{"message":"the daemon is stopping"}', reply)
        self.assertEqual(self.d.process.wait(DEADLINE_S), 0)
        self.d.start()
        self.d.wait_for(lambda: self.state(slow)["Running"], "its policy")

    def test_third_signal(self):
        cid = self.d.up("sleep", "1000", StopTimeout=-1)
        for sign in ("stopping on signal 15", "the next signal ends it at once", "ending at once on signal 15"):
            self.assertIsNone(self.d.process.poll())
            self.d.process.terminate()
            self.d.wait_for(lambda: sign in self.d.log_text(), sign) # two that come at once are one
        self.assertEqual(self.d.process.wait(DEADLINE_S), 143)
        self.d.start()
        self.assertEqual((self.state(cid)["Status"], self.state(cid)["ExitCode"]), ("exited", 137))


if __name__ == "__main__":
    unittest.main()
