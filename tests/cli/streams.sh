# Sourced by run.sh: logs, attach, terminals.

# ---- logs ----
d run --name logs busybox sh -c 'echo one; echo two >&2; printf three' >/dev/null 2>&1
check "logs" 0 "one
two
three" d logs logs
check "logs --tail" 0 "three" d logs --tail 1 logs
got=$(d logs logs 2>/dev/null) is=$?
verdict "logs of stdout" 0 "one
three"
d run -d --name follow busybox sh -c 'echo a; sleep 0.5; echo b' >/dev/null
check "logs -f" 0 "a
b" d logs -f follow

# ---- log drivers ----
d run --name rotated --log-opt max-size=10k --log-opt max-file=3 busybox sh -c 'i=0; while [ $i -lt 8000 ]; do echo line $i; i=$((i+1)); done' >/dev/null
check "rotated logs end with the newest line" 0 "line 7999" d logs --tail 1 rotated
check "rotated logs have lost the oldest lines" 0 "true" sh -c "n=\$('$docker' logs rotated | wc -l); [ \$n -gt 300 ] && [ \$n -lt 3500 ] && echo true"
check "rotated logs have no gap" 0 "0" sh -c "'$docker' logs rotated | awk 'NR > 1 && \$2 != last + 1 { bad++ } { last = \$2 } END { print bad + 0 }'"
check "rotation keeps max-file files" 0 "3" sh -c "ls $dir/data/containers/\$('$docker' inspect -f '{{.Id}}' rotated)/output.log* | wc -l"
d rm rotated >/dev/null
d run --name unlogged --log-driver none busybox echo hi >/dev/null
check_has "log driver none cannot be read" 1 "does not support reading" d logs unlogged
check "log driver local" 0 "hi" sh -c "'$docker' run --name local --log-driver local busybox echo hi >/dev/null; '$docker' logs local"
d rm unlogged local >/dev/null
check_has "an unknown log driver" 125 "logger: no log driver named 'foo' is registered" d run --log-driver foo busybox true
check_has "a bad max-size" 125 "invalid size: 'x'" d run --log-opt max-size=x busybox true
check_has "an unknown log option" 125 "unknown log opt 'foo' for json-file log driver" d run --log-opt foo=x busybox true

# ---- a terminal ----
if command -v expect >/dev/null; then
	check "terminal: editing, ^C, job control, size" 0 "terminal: all well" timeout 60 tests/cli/terminal.exp "$docker"
fi

# ---- attach ----
check "stdin's end reaches the process" 0 "a
b" sh -c "printf 'a\nb' | '$docker' run -i --rm busybox cat"
d run -d --name talker busybox sh -c 'sleep 1; echo said; echo loud >&2' >/dev/null
for i in 1 2 3; do
	d attach talker >"$dir/attached.$i" 2>&1 </dev/null &
	attached="${attached:-} $!"
done
# shellcheck disable=SC2086
wait $attached
check "several clients get all of it" 0 "3 3" sh -c "echo \$(cat $dir/attached.* | grep -c said) \$(cat $dir/attached.* | grep -c loud)"
check "start -a" 0 "said" sh -c "'$docker' start -a talker 2>/dev/null"
d run -di --name reader busybox sh -c 'while read x; do echo "got $x"; done; echo end' >/dev/null
d attach reader >"$dir/killed" 2>&1 </dev/zero &
killed=$!
sleep 0.3
kill -9 $killed
wait $killed 2>/dev/null
check "a client killed in the middle harms nobody" 0 "true" d inspect -f '{{.State.Running}}' reader
check "start -ai" 0 "got hello
end" sh -c "'$docker' rm -f reader >/dev/null; '$docker' create -i --name reader busybox sh -c 'while read x; do echo \"got \$x\"; done; echo end' >/dev/null
	echo hello | '$docker' start -ai reader"
d rm -f talker reader >/dev/null
