# Sourced by run.sh: extended attributes that an archive brings, file capabilities above all, are still there after import,
# docker cp, commit and export, and go where Linux lets them go.
. tests/images/lib.sh
cat >"$dir/xattrs.py" <<'PY'
import io
import sys
import tarfile

out = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT)
capability = bytes.fromhex("0100000200200000000000000000000000000000").decode()


def add(name, kind=tarfile.REGTYPE, **xattrs):
    m = tarfile.TarInfo(name)
    m.type, m.mode, m.mtime = kind, 0o755, 1700000000
    m.pax_headers = {f"SCHILY.xattr.{k.replace('_', '.')}": v for k, v in xattrs.items()}
    data = b"" if kind == tarfile.DIRTYPE else name.encode()
    m.size = len(data)
    out.addfile(m, io.BytesIO(data))


add("x", tarfile.DIRTYPE, user_note="a directory's")
for name in "kept", "moded", "written", "given", "moved":
    add(f"x/{name}", security_capability=capability, user_note="hello")
add("x/plain")
out.close()
PY
python3 "$dir/xattrs.py" >"$dir/xattrs.tar"
note=user.note=68656c6c6f
both="security.capability=0100000200200000000000000000000000000000 $note"
ours() { tests/images/listing.py | grep '^/x' | sed -n 's/^\([^ ]*\) .* [0-9]\{10\} *\(.*\)$/\1 \2/p'; }
exported() {
	d create --name look "$1" /x >/dev/null
	"$docker" export look | ours
	d rm look >/dev/null
}
all="/x user.note=61206469726563746f72792773
/x/given $both
/x/kept $both
/x/moded $both
/x/moved $both
/x/plain 
/x/written $both"
check "what is to be kept" 0 "$all" sh -c "tests/images/listing.py <'$dir/xattrs.tar' | sed -n 's/^\\([^ ]*\\) .* [0-9]\\{10\\} *\\(.*\\)\$/\\1 \\2/p'"
check "import" 0 "" sh -c "'$docker' import '$dir/xattrs.tar' caps:imported >/dev/null"
check "export has them" 0 "$all" exported caps:imported
d create --name caps busybox true >/dev/null
check "docker cp takes them" 0 "" sh -c "'$docker' cp - caps:/ <'$dir/xattrs.tar' 2>/dev/null"
d commit caps caps:copied >/dev/null
check "commit keeps them" 0 "$all" exported caps:copied
d rm caps >/dev/null
d run --name caps caps:copied sh -c 'cd /x; chmod 700 moded; echo more >>written; chown 5:6 given; mv moved again; true' >/dev/null
d commit caps caps:changed >/dev/null
d rm caps >/dev/null
check "chmod and mv leave them; writing and chown take the capability away" 0 "/x user.note=61206469726563746f72792773
/x/again $both
/x/given $note
/x/kept $both
/x/moded $both
/x/plain 
/x/written $note" exported caps:changed
d run --name caps busybox sh -c 'mkdir /a; echo hi >/a/.wh.b' >/dev/null
check_has "a name that no image can have is told" 1 '/a/.wh.b cannot be in an image: names that begin with ".wh." mean that a file is removed' d commit caps caps:never
d rm caps >/dev/null
d rmi caps:imported caps:copied caps:changed >/dev/null
