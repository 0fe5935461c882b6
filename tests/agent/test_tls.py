"""Agents over TLS, both ways: who is trusted, what is refused, what stalls, what breaks."""
import hashlib
import os
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from agents import AGENT, Agent, Proxy, WebSocket, free_port, refused
from harness import DEADLINE_S, Daemon, demux


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    """One who vouches: a certificate of its own, and those that it makes."""

    def __init__(self, place, name):
        self.place, self.name = place, name
        self.file = os.path.join(place, f"{name}.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", self.file + ".key", "-out", self.file)

    def make(self, name, names, kind=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), days="2"):
        """(certificate, key)"""
        base = os.path.join(self.place, name)
        openssl("req", *kind, "-nodes", "-subj", "/CN=x", "-keyout", base + ".key", "-out", base + ".csr")
        with open(base + ".ext", "w", encoding="ascii") as f:
            f.write(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.file, "-CAkey", self.file + ".key", "-CAcreateserial", "-days", days, "-extfile",
                base + ".ext", "-out", base + ".pem")
        return base + ".pem", base + ".key"


@unittest.skipUnless(shutil.which("openssl"), "no openssl")
class Tls(unittest.TestCase):
    NAMES = "DNS:localhost,IP:127.0.0.1"

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="sockerless-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.ours, cls.theirs = Authority(cls.dir, "ours"), Authority(cls.dir, "theirs")
        cls.pair = cls.ours.make("here", cls.NAMES, ("-newkey", "rsa:3072"))
        cls.token = os.path.join(cls.dir, "token")
        with open(cls.token, "w", encoding="ascii") as f:
            f.write("secret\n")
        cls.port = free_port()
        cls.d = Daemon("--agent-listen", f"tcp://127.0.0.1:{cls.port}", "--tlscert", cls.pair[0], "--tlskey", cls.pair[1], "--tlscacert", cls.ours.file,
                       "--agent-token-file", cls.token, "--agent-wait", "5", "--agent-grace", "4")

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    def path(self, cid):
        return self.d.call("POST", f"/internal/v1/agent/prepare/{cid}", version=None).json["Path"]

    def call(self, cid, host="127.0.0.1", port=None, options=(), ca=None, scheme="wss"):
        a = Agent(callback=f"{scheme}://{host}:{port or self.port}{self.path(cid)}", token=None, options=("--ca-file", ca or self.ours.file, *options))
        self.addCleanup(a.stop)
        return a

    def reverse(self, *cmd, port=None, options=()):
        cid = self.d.create(*cmd, HostConfig={"Runtime": "agent"})
        self.addCleanup(self.d.remove, cid)
        a = self.call(cid, port=port, options=options)
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(reply.status, 204, reply.body)
        return cid, a

    def exec(self, cid, *cmd, data=None):
        xid = self.d.exec(cid, *cmd, AttachStdin=data is not None)
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        if data is not None:
            h.send(data)
            h.half_close()
        out = demux(h.read())
        h.close()
        return out[1], self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"]

    def wait(self, cid):
        return self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"]

    def test_reverse(self):
        over = os.path.join(self.dir, "over")
        cid, a = self.reverse("sh", "-c", f"while [ ! -e {over} ]; do sleep 0.05; done; exit 5")
        self.assertEqual(self.exec(cid, "sh", "-c", "echo x; exit 3"), (b"x\n", 3))
        data = os.urandom(8 << 20)
        self.assertEqual(self.exec(cid, "md5sum", data=data)[0].split()[0].decode(), hashlib.md5(data).hexdigest())
        with open(over, "wb"):
            pass
        self.assertEqual(self.wait(cid), 5)
        self.assertEqual(a.process.wait(DEADLINE_S), 5)

    def test_a_flood_is_whole(self):
        cid, _ = self.reverse("sleep", "1000")
        n = 12 << 20
        out = self.exec(cid, "sh", "-c", f"head -c {n} /dev/zero | openssl enc -aes-128-ctr -K 0 -iv 0 -nopad 2>/dev/null")
        expected = subprocess.run(f"head -c {n} /dev/zero | openssl enc -aes-128-ctr -K 0 -iv 0 -nopad | md5sum", shell=True, capture_output=True,
                                  check=False).stdout.split()[0].decode()
        self.assertEqual((len(out[0]), hashlib.md5(out[0]).hexdigest()), (n, expected))

    def test_forward(self):
        pair = self.ours.make("there", "DNS:localhost,IP:127.0.0.1")
        a = Agent(options=("--tls-cert", pair[0], "--tls-key", pair[1]))
        self.addCleanup(a.stop)
        cid, code = self.d.run("sh", "-c", "echo out; exit 7", Labels={"sockerless.agent": f"wss://127.0.0.1:{a.port}"})
        self.assertEqual((code, demux(self.d.logs(cid))[1]), (7, b"out\n"))
        self.d.remove(cid)
        context = ssl.create_default_context(cafile=self.ours.file)
        with context.wrap_socket(a.connect(), server_hostname="localhost") as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n")
            self.assertIn(b" 200 ", s.recv(1000))

    def refused(self, pair, url_host="127.0.0.1"):
        a = Agent(options=("--tls-cert", pair[0], "--tls-key", pair[1]))
        self.addCleanup(a.stop)
        cid = self.d.create("true", Labels={"sockerless.agent": f"wss://{url_host}:{a.port}"})
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(reply.status, 400)
        self.d.remove(cid)
        self.assertNotIn(b"secret", a.log)
        return reply.message

    def test_agents_that_are_not_trusted(self):
        self.assertIn("The certificate issuer is unknown", self.refused(self.theirs.make("unknown", self.NAMES)))
        self.assertIn("does not match", self.refused(self.ours.make("another", "DNS:elsewhere.example")))
        self.assertIn("expired", self.refused(self.ours.make("old", self.NAMES, days="-1")))
        a = Agent()  # which speaks no TLS
        self.addCleanup(a.stop)
        cid = self.d.create("true", Labels={"sockerless.agent": f"wss://127.0.0.1:{a.port}"})
        self.assertIn("TLS", self.d.call("POST", f"/containers/{cid}/start").message)
        self.d.remove(cid)

    def test_a_daemon_that_is_not_trusted(self):
        for ca, host, why in ((self.theirs.file, "127.0.0.1", b"The certificate issuer is unknown"), (self.ours.file, "127.0.0.2", b"does not match")):
            with self.subTest(why=why):
                proxy = None
                cid = self.d.create("true", HostConfig={"Runtime": "agent"})
                start = self.d.later("POST", f"/containers/{cid}/start")
                if host != "127.0.0.1":
                    proxy = Proxy(self.port, host)
                a = self.call(cid, host, port=proxy.port if proxy else None, ca=ca)
                self.assertIn("no agent came", start().message)
                self.d.wait_for(lambda a=a, why=why: why in a.log, "it has said why")
                self.assertNotIn(b"token=", a.log)
                self.d.remove(cid)
                if proxy:
                    proxy.stop()

    def test_no_token_before_trust(self):
        """One who stands between and has no certificate sees no token."""
        listener = socket.create_server(("127.0.0.1", 0))
        cid = self.d.create("true", HostConfig={"Runtime": "agent"})
        self.addCleanup(self.d.remove, cid)
        path = self.path(cid)
        a = self.call(cid, port=listener.getsockname()[1])
        s, _ = listener.accept()
        seen = s.recv(65536)
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        s.settimeout(DEADLINE_S)
        try:
            while data := s.recv(65536):
                seen += data
        except OSError:
            pass
        s.close()
        listener.close()
        self.assertNotIn(path[-64:].encode(), seen)
        a.stop()

    def test_plain_words_at_the_door(self):
        s = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)
        s.sendall(b"GET /internal/v1/agent/connect?id=1&token=2 HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            while s.recv(1000):
                pass
        except ConnectionError:
            pass
        s.close()
        self.d.wait_for(lambda: "a connection to --agent-listen was refused: " in self.d.log_text(), "it is logged")
        self.assertNotIn("token=2", self.d.log_text())

    def tls(self, target):
        context = ssl.create_default_context(cafile=self.ours.file)
        return WebSocket(context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), DEADLINE_S), server_hostname="localhost"), target)

    def test_tokens(self):
        cid, _ = self.reverse("sleep", "1000")
        base = "/internal/v1/agent/connect"
        for target, status in ((f"{base}?id={cid}&token={'0' * 64}", 401), (base, 401), ("/_ping", 404), (self.path(cid), 409)):
            w = self.tls(target)
            self.assertEqual(w.status, status)
            w.close()

    def test_handshakes_that_stall(self):
        """They keep nobody waiting, and go."""
        for _ in range(3):  # on a machine that is slow enough they go before the others are done, and tell nothing
            stalled = [socket.create_connection(("127.0.0.1", self.port), DEADLINE_S) for _ in range(300)]
            for i, s in enumerate(stalled):
                if i % 3 == 1:
                    s.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
                elif i % 3 == 2:
                    s.sendall(b"\x16")
            cid, _ = self.reverse("sleep", "1000")
            self.assertEqual(self.exec(cid, "echo", "x")[0], b"x\n")
            times = []
            for _ in range(50):
                at = time.monotonic()
                self.d.call("GET", "/_ping", version=None)
                times.append(time.monotonic() - at)
            are_there = not select.select(stalled, [], [], 0)[0]
            for s in stalled:
                try:
                    while s.recv(1000):
                        pass
                except ConnectionError:
                    pass
                s.close()
            if are_there:
                break
        self.assertTrue(are_there, "nobody waits for those that stall")
        self.assertLess(sorted(times)[-5], 0.5)

    def test_an_agents_handshake_that_stalls(self):
        listener = socket.create_server(("127.0.0.1", 0))
        cid = self.d.create("true", Labels={"sockerless.agent": f"wss://127.0.0.1:{listener.getsockname()[1]}"})
        began = time.monotonic()
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertIn("cannot be reached: it does not answer the TLS handshake", reply.message)
        self.assertGreater(time.monotonic() - began, 8)
        listener.close()
        self.d.remove(cid)

    def test_a_connection_that_breaks(self):
        proxy = Proxy(self.port)
        self.addCleanup(proxy.stop)
        cid, _ = self.reverse("sleep", "1000", port=proxy.port)
        end = proxy.cut_again_and_again(0.5)
        out, code = self.exec(cid, "sh", "-c", "i=0; while [ $i -lt 60000 ]; do echo line $i of the flood; i=$((i+1)); done; sleep 0.5; exit 9")
        end()
        self.assertEqual(code, 9)
        self.assertEqual(out, b"".join(b"line %d of the flood\n" % i for i in range(60000)))

    def test_stops(self):
        """With connections and handshakes under way the daemon ends at once: it waits for neither to come to their own end, which
        takes ten seconds."""
        port = free_port()
        d = Daemon("--agent-listen", f"tcp://127.0.0.1:{port}", "--tlscert", self.pair[0], "--tlskey", self.pair[1])
        cid = d.create("sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done", HostConfig={"Runtime": "agent"})
        path = d.call("POST", f"/internal/v1/agent/prepare/{cid}", version=None).json["Path"]
        a = Agent(callback=f"wss://127.0.0.1:{port}{path}", token=None, options=("--ca-file", self.ours.file))
        self.addCleanup(a.stop)
        self.assertEqual(d.call("POST", f"/containers/{cid}/start").status, 204)
        d.wait_for(lambda: b"up" in d.logs(cid), "it is up")
        stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        began = time.monotonic()
        d.process.terminate()
        self.assertEqual(d.process.wait(DEADLINE_S), 0)
        self.assertLess(time.monotonic() - began, 9)
        for s in stalled:
            s.close()
        d.stop()


