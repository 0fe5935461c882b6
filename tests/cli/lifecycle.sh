# Sourced by run.sh: the states of a container, execs, names, removal.

# ---- life ----
check_like "create prints the id" 0 "[0-9a-f]{64}" d create --name life busybox sleep 1000
check "state: created" 0 "created 0 false" d inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}' life
check "wait of a created one" 0 "0" d wait life
check "start" 0 "life" d start life
check "start again" 0 "life" d start life
check "restart" 0 "life" d restart -t 0 life
check "it runs" 0 "running" d inspect -f '{{.State.Status}}' life
check "rename" 0 "" d rename life life2
check_like "rename to its own name" 1 "Error response from daemon: Renaming a container with the same name as its current name\|Error: failed to rename container named life2" d rename life2 life2
check_like "rename to a bad name" 1 "Error response from daemon: Error when allocating new name: Invalid container name \(/?b@d\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed\|Error: failed to rename container named life2" d rename life2 b@d
d create --name taken busybox >/dev/null
check_has "rename to a taken name" 1 'Error when allocating new name: Conflict. The container name "/taken" is already in use by container' d rename life2 taken
d rm taken >/dev/null
check "stop: KILL after its time" 0 "life2" d stop -t 0 life2
check "stop's exit code" 0 "exited 137" d inspect -f '{{.State.Status}} {{.State.ExitCode}}' life2
check "stop again" 0 "life2" d stop life2
check "restart of a stopped one" 0 "life2" d restart life2
check_like "remove of a running one" 1 "Error response from daemon: (cannot remove container \"life2\": container is running: stop the container before removing or force remove|You cannot remove a running container [0-9a-f]{64}. Stop the container before attempting removal or force remove)" d rm life2
check "remove by force" 0 "life2" d rm -f life2
check_like "it is gone" 1 "Error response from daemon: No such container: life2" d logs life2
check "rm -f of nothing" 0 "Error response from daemon: No such container: nosuch" d rm -f nosuch
check_like "rm of nothing" 1 "Error response from daemon: No such container: nosuch" d rm nosuch
check "files stay over a restart" 0 "a
b" sh -c '"$docker" run --name keeps busybox sh -c "cat /f 2>/dev/null; [ -e /f ] && echo b || echo a >/f" && "$docker" start -a keeps && "$docker" rm keeps >/dev/null'

# ---- wait ----
d run -d --name first busybox sh -c 'sleep 0.3; exit 4' >/dev/null
d run -d --name second busybox sh -c 'exit 5' >/dev/null
check_like "wait of several" 1 "4\|5\|Error response from daemon: No such container: nosuch" d wait first second nosuch
check "wait of one that has ended" 0 "4" d wait first
check "start -a gives the exit code" 5 "" d start -a second
check_like "start of several" 1 "first\|Error response from daemon: No such container: nosuch\|Error: failed to start containers: nosuch" d start first nosuch
d wait first >/dev/null
d rm first second >/dev/null

# ---- exec ----
d run -d --name host -e A=main busybox sleep 1000 >/dev/null
check "exec is no pid 1" 0 "apart" d exec host sh -c '[ $$ -gt 1 ] && echo apart'
check "exec's exit code" 3 "" d exec host sh -c 'exit 3'
check "exec's exit code by signal" 137 "" d exec host sh -c 'kill -9 $$'
got=$(echo in | d exec -i host cat) is=$?
verdict "exec's stdin" 0 in
check "exec's environment" 0 "main more" d exec -e B=more host sh -c 'echo $A $B'
check "exec's user and directory" 0 "33 33 /tmp" d exec -u 33:33 -w /tmp host sh -c 'echo $(id -u) $(id -g) $PWD'
check "exec's user by name" 0 "www-data" d exec -u www-data host whoami
d exec -d host sh -c 'echo x >/detached' >/dev/null
check "exec -d" 0 "" soon d exec host test -e /detached
# 20.10 tells 126 where later ones tell 127.
check_like "exec: no such command" "127 126" 'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in \$PATH: unknown' d exec host nosuch
check_like "exec: no such path" "127 126" 'OCI runtime exec failed: exec failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory: unknown' d exec host /nosuch
check_like "exec: a directory" 126 'OCI runtime exec failed: exec failed: unable to start container process: exec: "/etc": (is a directory: )?permission denied: unknown' d exec host /etc
check_like "exec: no such user" 126 "unable to find user nosuch: no matching entries in passwd file" d exec -u nosuch host id
check_like "exec: no such directory" "127 126" 'OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd \("/nosuch"\) set in config.json failed: no such file or directory: unknown' d exec -w /nosuch host pwd
check "execs end with pid 1" 137 "" sh -c '"$docker" exec host sleep 1000 & p=$!
	for i in $(seq 200); do "$docker" top host | grep -q "sleep 1000.*" && [ $("$docker" top host | grep -c "sleep 1000") -eq 2 ] && break; sleep 0.05; done
	"$docker" kill host >/dev/null; wait $p'
check_like "exec into a stopped one" 1 "Error response from daemon: [Cc]ontainer [0-9a-f]{64} is not running" d exec host true
check_like "exec into nothing" 1 "Error response from daemon: No such container: nosuch" d exec nosuch true
check_like "attach to a stopped one" 1 "[Yy]ou cannot attach to a stopped container, start it first" d attach host
check_like "top of a stopped one" 1 "Error response from daemon: [Cc]ontainer [0-9a-f]{64} is not running" d top host
check_like "pause of a stopped one" 1 "Error response from daemon: Container [0-9a-f]{64} is not running" d pause host
d rm host >/dev/null

# ---- prune ----
d create --name stale -l stale=yes busybox >/dev/null
d create --name other busybox >/dev/null
check_like "prune by label" 0 "Deleted Containers:\|[0-9a-f]{64}\|\|Total reclaimed space: .*" d container prune -f --filter label=stale=yes
check "it spares others" 0 "other" d ps -a --format '{{.Names}}' --filter name=other
check_has "prune" 0 "Total reclaimed space" d container prune -f
check "all are gone" 0 "" d ps -aq
