"""The agent alone, spoken to in the plain protocol, as other daemons do."""
import base64
import json
import os
import signal
import time
import unittest

from agents import Agent, wait_for_end
from harness import DEADLINE_S


def b64(data):
    return base64.b64encode(data).decode()


class Plain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.agent = Agent()

    @classmethod
    def tearDownClass(cls):
        cls.agent.stop()

    def run_one(self, *cmd, stdin=None, **more):
        w = self.agent.socket()
        w.send(type="exec", id="s", cmd=list(cmd), **more)
        if stdin is not None:
            w.send(type="stdin", id="s", data=b64(stdin))
        w.send(type="close_stdin", id="s")
        result = w.session("s")
        w.close()
        return result

    def test_exit_codes_and_streams(self):
        for code in (0, 1, 7, 255):
            self.assertEqual(self.run_one("sh", "-c", f"echo out; echo err >&2; exit {code}"),
                             ({"stdout": b"out\n", "stderr": b"err\n"}, code))
        self.assertEqual(self.run_one("sh", "-c", "kill -9 $$")[1], 137)

    def test_what_cannot_run(self):
        self.assertIn("executable file not found in $PATH", self.run_one("nosuchthing")[1])
        self.assertIn("no such file or directory", self.run_one("/no/such")[1])
        self.assertIn("permission denied", self.run_one("/etc/passwd")[1])
        self.assertIn("chdir to cwd", self.run_one("true", workdir="/no/such")[1])

    def test_environment_and_directory(self):
        out, code = self.run_one("sh", "-c", "echo $A-$SOCKERLESS_AGENT_TOKEN-; pwd", env=["A=b c"], workdir="/usr")
        self.assertEqual((out["stdout"], code), (b"b c--\n/usr\n", 0))

    def test_stdin_half_close(self):
        data = os.urandom(1 << 20)
        out, code = self.run_one("sh", "-c", "cat; echo end >&2", stdin=data)
        self.assertEqual(code, 0)
        self.assertTrue(out["stdout"] == data)
        self.assertEqual(out["stderr"], b"end\n")

    def test_terminal(self):
        w = self.agent.socket()
        w.send(type="exec", id="t", cmd=["sh", "-c", "tty; read x; stty size; echo got $x"], tty=True)
        w.send(type="resize", id="t", width=99, height=33)
        w.send(type="stdin", id="t", data=b64(b"y\n"))
        out, code = w.session("t")
        w.close()
        self.assertEqual(code, 0)
        self.assertIn(b"/dev/pts/", out["stdout"])
        self.assertIn(b"33 99\r\ngot y\r\n", out["stdout"])

    def test_last_words_at_terminals(self):
        # A terminal holds more than one read of it brings when its last process ends.
        w = self.agent.socket()
        said = {f"t{i}": b"" for i in range(8)}
        for sid in said:
            w.send(type="exec", id=sid, cmd=["seq", "1", "20000"], tty=True)
        running = set(said)
        while running:
            m = w.receive()
            if m["type"] == "stdout":
                said[m["id"]] += base64.b64decode(m["data"])
            elif m["type"] == "exit":
                self.assertEqual(m["code"], 0)
                running.remove(m["id"])
        for sid, text in said.items():
            self.assertEqual(text, b"".join(b"%d\r\n" % n for n in range(1, 20001)), sid)
        w.close()

    def test_signal(self):
        w = self.agent.socket()
        w.send(type="exec", id="k", cmd=["sh", "-c", "trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.05; done"])
        while w.receive()["type"] != "stdout":
            pass
        w.send(type="signal", id="k", signal="SIGTERM")
        out, code = w.session("k")
        self.assertEqual((out["stdout"], code), (b"term\n", 5))
        w.close()

    def test_many_at_once(self):
        w = self.agent.socket()
        for i in range(100):
            w.send(type="exec", id=f"m{i}", cmd=["sh", "-c", f"sleep 0.2; exit {i}"])
        codes = {}
        while len(codes) < 100:
            m = w.receive()
            if m["type"] == "exit":
                codes[m["id"]] = m["code"]
        w.close()
        self.assertEqual(codes, {f"m{i}": i for i in range(100)})

    def test_a_lost_connection_ends_its_sessions(self):
        w = self.agent.socket()
        w.send(type="exec", id="x", cmd=["sh", "-c", "echo $$; sleep 1000"])
        pid = int(base64.b64decode(w.receive()["data"]))
        w.close()
        wait_for_end(pid)

    def test_what_is_no_message(self):
        w = self.agent.socket()
        w.frame(1, b"not json")
        w.send(type="nonsense", id="n")
        self.assertEqual(w.receive()["type"], "error")
        w.send(type="exec", id="", cmd=["true"])
        self.assertEqual(w.receive()["type"], "error")
        w.send(type="attach", id="a")
        self.assertEqual(w.receive(), {"type": "error", "id": "a", "code": 126, "message": "no main process to attach to"})
        w.send(type="exec", id="e", cmd=["true"])
        self.assertEqual(w.session("e")[1], 0)
        w.close()

    def test_frames_that_break_the_protocol(self):
        for bytes_ in (b"\x81\x01x", b"\xc1\x80\0\0\0\0", b"\x82\xff\x7f" + b"\xff" * 7 + b"\0" * 4, b"\x83\x80\0\0\0\0"):
            w = self.agent.socket()
            w.sock.sendall(bytes_)
            w.sock.settimeout(DEADLINE_S)
            with self.assertRaises((EOFError, ConnectionError)):
                while True:
                    w.receive()
            w.close()
        self.assertEqual(self.run_one("true")[1], 0)

    def test_tokens(self):
        for token in (None, "wrong", "secre", "secret2", ""):
            self.assertEqual(self.agent.get("/health", token=token)[0], 401)
            self.assertEqual(self.agent.socket(token=token).status, 401)
        self.assertEqual(self.agent.get("/health")[0], 200)
        self.assertEqual(self.agent.get("/other")[0], 404)

    def test_heads_that_never_end(self):
        s = self.agent.connect()
        s.sendall(b"GET /" + b"a" * 20000)
        s.settimeout(DEADLINE_S)
        try:
            self.assertIn(s.recv(1000)[:12], (b"HTTP/1.1 400", b""))
        except ConnectionError:
            pass
        s.close()


