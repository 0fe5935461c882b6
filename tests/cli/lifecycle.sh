# Sourced by run.sh: the states of a container, execs, signals.

# ---- life ----
check_has "create" 0 "" d create --name life busybox sleep 100
check "state: created" 0 "created" d inspect -f '{{.State.Status}}' life
check "start" 0 "life" d start life
check "start again" 0 "life" d start life
check "exec" 0 "2" d exec life sh -c 'echo $$'
check "exec's exit code" 3 "" d exec life sh -c 'exit 3'
got=$(echo in | d exec -i life cat) is=$?
verdict "exec's stdin" 0 "in"
check_has "exec: no such command" 127 "executable file not found" d exec life nosuch
check_has "top" 0 "sleep 100" d top life
check "pause" 0 "life" d pause life
check "state: paused" 0 "paused" d inspect -f '{{.State.Status}}' life
check "unpause" 0 "life" d unpause life
check "rename" 0 "" d rename life life2
check "stop: KILL after its time" 0 "life2" d stop -t 1 life2
check "stop's exit code" 0 "137" d inspect -f '{{.State.ExitCode}}' life2
check_has "remove of a running one" 1 "container is running" sh -c "'$docker' start life2 >/dev/null; '$docker' rm life2"
check "remove by force" 0 "life2" d rm -f life2
check_has "it is gone" 1 "No such container: life2" d logs life2
d run -d --name trap busybox sh -c 'trap "echo bye; exit 5" TERM; while :; do sleep 0.1; done' >/dev/null
sleep 0.3
check "stop runs the trap" 0 "trap" d stop trap
check "its word" 0 "bye" d logs trap
check "its exit code" 0 "5" d inspect -f '{{.State.ExitCode}}' trap
check_has "a name twice" 125 'The container name "/trap" is already in use by container' d run --name trap busybox true
check "wait" 0 "5" d wait trap
check "detached orphans end with pid 1" 0 "" d run --rm busybox sh -c 'sleep 1000 & exit 0'
