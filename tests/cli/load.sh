# Sourced by run.sh: many containers at once, much data, and what it costs the daemon.

# ---- many at once ----
before=$(d ps -aq)
mkdir "$dir/out" # no time limit for each: the last waits for a machine that 199 others use
for i in $(seq 200); do
	"$docker" run --rm busybox echo "$i" >"$dir/out/$i" 2>&1 &
	jobs="${jobs:-} $!"
done
# shellcheck disable=SC2086
wait $jobs
got=$(cat "$dir"/out/* | sort -n | tr '\n' ' ') is=0
verdict "200 at once" 0 "$(seq 200 | tr '\n' ' ')"
check "none is left" 0 "$before" d ps -aq
rm -r "$dir/out"

# ---- 100 MB each way ----
# Not compressible and not all zero, and the same each time.
"$docker" run --rm busybox sh -c 'i=0; while [ $i -lt 65536 ]; do echo $((i * 7919)); i=$((i + 1)); done' >"$dir/seed"
while [ "$(stat -c %s "$dir/seed")" -lt 100000000 ]; do
	cat "$dir/seed" "$dir/seed" "$dir/seed" "$dir/seed" >"$dir/seed.more" && mv "$dir/seed.more" "$dir/seed"
done
head -c 100000000 "$dir/seed" >"$dir/100MB" && rm "$dir/seed"
sum=$(sha256sum <"$dir/100MB" | cut -c1-64)
[ -n "${oracle:-}" ] || echo 5 >"/proc/$daemon_pid/clear_refs" # VmHWM begins anew: 200 clients may cost what they cost
d run -d --name load -v "$dir/100MB:/100MB:ro" busybox sleep 1000 >/dev/null
check "100 MB through exec's stdin" 0 "$sum" sh -c "'$docker' exec -i load sha256sum <$dir/100MB | cut -c1-64"
check "100 MB out of an exec" 0 "$sum" sh -c "'$docker' exec load cat /100MB | sha256sum | cut -c1-64"
check "100 MB through attach's stdin" 0 "$sum" sh -c "'$docker' create -i --name fed busybox sha256sum >/dev/null; '$docker' start -ai fed <$dir/100MB | cut -c1-64"
check "100 MB through an attached run" 0 "$sum" sh -c "'$docker' run --name logged -v $dir/100MB:/100MB:ro busybox cat /100MB | sha256sum | cut -c1-64"
check "100 MB of logs" 0 "$sum" sh -c "'$docker' logs logged | sha256sum | cut -c1-64"
check "100 MB into a container by cp" 0 "" d cp -q "$dir/100MB" load:/copy
check "they are the same" 0 "$sum" sh -c "'$docker' exec load sha256sum /copy | cut -c1-64"
check "100 MB out of it by cp" 0 "$sum" sh -c "'$docker' cp -q load:/copy - | tar xO | sha256sum | cut -c1-64"
d rm -f load logged fed >/dev/null
rm "$dir/100MB"
# The sanitizers' shadow is not the daemon's memory.
if [ "${B:-}" = build ] && [ -z "${oracle:-}" ]; then
	check "the daemon's memory stayed flat" 0 "true" sh -c "[ \$(sed -n 's/VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$daemon_pid/status) -lt 65536 ] && echo true"
fi
