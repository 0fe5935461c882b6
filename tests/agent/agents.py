"""Real agents, the WebSockets that they speak, and a network that can be broken."""
import base64
import itertools
import json
import os
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time

from harness import DEADLINE_S, ROOT, Daemon

AGENT = os.environ.get("AGENT") or os.path.join(ROOT, "build", "bin", "sockerless-agent")
PROTOCOL = "sockerless.agent.v1"
ENOUGH = 64 << 10  # more than what a handshake takes


PORTS = 10000, 30000  # below those that the kernel gives to outgoing connections: nobody takes one between here and its use
next_port = itertools.count(os.getpid() * 97)


def free_port():
    """One that nobody listens on; each only once, and another process begins elsewhere."""
    while True:
        port = PORTS[0] + next(next_port) % (PORTS[1] - PORTS[0])
        try:
            with socket.socket() as s:
                s.bind(("0.0.0.0", port))
                return port
        except OSError:
            pass


class WebSocket:
    """A client's side, as plain as RFC 6455 has it."""

    def __init__(self, sock, target, token=None, protocol=None):
        self.sock, self.rest = sock, b""
        key = base64.b64encode(os.urandom(16)).decode()
        head = (f"GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n")
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if protocol:
            head += f"Sec-WebSocket-Protocol: {protocol}\r\n"
        sock.sendall(head.encode() + b"\r\n")
        while b"\r\n\r\n" not in self.rest:
            data = sock.recv(65536)
            if not data:
                break
            self.rest += data
        self.head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1]) if self.head else 0

    def frame(self, opcode, data, mask=True):
        n, m = len(data), os.urandom(4)
        bit = 128 if mask else 0
        head = bytes([128 | opcode]) + (bytes([bit | n]) if n < 126 else bytes([bit | 126]) + struct.pack(">H", n) if n < 65536
                                        else bytes([bit | 127]) + struct.pack(">Q", n))
        if mask:
            wide = (m * (n // 4 + 1))[:n]
            data = m + (int.from_bytes(data, "big") ^ int.from_bytes(wide, "big")).to_bytes(n, "big")
        self.sock.sendall(head + data)

    def send(self, **message):
        self.frame(1, json.dumps(message).encode())

    def _need(self, n):
        while len(self.rest) < n:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.rest += data
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def receive(self):
        """A message: an object of a text, or the bytes of a binary one. EOFError at a close."""
        while True:
            a, b = self._need(2)
            n = b & 127
            if n == 126:
                n, = struct.unpack(">H", self._need(2))
            elif n == 127:
                n, = struct.unpack(">Q", self._need(8))
            data = self._need(n)
            if a & 15 == 1:
                return json.loads(data)
            if a & 15 == 2:
                return data
            if a & 15 == 8:
                raise EOFError(data)

    def session(self, sid):
        """What a plain session tells to its end: ({"stdout": …, "stderr": …}, exit code or error message)."""
        out = {"stdout": b"", "stderr": b""}
        while True:
            m = self.receive()
            if m.get("id") != sid:
                continue
            if m["type"] in out:
                out[m["type"]] += base64.b64decode(m["data"])
            elif m["type"] == "exit":
                return out, m["code"]
            elif m["type"] == "error":
                return out, m["message"]

    def close(self):
        self.sock.close()


class Wrapped(Daemon):
    """One that is started by way of another command: wrap(*words) is the whole."""

    def __init__(self, wrap, *options):
        self.wrap = wrap
        super().__init__(*options)

    def start(self):
        real = subprocess.Popen
        try:
            subprocess.Popen = lambda arguments, **more: real(self.wrap(*arguments), **more)
            super().start()
        finally:
            subprocess.Popen = real


class Agent:
    """An agent's process. It connects to `callback`, else it listens. wrap(*words): what it is started by."""

    def __init__(self, *command, callback=None, token="secret", options=(), wrap=lambda *words: words):
        self.port = free_port()
        self.log = b""
        argv = [AGENT, *(["--callback", callback] if callback else ["--addr", f"127.0.0.1:{self.port}"]), *options]
        if command:
            argv += ["--keep-alive", "--", *command]
        env = dict(os.environ)
        env.pop("SOCKERLESS_AGENT_TOKEN", None)
        if token:
            env["SOCKERLESS_AGENT_TOKEN"] = token
        self.token = token
        self.process = subprocess.Popen(wrap(*argv), env=env, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not callback:
            self.wait_for_port()

    def _read(self):
        for line in self.process.stderr:
            self.log += line

    def wait_for_port(self):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            try:
                self.connect().close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError(f"the agent does not listen: {self.log}")

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)
        return s

    def socket(self, token=..., protocol=None):
        return WebSocket(self.connect(), "/ws", self.token if token is ... else token, protocol)

    def get(self, path, token=...):
        s = self.connect()
        token = self.token if token is ... else token
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{f'Authorization: Bearer {token}' + chr(13) + chr(10) if token else ''}\r\n".encode())
        data = b""
        while part := s.recv(65536):
            data += part
        s.close()
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def children(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            return [int(p) for p in f.read().split()]

    def rss(self):
        return rss(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        for sign in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            assert sign.encode() not in self.log, self.log.decode(errors="replace")
        return code


def refused(*options):
    """What a daemon says that does not start with these."""
    build = os.path.join(ROOT, "build")
    with tempfile.TemporaryDirectory() as d:
        r = subprocess.run([os.path.join(ROOT, os.environ.get("B", "build"), "bin", "sockerlessd"), "--host", f"unix://{d}/s", "--data-root", f"{d}/data",
                            "--sandbox", f"{build}/bin/sockerless-sandbox", "--guest", f"{build}/guest/rootfs", *options],
                           capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert r.returncode not in (0, 99), r.stderr
    return r.stderr


def rss(pid):
    """Bytes."""
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(*pids):
    """A signal that is sent is not yet a death."""
    end = time.monotonic() + DEADLINE_S
    while left := [p for p in pids if is_alive(p)]:
        assert time.monotonic() < end, f"what runs on: {left}"
        time.sleep(0.01)


class Proxy:
    """A way to a port that can be cut, held, and opened again."""

    def __init__(self, port, host="127.0.0.1"):
        self.target = port
        self.listener = socket.socket()
        self.listener.bind((host, 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.pairs, self.left, self.is_open, self.is_over, self.held = [], [], True, False, ()
        self.passed = self.rounds = 0
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.is_over:
            self.rounds += 1
            watched = [self.listener] + [s for pair in self.pairs for s, side in zip(pair, ("client", "server")) if side not in self.held]
            for s in select.select(watched, [], [], 0.02)[0]:
                if s is self.listener:
                    self._accept()
                else:
                    self._pass(s)

    def _accept(self):
        client, _ = self.listener.accept()
        if not self.is_open:
            client.close()
            return
        self.pairs.append((client, socket.create_connection(("127.0.0.1", self.target))))

    def _pass(self, s):
        for pair in list(self.pairs):
            if s in pair:
                other = pair[1] if s is pair[0] else pair[0]
                try:
                    data = s.recv(65536)
                    if data:
                        other.sendall(data)
                        self.passed += len(data)
                        return
                except OSError:
                    pass
                self._drop(pair)

    def _drop(self, pair):
        if pair in self.pairs:
            self.pairs.remove(pair)
        for s in pair:
            s.close()

    def cut(self):
        """Every connection breaks, and no new one is let through until open()."""
        self.is_open = False
        for pair in list(self.pairs):
            for s in pair:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        end = time.monotonic() + DEADLINE_S
        while not self.held and self.pairs and time.monotonic() < end:  # the thread drops them
            time.sleep(0.01)
        time.sleep(0.05)

    def open(self):
        self.held, self.is_open = (), True

    def hold(self, side):
        """From now on nobody hears what the "client" or the "server" says, until open()."""
        self.held, began = (side,), self.rounds
        while self.rounds < began + 2:
            time.sleep(0.005)

    def leave(self):
        """The client's side of what is there is cut; the server hears nothing of it. New connections are let through."""
        left, self.pairs = self.pairs, []
        self.left += left
        for client, _ in left:
            client.shutdown(socket.SHUT_RDWR)

    def cut_again_and_again(self, pause_s):
        """Until what is returned is called. Each connection lives long enough to bring something on its way."""
        stop = threading.Event()

        def cut():
            while not stop.wait(pause_s):
                began = self.passed
                while self.passed < began + ENOUGH and not stop.wait(0.01):
                    pass
                self.cut()
                self.open()
        t = threading.Thread(target=cut, daemon=True)
        t.start()

        def end():
            stop.set()
            t.join()
        return end

    def stop(self):
        self.is_over = True
        self.thread.join()
        for pair in self.pairs + self.left:
            self._drop(pair)
        self.listener.close()
