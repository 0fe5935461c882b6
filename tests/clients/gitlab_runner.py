"""A whole job of GitLab Runner's docker executor, replayed: the requests that 19.4 sends, in their order
(executors/docker). The program itself needs a GitLab to talk to, so it cannot run here.

A network for the build, a service in it, the wait for the service, a cache volume with its permission container,
then one build container that is attached, started and fed a script for every stage, with `stop` every second
while it waits; the cancel; the clean-up. Usage: gitlab_runner.py (DOCKER_HOST says where)."""
import json
import os
import socket
import sys
import threading
import time
from urllib.parse import urlencode

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "api"))
from harness import Hijacked, Reply, UnixConnection, demux  # noqa: E402

SOCKET = os.environ["DOCKER_HOST"].removeprefix("unix://")
IMAGE, SERVICE = "busybox:latest", "runner-abc-project-1-concurrent-0-busybox-0"
SHELL = ["sh", "-c", "if [ -x /usr/local/bin/bash ]; then exec /usr/local/bin/bash\nelif [ -x /bin/sh ]; then exec /bin/sh\n"
         "else echo shell not found; exit 1\nfi\n"]
passed, failed = 0, 0


def check(name, got, wanted):
    global passed, failed
    if got == wanted:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {name}\n  wanted {wanted!r}\n  got    {got!r}")


def call(method, path, body=None, timeout=60, **query):
    connection = UnixConnection(SOCKET, timeout)
    data = json.dumps(body).encode() if body is not None else None
    connection.request(method, "/v1.44" + path + (f"?{urlencode(query)}" if query else ""), body=data,
                       headers={"Content-Type": "application/json"} if data else {})
    response = connection.getresponse()
    reply = Reply(response, response.read())
    connection.close()
    return reply


def attach(cid):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(SOCKET)
    sock.sendall(f"POST /v1.44/containers/{cid}/attach?stderr=1&stdin=1&stdout=1&stream=1 HTTP/1.1\r\nHost: api.moby.localhost\r\n"
                 "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\nContent-Type: text/plain\r\n\r\n".encode())
    return Hijacked(sock)


def create(name, **config):
    reply = call("POST", "/containers/create", {"Image": IMAGE, **config}, name=name)
    assert reply.status == 201, reply.body
    return reply.json["Id"]


def wait_and_stop(cid):
    """What the executor does until a stage ends: wait for not-running, and stop every second beside it."""
    over, statuses = threading.Event(), set()

    def stops():
        while not over.wait(1):
            statuses.add(call("POST", f"/containers/{cid}/stop", t=60).status)

    def waits():
        return call("POST", f"/containers/{cid}/wait", condition="not-running", timeout=120).json["StatusCode"]

    thread = threading.Thread(target=stops)
    thread.start()
    code = waits()
    over.set()
    thread.join()
    return code, statuses


def stage(cid, script):
    """(exit code, stdout, stderr) of a script on the container's stdin."""
    stream = attach(cid)
    assert stream.status == 101, stream.head
    reply = call("POST", f"/containers/{cid}/start")
    assert reply.status == 204, reply.body
    stream.send(script.encode())
    stream.half_close()
    out = demux(stream.read())
    stream.close()
    code, _ = wait_and_stop(cid)
    return code, out[1].decode(), out[2].decode()


def prepare():
    check("OSType", call("GET", "/info").json["OSType"], "linux")
    check("the image is there", call("GET", f"/images/{IMAGE}/json").json["Os"], "linux")
    reply = call("POST", "/networks/create", {"Name": "runner-net", "Labels": {"com.gitlab.gitlab-runner.managed": "true"},
                                              "EnableIPv6": False, "Attachable": False, "Internal": False})
    check("network", reply.status, 201)
    check("cache volume", call("POST", "/volumes/create", {"Name": "runner-cache"}).status, 201)
    helper = create("runner-permission", Cmd=["sh", "-c", "mkdir -p /cache && chmod 777 /cache"],
                    HostConfig={"Binds": ["runner-cache:/cache"]})
    call("POST", f"/containers/{helper}/start")
    check("permission container", call("POST", f"/containers/{helper}/wait", condition="not-running").json["StatusCode"], 0)
    check("its removal", call("DELETE", f"/containers/{helper}", force=1, v=1).status, 204)


