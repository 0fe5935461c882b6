"""sockerless-fetch proves who it is: passwords, tokens, certificates; and to whom it does not."""
import base64
import json
import os
import shutil
import tempfile
import unittest
from urllib.parse import parse_qs, urlparse

from support import Fake, Fetch, Image, Registry, index_of, make_certificates

ALICE = {"username": "alice", "password": "sesame"}
BASIC = "Basic " + base64.b64encode(b"alice:sesame").decode()


class Directory(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="sockerless-fetch-")
        self.addCleanup(shutil.rmtree, self.dir)


class PasswordTest(Directory):
    """Against docker-registry with htpasswd."""

    @classmethod
    def setUpClass(cls):
        cls.registry = Registry(users={"alice": "sesame"})
        cls.image = Image([{"a": b"one"}])
        cls.registry.fill(cls.image, "lib/x:1", "--dest-creds", "alice:sesame")

    @classmethod
    def tearDownClass(cls):
        cls.registry.close()

    def pull(self, **more):
        return Fetch("pull", self.dir, name=f"{self.registry.address}/lib/x", tag="1", layers="all", **more)

    def test_with_password(self):
        self.assertTrue(self.pull(auth=ALICE).ok)

    def test_without(self):
        self.assertEqual(self.pull().message, f'Head "{self.registry.url}/v2/lib/x/manifests/1": no basic auth credentials')

    def test_with_a_wrong_one(self):
        done = self.pull(auth={**ALICE, "password": "wrong"})
        self.assertEqual((done.kind, done.message), ("unauthorized", "unauthorized: authentication required"))

    def test_login(self):
        done = Fetch("login", server=self.registry.address, auth=ALICE)
        self.assertTrue(done.ok, done.last)
        self.assertEqual(done.last["identitytoken"], "")
        done = Fetch("login", server=self.registry.address, auth={**ALICE, "password": "wrong"})
        self.assertEqual((done.kind, done.message),
                         ("unauthorized", f"login attempt to {self.registry.url}/v2/ failed with status: 401 Unauthorized"))

    def test_secrets_are_nowhere(self):
        """Neither in what the program says nor in what others see of it."""
        for auth in (ALICE, {**ALICE, "password": "sesame2"}):
            self.assertNotIn("sesame", json.dumps(self.pull(auth=auth).events))


