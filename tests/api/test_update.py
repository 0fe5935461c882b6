"""POST /containers/{id}/update: what is refused and in which words, what is kept, what a running container has of it."""
import time
import unittest

from harness import ApiTest, HeldStart

MIB = 1 << 20


class Update(ApiTest):
    def update(self, cid, body=None, version="v1.51"):
        return self.d.call("POST", f"/containers/{cid}/update", body, version=version)

    def updated(self, cid, warnings=None, version="v1.51", **body):
        reply = self.update(cid, body, version)
        self.assertEqual((reply.status, reply.json), (200, {"Warnings": warnings}))
        return self.d.inspect(cid)["HostConfig"]

    def refused(self, cid, text, status=400, **body):
        before = self.d.inspect(cid)
        self.assertError(self.update(cid, body), status, text)
        self.assertEqual(self.d.inspect(cid), before)

    def conflict(self, cid, text, **body):
        self.refused(cid, f"Cannot update container {cid}: {text}", 409, **body)

    # ---- what is kept ----

    def test_all_fields(self):
        cid = self.d.create("true")
        body = {"Memory": 64 * MIB, "MemorySwap": 128 * MIB, "PidsLimit": 50, "CpuShares": 512, "CpuPeriod": 50000,
                "CpuQuota": 25000, "CpusetCpus": "0", "CpusetMems": "0",
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
        before = self.d.inspect(cid)["HostConfig"]
        host = self.updated(cid, **body)
        for key, value in body.items():
            self.assertEqual(host[key], value, key)
            host.pop(key), before.pop(key)
        self.assertEqual(host, before)

    def test_what_is_not_said_stays(self):
        cid = self.d.create("true", HostConfig={"Memory": 64 * MIB, "PidsLimit": 7, "CpuShares": 100,
                                               "RestartPolicy": {"Name": "always"}})
        before = self.d.inspect(cid)["HostConfig"]
        self.assertEqual(self.updated(cid), before)
        self.assertEqual(self.updated(cid, Memory=0, CpuShares=0, CpusetCpus="", RestartPolicy={"Name": ""}), before)
        self.assertEqual(self.update(cid).json, {"Warnings": None})  # no body at all
        self.assertEqual(self.d.inspect(cid)["HostConfig"], before)

    def test_unlimited(self):
        cid = self.d.create("true", HostConfig={"PidsLimit": 7})
        self.assertEqual(self.updated(cid, version="v1.39", PidsLimit=9)["PidsLimit"], 7)
        self.assertEqual(self.updated(cid, PidsLimit=-1)["PidsLimit"], 0)
        self.assertEqual(self.updated(cid, Memory=8 * MIB, MemorySwap=-1)["MemorySwap"], -1)

    def test_survives_the_daemon(self):
        cid = self.d.create("true")
        host = self.updated(cid, Memory=64 * MIB, MemorySwap=-1, RestartPolicy={"Name": "unless-stopped"})
        self.d.kill()
        self.d.start()
        self.assertEqual(self.d.inspect(cid)["HostConfig"], host)

    def test_warnings(self):
        cid = self.d.create("true")
        host = self.updated(cid, ["BlkioWeight is kept, but this engine does not enforce it."], BlkioWeight=100)
        self.assertEqual(host["BlkioWeight"], 100)
        host = self.updated(cid, ["Your kernel does not support OomKillDisable. OomKillDisable discarded."], OomKillDisable=True)
        self.assertIsNone(host["OomKillDisable"])

    def test_event(self):
        cid, since = self.d.create("true", name="told"), time.time()
        self.updated(cid, CpuShares=2)
        self.refused(cid, "Minimum memory limit allowed is 6MB", Memory=1)
        self.assertEqual([(e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]["name"])
                          for e in self.d.events(since, container=[cid])], [("update", cid, "told")])

    # ---- what is refused ----

    def test_refused(self):
        cid = self.d.create("true")
        self.refused(cid, "Minimum memory limit allowed is 6MB", Memory=5 * MIB)
        self.refused(cid, "Minimum memoryswap limit should be larger than memory limit, see usage", Memory=8 * MIB, MemorySwap=7 * MIB)
        self.refused(cid, "CPU cfs quota can not be less than 1ms (i.e. 1000)", CpuQuota=1)
        self.refused(cid, "Conflicting options: Nano CPUs and CPU Quota cannot both be set", NanoCpus=1000000000, CpuQuota=5000)
        self.refused(cid, "Invalid value x for cpuset cpus: invalid format: x", CpusetCpus="x")
        self.refused(cid, "Requested memory nodes are not available - requested 7, available: 0", CpusetMems="7")
        self.refused(cid, "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
                     RestartPolicy={"Name": "x"})
        self.refused(cid, "invalid JSON: json: cannot unmarshal string into Go struct field UpdateConfig.Memory of type int64", Memory="1")
        self.assertRegex(self.update(cid, {"CpusetCpus": "700"}).message,
                         r"^Requested CPUs are not available - requested 700, available: [0-9,-]+$")
        self.assertRegex(self.update(cid, {"NanoCpus": 10 ** 14}).message,
                         r"^range of CPUs is from 0.01 to (\d+).00, as there are only \1 CPUs available$")
        self.assertError(self.update("nobody", {"Memory": 8 * MIB}), 404, "No such container: nobody")
        self.assertError(self.update("nobody", {"Memory": 1}), 400, "Minimum memory limit allowed is 6MB")

    def test_conflicts(self):
        cid = self.d.create("true", HostConfig={"NanoCpus": 1000000000, "Memory": 8 * MIB, "AutoRemove": True})
        self.conflict(cid, "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set", CpuPeriod=5000)
        self.conflict(cid, "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set", CpuQuota=5000)
        self.conflict(cid, "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
                      Memory=17 * MIB)
        self.conflict(cid, "Restart policy cannot be updated because AutoRemove is enabled for the container",
                      RestartPolicy={"Name": "always"})
        cid = self.d.create("true", HostConfig={"CpuPeriod": 100000})
        self.conflict(cid, "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set", NanoCpus=1000000000)
        cid = self.d.create("true", HostConfig={"CpuQuota": 100000})
        self.conflict(cid, "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set", NanoCpus=1000000000)
        self.assertEqual(self.updated(self.d.create("true", HostConfig={"Memory": 8 * MIB}), Memory=16 * MIB)["Memory"], 16 * MIB)

    # ---- live ----

    def output(self, cid, *cmd):
        with self.d.hijack(f"/exec/{self.d.exec(cid, *cmd, Tty=True)}/start", {"Tty": True}) as h:
            return h.read().decode().strip()

    def test_pids_live(self):
        cid = self.d.up()
        three = ("sh", "-c", "sleep 0 & sleep 0 & wait && echo well")
        self.assertEqual(self.output(cid, *three), "well")
        self.updated(cid, PidsLimit=2)
        self.assertIn("can't fork", self.output(cid, *three))
        self.updated(cid, PidsLimit=0)
        self.assertEqual(self.output(cid, *three), "well")
        self.d.remove(cid)

    def test_memory_live(self):
        cid = self.d.up()
        big = ("sh", "-c", "x=$(head -c 30000000 /dev/zero | tr '\\0' x); echo ${#x}")
        self.assertEqual(self.output(cid, *big), "30000000")
        self.updated(cid, Memory=16 * MIB, MemorySwap=16 * MIB)
        self.assertNotIn("30000000", self.output(cid, *big))
        self.assertTrue(self.d.inspect(cid)["State"]["Running"])
        self.updated(cid, Memory=256 * MIB, MemorySwap=-1)
        self.assertEqual(self.output(cid, *big), "30000000")
        self.d.remove(cid)

    def test_during_a_start(self):
        """It is answered at once; the process that was being started has the new limits when it runs."""
        cid = self.d.create("sleep", "1000", HostConfig={"PidsLimit": 9})
        with HeldStart(self.d, cid) as held:
            start = self.d.later("POST", f"/containers/{cid}/start")
            held.until_it_begins()
            self.assertIsNone(start(0))
            self.assertEqual(self.updated(cid, PidsLimit=2)["PidsLimit"], 2)
            held.release()
            self.assertEqual(start().status, 204)
        self.assertIn("can't fork", self.output(cid, "sh", "-c", "sleep 0 & sleep 0 & wait && echo well"))
        self.d.remove(cid)

    def test_figures(self):
        cid = self.d.up("sh", "-c", "while :; do :; done", HostConfig={"NanoCpus": 10 ** 8, "Memory": 64 * MIB, "PidsLimit": 9})
        stats = {}

        def is_throttled():
            stats.update(self.d.call("GET", f"/containers/{cid}/stats", query={"stream": 0, "one-shot": 1}).json)
            t = stats["cpu_stats"]["throttling_data"]
            return t["throttled_periods"] > 1 and t["throttled_time"] > 0 and t["periods"] >= t["throttled_periods"]
        self.d.wait_for(is_throttled, stats)
        self.assertEqual((stats["memory_stats"]["limit"], stats["pids_stats"]["limit"]), (64 * MIB, 9))
        self.updated(cid, Memory=32 * MIB)
        self.assertEqual(self.d.call("GET", f"/containers/{cid}/stats", query={"stream": 0, "one-shot": 1}).json["memory_stats"]["limit"], 32 * MIB)
        self.d.remove(cid)


if __name__ == "__main__":
    unittest.main()
