"""The daemon and registries: docker pull, push, login, search, run, through the API and the real CLI."""
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from support import Fake, Image, KeptPort, Registry, digest, index_of, make_certificates, skopeo, tar  # noqa: I001

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
from harness import DEADLINE_S, ROOT, ApiTest, Daemon  # noqa: E402

BIG = os.urandom(3_000_000)
with open("/bin/busybox", "rb") as f:
    PROGRAM = f.read()  # static: it runs wherever the image is run


def auth(**config):
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(config).encode()).decode()}


class RegistryTest(ApiTest):
    options = ("--images=registry",)

    def pull(self, name, tag="latest", headers=None, d=None, **query):
        return (d or self.d).call("POST", "/images/create", query={"fromImage": name, **({"tag": tag} if tag else {}), **query}, headers=headers)

    def push(self, name, tag="latest", headers=None, d=None):
        return (d or self.d).call("POST", f"/images/{name}/push", query={"tag": tag} if tag else None, headers=headers or auth())

    def port_of_nobody(self):
        kept = KeptPort()
        self.addCleanup(kept.close)
        return kept.number

    def good(self, reply):
        self.assertEqual(reply.status, 200, reply.body)
        errors = [line["error"] for line in reply.lines() if "error" in line]
        self.assertEqual(errors, [])
        return reply.lines()

    def failed(self, reply):
        """The error, whether it came with a status or in the stream."""
        return reply.message if reply.status != 200 else reply.lines()[-1]["error"]

    def statuses(self, lines):
        """Without those that pass by, and without repetitions."""
        seen = []
        for line in lines:
            text = (line.get("id"), line.get("status"))
            if line.get("status") not in ("Downloading", "Extracting", "Pushing", "Waiting") and text not in seen and "aux" not in line:
                seen.append(text)
        return seen

    def image(self, name, d=None):
        reply = (d or self.d).call("GET", f"/images/{name}/json")
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def blobs(self, d=None):
        return set(os.listdir(os.path.join((d or self.d).data, "blobs/sha256")))

    def downloads(self, d=None):
        return sorted(os.listdir(os.path.join((d or self.d).data, "downloads")))

    def size(self, name):
        return os.path.getsize(os.path.join(self.d.data, "downloads", name))


