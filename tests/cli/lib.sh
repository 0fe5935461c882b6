# Sourced by run.sh: how a check is made. d is the docker CLI under a time limit.
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

# Before a check of what is so by our design and not Docker's: the reason stands beside it.
ours() { [ -n "${oracle:-}" ] || "$@"; }
