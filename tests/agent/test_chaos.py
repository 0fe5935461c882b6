"""One of the processes that serve a container is killed at any moment: agent, launcher, helper, or the daemon."""
import http.client
import os
import random
import subprocess
import threading
import time
import unittest
import uuid

from agents import is_alive
from harness import ROOT, Daemon, demux
from test_launchers import BUSYBOX, native_image

LAUNCHERS = ("bwrap", "crun", "proot", "process")
ROUNDS = 40
COMMAND = "i=0; while [ $i -lt 20 ]; do echo $i; i=$((i+1)); echo $i >/tmp/$0; sleep 0.02; done; exit 23"
LIMIT_S = 60


def processes(marker):
    lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [int(line.split()[0]) for line in lines if marker in line]


@unittest.skipUnless(os.path.exists(BUSYBOX), "no static busybox")
class Chaos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = Daemon("--agent-grace", "3")
        cls.addClassCleanup(cls.d.stop)
        reply = cls.d.call("POST", "/images/create", native_image(), query={"fromSrc": "-", "repo": "native"}, headers={"Content-Type": "application/x-tar"})
        assert reply.status == 200, reply.body
        cls.works = [name for name in LAUNCHERS
                     if subprocess.run([os.path.join(ROOT, "src", "launchers", name), "--check"], capture_output=True, timeout=LIMIT_S, check=False).returncode == 0]
        if not cls.works:
            raise unittest.SkipTest("no launcher works here")

    def start(self, cid):
        try:
            self.d.call("POST", f"/containers/{cid}/start", timeout=LIMIT_S)
        except (OSError, http.client.HTTPException):
            pass  # the daemon was killed

    @staticmethod
    def command(pid):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode()

    def kill_one(self, pid, cid):
        """(What it was; is it the agent's copy that is about to become the container's own process?)"""
        try:
            name = self.command(pid)
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                parent = self.command(f.read().rpartition(")")[2].split()[1])
            if cid not in name:  # it has become another one since
                return "nothing", False
            os.kill(pid, 9)
            return name[:60], name == parent and name.partition(" ")[0].endswith("sockerless-agent")
        except OSError:
            return "nothing", False

    def one(self, dice, launcher):
        marker = uuid.uuid4().hex
        kills_daemon, is_its_own = dice.random() < 0.2, False
        cid = self.d.create("sh", "-c", COMMAND, marker, Image="native", HostConfig={"Runtime": launcher})
        start = threading.Thread(target=self.start, args=(cid,), daemon=True)
        start.start()
        time.sleep(dice.random() * 0.7)
        if kills_daemon:
            what = "the daemon"
            self.d.kill()
            self.d.start()
        else:
            there = processes(cid)
            what, is_its_own = self.kill_one(dice.choice(there), cid) if there else ("nothing", False)
        start.join(LIMIT_S)
        self.assertFalse(start.is_alive(), f"the start hangs: {launcher}, {what} killed")
        code = self.d.call("POST", f"/containers/{cid}/wait", timeout=LIMIT_S).json["StatusCode"]
        state = self.d.inspect(cid)["State"]
        why = f"{launcher}, {what} killed: {state}"
        out = demux(self.d.logs(cid))[1].split()
        if code == 23:
            self.assertEqual(out, [str(i).encode() for i in range(20)], why)
        elif state["Status"] == "created":
            self.assertTrue(kills_daemon or state["Error"], why)
        else:
            self.assertIn(code, (137,) if kills_daemon else (255, 128, 137) if is_its_own else (255, 128), why)
            self.assertTrue(state["Error"] or is_its_own, why)
        end = time.monotonic() + LIMIT_S
        while left := [p for p in processes(marker) + processes(cid) if is_alive(p)]:
            self.assertLess(time.monotonic(), end, f"{why}; what runs on: {left}")
            time.sleep(0.05)
        reply = self.d.call("GET", f"/containers/{cid}/changes", timeout=LIMIT_S)
        self.assertEqual(reply.status, 200, why)
        if code == 23:
            self.assertIn(f"/tmp/{marker}", [c["Path"] for c in reply.json or []], why)
        self.assertFalse(os.path.exists(f"/tmp/{marker}"), f"it has written to the host: {why}")
        self.d.remove(cid)
        return code

    def test_any_moment(self):
        seed = int(os.environ.get("CHAOS_SEED", time.time()))
        dice = random.Random(seed)
        codes = {}
        for i in range(ROUNDS):
            with self.subTest(seed=seed, round=i):
                code = self.one(dice, self.works[i % len(self.works)])
                codes[code] = codes.get(code, 0) + 1
        print(f"\nagent: {ROUNDS} containers, something of each killed at any moment (CHAOS_SEED={seed}): they ended with "
              + ", ".join(f"{c} ({n}×)" for c, n in sorted(codes.items())))


if __name__ == "__main__":
    unittest.main()
