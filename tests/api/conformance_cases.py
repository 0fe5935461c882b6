"""How each operation is called for its success and for each of its errors: what test_conformance.py goes over.

    "POST /containers/{id}/kill": [ok(204, id=World.up), bad(404, id="nope"), bad(409, id=World.created)],

Names beside the status fill the path; `query`, `body` (an object, or bytes) and `headers` the request. A value that is
a function gets the World and makes what is needed, anew for each version. `since` and `before` are minor versions.
`read`: "json" (one value), "lines" (each line is a value), "first" (the first line of a stream that goes on), "raw".
`how`: "call", "hijack" or "websocket".
"""
import itertools
import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "registry"))
from support import Fake, Image  # noqa: E402

OCTETS = {"Content-Type": "application/x-tar"}
NO_CLUSTER = "there is no cluster, and none can be joined"
NO_PLUGINS = "there are no plug-ins: what they do is built in"


def case(status, query=None, body=None, headers=None, since=24, before=999, read="json", how="call", **path):
    return {"status": status, "query": query, "body": body, "headers": headers, "since": since, "before": before, "read": read,
            "how": how, "path": path}


ok = bad = case


def archive(*names, content=b"x"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Registries:
    """Ours, started at the first need; they end with the process."""

    fakes = {}

    def address(self, hook):
        if hook not in self.fakes:
            self.fakes[hook] = Fake()
            self.fakes[hook].add("lib/x", Image([{"a": b"1"}]))
            self.fakes[hook].hook = hook
        return self.fakes[hook].address

    @staticmethod
    def refuse(h, headers=None):
        h.refuse(401, "UNAUTHORIZED", "authentication required", headers)
        return True

    @classmethod
    def open(cls, h):
        """lib/x is there, private needs an account; it can be searched."""
        if "/private/" in h.path:
            return cls.refuse(h)
        if not h.path.startswith("/v1/search"):
            return False
        h.reply(200, b'{"results":[{"name":"x","description":"","star_count":1,"is_official":false}]}')
        return True

    @classmethod
    def closed(cls, h):
        """u may log in with p."""
        return h.headers.get("Authorization") != "Basic " + base64.b64encode(b"u:p").decode() and cls.refuse(
            h, {"WWW-Authenticate": 'Basic realm="x"'})


REGISTRIES = Registries()


class World:
    """What the cases need; the daemon is that of the test."""

    def __init__(self, daemon, version):
        self.d, self.version, self.n, self.made = daemon, version, 0, {}

    def once(self, key, make):
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def name(self):
        self.n += 1
        return f"{self.version.replace('.', '')}-{self.n}"

    def in_registry(self, rest):
        return f"{REGISTRIES.address(Registries.open)}/{rest}"

    def login(self, password):
        return {"username": "u", "password": password, "serveraddress": REGISTRIES.address(Registries.closed)}

    def pulled(self):
        reply = self.d.call("POST", "/images/create", query={"fromImage": self.in_registry("lib/x"), "tag": "latest"})
        assert reply.status == 200, reply.body
        return self.in_registry("lib/x")

    def created(self):
        return self.d.create("sleep", "1000", name=self.name())

    def up(self):
        return self.d.up("sleep", "1000", name=self.name(), HostConfig={"Init": True})

    def running(self):
        """Has of everything something to show. For cases that leave it as it is."""
        return self.once("running", lambda: self.d.up(
            "sh", "-c", "echo out; echo err >&2; sleep 1000", name=self.name(), Labels={"a": "b"}, ExposedPorts={"80/tcp": {}, "53/udp": {}},
            StopTimeout=5, StopSignal="SIGTERM", Env=["A=1"], Volumes={"/anonymous": {}},
            Healthcheck={"Test": ["CMD", "true"], "Interval": 10**9, "StartInterval": 10**9, "StartPeriod": 10**9, "Timeout": 10**9, "Retries": 1},
            HostConfig={"Binds": ["conformance:/v", "/tmp:/t:ro"], "Annotations": {"x": "y"}, "PidsLimit": 50, "Memory": 1 << 26, "Init": True,
                        "Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 128}], "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
                        "Mounts": [{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1 << 20}}],
                        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}, "ExtraHosts": ["h:1.2.3.4"], "Dns": ["1.1.1.1"]}))

    def terminal(self):
        return self.once("terminal", lambda: self.d.up("sleep", "1000", name=self.name(), Tty=True, OpenStdin=True))

    def exited(self):
        return self.once("exited", lambda: self.d.run("sh", "-c", "echo x >/new; exit 3", name=self.name())[0])

    def paused(self):
        cid = self.up()
        self.d.call("POST", f"/containers/{cid}/pause")
        return cid

    def broken(self):
        return self.d.create("/there/is/no/such", name=self.name())

    def readonly(self):
        return self.once("readonly", lambda: self.d.create("true", name=self.name(), HostConfig={"ReadonlyRootfs": True}))

    def executed(self):
        def make():
            eid = self.d.exec(self.running(), "true")
            self.d.call("POST", f"/exec/{eid}/start", {"Detach": True})
            self.d.wait_for(lambda: not self.d.call("GET", f"/exec/{eid}/json").json["Running"], "the end of an exec")
            return eid
        return self.once("executed", make)

    def exec_made(self):
        return self.d.exec(self.running(), "true")

    def exec_terminal(self):
        eid = self.d.exec(self.running(), "sleep", "1000", Tty=True)
        self.d.call("POST", f"/exec/{eid}/start", {"Detach": True, "Tty": True})
        return eid

    def exec_paused(self):
        cid = self.up()
        eid = self.d.exec(cid, "true")
        self.d.call("POST", f"/containers/{cid}/pause")
        return eid

    def tagged(self):
        name = self.name()
        self.d.call("POST", "/images/busybox/tag", query={"repo": name})
        return name

    def volume(self):
        return self.d.call("POST", "/volumes/create", {"Name": self.name(), "Labels": {"a": "b"}}).json["Name"]

    def used_volume(self):
        self.running()
        return "conformance"

    def network(self):
        reply = self.d.call("POST", "/networks/create", {"Name": self.name(), "Labels": {"a": "b"}})
        assert reply.status == 201, reply.body
        return reply.json["Id"]

    subnets = itertools.count(1)

    def subnet(self):
        """Another one each time, whatever the version: they stay taken."""
        return f"10.77.{next(self.subnets)}.0/24"

    def end(self):
        """Gives the address pools back, which are few."""
        for c in self.d.call("GET", "/containers/json", query={"all": 1, "filters": json.dumps({"name": ["^/" + self.version.replace(".", "") + "-"]})}).json:
            self.d.remove(c["Id"])
        self.d.call("POST", "/networks/prune")

    def busy_network(self):
        """With a container on it; both of them stay."""
        def make():
            nid = self.network()
            self.d.up("sleep", "1000", name=self.name(), HostConfig={"NetworkMode": nid})
            return nid
        return self.once("busy network", make)

    def connected(self):
        nid = self.network()
        self.d.call("POST", f"/networks/{nid}/connect", {"Container": self.running()})
        self.made["connected"] = nid
        return nid

    def connected_body(self):
        return {"Container": self.running(), "Force": True}

    def running_body(self):
        return {"Container": self.running(), "EndpointConfig": {"Aliases": ["other"]}}

    def since_start(self):
        return {"since": "1", "until": f"{time.time():.9f}"}


