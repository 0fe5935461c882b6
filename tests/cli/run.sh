#!/bin/sh
# The real docker CLI against a real daemon. Each check names what it expects;
# the last line sums up.
set -u
cd "$(dirname "$0")/../.."
. tests/support/daemon.sh
trap clean_up EXIT
passed=0 failed=0

d() { timeout 60 "$docker" "$@"; }

# check NAME EXPECTED_STATUS EXPECTED_OUTPUT COMMAND...   (stdout and stderr together)
check() {
	name=$1 status=$2 want=$3
	shift 3
	got=$("$@" 2>&1 </dev/null)
	is=$?
	verdict "$name" "$status" "$want"
}

verdict() {
	if [ "$is" = "$2" ] && [ "$got" = "$3" ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	printf 'FAIL %s\n  wanted %s: %s\n  got    %s: %s\n' "$1" "$2" "$3" "$is" "$got"
}

# The same, where the output needs only to hold the text.
check_has() {
	name=$1 status=$2 want=$3
	shift 3
	got=$("$@" 2>&1 </dev/null)
	is=$?
	case $got in *"$want"*) got=$want ;; esac
	verdict "$name" "$status" "$want"
}

start_daemon || exit 1

# ---- running ----
check "pipeline" 0 "got 1
got 2
got 3" d run --rm busybox sh -c 'for i in 1 2 3; do echo $i; done | while read x; do echo "got $x"; done'
check "exit 0" 0 "" d run --rm busybox true
check "exit 1" 1 "" d run --rm busybox false
check "exit 7" 7 "" d run --rm busybox sh -c 'exit 7'
check "exit by signal" 137 "Killed" d run --rm busybox sh -c 'sh -c "kill -9 \$\$"; exit $?'
check_has "125: unknown image" 125 "cannot be pulled" d run --rm nosuchimage true
check_has "126: not executable" 126 "permission denied" d run --rm busybox /etc/passwd
check_has "127: no such command" 127 'exec: "nosuch": executable file not found in $PATH' d run --rm busybox nosuch
check "pid 1" 0 "1" d run --rm busybox sh -c 'echo $$'
check "pid 1 ignores KILL and TERM from inside" 0 "alive" d run --rm busybox sh -c 'kill -9 $$; kill $$; echo alive'
d run -d --name loop busybox sh -c 'while :; do :; done' >/dev/null
check "an endless loop is stopped" 0 "loop" d stop -t 1 loop
d rm loop >/dev/null
got=$(echo hi | d run -i --rm busybox cat) is=$?
verdict "stdin" 0 hi
got=$(head -c 20000000 /dev/zero | d run -i --rm busybox sha256sum | cut -c1-64) is=$?
verdict "20 MB of stdin" 0 "$(head -c 20000000 /dev/zero | sha256sum | cut -c1-64)"
got=$(d run --rm busybox head -c 20000000 /dev/zero | sha256sum) is=$?
verdict "20 MB of stdout" 0 "$(head -c 20000000 /dev/zero | sha256sum)"
check "user, directory, environment, hostname" 0 "1000 100 /tmp b hh" \
	d run --rm -u 1000:100 -w /tmp -e A=b --hostname hh busybox sh -c 'echo $(id -u) $(id -g) $PWD $A $(hostname)'
check "user by name" 0 "www-data" d run --rm -u www-data busybox whoami
check_has "unknown user" 125 "unable to find user nobodyatall" d run --rm -u nobodyatall busybox true
check "entrypoint" 0 "x y" d run --rm --entrypoint echo busybox x y
check_has "read-only root" 1 "Read-only file system" d run --rm --read-only busybox sh -c 'echo x >/h'
check "a native program is refused" 126 "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec /b/native: permission denied: native binaries need an agent

Run 'docker run --help' for more information" sh -c "mkdir -p $dir/bin && cp /bin/bash $dir/bin/native && '$docker' run --rm -v $dir/bin:/b busybox /b/native"

