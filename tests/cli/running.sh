# Sourced by run.sh: running commands: exit codes and the words with them.

# ---- exit codes ----
check "pipeline" 0 "got 1
got 2
got 3" d run --rm busybox sh -c 'for i in 1 2 3; do echo $i; done | while read x; do echo "got $x"; done'
check "exit 0" 0 "" d run --rm busybox true
check "exit 1" 1 "" d run --rm busybox false
check "exit 7" 7 "" d run --rm busybox sh -c 'exit 7'
check "exit 137" 137 "Killed" d run --rm busybox sh -c 'sh -c "kill -9 \$\$"; exit $?'
check "exit 130" 130 "" d run --rm busybox sh -c 'sh -c "kill -INT \$\$"; exit $?'
check "exit 143" 143 "Terminated" d run --rm busybox sh -c 'sh -c "kill -TERM \$\$"; exit $?'

# ---- 125: it is not started ----
check_has "unknown image" 125 "Unable to find image '127.0.0.1:9/nosuchimage:latest' locally" d run --rm 127.0.0.1:9/nosuchimage true
check_has "it cannot be pulled" 125 "connection refused" d run --rm 127.0.0.1:9/nosuchimage true
check_like "--pull never" 125 "docker: Error response from daemon: No such image: nosuchimage:latest$usage" \
	d run --rm --pull never nosuchimage true
check_like "unknown user" 125 "docker: Error response from daemon: unable to find user nobodyatall: no matching entries in passwd file$usage" \
	d run --rm -u nobodyatall busybox true
check_like "unknown group" 125 "docker: Error response from daemon: unable to find group nosuch: no matching entries in group file$usage" \
	d run --rm -u 1:nosuch busybox true
check_like "unknown supplementary group" 125 "docker: Error response from daemon: [Uu]nable to find group nosuch: no matching entries in group file$usage" \
	d run --rm --group-add nosuch busybox true
check_like "a relative working directory" 125 \
	"docker: Error response from daemon: the working directory 'rel' is invalid, it needs to be an absolute path$usage" \
	d run --rm -w rel busybox true
check_like "a file as working directory" 125 "docker: Error response from daemon: [Cc]annot mkdir: /etc/passwd is not a directory$usage" \
	d run --rm -w /etc/passwd busybox true
check_like "no command" 125 "docker: Error response from daemon: [Nn]o command specified$usage" d run --rm --entrypoint "" busybox

# ---- 126 and 127: the command cannot be run ----
check_like "a directory" 126 "${start_fails}exec: \"/etc\": (is a directory: )?permission denied: unknown$usage" d run --rm busybox /etc
check_like "not executable" 126 "${start_fails}exec: \"/etc/passwd\": permission denied: unknown$usage" d run --rm busybox /etc/passwd
check_like "no such command" 127 "${start_fails}exec: \"nosuch\": executable file not found in \\\$PATH: unknown$usage" \
	d run --rm busybox nosuch
check_like "no such path" 127 "${start_fails}exec: \"/no/such\": stat /no/such: no such file or directory: unknown$usage" \
	d run --rm busybox /no/such
check_like "PATH is the container's" 127 "${start_fails}exec: \"sh\": executable file not found in \\\$PATH: unknown$usage" \
	d run --rm -e PATH=/nowhere busybox sh
check "a failed start is told by inspect" 0 "created 127 true" sh -c '
	"$docker" run --name failed busybox nosuch 2>/dev/null
	"$docker" inspect -f "{{.State.Status}} {{.State.ExitCode}} {{ne .State.Error \"\"}}" failed; "$docker" rm failed >/dev/null'

# ---- scripts ----
mkdir -p "$dir/scripts"
printf '#!/bin/sh\necho "$0 $*"\n' >"$dir/scripts/good"
printf '#!/bin/cat -n\nx\n' >"$dir/scripts/argument"
printf '#!/no/such/interpreter\n' >"$dir/scripts/lost"
printf 'echo hi\n' >"$dir/scripts/none"
: >"$dir/scripts/empty"
chmod 755 "$dir"/scripts/*
printf '#!/bin/sh\n' >"$dir/scripts/plain" && chmod 644 "$dir/scripts/plain"
script() { d run --rm -v "$dir/scripts:/s" -w /s busybox "$@"; }
check "a script" 0 "/s/good a b" script /s/good a b
check "a script by its relative path" 0 "./good " script ./good
check "an interpreter's argument" 0 "     1	#!/bin/cat -n
     2	x" script /s/argument
# By then the container has been started, and runc's last words are its output: exit 255, 1 with runc before 1.2.
check_like "a missing interpreter" "255 1" "exec /s/lost: no such file or directory" script /s/lost
check_like "a script without #!" "255 1" "exec /s/none: exec format error" script /s/none
check_like "an empty file" "255 1" "exec /s/empty: exec format error" script /s/empty
check_like "a script that is not executable" 126 "${start_fails}exec: \"/s/plain\": permission denied: unknown$usage" script /s/plain
check "a shell runs what has no #!" 0 "hi" script sh -c ./none

# ---- standard streams ----
got=$(echo hi | d run -i --rm busybox cat) is=$?
verdict "stdin" 0 hi
got=$(head -c 20000000 /dev/zero | d run -i --rm busybox sha256sum | cut -c1-64) is=$?
verdict "20 MB of stdin" 0 "$(head -c 20000000 /dev/zero | sha256sum | cut -c1-64)"
got=$(d run --rm busybox head -c 20000000 /dev/zero | sha256sum) is=$?
verdict "20 MB of stdout" 0 "$(head -c 20000000 /dev/zero | sha256sum)"
got=$(d run --rm busybox sh -c 'echo out; echo err >&2' 2>/dev/null) is=$?
verdict "stdout apart from stderr" 0 out
got=$(d run --rm -a stderr busybox sh -c 'echo out; echo err >&2' 2>&1) is=$?
verdict "-a stderr" 0 err
check "without -i stdin is empty" 0 "0" sh -c 'echo hi | "$docker" run --rm busybox wc -c'
check "a reader that leaves" 0 "y" sh -c '"$docker" run --rm busybox sh -c "yes | head -n 100000" 2>/dev/null | head -n 1'
