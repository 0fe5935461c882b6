#!/bin/sh
# Images against other people's programs: what we save is read by skopeo, umoci and (where it is installed) podman, what
# they write is loaded here, and a whole Debian comes back as it went. Arguments: the parts to run, all by default.
set -u
cd "$(dirname "$0")/../.." || exit 1
parts='trips xattrs skopeo umoci podman debian crash'
SERVICES=no tests/support/install-packages.sh skopeo umoci docker-registry python3 || exit 1
. tests/support/daemon.sh
. tests/cli/lib.sh
trap clean_up EXIT

start_daemon || exit 1
for part in ${*:-$parts}; do
	# shellcheck disable=SC1090 # one of the files beside this one
	. "tests/images/$part.sh"
done
stop_daemon
got=$daemon_status is=0
verdict "SIGTERM ends it cleanly" 0 0
grep -q 'AddressSanitizer\|runtime error\|LeakSanitizer' "$dir/log" && {
	failed=$((failed + 1))
	cat "$dir/log"
}
echo "images: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
