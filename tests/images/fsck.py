#!/usr/bin/env python3
"""The content store of a data root whose daemon does not run: prints what is missing, what is not what it says, and what nobody needs."""
import bz2
import gzip
import hashlib
import json
import lzma
import os
import sqlite3
import subprocess
import sys

root = sys.argv[1]
wrong = []


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def plain(data):
    for magic, undo in ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7zXZ", lzma.decompress),
                        (b"\x28\xb5\x2f\xfd", lambda d: subprocess.run(["zstd", "-dc"], input=d, stdout=subprocess.PIPE, check=True).stdout)):
        if data.startswith(magic):
            return undo(data)
    return data


def there(*path):
    try:
        return {n for n in os.listdir(os.path.join(root, *path)) if not n.startswith(".")}
    except FileNotFoundError:
        return set()


db = sqlite3.connect(os.path.join(root, "state.db"))
rows = {}
for kind, id, value in db.execute("SELECT kind, id, value FROM row"):
    rows.setdefault(kind, {})[id] = json.loads(value)
layers, images = rows.get("layer", {}), rows.get("image", {})

blobs, roots, used = set(), {"empty"}, set()
for id, layer in layers.items():
    roots.add(id[7:])
    if id[7:] not in there("rootfs"):
        wrong.append(f"layer {id} has no directory")
    parent = layer["parent"]
    if id != (layer["diff_id"] if not parent else sha(f"{parent} {layer['diff_id']}".encode())):
        wrong.append(f"layer {id} has another chain id")
    if not layer["blob"]:
        wrong.append(f"layer {id} has no blob")
        continue
    blobs.add(layer["blob"][7:])
    try:
        with open(os.path.join(root, "blobs/sha256", layer["blob"][7:]), "rb") as f:
            data = f.read()
        if sha(data) != layer["blob"]:
            wrong.append(f"blob {layer['blob']} is {sha(data)}")
        elif sha(plain(data)) != layer["diff_id"]:
            wrong.append(f"layer {id} is not the diff id {layer['diff_id']}")
    except FileNotFoundError:
        wrong.append(f"blob {layer['blob']} of layer {id} is not there")
for id, image in images.items():
    diffs, chain = image["config"]["rootfs"]["diff_ids"] or [], ""
    for diff in diffs:
        chain = diff if not chain else sha(f"{chain} {diff}".encode())
        used.add(chain)
    if chain != image["chain_id"]:
        wrong.append(f"image {id} has another chain")
    if sha((image.get("raw") or json.dumps(image["config"], separators=(",", ":"), ensure_ascii=False)).encode()) != id:
        wrong.append(f"image {id} has another config")
    # the lowest may be the built-in image's, which has no row
    wrong += [f"image {id} lacks layer {chain}"] if chain and chain not in layers and len(diffs) > 1 else []
wrong += [f"layer {id} is nobody's" for id in layers if id not in used]
wrong += [f"blob {b} is nobody's" for b in there("blobs/sha256") - blobs]
wrong += [f"directory {r} is nobody's" for r in there("rootfs") - roots]
wrong += [f"tmp/{t} was left" for t in there("tmp")]
print("\n".join(wrong), end="\n" if wrong else "")
sys.exit(bool(wrong))
