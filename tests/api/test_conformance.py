"""Every operation of the specifications, called for its success and each error; every reply against the schema of the
version that was asked for. What is called how: conformance_cases.py; what is not served yet: conformance_later.txt;
what Docker itself does against its specification: deviations.py.
"""
import json
import os
import re
import socket
import unittest
from urllib.parse import urlencode

import schema
from conformance_cases import CASES, NOT_PROVOKED, UNREAD_BODIES, World
from deviations import PRODUCES, excused
from harness import ApiTest, Hijacked

HERE = os.path.dirname(os.path.abspath(__file__))
ERROR = {"$ref": "#/definitions/ErrorResponse"}


def later():
    """{"METHOD path": reason}"""
    with open(os.path.join(HERE, "conformance_later.txt"), encoding="utf-8") as f:
        rows = [line.split(None, 2) for line in f if line.strip() and not line.startswith("#")]
    return {f"{method} {path}": why.strip() for method, path, why in rows}


def table():
    """What endpoints.tsv beside the specifications lists, or nothing."""
    path = os.path.join(schema.directory() or "", "endpoints.tsv")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [" ".join(line.split("\t")[:2]) for line in f.read().splitlines()[1:]]


def made(value, world):
    """With functions replaced by what they make."""
    if callable(value):
        return made(value(world), world)
    if isinstance(value, dict):
        return {k: made(v, world) for k, v in value.items()}
    return value


