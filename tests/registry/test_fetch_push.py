"""sockerless-fetch pushes: to Debian's docker-registry and to one that refuses and breaks off."""
import json
import os
import shutil
import tempfile
import unittest

from support import Fake, Fetch, Image, Registry, digest, skopeo

BIG = os.urandom(3_000_000)
ALICE = {"username": "alice", "password": "sesame"}


class PushTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="sockerless-push-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.image = Image([{"a": b"one"}, {"b": BIG}])

    def push(self, address, name="lib/x", tag="1", image=None, mount=(), **more):
        image = image or self.image
        for d, data in image.blobs.items():
            with open(os.path.join(self.dir, d[7:]), "wb") as f:
                f.write(data)
        blobs = [{"digest": d, "size": len(data), "path": os.path.join(self.dir, d[7:]), "mount": list(mount)}
                 for d, data in image.blobs.items()]
        return Fetch("push", name=f"{address}/{name}", tag=tag, blobs=blobs, manifest=image.manifest.decode(), mediaType=image.media_type,
                     **more)

    def outcomes(self, done):
        return sorted(e["event"] for e in done.events if e["event"] not in ("progress", "retry"))


class RealPushTest(PushTest):
    def setUp(self):
        super().setUp()
        self.registry = Registry(users={"alice": "sesame"})
        self.addCleanup(self.registry.close)

    def test_push_and_read_back(self):
        done = self.push(self.registry.address, auth=ALICE)
        self.assertTrue(done.ok, done.last)
        self.assertEqual((done.last["digest"], done.last["size"]), (self.image.digest, len(self.image.manifest)))
        self.assertEqual(self.outcomes(done), ["pushed", "pushed", "pushed", "result"])
        out = os.path.join(self.dir, "out")
        skopeo("copy", "--src-tls-verify=false", "--src-creds", "alice:sesame", f"docker://{self.registry.address}/lib/x:1", f"oci:{out}:1")
        with open(os.path.join(out, "blobs/sha256", self.image.digest[7:]), "rb") as f:
            self.assertEqual(f.read(), self.image.manifest)
        # again: nothing is sent
        self.assertEqual(self.outcomes(self.push(self.registry.address, auth=ALICE)), ["exists", "exists", "exists", "result"])
        # to a neighbour: nothing is sent
        done = self.push(self.registry.address, "lib/y", auth=ALICE, mount=["lib/none", "lib/x"])
        self.assertEqual(self.outcomes(done), ["mounted", "mounted", "mounted", "result"])
        self.assertEqual({e["from"] for e in done.all("mounted")}, {"lib/x"})
        done = Fetch("check", name=f"{self.registry.address}/lib/x", blobs=[{"digest": d} for d in [self.image.id, "sha256:" + "0" * 64]], auth=ALICE)
        self.assertEqual(done.last["missing"], ["sha256:" + "0" * 64])
        # a config as a text
        done = Fetch("push", name=f"{self.registry.address}/lib/t", tag="1", auth=ALICE, manifest="{}", mediaType="a",
                     blobs=[{"digest": digest(b"caf\xc3\xa9"), "size": 5, "text": "caf\u00e9"}])
        self.assertEqual([e["event"] for e in done.events], ["progress", "pushed", "error"])
        # docker's types
        other = Image([{"c": b"3"}], docker=True)
        self.assertTrue(self.push(self.registry.address, "lib/d", image=other, auth=ALICE).ok)

    def test_refusals(self):
        done = self.push(self.registry.address)
        self.assertIn("no basic auth credentials", done.message)
        done = self.push(self.registry.address, auth={**ALICE, "password": "wrong"})
        self.assertEqual((done.kind, done.message), ("unauthorized", "unauthorized: authentication required"))
        lying = Image([{"a": b"one"}])
        d = lying.layers[0]["digest"]
        lying.blobs[d] = lying.blobs[d][:-1] + b"!"
        done = self.push(self.registry.address, image=lying, auth=ALICE)
        self.assertIn("digest invalid: provided digest did not match uploaded content", done.message)
        self.registry.stop()
        self.assertIn("connection refused", self.push(self.registry.address, auth=ALICE).message)


