#!/bin/sh
# The second wall, attacked. A build with a hole drilled into the first wall
# runs native code where a guest should be; behind seccomp, Landlock and the
# broker every attempt must be refused, at the kernel's own Landlock ABI and at
# ABI 1. Each attack also runs with the second wall down, where it must break
# through: a check that cannot fail would prove nothing. And each runs as an exec's
# process (-x), which is forked behind the wall.
set -u
cd "$(dirname "$0")/../.."
sandbox=build/drilled/sockerless-sandbox
dir=$(mktemp -d "${TMPDIR:-/tmp}/sockerless-walls-XXXXXX")
victim= others=
passed=0 failed=0
# shellcheck disable=SC2086 # a list
trap 'stop_victim; [ -z "$others" ] || kill $others; rm -rf "$dir"' EXIT

stop_victim() {
	[ -z "$victim" ] || kill -9 "$victim" 2>/dev/null
	[ -z "$victim" ] || wait "$victim" 2>/dev/null
}

set_scene() {
	stop_victim
	rm -rf "$dir" && mkdir -p "$dir/lower" "$dir/upper" "$dir/bound"
	echo secret >"$dir/secret"
	echo file | tee "$dir/lower/file" "$dir/bound/file" "$dir/bound/neighbour" >"$dir/upper/file"
	sleep 100 &
	victim=$!
}

scene_is_whole() {
	kill -0 "$victim" && [ "$(cat "$dir/secret")" = secret ] && [ "$(cat "$dir/lower/file")" = file ] &&
		[ "$(cat "$dir/bound/neighbour")" = file ] && [ "$(ls "$dir/bound" | tr '\n' ' ')" = "file neighbour " ] &&
		[ "$(ls "$dir" | tr '\n' ' ')" = "bound lower secret upper " ] && [ "$(stat -c %a "$dir/secret")" = 600 ]
}

# verdict NAME IS WANTED OUTPUT
verdict() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s: status %s, wanted %s\n%s\n' "$1" "$2" "$3" "$4"
	fi
}

umask 077
export SOCKERLESS_CGROUP=none # what holds must hold without
for attack in signals descriptor-signals processes programs process-table table-memory broker-descriptors \
	sockets connections switch socket-calls files bound-file descriptors privileges kernel \
	other-abis terminal syscalls; do
	for walls in "-a 0" "-a 1" -n "-x -a 0" "-n -x"; do
		case $attack in syscalls | socket-calls | switch) [ "$walls" = "-a 0" ] || continue ;; esac # the second wall has no part in it: once
		set_scene
		# shellcheck disable=SC2086 # the options are two words
		out=$(timeout 60 build/bin/sandbox-run $walls -N -f "$dir/bound" "$sandbox" "$dir/lower" "$dir/upper" \
			attack $attack $victim "$dir" 2>&1 </dev/null)
		is=$?
		case $walls,$attack in
		# held by the supervisor or the daemon, and by there being no terminal
		-n*,process-table | -n*,table-memory | -n*,broker-descriptors | -n*,terminal)
			continue ;;
		-n*,programs) # the exit signal or the thread that got through may be what ends it
			[ $is != 137 ] && [ $is != 139 ] || is=1
			verdict "$attack without the wall" $is 1 "$out" ;;
		-n*,*) verdict "$attack without the wall ($walls)" $is 1 "$out" ;;
		*)
			scene_is_whole || is=changed
			verdict "$attack at $walls" $is 0 "$out" ;;
		esac
	done
done

# limited WANTED NAME OPTIONS ATTACK SECONDS
limited() {
	set_scene
	# shellcheck disable=SC2086 # the options are several words
	out=$(timeout 120 $runner build/bin/sandbox-run $3 "$sandbox" "$dir/lower" "$dir/upper" attack $4 $victim "$dir" "$5" 2>&1 </dev/null)
	verdict "$2" $? "$1" "$out"
}

# Limits that our kernel was not asked about: the supervisor ends who breaks them. Without a limit nobody does.
runner=
for attack in process-count memory-limit processor-time; do
	wanted=137 limits="-p 20 -m 32000000 -c 10"
	[ $attack != processor-time ] || wanted=0 limits="-c 1"
	limited $wanted "$attack with '$limits'" "$limits" $attack 60
	limited 1 "$attack without a limit" "" $attack 2
done
# And where others want the processor as well, so that between two looks it gets little. In sessions of their own: the
# kernel may share between these.
one=$(taskset -cp $$ | sed 's/.*[^0-9]//') runner="taskset -c $one"
for _ in 1 2 3; do
	setsid taskset -c "$one" timeout 120 sh -c 'while :; do :; done' &
	others="$others $!"
done
limited 0 "processor-time, on a busy processor" "$limits" processor-time 60
echo "walls: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
