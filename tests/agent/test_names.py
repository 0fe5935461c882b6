"""Agents at names with several addresses, of which the first are of no use: the daemon's /etc/hosts is the test's."""
import os
import socket
import subprocess
import tempfile
import time
import unittest

from agents import Agent, Proxy, Wrapped
from harness import demux

ADDRESSES = ("127.0.0.1", "127.0.0.97", "127.0.0.98")


class Names(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory(prefix="sockerless-names-")
        cls.addClassCleanup(cls.dir.cleanup)
        hosts, token = os.path.join(cls.dir.name, "hosts"), os.path.join(cls.dir.name, "token")
        with open(hosts, "w", encoding="ascii") as f:
            f.write("".join(f"{a} agent.test\n" for a in ADDRESSES))
        with open(token, "w", encoding="ascii") as f:
            f.write("secret\n")
        cls.words = ("unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")
        ask = "import socket; print(*[a[4][0] for a in socket.getaddrinfo('agent.test', 80, type=socket.SOCK_STREAM)])"
        found = subprocess.run([*cls.words, "python3", "-c", ask], capture_output=True, text=True, check=False)
        if sorted(found.stdout.split()) != sorted(ADDRESSES):
            raise unittest.SkipTest(f"names with several addresses: {found.stderr.strip() or found.stdout.strip() or 'no mount namespace'}")
        cls.order = found.stdout.split()
        cls.d = Wrapped(lambda *words: (*cls.words, *words), "--agent-token-file", token)
        cls.addClassCleanup(cls.d.stop)

    def setUp(self):
        self.agent = Agent()
        self.addCleanup(self.agent.stop)

    def door(self, i):
        """A way to the agent at the i-th address alone."""
        p = Proxy(self.agent.port, host=self.order[i])
        self.addCleanup(p.stop)
        return p

    def run_at(self, port):
        """(exit code or the start's reply, seconds)"""
        cid = self.d.create("sh", "-c", "echo here; exit 7", Labels={"sockerless.agent": f"ws://agent.test:{port}"})
        self.addCleanup(self.d.remove, cid)
        start = time.monotonic()
        reply = self.d.call("POST", f"/containers/{cid}/start", timeout=30)
        if reply.status != 204:
            return reply, time.monotonic() - start
        code = self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"]
        self.assertEqual(demux(self.d.logs(cid))[1], b"here\n")
        return code, time.monotonic() - start

    def hole(self, address, port):
        """Nothing there answers a connection: its backlog is full."""
        s = socket.socket()
        self.addCleanup(s.close)
        s.bind((address, port))
        s.listen(0)
        for _ in range(8):
            c = socket.socket()
            self.addCleanup(c.close)
            c.setblocking(False)
            c.connect_ex((address, port))
        probe = socket.socket()
        self.addCleanup(probe.close)
        probe.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            probe.connect((address, port))

    def test_the_first(self):
        self.assertEqual(self.run_at(self.door(0).port)[0], 7)

    def test_the_last_after_refusals(self):
        self.assertEqual(self.run_at(self.door(2).port)[0], 7)

    def test_the_last_after_silence(self):
        """Long before the silent ones are given up, and before the whole's ten seconds are over."""
        door = self.door(2)
        self.hole(self.order[0], door.port)
        self.hole(self.order[1], door.port)
        code, seconds = self.run_at(door.port)
        self.assertEqual(code, 7)
        self.assertGreater(seconds, 0.45)
        self.assertLess(seconds, 8)

    def test_a_slow_one_is_not_given_up(self):
        """Silent first, and then of all the only one."""
        door = self.door(1)
        self.hole(self.order[0], door.port)
        self.assertEqual(self.run_at(door.port)[0], 7)

    def test_none(self):
        door = self.door(0)
        port = door.port
        door.stop()
        reply, _ = self.run_at(port)
        self.assertEqual(reply.status, 400)
        self.assertIn("the agent at agent.test cannot be reached: Connection refused (the last of 3 addresses)", reply.message)

    def test_no_such_name(self):
        cid = self.d.create("true", Labels={"sockerless.agent": "ws://nobody.invalid:80"})
        self.addCleanup(self.d.remove, cid)
        reply = self.d.call("POST", f"/containers/{cid}/start", timeout=30)
        self.assertEqual(reply.status, 400)
        self.assertIn("the agent at nobody.invalid cannot be reached: ", reply.message)

    def test_a_container_that_goes_while_its_agent_is_dialled(self):
        """Nothing is left of the attempts: descriptors least of all."""
        port = self.door(2).port
        for a in self.order[:2]:
            self.hole(a, port)
        pid = self.d.process.pid
        self.assertEqual(self.run_at(port)[0], 7)
        before = len(os.listdir(f"/proc/{pid}/fd"))
        for _ in range(10):
            cid = self.d.create("true", Labels={"sockerless.agent": f"ws://agent.test:{port}"})
            start = self.d.later("POST", f"/containers/{cid}/start", timeout=30)
            start(0.05)
            self.d.remove(cid)
            start()
        self.d.wait_for(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before + 1, "its descriptors are closed")


if __name__ == "__main__":
    unittest.main()
