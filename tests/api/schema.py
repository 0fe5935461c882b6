"""Responses against the API's own specification (Swagger 2.0), where a copy of it lies beside the checkout.

The copy is not part of the project: SOCKERLESS_API_SPECS, or ../shared/api beside the repository, with files such
as v1.51.yaml. Null is allowed where a field may be null, and for arrays and objects, which Docker sends as null
when they are empty.
"""
import os
import re

try:
    import yaml
except ImportError:
    yaml = None

# Pointers in Docker's own structures: null when they are not set, whatever the specification says.
POINTERS = ("MemorySwappiness", "OomKillDisable")
HERE = os.path.dirname(os.path.abspath(__file__))


def directories():
    if os.environ.get("SOCKERLESS_API_SPECS"):
        yield os.environ["SOCKERLESS_API_SPECS"]
    at = os.path.abspath(os.path.join(HERE, "..", ".."))
    for _ in range(2):
        at = os.path.dirname(at)
        yield os.path.join(at, "shared", "api")


def load(version):
    """The specification, or None with the reason."""
    if yaml is None:
        return None, "python3-yaml is not installed"
    for directory in directories():
        path = os.path.join(directory, version + ".yaml")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                return Spec(yaml.load(f, getattr(yaml, "CSafeLoader", yaml.SafeLoader))), ""
    return None, f"there is no {version}.yaml beside the checkout"


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

    def check(self, value, schema, where, errors, missing):
        """Appends what is wrong to errors; fields that the specification has and the value has not to missing."""
        nullable = schema.get("x-nullable") or schema.get("x-omitempty")
        schema = self.resolve(schema)
        kind = schema.get("type") or ("object" if "properties" in schema or "allOf" in schema else None)
        if value is None:
            if where.rsplit(".", 1)[-1] in POINTERS:
                return
            if not (nullable or schema.get("x-nullable") or kind in ("array", "object", None)):
                errors.append(f"{where}: null where {kind} is said")
        elif kind == "object":
            self.check_object(value, schema, where, errors, missing)
        elif kind == "array":
            if not isinstance(value, list):
                errors.append(f"{where}: {value!r} is no array")
                return
            for i, item in enumerate(value):
                self.check(item, schema.get("items", {}), f"{where}[{i}]", errors, missing)
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
                self.check(v, extra, f"{where}.{key}", errors, missing)
        place = re.sub(r"\[\d+\]", "[]", where)
        missing.update(f"{place}.{key}" for key in known if key not in value and isinstance(key, str))

    @staticmethod
    def check_plain(value, kind, schema, where, errors):
        types = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
        if kind in types and (not isinstance(value, types[kind]) or (kind != "boolean" and isinstance(value, bool))):
            errors.append(f"{where}: {value!r} is no {kind}")
        elif "enum" in schema and value not in schema["enum"] and value != "":
            errors.append(f"{where}: {value!r} is none of {schema['enum']}")
        elif schema.get("format") == "date-time" and not re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", value):
            errors.append(f"{where}: {value!r} is no time")
