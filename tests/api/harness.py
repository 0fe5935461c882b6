"""The real daemon on a private socket, and clients that speak to it to the byte.

Only the standard library is used. `Daemon` starts and stops sockerlessd of
build variant $B; `Daemon.call` sends one request over a connection of its own;
`Daemon.connect` is a raw socket for what no well-behaved client would send.
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from urllib.parse import urlencode

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
GOLDEN = os.path.join(ROOT, "tests", "golden")
VERSION = "v1.51"
DEADLINE_S = 60  # of what will surely come, also on a busy machine


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=DEADLINE_S):
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reply:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    @property
    def message(self):
        return self.json["message"]

    def lines(self):
        return [json.loads(line) for line in self.body.splitlines() if line]


class KeptPort:
    """A port of this host that nobody else is given while this is open: bound, and so it refuses connections until somebody
    who sets SO_REUSEADDR, as servers do, listens there."""

    def __init__(self, host="127.0.0.1"):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, 0))
        self.number = self.sock.getsockname()[1]

    def close(self):
        self.sock.close()


class Hijacked:
    """A connection that an attach or exec took over."""

    def __init__(self, sock):
        self.sock = sock
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(65536)
            if not data:
                break
            head += data
        self.head, _, self.rest = head.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])

    def send(self, data):
        self.sock.sendall(data)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def read(self, until=None):
        """Everything to the end, or until `until` has come."""
        while until is None or until not in self.rest:
            data = self.sock.recv(65536)
            if not data:
                break
            self.rest += data
        return self.rest

    def quiet(self, seconds):
        """What comes in that time."""
        self.sock.settimeout(seconds)
        try:
            while True:
                data = self.sock.recv(65536)
                if not data:
                    break
                self.rest += data
        except TimeoutError:
            pass
        self.sock.settimeout(DEADLINE_S)
        return self.rest

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def demux(data):
    """{1: stdout, 2: stderr} of a multiplexed stream."""
    out = {1: [], 2: []}
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 4:at + 8], "big")
        assert data[at + 1:at + 4] == b"\0\0\0" and len(data) >= at + 8 + size, data[at:at + 40]
        out[data[at]].append(data[at + 8:at + 8 + size])
        at += 8 + size
    return {stream: b"".join(parts) for stream, parts in out.items()}


class Daemon:
    def __init__(self, *options, env=None):
        self.env = env or {}
        self.dir = tempfile.mkdtemp(prefix="sockerless-api-")
        self.socket = os.path.join(self.dir, "docker.sock")
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.options = options
        self.process = None
        self.start()

    def start(self):
        arguments = [os.path.join(BUILD, "bin/sockerlessd"), "-H", "unix://" + self.socket, "--data-root", self.data,
                     "--sandbox", os.path.join(ROOT, "build/bin/sockerless-sandbox"),
                     "--guest", os.path.join(ROOT, "build/guest/rootfs"), *self.options]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, env=self.environment())
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            try:
                if self.call("GET", "/_ping").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the daemon does not answer:\n" + self.log_text())

    def environment(self):
        """No test asks the Internet: where that would be, nobody answers."""
        own = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        return {**own, "https_proxy": "http://127.0.0.1:9", **self.env}

    def kill(self):
        """As a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """A clean end, or an AssertionError with the log. Containers that a test left behind have no time to obey."""
        try:
            for c in self.call("GET", "/containers/json").json:
                self.call("POST", f"/containers/{c['Id']}/kill")
        except (OSError, http.client.HTTPException):
            pass
        self.end()
        shutil.rmtree(self.dir)

    def end(self):
        """A clean end that leaves the data root for the next start."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(DEADLINE_S)
        log = self.log_text()
        for sign in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:"):
            assert sign not in log, log
        assert status == 0, f"the daemon ended with {status}:\n{log}"

    def loop_cpu_s(self):
        """What its loop has had of a processor; its other threads not."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def connect(self, timeout=DEADLINE_S):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(self.socket)
        return s

    def call(self, method, path, body=None, query=None, version=VERSION, headers=None, timeout=DEADLINE_S):
        """One request. body: an object to be sent as JSON, or bytes. version None: no prefix."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        target = (f"/{version}" if version else "") + path + (f"?{urlencode(query)}" if query else "")
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            return Reply(response, response.read())
        finally:
            connection.close()

    def hijack(self, path, body=None, query=None, version=VERSION):
        data = json.dumps(body).encode() if body is not None else b""
        s = self.connect()
        s.sendall((f"POST /{version}{path}{'?' + urlencode(query) if query else ''} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n"
                   f"Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data)
        return Hijacked(s)

    def attach(self, cid, version=VERSION, **query):
        return self.hijack(f"/containers/{cid}/attach", query={"stream": 1, "stdout": 1, "stderr": 1, **query}, version=version)

    def logs(self, cid, **query):
        reply = self.call("GET", f"/containers/{cid}/logs", query={"stdout": 1, "stderr": 1, **query})
        assert reply.status == 200, reply.body
        return reply.body

    def exec(self, cid, *cmd, **config):
        """The id of a new exec with both outputs attached."""
        reply = self.call("POST", f"/containers/{cid}/exec", {"Cmd": list(cmd), "AttachStdout": True, "AttachStderr": True, **config})
        assert reply.status == 201, reply.body
        return reply.json["Id"]

    def events(self, since, until=None, version=VERSION, **filters):
        """Past events of the time; filters: key=[values]."""
        reply = self.call("GET", "/events", version=version,
                          query={"since": f"{since:.9f}", "until": f"{until or time.time():.9f}", "filters": json.dumps(filters)})
        assert reply.status == 200, reply.body
        return reply.lines()

    def wait_for(self, condition, what):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, what
            time.sleep(0.01)

    # ---- what most tests need ----

    def create(self, *cmd, name=None, **config):
        """The id of a new container of the built-in image."""
        reply = self.call("POST", "/containers/create", {"Image": "busybox", "Cmd": list(cmd), **config},
                          query={"name": name} if name else None)
        assert reply.status == 201, reply.body
        return reply.json["Id"]

    def run(self, *cmd, **config):
        """Runs it to its end: (id, exit code)."""
        cid = self.create(*cmd, **config)
        reply = self.call("POST", f"/containers/{cid}/start")
        assert reply.status == 204, reply.body
        return cid, self.call("POST", f"/containers/{cid}/wait").json["StatusCode"]

    def up(self, *cmd, **config):
        """The id of a container that runs."""
        cid = self.create(*(cmd or ("sleep", "1000")), **config)
        reply = self.call("POST", f"/containers/{cid}/start")
        assert reply.status == 204, reply.body
        return cid

    def inspect(self, cid, version=VERSION):
        reply = self.call("GET", f"/containers/{cid}/json", version=version)
        assert reply.status == 200, reply.body
        return reply.json

    def later(self, *request, **more):
        """The request from a thread; call what is returned for the reply."""
        replies = []
        thread = threading.Thread(target=lambda: replies.append(self.call(*request, **more)), daemon=True)
        thread.start()

        def reply(timeout_s=DEADLINE_S):
            thread.join(timeout_s)
            return replies[0] if replies else None
        return reply

    def waiting(self, cid, condition="not-running"):
        """A wait that has begun: its head has come. Call what is returned for the answer."""
        s = self.connect()
        s.sendall(f"POST /{VERSION}/containers/{cid}/wait?condition={condition} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n".encode())
        data = s.recv(65536)
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            assert more, data
            data += more

        def result():
            rest = data
            with s:
                while more := s.recv(65536):
                    rest += more
            assert rest.endswith(b"0\r\n\r\n"), rest
            return json.loads(rest[rest.index(b"{"):rest.rindex(b"}") + 1])
        return result

    def remove(self, cid):
        self.call("DELETE", f"/containers/{cid}", query={"force": 1, "v": 1})


class HeldStart:
    """Inside the block every start of the container stands still: the daemon waits for a reader of a FIFO where its log is to be."""

    def __init__(self, d, cid):
        self.d, self.cid = d, cid
        self.dir = os.path.join(d.data, "containers", cid)
        self.log, self.fifo = os.path.join(self.dir, "output.log"), os.path.join(self.dir, "held")
        self.reader = -1

    def __enter__(self):
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        os.mkfifo(self.fifo, 0o600)
        os.link(self.fifo, self.fifo + ".log")
        os.replace(self.fifo + ".log", self.log)
        return self

    def until_it_begins(self):
        """The daemon has heard of the start: the container has got its address."""
        self.d.wait_for(lambda: self.d.inspect(self.cid)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"], "the start")

    def release(self):
        if self.reader < 0:
            os.unlink(self.log)
            self.reader = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
            os.unlink(self.fifo)

    def __exit__(self, *_):
        self.release()
        os.close(self.reader)


def normalised(value, replace):
    """The response without what differs from run to run. `replace`: [(pattern, text)] for strings, before our own."""
    if isinstance(value, dict):
        out = {}
        for key, v in value.items():
            if key in ("Pid", "NCPU", "MemTotal", "NFd", "time", "timeNano", "Size", "LayersSize") and isinstance(v, int) and v > 0:
                v = f"<{key}>"
            elif key == "execDuration":
                v = "<seconds>"
            elif (key == "PublicPort" and v) or (key == "HostPort" and v not in ("", "8080")):
                v = "<port>"
            elif key == "Created" and isinstance(v, int):
                v = "<time>"
            elif key in ("KernelVersion", "Name") and isinstance(v, str) and v in (os.uname().release, os.uname().nodename):
                v = f"<{key}>"
            out[str(normalised(key, replace))] = normalised(v, replace)
        return out
    if isinstance(value, list):
        return [normalised(v, replace) for v in value]
    if isinstance(value, str):
        for pattern, text in replace:
            value = re.sub(pattern, text, value)
        value = re.sub(r"\b(Less than a second|1 second|\d+ seconds|About a minute)\b", "<a while>", value)
        value = re.sub(r"\b[0-9a-f]{64}\b", "<id>", value)
        value = re.sub(r"(^|/netns/)[0-9a-f]{12}$", r"\1<short id>", value)
        value = re.sub(r"\b172\.17\.0\.(?!1\b|0\b)\d+\b", "172.17.0.<n>", value)
        value = re.sub(r"\b02:42:ac:11:00:[0-9a-f]{2}\b", "02:42:ac:11:00:<n>", value)
        value = re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>", value)
    return value


class ApiTest(unittest.TestCase):
    """One daemon for each class; `options` are its own."""
    options = ()
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.d = Daemon(*cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    def assertError(self, reply, status, text):
        self.assertEqual((reply.status, reply.headers.get("Content-Type")), (status, "application/json"), reply.body)
        self.assertEqual(reply.message, text)

    def assertGolden(self, name, value):
        """`value` is tests/golden/NAME.json, or is written there when GOLDEN=1 (make golden)."""
        path = os.path.join(GOLDEN, name + ".json")
        got = normalised(value, [(re.escape(self.d.dir), "<dir>"), (re.escape(ROOT), "<root>")])
        if os.environ.get("GOLDEN"):
            os.makedirs(GOLDEN, exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                json.dump(got, f, indent=1, sort_keys=True, ensure_ascii=False)
                f.write("\n")
        with open(path, encoding="utf-8") as f:
            self.assertEqual(got, json.load(f))