class KeepAlive(unittest.TestCase):
    def test_replay_health_and_exit_code(self):
        a = Agent("sh", "-c", "echo early; read x; echo got $x; exit 9")
        try:
            health = json.loads(a.get("/health")[1])
            self.assertEqual((health["status"], health["exited"]), ("ok", False))
            w = a.socket()
            w.send(type="attach", id="m")
            self.assertEqual(w.receive(), {"type": "stdout", "id": "m", "data": b64(b"early\n")})
            other = a.socket()  # for this one it is told again
            other.send(type="attach", id="o")
            w.send(type="stdin", id="m", data=b64(b"it\n"))
            self.assertEqual(w.session("m"), ({"stdout": b"got it\n", "stderr": b""}, 9))
            self.assertEqual(other.session("o"), ({"stdout": b"early\ngot it\n", "stderr": b""}, 9))
            self.assertEqual(json.loads(a.get("/health")[1])["exitCode"], 9)
        finally:
            a.stop()

    def test_a_signal_goes_to_the_main_process(self):
        a = Agent("sh", "-c", "trap 'exit 6' TERM; echo up; while :; do sleep 0.05; done", options=("--grace", "1"))
        w = a.socket()
        w.send(type="attach", id="m")
        self.assertEqual(w.receive(), {"type": "stdout", "id": "m", "data": b64(b"up\n")})
        w.close()
        a.process.send_signal(signal.SIGTERM)
        self.assertEqual(a.process.wait(DEADLINE_S), 6)
        a.stop()

    def test_orphans_are_reaped_and_ended(self):
        a = Agent("sh", "-c", "(sleep 1000 & ); (sleep 0.05 & ); sleep 0.3; echo done", options=("--grace", "1"))
        w = a.socket()
        w.send(type="attach", id="m")
        self.assertEqual(w.session("m")[1], 0)
        deadline = time.monotonic() + DEADLINE_S  # the exit is told before the last orphan has been reaped
        while a.children() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(a.children(), [])
        w.close()
        a.stop()



if __name__ == "__main__":
    unittest.main()
