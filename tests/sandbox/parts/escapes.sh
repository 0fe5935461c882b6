# Sourced by run.sh: ways out that a guest can take by itself. tests/cli/files.sh
# has the plain ones, walls.sh what native code in its place would try.

echo secret >"$dir/secret"
mkdir -p "$dir/race/x/y/q"

# What leads out while directories are moved about under the walk.
check "renames in the middle of walks" 0 "not out" sh -c "
	timeout 60 '$docker' run --rm -v '$dir/race:/b' -w /b busybox sh -c '
	(while :; do mv x/y z; ln -s ../../.. x/y; mv x w; rm -f w/y; mv z w/y; mv w x; done) 2>/dev/null &
	n=0; (cd x/y/q; while [ \$n -lt 400 ]; do
		cat ../../../secret ../../../../secret; cat /b/x/y/../../../secret /b/x/y/../secret /b/x/y/q/../../../../secret
		n=\$((n+1)); done) 2>/dev/null; echo not out'"
check "the guest has not moved what is outside" 0 "secret" cat "$dir/secret"
check "hard links do not lead out" 0 "refused" d run --rm -v "$dir/race:/b" busybox sh -c \
	'ln -s ../secret /b/link; ln /b/link /b/hard && cat /b/hard 2>/dev/null; (ln /etc/passwd /b/p) 2>/dev/null || echo refused'
check "a bind's own root has no parent outside" 0 "none" d run --rm -v "$dir/race:/b" busybox sh -c \
	'cd /b; cat ../secret /b/../secret ./../../secret 2>/dev/null || echo none'
check "links of /proc lead nowhere else" 0 "none" d run --rm busybox sh -c \
	"cat /proc/self/root$dir/secret /proc/1/root$dir/secret /proc/self/cwd/../../../..$dir/secret /proc/self/fd/0/../..$dir/secret 2>/dev/null || echo none"
check "no memory of processes" 0 "none" d run --rm busybox sh -c 'cat /proc/self/mem /proc/1/mem /proc/kcore /dev/mem 2>/dev/null || echo none'
check "nothing of the host's /dev" 0 "console fd full log null ptmx pts random shm stderr stdin stdout tty urandom zero" d run --rm busybox sh -c 'echo $(ls /dev)'
check "devices are not for making" 0 "refused" d run --rm --cap-add MKNOD busybox sh -c '(mknod /tmp/null c 1 3) 2>/dev/null || echo refused'
check "nothing but the table of descriptors" 0 "none" d run --rm busybox sh -c \
	'for i in $(seq 3 2000); do (true <&$i) 2>/dev/null && echo $i; done | grep . || echo none'
