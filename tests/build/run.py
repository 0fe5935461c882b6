#!/usr/bin/env python3
"""Dockerfile cases (tests/build/cases/*.txt) against a real daemon; the last line sums up.

Arguments: parts of names of cases. With ORACLE=buildah (root) the same cases are built by Debian's buildah where it is installed, too:
its configurations and files are compared with what the cases expect, and then all of them with ours. Cases marked `@ ours` are left
out; cases/../oracle.txt has those that buildah does otherwise, with the reason: one that is there and differs no more fails.

A case is lines: `== name`, then directives, each with the lines that follow it up to the next directive:
    @ key=value     a query parameter (t, target, buildargs={"A":"b"}, …); `@ ours`: Docker or buildah do otherwise
    < path [mode]   a file of the context with the following content; `< dir/`; `< link -> target`; `< file = size` of zeros
    < a.tar.gz : dir/ file=content link->target      an archive
    > ok                          the build succeeds (said by any other expectation but error)
    > error text                  it fails with this message
    > status n                    with this HTTP status
    > output text                 the stream holds the text (\\n is a line's end); `> no output text`
    > config Key json             of the image's config{}; missing is null
    > image Key json              of the image's inspection
    > history text                the created_by of the last entry; `> history n text` of the n-th from the end
    > layers n                    more layers than the base image (busybox) has
    > tree path: what             `gone`, `dir`, `file "content"`, `link "target"`, `fifo`, each with `0644` and `1:2` where they matter
    > again cached                building it once more only uses the cache; `> again not cached`
"""
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "api"))
from harness import ROOT, Daemon, urlencode  # noqa: E402


class Case:
    def __init__(self, name, where):
        self.name, self.where = name, where
        self.query, self.entries, self.wanted, self.is_ours = [], [], [], False

    def add(self, head, body):
        mark, rest = head[0], head[2:]
        if mark == "@":
            if rest == "ours":
                self.is_ours = True
            else:
                self.query.append(tuple(rest.split("=", 1)))
        elif mark == "<":
            self.entries.append((rest, body))
        else:
            self.wanted.append((rest, body))


def read_cases(path):
    cases, head, body = [], None, []

    def flush():
        if head:
            cases[-1].add(head, "".join(body))

    with open(path, encoding="utf-8", newline="\n") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("== "):
                if body and body[-1] == "\n": # between two cases
                    body.pop()
                flush()
                head, body = None, []
                cases.append(Case(line[3:].strip(), f"{os.path.basename(path)}:{number}"))
            elif line[:2] in ("@ ", "< ", "> ") and cases:
                flush()
                head, body = line.rstrip("\n"), []
            elif head:
                body.append(line)
            elif line.strip() and not line.startswith("#"):
                raise ValueError(f"{path}:{number}: {line}")
    flush()
    return cases


# ---- contexts ----

def add(tar, name, data=b"", mode=None, kind=tarfile.REGTYPE, link="", owner=(0, 0)):
    info = tarfile.TarInfo(name.rstrip("/"))
    info.type, info.size, info.linkname, info.mtime = kind, len(data), link, 1600000000
    info.mode = mode if mode is not None else 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.uid, info.gid = owner
    tar.addfile(info, io.BytesIO(data))


def unescaped(text):
    return text.replace("\\n", "\n").replace("\\t", "\t").replace("\\e", "\x1b").replace("\\r", "\r")


def make_archive(name, words):
    out = io.BytesIO()
    mode = {"gz": "w:gz", "tgz": "w:gz", "xz": "w:xz", "bz2": "w:bz2"}.get(name.rsplit(".", 1)[-1], "w")
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for word in words.split():
            word, _, owner = word.partition("@")
            owner = tuple(map(int, owner.split(":"))) if owner else (0, 0)
            if "->" in word:
                path, target = word.split("->")
                add(tar, path, kind=tarfile.SYMTYPE, link=target, owner=owner)
            elif word.endswith("/"):
                add(tar, word, kind=tarfile.DIRTYPE, owner=owner)
            else:
                path, _, content = word.partition("=")
                add(tar, path, unescaped(content).encode(), owner=owner)
    return out.getvalue()


def put_entry(tar, spec, body):
    if " -> " in spec:
        name, target = spec.split(" -> ")
        add(tar, name, kind=tarfile.SYMTYPE, link=target)
    elif " : " in spec:
        name, words = spec.split(" : ")
        add(tar, name, make_archive(name, words))
    elif " = " in spec:
        name, size = spec.split(" = ")
        add(tar, name, b"\0" * int(size))
    else:
        name, *mode = spec.replace("\\ ", "\0").split()
        name = name.replace("\0", " ")
        mode = int(mode[0], 8) if mode else None
        if name.endswith("/"):
            add(tar, name, mode=mode, kind=tarfile.DIRTYPE)
        else:
            add(tar, name, body.encode(), mode)