class Conformance(ApiTest):
    @classmethod
    def setUpClass(cls):
        cls.specs, cls.source = schema.load_all()
        if not cls.specs:
            raise unittest.SkipTest(f"the specifications are not walked: {cls.source}")
        super().setUpClass()
        cls.later, cls.checked, cls.replies = later(), set(), 0
        cls.d.create("true", name="taken")
        cls.busybox = cls.d.call("GET", "/images/busybox/json").json["Id"]

    @classmethod
    def tearDownClass(cls):
        print(f"\nconformance: {len(cls.checked)} operations, {cls.replies} replies checked, API {', '.join(cls.specs)} of {cls.source}")
        super().tearDownClass()

    # ---- one call ----

    def send(self, c, method, path, world, version):
        """(status, content type, body) of a case."""
        query, body = made(c["query"], world), made(c["body"], world)
        if c["how"] == "hijack":
            with self.d.hijack(path, body, query, version) as h:
                kind = re.search(rb"(?mi)^content-type: *([^\r\n]*)", h.head)
                return h.status, kind.group(1).decode() if kind else None, h.rest
        headers = made(c["headers"], world)
        if c["how"] == "websocket":
            with self.d.connect() as s:
                head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
                s.sendall(f"{method} /{version}{path}?{urlencode(query)} HTTP/1.1\r\nHost: d\r\n{head}\r\n".encode())
                h = Hijacked(s)
                return h.status, None, h.rest
        if c["read"] == "first":
            return self.send_and_leave(method, path, query, version)
        reply = self.d.call(method, path, body, query, version, headers)
        return reply.status, reply.headers.get("Content-Type"), reply.body

    def send_and_leave(self, method, path, query, version):
        """The first line of a stream."""
        with self.d.connect() as s, s.makefile("rb") as f:
            s.sendall(f"{method} /{version}{path}{'?' + urlencode(query) if query else ''} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            status, kind = int(f.readline().split()[1]), None
            while line := f.readline().strip():
                if line.lower().startswith(b"content-type:"):
                    kind = line.split(b":", 1)[1].strip().decode()
            size = int(f.readline(), 16)
            body = f.read(size)
            s.shutdown(socket.SHUT_RDWR)
            return status, kind, body

    def values(self, c, body):
        if c["read"] in ("lines", "first"):
            return [json.loads(line) for line in body.splitlines() if line.strip()]
        return [json.loads(body)]

    def check_reply(self, spec, operation, key, c, status, kind, body):
        """What is wrong with it."""
        errors, said = [], operation["responses"].get(status) if operation else None
        wanted = said.get("schema") if said else ERROR if status >= 400 else None
        path = key.split()[1]
        if key.startswith("HEAD ") or status in (101, 204, 304):
            return [f"{key}: {status} with a body: {body!r}"] if body and status != 101 else []
        if status >= 400:
            if kind != "application/json":
                errors.append(f"{key}: an error as {kind}")
            spec.check(json.loads(body), wanted or ERROR, key, errors, set())
            return errors
        produces = (operation or {}).get("produces") or spec.root.get("produces", ["application/json"])
        if body and kind and kind.split(";")[0] not in produces and not excused(PRODUCES, f"{key} {kind}"):
            errors.append(f"{key}: {kind} is none of {produces}")
        if c["read"] == "raw" or not wanted:
            return errors
        for value in self.values(c, body):
            spec.check(value, wanted, path, errors, set())
        return errors

    # ---- the walk ----

    def call(self, spec, version, key, c, world):
        """Calls, checks; what is wrong with it."""
        method, pattern = key.split()
        path = pattern
        try:
            for name, value in made(c["path"], world).items():
                path = path.replace("{" + name + "}", value if value != "busybox@id" else self.busybox)
            status, kind, body = self.send(c, method, path, world, version)
        except (OSError, AssertionError) as e:
            return 0, [f"{key}: {c['status']} cannot be asked for: {e!r}"]
        if status != c["status"]:
            return status, [f"{key}: {status} instead of {c['status']}: {body[:200]!r}"]
        type(self).replies += 1
        return status, self.check_reply(spec, spec.operations().get((method, pattern)), key, c, status, kind, body)

    def walk_operation(self, spec, version, key, world):
        minor, errors = int(version.split(".")[1]), []
        for c in CASES[key]:
            if not c["since"] <= minor < c["before"]:
                continue
            _, wrong = self.call(spec, version, key, c, world)
            errors += [f"{version} {w}" for w in wrong]
        self.checked.add(key)
        return errors

    def walk_later(self, spec, version, key, world):
        """It must not succeed, but fail in the form of errors."""
        first = CASES[key][0]
        status, _ = self.call(spec, version, key, {**first, "how": "call"}, world)
        if 0 < status < 400 or first["status"] >= 400 and status == first["status"]:
            return [f"{version} {key}: it is served now ({status}); take its line out of conformance_later.txt"]
        return []

    def test_specifications(self):
        errors = []
        for version, spec in self.specs.items():
            world = World(self.d, version)
            for method, path in spec.operations():
                key = f"{method} {path}"
                if key not in CASES:
                    errors.append(f"{version} {key}: no case in conformance_cases.py")
                elif key in self.later:
                    errors += self.walk_later(spec, version, key, world)
                else:
                    errors += self.walk_operation(spec, version, key, world)
            world.end()
        self.assertEqual(errors, [], "\n" + "\n".join(dict.fromkeys(errors)))

    # ---- what requests say ----

    def wrong_bodies(self, spec, s, depth=0):
        """(path, a body in which only the member at that path has a wrong type)"""
        for name, member in spec.properties(s).items():
            member = spec.resolve(member)
            kind = member.get("type") or "object"
            yield f".{name}", {name: 5 if kind != "integer" else "x"}
            if depth > 4:
                continue
            inner = member.get("items") if kind == "array" else member.get("additionalProperties") if isinstance(
                member.get("additionalProperties"), dict) else member
            for path, body in self.wrong_bodies(spec, inner or {}, depth + 1):
                wrapped = [body] if kind == "array" else {"a": body} if inner is not member else body
                yield f".{name}{path}", {name: wrapped}

    def test_bodies(self):
        """Every member of every body is refused when it has a wrong type, in the words of Go's decoder."""
        version, spec = list(self.specs.items())[-1]
        world, errors, n = World(self.d, version + "b"), [], 0
        for (method, path), operation in spec.operations().items():
            key = f"{method} {path}"
            bodies = [p["schema"] for p in operation.get("parameters", []) if p.get("in") == "body" and "schema" in p]
            if key in self.later or not bodies or not spec.properties(bodies[0]):
                continue
            c = next((c for c in CASES[key] if c["status"] < 300), None)
            if not c or excused(UNREAD_BODIES, key):
                continue
            for member, wrong in self.wrong_bodies(spec, bodies[0]):
                if excused(UNREAD_BODIES, key + member):
                    continue
                good = made(c["body"], world)
                body = {**good, **wrong} if isinstance(good, dict) else wrong
                method_path = path
                for name, value in made(c["path"], world).items():
                    method_path = method_path.replace("{" + name + "}", value)
                reply = self.d.call(method, method_path, body, made(c["query"], world), version)
                n += 1
                if reply.status != 400 or "cannot unmarshal" not in reply.message:
                    errors.append(f"{key}{member}: {reply.status} {reply.body[:100]!r}")
        self.assertEqual(errors, [], "\n" + "\n".join(errors))
        self.assertGreater(n, 100)

    def test_undocumented(self):
        """Those of the table that no specification has."""
        version, spec = list(self.specs.items())[-1]
        errors, world = [], World(self.d, version + "u")
        documented = {f"{m} {p}" for s in self.specs.values() for m, p in s.operations()}
        for key in CASES:
            if key in documented:
                continue
            errors += (self.walk_later if key in self.later else self.walk_operation)(spec, version, key, world)
        self.assertEqual(errors, [], "\n" + "\n".join(errors))

    def test_zz_all_of_the_table(self):
        """Fewer operations than the table holds is a failure; last, when all have been walked."""
        rows = table()
        for key in rows:
            self.assertTrue(key in self.checked or key in self.later, f"{key}: neither checked nor in conformance_later.txt")
        if rows:
            self.assertGreaterEqual(len(self.checked), len(rows) - len(self.later))
        for key in self.later:
            self.assertIn(key, CASES, "a line of conformance_later.txt that nothing calls")

    def test_every_status_is_asked_for(self):
        for version, spec in self.specs.items():
            for (method, path), operation in spec.operations().items():
                key = f"{method} {path}"
                asked = {c["status"] for c in CASES.get(key, [])}
                for status in operation["responses"]:
                    why = [w for pattern, statuses, w in NOT_PROVOKED if status in statuses and re.search(pattern, key)]
                    self.assertTrue(status == 500 or status in asked or why or key in self.later, f"{version} {key}: {status} is not asked for")


if __name__ == "__main__":
    unittest.main()
