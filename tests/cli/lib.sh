# Sourced by run.sh: how a check is made. d is the docker CLI under a time limit.
passed=0 failed=0

d() { timeout 180 "$docker" "$@"; }
export docker # for checks that are a script: sh -c '"$docker" …'

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

# The same, where the whole output (its lines joined by |) needs to match an
# extended regular expression, and the status one of "1 255". For words that
# Docker 20.10, the oracle, has otherwise than Docker 28, whose words are ours.
check_like() {
	name=$1 status=$2 want=$3
	shift 3
	got=$("$@" 2>&1 </dev/null)
	is=$?
	case " $status " in *" $is "*) status=$is ;; esac
	printf %s "$got" | tr -d '\r' | tr '\n' '|' | grep -qE "^($want)\$" && got=$want
	verdict "$name" "$status" "$want"
}

# Before a check of what is so by our design and not Docker's: the reason stands beside it.
ours() { [ -n "${oracle:-}" ] || "$@"; }

# What has to come true by itself has time, which costs nothing where it does.
soon() {
	for _ in $(seq 1000); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}
has_logged() { d logs "$1" 2>&1 | grep -qF -- "$2"; }
has_status() { [ "$(d inspect -f '{{.State.Status}}' "$1" 2>&1)" = "$2" ]; }
has_logged_times() { [ "$(d logs "$1" 2>&1 | grep -cF -- "$2")" -ge "$3" ]; }
is_gone() { ! d inspect "$1" >/dev/null 2>&1; }
# Processes of container $1 whose command holds $2.
runs() { d top "$1" 2>/dev/null | grep -qF -- "$2"; }

# The words around a refused start. 20.10 knows no "failed to create task" yet.
start_fails='docker: Error response from daemon: (failed to create task for container: )?failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: '
usage="\|\|Run 'docker run --help' for more information"