def websocket_headers():
    return {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(hashlib.sha1(os.urandom(8)).digest()[:16]).decode()}


def stream(query):
    return {"stream": 1, "stdout": 1, "stderr": 1, **query}


def filters(**values):
    return {"filters": json.dumps(values)}


BAD_FILTERS = {"filters": '{"nope":["x"]}'}

CASES = {
    # ---- containers ----
    "GET /containers/json": [ok(200, {"all": 1, "size": 1}), ok(200, {"limit": 1}), bad(400, BAD_FILTERS), bad(400, {"limit": "x"})],
    "POST /containers/create": [
        ok(201, {"name": World.name}, {"Image": "busybox"}), ok(201, {"platform": "linux/amd64"}, {"Image": "busybox", "MacAddress": ""}),
        bad(400, None, {}), bad(400, None, {"Image": "busybox", "HostConfig": {"Memory": 1}}), bad(404, None, {"Image": "nope"}),
        bad(409, {"name": "taken"}, {"Image": "busybox"})],
    "GET /containers/{id}/json": [ok(200, {"size": 1}, id=World.running), ok(200, id=World.created), ok(200, id=World.exited), bad(404, id="nope")],
    "GET /containers/{id}/top": [ok(200, id=World.running), bad(404, id="nope"), bad(409, id=World.created)],
    "GET /containers/{id}/logs": [ok(200, {"stdout": 1, "stderr": 1}, id=World.running, read="raw"), bad(404, {"stdout": 1}, id="nope"),
                                  bad(400, id=World.running)],
    "GET /containers/{id}/changes": [ok(200, id=World.exited), ok(200, id=World.created), bad(404, id="nope")],
    "GET /containers/{id}/export": [ok(200, id=World.exited, read="raw"), bad(404, id="nope")],
    "GET /containers/{id}/stats": [ok(200, {"stream": 0, "one-shot": 1}, id=World.running), ok(200, {"stream": 0, "one-shot": 1}, id=World.created),
                                   ok(200, id=World.running, read="first"), bad(404, {"stream": 0}, id="nope")],
    "POST /containers/{id}/resize": [ok(200, {"h": 10, "w": 20}, id=World.terminal), bad(404, {"h": 1, "w": 1}, id="nope"),
                                     bad(400, {"h": "x", "w": 1}, id=World.terminal), bad(409, {"h": 1, "w": 1}, id=World.created)],
    "POST /containers/{id}/start": [ok(204, id=World.created), ok(304, id=World.running), bad(400, id=World.broken), bad(404, id="nope")],
    "POST /containers/{id}/stop": [ok(204, {"t": 0}, id=World.up), ok(304, id=World.created), bad(404, id="nope")],
    "POST /containers/{id}/restart": [ok(204, {"t": 0}, id=World.up), bad(404, id="nope")],
    "POST /containers/{id}/kill": [ok(204, id=World.up), bad(404, id="nope"), bad(409, id=World.created),
                                   bad(400, {"signal": "nope"}, id=World.running)],
    "POST /containers/{id}/update": [ok(200, None, {"RestartPolicy": {"Name": "no"}}, id=World.created), bad(404, None, {}, id="nope")],
    "POST /containers/{id}/rename": [ok(204, {"name": World.name}, id=World.created), bad(404, {"name": "x"}, id="nope"),
                                     bad(409, {"name": "taken"}, id=World.created)],
    "POST /containers/{id}/pause": [ok(204, id=World.up), bad(404, id="nope"), bad(409, id=World.created)],
    "POST /containers/{id}/unpause": [ok(204, id=World.paused), bad(404, id="nope")],
    "POST /containers/{id}/attach": [ok(101, stream({}), id=World.running, how="hijack"), ok(200, {"logs": 1, "stdout": 1}, id=World.exited, read="raw"),
                                     bad(400, {"detachKeys": "nope"}, id=World.running), bad(404, id="nope")],
    "GET /containers/{id}/attach/ws": [ok(101, stream({}), headers=lambda w: websocket_headers(), id=World.running, how="websocket"),
                                       bad(400, {"detachKeys": "nope"}, headers=lambda w: websocket_headers(), id=World.running),
                                       bad(404, headers=lambda w: websocket_headers(), id="nope")],
    "POST /containers/{id}/wait": [ok(200, id=World.exited), ok(200, id=World.created), bad(400, {"condition": "nope"}, id=World.exited, since=30),
                                   bad(404, id="nope")],
    "DELETE /containers/{id}": [ok(204, {"v": 1, "force": 1}, id=World.up), ok(204, id=World.created), bad(404, id="nope"), bad(409, id=World.running)],
    "HEAD /containers/{id}/archive": [ok(200, {"path": "/etc"}, id=World.created), bad(400, id=World.created), bad(404, {"path": "/nope"}, id=World.created)],
    "GET /containers/{id}/archive": [ok(200, {"path": "/etc/passwd"}, id=World.created, read="raw"), bad(400, id=World.created),
                                     bad(404, {"path": "/nope"}, id=World.created), bad(404, {"path": "/"}, id="nope")],
    "PUT /containers/{id}/archive": [ok(200, {"path": "/tmp"}, archive("a"), OCTETS, id=World.created), bad(400, None, archive("a"), OCTETS, id=World.created),
                                     bad(403, {"path": "/tmp"}, archive("a"), OCTETS, id=World.readonly),
                                     bad(404, {"path": "/nope"}, archive("a"), OCTETS, id=World.created)],
    "POST /containers/prune": [ok(200, filters(label=["nope"])), bad(400, BAD_FILTERS)],
    "POST /containers/{id}/exec": [ok(201, None, {"Cmd": ["true"]}, id=World.running), bad(404, None, {"Cmd": ["true"]}, id="nope"),
                                   bad(409, None, {"Cmd": ["true"]}, id=World.created), bad(400, None, {}, id=World.running)],
    "POST /exec/{id}/start": [ok(200, None, {"Detach": True}, id=World.exec_made), ok(101, None, {}, id=World.exec_made, how="hijack"),
                              bad(404, None, {}, id="nope"), bad(409, None, {"Detach": True}, id=World.exec_paused)],
    "POST /exec/{id}/resize": [ok(200, {"h": 10, "w": 20}, id=World.exec_terminal), bad(400, {"h": "x"}, id=World.executed),
                               bad(404, {"h": 1, "w": 1}, id="nope")],
    "GET /exec/{id}/json": [ok(200, id=World.executed), ok(200, id=World.exec_made), bad(404, id="nope")],
    "GET /containers/{id}/checkpoints": [bad(501, id=World.running)],
    "POST /containers/{id}/checkpoints": [bad(501, None, {"CheckpointID": "c"}, id=World.running)],
    "DELETE /containers/{id}/checkpoints/{checkpoint}": [bad(501, id=World.running, checkpoint="c")],

    # ---- images ----
    "GET /images/json": [ok(200), ok(200, {"all": 1, "shared-size": 1, "digests": 1}), bad(400, BAD_FILTERS)],
    "POST /build": [ok(200, None, archive("Dockerfile", content=b"FROM busybox\nENV a=b\n"), OCTETS, read="lines"), bad(400, None, archive("Dockerfile"), OCTETS),
                    bad(500, {"dockerfile": "nope"}, archive("x"), OCTETS)],
    "POST /build/prune": [ok(200), bad(400, BAD_FILTERS)],
    "POST /build/cancel": [ok(200, {"id": "x"}, read="raw"), bad(400)],
    "POST /images/create": [ok(200, {"fromSrc": "-", "repo": "imported"}, archive("a"), OCTETS, read="lines"), bad(400, {"fromImage": "NOPE"}),
                            ok(200, lambda w: {"fromImage": w.in_registry("lib/x"), "tag": "latest"}, read="lines"),
                            bad(404, lambda w: {"fromImage": w.in_registry("nope"), "tag": "1"})],
    "GET /images/{name}/json": [ok(200, name="busybox"), ok(200, name="imported"), bad(404, name="nope"), bad(400, {"platform": "{"}, name="busybox", since=49)],
    "GET /images/{name}/attestations": [ok(200, name="busybox", since=55), bad(400, {"platform": "{"}, name="busybox"), bad(404, name="nope", since=55)],
    "GET /images/{name}/history": [ok(200, name="busybox"), bad(404, name="nope")],
    "POST /images/{name}/push": [ok(200, {"tag": "latest"}, name=World.pulled, read="lines"), ok(200, name="nope", read="lines"), bad(400, name="NOPE")],
    "POST /images/{name}/tag": [ok(201, {"repo": "tagged"}, name="busybox"), bad(400, {"repo": "NOPE"}, name="busybox"), bad(404, {"repo": "x"}, name="nope")],
    "DELETE /images/{name}": [ok(200, name=World.tagged), bad(404, name="nope"), bad(409, name="busybox@id")],
    "GET /images/search": [ok(200, lambda w: {"term": w.in_registry("x")}), bad(400, {"term": "x", "limit": "101"}), bad(400, BAD_FILTERS)],
    "POST /images/prune": [ok(200, filters(label=["nope"])), bad(400, BAD_FILTERS)],
    "POST /commit": [ok(201, lambda w: {"container": w.exited()}, {}), bad(404, {"container": "nope"}, {})],
    "GET /images/{name}/get": [ok(200, name="busybox", read="raw"), ok(200, {"platform": "{"}, name="busybox", before=48, read="raw"),
                               bad(404, name="nope"), bad(404, name="nope:1"), bad(400, name="NOPE"), bad(400, {"platform": "{"}, name="busybox", since=48)],
    "GET /images/get": [ok(200, {"names": "busybox"}, read="raw"), bad(404, {"names": "nope"}),
                        bad(400, [("platform", "{}"), ("platform", "{}")], since=48)],
    "POST /images/load": [ok(200, None, archive("a"), OCTETS, read="lines"), bad(400, {"platform": "{"}, archive("a"), OCTETS, since=48)],
    "GET /distribution/{name}/json": [ok(200, name=lambda w: w.in_registry("lib/x:latest"), since=30),
                                      bad(401, name=lambda w: w.in_registry("private:latest"), since=30), bad(400, name="NOPE", since=30)],

    # ---- the daemon ----
    "POST /auth": [ok(200, None, lambda w: w.login("p")),
                   bad(401, None, lambda w: w.login("wrong"))],
    "GET /info": [ok(200)],
    "GET /version": [ok(200)],
    "GET /_ping": [ok(200, read="raw")],
    "HEAD /_ping": [ok(200, read="raw")],
    "GET /events": [ok(200, World.since_start, read="lines"), bad(400, {"since": 2, "until": 1}), bad(400, {"filters": "{"})],
    "GET /system/df": [ok(200), ok(200, {"verbose": 1}), ok(200, {"type": "volume"}), bad(400, {"type": "nope"}, since=42)],
    "OPTIONS /{any}": [ok(200, any="whatever/there", read="raw")],
    "POST /session": [ok(101, how="hijack")],
    "POST /grpc": [ok(101, how="hijack")],
    "GET /debug/vars": [ok(200)],
    "GET /debug/pprof/{name}": [ok(200, name="heap", read="raw")],

    # ---- volumes ----
    "GET /volumes": [ok(200, lambda w: filters(name=[w.volume()])), ok(200), bad(400, BAD_FILTERS)],
    "POST /volumes/create": [ok(201, None, {}), ok(201, None, {"Name": World.name, "Labels": {"a": "b"}}), bad(400, None, {"Name": "/"})],
    "GET /volumes/{name}": [ok(200, name=World.volume), bad(404, name="nope")],
    "PUT /volumes/{name}": [bad(503, {"version": 1}, {}, name=World.volume, since=42)],
    "DELETE /volumes/{name}": [ok(204, name=World.volume), bad(404, name="nope"), bad(409, name=World.used_volume)],
    "POST /volumes/prune": [ok(200, filters(label=["nope"])), bad(400, BAD_FILTERS)],

    # ---- networks ----
    "GET /networks": [ok(200), bad(400, BAD_FILTERS)],
    "GET /networks/{id}": [ok(200, id="bridge"), ok(200, id=World.busy_network), ok(200, id="none"), bad(404, id="nope")],
    "DELETE /networks/{id}": [ok(204, id=World.network), bad(403, id="bridge"), bad(404, id="nope")],
    "POST /networks/create": [
        ok(201, None, {"Name": World.name}), ok(201, None, lambda w: {"Name": w.name(), "IPAM": {"Config": [{"Subnet": w.subnet()}]}}),
        bad(400, None, {"Name": "x", "IPAM": {"Config": [{"Subnet": "nope"}]}}), bad(403, None, {"Name": "bridge"}),
        bad(404, None, {"Name": "x", "Driver": "nope"})],
    "POST /networks/{id}/connect": [ok(200, None, World.running_body, id=World.network), bad(404, None, {"Container": "nope"}, id="bridge"),
                                    bad(404, None, World.running_body, id="nope"),
                                    bad(400, None, lambda w: {"Container": w.running(), "EndpointConfig": {"MacAddress": "x"}}, id=World.network, since=54)],
    "POST /networks/{id}/disconnect": [ok(200, None, World.connected_body, id=World.connected), bad(404, None, {"Container": "nope"}, id="nope")],
    "POST /networks/prune": [ok(200, filters(label=["nope"])), bad(400, BAD_FILTERS)],

    # ---- plug-ins ----
    "GET /plugins": [ok(200), bad(400, BAD_FILTERS)],
    "GET /plugins/privileges": [bad(500, {"remote": "a/b"})],
    "POST /plugins/pull": [bad(500, {"remote": "a/b"})],
    "GET /plugins/{name}/json": [bad(404, name="nope")],
    "DELETE /plugins/{name}": [bad(404, name="nope")],
    "POST /plugins/{name}/enable": [bad(404, {"timeout": 0}, name="nope")],
    "POST /plugins/{name}/disable": [bad(404, name="nope")],
    "POST /plugins/{name}/upgrade": [bad(404, {"remote": "a/b"}, b"[]", name="nope")],
    "POST /plugins/create": [bad(500, {"name": "a/b"}, archive("config.json"), OCTETS)],
    "POST /plugins/{name}/push": [bad(404, name="nope")],
    "POST /plugins/{name}/set": [bad(404, None, b"[]", name="nope")],

    # ---- clusters ----
    "GET /swarm": [bad(503)],
    "POST /swarm/init": [bad(503, None, {"ListenAddr": "0.0.0.0:2377"}), bad(400, None, {})],
    "POST /swarm/join": [bad(503, None, {"ListenAddr": "0.0.0.0:2377", "RemoteAddrs": ["10.0.0.1:2377"], "JoinToken": "x"}), bad(400, None, {})],
    "POST /swarm/leave": [bad(503)],
    "POST /swarm/update": [bad(503, {"version": 1}, {}), bad(400, {"version": "x"}, {})],
    "GET /swarm/unlockkey": [bad(503)],
    "POST /swarm/unlock": [bad(503, None, {"UnlockKey": "x"})],
    "GET /nodes": [bad(503)],
    "GET /nodes/{id}": [bad(503, id="x")],
    "DELETE /nodes/{id}": [bad(503, id="x")],
    "POST /nodes/{id}/update": [bad(503, {"version": 1}, {}, id="x"), bad(400, {"version": "x"}, {}, id="x")],
    "GET /services": [bad(503)],
    "POST /services/create": [bad(503, None, {"Name": "x"}), bad(400, None, b"{", {"Content-Type": "application/json"})],
    "GET /services/{id}": [bad(503, id="x")],
    "DELETE /services/{id}": [bad(503, id="x")],
    "POST /services/{id}/update": [bad(503, {"version": 1}, {}, id="x"), bad(400, {"version": "x"}, {}, id="x")],
    "GET /services/{id}/logs": [bad(503, {"stdout": 1}, id="x")],
    "GET /tasks": [bad(503)],
    "GET /tasks/{id}": [bad(503, id="x")],
    "GET /tasks/{id}/logs": [bad(503, {"stdout": 1}, id="x")],
    "GET /secrets": [bad(503)],
    "POST /secrets/create": [bad(503, None, {"Name": "x"})],
    "GET /secrets/{id}": [bad(503, id="x")],
    "DELETE /secrets/{id}": [bad(503, id="x")],
    "POST /secrets/{id}/update": [bad(503, {"version": 1}, {}, id="x"), bad(400, {"version": "x"}, {}, id="x")],
    "GET /configs": [bad(503)],
    "POST /configs/create": [bad(503, None, {"Name": "x"})],
    "GET /configs/{id}": [bad(503, id="x")],
    "DELETE /configs/{id}": [bad(503, id="x")],
    "POST /configs/{id}/update": [bad(503, {"version": 1}, {}, id="x"), bad(400, {"version": "x"}, {}, id="x")],
}

