"""Every reply of these operations against the specification of API 1.51, and 1.41 and 1.44 for what they had."""
import unittest

import schema
from harness import ApiTest

# Fields of the specification that a reply of ours does not have, each with the reason.
ABSENT = {
    "ImageManifestDescriptor": "only image stores with manifests", "Descriptor": "the same",
    "Manifests": "only when asked for", "Identity": "the same", "SizeRw": "only when asked for", "SizeRootFs": "only when asked for",
    "UsageData": "only of system df", "ClusterVolume": "no cluster", "Cluster": "no cluster", "KernelMemoryTCP": "omitted when false, as Docker does",
    "Containerd": "there is none", "DefaultAddressPools": "only with --default-address-pool", "FirewallBackend": "no firewall is touched",
    "DiscoveredDevices": "no devices", "Experimental": "omitted when false, as Docker does",
}


class Checker(unittest.TestCase):
    """What the comparison finds; and that it finds nothing where nothing is wrong."""

    def wrong(self, value, where="/x", **properties):
        required = properties.pop("required", [])
        spec, errors = schema.Spec({"definitions": {}}), []
        spec.check(value, {"type": "object", "properties": properties, "required": required}, where, errors, set())
        return errors

    def test_types(self):
        for value, kind, bad in ((1, {"type": "integer"}, "1"), (1, {"type": "integer"}, True), ("x", {"type": "string"}, 1), (1.5, {"type": "number"}, None),
                                 ([1], {"type": "array", "items": {"type": "integer"}}, ["x"]), ({"a": 1}, {"type": "object"}, []),
                                 (65535, {"type": "integer", "format": "uint16"}, 65536), ("a", {"type": "string", "enum": ["a"]}, ""),
                                 ([], {"type": "array"}, None), (None, {"type": "string", "x-nullable": True}, 0)):
            self.assertEqual(self.wrong({"Field": value}, Field=kind), [], (value, kind))
            self.assertEqual(len(self.wrong({"Field": bad}, Field=kind)), 1, (bad, kind))
        self.assertEqual(len(self.wrong({"Field": 1, "Other": 1}, Field={"type": "integer"})), 1)
        self.assertEqual(len(self.wrong({}, Field={"type": "integer"}, required=["Field"])), 1)

    def test_what_strict_decoders_parse(self):
        text = {"type": "string"}
        for name, good, bad in (("IPAddress", ["", "10.0.0.1", "fd00::1"], ["10.0.0.1/8", "x", "10.0.0"]), ("MacAddress", ["", "02:42:ac:11:00:02"], ["02:42", "x"]),
                                ("HostPort", ["", "80"], ["80/tcp", "70000", "-1"]), ("Gateway", ["172.17.0.1"], ["fd00::1/112"])):
            for value in good:
                self.assertEqual(self.wrong({name: value}, **{name: text}), [], value)
            for value in bad:
                self.assertEqual(len(self.wrong({name: value}, **{name: text})), 1, value)
        when = {"type": "string", "format": "dateTime"}
        for value, is_good in (("2024-01-01T00:00:00Z", True), ("2024-01-01T00:00:00.123456789+01:00", True), ("2024-01-01", False), ("", False),
                               ("2024-01-01T00:00:00.1234567890Z", False)):
            self.assertEqual(self.wrong({"Created": value}, Created=when) == [], is_good, value)
        inside = {"type": "object", "additionalProperties": {"type": "object", "properties": {"IPv4Address": text}}}
        for value, n in (("172.18.0.2/16", 0), ("172.18.0.2", 1)): # of a network's containers it is a prefix
            self.assertEqual(len(self.wrong({"Containers": {"x": {"IPv4Address": value}}}, "/networks/{id}", Containers=inside)), n, value)
        ports = {"type": "object", "additionalProperties": {"type": "string"}}
        for key, n in (("80/tcp", 0), ("80", 1), ("x/udp", 1)):
            self.assertEqual(len(self.wrong({"Ports": {key: "x"}}, Ports=ports)), n, key)


