# Sourced by run.sh: attach, and clients that come, leave and are killed.

check "stdin's end reaches the process" 0 "a
b" sh -c 'printf "a\nb" | "$docker" run -i --rm busybox cat'

# ---- several at once ----
# A client is attached when it has heard something.
d run -d --name talker busybox sh -c 'while [ ! -e /go ]; do echo here; sleep 0.05; done; echo said; echo loud >&2; exit 7' >/dev/null
attached=
for i in 1 2 3; do
	d attach talker >"$dir/attached.$i" 2>&1 </dev/null &
	attached="$attached $!"
done
d attach --no-stdin talker >"$dir/attached.4" 2>&1 &
attached="$attached $!"
for i in 1 2 3 4; do soon grep -q here "$dir/attached.$i"; done
d exec talker touch /go
codes=
for p in $attached; do
	wait "$p"
	codes="$codes $?"
done
check "several clients get all of it" 0 "4 4" sh -c 'echo $(cat "$0"/attached.* | grep -c said) $(cat "$0"/attached.* | grep -c loud)' "$dir"
check "each gets the exit code" 0 " 7 7 7 7" echo "$codes"
check "start -a" 7 "said" sh -c '"$docker" start -a talker 2>/dev/null'
d rm talker >/dev/null

# ---- stdin ----
d run -di --name reader busybox sh -c 'while read x; do echo "got $x"; done; echo end' >/dev/null
mkfifo "$dir/words"
yes >"$dir/words" &
words=$!
"$docker" attach reader >"$dir/killed" 2>&1 <"$dir/words" &
killed=$!
soon grep -q "got y" "$dir/killed"
kill -9 $killed
wait $killed 2>/dev/null
wait $words 2>/dev/null
check "a client killed in the middle harms nobody" 0 "true" d inspect -f '{{.State.Running}}' reader
d rm -f reader >/dev/null
d create -i --name reader busybox sh -c 'while read x; do echo "got $x"; done; echo end' >/dev/null
check "start -ai" 0 "got hello
end" sh -c 'echo hello | "$docker" start -ai reader'
check "and again" 0 "got again
end" sh -c 'echo again | "$docker" start -ai reader'
d rm reader >/dev/null
check "attach's stdin" 0 "got x
end" sh -c '"$docker" run -di --name reader busybox sh -c "read x; echo \"got \$x\"; echo end" >/dev/null; (echo x; sleep 1) | "$docker" attach reader; "$docker" rm reader >/dev/null'

# ---- signals of the client ----
trap_int='trap "echo int; exit 9" INT; trap "echo term; exit 8" TERM; echo ready; while :; do sleep 0.05; done'
client_hears() { # NAME SIGNAL OPTION...: run with the option, then the signal to the client; its exit code
	name=$1 signal=$2
	shift 2
	"$docker" run --name "$name" "$@" busybox sh -c "$trap_int" >"$dir/client" 2>&1 </dev/null &
	client=$!
	soon has_logged "$name" ready
	kill -"$signal" $client
	wait $client
	echo $?
}
check "the client's TERM goes to the process" 0 "8" client_hears proxied TERM
check "its words come back" 0 "ready
term" cat "$dir/client"
d rm proxied >/dev/null
"$docker" run --name unproxied --sig-proxy=false busybox sh -c "$trap_int" >"$dir/client" 2>&1 </dev/null &
client=$!
soon has_logged unproxied ready
kill -HUP $client
d exec unproxied true
check "--sig-proxy=false: the process hears nothing" 0 "true" d inspect -f '{{.State.Running}}' unproxied
d rm -f unproxied >/dev/null
wait $client 2>/dev/null

# ---- clients that die ----
"$docker" run -i --name orphan busybox sleep 2000 >/dev/null 2>&1 </dev/zero &
client=$!
soon has_status orphan running
kill -9 $client
wait $client 2>/dev/null
check "run's client killed: the container goes on" 0 "running" d inspect -f '{{.State.Status}}' orphan
"$docker" exec orphan sleep 1000 >/dev/null 2>&1 &
client=$!
soon runs orphan "sleep 1000"
kill -9 $client
wait $client 2>/dev/null
check "exec's too" 0 "true" sh -c '"$docker" top orphan | grep -q "sleep 1000" && echo true'
d rm -f orphan >/dev/null
