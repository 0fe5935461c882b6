#!/usr/bin/env python3
"""Every entry of a tar (or of a directory's tree, when one is named), one a line, sorted by name: what an image must keep.
Extended attributes are told where an entry has some.

With --loose: without times, and without the numbers of devices, for programs that do not keep those.
"""
import hashlib
import os
import stat
import sys
import tarfile


XATTR = "SCHILY.xattr."


def xattrs_of(member):
    return " ".join(sorted(f"{k[len(XATTR):]}={v.encode('utf-8', 'surrogateescape').hex()}" for k, v in member.pax_headers.items()
                           if k.startswith(XATTR)))


def xattrs_at(path):
    try:
        return " ".join(sorted(f"{n}={os.getxattr(path, n, follow_symlinks=False).hex()}" for n in os.listxattr(path, follow_symlinks=False)))
    except OSError:
        return ""


def of_tar(stream):
    seen = {}
    with tarfile.open(fileobj=stream, mode="r|*") as tar:
        for m in tar:
            name = os.path.normpath("/" + m.name)
            if m.islnk(): # the same file under another name
                seen[name] = seen[os.path.normpath("/" + m.linkname)]
                continue
            kind = {tarfile.REGTYPE: "f", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.FIFOTYPE: "p", tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b"}[m.type]
            content = hashlib.sha256(tar.extractfile(m).read()).hexdigest() if kind == "f" else m.linkname if kind == "l" else ""
            seen[name] = (kind, oct(m.mode & 0o7777) if kind != "l" else "", m.uid, m.gid, content, f"{m.devmajor},{m.devminor}" if kind in "cb" else "", int(m.mtime), m, xattrs_of(m))
    return seen


def of_tree(root):
    kinds = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p", stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
    seen = {}
    for at, dirs, files in os.walk(root):
        for name in [".", *files, *(d for d in dirs if os.path.islink(os.path.join(at, d)))]:
            path = os.path.join(at, name)
            st = os.lstat(path)
            kind = kinds.get(stat.S_IFMT(st.st_mode))
            if not kind:
                continue
            content = ""
            if kind == "f":
                with open(path, "rb") as f:
                    content = hashlib.sha256(f.read()).hexdigest()
            elif kind == "l":
                content = os.readlink(path)
            seen[os.path.normpath("/" + os.path.relpath(path, root))] = (
                kind, oct(st.st_mode & 0o7777) if kind != "l" else "", st.st_uid, st.st_gid, content,
                f"{os.major(st.st_rdev)},{os.minor(st.st_rdev)}" if kind in "cb" else "", int(st.st_mtime), (st.st_dev, st.st_ino) if st.st_nlink > 1 and kind != "d" else name + at,
                xattrs_at(path))
    return seen


loose = "--loose" in sys.argv
paths = [a for a in sys.argv[1:] if not a.startswith("--")]
entries = of_tree(paths[0]) if paths else of_tar(sys.stdin.buffer)
groups = {}
for path in sorted(entries):
    groups.setdefault(entries[path][7], path)
for path in sorted(entries):
    kind, mode, uid, gid, content, device, mtime, same, xattrs = entries[path]
    if path == "/":
        continue
    hard = groups[same] if groups[same] != path else ""
    print(path, kind, mode, uid, gid, content, *((device, mtime) if not loose else ()), "=" + hard if hard else "", *([xattrs] if xattrs else []))
