"""The daemon and its agents: forward and reverse, what is refused, what breaks, and what comes back."""
import hashlib
import os
import socket
import tempfile
import time
import unittest

from agents import Agent, PROTOCOL, Proxy, WebSocket, free_port, wait_for_end
from harness import DEADLINE_S, Daemon, demux


def state(pid):
    """R, S, T, Z …"""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        return f.read().rpartition(")")[2].split()[0]


class Driver(unittest.TestCase):
    grace = "4"

    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        with tempfile.NamedTemporaryFile("w", prefix="sockerless-agent-token-", delete=False) as f:
            f.write("secret\n")
        cls.token_file = f.name
        cls.d = Daemon("--agent-listen", f"tcp://127.0.0.1:{cls.port}", "--agent-wait", "5", "--agent-grace", cls.grace,
                       "--agent-token-file", f.name)

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()
        os.unlink(cls.token_file)

    def prepare(self, cid):
        reply = self.d.call("POST", f"/internal/v1/agent/prepare/{cid}", version=None)
        self.assertEqual(reply.status, 200)
        return reply.json

    def reverse(self, *cmd, port=None, options=(), **config):
        """A container that runs under an agent of its own: (id, agent)."""
        cid = self.d.create(*cmd, HostConfig={"Runtime": "agent"}, **config)
        path = self.prepare(cid)["Path"]
        a = Agent(callback=f"ws://127.0.0.1:{port or self.port}{path}", token=None, options=options)
        self.addCleanup(a.stop)
        self.addCleanup(self.d.remove, cid)
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(reply.status, 204, reply.body)
        return cid, a

    def exec(self, cid, *cmd):
        xid = self.d.exec(cid, *cmd)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        out = demux(h.read())
        h.close()
        return out, self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"]

    def wait(self, cid):
        return self.d.call("POST", f"/containers/{cid}/wait", timeout=60).json["StatusCode"]

    def connect_when_wanted(self, target, protocol=PROTOCOL):
        """A WebSocket of a container whose start is under way: before it is, the daemon says 503."""
        end = time.monotonic() + DEADLINE_S
        while True:
            w = WebSocket(socket.create_connection(("127.0.0.1", self.port), DEADLINE_S), target, protocol=protocol)
            if w.status != 503:
                return w
            w.close()
            assert time.monotonic() < end, "nobody is wanted"
            time.sleep(0.02)

    def path(self, name):
        """Of a file that a container and the test tell each other by: agents run here."""
        return os.path.join(self.d.dir, f"{self.id().rpartition('.')[2]}-{name}")

    def there(self, name):
        self.d.wait_for(lambda: os.path.exists(self.path(name)), f"{name} is there")

    def until(self, name):
        """Shell: waits for the file."""
        return f"while [ ! -e {self.path(name)} ]; do sleep 0.02; done"

    def put(self, name):
        with open(self.path(name), "wb"):
            pass


