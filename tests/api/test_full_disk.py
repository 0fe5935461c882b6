"""A daemon whose disk is full tells nobody what it cannot keep, and goes on when there is room."""
import resource
import unittest

from harness import ApiTest


class FullDisk(ApiTest):
    def limit_files(self, soft):
        _, hard = resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, (soft if soft is not None else hard, hard))

    def test_create(self):
        before = self.d.create("true", name="before")
        self.limit_files(4096)
        failed = self.d.call("POST", "/containers/create", {"Image": "busybox"}, query={"name": "failed"})
        self.assertEqual(failed.status, 500)
        self.assertIn("state cannot be saved", failed.message)
        self.assertEqual(self.d.call("POST", f"/containers/{before}/wait").status, 500)
        self.limit_files(None)
        after = self.d.create("true", name="after")
        self.d.kill()
        self.d.start()
        names = {c["Names"][0] for c in self.d.call("GET", "/containers/json", query={"all": 1}).json}
        self.assertTrue({"/before", "/after"} <= names, names)
        self.d.remove(before)
        self.d.remove(after)

    def test_wait(self):
        """An exit code that cannot be kept is told with an error beside it."""
        cid = self.d.create("sleep", "1000")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/start").status, 204)
        with self.d.connect() as s:
            s.sendall(f"POST /containers/{cid}/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            told = s.recv(65536)
            self.assertIn(b" 200 ", told)
            self.limit_files(4096)
            self.d.call("POST", f"/containers/{cid}/kill")
            while b"}" not in told:
                told += s.recv(65536)
            self.limit_files(None)
            self.assertIn(b"state cannot be saved", told)
        self.d.remove(cid)


if __name__ == "__main__":
    unittest.main()
