"""Registries on 127.0.0.1: Debian's docker-registry as a process, and one of our own that misbehaves when told to.
`Images` makes layers, configs, manifests and OCI layouts; `fetch` runs sockerless-fetch."""
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
from harness import BUILD, DEADLINE_S, KeptPort  # noqa: E402

FETCH = os.path.join(BUILD, "bin/sockerless-fetch")
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(files):
    """A tar of {name: bytes}; a name that ends in / is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode = 0o755
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
                t.addfile(info)
            else:
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Image:
    """Its blobs by digest, and its manifest."""

    def __init__(self, layers, docker=False, compress=gzip.compress, suffix="+gzip", arch="amd64", variant=None, os_="linux",
                 config=None, urls=None):
        self.blobs, self.layers, diff_ids = {}, [], []
        for i, files in enumerate(layers):
            plain = files if isinstance(files, bytes) else tar(files)
            packed = compress(plain) if compress is not gzip.compress else gzip.compress(plain, 1, mtime=0)
            diff_ids.append(digest(plain))
            layer = self.put(packed, DOCKER_LAYER if docker else OCI_LAYER + suffix)
            if urls:
                layer["urls"] = urls
            self.layers.append(layer)
        body = {"architecture": arch, "os": os_, "config": config or {"Cmd": ["sh"]}, "created": "2024-01-02T03:04:05Z",
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "history": [{"created": "2024-01-02T03:04:05Z", "created_by": f"layer {i}"} for i in range(len(layers))]}
        if variant:
            body["variant"] = variant
        self.diff_ids = diff_ids
        self.config = self.put(json.dumps(body).encode(), DOCKER_CONFIG if docker else OCI_CONFIG)
        self.media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        self.seal()
        self.platform = {"architecture": arch, "os": os_, **({"variant": variant} if variant else {})}

    def put(self, data, media_type):
        self.blobs[digest(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def seal(self):
        """The manifest of what `config` and `layers` say now."""
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": self.media_type, "config": self.config,
                                    "layers": self.layers}).encode()
        self.digest = digest(self.manifest)
        return self

    @property
    def id(self):
        return self.config["digest"]

    def descriptor(self):
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest), "platform": self.platform}


def index_of(*images, docker=False, extra=()):
    return json.dumps({"schemaVersion": 2, "mediaType": DOCKER_LIST if docker else OCI_INDEX,
                       "manifests": [i if isinstance(i, dict) else i.descriptor() for i in images] + list(extra)}).encode()


def write_layout(path, image, tag="latest"):
    """An OCI layout directory, for skopeo."""
    os.makedirs(path + "/blobs/sha256", exist_ok=True)
    for name, data in {**image.blobs, image.digest: image.manifest}.items():
        with open(path + "/blobs/sha256/" + name[7:], "wb") as f:
            f.write(data)
    entry = {**image.descriptor(), "annotations": {"org.opencontainers.image.ref.name": tag}}
    with open(path + "/index.json", "w", encoding="utf-8") as f:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, f)
    with open(path + "/oci-layout", "w", encoding="utf-8") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')


def skopeo(*arguments):
    done = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_certificates(path):
    """ca.crt, server.crt, server.key for 127.0.0.1, client.cert, client.key in the directory."""
    os.makedirs(path, exist_ok=True)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=path, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=test CA")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1,DNS:localhost"), ("client", "extendedKeyUsage=clientAuth")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", f"/CN={name}")
        with open(os.path.join(path, name + ".ext"), "w", encoding="utf-8") as f:
            f.write(extension + "\n")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", name + ".crt",
                "-days", "30", "-extfile", name + ".ext")
    shutil.copy(os.path.join(path, "client.crt"), os.path.join(path, "client.cert"))


class Registry:
    """Debian's docker-registry. users: {name: password}; tls: a directory of make_certificates."""

    def __init__(self, users=None, tls=None, client_ca=False):
        self.dir = tempfile.mkdtemp(prefix="sockerless-registry-")
        self.kept = KeptPort()
        self.port = self.kept.number
        self.address = f"127.0.0.1:{self.port}"
        self.url = ("https://" if tls else "http://") + self.address
        config = {"version": 0.1, "log": {"level": "error"}, "storage": {"filesystem": {"rootdirectory": self.dir + "/data"},
                                                                        "delete": {"enabled": True}},
                  "http": {"addr": self.address}}
        if users:
            text = ""
            for name, password in users.items():
                text += subprocess.run(["htpasswd", "-Bbn", name, password], capture_output=True, text=True, check=True).stdout
            with open(self.dir + "/users", "w", encoding="utf-8") as f:
                f.write(text)
            config["auth"] = {"htpasswd": {"realm": "test", "path": self.dir + "/users"}}
        if tls:
            config["http"]["tls"] = {"certificate": tls + "/server.crt", "key": tls + "/server.key"}
            if client_ca:
                config["http"]["tls"]["clientcas"] = [tls + "/ca.crt"]
        with open(self.dir + "/config.yml", "w", encoding="utf-8") as f:
            json.dump(config, f)  # JSON is YAML
        self.start()

    def start(self):
        with open(self.dir + "/log", "ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", self.dir + "/config.yml"], stdout=log, stderr=log,
                                            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"})
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("docker-registry does not start")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.stop()
        self.kept.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def fill(self, image, name, *options):
        """By skopeo, from a layout."""
        path = tempfile.mkdtemp(prefix="sockerless-layout-")
        write_layout(path, image)
        skopeo("copy", "--dest-tls-verify=false", *options, f"oci:{path}:latest", f"docker://{self.address}/{name}")
        shutil.rmtree(path)


