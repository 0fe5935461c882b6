"""docker commit, and what images of images are: their history, parents and removal."""
import io
import json
import tarfile
import time
import unittest

from harness import ApiTest


class Committing(ApiTest):
    made = 0 # no layer is like another

    def tearDown(self):
        for c in self.d.call("GET", "/containers/json", query={"all": 1}).json:
            self.d.remove(c["Id"])
        for _ in range(3): # children first
            for image in self.d.call("GET", "/images/json", query={"all": 1}).json:
                self.d.call("DELETE", f"/images/{image['Id']}", query={"force": 1})

    def commit(self, cid, body=None, **query):
        changes = query.pop("changes", [])
        reply = self.d.call("POST", "/commit", body if body is not None else {}, query=[("container", cid), *query.items(), *[("changes", c) for c in changes]])
        self.assertEqual(reply.status, 201, reply.body)
        self.assertEqual(list(reply.json), ["Id"])
        return reply.json["Id"]

    def inspect(self, name, version="v1.52"):
        reply = self.d.call("GET", f"/images/{name}/json", version=version)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def delete(self, name, **query):
        reply = self.d.call("DELETE", f"/images/{name}", query=query)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def stack(self, *names, base="busybox"):
        """Images upon each other, each with a file of its name; names "" stay nameless."""
        ids = []
        for name in names:
            cid, _ = self.d.run("sh", "-c", f"echo {Committing.made % 10} >/f{len(ids)}; : >/unique{Committing.made}", Image=base)
            Committing.made += 1
            ids.append(self.commit(cid, **({"repo": name} if name else {})))
            self.d.remove(cid)
            base = ids[-1]
        return ids