class TokenTest(Directory):
    """Against a registry and a token service of our own."""

    def setUp(self):
        super().setUp()
        self.fake, self.service = Fake(), Fake("127.0.0.2")
        self.addCleanup(self.fake.close)
        self.addCleanup(self.service.close)
        self.image = self.fake.add("lib/x", Image([{"a": b"one"}, {"b": b"two"}]))
        self.tokens, self.asked, self.valid = [], [], True
        self.answer = None
        self.fake.hook, self.service.hook = self.guard, self.give

    def guard(self, h):
        if self.valid and h.headers.get("Authorization") in [f"Bearer {t}" for t in self.tokens]:
            return False
        h.refuse(401, "UNAUTHORIZED", "authentication required", {
            "WWW-Authenticate": f'Bearer realm="{self.service.url}/token",service="a \\"test\\" service",scope="repository:lib/x:pull"'})
        return True

    def give(self, h):
        query = parse_qs(urlparse(h.path).query)
        form = parse_qs(h.body.decode())
        self.asked.append((h.command, query or form, h.headers.get("Authorization")))
        if self.answer:
            return self.answer(h) or True
        self.tokens.append(f"token{len(self.tokens)}")
        h.reply(200, json.dumps({"token" if h.command == "GET" else "access_token": self.tokens[-1], "expires_in": 300,
                                 **({"refresh_token": "refreshing"} if "offline_token" in query else {})}).encode())
        return True

    def pull(self, **more):
        return Fetch("pull", self.dir, name=f"{self.fake.address}/lib/x", tag="latest", layers="all", **more)

    def test_anonymous(self):
        self.assertTrue(self.pull().ok)
        self.assertEqual(self.asked, [("GET", {"service": ['a "test" service'], "scope": ["repository:lib/x:pull"]}, None)])

    def test_with_password(self):
        self.assertTrue(self.pull(auth=ALICE).ok)
        self.assertEqual(self.asked[0][1]["account"], ["alice"])
        self.assertEqual([a[2] for a in self.asked], [BASIC])
        self.assertNotIn(BASIC, self.fake.auth)

    def test_with_identity_token(self):
        self.assertTrue(self.pull(auth={"username": "<token>", "identitytoken": "refresh me & more"}).ok)
        self.assertEqual(self.asked, [("POST", {"grant_type": ["refresh_token"], "refresh_token": ["refresh me & more"], "client_id": ["docker"],
                                                "service": ['a "test" service'], "scope": ["repository:lib/x:pull"]}, None)])

    def test_with_registry_token(self):
        self.tokens.append("given")
        self.assertTrue(self.pull(auth={"registrytoken": "given"}).ok)
        self.assertEqual(self.asked, [])

    def test_a_token_ages(self):
        """A registry that takes each token twice only."""
        used = {}

        def guard(h):
            token = h.headers.get("Authorization")
            used[token] = used.get(token, 0) + 1
            self.valid = used[token] <= 2
            return self.guard(h)

        self.fake.hook = guard
        self.assertTrue(self.pull().ok)
        self.assertGreater(len(self.asked), 1)

    def test_the_service_refuses(self):
        def refuse(h):
            h.reply(401, b'{"details":"incorrect username or password"}', {"Content-Type": "application/json"})
        self.answer = refuse
        done = self.pull(auth=ALICE)
        self.assertEqual(done.message, f'Head "{self.fake.url}/v2/lib/x/manifests/latest": unauthorized: incorrect username or password')
        done = Fetch("login", server=self.fake.address, auth=ALICE)
        self.assertEqual((done.kind, done.message),
                         ("unauthorized", f'Get "{self.fake.url}/v2/": unauthorized: incorrect username or password'))

    def test_the_service_talks_nonsense(self):
        for body, words in ((b"{}", "did not include a token"), (b"<p>", "unable to decode"), (b'{"token":"a\\r\\nX: y"}', "did not include"),
                            (b" " * (2 << 20), "longer than")):
            self.answer = lambda h, body=body: h.reply(200, body)
            self.assertIn(words, self.pull().message)
        self.service.close()
        self.assertIn("connection refused", self.pull().message)
        self.service = Fake("127.0.0.2")

    def test_a_token_that_is_not_taken(self):
        self.valid = False
        done = self.pull()
        self.assertEqual((done.kind, done.message), ("unauthorized", "unauthorized: authentication required"))
        self.assertLess(len(self.asked), 8)

    def test_not_allowed(self):
        def guard(h):
            if "/manifests/" in h.path and h.headers.get("Authorization"):
                h.refuse(401, "UNAUTHORIZED", "authentication required", {
                    "WWW-Authenticate": f'Bearer realm="{self.service.url}/token",error="insufficient_scope"'})
                return True
            return self.guard(h)

        self.fake.hook = guard
        done = self.pull()
        self.assertEqual((done.kind, done.message), (
            "not_found", f"pull access denied for {self.fake.address}/lib/x, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied"))

    def test_login(self):
        done = Fetch("login", server=f"http://{self.fake.address}/v1/", auth=ALICE)
        self.assertEqual(done.last.get("identitytoken"), "refreshing", done.last)
        self.assertEqual(self.asked[0][1]["offline_token"], ["true"])

    def test_a_challenge_that_leads_nowhere(self):
        for challenge in ("Bearer", 'Bearer realm="ftp://x/"', 'Bearer realm="/token"', 'Negotiate', 'Bearer realm="unended'):
            self.fake.hook = lambda h, c=challenge: (h.refuse(401, "UNAUTHORIZED", "", {"WWW-Authenticate": c}), True)[1]
            self.assertFalse(self.pull(auth=ALICE).ok)


