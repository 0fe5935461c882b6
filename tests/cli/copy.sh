# Sourced by run.sh: docker cp in all its forms: before, during and after a run.

mkdir -p "$dir/t/sub" "$dir/got"
echo one >"$dir/t/one" && echo two >"$dir/t/sub/two" && ln -s one "$dir/t/link" && chmod 640 "$dir/t/one"
echo file >"$dir/file"
in_copy() { d exec copy sh -c "$1"; }

# ---- into a created one ----
d create --name copy busybox sh -c 'mkdir -p /d/e; echo f >/d/e/f; ln -s e /d/l; ln -s /d/e/f /abs; ln -s /d/e /dirlink; ln -s /nowhere /dangling; ln -s ../../../../../tmp /up; cat /tmp/file; echo ready; sleep 1000' >/dev/null
check "a file to a directory" 0 "" d cp -q "$dir/file" copy:/tmp/
check "a file to a new name" 0 "" d cp -q "$dir/file" copy:/tmp/renamed
check "a directory to a directory" 0 "" d cp -q "$dir/t" copy:/tmp
check "a directory to a new name" 0 "" d cp -q "$dir/t" copy:/tmp/newname
check "a directory's contents" 0 "" d cp -q "$dir/t/." copy:/tmp/dot
check "a tar from stdin" 0 "" sh -c 'tar -C "$0" -c t | "$docker" cp - copy:/home' "$dir"
d start copy >/dev/null
soon has_logged copy ready
check "what was copied is there from the start" 0 "file
ready" d logs copy
check "all of it" 0 "/tmp
/tmp/dot
/tmp/dot/link
/tmp/dot/one
/tmp/dot/sub
/tmp/dot/sub/two
/tmp/file
/tmp/newname
/tmp/newname/link
/tmp/newname/one
/tmp/newname/sub
/tmp/newname/sub/two
/tmp/renamed
/tmp/t
/tmp/t/link
/tmp/t/one
/tmp/t/sub
/tmp/t/sub/two" in_copy 'find /tmp | sort'
check "modes and links" 0 "640 one 644" in_copy 'echo $(stat -c %a /tmp/t/one) $(readlink /tmp/t/link) $(stat -c %a /tmp/t/sub/two)'
check "the directory it went into keeps its mode" 0 "1777" in_copy 'stat -c %a /tmp'
check "the tar's files" 0 "two" in_copy 'cat /home/t/sub/two'
if [ "$(id -u)" -eq 0 ]; then # another user's files are that user's there, too
	chown 5:6 "$dir/t/sub/two"
	check "owners" 0 "5:6 5:6" sh -c '"$docker" cp -q "$0/t" copy:/home/plain && "$docker" cp -q -a "$0/t" copy:/home/archive &&
		"$docker" exec copy sh -c "echo \$(stat -c %u:%g /home/plain/sub/two /home/archive/sub/two)"' "$dir"
	chown 0:0 "$dir/t/sub/two"
fi

# ---- into a running one ----
check "through a link to a directory" 0 "" d cp -q "$dir/file" copy:/dirlink/
check "it went where the link leads" 0 "file" in_copy 'cat /d/e/file'
check "through a link that leads above the root" 0 "file" sh -c '"$docker" cp -q "$0/file" copy:/up/above && "$docker" exec copy cat /tmp/above' "$dir"
check "a host's link stays one" 0 "one" sh -c '"$docker" cp -q "$0/t/link" copy:/tmp/l1 && "$docker" exec copy readlink /tmp/l1' "$dir"
check "-L follows it" 0 "one" sh -c '"$docker" cp -q -L "$0/t/link" copy:/tmp/l2 && "$docker" exec copy cat /tmp/l2' "$dir"
check "over a file that is there" 0 "two" sh -c '"$docker" cp -q "$0/t/sub/two" copy:/tmp/renamed && "$docker" exec copy cat /tmp/renamed' "$dir"