class BrokenPushTest(PushTest):
    def setUp(self):
        super().setUp()
        self.fake = Fake()
        self.addCleanup(self.fake.close)
        self.uploads, self.failures = {}, 0
        self.fake.hook = self.upload

    def upload(self, h):
        path, _, query = h.path.partition("?")
        if "/blobs/uploads/" not in path:
            return False
        if h.command == "POST":
            key = str(len(self.uploads))
            self.uploads[key] = b""
            h.reply(202, headers={"Location": f"/v2/lib/x/blobs/uploads/{key}?state=1"})
            return True
        with self.fake.lock:
            fails = self.failures > 0
            self.failures -= fails
        if fails:
            self.fail_with(h)
            return True
        key = path.rpartition("/")[2]
        self.uploads[key] += h.body
        if h.command == "PATCH":
            h.reply(202, headers={"Location": f"/v2/lib/x/blobs/uploads/{key}?state=2"})
            return True
        wanted = query.split("digest=")[1]
        if digest(self.uploads[key]) != wanted:
            h.refuse(400, "DIGEST_INVALID")
        else:
            self.fake.blobs[wanted] = self.uploads[key]
            h.reply(201)
        return True

    def test_it_is_tried_again(self):
        # libcurl itself asks once more on a new connection when one that it uses again is cut: each blob's two requests may
        # hide one cut, and are tried again only for the next.
        for fail, failures in ((lambda h: h.cut(), 2 * len(self.image.blobs) + 1), (lambda h: h.reply(503), 3)):
            self.fake.blobs.clear()
            self.failures, self.fail_with = failures, fail
            done = self.push(self.fake.address)
            self.assertTrue(done.ok, done.last)
            self.assertEqual(self.fake.blobs, self.image.blobs)
            self.assertTrue(done.all("retry"))
        self.assertIn("lib/x:1", self.fake.manifests)

    def test_until_it_is_over(self):
        self.failures, self.fail_with = 1000, lambda h: h.reply(500)
        done = self.push(self.fake.address)
        self.assertEqual(done.message, "received unexpected HTTP status: 500 Internal Server Error")
        self.assertNotIn("lib/x:1", self.fake.manifests)

    def test_denied(self):
        self.failures, self.fail_with = 1000, lambda h: h.refuse(403, "DENIED", "requested access to the resource is denied")
        done = self.push(self.fake.address)
        self.assertEqual((done.kind, done.message), ("forbidden", "denied: requested access to the resource is denied"))

    def test_uploads_elsewhere_learn_nothing(self):
        other = Fake("127.0.0.2")
        self.addCleanup(other.close)
        store = {}

        def take(h):
            if h.command == "PATCH":
                store["last"] = h.body
                h.reply(202, headers={"Location": h.path})
            else:
                store[h.path.split("digest=")[1]] = h.body or store["last"]
                h.reply(201)
            return True

        other.hook = take

        def lead(h):
            if h.path.startswith("/v2/lib/x/blobs/uploads/"):
                h.reply(202, headers={"Location": f"{other.url}/up?x=1"})
                return True
            if h.headers.get("Authorization"):
                return False
            h.refuse(401, "UNAUTHORIZED", "", {"WWW-Authenticate": 'Basic realm="x"'})
            return True

        self.fake.hook = lead
        done = self.push(self.fake.address, auth=ALICE)
        self.assertTrue(done.ok, done.last)
        self.assertEqual(set(other.auth), {None})

    def test_bad_requests(self):
        self.assertEqual(Fetch("push", name=f"{self.fake.address}/x", tag="1", manifest="{}").kind, "invalid")
        done = Fetch("push", name=f"{self.fake.address}/x", tag="1", manifest="{}", mediaType="a", blobs=[{"digest": "x"}])
        self.assertEqual(done.message, "invalid checksum digest format")
        done = Fetch("push", name=f"{self.fake.address}/x", tag="1", manifest="{}", mediaType="a",
                     blobs=[{"digest": "sha256:" + "0" * 64, "size": 3, "path": "/nonexistent"}])
        self.assertEqual(done.message, "open /nonexistent: no such file or directory")
        self.assertEqual(json.loads(json.dumps(done.last))["event"], "error")
