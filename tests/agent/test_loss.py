"""A network that loses packets, and one that is gone for a while: a network namespace of the test's own (root)."""
import ctypes
import os
import shutil
import subprocess
import time
import unittest

from agents import Agent, free_port
from harness import Daemon, demux

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def rule(*words):
    subprocess.run(["iptables", *words, "-i", "lo", "-p", "tcp", "-m", "statistic", "--mode", "random", "--probability", "0.15", "-j", "DROP"],
                   check=True, capture_output=True)


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("iptables") and shutil.which("ip"), "no network namespace: it needs root, ip and iptables")
class Loss(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        if libc.unshare(CLONE_NEWNET) != 0:
            os.close(home)
            raise unittest.SkipTest("no network namespace can be made here")

        def back():
            libc.setns(home, CLONE_NEWNET)
            os.close(home)
        cls.addClassCleanup(back)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        try:
            rule("-A", "INPUT")
        except subprocess.CalledProcessError as e:
            raise unittest.SkipTest("iptables cannot lose packets here") from e
        rule("-D", "INPUT")
        cls.port = free_port()
        cls.d = Daemon("--agent-listen", f"tcp://127.0.0.1:{cls.port}", "--agent-wait", "60", "--agent-grace", "60")
        cls.addClassCleanup(cls.d.stop)

    def up(self, *cmd):
        cid = self.d.create(*cmd, HostConfig={"Runtime": "agent"})
        self.addCleanup(self.d.remove, cid)
        path = self.d.call("POST", f"/internal/v1/agent/prepare/{cid}", version=None).json["Path"]
        a = Agent(callback=f"ws://127.0.0.1:{self.port}{path}", token=None)
        self.addCleanup(a.stop)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/start", timeout=90).status, 204)
        return cid

    def exec(self, cid, script):
        xid = self.d.exec(cid, "sh", "-c", script)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        h.sock.settimeout(100)
        return xid, h

    def check(self, xid, h):
        self.assertEqual(demux(h.read())[1], b"".join(b"line %d of the flood\n" % i for i in range(20000)))
        h.close()
        self.assertEqual(self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"], 12)

    FLOOD = "i=0; while [ $i -lt 20000 ]; do echo line $i of the flood; i=$((i+1)); done; exit 12"

    def test_packets_are_lost(self):
        rule("-A", "INPUT")
        self.addCleanup(rule, "-D", "INPUT")
        cid = self.up("sh", "-c", "trap 'exit 11' TERM; while :; do sleep 0.05; done")
        for _ in range(3):
            self.check(*self.exec(cid, self.FLOOD))
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/stop", query={"t": 60}, timeout=90).status, 204)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 11)

    def test_the_network_is_gone_for_a_while(self):
        cid = self.up("sleep", "1000")
        xid, h = self.exec(cid, "sleep 0.3; " + self.FLOOD)
        subprocess.run(["iptables", "-A", "INPUT", "-i", "lo", "-j", "DROP"], check=True)
        time.sleep(3)
        subprocess.run(["iptables", "-D", "INPUT", "-i", "lo", "-j", "DROP"], check=True)
        self.check(xid, h)


if __name__ == "__main__":
    unittest.main()