def context_of(case):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for spec, body in case.entries:
            put_entry(tar, spec, body)
    return out.getvalue()


# ---- what builds ----

class Result:
    """status, output, error, config, history, layers, tree(path) of a build, whoever did it."""


def tree_of(tar):
    """path → what it is, of a whole file system."""
    found = {}
    for m in tar:
        name = "/" + m.name.removeprefix("./").strip("/")
        if m.isreg():
            data = b"another one's" if name.endswith("/bin/busybox") else tar.extractfile(m).read()
            found[name] = ("file", oct(m.mode & 0o7777), m.uid, m.gid, data)
        elif m.islnk():
            found[name] = found["/" + m.linkname.removeprefix("./").strip("/")]
        else:
            kind = "dir" if m.isdir() else "link" if m.issym() else "fifo" if m.isfifo() else "other"
            found[name] = (kind, "" if kind == "link" else oct(m.mode & 0o7777), m.uid, m.gid, m.linkname)
    return found


# What running a command leaves there differs, and is no part of an image.
MOUNTED = re.compile("/(proc|sys|dev|run|etc/(hosts|hostname|resolv.conf|mtab)|[.]dockerenv)?(/|$)")


def changes_of(tree, base):
    has = {p: tree.get(p) for p in tree.keys() | base.keys() if tree.get(p) != base.get(p)}
    return {p: what for p, what in has.items() if not MOUNTED.match(p)}


class Ours:
    def __init__(self):
        self.d = Daemon()
        self.base = self.inspect("busybox")

    def inspect(self, name):
        return self.d.call("GET", f"/images/{name}/json").json

    def build(self, case):
        query = [("forcerm", "1")] + case.query
        reply = self.d.call("POST", "/build?" + urlencode(query), context_of(case), headers={"Content-Type": "application/x-tar"}, timeout=60)
        r = Result()
        r.status, r.error, r.output, r.image = reply.status, None, "", None
        if reply.status != 200:
            r.error = reply.message
            return r
        for line in reply.lines():
            r.output += line.get("stream", "")
            r.error = line.get("error", r.error)
            r.image = line.get("aux", {}).get("ID", r.image)
        if r.error is None:
            r.inspect = self.inspect(r.image)
            r.history = self.d.call("GET", f"/images/{r.image}/history").json
            r.layers = len(r.inspect["RootFS"].get("Layers") or []) - len(self.base["RootFS"].get("Layers") or [])
        return r

    def open_tree(self, r):
        self.cid = self.d.call("POST", "/containers/create", {"Image": r.image, "Cmd": ["x"]}).json["Id"]

    def close_tree(self):
        self.d.remove(self.cid)

    def whole_tree(self):
        body = self.d.call("GET", f"/containers/{self.cid}/export", timeout=60).body
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return tree_of(tar)

    def tree(self, path):
        """The tar member at this path with its content, or None."""
        reply = self.d.call("GET", f"/containers/{self.cid}/archive", query={"path": path})
        if reply.status == 404:
            return None, b""
        assert reply.status == 200, reply.body
        with tarfile.open(fileobj=io.BytesIO(reply.body)) as tar:
            member = tar.next()
            data = tar.extractfile(member).read() if member.isreg() else b""
            return member, data

    def stop(self):
        left = self.d.call("GET", "/containers/json?all=1").json
        self.d.stop()
        return [c["Command"] for c in left]


