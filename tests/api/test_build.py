"""POST /build beside what tests/build/cases says of Dockerfiles: the stream to the byte, its end, cancels, caches, times."""
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

from harness import DEADLINE_S, ApiTest, Daemon, KeptPort, urlencode


def context(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            info.mtime = time.time()
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class BuildTest(ApiTest):
    def build(self, dockerfile, query=(), version="v1.51", **files):
        return self.d.call("POST", "/build?" + urlencode(list(query)), context(Dockerfile=dockerfile, **files), version=version)

    def running(self, word):
        return [c for c in self.d.call("GET", "/containers/json").json if word in c["Command"]]

    def until_held(self):
        self.d.wait_for(lambda: self.running("/held/go"), "the step does not run")

    def let_go(self):
        """False: the step had ended by itself."""
        for c in self.running("/held/go"):
            eid = self.d.exec(c["Id"], "touch", "/held/go")
            return self.d.call("POST", f"/exec/{eid}/start", {"Detach": True}).status == 200
        return False

    def image(self, reply):
        self.assertEqual(reply.status, 200, reply.body)
        ids = [line["aux"]["ID"] for line in reply.lines() if "aux" in line]
        self.assertTrue(ids, reply.body)
        return ids[-1]


# A RUN that goes on until let_go is called: the file is no part of the image.
HELD = "RUN --mount=type=tmpfs,target=/held while ! test -e /held/go; do sleep 0.05; done"


class Stream(BuildTest):
    def test_to_the_byte(self):
        reply = self.build("FROM busybox\nENV A=<b>\n", [("t", "made:1"), ("t", "other"), ("buildargs", '{"X":"1"}')])
        image = self.image(reply)
        base = self.d.call("GET", "/images/busybox/json").json["Id"]
        lines = reply.body.decode().split("\r\n")
        running, removed = lines[5][-16:-4], lines[6][-16:-4]
        self.assertEqual(running, removed)
        self.assertEqual(lines, [
            '{"stream":"Step 1/2 : FROM busybox"}', '{"stream":"\\n"}', f'{{"stream":" ---\\u003e {base[7:19]}\\n"}}',
            '{"stream":"Step 2/2 : ENV A=\\u003cb\\u003e"}', '{"stream":"\\n"}', f'{{"stream":" ---\\u003e Running in {running}\\n"}}',
            f'{{"stream":" ---\\u003e Removed intermediate container {removed}\\n"}}', f'{{"stream":" ---\\u003e {image[7:19]}\\n"}}',
            f'{{"aux":{{"ID":"{image}"}}}}', '{"stream":"[Warning] One or more build-args [X] were not consumed\\n"}',
            f'{{"stream":"Successfully built {image[7:19]}\\n"}}', '{"stream":"Successfully tagged made:1\\n"}',
            '{"stream":"Successfully tagged other:latest\\n"}', ""])
        self.assertEqual(reply.headers["Content-Type"], "application/json")

    def test_an_error_in_the_stream(self):
        reply = self.build("FROM busybox\nRUN exit 5\n", [("forcerm", "1")])
        self.assertEqual(reply.lines()[-1], {"errorDetail": {"code": 5, "message": "The command '/bin/sh -c exit 5' returned a non-zero code: 5"},
                                             "error": "The command '/bin/sh -c exit 5' returned a non-zero code: 5"})

    def test_quiet(self):
        image = self.image(self.build("FROM busybox\nENV Q=1\n"))
        self.assertEqual(self.build("FROM busybox\nENV Q=1\n", [("q", "1")]).lines(), [{"stream": image + "\n"}])
        self.assertError(self.build("FROM busybox\nRUN exit 1\n", [("q", "1"), ("forcerm", "1")]), 500,
                         "The command '/bin/sh -c exit 1' returned a non-zero code: 1")

    def test_old_versions_have_no_ids(self):
        self.assertNotIn(b"aux", self.build("FROM busybox\nENV O=1\n", version="v1.29").body)

    def test_events(self):
        """Of each image that a step makes; of none that the cache had, and none for clients that do not know them."""
        text, since = "FROM busybox\nENV EVENTS=1\nRUN true\nCOPY f /f\nRUN rm /f\n", time.time()

        def told(version="v1.51"):
            return [e["Actor"]["ID"] for e in self.d.events(since, version=version, type=["image"], event=["create"])]

        image = self.image(self.build(text, f="1"))
        made = [entry["Id"] for entry in self.d.call("GET", f"/images/{image}/history").json][:4]
        self.assertEqual((told(), told("v1.45")), (made[::-1], []))
        since = time.time()
        self.assertEqual(self.image(self.build(text, f="1")), image)
        self.image(self.build("FROM busybox\nENV EVENTS=1\nRUN true\n", [("cachefrom", json.dumps([image]))]))
        self.assertEqual(told(), [])

    def test_what_is_no_context(self):
        self.assertEqual(self.d.call("POST", "/build", b"no tar" * 200).status, 500)
        for remote, text in (("nonsense", "remoteURL (nonsense) could not be recognized as URL"),
                             ("ftp://h/x", "remoteURL (ftp://h/x) could not be recognized as URL")):
            self.assertError(self.d.call("POST", "/build?" + urlencode({"remote": remote}), b""), 500, text)


class Remote(BuildTest):
    """URLs: a server of the test's own on loopback."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.files = {"/context.tar": context(Dockerfile="FROM busybox\nCOPY f /g\n", f="from afar\n"), "/Dockerfile": b"FROM busybox\nENV A=afar\n",
                     "/dir/file": b"downloaded\n", "/": b"root\n", "/told/": b"told\n"}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                data = cls.files.get(self.path)
                self.send_response(200 if data is not None else 404)
                self.send_header("Content-Length", str(len(data or b"")))
                if self.path == "/told/":
                    self.send_header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
                    self.send_header("Content-Disposition", 'attachment; filename="../x/named.txt"')
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_):
                pass
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.url = f"http://127.0.0.1:{cls.server.server_port}"

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        super().tearDownClass()

    def text_of(self, image, path):
        cid = self.d.call("POST", "/containers/create", {"Image": image, "Cmd": ["x"]}).json["Id"]
        with tarfile.open(fileobj=io.BytesIO(self.d.call("GET", f"/containers/{cid}/archive", query={"path": path}).body)) as tar:
            member = tar.next()
            text = tar.extractfile(member).read()
        self.d.remove(cid)
        return text, member

    def remote(self, path):
        return self.d.call("POST", "/build?" + urlencode({"remote": self.url + path}), b"")

    def test_contexts(self):
        self.assertEqual(self.text_of(self.image(self.remote("/context.tar")), "/g")[0], b"from afar\n")
        image = self.image(self.remote("/Dockerfile"))
        self.assertIn("A=afar", self.d.call("GET", f"/images/{image}/json").json["Config"]["Env"])
        reply = self.remote("/nope")
        self.assertEqual(reply.status, 404)
        self.assertIn("failed to GET", reply.message)

    def test_add(self):
        image = self.image(self.build(f"FROM busybox\nADD {self.url}/dir/file /d/\nADD {self.url}/ /name\n"))
        text, member = self.text_of(image, "/d/file")
        self.assertEqual((text, member.mode, member.uid), (b"downloaded\n", 0o600, 0))
        self.assertEqual(self.text_of(image, "/name")[0], b"root\n")
        digest = "sha256:" + hashlib.sha256(b"downloaded\n").hexdigest()
        self.image(self.build(f"FROM busybox\nADD --checksum={digest} {self.url}/dir/file /x\n"))
        for line, text in ((f"ADD --checksum=sha256:{'0' * 64} {self.url}/dir/file /x", "digest mismatch"), (f"ADD {self.url}/nope /x", "failed to GET"),
                           (f"ADD {self.url}/ /d/", "cannot determine filename for source")):
            self.assertIn(text, self.build(f"FROM busybox\n{line}\n").lines()[-1]["error"])

    def test_what_a_server_tells(self):
        """When a file was changed last, and what it is called where the URL does not say so."""
        image = self.image(self.build(f"FROM busybox\nADD {self.url}/dir/file /old\nADD {self.url}/told/ /d/\n"))
        self.assertEqual(self.text_of(image, "/old")[1].mtime, 0)
        text, member = self.text_of(image, "/d/named.txt")
        self.assertEqual((text, member.mtime), (b"told\n", 784111777))
        packed, open_ = (self.image(self.build(f"FROM busybox\nADD {flag}{self.url}/context.tar /p/\n")) for flag in ("", "--unpack "))
        self.assertTrue(self.text_of(packed, "/p/context.tar")[0])
        self.assertEqual(self.text_of(open_, "/p/f")[0], b"from afar\n")

    def test_a_base_that_nobody_has(self):
        d = Daemon("--images", "registry")
        try:
            reply = d.call("POST", "/build", context(Dockerfile=f"FROM {self.url[7:]}/no/such\n"))
            self.assertTrue(reply.lines()[-1].get("error"), reply.body)
        finally:
            d.stop()


@unittest.skipUnless(shutil.which("git"), "git is not installed")
class Git(Remote):
    """Repositories: over a server of plain files, and over git's own protocol."""

    @classmethod
    def git(cls, *words, cwd=None):
        env = {"PATH": os.environ["PATH"], "HOME": cls.dir, "GIT_CONFIG_GLOBAL": "/dev/null"}
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main")
        return subprocess.run(["git", *who, *words], cwd=cwd or f"{cls.dir}/work", env=env, check=True, capture_output=True, text=True).stdout.strip()

    @classmethod
    def put(cls, path, text):
        full = f"{cls.dir}/work/{path}"
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)

    @classmethod
    def make_repositories(cls):
        os.mkdir(f"{cls.dir}/work")
        cls.git("init", "-q")
        cls.put("f", "first\n")
        cls.put("Dockerfile", "FROM busybox\nCOPY . /g/\n")
        cls.put("sub/Dockerfile", "FROM busybox\nCOPY f /g/sub\n")
        cls.put("sub/f", "below\n")
        cls.put("run", "#!/bin/sh\n")
        os.chmod(f"{cls.dir}/work/run", 0o700)
        os.symlink("/etc", f"{cls.dir}/work/out")
        os.symlink("sub", f"{cls.dir}/work/in")
        cls.git("add", "-A")
        cls.git("commit", "-qm", "first")
        cls.git("tag", "v1")
        cls.put("f", "second\n")
        cls.git("commit", "-qam", "second")
        cls.git("checkout", "-qb", "side/branch", "v1")
        cls.put("f", "side\n")
        cls.git("commit", "-qam", "side")
        cls.git("checkout", "-q", "main")
        cls.git("clone", "-q", "--bare", f"{cls.dir}/work", f"{cls.dir}/srv/x.git", cwd=cls.dir)
        cls.git("update-server-info", cwd=f"{cls.dir}/srv/x.git")
        open(f"{cls.dir}/srv/x.git/git-daemon-export-ok", "w", encoding="utf-8").close()

    @classmethod
    def make_with_submodules(cls):
        """One that a client of this server may have, and one that it may not."""
        for name, url in (("with", f"{cls.url}/x.git"), ("evil", f"file://{cls.dir}/srv/x.git")):
            work = f"{cls.dir}/{name}"
            cls.git("init", "-q", work, cwd=cls.dir)
            with open(f"{work}/.gitmodules", "w", encoding="utf-8") as f:
                f.write(f'[submodule "m"]\n\tpath = m\n\turl = {url}\n')
            with open(f"{work}/Dockerfile", "w", encoding="utf-8") as f:
                f.write("FROM busybox\nCOPY m/f /g/f\n")
            cls.git("add", "-A", cwd=work)
            cls.git("update-index", "--add", "--cacheinfo", f"160000,{cls.git('rev-parse', 'main')},m", cwd=work)
            cls.git("commit", "-qm", "m", cwd=work)
            cls.git("clone", "-q", "--bare", work, f"{cls.dir}/srv/{name}.git", cwd=cls.dir)
            cls.git("update-server-info", cwd=f"{cls.dir}/srv/{name}.git")

    @classmethod
    def setUpClass(cls):
        BuildTest.setUpClass.__func__(cls)
        cls.dir = tempfile.mkdtemp(prefix="sockerless-git-")
        os.mkdir(f"{cls.dir}/srv")
        cls.make_repositories()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=f"{cls.dir}/srv")

            def log_message(self, *_):
                pass
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.url = f"http://127.0.0.1:{cls.server.server_port}"
        cls.make_with_submodules()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.dir)

    test_contexts = test_what_a_server_tells = test_a_base_that_nobody_has = None

    def clone(self, path, **args):
        return self.d.call("POST", "/build?" + urlencode({"remote": self.url + path, "buildargs": json.dumps(args)}), b"")

    def file(self, reply, path="/g/f"):
        return self.text_of(self.image(reply), path)[0].decode()

    def test_refs_and_directories(self):
        for fragment, path, text in (("", "/g/f", "second\n"), ("#", "/g/f", "second\n"), ("#main", "/g/f", "second\n"), ("#v1", "/g/f", "first\n"),
                                     ("#side/branch", "/g/f", "side\n"), ("#:sub", "/g/sub", "below\n"), ("#v1:sub/", "/g/sub", "below\n"),
                                     ("#:in", "/g/sub", "below\n"), ("#refs/tags/v1", "/g/f", "first\n")):
            self.assertEqual(self.file(self.clone("/x.git" + fragment), path), text, fragment)

    def test_the_tree(self):
        first, second = self.image(self.clone("/x.git")), self.image(self.clone("/x.git"))
        self.assertEqual(first, second, "a clone is no reason to copy anew")
        self.assertEqual(self.text_of(first, "/g/run")[1].mode, 0o755)
        self.assertRegex(self.file(self.clone("/x.git", BUILDKIT_CONTEXT_KEEP_GIT_DIR="1"), "/g/.git/HEAD"), "^[0-9a-f]{40}\n$")
        cid = self.d.call("POST", "/containers/create", {"Image": first, "Cmd": ["x"]}).json["Id"]
        self.assertEqual(self.d.call("HEAD", f"/containers/{cid}/archive?path=/g/.git").status, 404)
        self.d.remove(cid)

    def test_what_is_refused(self):
        for fragment, text in (("#nosuch", "error fetching: fatal: "), ("#--upload-pack=touch", "invalid refspec: --upload-pack=touch"),
                               ("#a..b", "invalid refspec: a..b"), ("#+refs/heads/*", "invalid refspec: +refs/heads/*"),
                               ("#:nosuch", "error setting git context, stat nosuch: no such file or directory"),
                               ("#:f", "error setting git context, not a directory: f"), ("#:out", "error setting git context, stat out: no such file"),
                               ("#:../..", None)):
            reply = self.clone("/x.git" + fragment)
            if text is None: # what leads out ends at the repository
                self.assertEqual(self.file(reply), "second\n")
                continue
            self.assertEqual(reply.status, 400 if "refspec" in text else 500, reply.body)
            self.assertIn(text, reply.message)
        self.assertEqual(self.clone("/nosuch.git").status, 500)
        for remote in ("ext::sh -c touch% /tmp/x.git", "file:///etc/x.git", "-u.git"):
            self.assertError(self.d.call("POST", "/build?" + urlencode({"remote": remote}), b""), 500,
                             f"remoteURL ({remote}) could not be recognized as URL")
        self.assertEqual(os.listdir(os.path.join(self.d.data, "build")), [])

    def test_add(self):
        """ADD of a repository: a new checkout for each, its files root's, found in the cache by what they are."""
        dockerfile = f"FROM busybox\nADD {self.url}/x.git#v1 /one\nADD --keep-git-dir=true {self.url}/x.git#main:sub /two/\nADD {self.url}/x.git#v1 /three\n"
        image = self.image(self.build(dockerfile))
        self.assertEqual(self.text_of(image, "/one/f")[0], b"first\n")
        self.assertEqual(self.text_of(image, "/two/f")[0], b"below\n")
        self.assertEqual(self.text_of(image, "/three/f")[0], b"first\n")
        self.assertEqual(self.text_of(image, "/one/run")[1].mode, 0o755)
        self.assertEqual(self.image(self.build(dockerfile)), image)
        kept = self.image(self.build(f"FROM busybox\nADD --keep-git-dir {self.url}/x.git#v1 /one\n"))
        self.assertRegex(self.text_of(kept, "/one/.git/HEAD")[0], b"^[0-9a-f]{40}\n$")
        for words, text in ((f"{self.url}/x.git f /d/", "ADD failed: a Git repository must be the only source"),
                            (f"{self.url}/x.git#nosuch /d/", "ADD failed: error fetching: fatal: "),
                            (f"{self.url}/x.git#:nosuch /d/", "ADD failed: error setting git context, stat nosuch: no such file or directory")):
            self.assertIn(text, self.build(f"FROM busybox\nADD {words}\n", f="").lines()[-1]["error"])

    def test_submodules(self):
        self.assertEqual(self.file(self.clone("/with.git")), "second\n")
        reply = self.clone("/evil.git")
        self.assertIn("error initializing submodules: fatal: transport 'file' not allowed", reply.message)

    def test_the_protocol_of_git(self):
        kept = KeptPort()
        self.addCleanup(kept.close)
        port = kept.number
        with subprocess.Popen(["git", "daemon", "--listen=127.0.0.1", f"--port={port}", f"--base-path={self.dir}/srv", "--reuseaddr", "--log-destination=none"]) as p:
            try:
                self.d.wait_for(lambda: not socket.socket().connect_ex(("127.0.0.1", port)), "git daemon does not listen")
                reply = self.d.call("POST", "/build?" + urlencode({"remote": f"git://127.0.0.1:{port}/x.git#v1"}), b"")
                self.assertEqual(self.file(reply), "first\n")
            finally:
                p.terminate()

    def test_cancel(self):
        """A server that never answers: what git has started goes, too."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            remote = f"http://127.0.0.1:{s.getsockname()[1]}/slow.git"
            reply = self.d.later("POST", "/build?" + urlencode({"remote": remote, "buildid": "git"}), b"")
            s.settimeout(DEADLINE_S)
            with s.accept()[0]:
                self.d.call("POST", "/build/cancel?id=git")
                self.assertIn("Build cancelled", reply().message)
        def left():
            return subprocess.run(["pgrep", "-f", remote], capture_output=True, check=False).stdout
        self.d.wait_for(lambda: not left(), "git goes on")

    def test_without_git(self):
        d = Daemon(env={"PATH": "/nonexistent"})
        try:
            self.assertError(d.call("POST", "/build?" + urlencode({"remote": f"{self.url}/x.git"}), b""), 501,
                             "unable to find 'git': exec: \"git\": executable file not found in $PATH")
        finally:
            d.stop()


class Ends(BuildTest):
    def steps_running(self):
        return [c for c in self.d.call("GET", "/containers/json").json if "sleep" in c["Command"]]

    def test_cancel(self):
        reply = self.d.later("POST", "/build?buildid=me", context(Dockerfile="FROM busybox\nRUN sleep 100\n"))
        self.d.wait_for(self.steps_running, "the step does not run")
        self.assertEqual(self.d.call("POST", "/build/cancel?id=other").status, 200)
        self.assertTrue(self.steps_running())
        self.assertEqual(self.d.call("POST", "/build/cancel?id=me").status, 200)
        self.assertEqual(reply().lines()[-1]["error"], "build cancelled")
        self.assertEqual(self.d.call("GET", "/containers/json?all=1").json, [])

    def test_a_client_that_breaks_off(self):
        with self.d.connect() as s:
            s.sendall(b"POST /v1.51/build HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000)
        self.assertEqual(self.d.call("GET", "/_ping").status, 200)
        self.d.wait_for(lambda: not os.listdir(os.path.join(self.d.data, "build")), "the context is left")

    def test_the_daemon_stops_meanwhile(self):
        d = Daemon()
        body = context(Dockerfile="FROM busybox\nRUN sleep 100\n")
        with d.connect() as s:
            s.sendall(f"POST /v1.51/build HTTP/1.1\r\nHost: d\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            d.wait_for(lambda: d.call("GET", "/containers/json").json, "the step does not run")
            d.end()
        d.start()
        self.assertEqual(os.listdir(d.data).count("build"), 0)
        d.stop()

    def test_contexts_are_removed(self):
        self.image(self.build("FROM busybox\nCOPY f /\n", f="x"))
        self.assertEqual(os.listdir(os.path.join(self.d.data, "build")), [])


class Meanwhile(BuildTest):
    """What is pruned and removed while a RUN sleeps."""

    def prune_all(self):
        self.d.call("POST", "/containers/prune")
        self.d.call("POST", "/images/prune", query={"filters": '{"dangling":["false"]}'})
        self.d.call("POST", "/build/prune", query={"all": "1"})

    def test_images_in_use_stay(self):
        """The newest image, one of an earlier stage, the base that loses its name, and the source of a later COPY."""
        self.image(self.build("FROM busybox\nRUN echo base >/base\n", [("t", "base:prune")]))
        self.image(self.build("FROM busybox\nRUN echo source >/source\n", [("t", "source:prune")]))
        dockerfile = ("FROM base:prune AS one\nRUN echo 1 >/one\nFROM base:prune\nRUN --mount=from=source:prune,target=/m cp /m/source /s\n"
                      f"ENV A=b\n{HELD}\nRUN echo 2 >/two\nCOPY --from=one /one /one\n")
        reply = self.d.later("POST", "/build?buildid=prune", context(Dockerfile=dockerfile))
        self.until_held()
        newest = self.running("/held/go")[0]["ImageID"]
        self.prune_all()
        self.assertError(self.d.call("DELETE", f"/images/{newest}?force=1"), 409,
                         f"conflict: unable to delete {newest[7:19]} (cannot be forced) - image is being used by a running build")
        self.d.call("DELETE", "/images/base:prune?force=1")
        self.assertTrue(self.let_go(), "the step has ended too early: nothing was tested")
        lines = reply().lines()
        self.assertIn("aux", lines[-2], lines)
        self.assertEqual(self.d.call("DELETE", f"/images/{lines[-2]['aux']['ID']}").status, 200)
        self.prune_all()
        self.assertEqual(self.d.call("GET", f"/images/{newest}/json").status, 404)

    def test_the_image_is_free_when_it_is_told(self):
        """A client need not wait for the reply's end, which comes when the context's files are gone."""
        body = context(Dockerfile="FROM busybox\nENV FREE=1\n", **{f"f{i}": "x" for i in range(5000)})
        with self.d.connect(timeout=60) as s:
            s.sendall(f"POST /v1.51/build HTTP/1.1\r\nHost: d\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            text = b""
            while b"Successfully built" not in text:
                data = s.recv(65536)
                self.assertTrue(data, text)
                text += data
            image = re.search(rb'"ID":"(sha256:[0-9a-f]+)"', text).group(1).decode()
            self.assertEqual(self.d.call("DELETE", f"/images/{image}?force=1").status, 200)
            while data:
                data = s.recv(65536)
                text += data
                if text.endswith(b"0\r\n\r\n"):
                    break
        self.assertNotIn(b"errorDetail", text)

    def test_many_prunes(self):
        """One after the other, as fast as may be, during a build of many short steps: between create and start, while layers are made."""
        ends = threading.Event()

        def prune():
            while not ends.is_set():
                self.prune_all()
        threads = [threading.Thread(target=prune) for _ in range(2)]
        for t in threads:
            t.start()
        try:
            for n in range(3):
                steps = "".join(f"RUN head -c 200000 /dev/urandom >/f{k}; echo {n}\nENV N=\"{n} {k}\"\nCOPY f /c{k}\n" for k in range(10))
                reply = self.build("FROM busybox\n" + steps + "RUN ls /f0 /f9 /c0 /c9\n", [("nocache", "1")], f="x")
                self.image(reply)
                self.assertNotIn(b'"error"', reply.body)
        finally:
            ends.set()
            for t in threads:
                t.join()

    def test_a_container_that_is_removed(self):
        reply = self.d.later("POST", "/build", context(Dockerfile="FROM busybox\nRUN trap '' TERM; sleep 100\n"))
        self.d.wait_for(lambda: self.running("sleep 100"), "the step does not run")
        self.d.call("DELETE", f"/containers/{self.running('sleep')[0]['Id']}?force=1")
        self.assertIn("error", reply().lines()[-1])
        self.d.wait_for(lambda: not self.d.call("GET", "/containers/json?all=1").json, "it is left")


class Containers(BuildTest):
    """--rm and --force-rm: which containers stay (moby: containerManager.RemoveAll)."""

    def left(self):
        found = [(c["Command"], c["State"], c["Image"]) for c in self.d.call("GET", "/containers/json?all=1").json]
        self.d.call("POST", "/containers/prune")
        return found

    def test_none_after_a_success(self):
        self.image(self.build("FROM busybox\nENV K=1\nRUN true 1\n"))
        self.assertEqual(self.left(), [])

    def test_the_one_that_failed(self):
        text = self.build("FROM busybox\nENV K=2\nRUN exit 3\n").body.decode()
        self.assertEqual([(c, s) for c, s, _ in self.left()], [("/bin/sh -c 'exit 3'", "exited")])
        self.assertEqual(text.count("Removed intermediate container"), 1)
        self.build("FROM busybox\nRUN exit 3\n", [("forcerm", "1")])
        self.assertEqual(self.left(), [])

    def test_all_without_rm(self):
        reply = self.build("FROM busybox\nENV K=3\nRUN true 3\nWORKDIR /w\nCOPY f /\nRUN exit 4\n", [("rm", "0")], f="x")
        text = reply.body.decode()
        self.assertNotIn("Removed intermediate", text)
        told = [line["stream"][len(" ---> Running in "):-1] for line in reply.lines() if line.get("stream", "").startswith(" ---> Running in")]
        have = [c["Id"][:12] for c in self.d.call("GET", "/containers/json?all=1").json]
        self.assertEqual(told, have[::-1])
        base = self.d.call("GET", "/images/busybox/json").json["Id"]
        found = self.left()
        self.assertEqual([(c, s) for c, s, _ in found], [
            ("/bin/sh -c 'exit 4'", "exited"), ("/bin/sh -c '#(nop) WORKDIR /w'", "created"), ("/bin/sh -c 'true 3'", "exited"),
            ("/bin/sh -c '#(nop) ' 'ENV K=3'", "created")])
        self.assertIn(found[-1][2], ("busybox", base))


class Cache(BuildTest):
    def test_it_survives_a_restart(self):
        dockerfile = "FROM busybox\nRUN date +%N >/now\nCOPY f /f\n"
        image = self.image(self.build(dockerfile, f="1"))
        self.d.end()
        self.d.start()
        self.assertEqual(self.image(self.build(dockerfile, f="1")), image)
        self.assertNotEqual(self.image(self.build(dockerfile, f="2")), image)

    def test_mode_counts_time_does_not(self):
        image = self.image(self.build("FROM busybox\nCOPY f /f\n", f="time"))
        time.sleep(1.1)
        self.assertEqual(self.image(self.build("FROM busybox\nCOPY f /f\n", f="time")), image)

    def test_reproducible(self):
        dockerfile, epoch = "FROM scratch\nCOPY f /d/\nENV A=b\n", [("buildargs", '{"SOURCE_DATE_EPOCH":"1000000000"}')]
        first = self.image(self.build(dockerfile, epoch, f="x"))
        self.assertEqual(self.d.call("GET", f"/images/{first}/json").json["Created"], "2001-09-09T01:46:40Z")
        other = Daemon()
        try:
            reply = other.call("POST", "/build?" + urlencode(epoch), context(Dockerfile=dockerfile, f="x"))
            self.assertEqual(self.image(reply), first)
        finally:
            other.stop()

    def test_mounted_caches(self):
        self.image(self.build("FROM busybox\nRUN --mount=type=cache,target=/c,id=told head -c 3000 /dev/zero >/c/f\n"))
        self.d.wait_for(lambda: self.usage()["TotalSize"] >= 3000, "the cache is not measured")
        item, = (i for i in self.d.call("GET", "/system/df?verbose=1", version="v1.55").json["BuildCacheUsage"]["Items"] if i["Description"] == "told")
        self.assertEqual((item["Type"], item["Description"], item["InUse"], item["UsageCount"]), ("exec.cachemount", "told", False, 1))
        self.assertIn(item["ID"], [i["ID"] for i in self.d.call("GET", "/system/df", version="v1.51").json["BuildCache"]])
        self.assertEqual(self.d.call("POST", "/build/prune", query={"filters": '{"until":["1h"]}'}).json["CachesDeleted"], None)
        report = self.d.call("POST", "/build/prune", query={"all": "1"}).json
        self.assertIn(item["ID"], report["CachesDeleted"])
        self.assertGreaterEqual(report["SpaceReclaimed"], 3000)
        self.assertEqual(self.d.call("GET", "/system/df", version="v1.51").json["BuildCache"], [])

    def test_mounted_caches_are_kept_and_removed(self):
        self.prune(all="1")
        place = os.path.join(self.d.data, "build-cache")
        mount = "FROM busybox\nRUN --mount=type=cache,target=/c,id=kept "
        self.image(self.build(mount + "mkdir /c/d && head -c 3000 /dev/zero >/c/d/f\n"))
        self.d.wait_for(lambda: self.usage()["TotalSize"] >= 3000, "the cache is not measured")
        kept, = os.listdir(place)
        self.d.end()
        os.rename(os.path.join(place, kept), os.path.join(place, kept.split(".")[0])) # as it was called once
        shutil.copytree(os.path.join(place, kept.split(".")[0]), os.path.join(place, "0" * 64 + ".0"))
        os.unlink(os.path.join(place, "0" * 64 + ".0", "record.json")) # killed while it was removed, or in use for the first time
        self.d.start()
        self.assertEqual(os.listdir(place), [kept.split(".")[0]])
        item, = (i for i in self.records() if i["Type"] == "exec.cachemount")
        self.assertEqual((item["ID"], item["Description"], item["UsageCount"]), (kept.split(".")[0], "kept", 1))
        self.assertGreaterEqual(item["Size"], 3000)
        self.assertIn("found 3000", self.build(mount + "echo found $(wc -c </c/d/f)\n", [("nocache", "1")]).body.decode())
        self.d.wait_for(lambda: not any(i["InUse"] for i in self.records() if i["Type"] == "exec.cachemount"), "the cache is in use")
        self.assertIn(item["ID"], self.prune(all="1")["CachesDeleted"])
        # The next one is new, whatever has become of the old one's files by then.
        self.assertIn("found 0", self.build(mount + "echo found $(ls /c | wc -l)\n", [("nocache", "1")]).body.decode())
        self.d.wait_for(lambda: kept.split(".")[0] not in os.listdir(place), "the removed cache's files")
        self.assertEqual(len(os.listdir(place)), 1)
        self.d.wait_for(lambda: self.prune(all="1")["CachesDeleted"] and not os.listdir(place), "the last cache's files")

    def usage(self):
        return {"TotalSize": 0, **self.d.call("GET", "/system/df", version="v1.55").json["BuildCacheUsage"]}

    def records(self):
        return self.d.call("GET", "/system/df", version="v1.51").json["BuildCache"]

    def sums(self):
        df = self.d.call("GET", "/system/df", version="v1.51").json
        return df["LayersSize"], sum(r["Size"] for r in df["BuildCache"] if not r["Shared"])

    def prune(self, filters=None, version="v1.51", **query):
        if filters:
            query["filters"] = json.dumps(filters)
        return self.d.call("POST", "/build/prune", query=query, version=version).json

    def test_steps_are_records(self):
        """What a failed build leaves is the cache's own, what a name keeps is shared; each byte is told once."""
        self.prune(all="1")
        before = self.sums()
        image = self.image(self.build("FROM busybox\nRUN head -c 100000 /dev/zero >/kept\nENV R=1\n", [("t", "record:kept")]))
        self.build("FROM busybox\nRUN head -c 50000 /dev/zero >/lost\nRUN exit 1\n", [("forcerm", "1")])
        kept, env, lost = sorted(self.records(), key=lambda r: r["CreatedAt"])
        self.assertEqual([r["Type"] for r in (kept, env, lost)], ["regular"] * 3)
        self.assertEqual((kept["Description"], kept["Shared"], env["Shared"], env["Size"], env["Parents"]),
                         ("/bin/sh -c head -c 100000 /dev/zero >/kept", True, True, 0, [kept["ID"]]))
        self.assertEqual(("sha256:" + env["ID"], lost["Shared"], lost["InUse"], lost["UsageCount"]), (image, False, False, 1))
        self.assertGreaterEqual(lost["Size"], 50000)
        images, cache = self.sums()
        self.assertGreaterEqual(images - before[0], 100000)
        self.assertLess(images - before[0], 150000)
        self.assertEqual(cache - before[1], lost["Size"])
        report = self.prune()
        self.assertEqual(report, {"CachesDeleted": [lost["ID"]], "SpaceReclaimed": lost["Size"]})
        self.assertEqual(self.d.call("GET", f"/images/{lost['ID']}/json").status, 404)
        self.assertEqual(self.sums(), (images, 0))
        self.assertCountEqual(self.prune(all="1")["CachesDeleted"], [kept["ID"], env["ID"]])
        self.assertEqual((self.records(), self.sums()), ([], (images, 0)))
        text = self.build("FROM busybox\nRUN head -c 100000 /dev/zero >/kept\nENV R=1\n").body.decode()
        self.assertNotIn("Using cache", text)
        self.d.end()
        self.d.start()
        self.assertEqual(len(self.records()), 2)
        self.prune(all="1")
        self.d.call("DELETE", "/images/record:kept")
        self.assertEqual(self.sums(), before)

    @unittest.skipUnless(os.path.isdir("/dev/shm"), "it needs a file system whose free space nobody else changes")
    def test_free_space_is_made_once(self):
        """More records than one slice takes: what is to stay is not decided anew for each."""
        tempfile.tempdir = "/dev/shm"
        try:
            own = Daemon()
        finally:
            tempfile.tempdir = None
        try:
            for i in range(260):
                self.image(own.call("POST", "/build", context(Dockerfile="FROM busybox\nCOPY f /f\n", f=f"{i:05}" * 13107)))
            records = own.call("GET", "/system/df", version="v1.51").json["BuildCache"]
            self.assertEqual(len(records), 260)
            free = os.statvfs(own.data)
            wanted = free.f_bavail * free.f_frsize + 215 * records[0]["Size"]
            report = own.call("POST", "/build/prune", query={"min-free-space": wanted}, version="v1.51").json
            self.assertAlmostEqual(len(report["CachesDeleted"]), 215, delta=15)
            self.assertEqual(len(own.call("GET", "/system/df", version="v1.51").json["BuildCache"]), 260 - len(report["CachesDeleted"]))
        finally:
            own.stop()

    def test_filters_of_records(self):
        self.prune(all="1")
        self.build("FROM busybox\nRUN echo 1 >/a\nRUN echo 2 >/b\nRUN exit 1\n", [("forcerm", "1")])
        a, b = sorted(self.records(), key=lambda r: r["CreatedAt"])
        for filters in ({"until": ["1h"]}, {"unused-for": ["1h"]}, {"id": ["nosuch"]}, {"type": ["exec.cachemount"]}, {"parent": [b["ID"]]},
                        {"description": ["x"]}, {"inuse": ["true"]}, {"shared": []}, {"private": ["false"]}):
            self.assertEqual(self.prune(filters)["CachesDeleted"], None, filters)
        self.assertEqual(self.d.call("POST", "/build/prune", query={"filters": '{"id":["a","b"]}'}).message, "filters expect only one value")
        self.assertEqual(self.prune({"id": [a["ID"][:12]]}), {"CachesDeleted": [a["ID"]], "SpaceReclaimed": 0}) # the other is upon it
        self.assertEqual([r["ID"] for r in self.records()], [b["ID"]])
        report = self.prune({"private": ["true"], "until": [str(int(time.time()) + 1)]})
        self.assertEqual(report["CachesDeleted"], [b["ID"]])
        self.assertGreaterEqual(report["SpaceReclaimed"], b["Size"])
        for r in (a, b):
            self.assertEqual(self.d.call("GET", f"/images/{r['ID']}/json").status, 404)

    def test_sizes_that_are_kept(self):
        self.prune(all="1")
        for n in range(4):
            self.build(f"FROM busybox\nRUN head -c 40000 /dev/zero | tr '\\0' {n} >/f\nRUN exit 1\n", [("forcerm", "1")])
        old = self.records()
        size = old[0]["Size"]
        self.assertEqual(len(old), 4)
        self.assertEqual(self.prune(version="v1.47", **{"keep-storage": str(4 * size)})["CachesDeleted"], None)
        self.assertEqual(self.prune(version="v1.47", **{"keep-storage": str(3 * size)})["SpaceReclaimed"], size)
        self.assertEqual(self.prune(**{"reserved-space": str(2 * size), "max-used-space": "1"})["SpaceReclaimed"], size)
        self.assertEqual(self.prune(**{"min-free-space": "1"})["CachesDeleted"], None)
        self.assertEqual(self.prune(**{"max-used-space": str(size + 1)})["SpaceReclaimed"], size)
        newest = max(old, key=lambda r: r["LastUsedAt"])
        self.assertEqual([r["ID"] for r in self.records()], [newest["ID"]])
        self.assertEqual(self.prune(**{"min-free-space": str(1 << 60)})["CachesDeleted"], [newest["ID"]])

    def test_more_than_are_removed_at_once(self):
        self.prune(all="1")
        self.build("FROM busybox\n" + "".join(f"ENV MANY{n}=1\n" for n in range(450)) + "RUN exit 1\n", [("forcerm", "1")])
        reply = self.d.later("POST", "/build/prune", b"")
        self.assertEqual(self.d.call("GET", "/_ping").status, 200)
        self.assertEqual(len(reply().json["CachesDeleted"]), 450)
        self.assertEqual(self.records(), [])

    def test_a_record_in_use(self):
        self.prune(all="1")
        reply = self.d.later("POST", "/build", context(Dockerfile=f"FROM busybox\nRUN echo 1 >/used\n{HELD}\n"))
        self.until_held()
        record, = self.records()
        self.assertTrue(record["InUse"])
        self.assertEqual(self.prune(all="1")["CachesDeleted"], None)
        self.assertTrue(self.let_go())
        self.image(reply())

    def test_a_locked_cache_is_waited_for(self):
        def dockerfile(n):
            return f"FROM busybox\nRUN --mount=type=cache,target=/c,id=lock,sharing=locked echo {n}; mkdir /c/busy && sleep 0.3 && rmdir /c/busy\n"
        replies = [self.d.later("POST", "/build", context(Dockerfile=dockerfile(n))) for n in range(4)]
        for reply in replies:
            self.image(reply())


if __name__ == "__main__":
    unittest.main()