class Commit(Committing):
    def test_config(self):
        cid, _ = self.d.run("sh", "-c", "true", Env=["A=1", "B=2"], Labels={"x": "1"}, WorkingDir="/tmp", User="0", ExposedPorts={"80/tcp": {}},
                            Volumes={"/v": {}}, StopSignal="SIGINT", Healthcheck={"Test": ["CMD", "true"], "Interval": 10**9}, Hostname="host")
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        image = self.inspect(self.commit(cid, repo="c", tag="1", author="me", comment="said", changes=["CMD echo", "ENV B=3 C=4", "EXPOSE 81"]))
        self.assertEqual(image["Config"], {
            "Env": ["A=1", "B=3", path, "C=4"], "Labels": {"x": "1", "sockerless.image": "committed"}, "WorkingDir": "/tmp", "User": "0", "Cmd": ["/bin/sh", "-c", "echo"],
            "ExposedPorts": {"80/tcp": {}, "81/tcp": {}}, "Volumes": {"/v": {}}, "StopSignal": "SIGINT", "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**9}})
        self.assertEqual((image["Author"], image["Comment"], image["RepoTags"], image["Parent"], image["Architecture"], image["Os"]),
                         ("me", "said", ["c:1"], self.inspect("busybox")["Id"], "amd64", "linux"))
        # the body comes first, then the container's
        image = self.inspect(self.commit(cid, {"Env": ["A=9"], "Labels": {"y": "2"}, "Volumes": {"/w": {}}, "Entrypoint": ["e"], "Hostname": "h"}, changes=["USER 7"]))
        self.assertEqual(image["Config"], {
            "Env": ["A=9", "B=2", path], "Labels": {"x": "1", "y": "2", "sockerless.image": "committed"}, "WorkingDir": "/tmp", "User": "7", "Entrypoint": ["e"],
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}, "/w": {}}, "StopSignal": "SIGINT", "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**9}})

    def test_files(self):
        cid, _ = self.d.run("sh", "-c", "echo hi >/new; ln /new /also; chown 5:6 /new; chmod 4755 /new; mkfifo /p; rm -r /home; rm -r /var/spool; mkdir /var/spool; ln -s x /l",
                            HostConfig={"Tmpfs": {"/t": ""}, "Binds": ["some:/var/mail"]})
        image = self.commit(cid, repo="files")
        self.assertEqual(len(self.inspect(image)["RootFS"]["Layers"]), 2)

        def listing(name):
            cid = self.d.create("true", Image=name)
            with tarfile.open(fileobj=io.BytesIO(self.d.call("GET", f"/containers/{cid}/export").body)) as t:
                return {m.name: (m.type, m.mode, m.uid, m.gid, m.linkname, m.size) for m in t}
        files = listing("files")
        self.assertEqual(files["new"][1:4], (0o4755, 5, 6))
        self.assertEqual({files["new"][4], files["also"][4]}, {"", min("new", "also")})
        self.assertEqual((files["p"][0], files["l"][4]), (tarfile.FIFOTYPE, "x"))
        self.assertEqual([n for n in files if n.startswith(("home", "var/spool/"))], [])
        builtin = listing("busybox")
        gone = {n: builtin[n] for n in builtin if n not in files}
        self.assertTrue(gone and all(n.startswith(("home", "var/spool/")) for n in gone), gone)
        # what lies below is as it was: /tmp has its sticky bit
        self.assertEqual(files["tmp"][1], 0o1777)
        self.assertEqual({n: f for n, f in builtin.items() if n in files and f != files[n]}, {})
        cid, code = self.d.run("sh", "-c", "cat /new /also", Image="files")
        self.assertEqual((code, self.d.logs(cid)[8:11]), (0, b"hi\n"))

    def test_nothing_changed(self):
        cid = self.d.create("true")
        image = self.inspect(self.commit(cid))
        builtin = self.inspect("busybox")
        self.assertEqual((image["RootFS"], image["Size"], image["RepoTags"]), (builtin["RootFS"], builtin["Size"], []))
        self.assertEqual([(h["CreatedBy"], h["Size"]) for h in self.d.call("GET", f"/images/{image['Id']}/history").json][0], ("true", 0))

    def test_pause(self):
        cid = self.d.up()
        for query, wanted in (({}, ["pause", "unpause", "commit"]), ({"pause": 0}, ["commit"]), ({"pause": "true"}, ["pause", "unpause", "commit"])):
            since = time.time()
            self.commit(cid, **query)
            self.assertEqual([e["Action"] for e in self.d.events(since, container=[cid])], wanted)
            self.assertEqual(self.d.inspect(cid)["State"]["Status"], "running")
        self.d.call("POST", f"/containers/{cid}/pause")
        self.commit(cid)
        self.assertEqual(self.d.inspect(cid)["State"]["Status"], "paused")

    def test_events(self):
        cid = self.d.create("true", name="teller")
        since = time.time()
        image = self.commit(cid, repo="told", comment="why")
        told = [(e["Type"], e["Action"], e["Actor"]["Attributes"].get("name"), e["Actor"]["Attributes"].get("imageRef")) for e in self.d.events(since, type=["image", "container"])]
        self.assertEqual(told, [("image", "create", image, None), ("image", "tag", "told:latest", None), ("container", "commit", "teller", "told:latest")])
        last = self.d.events(since, container=[cid])[-1]["Actor"]["Attributes"]
        self.assertEqual((last["comment"], last["imageID"]), ("why", image))

    def test_refused(self):
        cid = self.d.create("true")

        def refused(status, text, body=None, **query):
            self.assertError(self.d.call("POST", "/commit", body or {}, query={"container": cid, **query}), status, text)
        refused(404, "No such container: nope", container="nope")
        refused(400, "invalid reference format: repository name (library/UP) must be lowercase", repo="UP")
        refused(400, "invalid tag format", repo="a", tag="b/c")
        refused(400, "cannot import digest reference", repo="a@sha256:" + "0" * 64)
        refused(400, "from is not a valid change command", changes="from x")
        refused(400, "json: cannot unmarshal number into Go struct field CreateRequest.Env of type []string", {"Env": 5})
        self.assertEqual(len(self.d.call("GET", "/images/json", query={"all": 1}).json), 1)

    def test_restart(self):
        Committing.made = 10
        image = self.stack("kept:1")[0]
        before = self.inspect("kept:1")
        self.d.kill()
        self.d.start()
        self.assertEqual(self.inspect("kept:1"), before)
        cid, code = self.d.run("cat", "/f0", Image=image)
        self.assertEqual((code, self.d.logs(cid)[8:]), (0, b"0\n"))


class Stacks(Committing):
    def test_history(self):
        ids = self.stack("", "two:1", "three:1")
        steps = self.d.call("GET", "/images/three:1/history").json
        self.assertEqual([(h["Id"], h["Tags"], h["Size"]) for h in steps[:3]], [(ids[2], ["three:1"], 2), (ids[1], ["two:1"], 2), (ids[0], None, 2)])
        self.assertEqual((steps[3]["Id"], steps[3]["Tags"]), (self.inspect("busybox")["Id"], ["busybox:latest"]))
        self.assertEqual(sum(h["Size"] for h in steps), self.inspect("three:1")["Size"])
        # loaded elsewhere the parents are missing
        data = self.d.call("GET", "/images/three:1/get").body
        for name in ("three:1", "two:1"):
            self.delete(name)
        self.d.call("POST", "/images/load", data)
        steps = self.d.call("GET", "/images/three:1/history").json
        self.assertEqual([h["Id"] for h in steps], [ids[2]] + ["<missing>"] * 3)
        self.assertEqual([h["Size"] for h in steps][:3], [2, 2, 2])

    def test_list(self):
        ids = self.stack("", "", "top:1")
        builtin = self.inspect("busybox")["Id"]
        alone = self.stack("")[0]

        def listed(**query):
            return {i["Id"] for i in self.d.call("GET", "/images/json", query={k: json.dumps(v) if isinstance(v, dict) else v for k, v in query.items()}).json}
        self.assertEqual(listed(), {builtin, ids[2], alone})
        self.assertEqual(listed(all=1), {builtin, alone, *ids})
        self.assertEqual(listed(filters={"dangling": ["true"]}), {alone})
        self.assertEqual(listed(filters={"dangling": ["false"]}), {builtin, ids[2]})
        self.assertEqual(listed(filters={"dangling": ["false"]}, all=1), {builtin, ids[2]})
        self.assertEqual(listed(filters={"label": ["sockerless.image=committed"]}), {ids[2], alone})
        self.assertEqual(listed(filters={"label": ["sockerless.image=builtin"]}), {builtin})
        self.assertEqual(listed(filters={"reference": ["docker.io/library/top"]}), {ids[2]})
        self.assertEqual(listed(filters={"reference": ["docker.io/library/to*:1"]}), {ids[2]})
        by_id = {i["Id"]: i for i in self.d.call("GET", "/images/json", query={"all": 1, "shared-size": 1}).json}
        self.assertEqual((by_id[ids[2]]["ParentId"], by_id[ids[2]]["SharedSize"]), (ids[1], by_id[ids[1]]["Size"]))
        self.assertEqual(by_id[ids[2]]["Labels"], {"sockerless.image": "committed"})

    def test_removal_with_parents(self):
        ids = self.stack("", "named:1", "", "top:1")
        chains = 4 * [None]
        report = self.delete("top:1")
        chains = [r["Deleted"] for r in report if "Deleted" in r]
        self.assertEqual(report[0], {"Untagged": "top:1"})
        # each image with the layer that only it had; the named one stays
        self.assertEqual([chains[0], chains[2]], [ids[3], ids[2]])
        self.assertEqual(len(chains), 4)
        self.assertEqual(self.inspect("named:1")["Id"], ids[1])
        self.assertError(self.d.call("DELETE", f"/images/{ids[0]}"), 409, f"conflict: unable to delete {ids[0][7:19]} (cannot be forced) - image has dependent child images")
        self.assertError(self.d.call("DELETE", f"/images/{ids[0]}", query={"force": 1}), 409,
                         f"conflict: unable to delete {ids[0][7:19]} (cannot be forced) - image has dependent child images")
        self.assertEqual(len(self.delete("named:1", noprune=1)), 3)
        self.assertEqual(self.inspect(ids[0])["RepoTags"], [])
        self.assertEqual(self.delete(ids[0])[0], {"Deleted": ids[0]})

    def test_a_name_with_children(self):
        """It goes; the image stays for those above it."""
        ids = self.stack("low:1", "high:1")
        self.assertEqual(self.delete("low:1"), [{"Untagged": "low:1"}])
        self.assertEqual(self.inspect(ids[0])["RepoTags"], [])
        self.assertEqual([r.get("Deleted") for r in self.delete("high:1")][1::2], ids[::-1])

    def test_conflicts(self):
        image = self.stack("used:1")[0]
        short = image[7:19]
        cid = self.d.create("sleep", "1000", Image="used:1")
        for ref, text in (("used:1", f'conflict: unable to remove repository reference "used:1" (must force) - container {cid[:12]} is using its referenced image {short}'),
                          (image, f"conflict: unable to delete {short} (must be forced) - image is being used by stopped container {cid[:12]}")):
            self.assertError(self.d.call("DELETE", f"/images/{ref}"), 409, text)
        self.d.call("POST", f"/containers/{cid}/start")
        for query in ({}, {"force": 1}):
            self.assertError(self.d.call("DELETE", f"/images/{image}", query=query), 409,
                             f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container {cid[:12]}")
        self.assertEqual(self.delete("used:1", force=1), [{"Untagged": "used:1"}])
        self.assertEqual(self.inspect(image)["RepoTags"], [])
        self.d.remove(cid)
        # two repositories
        for name in ("one", "two"):
            self.d.call("POST", f"/images/{image}/tag", query={"repo": name})
        self.assertError(self.d.call("DELETE", f"/images/{image}"), 409, f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories")
        since = time.time()
        report = self.delete(image, force=1)
        self.assertEqual(report[:3], [{"Untagged": "one:latest"}, {"Untagged": "two:latest"}, {"Deleted": image}])
        told = [(e["Action"], e["Actor"]["Attributes"]["name"]) for e in self.d.events(since, type=["image"])]
        self.assertEqual(told, [("untag", image), ("untag", image), ("delete", image)])

    def test_prune(self):
        self.stack("", "", "named:1")
        loose = self.stack("", "")
        report = self.d.call("POST", "/images/prune").json
        self.assertEqual([r["Deleted"] for r in report["ImagesDeleted"]][::2], loose[::-1])
        self.assertEqual(report["SpaceReclaimed"], 4)
        cid = self.d.create("true", Image="named:1")
        everything = {"filters": '{"dangling":["false"]}'}
        self.assertIsNone(self.d.call("POST", "/images/prune", query=everything).json["ImagesDeleted"])
        self.d.remove(cid)
        report = self.d.call("POST", "/images/prune", query=everything).json
        self.assertEqual((report["ImagesDeleted"][0], report["SpaceReclaimed"]), ({"Untagged": "named:1"}, 6))
        self.assertEqual([i["RepoTags"] for i in self.d.call("GET", "/images/json", query={"all": 1}).json], [["busybox:latest"]])

    def test_builtin(self):
        builtin = self.inspect("busybox")["Id"]
        text = f"conflict: unable to delete {builtin[7:19]} (cannot be forced) - the image is built in"
        for ref in ("busybox", builtin):
            self.assertError(self.d.call("DELETE", f"/images/{ref}", query={"force": 1}), 409, text)
        self.d.call("POST", "/images/busybox/tag", query={"repo": "other"})
        self.assertEqual(self.delete("busybox"), [{"Untagged": "busybox:latest"}])
        self.d.call("POST", "/images/other/tag", query={"repo": "busybox"})
        self.assertEqual(self.delete("other"), [{"Untagged": "other:latest"}])


if __name__ == "__main__":
    unittest.main()
