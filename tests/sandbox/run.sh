#!/bin/sh
# What a guest process sees of processes, signals, terminals, pauses and limits,
# behind both walls, through a real daemon. Arguments: the parts to run.
set -u
cd "$(dirname "$0")/../.."
. tests/support/daemon.sh
. tests/cli/lib.sh
trap clean_up EXIT

# For scripts in containers: until COMMAND... holds.
until_so='u() { for i in $(seq 1000); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; return 1; }
	state() { cut -d" " -f3 "/proc/$1/stat"; }; is() { [ "$(state "$1")" = "$2" ]; }'

export SOCKERLESS_CGROUP=none # the part cgroup has one
start_daemon || exit 1
for part in ${*:-escapes processes signals terminals pause limits storage attributes cgroup sockets}; do
	# shellcheck disable=SC1090 # one of the files beside this one
	. "tests/sandbox/parts/$part.sh"
done
stop_daemon
echo "sandbox: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