class Both(Driver):
    def test_forward(self):
        a = Agent()
        self.addCleanup(a.stop)
        labels = {"sockerless.agent": f"ws://127.0.0.1:{a.port}"}
        cid, code = self.d.run("sh", "-c", "echo out; echo err >&2; exit 7", Labels=labels)
        self.assertEqual(code, 7)
        self.assertEqual(demux(self.d.logs(cid)), {1: b"out\n", 2: b"err\n"})
        self.assertEqual(self.d.inspect(cid)["Config"]["Labels"]["sockerless.driver"], "agent")
        up = self.d.up("sh", "-c", "sleep 1000", Labels=labels)
        self.assertEqual(self.exec(up, "sh", "-c", "echo x; exit 3"), ({1: b"x\n", 2: b""}, 3))
        self.assertIn("sleep 1000", str(self.d.call("GET", f"/containers/{up}/top").json["Processes"]))
        self.assertLessEqual(self.d.call("GET", f"/containers/{up}/stats", query={"stream": 0, "one-shot": 1}).json["pids_stats"]["current"], 2)
        self.d.remove(up)
        self.d.remove(cid)
        self.d.wait_for(lambda: not a.children(), "the container's processes have ended with it")

    def test_reverse(self):
        cid, a = self.reverse("sh", "-c", "read x; echo got $x; exit 5", OpenStdin=True)
        h = self.d.attach(cid, stdin=1)
        h.send(b"it\n")
        self.assertEqual(self.wait(cid), 5)
        h.close()
        self.assertEqual(demux(self.d.logs(cid))[1], b"got it\n")
        self.assertEqual(a.process.wait(DEADLINE_S), 5)

    def test_update(self):
        """Of one whose agent is elsewhere: the policy is the daemon's, the limits are not."""
        a = Agent()
        self.addCleanup(a.stop)
        forward = self.d.up("sh", "-c", "sleep 1000", Labels={"sockerless.agent": f"ws://127.0.0.1:{a.port}"})
        self.addCleanup(self.d.remove, forward)
        for cid in (forward, self.reverse("sleep", "1000")[0]):
            reply = self.d.call("POST", f"/containers/{cid}/update", {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})
            self.assertEqual(reply.status, 200, reply.body)
            reply = self.d.call("POST", f"/containers/{cid}/update", {"PidsLimit": 50})
            self.assertEqual(reply.status, 501)
            self.assertIn("the limits of what an agent runs elsewhere are set there", reply.message)
            host = self.d.inspect(cid)["HostConfig"]
            self.assertEqual((host["RestartPolicy"]["MaximumRetryCount"], host["PidsLimit"]), (2, None))

    def test_a_command_that_is_not_there(self):
        cid = self.d.create("nosuchthing", HostConfig={"Runtime": "agent"})
        a = Agent(callback=f"ws://127.0.0.1:{self.port}{self.prepare(cid)['Path']}", token=None)
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(reply.status, 400)
        self.assertIn("executable file not found in $PATH", reply.message)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 127)
        self.d.remove(cid)
        a.stop()

    def test_pause(self):
        cid, a = self.reverse("sh", "-c", "while :; do echo x; sleep 0.02; done")
        self.d.wait_for(lambda: self.d.logs(cid), "it writes")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/pause").status, 204)
        # It does nothing more of its own; where others have the processor it has yet to be seen standing.
        self.d.wait_for(lambda: [state(p) for p in a.children()] == ["T"], "it stands")

        def is_quiet():  # what it had written before comes yet
            n = len(self.d.logs(cid))
            time.sleep(0.3)
            return len(self.d.logs(cid)) == n
        self.d.wait_for(is_quiet, "it writes no more")
        n = len(self.d.logs(cid))
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/unpause").status, 204)
        self.d.wait_for(lambda: len(self.d.logs(cid)) > n + 20, "it goes on")

    def test_files(self):
        cid, a = self.reverse("sleep", "1000")
        place = os.path.join(self.d.dir, "there")
        os.mkdir(place)
        with open(os.path.join(place, "f"), "wb") as f:
            f.write(b"data")
        reply = self.d.call("GET", f"/containers/{cid}/archive", query={"path": place})
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.d.call("PUT", f"/containers/{cid}/archive", reply.body, query={"path": place},
                                     headers={"Content-Type": "application/x-tar"}).status, 200)
        with open(os.path.join(place, "there", "f"), "rb") as f:
            self.assertEqual(f.read(), b"data")
        self.assertEqual(self.d.call("GET", f"/containers/{cid}/archive", query={"path": "/no/such"}).status, 404)
        self.assertEqual(self.d.call("HEAD", f"/containers/{cid}/archive", query={"path": place + "/f"}).status, 200)

    def test_no_agent(self):
        cid = self.d.create("true", Labels={"sockerless.agent": f"ws://127.0.0.1:{free_port()}"})
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertIn("cannot be reached: Connection refused", reply.message)
        self.d.remove(cid)
        cid = self.d.create("true", HostConfig={"Runtime": "agent"})
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertIn("no agent came for this container within 5 seconds", reply.message)
        self.d.remove(cid)

    def test_a_plain_agent(self):
        """One that knows no subprotocol: attach is refused, exec runs the command."""
        cid = self.d.create("sh", "-c", "echo hello; exit 4", HostConfig={"Runtime": "agent"})
        path = self.prepare(cid)["Path"]
        start = self.d.later("POST", f"/containers/{cid}/start")
        w = self.connect_when_wanted(path, None)
        self.assertEqual(w.status, 101)
        m = w.receive()
        self.assertEqual(m["type"], "attach")
        w.send(type="error", id=m["id"], message="no main process to attach to")
        while m["type"] != "exec":
            m = w.receive()
        self.assertEqual((m["type"], m["cmd"]), ("exec", ["sh", "-c", "echo hello; exit 4"]))
        self.assertEqual(start().status, 204)
        w.send(type="stdout", id=m["id"], data="aGVsbG8K")
        w.send(type="exit", id=m["id"], code=4)
        self.assertEqual(self.wait(cid), 4)
        self.assertEqual(demux(self.d.logs(cid))[1], b"hello\n")
        w.close()
        self.d.remove(cid)


