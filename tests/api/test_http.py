"""What comes before the handlers: heads, bodies, connections, and who misuses them."""
import io
import json
import os
import random
import resource
import socket
import struct
import tarfile
import time
import unittest

from harness import BUILD, DEADLINE_S, ApiTest, Daemon, KeptPort

SANITIZED = "san" in BUILD
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


def read_reply(s):
    """(status, headers, body) of one reply; the body by its length, or to the end."""
    f = s.makefile("rb")
    status = f.readline().split()
    headers = {}
    for line in iter(f.readline, b"\r\n"):
        if not line:
            break
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(f.readline() or b"0", 16):
            body += f.read(size)
            f.readline()
    else:
        body = f.read(int(headers["content-length"])) if "content-length" in headers else b""
    return int(status[1]) if status else 0, headers, body


def read_all(s):
    data = b""
    while more := s.recv(65536):
        data += more
    return data


class HttpTest(ApiTest):
    def raw(self, data):
        """The reply to these bytes."""
        with self.d.connect() as s:
            s.sendall(data)
            return read_reply(s)

    def refused(self, data, status, message):
        """The connection ends with the reply."""
        with self.d.connect() as s:
            s.sendall(data)
            got, headers, body = read_reply(s)
            self.assertEqual((got, json.loads(body), headers["content-type"]), (status, {"message": message}, "application/json"), data[:80])
            try:
                self.assertEqual(s.recv(1), b"", data[:80])
            except ConnectionResetError:
                pass

    def fds(self):
        """Its descriptors, but for /dev/null: libuv keeps one in reserve from its first stream on."""
        directory = f"/proc/{self.d.process.pid}/fd"
        return sum(self.target(f"{directory}/{fd}") not in ("/dev/null", None) for fd in os.listdir(directory))

    @staticmethod
    def target(link):
        try:
            return os.readlink(link)
        except OSError:
            return None  # closed meanwhile

    def rss_kib(self):
        with open(f"/proc/{self.d.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def cpu_s(self, pid=None):
        with open(f"/proc/{pid or self.d.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cpu_in(self, seconds, pid=None):
        before = self.cpu_s(pid)
        time.sleep(seconds)
        return self.cpu_s(pid) - before

    def eventually(self, check, what, seconds=DEADLINE_S):
        end = time.monotonic() + seconds
        while not check():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def back_to(self, fds):
        self.eventually(lambda: self.fds() <= fds, f"{self.fds()} descriptors instead of {fds}")


class Heads(HttpTest):
    def test_framing(self):
        create = b"POST /containers/create?name=smuggled HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        body = b'{"Image":"busybox"}'
        for fields, status, message in (
                (b"Content-Length: 19\r\nContent-Length: 19\r\n", 400, "more than one Content-Length"),
                (b"Content-Length: 19\r\nContent-Length: 0\r\n", 400, "more than one Content-Length"),
                (b"Content-Length: 19\r\nTransfer-Encoding: chunked\r\n", 400, "both Content-Length and Transfer-Encoding"),
                (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, "more than one Transfer-Encoding"),
                (b"Transfer-Encoding: identity\r\n", 501, "unsupported transfer encoding"),
                (b"Content-Length: -19\r\n", 400, "bad Content-Length"),
                (b"Content-Length: 19a\r\n", 400, "bad Content-Length"),
                (b"Content-Length : 19\r\n", 400, "malformed header line"),
                (b"X: y\r\n Content-Length: 19\r\n", 400, "folded header line"),
                (b"Content-Length: 19\nX: y\r\n", 400, "line ends with a bare LF")):
            self.refused(create + fields + b"\r\n" + body, status, message)
            if b"\r\n " in fields or b"9\n" in fields:
                continue  # libmicrohttpd reads such lines as RFC 9112 allows, and it alone reads them
            s = self.d.connect()
            with s:
                s.sendall(PING)
                self.assertEqual(read_reply(s)[0], 200)
                s.sendall(create + fields + b"\r\n" + body)
                got, _, answer = read_reply(s)
                self.assertEqual(got, status)
                self.assertIn(json.loads(answer)["message"], (message, "malformed HTTP request"))
        self.assertEqual(self.d.call("GET", "/containers/json", query={"all": 1}).json, [])

    def test_what_is_no_http(self):
        self.refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed HTTP request")
        self.refused(b"hello\r\n\r\n", 400, "malformed HTTP request")
        self.refused(b"GET /_ping HTTP/2.0\r\nHost: d\r\n\r\n", 505, "unsupported HTTP version")
        self.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported HTTP version")
        self.refused(b"GET /_ping\r\n\r\n", 400, "malformed HTTP version")
        self.refused(b"GET /_ping HTTP/1.1\r\n\r\n", 400, "missing required Host header")
        self.refused(b"GET /_ping HTTP/1.1\r\nHost: d\r\nHost: d\r\n\r\n", 400, "too many Host headers")
        self.refused(b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: \x00\r\n\r\n", 400, "invalid header value")
        self.assertEqual(self.raw(b"GET /_ping HTTP/1.0\r\n\r\n")[0], 200)
        self.assertEqual(self.raw(b"\r\nGET /_ping HTTP/1.1\r\nHost:\r\n\r\n")[0], 200)

    def test_targets(self):
        def get(target):
            return self.raw(b"GET " + target + b" HTTP/1.1\r\nHost: d\r\n\r\n")

        self.assertEqual(get(b"http://anything/_ping")[2], b"OK")
        self.assertEqual(get(b"http://d/v1.41/_ping")[2], b"OK")
        for target in (b"//_ping", b"/_ping/", b"/./_ping", b"/x/../_ping", b"/containers/../info", b"/containers//json", b"*", b"/",
                       b"http://d", b"/images/a/../b/json"):
            status, _, body = get(target)
            self.assertEqual((status, json.loads(body)), (404, {"message": "page not found"}), target)
        for target, message in ((b"/_ping%", "invalid URL escape"), (b"/containers/%zz/json", "invalid URL escape"),
                                (b"/info?x=%2", "invalid URL escape"), (b"/_ping%00", "invalid control character in URL"),
                                (b"/_pi\x01ng", "invalid control character in URL"), (b"_ping", "invalid URI for request"),
                                (b"/info?" + b"a&" * 300, "too many query parameters")):
            self.refused(b"GET " + target + b" HTTP/1.1\r\nHost: d\r\n\r\n", 400, message)
        self.assertEqual(get(b"/images/no%2Fsuch%3Aimage/json")[0], 404)
        self.assertIn(b"no/such:image", get(b"/images/no%2Fsuch%3Aimage/json")[2])

    def test_large_heads(self):
        large = b"GET /_ping HTTP/1.1\r\nHost: d\r\nX-Registry-Config: " + b"x" * 50000 + b"\r\n\r\n"
        self.assertEqual(self.raw(large)[0], 200)
        self.refused(large.replace(b"x" * 50000, b"x" * 1000000), 431, "request header fields too large")
        self.refused(b"GET /_ping HTTP/1.1\r\nHost: d\r\n" + b"a:b\r\n" * 3000 + b"\r\n", 431, "request header fields too large")
        s = self.d.connect()
        with s:
            s.sendall(PING)
            self.assertEqual(read_reply(s)[0], 200)
            s.sendall(large.replace(b"x" * 50000, b"x" * 1000000)[:200000])
            status, _, body = read_reply(s)
            self.assertEqual((status, json.loads(body)), (431, {"message": "request header fields too large"}))

    def test_methods(self):
        status, headers, body = self.raw(b"HEAD /containers/json HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        self.assertEqual((status, headers["content-length"]), (404, str(len('{"message":"page not found"}\n'))))
        self.assertEqual(body, b"")
        for path in ("/containers/json", "/anything/at/all"):
            reply = self.d.call("OPTIONS", path)
            self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertError(self.d.call("DELETE", "/info"), 404, "page not found")

    def test_lowest_versions(self):
        self.assertError(self.d.call("POST", "/containers/prune", version="v1.24"), 400,
                         "POST /containers/prune requires minimum API version 1.25")
        self.assertEqual(self.d.call("POST", "/containers/prune", version="v1.25").status, 200)

    def test_pipelining(self):
        s = self.d.connect()
        with s:
            s.sendall(PING * 100)
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(s).count(b"HTTP/1.1 200 OK\r\n"), 100)

    def test_head_in_pieces(self):
        s = self.d.connect()
        with s:
            for byte in PING:
                s.sendall(bytes([byte]))
            self.assertEqual(read_reply(s)[2], b"OK")


class Bodies(HttpTest):
    def create(self, body, content_type="application/json"):
        headers = {"Content-Type": content_type} if content_type else {}
        return self.d.call("POST", "/containers/create", body, headers=headers)

    def test_json(self):
        good = b'{"Image":"busybox","Unknown":1}'
        self.assertEqual(self.create(good + b" \r\n\t").status, 201)
        self.assertEqual(self.create(good, "application/json; charset=utf-8").status, 201)
        before = len(self.d.call("GET", "/containers/json", query={"all": 1}).json)
        self.assertError(self.create(good + b"{}"), 400, "unexpected content after JSON")
        self.assertError(self.create(good + b"\0"), 400, "unexpected content after JSON")
        for kind in ("text/plain", "application/jsonx", "application/x-www-form-urlencoded"):
            self.assertError(self.create(good, kind), 400, f"unsupported Content-Type header ({kind}): must be 'application/json'")
        self.assertError(self.create(good, None), 400, "malformed Content-Type header (): mime: no media type")
        for bad in (b"[]", b"{", b'{"Image":}', b'{"Image":"busybox"', b"\xff\xfe", b'{"Image":"\xff"}', b"[" * 100000,
                    b'{"a":' * 100000):
            reply = self.create(bad)
            self.assertEqual(reply.status, 400, bad[:20])
            self.assertTrue(reply.message.startswith("invalid JSON: "), reply.message)
        for bad, text in ((b"{invalid", "invalid character 'i' looking for beginning of object key string"),
                          (b'{"Image":"busybox",}', "invalid character '}' looking for beginning of object key string"),
                          (b'{"Image":"busybox"', "unexpected EOF")):
            self.assertError(self.create(bad), 400, "invalid JSON: " + text)
        self.assertEqual(len(self.d.call("GET", "/containers/json", query={"all": 1}).json), before)

    def test_too_large(self):
        body = b'{"Image":"busybox","Labels":{"x":"' + b"x" * 20000000 + b'"}}'
        self.assertError(self.create(body), 413, "request body too large")
        s = self.d.connect()
        with s:
            s.sendall(b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(300):  # 20 MB, of which 8 would have done
                s.sendall(b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n")
            status, _, body = read_reply(s)
            self.assertEqual((status, json.loads(body)), (413, {"message": "request body too large"}))

    def test_archive_errors_while_sending(self):
        fds = self.fds()
        self.assertError(self.d.call("PUT", "/containers/none/archive", b"x" * 50000000, query={"path": "/"}), 404,
                         "No such container: none")
        cid = self.d.create("true")
        self.assertError(self.d.call("PUT", f"/containers/{cid}/archive", b"x" * 50000000), 400, "bad parameter: path cannot be empty")
        s = self.d.connect()
        with s:
            s.sendall(f"PUT /containers/{cid}/archive?path=/ HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                      + b"200\r\n" + b"x" * 512 + b"\r\n")
            time.sleep(0.1)
            s.sendall(b"no length\r\n")
            status, _, body = read_reply(s)
            self.assertEqual((status, json.loads(body)), (400, {"message": "malformed HTTP request"}))
        self.assertIsNone(self.d.call("GET", f"/containers/{cid}/changes").json)
        self.back_to(fds)

    def test_expect(self):
        head = b"PUT /containers/%s/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: 1024\r\nExpect: 100-continue\r\n\r\n"
        s = self.d.connect()
        with s:
            s.sendall(head % b"none")
            self.assertEqual(read_reply(s)[0], 404)
        s = self.d.connect()
        with s:
            s.sendall(head % self.d.create("true").encode())
            self.assertEqual(s.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(bytes(1024))
            self.assertEqual(read_reply(s)[0], 200)


class HalfClosed(HttpTest):
    """A client that has said all it has to say still hears the answer, whoever else is connected."""

    def setUp(self):
        self.idle = self.d.connect() # microhttpd looks first at who has been quiet for longest
        self.addCleanup(self.idle.close)
        self.idle.sendall(PING)
        self.assertEqual(read_reply(self.idle)[0], 200)

    def send(self, text, body=b""):
        s = self.d.connect()
        s.sendall(text.encode() + body)
        s.shutdown(socket.SHUT_WR)
        return s

    def test_plain(self):
        cid = self.d.create("sleep", "1000")
        for path, status in ((f"POST /containers/{cid}/start", 204), (f"POST /containers/{cid}/stop?t=1", 204),
                             (f"GET /containers/{cid}/json", 200), (f"DELETE /containers/{cid}", 204)):
            with self.send(f"{path} HTTP/1.1\r\nHost: d\r\n\r\n") as s:
                self.assertEqual(read_reply(s)[0], status, path)

    def test_upload(self):
        cid = self.d.create("true")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            info = tarfile.TarInfo("big")
            info.size = 30_000_000
            tar.addfile(info, io.BytesIO(os.urandom(1_000_000) * 30))
        archive = archive.getvalue()
        for field, body in ((f"Content-Length: {len(archive)}", archive), ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(archive), archive))):
            with self.send(f"PUT /containers/{cid}/archive?path=/ HTTP/1.1\r\nHost: d\r\n{field}\r\n\r\n", body) as s:
                self.assertEqual(read_reply(s)[0], 200, field)
            self.assertEqual(json.loads(self.d.call("GET", "/containers/json?all=1&size=1").body)[0]["SizeRw"], 30_000_000)
        self.d.remove(cid)

    def test_wait_and_logs(self):
        cid = self.d.create("sh", "-c", "sleep 0.5; echo done; exit 3")
        self.d.call("POST", f"/containers/{cid}/start")
        with self.send(f"POST /containers/{cid}/wait HTTP/1.1\r\nHost: d\r\n\r\n") as wait, \
                self.send(f"GET /containers/{cid}/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: d\r\n\r\n") as logs:
            self.assertEqual(json.loads(read_reply(wait)[2])["StatusCode"], 3)
            self.assertEqual(read_reply(logs)[2], struct.pack(">BxxxI", 1, 5) + b"done\n")

    def test_attach_and_exec(self):
        upgrade = "HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        cid = self.d.create("sh", "-c", "cat; sleep 0.3; echo end", OpenStdin=True, StdinOnce=True, AttachStdin=True)
        with self.d.connect() as s:
            s.sendall(f"POST /containers/{cid}/attach?stream=1&stdin=1&stdout=1 {upgrade}\r\nearly ".encode())
            self.assertEqual(read_reply(s)[0], 101)
            s.sendall(b"late\n")
            s.shutdown(socket.SHUT_WR)
            self.d.call("POST", f"/containers/{cid}/start")
            self.assertEqual(b"".join(frames(read_all(s))), b"early late\nend\n")
        cid = self.d.create("sleep", "1000")
        self.d.call("POST", f"/containers/{cid}/start")
        for head in (upgrade, "HTTP/1.1\r\nHost: d\r\n"):
            exec_id = self.d.call("POST", f"/containers/{cid}/exec",
                                  {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}).json["Id"]
            with self.d.connect() as s:
                s.sendall(f"POST /exec/{exec_id}/start {head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())
                status, headers, _ = read_reply(s)
                self.assertEqual(status, 101 if "Upgrade" in head else 200)
                self.assertEqual(headers["content-type"], "application/vnd.docker.multiplexed-stream")
                s.sendall(b"through")
                s.shutdown(socket.SHUT_WR)
                self.assertEqual(b"".join(frames(read_all(s))), b"through")
        self.d.remove(cid)


def frames(data):
    while data:
        (size,) = struct.unpack(">I", data[4:8])
        yield data[8:8 + size]
        data = data[8 + size:]


class Noise(HttpTest):
    SEEDS = (
        b"GET /v1.43/containers/json?all=1&filters=%7B%22name%22%3A%5B%22x%22%5D%7D HTTP/1.1\r\nHost: d\r\nUser-Agent: x\r\n\r\n",
        b"POST /containers/create?name=n HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n"
        b'{"Image":"none"}\n',
        b"POST /exec/x/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"PUT /containers/x/archive?path=/ HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde",
        b"HEAD /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /images/json?until=1 HTTP/1.1\r\nHost: d\r\nCookie: a=b; c=d\r\nAuthorization: Basic eDp5\r\n\r\n",
    )

    def spoil(self, dice):
        data = bytearray(b"".join(dice.choice(self.SEEDS) for _ in range(dice.randint(1, 3))))
        for _ in range(dice.randint(0, 4)):
            at, n = dice.randrange(len(data)), dice.randint(0, 20)
            what = dice.randrange(4)
            if what == 0:
                data[at] = dice.randrange(256)
            elif what == 1:
                del data[at:at + n]
            elif what == 2:
                data[at:at] = data[at:at + n] * dice.randint(1, 40)
            else:
                data[at:at] = dice.choice((b"\r\n", b"\n", b"\0", b" ", b"%", b"Content-Length: 9\r\n", b":", b"HTTP/1.1"))
        return bytes(data) or b"x"

    def test_spoilt_requests(self):
        dice = random.Random(4)
        self.d.call("GET", "/_ping")
        fds = self.fds()
        for i in range(1500):
            data = self.spoil(dice)
            with self.d.connect() as s:
                try:
                    cut = dice.randint(1, len(data))
                    for part in (data[:cut], data[cut:]):
                        s.sendall(part)
                    s.shutdown(socket.SHUT_WR)
                    got = read_all(s)
                except (ConnectionResetError, BrokenPipeError):
                    got = b""
            self.assertTrue(got == b"" or got.startswith(b"HTTP/1.1 "), (i, data, got))
            self.assertNotIn(b"<html>", got, (i, data))
        self.back_to(fds)
        self.assertEqual(self.d.call("GET", "/containers/json", query={"all": 1}).json, [])


class Tcp(HttpTest):
    @classmethod
    def setUpClass(cls):
        cls.port = KeptPort()
        cls.options = ("-H", f"tcp://127.0.0.1:{cls.port.number}")
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.port.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port.number), timeout=DEADLINE_S)

    def test_half_closed_and_vanished(self):
        cid = self.d.create("sleep", "1000")
        with self.connect() as idle, self.connect() as s:
            idle.sendall(PING)
            self.assertEqual(read_reply(idle)[0], 200)
            s.sendall(f"POST /containers/{cid}/start HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(read_reply(s)[0], 204)
        fds = self.fds()
        for path in ("GET /events", f"GET /containers/{cid}/logs?stdout=1&follow=1", f"POST /containers/{cid}/wait"):
            for _ in range(5):
                with self.connect() as s:
                    s.sendall(f"{path} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
                    self.assertEqual(s.recv(15), b"HTTP/1.1 200 OK")
        self.back_to(fds)
        self.d.remove(cid)

    def test_early_answer(self):
        with self.connect() as s:
            s.sendall(b"PUT /containers/none/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: 30000000\r\n\r\n" + bytes(30000000))
            self.assertEqual(read_reply(s)[0], 404)
        with self.connect() as s:
            s.sendall(b"nonsense" * 100000)
            self.assertEqual(read_reply(s)[0], 400)


class Crowds(HttpTest):
    def connect_patiently(self):
        while True:
            try:
                return self.d.connect()
            except BlockingIOError:  # so many are waiting to be accepted
                time.sleep(0.001)

    def test_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        n = min(5000, hard // 4 * 3 - 100)
        self.d.call("GET", "/_ping")
        fds = self.fds()
        sizes = []
        for _ in range(2):  # the second crowd costs no more than the first
            crowd = []
            for i in range(n):
                crowd.append(self.connect_patiently())
                if i % 2:
                    crowd[i].sendall(PING)
            for s in crowd[1::2]:
                self.assertEqual(s.recv(4096)[:15], b"HTTP/1.1 200 OK")
            before = self.d.loop_cpu_s()
            self.assertEqual(self.d.call("GET", "/_ping").status, 200)
            self.assertLess(self.d.loop_cpu_s() - before, 0.5)
            for s in crowd:
                s.close()
            self.back_to(fds)
            sizes.append(self.rss_kib())
        if not SANITIZED:
            self.assertLess(sizes[1] - sizes[0], 4096)

    def test_who_vanish(self):
        cid = self.d.create("sleep", "1000")
        self.d.call("POST", f"/containers/{cid}/start")
        upgrade = "HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        ways = [
            f"PUT /containers/{cid}/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\nabc",
            f"PUT /containers/{cid}/archive?path=/ HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
            "POST /images/create?fromSrc=-&repo=x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "POST /images/create?fromSrc=-&repo=x HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabc",
            f"GET /containers/{cid}/archive?path=/bin HTTP/1.1\r\nHost: d\r\n\r\n",
            f"GET /containers/{cid}/export HTTP/1.1\r\nHost: d\r\n\r\n",
            f"GET /containers/{cid}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n",
            f"POST /containers/{cid}/wait HTTP/1.1\r\nHost: d\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: d\r\n\r\n",
            f"POST /containers/{cid}/attach?stream=1&stdin=1&stdout=1 {upgrade}abc",
            f"POST /containers/{cid}/attach?stream=1&stdout=1 {upgrade}",
            "GET /_pi",
        ]
        self.d.call("GET", "/_ping")
        fds = self.fds()
        for i in range(1000):
            s = self.d.connect()
            s.sendall(ways[i % len(ways)].encode())
            if i // len(ways) % 3:  # at once, or when the reply has begun
                s.settimeout(0.02)
                try:
                    s.recv(100)
                except TimeoutError:
                    pass
            s.close()
            if i % 100 == 0:
                self.assertIsNone(self.d.process.poll(), self.d.log_text())
        self.back_to(fds)
        self.assertEqual(self.d.call("GET", f"/containers/{cid}/json").json["State"]["Running"], True)
        self.assertEqual(len(self.d.call("GET", "/containers/json", query={"all": 1}).json), 1)
        self.d.remove(cid)

    def test_attached_before_start(self):
        """One that leaves before there is anything to write to it."""
        cid = self.d.create("true", OpenStdin=True)
        fds = self.fds()
        for i in range(20):
            with self.d.connect() as s:
                s.sendall(f"POST /containers/{cid}/attach?stream=1&stdin={i % 2}&stdout=1 HTTP/1.1\r\nHost: d\r\n"
                          "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode())
                self.assertEqual(read_reply(s)[0], 101)
                if i % 3 == 0:
                    s.shutdown(socket.SHUT_WR)
        self.back_to(fds)
        self.d.remove(cid)

    def test_who_never_read(self):
        cid, status = self.d.run("sh", "-c", "yes 0123456789012345678901234567890123456789 | head -c 100000000")
        self.assertEqual(status, 0)
        fds, before = self.fds(), self.rss_kib()
        lazy = []
        for _ in range(8):
            s = self.d.connect()
            s.sendall(f"GET /containers/{cid}/logs?stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            lazy.append(s)
        end = time.monotonic() + 3
        while time.monotonic() < end: # nobody else waits for them: each answer comes within the deadline
            self.assertEqual(self.d.call("GET", f"/containers/{cid}/json").status, 200)
            time.sleep(0.05)
        if not SANITIZED:
            self.assertLess(self.rss_kib() - before, 8 * 8192)
        self.eventually(lambda: self.cpu_in(0.5) < 0.2, "waiting costs nothing")
        for s in lazy:
            s.close()
        self.back_to(fds)
        self.d.remove(cid)

    def test_who_never_read_what_is_attached(self):
        cid = self.d.create("sh", "-c", "yes 0123456789 | head -c 40000000")
        before = self.rss_kib()
        with self.d.connect() as s:
            s.sendall(f"POST /containers/{cid}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n"
                      "Upgrade: tcp\r\n\r\n".encode())
            self.assertEqual(read_reply(s)[0], 101)
            self.d.call("POST", f"/containers/{cid}/start")
            time.sleep(1.5)
            if not SANITIZED:
                self.assertLess(self.rss_kib() - before, 16384)
            self.assertEqual(self.d.call("GET", "/_ping").status, 200)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 0)  # it goes on without the client
        self.d.remove(cid)

    def test_no_descriptors(self):
        d = Daemon()
        self.addCleanup(d.stop)
        pid = d.process.pid
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, used + 20))
        crowd = [d.connect() for _ in range(60)]
        for s in crowd:
            s.sendall(PING)
        self.eventually(lambda: self.cpu_in(1, pid) < 0.25, "waiting costs nothing")
        answered = 0
        for s in crowd:  # as the first ones leave, the others get their turn
            self.assertEqual(s.recv(15), b"HTTP/1.1 200 OK")
            s.close()
            answered += 1
        self.assertEqual(answered, 60)


if __name__ == "__main__":
    unittest.main()
