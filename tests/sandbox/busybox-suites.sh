#!/bin/sh
# BusyBox's own tests, from the source package that the guest is built of, run
# in containers: testsuite/runtest and shell/ash_test. What fails must be listed
# in busybox-known-failures.txt (docs/sandbox.md has the causes), and what is
# listed must fail: a list that lies is a failure too.
set -u
cd "$(dirname "$0")/../.."
. tests/support/daemon.sh
trap clean_up EXIT
here=tests/sandbox
runtest_wanted=850 ash_wanted=318
failed=0

# prepare NAME DIRECTORY COMMAND...: a container with the tests in it
prepare() {
	name=$1 where=$2
	shift 2
	"$docker" create --name "$name" -w "$where" busybox "$@" >/dev/null &&
		"$docker" cp -q build/guest/tests/. "$name:/bb" && "$docker" cp -q "$here/busybox-tools/." "$name:/bb/shell/ash_test"
}

start_daemon || exit 1
prepare runtest /bb/testsuite sh -c 'ln -s /bin/busybox /bb/busybox; exec ./runtest' || exit 1
prepare ash /bb/shell/ash_test sh -c 'ln -s /bin/busybox /bb/busybox; exec ./run-all' || exit 1
timeout 1500 "$docker" start -a runtest >"$dir/runtest.out" 2>&1 &
runtest_pid=$!
timeout 1500 "$docker" start -a ash >"$dir/ash.out" 2>&1
wait $runtest_pid

# One form for both: "suite: name".
{
	sed -n 's/^FAIL: /runtest: /p' "$dir/runtest.out"
	sed -n 's/^\(.*\): *fail$/ash: \1/p' "$dir/ash.out"
} | sort >"$dir/failures"
known=$here/busybox-known-failures.txt
# "? " marks a test that races with itself: it may pass or fail.
sed -n 's/^? //p' "$known" >"$dir/racing"
grep -vxFf "$dir/racing" "$dir/failures" >"$dir/failures.sure"
sed '/^[#?]/d; /^$/d' "$known" | sort >"$dir/known"
if ! diff "$dir/known" "$dir/failures.sure" >"$dir/difference"; then
	sed -n 's/^> /NEW FAILURE /p; s/^< /LISTED, BUT PASSES: /p' "$dir/difference"
	failed=1
fi
runtest_passed=$(grep -c '^PASS' "$dir/runtest.out")
ash_passed=$(grep -c ': ok$' "$dir/ash.out")
[ "$runtest_passed" -ge $runtest_wanted ] || failed=1
[ "$ash_passed" -ge $ash_wanted ] || failed=1
[ -z "${KEEP:-}" ] || cp "$dir"/*.out "$KEEP"
echo "busybox: runtest $runtest_passed passed, $(grep -c '^runtest' "$dir/failures") failed;" \
	"ash_test $ash_passed passed, $(grep -c '^ash' "$dir/failures") failed"
exit $failed
