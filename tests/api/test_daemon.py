"""The daemon as a process: sockets it is given or makes, who is told, how it ends."""
import fcntl
import os
import resource
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest

from harness import BUILD, ROOT, DEADLINE_S, Daemon

PROGRAM = os.path.join(BUILD, "bin/sockerlessd")
FAULTS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:")


def ping(address, family=socket.AF_UNIX):
    with socket.socket(family) as s:
        s.settimeout(DEADLINE_S)
        s.connect(address)
        s.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        data = b""
        while more := s.recv(4096):
            data += more
    return data.endswith(b"\r\n\r\nOK")


class Process:
    """sockerlessd with options and environment of the test's own; nothing is assumed about its sockets."""

    def __init__(self, directory, *options, env=None, wrapper=(), pass_fds=()):
        if "--data-root" not in options:
            options = ("--data-root", os.path.join(directory, "data"), *options)
        self.log = os.path.join(directory, f"log.{time.monotonic_ns()}")
        arguments = [*wrapper, PROGRAM, "--sandbox", os.path.join(ROOT, "build/bin/sockerless-sandbox"),
                     "--guest", os.path.join(ROOT, "build/guest/rootfs"), *options]
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(arguments, stdout=log, stderr=log, pass_fds=pass_fds, env={**os.environ, **(env or {})})

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait(self):
        status = self.popen.wait(DEADLINE_S)
        for sign in FAULTS:
            assert sign not in self.text(), self.text()
        return status


class DaemonTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="sockerless-daemon-")
        self.addCleanup(self.temporary.cleanup)
        self.dir = self.temporary.name
        self.socket = os.path.join(self.dir, "s")
        self.url = "unix://" + self.socket

    def start(self, *options, **more):
        p = Process(self.dir, *options, **more)
        self.addCleanup(lambda: p.popen.poll() is None and p.popen.kill())
        return p

    def until_it_answers(self, p, address, family=socket.AF_UNIX):
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                self.assertTrue(ping(address, family))
                return
            except OSError:
                self.assertIsNone(p.popen.poll(), p.text())
                self.assertLess(time.monotonic(), end, p.text())
                time.sleep(0.02)

    def end(self, p):
        p.popen.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(), 0, p.text())

    def fails(self, text, *options, **more):
        """It does not start, says why, ends at once and leaves nothing behind it."""
        p = self.start(*options, **more)
        self.assertEqual(p.wait(), 1, p.text())
        self.assertIn(text, p.text())


class Activation(DaemonTest):
    # The shell is the process that becomes the daemon, so $$ is the pid that systemd would have named.
    WRAPPER = ("sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh")

    def activate(self, sockets, *options, env=None):
        saved = []
        for i, s in enumerate(sockets):  # to descriptors 3, 4, …
            saved.append((3 + i, fcntl_dup(3 + i)))
        copies = [fcntl_dup(s.fileno(), 20) for s in sockets]
        for i, fd in enumerate(copies):
            os.dup2(fd, 3 + i)
        try:
            return self.start(*options, wrapper=self.WRAPPER, pass_fds=tuple(range(3, 3 + len(sockets))),
                              env={"LISTEN_FDS": str(len(sockets)), **(env or {})})
        finally:
            for fd, before in saved:
                if before is None:
                    os.close(fd)
                else:
                    os.dup2(before, fd)
                    os.close(before)
            for fd in copies:
                os.close(fd)

    def listener(self, name=None, address=("127.0.0.1", 0)):
        s = socket.socket(socket.AF_UNIX if name else socket.AF_INET)
        self.addCleanup(s.close)
        s.bind(os.path.join(self.dir, name) if name else address)
        s.listen()
        return s

    def test_several(self):
        first, second, third = self.listener("a"), self.listener("b"), self.listener()
        p = self.activate([first, second, third], "-H", "fd://", env={"LISTEN_FDNAMES": "one:two:three"})
        for s, family in ((first, socket.AF_UNIX), (second, socket.AF_UNIX), (third, socket.AF_INET)):
            self.until_it_answers(p, s.getsockname(), family)
        self.end(p)
        self.assertTrue(os.path.exists(first.getsockname()))  # not its own to remove

    def test_one_of_them(self):
        first, second = self.listener("a"), self.listener("b")
        p = self.activate([first, second], "-H", "fd://4")
        self.until_it_answers(p, second.getsockname())
        self.end(p)

    def test_nothing(self):
        self.fails("fd://: no socket was handed over", "-H", "fd://")
        self.fails("fd://: no socket was handed over", "-H", "fd://", env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})

    def test_what_is_no_listener(self):
        idle = socket.socket(socket.AF_UNIX)
        self.addCleanup(idle.close)
        p = self.activate([self.listener("a"), idle], "-H", "fd://")
        self.assertEqual(p.wait(), 1)
        self.assertIn("fd://: descriptor 4 is not a listening socket", p.text())
        p = self.activate([self.listener(address=("0.0.0.0", 0))], "-H", "fd://")
        self.assertEqual(p.wait(), 1)
        self.assertIn("without TLS only loopback is served", p.text())
        p = self.activate([self.listener("b")], "-H", "fd://5")
        self.assertEqual(p.wait(), 1)
        self.assertIn("fd://5: no such socket was handed over", p.text())