class Pull(RegistryTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fake = Fake()
        cls.fake.add("lib/x", Image([{"a": b"one"}, {"b": BIG}], config={"Cmd": ["sh"], "Labels": {"l": "v"}}))

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.fake.close()

    def setUp(self):
        self.fake.hook = None
        self.fake.log.clear()
        self.fake.ranges.clear()

    def tearDown(self):
        for i in self.d.call("GET", "/images/json").json:
            for name in (i["RepoTags"] or i["RepoDigests"] or [i["Id"]]):
                self.d.call("DELETE", f"/images/{name}", query={"force": 1})
        for name in self.downloads():
            with contextlib.suppress(FileNotFoundError):  # the daemon was at it
                os.unlink(os.path.join(self.d.data, "downloads", name))

    def name(self, rest):
        return f"{self.fake.address}/{rest}"

    def test_lines(self):
        image = self.fake.add("lib/l", Image([{"l": b"1"}, {"m": BIG}]))
        since = time.time()
        lines = self.good(self.pull(self.name("lib/l")))
        a, b = (layer["digest"][7:19] for layer in image.layers)
        self.assertEqual(lines[0], {"status": "Pulling from lib/l", "id": "latest"})
        self.assertEqual(lines[1], {"status": "Pulling fs layer", "progressDetail": {}, "id": a})
        seen = self.statuses(lines)
        self.assertEqual(seen[1:3], [(a, "Pulling fs layer"), (b, "Pulling fs layer")])
        for layer in (a, b):
            self.assertEqual([s for i, s in seen if i == layer], ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"])
        self.assertEqual(seen[-2:], [(None, f"Digest: {image.digest}"), (None, f"Status: Downloaded newer image for {self.name('lib/l')}:latest")])
        self.assertLess(seen.index((a, "Pull complete")), seen.index((b, "Pull complete")))
        moving = [line for line in lines if line["status"] == "Downloading" and line["id"] == b]
        self.assertEqual(moving[-1]["progressDetail"]["total"], image.layers[1]["size"])
        self.assertRegex(moving[-1]["progress"], r"^\[=+>\]  3\.00\dMB/3\.00\dMB$")
        inspect = self.image(self.name("lib/l"))
        self.assertEqual((inspect["Id"], inspect["RepoTags"], inspect["RepoDigests"], inspect["RootFS"]["Layers"]),
                         (image.id, [self.name("lib/l:latest")], [f"{self.name('lib/l')}@{image.digest}"], image.diff_ids))
        self.d.wait_for(lambda: self.d.events(since, type=["image"]), "the pull is told")
        events = [(e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]["name"]) for e in self.d.events(since, type=["image"])]
        self.assertEqual(events, [("pull", self.name("lib/l:latest"), self.name("lib/l"))])
        self.d.wait_for(lambda: not self.downloads(), "what was downloaded is thrown away")

    def test_again(self):
        self.good(self.pull(self.name("lib/x")))
        self.fake.log.clear()
        lines = self.good(self.pull(self.name("lib/x")))
        self.assertEqual([line["status"].split(":")[0] for line in lines], ["Pulling from lib/x", "Digest", "Status"])
        self.assertEqual(lines[-1]["status"], f"Status: Image is up to date for {self.name('lib/x')}:latest")
        self.assertEqual([line.split()[0] for line in self.fake.log], ["GET", "HEAD"])

    def test_shared_layers(self):
        self.good(self.pull(self.name("lib/x")))
        below = {"a": b"one"}
        self.fake.add("lib/upon", Image([below, {"c": b"3"}]))
        self.fake.log.clear()
        lines = self.good(self.pull(self.name("lib/upon")))
        self.assertEqual([line["status"] for line in lines if line.get("id") == Image([below]).layers[0]["digest"][7:19]], ["Already exists"])
        self.assertEqual(self.fake.count("GET /v2/lib/upon/blobs/"), 2)

    def test_same_image_by_another_name(self):
        self.good(self.pull(self.name("lib/x")))
        self.fake.add("lib/same", Image([{"a": b"one"}, {"b": BIG}], config={"Cmd": ["sh"], "Labels": {"l": "v"}}))
        self.assertEqual([s.split(":")[0] for _, s in self.statuses(self.good(self.pull(self.name("lib/same"))))],
                         ["Pulling from lib/same", "Digest", "Status"])
        self.assertEqual(len(self.image(self.name("lib/same"))["RepoTags"]), 2)

    def test_by_digest(self):
        image = self.fake.add("lib/x", Image([{"a": b"one"}, {"b": BIG}], config={"Cmd": ["sh"], "Labels": {"l": "v"}}))
        for name, tag in ((self.name("lib/x"), image.digest), (f"{self.name('lib/x')}@{image.digest}", None)):
            lines = self.good(self.pull(name, tag))
            self.assertEqual(lines[0], {"status": "Pulling from lib/x", "id": f"{self.name('lib/x')}@{image.digest}"})
            self.assertIn(f"for {self.name('lib/x')}@{image.digest}", lines[-1]["status"])
        inspect = self.image(f"{self.name('lib/x')}@{image.digest}")
        self.assertEqual((inspect["RepoTags"], inspect["RepoDigests"]), ([], [f"{self.name('lib/x')}@{image.digest}"]))

    def test_all_tags(self):
        images = {t: self.fake.add("lib/all", Image([{t: b"1"}]), t) for t in ("a", "b", "c")}

        def tags(h):
            return "/lib/all/tags/list" in h.path and (h.reply(200, json.dumps({"tags": list(images)}).encode()), True)[1]

        self.fake.hook = tags
        lines = self.good(self.pull(self.name("lib/all"), None))
        self.assertEqual([line["id"] for line in lines if line["status"] == "Pulling from lib/all"], ["a", "b", "c"])
        self.assertEqual(lines[-1]["status"], f"Status: Downloaded newer image for {self.name('lib/all')}")
        for tag, image in images.items():
            self.assertEqual(self.image(self.name(f"lib/all:{tag}"))["Id"], image.id)

    def test_a_tag_moves(self):
        old = self.fake.add("lib/moves", Image([{"old": b"1"}]))
        self.good(self.pull(self.name("lib/moves")))
        new = self.fake.add("lib/moves", Image([{"new": b"1"}]))
        lines = self.good(self.pull(self.name("lib/moves")))
        self.assertEqual(lines[-1]["status"], f"Status: Downloaded newer image for {self.name('lib/moves')}:latest")
        self.assertEqual(self.image(self.name("lib/moves"))["Id"], new.id)
        self.assertEqual(self.image(old.id)["RepoTags"], [])

    def test_platform(self):
        arm, amd = self.fake.add("lib/p", Image([{"arm": b"1"}], arch="arm64")), self.fake.add("lib/p", Image([{"amd": b"1"}]))
        body = index_of(arm, amd)
        self.fake.add_index("lib/p", body)
        lines = self.good(self.pull(self.name("lib/p")))
        self.assertIn({"status": f"Digest: {digest(body)}"}, lines)
        self.assertEqual(self.image(self.name("lib/p"))["Id"], amd.id)
        self.good(self.pull(self.name("lib/p"), platform="linux/arm64"))
        self.assertEqual(self.image(self.name("lib/p"))["Architecture"], "arm64")
        self.good(self.pull(self.name("lib/p")))
        self.assertEqual(self.image(self.name("lib/p"))["Id"], amd.id)
        self.assertError(self.pull(self.name("lib/p"), platform="linux/s390x"), 404, "no matching manifest for linux/s390x in the manifest list entries")
        self.assertEqual(self.pull(self.name("lib/p"), platform="linux/!").status, 400)

    def test_errors_have_their_status(self):
        self.assertError(self.pull(self.name("lib/none")), 404,
                         f"manifest for {self.name('lib/none')}:latest not found: manifest unknown: manifest unknown")
        self.assertError(self.pull("UPPER"), 400, "invalid reference format: repository name (library/UPPER) must be lowercase")
        self.assertError(self.pull("scratch"), 403, "'scratch' is a reserved name")
        port = self.port_of_nobody()
        self.assertError(self.pull(f"127.0.0.1:{port}/x"), 500,
                         f'Get "http://127.0.0.1:{port}/v2/": dial tcp 127.0.0.1:{port}: connect: connection refused')
        self.fake.hook = lambda h: "/manifests/" in h.path and (h.refuse(403, "DENIED"), True)[1]
        self.assertError(self.pull(self.name("lib/x")), 404, f"pull access denied for {self.name('lib/x')}, repository does not exist or may require "
                         "'docker login': denied: requested access to the resource is denied")

    def test_errors_in_the_stream(self):
        image = self.fake.add("lib/bad", Image([{"a": b"one"}, {"bad": BIG}]))
        wanted = image.layers[1]["digest"]
        good = self.fake.blobs[wanted]
        self.addCleanup(self.fake.blobs.__setitem__, wanted, good)
        self.fake.blobs[wanted] = good[:-1] + bytes([good[-1] ^ 1])
        reply = self.pull(self.name("lib/bad"))
        self.assertEqual(reply.status, 200)
        text = f"filesystem layer verification failed for digest {wanted}"
        self.assertEqual(reply.lines()[-1], {"errorDetail": {"message": text}, "error": text})
        self.assertEqual(self.d.call("GET", f"/images/{self.name('lib/bad')}/json").status, 404)
        self.assertFalse(any(name.startswith(wanted[7:]) for name in self.downloads()))
        self.assertEqual(self.blobs(), set())

    def test_a_config_that_lies_about_its_layers(self):
        image = Image([{"a": b"one"}, {"z": b"two"}])
        config = json.loads(image.blobs[image.id])
        for diff_ids, text in ((list(reversed(image.diff_ids)), "failed to register layer"), (image.diff_ids[:1], "layers from manifest don't match image configuration"),
                               (["x", "y"], "invalid image config: x is not a diff id")):
            config["rootfs"]["diff_ids"] = diff_ids
            image.config = image.put(json.dumps(config).encode(), image.config["mediaType"])
            self.fake.add("lib/liar", image.seal())
            self.assertIn(text, self.failed(self.pull(self.name("lib/liar"))))
        self.assertEqual(self.d.call("GET", f"/images/{self.name('lib/liar')}/json").status, 404)
        self.d.wait_for(lambda: self.blobs() == set(), "what came of it is gone")

    def test_what_broke_off_goes_on(self):
        image = self.fake.add("lib/cut", Image([{"first": b"one"}, {"cut": BIG}]))
        wanted = image.layers[1]["digest"]

        def cut(h):
            if wanted not in h.path:
                return False
            data = self.fake.blobs[wanted]
            h.send_response(200)
            h.send_header("Content-Length", str(len(data)))
            h.end_headers()
            h.wfile.write(data[:2_000_000])
            h.wfile.flush()
            end = time.monotonic() + DEADLINE_S
            while image.layers[0]["digest"][7:] not in self.downloads() and time.monotonic() < end:
                time.sleep(0.01) # what is whole already is what the second half is about
            with self.fake.lock:
                self.fake.hook = lambda h: "/v2/" in h.path and h.path != "/v2/" and (h.refuse(403, "DENIED"), True)[1]
            h.cut()
            return True

        self.fake.hook = cut
        self.assertIn("denied", self.failed(self.pull(self.name("lib/cut"))))
        self.assertIn(wanted[7:] + ".part", self.downloads())
        held = os.path.getsize(os.path.join(self.d.data, "downloads", wanted[7:] + ".part"))
        self.assertTrue(0 < held <= 2_000_000, held) # a cut connection may take with it what was under way
        self.fake.hook = None
        self.fake.ranges.clear()
        self.fake.log.clear()
        self.d.kill()
        self.d.start()
        self.good(self.pull(self.name("lib/cut")))
        self.assertEqual([r for r in self.fake.ranges if r], [f"bytes={held}-"])
        self.assertEqual(self.fake.count(f"GET /v2/lib/cut/blobs/{image.layers[0]['digest']}"), 0, "the whole one is not fetched again")
        self.assertEqual(self.image(self.name("lib/cut"))["Id"], image.id)

    def stalling(self, wanted):
        """The registry sends a part of the blob and waits: (has begun, go on)."""
        begun, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)

        def stall(h):
            if wanted not in h.path or h.headers.get("Range") or go_on.is_set():
                return False
            data = self.fake.blobs[wanted]
            h.send_response(200)
            h.send_header("Content-Length", str(len(data)))
            h.end_headers()
            h.wfile.write(data[:1_000_000])
            h.wfile.flush()
            begun.set()
            go_on.wait(DEADLINE_S)
            h.wfile.write(data[1_000_000:])
            return True

        self.fake.hook = stall
        return begun, go_on

    def helpers(self):
        """Processes of the daemon's that are the registry client."""
        found = []
        for pid in os.listdir("/proc"):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                    name, _, rest = f.read().partition("(")[2].rpartition(")")
                if name.startswith("sockerless-fetc") and int(rest.split()[1]) == self.d.process.pid:
                    found.append(pid)
            except (OSError, ValueError):
                pass
        return found

    def test_the_client_leaves(self):
        image = self.fake.add("lib/left", Image([{"left": BIG}]))
        begun, go_on = self.stalling(image.layers[0]["digest"])
        s = self.d.connect()
        s.sendall(f"POST /v1.51/images/create?fromImage={self.name('lib/left')}&tag=latest HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        self.assertTrue(begun.wait(DEADLINE_S))
        self.assertEqual(len(self.helpers()), 1)
        self.d.wait_for(lambda: any(self.size(name) for name in self.downloads()), "a part of it is there")
        s.close()
        self.d.wait_for(lambda: not self.helpers(), "the registry client is gone")
        go_on.set()
        self.fake.ranges.clear()
        self.good(self.pull(self.name("lib/left")))
        self.assertEqual(len([r for r in self.fake.ranges if r]), 1)

    def test_two_at_once_fetch_once(self):
        image = self.fake.add("lib/two", Image([{"two": BIG}, {"three": b"3"}]))
        self.fake.add("lib/other", Image([{"two": BIG}, {"four": b"4"}]))
        begun, go_on = self.stalling(image.layers[0]["digest"])
        replies = {}
        threads = [threading.Thread(target=lambda n=n: replies.__setitem__(n, self.pull(self.name(n)))) for n in ("lib/two", "lib/other")]
        threads[0].start()
        self.assertTrue(begun.wait(DEADLINE_S))
        threads[1].start()
        self.d.wait_for(lambda: self.fake.count("HEAD /v2/lib/other/manifests/"), "the second has begun")
        time.sleep(0.3)
        go_on.set()
        for t in threads:
            t.join()
        for reply in replies.values():
            self.good(reply)
        self.assertEqual(sum(image.layers[0]["digest"] in line for line in self.fake.log), 1)

    def test_who_waits_goes_on_when_the_other_leaves(self):
        image = self.fake.add("lib/leaves", Image([{"leaves": BIG}]))
        self.fake.add("lib/stays", Image([{"leaves": BIG}, {"stays": b"1"}]))
        begun, go_on = self.stalling(image.layers[0]["digest"])
        s = self.d.connect()
        s.sendall(f"POST /v1.51/images/create?fromImage={self.name('lib/leaves')}&tag=latest HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        self.assertTrue(begun.wait(DEADLINE_S))
        reply = []
        waiting = threading.Thread(target=lambda: reply.append(self.pull(self.name("lib/stays"))))
        waiting.start()
        self.d.wait_for(lambda: len(self.helpers()) == 2 and any("lib/stays/blobs" in line for line in self.fake.log), "the second has begun")
        time.sleep(0.3)
        s.close()
        waiting.join()
        go_on.set()
        self.good(reply[0])

    def test_the_daemon_is_killed_in_the_middle(self):
        image = self.fake.add("lib/killed", Image([{"whole": b"1"}, {"killed": BIG}]))
        begun, go_on = self.stalling(image.layers[1]["digest"])
        s = self.d.connect()
        s.sendall(f"POST /v1.51/images/create?fromImage={self.name('lib/killed')}&tag=latest HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        self.assertTrue(begun.wait(DEADLINE_S))
        part = os.path.join(self.d.data, "downloads", image.layers[1]["digest"][7:] + ".part")
        self.d.wait_for(lambda: os.path.exists(part) and os.path.getsize(part) > 0, "some of it has come")
        helper = self.helpers()[0]
        self.d.kill()
        s.close()
        self.d.wait_for(lambda: not os.path.exists(f"/proc/{helper}") or open(f"/proc/{helper}/stat").read().split()[2] == "Z", "its registry client ends too")
        go_on.set()
        self.d.start()
        self.assertEqual(self.d.call("GET", f"/images/{self.name('lib/killed')}/json").status, 404)
        self.good(self.pull(self.name("lib/killed")))
        self.assertEqual(self.image(self.name("lib/killed"))["Id"], image.id)

    def test_the_daemon_stops_in_the_middle(self):
        d = Daemon("--images=registry")
        image = self.fake.add("lib/stopped", Image([{"stopped": BIG}]))
        begun, _ = self.stalling(image.layers[0]["digest"])
        s = d.connect()
        s.sendall(f"POST /v1.51/images/create?fromImage={self.name('lib/stopped')}&tag=latest HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        self.assertTrue(begun.wait(DEADLINE_S))
        d.stop()  # a clean end: status 0, nothing leaked
        s.close()

    def test_auth(self):
        def guard(h):
            if h.headers.get("Authorization") == "Basic " + base64.b64encode(b"u:p").decode():
                return False
            h.refuse(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": 'Basic realm="x"'})
            return True

        self.fake.hook = guard
        self.good(self.pull(self.name("lib/x"), headers=auth(username="u", password="p")))
        for headers in (None, {"X-Registry-Auth": "!"}, {"X-Registry-Auth": base64.urlsafe_b64encode(b"{").decode()}, {"X-Registry-Auth": "e30="}):
            self.assertIn("no basic auth credentials", self.failed(self.pull(self.name("lib/x"), headers=headers)))
        self.assertError(self.pull(self.name("lib/x"), headers=auth(username="u", password="x")), 401, "unauthorized: authentication required")
        login = {"username": "u", "password": "p", "serveraddress": self.fake.address}
        self.assertEqual(self.d.call("POST", "/auth", login).json, {"Status": "Login Succeeded", "IdentityToken": ""})
        self.assertError(self.d.call("POST", "/auth", {**login, "password": "x"}), 401,
                         f"login attempt to {self.fake.url}/v2/ failed with status: 401 Unauthorized")
        self.assertNotIn("sesame", self.d.log_text())

    def test_distribution_and_search(self):
        image = self.fake.add("lib/x", Image([{"a": b"one"}, {"b": BIG}], config={"Cmd": ["sh"], "Labels": {"l": "v"}}))
        reply = self.d.call("GET", f"/distribution/{self.name('lib/x')}/json")
        self.assertEqual(reply.json, {"Descriptor": {"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest)},
                                      "Platforms": [{"architecture": "amd64", "os": "linux"}]})
        self.assertEqual(self.d.call("GET", f"/distribution/{self.name('lib/none')}/json").status, 404)
        results = [{"name": f"r{i}", "description": "d", "star_count": i, "is_official": i == 2} for i in range(4)]
        self.fake.hook = lambda h: h.path.startswith("/v1/search") and (h.reply(200, json.dumps({"results": results}).encode()), True)[1]

        def search(**filters):
            reply = self.d.call("GET", "/images/search", query={"term": self.name("r"), "filters": json.dumps(filters)})
            self.assertEqual(reply.status, 200, reply.body)
            return [r["name"] for r in reply.json]

        self.assertEqual(search(), ["r0", "r1", "r2", "r3"])
        self.assertEqual(search(stars=["2"]), ["r2", "r3"])
        self.assertEqual(search(**{"is-official": ["true"]}), ["r2"])
        self.assertEqual(search(**{"is-automated": ["true"]}), [])
        for query in ({"limit": "x"}, {"limit": -1}, {"limit": 101}, {"filters": '{"stars":["x"]}'}, {"filters": '{"nope":["x"]}'}):
            self.assertEqual(self.d.call("GET", "/images/search", query={"term": self.name("r"), **query}).status, 400, query)


class Import(RegistryTest):
    """docker import of a URL."""

    def create(self, source, **query):
        return self.d.call("POST", "/images/create", query={"fromSrc": source, **query})

    def test_url(self):
        fake = Fake()
        self.addCleanup(fake.close)
        archive = tar({"a": BIG, "b": b"2"})
        fake.hook = lambda h: (h.reply(200, archive) if h.path == "/a.tar" else h.reply(404) if h.path == "/none" else h.reply(200, b"no tar")) or True
        lines = self.good(self.create(fake.url + "/a.tar", repo="imported", tag="1", changes="CMD x"))
        self.assertEqual(lines[0], {"status": f"Downloading from {fake.url}/a.tar"})
        inspect = self.image("imported:1")
        self.assertEqual((lines[-1]["status"], inspect["Config"]["Cmd"], inspect["Comment"]), (inspect["Id"], ["/bin/sh", "-c", "x"], f"Imported from {fake.url}/a.tar"))
        self.assertEqual(self.good(self.create(fake.address + "/a.tar"))[0]["status"], f"Downloading from http://{fake.address}/a.tar")
        self.assertNotEqual(self.failed(self.create(fake.url + "/bad")), "")
        self.assertEqual(self.downloads(), [])

    def test_refusals_have_their_status(self):
        """As the server says no before a line was told; with what it says."""
        fake = Fake()
        self.addCleanup(fake.close)
        bodies = {"long": "é".encode() * 400, "binary": b"\xff\x00", "said": b"  no such file\n"}
        fake.hook = lambda h: h.reply(int(h.path.split("/")[1]), bodies.get(h.path.split("/")[2], b"")) or True
        for status, ours in ((400, 400), (401, 401), (402, 500), (403, 403), (404, 404), (410, 500), (503, 500)):
            reply = self.create(f"{fake.url}/{status}/")
            self.assertEqual(reply.status, ours, status)
            self.assertTrue(reply.message.startswith(f"failed to GET {fake.url}/{status}/ with status {status} "), reply.message)
        self.assertError(self.create(fake.address + "/404/%2Fdata%2Ffile.tar"), 404, f"failed to GET http://{fake.address}/404/%2Fdata%2Ffile.tar with status 404 Not Found")
        self.assertError(self.create(fake.url + "/404/said"), 404, f"failed to GET {fake.url}/404/said with status 404 Not Found: no such file")
        self.assertError(self.create(fake.url + "/404/long"), 404, f"failed to GET {fake.url}/404/long with status 404 Not Found: {'é' * 200}")
        self.assertError(self.create(fake.url + "/404/binary"), 404, f"failed to GET {fake.url}/404/binary with status 404 Not Found")
        for bad in ("file:///etc/passwd", "%2Fdata%2Ffile.tar"):
            self.assertEqual(self.create(bad).status, 400, bad)
        gone = self.create("http://nosuch.invalid/x")
        self.assertEqual((gone.status, gone.message), (404, 'Get "http://nosuch.invalid/x": dial tcp: lookup nosuch.invalid: no such host'))
        self.assertEqual(self.create("http://127.0.0.1:9/x").status, 500)
        self.assertEqual(self.downloads(), [])

    def test_the_client_leaves(self):
        gate, begun = threading.Event(), threading.Event()
        fake = Fake()
        self.addCleanup(fake.close)
        self.addCleanup(gate.set)
        fake.hook = lambda h: begun.set() or gate.wait(DEADLINE_S)
        s = self.d.connect()
        s.sendall(f"POST /v1.51/images/create?fromSrc={fake.url}/x HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        self.assertTrue(begun.wait(DEADLINE_S))
        s.close()
        self.d.wait_for(lambda: self.downloads() == [], "nothing of it is left")


class Push(RegistryTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = Registry()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.registry.close()

    def name(self, rest):
        return f"{self.registry.address}/{rest}"

    def imported(self, name, files):
        reply = self.d.call("POST", "/images/create", tar(files), query={"fromSrc": "-", "repo": name, "tag": "1"}, headers={"Content-Type": "application/x-tar"})
        self.assertEqual(reply.status, 200, reply.body)

    def test_pull_push_pull(self):
        """Identical digests all the way round, skopeo included."""
        image = Image([{"a": b"one"}, {"b": BIG}])
        self.registry.fill(image, "lib/x:1")
        self.good(self.pull(self.name("lib/x"), "1"))
        self.d.call("POST", f"/images/{self.name('lib/x')}:1/tag", query={"repo": self.name("lib/y"), "tag": "1"})
        lines = self.good(self.push(self.name("lib/y"), "1"))
        ids = [d[7:19] for d in reversed(image.diff_ids)]
        self.assertEqual(lines[0], {"status": f"The push refers to repository [{self.name('lib/y')}]"})
        self.assertEqual(lines[1:3], [{"status": "Preparing", "progressDetail": {}, "id": i} for i in ids])
        self.assertEqual(sorted(self.statuses(lines)[3:5]), sorted((i, "Mounted from lib/x") for i in ids))
        self.assertEqual(lines[-2], {"status": f"1: digest: {image.digest} size: {len(image.manifest)}"})
        self.assertEqual(lines[-1], {"progressDetail": {}, "aux": {"Tag": "1", "Digest": image.digest, "Size": len(image.manifest)}})
        since = time.time()
        lines = self.good(self.push(self.name("lib/y"), "1"))
        self.assertEqual(sorted(self.statuses(lines)[3:5]), sorted((i, "Layer already exists") for i in ids))
        # An event is told when what it tells of is durable; the stream's end may come first.
        self.d.wait_for(lambda: self.d.events(since, type=["image"]), "the push is told")
        self.assertEqual([(e["Action"], e["Actor"]["ID"]) for e in self.d.events(since, type=["image"])], [("push", self.name("lib/y:1"))])
        fresh = Daemon("--images=registry")
        self.addCleanup(fresh.stop)
        self.good(self.pull(self.name("lib/y"), "1", d=fresh))
        inspect = self.image(self.name("lib/y:1"), fresh)
        self.assertEqual((inspect["Id"], inspect["RepoDigests"]), (image.id, [f"{self.name('lib/y')}@{image.digest}"]))
        self.assertEqual(json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{self.name('lib/y:1')}"))["Digest"], image.digest)

    def test_what_is_made_here(self):
        """Plain layers go compressed, and only once; others read them."""
        self.imported(self.name("lib/made"), {"file": b"content" * 100_000, "big": BIG})
        lines = self.good(self.push(self.name("lib/made"), "1"))
        self.assertEqual([s for _, s in self.statuses(lines)][1:3], ["Preparing", "Pushed"])
        pushed = lines[-1]["aux"]["Digest"]
        self.assertEqual(self.image(self.name("lib/made:1"))["RepoDigests"], [f"{self.name('lib/made')}@{pushed}"])
        lines = self.good(self.push(self.name("lib/made"), "1"))
        self.assertEqual([s for _, s in self.statuses(lines)][1:3], ["Preparing", "Layer already exists"])
        self.assertEqual(lines[-1]["aux"]["Digest"], pushed)
        config = json.loads(skopeo("inspect", "--tls-verify=false", "--config", "--raw", f"docker://{self.name('lib/made:1')}"))
        self.assertEqual(config["rootfs"]["diff_ids"], self.image(self.name("lib/made:1"))["RootFS"]["Layers"])
        out = tempfile.mkdtemp(prefix="sockerless-out-")
        self.addCleanup(shutil.rmtree, out)
        skopeo("copy", "--src-tls-verify=false", f"docker://{self.name('lib/made:1')}", f"oci:{out}/o:1")
        fresh = Daemon("--images=registry")
        self.addCleanup(fresh.stop)
        self.good(self.pull(self.name("lib/made"), "1", d=fresh))
        self.assertEqual(self.image(self.name("lib/made:1"), fresh)["Id"], self.image(self.name("lib/made:1"))["Id"])
        # and to another registry: it is compressed anew, to the same bytes
        other = Registry()
        self.addCleanup(other.close)
        self.d.call("POST", f"/images/{self.name('lib/made')}:1/tag", query={"repo": f"{other.address}/m", "tag": "2"})
        self.assertEqual(self.good(self.push(f"{other.address}/m", "2"))[-1]["aux"]["Digest"], pushed)
        self.d.wait_for(lambda: os.listdir(os.path.join(self.d.data, "tmp")) == [], "its temporary files are gone")

    def test_the_built_in_image(self):
        self.d.call("POST", "/images/busybox/tag", query={"repo": self.name("lib/bb"), "tag": "1"})
        self.good(self.push(self.name("lib/bb"), "1"))
        config = json.loads(skopeo("inspect", "--tls-verify=false", "--config", f"docker://{self.name('lib/bb:1')}"))
        self.assertEqual(config["rootfs"]["diff_ids"], self.image("busybox")["RootFS"]["Layers"])
        self.d.call("DELETE", f"/images/{self.name('lib/bb')}:1")

    def test_all_tags(self):
        self.imported(self.name("lib/many"), {"a": b"1"})
        for tag in ("2", "3"):
            self.d.call("POST", f"/images/{self.name('lib/many')}:1/tag", query={"repo": self.name("lib/many"), "tag": tag})
        lines = self.good(self.push(self.name("lib/many"), None))
        self.assertEqual(sorted(line["aux"]["Tag"] for line in lines if "aux" in line), ["1", "2", "3"])

    def test_refusals(self):
        self.assertEqual(self.failed(self.push(self.name("lib/none"), "1")), f"An image does not exist locally with the tag: {self.name('lib/none')}")
        self.imported(self.name("lib/tag"), {"a": b"1"})
        self.assertEqual(self.failed(self.push(self.name("lib/tag"), "2")), f"tag does not exist: {self.name('lib/tag')}:2")
        self.assertEqual(self.push("UPPER", "1").status, 400)
        port = self.port_of_nobody()
        self.imported(f"127.0.0.1:{port}/x", {"a": b"1"})
        reply = self.push(f"127.0.0.1:{port}/x", "1")
        self.assertEqual(reply.status, 200)
        self.assertIn("connection refused", self.failed(reply))

    def test_the_client_leaves(self):
        gate, begun = threading.Event(), threading.Event()
        fake = Fake()
        self.addCleanup(fake.close)
        self.addCleanup(gate.set)
        fake.hook = lambda h: "/uploads/" in h.path and (begun.set(), gate.wait(DEADLINE_S))[1]
        self.imported(f"{fake.address}/x", {"a": b"1"})
        s = self.d.connect()
        s.sendall(f"POST /v1.51/images/{fake.address}/x/push?tag=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        self.assertTrue(begun.wait(DEADLINE_S))
        s.close()
        self.assertEqual(self.d.call("GET", "/_ping").status, 200)
        self.d.wait_for(lambda: os.listdir(os.path.join(self.d.data, "tmp")) == [], "its temporary files are gone")


class Modes(RegistryTest):
    """--images=auto: a real image where there is a registry, one that says what it is where there is none."""
    options = ("--images=auto",)

    def test_nobody_answers(self):
        lines = self.good(self.pull("alpine", "3"))
        text = [line["status"] for line in lines]
        self.assertEqual(text[0], "Pulling from library/alpine")
        self.assertTrue(text[1].startswith('No registry can be reached: Get "https://registry-1.docker.io/v2/": '), text)
        self.assertEqual(text[2:], ["Synthetic image: nothing was downloaded; the built-in root file system stands in for alpine",
                                    "Status: Made a synthetic image for alpine:3"])
        self.assertEqual(self.image("alpine:3")["Config"]["Labels"]["sockerless.image"], "synthetic")
        self.assertEqual([line["status"] for line in self.good(self.pull("alpine", "3"))][-1], "Status: The image that is here stays for alpine:3")
        self.d.call("DELETE", "/images/alpine:3")

    def test_a_registry_of_this_host_is_down(self):
        self.assertEqual(self.pull(f"127.0.0.1:{self.port_of_nobody()}/x").status, 500)

    def test_the_built_in_one(self):
        self.assertEqual([line["status"] for line in self.good(self.pull("busybox"))], ["Pulling from library/busybox", "Status: Image is up to date for busybox:latest"])
        self.good(self.pull("busybox", None))

    def test_a_mirror(self):
        mirror = Fake()
        self.addCleanup(mirror.close)
        image = mirror.add("library/alpine", Image([{"a": b"1"}]), "3")
        d = Daemon(f"--registry-mirror={mirror.url}", "--insecure-registry=10.0.0.0/8", "--insecure-registry=reg.example:5000")
        self.addCleanup(d.stop)
        config = d.call("GET", "/info").json["RegistryConfig"]
        self.assertEqual((config["Mirrors"], config["IndexConfigs"]["docker.io"]["Mirrors"]), ([mirror.url + "/"], [mirror.url + "/"]))
        self.assertIn("10.0.0.0/8", config["InsecureRegistryCIDRs"])
        self.assertEqual(config["IndexConfigs"]["reg.example:5000"]["Secure"], False)
        lines = self.good(self.pull("alpine", "3", d=d))
        self.assertEqual(lines[-1]["status"], "Status: Downloaded newer image for alpine:3")
        inspect = self.image("alpine:3", d)
        self.assertEqual((inspect["Id"], inspect["RepoDigests"]), (image.id, [f"alpine@{image.digest}"]))

    def test_a_real_one_replaces_it(self):
        mirror = Fake()
        self.addCleanup(mirror.close)
        d = Daemon(f"--registry-mirror={mirror.url}")
        self.addCleanup(d.stop)
        mirror.hook = lambda h: h.cut() or True
        self.good(self.pull("alpine", "3", d=d))
        synthetic = self.image("alpine:3", d)["Id"]
        mirror.hook = None
        image = mirror.add("library/alpine", Image([{"a": b"1"}]), "3")
        self.good(self.pull("alpine", "3", d=d))
        self.assertEqual(self.image("alpine:3", d)["Id"], image.id)
        self.assertEqual(d.call("GET", f"/images/{synthetic}/json").status, 404)

    def test_no_client(self):
        d = Daemon("--fetch=/nonexistent")
        self.addCleanup(d.stop)
        self.assertIn("No registry can be reached: this engine has no registry client", self.pull("alpine", "3", d=d).body.decode())
        self.assertEqual(self.pull("127.0.0.1:9/x", d=d).status, 501)
        self.assertIn("this engine has no registry client", self.failed(self.push("alpine", "3", d=d)))


class Synthetic(RegistryTest):
    options = ("--images=synthetic",)

    def test_its_config(self):
        mirror = Fake()
        self.addCleanup(mirror.close)
        mirror.add("library/app", Image([{"a": b"1"}], config={"Cmd": ["serve"], "Env": ["A=b"], "Labels": {"x": "y"}}))
        d = Daemon("--images=synthetic", f"--registry-mirror={mirror.url}", env={"SOCKERLESS_FETCH_IMAGE_CONFIG": "true"})
        self.addCleanup(d.stop)
        lines = self.good(self.pull("app", d=d))
        self.assertEqual(lines[-1]["status"], "Status: Made a synthetic image for app:latest")
        config = self.image("app", d)["Config"]
        self.assertEqual((config["Cmd"], config["Env"], config["Labels"]["x"], config["Labels"]["sockerless.image"]), (["serve"], ["A=b"], "y", "synthetic"))
        self.assertEqual([line for line in mirror.log if "/blobs/" in line and "sha256" in line][1:], [], "no layer is fetched")
        lines = self.good(self.pull("none", d=d))
        self.assertIn("The image's configuration cannot be had: ", lines[1]["status"])
        self.assertEqual(self.image("none", d)["Config"]["Labels"]["sockerless.image"], "synthetic")

    def test_nothing_is_asked(self):
        lines = self.good(self.pull("alpine"))
        self.assertEqual(lines[-1]["status"], "Status: Made a synthetic image for alpine:latest")


class Cli(RegistryTest):
    """The real docker."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.certs = tempfile.mkdtemp(prefix="sockerless-certs-")
        make_certificates(cls.certs)
        cls.plain, cls.closed, cls.tls = Registry(), Registry(users={"alice": "sesame"}), Registry(tls=cls.certs)
        cls.image = Image([{"bin/": b"", "bin/sh": PROGRAM, "bin/cat": PROGRAM, "hello": b"hi there\n"}], config={"Cmd": ["cat", "/hello"]})
        cls.plain.fill(cls.image, "lib/x:1")
        cls.tls.fill(cls.image, "lib/x:1")
        cls.closed.fill(cls.image, "lib/x:1", "--dest-creds", "alice:sesame")
        done = subprocess.run(["tests/support/docker-cli.sh", "build/docker-cli"], capture_output=True, text=True, cwd=ROOT, check=True)
        cls.cli = os.path.join(ROOT, done.stdout.strip())

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        for r in (cls.plain, cls.closed, cls.tls):
            r.close()
        shutil.rmtree(cls.certs)

    def docker(self, *arguments, stdin=None):
        return subprocess.run([self.cli, "--config", os.path.join(self.d.dir, "config"), "-H", "unix://" + self.d.socket, *arguments],
                              input=stdin, capture_output=True, text=True, timeout=120, check=False)

    def test_run_pulls(self):
        done = self.docker("run", "--rm", f"{self.plain.address}/lib/x:1")
        self.assertEqual((done.returncode, done.stdout), (0, "hi there\n"), done.stderr)
        self.assertIn("Unable to find image", done.stderr)
        self.assertIn(f"Status: Downloaded newer image for {self.plain.address}/lib/x:1", done.stderr)

    def test_tls(self):
        done = self.docker("pull", f"{self.tls.address}/lib/x:1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"Digest: {self.image.digest}", done.stdout)

    def test_login_push_logout(self):
        name = f"{self.closed.address}/lib/mine:1"
        self.docker("pull", "busybox")
        self.docker("tag", "busybox", name)
        self.assertIn("no basic auth credentials", self.docker("push", name).stderr)
        done = self.docker("login", "-u", "alice", "--password-stdin", self.closed.address, stdin="wrong")
        self.assertIn("401 Unauthorized", done.stderr)
        done = self.docker("login", "-u", "alice", "--password-stdin", self.closed.address, stdin="sesame")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Login Succeeded", done.stdout)
        done = self.docker("push", name)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"1: digest: sha256:[0-9a-f]{64} size: \d+")
        self.assertEqual(self.docker("pull", f"{self.closed.address}/lib/x:1").returncode, 0)
        self.docker("logout", self.closed.address)
        self.assertIn("no basic auth credentials", self.docker("pull", f"{self.closed.address}/lib/x:2").stderr)

    def test_manifest_unknown(self):
        done = self.docker("pull", f"{self.plain.address}/lib/x:none")
        self.assertEqual(done.stderr, "Error response from daemon: manifest for "
                         f"{self.plain.address}/lib/x:none not found: manifest unknown: manifest unknown\n")

    def test_the_registry_stops(self):
        registry = Registry()
        self.addCleanup(registry.close)
        registry.fill(self.image, "lib/x:1")
        registry.stop()
        done = self.docker("pull", f"{registry.address}/lib/x:1")
        self.assertEqual((done.returncode, done.stderr), (
            1, f'Error response from daemon: Get "http://{registry.address}/v2/": dial tcp {registry.address}: connect: connection refused\n'))
        registry.start()
        self.assertEqual(self.docker("pull", "-q", f"{registry.address}/lib/x:1").stdout, f"{registry.address}/lib/x:1\n")


del RegistryTest