# ---- diff, export, sizes ----
d run --name changed busybox sh -c 'mkdir /d; printf 12345 >/d/f; ln /d/f /d/g; rm /bin/ls; printf x >>/etc/group; touch /d/ünï'
check "diff" 0 "C /bin
D /bin/ls
A /d
A /d/f
A /d/g
A /d/ünï
C /etc
C /etc/group" d diff changed
check "export is a tar of the whole root" 0 "d/ d/f d/g d/ünï " sh -c "'$docker' export changed | tar tf - | grep ^d/ | sort | tr '\n' ' '"
check "export keeps hard links" 0 "hrw-r--r--" sh -c "'$docker' export changed | tar tvf - d/g | cut -c1-10"
check_has "export leaves out what was deleted" 2 "Not found in archive" sh -c "'$docker' export changed | tar tf - bin/ls"
check_has "ps --size" 0 "(virtual" d ps -as --filter name=changed --format '{{.Size}}'
check "inspect --size" 0 "true" sh -c "[ \$('$docker' inspect -s -f '{{.SizeRw}}' changed) -lt 1000 ] && echo true"
d rm changed >/dev/null

# ---- images ----
d run --name root busybox sh -c 'echo hi >/marker; adduser -D bob; chown bob /marker'
"$docker" export root | d import -c 'CMD ["cat","/marker"]' -c 'ENV A=b C="d e"' - my/img:v1 >"$dir/imported"
check "import prints the id" 0 "sha256:" cut -c1-7 "$dir/imported"
check "an imported image runs, with its changes" 0 "hi" d run --rm my/img:v1
check "an imported image keeps owners and environment" 0 "bob d e" d run --rm my/img:v1 sh -c 'echo $(stat -c %U /marker) $C'
"$docker" export root | gzip | d import - zipped >/dev/null
check "a compressed archive is the same layer" 0 "true" sh -c "[ \$('$docker' image inspect -f '{{.RootFS.Layers}}' my/img:v1) = \$('$docker' image inspect -f '{{.RootFS.Layers}}' zipped) ] && echo true"
d rm root >/dev/null
d tag my/img:v1 other
check "tag and images" 0 "my/img:v1
other:latest" sh -c "'$docker' images --format '{{.Repository}}:{{.Tag}}' | grep -E '^(my|other)' | sort"
check "rmi of one of two names" 0 "Untagged: my/img:v1" d rmi my/img:v1
d create --name holder other >/dev/null
check_has "an image in use stays" 1 'unable to remove repository reference "other" (must force) - container' d rmi other
d rm holder >/dev/null
check_has "rmi of the last name deletes" 0 "Deleted: sha256:" d rmi other
check_has "image prune --all" 0 "untagged: zipped:latest" d image prune -af
check_has "the built-in image stays" 1 "the image is built in" d rmi busybox
check_has "import of no archive" 1 "invalid tar archive" sh -c "echo bad | '$docker' import - bad"
check_has "import with a bad change" 1 "FROM x is not a valid change command" sh -c "echo bad | '$docker' import -c 'FROM x' - bad"
check_has "rmi of nothing" 1 "No such image: nope:latest" d rmi nope
check_has "system df" 0 "Local Volumes" d system df

# ---- runtimes and the synthetic driver ----
check "the serving driver shows" 0 "wasm auto" sh -c "'$docker' run --name shown busybox true &&
	'$docker' inspect -f '{{index .Config.Labels \"sockerless.driver\"}} {{.HostConfig.Runtime}}' shown && '$docker' rm shown >/dev/null"
check_has "an unknown runtime" 125 "unknown or invalid runtime name: foo" d run --rm --runtime foo busybox true
check_has "no agent" 125 "runtime agent: no agent is connected" d run --rm --runtime agent busybox true
check_has "--runtime wasm does not pretend" 126 "native binaries need an agent" d run --rm --runtime wasm -v "$dir/bin:/b" busybox /b/native
check "--runtime synthetic pretends and says so" 0 \
	"sockerless: nothing was executed; the synthetic driver pretends to run: make all" d run --rm --runtime synthetic busybox make all
