"""--link on the default bridge: a child is known as "/parent/alias" too (moby: daemon/links.go)."""
import json
import os
import sqlite3
import unittest

from harness import Daemon
from test_networks import NetworkTest


class Links(NetworkTest):
    def linked(self, name, *links, mode=None):
        """The id of an idle container with these links."""
        host = {"Links": list(links), **({"NetworkMode": mode} if mode else {}), "RestartPolicy": {"Name": "no"}}
        return self.idle(name=name, StopTimeout=0, HostConfig=host)

    def child(self, name):
        return self.idle(name=name, Hostname=name + "-host", StopTimeout=0)

    def names_of(self, cid):
        listed = self.call("GET", "/containers/json", all=1, filters=json.dumps({"id": [cid]})).json
        return listed[0]["Names"] if listed else None

    def links_of(self, cid):
        return self.d.inspect(cid)["HostConfig"]["Links"]

    def unlink(self, name):
        return self.call("DELETE", f"/containers/{name}", link=1)

    def rename(self, name, new):
        self.assertEqual(self.call("POST", f"/containers/{name}/rename", name=new).status, 204)

    def gone(self, name):
        self.assertError(self.call("GET", f"/containers/{name}/json"), 404, f"No such container: {name}")

    def restart_daemon(self):
        self.d.kill()
        self.d.start()

    def test_found_by_it(self):
        """Each operation on a container takes it for a name."""
        cid = self.child("fdb")
        self.linked("fapp", "fdb:data")
        self.assertEqual(self.d.inspect("fapp/data")["Id"], cid)
        self.assertEqual(self.d.inspect("fapp%2Fdata")["Name"], "/fdb")
        for method, path, status in (("POST", "start", 204), ("GET", "logs?stdout=1", 200), ("GET", "top", 200), ("GET", "changes", 200),
                                     ("GET", "stats?stream=0", 200), ("POST", "pause", 204), ("POST", "unpause", 204),
                                     ("GET", "archive?path=/etc/hosts", 200), ("HEAD", "archive?path=/etc/hosts", 200),
                                     ("POST", "resize?h=1&w=1", 200), ("POST", "restart", 204), ("POST", "kill", 204), ("POST", "wait", 200),
                                     ("GET", "export", 200)):
            self.assertEqual(self.call(method, f"/containers/fapp/data/{path}").status, status, path)
        self.assertEqual(self.call("POST", "/containers/fapp/data/update", {"CpuShares": 5}).status, 200)
        self.assertEqual(self.d.inspect(cid)["HostConfig"]["CpuShares"], 5)
        self.assertEqual(self.call("POST", "/containers/fapp/data/start").status, 204)
        self.assertIn("fdb-host", self.run_in("fapp/data", "hostname"))
        self.assertEqual(self.call("POST", "/containers/fapp/data/stop", t=0).status, 204)
        self.made("fnet")
        self.assertEqual(self.connect("fnet", "fapp/data").status, 200)
        self.assertEqual(sorted(self.endpoints(cid)), ["bridge", "fnet"])
        self.assertEqual(self.call("GET", "/containers/fapp/data/checkpoints").status, 501)
        self.assertEqual(self.call("DELETE", "/containers/fapp/data/checkpoints/c").status, 501)

    def test_not_found(self):
        self.child("ndb")
        self.linked("napp", "ndb:data")
        for name in ("a/b", "napp/ndb", "napp/data/more", "ndb/data", "napp/dat"):
            self.gone(name)
        self.assertError(self.call("POST", "/containers/a/b/stop"), 404, "No such container: a/b")
        self.assertError(self.call("DELETE", "/containers/a/b"), 404, "No such container: a/b")
        self.assertError(self.unlink("a/b"), 404, "No such container: a/b")

    def test_listed(self):
        """In the order of bytes, as moby's index has them; the filter `name` looks at its own name only (moby: includeContainerInList)."""
        cid = self.child("ldb")
        self.assertEqual(self.names_of(cid), ["/ldb"])
        self.linked("lzz", "ldb:one", "ldb:two")
        app = self.linked("laa", "/ldb", "ldb:one")
        self.assertEqual(self.names_of(cid), ["/laa/ldb", "/laa/one", "/ldb", "/lzz/one", "/lzz/two"])
        self.assertEqual(self.names_of(app), ["/laa"])
        self.assertEqual(self.links_of(app), ["/ldb:/laa/ldb", "/ldb:/laa/one"])

        def found(**filters):
            return sorted(c["Id"] for c in self.call("GET", "/containers/json", all=1, filters=json.dumps(filters)).json)
        self.assertEqual(found(name=["laa/one"]), [])
        self.assertEqual(found(name=["laa"]), [app])
        self.assertEqual(found(name=["^/?ldb$"]), [cid])
        self.assertEqual(found(before=["lzz/two"]), found(before=["ldb"]))
        self.assertIn(app, found(since=["laa/one"]))

    def test_what_is_linked(self):
        """A taken or empty name is no link, a container whose network another one uses stands for that, and only the default
        bridge has such links."""
        one, two = self.child("wone"), self.child("wtwo")
        self.assertEqual(self.links_of(self.linked("wapp", "wone:x", "wtwo:x", "wone:x", "wtwo:", "wtwo:/y/", f"{two[:12]}:z")),
                         ["/wone:/wapp/x", "/wtwo:/wapp/y", "/wtwo:/wapp/z"])
        self.assertEqual(self.d.inspect("wapp/x")["Id"], one)
        shares = self.idle(name="wshares", HostConfig={"NetworkMode": f"container:{one}"})
        self.assertEqual(self.links_of(self.linked("wapp2", "wshares:s")), ["/wone:/wapp2/s"])
        self.assertEqual(self.names_of(shares), ["/wshares"])
        self.made("wnet")
        own = self.linked("wapp3", "wone:s", mode="wnet")
        self.assertIsNone(self.links_of(own))
        self.gone("wapp3/s")
        self.assertIsNone(self.links_of(one))
        hosted = self.idle(name="whost", HostConfig={"NetworkMode": "host"})
        self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Links": [f"{hosted}:x"]}}), 400,
                         "conflicting options: host type networking can't be used with links. This would result in undefined behavior")

    def test_unlink(self):
        cid = self.child("udb")
        app = self.linked("uapp", "udb:one", "udb:two")
        for name in ("udb", cid, cid[:12], "uapp"):
            self.assertError(self.unlink(name), 500, "Conflict, cannot remove the default link name of the container")
        self.assertEqual(self.unlink("uapp/one").status, 204)
        self.gone("uapp/one")
        self.assertError(self.unlink("uapp/one"), 404, "No such container: uapp/one")
        self.assertEqual(self.names_of(cid), ["/uapp/two", "/udb"])
        self.assertEqual(self.links_of(app), ["/udb:/uapp/two"])
        self.restart_daemon()
        self.assertEqual(self.names_of(cid), ["/uapp/two", "/udb"])
        self.assertEqual(self.links_of(app), ["/udb:/uapp/two"])
        self.assertEqual(self.unlink("uapp%2Ftwo").status, 204)
        self.restart_daemon()
        self.assertEqual((self.names_of(cid), self.links_of(app)), (["/udb"], None))
        self.assertEqual(self.start(app).status, 204) # which the links would not have let

    def test_unlink_of_an_alias_with_a_slash(self):
        self.child("sdb")
        app = self.linked("sapp", "sdb:a/b")
        self.assertEqual(self.links_of(app), ["/sdb:/sapp/a/b"])
        self.assertEqual(self.d.inspect("sapp/a/b")["Name"], "/sdb")
        self.assertError(self.unlink("sapp/a/b"), 500, "Cannot get parent /sapp/a for link name /sapp/a/b")

    def test_unlink_while_it_runs(self):
        """The parent's hosts file has the other link still, and what --add-host said."""
        one, two = self.child("rone"), self.child("rtwo")
        self.assertEqual((self.start(one).status, self.start(two).status), (204, 204))
        app = self.idle(name="rapp", StopTimeout=0, HostConfig={"Links": ["rone:x", "rtwo:y"], "ExtraHosts": ["x:1.2.3.4"]})
        self.assertEqual(self.start(app).status, 204)
        line = f"{self.ip(one)}\tx rone-host rone\n"
        self.assertIn(line, self.file(app, "/etc/hosts"))
        self.assertEqual(self.unlink("rapp/x").status, 204)
        self.wait_for(lambda: line not in self.file(app, "/etc/hosts"))
        hosts = self.file(app, "/etc/hosts")
        self.assertNotIn("rone", hosts)
        self.assertIn("1.2.3.4\tx\n", hosts)
        self.assertIn(f"{self.ip(two)}\ty rtwo-host rtwo\n", hosts)
        self.assertIn(f"{self.ip(app)}\t", hosts)
        self.stop(one), self.start(one) # it is not told of it
        self.stop(two)
        taker = self.up()
        self.start(two)
        self.wait_for(lambda: f"{self.ip(two)}\ty rtwo-host rtwo\n" in self.file(app, "/etc/hosts"))
        self.assertNotIn("rone", self.file(app, "/etc/hosts"))
        self.stop(app)
        self.stop(one)
        self.assertEqual(self.start(app).status, 204) # without the one that does not run
        self.assertNotIn("rone", self.file(app, "/etc/hosts"))
        self.d.remove(taker)

    def test_unlink_names_the_host_no_more(self):
        db = self.child("hdb")
        self.start(db)
        app = self.linked("happ", "hdb:data")
        self.start(app)
        self.assertIn(self.ip(db), self.run_in(app, "ping", "-c", "1", "data"))
        self.assertEqual(self.unlink("happ/data").status, 204)
        self.wait_for(lambda: "hdb" not in self.file(app, "/etc/hosts"))
        self.assertNotIn(self.ip(db), self.run_in(app, "ping", "-c", "1", "data"))

    def test_renamed(self):
        db = self.child("mdb")
        app = self.linked("mapp", "mdb:data")
        self.rename("mapp/data", "mdb2")
        self.assertEqual(self.names_of(db), ["/mapp/data", "/mdb2"])
        self.assertEqual(self.links_of(app), ["/mdb2:/mapp/data"])
        self.rename("mapp", "mapp2")
        self.gone("mapp/data")
        self.assertEqual(self.d.inspect("mapp2/data")["Id"], db)
        self.assertEqual((self.names_of(db), self.links_of(app)), (["/mapp2/data", "/mdb2"], ["/mdb2:/mapp2/data"]))
        taker = self.child("mdb") # the link means the container, whatever its name
        self.restart_daemon()
        self.assertEqual((self.names_of(db), self.names_of(taker)), (["/mapp2/data", "/mdb2"], ["/mdb"]))
        self.assertEqual(self.links_of(app), ["/mdb2:/mapp2/data"])
        self.start(db)
        self.assertEqual(self.start(app).status, 204)
        self.assertIn(f"{self.ip(db)}\tdata mdb-host mdb2\n", self.file(app, "/etc/hosts"))
        self.rename("mapp2", "mapp3")
        self.stop(db)
        self.d.remove(self.up())
        self.start(db)
        self.wait_for(lambda: f"{self.ip(db)}\tdata mdb-host mdb2\n" in self.file(app, "/etc/hosts"))
        self.assertEqual(self.unlink("mapp3/data").status, 204)
        self.assertEqual(self.names_of(db), ["/mdb2"])

    def test_parent_removed(self):
        db = self.child("pdb")
        app = self.linked("papp", "pdb:data")
        self.d.remove(app)
        self.assertEqual(self.names_of(db), ["/pdb"])
        self.gone("papp/data")
        app = self.linked("papp", "pdb:data") # the name is free again
        self.assertEqual(self.names_of(db), ["/papp/data", "/pdb"])

    def test_child_removed(self):
        """The parent says the link until the daemon's next start, and does not start; nobody takes the child's place."""
        self.child("cdb"), self.child("cstays")
        app = self.linked("capp", "cdb:data", "cstays:stays")
        self.assertEqual(self.call("DELETE", "/containers/capp/data").status, 204) # the container itself
        self.gone("capp/data"), self.gone("cdb")
        again = self.child("cdb")
        self.assertEqual(self.names_of(again), ["/cdb"])
        self.assertEqual(self.links_of(app), ["/cdb:/capp/data", "/cstays:/capp/stays"])
        self.start(again), self.start("cstays")
        self.assertError(self.start(app), 500, "Cannot link to a non running container: /cdb AS /capp/data")
        self.restart_daemon()
        self.assertEqual(self.links_of(app), ["/cstays:/capp/stays"])
        self.start("cstays")
        self.assertEqual(self.start(app).status, 204)
        self.assertEqual(self.unlink("capp/stays").status, 204)
        self.assertIsNone(self.links_of(app))

    def test_both_removed(self):
        for first, second in (("bdb", "bapp"), ("bapp", "bdb")):
            self.child("bdb"), self.linked("bapp", "bdb:data"), self.linked("bapp2", "bapp:inner", "bdb:data")
            self.d.remove(first), self.d.remove(second)
            self.assertEqual(self.links_of("bapp2"), ["/bapp:/bapp2/inner", "/bdb:/bapp2/data"])
            self.d.remove("bapp2")

    def test_rows_of_before(self):
        """Whose links are by name, as they were asked for."""
        db = self.child("odb")
        app = self.linked("oapp", "odb:data")
        self.d.end()
        with sqlite3.connect(os.path.join(self.d.data, "state.db")) as state:
            (row,), = state.execute("SELECT value FROM row WHERE kind = 'container' AND id = ?", (app,)).fetchall()
            row = json.loads(row)
            self.assertEqual(row["host_config"]["Links"], [f"{db}:data"])
            row["host_config"]["Links"] = ["odb:data", "nobody:x", "/odb:/oapp/more"]
            state.execute("UPDATE row SET value = ? WHERE kind = 'container' AND id = ?", (json.dumps(row), app))
        state.close()
        self.d.start()
        self.assertEqual(self.links_of(app), ["/odb:/oapp/data", "/odb:/oapp/more"])
        self.assertEqual(self.names_of(db), ["/oapp/data", "/oapp/more", "/odb"])

    def test_many(self):
        """Four hundred parents of one child; the first half goes, the names of the others stay."""
        db = self.child("many")
        parents = [self.d.create("true", name=f"many{i:04}", HostConfig={"Links": ["many:x"]}) for i in range(400)]
        self.assertEqual(self.names_of(db), ["/many"] + [f"/many{i:04}/x" for i in range(400)])
        for cid in parents[:200]:
            self.d.remove(cid)
        self.assertEqual(self.names_of(db), ["/many"] + [f"/many{i:04}/x" for i in range(200, 400)])
        self.d.remove(db)
        self.gone("many0300/x")
        for cid in parents[200:]:
            self.d.remove(cid)


class Again(unittest.TestCase):
    def test_daemon_restart(self):
        """A container waits for those it is linked to, and for whom these wait."""
        d = Daemon()
        self.addCleanup(d.stop)

        def made(name, *links):
            return d.up("sleep", "1000", name=name, StopTimeout=0, HostConfig={"RestartPolicy": {"Name": "always"}, "Links": list(links)})
        ids = [made("one"), made("two", "one:x"), made("three", "two:x"), made("four", "one:x", "three:y"), made("five", "four:z", "one:x")]
        shares = d.up("sleep", "1000", StopTimeout=0, HostConfig={"RestartPolicy": {"Name": "always"}, "NetworkMode": f"container:{ids[3]}"})
        for end in (d.kill, d.end):
            started = d.inspect(shares)["State"]["StartedAt"]
            end()
            d.start()
            d.wait_for(lambda: all(d.inspect(cid)["State"]["Running"] for cid in ids + [shares]),
                       [(d.inspect(cid)["State"]["Status"], d.inspect(cid)["State"]["Error"]) for cid in ids])
            self.assertNotEqual(d.inspect(shares)["State"]["StartedAt"], started)


if __name__ == "__main__":
    unittest.main()
