# Sourced by run.sh: logs and their drivers.

# ---- logs ----
# Two streams have no order but by time: each line waits until the one before is in the log.
d run -d --name logs busybox sh -c 'echo one; until [ -e /1 ]; do sleep 0.05; done; echo two >&2; until [ -e /2 ]; do sleep 0.05; done; printf three' >/dev/null
soon has_logged logs one
d exec logs touch /1
soon has_logged logs two
d exec logs touch /2
d wait logs >/dev/null
check "logs" 0 "one
two
three" d logs logs
got=$(d logs logs 2>/dev/null) is=$?
verdict "logs of stdout" 0 "one
three"
got=$(d logs logs 2>&1 >/dev/null) is=$?
verdict "logs of stderr" 0 two
check "--tail" 0 "three" d logs --tail 1 logs
check "--tail 0" 0 "" d logs --tail 0 logs
check "--tail all" 0 "one
two
three" d logs --tail all logs
check "a bad --tail is all" 0 "one
two
three" d logs --tail x logs
check_like "--timestamps" 0 "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z one\|[-0-9T:.]+Z two\|[-0-9T:.]+Z three" d logs -t logs
check "--details" 0 " one
 two
 three" d logs --details logs
check "--since later" 0 "" d logs --since 2100-01-01 logs
check "--since before" 0 "one
two
three" d logs --since 1h logs
check "--until before" 0 "" d logs --until 2020-01-01T00:00:00 logs
middle=$(d logs -t logs 2>&1 | sed -n 2s/Z.*/Z/p)
check "--since a line's own time" 0 "two
three" d logs --since "$middle" logs
check "--until a line's own time" 0 "one
two" d logs --until "$middle" logs
check_has "a bad --since" 1 'failed to parse value as time or duration: "x"' d logs --since x logs
check_like "logs of nothing" 1 "Error response from daemon: No such container: nosuch" d logs nosuch
d rm logs >/dev/null

# ---- follow ----
# Until a follower without a first line is seen to be there, lines are written at its asking.
d run -d --name follow busybox sh -c 'echo a; n=0; until [ -e /go ]; do [ -e /say ] && rm /say && n=$((n + 1)) && echo "more $n"; sleep 0.05; done; echo b' >/dev/null
soon has_logged follow a
d logs -f follow >"$dir/followed" 2>&1 &
follower=$!
d logs -f --tail 0 follow >"$dir/followed.new" 2>&1 &
follower_new=$!
soon grep -q a "$dir/followed"
"$docker" logs -f follow >"$dir/followed.killed" 2>&1 & # and one that is killed
killed=$!
soon grep -q a "$dir/followed.killed"
kill -9 $killed
wait $killed 2>/dev/null
new_follows() { d exec follow touch /say; [ -s "$dir/followed.new" ]; }
soon new_follows
d exec follow touch /go
wait $follower
d logs follow >"$dir/followed.all" 2>&1
check "logs -f follows to the end" 0 "" cmp "$dir/followed" "$dir/followed.all"
check "from the first line to the last" 0 "a b" sh -c 'echo $(sed -n "1p;\$p" "$0/followed")' "$dir"
wait $follower_new
check "logs -f --tail 0" 0 "0" sh -c 'grep -cx a "$0/followed.new"; tail -n "$(wc -l <"$0/followed.new")" "$0/followed" | cmp - "$0/followed.new"' "$dir"
check "logs -f of an ended one ends" 0 "$(cat "$dir/followed.all")" d logs -f follow
d start follow >/dev/null
d wait follow >/dev/null
check "a second run's logs follow the first's" 0 "$(cat "$dir/followed.all")
a
b" d logs follow
d rm follow >/dev/null
d run -d --name ticks busybox sh -c 'while :; do echo tick; sleep 0.1; done' >/dev/null
soon has_logged ticks tick
check "logs -f --until ends by itself" 0 "tick" sh -c 'timeout 100 "$docker" logs -f --until $(($(date +%s) + 2)) ticks | tail -n 1'
d rm -f ticks >/dev/null
check "a long line" 0 "100001" sh -c '"$docker" run --name long busybox sh -c "head -c 100000 /dev/zero | tr \"\\0\" x; echo" >/dev/null
	"$docker" logs long | wc -c; "$docker" rm long >/dev/null'

