"""Health checks: states, log, options, events, what stops them, and what they show where."""
import calendar
import fcntl
import io
import json
import os
import tarfile
import threading
import time
import unittest

from harness import ApiTest, Daemon

MS = 1000000


def check(*test, interval=20 * MS, **more):
    return {"Healthcheck": {"Test": list(test), "Interval": interval, **more}}


class Health(ApiTest):
    def post(self, cid, what, **query):
        return self.d.call("POST", f"/containers/{cid}/{what}", query=query)

    def health(self, cid):
        return self.d.inspect(cid)["State"].get("Health")

    def until(self, cid, status):
        self.d.wait_for(lambda: self.health(cid)["Status"] == status, status)
        return self.health(cid)

    def sh(self, cid, script):
        x = self.d.exec(cid, "sh", "-c", script)
        with self.d.hijack(f"/exec/{x}/start", {}) as h:
            h.read()

    def listed(self, cid, version="v1.51", **filters):
        reply = self.d.call("GET", "/containers/json", version=version, query={"all": 1, "filters": json.dumps({"id": [cid], **filters})})
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def actions(self, cid, since):
        return [e["Action"] for e in self.d.events(since, type=["container"], container=[cid]) if not e["Action"].startswith("exec_")]

    def test_states(self):
        since = time.time()
        cid = self.d.up(**check("CMD-SHELL", "while ! test -e /look; do sleep 0.01; done; echo looked; test -e /well", Retries=2, interval=50 * MS))
        self.assertEqual(self.health(cid), {"Status": "starting", "FailingStreak": 0, "Log": []})
        self.assertRegex(self.listed(cid)[0]["Status"], r"^Up .* \(health: starting\)$")
        self.assertEqual(len(self.listed(cid, health=["starting"])), 1)
        self.assertEqual(self.listed(cid, version="v1.52")[0]["Health"], {"Status": "starting", "FailingStreak": 0})
        self.assertNotIn("Health", self.listed(cid, version="v1.51")[0])
        self.sh(cid, "touch /look")
        h = self.until(cid, "unhealthy")
        for status, n in (("unhealthy", 1), ("starting", 0)): # by their index alone
            reply = self.d.call("GET", "/containers/json", query={"filters": json.dumps({"health": [status]})})
            self.assertEqual(sum(c["Id"] == cid for c in reply.json), n, status)
        self.assertGreaterEqual(h["FailingStreak"], 2)
        self.assertEqual((h["Log"][0]["ExitCode"], h["Log"][0]["Output"]), (1, "looked\n"))
        self.assertEqual(sorted(h["Log"][0]), ["End", "ExitCode", "Output", "Start"])
        self.assertLess(h["Log"][0]["Start"], h["Log"][0]["End"])
        self.assertLess(h["Log"][0]["End"], h["Log"][1]["Start"])
        self.assertRegex(self.listed(cid)[0]["Status"], r"^Up .* \(unhealthy\)$")
        self.sh(cid, "touch /well")
        h = self.until(cid, "healthy")
        self.assertEqual((h["FailingStreak"], h["Log"][-1]["ExitCode"]), (0, 0))
        self.assertRegex(self.listed(cid)[0]["Status"], r"^Up .* \(healthy\)$")
        self.assertEqual((len(self.listed(cid, health=["healthy"])), len(self.listed(cid, health=["none", "starting", "unhealthy"]))), (1, 0))
        self.d.wait_for(lambda: self.health(cid)["Log"][0]["ExitCode"] == 0, "five good ones")
        self.assertEqual(len(self.health(cid)["Log"]), 5)
        self.assertEqual(self.actions(cid, since), ["create", "start", "health_status: unhealthy", "health_status: healthy"])
        self.assertEqual([e["Action"] for e in self.d.events(since, container=[cid], event=["health_status"])],
                         ["health_status: unhealthy", "health_status: healthy"])
        self.sh(cid, "rm /look")
        self.post(cid, "kill")
        self.assertEqual(self.health(cid)["Status"], "unhealthy") # nobody looks any more
        self.assertEqual(self.actions(cid, since)[-2:], ["kill", "die"])
        self.post(cid, "start")
        h = self.health(cid)
        self.assertEqual((h["Status"], h["FailingStreak"], len(h["Log"])), ("starting", 0, 5))
        self.sh(cid, "touch /look")
        self.until(cid, "healthy")
        self.d.remove(cid)

    def test_probes_are_execs(self):
        since = time.time()
        cid = self.d.up(**check("CMD", "true", interval=30 * MS))
        self.until(cid, "healthy")
        told = [(e["Action"], e["Actor"]["Attributes"]) for e in self.d.events(since, container=[cid]) if e["Action"].startswith("exec_")][:3]
        self.assertEqual([a for a, _ in told], ["exec_create: true ", "exec_start: true ", "exec_die"])
        self.assertEqual(len({a["execID"] for _, a in told}), 1)
        self.assertEqual(told[2][1]["exitCode"], "0")
        self.d.wait_for(lambda: len(self.health(cid)["Log"]) == 5, "some more")
        self.assertEqual(self.d.call("GET", f"/exec/{told[0][1]['execID']}/json").status, 404) # they do not pile up
        self.d.remove(cid)

    def test_where_it_runs(self):
        cid = self.d.up(User="33", WorkingDir="/tmp", Env=["A=b c"], **check("CMD-SHELL", 'echo "$(id -u) $PWD $A"; echo more >&2'))
        self.assertEqual(self.until(cid, "healthy")["Log"][0]["Output"], "33 /tmp b c\nmore\n")
        self.d.remove(cid)
        cid = self.d.up(Shell=["sh", "-x", "-c"], **check("CMD-SHELL", "true"))
        self.assertEqual(self.until(cid, "healthy")["Log"][0]["Output"], "+ true\n")
        self.d.remove(cid)

    def test_none(self):
        listed = self.listed(self.d.create("true"), version="v1.55")[0]
        self.assertEqual(listed["Health"], {"Status": "none", "FailingStreak": 0})
        for config in ({}, {"Healthcheck": {"Test": ["NONE"]}}, {"Healthcheck": {"Interval": 20 * MS}}, {"Healthcheck": {"Test": ["WHAT", "x"]}}):
            cid = self.d.up(**config)
            self.assertIsNone(self.health(cid))
            self.assertRegex(self.listed(cid, health=["none"])[0]["Status"], r"^Up [^(]*$")
            self.d.remove(cid)
        self.assertEqual(self.d.call("GET", "/containers/json", query={"filters": '{"health":["x"]}'}).status, 400)

    def test_defaults(self):
        cid = self.d.up(Healthcheck={"Test": ["CMD", "true"]})
        time.sleep(0.3)
        self.assertEqual(self.health(cid), {"Status": "starting", "FailingStreak": 0, "Log": []}) # the first after 30 s
        self.d.remove(cid)

    def test_start_period(self):
        cid = self.d.up(**check("CMD", "false", StartPeriod=1000000 * MS, StartInterval=20 * MS, Retries=1, interval=1000000 * MS))
        self.d.wait_for(lambda: len(self.health(cid)["Log"]) == 5, "probes") # five at the start's pace
        self.assertEqual((self.health(cid)["Status"], self.health(cid)["FailingStreak"]), ("starting", 0))
        self.d.remove(cid)
        since = time.time()
        cid = self.d.up(**check("CMD", "false", StartPeriod=500 * MS, StartInterval=20 * MS, Retries=1, interval=100 * MS))
        self.until(cid, "unhealthy")
        told, = (e["timeNano"] for e in self.d.events(since, container=[cid], event=["health_status: unhealthy"]))
        at, nanoseconds = self.d.inspect(cid)["State"]["StartedAt"].rstrip("Z").split(".")
        started = calendar.timegm(time.strptime(at, "%Y-%m-%dT%H:%M:%S")) * 1000 * MS + int(nanoseconds.ljust(9, "0"))
        self.assertGreaterEqual(told - started, 500 * MS)
        self.d.remove(cid)
        cid = self.d.up(**check("CMD-SHELL", "! test -e /bad", StartPeriod=10000 * MS, StartInterval=20 * MS, Retries=1))
        self.until(cid, "healthy")
        self.sh(cid, "touch /bad")
        self.until(cid, "unhealthy") # it has been well: its start is over
        self.d.remove(cid)
        old = self.d.call("POST", "/containers/create", {"Image": "busybox", **check("CMD", "true", StartInterval=20 * MS)}, version="v1.43").json["Id"]
        self.assertNotIn("StartInterval", self.d.inspect(old)["Config"]["Healthcheck"])

    def test_timeout(self):
        cid = self.d.up(**check("CMD-SHELL", "echo begun; exec sleep 77", Timeout=150 * MS, Retries=1))
        self.until(cid, "unhealthy")

        def told():
            log = self.health(cid)["Log"]
            for entry in log: # on a busy machine a probe may not even come to say something
                self.assertEqual((entry["ExitCode"], entry["Output"][:36]), (-1, "Health check exceeded timeout (150ms)"[:36]))
            return any(entry["Output"] == "Health check exceeded timeout (150ms): begun\n" for entry in log)
        self.d.wait_for(told, "one that has begun")
        last = self.health(cid)["Log"][-1]["Start"]
        self.d.wait_for(lambda: self.health(cid)["Log"][0]["Start"] > last, "five more")

        def sleeping():
            return sum(p[-1] == "sleep 77" for p in self.d.call("GET", f"/containers/{cid}/top").json["Processes"])
        for _ in range(20):
            self.d.wait_for(lambda: sleeping() <= 2, "it was killed: this one, and perhaps the one before that is dying")
        self.d.remove(cid)
        cid = self.d.up(**check("CMD", "sleep", "77", Timeout=1500 * MS, Retries=1))
        self.assertEqual(self.until(cid, "unhealthy")["Log"][0]["Output"], "Health check exceeded timeout (1.5s)")
        self.d.remove(cid)

    def test_output(self):
        cid = self.d.up(**check("CMD-SHELL", "head -c 100000 /dev/zero | tr '\\0' x; exit 0"))
        self.assertEqual(self.until(cid, "healthy")["Log"][0]["Output"], "x" * 4096 + "...")
        self.d.remove(cid)
        cid = self.d.up(**check("CMD-SHELL", r"printf 'a\377b\303\244\n'"))
        self.assertEqual(self.until(cid, "healthy")["Log"][0]["Output"], "a\ufffdb\u00e4\n")
        self.d.remove(cid)

    def test_bad_command(self):
        cid = self.d.up(**check("CMD", "/nope", Retries=1))
        entry = self.until(cid, "unhealthy")["Log"][0]
        self.assertEqual(entry["ExitCode"], -1)
        self.assertIn('exec: "/nope": stat /nope: no such file or directory', entry["Output"])
        self.d.remove(cid)
        cid = self.d.up(**check("CMD", Retries=1))
        self.assertEqual(self.until(cid, "unhealthy")["Log"][0]["Output"], f"healthcheck for container {cid} has no command")
        self.d.remove(cid)

    def test_pause(self):
        cid = self.d.up(**check("CMD-SHELL", "echo >>/probes"))
        self.until(cid, "healthy")
        self.assertEqual(self.post(cid, "pause").status, 204)
        self.assertRegex(self.listed(cid)[0]["Status"], r"^Up .* \(Paused\)$")
        log = self.health(cid)["Log"]
        time.sleep(0.3)
        self.assertEqual(self.health(cid)["Log"], log)
        self.assertEqual(self.post(cid, "unpause").status, 204)
        self.d.wait_for(lambda: self.health(cid)["Log"] != log, "another probe")
        self.until(cid, "healthy")
        self.d.remove(cid)

    def test_end_while_a_probe_runs(self):
        """It is not told as a failed check."""
        for how in ("stop", "kill", "exit"):
            since = time.time()
            cid = self.d.up("sh", "-c", "while ! test -e /end; do sleep 0.02; done", StopTimeout=0, **check("CMD", "sleep", "100", Retries=1))
            self.d.wait_for(lambda: any(e["Action"].startswith("exec_start") for e in self.d.events(since, container=[cid])), "a probe")
            if how == "exit":
                self.sh(cid, "touch /end")
                self.post(cid, "wait")
            else:
                self.post(cid, how)
            time.sleep(0.15)
            self.assertEqual(self.health(cid), {"Status": "unhealthy", "FailingStreak": 0, "Log": []})
            self.assertFalse([a for a in self.actions(cid, since) if a.startswith("health_status")])
            self.d.remove(cid)

    def test_end_that_takes_long_to_log(self):
        """The probe has ended with the container, but what that wrote is not in its log yet: no failed check meanwhile."""
        cid = self.d.create("sh", "-c", "while ! test -e /end; do sleep 0.02; done; head -c 50000 /dev/zero | tr '\\0' x", **check("CMD", "sleep", "100", Retries=1))
        where, since = os.path.join(self.d.data, "containers", cid), time.time()
        os.makedirs(where, mode=0o700, exist_ok=True)
        os.mkfifo(os.path.join(where, "output.log"), 0o600)
        reader = os.open(os.path.join(where, "output.log"), os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        self.assertEqual(self.post(cid, "start").status, 204)

        def happened(action):
            return any(e["Action"].startswith(action) for e in self.d.events(since, container=[cid]))
        self.d.wait_for(lambda: happened("exec_start: sleep"), "a probe")
        x = self.d.exec(cid, "touch", "/end")
        with self.d.hijack(f"/exec/{x}/start", {}) as h:
            h.read()
        self.d.wait_for(lambda: sum(e["Action"] == "exec_die" for e in self.d.events(since, container=[cid])) == 2, "the end of the probe")
        time.sleep(0.3)
        self.assertEqual(self.health(cid), {"Status": "starting", "FailingStreak": 0, "Log": []})
        self.assertFalse(happened("die"))
        os.set_blocking(reader, True)
        threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(reader, 65536), b"")], daemon=True).start()
        self.post(cid, "wait")
        self.assertEqual(self.health(cid), {"Status": "unhealthy", "FailingStreak": 0, "Log": []})
        self.assertFalse(happened("health_status"))
        self.d.remove(cid)

    def test_restart_policy_begins_anew(self):
        since = time.time()
        cid = self.d.up("sh", "-c", "while ! test -e /end; do sleep 0.02; done; rm /end", HostConfig={"RestartPolicy": {"Name": "always"}}, **check("CMD", "true"))
        self.until(cid, "healthy")
        self.sh(cid, "touch /end")
        self.d.wait_for(lambda: self.d.inspect(cid)["RestartCount"] == 1 and self.health(cid)["Status"] == "healthy", "a second health")
        self.assertEqual(self.actions(cid, since), ["create", "start", "health_status: healthy", "die", "start", "health_status: healthy"])
        self.d.remove(cid)

    def test_refused(self):
        for field in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
            self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "Healthcheck": {"Test": ["CMD", "true"], field: 999999}}), 400,
                             f"{field} in Healthcheck cannot be less than 1ms")
        self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "Healthcheck": {"Retries": -1}}), 400,
                         "Retries in Healthcheck cannot be negative")
        reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "Healthcheck": {"Test": ["CMD", "true"]}})
        self.assertEqual(reply.json["Warnings"], [])

    def test_of_the_image(self):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("x"))
        reply = self.d.call("POST", "/images/create", data.getvalue(), query={"fromSrc": "-", "repo": "checked", "changes":
                            'HEALTHCHECK --interval=7s --retries=9 CMD ["true"]'})
        self.assertIn(b"sha256:", reply.body)
        for given, wanted in ((None, {"Test": ["CMD", "true"], "Interval": 7000 * MS, "Retries": 9}),
                              ({"Timeout": 5 * MS, "Retries": 1}, {"Test": ["CMD", "true"], "Interval": 7000 * MS, "Timeout": 5 * MS, "Retries": 1}),
                              ({"Test": ["NONE"]}, {"Test": ["NONE"], "Interval": 7000 * MS, "Retries": 9})):
            body = {"Image": "checked", "Cmd": ["true"]}
            if given:
                body["Healthcheck"] = given
            cid = self.d.call("POST", "/containers/create", body).json["Id"]
            self.assertEqual(self.d.inspect(cid)["Config"]["Healthcheck"], wanted)

    def test_healthcheck_as_a_change(self):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("x"))

        def change(text):
            return self.d.call("POST", "/images/create", data.getvalue(), query={"fromSrc": "-", "repo": "changed", "changes": text})
        for text, wanted in (("HEALTHCHECK NONE", {"Test": ["NONE"]}),
                             ("healthcheck --timeout=1m30s --start-period=1ms --start-interval=2s cmd curl -f  x || exit 1",
                              {"Test": ["CMD-SHELL", "curl -f  x || exit 1"], "Timeout": 90000 * MS, "StartPeriod": MS, "StartInterval": 2000 * MS})):
            self.assertIn(b"sha256:", change(text).body)
            self.assertEqual(self.d.call("GET", "/images/changed/json").json["Config"]["Healthcheck"], wanted)
        for text, message in (("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"), ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
                              ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
                              ("HEALTHCHECK true", 'Unknown type "TRUE" in HEALTHCHECK (try CMD)')):
            self.assertError(change(text), 400, message)


class Survival(unittest.TestCase):
    def test_the_log_survives(self):
        d = Daemon()
        cid = d.up(**check("CMD", "true"))
        d.wait_for(lambda: d.inspect(cid)["State"]["Health"]["Status"] == "healthy", "health")
        d.call("POST", f"/containers/{cid}/kill")
        before = d.inspect(cid)["State"]["Health"]
        d.kill()
        d.start()
        self.assertEqual(d.inspect(cid)["State"]["Health"], before)
        d.stop()


if __name__ == "__main__":
    unittest.main()
