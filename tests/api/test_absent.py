"""Operations that are answered without there being anything: clusters, plug-ins, registries, builders, experiments."""
import json
import unittest

from harness import ApiTest

NO_MANAGER = ('This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
              'and try again.')
EXPERIMENT = ("This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to "
              "enable it.")


class Cluster(ApiTest):
    def ask(self, method, path, wanted, text, body=None, query=None, version="v1.51"):
        self.assertError(self.d.call(method, path, body, query, version), wanted, text)

    def test_no_manager(self):
        for method, path, query, body in (
                ("GET", "/swarm", {}, None), ("GET", "/swarm/unlockkey", {}, None), ("POST", "/swarm/update", {"version": 1}, {}),
                ("POST", "/swarm/unlock", {}, {"UnlockKey": "x"}),
                ("GET", "/nodes", {}, None), ("GET", "/nodes/x", {}, None), ("DELETE", "/nodes/x", {"force": 1}, None),
                ("POST", "/nodes/x/update", {"version": "18446744073709551615"}, {"Role": "worker"}),
                ("GET", "/services", {"status": "true", "filters": '{"mode":["global"]}'}, None),
                ("POST", "/services/create", {}, {"Name": "x"}), ("GET", "/services/x", {"insertDefaults": "1"}, None),
                ("DELETE", "/services/x", {}, None), ("GET", "/services/x/logs", {"stdout": 1}, None),
                ("POST", "/services/x/update", {"version": 3, "registryAuthFrom": "previous-spec"}, {}),
                ("GET", "/tasks", {"filters": '{"anything":["x"]}'}, None), ("GET", "/tasks/x", {}, None),
                ("GET", "/tasks/x/logs", {"stderr": 1}, None),
                ("GET", "/secrets", {"filters": '{"names":["a"]}'}, None), ("GET", "/secrets/x", {}, None),
                ("POST", "/secrets/create", {}, {"Name": "x", "Data": "eA=="}), ("DELETE", "/secrets/x", {}, None),
                ("POST", "/secrets/x/update", {"version": 1}, {}),
                ("GET", "/configs", {}, None), ("GET", "/configs/x", {}, None), ("POST", "/configs/create", {}, {"Name": "x"}),
                ("DELETE", "/configs/x", {}, None), ("POST", "/configs/x/update", {"version": 1}, {})):
            with self.subTest(method=method, path=path):
                self.ask(method, path, 503, NO_MANAGER, body, query)

    def test_no_swarm(self):
        self.ask("POST", "/swarm/leave", 503, "This node is not part of a swarm", query={"force": 1})
        self.ask("POST", "/swarm/init", 503, "This node cannot be part of a swarm: sockerless has no cluster manager",
                 {"ListenAddr": "0.0.0.0:2377"})
        self.ask("POST", "/swarm/join", 503, "This node cannot be part of a swarm: sockerless has no cluster manager",
                 {"ListenAddr": "0.0.0.0:2377", "RemoteAddrs": ["10.0.0.1:2377"], "JoinToken": "x"})
        self.assertEqual(self.d.call("GET", "/info").json["Swarm"]["LocalNodeState"], "inactive")

    def test_what_is_wrong_comes_first(self):
        self.ask("POST", "/swarm/init", 400, 'invalid ListenAddr "": invalid empty address')
        self.ask("POST", "/swarm/init", 400, 'swarm spec must be named "default"', {"ListenAddr": "eth0", "Spec": {"Name": "x"}})
        self.ask("POST", "/swarm/init", 400, "invalid JSON: json: cannot unmarshal number into Go struct field "
                 "InitRequest.ListenAddr of type string", {"ListenAddr": 1})
        self.ask("POST", "/swarm/join", 400, "at least 1 RemoteAddr is required to join", {"ListenAddr": "eth0"})
        self.ask("POST", "/swarm/join", 400, 'invalid remoteAddr "": invalid empty address', {"ListenAddr": "eth0", "RemoteAddrs": [""]})
        for kind in ("swarm", "node", "service"):
            path = "/swarm/update" if kind == "swarm" else f"/{kind}s/x/update"
            self.ask("POST", path, 400, f"invalid {kind} version '': strconv.ParseUint: parsing \"\": invalid syntax", {})
        for path, text in (("/nodes/x/update?version=-1", "invalid node version '-1': strconv.ParseUint: parsing \"-1\": invalid syntax"),
                           ("/swarm/update?version=99999999999999999999",
                            "invalid swarm version '99999999999999999999': strconv.ParseUint: parsing \"99999999999999999999\": value out of range"),
                           ("/swarm/update?version=1&rotateWorkerToken=maybe", "invalid value for rotateWorkerToken: maybe"),
                           ("/services/x/update?version=1&registryAuthFrom=y", "invalid registryAuthFrom 'y'"),
                           ("/secrets/x/update", "invalid secret version"), ("/configs/x/update?version=x", "invalid config version")):
            self.assertError(self.d.call("POST", path, {}), 400, text)
        self.ask("GET", "/services", 400, 'invalid value for status: y: strconv.ParseBool: parsing "y": invalid syntax', query={"status": "y"})
        self.ask("GET", "/services", 503, NO_MANAGER, version="v1.40", query={"status": "y"})
        self.ask("GET", "/services/x", 400, 'invalid value for insertDefaults: y: strconv.ParseBool: parsing "y": invalid syntax',
                 query={"insertDefaults": "y"})
        for path in ("/services/x/logs", "/tasks/x/logs"):
            self.ask("GET", path, 400, "must specify at least one of 'stdout' or 'stderr'")
        for path in ("/nodes", "/services", "/secrets", "/configs"):
            self.ask("GET", path, 400, "invalid filter 'nope'", query={"filters": '{"nope":["x"]}'})
        self.ask("GET", "/tasks", 400, "invalid filter", query={"filters": "x"})
        self.ask("POST", "/secrets/create", 400, "secret templating is not supported on the specified API version: 1.36",
                 {"Templating": {"Name": "x"}}, version="v1.36")
        self.assertEqual(self.d.call("POST", "/services/create", b"{", headers={"Content-Type": "application/json"}).status, 400)

    def test_versions(self):
        self.assertEqual(self.d.call("GET", "/secrets", version="v1.24").status, 400)
        self.assertEqual(self.d.call("GET", "/configs", version="v1.29").status, 400)
        self.assertEqual(self.d.call("GET", "/configs", version="v1.30").status, 503)


