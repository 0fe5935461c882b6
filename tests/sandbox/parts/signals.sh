# Sourced by run.sh: no wake-up is lost, whatever a signal meets.

# The trap itself answers, and only then comes the next signal: one that is noted but
# does not end the call it finds, or that is lost between two, and all stands still.
send() { # send N: what the sender runs
	echo "(i=0; while [ \$i -lt $1 ]; do kill -USR1 1; read -r x <&4; i=\$((i+1)); done) &"
}
trap_acks='n=0; trap "n=\$((n+1)); echo >&4" USR1; mkfifo /tmp/ack; exec 4<>/tmp/ack'
check "thousands of signals during wait" 0 "2000" d run --rm busybox sh -c "$trap_acks; $(send 2000)"'
	pid=$!; while kill -0 $pid 2>/dev/null; do wait $pid; done; echo $n'
check "signals in a storm of forks" 0 "500" d run --rm busybox sh -c "$trap_acks; $(send 500)"'
	pid=$!; while kill -0 $pid 2>/dev/null; do /bin/true; x=$(true | cat); done; echo $n'
check "signals during sleep" 0 "200" d run --rm busybox sh -c "$trap_acks; $(send 200)"'
	pid=$!; while kill -0 $pid 2>/dev/null; do sleep 0.01; done; echo $n'
check "alarms" 0 "143" d run --rm busybox sh -c 'exec 2>/dev/null; timeout 1 sleep 20; echo $?'
check "a loop without system calls can be killed" 0 "137" sh -c "
	'$docker' run -d --name busy busybox sh -c 'while :; do :; done' >/dev/null; sleep 0.5; '$docker' kill busy >/dev/null; '$docker' wait busy; '$docker' rm busy >/dev/null"
check "and runs its trap" 0 "ready
trapped" sh -c "
	'$docker' run -d --name busy busybox sh -c 'trap \"echo trapped; exit\" TERM; echo ready; while :; do :; done' >/dev/null
	until '$docker' logs busy | grep -q ready; do sleep 0.05; done; '$docker' stop -t 100 busy >/dev/null; '$docker' logs busy; '$docker' rm busy >/dev/null"
check "pid 1 feels nothing from inside that it does not handle" 0 "alive" d run --rm busybox sh -c \
	'for s in HUP QUIT KILL USR1 SEGV TERM STOP; do sh -c "kill -$s 1"; done; echo alive'
check "exit codes of signals" 0 "129 130 134 137 139 143" d run --rm busybox sh -c \
	'for s in HUP INT ABRT KILL SEGV TERM; do sh -c "kill -$s \$\$; sleep 5" 2>/dev/null; printf "%s " $?; done | sed "s/ $//"; echo'
check "a fault of the guest's is its own" 0 "139 alive" d run --rm busybox sh -c \
	'sh -c "kill -SEGV \$\$"; echo $? alive'
check "ignored signals stay ignored over exec" 0 "alive" d run --rm busybox sh -c \
	'trap "" TERM; sh -c "kill -TERM \$\$; echo alive"'
check "a stopped job goes on" 0 "T S done" d run --rm busybox sh -c "$until_so"'
	sh -c "until [ -e /go ]; do sleep 0.05; done; echo done >/done" & kill -STOP $!; u is $! T; a=$(state $!)
	kill -CONT $!; u is $! S; b=$(state $!); touch /go; wait $!; echo $a $b $(cat /done)'
check "groups" 0 "143 143 alive" d run --rm busybox sh -c "$until_so"'
	exec 2>/dev/null; leads() { [ "$(cut -d" " -f5 "/proc/$1/stat")" = $1 ]; }
	setsid sleep 500 & a=$!; setsid sh -c "sleep 500 & wait" & b=$!; u leads $a; u leads $b; kill -TERM -$a -$b; wait $a; x=$?; wait $b; echo $x $? alive'
