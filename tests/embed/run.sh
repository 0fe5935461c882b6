#!/bin/sh
# Drives the embedding example with the real docker CLI: linked with the shared library on a loop of its own,
# then with the static one on the server's.
set -u
B=${B:-build}
dir=$(mktemp -d)
docker=$(tests/support/docker-cli.sh build/docker-cli)
export DOCKER_HOST="unix://$dir/sock" DOCKER_CONFIG="$dir/config"
passed=0 failed=0 pid=
trap 'test -n "$pid" && kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT

# is NAME EXPECTED ACTUAL
is() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3"
	fi
}

. tests/embed/at-terminal.sh

has() { case $3 in *"$2"*) is "$1" yes yes ;; *) is "$1" "…$2…" "$3" ;; esac; }

start() {
	rm -f "$dir/out"
	"$B/bin/$1" "$2" "$dir/sock" "$dir/data" build/bin/sockerless-sandbox build/guest/rootfs >"$dir/out" 2>"$dir/log" &
	pid=$!
	for _ in $(seq 1000); do
		grep -qs ready "$dir/out" && return
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	cat "$dir/out" "$dir/log"
	echo "embed: $1 does not start"
	exit 1
}

stop() {
	kill -TERM "$pid"
	wait "$pid"
	is "exit code after a stop" 0 $?
	pid=
	grep -E -A30 "ERROR: (Address|Leak)|WARNING: Thread|runtime error" "$dir/log"
	has "nothing left" "0 processes left" "$(cat "$dir/out")"
	is "socket is gone" no "$([ -e "$dir/sock" ] && echo yes || echo no)"
}

overrides() {
	has "header of an override" "X-Embedded: yes" "$(curl -si --unix-socket "$dir/sock" http://d/_ping)"
	has "and the built-in answer" "OK" "$(curl -s --unix-socket "$dir/sock" http://d/_ping)"
	"$docker" create --name renamed busybox true >/dev/null
	has "override with params" "renamed must keep its name, not become other" "$("$docker" rename renamed other 2>&1)"
	"$docker" rm renamed >/dev/null
	has "override with a stream" "embedded-2" "$("$docker" events --until 1s)"
}

sandboxed() {
	is "declined goes to the sandbox" hello "$("$docker" run --rm --name other busybox echo hello)"
}

# The fake names its mounts: every container has these, files of the engine's.
etc="/etc/hosts /etc/hostname /etc/resolv.conf"

fakes() {
	is "output" "early
main echo hi $etc" "$("$docker" run --rm --name fake1 busybox echo hi)"
	"$docker" run --name fake2 busybox thread >/dev/null 2>"$dir/err"
	is "exit code told from a thread" 3 $?
	is "its stderr" "from a thread" "$(cat "$dir/err")"
	is "driver in inspect" fake "$("$docker" inspect -f '{{.GraphDriver.Data.ExecutionDriver}}' fake2)"
	is "logs" "early
main thread $etc
from a thread" "$("$docker" logs fake2 2>&1)"
	has "stdin" "typed" "$(echo typed | "$docker" run --rm -i --name fake3 busybox cat)"
	has "mounts" "/vol" "$("$docker" run --rm --name fake4 -v vol:/vol busybox echo)"
	"$docker" run --rm --name fake5 busybox missing >/dev/null 2>"$dir/err"
	is "missing command" 127 $?
	has "in Docker's words" "executable file not found" "$(cat "$dir/err")"
	has "a factory's own error" "the fake is broken today" "$("$docker" run --rm --name fake6 busybox broken 2>&1)"
}

running() {
	"$docker" run -d --name fake7 busybox sleep >/dev/null
	is "exec" "early
exec ls /" "$("$docker" exec fake7 ls /)"
	has "shell at a terminal" "shell sh" "$(at_terminal "$docker exec -it fake7 sh" "shell sh")"
	has "top" 4711 "$("$docker" top fake7)"
	is "stats" "fake7 4KiB 1" "$("$docker" stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' fake7 | sed 's, / [^ ]*,,')"
	is "cp from root_path" "in the fake's root" "$("$docker" cp fake7:/where - | tar xO)"
	has "pause is refused" "cannot pause" "$("$docker" pause fake7 2>&1)"
	"$docker" stop -t 60 fake7 >/dev/null
	is "stopped by its signal" 143 "$("$docker" inspect -f '{{.State.ExitCode}}' fake7)"
	has "--runtime by the factory's name" "early" "$("$docker" run --rm --name fake8 --runtime fake busybox echo)"
	"$docker" run -d --name fake9 busybox sleep >/dev/null
}