class Schema(ApiTest):
    @classmethod
    def setUpClass(cls):
        cls.specs = {}
        for version in ("v1.51", "v1.44", "v1.41"):
            cls.specs[version], why = schema.load(version)
            if not cls.specs[version]:
                raise unittest.SkipTest(f"responses are not compared with the specification: {why}")
        super().setUpClass()
        d = cls.d
        cls.cid = d.up("sleep", "1000", name="seen", ExposedPorts={"80/tcp": {}}, Labels={"a": "b"},
                       Healthcheck={"Test": ["CMD", "true"], "Interval": 10000000}, HostConfig={"Binds": ["vol:/v", "/tmp:/t"], "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}], "PidsLimit": 50})
        d.wait_for(lambda: d.inspect(cls.cid)["State"]["Health"]["Log"], "a probe")
        cls.done, _ = d.run("sh", "-c", "exit 3")
        cls.eid = d.exec(cls.cid, "true")
        d.call("POST", f"/exec/{cls.eid}/start", {"Detach": True})
        d.run("sh", "-c", "echo x >/new", name="changed")

    def compare(self, method, pattern, path, body=None, query=None, status=200, version="v1.51"):
        reply = self.d.call(method, path, body, query, version)
        self.assertEqual(reply.status, status, reply.body)
        wanted = self.specs[version].response(method, pattern, status)
        errors, missing = [], set()
        self.specs[version].check(reply.json, wanted, pattern, errors, missing)
        self.assertEqual(errors, [])
        return {m for m in missing if m.rsplit(".", 1)[1] not in ABSENT and not (m.startswith("/volumes") and m.endswith(".Status"))}

    def complete(self, *args, **kwargs):
        self.assertEqual(self.compare(*args, **kwargs), set())

    def test_system(self):
        for version in self.specs:
            self.compare("GET", "/info", "/info", version=version)
            self.compare("GET", "/version", "/version", version=version)
            self.compare("GET", "/system/df", "/system/df", version=version)
        self.complete("GET", "/version", "/version")
        self.assertEqual({m for m in self.compare("GET", "/info", "/info") if m.count(".") == 1}, set())

    def test_containers(self):
        for version in self.specs:
            for cid in (self.cid, self.done):
                self.compare("GET", "/containers/{id}/json", f"/containers/{cid}/json", version=version, query={"size": 1})
            self.compare("GET", "/containers/json", "/containers/json", query={"all": 1, "size": 1}, version=version)
        self.compare("POST", "/containers/create", "/containers/create", {"Image": "busybox"}, status=201)
        self.compare("GET", "/containers/{id}/top", f"/containers/{self.cid}/top")
        self.compare("GET", "/containers/{id}/changes", "/containers/changed/changes")
        self.compare("POST", "/containers/{id}/wait", f"/containers/{self.done}/wait")
        self.compare("POST", "/containers/prune", "/containers/prune", query={"filters": '{"label":["nope"]}'})

    def test_inspect_is_complete(self):
        absent = self.compare("GET", "/containers/{id}/json", f"/containers/{self.cid}/json")
        optional = {  # pointers and maps that Docker omits when they are not set
            "Config.Healthcheck", "Config.ArgsEscaped", "Config.NetworkDisabled", "Config.StopSignal", "Config.StopTimeout", "Config.Shell",
            "Config.MacAddress", *(f"Config.Healthcheck.{k}" for k in ("Timeout", "Retries", "StartPeriod", "StartInterval")), "HostConfig.Annotations", "HostConfig.StorageOpt", "HostConfig.Tmpfs", "HostConfig.Sysctls", "HostConfig.Mounts",
            "HostConfig.Init", "HostConfig.KernelMemoryTCP", "HostConfig.KernelMemory", "Mounts[].Name", "Mounts[].Driver"}
        self.assertEqual({m.removeprefix("/containers/{id}/json.") for m in absent} - optional, set())

    def test_execs(self):
        self.compare("POST", "/containers/{id}/exec", f"/containers/{self.cid}/exec", {"Cmd": ["true"]}, status=201)
        self.complete("GET", "/exec/{id}/json", f"/exec/{self.eid}/json")

    def test_images(self):
        for version in self.specs:
            self.compare("GET", "/images/json", "/images/json", version=version)
            self.compare("GET", "/images/{name}/json", "/images/busybox/json", version=version)
            self.compare("GET", "/images/{name}/history", "/images/busybox/history", version=version)
        self.complete("GET", "/images/json", "/images/json")
        self.compare("POST", "/images/prune", "/images/prune")
        self.d.call("POST", "/images/busybox/tag", query={"repo": "other"})
        self.compare("DELETE", "/images/{name}", "/images/other")

    def test_volumes(self):
        self.complete("GET", "/volumes", "/volumes")
        self.complete("GET", "/volumes/{name}", "/volumes/vol")
        self.complete("POST", "/volumes/create", "/volumes/create", {}, status=201)
        self.compare("POST", "/volumes/prune", "/volumes/prune")

    def test_networks(self):
        self.compare("GET", "/networks", "/networks")
        self.compare("GET", "/networks/{id}", "/networks/bridge")

    def test_events(self):
        spec, events = self.specs["v1.51"], self.d.events(1)
        self.assertGreater(len(events), 3)
        for event in events:
            errors = []
            spec.check(event, {"$ref": "#/definitions/EventMessage"}, "event", errors, set())
            self.assertEqual(errors, [])

    def test_errors(self):
        errors, missing = [], set()
        self.specs["v1.51"].check(self.d.call("GET", "/containers/nope/json").json, {"$ref": "#/definitions/ErrorResponse"}, "error", errors, missing)
        self.assertEqual((errors, missing), ([], set()))


if __name__ == "__main__":
    unittest.main()
