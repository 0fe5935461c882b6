"""Many agents, many sessions, much data: latency, checksums, memory."""
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import unittest

from agents import AGENT, Agent, rss
from harness import Daemon, demux
from test_tls import Authority

AGENTS, SESSIONS = int(os.environ.get("AGENTS", "200")), int(os.environ.get("SESSIONS", "2000"))
GIGABYTES = float(os.environ.get("GIGABYTES", "1"))


class Load(unittest.TestCase):
    def setUp(self):
        self.d = Daemon()

    def tearDown(self):
        self.d.stop()

    def up(self, agent, *cmd, scheme="ws"):
        return self.d.up(*cmd, Labels={"sockerless.agent": f"{scheme}://127.0.0.1:{agent.port}"})

    def test_a_gigabyte(self):
        a = Agent(token=None)
        self.addCleanup(a.stop)
        self.check_gigabyte(a, self.up(a, "sleep", "1000"))

    def test_a_gigabyte_over_tls(self):
        place = tempfile.mkdtemp(prefix="sockerless-tls-")
        self.addCleanup(shutil.rmtree, place)
        authority = Authority(place, "a")
        pair = authority.make("here", "IP:127.0.0.1")
        self.d.stop()
        self.d = Daemon("--tlscacert", authority.file)
        a = Agent(token=None, options=("--tls-cert", pair[0], "--tls-key", pair[1]))
        self.addCleanup(a.stop)
        self.check_gigabyte(a, self.up(a, "sleep", "1000", scheme="wss"))

    def check_gigabyte(self, a, cid):
        total = int(GIGABYTES * (1 << 30))
        xid = self.d.exec(cid, "sh", "-c", f"head -c {total} /dev/zero | openssl enc -aes-128-ctr -K 0 -iv 0 -nopad 2>/dev/null", AttachStderr=False,
                          Tty=False)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        before = rss(self.d.process.pid), a.rss()
        digest, got, rest, peak = hashlib.md5(), 0, h.rest, list(before)
        began = time.monotonic()
        while True:
            while len(rest) >= 8 and len(rest) >= 8 + int.from_bytes(rest[4:8], "big"):
                n = int.from_bytes(rest[4:8], "big")
                digest.update(rest[8:8 + n])
                got += n
                rest = rest[8 + n:]
            data = h.sock.recv(1 << 20)
            if not data:
                break
            rest += data
            peak = [max(p, now) for p, now in zip(peak, (rss(self.d.process.pid), a.rss()))]
        seconds = time.monotonic() - began
        h.close()
        expected = subprocess.run(f"head -c {total} /dev/zero | openssl enc -aes-128-ctr -K 0 -iv 0 -nopad | md5sum", shell=True,
                                  capture_output=True, check=False).stdout.split()[0].decode()
        self.assertEqual((got, digest.hexdigest()), (total, expected))
        print(f"\nagent: {total >> 20} MiB in {seconds:.1f} s; memory grew by {(peak[0] - before[0]) >> 10} KiB in the daemon, "
              f"{(peak[1] - before[1]) >> 10} KiB in the agent")
        self.assertLess(peak[0] - before[0], 16 << 20)
        self.assertLess(peak[1] - before[1], 8 << 20)

    def echo(self, cid):
        """How long each of many takes, in milliseconds, sorted."""
        xid = self.d.exec(cid, "cat", AttachStdin=True)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        times = []
        for i in range(200):
            began = time.monotonic()
            line = b"line %d\n" % i
            h.send(line)
            h.read(until=line)
            h.rest = b""
            times.append((time.monotonic() - began) * 1000)
            time.sleep(0.002)
        h.close()
        return sorted(times)

    def test_one_that_floods(self):
        """2,000 sessions on 200 agents; on one of them a session that writes as fast as it can, read by nobody much."""
        agents = []
        self.addCleanup(lambda: [a.stop() for a in agents])
        for _ in range(AGENTS):
            agents.append(Agent(token=None))
        containers = [self.up(a, "sleep", "1000") for a in agents]
        each = SESSIONS // AGENTS
        xids = [self.d.exec(c, "sleep", "1000") for c in containers for _ in range(each)]
        for xid in xids:
            self.assertEqual(self.d.call("POST", f"/exec/{xid}/start", {"Detach": True}).status, 200)
        quiet = self.echo(containers[0])
        flooder = self.d.exec(containers[0], "cat", "/dev/zero")
        flood = self.d.hijack(f"/exec/{flooder}/start", {"Detach": False})
        stop, read = threading.Event(), [0]

        def drink():  # as fast as a client can that has other things to do
            while not stop.is_set():
                read[0] += len(flood.sock.recv(1 << 20))
                time.sleep(0.01)
        t = threading.Thread(target=drink, daemon=True)
        t.start()
        # The same agent's and another one's: an echo that is asked again and again.
        for name, cid in (("the flooded agent", containers[0]), ("another agent", containers[1])):
            # p95: the rest is the machine's other work, and a busy machine's shows without a flood, too.
            for _ in range(3):
                times = self.echo(cid)
                if times[-10] < max(20, 10 * quiet[-10]):
                    break
            print(f"\nagent: {len(xids)} sessions on {AGENTS} agents, one floods ({read[0] >> 20} MiB): an echo on {name} takes "
                  f"{statistics.median(times):.1f} ms, {times[-3]:.1f} at p99, {times[-1]:.1f} at most (before the flood "
                  f"{statistics.median(quiet):.1f}, {quiet[-3]:.1f}, {quiet[-1]:.1f})")
            self.assertLess(times[-10], max(20, 10 * quiet[-10]))
        # One nobody reads at all holds up nobody either.
        stop.set()
        t.join()
        xid = self.d.exec(containers[0], "echo", "still here")
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        self.assertEqual(demux(h.read())[1], b"still here\n")
        h.close()
        flood.close()
        print(f"agent: memory: {rss(self.d.process.pid) >> 20} MiB the daemon, {agents[1].rss() >> 10} KiB an agent with {each} sessions")
        for c in containers:
            self.d.remove(c)


class Size(unittest.TestCase):
    def test_it_is_small_and_static(self):
        self.assertLess(os.path.getsize(AGENT), 8 << 20)
        headers = subprocess.run(["readelf", "-l", AGENT], capture_output=True, text=True, check=True).stdout
        self.assertFalse(re.search("INTERP", headers))


if __name__ == "__main__":
    unittest.main()