# A container of the factory's lives as others do: probed, started again, ended for good.
lives() {
	"$docker" run -d --name fake10 --restart always --health-cmd well --health-interval 50ms busybox sleep >/dev/null
	for _ in $(seq 1000); do
		[ "$("$docker" inspect -f '{{.State.Health.Status}}' fake10)" = healthy ] && break
		sleep 0.05
	done
	is "health check" "healthy early
exec /bin/sh -c well" "$("$docker" inspect -f '{{.State.Health.Status}} {{with index .State.Health.Log 0}}{{.Output}}{{end}}' fake10)"
	"$docker" exec fake10 true >/dev/null
	"$docker" stop fake10 >/dev/null
	is "stopped for good" "exited 0" "$("$docker" inspect -f '{{.State.Status}} {{.RestartCount}}' fake10)"
	"$docker" run -d --name fake11 --restart on-failure:2 busybox thread >/dev/null
	for _ in $(seq 1000); do
		[ "$("$docker" inspect -f '{{.State.Status}}' fake11)" = exited ] && break
		sleep 0.05
	done
	is "restart policy" "exited 2 3" "$("$docker" inspect -f '{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}' fake11)"
}

# A process that takes no signal: whoever asked is told, once, and the container is as it was.
refusals() {
	"$docker" run -d --name fake12 busybox stubborn >/dev/null
	refused="cannot signal the process: Operation not permitted"
	has "kill is refused" "cannot kill container: fake12: $refused" "$("$docker" kill fake12 2>&1)"
	for attempt in first second; do
		has "removal is refused, $attempt" "cannot remove container \"/fake12\": could not kill: $refused" "$("$docker" rm -f fake12 2>&1)"
	done
	has "stop is refused" "$refused" "$("$docker" stop -t 1 fake12 2>&1)"
	has "and its restart" "$refused" "$("$docker" restart -t 0 fake12 2>&1)"
	is "it lives" running "$("$docker" inspect -f '{{.State.Status}}' fake12)"
	is "the signal that it takes" fake12 "$("$docker" kill -s USR1 fake12 2>&1)"
	is "its end" 138 "$("$docker" wait fake12)"
	is "its removal" fake12 "$("$docker" rm fake12 2>&1)"
}

get() { curl -s --unix-socket "$dir/sock" "http://d$1"; }

described() {
	is "info as described" "somewhere clouds Cloud OS aarch64 77 1099511627776" \
		"$("$docker" info -f '{{.Name}} {{.Driver}} {{.OperatingSystem}} {{.Architecture}} {{.NCPU}} {{.MemTotal}}')"
	is "version as described" arm64 "$("$docker" version -f '{{.Server.Arch}}')"
	has "drivers in info, in their order" "own, fake, " "$("$docker" info -f '{{index (index .DriverStatus 0) 1}}')"
	is "runtimes in info" "fake own" \
		"$("$docker" info -f '{{range $k, $v := .Runtimes}}{{println $k}}{{end}}' | grep -E '^(fake|own|backend|stand-in)$' | xargs)"
}

