#!/bin/sh
# Runs each given test binary under a time limit; a last line sums up. RUN: a command to run them under;
# LIMIT: seconds.
set -u
passed=0 failed=0
for t in "$@"; do
	if out=$(timeout "${LIMIT:-120}" ${RUN:-} "$t" 2>&1); then
		passed=$((passed + 1))
		echo "ok   $(basename "$t")"
	else
		failed=$((failed + 1))
		printf '%s\nFAIL %s\n' "$out" "$(basename "$t")"
	fi
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
