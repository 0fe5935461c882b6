"""What each version of the API gets: whole replies at the newest, and what is otherwise at those before it.

tests/golden/versions-KIND.json: the newest reply, and for every older version the members that are gone and those that
are set to something else, against the version before it in the list.
"""
import json
import time
import unittest

from harness import ApiTest, normalised

VERSIONS = ["v1.55", "v1.51", "v1.48", "v1.47", "v1.44", "v1.43", "v1.41", "v1.30", "v1.24"]


def flat(value, path=""):
    """{path: leaf}; empty containers are leaves."""
    if isinstance(value, dict) and value:
        return {k: v for key, item in value.items() for k, v in flat(item, f"{path}.{key}" if path else key).items()}
    if isinstance(value, list) and value and any(isinstance(v, (dict, list)) for v in value):
        return {k: v for i, item in enumerate(value) for k, v in flat(item, f"{path}[{i}]").items()}
    return {path: value}


def difference(newer, older):
    newer, older = flat(newer), flat(older)
    return {"gone": sorted(set(newer) - set(older)), "set": {k: v for k, v in sorted(older.items()) if k not in newer or newer[k] != v}}


def without_numbers(value):
    if isinstance(value, dict):
        return {k: without_numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_numbers(v) for v in value]
    return "<n>" if isinstance(value, int) and not isinstance(value, bool) else value