# ---- out of it ----
out() { (cd "$dir/got" && d cp -q "$@") && (cd "$dir/got" && find . -mindepth 1 | sort | tr '\n' ' '; rm -rf "$dir/got" && mkdir "$dir/got"); }
check "a file" 0 "./f " out copy:/d/e/f .
check "a file to a new name" 0 "./new " out copy:/d/e/f new
check "a directory" 0 "./d ./d/e ./d/e/f ./d/e/file ./d/l " out copy:/d .
check "a directory to a new name" 0 "./x ./x/e ./x/e/f ./x/e/file ./x/l " out copy:/d x
check "a directory's contents" 0 "./x ./x/e ./x/e/f ./x/e/file ./x/l " out copy:/d/. x
check "a link" 0 "./l " out copy:/d/l l
check "-L: what it leads to" 0 "./l ./l/f ./l/file " out -L copy:/d/l l
check "a link with a slash" 0 "./l ./l/f ./l/file " out copy:/d/l/ l
check "a link with a dot" 0 "./l ./l/f ./l/file " out copy:/d/l/. l
check "an absolute link" 0 "/d/e/f" sh -c 'cd "$0" && "$docker" cp -q copy:/abs a && readlink a' "$dir"
check "-L of it" 0 "f" sh -c 'cd "$0" && "$docker" cp -q -L copy:/abs b && cat b' "$dir"
check "a relative path begins at the root" 0 "./shells " out copy:etc/shells .
check ".. ends at the root" 0 "./shells " out copy:../../etc/shells .
check "a tar to stdout" 0 "d/ d/e/ d/e/f d/e/file d/l " sh -c '"$docker" cp copy:/d - | tar t | sort | tr "\n" " "'
check "a file's tar" 0 "f" sh -c '"$docker" cp copy:/d/e/f - | tar t'

# ---- what cannot be ----
check_has "a missing directory" 1 "no such directory" d cp "$dir/file" copy:/no/
check_like "a missing directory below it" 1 "Error response from daemon: Could not find the file /no in container copy" d cp "$dir/file" copy:/no/x
check_like "a missing source" 1 "Error response from daemon: Could not find the file /nosuch in container copy" d cp copy:/nosuch "$dir/got"
check_like "a missing host's source" 1 "lstat .*/nosuch: no such file or directory" d cp "$dir/nosuch" copy:/tmp
check_has "a directory over a file" 1 "cannot copy directory" d cp "$dir/t" copy:/etc/passwd
check "a host's missing directory" 1 "no such directory" d cp copy:/etc/passwd "$dir/no/"
check "between two containers" 1 "copying between containers is not supported" d cp copy:/tmp copy:/tmp
check "of no container" 1 "must specify at least one container source" d cp "$dir/file" "$dir/t"
check_like "no such container" 1 "Error response from daemon: No such container: nosuch" d cp "$dir/file" nosuch:/tmp
check "a tar to a file" 1 'destination "copy:/etc/passwd" must be a directory' sh -c 'tar -C "$0" -c t | "$docker" cp - copy:/etc/passwd' "$dir"
check_like "no tar" 1 "Error response from daemon: (invalid tar archive: .*|Error processing tar file\(exit status 1\): unexpected EOF)" \
	sh -c 'echo junk | "$docker" cp - copy:/tmp'

# ---- after it ----
d kill copy >/dev/null
check "into a stopped one" 0 "file" sh -c '"$docker" cp -q "$0/file" copy:/after && "$docker" cp copy:/after - | tar xO' "$dir"
d rm copy >/dev/null

# ---- volumes and binds ----
mkdir -p "$dir/mine" && chmod 755 "$dir"
d run -d --name copy -v copied:/vol -v "$dir/mine:/mine" -v "$dir:/ro:ro" --read-only busybox sleep 1000 >/dev/null
check "into a volume" 0 "file" sh -c '"$docker" cp -q "$0/file" copy:/vol && "$docker" exec copy cat /vol/file' "$dir"
check "into a bind" 0 "file" sh -c '"$docker" cp -q "$0/file" copy:/mine && cat "$0/mine/file"' "$dir"
check "out of a volume" 0 "file" sh -c '"$docker" cp copy:/vol/file - | tar xO'
check_like "into a read-only bind" 1 "Error response from daemon: mounted volume is marked read-only" d cp "$dir/file" copy:/ro
check_like "into a read-only root" 1 "Error response from daemon: container rootfs is marked read-only" d cp "$dir/file" copy:/tmp
d rm -f copy >/dev/null
d create --name copy -v copied:/vol -v "$dir/mine:/mine" busybox >/dev/null
check "into a volume and a bind of a created one" 0 "one
two" sh -c '"$docker" cp -q "$0/t/one" copy:/vol && "$docker" cp -q "$0/t/sub/two" copy:/mine && "$docker" rm copy >/dev/null &&
	"$docker" run --rm -v copied:/v busybox cat /v/one && cat "$0/mine/two"' "$dir"
d volume rm copied >/dev/null
rm -rf "$dir/t" "$dir/got" "$dir/mine"