d run -d --name pretender --runtime synthetic busybox tail -f /dev/null >/dev/null
check "a pretended keep-alive stays" 0 "true synthetic" d inspect -f '{{.State.Running}} {{index .Config.Labels "sockerless.driver"}}' pretender
check "a pretended exec echoes" 0 "make test" d exec pretender make test
check "a pretender's files are real" 0 "passwd" sh -c "'$docker' cp pretender:/etc/passwd - | tar tf -"
d stop pretender >/dev/null
check "a pretender hears TERM" 0 "143" d inspect -f '{{.State.ExitCode}}' pretender
d rm pretender >/dev/null

# ---- log drivers ----
d run --name rotated --log-opt max-size=10k --log-opt max-file=3 busybox sh -c 'i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done' >/dev/null
check "rotated logs end with the newest line" 0 "line 2999" d logs --tail 1 rotated
check "rotated logs have lost the oldest lines" 0 "true" sh -c "n=\$('$docker' logs rotated | wc -l); [ \$n -gt 300 ] && [ \$n -lt 2000 ] && echo true"
check "rotated logs have no gap" 0 "0" sh -c "'$docker' logs rotated | awk 'NR > 1 && \$2 != last + 1 { bad++ } { last = \$2 } END { print bad + 0 }'"
check "rotation keeps max-file files" 0 "3" sh -c "ls $dir/data/containers/*/output.log* | wc -l"
d rm rotated >/dev/null
d run --name unlogged --log-driver none busybox echo hi >/dev/null
check_has "log driver none cannot be read" 1 "does not support reading" d logs unlogged
check "log driver local" 0 "hi" sh -c "'$docker' run --name local --log-driver local busybox echo hi >/dev/null; '$docker' logs local"
d rm unlogged local >/dev/null
check_has "an unknown log driver" 125 "logger: no log driver named 'foo' is registered" d run --log-driver foo busybox true
check_has "a bad max-size" 125 "invalid size: 'x'" d run --log-opt max-size=x busybox true
check_has "an unknown log option" 125 "unknown log opt 'foo' for json-file log driver" d run --log-opt foo=x busybox true

# ---- --init ----
check "--init is pid 1" 0 "2 docker-init" d run --rm --init busybox sh -c 'echo $$ $(cat /proc/1/comm)'
check "--init keeps exit codes" 0 "7 137" sh -c "'$docker' run --rm --init busybox sh -c 'exit 7'; a=\$?; '$docker' run --rm --init busybox sh -c 'kill -9 \$\$'; echo \$a \$?"
d run -d --name init --init busybox sleep 100 >/dev/null
d stop init >/dev/null
check "--init hands TERM on" 0 "143" d inspect -f '{{.State.ExitCode}}' init
d rm init >/dev/null

# ---- binds ----
mkdir "$dir/bind" && echo data >"$dir/bind/f"
check "bind" 0 "data" d run --rm -v "$dir/bind:/mnt/b" busybox sh -c 'cat /mnt/b/f; echo new >/mnt/b/g'
check "bind wrote to the host" 0 "new" cat "$dir/bind/g"
check_has "bind read-only" 1 "Read-only file system" d run --rm -v "$dir/bind:/mnt:ro" busybox sh -c 'echo x >/mnt/h'

# ---- volumes, tmpfs, --mount ----
check "a named volume keeps files and owners" 0 "33:33 data" sh -c "
	'$docker' run --rm -v vol:/v busybox sh -c 'echo data >/v/f; chown 33:33 /v/f' &&
	'$docker' run --rm -v vol:/other:ro busybox sh -c 'echo \$(stat -c %u:%g /other/f) \$(cat /other/f)'"
