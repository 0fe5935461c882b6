"""Whatever is killed, whenever: nothing hangs, no exit code is invented, nothing runs on, and every state explains itself."""
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from agents import AGENT, Agent, free_port
from harness import Daemon
from test_launchers import BUSYBOX, command, native_image

ROUNDS = int(os.environ.get("KILL_ROUNDS", "12"))
SEED = int(os.environ.get("KILL_SEED", str(random.randrange(1 << 30))))


def processes(word):
    """Those whose command line has this word: {pid: line}."""
    out = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return {int(line.split(None, 1)[0]): line for line in out.splitlines() if word in line and " ps " not in line}


class Kills(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        print(f"\nagent: KILL_SEED={SEED}", flush=True)

    def pause(self, longest=0.4):
        time.sleep(self.random.random() * longest)

    def begin(self, d, body):
        """A start, an exec that writes, one that reads: all under way in threads that must come back."""
        def quietly(*request, **more):
            try:
                return d.call(*request, timeout=40, **more)
            except (OSError, EOFError, ValueError):
                return None

        def work(cid):
            quietly("POST", f"/containers/{cid}/start")
            reply = quietly("POST", f"/containers/{cid}/exec", {"Cmd": ["sh", "-c", "while :; do echo x; done"], "AttachStdout": True})
            if reply is None or reply.status != 201:
                return
            try:
                h = d.hijack(f"/exec/{reply.json['Id']}/start", {"Detach": False})
                h.sock.settimeout(40)
                while h.sock.recv(65536):
                    pass
            except (OSError, EOFError, AssertionError, ValueError):
                pass
        reply = d.call("POST", "/containers/create", body)
        self.assertEqual(reply.status, 201, reply.body)
        cid = reply.json["Id"]
        t = threading.Thread(target=work, args=(cid,), daemon=True)
        t.start()
        return cid, t

    def kill(self, pid):
        """Must the container end of that? Not of the end of one that is at its end, as a launcher's mkdir, nor of the agent's copy
        that is about to become an exec's process."""
        try:
            line = command(pid)
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                parent = command(f.read().rpartition(")")[2].split()[1])
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            return False
        name = os.path.basename(line.partition(" ")[0])
        return name not in ("", "mkdir", "cp", "mount") and not ("agent" in name and "--callback" in line and line == parent)

    def check_ended(self, d, cid, allowed):
        d.wait_for(lambda: d.inspect(cid)["State"]["Status"] in ("exited", "created"), f"{cid[:12]} has ended")
        state = d.inspect(cid)["State"]
        if state["Status"] == "exited":
            self.assertIn(state["ExitCode"], allowed, state)
        self.assertNotRegex(state["Error"], "Sanitizer|runtime error")
        self.assertTrue(state["Error"] or state["ExitCode"] == 137 or state["Status"] == "created", state)

    def check_nothing_left(self, d, word):
        d.wait_for(lambda: not processes(word), f"nothing of {word[:12]} runs on")

    def join(self, threads):
        for t in threads:
            t.join(60)
            self.assertFalse(t.is_alive(), "a request hangs")

    def test_agents(self):
        """Of agents that connect: the agent or the daemon, by KILL or TERM."""
        for number in range(ROUNDS):
            port = free_port()
            d = Daemon("--agent-listen", f"tcp://127.0.0.1:{port}", "--agent-wait", "3", "--agent-grace", "2")
            agents, started = [], []
            mark = f"{90000 + number}.{os.getpid()}"
            for _ in range(3):
                cid, t = self.begin(d, {"Image": "busybox", "Cmd": ["sleep", mark], "HostConfig": {"Runtime": "agent"}})
                path = d.call("POST", f"/internal/v1/agent/prepare/{cid}", version=None).json["Path"]
                agents.append(Agent(callback=f"ws://127.0.0.1:{port}{path}", token=None, options=("--grace", "2")))
                started.append((cid, t))
            self.pause()
            victim = self.random.choice(("agent", "daemon", "daemon", "stop"))
            with self.subTest(number=number, victim=victim):
                if victim == "agent":
                    agents[0].process.kill()
                    self.check_ended(d, started[0][0], (128, 255, 137))
                if victim == "daemon":
                    d.kill()
                    d.start()
                    for cid, _ in started:
                        self.check_ended(d, cid, (128, 255, 137))
                self.assertEqual(self.end(d), 0)
                self.join([t for _, t in started])
                for a in agents:
                    a.process.wait(60)
                self.check_nothing_left(d, f"sleep {mark}")
            for a in agents:
                a.stop()
            d.stop()

    def end(self, d):
        d.process.send_signal(signal.SIGTERM)
        return d.process.wait(60)

    def native(self, launcher, *options):
        for number in range(ROUNDS):
            d = Daemon(*options)
            mark = f"{80000 + number}.{os.getpid()}"
            d.call("POST", "/images/create", native_image(), query={"fromSrc": "-", "repo": "native"}, headers={"Content-Type": "application/x-tar"})
            started = [self.begin(d, {"Image": "native", "Cmd": ["sleep", mark], "HostConfig": {"Runtime": launcher}}) for _ in range(2)]
            self.pause(0.8)
            victim = self.random.choice(("any", "any", "daemon", "daemon", "stop", "image"))
            with self.subTest(number=number, victim=victim, launcher=launcher):
                if victim == "any":
                    mine = [p for p in processes(started[0][0]) if p != d.process.pid]
                    if mine and self.kill(self.random.choice(mine)):
                        self.check_ended(d, started[0][0], (128, 255, 137))
                if victim in ("daemon", "image"):
                    d.kill()
                    if victim == "image":  # what was laid out of it is swept at the next start, and that is stopped at once
                        for name in os.listdir(os.path.join(d.data, "native")) if os.path.isdir(os.path.join(d.data, "native")) else ():
                            if name.endswith(".of"):
                                with open(os.path.join(d.data, "native", name), "w", encoding="utf-8") as f:
                                    f.write("/no/such/image")
                    d.start()
                    if victim == "daemon":
                        for cid, _ in started:
                            self.check_ended(d, cid, (128, 255, 137))
                self.assertEqual(self.end(d), 0)
                self.join([t for _, t in started])
                for cid, _ in started:
                    self.check_nothing_left(d, cid)
                self.check_nothing_left(d, f"sleep {mark}")
            d.stop()

    @unittest.skipUnless(os.path.exists(BUSYBOX), "no static busybox")
    def test_native(self):
        self.native("process", "--agent-program", AGENT)
        self.native("native")  # in a root in which a program with libraries finds none of them


if __name__ == "__main__":
    unittest.main()
