"""/networks, and what containers have of them."""
import ipaddress
import json
import re
import time
import unittest

from harness import ApiTest, HeldStart

LATEST = "v1.55"


class NetworkTest(ApiTest):
    def call(self, method, path, body=None, version=LATEST, **query):
        return self.d.call(method, path, body, query=query, version=version)

    def create(self, name, version=LATEST, **body):
        return self.call("POST", "/networks/create", dict(body, Name=name), version)

    def made(self, name, **body):
        reply = self.create(name, **body)
        self.assertEqual(reply.status, 201, reply.body)
        self.addCleanup(self.call, "DELETE", f"/networks/{reply.json['Id']}")
        return reply.json["Id"]

    def pool(self, subnet, **more):
        return {"Config": [dict(Subnet=subnet, **more)]}

    def refused(self, text, status=400, name="refused", **body):
        before = self.names()
        self.assertError(self.create(name, **body), status, text)
        self.assertEqual(self.names(), before)

    def inspect(self, name, version=LATEST):
        reply = self.call("GET", f"/networks/{name}", version=version)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def names(self, **filters):
        reply = self.call("GET", "/networks", filters=json.dumps(filters))
        self.assertEqual(reply.status, 200, reply.body)
        return sorted(n["Name"] for n in reply.json)

    def connect(self, network, container, version=LATEST, **config):
        return self.call("POST", f"/networks/{network}/connect", {"Container": container, "EndpointConfig": config}, version)

    def disconnect(self, network, container, force=False):
        return self.call("POST", f"/networks/{network}/disconnect", {"Container": container, "Force": force})

    def up(self, *cmd, **config):
        cid = self.d.up(*cmd, **config)
        self.addCleanup(self.d.remove, cid)
        return cid

    def idle(self, **config):
        cid = self.d.create("sleep", "1000", **config)
        self.addCleanup(self.d.remove, cid)
        return cid

    def start(self, cid):
        return self.call("POST", f"/containers/{cid}/start")

    def stop(self, cid):
        self.assertEqual(self.call("POST", f"/containers/{cid}/stop", t=0).status, 204)

    def endpoints(self, cid, version=LATEST):
        return self.d.inspect(cid, version)["NetworkSettings"]["Networks"]

    def ip(self, cid, network="bridge"):
        return self.endpoints(cid)[network]["IPAddress"]

    def file(self, cid, path):
        """Of a running container."""
        return self.run_in(cid, "cat", path)

    def run_in(self, cid, *cmd):
        """What it says."""
        ex = self.call("POST", f"/containers/{cid}/exec", {"Cmd": cmd, "AttachStdout": True}).json["Id"]
        reply = self.call("POST", f"/exec/{ex}/start", {})
        return re.sub(rb"[\x01\x02]\0\0\0....", b"", reply.body, flags=re.S).decode()

    def wait_for(self, claim):
        self.d.wait_for(claim, "what was claimed")