# ---- log drivers ----
d run --name rotated --log-opt max-size=10k --log-opt max-file=3 busybox sh -c 'i=0; while [ $i -lt 6000 ]; do echo line $i; i=$((i+1)); done' >/dev/null
check "rotated logs end with the newest line" 0 "line 5999" d logs --tail 1 rotated
# of three files of 10 KiB; how many lines that is depends on how many are stored together
check "rotated logs have lost the oldest lines" 0 "true" sh -c "n=\$('$docker' logs rotated | wc -c); [ \$n -gt 3000 ] && [ \$n -le 30720 ] && echo true"
check "rotated logs have no gap" 0 "0" sh -c "'$docker' logs rotated | awk 'NR > 1 && \$2 != last + 1 { bad++ } { last = \$2 } END { print bad + 0 }'"
# Where the files lie is ours.
ours check "rotation keeps max-file files" 0 "3" sh -c "ls $dir/data/containers/\$('$docker' inspect -f '{{.Id}}' rotated)/output.log* | wc -l"
d rm rotated >/dev/null

# What is rotated away is compressed, and read as if it were not; a follower that was there from the first line has all.
d run -d --name squeezed --log-opt max-size=10k --log-opt max-file=4 --log-opt compress=true busybox \
	sh -c 'until [ -e /go ]; do sleep 0.05; done; i=0; while [ $i -lt 6000 ]; do echo line $i; i=$((i+1)); done' >/dev/null
d logs -f squeezed >"$dir/squeezed" 2>&1 &
follower=$!
soon has_status squeezed running
d exec squeezed touch /go
wait $follower
check "compressed logs end with the newest line" 0 "line 5999" d logs --tail 1 squeezed
check "compressed logs have no gap" 0 "0 true" sh -c "'$docker' logs squeezed | awk 'NR > 1 && \$2 != last + 1 { bad++ } { last = \$2 } END { print bad + 0, (NR > 400 ? \"true\" : NR) }'"
check "--tail reads into the compressed ones" 0 "300 line 5700 line 5999" sh -c "'$docker' logs --tail 300 squeezed | awk 'NR == 1 { first = \$0 } END { print NR, first, \$0 }'"
ours check "a follower has all" 0 "6000 line 0 line 5999" awk 'NR == 1 { first = $0 } END { print NR, first, $0 }' "$dir/squeezed"
files=$dir/data/containers/$(d inspect -f '{{.Id}}' squeezed)
# The newest of the old is compressed after the fact.
ours check "compression keeps max-file files" 0 "output.log output.log.1.gz output.log.2.gz output.log.3.gz " sh -c "
	for i in \$(seq 1000); do ls $files | grep -q 'half\|log\.[0-9]*\$' || break; sleep 0.05; done; ls $files | grep output.log | tr '\n' ' '"
[ -n "${oracle:-}" ] || gunzip -t "$files"/output.log.*.gz || failed=$((failed + 1))
check "--since in the compressed ones" 0 "true" sh -c "t=\$('$docker' logs -t squeezed | sed -n '100s/ .*//p'); n=\$('$docker' logs --since \$t squeezed | wc -l); [ \$n -gt 300 ] && echo true"
d rm squeezed >/dev/null
d run --name unlogged --log-driver none busybox echo hi >/dev/null
check_has "log driver none cannot be read" 1 "does not support reading" d logs unlogged
check "log driver local" 0 "hi" sh -c "'$docker' run --name local --log-driver local busybox echo hi >/dev/null; '$docker' logs local"
d rm unlogged local >/dev/null
check_like "an unknown log driver" 125 "docker: Error response from daemon: (logger: no log driver named 'foo' is registered|error looking up logging plugin foo: plugin \"foo\" not found)$usage" d run --log-driver foo busybox true
check_has "a bad max-size" 125 "invalid size: 'x'" d run --log-opt max-size=x busybox true
check_has "an unknown log option" 125 "unknown log opt 'foo' for json-file log driver" d run --log-opt foo=x busybox true
