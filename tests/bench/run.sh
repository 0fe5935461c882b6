#!/bin/sh
# Wall times of the usual operations, next to the CLI's own start (docker
# --version): machines differ, the ratio tells.
set -eu
cd "$(dirname "$0")/../.."
. tests/support/daemon.sh
trap clean_up EXIT
start_daemon
runs=${RUNS:-30}
api() { curl -s --unix-socket "$dir/docker.sock" "$@" >/dev/null; }
now() { date +%s%N; }
measure() {
	name=$1
	shift
	start=$(now)
	for _ in $(seq "$runs"); do "$@" >/dev/null 2>&1; done
	us=$((($(now) - start) / runs / 1000))
	[ -n "${base:-}" ] || base=$us
	printf '%-34s %6d.%03d ms   %5d %% of the CLI alone\n' "$name" $((us / 1000)) $((us % 1000)) $((us * 100 / base))
}
measure "docker --version (the CLI alone)" "$docker" --version
measure "curl _ping" api http://d/_ping
measure "docker run --rm busybox true" "$docker" run --rm busybox true
measure "docker create" "$docker" create busybox true
"$docker" run -d --name bench busybox sleep 600 >/dev/null
measure "docker exec true" "$docker" exec bench true
measure "docker ps" "$docker" ps
grep -h VmRSS "/proc/$daemon_pid/status" | awk '{ printf "daemon memory %25d KiB\n", $2 }'
"$docker" rm -f bench >/dev/null
