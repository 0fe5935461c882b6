# Sourced by run.sh: pid 1, signals, pause: as on Linux.

# ---- pid 1 ----
check "pid 1" 0 "1" d run --rm busybox sh -c 'echo $$'
check "pid 1 ignores KILL and TERM from inside" 0 "alive" d run --rm busybox sh -c 'kill -9 $$; kill $$; echo alive'
check "it hears what it has a handler for" 0 "heard" d run --rm busybox sh -c 'trap "echo heard; exit 0" TERM; kill $$; sleep 10'
check "its end ends all" 0 "" d run --rm busybox sh -c 'sleep 1000 & exit 0'
check "its exit code counts, not its children's" 3 "" d run --rm busybox sh -c '(sleep 0.1; exit 5) & exit 3'
check "orphans come to pid 1, which reaps them" 0 "1 none" d run --rm busybox sh -c '
	sh -c "(until [ -e /go ]; do sleep 0.05; done) & echo \$! >/pid" & wait $!
	parent=$(awk "{ print \$4 }" /proc/$(cat /pid)/stat); touch /go
	i=0; while [ -e /proc/$(cat /pid) ] && [ $i -lt 1000 ]; do i=$((i + 1)); sleep 0.05; sh -c :; done
	[ -e /proc/$(cat /pid) ] && left=$(cat /proc/$(cat /pid)/stat) || left=none
	echo $parent $left'

# ---- stop ----
stopped_in() { # SECONDS CONTAINER OPTION...: stops it, tells whether before or after them, and the exit code
	limit=$1 name=$2
	shift 2
	before=$(date +%s%N)
	d stop "$@" "$name" >/dev/null
	took=$((($(date +%s%N) - before) / 1000000))
	[ $took -ge $((limit * 1000)) ] && echo "after $(d inspect -f '{{.State.ExitCode}}' "$name")" || echo "before $(d inspect -f '{{.State.ExitCode}}' "$name")"
}
d run -d --name bare busybox sleep 1000 >/dev/null
check "stop of a bare sleep waits its time, then kills" 0 "after 137" stopped_in 2 bare -t 2
d rm bare >/dev/null
d run -d --name bare --stop-timeout 1 busybox sleep 1000 >/dev/null
check "--stop-timeout" 0 "after 137" stopped_in 1 bare
d rm bare >/dev/null
d run -d --name bare busybox sh -c 'trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.1; done' >/dev/null
soon has_logged bare ready
check "stop runs a TERM trap" 0 "before 5" stopped_in 100 bare -t 100
check "its words are logged" 0 "ready
bye" d logs bare
d rm bare >/dev/null
d run -d --name bare --stop-signal USR1 busybox sh -c 'trap "exit 6" USR1; echo ready; while :; do sleep 0.1; done' >/dev/null
soon has_logged bare ready
check "--stop-signal" 0 "before 6" stopped_in 100 bare -t 100
d rm bare >/dev/null
d run -d --name bare --init busybox sleep 1000 >/dev/null
check "--init hands TERM on" 0 "before 143" stopped_in 100 bare -t 100
d rm bare >/dev/null
d run -d --name bare busybox sh -c 'while :; do :; done' >/dev/null
check "an endless loop is stopped" 0 "after 137" stopped_in 1 bare -t 1
d start bare >/dev/null
check "and killed" 0 "bare" d kill bare
check "at once" 0 "137" d wait bare
d start bare >/dev/null
check "and paused" 0 "bare" d pause bare
check "stop wakes and ends it" 0 "bare" d stop -t 1 bare
check "with 137" 0 "137" d inspect -f '{{.State.ExitCode}}' bare
d rm bare >/dev/null

# ---- kill ----
d run -d --name hearer busybox sh -c 'trap "echo usr1" USR1; trap "echo hup" HUP; trap "exit 130" INT; echo ready; while :; do sleep 0.05; done' >/dev/null
soon has_logged hearer ready
d kill -s USR1 hearer >/dev/null
soon has_logged hearer usr1
d kill -s SIGHUP hearer >/dev/null
soon has_logged hearer hup
check "kill -s, by names with and without SIG" 0 "ready
usr1
hup" d logs hearer
check "kill -s by number" 0 "hearer" d kill -s 2 hearer
check "130" 0 "130" d wait hearer
check_like "kill of a stopped one" 1 "Error response from daemon: [Cc]annot kill container: hearer: [Cc]ontainer [0-9a-f]{64} is not running" d kill hearer
check_like "kill of nothing" 1 "Error response from daemon: [Cc]annot kill container: nosuch: No such container: nosuch" d kill nosuch
check_like "kill with no signal of that name" 1 "Error response from daemon: (cannot kill container: hearer: invalid|Invalid) signal: NOSIG" d kill -s NOSIG hearer
d rm hearer >/dev/null

# ---- --init ----
check "--init is pid 1" 0 "docker-init apart" d run --rm --init busybox sh -c 'echo $(cat /proc/1/comm) $([ $$ -gt 1 ] && echo apart)'
check "--init keeps exit codes" 0 "7 137" sh -c '"$docker" run --rm --init busybox sh -c "exit 7"; a=$?
	"$docker" run --rm --init busybox sh -c "kill -9 \$\$"; echo $a $?'

# ---- pause ----
d run -d --name clock busybox sh -c 'i=0; while :; do i=$((i + 1)); echo $i >>/count; done' >/dev/null
count() { d cp -q clock:/count - | tar xO | tail -n 1; } # whole lines: a pause may come between any two calls
counts() { [ "$(count)" -gt 10 ] 2>/dev/null; }
soon counts
d pause clock >/dev/null
check "paused" 0 "paused true true" d inspect -f '{{.State.Status}} {{.State.Paused}} {{.State.Running}}' clock
before=$(count)
sleep 0.5
check "a paused clock stands" 0 "$before" count
check_has "no exec into a paused one" 1 "is paused, unpause the container before exec" d exec clock true
check_like "no second pause" 1 "Error response from daemon: Container [0-9a-f]{64} is already paused" d pause clock
check_has "no start of a paused one" 1 "cannot start a paused container, try unpause instead" d start clock
d unpause clock >/dev/null
goes_on() { [ "$(count)" -gt "$before" ]; }
check "unpaused it goes on" 0 "" soon goes_on
check_like "no second unpause" 1 "Error response from daemon: Container [0-9a-f]{64} is not paused" d unpause clock
d pause clock >/dev/null
check "a paused one is killed" 0 "clock" d kill clock
check "at once" 0 "137" d wait clock
d rm clock >/dev/null

# A shell that waits for its child must not take our stop for the child's.
d run -d --name waiter busybox sh -c 'sleep 3 & echo ready; wait $!; echo waited-$?' >/dev/null
soon has_logged waiter ready
for _ in 1 2 3; do
	d pause waiter >/dev/null
	d unpause waiter >/dev/null
done
d wait waiter >/dev/null
check "a shell does not notice a pause" 0 "ready
waited-0" d logs waiter
d rm waiter >/dev/null
