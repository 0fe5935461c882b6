# Sourced by run.sh: the same daemon as an ordinary user, with no capability and
# nothing of root's to write to. Only where the suite runs as root: elsewhere
# all of the suite is that.

lowly="$dir/lowly"
mkdir "$lowly" "$lowly/home" && chmod 711 "$dir"
cp "$B/bin/sockerlessd" build/bin/sockerless-sandbox "$lowly/"
cp -a build/guest/rootfs "$lowly/guest" && cp build/guest/rootfs.diff-id "$lowly/guest.diff-id"
case $docker in
/*) lowly_docker=$docker ;;
*) cp "$docker" "$lowly/docker" && lowly_docker=./docker ;;
esac
chown -R 65534:65534 "$lowly"
as_nobody() {
	(cd "$lowly" && HOME="$lowly/home" DOCKER_CONFIG="$lowly/home" DOCKER_HOST="unix://$lowly/docker.sock" docker="$lowly_docker" \
		setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@")
}
n() { as_nobody timeout 180 "$lowly_docker" "$@"; }
as_nobody sh -c 'echo $$ >home/pid; exec ./sockerlessd -H "$DOCKER_HOST" --data-root "$HOME/data" --sandbox "$PWD/sockerless-sandbox" --guest "$PWD/guest"' >"$dir/lowly.log" 2>&1 &
lowly_job=$!
soon n version
lowly_daemon=$(cat "$lowly/home/pid")

check "the daemon is nobody" 0 "65534" stat -c %u "/proc/$lowly_daemon"
check "run, and root inside" 0 "0 1" n run --rm busybox sh -c 'echo $(id -u) $$'
check "owners and modes inside" 0 "5:6 4750" n run --rm busybox sh -c 'touch /f && chown 5:6 /f && chmod 4750 /f && stat -c "%u:%g %a" /f'
check "users inside" 0 "33 refused refused" n run --rm -u 33 busybox sh -c 'echo x 2>/dev/null >/root/x && echo wrote; touch /tmp/f
	echo $(stat -c %u /tmp/f) $(cat /etc/shadow 2>/dev/null || echo refused) $( (echo >/etc/passwd) 2>/dev/null || echo refused)'
check "the image's files can be changed and removed" 0 "done" n run --rm busybox sh -c 'echo >>/etc/passwd && rm -r /usr/sbin && mv /bin/ls /bin/ll && chmod 0 /etc/group && echo done'
n run -d --name low busybox sh -c 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.05; done' >/dev/null
low_is_ready() { n logs low | grep -q ready; }
soon low_is_ready
check "exec" 0 "0" n exec low id -u
check_has "top" 0 "sh -c trap" n top low
check "pause and unpause" 0 "low
low" as_nobody sh -c '"$docker" pause low && "$docker" unpause low'
echo copied >"$lowly/home/file" && chown 65534:65534 "$lowly/home/file"
check "cp both ways" 0 "copied" as_nobody sh -c '"$docker" cp -q home/file low:/tmp/ && "$docker" cp low:/tmp/file - | tar xO'
check "stop" 0 "low" n stop low
check "logs and exit code" 0 "3" n wait low
check "diff" 0 "C /tmp
A /tmp/file" n diff low
check "an image out of a container" 0 "copied" as_nobody sh -c '"$docker" export low | "$docker" import - mine >/dev/null && "$docker" run --rm mine cat /tmp/file'
check "rm" 0 "low" n rm low
check "volumes and binds" 0 "kept 33 0" as_nobody sh -c '"$docker" run --rm -v vol:/v busybox sh -c "echo kept >/v/f; chown 33 /v/f" &&
	"$docker" run --rm -v vol:/v -v "$PWD/home:/h" busybox sh -c "touch /h/made; echo \$(cat /v/f) \$(stat -c %u /v/f) \$(stat -c %u /h/made)"'
check "what it makes on the host is its own" 0 "65534" stat -c %u "$lowly/home/made"
mkdir -m 700 "$dir/secret" && echo secret >"$dir/secret/file"
check "no way to root's files" 0 "refused refused" n run --rm -v "$dir/secret:/r" busybox sh -c '
	echo $(ls /r 2>/dev/null | grep -q . && echo listed || echo refused) $(cat /r/file 2>/dev/null || echo refused)'
check "a read-only root and tmpfs" 0 "ok" n run --rm --read-only --tmpfs /t busybox sh -c 'echo ok >/t/f; cat /t/f'
check "a terminal" 0 "/dev/pts/0" as_nobody sh -c '"$docker" run --rm -t busybox tty | tr -d "\r"'
n volume prune -af >/dev/null
kill "$lowly_daemon"
wait $lowly_job
check "it ends well" 0 "0" echo $?
grep -q 'AddressSanitizer\|runtime error\|LeakSanitizer' "$dir/lowly.log" && cat "$dir/lowly.log" >>"$dir/log" # run.sh looks there
rm -rf "$lowly"
