"""/info, /version, /system/df."""
import os
import json
import time
import threading
import unittest

from harness import DEADLINE_S, ApiTest


class Info(ApiTest):
    options = ("--default-runtime", "wasm")

    def get(self, path, version="v1.51", query=None):
        reply = self.d.call("GET", path, version=version, query=query)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def test_info(self):
        info = self.get("/info")
        self.assertGolden("info", {**info, "Architecture": "<arch>", "OSVersion": "<version>", "OperatingSystem": "<os>",
                                   "NFd": "<NFd>", "SecurityOptions": info["SecurityOptions"][:1]})
        self.assertTrue(info["OperatingSystem"].endswith(" (sockerless)"))
        self.assertEqual(info["NCPU"], os.cpu_count())
        self.assertGreater(info["NFd"], 3)
        self.assertEqual(info["ID"], self.get("/info")["ID"])

    def test_info_by_version(self):
        self.assertEqual(self.get("/info", "v1.49")["BridgeNfIptables"], False)
        self.assertNotIn("BridgeNfIptables", self.get("/info", "v1.50"))
        self.assertIn("AllowNondistributableArtifactsCIDRs", self.get("/info", "v1.48")["RegistryConfig"])
        self.assertEqual((self.get("/info", "v1.48")["RuncCommit"], self.get("/info", "v1.49")["RuncCommit"]), ({"ID": "", "Expected": ""}, {"ID": ""}))
        self.assertIn("KernelMemory", self.get("/info", "v1.41"))

    def test_counts(self):
        one, two, three = self.d.create("true"), self.d.up(), self.d.up()
        self.d.call("POST", f"/containers/{three}/pause")
        info = self.get("/info")
        self.assertEqual([info[f"Containers{s}"] for s in ("", "Running", "Paused", "Stopped")], [3, 1, 1, 1])
        for cid in (one, two, three):
            self.d.remove(cid)
        with self.d.connect() as s:
            s.sendall(b"GET /v1.51/events HTTP/1.1\r\nHost: d\r\n\r\n")
            s.recv(4096)
            self.assertEqual(self.get("/info")["NEventsListener"], 1)
        self.d.wait_for(lambda: self.get("/info")["NEventsListener"] == 0, "the listener's end")

    def test_version(self):
        self.assertGolden("version", self.get("/version"))

    def test_df(self):
        cid, _ = self.d.run("sh", "-c", "head -c 5000 /dev/zero >/f; head -c 3000 /dev/zero >/v/g", HostConfig={"Binds": ["used:/v"]})
        self.d.call("POST", "/volumes/create", {"Name": "unused"})
        df = self.get("/system/df")
        self.assertEqual([(c["Id"], c["SizeRw"]) for c in df["Containers"]], [(cid, 5000)])
        self.assertEqual({v["Name"]: v["UsageData"] for v in df["Volumes"]}, {"used": {"RefCount": 1, "Size": 3000}, "unused": {"RefCount": 0, "Size": 0}})
        self.assertEqual([(i["RepoTags"], i["Containers"], i["SharedSize"]) for i in df["Images"]], [(["busybox:latest"], 1, 0)])
        self.assertEqual((df["LayersSize"], df["BuildCache"]), (df["Images"][0]["Size"], []))
        self.assertNotIn("BuilderSize", df)
        self.assertEqual(self.get("/system/df", "v1.41")["BuilderSize"], 0)
        only = self.get("/system/df", query=[("type", "volume"), ("type", "build-cache")])
        self.assertEqual((only["Images"], only["Containers"], len(only["Volumes"]), only["BuildCache"]), (None, None, 2, []))
        self.assertError(self.d.call("GET", "/system/df", query={"type": "x"}), 400, "unknown object type: x")
        new = self.get("/system/df", "v1.55")
        size = df["LayersSize"]
        self.assertEqual(new, {"ImageUsage": {"ActiveCount": 1, "TotalCount": 1, "TotalSize": size},
                               "ContainerUsage": {"TotalCount": 1, "TotalSize": 5000, "Reclaimable": 5000},
                               "VolumeUsage": {"ActiveCount": 1, "TotalCount": 2, "TotalSize": 3000}, "BuildCacheUsage": {}})
        both = self.get("/system/df", "v1.52")
        for c in both["Containers"]:
            self.assertEqual(c.pop("Health")["Status"], "none") # came with 1.52
        self.assertEqual(both, {**new, **df})
        for version in ("v1.52", "v1.55"):
            verbose = self.get("/system/df", version, {"verbose": 1})
            self.assertEqual({k: {n: v for n, v in usage.items() if n != "Items"} for k, usage in verbose.items()}, new)
            self.assertEqual([verbose[k + "Usage"]["Items"] for k in ("Image", "Volume")], [df["Images"], df["Volumes"]])
            self.assertEqual([c["Id"] for c in verbose["ContainerUsage"]["Items"]], [cid])
        self.assertEqual(self.get("/system/df", "v1.51", {"verbose": 1}), df)
        self.assertEqual(self.get("/system/df", "v1.55", {"type": "volume"}), {"VolumeUsage": new["VolumeUsage"]})
        self.d.remove(cid)

    def test_df_of_many_holds_nobody_up(self):
        for _ in range(300):
            self.d.create("true", Labels={"many": ""})
        answered = []
        threading.Thread(target=lambda: answered.append(self.d.call("GET", "/system/df", version="v1.51").json)).start()
        slowest, end = 0, time.monotonic() + DEADLINE_S
        while not answered and time.monotonic() < end:
            before = self.d.loop_cpu_s()
            self.assertEqual(self.d.call("GET", "/_ping").status, 200)
            slowest = max(slowest, self.d.loop_cpu_s() - before) # the clock would tell how busy the machine is
        self.assertGreaterEqual(len(answered[0]["Containers"]), 300)
        self.assertLess(slowest, 0.5)
        reply = self.d.call("POST", "/containers/prune", query={"filters": json.dumps({"label": ["many"]})})
        self.assertEqual(len(reply.json["ContainersDeleted"]), 300)

    def test_one_prune_at_a_time(self):
        for _ in range(200):
            self.d.create("true", Labels={"doomed": ""})
        filters = {"filters": json.dumps({"label": ["doomed"]})}
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(self.d.call("POST", "/containers/prune", query=filters))) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sum(len(r.json["ContainersDeleted"] or []) for r in replies if r.status == 200), 200)
        for r in replies:
            if r.status != 200:
                self.assertError(r, 409, "a prune operation is already running")
        self.assertEqual(self.d.call("POST", "/containers/prune", query=filters).status, 200)



if __name__ == "__main__":
    unittest.main()
