"""GET /events: what is told, in which order, with which attributes; filters, times."""
import json
import threading
import time
import unittest

from harness import ApiTest


class Events(ApiTest):
    def actions(self, since, **filters):
        return [e["Action"] for e in self.d.events(since, **filters)]

    def test_life(self):
        since = time.time()
        cid = self.d.up("sleep", "100", name="life", Labels={"a": "b"})
        self.d.call("POST", f"/containers/{cid}/resize", query={"h": 10, "w": 20})
        self.d.call("GET", f"/containers/{cid}/top")
        self.d.call("POST", f"/containers/{cid}/pause")
        self.d.call("POST", f"/containers/{cid}/unpause")
        self.d.call("POST", f"/containers/{cid}/rename", query={"name": "renamed"})
        self.d.call("GET", f"/containers/{cid}/archive", query={"path": "/etc/passwd"})
        tar = self.d.call("GET", f"/containers/{cid}/archive", query={"path": "/etc/group"}).body
        self.d.call("PUT", f"/containers/{cid}/archive", tar, query={"path": "/tmp"})
        self.d.call("GET", f"/containers/{cid}/export")
        eid = self.d.exec(cid, "true")
        with self.d.hijack(f"/exec/{eid}/start", {}) as s:
            s.read()
        eid = self.d.exec(cid, "sh", "-c", "exit 3")
        with self.d.hijack(f"/exec/{eid}/start", {}) as s:
            s.read()
        self.d.call("POST", f"/containers/{cid}/kill", query={"signal": "KILL"})
        self.d.call("POST", f"/containers/{cid}/wait")
        self.d.call("DELETE", f"/containers/{cid}")
        self.assertGolden("events", self.d.events(since, container=[cid]))

    def order(self, *calls, **config):
        cid = self.d.up("sh", "-c", "trap 'exit 0' TERM; echo ready; while true; do sleep 0.05; done", **config)
        self.d.wait_for(lambda: b"ready" in self.d.logs(cid), "the trap")
        since = time.time()
        for method, path, query in calls:
            self.d.call(method, f"/containers/{cid}{path}", query=query)
        out = self.actions(since, container=[cid])
        self.d.remove(cid)
        return out

    def test_order(self):
        self.assertEqual(self.order(("POST", "/stop", None)), ["kill", "die", "stop"])
        self.assertEqual(self.order(("POST", "/restart", None)), ["kill", "die", "stop", "start", "restart"])
        self.assertEqual(self.order(("DELETE", "", {"force": 1})), ["kill", "die", "destroy"])
        cid = self.d.up()
        since = time.time()
        self.d.call("POST", f"/containers/{cid}/stop", query={"t": 0})
        self.assertEqual([(e["Action"], e["Actor"]["Attributes"].get("signal")) for e in self.d.events(since, container=[cid])],
                         [("kill", "15"), ("kill", "9"), ("die", None), ("stop", None)])
        since = time.time()
        self.d.call("POST", f"/containers/{cid}/restart")
        self.assertEqual(self.actions(since, container=[cid]), ["start", "restart"])
        self.d.remove(cid)

    def test_volumes_images_prune(self):
        since = time.time()
        self.d.call("POST", "/volumes/create", {"Name": "vol"})
        cid, _ = self.d.run("true", HostConfig={"Binds": ["vol:/v"]})
        self.d.call("POST", "/images/busybox/tag", query={"repo": "mine", "tag": "1"})
        self.d.call("DELETE", "/images/mine:1")
        self.d.call("POST", "/containers/prune")
        self.d.call("DELETE", "/volumes/vol")
        self.assertEqual(self.actions(since, type=["volume"]), ["create", "mount", "unmount", "destroy"])
        builtin = self.d.call("GET", "/images/busybox/json").json["Id"]
        self.assertEqual([(e["Action"], e["Actor"]["Attributes"]["name"]) for e in self.d.events(since, type=["image"])],
                         [("tag", "mine:1"), ("untag", builtin)])
        prune = self.d.events(since, event=["prune"])
        self.assertEqual([(e["Type"], e["Actor"]["ID"], e["Actor"]["Attributes"]) for e in prune], [("container", "", {"reclaimed": "0"})])
        self.assertEqual([e["id"] for e in self.d.events(since, container=[cid], event=["destroy"])], [cid])
        self.assertNotIn("id", self.d.events(since, type=["volume"])[0])

    def test_filters(self):
        since = time.time()
        one = self.d.create("true", name="filter_one", Labels={"a": "1", "b": "2"})
        two = self.d.create("true", name="filter_two", Labels={"a": "2"})
        self.d.up("true", name="filter_three")
        self.d.call("POST", "/volumes/create", {"Name": "filtered"})

        def found(**filters):
            return [(e["Type"], e["Action"], e["Actor"]["Attributes"].get("name", e["Actor"]["ID"])) for e in self.d.events(since, **filters)]
        both = [("container", "create", "filter_one"), ("container", "create", "filter_two")]
        self.assertEqual(found(container=["filter_one", "filter_two"]), both)
        self.assertEqual(found(container=[one[:12], two]), both)
        self.assertEqual(found(container=["filter_t"], event=["start"]), [("container", "start", "filter_three")])
        self.assertEqual(found(label=["a=1"]), both[:1])
        self.assertEqual(found(label=["a"]), both)
        self.assertEqual(found(label=["a", "b"]), both[:1])
        self.assertEqual(found(type=["volume"]), [("volume", "create", "filtered")])
        self.assertEqual(found(volume=["filtered"]), [("volume", "create", "filtered")])
        self.assertEqual(found(image=["busybox"], event=["create"])[:2], both)
        self.assertEqual(found(image=["nope"]), [])
        self.assertEqual(found(scope=["swarm"]), [])
        self.assertEqual(len(found(scope=["local"], event=["create"])), 4)
        self.assertEqual(found(daemon=["x"]), [])
        self.assertEqual(found(unknown=["x"], event=["create"])[:2], both)

    def test_exec_by_prefix(self):
        cid = self.d.up()
        since = time.time()
        self.d.exec(cid, "echo", "x")
        self.assertEqual(self.actions(since, event=["exec_create"]), ["exec_create: echo x"])
        self.assertEqual(self.actions(since, event=["exec_create: echo x"]), ["exec_create: echo x"])
        self.assertEqual(self.actions(since, event=["exec_cre"]), [])
        self.d.remove(cid)

    def test_times(self):
        cid = self.d.create("true")
        event = self.d.events(time.time() - 60, container=[cid])[0]
        at = f"{event['timeNano'] // 10**9}.{event['timeNano'] % 10**9:09}"
        query = {"filters": json.dumps({"container": [cid]})}
        reply = self.d.call("GET", "/events", query={"since": at, "until": at, **query})
        self.assertEqual(reply.lines(), [event])
        self.assertEqual(self.d.call("GET", "/events", query={"until": at, **query}).lines(), [event])
        self.assertError(self.d.call("GET", "/events", query={"since": "2", "until": "1"}), 400, "`since` time (2) cannot be after `until` time (1)")
        self.assertEqual(self.d.call("GET", "/events", query={"since": "x"}).status, 400)
        self.assertError(self.d.call("GET", "/events", query={"filters": "x"}), 400, "invalid filter")
        self.assertError(self.d.call("GET", "/events", query={"filters": '{"type":"container"}'}), 400, "invalid filter")

    def test_old_form_of_filters(self):
        cid = self.d.create("true")
        reply = self.d.call("GET", "/events", query={"since": "1", "until": f"{time.time():.9f}", "filters": json.dumps({"container": {cid: True}})})
        self.assertEqual([e["Action"] for e in reply.lines()], ["create"])

    def test_live(self):
        with self.d.connect() as s:
            s.sendall(b"GET /v1.51/events?filters=%7B%22event%22%3A%5B%22create%22%5D%7D HTTP/1.1\r\nHost: d\r\n\r\n")
            head = s.recv(65536)
            self.assertTrue(head.startswith(b"HTTP/1.1 200"))
            self.assertIn(b"Content-Type: application/json", head)
            self.assertNotIn(b"{", head)
            self.d.create("true", name="live")
            self.assertIn(b'"name":"live"', s.recv(65536))

    def test_until_in_the_future(self):
        for wait in (0.6, 5, 60): # on a busy machine the first ones may be over too soon
            before = time.time()
            told = self.d.later("GET", "/events", query={"since": f"{before:.9f}", "until": f"{before + wait:.9f}"}, timeout=90)
            self.d.create("true", name=f"future{wait}")
            if time.time() < before + wait:
                break
        self.assertEqual([e["Actor"]["Attributes"]["name"] for e in told(90).lines()], [f"future{wait}"])
        self.assertGreater(time.time(), before + wait)

    def test_what_is_told_has_been_told_before(self):
        """A stream's end waits for no store: who has seen it finds the event of it, whatever else is being saved."""
        cid, ends = self.d.up(), threading.Event()

        def keep_the_store_busy():
            while not ends.is_set():
                self.d.call("POST", "/volumes/create", {"Name": "busy", "Labels": {"x": "x" * 100000}})
                self.d.call("DELETE", "/volumes/busy")
        threads = [threading.Thread(target=keep_the_store_busy) for _ in range(4)]
        for t in threads:
            t.start()
        try:
            for _ in range(100):
                eid, since = self.d.exec(cid, "true"), time.time()
                with self.d.hijack(f"/exec/{eid}/start", {}) as s:
                    s.read()
                self.assertEqual(self.actions(since, event=["exec_die"]), ["exec_die"])
        finally:
            ends.set()
            for t in threads:
                t.join()
            self.d.remove(cid)


if __name__ == "__main__":
    unittest.main()
