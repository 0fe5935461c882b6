"""docker save and docker load, to the byte."""
import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import time
import unittest

from harness import ApiTest


def sha(data):
    return hashlib.sha256(data).hexdigest()


def tar(*entries):
    """(name, bytes), (name, "->target") of a symbolic link, (name, "=>target") of a hard link; a name with "/" at its end is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type = tarfile.SYMTYPE if content[:2] == "->" else tarfile.LNKTYPE
                info.linkname = content[2:]
                content = b""
            elif name.endswith("/"):
                info.type = tarfile.DIRTYPE
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
    return out.getvalue()


def config(*layers, arch="amd64", **more):
    """An image's config over plain layers."""
    return json.dumps({"architecture": arch, "os": "linux", "created": "2024-05-06T07:08:09Z", "config": {"Cmd": ["sh"]},
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(x) for x in layers]},
                       "history": [{"created": "2024-05-06T07:08:09Z", "created_by": f"step {k}"} for k in range(len(layers))], **more}).encode()


def docker_archive(*images):
    """(config, [layers], [names]) each, as skopeo and Docker before 25 wrote them."""
    entries, manifest = [], []
    for c, layers, names in images:
        entries += [(sha(c) + ".json", c)] + [(sha(x) + "/layer.tar", x) for x in layers]
        manifest.append({"Config": sha(c) + ".json", "RepoTags": names, "Layers": [sha(x) + "/layer.tar" for x in layers]})
    return tar(*entries, ("manifest.json", json.dumps(manifest).encode()))


def blob(data):
    return (f"blobs/sha256/{sha(data)}", data)


def descriptor(data, kind, **more):
    return {"mediaType": kind, "digest": "sha256:" + sha(data), "size": len(data), **more}


CONFIG, MANIFEST, INDEX = ("application/vnd.oci.image." + x for x in ("config.v1+json", "manifest.v1+json", "index.v1+json"))


def manifest(c, layers, kind="application/vnd.oci.image.layer.v1.tar"):
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(c, CONFIG),
                       "layers": [descriptor(x, kind) for x in layers]}).encode()


