"""GET /containers/json: filters, limits, order, texts; top."""
import json
import os
import time
import unittest

from harness import ApiTest


class List(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        d = cls.d
        cls.one = d.create("sh", "-c", "echo a b", name="one", Labels={"a": "1", "b": "2"}, HostConfig={"NetworkMode": "none"})
        cls.two = d.up("sleep", "1000", name="two.x", Labels={"a": "2"}, ExposedPorts={"80/tcp": {}, "7000-7001/udp": {}},
                       HostConfig={"Binds": ["named:/v", "/tmp:/t"], "PortBindings": {"443/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}})
        cls.three, _ = d.run("sh", "-c", "exit 3", name="three")
        cls.four = d.up("sleep", "1000", name="four")
        d.call("POST", f"/containers/{cls.four}/pause")
        cls.names = {cls.one: "one", cls.two: "two.x", cls.three: "three", cls.four: "four"}

    def ask(self, all=1, version="v1.51", **query):
        filters = {k: v for k, v in query.items() if isinstance(v, list)}
        query = {k: v for k, v in query.items() if not isinstance(v, list)}
        return self.d.call("GET", "/containers/json", query={"all": all, "filters": json.dumps(filters), **query}, version=version)

    def found(self, **query):
        reply = self.ask(**query)
        self.assertEqual(reply.status, 200, reply.body)
        return [self.names[c["Id"]] for c in reply.json]

    def test_order_and_limit(self):
        self.assertEqual(self.found(), ["four", "three", "two.x", "one"])
        self.assertEqual(self.found(all=0), ["four", "two.x"])
        self.assertEqual(self.found(all=0, limit=2), ["four", "three"])
        self.assertEqual(self.found(limit=0), ["four", "three", "two.x", "one"])
        self.assertEqual(self.found(limit=-1), ["four", "three", "two.x", "one"])
        self.assertEqual(self.ask(limit="x").status, 400)

    def test_ids(self):
        common = os.path.commonprefix([self.one, self.two])
        self.assertEqual(self.found(id=[common or ""]), [])  # of several: none, as in Docker
        self.assertEqual(self.found(id=[self.four, self.one[:12], self.four]), ["four", "one"])
        self.assertEqual(self.found(id=[self.four, self.one], name=["one"]), ["one"])
        self.assertEqual(self.found(id=[self.four, self.one], limit=1), ["four"])

    def test_words_of_filters(self):
        for filters, text in (({"is-task": ["true", "false"]}, "invalid filter 'is-task=[true false]'"), ({"is-task": []}, "invalid filter 'is-task'"),
                              ({"is-task": ["x"]}, "invalid filter 'is-task=[x]'"), ({"nope": ["x"]}, "invalid filter 'nope'")):
            self.assertError(self.ask(**filters), 400, text)

    def test_indexes_follow(self):
        """Filters that indexes answer find what has changed since: volumes, networks, states."""
        self.assertEqual(self.found(volume=["/v"]), ["two.x"])
        self.assertEqual(self.found(volume=["/nowhere"]), [])
        self.assertEqual(self.found(network=["bridge"]), ["four", "three", "two.x"])
        self.assertEqual(self.found(status=["running", "paused"], all=0), ["four", "two.x"])
        self.assertEqual(self.found(health=["healthy"]), [])
        five = self.d.create("true", HostConfig={"Binds": ["fifth:/five"]})
        self.names[five] = "five"
        self.assertEqual(self.found(volume=["fifth"]), ["five"])
        self.assertEqual(self.found(volume=["fifth", "named"]), ["five", "two.x"])
        self.d.remove(five)
        self.assertEqual(self.found(volume=["fifth"]), [])
        net = self.d.call("POST", "/networks/create", {"Name": "listed"}).json["Id"]
        for value in ("listed", net, net[:10]):
            self.assertEqual(self.found(network=[value]), [])
        self.assertEqual(self.d.call("POST", "/networks/listed/connect", {"Container": self.four}).status, 200)
        for value in ("listed", net, net[:10]):
            self.assertEqual(self.found(network=[value]), ["four"])
        self.assertEqual(self.found(network=["listed", "bridge"]), ["four", "three", "two.x"])
        self.d.call("POST", "/networks/listed/disconnect", {"Container": self.four, "Force": True})
        self.assertEqual(self.found(network=["listed"]), [])
        self.d.call("DELETE", "/networks/listed")

    def test_filters(self):
        for filters, names in (
                ({"id": [self.one]}, ["one"]), ({"id": [self.one[:9]]}, ["one"]), ({"id": ["zz"]}, []),
                ({"name": ["o"]}, ["four", "two.x", "one"]), ({"name": ["^/?one$"]}, ["one"]), ({"name": ["^one$", "three"]}, ["three", "one"]),
                ({"name": [r"^two\.x$"]}, ["two.x"]), ({"name": ["/four"]}, ["four"]), ({"name": ["["]}, []), ({"name": ["(?i)FOUR"]}, ["four"]),
                ({"label": ["a"]}, ["two.x", "one"]), ({"label": ["a=1"]}, ["one"]), ({"label": ["a", "b=2"]}, ["one"]), ({"label": ["c"]}, []),
                ({"status": ["running"]}, ["two.x"]), ({"status": ["exited", "created"]}, ["three", "one"]), ({"status": ["paused"]}, ["four"]),
                ({"exited": ["3"]}, ["three"]), ({"exited": ["0"]}, []), ({"exited": ["0", "3"]}, ["three"]),
                ({"ancestor": ["busybox"]}, ["four", "three", "two.x", "one"]), ({"ancestor": ["nope"]}, []),
                ({"before": ["three"]}, ["two.x", "one"]), ({"since": ["two.x"]}, ["four", "three"]), ({"since": ["one"], "before": ["four"]}, ["three", "two.x"]),
                ({"volume": ["named"]}, ["two.x"]), ({"volume": ["/v"]}, ["two.x"]), ({"volume": ["/tmp"]}, ["two.x"]), ({"volume": ["x"]}, []),
                ({"network": ["none"]}, ["one"]), ({"network": ["bridge"]}, ["four", "three", "two.x"]),
                ({"expose": ["80"]}, ["two.x"]), ({"expose": ["80/tcp"]}, ["two.x"]), ({"expose": ["80/udp"]}, []), ({"expose": ["7001/udp"]}, ["two.x"]),
                ({"expose": ["70-90/tcp"]}, ["two.x"]), ({"publish": ["80"]}, []),
                ({"health": ["none"]}, ["four", "three", "two.x", "one"]), ({"health": ["healthy"]}, []),
                ({"is-task": ["false"]}, ["four", "three", "two.x", "one"]), ({"is-task": ["true"]}, []), ({"isolation": ["x"]}, ["four", "three", "two.x", "one"])):
            with self.subTest(filters):
                self.assertEqual(self.found(**filters), names)
        self.assertEqual(self.found(all=0, status=["exited"]), ["three"])

    def test_filters_refused(self):
        for filters, status, text in (
                ({"nope": ["x"]}, 400, "invalid filter 'nope'"),
                ({"status": ["x"]}, 400, "invalid filter 'status=x': invalid value for state (x): must be one of created, running, paused, "
                                         "restarting, removing, exited, dead"),
                ({"health": ["x"]}, 400, "invalid filter 'health=x': invalid value for health (x): must be one of none, starting, healthy, unhealthy"),
                ({"exited": ["x"]}, 400, "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax"),
                ({"is-task": ["x"]}, 400, "invalid filter 'is-task=[x]'"),
                ({"before": ["x"]}, 404, "No such container: x"),
                ({"publish": ["1:2"]}, 400, "filter for 'publish' should not contain ':': 1:2")):
            with self.subTest(filters):
                self.assertError(self.ask(**filters), status, text)
        for text in ("x", "[]", '{"name":"x"}', '{"name":[1]}'):
            self.assertError(self.d.call("GET", "/containers/json", query={"filters": text}), 400, "invalid filter")

    def test_view(self):
        self.assertGolden("list", self.ask().json)

    def test_size(self):
        c = self.ask(size=1, id=[self.one]).json[0]
        self.assertEqual((c["SizeRw"], c["SizeRootFs"]), (0, self.d.call("GET", "/images/busybox/json").json["Size"]))
        self.assertNotIn("SizeRw", self.ask(id=[self.one]).json[0])

    def test_image_of_a_moved_name(self):
        self.d.call("POST", "/images/busybox/tag", query={"repo": "moving"})
        cid = self.d.create("true", Image="moving", name="moved")
        image = self.d.inspect(cid)["Image"]
        self.assertEqual(self.ask(name=["moved"]).json[0]["Image"], "moving")
        self.d.call("DELETE", "/images/moving")
        self.assertEqual(self.ask(name=["moved"]).json[0]["Image"], image)
        self.d.remove(cid)

    def test_annotations_by_version(self):
        cid = self.d.create("true", name="annotated", HostConfig={"Annotations": {"a": "b"}})
        self.assertEqual(self.ask(name=["annotated"]).json[0]["HostConfig"], {"NetworkMode": "bridge", "Annotations": {"a": "b"}})
        self.assertEqual(self.ask(name=["annotated"], version="v1.45").json[0]["HostConfig"], {"NetworkMode": "bridge"})
        self.d.remove(cid)


class Top(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cid = cls.d.up("sh", "-c", "sleep 1000 & exec sleep 2000")
        cls.d.wait_for(lambda: [p[-1][:5] for p in cls.top(cls)["Processes"]] == ["sleep", "sleep"], "two processes")

    def call(self, args):
        return self.d.call("GET", f"/containers/{self.cid}/top", query={"ps_args": args} if args else None)

    def top(self, args=None):
        reply = Top.call(self, args)
        assert reply.status == 200, reply.body
        return reply.json

    def test_titles(self):
        ef = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
        aux = ["USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"]
        for args, titles in ((None, ef), ("-ef", ef), ("-e -f", ef), ("aux", aux), ("-aux", aux), ("axu", aux), ("-e", ["PID", "TTY", "TIME", "CMD"]),
                             ("ax", ["PID", "TTY", "STAT", "TIME", "COMMAND"]), ("-o pid,comm", ["PID", "COMMAND"]), ("-opid", ["PID"]),
                             ("-eo pid,ppid,args", ["PID", "PPID", "COMMAND"]), ("-o pid -o user", ["PID", "USER"]), ("o pid,stat=STATE", ["PID", "STATE"])):
            with self.subTest(args):
                top = self.top(args)
                self.assertEqual(top["Titles"], titles)
                self.assertEqual([len(row) for row in top["Processes"]], [len(titles)] * 2)

    def test_values(self):
        pid = str(self.d.inspect(self.cid)["State"]["Pid"])
        rows = sorted(self.top("-o pid,ppid,uid,user,comm,args,stat")["Processes"], key=lambda row: row[5])
        self.assertEqual([row[2:6] for row in rows], [["0", "root", "sleep", "sleep 1000"], ["0", "root", "sleep", "sleep 2000"]])
        self.assertEqual((rows[1][0], rows[0][1]), (pid, pid))
        self.assertTrue(all(os.path.exists(f"/proc/{row[0]}") for row in rows))

    def test_refused(self):
        self.assertError(self.call("-o foo"), 500, 'ps: error: unknown user-defined format specifier "foo"')
        self.assertError(self.call("-o comm"), 500, "Couldn't find PID field in ps output")
        self.assertError(self.call("-o comm=PID"), 500, 'specifying "comm=PID" is not allowed')
        self.assertError(self.call("-Z"), 500, 'ps: error: unsupported option "-Z"')
        self.assertError(self.call("-o"), 500, "ps: error: format specification must follow o")
        cid = self.d.create("true")
        self.assertError(self.d.call("GET", f"/containers/{cid}/top"), 409, f"container {cid} is not running")


class Many(ApiTest):
    options = ("--ephemeral",)

    def test_limit_stops_the_search(self):
        """A list with a limit costs as much with many containers as with few."""
        def timed():
            best = 1
            for _ in range(10):
                before = time.perf_counter()
                self.assertEqual(len(self.d.call("GET", "/containers/json", query={"all": 1, "limit": 10}).json), 10)
                best = min(best, time.perf_counter() - before)
            return best
        for _ in range(10):
            self.d.create("true")
        few = timed()
        for _ in range(2000):
            self.d.create("true", Labels={"long": "x" * 600})
        self.assertLess(timed(), 3 * few + 0.002)
        self.assertGreater(len(self.d.events(1, event=["create"])), 2000) # megabytes at once


if __name__ == "__main__":
    unittest.main()
