#!/bin/sh
# The two examples of docs/embedding.md, with the real docker CLI: a backend whose containers run in a cloud (that
# pretends), and a process factory that runs them on this host.
set -u
B=${B:-build}
dir=$(mktemp -d)
docker=$(tests/support/docker-cli.sh build/docker-cli)
export DOCKER_HOST="unix://$dir/sock" DOCKER_CONFIG="$dir/config"
passed=0 failed=0 pid=
trap 'test -n "$pid" && kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT

. tests/embed/at-terminal.sh

is() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3"
	fi
}
has() { case $3 in *"$2"*) is "$1" yes yes ;; *) is "$1" "…$2…" "$3" ;; esac; }
# soon NAME EXPECTED COMMAND...: comes true by itself
soon() {
	name=$1 expected=$2
	shift 2
	for _ in $(seq 1000); do
		got=$("$@" 2>&1)
		[ "$got" = "$expected" ] && break
		sleep 0.05
	done
	is "$name" "$expected" "$got"
}

start() {
	rm -f "$dir/out"
	"$B/bin/$1" "$dir/sock" "$dir/$1" build/bin/sockerless-sandbox build/guest/rootfs >"$dir/out" 2>"$dir/log" &
	pid=$!
	soon "$1 starts" ready head -1 "$dir/out"
}

stop() {
	kill -TERM "$pid"
	wait "$pid"
	is "exit code after a stop" 0 $?
	pid=
	grep -E -A30 "ERROR: (Address|Leak)|WARNING: Thread|runtime error" "$dir/log"
	is "no report of a sanitizer" "" "$(grep -cE 'ERROR: (Address|Leak)|runtime error' "$dir/log" | grep -v '^0$')"
}