class Plugins(ApiTest):
    def test_list(self):
        for filters in ({}, {"enabled": ["true"]}, {"capability": ["volumedriver"], "enabled": ["0"]}):
            reply = self.d.call("GET", "/plugins", query={"filters": json.dumps(filters)})
            self.assertEqual((reply.status, reply.json), (200, []))
        for filters, text in (({"x": ["y"]}, "invalid filter 'x'"), ({"enabled": ["y"]}, "invalid filter 'enabled=[y]'")):
            self.assertError(self.d.call("GET", "/plugins", query={"filters": json.dumps(filters)}), 400, text)

    def test_of_none(self):
        for method, path, body in (("GET", "/plugins/a/b:c/json", None), ("DELETE", "/plugins/a/b:c", None),
                                   ("POST", "/plugins/a/b:c/enable?timeout=0", None), ("POST", "/plugins/a/b:c/disable", None),
                                   ("POST", "/plugins/a/b:c/push", None), ("POST", "/plugins/a/b:c/set", b'["A=1"]'),
                                   ("POST", "/plugins/a/b:c/upgrade?remote=a/b", b"[]")):
            reply = self.d.call(method, path, body, headers={"Content-Type": "application/json"} if body else None)
            self.assertError(reply, 404, 'plugin "a/b:c" not found')
        self.assertError(self.d.call("POST", "/plugins/a/enable"), 400, 'strconv.Atoi: parsing "": invalid syntax')
        self.assertError(self.d.call("POST", "/plugins/a/upgrade?remote=A"), 400,
                         "invalid reference format: repository name (library/A) must be lowercase")
        self.assertEqual(self.d.call("POST", "/plugins/a/set", b"{").status, 400)
        self.assertEqual(self.d.call("POST", "/plugins/a/set", b'{"a":1}').status, 400)

    def test_install(self):
        for method, path in (("GET", "/plugins/privileges?remote=a/b"), ("POST", "/plugins/pull?remote=a/b"), ("POST", "/plugins/create?name=a/b")):
            self.assertError(self.d.call(method, path), 500, "plugins are not supported: what they do here is built in")
        self.assertError(self.d.call("POST", "/plugins/pull?remote=a/b", b"[x]"), 400, "invalid JSON: invalid character 'x' looking for beginning of value")
        for method, path in (("GET", "/plugins/privileges"), ("POST", "/plugins/pull?remote=:x")):
            self.assertError(self.d.call(method, path), 400, "invalid reference format")
        self.assertEqual(self.d.call("POST", "/plugins/create?name=:", b"x" * 100).status, 400)


