"""sockerless-fetch pulls: what is right arrives, what is wrong is refused, what broke off goes on."""
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from support import (DEADLINE_S, DOCKER_LIST, FETCH, Fake, Fetch, Image, OCI_INDEX, OCI_MANIFEST, Registry, digest, index_of)

BIG = os.urandom(3_000_000)


class PullTest(unittest.TestCase):
    def setUp(self):
        self.fake = Fake()
        self.addCleanup(self.fake.close)
        self.dir = tempfile.mkdtemp(prefix="sockerless-fetch-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.image = self.fake.add("lib/x", Image([{"a": b"one"}, {"b": BIG}]))

    def pull(self, name="lib/x", tag="latest", layers="all", **more):
        return Fetch("pull", self.dir, name=f"{self.fake.address}/{name}", **({"tag": tag} if tag else {}), layers=layers, **more)

    def files(self):
        return sorted(os.listdir(self.dir))

    def assertWhole(self, image):
        want = sorted({layer["digest"][7:] for layer in image.layers})
        self.assertEqual(self.files(), want)
        for name in want:
            with open(os.path.join(self.dir, name), "rb") as f:
                self.assertEqual(digest(f.read()), "sha256:" + name)

    def assertRefused(self, fetch, kind, message):
        self.assertEqual((fetch.kind, fetch.message), (kind, message.replace("ADDR", self.fake.address)))
        self.assertFalse(fetch.ok)

    # ---- what is right ----

    def test_by_tag(self):
        done = self.pull()
        self.assertTrue(done.ok, done.last)
        self.assertEqual([e["event"] for e in done.events if e["event"] not in ("progress", "blob")], ["found", "plan", "result"])
        plan = done.all("plan")[0]
        self.assertEqual(plan["digest"], self.image.digest)
        self.assertEqual([l["digest"] for l in plan["layers"]], [l["digest"] for l in self.image.layers])
        self.assertEqual({e["digest"] for e in done.all("blob")}, {l["digest"] for l in self.image.layers})
        self.assertWhole(self.image)

    def test_what_is_known_is_not_asked_for(self):
        self.assertTrue(self.pull(known="sha256:" + "0" * 64).ok)
        self.fake.log.clear()
        done = self.pull(known=self.image.digest)
        self.assertEqual([e["event"] for e in done.events], ["found", "result"])
        self.assertEqual(done.last["digest"], self.image.digest)
        self.assertEqual([line.split()[0] for line in self.fake.log], ["GET", "HEAD"])

    def test_texts_as_they_came(self):
        plan = self.pull().all("plan")[0]
        self.assertEqual((plan["manifestText"].encode(), plan["configText"].encode()), (self.image.manifest, self.image.blobs[self.image.id]))

    def test_a_config_that_is_no_text(self):
        image = Image([{"a": b"1"}])
        image.config = image.put(b"{\xff}", image.config["mediaType"])
        self.fake.add("lib/u", image.seal())
        self.assertRefused(self.pull("lib/u"), "invalid", "invalid image configuration")

    def test_by_digest(self):
        self.assertTrue(self.pull(tag=None, digest=self.image.digest).ok)
        self.assertWhole(self.image)

    def test_docker_types(self):
        image = self.fake.add("lib/d", Image([{"a": b"1"}], docker=True))
        self.assertTrue(self.pull("lib/d").ok)
        self.assertWhole(image)

    def test_other_compressions_pass_through(self):
        image = self.fake.add("lib/plain", Image([{"a": b"1"}], compress=bytes, suffix=""))
        self.assertTrue(self.pull("lib/plain").ok)
        self.assertWhole(image)

    def test_one_blob_twice_is_fetched_once(self):
        image = self.fake.add("lib/twice", Image([{"a": b"1"}, {"a": b"1"}]))
        done = self.pull("lib/twice")
        self.assertTrue(done.ok)
        self.assertEqual(len(done.all("blob")), 1)
        self.assertWhole(image)

    def test_only_what_is_asked_for(self):
        wanted = self.image.layers[1]["digest"]
        done = self.pull(layers="", lines=[{"fetch": [wanted, wanted, "sha256:" + "0" * 64]}, {"end": True}])
        self.assertTrue(done.ok)
        self.assertEqual([e["digest"] for e in done.all("blob")], [wanted])
        self.assertNotIn(self.image.layers[0]["digest"][7:], self.files())

    def test_nothing_is_asked_for(self):
        done = self.pull(layers="")
        self.assertTrue(done.ok)
        self.assertEqual(self.files(), [])

    def test_no_layers(self):
        self.fake.add("lib/none", Image([]))
        self.assertTrue(self.pull("lib/none").ok)

    # ---- platforms ----

    def test_platform_is_chosen(self):
        arm = self.fake.add("lib/m", Image([{"arm": b"1"}], arch="arm64", variant="v8"))
        amd = self.fake.add("lib/m", Image([{"amd": b"1"}]))
        for body, media_type in ((index_of(arm, amd), OCI_INDEX), (index_of(arm, amd, docker=True), DOCKER_LIST)):
            self.fake.add_index("lib/m", body, media_type=media_type)
            for platform, image in (({"os": "linux", "architecture": "amd64"}, amd), ({"os": "linux", "architecture": "arm64"}, arm)):
                done = self.pull("lib/m", platform=platform)
                self.assertTrue(done.ok, done.last)
                self.assertEqual(done.all("plan")[0]["manifest"]["digest"], image.digest)
                self.assertEqual(done.all("plan")[0]["index"]["digest"], digest(body))

    def test_platform_variants(self):
        images = {v: self.fake.add("lib/v", Image([{v: b"1"}], arch="arm", variant=v)) for v in ("v5", "v7", "v6")}
        self.fake.add_index("lib/v", index_of(*images.values()))
        for asked, got in (("v7", "v7"), ("v6", "v6"), ("v8", "v7"), ("", "v7")):
            done = self.pull("lib/v", platform={"os": "linux", "architecture": "arm", "variant": asked})
            self.assertEqual(done.all("plan")[0]["manifest"]["digest"], images[got].digest, asked)

    def test_platform_that_is_not_there(self):
        arm = self.fake.add("lib/m", Image([{"arm": b"1"}], arch="arm64"))
        attestation = {**arm.descriptor(), "platform": {"architecture": "unknown", "os": "unknown"}}
        self.fake.add_index("lib/m", index_of(arm, attestation))
        self.assertRefused(self.pull("lib/m", platform={"os": "linux", "architecture": "s390x"}), "not_found",
                           "no matching manifest for linux/s390x in the manifest list entries")

    def test_index_within_index(self):
        inner = index_of(self.image)
        self.fake.add_index("lib/x", inner, "inner")
        entry = {"mediaType": OCI_INDEX, "digest": digest(inner), "size": len(inner), "platform": self.image.platform}
        self.fake.add_index("lib/x", index_of(entry), "outer")
        done = self.pull(tag="outer")
        self.assertTrue(done.ok, done.last)
        self.assertEqual(done.all("plan")[0]["manifest"]["digest"], self.image.digest)

    # ---- what Docker says ----

    def test_refusals(self):
        self.assertRefused(self.pull(tag="none"), "not_found", "manifest for ADDR/lib/x:none not found: manifest unknown: manifest unknown")
        absent = "sha256:" + "0" * 64
        self.assertRefused(self.pull(tag=None, digest=absent), "not_found",
                           f"manifest for ADDR/lib/x@{absent} not found: manifest unknown: manifest unknown")
        answers = {
            "denied": (lambda h: h.refuse(403, "DENIED", "requested access to the resource is denied"), "not_found",
                       "pull access denied for ADDR/lib/x, repository does not exist or may require 'docker login': "
                       "denied: requested access to the resource is denied"),
            "scope": (lambda h: h.refuse(401, "UNAUTHORIZED", "authentication required", {
                "WWW-Authenticate": 'Bearer error="insufficient_scope",realm="http://127.0.0.1:1/t"'}), None, None),
            "name": (lambda h: h.refuse(404, "NAME_UNKNOWN", "repository name not known to registry"), "not_found",
                     "repository ADDR/lib/x not found: name unknown: repository name not known to registry"),
            "limit": (lambda h: h.refuse(429, "TOOMANYREQUESTS", "You have reached your pull rate limit."), "internal",
                      "toomanyrequests: You have reached your pull rate limit."),
            "text": (lambda h: h.reply(404, b"not here", {"Content-Type": "text/plain"}), "internal", "unknown: not here"),
            "page": (lambda h: h.reply(404, b"<p>", {"Content-Type": "application/json"}), "internal",
                     "error parsing HTTP 404 response body: invalid character '<' looking for beginning of value: \"<p>\""),
            "server": (lambda h: h.reply(502), "internal", "received unexpected HTTP status: 502 Bad Gateway"),
        }
        for name, (answer, kind, message) in answers.items():
            with self.subTest(name):
                self.fake.hook = lambda h, answer=answer: "/manifests/" in h.path and (answer(h), True)[1]
                done = self.pull()
                self.assertFalse(done.ok)
                if kind:
                    self.assertRefused(done, kind, message)

    def test_schema_1(self):
        self.fake.add_index("lib/x", b'{"schemaVersion":1,"name":"lib/x","fsLayers":[]}', "old",
                            "application/vnd.docker.distribution.manifest.v1+prettyjws")
        self.assertRefused(self.pull(tag="old"), "invalid",
                           "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the "
                           "author of ADDR/lib/x:old to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. "
                           "More information at https://docs.docker.com/go/deprecated-image-specs/")

    def test_nobody_there(self):
        address = self.fake.address
        self.fake.close()
        done = Fetch("pull", self.dir, name=f"{address}/x", tag="latest")
        self.assertEqual(done.message, f'Get "http://{address}/v2/": dial tcp {address}: connect: connection refused')
        self.assertTrue(done.last["unreachable"])
        self.assertLess(done.seconds, 3)
        self.fake = Fake()

    def test_no_such_host(self):
        done = Fetch("pull", self.dir, name="registry.invalid/x", tag="latest")
        self.assertEqual(done.message, 'Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid: no such host')
        self.assertTrue(done.last["unreachable"])

    def test_bad_requests(self):
        for request in ({"name": "UPPER"}, {"name": "a/../b"}, {"name": "x", "tag": "a/b"}, {"name": "x", "digest": "sha256:1"},
                        {"name": "h\r\nX: y/z"}, {"name": "h:5000/x?y"}):
            done = Fetch("pull", self.dir, **request)
            self.assertEqual((done.kind, done.message), ("invalid", "invalid reference format"), request)
        self.assertEqual(Fetch("nonsense").message, "no such operation: nonsense")

    # ---- lies ----

    def test_manifest_is_another(self):
        other = self.fake.add("lib/o", Image([{"o": b"1"}]))
        self.fake.manifests[f"lib/x:{self.image.digest}"] = (OCI_MANIFEST, other.manifest)
        for more in ({"tag": None, "digest": self.image.digest}, {"tag": "latest"}):
            self.assertRefused(self.pull(**more), "internal", f"manifest verification failed for digest {self.image.digest}")
        self.assertEqual(self.files(), [])

    def test_layer_is_another(self):
        wanted = self.image.layers[1]["digest"]
        self.fake.blobs[wanted] = self.fake.blobs[wanted][:-1] + b"!"
        self.assertRefused(self.pull(), "internal", f"filesystem layer verification failed for digest {wanted}")
        self.assertNotIn(wanted[7:], self.files())
        self.assertNotIn(wanted[7:] + ".part", self.files())

    def test_layer_is_longer_or_shorter(self):
        wanted, data = self.image.layers[1]["digest"], self.fake.blobs[self.image.layers[1]["digest"]]
        for lie in (data + b"more", data[:-10]):
            self.fake.blobs[wanted] = lie
            self.assertRefused(self.pull(), "internal", f"size of blob {wanted}: {len(data)} bytes were announced, "
                               f"the registry sends {len(lie)}")
            self.assertNotIn(wanted[7:], self.files())

    def test_layer_without_length_is_longer(self):
        wanted, data = self.image.layers[1]["digest"], self.fake.blobs[self.image.layers[1]["digest"]]

        def endless(h):
            if wanted not in h.path:
                return False
            h.send_response(200)
            h.send_header("Connection", "close")
            h.end_headers()
            try:
                while True:
                    h.wfile.write(b"x" * 65536)
            except OSError:
                pass
            h.close_connection = True
            return True

        self.fake.hook = endless
        done = self.pull()
        self.assertIn(f"size of blob {wanted}: {len(data)} bytes were announced", done.message)

    def test_config_is_another(self):
        self.fake.blobs[self.image.id] = self.fake.blobs[self.image.id].replace(b"amd64", b"arm64")
        self.assertRefused(self.pull(), "internal", "error pulling image configuration: image config verification failed for "
                           f"digest {self.image.id}")

    def test_manifest_that_is_none(self):
        layer = self.image.layers[0]
        config = self.image.config
        many = json.dumps({"schemaVersion": 2, "config": config, "layers": [layer] * 600}).encode()
        cases = [
            (b"nonsense", "invalid manifest: it is not JSON"), (b"[]", "invalid manifest: it is not JSON"),
            (b"{}", "invalid manifest: it is not what its media type says"),
            (json.dumps({"config": config, "layers": [layer], "manifests": []}).encode(),
             "invalid manifest: both layers and manifests in one document"),
            (json.dumps({"config": config}).encode(), "invalid manifest: no layers"),
            (json.dumps({"config": config, "layers": [{**layer, "digest": "../../etc/passwd"}]}).encode(),
             "invalid checksum digest format"),
            (json.dumps({"config": config, "layers": [{**layer, "digest": "sha256:" + "A" * 64}]}).encode(),
             "invalid checksum digest format"),
            (json.dumps({"config": config, "layers": [{**layer, "size": -1}]}).encode(), "invalid manifest: a descriptor without a size"),
            (json.dumps({"config": config, "layers": [{**layer, "size": "9"}]}).encode(), "invalid manifest: a descriptor without a size"),
            (json.dumps({"config": config, "layers": [{**layer, "mediaType": "text/x"}]}).encode(), "unsupported media type text/x"),
            (many, "invalid manifest: 600 layers, more than 512"),
        ]
        for body, message in cases:
            with self.subTest(message):
                self.fake.manifests["lib/x:bad"] = self.fake.manifests[f"lib/x:{digest(body)}"] = (OCI_MANIFEST, body)
                self.assertRefused(self.pull(tag="bad"), "invalid", message)
        self.assertEqual(self.files(), [])

    def test_limits(self):
        self.fake.manifests["lib/x:big"] = (OCI_MANIFEST, b" " * (5 << 20))
        self.fake.manifests[f"lib/x:{digest(b' ' * (5 << 20))}"] = (OCI_MANIFEST, b" " * (5 << 20))
        self.assertRefused(self.pull(tag="big"), "internal", f"the reply is longer than {4 << 20} bytes")
        self.fake.hook = lambda h: "/manifests/" in h.path and (h.reply(200, b"{}", {f"X-{i}": "x" * 4000 for i in range(100)}), True)[1]
        self.assertRefused(self.pull(), "internal", "the reply's header is too big")
        huge = Image([{"a": b"1"}])
        huge.layers[0]["size"] = 1 << 50
        self.fake.hook = None
        self.fake.add("lib/huge", huge.seal())
        self.assertIn("more than", self.pull("lib/huge").message)

    # ---- what breaks ----

    def failing(self, times, how, match="/blobs/"):
        left = [times]

        def hook(h):
            if match not in h.path or h.command != "GET":
                return False
            with self.fake.lock:
                if left[0] == 0:
                    return False
                left[0] -= 1
            how(h)
            return True

        self.fake.hook = hook

    def test_passing_errors_are_tried_again(self):
        for match in ("/manifests/", "/blobs/" + self.image.id, self.image.layers[1]["digest"]):
            for how in (lambda h: h.reply(503), lambda h: h.refuse(429, "TOOMANYREQUESTS"), lambda h: h.cut()):
                shutil.rmtree(self.dir)
                os.mkdir(self.dir)
                self.failing(4, how, match)
                done = self.pull()
                self.assertTrue(done.ok, done.last)
                self.assertWhole(self.image)
        self.assertTrue(done.all("retry"))

    def test_after_five_tries_it_is_over(self):
        self.failing(5, lambda h: h.reply(503), self.image.layers[1]["digest"])
        self.assertRefused(self.pull(), "internal", "received unexpected HTTP status: 503 Service Unavailable")

    def test_retry_after(self):
        self.failing(1, lambda h: h.reply(503, headers={"Retry-After": "1"}), "/manifests/")
        done = self.pull()
        self.assertTrue(done.ok)
        self.assertGreater(done.seconds, 0.7)

    def cut_in_the_middle(self, h, data=None):
        data = data or self.fake.blobs[h.path.rpartition("/")[2]]
        start = int((h.headers.get("Range") or "bytes=0-").split("=")[1].rstrip("-"))
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        h.send_header("Content-Length", str(len(data) - start))
        h.end_headers()
        h.wfile.write(data[start:start + 700_000])
        h.wfile.flush()
        h.cut()

    def test_cut_downloads_go_on(self):
        self.failing(3, self.cut_in_the_middle, self.image.layers[1]["digest"])
        self.assertTrue(self.pull().ok)
        self.assertWhole(self.image)
        starts = [int(r.split("=")[1][:-1]) for r in self.fake.ranges if r]
        self.assertEqual(len(starts), 3)
        self.assertTrue(0 < starts[0] < starts[1] < starts[2], starts)

    def test_the_next_run_goes_on(self):
        wanted = self.image.layers[1]["digest"]
        self.failing(100, self.cut_in_the_middle, wanted)
        self.assertFalse(self.pull(tries=1).ok)
        self.assertIn(wanted[7:] + ".part", self.files())
        self.assertNotIn(wanted[7:], self.files())
        self.fake.hook = None
        self.fake.ranges.clear()
        self.assertTrue(self.pull().ok)
        self.assertWhole(self.image)
        self.assertEqual([r for r in self.fake.ranges if r], ["bytes=700000-"])

    def test_what_was_left_is_wrong(self):
        part = os.path.join(self.dir, self.image.layers[1]["digest"][7:] + ".part")
        for junk in (b"junk" * 1000, self.fake.blobs[self.image.layers[1]["digest"]], b"x" * 4_000_000,
                     self.fake.blobs[self.image.layers[1]["digest"]][:-1] + b"!"):
            with open(part, "wb") as f:
                f.write(junk)
            self.assertTrue(self.pull().ok)
            self.assertWhole(self.image)
            os.unlink(part[:-5])

    def test_ranges_are_not_known(self):
        part = os.path.join(self.dir, self.image.layers[1]["digest"][7:] + ".part")
        with open(part, "wb") as f:
            f.write(self.fake.blobs[self.image.layers[1]["digest"]][:1000])

        def whole(h):
            return "/blobs/" in h.path and (h.reply(200, self.fake.blobs[h.path.rpartition("/")[2]]), True)[1]

        self.fake.hook = whole
        self.assertTrue(self.pull().ok)
        self.assertWhole(self.image)

    def test_another_range_than_asked_for(self):
        part = os.path.join(self.dir, self.image.layers[1]["digest"][7:] + ".part")
        data = self.fake.blobs[self.image.layers[1]["digest"]]
        with open(part, "wb") as f:
            f.write(data[:1000])
        self.fake.hook = lambda h: "Range" in h.headers and (
            h.reply(206, data[500:], {"Content-Range": f"bytes 500-{len(data) - 1}/{len(data)}"}), True)[1]
        self.assertIn("sends another range than asked for", self.pull().message)

    def test_a_registry_that_stalls(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def stall(h):
            data = self.fake.blobs[h.path.rpartition("/")[2]]
            h.send_response(200)
            h.send_header("Content-Length", str(len(data)))
            h.end_headers()
            h.wfile.write(data[:1000])
            release.wait(DEADLINE_S)

        self.failing(1, stall, self.image.layers[1]["digest"])
        done = self.pull(stall_timeout=1)
        self.assertTrue(done.ok, done.last)
        self.assertGreater(done.seconds, 0.9)
        self.assertEqual([r for r in self.fake.ranges if r][:1], ["bytes=1000-"]) # a busy machine may stall once more

    def test_killed_in_the_middle(self):
        gate = threading.Event()
        wanted = self.image.layers[1]["digest"]
        data = self.fake.blobs[wanted]

        def slow(h):
            if wanted not in h.path or h.headers.get("Range"):
                return False
            h.send_response(200)
            h.send_header("Content-Length", str(len(data)))
            h.end_headers()
            h.wfile.write(data[:2_000_000])
            gate.wait(DEADLINE_S)
            return True

        self.fake.hook = slow
        request = {"op": "pull", "name": f"{self.fake.address}/lib/x", "tag": "latest", "dir": self.dir, "layers": "all"}
        process = subprocess.Popen([FETCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.close()
        part = os.path.join(self.dir, wanted[7:] + ".part")
        end = time.monotonic() + DEADLINE_S
        while not (os.path.exists(part) and os.path.getsize(part) > 1_000_000):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        process.kill()
        process.wait()
        process.stdout.close()
        gate.set()
        self.fake.ranges.clear()
        self.assertTrue(self.pull().ok)
        self.assertWhole(self.image)
        self.assertEqual(len([r for r in self.fake.ranges if r]), 1)

    def test_it_ends_when_nobody_listens(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.fake.hook = lambda h: "/blobs/" + self.image.layers[1]["digest"] in h.path and gate.wait(DEADLINE_S)
        request = {"op": "pull", "name": f"{self.fake.address}/lib/x", "tag": "latest", "dir": self.dir, "layers": "all"}
        process = subprocess.Popen([FETCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.close()
        self.assertNotEqual(process.wait(DEADLINE_S), 0)

    def test_two_at_the_same_blob(self):
        done = []
        threads = [threading.Thread(target=lambda: done.append(self.pull())) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([d.ok for d in done], [True] * 3, [d.last for d in done])
        self.assertWhole(self.image)
        self.assertEqual(self.fake.count(f"GET /v2/lib/x/blobs/{self.image.layers[1]['digest']}"), 1)

    # ---- other places ----

    def test_foreign_layers(self):
        other = Fake()
        self.addCleanup(other.close)
        image = Image([{"f": b"1"}], urls=[f"{other.url}/foreign"])
        data = image.blobs.pop(image.layers[0]["digest"])
        other.hook = lambda h: (h.reply(200, data), True)[1]
        self.fake.add("lib/f", image)
        self.assertTrue(self.pull("lib/f", auth={"username": "u", "password": "p"}).ok)
        self.assertEqual(other.log, ["GET /foreign"])
        self.assertEqual(other.auth, [None])

    def test_redirects(self):
        other = Fake("127.0.0.2")
        self.addCleanup(other.close)
        other.blobs = dict(self.fake.blobs)
        self.fake.hook = lambda h: "/blobs/" in h.path and (
            h.reply(307, headers={"Location": f"{other.url}{h.path}?signature=secret"}), True)[1]
        done = self.pull(auth={"registrytoken": "secret"})
        self.assertTrue(done.ok, done.last)
        self.assertWhole(self.image)
        self.assertEqual(set(other.auth), {None})

    def test_redirects_without_end(self):
        self.fake.hook = lambda h: "/manifests/" in h.path and (h.reply(302, headers={"Location": h.path}), True)[1]
        self.assertIn("stopped after 10 redirects", self.pull().message)
        self.fake.hook = lambda h: "/manifests/" in h.path and (h.reply(302, headers={"Location": "file:///etc/passwd"}), True)[1]
        self.assertIn("a redirect that leads nowhere", self.pull().message)

    def test_writes_only_below_its_directory(self):
        """Landlock, where the kernel has it: the program cannot write beside its directory even when it is told to."""
        aside = tempfile.mkdtemp(prefix="sockerless-aside-")
        self.addCleanup(shutil.rmtree, aside)
        os.symlink(os.path.join(aside, "x"), os.path.join(self.dir, self.image.layers[1]["digest"][7:] + ".part"))
        self.assertFalse(self.pull().ok)
        self.assertEqual(os.listdir(aside), [])


class RealPullTest(unittest.TestCase):
    """From Debian's docker-registry."""

    def test_from_a_real_registry(self):
        registry = Registry()
        self.addCleanup(registry.close)
        directory = tempfile.mkdtemp(prefix="sockerless-fetch-")
        self.addCleanup(shutil.rmtree, directory)
        image = Image([{"a": b"one"}, {"b": BIG}])
        registry.fill(image, "lib/x:1")
        done = Fetch("pull", directory, name=f"{registry.address}/lib/x", tag="1", layers="all")
        self.assertTrue(done.ok, done.last)
        self.assertEqual(done.all("plan")[0]["digest"], image.digest)
        self.assertEqual(sorted(os.listdir(directory)), sorted(layer["digest"][7:] for layer in image.layers))
        done = Fetch("pull", directory, name=f"{registry.address}/lib/x", tag="2")
        self.assertEqual(done.message, f"manifest for {registry.address}/lib/x:2 not found: manifest unknown: manifest unknown")
        done = Fetch("pull", directory, name=f"{registry.address}/lib/y", tag="2")
        self.assertEqual(done.message, f"manifest for {registry.address}/lib/y:2 not found: manifest unknown: manifest unknown")
        self.assertEqual(Fetch("tags", name=f"{registry.address}/lib/x").last["tags"], ["1"])
        # it stops in the middle of nothing: the next one is told so
        registry.stop()
        done = Fetch("pull", directory, name=f"{registry.address}/lib/x", tag="1")
        self.assertIn("connect: connection refused", done.message)