check_has "a volume read-only" 1 "Read-only file system" d run --rm -v vol:/v:ro busybox sh -c 'echo x >/v/g'
check "a new volume gets the image's files" 0 "root" sh -c "'$docker' run --rm -v etc:/etc busybox true &&
	'$docker' run --rm -v etc:/old busybox head -n 1 /old/passwd | cut -d: -f1"
check "volume ls" 0 "etc
vol" d volume ls -q
check "volume inspect" 0 "vol local local" d volume inspect vol -f '{{.Name}} {{.Driver}} {{.Scope}}'
d run -d --name user -v vol:/v -v /anonymous --mount type=volume,src=etc,dst=/e,ro busybox sleep 100 >/dev/null
check "mounts in inspect" 0 "/v true
/e false
/anonymous true" d inspect user -f '{{range .Mounts}}{{println .Destination .RW}}{{end}}'
check_has "a volume in use stays" 1 "volume is in use - [" d volume rm vol
check "volumes-from" 0 "/anonymous /v" d run --rm --volumes-from user busybox sh -c 'echo $(ls -d /anonymous /v)'
d rm -fv user >/dev/null
check "rm -v takes anonymous volumes and no others" 0 "etc
vol" d volume ls -q
d volume create --label a=b labelled >/dev/null
check "volume filters" 0 "labelled" d volume ls -q --filter label=a=b
check_has "volume prune spares named ones" 0 "Total reclaimed space: 0B" d volume prune -f
check_has "volume prune --all" 0 "labelled" d volume prune -af
check_has "no such volume" 1 "get nope: no such volume" d volume rm nope
check_has "no such volume driver" 1 'error looking up volume plugin foo: plugin "foo" not found' d volume create --driver foo xx
check_has "a bad volume name" 125 'includes invalid characters for a local volume name' d run --rm -v 'v!l:/v' busybox true
check_has "a relative mount path" 125 "mount path must be absolute" d run --rm -v vol:rel busybox true
check_has "two mounts at one place" 125 "Duplicate mount point: /v" d run --rm -v vol1:/v -v vol2:/v busybox true
check_has "--mount of a missing source" 125 "bind source path does not exist: /nonexistent" \
	d run --rm --mount type=bind,src=/nonexistent,dst=/x busybox true
check "tmpfs is empty at each start" 0 "0
0" sh -c "'$docker' run --name tmp --tmpfs /t:size=1m busybox sh -c 'ls /t | wc -l; touch /t/x' && '$docker' start -a tmp"
d rm tmp >/dev/null
check "/dev/shm" 0 "drwxrwxrwt ok" d run --rm busybox sh -c 'echo ok >/dev/shm/f; echo $(ls -ld /dev/shm | cut -c1-10) $(cat /dev/shm/f)'
check "mounts below a read-only root" 0 "/new/place" d run --rm --read-only -v vol:/new/place --tmpfs /new/tmp busybox ls -d /new/place
d volume prune -af >/dev/null

# ---- escapes: the first wall ----
ln -s /etc/passwd "$dir/bind/link"
check_has "a bind's link stays inside" 0 "root:x:0:0:root:/root:/bin/sh" d run --rm -v "$dir/bind:/b" busybox head -1 /b/link
check "a bind's .." 0 "bin dev etc home linuxrc mnt proc root sbin sys tmp usr var" \
	d run --rm -v "$dir/bind:/mnt" busybox sh -c 'cd /mnt && echo $(ls ..)'
