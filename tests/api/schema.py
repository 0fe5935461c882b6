"""Responses against the API's own specification (Swagger 2.0).

Copies of it are not part of the project: SOCKERLESS_API_SPECS, or ../shared/api beside the repository, hold files such
as v1.51.yaml. Where there are none, Debian's golang-github-docker-docker-dev has one. What is checked: types and the
ranges of integers, required and unknown members, enumerations, null only where it may be, and what strict decoders
parse: times, addresses, prefixes, MACs, ports. Docker's own deviations are listed in deviations.py.
"""
import glob
import ipaddress
import os
import re
import subprocess

import deviations

try:
    import yaml
except ImportError:
    yaml = None

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$")
RANGES = {"int64": (-2**63, 2**63 - 1), "uint64": (0, 2**64 - 1), "uint32": (0, 2**32 - 1), "uint16": (0, 2**16 - 1), "uint8": (0, 255),
          "int": (-2**63, 2**63 - 1)}


def directories():
    if os.environ.get("SOCKERLESS_API_SPECS"):
        yield os.environ["SOCKERLESS_API_SPECS"]
        return
    at = ROOT
    for _ in range(2):
        at = os.path.dirname(at)
        yield os.path.join(at, "shared", "api")


def directory():
    """Where specifications lie beside the checkout, or None."""
    return next((d for d in directories() if glob.glob(os.path.join(d, "v1.*.yaml"))), None)