class Objects(NetworkTest):
    def test_predefined(self):
        bridge = self.inspect("bridge")
        self.assertEqual((bridge["Driver"], bridge["Scope"], bridge["EnableIPv4"], bridge["EnableIPv6"]), ("bridge", "local", True, False))
        self.assertEqual(bridge["IPAM"], {"Driver": "default", "Options": None, "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]})
        self.assertEqual(bridge["Options"]["com.docker.network.bridge.name"], "docker0")
        self.assertEqual([self.inspect(n)["Driver"] for n in ("host", "none")], ["host", "null"])
        self.assertEqual(self.inspect("none")["IPAM"]["Config"], [])
        for name in ("bridge", "host", "none", "default"):
            self.refused(f"operation is not permitted on predefined {name} network ", 403, name=name)
        for name in ("bridge", "host", "none"):
            self.assertError(self.call("DELETE", f"/networks/{name}"), 403, f"{name} is a pre-defined network and cannot be removed")

    def test_create_and_inspect(self):
        reply = self.create("plain", Labels={"a": "b"}, Options={"x": "y"}, Attachable=True)
        self.assertEqual((reply.status, reply.json["Warning"]), (201, ""))
        n = self.inspect("plain")
        self.assertRegex(n["Id"], "^[0-9a-f]{64}$")
        self.assertEqual(n["Id"], reply.json["Id"])
        self.assertEqual((n["Labels"], n["Options"], n["Attachable"], n["Internal"], n["Ingress"], n["ConfigOnly"], n["ConfigFrom"]),
                         ({"a": "b"}, {"x": "y"}, True, False, False, False, {"Network": ""}))
        pool = n["IPAM"]["Config"][0]
        subnet = ipaddress.ip_network(pool["Subnet"])
        self.assertEqual(pool["Gateway"], str(subnet[1]))
        self.assertEqual(n["Status"], {"IPAM": {"Subnets": {pool["Subnet"]: {"IPsInUse": 3, "DynamicIPsAvailable": subnet.num_addresses - 3}}}})
        self.assertEqual(n["Containers"], {})
        self.assertEqual(self.inspect(n["Id"][:10]), n)
        self.assertNotIn("Status", self.inspect("plain", "v1.51"))
        self.assertNotIn("EnableIPv4", self.inspect("plain", "v1.47"))
        self.assertError(self.create("plain"), 409, "network with name plain already exists")
        self.assertEqual(self.call("DELETE", "/networks/plain").status, 204)
        self.assertError(self.call("GET", "/networks/plain"), 404, "network plain not found")

    def test_all_of_ipam(self):
        self.made("ipam", IPAM={"Driver": "default", "Options": {"o": "p"}, "Config": [
            {"Subnet": "10.9.0.0/16", "IPRange": "10.9.5.0/24", "Gateway": "10.9.5.254", "AuxiliaryAddresses": {"router": "10.9.5.1"}}]})
        n = self.inspect("ipam")
        self.assertEqual(n["IPAM"], {"Driver": "default", "Options": {"o": "p"}, "Config": [
            {"Subnet": "10.9.0.0/16", "IPRange": "10.9.5.0/24", "Gateway": "10.9.5.254", "AuxiliaryAddresses": {"router": "10.9.5.1"}}]})
        self.assertEqual(n["Status"]["IPAM"]["Subnets"]["10.9.0.0/16"], {"IPsInUse": 4, "DynamicIPsAvailable": 254})
        cid = self.up(HostConfig={"NetworkMode": "ipam"})
        self.assertEqual(self.ip(cid, "ipam"), "10.9.5.0")
        self.assertEqual(self.ip(self.up(HostConfig={"NetworkMode": "ipam"}), "ipam"), "10.9.5.2") # .1 is an auxiliary address

    def test_ipv6(self):
        self.made("six", EnableIPv6=True)
        pools = self.inspect("six")["IPAM"]["Config"]
        self.assertEqual([ipaddress.ip_network(p["Subnet"]).version for p in pools], [4, 6])
        self.assertTrue(pools[1]["Subnet"].startswith("fd") and pools[1]["Subnet"].endswith("/64"))
        self.made("own", EnableIPv6=True, IPAM={"Config": [{"Subnet": "2001:db8:1::/64"}, {"Subnet": "10.10.0.0/24"}]})
        self.assertEqual([p["Subnet"] for p in self.inspect("own")["IPAM"]["Config"]], ["10.10.0.0/24", "2001:db8:1::/64"])
        cid = self.up(HostConfig={"NetworkMode": "own"})
        e = self.endpoints(cid)["own"]
        self.assertEqual((e["IPAddress"], e["GlobalIPv6Address"], e["GlobalIPv6PrefixLen"], e["IPv6Gateway"]),
                         ("10.10.0.2", "2001:db8:1::2", 64, "2001:db8:1::1"))
        self.assertEqual(self.inspect("own")["Containers"][cid]["IPv6Address"], "2001:db8:1::2/64")
        self.made("only", EnableIPv6=True, EnableIPv4=False)
        e = self.endpoints(self.up(HostConfig={"NetworkMode": "only"}))["only"]
        self.assertEqual((e["IPAddress"], e["IPPrefixLen"], e["Gateway"]), ("", 0, ""))
        self.assertRegex(e["MacAddress"], "^02:42(:[0-9a-f]{2}){4}$")
        self.refused("IPv4 or IPv6 must be enabled", EnableIPv4=False)
        self.refused("IPv4 or IPv6 must be enabled", Options={"com.docker.network.enable_ipv4": "false"})
        self.assertEqual(self.create("four", version="v1.47", EnableIPv4=False).status, 201) # which did not know it
        self.call("DELETE", "/networks/four")

    def test_bad_ipam(self):
        self.made("taken", IPAM=self.pool("10.20.0.0/16"))
        overlaps = "invalid pool request: Pool overlaps with other one on this address space"
        for subnet in ("10.20.0.0/16", "10.20.3.0/24", "10.0.0.0/8", "172.17.5.0/24"):
            self.refused(overlaps, 403, IPAM=self.pool(subnet))
        bad = "invalid network config:\n"
        self.refused(bad + "invalid subnet 10.30.1.5/24: it should be 10.30.1.0/24", IPAM=self.pool("10.30.1.5/24"))
        self.refused(bad + "invalid gateway 10.31.0.1: parent subnet 10.30.0.0/24 doesn't contain this address",
                     IPAM=self.pool("10.30.0.0/24", Gateway="10.31.0.1"))
        self.refused(bad + "invalid gateway fd00::1: parent subnet is an IPv4 block", IPAM=self.pool("10.30.0.0/24", Gateway="fd00::1"))
        self.refused(bad + "* invalid ip-range 10.30.0.0/16: CIDR block is bigger than its parent subnet 10.30.1.0/24\n"
                     "* invalid auxiliary address a: parent subnet 10.30.1.0/24 doesn't contain this address",
                     IPAM=self.pool("10.30.1.0/24", IPRange="10.30.0.0/16", AuxiliaryAddresses={"a": "10.30.2.1"}))
        self.refused(bad + "invalid ip-range 10.31.0.0/24: parent subnet 10.30.0.0/24 doesn't contain ip-range",
                     IPAM=self.pool("10.30.0.0/24", IPRange="10.31.0.0/24"))
        self.refused("failed to allocate gateway (10.30.0.0): Address already in use", 500, IPAM=self.pool("10.30.0.0/24", Gateway="10.30.0.0"))
        self.refused("failed to allocate secondary ip address (a:10.30.0.1): Address already in use", 500,
                     IPAM=self.pool("10.30.0.0/24", AuxiliaryAddresses={"a": "10.30.0.1"}))
        self.refused("bridge driver doesn't support multiple subnets", 403,
                     IPAM={"Config": [{"Subnet": "10.30.0.0/24"}, {"Subnet": "10.31.0.0/24"}]})
        for subnet, why in (("x", "no '/'"), ("10.0.0.0/33", "prefix length out of range"), ("10.0.0.0/x", 'bad bits after slash: "x"'),
                            ("10.0.0/8", 'ParseAddr("10.0.0"): IPv4 address too short'),
                            ("10.0.0.256/8", 'ParseAddr("10.0.0.256"): IPv4 field has value >255')):
            text = f'invalid JSON: netip.ParsePrefix("{subnet}"): {why}'
            self.refused(text, IPAM=self.pool(subnet))
        self.refused('invalid JSON: ParseAddr("nope"): unable to parse IP', IPAM=self.pool("10.30.0.0/24", Gateway="nope"))
        self.assertEqual(self.create("free", IPAM=self.pool("10.30.0.0/24")).status, 201) # nothing was left behind
        self.call("DELETE", "/networks/free")

    def test_refused(self):
        self.refused("invalid name: name is empty", name=" ")
        self.refused("invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Name of type string", name=5)
        self.refused("could not find plugin nope in v1 plugin registry: plugin not found", 404, Driver="nope")
        self.refused("could not find plugin nope in v1 plugin registry: plugin not found", 404, IPAM={"Driver": "nope"})
        self.refused("ipv4 pool is empty", IPAM={"Driver": "null"})
        self.refused('only one instance of "host" network is allowed', 403, Driver="host")
        self.refused('only one instance of "null" network is allowed', 403, Driver="null")
        self.refused("the macvlan driver needs an interface of the host, which this engine leaves alone: use the bridge driver", 403,
                     Driver="macvlan")
        self.refused('This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and '
                     "try again.", 403, Driver="overlay")
        self.refused("cannot create a swarm scoped network when swarm is not active", 403, Scope="swarm")
        self.refused("Ingress network can only be global scope network", 403, Ingress=True)
        mtu = "com.docker.network.driver.mtu"
        self.refused(f'failed to parse {mtu} value: x (strconv.Atoi: parsing "x": invalid syntax)', Options={mtu: "x"})
        self.refused("invalid MTU number: -1", Options={mtu: "-1"})
        icc = "com.docker.network.bridge.enable_icc"
        self.refused(f'failed to parse {icc} value: maybe (strconv.ParseBool: parsing "maybe": invalid syntax)', Options={icc: "maybe"})
        binding = "com.docker.network.bridge.host_binding_ipv4"
        self.refused(f"failed to parse {binding} value: x (nil ip)", Options={binding: "x"})
        self.assertError(self.call("POST", "/networks/create"), 400, "invalid JSON: got EOF while reading request body")
        self.assertError(self.call("DELETE", "/networks/nope"), 404, "network nope not found")

    def test_config_only(self):
        self.made("config", ConfigOnly=True, IPAM=self.pool("10.40.0.0/24"), Labels={"l": "1"}, Options={"o": "1"})
        config = self.inspect("config")
        self.assertEqual((config["Driver"], config["ConfigOnly"], config["IPAM"]["Config"]), ("null", True, [{"Subnet": "10.40.0.0/24"}]))
        n = self.made("applied", ConfigFrom={"Network": "config"}, Labels={}, Options={}, # as the CLI says it
                      IPAM={"Driver": "default", "Options": {}, "Config": []})
        got = self.inspect("applied")
        self.assertEqual((got["ConfigFrom"], got["Labels"], got["Options"], got["IPAM"]["Config"]),
                         ({"Network": "config"}, {"l": "1"}, {"o": "1"}, [{"Subnet": "10.40.0.0/24", "Gateway": "10.40.0.1"}]))
        self.assertError(self.call("DELETE", "/networks/config"), 403,
                         'error while removing network: configuration network "config" is in use')
        self.refused('configuration network "bridge" does not exist', 404, ConfigFrom={"Network": "bridge"})
        self.refused("user-specified configurations are not supported if the network depends on a configuration network", 403,
                     ConfigFrom={"Network": "config"}, Labels={"a": "b"})
        self.refused("a configuration network cannot depend on another configuration network", 403, ConfigOnly=True,
                     ConfigFrom={"Network": "config"})
        self.assertEqual(self.create("operated", ConfigOnly=True, Internal=True).status, 403)
        cid = self.idle(HostConfig={"NetworkMode": "config"})
        self.assertError(self.start(cid), 403, "failed to set up container networking: cannot create endpoint on configuration-only network")
        self.assertEqual(self.call("DELETE", f"/networks/{n}").status, 204)

    def test_filters(self):
        self.made("used", Labels={"a": "1", "b": "2"})
        unused = self.made("unused", Labels={"a": "2"}, Internal=True)
        self.up(HostConfig={"NetworkMode": "used"})
        builtin = ["bridge", "host", "none"]
        for filters, want in (({}, builtin + ["unused", "used"]), ({"name": ["use"]}, ["unused", "used"]), ({"name": ["^used$"]}, ["used"]),
                              ({"id": [unused[:9]]}, ["unused"]), ({"driver": ["null", "host"]}, ["host", "none"]),
                              ({"label": ["a"]}, ["unused", "used"]), ({"label": ["a=1", "b"]}, ["used"]), ({"type": ["custom"]}, ["unused", "used"]),
                              ({"type": ["builtin"]}, builtin), ({"scope": ["local"]}, builtin + ["unused", "used"]), ({"scope": ["swarm"]}, []),
                              ({"dangling": ["true"]}, ["unused"]), ({"dangling": ["0"]}, builtin + ["used"])):
            with self.subTest(filters):
                self.assertEqual(self.names(**filters), sorted(want))
        for filters, text in (({"nope": ["x"]}, "invalid filter 'nope'"), ({"type": ["x"]}, "invalid filter: 'type'='x'"),
                              ({"dangling": ["x"]}, "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")")):
            self.assertError(self.call("GET", "/networks", filters=json.dumps(filters)), 400, text)
        first = self.call("GET", "/networks").json[0]
        self.assertNotIn("Containers", first)
        self.assertIn("Containers", self.call("GET", "/networks", version="v1.27").json[0])

    def test_inspect_query(self):
        self.assertEqual(self.call("GET", "/networks/bridge", verbose="true", scope="local").status, 200)
        self.assertError(self.call("GET", "/networks/bridge", scope="swarm"), 404, "network bridge not found")
        self.assertError(self.call("GET", "/networks/bridge", verbose="x"), 400,
                         'invalid value for verbose: x: strconv.ParseBool: parsing "x": invalid syntax')

    def test_prune(self):
        self.made("kept", Labels={"keep": "1"})
        self.made("old")
        self.made("busy")
        self.up(HostConfig={"NetworkMode": "busy"})
        self.assertEqual(self.call("POST", "/networks/prune", filters='{"until":["1000"]}').json, {"NetworksDeleted": None})
        self.assertEqual(self.call("POST", "/networks/prune", filters='{"label!":["keep"]}').json, {"NetworksDeleted": ["old"]})
        self.assertEqual(self.names(type=["custom"]), ["busy", "kept"])
        self.assertEqual(self.call("POST", "/networks/prune", filters='{"label":["keep=1"]}').json, {"NetworksDeleted": ["kept"]})
        self.assertEqual(self.call("POST", "/networks/prune", filters='{"name":["x"]}').status, 400)

    def test_in_use(self):
        n = self.made("inuse")
        cid = self.up(name="user", HostConfig={"NetworkMode": "inuse"})
        endpoint = self.endpoints(cid)["inuse"]["EndpointID"]
        self.assertError(self.call("DELETE", "/networks/inuse"), 403,
                         f'error while removing network: network inuse has active endpoints (name:"user" id:"{endpoint[:12]}")')
        self.stop(cid)
        self.assertEqual(self.call("DELETE", f"/networks/{n}").status, 204)
        self.assertError(self.start(cid), 404, f"failed to set up container networking: network {n} not found")

    def test_events(self):
        since = time.time()
        n = self.create("watched").json["Id"]
        cid = self.d.up(HostConfig={"NetworkMode": "watched"})
        other = self.d.up()
        self.connect("watched", other)
        self.disconnect("watched", other)
        self.stop(cid)
        self.call("DELETE", "/networks/watched")
        self.call("POST", "/networks/prune", filters='{"until":["1000"]}')
        events = self.call("GET", "/events", since=f"{since:.6f}", until=f"{time.time() + 0.001:.6f}", filters='{"type":["network"]}').lines()
        got = [(e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]) for e in events if e["Actor"]["ID"] in (n, "")]
        about = {"name": "watched", "type": "bridge"}
        self.assertEqual(got, [("create", n, about), ("connect", n, dict(about, container=cid)), ("connect", n, dict(about, container=other)),
                               ("disconnect", n, dict(about, container=other)), ("disconnect", n, dict(about, container=cid)),
                               ("destroy", n, about), ("prune", "", {"reclaimed": "0"})])
        self.d.remove(cid)
        self.d.remove(other)


class Small(NetworkTest):
    """With few addresses."""
    options = ("--default-address-pool", "base=10.77.0.0/28,size=29", "--bip", "10.99.0.1/29", "--host-gateway-ip", "10.1.2.3")

    def test_pools_run_out(self):
        self.made("one")
        self.made("two")
        self.assertEqual([self.inspect(n)["IPAM"]["Config"][0]["Subnet"] for n in ("one", "two")], ["10.77.0.0/29", "10.77.0.8/29"])
        self.refused("all predefined address pools have been fully subnetted")
        self.call("DELETE", "/networks/one")
        self.made("three")
        self.assertEqual(self.inspect("three")["IPAM"]["Config"][0]["Subnet"], "10.77.0.0/29")

    def test_addresses_run_out(self):
        n = self.made("tiny", IPAM=self.pool("10.50.0.0/29"))
        cids = [self.up(HostConfig={"NetworkMode": "tiny"}) for _ in range(5)]
        self.assertEqual([self.ip(c, "tiny") for c in cids], [f"10.50.0.{i}" for i in range(2, 7)])
        self.assertEqual(self.inspect("tiny")["Status"]["IPAM"]["Subnets"]["10.50.0.0/29"], {"IPsInUse": 8, "DynamicIPsAvailable": 0})
        late = self.idle(name="late", HostConfig={"NetworkMode": "tiny"})
        text = f"no available IPv4 addresses on this network's address pools: tiny ({n})"
        self.assertError(self.start(late), 500, "failed to set up container networking: " + text)
        state = self.d.inspect(late)["State"]
        self.assertEqual((state["Status"], state["ExitCode"], state["Error"]),
                         ("created", 128, "failed to set up container networking: " + text))
        other = self.up()
        self.assertError(self.connect("tiny", other), 500, text)
        self.assertEqual(list(self.endpoints(other)), ["bridge"])
        self.stop(cids[2])
        self.assertEqual(self.start(late).status, 204)
        self.assertEqual(self.ip(late, "tiny"), "10.50.0.4")
        self.assertEqual(self.start(cids[2]).status, 500)
        self.stop(late)

    def test_options(self):
        self.assertEqual(self.inspect("bridge")["IPAM"]["Config"], [{"Subnet": "10.99.0.0/29", "Gateway": "10.99.0.1"}])
        cid = self.up(HostConfig={"ExtraHosts": ["gate:host-gateway"]})
        self.assertIn("10.1.2.3\tgate\n", self.file(cid, "/etc/hosts"))
        info = self.call("GET", "/info").json
        self.assertEqual(info["DefaultAddressPools"], [{"Base": "10.77.0.0/28", "Size": 29}])


class Containers(NetworkTest):
    def test_endpoint_of_the_bridge(self):
        cid = self.up(name="web")
        e = self.endpoints(cid)["bridge"]
        self.assertRegex(e["IPAddress"], r"^172\.17\.0\.\d+$")
        self.assertEqual((e["IPPrefixLen"], e["Gateway"], e["NetworkID"], e["DNSNames"]), (16, "172.17.0.1", self.inspect("bridge")["Id"], None))
        last = int(e["IPAddress"].rsplit(".")[-1])
        self.assertEqual(e["MacAddress"], f"02:42:ac:11:00:{last:02x}")
        self.assertEqual(self.inspect("bridge")["Containers"][cid],
                         {"Name": "web", "EndpointID": e["EndpointID"], "MacAddress": e["MacAddress"], "IPv4Address": e["IPAddress"] + "/16",
                          "IPv6Address": ""})
        settings = self.d.inspect(cid, LATEST)["NetworkSettings"]
        self.assertEqual(settings["SandboxKey"], "/var/run/docker/netns/" + settings["SandboxID"][:12])
        self.assertNotIn("IPAddress", settings)
        old = self.d.inspect(cid, "v1.51")["NetworkSettings"]
        self.assertEqual((old["IPAddress"], old["Gateway"], old["MacAddress"]), (e["IPAddress"], e["Gateway"], e["MacAddress"]))
        self.stop(cid)
        e = self.endpoints(cid)["bridge"]
        self.assertEqual((e["IPAddress"], e["MacAddress"], e["EndpointID"], e["Gateway"], e["IPPrefixLen"]), ("", "", "", "", 0))
        self.assertEqual(e["NetworkID"], self.inspect("bridge")["Id"])
        self.assertEqual(self.d.inspect(cid)["NetworkSettings"]["SandboxID"], "")
        self.assertNotIn(cid, self.inspect("bridge")["Containers"])

    def test_several(self):
        for n in ("front", "back"):
            self.made(n)
        reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "1000"], "Hostname": "h",
            "HostConfig": {"NetworkMode": "front"}, "NetworkingConfig": {"EndpointsConfig": {
                "back": {"Aliases": ["b1", "b2"], "GwPriority": 5}, "front": {"Aliases": ["f"]}}}}, query={"name": "multi"}, version=LATEST)
        self.assertEqual(reply.status, 201, reply.body)
        cid = reply.json["Id"]
        self.addCleanup(self.d.remove, cid)
        self.assertEqual(sorted(self.endpoints(cid)), ["back", "front"])
        self.assertEqual(self.start(cid).status, 204)
        e = self.endpoints(cid)
        self.assertEqual(e["back"]["DNSNames"], ["multi", "b1", "b2", cid[:12], "h"])
        self.assertEqual((e["back"]["Aliases"], e["back"]["GwPriority"]), (["b1", "b2"], 5))
        self.assertEqual(self.endpoints(cid, "v1.44")["front"]["Aliases"], ["f", cid[:12], "h"])
        listed = self.call("GET", "/containers/json", filters=json.dumps({"network": ["back"]})).json
        self.assertEqual([c["Id"] for c in listed], [cid])
        self.assertEqual(listed[0]["NetworkSettings"]["Networks"]["back"]["IPAddress"], e["back"]["IPAddress"])
        self.assertIsNone(listed[0]["NetworkSettings"]["Networks"]["back"]["Aliases"])
        hosts = self.file(cid, "/etc/hosts")
        for n in ("front", "back"):
            self.assertIn(f"{e[n]['IPAddress']}\th\n", hosts)

    def test_by_id(self):
        n = self.made("ided")
        cid = self.up(HostConfig={"NetworkMode": n[:12]})
        c = self.d.inspect(cid)
        self.assertEqual((c["HostConfig"]["NetworkMode"], list(c["NetworkSettings"]["Networks"])), (n, ["ided"]))

    def test_by_id_in_lists(self):
        """What was asked for by id is kept by name: that is what lists are filtered by."""
        n = self.made("listed")
        idle = [self.idle(HostConfig={"NetworkMode": n}), self.idle(HostConfig={"NetworkMode": n[:12]}), self.idle(HostConfig={"NetworkMode": "listed"}),
                self.idle(HostConfig={"NetworkMode": n}, NetworkingConfig={"EndpointsConfig": {n: {}}}),
                self.idle(HostConfig={"NetworkMode": "listed"}, NetworkingConfig={"EndpointsConfig": {n: {"Aliases": ["a"]}}})]
        self.idle()
        for term in ("listed", n, n[:12]):
            found = self.call("GET", "/containers/json", all=1, filters=json.dumps({"network": [term]})).json
            self.assertEqual(sorted(c["Id"] for c in found), sorted(idle), term)
            self.assertEqual({tuple(c["NetworkSettings"]["Networks"]) for c in found}, {("listed",)})

    def test_mac_of_a_network_by_id(self):
        n = self.made("macs")
        for version, mode, where in (("v1.43", n, {}), ("v1.44", n, {}), ("v1.44", n, {"EndpointsConfig": {"macs": {}}}),
                                     ("v1.44", "macs", {"EndpointsConfig": {n: {}}}),
                                     (LATEST, n, {"EndpointsConfig": {n: {"MacAddress": "02:42:aa:bb:cc:09"}}})):
            with self.subTest((version, mode == n, where)):
                mac = {} if version == LATEST else {"MacAddress": "02-42-AA-BB-CC-09"}
                reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": mode},
                                                                   "NetworkingConfig": where, **mac}, version=version)
                self.assertEqual(reply.status, 201, reply.body)
                cid = reply.json["Id"]
                for _ in range(2):
                    self.assertEqual(self.d.inspect(cid, "v1.43")["Config"]["MacAddress"], "02:42:aa:bb:cc:09")
                    self.assertEqual(self.endpoints(cid)["macs"]["MacAddress"], "02:42:aa:bb:cc:09")
                    self.start(cid)
                self.d.remove(cid)

    def test_static_addresses(self):
        self.made("static", EnableIPv6=True, IPAM={"Config": [{"Subnet": "10.60.0.0/24"}, {"Subnet": "fd60::/64"}]})
        config = lambda **ipam: {"EndpointsConfig": {"static": {"IPAMConfig": ipam}}}
        first = self.up(HostConfig={"NetworkMode": "static"}, NetworkingConfig=config(IPv4Address="10.60.0.9", IPv6Address="fd60:0::9"))
        e = self.endpoints(first)["static"]
        self.assertEqual((e["IPAddress"], e["GlobalIPv6Address"]), ("10.60.0.9", "fd60::9"))
        self.assertEqual(e["IPAMConfig"], {"IPv4Address": "10.60.0.9", "IPv6Address": "fd60::9"})
        second = self.idle(HostConfig={"NetworkMode": "static"}, NetworkingConfig=config(IPv4Address="10.60.0.9"))
        self.assertError(self.start(second), 403, "failed to set up container networking: Address already in use")
        self.stop(first)
        self.assertEqual(self.start(second).status, 204)

        def refused(text, network="static", **ipam):
            reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"NetworkMode": network},
                                                               "NetworkingConfig": {"EndpointsConfig": {network: {"IPAMConfig": ipam}}}})
            self.assertError(reply, 400, text)
        bad = "invalid config for network %s: invalid endpoint settings:\n%s"
        refused(bad % ("static", "no configured subnet contains IP address 10.61.0.1"), IPv4Address="10.61.0.1")
        refused(bad % ("bridge", "user-specified IP address is supported on user-defined networks only"), "bridge", IPv4Address="172.17.0.9")
        refused(bad % ("static", "* invalid IPv4 address: fd60::1\n* invalid IPv6 address: 10.60.0.1"), IPv4Address="fd60::1", IPv6Address="10.60.0.1")
        refused('invalid JSON: ParseAddr("x"): unable to parse IP', IPv4Address="x")
        refused(bad % ("static", "invalid link-local IP address: ::"), LinkLocalIPs=["::"])

    def test_mac_addresses(self):
        def create(version=LATEST, mode="bridge", endpoint=None, **body):
            networking = {"EndpointsConfig": {mode: endpoint}} if endpoint is not None else None
            reply = self.d.call("POST", "/containers/create", dict(body, Image="busybox", Cmd=["sleep", "1000"], HostConfig={"NetworkMode": mode},
                                                                   NetworkingConfig=networking), version=version)
            if reply.status == 201:
                self.addCleanup(self.d.remove, reply.json["Id"])
            return reply
        cid = create(endpoint={"MacAddress": "02-42-AA-bb-cc-01"}).json["Id"]
        self.assertEqual(self.endpoints(cid)["bridge"]["MacAddress"], "02:42:aa:bb:cc:01")
        self.start(cid)
        self.assertEqual(self.endpoints(cid)["bridge"]["MacAddress"], "02:42:aa:bb:cc:01")
        self.assertEqual(self.d.inspect(cid, "v1.51")["Config"]["MacAddress"], "02:42:aa:bb:cc:01")
        self.assertNotIn("MacAddress", self.d.inspect(cid, LATEST)["Config"])
        for mac in ("x", "02:42:aa:bb:cc", "02:42:aa:bb:cc:0g", "02:42:aa-bb:cc:01", "02:42:aa:bb:cc:01:02"):
            self.assertError(create(endpoint={"MacAddress": mac}), 400, f"invalid JSON: address {mac}: invalid MAC address")
        reply = create("v1.44", MacAddress="02:42:aa:bb:cc:02")
        self.assertIn("The container-wide MacAddress field is now deprecated", reply.json["Warnings"][0])
        self.assertEqual(self.endpoints(reply.json["Id"])["bridge"]["MacAddress"], "02:42:aa:bb:cc:02")
        reply = create("v1.43", MacAddress="02:42:aa:bb:cc:03", endpoint={"MacAddress": "02:42:aa:bb:cc:04"})
        self.assertEqual((reply.json["Warnings"], self.endpoints(reply.json["Id"])["bridge"]["MacAddress"]), ([], "02:42:aa:bb:cc:03"))
        reply = create("v1.43", endpoint={"MacAddress": "02:42:aa:bb:cc:04"})
        self.assertEqual(self.endpoints(reply.json["Id"])["bridge"]["MacAddress"], "")
        self.assertError(create("v1.43", mode="host", MacAddress="02:42:aa:bb:cc:03"), 400, "conflicting options: mac-address and the network mode")
        self.assertError(create("v1.44", MacAddress="02:42:aa:bb:cc:02", endpoint={"MacAddress": "02:42:aa:bb:cc:05"}), 400,
                         "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty")
        self.assertError(create(MacAddress="02:42:aa:bb:cc:02"), 400,
                         "container-wide MAC address no longer supported; use endpoint-specific MAC address instead")
        self.made("mac")
        cid = self.up()
        self.connect("mac", cid, "v1.53", MacAddress="02:42:00:00:00:01")
        self.assertNotEqual(self.endpoints(cid)["mac"]["MacAddress"], "02:42:00:00:00:01")
        self.disconnect("mac", cid)
        self.connect("mac", cid, MacAddress="02:42:00:00:00:01")
        self.assertEqual(self.endpoints(cid)["mac"]["MacAddress"], "02:42:00:00:00:01")

    def test_other_modes(self):
        host = self.up(HostConfig={"NetworkMode": "host"})
        c = self.d.inspect(host)
        self.assertEqual((c["NetworkSettings"]["SandboxKey"], c["NetworkSettings"]["Networks"]["host"]["IPAddress"], c["NetworkSettings"]["Ports"]),
                         ("/var/run/docker/netns/default", "", {}))
        self.assertEqual(self.inspect("host")["Containers"][host]["IPv4Address"], "")
        none = self.up(HostConfig={"NetworkMode": "none"})
        self.assertEqual(self.endpoints(none)["none"]["MacAddress"], "")
        owner = self.up(Hostname="owner")
        sharer = self.up(HostConfig={"NetworkMode": "container:" + owner})
        c = self.d.inspect(sharer)
        self.assertEqual((c["NetworkSettings"]["Networks"], c["NetworkSettings"]["SandboxID"]), ({}, ""))
        self.assertEqual(c["HostsPath"], self.d.inspect(owner)["HostsPath"])
        self.assertEqual(self.file(sharer, "/etc/hostname"), "owner\n")
        self.made("n")
        shared = "container sharing network namespace with another container or host cannot be connected to any other network"
        self.assertError(self.connect("n", sharer), 400, shared)
        self.assertError(self.connect("n", host), 400, shared)
        self.assertError(self.connect("n", none), 400,
                         "container cannot be connected to multiple networks with one of the networks in private (none) mode")
        self.assertError(self.connect("host", owner), 400,
                         "cannot connect container to host network - container must be created in host network mode")
        self.assertError(self.disconnect("host", host), 400,
                         "cannot disconnect container from host network - container was created in host network mode")
        lone = self.idle(name="lone")
        self.call("POST", f"/containers/{lone}/rename", name="self")

    def test_connect_running(self):
        n = self.made("later", IPAM=self.pool("10.70.0.0/24"))
        cid = self.up(name="joiner", Hostname="jhost")
        reply = self.connect("later", cid, Aliases=["al"], IPAMConfig={"IPv4Address": "10.70.0.7"})
        self.assertEqual((reply.status, reply.body), (200, b""))
        e = self.endpoints(cid)["later"]
        self.assertEqual((e["IPAddress"], e["NetworkID"], e["DNSNames"]), ("10.70.0.7", n, ["joiner", "al", cid[:12], "jhost"]))
        self.wait_for(lambda: "10.70.0.7\tjhost\n" in self.file(cid, "/etc/hosts"))
        self.assertError(self.connect("later", cid), 403, "endpoint with name joiner already exists in network later")
        other = self.up()
        self.assertError(self.connect("later", other, IPAMConfig={"IPv4Address": "10.70.0.7"}), 403, "Address already in use")
        self.assertError(self.connect("later", other, IPAMConfig={"IPv4Address": "10.71.0.7"}), 400,
                         "invalid endpoint settings:\nno configured subnet contains IP address 10.71.0.7")
        self.assertError(self.connect("bridge", other, Aliases=["x"]), 400,
                         "invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined networks")
        self.assertEqual(list(self.endpoints(other)), ["bridge"])
        self.assertEqual(self.disconnect("later", cid).status, 200)
        self.assertEqual(list(self.endpoints(cid)), ["bridge"])
        self.wait_for(lambda: "10.70.0.7" not in self.file(cid, "/etc/hosts"))
        self.assertError(self.disconnect("later", cid), 500, f"container {cid} is not connected to network later")
        self.assertEqual(self.connect("later", other, IPAMConfig={"IPv4Address": "10.70.0.7"}).status, 200)
        self.assertEqual(self.disconnect("bridge", cid).status, 200)
        self.assertEqual(self.endpoints(cid), {})
        self.stop(cid)
        self.assertEqual(self.start(cid).status, 204) # it stays without
        self.assertEqual(self.endpoints(cid), {})

    def test_connect_stopped(self):
        self.made("offline")
        cid = self.idle()
        self.assertEqual(self.connect("offline", cid, Aliases=["a"]).status, 200)
        self.assertEqual(self.connect("offline", cid).status, 200) # it is there already
        self.assertEqual(sorted(self.endpoints(cid)), ["bridge", "offline"])
        self.assertEqual(self.endpoints(cid)["offline"]["Aliases"], ["a"])
        self.assertEqual(self.connect("unborn", cid).status, 200)
        self.assertError(self.start(cid), 404, "failed to set up container networking: network unborn not found")
        self.assertEqual(self.disconnect("unborn", cid, True).status, 200)
        self.assertEqual(self.start(cid).status, 204)
        self.assertNotEqual(self.ip(cid, "offline"), "")
        self.stop(cid)
        self.assertEqual(self.disconnect("bridge", cid).status, 200)
        self.assertError(self.disconnect("bridge", cid), 500, f"container {cid} is not connected to the network bridge")
        self.assertEqual(list(self.endpoints(cid)), ["offline"])

    def test_connect_refused(self):
        self.made("there")
        cid = self.up()
        self.assertError(self.connect("nope", cid), 404, "network nope not found")
        self.assertError(self.connect("there", "nope"), 404, "No such container: nope")
        self.assertError(self.connect("there", ""), 400, 'invalid name or ID supplied: ""')
        self.assertError(self.disconnect("nope", cid), 404, "network nope not found")
        self.assertError(self.disconnect("there", "nope"), 404, "No such container: nope")
        self.assertError(self.disconnect("there", "nope", True), 404, "endpoint nope not found")
        self.assertError(self.connect("there", cid, MacAddress="zz"), 400, "invalid JSON: address zz: invalid MAC address")
        self.assertError(self.call("POST", "/networks/there/connect"), 400, "invalid JSON: got EOF while reading request body")

    def test_failed_start_leaves_nothing(self):
        self.made("clean", IPAM=self.pool("10.80.0.0/24"))
        cid = self.d.create("/no/such/program", HostConfig={"NetworkMode": "clean"})
        self.assertEqual(self.start(cid).status, 400)
        self.assertEqual(self.inspect("clean")["Status"]["IPAM"]["Subnets"]["10.80.0.0/24"]["IPsInUse"], 3)
        self.assertEqual(self.d.inspect(cid)["NetworkSettings"]["SandboxID"], "")
        two = self.idle(HostConfig={"NetworkMode": "clean"}, NetworkingConfig={"EndpointsConfig": {"clean": {}, "nope": {}}})
        self.assertError(self.start(two), 404, "failed to set up container networking: network nope not found")
        self.assertEqual(self.inspect("clean")["Containers"], {})
        self.d.remove(cid)

    def test_links(self):
        db = self.up(name="db", Hostname="dbhost")
        reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "1000"],
                                                           "HostConfig": {"Links": ["db:database"]}}, query={"name": "linker"})
        self.assertIn("Links on the default bridge network are deprecated", reply.json["Warnings"][0])
        cid = reply.json["Id"]
        self.addCleanup(self.d.remove, cid)
        self.assertEqual(self.d.inspect(cid)["HostConfig"]["Links"], ["/db:/linker/database"])
        self.assertEqual(self.start(cid).status, 204)
        self.assertIn(f"{self.ip(db)}\tdatabase dbhost db\n", self.file(cid, "/etc/hosts"))
        before = self.ip(db)
        self.stop(db)
        taker = self.up() # takes the address
        self.assertEqual(self.ip(taker), before)
        self.start(db)
        self.wait_for(lambda: f"{self.ip(db)}\tdatabase dbhost db\n" in self.file(cid, "/etc/hosts"))
        self.stop(db)
        self.stop(cid)
        self.assertError(self.start(cid), 500, "Cannot link to a non running container: /db AS /linker/database")
        for links, text in ((["a:b:c"], "bad format for links: a:b:c"), ([""], "empty string specified for links"),
                            (["nope:x"], "could not get container for nope: No such container: nope")):
            self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Links": links}}), 400, text)

    def test_during_a_start(self):
        """A network it comes to while it starts is told once; its files have that, and what happened to those it is linked to."""
        db = self.up(name="dbs", Hostname="dbhost")
        self.made("early"), self.made("gone")
        cid = self.idle(Hostname="h", HostConfig={"Links": ["dbs:database"]})
        since = time.time()
        with HeldStart(self.d, cid) as held:
            start = self.d.later("POST", f"/containers/{cid}/start")
            held.until_it_begins()
            self.assertIsNone(start(0))
            self.assertEqual(self.connect("early", cid).status, 200)
            self.assertEqual(self.connect("gone", cid).status, 200)
            self.assertEqual(self.disconnect("gone", cid).status, 200)
            before = self.ip(db)
            self.stop(db)
            taker = self.up()
            self.assertEqual(self.ip(taker), before)
            self.start(db)
            self.assertNotEqual(self.ip(db), before)
            held.release()
            self.assertEqual(start().status, 204)
        told = [(e["Action"], e["Actor"]["Attributes"]["name"]) for e in self.d.events(since, type=["network"])
                if e["Actor"]["Attributes"].get("container") == cid]
        self.assertEqual(told, [("connect", "bridge"), ("connect", "early")])
        self.wait_for(lambda: f"{self.ip(cid, 'early')}\th\n" in self.file(cid, "/etc/hosts"))
        self.wait_for(lambda: f"{self.ip(db)}\tdatabase dbhost dbs\n" in self.file(cid, "/etc/hosts"))
        self.assertIn(f"{self.ip(cid)}\th\n", self.file(cid, "/etc/hosts"))

    def test_files(self):
        cid = self.up(Hostname="h", Domainname="example.org", HostConfig={"ExtraHosts": ["a:1.2.3.4", "six:fd00::5", "gate:host-gateway"],
                                                                         "DnsSearch": ["s.example"], "DnsOptions": ["timeout:3"]})
        hosts = self.file(cid, "/etc/hosts")
        self.assertEqual(hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n"
                         "ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n1.2.3.4\ta\nfd00::5\tsix\n"
                         f"172.17.0.1\tgate\n{self.ip(cid)}\th.example.org h\n")
        self.assertEqual(self.file(cid, "/etc/hostname"), "h\n")
        resolv = self.file(cid, "/etc/resolv.conf")
        self.assertIn("\n\nnameserver 127.0.0.11\nsearch s.example\noptions timeout:3 ndots:0\n", resolv)
        self.assertIn("# Overrides: [search options]\n", resolv)
        c = self.d.inspect(cid)
        for name in ("hosts", "hostname"):
            key = {"hosts": "HostsPath", "hostname": "HostnamePath"}[name]
            with open(c[key], encoding="utf-8") as f:
                self.assertEqual(f.read(), self.file(cid, "/etc/" + name))
        self.assertEqual(self.call("GET", f"/containers/{cid}/changes").json, None)
        self.assertEqual(self.d.inspect(self.idle())["HostsPath"], "")
        cid = self.up(HostConfig={"Dns": ["9.9.9.9", "fd00::53"]})
        resolv = self.file(cid, "/etc/resolv.conf")
        self.assertIn("\n\nnameserver 9.9.9.9\nnameserver fd00::53\n", resolv)
        self.made("dns")
        self.connect("dns", cid)
        self.wait_for(lambda: "nameserver 127.0.0.11\n" in self.file(cid, "/etc/resolv.conf"))
        self.assertIn("# ExtServers: [9.9.9.9 fd00::53]\n", self.file(cid, "/etc/resolv.conf"))
        self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Dns": ["x"]}}), 400,
                         'invalid JSON: ParseAddr("x"): unable to parse IP')

    def test_files_of_the_user(self):
        cid = self.up("sh", "-c", "echo mine >/etc/resolv.conf; echo 9.9.9.9 x >>/etc/hosts; sleep 1000")
        self.wait_for(lambda: "9.9.9.9 x" in self.file(cid, "/etc/hosts"))
        self.made("edit")
        self.connect("edit", cid)
        ip = self.ip(cid, "edit")
        self.wait_for(lambda: ip in self.file(cid, "/etc/hosts"))
        self.assertIn("9.9.9.9 x\n", self.file(cid, "/etc/hosts"))
        self.assertEqual(self.file(cid, "/etc/resolv.conf"), "mine\n")
        cid = self.up(HostConfig={"ReadonlyRootfs": True, "Binds": ["/etc/passwd:/etc/hosts"]})
        self.assertIn("root:", self.file(cid, "/etc/hosts"))
        self.assertIn("nameserver", self.file(cid, "/etc/resolv.conf"))

    def test_another_of_the_same_name(self):
        """Once a container has been on a network, that one is meant, not another that has its name later."""
        n = self.made("again")
        cid, fresh = self.idle(HostConfig={"NetworkMode": "again"}), self.idle(HostConfig={"NetworkMode": "again"})
        late = self.up()
        self.assertEqual(self.start(cid).status, 204)
        self.assertEqual(self.connect("again", late).status, 200)
        self.stop(cid), self.stop(late)
        self.assertEqual(self.endpoints(cid)["again"]["NetworkID"], n)
        self.assertEqual(self.start(cid).status, 204)
        self.stop(cid)
        self.assertEqual(self.call("DELETE", "/networks/again").status, 204)
        other = self.made("again")
        for c in (cid, late):
            self.assertError(self.start(c), 404, f"failed to set up container networking: network {n} not found")
            self.assertEqual(self.endpoints(c)["again"]["NetworkID"], n)
        self.assertEqual(self.start(fresh).status, 204)
        self.assertEqual(self.endpoints(fresh)["again"]["NetworkID"], other)
        self.assertEqual(self.disconnect("again", late).status, 200)
        self.assertEqual(self.connect("again", late).status, 200)
        self.assertEqual(self.start(late).status, 204)
        self.stop(fresh), self.stop(late)

    def test_renamed(self):
        """Others find it by its new name at once, and no longer by the old one."""
        self.made("names")
        cid = self.up(name="before", HostConfig={"NetworkMode": "names"}, NetworkingConfig={"EndpointsConfig": {"names": {"Aliases": ["alias"]}}})
        asks = self.up(HostConfig={"NetworkMode": "names"})
        ip = self.ip(cid, "names")

        def found(name):
            return ip in self.run_in(asks, "nslookup", name)
        self.assertTrue(found("before") and found("alias") and not found("after"))
        self.assertEqual(self.call("POST", f"/containers/{cid}/rename", name="after").status, 204)
        self.assertTrue(found("after") and found("alias") and not found("before"))
        self.assertIn("after", self.endpoints(cid)["names"]["DNSNames"])

    def test_daemon_restart(self):
        self.made("kept", IPAM=self.pool("10.90.0.0/24", Gateway="10.90.0.77"), Labels={"a": "b"})
        before = {n: self.inspect(n) for n in ("kept", "bridge", "host", "none")}
        cid = self.idle(HostConfig={"NetworkMode": "kept"})
        self.connect("bridge", cid)
        self.d.kill()
        self.d.start()
        self.assertEqual({n: self.inspect(n) for n in before}, before)
        self.refused("invalid pool request: Pool overlaps with other one on this address space", 403, IPAM=self.pool("10.90.0.128/25"))
        self.assertEqual(sorted(self.endpoints(cid)), ["bridge", "kept"])
        self.assertEqual(self.start(cid).status, 204)
        self.assertEqual(self.ip(cid, "kept"), "10.90.0.1")