@unittest.skipUnless(shutil.which("openssl"), "no openssl")
class Options(unittest.TestCase):
    def said(self, *options):
        r = subprocess.run([AGENT, *options], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertNotEqual(r.returncode, 0)
        return r.stderr

    def test_what_does_not_fit(self):
        with tempfile.TemporaryDirectory() as d:
            a = Authority(d, "a")
            one, other = a.make("one", "DNS:x"), a.make("other", "DNS:x")
            self.assertIn("--tlscert and --tlskey belong together", refused("--tlscert", one[0]))
            self.assertIn("no.pem", refused("--tlscert", d + "/no.pem", "--tlskey", one[1]))
            self.assertIn(other[1], refused("--tlscert", one[0], "--tlskey", other[1]))
            self.assertIn("certificate authorities", refused("--tlscacert", one[1]))
            self.assertIn("without TLS", refused("--agent-listen", "tcp://192.0.2.1:9111"))
            self.assertIn("--tls-cert and --tls-key belong together", self.said("--addr", "127.0.0.1:1", "--tls-cert", one[0]))
            self.assertIn(other[1], self.said("--addr", "127.0.0.1:1", "--tls-cert", one[0], "--tls-key", other[1]))
            self.assertIn("certificate authorities", self.said("--callback", "wss://127.0.0.1:1/x", "--ca-file", one[1]))


if __name__ == "__main__":
    unittest.main()
