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
	for _ in $(seq 50); do
		[ "$(sandboxed)" -eq 0 ] && break
		sleep 0.1
	done
	echo "$(sandboxed) left"
}

d run --name told busybox sh -c 'echo kept; touch /file; exit 5' >/dev/null
d run -d --name survivor busybox sh -c 'echo kept; sleep 1000 & sleep 1000' >/dev/null
d run -d --name removed --rm busybox sleep 1000 >/dev/null
sleep 0.3
check "processes are there to survive" 0 "true" sh -c "[ $(sandboxed) -ge 5 ] && echo true"
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
check_has "what is left can be removed" 0 "Total reclaimed space" d container prune -f
check "no directory is left" 0 "0" sh -c "ls $dir/data/containers | wc -l"