# Statuses of the specification that no request of ours brings about, each with the reason: (operation, status, reason).
# 500 is in all of them: a server's error is no answer to ask for.
NOT_PROVOKED = [
    (r"^\w+ /(swarm|nodes|services|tasks|secrets|configs)(/.*)?$", (200, 201, 204, 403, 404, 409), NO_CLUSTER),
    (r"^\w+ /plugins/.+$", (200, 204), NO_PLUGINS),
    (r"^PUT /volumes/\{name\}$", (200, 400, 404), NO_CLUSTER),
    (r"^GET /containers/\{id\}/attach/ws$", (200,), "a hand-shake ends with 101"),
    (r"^\w+ /containers/\{id\}$", (400,), "none of its parameters can be bad"),
    (r"^GET /images/\{name\}/attestations$", (501,), "of an engine that stores no attestations because it cannot; ours have none"),
    (r"^POST /images/\{name\}/tag$", (409,), "a tag moves, whatever it was at"),
    (r"^POST /networks/\{id\}/(dis)?connect$", (403,), "networks of a swarm's scope"),
    (r"^POST /auth$", (204,), "Docker itself answers 200, token or not"),
    (r"^POST /images/\{name\}/push$", (404,), "told in the stream, after its first line, as Docker does"),
    (r"^POST /session$", (400,), "later"),
]

# Members of bodies that are not read, so that a wrong type in them is no error.
UNREAD_BODIES = [
    (r"^POST /volumes/create\.ClusterVolumeSpec\.", NO_CLUSTER),
    (r"^POST /containers/\{id\}/update\.Init$", "in Docker's own structures it is no resource, so no update reads it"),
]