def read(path):
    with open(path, encoding="utf-8") as f:
        return Spec(yaml.load(f, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def load(version):
    """The specification, or None with the reason."""
    if yaml is None:
        return None, "python3-yaml is not installed"
    path = os.path.join(directory() or "", version + ".yaml")
    if os.path.exists(path):
        return read(path), ""
    return None, f"there is no {version}.yaml beside the checkout"


def load_all():
    """({version: specification}, where they are from): those beside the checkout, or Debian's."""
    if yaml is None:
        return {}, "python3-yaml is not installed"
    if directory():
        paths = sorted(glob.glob(os.path.join(directory(), "v1.*.yaml")))
        return {os.path.basename(p)[:-len(".yaml")]: read(p) for p in paths}, "the specifications beside the checkout"
    found = subprocess.run([os.path.join(ROOT, "tests", "support", "api-spec.sh"), os.path.join(ROOT, "build", "api-spec")],
                           stdout=subprocess.PIPE, text=True, check=False)
    path = found.stdout.strip()
    if not path:
        return {}, "no specification lies beside the checkout, and Debian's package cannot be had"
    spec = read(path)
    return {"v" + spec.root["info"]["version"]: spec}, "Debian's golang-github-docker-docker-dev"


# ---- what strict decoders parse ----

def is_address(text):
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


def is_prefix(text):
    try:
        ipaddress.ip_interface(text)
        return "/" in text
    except ValueError:
        return False


def is_mac(text):
    return re.match(r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$", text) is not None


def is_port(text):
    return text.isdigit() and 0 <= int(text) <= 65535


def is_exposed(text):
    return re.match(r"^\d{1,5}/(tcp|udp|sctp)$", text) is not None


# Members by what they hold, whatever the specification calls their type; empty is unset.
HOLDS = [
    (r"^/networks.*Containers\{\}\.IPv[46]Address$", is_prefix, "prefix"),
    (r"\.(IPAddress|Gateway|IPv6Gateway|GlobalIPv6Address|LinkLocalIPv6Address|IPv4Address|IPv6Address|HostIp|Ports\[\]\.IP)$", is_address, "address"),
    (r"\.AuxiliaryAddresses\{\}$|\.LinkLocalIPs\[\]$|\.HostConfig\.Dns\[\]$", is_address, "address"),
    (r"\.IPAM\.Config\[\]\.(Subnet|IPRange)$|\.InsecureRegistryCIDRs\[\]$|\.Base$", is_prefix, "prefix"),
    (r"\.MacAddress$", is_mac, "MAC"),
    (r"\.HostPort$", is_port, "port"),
]
HOLDS = [(re.compile(pattern), good, what) for pattern, good, what in HOLDS]
FORMATS = {"dateTime": TIME.match, "date-time": TIME.match, "ip-address": is_address, "CIDR": is_prefix, "cidr": is_prefix}


class Spec:
    def __init__(self, root):
        self.root = root

    def resolve(self, schema):
        while "$ref" in schema or (len(schema.get("allOf", [])) == 1 and "properties" not in schema):
            if "$ref" not in schema: # a description around another type
                schema = schema["allOf"][0]
                continue
            at = self.root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                at = at[part]
            schema = at
        return schema

    def operations(self):
        """{(method, path): operation}"""
        methods = ("get", "head", "post", "put", "delete", "options")
        return {(m.upper(), path): op for path, ops in self.root["paths"].items() for m, op in ops.items() if m in methods}

    def response(self, method, path, status):
        """The schema of a reply, None when it has no body."""
        operation = self.root["paths"][path][method.lower()]
        return operation["responses"][status].get("schema")

    def properties(self, schema):
        """Of an object, with what it takes over from others."""
        schema = self.resolve(schema)
        found = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            found = {**self.properties(part), **found}
        return found

    def required(self, schema):
        schema = self.resolve(schema)
        return set(schema.get("required", [])).union(*(self.required(part) for part in schema.get("allOf", [])))

    def check(self, value, schema, where, errors, missing):
        """Appends what is wrong to errors; fields that the specification has and the value has not to missing."""
        is_nullable = schema.get("x-nullable")
        schema = self.resolve(schema)
        kind = schema.get("type") or ("object" if "properties" in schema or "allOf" in schema else None)
        if value is None:
            if not (is_nullable or schema.get("x-nullable") or kind is None or deviations.excused(deviations.NULLS, where)):
                errors.append(f"{where}: null where {kind} is said")
        elif kind == "object":
            self.check_object(value, schema, where, errors, missing)
        elif kind == "array":
            if not isinstance(value, list):
                if not deviations.excused(deviations.TYPES, where):
                    errors.append(f"{where}: {value!r} is no array")
                return
            for item in value:
                self.check(item, schema.get("items", {}), f"{where}[]", errors, missing)
        else:
            self.check_plain(value, kind, schema, where, errors)

    def check_object(self, value, schema, where, errors, missing):
        if not isinstance(value, dict):
            errors.append(f"{where}: {value!r} is no object")
            return
        known, extra = self.properties(schema), schema.get("additionalProperties")
        for key, v in value.items():
            if key in known:
                self.check(v, known[key], f"{where}.{key}", errors, missing)
            elif isinstance(extra, dict):
                if where.endswith((".Ports", ".PortBindings", ".ExposedPorts")) and not is_exposed(key):
                    errors.append(f"{where}: {key!r} is no port")
                self.check(v, extra, f"{where}{{}}", errors, missing)
            elif known and not deviations.excused(deviations.UNKNOWN, f"{where}.{key}"):
                errors.append(f"{where}.{key}: not known to the specification")
        for key in self.required(schema):
            if key not in value and not deviations.excused(deviations.REQUIRED, f"{where}.{key}"):
                errors.append(f"{where}.{key}: required, and missing")
        missing.update(f"{where}.{key}" for key in known if key not in value and isinstance(key, str))

    @staticmethod
    def check_plain(value, kind, schema, where, errors):
        types = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
        form = schema.get("format")
        if kind in types and (not isinstance(value, types[kind]) or (kind != "boolean" and isinstance(value, bool))):
            errors.append(f"{where}: {value!r} is no {kind}")
            return
        if "enum" in schema and value not in schema["enum"] and not deviations.excused(deviations.ENUMS, where):
            errors.append(f"{where}: {value!r} is none of {schema['enum']}")
        if form in RANGES and not RANGES[form][0] <= value <= RANGES[form][1]:
            errors.append(f"{where}: {value!r} is no {form}")
        if form in FORMATS and not FORMATS[form](value):
            errors.append(f"{where}: {value!r} is no {form}")
        if isinstance(value, str) and value:
            for pattern, good, what in HOLDS:
                if pattern.search(where):
                    if not good(value):
                        errors.append(f"{where}: {value!r} is no {what}")
                    break