state() { "$docker" inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$1"; }

# ---- the cloud ----

start cloud_backend
is "info" "example-cloud cloud 1024" "$("$docker" info -f '{{.Name}} {{.Driver}} {{.NCPU}}')"
id=$("$docker" run -d --name task1 --restart always busybox work hard)
is "run -d answers the id" 64 "$(printf %s "$id" | wc -c)"
is "ps" "task1 Up" "$("$docker" ps --format '{{.Names}} {{.Status}}' | cut -d' ' -f1,2)"
is "its driver" backend "$("$docker" inspect -f '{{index .Config.Labels "sockerless.driver"}}' task1)"
soon "logs" "tick 1" sh -c "'$docker' logs task1 | head -1"
is "logs --tail" 1 "$("$docker" logs --tail 1 task1 | wc -l)"
timeout 180 "$docker" logs -f task1 >"$dir/follow" &
follower=$!
"$docker" wait task1 >"$dir/wait" &
waiter=$!
soon "it is followed" yes sh -c "[ \$(wc -l <'$dir/follow') -gt 2 ] && echo yes || echo no"
has "rm is refused while it runs" "stop the container before removing or force remove" "$("$docker" rm task1 2>&1)"
is "start once more" task1 "$("$docker" start task1)"
is "stop" task1 "$("$docker" stop task1)"
is "stopped, and no policy starts it again" "exited 143" "$(state task1)"
wait "$waiter"
is "wait" 143 "$(cat "$dir/wait")"
wait "$follower"
is "followers come to the end" 0 $?
is "every line once, in order" "$("$docker" logs task1)" "$(cat "$dir/follow")"
is "stop once more" task1 "$("$docker" stop task1)"
is "ps shows it no more" "" "$("$docker" ps -q)"
is "and started again" task1 "$("$docker" start task1)"
is "runs" "running 0" "$(state task1)"
is "rm -f" task1 "$("$docker" rm -f task1)"
is "it is gone" "" "$("$docker" ps -aq)"
is "run in the foreground" "hello cloud" "$("$docker" run --rm busybox echo hello cloud)"
"$docker" run --name task2 busybox exit 42
is "the exit code" 42 $?
is "in inspect" "exited 42" "$(state task2)"
has "no capacity" "the cloud has no capacity" "$("$docker" run -d --name task3 busybox fail 2>&1)"
is "is not running" "created 0" "$(state task3)"
"$docker" run -d --name task4 busybox work >/dev/null
is "kill" task4 "$("$docker" kill -s INT task4)"
soon "killed" "exited 130" state task4
is "started again" task4 "$("$docker" start task4)"
has "exec is refused" "cannot run further processes" "$("$docker" exec task4 ls 2>&1)"
has "its files are those that it has here" "bin/busybox" "$("$docker" cp task4:/bin - | tar t)"
has "pause is refused" "cannot pause" "$("$docker" pause task4 2>&1)"
has "no such container" "No such container: nobody" "$("$docker" logs nobody 2>&1)"
timeout 180 "$docker" logs -f task4 >"$dir/follow4" 2>&1 & # is let go by what follows
follower=$!
soon "another follower" yes sh -c "[ -s '$dir/follow4' ] && echo yes || echo no"
lines=$("$docker" logs task4 | wc -l)
: >"$dir/out"
kill -HUP "$pid"
soon "a new server" ready head -1 "$dir/out"
wait $follower
soon "has taken the container over" "running 0" state task4
is "which has run on" yes "$([ "$("$docker" logs task4 | wc -l)" -ge "$lines" ] && echo yes || echo no)"
is "and can be stopped" "task4" "$("$docker" stop task4)"
is "others are as they were" "exited 42" "$(state task2)"
"$docker" run -d --name task5 busybox work >/dev/null # is left to the cloud
stop

# ---- host processes ----

start host_processes
run() { "$docker" run --rm "$@"; }
is "a program of the host's" "$(uname -m)" "$(run busybox uname -m)"
out=$(run busybox sh -c 'echo out; echo err >&2; exit 7' 2>"$dir/err")
is "exit code" "7 out err" "$? $out $(cat "$dir/err")"
is "stdin to its end" "3" "$(printf 'a\nb\nc\n' | run -i busybox sh -c 'wc -l' | tr -d ' ')"
is "a lot of it" "8388608" "$(head -c 8388608 /dev/zero | run -i busybox wc -c)"
is "and of output" "8388608" "$(run busybox head -c 8388608 /dev/zero | wc -c)"
run busybox no-such-program >/dev/null 2>"$dir/err"
is "no such program" "127" $?
run busybox /etc/passwd >/dev/null 2>&1
is "not to be executed" 126 $?
run busybox sh -c 'kill -9 $$' >/dev/null
is "ended by a signal" 137 $?
is "environment" "b" "$(run -e A=b busybox sh -c 'echo $A')"
is "a terminal" "/dev/pts" "$(at_terminal "$docker run --rm -it busybox sh -c 'tty; read -r line'" '/dev/pts/[0-9]+\r' | sed 's,/[0-9]*$,,')"
is "its size" "33 77" "$(at_terminal "stty rows 33 cols 77; $docker run --rm -it busybox sh -c 'until [ \"\$(stty size)\" = \"33 77\" ]; do sleep 0.05; done; stty size; read -r line'" '33 77\r' | tail -1)"
"$docker" run -d --name host1 busybox sh -c 'trap "echo told; exit 3" TERM; while :; do echo alive; sleep 0.1; done' >/dev/null
is "a pid of this host" yes "$(kill -0 "$("$docker" inspect -f '{{.State.Pid}}' host1)" 2>/dev/null && echo yes || echo no)"
soon "logs" alive sh -c "'$docker' logs host1 | head -1"
out=$("$docker" exec host1 sh -c 'echo in exec; exit 5')
is "exec" "5 in exec" "$? $out"
is "exec with stdin" "piped" "$(echo piped | "$docker" exec -i host1 cat)"
"$docker" exec host1 no-such-program >"$dir/err" 2>&1
is "exec: no such program" 127 $?
is "exec at a terminal" "/dev/pts" "$(at_terminal "$docker exec -it host1 sh -c 'tty; read -r line'" '/dev/pts/[0-9]+\r' | sed 's,/[0-9]*$,,')"
timeout 180 "$docker" attach --no-stdin host1 >"$dir/attached" &
attached=$!
"$docker" wait host1 >"$dir/wait" &
waiter=$!
soon "it is attached to" yes sh -c "grep -q alive '$dir/attached' && echo yes || echo no"
"$docker" pause host1 >/dev/null
n=-1 # what it wrote before may still be on its way
until [ "$n" = "$("$docker" logs host1 | wc -l)" ]; do n=$("$docker" logs host1 | wc -l); sleep 0.3; done
sleep 0.3
is "paused" "$n" "$("$docker" logs host1 | wc -l)"
"$docker" unpause host1 >/dev/null
is "stop" host1 "$("$docker" stop host1)"
wait "$waiter"
is "wait" 3 "$(cat "$dir/wait")"
wait "$attached"
is "attach ends with its code" 3 $?
is "and has seen the end" told "$(tail -1 "$dir/attached")"
is "restart" host1 "$("$docker" restart host1)"
is "rm -f" host1 "$("$docker" rm -f host1)"
is "a container for the sandbox" "hello" "$(run --label sandbox=1 busybox echo hello)"
is "by runtime" "hello" "$(run --runtime wasm busybox echo hello)"
"$docker" run -d --name host2 busybox sleep 600 >/dev/null
left=$("$docker" inspect -f '{{.State.Pid}}' host2)
stop
is "nothing is left behind" no "$(kill -0 "$left" 2>/dev/null && echo yes || echo no)"

echo "examples: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