class CertificateTest(Directory):
    @classmethod
    def setUpClass(cls):
        cls.certs = tempfile.mkdtemp(prefix="sockerless-certs-")
        make_certificates(cls.certs)
        cls.registry = Registry(tls=cls.certs)
        cls.strict = Registry(tls=cls.certs, client_ca=True)
        cls.image = Image([{"a": b"one"}])
        cls.registry.fill(cls.image, "x:1")

    @classmethod
    def tearDownClass(cls):
        cls.registry.close()
        cls.strict.close()
        shutil.rmtree(cls.certs)

    def place(self, registry, *names):
        base = tempfile.mkdtemp(prefix="sockerless-certs-d-")
        self.addCleanup(shutil.rmtree, base)
        os.mkdir(os.path.join(base, registry.address))
        for name in names:
            shutil.copy(os.path.join(self.certs, name), os.path.join(base, registry.address, name))
        return base

    def test_own_authority(self):
        """localhost is insecure: any certificate does there; so the authority is tested at a name that is not."""
        done = Fetch("pull", self.dir, name=f"{self.registry.address}/x", tag="1", layers="all",
                     certs_dir=self.place(self.registry, "ca.crt"))
        self.assertTrue(done.ok, done.last)
        self.assertEqual(done.all("plan")[0]["base"], self.registry.url)

    def test_client_certificate(self):
        name = f"{self.strict.address}/x"
        self.assertFalse(Fetch("tags", name=name).ok)
        done = Fetch("tags", name=name, certs_dir=self.place(self.strict, "ca.crt", "client.cert", "client.key"))
        self.assertIn("name unknown", done.message)
        done = Fetch("tags", name=name, certs_dir=self.place(self.strict, "client.cert"))
        self.assertIn("missing key", done.message)

    def test_unknown_authority(self):
        """Over a proxy that leads a secure name to our registry."""
        import socket
        import threading
        proxy = socket.create_server(("127.0.0.1", 0))
        port = self.registry.port

        def tunnel():
            while True:
                try:
                    a, _ = proxy.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(a,), daemon=True).start()

        def one(a):
            head = b""
            while b"\r\n\r\n" not in head:
                data = a.recv(4096)
                if not data:
                    return
                head += data
            seen.append(head.split(b"\r\n")[0])
            b = socket.create_connection(("127.0.0.1", port))
            a.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(target=pump, args=(b, a), daemon=True).start()
            pump(a, b)

        def pump(x, y):
            try:
                while data := x.recv(65536):
                    y.sendall(data)
                y.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        seen = []
        threading.Thread(target=tunnel, daemon=True).start()
        self.addCleanup(proxy.close)
        env = {"https_proxy": f"http://127.0.0.1:{proxy.getsockname()[1]}"}
        done = Fetch("tags", name="registry.test:443/x", env=env)
        self.assertIn("tls: failed to verify certificate", done.message)
        self.assertEqual(seen[0], b"CONNECT registry.test:443 HTTP/1.1")
        done = Fetch("tags", name="registry.test:443/x", env=env, insecure=["registry.test:443"])
        self.assertEqual(done.last.get("tags"), ["1"], done.last)


class MirrorTest(Directory):
    def setUp(self):
        super().setUp()
        self.mirror = Fake()
        self.addCleanup(self.mirror.close)
        self.image = self.mirror.add("library/x", Image([{"a": b"one"}]))

    def pull(self, name="x", **more):
        return Fetch("pull", self.dir, name=name, tag="latest", layers="all", mirrors=[self.mirror.url + "/"],
                     env={"https_proxy": "http://127.0.0.1:9"}, **more)

    def test_it_is_asked_first(self):
        done = self.pull(auth=ALICE)
        self.assertTrue(done.ok, done.last)
        self.assertEqual(set(self.mirror.auth), {None})

    def test_then_the_registry(self):
        done = self.pull("y")
        self.assertEqual(self.mirror.count("HEAD /v2/library/y/manifests/latest"), 1)
        self.assertIn('Get "https://registry-1.docker.io/v2/"', done.message)

    def test_not_for_others(self):
        self.assertFalse(self.pull("127.0.0.1:9/x").ok)
        self.assertEqual(self.mirror.log, [])

    def test_proxy_for_http(self):
        """An insecure registry by name, reached over a proxy."""
        proxy = Fake()
        self.addCleanup(proxy.close)
        proxy.hook = lambda h: (h.reply(200, b'{"tags":["via"]}'), True)[1]
        for variable in ("http_proxy", "HTTP_PROXY"):
            done = Fetch("tags", name="registry.test:80/x", insecure=["registry.test:80"], env={variable: proxy.url, "https_proxy": "http://127.0.0.1:9"})
            self.assertEqual(done.last.get("tags"), ["via"], done.last)
        self.assertEqual(proxy.log[0], "GET http://registry.test/v2/")