class Refused(Driver):
    grace = "1"

    def connect(self, target, token=None, protocol=PROTOCOL):
        return WebSocket(socket.create_connection(("127.0.0.1", self.port), DEADLINE_S), target, token, protocol)

    def test_tokens_and_ids(self):
        cid, _ = self.reverse("sleep", "1000")
        good = self.prepare(cid)
        base = "/internal/v1/agent/connect"
        self.assertEqual(self.connect(f"{base}?id={cid}&token={'0' * 64}").status, 401)
        self.assertEqual(self.connect(f"{base}?id={cid}&token={good['Token'][:-1]}").status, 401)
        self.assertEqual(self.connect(f"{base}?id={cid}").status, 401)
        self.assertEqual(self.connect(f"{base}?id={'f' * 64}&token={good['Token']}").status, 401)
        self.assertEqual(self.connect(base).status, 401)
        self.assertEqual(self.connect("/v1.51/containers/json").status, 404)
        self.assertEqual(self.connect("/_ping").status, 404)
        # The right token, but there is an agent, and this is another one.
        self.assertEqual(self.connect(good["Path"]).status, 409)
        self.assertEqual(self.exec(cid, "true")[1], 0)
        log = self.d.log_text()
        self.assertEqual(log.count(f"agent of container {cid[:12]} refused"), 1)
        self.assertNotIn(good["Token"], log)
        # Another container's.
        other = self.d.create("true", HostConfig={"Runtime": "agent"})
        theirs = self.prepare(other)
        self.assertEqual(self.connect(f"{base}?id={other}&token={good['Token']}").status, 401)
        self.assertEqual(self.connect(f"{base}?id={cid}&token={theirs['Token']}").status, 401)
        self.assertEqual(self.d.log_text().count(f"agent of container {other[:12]} refused"), 1)
        self.d.remove(other)
        self.assertEqual(self.connect(theirs["Path"]).status, 401)
        # Replayed when the container has ended, and when it runs again with another one.
        self.d.call("POST", f"/containers/{cid}/kill")
        self.wait(cid)
        self.assertEqual(self.connect(good["Path"]).status, 410)
        again = self.prepare(cid)
        self.assertNotEqual(again["Token"], good["Token"])
        self.assertEqual(self.connect(good["Path"]).status, 401)
        a = Agent(callback=f"ws://127.0.0.1:{self.port}{again['Path']}", token=None)
        self.addCleanup(a.stop)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/start").status, 204)
        self.assertEqual(self.connect(good["Path"]).status, 401)
        self.assertEqual(self.connect(again["Path"]).status, 409)
        self.assertEqual(self.exec(cid, "true")[1], 0)

    def test_strangers_do_not_fill_the_log(self):
        before = self.d.log_text().count("refused")
        for i in range(200):
            w = self.connect(f"/internal/v1/agent/connect?id={i:064x}&token={'0' * 64}")
            self.assertEqual(w.status, 401)
            w.close()
        self.assertLessEqual(self.d.log_text().count("refused") - before, 10)

    def test_ids_of_others(self):
        """An agent that speaks of sessions that are not its own changes nothing of them."""
        cid, _ = self.reverse("sleep", "1000")
        xid = self.d.exec(cid, "sh", "-c", "read x; echo $x; exit 9", AttachStdin=True)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        other = self.d.create("true", HostConfig={"Runtime": "agent"})
        self.addCleanup(self.d.remove, other)
        path = self.prepare(other)["Path"]
        start = self.d.later("POST", f"/containers/{other}/start")
        w = self.connect_when_wanted(path)
        w.send(type="hello", main=False)
        w.receive()
        w.send(type="resume", sessions=[{"id": f"{'0' * 12}-{i}", "channel": i} for i in range(50)])
        m = w.receive()
        self.assertEqual(m["type"], "exec")
        for i in range(50):
            for name in (m["id"].split("-")[0], "0" * 12):
                if f"{name}-{i}" != m["id"]:
                    w.send(type="exit", id=f"{name}-{i}", code=77)
                    w.send(type="stdout", id=f"{name}-{i}", data="eA==")
        w.frame(2, b"o\0\0\x30\0data")
        w.send(type="started", id=m["id"], pid=1)
        self.assertEqual(start().status, 204)
        h.send(b"mine\n")
        self.assertEqual(demux(h.read())[1], b"mine\n")
        h.close()
        self.assertEqual(self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"], 9)
        w.send(type="exit", id=m["id"], code=3)
        self.assertEqual(self.wait(other), 3)
        w.close()

    def test_an_agent_that_breaks_the_protocol(self):
        for nonsense in (lambda w: w.frame(1, b"{}"), lambda w: w.frame(2, b"x\0\0\0\1data"), lambda w: w.frame(2, b"i\0\0\0\1data"),
                         lambda w: w.sock.sendall(b"\x82\xff\x7f" + b"\xff" * 7 + b"mask"),
                         lambda w: w.frame(1, b"\xff\xfe", mask=False), lambda w: w.frame(2, b"a\0\0\0\0" + b"\xff" * 8)):
            cid = self.d.create("true", HostConfig={"Runtime": "agent"})
            path = self.prepare(cid)["Path"]
            start = self.d.later("POST", f"/containers/{cid}/start")
            w = self.connect_when_wanted(path)
            w.send(type="hello", main=False)
            self.assertEqual(w.receive()["type"], "resume")
            w.send(type="resume", sessions=[])
            self.assertEqual(w.receive()["type"], "exec")
            nonsense(w)
            w.sock.settimeout(DEADLINE_S)
            with self.assertRaises((EOFError, ConnectionError)):
                while True:
                    w.receive()
            w.close()
            reply = start()
            self.assertIn("the agent was lost", reply.message)
            self.d.remove(cid)
        self.assertEqual(self.d.run("true")[1], 0)

    def test_more_than_the_window(self):
        cid = self.d.create("true", HostConfig={"Runtime": "agent"})
        path = self.prepare(cid)["Path"]
        start = self.d.later("POST", f"/containers/{cid}/start")
        w = self.connect_when_wanted(path)
        w.send(type="hello", main=False)
        w.receive()
        w.send(type="resume", sessions=[])
        m = w.receive()
        w.send(type="started", id=m["id"], pid=1)
        self.assertEqual(start().status, 204)
        h = self.d.attach(cid, logs=1)  # its log takes what it gives; only one that reads nothing is overrun
        with self.assertRaises((EOFError, ConnectionError)):
            w.sock.settimeout(DEADLINE_S)
            w.frame(2, b"o" + m["channel"].to_bytes(4, "big") + b"x" * (70 << 10))
            while True:
                w.receive()
        h.close()
        w.close()
        self.assertEqual(self.wait(cid), 255)
        self.assertIn("the agent was lost", self.d.inspect(cid)["State"]["Error"])
        self.d.remove(cid)


class Broken(Driver):
    def broken(self, *cmd, **more):
        """A container whose agent comes by way of a proxy: (id, agent, proxy)."""
        proxy = Proxy(self.port)
        self.addCleanup(proxy.stop)
        return *self.reverse(*cmd, port=proxy.port, **more), proxy

    def test_exit_codes_survive(self):
        cid, a, proxy = self.broken("sh", "-c", f"{self.until('over')}; echo done; exit 11")
        xid = self.d.exec(cid, "sh", "-c", f"touch {self.path('begun')}; {self.until('go')}; echo from exec; exit 12")
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        self.there("begun")
        proxy.cut()
        self.put("go")
        self.d.wait_for(lambda: len([p for p in a.children() if state(p) != "Z"]) == 1, "the exec ends meanwhile")
        proxy.open()
        self.assertEqual(demux(h.read())[1], b"from exec\n")
        h.close()
        self.assertEqual(self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"], 12)
        self.put("over")
        self.assertEqual(self.wait(cid), 11)
        self.assertEqual(demux(self.d.logs(cid))[1], b"done\n")

    def test_a_signal_survives(self):
        """It is on its way when the connection breaks, and comes once."""
        cid, _, proxy = self.broken("sh", "-c", f"trap 'echo x >>{self.path('got')}' USR1; trap 'exit 13' TERM; echo up; while :; do sleep 0.02; done")
        self.d.wait_for(lambda: b"up" in self.d.logs(cid), "it is up")
        for number in (1, 2):
            self.assertEqual(self.d.call("POST", f"/containers/{cid}/kill", query={"signal": "USR1"}).status, 204)
            self.d.wait_for(lambda n=number: os.path.exists(self.path("got")) and os.path.getsize(self.path("got")) == 2 * n, "it has come")
        proxy.hold("server")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/kill", query={"signal": "USR1"}).status, 204)
        stop = self.d.later("POST", f"/containers/{cid}/stop", query={"t": 60}, timeout=90)
        self.assertIsNone(stop(0.3))
        proxy.cut()
        proxy.open()
        self.assertEqual(stop(90).status, 204)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 13)
        self.assertEqual(os.path.getsize(self.path("got")), 6)

    def test_the_word_of_a_beginning_survives(self):
        """The agent has started it and said so; the connection breaks before the daemon hears it."""
        cid, _, proxy = self.broken("sleep", "1000")
        proxy.hold("client")
        xid = self.d.exec(cid, "sh", "-c", f"touch {self.path('begun')}; sleep 1000")
        start = self.d.later("POST", f"/exec/{xid}/start", {"Detach": True})
        self.there("begun")
        self.assertIsNone(start(0.2))
        proxy.cut()
        proxy.open()
        self.assertEqual(start().status, 200)
        there = self.d.call("GET", f"/exec/{xid}/json").json
        self.assertEqual((there["Running"], there["Pid"] > 0), (True, True))

    def test_a_question_to_a_connection_that_is_replaced(self):
        """The agent comes back before the daemon has noticed that it was gone: who asked is answered all the same."""
        cid, _, proxy = self.broken("sleep", "1000")
        proxy.hold("server")
        top = self.d.later("GET", f"/containers/{cid}/top")
        self.assertIsNone(top(0.3))
        proxy.leave()
        proxy.open()
        self.assertIn("the agent is not connected", top().message)
        self.d.wait_for(lambda: "sleep 1000" in str(self.d.call("GET", f"/containers/{cid}/top").json), "the new connection takes questions")

    def test_no_byte_is_lost_or_doubled(self):
        cid, _, proxy = self.broken("sleep", "1000")
        xid = self.d.exec(cid, "sh", "-c", "i=0; while [ $i -lt 60000 ]; do echo line $i of the flood; i=$((i+1)); done; sleep 0.5")
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        end = proxy.cut_again_and_again(0.4)
        out = demux(h.read())[1]
        end()
        self.assertEqual(out, b"".join(b"line %d of the flood\n" % i for i in range(60000)))

    def test_stdin_survives(self):
        cid, _, proxy = self.broken("sleep", "1000")
        xid = self.d.exec(cid, "sh", "-c", "md5sum", AttachStdin=True)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        data = os.urandom(8 << 20)
        end = proxy.cut_again_and_again(0.4)
        h.send(data)
        h.half_close()
        out = demux(h.read())[1]
        end()
        self.assertEqual(out.split()[0].decode(), hashlib.md5(data).hexdigest())

    def test_lost_for_good(self):
        cid, a, proxy = self.broken("sleep", "1000", options=("--grace", "3"))
        pid = a.children()[0]
        xid = self.d.exec(cid, "sleep", "1000")
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        proxy.cut()
        self.assertEqual(self.wait(cid), 255)
        h.read()
        h.close()
        there = self.d.inspect(cid)["State"]
        self.assertEqual((there["Status"], there["ExitCode"]), ("exited", 255))
        self.assertIn("did not come back within 4 seconds", there["Error"])
        a.process.wait(DEADLINE_S)
        wait_for_end(pid)

    def test_a_killed_agent(self):
        cid, a = self.reverse("sleep", "1000")
        pid = a.children()[0]
        others = [self.d.call("GET", f"/exec/{self.begin(cid, user)}/json").json["Pid"] for user in ("root", "1000:1000")] if os.geteuid() == 0 else []
        a.process.kill()
        self.assertEqual(self.wait(cid), 255)
        self.assertIn("the agent was lost", self.d.inspect(cid)["State"]["Error"])
        wait_for_end(pid, *others)

    def begin(self, cid, user):
        xid = self.d.exec(cid, "sleep", "1000", User=user)
        self.assertEqual(self.d.call("POST", f"/exec/{xid}/start", {"Detach": True}).status, 200)
        return xid

    def test_a_killed_daemon(self):
        port = free_port()
        d = Daemon("--agent-listen", f"tcp://127.0.0.1:{port}")
        cid = d.create("sleep", "1000", HostConfig={"Runtime": "agent"})
        path = d.call("POST", f"/internal/v1/agent/prepare/{cid}", version=None).json["Path"]
        a = Agent(callback=f"ws://127.0.0.1:{port}{path}", token=None, options=("--grace", "3"))
        self.assertEqual(d.call("POST", f"/containers/{cid}/start").status, 204)
        pid = a.children()[0]
        d.kill()
        d.start()
        self.assertEqual(d.inspect(cid)["State"]["Status"], "exited")
        # The new daemon knows the token, but no run: the agent's grace is over, nothing is left behind.
        a.process.wait(DEADLINE_S)
        wait_for_end(pid)
        a.stop()
        d.stop()


if __name__ == "__main__":
    unittest.main()
