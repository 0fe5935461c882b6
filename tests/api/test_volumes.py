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
        self.assertEqual(self.create(Name="xx", DriverOpts={"type": "nfs"}).status, 400)
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

    def test_anonymous_go_with_their_container(self):
        cid = self.d.create("true", Volumes={"/a": {}}, HostConfig={"Binds": ["kept:/k"]})
        name = [m["Name"] for m in self.d.inspect(cid)["Mounts"] if m["Destination"] == "/a"][0]
        self.d.call("DELETE", f"/containers/{cid}", query={"v": 1})
        self.d.wait_for(lambda: name not in self.names(), "the removal")
        self.assertIn("kept", self.names())

    def test_prune(self):
        self.create(Name="prune_me", Labels={"p": "1"})
        anonymous = self.create().json["Name"]
        pruned = self.d.call("POST", "/volumes/prune").json
        self.assertIn(anonymous, pruned["VolumesDeleted"])
        self.assertNotIn("prune_me", pruned["VolumesDeleted"])
        pruned = self.d.call("POST", "/volumes/prune", query={"filters": json.dumps({"all": ["1"], "label": ["p"]})}).json
        self.assertEqual(pruned, {"VolumesDeleted": ["prune_me"], "SpaceReclaimed": 0})
        self.create(Name="prune_old", Labels={"p": "2"})
        pruned = self.d.call("POST", "/volumes/prune", query={"filters": json.dumps({"label": ["p=2"]})}, version="v1.41").json
        self.assertEqual(pruned["VolumesDeleted"], ["prune_old"])


if __name__ == "__main__":
    unittest.main()