def start_service():
    cid = create(SERVICE, Cmd=["sh", "-c", "mkdir /w; echo service >/w/index.html; exec httpd -f -p 8000 -h /w"],
                 ExposedPorts={"8000/tcp": {}}, HostConfig={"NetworkMode": "runner-net"},
                 NetworkingConfig={"EndpointsConfig": {"runner-net": {"Aliases": ["busybox", "web"]}}})
    check("service starts", call("POST", f"/containers/{cid}/start").status, 204)
    facts = call("GET", f"/containers/{cid}/json").json
    address = facts["NetworkSettings"]["Networks"]["runner-net"]["IPAddress"]
    check("its port is known", list(facts["Config"]["ExposedPorts"]), ["8000/tcp"])
    check("its address is one", len(address.split(".")), 4)
    health = create("runner-wait-for-service", HostConfig={"NetworkMode": "runner-net"},
                    Env=[f"WAIT_FOR_SERVICE_TCP_ADDR={address}", "WAIT_FOR_SERVICE_8000_TCP_PORT=8000"],
                    Cmd=["sh", "-c", "for i in $(seq 600); do nc -z $WAIT_FOR_SERVICE_TCP_ADDR "
                                     "$WAIT_FOR_SERVICE_8000_TCP_PORT && exit 0; sleep 0.1; done; exit 1"])
    call("POST", f"/containers/{health}/start")
    check("the service answers", call("POST", f"/containers/{health}/wait", condition="not-running").json["StatusCode"], 0)
    call("DELETE", f"/containers/{health}", force=1, v=1)
    return cid


def build_container():
    return create("runner-build", Cmd=SHELL, Entrypoint=None, OpenStdin=True, StdinOnce=True, AttachStdin=True,
                  AttachStdout=True, AttachStderr=True, Tty=False, Env=["CI=true"],
                  Labels={"com.gitlab.gitlab-runner.managed": "true"},
                  HostConfig={"NetworkMode": "runner-net", "Binds": ["runner-cache:/cache"]},
                  NetworkingConfig={"EndpointsConfig": {"runner-net": {"Aliases": ["build"]}}})


def stages(cid):
    check("get sources", stage(cid, "set -e\nmkdir -p /builds\necho source >/builds/file\necho got\n"), (0, "got\n", ""))
    check("step script sees them", stage(cid, "cat /builds/file; echo $CI; echo kept >/cache/f\n"), (0, "source\ntrue\n", ""))
    check("the service by its alias", stage(cid, "wget -qO- http://web:8000/\n"), (0, "service\n", ""))
    check("a script that fails", stage(cid, "echo bad >&2\nexit 3\n"), (3, "", "bad\n"))
    check("and the stage after it", stage(cid, "cat /cache/f\n"), (0, "kept\n", ""))


def cancel(cid):
    stream = attach(cid)
    call("POST", f"/containers/{cid}/start")
    stream.send(b"trap 'echo stopped; exit 7' TERM\necho begun\nwhile :; do sleep 0.1; done\n")
    stream.read(b"begun")
    kill = call("POST", f"/containers/{cid}/exec", {"Cmd": ["sh", "-c", "kill -TERM 1"], "AttachStdout": True})
    check("exec for the cancel", kill.status, 201)
    check("it runs", call("POST", f"/exec/{kill.json['Id']}/start", {"Detach": True}).status, 200)
    code, statuses = wait_and_stop(cid)
    check("what the script's trap says", (code, b"stopped" in stream.read()), (7, True))
    check("stops beside the wait", statuses <= {204, 304}, True)
    stream.close()
    late = call("POST", f"/containers/{cid}/exec", {"Cmd": ["true"]})
    check("exec after the end is a conflict", (late.status, late.message), (409, f"container {cid} is not running"))


def clean_up(containers):
    nets = call("GET", "/networks", filters=json.dumps({"label": ["com.gitlab.gitlab-runner.managed=true"]})).json
    check("its network is found by label", [n["Name"] for n in nets], ["runner-net"])
    for cid in call("GET", f"/networks/{nets[0]['Id']}").json["Containers"]:
        check("disconnect", call("POST", f"/networks/{nets[0]['Id']}/disconnect", {"Container": cid, "Force": True}).status, 200)
    for cid in containers:
        check("remove", call("DELETE", f"/containers/{cid}", force=1, v=1).status, 204)
    check("remove the network", call("DELETE", f"/networks/{nets[0]['Id']}").status, 204)
    check("remove the cache", call("DELETE", "/volumes/runner-cache").status, 204)


def main():
    prepare()
    service = start_service()
    build = build_container()
    begin = time.monotonic()
    stages(build)
    cancel(build)
    clean_up([service, build])
    print(f"GitLab Runner's requests: {passed} passed, {failed} failed ({time.monotonic() - begin:.1f} s)")
    sys.exit(1 if failed else 0)


main()
