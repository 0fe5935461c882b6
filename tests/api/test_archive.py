"""/containers/{name}/archive: stat, get, put; what tars may not do."""
import base64
import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import tarfile
import tempfile
import unittest

from harness import ApiTest

DIR, LINK = 1 << 31, 1 << 27


def tar_of(*members):
    """members: (name, content | None for a directory, {attributes})."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, attributes in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if content is None else 0o644
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            for key, value in attributes.items():
                setattr(info, key, value)
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


class Archive(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host = tempfile.mkdtemp(prefix="sockerless-api-bind-")
        os.mkdir(os.path.join(cls.host, "ro"))
        cls.cid = cls.d.up("sh", "-c", "mkdir /d /d/e; echo file >/d/f; ln -s f /d/l; ln -s /d /dl; ln -s /nowhere /broken; chmod 4755 /d/f; sleep 1000",
                           HostConfig={"Binds": [f"{cls.host}:/bind", f"{cls.host}/ro:/ro:ro", "vol:/vol"]})
        cls.d.wait_for(lambda: cls.d.call("HEAD", f"/containers/{cls.cid}/archive", query={"path": "/broken"}).status == 404
                       or "X-Docker-Container-Path-Stat" in cls.d.call("HEAD", f"/containers/{cls.cid}/archive", query={"path": "/broken"}).headers, "files")
        cls.d.wait_for(lambda: cls.get(cls, "/broken").status == 200, "the last link")

    def stat(self, path, cid=None):
        reply = self.d.call("HEAD", f"/containers/{cid or self.cid}/archive", query={"path": path})
        self.assertEqual((reply.status, reply.body), (200, b""), path)
        return json.loads(base64.b64decode(reply.headers["X-Docker-Container-Path-Stat"]))

    def get(self, path, cid=None):
        return self.d.call("GET", f"/containers/{cid or self.cid}/archive", query={"path": path})

    def names(self, path, cid=None):
        reply = self.get(path, cid)
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "application/x-tar"), reply.body[:200])
        with tarfile.open(fileobj=io.BytesIO(reply.body)) as tar:
            return sorted(tar.getnames())

    def content(self, path, cid=None):
        with tarfile.open(fileobj=io.BytesIO(self.get(path, cid).body)) as tar:
            return tar.extractfile(tar.getmembers()[0]).read()

    def put(self, body, path="/tmp", cid=None, **query):
        return self.d.call("PUT", f"/containers/{cid or self.cid}/archive", body, query={"path": path, **query}, headers={"Content-Type": "application/x-tar"})

    # ---- looking ----

    def test_stat(self):
        f = self.stat("/d/f")
        self.assertEqual((f["name"], f["size"], f["mode"], f["linkTarget"]), ("f", 5, 0o755 | 1 << 23, ""))
        self.assertRegex(f["mtime"], r"^20\d\d-\d\d-\d\dT.*Z$")
        self.assertEqual(self.stat("/d")["mode"], DIR | 0o755)
        self.assertEqual(self.stat("/broken")["linkTarget"], "/nowhere")
        self.assertEqual(self.stat("/dl")["linkTarget"], "/d")
        self.assertEqual(self.stat("/dl/l")["linkTarget"], "/d/f")
        link = self.stat("/d/l")
        self.assertEqual((link["mode"] & LINK, link["linkTarget"]), (LINK, "/d/f"))
        self.assertEqual(self.stat("d/f")["name"], "f")
        self.assertEqual(self.stat("/dl/f")["name"], "f")
        self.assertEqual(self.stat("/dl/")["mode"] & DIR, DIR)
        self.assertEqual(self.stat("/../../d/e/..//f")["name"], "f")
        self.assertEqual(self.stat("/")["name"], "/")

    def test_stat_refused(self):
        for method in ("HEAD", "GET", "PUT"):
            for path, status in (("/nope", 404), ("/d/f/x", 404), ("", 400), (None, 400)):
                with self.subTest((method, path)):
                    reply = self.d.call(method, f"/containers/{self.cid}/archive", b"" if method == "PUT" else None,
                                        query={"path": path} if path is not None else None)
                    self.assertEqual(reply.status, status)
            self.assertEqual(self.d.call(method, "/containers/nope/archive", query={"path": "/"}).status, 404)
        self.assertIn("Could not find the file /nope in container ", self.get("/nope").message)
        self.assertError(self.get(""), 400, "bad parameter: path cannot be empty")

    def test_not_a_directory(self):
        for method in ("HEAD", "GET", "PUT"):
            reply = self.d.call(method, f"/containers/{self.cid}/archive", b"" if method == "PUT" else None, query={"path": "/d/f/"})
            self.assertEqual(reply.status, 500, method)
            if method != "HEAD":
                self.assertEqual(reply.message, "lstat /d/f/: not a directory")

    def test_missing_is_told_by_the_name_that_was_asked_for(self):
        self.assertError(self.get("/nope"), 404, f"Could not find the file /nope in container {self.cid}")
        self.assertError(self.get("/nope", self.cid[:12]), 404, f"Could not find the file /nope in container {self.cid[:12]}")

    def test_the_root_by_itself(self):
        body = self.get("/").body
        self.assertEqual(body[:100].rstrip(b"\0"), b"/")
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            names = tar.getnames()
        self.assertIn("/d/f", names)
        self.assertEqual([n for n in names if n.startswith("//")], [])

    def test_get(self):
        self.assertEqual(self.names("/d"), ["d", "d/e", "d/f", "d/l"])
        self.assertEqual(self.names("/d/"), ["d", "d/e", "d/f", "d/l"])
        self.assertEqual(self.names("/d/."), [".", "./e", "./f", "./l"])
        self.assertEqual(self.names("/d/f"), ["f"])
        self.assertEqual(self.names("/d/l"), ["l"])
        self.assertEqual(self.names("/dl"), ["dl"])
        self.assertEqual(self.names("/dl/"), ["dl", "dl/e", "dl/f", "dl/l"])
        self.assertEqual(self.content("/d/f"), b"file\n")

    # ---- putting ----

    def test_get_compressed(self):
        plain = self.d.call("GET", f"/containers/{self.cid}/archive", query={"path": "/etc"})
        for accept, is_gzip in (("gzip", True), ("gzip, deflate", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False), ("xgzip", False)):
            reply = self.d.call("GET", f"/containers/{self.cid}/archive", query={"path": "/etc"}, headers={"Accept-Encoding": accept})
            self.assertEqual((reply.status, reply.headers["Content-Type"], reply.headers.get("Content-Encoding")),
                             (200, "application/x-tar", "gzip" if is_gzip else None), accept)
            body = gzip.decompress(reply.body) if is_gzip else reply.body
            self.assertEqual(tarfile.open(fileobj=io.BytesIO(body)).getnames(), tarfile.open(fileobj=io.BytesIO(plain.body)).getnames())
        reply = self.d.call("GET", f"/containers/{self.cid}/archive", query={"path": "/nosuch"}, headers={"Accept-Encoding": "gzip"})
        self.assertEqual((reply.status, reply.headers.get("Content-Encoding")), (404, None))

    def test_put(self):
        body = tar_of(("sub", None, {}), ("sub/x", b"hello", {"mode": 0o600, "uid": 5, "gid": 6, "mtime": 1000000000}))
        reply = self.put(body)
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertEqual(self.content("/tmp/sub/x"), b"hello")
        x = self.stat("/tmp/sub/x")
        self.assertEqual((x["mode"], x["mtime"]), (0o600, "2001-09-09T01:46:40Z"))
        with tarfile.open(fileobj=io.BytesIO(self.get("/tmp/sub/x").body)) as tar:
            self.assertEqual((tar.getmembers()[0].uid, tar.getmembers()[0].gid), (5, 6))

    def test_put_attributes_of_directories(self):
        """Into new ones, into the image's and into a volume's; one that is there keeps what it has under other names."""
        def put(path, name, **xattrs):
            headers = {f"SCHILY.xattr.user.{k}": v for k, v in xattrs.items()}
            self.assertEqual(self.put(tar_of((name, None, {"pax_headers": headers})), path, cid).status, 200)

        def attributes(path):
            with tarfile.open(fileobj=io.BytesIO(self.get(path, cid).body)) as tar:
                return {k: v for k, v in tar.getmembers()[0].pax_headers.items() if k.startswith("SCHILY.xattr.")}
        cid = self.d.up(HostConfig={"Binds": ["attributes:/vol"]})
        for path in ("/tmp", "/vol"):
            put(path, "new", one="1")
            self.assertEqual(attributes(f"{path}/new"), {"SCHILY.xattr.user.one": "1"})
        put("/", "etc", one="1", two="2")
        put("/", "etc", two="b=\nc", three="3")
        put("/", "etc")
        self.assertEqual(attributes("/etc"), {f"SCHILY.xattr.user.{k}": v for k, v in (("one", "1"), ("two", "b=\nc"), ("three", "3"))})
        put("/", "etc", four="x" * 4000, one="1")  # more than is kept: what there is stays
        put("/", "etc", five="x" * 3900)
        self.assertEqual(attributes("/etc")["SCHILY.xattr.user.three"], "3")
        self.assertEqual(self.d.call("GET", f"/containers/{cid}/changes").json[0]["Path"], "/etc")
        self.d.remove(cid)

    def test_put_through_link_and_mounts(self):
        self.assertEqual(self.put(tar_of(("a", b"1", {})), "/dl").status, 200)
        self.assertEqual(self.content("/d/a"), b"1")
        self.assertEqual(self.put(tar_of(("b", b"2", {})), "/bind").status, 200)
        with open(os.path.join(self.host, "b"), "rb") as f:
            self.assertEqual(f.read(), b"2")
        self.assertEqual(self.put(tar_of(("c", b"3", {})), "/vol").status, 200)
        self.assertEqual(self.put(tar_of(("vol/d", b"4", {})), "/").status, 200)
        mountpoint = self.d.call("GET", "/volumes/vol").json["Mountpoint"]
        self.assertEqual(sorted(os.listdir(mountpoint)), ["c", "d"])

    def test_put_compressed(self):
        body = tar_of(("packed", b"content", {}))
        for name, packed in (("gzip", gzip.compress(body)), ("bzip2", bz2.compress(body)), ("xz", lzma.compress(body)),
                             ("zstd", subprocess.run(["zstd", "-c"], input=body, capture_output=True, check=False).stdout
                              if os.path.exists("/usr/bin/zstd") else None)):
            if not packed:
                continue
            with self.subTest(name):
                self.assertEqual(self.put(packed, "/d/e").status, 200)
                self.assertEqual(self.content("/d/e/packed"), b"content")
                self.d.call("POST", f"/containers/{self.cid}/exec", {"Cmd": ["rm", "/d/e/packed"]})

    def test_put_before_start_and_after_exit(self):
        cid = self.d.create("cat", "/etc/new")
        self.assertEqual(self.put(tar_of(("etc/new", b"here\n", {})), "/", cid).status, 200)
        self.d.call("POST", f"/containers/{cid}/start")
        self.d.call("POST", f"/containers/{cid}/wait")
        self.assertEqual(self.d.logs(cid)[8:], b"here\n")
        self.assertEqual(self.put(tar_of(("etc/new", b"again\n", {})), "/", cid).status, 200)
        self.assertEqual(self.content("/etc/new", cid), b"again\n")

    def test_put_kinds(self):
        body = tar_of(("k", None, {}), ("k/f", b"x", {}), ("k/s", b"", {"type": tarfile.SYMTYPE, "linkname": "f"}),
                      ("k/h", b"", {"type": tarfile.LNKTYPE, "linkname": "k/f"}), ("k/p", b"", {"type": tarfile.FIFOTYPE}))
        self.assertEqual(self.put(body).status, 200)
        self.assertEqual(self.content("/tmp/k/h"), b"x")
        self.assertEqual(self.stat("/tmp/k/s")["linkTarget"], "/tmp/k/f")

    def test_no_overwrite(self):
        self.assertEqual(self.put(tar_of(("o", None, {}), ("o/d", None, {}), ("o/f", b"", {}))).status, 200)
        for body, ok in ((tar_of(("o/d", b"now a file", {})), False), (tar_of(("o/f", None, {})), False), (tar_of(("o/f", b"1", {})), True)):
            self.assertEqual(self.put(body, noOverwriteDirNonDir=1).status == 200, ok)
        self.assertEqual((self.stat("/tmp/o/d")["mode"] & DIR, self.stat("/tmp/o/f")["mode"] & DIR), (DIR, 0))
        self.assertEqual(self.put(tar_of(("o/f", None, {}))).status, 200)
        self.assertEqual(self.stat("/tmp/o/f")["mode"] & DIR, DIR)

    def test_copy_uid_gid(self):
        cid = self.d.create("true", User="7:8")
        self.assertEqual(self.put(tar_of(("owned", b"", {"uid": 1, "gid": 1})), "/", cid, copyUIDGID=1).status, 200)
        with tarfile.open(fileobj=io.BytesIO(self.get("/owned", cid).body)) as tar:
            self.assertEqual((tar.getmembers()[0].uid, tar.getmembers()[0].gid), (7, 8))

    def test_put_refused(self):
        body = tar_of(("x", b"", {}))
        self.assertError(self.put(body, "/d/f"), 400, "extraction point is not a directory")
        self.assertError(self.put(body, "/ro"), 403, "mounted volume is marked read-only")
        self.assertEqual(os.listdir(os.path.join(self.host, "ro")), [])
        cid = self.d.create("true", HostConfig={"ReadonlyRootfs": True, "Binds": ["vol2:/vol"]})
        self.assertError(self.put(body, "/tmp", cid), 403, "container rootfs is marked read-only")
        self.assertEqual(self.put(tar_of(("inside", b"", {})), "/vol", cid).status, 200)

    def test_bad_tars(self):
        good = tar_of(("bad", None, {}), ("bad/x", b"y" * 5000, {}))
        for name, body in (("no tar", b"this is no tar" * 100), ("cut in a header", good[:700]), ("cut in a file", good[:2000]),
                           ("bad gzip", gzip.compress(good)[:60])):
            with self.subTest(name):
                reply = self.put(body, "/d/e")
                self.assertEqual(reply.status, 400, reply.body)
                self.assertEqual(self.get("/d/e/bad").status, 404) # nothing of it
        self.assertEqual(self.put(b"").status, 200) # no members

    def test_no_way_out(self):
        outside = os.path.join(self.host, "..", "sockerless-escape")
        for name, members in (
                ("dots", [("../../../../sockerless-escape", b"x", {})]), ("dots inside", [("a/../../../../sockerless-escape", b"x", {})]),
                ("absolute", [("/sockerless-escape", b"x", {})]),
                ("link up", [("up", b"", {"type": tarfile.SYMTYPE, "linkname": "../../../../.."}), ("up/tmp/sockerless-escape", b"x", {})]),
                ("absolute link", [("abs", b"", {"type": tarfile.SYMTYPE, "linkname": "/tmp"}), ("abs/sockerless-escape", b"x", {})]),
                ("hard link", [("hard", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/hostname"})]),
                ("hard link up", [("hard2", b"", {"type": tarfile.LNKTYPE, "linkname": "../../../../../../etc/hostname"})])):
            with self.subTest(name):
                self.put(tar_of(*members), "/bind")
                self.assertFalse(os.path.lexists(outside))
                self.assertFalse(os.path.lexists("/sockerless-escape"))
                self.assertFalse(os.path.lexists("/tmp/sockerless-escape"))
                for link in ("hard", "hard2"):
                    path = os.path.join(self.host, link)
                    self.assertFalse(os.path.exists(path) and os.path.samefile(path, "/etc/hostname"))


if __name__ == "__main__":
    unittest.main()
