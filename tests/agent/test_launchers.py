"""Native images through every launcher that works here; files with true owners, taken back into the layers."""
import io
import os
import socket
import subprocess
import tarfile
import tempfile
import time
import unittest
import urllib.request

from agents import free_port, is_alive
from harness import DEADLINE_S, ROOT, Daemon, demux
from users import AsUser, Delegated, User

APPLETS = ("sh", "ls", "cat", "chown", "chmod", "mkfifo", "ln", "rm", "sleep", "id", "echo", "true", "hostname", "mkdir", "stat", "cp", "ps", "test",
           "tty", "env", "head", "dd", "grep", "cut", "httpd")
BUSYBOX = "/bin/busybox"


# BusyBox has no server of UDP.
ECHO = r"""
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) }, from;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char text[65536];
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return 1;
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &len);
		if (n >= 0)
			sendto(fd, text, n, 0, (struct sockaddr *)&from, len);
	}
}
"""


def compiled(text):
    """A static program out of C; None: there is no compiler."""
    with tempfile.TemporaryDirectory() as d:
        try:
            subprocess.run([os.environ.get("CC", "cc"), "-static", "-O1", "-x", "c", "-o", f"{d}/a", "-"], input=text.encode(), check=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return None
        with open(f"{d}/a", "rb") as f:
            return f.read()


def native_image(**programs):
    """A tar of a small root whose programs are native: busybox, with a file of another's that is not to be seen as root's."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        def put(name, kind=tarfile.DIRTYPE, mode=0o755, data=b"", **more):
            e = tarfile.TarInfo(name)
            e.type, e.mode, e.size = kind, mode, len(data)
            for k, v in more.items():
                setattr(e, k, v)
            t.addfile(e, io.BytesIO(data))
        for d in ("bin", "etc", "proc", "sys", "dev", "root", "home", "home/user", "run"):
            put(d, **({"uid": 1000, "gid": 1000} if d == "home/user" else {}))
        put("tmp", mode=0o1777)
        with open(BUSYBOX, "rb") as f:
            put("bin/busybox", tarfile.REGTYPE, data=f.read())
        for a in APPLETS:
            put(f"bin/{a}", tarfile.SYMTYPE, linkname="busybox")
        for name, data in programs.items():
            put(f"bin/{name}", tarfile.REGTYPE, data=data)
        put("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
        put("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\nuser:x:1000:\n")
        put("etc/shadow", tarfile.REGTYPE, 0o640, b"secret\n", gid=42)
        put("home/user/f", tarfile.REGTYPE, 0o600, b"theirs\n", uid=1000, gid=1000)
    return out.getvalue()


def command(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read().replace(b"\0", b" ").decode()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


@unittest.skipUnless(os.path.exists(BUSYBOX), "no static busybox")
class Launchers(unittest.TestCase):
    user = groups = None

    @classmethod
    def setUpClass(cls):
        cls.d = AsUser(cls.user, groups=cls.groups) if cls.user else Daemon()
        cls.echo = compiled(ECHO)
        reply = cls.d.call("POST", "/images/create", native_image(**({"echod": cls.echo} if cls.echo else {})), query={"fromSrc": "-", "repo": "native"},
                           headers={"Content-Type": "application/x-tar"})
        assert reply.status == 200, reply.body

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    def create(self, launcher, *cmd, **config):
        cid = self.d.create(*cmd, Image="native", HostConfig={"Runtime": launcher}, **config)
        self.addCleanup(self.d.remove, cid)
        return cid

    def start(self, cid):
        reply = self.d.call("POST", f"/containers/{cid}/start", timeout=120)
        self.assertEqual(reply.status, 204, reply.body)
        return cid

    def wait(self, cid):
        return self.d.call("POST", f"/containers/{cid}/wait", timeout=60).json["StatusCode"]

    def exec(self, cid, *cmd, **config):
        xid = self.d.exec(cid, *cmd, **config)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        out = demux(h.read())
        h.close()
        return out[1].decode() + out[2].decode(), self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"]

    def archive(self, cid, path):
        reply = self.d.call("GET", f"/containers/{cid}/archive", query={"path": path})
        self.assertEqual(reply.status, 200, reply.body)
        with tarfile.open(fileobj=io.BytesIO(reply.body)) as t:
            return {e.name.rstrip("/"): (e.uid, e.gid, oct(e.mode), e.type) for e in t.getmembers()}

    def check_run(self, launcher):
        cid = self.start(self.create(launcher, "sh", "-c", "echo out; echo err >&2; cat /etc/hostname >/dev/null; exit 37"))
        self.assertEqual(self.wait(cid), 37)
        self.assertEqual(demux(self.d.logs(cid)), {1: b"out\n", 2: b"err\n"})
        self.assertEqual(self.d.inspect(cid)["State"]["Error"], "")
        cid = self.create(launcher, "/no/such")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/start").status, 400)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 127)

    def check_stop(self, launcher):
        cid = self.start(self.create(launcher, "sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"))
        self.d.wait_for(lambda: b"up" in self.d.logs(cid), "it is up")
        self.assertEqual(self.exec(cid, "sh", "-c", "exit 4")[1], 4)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/stop", query={"t": 10}).status, 204)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 3)
        cid = self.start(self.create(launcher, "sleep", "1000"))
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/kill").status, 204)
        self.assertEqual(self.wait(cid), 137)

    MADE = ("echo x >/root/f; chown 42:43 /root/f; chmod 0600 /root/f; cp /bin/busybox /root/s; chmod 4755 /root/s; mkfifo /root/p; chmod 0640 /root/p; "
            "ln -s there /root/l; chown -h 7:8 /root/l; rm /etc/shadow; mkdir -p /root/d/e; chown 1000:1000 /root/d; chmod 700 /root/d; ln /root/f /root/g")
    THERE = {"root/f": (42, 43, "0o600", tarfile.REGTYPE), "root/s": (0, 0, "0o4755", tarfile.REGTYPE), "root/p": (0, 0, "0o640", tarfile.FIFOTYPE),
             "root/l": (7, 8, "0o777", tarfile.SYMTYPE), "root/d": (1000, 1000, "0o700", tarfile.DIRTYPE)}
    CHANGES = {"/root/f": 1, "/root/s": 1, "/root/p": 1, "/root/l": 1, "/root/d": 1, "/root/d/e": 1, "/root/g": 1, "/etc/shadow": 2}

    def check_there(self, cid):
        files = self.archive(cid, "/root")
        files.update({f"root/{n}": v for n, v in files.items() if not n.startswith("root")})
        for name, expected in self.THERE.items():
            self.assertEqual(files[name], expected, name)
        changes = {c["Path"]: c["Kind"] for c in self.d.call("GET", f"/containers/{cid}/changes").json}
        for path, kind in self.CHANGES.items():
            self.assertEqual(changes.get(path), kind, (path, changes))

    def check_files(self, launcher):
        if launcher == "proot":  # keeps no owners: only that files come back
            self.check_copy(launcher)
            return
        cid = self.start(self.create(launcher, "sleep", "1000"))
        self.assertIn(" 1000     1000", self.exec(cid, "ls", "-ln", "/home/user")[0])
        self.assertEqual(self.exec(cid, "cat", "/home/user/f", User="user"), ("theirs\n", 0))
        self.assertEqual(self.exec(cid, "cat", "/etc/shadow", User="user")[1], 1)
        self.assertEqual(self.exec(cid, "sh", "-c", self.MADE)[1], 0)
        self.check_there(cid)  # while it runs
        self.d.call("POST", f"/containers/{cid}/kill")
        self.wait(cid)
        self.check_there(cid)
        self.check_export(cid)
        self.start(cid)  # again: out of the layer
        self.assertIn("42       43", self.exec(cid, "ls", "-ln", "/root")[0])
        self.check_there(cid)
        self.check_image(cid, launcher)
        if self.user:  # nothing is anybody else's, so nothing needs a privilege to be removed
            strange = subprocess.run(["find", self.d.data, "!", "-path", "*/native/*", "!", "-path", "*/gone-*", "!", "-path", "*.gone*", "!", "-user", self.user.name], capture_output=True, text=True, check=False)
            self.assertEqual(strange.stdout, "")
        self.d.remove(cid)
        self.d.wait_for(lambda: not os.path.exists(os.path.join(self.d.data, "containers", cid)), "it is removed without a trace")

    def check_export(self, cid):
        with tarfile.open(fileobj=io.BytesIO(self.d.call("GET", f"/containers/{cid}/export").body)) as t:
            for name, expected in self.THERE.items():
                e = t.getmember(name)
                self.assertEqual((e.uid, e.gid, oct(e.mode), e.type), expected, name)
            self.assertNotIn("etc/shadow", t.getnames())
            self.assertEqual({t.getmember(n).linkname for n in ("root/f", "root/g") if t.getmember(n).islnk()}, {"root/f"})

    def check_image(self, cid, launcher):
        """The same layer as an image: in the sandbox and natively its files are whose they were."""
        reply = self.d.call("POST", "/commit", query={"container": cid, "repo": "kept"})
        self.assertEqual(reply.status, 201, reply.body)
        names = sorted(self.THERE)
        shown = "".join("{} {} {:o} {}\n".format(*self.THERE[n][:2], int(self.THERE[n][2], 8), n) for n in names)
        for runtime in ("wasm", launcher):
            other = self.d.create("sh", "-c", f"cd /; stat -c '%u %g %a %n' {' '.join(names)}; test -p root/p && test -L root/l && ! test -e etc/shadow",
                                  Image="kept", HostConfig={"Runtime": runtime})
            self.start(other)
            self.assertEqual(self.wait(other), 0, runtime)
            self.assertEqual(demux(self.d.logs(other))[1].decode(), shown, runtime)
            self.check_export(other)
            self.d.remove(other)
        self.assertEqual(self.d.call("DELETE", "/images/kept").status, 200)

    def has_groups(self, controller, file):
        """Can the daemon's user make control groups with this controller?"""
        if self.user:
            return bool(self.groups) and self.groups.has(controller)
        with open("/proc/self/cgroup", encoding="ascii") as f:
            for line in f:
                _, names, path = line.strip().split(":", 2)
                base = f"/sys/fs/cgroup/{names}{path}" if names else f"/sys/fs/cgroup{path}"
                if controller in names.split(",") or not names and os.path.exists(f"{base}/{file}"):
                    return os.access(base, os.W_OK)
        return False

    def run_limited(self, launcher, command, **host):
        """(what it wrote, its exit code, its state)"""
        cid = self.d.create("sh", "-c", command, Image="native", HostConfig={"Runtime": launcher, **host})
        self.addCleanup(self.d.remove, cid)
        self.start(cid)
        code = self.wait(cid)
        return demux(self.d.logs(cid))[1].decode(), code, self.d.inspect(cid)["State"]

    def check_limits(self, launcher):
        ulimits = [{"Name": "nofile", "Soft": 123, "Hard": 456}, {"Name": "core", "Soft": 0, "Hard": 0}]
        command = "ulimit -n; ulimit -Hn; ulimit -c"
        self.assertEqual(self.run_limited(launcher, command, Ulimits=ulimits)[:2], ("123\n456\n0\n", 0))
        cid = self.start(self.d.create("sleep", "1000", Image="native", HostConfig={"Runtime": launcher, "Ulimits": ulimits}))
        self.addCleanup(self.d.remove, cid)
        self.assertEqual(self.exec(cid, "sh", "-c", command), ("123\n456\n0\n", 0))
        self.assertEqual(self.run_limited(launcher, "grep Cpus_allowed_list /proc/self/status | cut -f2", CpusetCpus="0")[0], "0\n")
        hungry = "dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; echo $?"
        if self.has_groups("memory", "memory.max"):
            out, _, state = self.run_limited(launcher, hungry, Memory=32 << 20)
            self.assertEqual((out, state["OOMKilled"]), ("137\n", True))
        out, _, state = self.run_limited(launcher, hungry, Memory=256 << 20)
        self.assertEqual((out, state["OOMKilled"]), ("0\n", False))
        if self.has_groups("pids", "pids.max"):
            out, code, _ = self.run_limited(launcher, "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); echo $i; done", PidsLimit=20)
            self.assertIn(len(out.split()), range(17, 23))
            self.assertEqual(code, 2)
        if self.has_groups("cpu", "cpu.max"):
            began = time.monotonic()
            cid = self.start(self.d.create("sh", "-c", "while :; do :; done", Image="native", HostConfig={"Runtime": launcher, "NanoCpus": 200000000}))
            self.addCleanup(self.d.remove, cid)
            time.sleep(2)
            used = self.d.call("GET", f"/containers/{cid}/stats", query={"stream": 0, "one-shot": 1}).json["cpu_stats"]["cpu_usage"]["total_usage"]
            self.assertLess(used / 1e9, 0.4 * (time.monotonic() - began))
            self.d.call("POST", f"/containers/{cid}/kill")
            self.wait(cid)
        left = [os.path.join(d, n) for d, names, _ in os.walk("/sys/fs/cgroup") for n in names if cid[:12] in n]
        self.assertEqual(left, [])

    def update(self, cid, **body):
        return self.d.call("POST", f"/containers/{cid}/update", body, timeout=60)

    def updated(self, cid, **body):
        reply = self.update(cid, **body)
        self.assertEqual(reply.status, 200, reply.body)

    def refused(self, cid, words, **body):
        before = self.d.inspect(cid)["HostConfig"]
        reply = self.update(cid, **body)
        self.assertEqual(reply.status, 501, reply.body)
        self.assertRegex(reply.message, f"^Cannot update container {cid}: .*{words}")
        self.assertEqual(self.d.inspect(cid)["HostConfig"], before)

    HUNGRY = ("sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; echo $?")
    FORKS = ("sh", "-c", "i=0; while [ $i -lt 40 ]; do sleep 1000 >/dev/null 2>&1 & i=$((i+1)); echo $i; done")

    def check_update(self, launcher):
        """docker update of one that runs: other policies always, limits where there are control groups."""
        cid = self.start(self.create(launcher, "sh", "-c", "sleep 1000 & sleep 1000 & wait"))
        for policy in ({"Name": "on-failure", "MaximumRetryCount": 3}, {"Name": "no", "MaximumRetryCount": 0}):
            self.updated(cid, RestartPolicy=policy)
            self.assertEqual(self.d.inspect(cid)["HostConfig"]["RestartPolicy"], policy)
        self.refused(cid, "cpuset-cpus .* at its start", CpusetCpus="0")
        self.refused(cid, "cpu-shares", CpuShares=2)
        if self.has_groups("memory", "memory.max"):
            self.updated(cid, Memory=64 << 20, MemorySwap=128 << 20)
            self.assertEqual(self.exec(cid, *self.HUNGRY)[0], "137\n")
            self.updated(cid, Memory=256 << 20, MemorySwap=512 << 20)
            self.assertEqual(self.exec(cid, *self.HUNGRY)[0], "0\n")
            self.updated(cid, Memory=64 << 20, MemorySwap=128 << 20)
            self.assertEqual(self.exec(cid, *self.HUNGRY)[0], "137\n")
        else:
            self.refused(cid, "--memory .*no control group", Memory=64 << 20, MemorySwap=128 << 20)
        if self.has_groups("pids", "pids.max"):
            self.updated(cid, PidsLimit=20)  # three of which it has already, and the shell is one
            self.assertIn(len(self.exec(cid, *self.FORKS)[0].split("sh:")[0].split()), range(14, 19))
            self.updated(cid, PidsLimit=-1)
            self.assertEqual(len(self.exec(cid, *self.FORKS)[0].split()), 40)
        else:
            self.refused(cid, "--pids-limit .*no control group", PidsLimit=20)
        if self.has_groups("cpu", "cpu.max"):
            self.updated(cid, NanoCpus=50000000)
            slow = self.seconds_of_loop(cid)
            self.assertGreater(slow, 1.5)
            self.updated(cid, NanoCpus=1900000000)
            self.d.wait_for(lambda: self.seconds_of_loop(cid) < slow / 2, "it is faster, when the machine lets it")
        else:
            self.refused(cid, "--cpus .*no control group", NanoCpus=100000000)
        self.check_many_updates(cid)
        self.d.call("POST", f"/containers/{cid}/kill")
        self.wait(cid)
        self.updated(cid, CpusetCpus="0", CpuShares=2)  # it does not run
        left = [os.path.join(d, n) for d, names, _ in os.walk("/sys/fs/cgroup") for n in names if cid[:12] in n]
        self.assertEqual(left, [])

    def seconds_of_loop(self, cid):
        """What 0.15 s of processor time take."""
        start = time.monotonic()
        self.exec(cid, "sh", "-c", "while read -r a b c d e f g h i j k l m u v rest </proc/self/stat; [ $((u + v)) -lt 15 ]; do :; done")
        return time.monotonic() - start

    def check_many_updates(self, cid):
        """At once: one after the other, and nothing that one of them changes is lost to another."""
        if not self.has_groups("pids", "pids.max") or not self.has_groups("memory", "memory.max"):
            return
        answers = [self.d.later("POST", f"/containers/{cid}/update", body)
                   for i in range(5) for body in ({"PidsLimit": 100 + i}, {"Memory": (300 + i) << 20, "MemorySwap": -1})]
        for answer in answers:
            self.assertEqual(answer().status, 200)
        host = self.d.inspect(cid)["HostConfig"]
        self.assertEqual((self.limit_of(cid, "pids.max") - 3, self.limit_of(cid, "memory.max", "memory.limit_in_bytes")), (host["PidsLimit"], host["Memory"]))

    def limit_of(self, cid, *names):
        """What is in a file of the container's control groups, whichever of these there is."""
        for d, _, files in os.walk("/sys/fs/cgroup"):
            for name in set(names) & set(files) if cid[:12] in os.path.basename(d) else ():
                with open(os.path.join(d, name), encoding="ascii") as f:
                    return int(f.read())
        return None

    def fetch(self, port, path):
        """(status, body); tries until somebody answers."""
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE_S) as reply:
                    return reply.status, reply.read()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def check_ports(self, launcher):
        inside, outside = free_port(), free_port()
        for published in (outside, inside):
            name = f"server-{launcher}-{published}"
            cid = self.d.create("sh", "-c", f"head -c 5000000 /dev/zero >/big; echo hello >/index.html; exec httpd -f -p {inside} -h /", Image="native", name=name,
                                ExposedPorts={f"{inside}/tcp": {}},
                                HostConfig={"Runtime": launcher, "PortBindings": {f"{inside}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(published)}]}})
            self.addCleanup(self.d.remove, cid)
            self.start(cid)
            self.assertEqual(self.fetch(published, "/index.html"), (200, b"hello\n"))
            self.assertEqual(self.fetch(published, "/big"), (200, bytes(5000000)))
            # A neighbour in the sandbox.
            address = self.d.inspect(cid)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
            other, code = self.d.run("wget", "-q", "-O", "-", f"http://{address}:{inside}/index.html")
            self.assertEqual((code, demux(self.d.logs(other))[1]), (0, b"hello\n"))
            self.d.remove(other)
            self.d.call("POST", f"/containers/{cid}/kill")
            self.wait(cid)
            with self.assertRaises(OSError):
                socket.create_connection(("127.0.0.1", published), DEADLINE_S).close()
            self.d.remove(cid)

    def check_datagrams(self, launcher):
        """Clients of a published UDP port have their answers, each its own; one under its own number is the container's."""
        if not self.echo:
            self.skipTest("no compiler for a server of UDP")
        inside, outside = free_port(), free_port()
        for published in (outside, inside):
            cid = self.d.create("echod", str(inside), Image="native",
                                HostConfig={"Runtime": launcher, "PortBindings": {f"{inside}/udp": [{"HostIp": "127.0.0.1", "HostPort": str(published)}]}})
            self.addCleanup(self.d.remove, cid)
            self.start(cid)
            clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
            for i, c in enumerate(clients):
                c.connect(("127.0.0.1", published))
                c.settimeout(0.2)
                self.d.wait_for(lambda c=c, i=i: self.asked(c, b"hello %d" % i), "the server answers")
            for size in (1, 1400):  # at once
                for i, c in enumerate(clients):
                    c.settimeout(10)
                    c.send(b"%d" % i + bytes(size))
                for i, c in enumerate(clients):
                    self.assertEqual(self.answer(c), b"%d" % i + bytes(size))
            for i, c in enumerate(clients):  # more at once than the kernel has room for would be lost, as UDP is
                c.send(b"%d" % i + bytes(65000))
                self.assertEqual(self.answer(c), b"%d" % i + bytes(65000))
            for c in clients:
                c.close()
            self.d.call("POST", f"/containers/{cid}/kill")
            self.wait(cid)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("127.0.0.1", published))  # it is free again
            self.d.remove(cid)

    def answer(self, client):
        """Not one of a question that was asked again."""
        answer = client.recv(1 << 16)
        while answer.startswith(b"hello"):
            answer = client.recv(1 << 16)
        return answer

    def asked(self, client, text):
        try:
            client.send(text)
            return client.recv(1 << 16) == text
        except OSError:  # nobody listens yet
            time.sleep(0.02)
            return False

    def check_nobody_listens(self, launcher):
        inside, outside = free_port(), free_port()
        cid = self.d.create("sleep", "1000", Image="native",
                            HostConfig={"Runtime": launcher, "PortBindings": {f"{inside}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outside)}]}})
        self.addCleanup(self.d.remove, cid)
        self.start(cid)
        with self.assertRaises(ConnectionError):
            s = socket.create_connection(("127.0.0.1", outside), DEADLINE_S)
            if not s.recv(1):
                raise ConnectionError
        self.d.remove(cid)

    def check_copy(self, launcher):
        cid = self.start(self.create(launcher, "sleep", "1000"))
        self.assertEqual(self.exec(cid, "sh", "-c", "echo x >/root/f; rm /etc/shadow; ln -s there /root/l; mkdir /root/d; echo y >/root/d/g; "
                                                    "echo z >/root/z; chmod 0 /root/z /root/d")[1], 0)
        self.assertIn("root/f", self.archive(cid, "/root"))
        self.check_copied(cid)
        self.d.call("POST", f"/containers/{cid}/kill")
        self.wait(cid)
        self.check_copied(cid)
        self.assertEqual(self.archive(cid, "/home/user/f")["f"][:3], (1000, 1000, "0o600"))
        self.assertEqual(self.archive(cid, "/root/z")["z"][2:], ("0o0", tarfile.REGTYPE))
        self.assertEqual(self.archive(cid, "/root/d"), {"d": (0, 0, "0o0", tarfile.DIRTYPE), "d/g": (0, 0, "0o644", tarfile.REGTYPE)})

    def check_copied(self, cid):
        changes = {c["Path"]: c["Kind"] for c in self.d.call("GET", f"/containers/{cid}/changes").json}
        self.assertEqual({p: k for p, k in changes.items() if p not in ("/etc", "/root", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")},
                         {"/root/f": 1, "/root/l": 1, "/root/d": 1, "/root/d/g": 1, "/root/z": 1, "/etc/shadow": 2})

    def check_killed(self, launcher):
        """Its processes go with it, what it wrote is kept, and it can be started again."""
        cid = self.start(self.create(launcher, "sleep", "1000"))
        self.assertEqual(self.exec(cid, "sh", "-c", "echo kept >/root/kept")[1], 0)
        for victim in ("helper", "launcher"):
            tree = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
            mine = [p for p in (int(line.split()[0]) for line in tree.splitlines() if cid in line) if is_alive(p)]
            helper = min(p for p in mine if "--native" in command(p))
            os.kill(helper if victim == "helper" else children(helper)[0], 9)
            self.assertIn(self.wait(cid), (255, 137))
            self.assertTrue(self.d.inspect(cid)["State"]["Error"])
            self.d.wait_for(lambda m=mine: not any(is_alive(p) for p in m), "all of it has ended")
            self.assertIn("root/kept", self.archive(cid, "/root"))
            self.start(cid)
            self.assertEqual(self.exec(cid, "cat", "/root/kept"), ("kept\n", 0), victim)

    def check(self, launcher):
        words = [os.path.join(ROOT, "src", "launchers", launcher), "--check"]
        if self.user:
            words = self.user.words("unshare", "-Um", "--map-auto", "--map-root-user", *words)
        try:
            if subprocess.run(words, capture_output=True, timeout=60, check=False).returncode != 0:
                self.skipTest(f"{launcher} does not work here")
        except subprocess.TimeoutExpired:
            self.skipTest(f"{launcher} does not answer")
        for part in (self.check_run, self.check_stop, self.check_files, self.check_limits, self.check_update, self.check_ports, self.check_datagrams, self.check_nobody_listens, self.check_killed):
            with self.subTest(launcher=launcher, part=part.__name__):
                part(launcher)

    def test_bwrap(self):
        self.check("bwrap")

    def test_crun(self):
        self.check("crun")

    def test_process(self):
        self.check("process")

    def test_proot(self):
        self.check("proot")

    def test_auto(self):
        for _ in range(2):  # first it is not known which is the best
            self.check_auto()

    def test_a_killed_daemon(self):
        """Nothing runs on, and what was written is there at the next start."""
        cid = self.start(self.d.create("sh", "-c", "echo kept >/root/kept; sleep 1000", Image="native"))
        self.d.wait_for(lambda: self.exec(cid, "cat", "/root/kept")[0] == "kept\n", "it has written")
        self.d.kill()
        end = time.monotonic() + DEADLINE_S
        while cid in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout:
            self.assertLess(time.monotonic(), end, "its processes have ended with the daemon")
            time.sleep(0.05)
        self.d.start()
        self.assertEqual(self.d.inspect(cid)["State"]["Status"], "exited")
        self.start(cid)
        self.assertEqual(self.exec(cid, "cat", "/root/kept"), ("kept\n", 0))
        self.d.remove(cid)

    def check_auto(self):
        cid = self.d.create("sh", "-c", "test -e /dev/.sockerless-agent || test -e /.sockerless-agent; echo $?", Image="native")
        self.addCleanup(self.d.remove, cid)
        self.start(cid)
        self.assertEqual(self.wait(cid), 0)
        self.assertIn(self.d.inspect(cid)["HostConfig"]["Runtime"], ("bwrap", "crun", "proot"))

    def test_no_launcher(self):
        d = Daemon("--native", "none")
        d.call("POST", "/images/create", native_image(), query={"fromSrc": "-", "repo": "native"}, headers={"Content-Type": "application/x-tar"})
        cid = d.create("/bin/sh", "-c", "exit 5", Image="native")
        self.assertEqual(d.inspect(cid)["HostConfig"]["Runtime"], "auto")
        d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 5)
        d.remove(cid)
        d.stop()


class Unprivileged(Launchers):
    @classmethod
    def setUpClass(cls):
        cls.user = User()
        cls.addClassCleanup(cls.user.remove)
        cls.groups = Delegated(cls.user)
        cls.addClassCleanup(cls.groups.remove)
        super().setUpClass()

    def test_no_launcher(self):
        pass


class WithoutIds(Launchers):
    """A user who can make no namespace of use: then there is proot alone, on a copy."""

    @classmethod
    def setUpClass(cls):
        cls.user = User(has_ids=False)
        cls.addClassCleanup(cls.user.remove)
        super().setUpClass()

    def check(self, launcher):
        if launcher == "proot":
            for part in (self.check_run, self.check_stop, self.check_files, self.check_limits, self.check_update, self.check_ports, self.check_datagrams, self.check_nobody_listens, self.check_killed):
                with self.subTest(launcher=launcher, part=part.__name__):
                    part(launcher)
            return
        cid = self.create(launcher, "true")
        reply = self.d.call("POST", f"/containers/{cid}/start", timeout=60)
        self.assertEqual(reply.status, 400)
        self.assertIn("the launcher has ended with status", reply.message)
        self.assertRegex(reply.message, "sub.id|newuidmap")

    def test_no_launcher(self):
        pass


if __name__ == "__main__":
    unittest.main()