# What the store has, read by handlers.
stored() {
	"$docker" create --name stored -e A=b --label colour=red -t busybox echo one >/dev/null
	"$docker" volume create kept >/dev/null
	is "containers without JSON" "64 stored busybox created - echo/one A=b red 1 0 0" "$(get /system/df)"
	has "a list of containers" '"Names":["/stored"]' "$(get '/images/search?term=container')"
	for what in container:stored=/containers/stored/json image:busybox=/images/busybox/json network:bridge=/networks/bridge \
		volume:kept=/volumes/kept; do
		is "inspect ${what%%=*}" "$(get "${what#*=}")" "$(get "/images/search?term=${what%%=*}")"
	done
	is "list of images" "$(get /images/json)" "$(get '/images/search?term=image')"
	is "list of networks" "$(get /networks | tr , '\n' | grep '"Name"')" "$(get '/images/search?term=network' | tr , '\n' | grep '"Name"')"
	has "list of volumes" '"Name":"kept"' "$(get '/images/search?term=volume')"
	is "what is not there" '{"message":"No such container: x"} 404' \
		"$(curl -s -w '%{http_code}' --unix-socket "$dir/sock" 'http://d/images/search?term=container:x' | tr '\n' ' ')"
	"$docker" rm stored >/dev/null
	"$docker" volume rm kept >/dev/null
}

# A driver with all four tables.
owned() {
	out=$("$docker" run --name own1 busybox say 7 2>"$dir/err")
	is "own: exit code" 7 $?
	is "own: output in order" "main say 7" "$out"
	is "own: stderr" complaint "$(cat "$dir/err")"
	is "own: its name" own "$("$docker" inspect -f '{{.GraphDriver.Data.ExecutionDriver}}' own1)"
	has "own: refuses in its words" "not today" "$("$docker" run --name own2 busybox refuse 2>&1)"
	has "own: fails after it was accepted" "lost on the way" "$("$docker" run --name own3 busybox lost 2>&1)"
	is "own: its exit code" 127 "$("$docker" inspect -f '{{.State.ExitCode}}' own3)"
	"$docker" run --name own4 busybox oom >/dev/null 2>&1
	is "own: out of memory" "137 true" "$("$docker" inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' own4)"
	is "own: stdin" "main cat
typed" "$(echo typed | "$docker" run --rm -i --name own5 busybox cat 2>/dev/null)"
	"$docker" run -d --name own6 busybox sleep >/dev/null
	is "own: pid" 4242 "$("$docker" inspect -f '{{.State.Pid}}' own6)"
	is "own: exec" "exec say 3
code 3" "$("$docker" exec own6 say 3 2>/dev/null; echo "code $?")"
	has "own: exec declined goes on to the last driver" "need an agent" "$("$docker" exec own6 decline 2>&1)"
	is "own: top" "7 sleep 8 sleep" "$("$docker" top own6 -o pid,cmd | tail -n +2 | xargs)"
	is "own: stats" "8KiB 3" "$("$docker" stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' own6 | sed 's, / [^ ]*,,')"
	"$docker" pause own6 >/dev/null
	is "own: paused" paused "$("$docker" inspect -f '{{.State.Status}}' own6)"
	has "own: an answer that says no" "frozen fast" "$("$docker" unpause own6 2>&1)"
	is "own: unpaused at last" own6 "$("$docker" unpause own6 2>&1)"
	"$docker" update -m 64m --memory-swap 64m --pids-limit 9 --cpus 1.5 own6 >/dev/null
	has "own: update" "limits 67108864 9 1500000000" "$("$docker" logs own6 2>&1)"
	has "own: a signal that is declined" "cannot send this signal" "$("$docker" kill -s USR2 own6 2>&1)"
	is "own: cp from it" own-file "$("$docker" cp own6:/file - | tr -d '\0')"
	has "own: not there" "Could not find the file /missing in container own6" "$("$docker" cp own6:/missing - 2>&1)"
	has "own: not there, told later" "Could not find the file /later in container own6" "$("$docker" cp own6:/later - 2>&1)"
	"$docker" cp tests/embed/run.sh own6:/dir >/dev/null 2>&1
	is "own: changes" "A /a D /d" "$("$docker" diff own6 | xargs)"
	is "own: size" "1kB (virtual 5kB)" "$("$docker" ps -s --filter name=own6 --format '{{.Size}}')"
	has "own: export" "nothing to export" "$("$docker" export own6 2>&1 >/dev/null)"
	"$docker" stop own6 >/dev/null
	is "own: stopped" 143 "$("$docker" inspect -f '{{.State.ExitCode}}' own6)"
	is "own: cp when it does not run" "/bin" "$("$docker" cp own6:/bin - 2>/dev/null | tar t 2>/dev/null | sed -n 's,^bin/$,/bin,p' | head -1)"
	"$docker" rm own6 >/dev/null
	for _ in $(seq 1000); do grep -qs 'own: 64 removed' "$dir/out" && break; sleep 0.05; done
	is "own: cleanup" "own: 64 removed" "$(grep -m1 'own: 64 removed' "$dir/out")"
	has "own: put" "own: put /, some 1" "$(cat "$dir/out")"
	"$docker" run -d --name own7 busybox sleep >/dev/null # left for the stop
}

# Another factory takes the place of one that runs a container.
changed() {
	kill -USR1 "$pid"
	for _ in $(seq 1000); do grep -qs "factory changed" "$dir/out" && break; sleep 0.05; done
	is "new factory" "early
main echo $etc" "$("$docker" run --rm --name late1 busybox echo)"
	is "the old one starts nothing" sandboxed "$("$docker" run --rm --name fake20 busybox echo sandboxed)"
	is "but runs what it ran" "early
exec echo" "$("$docker" exec fake9 echo)"
	is "not closed while something runs" "" "$(grep 'factory for fake' "$dir/out")"
	"$docker" rm -f fake9 >/dev/null
	for _ in $(seq 1000); do grep -qs "factory for fake is closed" "$dir/out" && break; sleep 0.05; done
	has "closed with its last process" "factory for fake is closed" "$(cat "$dir/out")"
}

mkdir "$dir/lives"
case $B in *san-*) cycles=${CYCLES:-100} ;; *) cycles=${CYCLES:-1000} ;; esac # a sanitizer finds a leak in the first
"$B/bin/embed-static" lives - "$dir/lives" build/bin/sockerless-sandbox build/guest/rootfs >"$dir/out" 2>"$dir/log"
is "lives of a server" 0 $?
is "a thousand lives leave nothing" "0 0" "$("$B/bin/embed-static" cycles "$cycles" "$dir/lives" build/bin/sockerless-sandbox build/guest/rootfs 2>&1 | tee -a "$dir/log" | sed -n 's/^grown: //p')"
is "expectations" "" "$(grep -E '^lives:|ERROR|WARNING: Thread' "$dir/log")"

for mode in attach run; do
	[ "$mode" = attach ] && start embed-shared attach || start embed-static run
	has "log callback" "embed: 1 listening on" "$(cat "$dir/log")"
	overrides
	described
	stored
	sandboxed
	fakes
	owned
	running
	lives
	refusals
	changed
	stop
	has "every factory is closed" "factory for late is closed" "$(cat "$dir/out")"
	has "and the driver, with nothing left" "own: closed with 0" "$(cat "$dir/out")"
	rm -rf "$dir/data"
done
is "exported names" "" "$(nm -D --defined-only "$B/lib/libsockerless.so" | awk '$2 != "A" && $3 !~ /^sockerless_/ { print $3 }')"
is "names of the static library" "" "$(nm -g --defined-only "$B/lib/libsockerless.a" | awk 'NF == 3 && $3 !~ /^sockerless_/ { print $3 }')"
echo "embed: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
