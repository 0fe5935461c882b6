"""/_ping, /version, versions in paths, what every reply carries."""
import unittest

from harness import ApiTest


class System(ApiTest):
    def test_ping(self):
        reply = self.d.call("GET", "/_ping", version=None)
        self.assertEqual((reply.status, reply.body), (200, b"OK"))
        for name, value in (("Api-Version", "1.55"), ("Ostype", "linux"), ("Builder-Version", "1"), ("Swarm", "inactive"),
                            ("Docker-Experimental", "false"), ("Cache-Control", "no-cache, no-store, must-revalidate")):
            self.assertEqual(reply.headers[name], value)
        head = self.d.call("HEAD", "/_ping", version=None)
        self.assertEqual((head.status, head.headers["Content-Length"]), (200, "0"))

    def test_versions(self):
        for version in ("v1.24", "v1.41", "v1.55"):
            self.assertEqual(self.d.call("GET", "/version", version=version).status, 200)
        for version in ("1.23", "1", "0.9", "."): # such clients take errors as plain text
            reply = self.d.call("GET", "/info", version="v" + version)
            self.assertEqual((reply.status, reply.headers["Content-Type"]), (400, "text/plain; charset=utf-8"))
            self.assertEqual(reply.body.decode(), f"client version {version} is too old. Minimum supported API version is 1.24, please "
                             "upgrade your client to a newer version\n")
        for version in ("2", "1.55.1", "99999999999.1"):
            self.assertError(self.d.call("GET", "/info", version="v" + version), 400,
                             f"client version {version} is too new. Maximum supported API version is 1.55")
        self.assertEqual(self.d.call("GET", "/info", version="v1.43.0").status, 200)
        self.assertError(self.d.call("GET", "/info", version="v1.99"), 400,
                         "client version 1.99 is too new. Maximum supported API version is 1.55")

    def test_unknown(self):
        self.assertError(self.d.call("GET", "/nothing"), 404, "page not found")
        self.assertError(self.d.call("PATCH", "/containers/json"), 404, "page not found")


if __name__ == "__main__":
    unittest.main()
