"""/images: the built-in one, names, import, removal."""
import json
import unittest

from harness import ApiTest


class Images(ApiTest):
    def get(self, path, version="v1.51", **query):
        query = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in query.items()}
        return self.d.call("GET", path, version=version, query=query)

    def tag(self, image, repo, tag=None):
        return self.d.call("POST", f"/images/{image}/tag", query={"repo": repo, **({"tag": tag} if tag else {})})

    def imported(self, *changes, repo=None, message=None):
        cid, _ = self.d.run("true")
        tar = self.d.call("GET", f"/containers/{cid}/export").body
        self.d.remove(cid)
        query = [("fromSrc", "-")] + [("changes", c) for c in changes] + ([("repo", repo)] if repo else []) + ([("message", message)] if message else [])
        reply = self.d.call("POST", "/images/create", tar, query=query)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.lines()[-1]["status"]

    def test_views(self):
        hidden = [(r"sha256:[0-9a-f]{64}", "<digest>")]
        self.assertEqual(hidden[0][1], "<digest>")
        self.assertGolden("image-list", self.get("/images/json", filters={"reference": ["busybox"]}).json)
        self.assertGolden("image-inspect", self.get("/images/busybox/json").json)
        self.assertGolden("image-history", self.get("/images/busybox/history").json)

    def test_by_version(self):
        def inspect(version):
            return self.get("/images/busybox/json", version).json

        def listed(version, **query):
            return self.get("/images/json", version, filters={"reference": ["busybox"]}, **query).json[0]
        self.assertEqual(inspect("v1.43")["VirtualSize"], inspect("v1.51")["Size"])
        self.assertNotIn("VirtualSize", inspect("v1.44"))
        self.assertIn("ContainerConfig", inspect("v1.44"))
        self.assertNotIn("ContainerConfig", inspect("v1.45"))
        self.assertEqual((inspect("v1.49")["Config"]["Hostname"], inspect("v1.49")["Config"]["Tty"]), ("", False))
        self.assertNotIn("Hostname", inspect("v1.50")["Config"])
        self.assertEqual((listed("v1.50")["Containers"], listed("v1.51")["Containers"]), (-1, 0))
        self.assertEqual(listed("v1.43")["VirtualSize"], listed("v1.43")["Size"])
        self.assertEqual((listed("v1.51")["SharedSize"], listed("v1.51", **{"shared-size": 1})["SharedSize"]), (-1, 0))
        image = self.imported()
        for version, tags, digests in (("v1.43", [], []), ("v1.42", ["<none>:<none>"], ["<none>@<none>"])):
            listing = [i for i in self.get("/images/json", version).json if i["Id"] == image][0]
            self.assertEqual((listing["RepoTags"], listing["RepoDigests"]), (tags, digests))
        self.assertEqual((inspect("v1.42")["RepoDigests"], self.get(f"/images/{image}/json", "v1.42").json["RepoTags"]), ([], []))
        self.d.call("DELETE", f"/images/{image}")

    def test_names(self):
        image = self.get("/images/busybox/json").json["Id"]
        for name in ("busybox:latest", "docker.io/library/busybox", image, image[7:], image[7:19]):
            with self.subTest(name):
                self.assertEqual(self.get(f"/images/{name}/json").json["Id"], image)
        self.assertError(self.get("/images/nope/json"), 404, "No such image: nope:latest")
        self.assertError(self.get("/images/sha256:0000/json"), 404, "No such image: sha256:0000")
        self.assertEqual(self.get("/images/Nope!/json").status, 400)

    def test_tag_and_delete(self):
        self.assertEqual(self.tag("busybox", "registry.example/a/b", "1").status, 201)
        self.assertEqual(self.get("/images/registry.example/a/b:1/json").status, 200)
        self.assertEqual(self.get("/images/registry.example%2Fa%2Fb:1/json").status, 200)
        self.assertEqual(self.d.call("DELETE", "/images/registry.example/a/b:1").json, [{"Untagged": "registry.example/a/b:1"}])
        self.assertEqual(self.tag("busybox", "UPPER").status, 400)
        self.assertEqual(self.tag("busybox", "a", "bad/tag").status, 400)
        self.assertEqual(self.tag("nope", "a").status, 404)
        self.assertEqual(self.d.call("DELETE", "/images/nope").status, 404)

    def test_import(self):
        image = self.imported("CMD echo hi", "ENV A=b", repo="mine:1", message="said")
        inspect = self.get("/images/mine:1/json").json
        self.assertEqual((inspect["Id"], inspect["Comment"], inspect["Config"]["Cmd"], inspect["Config"]["Env"], inspect["RepoTags"]),
                         (image, "said", ["/bin/sh", "-c", "echo hi"], ["A=b"], ["mine:1"]))
        cid, code = self.d.run(Image="mine:1", **{})
        self.assertEqual((code, self.d.logs(cid)[8:]), (0, b"hi\n"))
        self.assertEqual(self.d.call("DELETE", f"/images/{image}").status, 409)
        self.d.remove(cid)
        report = self.d.call("DELETE", "/images/mine:1").json
        self.assertEqual((report[0], {"Deleted": image} in report), ({"Untagged": "mine:1"}, True))
        self.assertEqual(self.d.call("POST", "/images/create", b"no tar", query={"fromSrc": "-"}).status, 400)
        self.assertEqual(self.d.call("POST", "/images/create", b"", query={"fromSrc": "-", "changes": "FROM x"}).status, 400)
        self.assertError(self.d.call("POST", "/images/create", query={"fromImage": "127.0.0.1:9/alpine", "tag": "1"}), 500,
                         'Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused')

    def test_platforms(self):
        """Of pulls, imports, builds and containers alike, before anything is done."""
        for method, query in (("/images/create", {"fromImage": "busybox"}), ("/images/create", {"fromSrc": "-"}), ("/build", {}), ("/containers/create", {})):
            for text, why in (("foobar", '"foobar": unknown operating system or architecture: invalid argument'), ("li nux", '"li nux" is an invalid OS component of "li nux": OSAndVersion'),
                              ("linux/!", '"!" is an invalid component of "linux/!": platform'), ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument')):
                body = {"Image": "busybox"} if method == "/containers/create" else b""
                reply = self.d.call("POST", method, body, query={**query, "platform": text})
                self.assertEqual((reply.status, reply.message[:len(why)]), (400, why))
        for text in ("macos", "windows(10.0+x)/amd64"):
            self.assertError(self.d.call("POST", "/images/create", b"", query={"fromSrc": "-", "platform": text}), 400, "operating system is not supported")
        old = self.d.call("POST", "/images/create", query={"fromImage": "busybox", "platform": "foobar"}, version="v1.31")
        self.assertEqual(old.status, 200, old.body)

    def test_filters(self):
        image = self.imported("LABEL a=b", repo="labelled")
        dangling = self.imported("LABEL c=d")

        def found(**filters):
            return [i["Id"] for i in self.get("/images/json", filters=filters).json]
        builtin = self.get("/images/busybox/json").json["Id"]
        self.assertEqual(found(label=["a=b"]), [image])
        self.assertEqual(found(dangling=["true"]), [dangling])
        self.assertEqual(found(reference=["lab*"]), [image])
        self.assertEqual(found(since=["busybox"]), [dangling, image])
        self.assertEqual(found(before=["labelled"]), [builtin])
        self.assertEqual(found(until=["2024-06-01"]), [builtin])
        self.assertEqual(found(until=["2030-01-01", "2024-06-01", "1h"]), [builtin]) # the earliest
        self.assertEqual(found(until=["2030-01-01"]), [dangling, image, builtin])
        self.assertEqual(self.get("/images/json", filters={"until": ["2030-01-01", "x"]}).status, 400)
        self.assertError(self.d.call("POST", "/images/prune", query={"filters": json.dumps({"until": ["1h", "2h"]})}), 400, "more than one until filter specified")
        self.assertEqual(self.get("/images/json", filters={"nope": ["x"]}).status, 400)
        self.assertEqual(self.get("/images/json", filters={"before": ["nope"]}).status, 404)
        pruned = self.d.call("POST", "/images/prune").json
        self.assertEqual(pruned["ImagesDeleted"][0], {"Deleted": dangling}) # then its layer
        self.assertEqual(len(pruned["ImagesDeleted"]), 2)
        self.assertEqual(self.d.call("POST", "/images/prune").json, {"ImagesDeleted": None, "SpaceReclaimed": 0})
        self.d.call("DELETE", "/images/labelled")


class Filters(ApiTest):
    def test_names_that_were_meant(self):
        for repo, tag in (("meant", "1"), ("meant", "2"), ("other", "1")):
            self.assertEqual(self.d.call("POST", "/images/busybox/tag", query={"repo": repo, "tag": tag}).status, 201)
        for patterns, tags in ((["meant"], ["meant:1", "meant:2"]), (["*:1"], ["meant:1", "other:1"]), (["meant:2", "oth*"], ["meant:2", "other:1"])):
            found = self.d.call("GET", "/images/json", query={"filters": json.dumps({"reference": patterns})}).json
            self.assertEqual([sorted(i["RepoTags"]) for i in found], [tags])
        self.assertEqual(self.d.call("GET", "/images/json", query={"filters": '{"reference":["nosuch"]}'}).json, [])
        self.assertEqual(len(self.d.call("GET", "/images/busybox/json").json["RepoTags"]), 4)

    def test_times(self):
        for key in ("before", "since"):
            for filters in ({key: ["nosuch"]}, {key: ["busybox", "nosuch"]}, {key: ["nosuch"], "reference": ["none"]}):
                self.assertError(self.d.call("GET", "/images/json", query={"filters": json.dumps(filters)}), 404, "No such image: nosuch:latest")
            self.assertEqual(self.d.call("GET", "/images/json", query={"filters": json.dumps({key: ["busybox"]})}).json, [])


if __name__ == "__main__":
    unittest.main()