check ".. above the root" 0 "bin" d run --rm busybox sh -c 'cd /../../.. && ls -d bin'
check "/proc/self/root" 0 "/proc/self/root/bin/sh" d run --rm busybox ls /proc/self/root/bin/sh
check_has "/proc/1 is the container's" 0 "cat" d run --rm busybox cat /proc/1/cmdline
check_has "mknod" 1 "Operation not permitted" d run --rm busybox mknod /tmp/sda b 8 0
check_has "kill of a foreign pid" 1 "No such process" d run --rm busybox kill -9 "$daemon_pid"
check_has "mount" 1 "permission denied" d run --rm busybox mount -t tmpfs none /mnt
check "fds above the limit" 0 "refused" d run --rm busybox sh -c '(echo x >&1027) 2>/dev/null || echo refused'

# ---- life ----
check_has "create" 0 "" d create --name life busybox sleep 100
check "state: created" 0 "created" d inspect -f '{{.State.Status}}' life
check "start" 0 "life" d start life
check "start again" 0 "life" d start life
check "exec" 0 "2" d exec life sh -c 'echo $$'
check "exec's exit code" 3 "" d exec life sh -c 'exit 3'
got=$(echo in | d exec -i life cat) is=$?
verdict "exec's stdin" 0 "in"
check_has "exec: no such command" 127 "executable file not found" d exec life nosuch
check_has "top" 0 "sleep 100" d top life
check "pause" 0 "life" d pause life
check "state: paused" 0 "paused" d inspect -f '{{.State.Status}}' life
check "unpause" 0 "life" d unpause life
check "rename" 0 "" d rename life life2
check "stop: KILL after its time" 0 "life2" d stop -t 1 life2
check "stop's exit code" 0 "137" d inspect -f '{{.State.ExitCode}}' life2
check_has "remove of a running one" 1 "container is running" sh -c "'$docker' start life2 >/dev/null; '$docker' rm life2"
check "remove by force" 0 "life2" d rm -f life2
check_has "it is gone" 1 "No such container: life2" d logs life2
d run -d --name trap busybox sh -c 'trap "echo bye; exit 5" TERM; while :; do sleep 0.1; done' >/dev/null
sleep 0.3
check "stop runs the trap" 0 "trap" d stop trap
check "its word" 0 "bye" d logs trap
check "its exit code" 0 "5" d inspect -f '{{.State.ExitCode}}' trap
check_has "a name twice" 125 'The container name "/trap" is already in use by container' d run --name trap busybox true
check "wait" 0 "5" d wait trap
check "detached orphans end with pid 1" 0 "" d run --rm busybox sh -c 'sleep 1000 & exit 0'

# ---- logs ----
d run --name logs busybox sh -c 'echo one; echo two >&2; printf three' >/dev/null 2>&1
check "logs" 0 "one
two
three" d logs logs
check "logs --tail" 0 "three" d logs --tail 1 logs
got=$(d logs logs 2>/dev/null) is=$?
verdict "logs of stdout" 0 "one
three"
d run -d --name follow busybox sh -c 'echo a; sleep 0.5; echo b' >/dev/null
check "logs -f" 0 "a
b" d logs -f follow

# ---- files ----
check "copy-up, chown, links" 0 "5:6 755 target 2" d run --rm busybox sh -c \
	'cd /etc && chown 5:6 passwd && chmod 755 passwd && ln passwd p2 && ln -s target l && echo $(stat -c "%u:%g %a" passwd) $(readlink l) $(stat -c %h p2)'
check "removed and made again" 0 "new" d run --rm busybox sh -c 'rm -r /usr/sbin && mkdir /usr/sbin && echo new >/usr/sbin/f && ls /usr/sbin | xargs -I{} cat /usr/sbin/{}'
check "the image stays as it was" 0 "root:x:0:0:root:/root:/bin/sh" d run --rm busybox head -1 /etc/passwd

