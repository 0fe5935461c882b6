# Restart policies with the real CLI.
restarts() { d inspect -f '{{.RestartCount}}' "$1"; }
has_restarted() { [ "$(restarts "$1")" -ge "$2" ]; }

d run -d --name failing --restart on-failure:2 busybox sh -c 'echo run; exit 7' >/dev/null
check "on-failure:2 ends" 0 "" soon has_status failing exited
check "after two restarts" 0 "2 7" d inspect -f '{{.RestartCount}} {{.State.ExitCode}}' failing
check "each run is in the log" 0 "run|run|run" sh -c '"$docker" logs failing | tr "\n" "|" | sed "s/|$//"'
check "its policy shows" 0 "on-failure 2" d inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' failing
d rm failing >/dev/null

d run -d --name looping --restart always busybox sh -c 'exit 1' >/dev/null
check "always starts it again" 0 "" soon has_restarted looping 3
check "ps tells it" 0 "" soon sh -c '"$docker" ps --filter name=looping --format "{{.Status}}" | grep -qE "^Restarting \(1\) (Less than a second|1 second|[0-9]+ seconds) ago$"'
check "ps --filter status=restarting" 0 "" soon sh -c '"$docker" ps --filter status=restarting --format "{{.Names}}" | grep -qx looping'
check "exec while it waits" 0 "" soon sh -c '"$docker" exec looping true 2>&1 | grep -qE "Container [0-9a-f]{64} is restarting, wait until the container is running"'
check "stop ends it for good" 0 "looping" d stop looping
check "it has exited" 0 "exited false" d inspect -f '{{.State.Status}} {{.State.Restarting}}' looping
d rm looping >/dev/null

check_like "--rm and --restart" "1 125" '.*([Cc]onflicting options: (cannot specify both )?--restart and --rm).*' d run --rm --restart always busybox true
check "restart by hand keeps it" 0 "kept" sh -c '"$docker" run -d --name kept --restart unless-stopped busybox sleep 1000 >/dev/null; "$docker" restart -t 0 kept'
check "and does not count" 0 "0 true" d inspect -f '{{.RestartCount}} {{.State.Running}}' kept
check "rm -f" 0 "kept" d rm -f kept
