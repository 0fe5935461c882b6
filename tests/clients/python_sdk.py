"""The Docker SDK for Python against a running daemon: what programs and test suites do with it.

Usage: python_sdk.py (DOCKER_HOST says where). Prints one line per failure and a sum at the end."""
import io
import socket
import sys
import tarfile
import threading
import time
import traceback
import urllib.request

import docker
import docker.errors
import docker.types

client = docker.from_env(timeout=60)
IMAGE = "busybox:latest"
passed, failed = 0, 0


def case(function):
    """Runs a case at once, with whatever it made removed afterwards."""
    global passed, failed
    made = []
    try:
        function(made)
        passed += 1
    except Exception:  # pylint: disable=broad-except
        failed += 1
        print(f"FAIL {function.__name__}")
        traceback.print_exc()
    for thing in reversed(made):
        try:
            if hasattr(thing, "kill"):
                thing.remove(force=True, v=True)
            else:
                thing.remove()
        except docker.errors.NotFound:
            pass
    return function


def started(made, command, **options):
    options.setdefault("image", IMAGE)
    container = client.containers.run(options.pop("image"), command, detach=True, **options)
    made.append(container)
    return container


def until(claim, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if claim():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come true")


@case
def handshake(_):
    assert client.ping()
    version = client.version()
    assert version["ApiVersion"] >= "1.41", version
    assert client.info()["OSType"] == "linux"


@case
def run_answers_output(_):
    assert client.containers.run(IMAGE, ["echo", "hello"], remove=True) == b"hello\n"


@case
def run_raises_the_exit_code(_):
    try:
        client.containers.run(IMAGE, ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    except docker.errors.ContainerError as error:
        assert error.exit_status == 3 and b"bad" in error.stderr
    else:
        raise AssertionError("no ContainerError")


@case
def missing_command(_):
    try:
        client.containers.run(IMAGE, ["no-such-command"], remove=True)
    except docker.errors.APIError as error:
        assert error.response.status_code == 400 and "executable file not found" in error.explanation
    else:
        raise AssertionError("no APIError")


@case
def environment_directory_user(_):
    out = client.containers.run(IMAGE, ["sh", "-c", "echo $A; pwd; id -u; hostname"], environment={"A": "b"},
                                working_dir="/tmp", user="1000", hostname="there", remove=True)
    assert out == b"b\n/tmp\n1000\nthere\n", out


@case
def exec_with_code_streams_and_environment(made):
    c = started(made, ["sleep", "60"])
    assert c.exec_run(["sh", "-c", "echo $X; exit 4"], environment={"X": "y"}) == (4, b"y\n")
    code, (out, err) = c.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert (code, out, err) == (0, b"out\n", b"err\n")
    for _ in range(50): # it reads the head through a buffer and what follows past it
        assert c.exec_run(["echo", "hello"]) == (0, b"hello\n")
    assert b"".join(c.exec_run(["seq", "1000"], stream=True).output).endswith(b"999\n1000\n")


@case
def exec_socket_carries_stdin(made):
    c = started(made, ["sleep", "60"])
    exec_id = client.api.exec_create(c.id, ["cat"], stdin=True, tty=True)["Id"]
    sock = client.api.exec_start(exec_id, tty=True, socket=True)
    raw = getattr(sock, "_sock", sock)
    raw.settimeout(60)
    raw.sendall(b"typed\n")
    got = b""
    while got.count(b"typed") < 2:
        got += raw.recv(4096)
    raw.sendall(b"\x04")
    until(lambda: client.api.exec_inspect(exec_id)["ExitCode"] == 0)
    sock.close()


@case
def attach_before_start_gets_everything(made):
    c = client.containers.create(IMAGE, ["sh", "-c", "for i in 1 2 3; do echo $i; done"])
    made.append(c)
    stream = c.attach(stream=True, logs=True)
    c.start()
    assert b"".join(stream) == b"1\n2\n3\n"
    assert c.wait()["StatusCode"] == 0


@case
def logs_follow_since_tail(made):
    c = started(made, ["sh", "-c", "echo first; sleep 0.2; echo second; exec sleep 60"])
    until(lambda: b"second" in c.logs())
    assert c.logs(tail=1) == b"second\n"
    assert c.logs(stderr=False, timestamps=True).split()[1] == b"first"
    lines = c.logs(stream=True, follow=True)
    assert next(iter(lines)).startswith(b"first")
    lines.close()
    c.kill()
    assert c.wait()["StatusCode"] == 137


@case
def copies_in_and_out(made):
    c = client.containers.create(IMAGE, ["cat", "/srv/note"])
    made.append(c)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("srv/note")
        info.size, info.mode = 5, 0o640
        tar.addfile(info, io.BytesIO(b"copy\n"))
    assert c.put_archive("/", data.getvalue())
    c.start()
    assert c.wait()["StatusCode"] == 0 and c.logs() == b"copy\n"
    bits, stat = c.get_archive("/srv/note")
    with tarfile.open(fileobj=io.BytesIO(b"".join(bits))) as tar:
        assert tar.extractfile("note").read() == b"copy\n"
    assert stat["name"] == "note" and stat["size"] == 5 and stat["mode"] == 0o640
    assert {"Path": "/srv/note", "Kind": 1} in c.diff()


@case
def lifecycle_and_states(made):
    c = started(made, ["sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done"], name="py-life", labels={"py": "1"})
    assert [x.id for x in client.containers.list(filters={"label": "py=1"})] == [c.id]
    c.pause()
    c.reload()
    assert c.status == "paused"
    c.unpause()
    c.rename("py-life-2")
    c.reload()
    assert c.name == "py-life-2"
    until(lambda: c.logs() == b"up\n")
    c.restart(timeout=60)
    c.reload()
    assert c.status == "running"
    until(lambda: c.logs() == b"up\nup\n")
    assert any("while" in " ".join(row) for row in c.top()["Processes"])
    c.stop(timeout=60)
    assert c.wait()["StatusCode"] == 9


@case
def stats_tell_figures(made):
    c = started(made, ["sh", "-c", "while :; do :; done"])
    one = c.stats(stream=False)
    assert one["memory_stats"]["usage"] > 0 and one["pids_stats"]["current"] >= 1
    assert one["cpu_stats"]["cpu_usage"]["total_usage"] > one["precpu_stats"]["cpu_usage"]["total_usage"] >= 0
    many = c.stats(stream=True, decode=True)
    first, second = next(many), next(many)
    assert second["cpu_stats"]["cpu_usage"]["total_usage"] > first["cpu_stats"]["cpu_usage"]["total_usage"]
    many.close()


@case
def events_of_a_run(made):
    begin = int(time.time())
    c = started(made, ["true"])
    c.wait()
    seen = [e["Action"] for e in client.events(since=begin, until=int(time.time()) + 1, decode=True,
                                              filters={"container": c.id})]
    assert [a for a in seen if a in ("create", "start", "die")] == ["create", "start", "die"], seen


@case
def volumes_live_on(made):
    v = client.volumes.create("py-volume", labels={"py": "1"})
    made.append(v)
    client.containers.run(IMAGE, ["sh", "-c", "echo kept >/data/f"], volumes={"py-volume": {"bind": "/data", "mode": "rw"}},
                          remove=True)
    out = client.containers.run(IMAGE, ["cat", "/data/f"], remove=True,
                                mounts=[docker.types.Mount("/data", "py-volume", read_only=True)])
    assert out == b"kept\n"
    assert [x.name for x in client.volumes.list(filters={"label": "py"})] == ["py-volume"]


@case
def tmpfs_and_read_only_root(_):
    out = client.containers.run(IMAGE, ["sh", "-c", "echo x >/run/x && cat /run/x; touch /no 2>&1 | tail -c 22"],
                                read_only=True, tmpfs={"/run": "size=1m"}, remove=True)
    assert out == b"x\nRead-only file system\n", out


@case
def health_is_seen(made):
    c = started(made, ["sh", "-c", "sleep 0.3; touch /ok; exec sleep 60"],
                healthcheck={"test": ["CMD-SHELL", "test -e /ok"], "interval": 200_000_000, "retries": 50})
    until(lambda: client.api.inspect_container(c.id)["State"]["Health"]["Status"] == "healthy")
    assert "(healthy)" in client.api.containers(filters={"id": c.id})[0]["Status"]


@case
def restart_policy_counts(made):
    c = started(made, ["sh", "-c", "exit 5"], restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    until(lambda: client.api.inspect_container(c.id)["State"]["Status"] == "exited" and
          client.api.inspect_container(c.id)["RestartCount"] == 2)


@case
def limits_are_updated(made):
    c = started(made, ["sleep", "60"], mem_limit="64m", pids_limit=20)
    c.update(mem_limit="96m", memswap_limit="192m")
    assert client.api.inspect_container(c.id)["HostConfig"]["Memory"] == 96 << 20


def fetch(port, path="/"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as reply:
        return reply.read()


def answers(port):
    try:
        fetch(port)
    except OSError:
        return False
    return True


WEB = ["sh", "-c", "mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www"]


@case
def published_port_serves(made):
    c = started(made, WEB, ports={"80/tcp": None})
    c.reload()
    port = int(c.ports["80/tcp"][0]["HostPort"])
    until(lambda: answers(port))
    assert fetch(port) == b"served\n"
    with socket.create_connection(("127.0.0.1", port), 60) as raw:
        raw.sendall(b"GET /missing HTTP/1.0\r\n\r\n")
        assert b"404" in raw.recv(4096)


@case
def network_resolves_names(made):
    net = client.networks.create("py-net", labels={"py": "1"})
    made.append(net)
    web = started(made, WEB, network="py-net", name="py-web")
    until(lambda: web.exec_run(["wget", "-qO-", "http://py-web/"])[0] == 0)
    out = client.containers.run(IMAGE, ["wget", "-qO-", "http://py-web/"], network="py-net", remove=True)
    assert out == b"served\n"
    other = started(made, ["sleep", "60"])
    assert other.exec_run(["wget", "-T", "2", "-qO-", "http://py-web/"])[0] != 0
    net.connect(other, aliases=["alias"])
    assert other.exec_run(["wget", "-qO-", "http://py-web/"]) == (0, b"served\n")
    assert web.exec_run(["nslookup", "alias"])[0] == 0
    net.disconnect(other)
    assert other.exec_run(["wget", "-T", "2", "-qO-", "http://py-web/"])[0] != 0
    net.reload()
    assert [c.name for c in net.containers] == ["py-web"]


@case
def parallel_starts(made):
    lock, problems = threading.Lock(), []

    def one(number):
        try:
            out = docker.from_env().containers.run(IMAGE, ["echo", str(number)], remove=True)
            assert out == f"{number}\n".encode()
        except Exception as error:  # pylint: disable=broad-except
            with lock:
                problems.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems, problems


@case
def errors_have_dockers_shape(_):
    for call, status in ((lambda: client.containers.get("no-such"), 404), (lambda: client.images.get("no-such"), 404),
                         (lambda: client.networks.get("no-such"), 404), (lambda: client.volumes.get("no-such"), 404)):
        try:
            call()
        except docker.errors.APIError as error:
            assert error.response.status_code == status and "no-such" in error.explanation.lower()
        else:
            raise AssertionError("no error")


@case
def prunes(made):
    c = started(made, ["true"], labels={"py-prune": "1"})
    c.wait()
    report = client.containers.prune(filters={"label": "py-prune=1"})
    assert report["ContainersDeleted"] == [c.id]
    made.clear()


print(f"docker SDK {docker.__version__}: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