class Fake:
    """A registry of our own: `manifests` {"path:reference": (media type, bytes)}, `blobs` {digest: bytes}; `hook(handler)` sees
    each request first and answers it when it returns True. `log` has "METHOD path" of each, `auth` their Authorization."""

    def __init__(self, host="127.0.0.1", tls=None):
        fake = self
        self.manifests, self.blobs, self.uploads, self.log, self.auth, self.ranges = {}, {}, {}, [], [], []
        self.hook = None
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def serve(self):
                with fake.lock:
                    fake.log.append(f"{self.command} {self.path}")
                    fake.auth.append(self.headers.get("Authorization"))
                    fake.ranges.append(self.headers.get("Range"))
                self.fake = fake
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length) if length else b""
                if not (fake.hook and fake.hook(self)):
                    fake.serve(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = serve

            def reply(self, status, body=b"", headers=None, length=None):
                self.send_response(status)
                for key, value in (headers or {}).items():
                    for one in value if isinstance(value, list) else [value]:
                        self.send_header(key, one)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def refuse(self, status, code, message="", headers=None):
                self.reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(),
                           {"Content-Type": "application/json", **(headers or {})})

            def cut(self):
                """The connection ends now, without more."""
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server((host, 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls + "/server.crt", tls + "/server.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"{host}:{self.server.server_address[1]}"
        self.url = ("https://" if tls else "http://") + self.address
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, name, image, tag="latest"):
        self.blobs.update(image.blobs)
        self.manifests[f"{name}:{tag}"] = self.manifests[f"{name}:{image.digest}"] = (image.media_type, image.manifest)
        return image

    def add_index(self, name, body, tag="latest", media_type=OCI_INDEX):
        self.manifests[f"{name}:{tag}"] = self.manifests[f"{name}:{digest(body)}"] = (media_type, body)

    def count(self, start):
        return sum(line.startswith(start) for line in self.log)

    def serve(self, h):
        path = h.path.split("?")[0]
        if path == "/v2/":
            return h.reply(200, b"{}")
        name, _, rest = path[len("/v2/"):].rpartition("/")
        name, _, kind = name.rpartition("/")
        if kind == "manifests":
            if h.command == "PUT":
                self.manifests[f"{name}:{rest}"] = self.manifests[f"{name}:{digest(h.body)}"] = (h.headers["Content-Type"], h.body)
                return h.reply(201, headers={"Docker-Content-Digest": digest(h.body)})
            if f"{name}:{rest}" not in self.manifests:
                return h.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
            media_type, body = self.manifests[f"{name}:{rest}"]
            return h.reply(200, body, {"Content-Type": media_type, "Docker-Content-Digest": digest(body)})
        if kind == "blobs" and rest in self.blobs:
            return self.send_blob(h, self.blobs[rest])
        if kind == "blobs":
            return h.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return h.refuse(404, "UNSUPPORTED")

    @staticmethod
    def send_blob(h, data):
        wanted = h.headers.get("Range")
        if not wanted:
            return h.reply(200, data, {"Content-Type": "application/octet-stream"})
        start = int(wanted.split("=")[1].rstrip("-"))
        if start >= len(data):
            return h.reply(416)
        return h.reply(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})


class Fetch:
    """One run of the program: `events`, and the last one's parts."""

    def __init__(self, op, directory=None, lines=(), env=None, **request):
        request = {"op": op, "backoff_ms": 10, **request}
        if directory:
            request["dir"] = directory
        text = "".join(json.dumps(o) + "\n" for o in (request, *lines))
        start = time.monotonic()
        done = subprocess.run([FETCH], input=text.encode(), capture_output=True, timeout=120, check=False,
                              env={**{k: v for k, v in os.environ.items() if "proxy" not in k.lower()}, **(env or {})})
        self.seconds = time.monotonic() - start
        assert done.stderr == b"", done.stderr.decode()
        self.events = [json.loads(line) for line in done.stdout.splitlines()]
        self.last = self.events[-1]
        self.ok = done.returncode == 0 and self.last["event"] == "result"
        self.message, self.kind = self.last.get("message"), self.last.get("class")

    def all(self, event):
        return [e for e in self.events if e["event"] == event]
