# Sourced by the replays of runners that use the docker CLI only. d is the CLI under a time limit.
passed=0 failed=0
d() { timeout 60 docker "$@"; }

# expect NAME STATUS OUTPUT COMMAND...: the status, and the whole output (of stdout and stderr).
expect() {
	name=$1 status=$2 want=$3
	shift 3
	got=$("$@" 2>&1)
	is=$?
	if [ "$is" = "$status" ] && [ "$got" = "$want" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n  wanted %s: %s\n  got    %s: %s\n' "$name" "$status" "$want" "$is" "$got"
	fi
}
# likely NAME PATTERN COMMAND...: it succeeds, and its output has the pattern.
likely() {
	name=$1 pattern=$2
	shift 2
	if got=$("$@" 2>&1) && printf '%s\n' "$got" | grep -qE -- "$pattern"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n  wanted %s\n  got    %s\n' "$name" "$pattern" "$got"
	fi
}
verdict() {
	echo "$1: $passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