class Others(ApiTest):
    def test_distribution(self):
        self.assertError(self.d.call("GET", "/distribution/A/json"), 400,
                         "invalid reference format: repository name (library/A) must be lowercase")
        self.assertError(self.d.call("GET", "/distribution/a:/json"), 400, "invalid reference format")
        self.assertError(self.d.call("GET", f"/distribution/{'a' * 64}/json"), 500, "no manifest found for full image ID")
        self.assertEqual(self.d.call("GET", "/distribution/a/json", version="v1.29").status, 400)

    def test_experiments(self):
        for method, path, body in (("GET", "/containers/x/checkpoints", None), ("POST", "/containers/x/checkpoints", {"CheckpointID": "c"}),
                                   ("DELETE", "/containers/x/checkpoints/c", None)):
            self.assertError(self.d.call(method, path, body), 501, EXPERIMENT)

    def test_builder(self):
        reply = self.d.call("POST", "/build/prune", query={"all": 1, "filters": '{"until":["24h"]}'})
        self.assertEqual((reply.status, reply.json), (200, {"CachesDeleted": None, "SpaceReclaimed": 0}))
        for query, text in (({"filters": '{"x":[""]}'}, "invalid filter 'x'"), ({"filters": '{"until":["1","2"]}'}, "filters expect only one value"),
                            ({"filters": '{"until":["1"],"unused-for":["2"]}'}, 'conflicting filters: "until" and "unused-for"'),
                            ({"reserved-space": "x"}, 'reserved-space is in bytes and expects an integer, got x: strconv.Atoi: parsing "x": '
                             'invalid syntax')):
            self.assertError(self.d.call("POST", "/build/prune", query=query), 400, text)
        self.assertEqual(self.d.call("POST", "/build/prune", query={"keep-storage": "x"}, version="v1.47").status, 400)
        self.assertEqual(self.d.call("POST", "/build/prune", version="v1.30").status, 400)
        self.assertError(self.d.call("POST", "/build/cancel"), 400, "build ID not provided")
        self.assertEqual(self.d.call("POST", "/build/cancel?id=x").status, 200)

    def test_no_buildkit(self):
        for method, path in (("POST", "/session"), ("POST", "/grpc"), ("GET", "/debug/vars"), ("GET", "/debug/pprof/heap")):
            self.assertError(self.d.call(method, path), 404, "page not found")
        text = "moby/buildkit:buildx-stable-1 cannot run here: this engine has no BuildKit. Build with its own builder: set DOCKER_BUILDKIT=0"
        self.assertError(self.d.call("POST", "/containers/create", {"Image": "moby/buildkit:buildx-stable-1"}), 400, text)
        self.assertError(self.d.call("POST", "/images/create?fromImage=moby/buildkit&tag=buildx-stable-1"), 400, text)


class Synthetic(ApiTest):
    options = ("--images=synthetic",)

    def test_no_buildkit(self):
        reply = self.d.call("POST", "/images/create?fromImage=moby/buildkit&tag=master")
        self.assertEqual(reply.status, 400)
        self.assertIn("DOCKER_BUILDKIT=0", reply.message)


if __name__ == "__main__":
    unittest.main()
