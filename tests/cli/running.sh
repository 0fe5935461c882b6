# Sourced by run.sh: running commands, their exit codes, users and environment.

# ---- running ----
check "pipeline" 0 "got 1
got 2
got 3" d run --rm busybox sh -c 'for i in 1 2 3; do echo $i; done | while read x; do echo "got $x"; done'
check "exit 0" 0 "" d run --rm busybox true
check "exit 1" 1 "" d run --rm busybox false
check "exit 7" 7 "" d run --rm busybox sh -c 'exit 7'
check "exit by signal" 137 "Killed" d run --rm busybox sh -c 'sh -c "kill -9 \$\$"; exit $?'
check "exit 130" 130 "" d run --rm busybox sh -c 'sh -c "kill -INT \$\$"; exit $?'
check "exit 143" 143 "Terminated" d run --rm busybox sh -c 'sh -c "kill -TERM \$\$"; exit $?'
check_has "125: unknown image" 125 "cannot be pulled" d run --rm nosuchimage true
check_has "126: not executable" 126 "permission denied" d run --rm busybox /etc/passwd
check_has "127: no such command" 127 'exec: "nosuch": executable file not found in $PATH' d run --rm busybox nosuch
check "pid 1" 0 "1" d run --rm busybox sh -c 'echo $$'
check "pid 1 ignores KILL and TERM from inside" 0 "alive" d run --rm busybox sh -c 'kill -9 $$; kill $$; echo alive'
d run -d --name loop busybox sh -c 'while :; do :; done' >/dev/null
check "an endless loop is stopped" 0 "loop" d stop -t 1 loop
d rm loop >/dev/null
got=$(echo hi | d run -i --rm busybox cat) is=$?
verdict "stdin" 0 hi
got=$(head -c 20000000 /dev/zero | d run -i --rm busybox sha256sum | cut -c1-64) is=$?
verdict "20 MB of stdin" 0 "$(head -c 20000000 /dev/zero | sha256sum | cut -c1-64)"
got=$(d run --rm busybox head -c 20000000 /dev/zero | sha256sum) is=$?
verdict "20 MB of stdout" 0 "$(head -c 20000000 /dev/zero | sha256sum)"
check "user, directory, environment, hostname" 0 "1000 100 /tmp b hh" \
	d run --rm -u 1000:100 -w /tmp -e A=b --hostname hh busybox sh -c 'echo $(id -u) $(id -g) $PWD $A $(hostname)'
check "user by name" 0 "www-data" d run --rm -u www-data busybox whoami
check_has "unknown user" 125 "unable to find user nobodyatall" d run --rm -u nobodyatall busybox true
check "entrypoint" 0 "x y" d run --rm --entrypoint echo busybox x y
check_has "read-only root" 1 "Read-only file system" d run --rm --read-only busybox sh -c 'echo x >/h'
check "a native program is refused" 126 "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec /b/native: permission denied: native binaries need an agent

Run 'docker run --help' for more information" sh -c "mkdir -p $dir/bin && cp /bin/bash $dir/bin/native && '$docker' run --rm -v $dir/bin:/b busybox /b/native"

# ---- runtimes and the synthetic driver ----
check "the serving driver shows" 0 "wasm auto" sh -c "'$docker' run --name shown busybox true &&
	'$docker' inspect -f '{{index .Config.Labels \"sockerless.driver\"}} {{.HostConfig.Runtime}}' shown && '$docker' rm shown >/dev/null"
check_has "an unknown runtime" 125 "unknown or invalid runtime name: foo" d run --rm --runtime foo busybox true
check_has "no agent" 125 "runtime agent: no agent is connected" d run --rm --runtime agent busybox true
check_has "--runtime wasm does not pretend" 126 "native binaries need an agent" d run --rm --runtime wasm -v "$dir/bin:/b" busybox /b/native
check "--runtime synthetic pretends and says so" 0 \
	"sockerless: nothing was executed; the synthetic driver pretends to run: make all" d run --rm --runtime synthetic busybox make all
d run -d --name pretender --runtime synthetic busybox tail -f /dev/null >/dev/null
check "a pretended keep-alive stays" 0 "true synthetic" d inspect -f '{{.State.Running}} {{index .Config.Labels "sockerless.driver"}}' pretender
check "a pretended exec echoes" 0 "make test" d exec pretender make test
check "a pretender's files are real" 0 "passwd" sh -c "'$docker' cp pretender:/etc/passwd - | tar tf -"
d stop pretender >/dev/null
check "a pretender hears TERM" 0 "143" d inspect -f '{{.State.ExitCode}}' pretender
d rm pretender >/dev/null

# ---- --init ----
check "--init is pid 1" 0 "2 docker-init" d run --rm --init busybox sh -c 'echo $$ $(cat /proc/1/comm)'
check "--init keeps exit codes" 0 "7 137" sh -c "'$docker' run --rm --init busybox sh -c 'exit 7'; a=\$?; '$docker' run --rm --init busybox sh -c 'kill -9 \$\$'; echo \$a \$?"
d run -d --name init --init busybox sleep 100 >/dev/null
d stop init >/dev/null
check "--init hands TERM on" 0 "143" d inspect -f '{{.State.ExitCode}}' init
d rm init >/dev/null
