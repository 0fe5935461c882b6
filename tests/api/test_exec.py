"""Exec: creation, start in its three forms, inspect in all states."""
import io
import tarfile
import time
import unittest

from harness import ApiTest, demux


class Exec(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cid = cls.d.up(User="7", Env=["OUTER=1"], WorkingDir="/tmp")

    def start(self, eid, **body):
        return self.d.hijack(f"/exec/{eid}/start", {"Detach": False, "Tty": False, **body})

    def output(self, *cmd, **config):
        with self.start(self.d.exec(self.cid, *cmd, **config)) as s:
            self.assertEqual(s.status, 101)
            return demux(s.read())

    def inspect(self, eid):
        return self.d.call("GET", f"/exec/{eid}/json").json

    def create(self, **config):
        return self.d.call("POST", f"/containers/{self.cid}/exec", config)

    def test_streams(self):
        self.assertEqual(self.output("sh", "-c", "echo out; echo err >&2"), {1: b"out\n", 2: b"err\n"})
        self.assertEqual(self.output("sh", "-c", "echo out; echo err >&2", AttachStdout=False), {1: b"", 2: b"err\n"})

    def test_stdin(self):
        with self.start(self.d.exec(self.cid, "cat", AttachStdin=True)) as s:
            s.send(b"hello")
            s.half_close()
            self.assertEqual(demux(s.read())[1], b"hello")
        self.assertEqual(self.output("cat"), {1: b"", 2: b""})

    def test_where_and_who(self):
        show = ("sh", "-c", "echo $(pwd) $(id -u) $OUTER $INNER")
        self.assertEqual(self.output(*show)[1], b"/tmp 7 1\n")
        self.assertEqual(self.output(*show, WorkingDir="/etc", User="0", Env=["INNER=2", "OUTER=3"])[1], b"/etc 0 3 2\n")

    def test_terminal(self):
        eid = self.d.exec(self.cid, "sh", "-c", "stty size; read x", Tty=True, AttachStdin=True, ConsoleSize=[30, 90])
        with self.start(eid, Tty=True) as s:
            self.assertIn(b"Content-Type: application/vnd.docker.raw-stream", s.head)
            self.assertEqual(s.read(b"\n"), b"30 90\r\n")
        eid = self.d.exec(self.cid, "sh", "-c", "stty size", Tty=True)
        with self.start(eid, Tty=True, ConsoleSize=[40, 100]) as s:
            self.assertEqual(s.read(), b"40 100\r\n")

    def test_framing_is_what_start_says(self):
        with self.start(self.d.exec(self.cid, "echo", "x", Tty=True)) as s:
            self.assertEqual(demux(s.read())[1], b"x\r\n")

    def test_states(self):
        eid = self.d.exec(self.cid, "sh", "-c", "read x; exit 5", AttachStdin=True, DetachKeys="ctrl-a", Privileged=True, User="1:2")
        self.assertGolden("exec-created", self.inspect(eid))
        self.assertEqual(self.d.inspect(self.cid)["ExecIDs"].count(eid), 1)
        with self.start(eid) as s:
            self.d.wait_for(lambda: self.inspect(eid)["Pid"] > 0, "the start")
            x = self.inspect(eid)
            self.assertEqual((x["ExitCode"], x["Running"]), (None, True))
            self.assertGolden("exec-running", x)
            self.assertIn(eid, self.d.inspect(self.cid)["ExecIDs"])
            s.send(b"\n")
            s.read()
        self.assertGolden("exec-exited", self.inspect(eid))
        self.assertNotIn(eid, self.d.inspect(self.cid)["ExecIDs"] or [])

    def test_detached(self):
        eid = self.d.exec(self.cid, "sh", "-c", "exit 6")
        reply = self.d.call("POST", f"/exec/{eid}/start", {"Detach": True})
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.d.wait_for(lambda: self.inspect(eid)["ExitCode"] == 6, "the exit")

    def test_twice(self):
        eid = self.d.exec(self.cid, "sleep", "1000")
        self.d.call("POST", f"/exec/{eid}/start", {"Detach": True})
        self.assertError(self.d.call("POST", f"/exec/{eid}/start", {"Detach": True}), 409, f"exec command {eid} is already running")
        eid = self.d.exec(self.cid, "true")
        self.start(eid).read()
        self.assertError(self.d.call("POST", f"/exec/{eid}/start", {"Detach": False}), 409, f"exec command {eid} has already run")

    def test_detach_keys(self):
        since = time.time()
        eid = self.d.exec(self.cid, "cat", Tty=True, AttachStdin=True, DetachKeys="ctrl-x,x")
        with self.start(eid, Tty=True) as s:
            s.send(b"a\r")
            s.read(b"a\r\na\r\n")
            s.send(b"\x18x")
            s.read()
        self.assertTrue(self.inspect(eid)["Running"])
        self.assertEqual([e["Action"] for e in self.d.events(since, event=["exec_detach"])], ["exec_detach"])

    def test_not_found_program(self):
        eid = self.d.exec(self.cid, "/nope")
        with self.start(eid) as s:
            self.assertRegex(demux(s.read())[1], rb"OCI runtime exec failed: .*no such file or directory.*\r\n$")
        x = self.inspect(eid)
        self.assertEqual((x["ExitCode"], x["Running"]), (127, False))
        eid = self.d.exec(self.cid, "nope")
        self.assertError(self.d.call("POST", f"/exec/{eid}/start", {"Detach": True}), 400,
                         'OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown')
        with self.start(self.d.exec(self.cid, "ls", User="nosuch")) as s:
            self.assertEqual(demux(s.read())[1], b"unable to find user nosuch: no matching entries in passwd file\r\n")

    def test_refused(self):
        self.assertError(self.create(), 400, "No exec command specified")
        self.assertError(self.create(Cmd=[]), 400, "No exec command specified")
        self.assertError(self.create(Cmd="ls"), 400, "invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Cmd of type []string")
        self.assertError(self.create(Cmd=["ls"], DetachKeys="ctrl-"), 400, "Invalid escape keys (ctrl-) provided")
        self.assertError(self.d.call("GET", "/exec/nope/json"), 404, "No such exec instance: nope")
        self.assertError(self.d.call("POST", "/exec/nope/start", {}), 404, "No such exec instance: nope")
        self.assertError(self.d.call("POST", "/containers/nope/exec", {"Cmd": ["ls"]}), 404, "No such container: nope")
        eid = self.d.exec(self.cid, "true")
        self.assertEqual(self.d.call("POST", f"/exec/{eid}/start", {"Detach": "x"}).status, 400)
        self.assertEqual(self.d.call("POST", f"/exec/{eid}/resize", query={"h": 1}).status, 400)

    def test_by_state_of_the_container(self):
        cid = self.d.create("sleep", "100")
        self.assertError(self.d.call("POST", f"/containers/{cid}/exec", {"Cmd": ["ls"]}), 409, f"container {cid} is not running")
        self.d.call("POST", f"/containers/{cid}/start")
        eid = self.d.exec(cid, "true")
        self.d.call("POST", f"/containers/{cid}/pause")
        for reply in (self.d.call("POST", f"/containers/{cid}/exec", {"Cmd": ["ls"]}), self.d.call("POST", f"/exec/{eid}/start", {})):
            self.assertEqual(reply.status, 409)
            self.assertRegex(reply.message, "^Container .* is paused, unpause the container before exec$")
        self.d.call("POST", f"/containers/{cid}/unpause")
        self.d.call("POST", f"/containers/{cid}/stop", query={"t": 0})
        self.assertError(self.d.call("POST", f"/exec/{eid}/start", {}), 409, f"container {cid} is not running")
        self.assertEqual(self.d.call("GET", f"/exec/{eid}/json").status, 200)
        self.d.remove(cid)
        self.assertEqual(self.d.call("GET", f"/exec/{eid}/json").status, 404)

    def test_resize(self):
        eid = self.d.exec(self.cid, "sh", "-c", "trap 'stty size; exit' WINCH; echo ready; while true; do sleep 0.1; done", Tty=True)
        with self.start(eid, Tty=True) as s:
            s.read(b"ready")
            self.assertEqual(self.d.call("POST", f"/exec/{eid}/resize", query={"h": 33, "w": 77}).status, 200)
            self.assertIn(b"33 77", s.read())


class Lookups(ApiTest):
    """What an exec asks for is looked up each time, or would be found the same: so it is however often it was asked."""

    def output(self, cid, *cmd, **config):
        with self.d.hijack(f"/exec/{self.d.exec(cid, *cmd, **config)}/start", {"Detach": False, "Tty": False}) as s:
            return demux(s.read())[1].decode()

    def settled(self, *cmd, **config):
        """A container that has been quiet for a while, in which the same was asked several times."""
        cid = self.d.up(Hostname="first")
        time.sleep(2.1)
        self.assertEqual(len({self.output(cid, *cmd, **config) for _ in range(4)}), 1)
        return cid

    def test_program_that_comes_before(self):
        cid = self.settled("hostname")
        self.assertEqual(self.output(cid, "hostname"), "first\n")
        self.output(cid, "sh", "-c", "mkdir -p /usr/local/bin; printf '#!/bin/sh\necho mine' >/usr/local/bin/hostname; "
                    "chmod +x /usr/local/bin/hostname")
        self.assertEqual(self.output(cid, "hostname"), "mine\n")
        self.output(cid, "sh", "-c", "printf '#!/bin/sh\necho yours' >/usr/local/bin/hostname")
        self.assertEqual(self.output(cid, "hostname"), "yours\n")
        self.output(cid, "rm", "/usr/local/bin/hostname")
        self.assertEqual(self.output(cid, "hostname"), "first\n")

    def test_program_that_goes(self):
        cid = self.settled("hostname")
        self.output(cid, "rm", "/bin/hostname")
        self.assertIn("executable file not found in $PATH", self.output(cid, "hostname"))

    def test_file_that_the_daemon_replaces(self):
        cid = self.settled("sh", "-c", "echo $HOME", User="root")
        self.assertEqual(self.output(cid, "sh", "-c", "echo $HOME", User="root"), "/root\n")
        data = b"root:x:0:0::/elsewhere:/bin/sh\n"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            info = tarfile.TarInfo("passwd")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        self.assertEqual(self.d.call("PUT", f"/containers/{cid}/archive", packed.getvalue(), {"path": "/etc"}).status, 200)
        self.assertEqual(self.output(cid, "sh", "-c", "echo $HOME", User="root"), "/elsewhere\n")

    def test_user_that_is_given_another_number(self):
        change = "sed -i 's/^tester:x:[0-9]*/tester:x:%d/' /etc/passwd"
        cid = self.d.up()
        self.output(cid, "sh", "-c", "echo tester:x:1000:1000::/:/bin/sh >>/etc/passwd")
        time.sleep(2.1)
        self.assertEqual([self.output(cid, "id", "-u", User="tester") for _ in range(4)], ["1000\n"] * 4)
        for uid in 1001, 1002:
            self.output(cid, "sh", "-c", change % uid)
            self.assertEqual(self.output(cid, "id", "-u", User="tester"), f"{uid}\n")

    def test_one_that_is_shut_out(self):
        cid = self.settled("hostname", User="7")
        self.output(cid, "chmod", "700", "/")
        self.assertNotIn("first", self.output(cid, "hostname", User="7"))
        self.assertEqual(self.output(cid, "hostname"), "first\n")


if __name__ == "__main__":
    unittest.main()
