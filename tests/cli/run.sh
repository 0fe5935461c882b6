#!/bin/sh
# The real docker CLI against a real daemon. Each check names what it expects;
# the last line sums up. Arguments: the parts to run, all of them by default.
# With ORACLE=1 the daemon is a real dockerd: what it fails is a wrong check.
set -u
cd "$(dirname "$0")/../.."
parts='running options update pid1 lifecycle restarts health stats listing copy files volumes logs attach terminals images build networks traffic load system drivers daemon crash' suite=cli
[ "$(id -u)" -ne 0 ] || parts="$parts unprivileged"
if [ -n "${ORACLE:-}" ]; then
	. tests/support/oracle.sh
	# Not traffic: wget of Debian's BusyBox 1.35.0 dies of SIGSEGV where it cannot connect, natively too.
	parts='running options pid1 lifecycle restarts health stats listing copy files volumes logs attach terminals images build networks load update system' suite=oracle
else
	. tests/support/daemon.sh
fi
. tests/cli/lib.sh
trap clean_up EXIT

start_daemon || exit 1
for part in ${*:-$parts}; do
	# shellcheck disable=SC1090 # one of the files beside this one
	. "tests/cli/$part.sh"
done
stop_daemon
got=$daemon_status is=0
verdict "SIGTERM ends it cleanly" 0 0
grep -q 'AddressSanitizer\|runtime error\|LeakSanitizer\|ThreadSanitizer' "$dir/log" && {
	failed=$((failed + 1))
	cat "$dir/log"
}
echo "$suite: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
