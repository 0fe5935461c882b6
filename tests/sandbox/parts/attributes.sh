# Sourced by run.sh: extended attributes that a guest sets. BusyBox has no program that reads them: what docker cp tells.

told() { # told CONTAINER PATH: NAME=VALUE of what docker cp takes out
	d cp "$1:$2" - | python3 -c 'import sys, tarfile
for m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|"):
    print(*sorted(k[13:] + "=" + v for k, v in m.pax_headers.items() if k.startswith("SCHILY.xattr.")))'
}
d volume create attributes >/dev/null
d run -d --name attributes -v attributes:/vol --tmpfs /small:size=1m -v "$dir:/bound" busybox sleep 1000 >/dev/null
set_in() { d exec attributes setfattr "$@"; }
check "of the image's file" 0 "" set_in -n user.note -v hello /etc/passwd
check "are told by docker cp" 0 "user.note=hello" told attributes /etc/passwd
check "another value" 0 "" set_in -n user.note -v again /etc/passwd
check "one more" 0 "" set_in -n user.other -v 2 /etc/passwd
check "both" 0 "user.note=again user.other=2" told attributes /etc/passwd
check "removed" 0 "" set_in -x user.note /etc/passwd
check "the other stays" 0 "user.other=2" told attributes /etc/passwd
check_has "what is not there" 1 "No data available" set_in -x user.note /etc/passwd
check "of a directory" 0 "" set_in -n user.dir -v d /etc
check "of a volume's root" 0 "" set_in -n user.vol -v v /vol
check "diff" 0 "C /etc C /etc/passwd" sh -c '"$docker" diff attributes | grep /etc | sort | tr "\n" " " | sed "s/ $//"'
check "a link is followed" 0 "user.linked=1" sh -c '"$docker" exec attributes sh -c "echo x >/f; ln -s f /l; setfattr -n user.linked -v 1 /l"; "$docker" cp attributes:/f - | grep -ao "user.linked=1"'
check_has "a link itself has none" 1 "Operation not permitted" set_in -h -n user.x -v 1 /l
check_has "another name space" 1 "Operation not permitted" set_in -n security.capability -v x /etc/passwd
check_has "no name space" 1 "Not supported" set_in -n plain -v x /etc/passwd
check_has "ours" 1 "Operation not permitted" set_in -n user.containers.override_stat -v 0:0:4777 /etc/passwd
check_has "another's file" 1 "Permission denied" d exec -u 1000 attributes setfattr -n user.x -v 1 /etc/passwd
check_has "a mount with a size" 1 "Not supported" set_in -n user.x -v 1 /small
check_has "a bind mount" 1 "Not supported" set_in -n user.x -v 1 /bound
check_has "a file of /proc" 1 "Not supported" set_in -n user.x -v 1 /proc/self/status
check_has "too much" 1 "No space left on device" set_in -n user.big -v "$(head -c 4096 /dev/zero | tr '\0' x)" /etc/passwd
d commit attributes attributed >/dev/null
d rm -f attributes >/dev/null
d create --name attributes attributed true >/dev/null
check "an image has them" 0 "user.other=2" told attributes /etc/passwd
check "and its directory" 0 "user.dir=d" sh -c '"$docker" cp attributes:/etc - | grep -ao "user.dir=d"'
d rm attributes >/dev/null
d volume rm attributes >/dev/null
d rmi attributed >/dev/null