class Versions(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        d = cls.d
        cls.since = time.time()
        cls.cid = d.up("sleep", "1000", name="seen", Labels={"a": "b"}, ExposedPorts={"80/tcp": {}}, StopTimeout=5,
                       Healthcheck={"Test": ["NONE"], "StartInterval": 10**9},
                       HostConfig={"Binds": ["versions:/v"], "Annotations": {"x": "y"}, "Init": True, "NanoCpus": 10**9,
                                   "Mounts": [{"Type": "tmpfs", "Target": "/m"}]})
        cls.exited, _ = d.run("sh", "-c", "exit 3", name="done")
        cls.eid = d.exec(cls.cid, "true")
        d.call("POST", "/images/create", b"\0" * 1024, {"fromSrc": "-"}, headers={"Content-Type": "application/x-tar"})

    def golden(self, kind, ask):
        """ask(version) → the reply's value."""
        replies = [normalised(ask(version), []) for version in VERSIONS]
        told = {VERSIONS[0]: replies[0]}
        for version, newer, older in zip(VERSIONS[1:], replies, replies[1:]):
            told[version] = difference(newer, older)
        self.assertGolden("versions-" + kind, told)

    def get(self, path, query=None, pick=lambda value: value):
        def ask(version):
            reply = self.d.call("GET", path, query=query, version=version)
            self.assertEqual(reply.status, 200, reply.body)
            return pick(reply.json)
        return ask

    def test_containers(self):
        self.golden("inspect", self.get(f"/containers/{self.cid}/json"))
        self.golden("inspect-exited", self.get(f"/containers/{self.exited}/json"))
        self.golden("list", self.get("/containers/json", {"all": 1}))
        self.golden("exec", self.get(f"/exec/{self.eid}/json"))

    def test_stats(self):
        self.golden("stats", self.get(f"/containers/{self.cid}/stats", {"stream": 0, "one-shot": 1}, lambda s: without_numbers(
            {k: v for k, v in s.items() if k not in ("read", "preread")})))

    def test_images(self):
        def pick(images):
            return sorted(images, key=lambda i: i["RepoTags"])
        self.golden("image-list", self.get("/images/json", None, pick))
        self.golden("image", self.get("/images/busybox/json"))
        nameless = [i["Id"] for i in self.d.call("GET", "/images/json").json if not i["RepoTags"]][0]
        self.golden("image-nameless", self.get(f"/images/{nameless}/json"))
        self.golden("image-history", self.get("/images/busybox/history"))

    def test_networks(self):
        self.golden("network", self.get("/networks/none"))
        self.golden("network-list", self.get("/networks", None, lambda all_: [n for n in all_ if n["Name"] == "none"]))

    def test_volumes(self):
        self.golden("volume", self.get("/volumes/versions"))
        self.golden("volume-list", self.get("/volumes"))

    def test_daemon(self):
        def pick(info):
            return {k: v for k, v in info.items() if not k.startswith("Containers") and k not in (
                "Architecture", "OSVersion", "OperatingSystem", "NFd", "SystemTime")} | {"SecurityOptions": info["SecurityOptions"][:1]}
        self.golden("info", self.get("/info", None, pick))
        self.golden("version", self.get("/version"))

    def test_usage(self):
        def ask(version):
            value = self.get("/system/df", {"type": "image"})(version)
            for key in ("Containers", "Volumes"): # before 1.42 all was told
                if version in ("v1.41", "v1.30", "v1.24"):
                    value[key] = None
            return value
        self.golden("usage", ask)

    def test_events(self):
        until = time.time()
        self.golden("events", lambda version: self.d.events(self.since, until, version, container=[self.exited]))
        self.golden("events-volume", lambda version: self.d.events(self.since, until, version, volume=["versions"], event=["create"]))

    def test_event_types(self):
        def kind(version, accept=None):
            reply = self.d.call("GET", "/events", query={"since": f"{self.since:.9f}", "until": f"{time.time():.9f}"}, version=version,
                                headers={"Accept": accept} if accept else None)
            return reply.headers["Content-Type"], reply.body
        self.assertEqual(kind("v1.51")[0], "application/json")
        self.assertEqual(kind("v1.52")[0], "application/jsonl")
        for accept, wanted in (("*/*", "application/jsonl"), ("application/x-ndjson", "application/x-ndjson"),
                               ("application/json-seq;q=0.5, application/x-ndjson;q=0.4", "application/json-seq"),
                               ("application/json-seq;q=0, application/*", "application/jsonl"), ("text/html", "application/jsonl"),
                               ("application/x-ndjson, application/json-seq", "application/x-ndjson"), (",;,q=", "application/jsonl")):
            got, body = kind("v1.52", accept)
            self.assertEqual(got, wanted, accept)
            self.assertEqual({line[0] for line in body.splitlines()}, {0x1e} if wanted.endswith("seq") else {ord("{")})
        self.assertEqual(kind("v1.41", "application/json-seq")[0], "application/json-seq")

    def test_warnings(self):
        """What the creation says of the same request."""
        def ask(version):
            reply = self.d.call("POST", "/containers/create", {
                "Image": "busybox", "MacAddress": "02:00:00:00:00:01" if version != "v1.55" else "",
                "HostConfig": {"PortBindings": {"80/tcp": []}, "VolumeDriver": "local", "Mounts": [{"Type": "volume", "Target": "/x"}]}}, version=version)
            return reply.json["Warnings"] if reply.status == 201 else reply.message
        told = {version: ask(version) for version in VERSIONS}
        self.assertIn("Following container port(s) have an empty list of port-bindings: 80/tcp. Such bindings will be discarded in a future version.",
                      told["v1.55"])
        deprecated = "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
        self.assertEqual([v for v in VERSIONS if deprecated in told[v]], ["v1.51", "v1.48", "v1.47", "v1.44"])
        self.assertEqual([v for v in VERSIONS if any("container-wide volume-driver" in w for w in told[v])], ["v1.55", "v1.51", "v1.48"])
        self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "MacAddress": "02:00:00:00:00:01"}, version="v1.52"), 400,
                         "container-wide MAC address no longer supported; use endpoint-specific MAC address instead")

    def test_parameters(self):
        """Those that a version does not know are not looked at."""
        def images(version, **query):
            return self.d.call("GET", "/images/json", query=query, version=version)
        self.assertEqual(len(images("v1.40", filter="busybox").json), 1)
        self.assertEqual(len(images("v1.41", filter="busybox").json), 2)
        self.assertError(images("v1.54", identity=1), 400, "conflicting options: identity requires manifests=1")
        self.assertEqual(images("v1.53", identity=1).status, 200)
        other = json.dumps({"os": "linux", "architecture": "arm64"})
        for path, version in (("/images/busybox/json", 49), ("/images/busybox/history", 48)):
            self.assertEqual(self.d.call("GET", path, query={"platform": other}, version=f"v1.{version - 1}").status, 200)
            self.assertError(self.d.call("GET", path, query={"platform": other}, version=f"v1.{version}"), 404,
                             "image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)")
            self.assertEqual(self.d.call("GET", path, query={"platform": '{"os":"linux","architecture":"amd64"}'}).status, 200)
            self.assertError(self.d.call("GET", path, query={"platform": '{"os":"linux"}'}), 400, "both OS and Architecture must be provided")
            self.assertError(self.d.call("GET", path, query={"platform": '{"variant":"v8"}'}), 400,
                             "optional platform fields provided, but OS and Architecture are missing")
            self.assertEqual(self.d.call("GET", path, query={"platform": "{"}).status, 400)
        self.assertError(self.d.call("GET", "/images/busybox/json", query={"manifests": 1, "platform": other}), 400,
                         "conflicting options: manifests and platform options cannot both be set")
        self.assertError(self.d.call("GET", "/images/busybox/attestations", version="v1.54"), 400,
                         "GET /images/{name:.*}/attestations requires minimum API version 1.55")
        self.assertEqual(self.d.call("GET", "/images/busybox/attestations", version="v1.55").json, [])
        self.assertError(self.d.call("GET", "/images/busybox/attestations?platform=&platform=", version="v1.55"), 400,
                         "only one platform value is currently supported")


if __name__ == "__main__":
    unittest.main()
