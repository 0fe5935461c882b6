"""Starts Debian's docker-registry below the directory given, puts an image of 100 MB into it, and prints its name."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "registry"))
from support import Image, Registry  # noqa: E402

registry = Registry()
registry.fill(Image([{f"file{i}": os.urandom(25_000_000)} for i in range(4)]), "bench:1")
with open(os.path.join(sys.argv[1], "registry.pid"), "w", encoding="utf-8") as f:
    f.write(str(registry.process.pid))
with open(os.path.join(sys.argv[1], "registry.dir"), "w", encoding="utf-8") as f:
    f.write(registry.dir)
print(registry.address + "/bench")