def layout(descriptors, *blobs):
    index = json.dumps({"schemaVersion": 2, "manifests": descriptors}).encode()
    return tar(("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index), *map(blob, blobs))


ONE, TWO = tar(("one", b"1")), tar(("two", b"2" * 3000))


class Archives(ApiTest):
    def load(self, body, version="v1.51", **query):
        reply = self.d.call("POST", "/images/load", body, query={"quiet": 1, **query}, version=version)
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "application/json"))
        return reply.lines()

    def loaded(self, body, *names, **query):
        self.assertEqual(self.load(body, **query), [{"stream": f"Loaded image: {n}\n"} for n in names])

    def refused(self, body, text, **query):
        self.assertEqual(self.load(body, **query), [{"errorDetail": {"message": text}, "error": text}])

    def save(self, *names):
        reply = self.d.call("GET", "/images/get", query=[("names", n) for n in names])
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "application/x-tar"), reply.body[:300])
        return reply.body

    def inspect(self, name):
        reply = self.d.call("GET", f"/images/{name}/json")
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def files(self, name):
        """Of a container of it."""
        cid = self.d.create("true", Image=name)
        with tarfile.open(fileobj=io.BytesIO(self.d.call("GET", f"/containers/{cid}/export").body)) as t:
            names = [m.name for m in t]
        self.d.remove(cid)
        return names

    def tearDown(self):
        for image in self.d.call("GET", "/images/json", query={"all": 1}).json:
            self.d.call("DELETE", f"/images/{image['Id']}", query={"force": 1})

    # ---- save ----

    def test_form(self):
        image = self.inspect("busybox")
        data = self.save("busybox")
        self.assertEqual(data, self.d.call("GET", "/images/busybox/get").body)
        with tarfile.open(fileobj=io.BytesIO(data)) as t:
            self.assertEqual([m.name for m in t][:2], ["blobs", "blobs/sha256"])
            self.assertEqual({(m.uid, m.gid) for m in t}, {(0, 0)})

            def read(name):
                return t.extractfile(name).read()
            for m in t:
                if m.isfile() and m.name.startswith("blobs/"):
                    self.assertEqual(m.name, "blobs/sha256/" + sha(read(m.name)))
            layer = image["RootFS"]["Layers"][0]
            self.assertEqual(read("oci-layout"), b'{"imageLayoutVersion": "1.0.0"}')
            self.assertEqual(json.loads(read("repositories")), {"busybox": {"latest": layer[7:]}})
            item = json.loads(read("manifest.json"))[0]
            source = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(read("blobs/sha256/" + layer[7:])), "digest": layer}
            self.assertEqual(item, {"Config": "blobs/sha256/" + image["Id"][7:], "RepoTags": ["busybox:latest"],
                                    "Layers": ["blobs/sha256/" + layer[7:]], "LayerSources": {layer: source}})
            index = json.loads(read("index.json"))
            self.assertEqual(index["manifests"][0]["annotations"], {"io.containerd.image.name": "docker.io/library/busybox:latest",
                                                                    "org.opencontainers.image.ref.name": "latest"})
            m = json.loads(read("blobs/sha256/" + index["manifests"][0]["digest"][7:]))
            self.assertEqual((m["config"]["digest"], m["layers"]), (image["Id"], [source]))

    def test_names(self):
        a, b = config(ONE, author="a"), config(ONE, author="b")
        self.load(docker_archive((a, [ONE], ["r/x:1", "r/x:2", "r/y:1"]), (b, [ONE], ["r/x:3"])))

        def said(*names):
            with tarfile.open(fileobj=io.BytesIO(self.save(*names))) as t:
                return {x["Config"][13:16]: x["RepoTags"] for x in json.load(t.extractfile("manifest.json"))}
        ida, idb = sha(a)[:3], sha(b)[:3]
        self.assertEqual(said("r/x"), {ida: ["r/x:1", "r/x:2"], idb: ["r/x:3"]})
        self.assertEqual(said("r/x:2", "r/y"), {ida: ["r/x:2", "r/y:1"]})
        self.assertEqual(said("r/x:2", "r/x:2", "docker.io/r/x:2"), {ida: ["r/x:2"]})
        for name in (sha(a), "sha256:" + sha(a), sha(a)[:12], "sha256:" + sha(a)[:12]):
            self.assertEqual(said(name), {ida: None})
        self.assertEqual(said(sha(a), "r/y:1"), {ida: ["r/y:1"]})
        self.assertEqual(said(), {})
        for name, text in (("r/x:9", "reference does not exist"), ("nope", "No such image: nope"), ("sha256:12", "No such image: sha256:12"),
                           (64 * "0", "No such image: " + 64 * "0")):
            self.assertError(self.d.call("GET", f"/images/{name}/get"), 404, text)
        self.assertEqual(self.d.call("GET", "/images/UP/get").status, 400)

    def test_platform(self):
        mine, other = '{"os":"linux","architecture":"amd64"}', '{"os":"linux","architecture":"arm64"}'
        self.assertEqual(self.d.call("GET", "/images/busybox/get", query={"platform": mine}).status, 200)
        self.assertError(self.d.call("GET", "/images/busybox/get", query={"platform": other}), 500,
                         "no suitable export target found for platform linux/arm64")
        self.assertError(self.d.call("GET", "/images/busybox/get", query=[("platform", mine)] * 2), 400,
                         "multiple platform parameters are not supported in this API version; use API version 1.52 or later")
        self.assertIn("not supported for this image store", self.d.call("GET", "/images/busybox/get", query=[("platform", mine)] * 2, version="v1.52").message)
        self.assertEqual(self.d.call("GET", "/images/busybox/get", query={"platform": other}, version="v1.47").status, 200)

    # ---- load ----

    def test_round_trip(self):
        images = {}
        for k, layers in enumerate(([ONE], [ONE, TWO], [TWO, ONE], [], [ONE, ONE])):
            c = config(*layers, author=str(k))
            images[f"round:{k}"] = "sha256:" + sha(c)
            self.loaded(docker_archive((c, layers, [f"round:{k}"])), f"round:{k}")
            self.assertEqual(self.inspect(f"round:{k}")["Id"], "sha256:" + sha(c))
        data = self.save("round")
        self.assertEqual(data, self.save(*sorted(images)))
        self.tearDown()
        self.loaded(data, *sorted(images))
        self.assertEqual({n: self.inspect(n)["Id"] for n in images}, images)
        self.assertEqual(self.save("round"), data)
        self.assertEqual(sorted(self.files("round:1")), ["one", "two"])
        # what is there is not copied again, nor changed
        self.loaded(data, *sorted(images))
        self.assertEqual(self.save("round"), data)

    def test_compressions(self):
        for n, squeeze in enumerate((gzip.compress, bz2.compress, lzma.compress)):
            with self.subTest(squeeze):
                layer = tar((f"c{n}", b"x"))
                c = config(layer)
                self.loaded(squeeze(docker_archive((c, [squeeze(layer)], [f"c:{n}"]))), f"c:{n}")
                self.assertEqual((self.inspect(f"c:{n}")["Id"], self.files(f"c:{n}")), ("sha256:" + sha(c), [f"c{n}"]))
                with tarfile.open(fileobj=io.BytesIO(self.save(f"c:{n}"))) as t:
                    self.assertEqual(t.extractfile("blobs/sha256/" + sha(layer)).read(), layer)

    def test_links(self):
        c = config(ONE, TWO, ONE)
        items = [{"Config": "dir/../conf", "RepoTags": ["links:1"], "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"]}]
        self.loaded(tar(("./real/", b""), ("./real/layer.tar", ONE), ("a", "->real"), ("./b/layer.tar", "->/two"), ("two", TWO), ("c/layer.tar", "->../a/layer.tar"),
                        ("conf", "=>conf2"), ("conf2", c), ("manifest.json", json.dumps(items).encode())), "links:1")
        self.assertEqual(self.inspect("links:1")["Id"], "sha256:" + sha(c))

    def test_progress(self):
        reply = self.d.call("POST", "/images/load", docker_archive((config(TWO), [TWO], ["p:1"])), query={"quiet": 0})
        self.assertEqual(reply.body.count(b"\r\n"), len(reply.lines()))
        last = reply.lines()[-2]
        self.assertEqual(last, {"status": "Loading layer", "progressDetail": {"current": len(TWO), "total": len(TWO)}, "id": sha(TWO)[:12]})
        # without the parameter it is quiet
        self.assertEqual(len(self.d.call("POST", "/images/load", docker_archive((config(ONE), [ONE], ["p:1"]))).lines()), 2)

    def test_moved_names(self):
        a, b = config(ONE, author="a"), config(ONE, author="b")
        since = time.time()
        self.loaded(docker_archive((a, [ONE], ["m:1"])), "m:1")
        self.assertEqual(self.load(docker_archive((b, [ONE], ["m:1"]))), [
            {"stream": f"The image m:1 already exists, renaming the old one with ID sha256:{sha(a)} to empty string\n"}, {"stream": "Loaded image: m:1\n"}])
        self.assertEqual(self.inspect(sha(a))["RepoTags"], [])
        self.assertEqual(self.load(docker_archive((a, [ONE], None))), [{"stream": f"Loaded image ID: sha256:{sha(a)}\n"}])
        events = [(e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]["name"]) for e in self.d.events(since, type=["image"])]
        self.assertEqual(events, [("load", f"sha256:{sha(x)}", f"sha256:{sha(x)}") for x in (a, b, a)])

    def test_parents(self):
        a = config(ONE)
        b = json.loads(config(ONE, TWO))
        b = json.dumps(b).encode()
        items = [{"Config": "a", "RepoTags": None, "Layers": ["1"]}, {"Config": "b", "RepoTags": ["child:1"], "Layers": ["1", "2"], "Parent": "sha256:" + sha(a)}]
        self.loaded(tar(("a", a), ("b", b), ("1", ONE), ("2", TWO), ("manifest.json", json.dumps(items).encode())), "child:1")
        self.assertEqual(self.inspect("child:1")["Parent"], "sha256:" + sha(a))
        data = self.save("child:1", sha(a))
        self.d.call("DELETE", "/images/child:1")
        self.d.call("DELETE", "/images/" + sha(a))
        self.loaded(data, "child:1")
        self.assertEqual(self.inspect("child:1")["Parent"], "sha256:" + sha(a))

    def test_legacy(self):
        one, two = "1" * 64, "2" * 64
        first = {"id": one, "created": "2015-01-01T00:00:00Z", "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ADD"]}, "architecture": "amd64", "os": "linux"}
        second = {"id": two, "parent": one, "created": "2015-01-02T00:00:00Z", "author": "me", "config": {"Cmd": ["sh"]}, "architecture": "amd64", "os": "linux"}
        entries = [(f"{i}/{n}", d) for i, c, x in ((one, first, ONE), (two, second, TWO))
                   for n, d in (("VERSION", b"1.0"), ("json", json.dumps(c).encode()), ("layer.tar", x))]
        data = tar(*entries, ("repositories", json.dumps({"old/one": {"latest": two, "1": one}, "again": {"x": two}}).encode()))
        # an image's names come in the order of the file
        self.assertEqual([x["stream"] for x in self.load(data)], [f"Loaded image: {n}\n" for n in ("old/one:latest", "again:x", "old/one:1")])
        top = self.inspect("old/one:latest")
        self.assertEqual((top["RootFS"]["Layers"], top["Author"], top["Config"]["Cmd"]), (["sha256:" + sha(ONE), "sha256:" + sha(TWO)], "me", ["sh"]))
        self.assertEqual([h["CreatedBy"] for h in self.d.call("GET", "/images/again:x/history").json], ["", "/bin/sh -c #(nop) ADD"])
        self.assertEqual(self.inspect("old/one:1")["RootFS"]["Layers"], ["sha256:" + sha(ONE)])
        self.tearDown()
        self.refused(tar(*entries[3:], ("repositories", json.dumps({"a": {"b": two}}).encode())), f"invalid archive: it lacks layer {one}")

    def test_oci(self):
        c, arm = config(ONE, TWO), config(ONE, arch="arm64", variant="v8")
        squeezed = gzip.compress(TWO)
        m = manifest(c, [ONE, squeezed], "application/vnd.oci.image.layer.v1.tar+gzip")
        m_arm = manifest(arm, [ONE])
        here, there = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64"}
        proof = descriptor(m, MANIFEST, platform={"os": "unknown", "architecture": "unknown"}, annotations={"vnd.docker.reference.type": "attestation-manifest"})
        blobs = (c, arm, ONE, squeezed, m, m_arm)
        name = {"io.containerd.image.name": "docker.io/library/oci:1", "org.opencontainers.image.ref.name": "1"}

        self.loaded(layout([descriptor(m, MANIFEST, annotations=name)], *blobs), "oci:1")
        self.assertEqual((self.inspect("oci:1")["Id"], sorted(self.files("oci:1"))), ("sha256:" + sha(c), ["one", "two"]))
        self.tearDown()
        # an index within the index, with an attestation
        inner = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            proof, descriptor(m_arm, MANIFEST, platform=there), descriptor(m, MANIFEST, platform=here)]}).encode()
        nested = layout([descriptor(inner, INDEX, annotations=name)], inner, *blobs)
        self.loaded(nested, "oci:1")
        self.assertEqual(self.inspect("oci:1")["Id"], "sha256:" + sha(c))
        self.tearDown()
        self.loaded(nested, "oci:1", platform='{"os":"linux","architecture":"arm64"}')
        self.assertEqual((self.inspect("oci:1")["Id"], self.inspect("oci:1")["Architecture"]), ("sha256:" + sha(arm), "arm64"))
        self.refused(nested, "invalid archive: it has no image for linux/s390x", platform='{"os":"linux","architecture":"s390x"}')
        # one name, or none, for several platforms
        for annotations in (name, {}):
            both = layout([descriptor(m_arm, MANIFEST, platform=there, annotations=annotations), descriptor(m, MANIFEST, platform=here, annotations=annotations)], *blobs)
            self.assertEqual(len(self.load(both)), 1 + bool(annotations))
            self.assertEqual(self.inspect(sha(c))["Architecture"], "amd64")
            self.tearDown()
        # only one, of another platform: it is that or nothing
        self.loaded(layout([descriptor(m_arm, MANIFEST, annotations=name)], *blobs), "oci:1")
        # names as others write them
        for ref, said in (("quay.io/a/b:2", "image: quay.io/a/b:2"), ("b:3", "image: b:3"), ("tag", f"image ID: sha256:{sha(c)}"), ("BAD:x", f"image ID: sha256:{sha(c)}")):
            lines = self.load(layout([descriptor(m, MANIFEST, annotations={"org.opencontainers.image.ref.name": ref})], *blobs))
            self.assertEqual(lines[-1], {"stream": f"Loaded {said}\n"})

    def test_platform_of_manifest(self):
        c, arm = config(ONE), config(ONE, arch="arm64")
        data = docker_archive((c, [ONE], ["one:a"]), (arm, [ONE], ["one:b"]))
        self.loaded(data, "one:b", platform='{"os":"linux","architecture":"arm64"}')
        self.loaded(data, "one:a", "one:b")

    # ---- refused ----

    def unchanged(self):
        """Nothing is left of what was refused."""
        self.assertEqual([i["RepoTags"] for i in self.d.call("GET", "/images/json", query={"all": 1}).json], [["busybox:latest"]])

    def test_broken(self):
        c = config(ONE)
        good = docker_archive((c, [ONE], ["bad:1"]))
        for body, text in (
                (b"", "invalid archive: does not contain a manifest.json"),
                (b"no tar", "unexpected EOF"),
                (b"no tar" * 200, "archive/tar: invalid tar header"),
                (good[:len(good) // 2], "unexpected EOF"),
                (gzip.compress(good)[:-200], "the archive cannot be decompressed: unexpected EOF"),
                (tar(("x", b"1")), "invalid archive: does not contain a manifest.json"),
                (tar(("manifest.json", b"null")), "invalid manifest, manifest cannot be null (but can be [])"),
                (tar(("manifest.json", b'[{"Config": 5}]')), "invalid archive: failed to decode manifest.json: json: cannot unmarshal number into Go struct field manifestItem.Config of type string"),
                (tar(("manifest.json", b'[{"Config": "x"}]')), "invalid archive: open x: no such file or directory"),
                (tar(("manifest.json", b'[{"Config": "/etc/passwd"}]')), "invalid archive: open /etc/passwd: no such file or directory"),
                (tar(("c", "->/etc/passwd"), ("manifest.json", b'[{"Config": "c"}]')), "invalid archive: open c: no such file or directory"),
                (tar(("c", "->../../../../etc/passwd"), ("manifest.json", b'[{"Config": "c"}]')), "invalid archive: open c: no such file or directory"),
                (tar(("c", "->d"), ("d", "->c"), ("manifest.json", b'[{"Config": "c"}]')), "invalid archive: open c: no such file or directory"),
                (tar(("c", "=>c"), ("manifest.json", b'[{"Config": "c"}]')), "invalid archive: open c: no such file or directory"),
                (tar(("../x", b"1"), ("manifest.json", b"[]")), "invalid archive: ../x is outside of it"),
                (tar(("c", b"{}"), ("manifest.json", b'[{"Config": "c"}]')), "invalid image JSON, no RootFS key"),
                (tar(("c", b"no JSON"), ("manifest.json", b'[{"Config": "c"}]')), "invalid image JSON, no RootFS key"),
                (tar(("c", c), ("manifest.json", b'[{"Config": "c"}]')), "invalid manifest, layers length mismatch: expected 0, got 1"),
                (tar(("c", c), ("manifest.json", b'[{"Config": "c", "Layers": ["l"]}]')), "invalid archive: open l: no such file or directory"),
                (tar(("c", c), ("manifest.json", b'[{"Config": "c", "RepoTags": ["UP:1"]}]')), "invalid reference format: repository name (library/UP) must be lowercase"),
                (tar(("c", c), ("manifest.json", b'[{"Config": "c", "RepoTags": ["a"]}]')), 'invalid tag "a"')):
            with self.subTest(text):
                self.refused(body, text)
                self.unchanged()
        self.assertEqual(self.load(tar(("manifest.json", b"[]"))), [])

    def test_lies(self):
        c = config(ONE)
        lines = self.load(docker_archive((c, [TWO], ["bad:1"])))
        self.assertIn(sha(ONE), lines[0]["error"])
        self.unchanged()
        m = manifest(c, [ONE])
        whole = layout([descriptor(m, MANIFEST)], m, c, ONE)
        self.refused(whole.replace(c, c.replace(b"step 0", b"step 1")), f"invalid archive: not the content that it says has blob sha256:{sha(c)}")
        self.refused(layout([descriptor(m, MANIFEST)], c, ONE), f"invalid archive: it lacks blob sha256:{sha(m)}")
        self.refused(layout([descriptor(m, MANIFEST)], m, ONE), f"invalid archive: it lacks blob sha256:{sha(c)}")
        self.refused(layout([{**descriptor(m, MANIFEST), "size": 5}], m, c, ONE), f"invalid archive: not the content that it says has blob sha256:{sha(m)}")
        self.refused(layout([descriptor(m, MANIFEST)], m, c), f"invalid archive: open blobs/sha256/{sha(ONE)}: no such file or directory")
        other = ONE.replace(b"1\0\0", b"2\0\0")
        self.refused(whole.replace(ONE, other), f"invalid checksum digest: expected sha256:{sha(ONE)}, got sha256:{sha(other)}")
        self.refused(layout([{**descriptor(m, MANIFEST), "digest": "md5:" + "0" * 32}], m), "invalid archive: unsupported digest md5:" + "0" * 32)
        chart = json.dumps({"schemaVersion": 2, "config": descriptor(b"{}", "application/vnd.cncf.helm.config.v1+json"), "layers": []}).encode()
        self.refused(layout([descriptor(chart, MANIFEST)], chart, b"{}"), "invalid archive: no image has a config of type application/vnd.cncf.helm.config.v1+json")
        self.unchanged()

    def test_one_after_the_other(self):
        """What came before the one that fails stays, and its layer is shared with the next try."""
        a, b = config(ONE), config(ONE, TWO)
        lines = self.load(docker_archive((a, [ONE], ["good:1"]), (b, [ONE, ONE], ["bad:1"])))
        self.assertEqual(lines[0], {"stream": "Loaded image: good:1\n"})
        self.assertIn(sha(TWO), lines[1]["error"])
        self.assertEqual(self.d.call("GET", "/images/bad:1/json").status, 404)
        self.loaded(docker_archive((b, [ONE, TWO], ["bad:1"])), "bad:1")

    def test_client_leaves(self):
        with self.d.connect() as s:
            s.sendall(b"POST /v1.51/images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\n" + docker_archive((config(ONE), [ONE], ["gone:1"]))[:2000])
        self.d.wait_for(lambda: self.d.call("GET", "/_ping").status == 200, "it lives")
        self.unchanged()


if __name__ == "__main__":
    unittest.main()
