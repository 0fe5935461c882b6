# Sourced by run.sh: what no Docker has: native programs, runtimes, the synthetic driver.

# ---- native programs ----
mkdir -p "$dir/bin" && cp /bin/bash "$dir/bin/native"
check "a native program is refused" 126 "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec /b/native: permission denied: native binaries need an agent

Run 'docker run --help' for more information" d run --rm -v "$dir/bin:/b" busybox /b/native
check_has "also by an exec" 126 "exec /b/native: permission denied: native binaries need an agent" sh -c '
	"$docker" run -d --name natives -v "$0/bin:/b" busybox sleep 100 >/dev/null; "$docker" exec natives /b/native; r=$?
	"$docker" rm -f natives >/dev/null; exit $r' "$dir"

# ---- runtimes and the synthetic driver ----
check "the serving driver shows" 0 "wasm auto" sh -c "'$docker' run --name shown busybox true &&
	'$docker' inspect -f '{{index .Config.Labels \"sockerless.driver\"}} {{.HostConfig.Runtime}}' shown && '$docker' rm shown >/dev/null"
check_has "an unknown runtime" 125 "unknown or invalid runtime name: foo" d run --rm --runtime foo busybox true
check_has "an agent that is not there" 125 "the agent at 127.0.0.1 cannot be reached: Connection refused" \
	d run --rm --label sockerless.agent=ws://127.0.0.1:9 busybox true
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
