"""The lines that tell of a pull or a load: none leaves before what it tells is kept, even when that cannot be."""
import io
import os
import resource
import tarfile
import unittest

from harness import ApiTest


def tar_of(*names):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"hi\n"))
    return out.getvalue()


class Progress(ApiTest):
    def call_import(self, name, *files):
        reply = self.d.call("POST", "/images/create", tar_of(*files), query={"fromSrc": "-", "repo": name},
                            headers={"Content-Type": "application/x-tar"})
        self.assertEqual(reply.status, 200, reply.body)
        return reply.lines()[-1]["status"]

    def archive_of(self, name):
        """docker save of an image that is not here any more."""
        self.call_import(name, name)
        saved = self.d.call("GET", f"/images/{name}/get")
        self.assertEqual(self.d.call("DELETE", f"/images/{name}").status, 200)
        return saved.body

    def load(self, archive):
        return self.d.call("POST", "/images/load", archive, query={"quiet": 0},
                           headers={"Content-Type": "application/x-tar"})

    def has(self, name):
        return self.d.call("GET", f"/images/{name}/json").status == 200

    def limit_to_what_is_written(self, room):
        """Files may grow as far as the log of changes has: blobs can still be written, rows cannot."""
        log = os.path.join(self.d.data, "state.db-wal")
        while os.path.getsize(log) < room:
            self.d.remove(self.d.create("true", Labels={"x": "y" * 20000}))
        _, hard = resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, (os.path.getsize(log), hard))

    def unlimit(self):
        _, hard = resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def test_load_that_cannot_be_kept(self):
        archive = self.archive_of("loaded")
        self.limit_to_what_is_written(4 * len(archive))
        reply = self.load(archive)
        told = reply.body.decode()
        self.assertIn("state cannot be saved", told)
        self.assertNotIn("Loaded image", told)
        self.unlimit()
        self.assertIn("Loaded image: loaded:latest", self.load(archive).body.decode())
        self.d.kill()
        self.d.start()
        self.assertTrue(self.has("loaded"))

    def test_pull_that_cannot_be_kept(self):
        self.limit_to_what_is_written(100000)
        reply = self.d.call("POST", "/images/create", query={"fromImage": "never", "tag": "1"})
        self.assertIn("state cannot be saved", reply.body.decode())
        self.assertNotIn("Status:", reply.body.decode())
        self.unlimit()

    def test_what_was_told_is_there(self):
        """kill -9 right behind the last line."""
        for turn in range(5):
            name = f"kept{turn}"
            archive = self.archive_of(name)
            with self.d.connect() as s:
                s.sendall(b"POST /images/load?quiet=0 HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n"
                          b"Content-Length: %d\r\n\r\n" % len(archive) + archive)
                told = b""
                while b"Loaded image: " not in told:
                    told += s.recv(65536)
                self.d.kill()
            self.d.start()
            self.assertTrue(self.has(name), told)


if __name__ == "__main__":
    unittest.main()
