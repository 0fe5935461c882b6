"""Attach, logs and wait."""
import json
import os
import socket
import time
import unittest
from urllib.parse import urlencode

from harness import ApiTest, UnixConnection, demux, urlencode

TTY = {"Tty": True, "OpenStdin": True}


class Attach(ApiTest):
    def start(self, cid):
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(reply.status, 204, reply.body)

    def test_both_streams_before_start(self):
        cid = self.d.create("sh", "-c", "echo out; echo err >&2; exit 3")
        with self.d.attach(cid) as a:
            self.assertEqual(a.status, 101)
            self.assertIn(b"Content-Type: application/vnd.docker.multiplexed-stream", a.head)
            self.start(cid)
            self.assertEqual(demux(a.read()), {1: b"out\n", 2: b"err\n"})

    def test_head_comes_alone(self):
        """Clients that read it through a buffer, and what follows past that, lose what has come with it."""
        cid, _ = self.d.run("echo", "logged")
        up = self.d.up()
        eid = self.d.exec(up, "echo", "said")
        for path, body, text, upgrade in ((f"/exec/{eid}/start", b"{}", b"said\n", "Connection: Upgrade\r\nUpgrade: tcp\r\n"),
                                          (f"/containers/{cid}/attach?logs=1&stdout=1", b"", b"logged\n", "Connection: Upgrade\r\nUpgrade: tcp\r\n"),
                                          (f"/containers/{cid}/attach?logs=1&stdout=1", b"", b"logged\n", "")):
            with self.subTest(path), self.d.connect() as s:
                s.sendall(f"POST /v1.43{path} HTTP/1.1\r\nHost: d\r\n{upgrade}Content-Type: application/json\r\n"
                          f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                s.recv(1, socket.MSG_PEEK) # the answer has come, and what was to be said is there to be told
                if "exec" in path:
                    self.d.wait_for(lambda: self.d.call("GET", f"/exec/{eid}/json").json["Running"] is False, "the end of the exec")
                time.sleep(0.05)
                head = s.recv(65536)
                self.assertEqual(head[-4:], b"\r\n\r\n")
                self.assertEqual(s.recv(65536)[8:], text)
        self.d.remove(up)

    def test_content_type_by_version(self):
        cid = self.d.create("true")
        with self.d.attach(cid, version="v1.41") as a:
            self.assertIn(b"Content-Type: application/vnd.docker.raw-stream", a.head)
        cid = self.d.create("true", Tty=True)
        with self.d.attach(cid) as a:
            self.assertIn(b"Content-Type: application/vnd.docker.raw-stream", a.head)

    def test_one_stream(self):
        cid = self.d.create("sh", "-c", "echo out; echo err >&2")
        with self.d.attach(cid, stdout=0) as a:
            self.start(cid)
            self.assertEqual(demux(a.read()), {1: b"", 2: b"err\n"})

    def test_half_close_ends_stdin(self):
        cid = self.d.create("cat", OpenStdin=True, StdinOnce=True)
        with self.d.attach(cid, stdin=1) as a:
            self.start(cid)
            a.send(b"a\nb")
            a.half_close()
            self.assertEqual(demux(a.read())[1], b"a\nb")

    def test_half_close_without_stdin_once(self):
        cid = self.d.up("cat", OpenStdin=True)
        with self.d.attach(cid, stdin=1) as a:
            a.send(b"a\n")
            a.half_close()
            a.read(b"a\n")
        with self.d.attach(cid, stdin=1) as a:
            a.send(b"b\n")
            self.assertIn(b"b\n", a.read(b"b\n"))
        self.d.remove(cid)

    def test_replay(self):
        cid = self.d.create("sh", "-c", "echo before; read x; echo $x", OpenStdin=True)
        self.start(cid)
        self.d.wait_for(lambda: b"before" in self.d.logs(cid), "the first line")
        with self.d.attach(cid, logs=1, stream=0) as a:
            self.assertEqual(demux(a.read())[1], b"before\n")
        with self.d.attach(cid, logs=1, stdin=1) as a:
            a.read(b"before\n")
            a.send(b"after\n")
            self.assertEqual(demux(a.read())[1], b"before\nafter\n")

    def test_replay_of_no_log(self):
        cid = self.d.create("true", HostConfig={"LogConfig": {"Type": "none"}})
        with self.d.attach(cid, logs=1) as a:
            self.assertEqual(demux(a.read())[1], b"Error attaching: configured logging driver does not support reading\n")

    def test_nothing_to_attach(self):
        cid = self.d.up()
        for query in ({"stream": 0}, {"stdout": 0, "stderr": 0}, {"stdout": 0, "stderr": 0, "stdin": 1}):
            with self.subTest(query), self.d.attach(cid, **query) as a:
                self.assertEqual((a.status, a.read()), (101, b""))
        self.d.remove(cid)

    def test_several_clients(self):
        cid = self.d.create("sh", "-c", "echo x")
        clients = [self.d.attach(cid) for _ in range(5)]
        self.start(cid)
        self.assertEqual([demux(a.read())[1] for a in clients], [b"x\n"] * 5)
        for a in clients:
            a.close()

    def test_refused(self):
        cid = self.d.up()
        self.assertError(self.d.call("POST", f"/containers/{cid}/attach", query={"detachKeys": "shift-x"}), 400,
                         "Invalid detach keys (shift-x) provided")
        self.d.call("POST", f"/containers/{cid}/pause")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/attach", query={"stream": 1, "stdout": 1}).status, 409)
        self.d.remove(cid)
        self.assertError(self.d.call("POST", "/containers/nope/attach"), 404, "No such container: nope")

    # ---- detach keys ----

    def test_detach(self):
        since = time.time()
        cid = self.d.up("cat", **TTY)
        with self.d.attach(cid, stdin=1) as a:
            a.send(b"one\r")
            a.read(b"one\r\none\r\n")
            a.send(b"two\x10")
            a.read(b"two") # what the terminal says again, before the end
            self.assertNotIn(b"^P", a.quiet(0.3))
            a.send(b"\x11never")
            self.assertTrue(a.read().endswith(b"two"))
        with self.d.attach(cid, stdin=1) as a: # the keys did not reach the process
            a.send(b"\r")
            self.assertIn(b"two\r\n", a.read(b"two\r\n"))
        self.assertEqual([e["Action"] for e in self.d.events(since, container=[cid])], ["create", "start", "attach", "detach", "attach"])
        self.d.remove(cid)

    def test_no_detach(self):
        cid = self.d.up("sh", "-c", "stty raw -echo; echo ready; while true; do dd bs=1 count=1 2>/dev/null | od -An -tx1; done", **TTY)
        with self.d.attach(cid, stdin=1, logs=1) as a:
            a.read(b"ready")
            a.send(b"\x10")
            self.assertNotIn(b"10", a.quiet(0.3))
            a.send(b"\x10\x11")
            self.assertEqual(a.read(b"11").split(b"ready")[1].split(), [b"10", b"10", b"11"])
        self.d.remove(cid)

    def test_own_keys(self):
        cid = self.d.up("cat", **TTY)
        with self.d.attach(cid, stdin=1, detachKeys="a,ctrl-x,DEL") as a:
            a.send(b"x")
            a.read(b"x")
            a.send(b"a\x18\x7fz")
            self.assertEqual(a.read(), b"x")
        self.d.remove(cid)

    def test_not_without_terminal(self):
        cid = self.d.create("cat", OpenStdin=True, StdinOnce=True)
        with self.d.attach(cid, stdin=1) as a:
            self.start(cid)
            a.send(b"\x10\x11")
            a.half_close()
            self.assertEqual(demux(a.read())[1], b"\x10\x11")


class Logs(ApiTest):
    def logged(self, cid, **query):
        return demux(self.d.logs(cid, **query))

    def line_by_line(self, *lines):
        """A container that has said these, each when the one before it was in the log: two streams have no order else."""
        script = "; ".join(f"while ! test -e /go{i}; do sleep 0.01; done; {line}" for i, line in enumerate(lines))
        cid = self.d.up("sh", "-c", script)
        for i in range(len(lines)):
            eid = self.d.exec(cid, "touch", f"/go{i}")
            with self.d.hijack(f"/exec/{eid}/start", {}) as s:
                s.read()
            self.d.wait_for(lambda: self.d.logs(cid).count(b"\n") == i + 1, lines[i])
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 0)
        return cid

    def test_streams_and_tail(self):
        cid = self.line_by_line("echo 1", "echo 2 >&2", "echo 3")
        self.assertEqual(self.logged(cid), {1: b"1\n3\n", 2: b"2\n"})
        self.assertEqual(self.logged(cid, stderr=0), {1: b"1\n3\n", 2: b""})
        self.assertEqual(self.logged(cid, stdout=0), {1: b"", 2: b"2\n"})
        for tail, out in (("all", b"1\n3\n"), ("bad", b"1\n3\n"), ("-1", b"1\n3\n"), ("0", b""), ("1", b"3\n"), ("100", b"1\n3\n")):
            with self.subTest(tail):
                self.assertEqual(self.logged(cid, tail=tail)[1], out)
        reply = self.d.call("GET", f"/containers/{cid}/logs")
        self.assertEqual((reply.status, reply.message), (400, "Bad parameters: you must choose at least one stream"))

    def test_young_container_is_followed_for_a_moment(self):
        """What it says first is in a log that is read right after the start, as it is where a start takes long."""
        cid = self.d.up("sleep", "1000")
        self.logged(cid)
        ended, started = time.time(), self.d.inspect(cid)["State"]["StartedAt"]
        whole = time.mktime(time.strptime(started[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        self.assertGreaterEqual(ended - whole - float("0" + started[19:-1]), 0.1)
        self.d.remove(cid)

    def test_timestamps(self):
        cid, _ = self.d.run("echo", "x")
        self.assertRegex(self.logged(cid, timestamps=1)[1], rb"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z x\n$")

    def test_since_and_until(self):
        cid = self.line_by_line("echo a", "echo b", "echo c")
        times = [line.split()[0].decode() for line in self.logged(cid, timestamps=1)[1].splitlines()]
        second = time.mktime(time.strptime(times[1][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        fraction = times[1][19:-1]
        for query, out in (({"since": times[1]}, b"b\nc\n"), ({"until": times[1]}, b"a\nb\n"), ({"since": times[1], "until": times[1]}, b"b\n"),
                           ({"since": f"{int(second)}{fraction}"}, b"b\nc\n"), ({"since": "10m"}, b"a\nb\nc\n"), ({"since": "0"}, b"a\nb\nc\n"),
                           ({"until": "10m"}, b""), ({"since": "9999999999999"}, b""), ({"until": "9999999999999"}, b"a\nb\nc\n"), ({"since": "-10m"}, b""), ({"until": "-10m"}, b"a\nb\nc\n"),
                           ({"since": times[1][:19] + fraction + "+00:00"}, b"b\nc\n")):
            with self.subTest(query):
                self.assertEqual(self.logged(cid, **query)[1], out)
        for key in ("since", "until"):
            self.assertEqual(self.d.call("GET", f"/containers/{cid}/logs", query={"stdout": 1, key: "yesterday"}).status, 400)

    def test_follow_outlives_the_container(self):
        # The Python SDK's run(): follow, wait, remove, and only then read.
        for _ in range(100):
            cid = self.d.up("echo", "kept", Tty=True)
            connection = UnixConnection(self.d.socket)
            connection.request("GET", f"/v1.44/containers/{cid}/logs?stdout=1&follow=1")
            reply = connection.getresponse()
            self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 0)
            self.assertEqual(self.d.call("DELETE", f"/containers/{cid}").status, 204)
            self.assertEqual(reply.read(), b"kept\r\n")
            connection.close()

    def test_rotated_log_outlives_the_container(self):
        # Reading so many files takes longer than the way to the removal.
        cid = self.d.create("sh", "-c", "i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done", Tty=True,
                            HostConfig={"LogConfig": {"Type": "json-file", "Config": {"max-size": "1k", "max-file": "200"}}})
        self.d.call("POST", f"/containers/{cid}/start")
        self.d.call("POST", f"/containers/{cid}/wait")
        all_of_it = self.d.call("GET", f"/containers/{cid}/logs", query={"stdout": 1}).body
        self.assertGreater(len(os.listdir(os.path.join(self.d.data, "containers", cid))), 20)
        connection = UnixConnection(self.d.socket)
        connection.request("GET", f"/v1.44/containers/{cid}/logs?stdout=1&follow=1")
        reply = connection.getresponse()
        self.assertEqual(self.d.call("DELETE", f"/containers/{cid}").status, 204)
        self.assertEqual(reply.read(), all_of_it)
        connection.close()

    def rotating(self, size, files, *cmd, **options):
        cid = self.d.create(*cmd, HostConfig={"LogConfig": {"Type": "json-file", "Config": {
            "max-size": size, "max-file": files, **options}}})
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/start").status, 204)
        return cid

    def follower(self, cid, **query):
        """Asks, and does not read."""
        connection = UnixConnection(self.d.socket, 60)
        connection.request("GET", f"/v1.44/containers/{cid}/logs?" + urlencode({"stdout": 1, "follow": 1, **query}))
        self.addCleanup(connection.close)
        return connection.getresponse()

    def counting(self, count, files, query, **options):
        """A container that has counted, in files of 400 kB, and one who follows its log, but has not read since it began."""
        cid = self.rotating("400k", files, "sh", "-c", f"echo begin; until [ -e /go ]; do sleep 0.02; done; seq {count}", **options)
        reply = self.follower(cid, **query)
        self.assertEqual(reply.read(14)[8:], b"begin\n")
        self.assertEqual(self.d.call("POST", f"/exec/{self.d.exec(cid, 'touch', '/go')}/start", {"Detach": True}).status, 200)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait", timeout=60).json["StatusCode"], 0)
        self.assertNotIn(b"\n1\n", self.logged(cid)[1])
        return cid, reply

    def test_slow_follower_of_rotated_log(self):
        # It reads when all is over: long ago nothing of what it has to come to was among the log's three files.
        count = 800000
        for files, query, options in (("3", {}, {}), ("3", {"tail": 100}, {"compress": "true"}), ("1", {"since": 1}, {})):
            with self.subTest(files=files, **query, **options):
                cid, reply = self.counting(count, files, query, **options)
                self.assertEqual(self.d.call("DELETE", f"/containers/{cid}").status, 204)
                left = os.path.join(self.d.data, "containers", f"{cid}.log")
                has_left = os.path.exists(left)
                lines = demux(reply.read())[1].split()
                self.assertEqual((len(lines), lines[0], lines[-1]), (count, b"1", b"%d" % count))
                self.assertTrue(lines == [b"%d" % n for n in range(1, count + 1)])
                self.assertTrue(has_left)
                self.d.wait_for(lambda left=left: not os.path.exists(left), "the end of the removed log")

    def test_slow_follower_leaves(self):
        cid, reply = self.counting(800000, "3", {})
        place = os.path.join(self.d.data, "containers", cid)

        def logs():
            return sorted(name for name in os.listdir(place) if "output.log" in name or "held" in name)
        self.assertGreater(len(logs()), 3)
        reply.close()
        self.doCleanups()
        self.d.wait_for(lambda: logs() == ["output.log", "output.log.1", "output.log.2"], "the end of what was held")
        self.assertTrue(self.logged(cid)[1].endswith(b"\n800000\n"))
        self.d.remove(cid)

    def open_files(self):
        place = f"/proc/{self.d.process.pid}/fd"
        for fd in os.listdir(place):
            try:
                yield os.readlink(os.path.join(place, fd))
            except FileNotFoundError: # closed by now
                pass

    def test_removal_does_not_wait_for_slow_followers(self):
        cid = self.rotating("100k", "40", "seq", "400000")
        self.d.call("POST", f"/containers/{cid}/wait", timeout=60)
        lines = self.logged(cid)[1].splitlines(keepends=True)
        self.assertEqual(len(lines), 400000)
        tails = ("all", 300000, 7)
        replies = [self.follower(cid, tail=tail) for tail in tails]
        self.assertEqual(self.d.call("DELETE", f"/containers/{cid}").status, 204)
        self.assertLessEqual(len([name for name in self.open_files() if cid in name]), 2 * len(replies))
        for reply, tail in zip(replies, tails):
            self.assertEqual(len(demux(reply.read())[1]), len(b"".join(lines if tail == "all" else lines[-tail:])))

    def test_tail_since_and_until_in_rotated_log(self):
        for options in ({}, {"compress": "true"}):
            cid = self.rotating("1k", "40", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do seq ${i}001 ${i}099; sleep 0.02; done", **options)
            self.d.call("POST", f"/containers/{cid}/wait", timeout=60)

            def logged(cid=cid, **query):
                return self.logged(cid, timestamps=1, **query)[1].splitlines()
            lines = logged()
            self.assertEqual([int(line.split()[1]) for line in lines], [1000 * i + n for i in range(1, 10) for n in range(1, 100)])
            times = [line.split()[0].decode() for line in lines]
            for at in (0, 100, 450, 890):
                with self.subTest(options, at=at):
                    after = [line for line, t in zip(lines, times) if t >= times[at]]
                    before = [line for line, t in zip(lines, times) if t <= times[at]]
                    self.assertEqual(logged(since=times[at]), after)
                    self.assertEqual(logged(until=times[at]), before)
                    self.assertEqual(logged(tail=at), lines[-at:] if at else [])
                    self.assertEqual(logged(tail=5, since=times[at]), after[-5:])
                    self.assertEqual(logged(tail=5, until=times[at], follow=1), before[-5:])
            self.d.remove(cid)

    def test_follow(self):
        cid = self.d.create("sh", "-c", "echo a; read x; echo b", OpenStdin=True)
        self.assertEqual(self.logged(cid, follow=1), {1: b"", 2: b""}) # nothing runs
        for n, (query, wanted) in enumerate((({}, b"a\nb\n"), ({}, b"a\nb\n" * 2), ({"tail": 0}, b"b\n")), 1):
            self.d.call("POST", f"/containers/{cid}/start")
            self.d.wait_for(lambda: self.d.logs(cid).count(b"a\n") == n, "the first line")
            connection = UnixConnection(self.d.socket)
            connection.request("GET", f"/v1.51/containers/{cid}/logs?" + urlencode({"stdout": 1, "follow": 1, **query}))
            reply = connection.getresponse() # its head has come: whatever is said from now on is in it
            with self.d.attach(cid, stdin=1) as a:
                a.send(b"\n")
                self.assertEqual(demux(reply.read())[1], wanted)
            connection.close()

    def test_follow_until(self):
        cid = self.d.up("sh", "-c", "while true; do echo x; sleep 0.05; done")
        self.d.wait_for(lambda: b"x" in self.d.logs(cid), "a line")
        before = time.time()
        self.assertIn(b"x\n", self.logged(cid, follow=1, until=f"{before + 0.6:.9f}")[1])
        self.assertLess(0.5, time.time() - before)
        self.assertLess(time.time() - before, 30)
        self.d.remove(cid)

    def test_long_and_partial_lines(self):
        cid, _ = self.d.run("sh", "-c", "head -c 40000 /dev/zero | tr '\\0' y; echo; printf partial")
        self.assertEqual(self.logged(cid)[1], b"y" * 40000 + b"\npartial")
        sizes = []
        data = self.d.logs(cid)
        while data:
            sizes.append(int.from_bytes(data[4:8], "big"))
            data = data[8 + sizes[-1]:]
        self.assertLessEqual(max(sizes), 16384)

    def test_details(self):
        log = {"Type": "json-file", "Config": {"labels": "a,none", "env": "E", "env-regex": "^F"}}
        cid, _ = self.d.run("sh", "-c", "echo x; echo y", Labels={"a": "b c", "z": "1"}, Env=["E=1", "F1=2", "G=3"], HostConfig={"LogConfig": log})
        self.assertEqual(self.logged(cid, details=1)[1], b"E=1,F1=2,a=b+c x\nE=1,F1=2,a=b+c y\n")
        self.assertEqual(self.logged(cid)[1], b"x\ny\n")
        cid, _ = self.d.run("echo", "x")
        self.assertEqual(self.logged(cid, details=1)[1], b" x\n")

    def test_terminal(self):
        cid, _ = self.d.run("sh", "-c", "echo a; echo b >&2", Tty=True)
        self.assertEqual(self.d.logs(cid), b"a\r\nb\r\n")

    def test_last_words_at_terminals(self):
        # A terminal holds more than one read of it brings when its last process ends.
        cids = [self.d.create("seq", "1", "20000", Tty=True) for _ in range(8)]
        for start in [self.d.later("POST", f"/containers/{cid}/start") for cid in cids]:
            self.assertEqual(start().status, 204)
        for cid in cids:
            self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 0)
            self.assertEqual(self.d.logs(cid), b"".join(b"%d\r\n" % i for i in range(1, 20001)))

    def test_drivers(self):
        cid, _ = self.d.run("echo", "x", HostConfig={"LogConfig": {"Type": "local"}})
        self.assertEqual(self.logged(cid)[1], b"x\n")
        self.assertTrue(self.d.inspect(cid)["LogPath"].startswith(self.d.data))
        cid, _ = self.d.run("echo", "x", HostConfig={"LogConfig": {"Type": "none"}})
        self.assertError(self.d.call("GET", f"/containers/{cid}/logs", query={"stdout": 1}), 501,
                         "configured logging driver does not support reading")
        self.assertEqual(self.d.inspect(cid)["LogPath"], "")

    def test_options_refused(self):
        for options, text in (({"max-size": "x"}, "invalid size: 'x'"), ({"max-file": "0"}, "max-file cannot be less than 1"),
                              ({"compress": "perhaps"}, 'invalid boolean value for compress: strconv.ParseBool: parsing "perhaps": invalid syntax'),
                              ({"compress": "true"}, "compress cannot be true when max-file is less than 2 or max-size is not set"),
                              ({"foo": "1"}, "unknown log opt 'foo' for json-file log driver"), ({"mode": "x"}, "logger: logging mode not supported: x"),
                              ({"max-buffer-size": "1m"}, "logger: max-buffer-size option is only supported with 'mode=non-blocking'")):
            with self.subTest(options):
                reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": "json-file", "Config": options}}})
                self.assertError(reply, 400, text)
        config = {"LogConfig": {"Type": "json-file", "Config": {"compress": "true", "max-size": "1m", "max-file": "2"}}}
        self.assertEqual(self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": config}).status, 201)


class Wait(ApiTest):
    def test_not_running(self):
        cid = self.d.create("sh", "-c", "sleep 0.3; exit 7")
        self.assertEqual(self.d.waiting(cid)(), {"StatusCode": 0})
        self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(self.d.waiting(cid, condition="not-running")(), {"StatusCode": 7})
        self.assertEqual(self.d.waiting(cid, condition="")(), {"StatusCode": 7})

    def test_next_exit(self):
        cid, _ = self.d.run("sh", "-c", "exit 7")
        result = self.d.waiting(cid, condition="next-exit")
        self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(result(), {"StatusCode": 7})

    def test_removed(self):
        cid = self.d.create("sh", "-c", "exit 7", HostConfig={"AutoRemove": True})
        result = self.d.waiting(cid, condition="removed")
        self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(result(), {"StatusCode": 7})
        self.assertEqual(self.d.call("GET", f"/containers/{cid}/json").status, 404)
        cid = self.d.create("true")
        result = self.d.waiting(cid, condition="removed")
        self.d.remove(cid)
        self.assertEqual(result()["StatusCode"], 0)

    def test_refused(self):
        cid = self.d.create("true")
        self.assertError(self.d.call("POST", f"/containers/{cid}/wait", query={"condition": "x"}), 400, 'invalid condition: "x"')
        self.assertEqual(json.loads(self.d.call("POST", f"/containers/{cid}/wait", query={"condition": "x"}, version="v1.29").body), {"StatusCode": 0})

    def test_wait_of_old(self):
        """Before 1.30 nothing comes until the end, and then one reply."""
        cid = self.d.up()
        gone = self.d.connect()
        for s in (gone, self.d.connect()):
            with s:
                s.sendall(f"POST /v1.29/containers/{cid}/wait HTTP/1.1\r\nHost: d\r\n\r\n".encode())
                s.settimeout(0.1)
                with self.assertRaises(TimeoutError):
                    s.recv(1)
                if s is gone:
                    continue
                self.d.call("POST", f"/containers/{cid}/kill")
                s.settimeout(30)
                reply = b""
                while not reply.endswith(b"}\n"):
                    reply += s.recv(4096)
                self.assertIn(b"Content-Length", reply)
                self.assertTrue(reply.endswith(b'{"StatusCode":137}\n'), reply)

    def test_headers_come_at_once(self):
        cid = self.d.create("true")
        with self.d.connect(timeout=30) as s:
            s.sendall(f"POST /v1.51/containers/{cid}/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200"))


if __name__ == "__main__":
    unittest.main()