class Ports(NetworkTest):
    def ports(self, cid):
        return self.d.inspect(cid)["NetworkSettings"]["Ports"]

    def test_published(self):
        cid = self.up(HostConfig={"PortBindings": {"80/tcp": [{}], "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}],
                                                   "53/udp": [{"HostIp": "127.0.0.1"}]}}, ExposedPorts={"80/tcp": {}, "90-91/udp": {}})
        ports = self.ports(cid)
        self.assertEqual(sorted(ports), ["53/udp", "80/tcp", "81/tcp", "90/udp", "91/udp"])
        self.assertIsNone(ports["90/udp"])
        v4, *v6 = ports["80/tcp"]
        self.assertEqual((v4["HostIp"], [b["HostIp"] for b in v6] in ([], ["::"])), ("0.0.0.0", True))
        self.assertEqual({b["HostPort"] for b in ports["80/tcp"]}, {v4["HostPort"]})
        self.assertEqual([b["HostIp"] for b in ports["81/tcp"]], ["127.0.0.1"])
        self.assertGreater(int(ports["81/tcp"][0]["HostPort"]), 1023)
        listed = self.call("GET", "/containers/json", filters=json.dumps({"id": [cid]})).json[0]["Ports"]
        self.assertIn({"IP": "127.0.0.1", "PrivatePort": 81, "PublicPort": int(ports["81/tcp"][0]["HostPort"]), "Type": "tcp"}, listed)
        self.assertIn({"PrivatePort": 91, "Type": "udp"}, listed)
        self.stop(cid)
        self.assertEqual(self.ports(cid), {})

    def test_all_exposed(self):
        cid = self.up(ExposedPorts={"80/tcp": {}, "7000-7001/tcp": {}}, HostConfig={"PublishAllPorts": True})
        ports = self.ports(cid)
        self.assertEqual(sorted(ports), ["7000/tcp", "7001/tcp", "80/tcp"])
        self.assertEqual(len({p[0]["HostPort"] for p in ports.values()}), 3)

    def test_in_use(self):
        first = self.up(HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}})
        port = self.ports(first)["80/tcp"][0]["HostPort"]
        self.made("portnet", IPAM=self.pool("10.91.0.0/24"))
        second = self.idle(name="second", HostConfig={"NetworkMode": "portnet", "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}})
        reply = self.start(second)
        self.assertEqual(reply.status, 500)
        self.assertRegex(reply.message, "^failed to set up container networking: driver failed programming external connectivity on endpoint "
                         rf"second \([0-9a-f]{{64}}\): Bind for 127.0.0.1:{port} failed: port is already allocated$")
        self.assertEqual(self.inspect("portnet")["Containers"], {})
        self.assertEqual(self.inspect("portnet")["Status"]["IPAM"]["Subnets"]["10.91.0.0/24"]["IPsInUse"], 3)
        self.stop(first)
        self.assertEqual(self.start(second).status, 204)
        self.assertEqual(self.ports(second)["80/tcp"], [{"HostIp": "127.0.0.1", "HostPort": port}])

    def test_follow_the_networks(self):
        self.made("inner", Internal=True)
        self.made("outer")
        cid = self.up(ExposedPorts={"81/tcp": {}}, HostConfig={"NetworkMode": "inner", "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}})
        self.assertEqual(self.ports(cid), {})
        self.assertEqual(self.endpoints(cid)["inner"]["Gateway"], "")
        self.connect("outer", cid)
        ports = self.ports(cid)
        self.assertEqual(sorted(ports), ["80/tcp", "81/tcp"])
        self.disconnect("outer", cid)
        self.assertEqual(self.ports(cid), {})

    def test_refused(self):
        for bindings, text in (({"x": [{}]}, "invalid JSON: invalid port 'x': invalid syntax"), ({"80/tcp": [{"HostPort": "70000"}]}, 'invalid port specification: "70000"'),
                               ({"80/tcp": [{"HostIp": "x"}]}, 'invalid JSON: ParseAddr("x"): unable to parse IP')):
            self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"PortBindings": bindings}}), 400, text)