class QuestionTest(Directory):
    """inspect, tags, search, download."""

    def setUp(self):
        super().setUp()
        self.fake = Fake()
        self.addCleanup(self.fake.close)

    def test_inspect(self):
        image = self.fake.add("x", Image([{"a": b"one"}], docker=True, arch="arm64", variant="v8"))
        done = Fetch("inspect", name=f"{self.fake.address}/x", tag="latest")
        self.assertEqual(done.last, {"event": "result", "descriptor": {"mediaType": image.media_type, "digest": image.digest,
                                                                       "size": len(image.manifest)},
                                     "platforms": [{"architecture": "arm64", "os": "linux", "variant": "v8"}]})
        other = self.fake.add("x", Image([{"a": b"one"}]))
        body = index_of(image, other)
        self.fake.add_index("x", body)
        done = Fetch("inspect", name=f"{self.fake.address}/x", tag="latest")
        self.assertEqual([p["architecture"] for p in done.last["platforms"]], ["arm64", "amd64"])
        self.assertEqual(done.last["descriptor"]["size"], len(body))

    def test_tags_over_pages(self):
        def pages(h):
            if "tags/list" not in h.path:
                return False
            if "last=b" in h.path:
                h.reply(200, b'{"name":"x","tags":["c"]}')
            else:
                h.reply(200, b'{"name":"x","tags":["a","b","../bad"]}', {"Link": '</v2/x/tags/list?last=b&n=2>; rel="next"'})
            return True

        self.fake.hook = pages
        self.assertEqual(Fetch("tags", name=f"{self.fake.address}/x").last["tags"], ["a", "b", "c"])

    def test_search(self):
        found = [{"name": "a", "description": "A", "star_count": 3, "is_official": True}]

        def search(h):
            if not h.path.startswith("/v1/search"):
                return False
            h.reply(200, json.dumps({"results": found}).encode() if "q=a%2Fb%20c" in h.path and "n=25" in h.path else b"no")
            return True

        self.fake.hook = search
        self.assertEqual(Fetch("search", term=f"{self.fake.address}/a/b c").last.get("results"), found)
        self.assertEqual(Fetch("search", term=f"{self.fake.address}/a", limit=5).message,
                         "error decoding registry search results: it is not JSON")
        self.assertEqual(Fetch("search", term="a", limit=101).message, "limit 101 is outside the range of [1, 100]")
        self.assertEqual(Fetch("search", term="http://a").message,
                         "invalid repository name: repository name (http://a) should not have a scheme")
        self.fake.hook = None
        self.assertEqual(Fetch("search", term=f"{self.fake.address}/a").message, "unexpected status code 404")

    def test_download(self):
        def give(h):
            if h.path == "/file":
                h.reply(200, b"content", {"Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT", "Content-Type": "text/plain"})
            elif h.path == "/moved":
                h.reply(302, headers={"Location": "/file"})
            else:
                h.reply(404)
            return True

        self.fake.hook = give
        for path in ("/file", "/moved"):
            done = Fetch("download", self.dir, url=self.fake.url + path, file="it")
            self.assertTrue(done.ok, done.last)
            self.assertEqual(done.all("head")[0]["lastModified"], "Tue, 02 Jan 2024 03:04:05 GMT")
            with open(os.path.join(self.dir, "it"), "rb") as f:
                self.assertEqual(f.read(), b"content")
        self.assertEqual(Fetch("download", self.dir, url=self.fake.url + "/none", file="no").message,
                         f"failed to GET {self.fake.url}/none with status 404 Not Found")
        self.assertIn("more than 3", Fetch("download", self.dir, url=self.fake.url + "/file", file="no", max=3).message)
        for bad in ({"url": "file:///etc/passwd", "file": "no"}, {"url": self.fake.url, "file": "../no"}, {"url": "", "file": "no"}):
            self.assertEqual(Fetch("download", self.dir, **bad).kind, "invalid")
        self.assertEqual(os.listdir(self.dir), ["it"])
