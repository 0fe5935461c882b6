"""A daemon and agents in two network namespaces, with a link between them that loses packets, falls silent, and goes down."""
import hashlib
import os
import shutil
import subprocess
import threading
import time
import unittest

from agents import Agent, Wrapped, free_port, is_alive, wait_for_end
from harness import DEADLINE_S, demux

GRACE_S = 4
DEAD_S = 30  # of silence: then a connection is taken for dead
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
ENV = dict(os.environ, PATH=PATH)
HERE, THERE = "10.99.0.1", "10.99.0.2"


def put(path):
    with open(path, "wb"):
        pass


class Link:
    """Two namespaces of their own that nothing else reaches. SkipTest, with the reason, where they cannot be made."""

    def __init__(self):
        missing = [p for p in ("ip", "nsenter", "unshare") if not shutil.which(p, path=PATH)]
        if os.geteuid() != 0 or missing:
            raise unittest.SkipTest(f"a network of its own: {' and '.join(missing) or 'root'} is needed")
        self.holders = [subprocess.Popen(["unshare", "-n", "sleep", "1000000"], stderr=subprocess.DEVNULL) for _ in range(2)]
        try:
            end = time.monotonic() + DEADLINE_S
            while any(os.readlink(f"/proc/{h.pid}/ns/net") == os.readlink("/proc/self/ns/net") for h in self.holders):
                if time.monotonic() > end or any(h.poll() is not None for h in self.holders):
                    raise unittest.SkipTest("no network namespace can be made here")
                time.sleep(0.01)
            self.ip(0, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", str(self.holders[1].pid))
            for side, address in enumerate((HERE, THERE)):
                self.ip(side, "addr", "add", f"{address}/24", "dev", "wire")
                self.ip(side, "link", "set", "lo", "up")
                self.ip(side, "link", "set", "wire", "up")
            self.lossy = self._how_to_lose()
        except BaseException:
            self.stop()
            raise

    def words(self, side, *words):
        return ["nsenter", f"--net=/proc/{self.holders[side].pid}/ns/net", *words]

    def here(self, *words):
        return self.words(0, *words)

    def there(self, *words):
        return self.words(1, *words)

    def _run(self, side, *words):
        return subprocess.run(self.words(side, *words), capture_output=True, text=True, env=ENV, check=False)

    def ip(self, side, *words):
        done = self._run(side, "ip", *words)
        if done.returncode != 0:
            raise unittest.SkipTest(f"no link can be made here: {done.stderr.strip()}")

    def _how_to_lose(self):
        """netem, or the filter's dice where the kernel has no netem."""
        if self._run(0, "tc", "qdisc", "add", "dev", "wire", "root", "netem", "loss", "0%").returncode == 0:
            self._run(1, "tc", "qdisc", "add", "dev", "wire", "root", "netem", "loss", "0%")
            return "netem"
        for filter_ in ("iptables-legacy", "iptables"):
            if shutil.which(filter_, path=PATH) and self._run(0, filter_, "-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", "0",
                                                              "-j", "DROP").returncode == 0:
                return filter_
        return None

    def lose(self, percent):
        """So many packets of a hundred, each way, without a word to anybody."""
        if not self.lossy:
            raise unittest.SkipTest("neither netem nor iptables loses packets here")
        for side in range(2):
            if self.lossy == "netem":
                words = [["tc", "qdisc", "change", "dev", "wire", "root", "netem", "loss", f"{percent}%"]]
            else:
                words = [[self.lossy, "-F", "INPUT"], [self.lossy, "-A", "INPUT", "-i", "wire", "-m", "statistic", "--mode", "random", "--probability",
                                                       str(percent / 100), "-j", "DROP"]]
            for w in words:
                done = self._run(side, *w)
                assert done.returncode == 0, done.stderr

    def stop(self):
        for h in self.holders:
            h.kill()
            h.wait()


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.link = Link()
        cls.addClassCleanup(cls.link.stop)
        cls.port = free_port()
        cls.d = Wrapped(cls.link.here, "--agent-listen", f"tcp://{HERE}:{cls.port}", "--agent-listen-plain", "--agent-wait", "60", "--agent-grace", str(GRACE_S))
        cls.addClassCleanup(cls.d.stop)
        print(f"\nagent: packets are lost by {cls.link.lossy}")

    def tearDown(self):
        if self.link.lossy:
            self.link.lose(0)

    def reverse(self, *cmd):
        """A container that runs there: (id, agent)."""
        cid = self.d.create(*cmd, HostConfig={"Runtime": "agent"})
        path = self.d.call("POST", f"/internal/v1/agent/prepare/{cid}", version=None).json["Path"]
        a = Agent(callback=f"ws://{HERE}:{self.port}{path}", token=None, options=("--grace", str(GRACE_S)), wrap=self.link.there)
        self.addCleanup(a.stop)
        self.addCleanup(self.d.remove, cid)
        reply = self.d.call("POST", f"/containers/{cid}/start", timeout=90)
        self.assertEqual(reply.status, 204, reply.body)
        return cid, a

    def begin_exec(self, cid, *cmd, **config):
        xid = self.d.exec(cid, *cmd, **config)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        self.addCleanup(h.close)
        h.sock.settimeout(120)
        return xid, h

    def exit_code(self, xid):
        return self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"]

    def wait(self, cid, timeout=DEAD_S + GRACE_S + DEADLINE_S):
        return self.d.call("POST", f"/containers/{cid}/wait", timeout=timeout).json["StatusCode"]

    def test_lost_packets(self):
        self.link.lose(10)
        cid, _ = self.reverse("sh", "-c", "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.1; done")
        data = os.urandom(1 << 20)
        xid, h = self.begin_exec(cid, "sh", "-c", "md5sum; i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 13", AttachStdin=True)
        h.send(data)
        h.half_close()
        out = demux(h.read())[1]
        self.assertEqual(out.split()[0].decode(), hashlib.md5(data).hexdigest())
        self.assertEqual(out.partition(b"\n")[2], b"".join(b"line %d\n" % i for i in range(20000)))
        self.assertEqual(self.exit_code(xid), 13)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/stop", query={"t": 60}, timeout=90).status, 204)
        state = self.d.inspect(cid)["State"]
        self.assertEqual((state["ExitCode"], state["Error"]), (9, ""))
        self.assertEqual(demux(self.d.logs(cid))[1], b"up\nbye\n")

    def test_a_silence_that_ends(self):
        """Longer than the grace, but nobody has noticed: what happened meanwhile is told afterwards."""
        begun, go, over = (os.path.join(self.d.dir, name) for name in ("begun", "go", "over"))
        until = "while [ ! -e {} ]; do sleep 0.05; done"
        cid, a = self.reverse("sh", "-c", f"{until.format(over)}; echo done; exit 14")
        xid, h = self.begin_exec(cid, "sh", "-c", f"touch {begun}; {until.format(go)}; echo from exec; exit 15")
        self.d.wait_for(lambda: os.path.exists(begun), "the exec runs")
        self.link.lose(100)
        put(go)
        self.d.wait_for(lambda: len([p for p in a.children() if is_alive(p)]) == 1, "the exec has ended")
        put(over)
        time.sleep(GRACE_S + 4)
        self.link.lose(0)
        self.assertEqual(demux(h.read())[1], b"from exec\n")
        self.assertEqual(self.exit_code(xid), 15)
        self.assertEqual(self.wait(cid), 14)
        self.assertEqual(demux(self.d.logs(cid))[1], b"done\n")

    def test_a_link_that_goes_down_and_up(self):
        cid, _ = self.reverse("sleep", "1000")
        xid, h = self.begin_exec(cid, "sh", "-c", "i=0; while [ $i -lt 60000 ]; do echo line $i of the flood; i=$((i+1)); done; sleep 0.5; exit 16")
        over = threading.Event()

        def shake():
            side = 0
            while not over.wait(0.3):
                self.link.ip(side, "link", "set", "wire", "down")
                over.wait(0.3)
                self.link.ip(side, "link", "set", "wire", "up")
                side = 1 - side
        t = threading.Thread(target=shake)
        t.start()
        try:
            out = demux(h.read())[1]
        finally:
            over.set()
            t.join()
        self.assertEqual(out, b"".join(b"line %d of the flood\n" % i for i in range(60000)))
        self.assertEqual(self.exit_code(xid), 16)

    def test_a_silence_for_good(self):
        """Whatever is asked meanwhile is answered; nobody's exit code is made up; nothing runs on."""
        runs = {name: self.reverse("sleep", "1000") for name in ("left", "stopped", "agent killed", "exec")}
        pids = [a.children()[0] for _, a in runs.values()]
        xid, h = self.begin_exec(runs["exec"][0], "sh", "-c", "echo begun; sleep 1000")
        h.read(until=b"begun\n")
        self.link.lose(100)
        began = time.monotonic()
        runs["agent killed"][1].process.kill()
        limit = DEAD_S + GRACE_S + DEADLINE_S
        stop = self.d.later("POST", f"/containers/{runs['stopped'][0]}/stop", query={"t": 1}, timeout=limit)
        top = self.d.later("GET", f"/containers/{runs['left'][0]}/top", timeout=limit)
        stats = self.d.later("GET", f"/containers/{runs['left'][0]}/stats", query={"stream": 0}, timeout=limit)
        late = self.d.exec(runs["left"][0], "true")
        start = self.d.later("POST", f"/exec/{late}/start", {"Detach": True}, timeout=limit)
        self.assertEqual(self.d.inspect(runs["left"][0])["State"]["Status"], "running")
        for name, (cid, _) in runs.items():
            self.assertEqual(self.wait(cid), 255, name)
            state = self.d.inspect(cid)["State"]
            self.assertEqual(state["Status"], "exited")
            self.assertRegex(state["Error"], f"the agent was lost.*did not come back within {GRACE_S} seconds")
        self.assertLess(time.monotonic() - began, limit)
        for reply in (stop, top, stats, start):
            self.assertIsNotNone(reply())
        self.assertEqual(stop(0).status, 204)
        for x, code in ((xid, 255), (late, 255)):
            self.d.wait_for(lambda x=x: not self.d.call("GET", f"/exec/{x}/json").json["Running"], "execs are over too")
            self.assertEqual(self.exit_code(x), code)
        h.read()
        # There, too, everybody notices.
        for _, a in runs.values():
            a.process.wait(limit)
        wait_for_end(*pids)

    def test_the_daemon_is_killed_in_the_silence(self):
        cid, a = self.reverse("sleep", "1000")
        pid = a.children()[0]
        self.link.lose(100)
        self.d.kill()
        self.d.start()
        state = self.d.inspect(cid)["State"]
        self.assertEqual((state["Status"], state["ExitCode"]), ("exited", 137))
        self.assertTrue(state["Error"], "it says why")
        self.link.lose(0)
        a.process.wait(DEAD_S + GRACE_S + DEADLINE_S)
        wait_for_end(pid)


if __name__ == "__main__":
    unittest.main()
