"""/volumes."""
import json
import os
import unittest

from harness import ApiTest


class Volumes(ApiTest):
    def create(self, **body):
        return self.d.call("POST", "/volumes/create", body)

    def names(self, **filters):
        reply = self.d.call("GET", "/volumes", query={"filters": json.dumps(filters)})
        self.assertEqual(reply.status, 200, reply.body)
        return [v["Name"] for v in reply.json["Volumes"]]

    def test_create_and_inspect(self):
        reply = self.create(name="first", LABELS={"a": "b"})
        self.assertEqual(reply.status, 201, reply.body)
        self.assertGolden("volume-inspect", reply.json)
        self.assertEqual(self.d.call("GET", "/volumes/first").json, reply.json)
        self.assertTrue(os.path.isdir(reply.json["Mountpoint"]))
        self.assertEqual(self.create(Name="first").json, reply.json) # once more: the same
        self.assertRegex(reply.json["CreatedAt"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        anonymous = self.d.call("POST", "/volumes/create").json
        self.assertRegex(anonymous["Name"], "^[0-9a-f]{64}$")
        self.assertEqual(anonymous["Labels"], {"com.docker.volume.anonymous": ""})

    def test_refused(self):
        self.assertError(self.create(Name=5), 400, "invalid JSON: json: cannot unmarshal number into Go struct field CreateOptions.Name of type string")
        self.assertEqual(self.create(Name="a/b").status, 400)
        self.assertEqual(self.create(Name="x").status, 400)
        self.assertError(self.create(Name="xx", Driver="nfs"), 404, 'create xx: error looking up volume plugin nfs: plugin "nfs" not found')
        self.assertEqual(self.create(Labels=["a"]).status, 400)
        self.assertError(self.d.call("GET", "/volumes/nope"), 404, "get nope: no such volume")
        self.assertEqual(self.d.call("DELETE", "/volumes/nope").status, 404)
        self.assertEqual(self.d.call("DELETE", "/volumes/nope", query={"force": 1}).status, 204)
        self.assertEqual(self.d.call("GET", "/volumes", query={"filters": '{"nope":["x"]}'}).status, 400)

    def test_list_and_use(self):
        self.create(Name="list_one", Labels={"k": "1"})
        self.create(Name="list_two")
        cid = self.d.create("true", HostConfig={"Binds": ["list_one:/v"]})
        self.assertEqual(self.names(name=["list_"]), ["list_one", "list_two"])
        self.assertEqual(self.names(label=["k=1"]), ["list_one"])
        self.assertEqual(self.names(name=["list_"], dangling=["true"]), ["list_two"])
        self.assertEqual(self.names(name=["list_"], dangling=["false"]), ["list_one"])
        self.assertEqual(self.names(driver=["nfs"]), [])
        self.assertError(self.d.call("DELETE", "/volumes/list_one"), 409, f"remove list_one: volume is in use - [{cid}]")
        self.d.remove(cid)
        self.assertEqual(self.d.call("DELETE", "/volumes/list_one").status, 204)
        self.assertEqual(self.names(name=["list_"]), ["list_two"])

    def test_options(self):
        for options, message in (
                ({"hello": "world"}, 'invalid option: "hello"'),
                ({"device": "foo"}, 'missing required option: "type"'),
                ({"type": "foo"}, 'missing required option: "device"'),
                ({"o": "foo", "type": "foo"}, 'missing required option: "device"'),
                ({"o": "foo", "device": "foo"}, 'missing required option: "type"'),
                ({"size": "hello"}, "invalid size: 'hello'"),
                ({"size": "1234"}, "quota size requested but no quota support"),
                ({"type": "cifs", "device": "//h.example:445/share", "o": "x"},
                 "port not allowed in CIFS device URL, include 'port' in 'o='")):
            self.assertError(self.create(Name="opt_bad", DriverOpts=options), 400, "create opt_bad: " + message)
            self.assertNotIn("opt_bad", self.names())
        options = {"type": "none", "o": "bind", "device": "/srv"}
        reply = self.create(Name="opt_good", DriverOpts=options)
        self.assertEqual((reply.status, reply.json["Options"]), (201, options))
        # What exists is answered as it is, whatever is asked for (moby: VolumeStore.create).
        self.assertEqual(self.create(Name="opt_good", DriverOpts={"hello": "world"}, Labels={"a": "b"}).json, reply.json)
        self.assertError(self.create(Name="opt_good", Driver="nfs"), 404,
                         'create opt_good: error looking up volume plugin nfs: plugin "nfs" not found')
        # Docker measures and prunes only volumes without options.
        self.assertNotIn("opt_good", [v["Name"] for v in self.d.call("GET", "/system/df").json["Volumes"] or []])
        self.assertNotIn("opt_good", self.d.call("POST", "/volumes/prune", query={"filters": '{"all":["1"]}'}).json["VolumesDeleted"])
        self.assertEqual(self.d.call("DELETE", "/volumes/opt_good").status, 204)

    def test_a_foreign_file_system_fails_at_its_first_use(self):
        self.create(Name="nfs_one", DriverOpts={"type": "nfs", "device": ":/x", "o": "addr=1.2.3.4,password=secret,ro"})
        where = self.d.call("GET", "/volumes/nfs_one").json["Mountpoint"]
        text = (f"error while mounting volume '{where}': failed to mount local volume: mount :/x:{where}, flags: 0x1, "
                "data: addr=1.2.3.4,password=********: operation not permitted")
        cid = self.d.create("true", HostConfig={"Binds": ["nfs_one:/not-in-the-image"]})
        self.assertError(self.d.call("POST", f"/containers/{cid}/start"), 500, text)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 128)
        # What the image has there is wanted at creation: that fails whole.
        before = [c["Id"] for c in self.d.call("GET", "/containers/json", query={"all": 1}).json]
        reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], "Volumes": {"/made": {}},
                                                           "HostConfig": {"Binds": ["nfs_one:/etc"]}})
        self.assertError(reply, 500, "failed to populate volume: " + text)
        self.assertEqual([c["Id"] for c in self.d.call("GET", "/containers/json", query={"all": 1}).json], before)
        self.d.remove(cid)
        self.assertEqual(self.names(dangling=["true"], name=["^[0-9a-f]{64}$"], label=["made_by_failure"]), [])
        self.assertEqual(self.d.call("DELETE", "/volumes/nfs_one").status, 204)

    def test_update_and_cluster_volumes(self):
        self.create(Name="updated")
        for name in ("updated", "nope"):
            self.assertError(self.d.call("PUT", f"/volumes/{name}", {}, query={"version": 1}), 503,
                             "volume update only valid for cluster volumes, but swarm is unavailable")
        self.assertEqual(self.d.call("PUT", "/volumes/updated", {}, version="v1.41").status, 400)
        reply = self.create(Name="cluster", ClusterVolumeSpec={})
        self.assertEqual(reply.status, 503)
        self.assertIn("not a swarm manager", reply.message)
        self.assertEqual(self.d.call("POST", "/volumes/create", {"Name": "cluster", "ClusterVolumeSpec": {}}, version="v1.41").status, 201)

    def test_name_filter_is_an_expression(self):
        for name in ("re_a1", "re_a2", "re_b1"):
            self.create(Name=name)
        self.assertEqual(self.names(name=["^re_a"]), ["re_a1", "re_a2"])
        self.assertEqual(self.names(name=["re_.1$"]), ["re_a1", "re_b1"])
        self.assertEqual(self.names(name=["re_a1", "re_b"]), ["re_a1", "re_b1"])
        self.assertEqual(self.names(name=["("]), [])

    def test_all_users_are_told_and_survive_a_restart(self):
        self.create(Name="shared_by")
        one = self.d.create("true", HostConfig={"Binds": ["shared_by:/v"]}) # never started
        two = self.d.create("true", HostConfig={"Binds": ["shared_by:/v", "shared_by:/w"]})
        text = f"remove shared_by: volume is in use - [{one}, {two}]"
        self.assertError(self.d.call("DELETE", "/volumes/shared_by"), 409, text)
        self.assertError(self.d.call("DELETE", "/volumes/shared_by", query={"force": 1}), 409, text)
        self.d.kill()
        self.d.start()
        self.assertError(self.d.call("DELETE", "/volumes/shared_by"), 409, text)
        usage = [v for v in self.d.call("GET", "/system/df", version="v1.51").json["Volumes"] if v["Name"] == "shared_by"][0]
        self.assertEqual(usage["UsageData"]["RefCount"], 2)
        self.d.remove(one)
        self.assertError(self.d.call("DELETE", "/volumes/shared_by"), 409, f"remove shared_by: volume is in use - [{two}]")
        self.d.remove(two)
        self.assertEqual(self.d.call("DELETE", "/volumes/shared_by").status, 204)

    def test_made_again_at_once(self):
        """A name that is given again while the files of its predecessor go has none of them."""
        for _ in range(20):
            cid = self.d.create("true", HostConfig={"Binds": ["again:/etc"]})
            where = self.d.call("GET", "/volumes/again").json["Mountpoint"]
            self.assertTrue(os.path.exists(where + "/passwd"))
            self.d.remove(cid)
            self.assertEqual(self.d.call("DELETE", "/volumes/again").status, 204)
            self.assertEqual(self.create(Name="again").status, 201)
            self.assertEqual(os.listdir(where), [])
            self.assertEqual(self.d.call("DELETE", "/volumes/again").status, 204)

    def test_anonymous_go_with_their_container(self):
        cid = self.d.create("true", Volumes={"/a": {}}, HostConfig={"Binds": ["kept:/k"]})
        name = [m["Name"] for m in self.d.inspect(cid)["Mounts"] if m["Destination"] == "/a"][0]
        self.d.call("DELETE", f"/containers/{cid}", query={"v": 1})
        self.assertNotIn(name, self.names())
        self.assertIn("kept", self.names())

    def test_shared_anonymous_go_with_the_last(self):
        one = self.d.create("true", Volumes={"/a": {}})
        name = self.d.inspect(one)["Mounts"][0]["Name"]
        two = self.d.create("true", HostConfig={"VolumesFrom": [one]})
        self.assertEqual([m["Name"] for m in self.d.inspect(two)["Mounts"]], [name])
        self.d.call("DELETE", f"/containers/{one}", query={"v": 1})
        self.assertIn(name, self.names())
        self.d.call("DELETE", f"/containers/{two}", query={"v": 1})
        self.assertNotIn(name, self.names())

    def test_prune(self):
        self.create(Name="prune_me", Labels={"p": "1"})
        anonymous = self.create().json["Name"]
        pruned = self.d.call("POST", "/volumes/prune").json
        self.assertIn(anonymous, pruned["VolumesDeleted"])
        self.assertNotIn("prune_me", pruned["VolumesDeleted"])
        pruned = self.d.call("POST", "/volumes/prune", query={"filters": json.dumps({"all": ["1"], "label": ["p"]})}).json
        self.assertEqual(pruned, {"VolumesDeleted": ["prune_me"], "SpaceReclaimed": 0})
        for value, message in ((["x"], "invalid filter 'all': strconv.ParseBool: parsing \"x\": invalid syntax"),
                               (["1", "0"], "invalid filter 'all=[1 0]': only one value is expected")):
            self.assertError(self.d.call("POST", "/volumes/prune", query={"filters": json.dumps({"all": value})}), 400, message)
        self.create(Name="prune_label", Labels={"com.docker.volume.anonymous": ""}) # it is the label that counts
        self.create(Name="prune_not", Labels={"com.docker.volume.anonymous": "", "keep": "1"})
        pruned = self.d.call("POST", "/volumes/prune", query={"filters": json.dumps({"label!": ["keep"]})}).json
        self.assertEqual(pruned["VolumesDeleted"], ["prune_label"])
        self.create(Name="prune_old", Labels={"p": "2"})
        pruned = self.d.call("POST", "/volumes/prune", query={"filters": json.dumps({"label": ["p=2"]})}, version="v1.41").json
        self.assertEqual(pruned["VolumesDeleted"], ["prune_old"])


if __name__ == "__main__":
    unittest.main()