class Buildah:
    """Debian's buildah over an image of the daemon's built-in root, with a native busybox."""
    FLAGS = {"target": "--target", "networkmode": "--network"}

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="buildah-")
        self.store = ["--root", f"{self.dir}/root", "--runroot", f"{self.dir}/run", "--storage-driver", "vfs"]
        self.n = 0
        busybox = subprocess.run(["sh", "-c", "command -v busybox"], capture_output=True, text=True, check=True).stdout.strip()
        buildah = f"buildah {' '.join(self.store)}"
        script = (f"c=$({buildah} from scratch); m=$({buildah} mount $c); cp -a {ROOT}/build/guest/rootfs/. $m; cp {busybox} $m/bin/busybox;"
                  f"{buildah} config --cmd sh --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin $c;"
                  f"{buildah} commit -q --identity-label=false $c docker.io/library/busybox")
        subprocess.run(["sh", "-ec", script], check=True, capture_output=True)

    def run(self, *words, **more):
        return subprocess.run(["buildah", *self.store, *words], capture_output=True, text=True, check=False, **more)

    def build(self, case):
        self.n += 1
        r = Result()
        r.status, r.output, r.error = 200, "", None
        directory, tag = f"{self.dir}/context-{self.n}", f"case{self.n}"
        with tarfile.open(fileobj=io.BytesIO(context_of(case))) as tar:
            tar.extractall(directory, filter="fully_trusted")
        try:
            words = self.words_of(case, directory)
        except ValueError as e: # of what is no JSON
            r.error = str(e)
            return r
        done = self.run("bud", "--format", "docker", "--identity-label=false", "--isolation", "chroot", "--layers=false", "--pull=never", "-t", tag, *words, directory)
        r.output, r.image = done.stdout, tag
        if done.returncode:
            r.error = done.stderr
        else:
            config = json.loads(self.run("inspect", "--type", "image", tag).stdout)["Docker"]
            r.inspect = {"Config": config["config"], "Author": config.get("author", "")}
        return r

    def words_of(self, case, directory):
        words = []
        for key, value in case.query:
            if key == "buildargs":
                words += [w for k, v in json.loads(value).items() for w in ("--build-arg", k if v is None else f"{k}={v}")]
            elif key == "labels":
                words += [w for k, v in json.loads(value).items() for w in ("--label", f"{k}={v}")]
            elif key == "extrahosts":
                words += ["--add-host", value.replace("=", ":")]
            elif key == "t":
                words += ["-t", value]
            elif key == "dockerfile":
                words += ["-f", f"{directory}/{value}"]
            elif key in self.FLAGS:
                words += [self.FLAGS[key], value]
        return words

    def open_tree(self, r):
        begun = self.run("from", "--pull=never", r.image)
        if begun.returncode:
            raise RuntimeError(begun.stderr)
        self.cid = begun.stdout.strip()
        self.root = self.run("mount", self.cid).stdout.strip()

    def close_tree(self):
        self.run("rm", self.cid)

    def whole_tree(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.add(self.root, arcname=".")
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            return tree_of(tar)

    def tree(self, path):
        full = self.root + path
        if not os.path.lexists(full):
            return None, b""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.add(full, arcname="x", recursive=False)
            member = tar.getmembers()[0]
        return member, open(full, "rb").read() if member.isreg() else b""

    def stop(self):
        self.run("rm", "--all")
        self.run("rmi", "--all", "--force")
        shutil.rmtree(self.dir, ignore_errors=True)
        return []


# ---- expectations ----

def check_tree(builder, text):
    path, _, what = text.partition(": ")
    member, data = builder.tree(path)
    if what == "gone":
        return None if member is None else f"{path} is there"
    if member is None:
        return f"{path} is not there"
    kind = "dir" if member.isdir() else "link" if member.issym() else "fifo" if member.isfifo() else "file" if member.isreg() else "other"
    word, _, rest = what.partition(" ")
    if kind != word:
        return f"{path} is a {kind}"
    quoted = re.search(r'"(.*)"$', rest)
    has = member.linkname if kind == "link" else data.decode(errors="replace")
    if quoted and unescaped(quoted.group(1)) != has:
        return f"{path} holds {has!r}"
    for fact in rest[:quoted.start() if quoted else None].split():
        is_now = f"{member.uid}:{member.gid}" if ":" in fact else f"{member.mode & 0o7777:04o}"
        if is_now != fact:
            return f"{path} has {is_now}, not {fact}"
    return None


def check_value(has, key, text):
    has, wanted = has.get(key), json.loads(text)
    if isinstance(has, dict) and has.pop("sockerless.image", "built") != "built": # the daemon's own label
        return f"{key} tells another origin"
    if (has or None) != (wanted or None):
        return f"{key} is {json.dumps(has)}"
    return None


def check_history(r, rest):
    number = re.match(r"(\d+) ", rest)
    at, text = (int(number.group(1)), rest[number.end():]) if number else (0, rest)
    has = r.history[at]["CreatedBy"]
    return None if unescaped(text) == has else f"history {at} is {has!r}"


def check(builder, case, r, wanted):
    word, _, rest = wanted.partition(" ")
    if word == "status":
        return None if r.status == int(rest) else f"status {r.status}: {r.error}"
    if word == "error":
        return None if r.error is not None and r.error.strip() == unescaped(rest) else f"error is {r.error!r}"
    if r.error is not None and word != "output":
        return f"it fails: {r.error}"
    if word == "ok":
        return None
    if word == "output":
        return None if unescaped(rest) in r.output else f"output is {r.output!r}"
    if wanted.startswith("no output "):
        return None if unescaped(wanted[10:]) not in r.output else f"output is {r.output!r}"
    if word == "config":
        return check_value(r.inspect["Config"], *rest.split(" ", 1))
    if word == "image":
        return check_value(r.inspect, *rest.split(" ", 1))
    if word == "history":
        return check_history(r, rest)
    if word == "layers":
        return None if r.layers == int(rest) else f"{r.layers} layers"
    if word == "tree":
        return check_tree(builder, rest)
    if word == "again":
        output = builder.build(case).output
        is_cached = "Running in" not in output and "Using cache" in output
        return None if is_cached == (rest == "cached") else f"the second time: {output!r}"
    raise ValueError(wanted)


OURS_ONLY = ("error", "status", "output", "no", "history", "layers", "again", "image")


def run(builder, case, is_oracle):
    wanted = [w for w, _ in case.wanted if not is_oracle or w.split()[0] not in OURS_ONLY]
    wants_error = any(w.split()[0] in ("error", "status") and w != "status 200" for w, _ in case.wanted)
    r = builder.build(case)
    if is_oracle and wants_error:
        return [] if r.error is not None else ["it succeeds"]
    opened = r.error is None and any(w.startswith("tree") for w in wanted)
    if opened:
        builder.open_tree(r)
    try:
        said = [f"{w}: {why}" for w in wanted for why in [check(builder, case, r, w)] if why]
    finally:
        if opened:
            builder.close_tree()
    return said


# ---- the oracle ----

CONFIG = ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts", "Volumes", "Labels", "StopSignal", "OnBuild", "Healthcheck", "Shell")


def read_differences():
    """file and name of a case → why buildah does otherwise."""
    with open(f"{HERE}/oracle.txt", encoding="utf-8") as f:
        lines = [line.rstrip("\n") for line in f if line.strip() and not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


def result_and_changes(builder, case, base):
    r = builder.build(case)
    if r.error is not None:
        return r, None
    if r.inspect["Config"].get("OnBuild"): # `buildah from` would run it
        return r, {}
    builder.open_tree(r)
    try:
        return r, changes_of(builder.whole_tree(), base)
    finally:
        builder.close_tree()


def base_tree(builder):
    base = Result()
    base.image = "busybox"
    builder.open_tree(base)
    try:
        return builder.whole_tree()
    finally:
        builder.close_tree()


def short(what):
    return repr(what) if len(repr(what)) < 200 else repr(what)[:200] + "..."


class Compared:
    """Both builders' trees and configurations of a case, one against the other."""

    def __init__(self, oracle):
        self.oracle, self.ours = oracle, Ours()
        self.bases = base_tree(self.oracle), base_tree(self.ours)

    def differences(self, case):
        (theirs, their_tree), (ours, our_tree) = (result_and_changes(b, case, base) for b, base in zip((self.oracle, self.ours), self.bases))
        if theirs.error is not None or ours.error is not None:
            return [] if (theirs.error is None) == (ours.error is None) else [f"theirs {theirs.error and theirs.error[-200:]!r}, ours {ours.error!r}"]
        if any("FROM scratch" in body for spec, body in case.entries if spec.startswith("Dockerfile")): # nothing of the base is there
            their_tree, our_tree = ({p: w for p, w in tree.items() if w} for tree in (their_tree, our_tree))
        ours.inspect["Config"].get("Labels", {}).pop("sockerless.image", None)
        said = [f"{k}: theirs {theirs.inspect['Config'].get(k)}, ours {ours.inspect['Config'].get(k)}" for k in CONFIG
                if (theirs.inspect["Config"].get(k) or None) != (ours.inspect["Config"].get(k) or None)]
        return said + [f"{p}: theirs {short(their_tree.get(p))}, ours {short(our_tree.get(p))}" for p in sorted(their_tree.keys() | our_tree.keys())
                       if their_tree.get(p) != our_tree.get(p)]


def judge(case, said, reasons):
    """The differences, less those that have a reason; a reason that nothing needs any more is one, too."""
    reason = reasons.get(f"{case.where.split(':')[0]} {case.name}")
    if not reason:
        return said
    return [] if said else [f"oracle.txt gives a reason, and there is no difference: {reason}"]


def main():
    is_oracle = os.environ.get("ORACLE") == "buildah"
    cases = [c for f in sorted(os.listdir(f"{HERE}/cases")) for c in read_cases(f"{HERE}/cases/{f}")]
    parts = sys.argv[1:]
    cases = [c for c in cases if not (is_oracle and c.is_ours) and (not parts or any(p in f"{c.where} {c.name}" for p in parts))]
    builder = Buildah() if is_oracle else Ours()
    compared = Compared(builder) if is_oracle else None
    reasons = read_differences() if is_oracle else {}
    failed = 0
    for case in cases:
        said = run(builder, case, is_oracle)
        if is_oracle:
            said = judge(case, said + compared.differences(case), reasons)
        failed += bool(said)
        for text in said:
            print(f"FAIL {case.where} {case.name}\n  {text}")
    left = builder.stop() + (compared.ours.stop() if compared else [])
    if left and not parts:
        print(f"FAIL containers are left: {left}")
        failed += 1
    print(f"build: {len(cases) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not cases else 0)


if __name__ == "__main__":
    main()
