# Sourced by run.sh: the daemon killed at any moment.

# ---- kill -9 of the daemon ----
kill_daemon() {
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}

# Everything of the sandbox runs this run's own program.
sandboxed() { for p in /proc/[0-9]*; do readlink "$p/exe"; done 2>/dev/null | grep -c "^$dir/sockerless-sandbox"; }

gone_soon() {
	for _ in $(seq 600); do
		[ "$(sandboxed)" -eq 0 ] && break
		sleep 0.1
	done
	echo "$(sandboxed) left"
}

d run --name told busybox sh -c 'echo kept; touch /file; exit 5' >/dev/null
d run -d --name survivor busybox sh -c 'echo kept; sleep 1000 & sleep 1000' >/dev/null
d run -d --name removed --rm busybox sleep 1000 >/dev/null
are_many() { [ "$(sandboxed)" -ge 5 ]; }
check "processes are there to survive" 0 "" soon are_many
kill_daemon
check "no process survives the daemon" 0 "0 left" gone_soon
start_daemon
check "what ran has exited" 0 "exited 137" d inspect -f '{{.State.Status}} {{.State.ExitCode}}' survivor
check "its log is kept" 0 "kept" d logs survivor
check "an exit code of before" 0 "5" d inspect -f '{{.State.ExitCode}}' told
check "files of before" 0 "A /file" d diff told
check_has "--rm holds over the crash" 1 "No such" d inspect removed
d rm told survivor >/dev/null

# ---- at any moment ----
# Each round runs containers until the daemon dies, and writes down what was told.
round() {
	: >"$dir/told"
	(
		k=0
		while kill -0 "$daemon_pid" 2>/dev/null && [ $k -lt 200 ]; do
			k=$((k + 1))
			name="round$1.$k"
			"$docker" run --name "$name" busybox sh -c "echo word $k; exit 3" >/dev/null 2>&1
			[ $? -eq 3 ] && echo "$name $k" >>"$dir/told"
		done
	) &
	runner=$!
	soon test -s "$dir/told" # whatever the machine does else
	sleep "0.$((1 + $1 * 7 % 10))"
	kill_daemon
	wait $runner
	gone_soon >"$dir/left"
	start_daemon
}

lies() {
	while read -r name k; do
		[ "$(d inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$name")" = "exited 3" ] || echo "$name: state"
		[ "$(d logs "$name")" = "word $k" ] || echo "$name: log"
	done <"$dir/told"
	d ps -a --filter status=running --filter status=paused -q
}

for i in 1 2 3 4 5; do
	round $i
	check "round $i: no process survives" 0 "0 left" cat "$dir/left"
	check "round $i: something was told" 0 "true" sh -c "[ -s $dir/told ] && echo true"
	check "round $i: what was told is so" 0 "" lies
done
# ---- in the middle of one kind of work ----
# The work goes on in a loop until the daemon dies; what it told is in $dir/told.
dies_while() { # NAME COMMAND...
	what=$1
	shift
	: >"$dir/told"
	(
		k=0
		while kill -0 "$daemon_pid" 2>/dev/null && [ $k -lt 500 ]; do
			k=$((k + 1))
			"$@" $k >/dev/null 2>&1 && echo $k >>"$dir/told"
		done
	) &
	runner=$!
	soon test -s "$dir/told"
	sleep 0.2
	kill_daemon
	wait $runner
	check "killed in $what: no process survives" 0 "0 left" gone_soon
	start_daemon
}
last_told() { tail -n 1 "$dir/told"; }

one_create() { "$docker" create --name "create.$1" -l n="$1" busybox echo "$1"; }
dies_while create one_create
check "what was created is there" 0 "" sh -c 'while read k; do [ "$("$docker" inspect -f "{{.Config.Labels.n}} {{.State.Status}}" create.$k)" = "$k created" ] || echo "create.$k"; done <"$0/told"' "$dir"
check "and can be started" 0 "$(last_told)" d start -a "create.$(last_told)"

one_start() { "$docker" run -d --name "start.$1" busybox sleep 1000; }
dies_while start one_start
check "what was started has exited" 0 "" sh -c 'while read k; do [ "$("$docker" inspect -f "{{.State.Status}} {{.State.ExitCode}}" start.$k)" = "exited 137" ] || echo "start.$k"; done <"$0/told"' "$dir"

d run -d --name crashed busybox sleep 1000 >/dev/null
one_exec() { "$docker" exec crashed sh -c "echo $1 >/exec.$1"; }
dies_while exec one_exec
check "what execs wrote is there" 0 "" sh -c '"$docker" diff crashed >"$0/diff"; while read k; do grep -qx "A /exec.$k" "$0/diff" || echo "exec.$k"; done <"$0/told"' "$dir"

d start crashed >/dev/null
head -c 1000000 /dev/urandom >"$dir/mega"
one_copy() { "$docker" cp -q "$dir/mega" "crashed:/mega.$1"; }
dies_while cp one_copy
check "what was copied is whole" 0 "" sh -c 'sum=$(sha256sum <"$0/mega"); while read k; do [ "$("$docker" cp "crashed:/mega.$k" - | tar xO | sha256sum)" = "$sum" ] || echo "mega.$k"; done <"$0/told"' "$dir"
check "and it starts again" 0 "crashed" d start crashed
d rm -f crashed >/dev/null

check_has "what is left can be removed" 0 "Total reclaimed space" d container prune -f
# What has been removed is deleted after the fact.
check "no directory is left" 0 "" soon sh -c '[ -z "$(ls "$0/data/containers")" ]' "$dir"