# ---- docker cp ----
d create --name copy busybox sh -c 'cat /tmp/in; echo out >/tmp/out; mkdir -p /tmp/d/e; echo x >/tmp/d/e/f; ln -s e /tmp/d/l; sleep 100' >/dev/null
echo copied >"$dir/in"
check "cp into a created one" 0 "" d cp -q "$dir/in" copy:/tmp/in
d start copy >/dev/null
sleep 0.5
check "it was there" 0 "copied" d logs copy
check "cp out of a running one" 0 "" d cp -q copy:/tmp/out "$dir/out"
check "its content" 0 "out" cat "$dir/out"
check "cp of a directory" 0 "" d cp -q copy:/tmp/d "$dir/d"
check "its tree" 0 "x e" sh -c "echo \$(cat $dir/d/e/f) \$(readlink $dir/d/l)"
head -c 20000000 /dev/urandom >"$dir/big"
check "cp of 20 MB" 0 "" d cp -q "$dir/big" copy:/tmp/big
check "its sum" 0 "$(sha256sum <"$dir/big")" sh -c "'$docker' exec copy sha256sum /tmp/big | sed 's|/tmp/big|-|'"
check_has "cp of what is not there" 1 "Could not find the file /nothing in container" d cp copy:/nothing "$dir/n"
d rm -f copy >/dev/null

# ---- a terminal ----
if command -v expect >/dev/null; then
	check "terminal: editing, ^C, job control, size" 0 "terminal: all well" timeout 60 tests/cli/terminal.exp "$docker"
fi

# ---- kill -9 of the daemon ----
d run -d --name survivor busybox sh -c 'echo kept; sleep 1000' >/dev/null
sleep 0.3
host_pid=$(d inspect -f '{{.State.Pid}}' survivor)
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
sleep 0.5
got=$(kill -0 "$host_pid" 2>&1 && echo alive) is=0
case $got in *alive) ;; *) got=gone ;; esac
verdict "no process survives the daemon" 0 gone
start_daemon
check "what was told is still so" 0 "exited 137" d inspect -f '{{.State.Status}} {{.State.ExitCode}}' survivor
check "its log is kept" 0 "kept" d logs survivor
check "its exit code of before" 0 "5" d inspect -f '{{.State.ExitCode}}' trap

# ---- many at once ----
for i in $(seq 50); do
	d run --rm busybox echo "$i" >"$dir/out.$i" 2>&1 &
	jobs="${jobs:-} $!"
done
# shellcheck disable=SC2086
wait $jobs
got=$(cat "$dir"/out.* | sort -n | tr '\n' ' ') is=0
verdict "50 at once" 0 "$(seq 50 | tr '\n' ' ')"

# ---- the daemon itself ----
check_has "version" 0 "API version:      1.51" d version
check_has "info" 0 "Storage Driver: sockerless" d info
check_has "images" 0 "busybox" d images
sleep 1.1 # the CLI sends whole seconds
check_has "events" 0 "container die" d events --since 10m --until 0s
check_has "a second daemon is refused" 1 "" "$B/bin/sockerlessd" -H "$DOCKER_HOST" --data-root "$dir/data" --ephemeral
check_has "unknown option" 2 "unknown option --nonsense" "$B/bin/sockerlessd" --nonsense
check_has "TCP beyond loopback" 2 "only loopback is served" "$B/bin/sockerlessd" -H tcp://0.0.0.0:2375
api() { curl -s --max-time 10 --unix-socket "$dir/docker.sock" "$@"; }
check "malformed JSON" 0 "400" api -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"Image"' http://d/v1.43/containers/create
check "wrong type" 0 "400" api -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"Image":5}' http://d/v1.43/containers/create
check "unknown path" 0 '{"message":"page not found"}' api http://d/v1.43/nothing
check_has "too old a version" 0 "client version 1.10 is too old" api http://d/v1.10/info
check_has "too new a version" 0 "client version 1.99 is too new" api http://d/v1.99/info

stop_daemon
got=$daemon_status is=0
verdict "SIGTERM ends it cleanly" 0 0
grep -q 'AddressSanitizer\|runtime error\|LeakSanitizer' "$dir/log" && {
	failed=$((failed + 1))
	cat "$dir/log"
}
echo "cli: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