def fcntl_dup(fd, lowest=40):
    import fcntl
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
    except OSError:
        return None


class Notification(DaemonTest):
    def check(self, address, name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.settimeout(DEADLINE_S)
            s.bind(address)
            p = self.start("-H", self.url, env={"NOTIFY_SOCKET": name})
            self.assertEqual(s.recv(100), b"READY=1")
            self.assertTrue(ping(self.socket))  # ready means ready
            p.popen.send_signal(signal.SIGTERM)
            self.assertEqual(s.recv(100), b"STOPPING=1")
            self.assertEqual(p.wait(), 0)

    def test_path(self):
        path = os.path.join(self.dir, "notify")
        self.check(path, path)

    def test_abstract(self):
        name = f"sockerless-notify-{os.getpid()}"
        self.check("\0" + name, "@" + name)

    def test_nobody_there(self):
        p = self.start("-H", self.url, env={"NOTIFY_SOCKET": os.path.join(self.dir, "none")})
        self.until_it_answers(p, self.socket)
        self.end(p)


class Sockets(DaemonTest):
    def test_stale_and_live(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.socket)
            s.listen()
            self.fails("a daemon serves this socket already", "-H", self.url)
            self.assertTrue(os.path.exists(self.socket))
        p = self.start("-H", self.url)  # nobody serves it any more
        self.until_it_answers(p, self.socket)
        self.assertEqual(stat.S_IMODE(os.stat(self.socket).st_mode), 0o600)
        self.end(p)
        self.assertFalse(os.path.exists(self.socket))

    def test_another_file(self):
        with open(self.socket, "w", encoding="ascii") as f:
            f.write("mine")
        self.fails("there is a file that is no socket", "-H", self.url)
        with open(self.socket, encoding="ascii") as f:
            self.assertEqual(f.read(), "mine")

    def test_directories(self):
        path = os.path.join(self.dir, "x/y/s")
        p = self.start("-H", "unix://" + path)
        self.until_it_answers(p, path)
        for directory in ("x", "x/y", "data"):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.dir, directory)).st_mode), 0o700)
        self.end(p)
        self.fails("too long for a Unix socket", "-H", "unix://" + self.dir + "/" + "x" * 200)
        self.fails("Not a directory", "-H", "unix:///proc/version/s")

    def test_ipv6(self):
        with socket.socket(socket.AF_INET6) as s:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("::1", 0))
            except OSError:
                self.skipTest("no IPv6 here")
            self.check_ipv6(s.getsockname()[1]) # which nobody else is given meanwhile

    def check_ipv6(self, port):
        p = self.start("-H", f"tcp://[::1]:{port}")
        self.until_it_answers(p, ("::1", port), socket.AF_INET6)
        self.fails("Address already in use", "-H", f"tcp://[::1]:{port}", "--data-root", os.path.join(self.dir, "other"))
        self.end(p)

    def test_bad_addresses(self):
        for url in ("tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:0", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:12x"):
            self.fails("expected an address and a port", "-H", url)
        self.fails("not an address", "-H", "tcp://127.0.0.:2375")

    def test_a_start_that_fails_half_way(self):
        """The second address fails when the first is served already."""
        second = os.path.join(self.dir, "file")
        with open(second, "w", encoding="ascii"):
            pass
        self.fails("there is a file that is no socket", "-H", self.url, "-H", "unix://" + second)
        self.assertFalse(os.path.exists(self.socket))

    def test_the_same_data_root(self):
        p = self.start("-H", self.url)
        self.until_it_answers(p, self.socket)
        other = os.path.join(self.dir, "other")
        self.fails("another daemon uses this data root", "-H", "unix://" + other)
        self.assertFalse(os.path.exists(other))
        self.assertTrue(ping(self.socket))
        self.end(p)

    def test_a_data_root_that_is_let_go(self):
        """By the copy of a daemon that was killed when it was about to start a program: it holds the lock for a moment."""
        data = os.path.join(self.dir, "data")
        os.makedirs(data, exist_ok=True)
        with open(os.path.join(data, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            p = self.start("-H", self.url)
            time.sleep(0.5)
        self.until_it_answers(p, self.socket)
        self.end(p)

    def test_an_unusable_data_root(self):
        self.fails("Not a directory", "-H", self.url, "--data-root", "/proc/version/x")


class Ends(unittest.TestCase):
    UPGRADE = "HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"

    def busy(self, d):
        """Of all that can be in flight, one each; the sockets."""
        cid = d.create("sh", "-c", "while :; do echo x; sleep 0.01; done", OpenStdin=True)
        d.call("POST", f"/containers/{cid}/start")
        exec_id = d.call("POST", f"/containers/{cid}/exec",
                         {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}).json["Id"]
        begun = []
        for text in (f"GET /containers/{cid}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n",
                     f"POST /containers/{cid}/wait HTTP/1.1\r\nHost: d\r\n\r\n",
                     f"POST /containers/{cid}/stop?t=100 HTTP/1.1\r\nHost: d\r\n\r\n",
                     "GET /events HTTP/1.1\r\nHost: d\r\n\r\n",
                     f"POST /containers/{cid}/attach?stream=1&stdin=1&stdout=1&logs=1 {self.UPGRADE}\r\n",
                     f"POST /exec/{exec_id}/start {self.UPGRADE}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}abc",
                     f"PUT /containers/{cid}/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\nabc",
                     f"PUT /containers/none/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\nabc",
                     f"GET /containers/{cid}/archive?path=/bin HTTP/1.1\r\nHost: d\r\n\r\n",
                     "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n", "GET /_ping HTTP/1.1\r\nHo", ""):
            begun.append(d.connect())
            begun[-1].sendall(text.encode())
        time.sleep(0.2)
        return begun

    def test_with_all_in_flight(self):
        for _ in range(3):
            d = Daemon()
            begun = self.busy(d)
            start = time.monotonic()
            d.stop()
            self.assertLess(time.monotonic() - start, 50) # the stop that was asked for has 100 s
            for s in begun:
                with s:
                    while True:  # each comes to an end
                        try:
                            if not s.recv(65536):
                                break
                        except ConnectionResetError:
                            break

    def test_signals_again(self):
        d = Daemon()
        begun = self.busy(d)
        d.process.send_signal(signal.SIGINT)
        try:
            d.stop()  # heard, and stopping already
        finally:
            for s in begun:
                s.close()

    def test_files_limit(self):
        """What it may open is raised to what it is allowed."""
        d = Daemon()
        soft, hard = resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE)
        self.assertEqual(soft, hard)
        d.stop()


if __name__ == "__main__":
    unittest.main()
