# Sourced by run.sh: ps, inspect, top, port, events.

# ---- ps ----
d run -d --name ls1 -l kind=a busybox sleep 1000 >/dev/null
d run --name ls2 -l kind=b busybox sh -c 'exit 3' >/dev/null
d create --name ls3 -l kind=b -v /anonymous busybox >/dev/null
d run -d --name ls4 busybox sleep 1000 >/dev/null
d pause ls4 >/dev/null
names() { d ps --format '{{.Names}}' "$@" | sort | tr '\n' ' '; }
check "ps lists what runs" 0 "ls1 ls4 " names
check "ps -a" 0 "ls1 ls2 ls3 ls4 " names -a
check "ps -n" 0 "ls3 ls4 " names -n 2
check "ps -l" 0 "ls4 " names -l
check "filter status" 0 "ls3 " names -a --filter status=created
check "filter status, twice" 0 "ls2 ls4 " names -a --filter status=exited --filter status=paused
check "filter exited" 0 "ls2 " names -a --filter exited=3
check "filter label" 0 "ls2 ls3 " names -a --filter label=kind=b
check "filter label, both" 0 "ls3 " names -a --filter label=kind=b --filter status=created
check "filter label key" 0 "ls1 ls2 ls3 " names -a --filter label=kind
check "filter name" 0 "ls1 " names -a --filter name='^ls1$'
check "filter name, a part" 0 "ls1 ls2 ls3 ls4 " names -a --filter name=ls
check "filter id" 0 "ls2 " names -a --filter id="$(d inspect -f '{{.Id}}' ls2 | cut -c1-12)"
check "filter ancestor" 0 "ls1 ls2 ls3 ls4 " names -a --filter ancestor=busybox
check "filter before" 0 "ls1 ls2 " names -a --filter before=ls3
check "filter since" 0 "ls4 " names -a --filter since=ls3
check "filter volume" 0 "ls3 " names -a --filter volume=/anonymous
check_has "an unknown filter" 1 "nvalid filter 'nosuch'" d ps --filter nosuch=x
check_has "an unknown status" 1 "nvalid filter 'status=nosuch'" d ps --filter status=nosuch
check_like "columns" 0 'ls1 "sleep 1000" busybox Up .*' d ps --filter name=ls1 --format '{{.Names}} {{.Command}} {{.Image}} {{.Status}}'
check_like "a paused one's" 0 'Up .*\(Paused\)' d ps --filter name=ls4 --format '{{.Status}}'
check_like "an ended one's" 0 'Exited \(3\) .* ago' d ps -a --filter name=ls2 --format '{{.Status}}'
check "a created one's" 0 'Created' d ps -a --filter name=ls3 --format '{{.Status}}'
check_like "the usual table" 0 'CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\|[0-9a-f]{12} +busybox +"sleep 1000" .*ls1' d ps --filter name=ls1
check "-q --no-trunc" 0 "$(d inspect -f '{{.Id}}' ls1)" d ps -q --no-trunc --filter name=ls1

# ---- inspect ----
check "inspect by a part of the id" 0 "/ls1" sh -c '"$docker" inspect -f "{{.Name}}" $("$docker" inspect -f "{{slice .Id 0 8}}" ls1)'
check "inspect of several" 0 "/ls1
/ls2" d inspect -f '{{.Name}}' ls1 ls2
check_like "inspect of nothing" 1 '(\[\])?\|?Error: No such object: nosuch' d inspect nosuch
check_like "inspect of one and nothing" 1 '/ls1\|Error: No such object: nosuch' d inspect -f '{{.Name}}' ls1 nosuch
check_has "inspect --type image" 1 "No such image: ls1" d inspect --type image ls1
check "inspect --type container" 0 "/ls1" d inspect --type container -f '{{.Name}}' ls1
check "inspect --type image finds images" 0 "linux" d inspect --type image -f '{{.Os}}' busybox
check_has "inspect --type nosuch" 1 'unknown type: "nosuch": must be one of' d inspect --type nosuch ls1
check "the state" 0 "running true false 0" d inspect -f '{{.State.Status}} {{.State.Running}} {{.State.Restarting}} {{.State.ExitCode}}' ls1
check "path and arguments" 0 "sleep [1000]" d inspect -f '{{.Path}} {{.Args}}' ls1

# ---- top, port ----
check "top" 0 "UID PID PPID C STIME TTY TIME CMD" sh -c 'echo $("$docker" top ls1 | head -n 1)'
check "top's command" 0 "sleep 1000" sh -c '"$docker" top ls1 | tail -n 1 | sed "s/.*\(sleep.*\)/\1/"'
check "port of none" 0 "" d port ls1
check_like "port that is not public" 1 "[Ee]rror: No public port '80(/tcp)?' published for ls1" d port ls1 80
check_like "top of nothing" 1 "Error response from daemon: No such container: nosuch" d top nosuch
d rm -fv ls1 ls2 ls3 ls4 >/dev/null

# ---- events ----
before=$(date +%s) # the CLI sends whole seconds: what was before ours must be before this one
until [ "$(date +%s)" -gt "$before" ]; do sleep 0.05; done
since=$(date +%s)
d run -d --name told -l told=yes busybox sh -c 'trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done' >/dev/null
told=$(d inspect -f '{{.Id}}' told)
soon has_logged told ready
d exec told true
d pause told >/dev/null
d unpause told >/dev/null
d rename told told2
d kill -s USR2 told2 >/dev/null 2>&1
d restart told2 >/dev/null
soon has_logged_times told2 ready 2
d stop told2 >/dev/null
d rm told2 >/dev/null
until [ "$(date +%s)" -gt "$since" ]; do sleep 0.05; done # the CLI sends whole seconds
sleep 1
events() { d events --since "$since" --until "$(date +%s)" --filter type=container --format '{{.Action}}' "$@" | sed 's/: .*//' | tr '\n' ' '; }
check "events of a life" 0 "create start exec_create exec_start exec_die pause unpause rename kill kill die stop start restart kill die stop destroy " \
	events --filter container="$told"
check "events by name" 0 "create start" sh -c 'echo $("$docker" events --since '"$since"' --until $(date +%s) --filter container=told --filter event=start --filter event=create --format "{{.Action}}" | head -n 2)'
check "events by kind" 0 "pause unpause " events --filter event=pause --filter event=unpause
check "attributes" 0 "busybox told" sh -c '"$docker" events --since '"$since"' --until $(date +%s) --filter event=pause --format "{{index .Actor.Attributes \"image\"}} {{index .Actor.Attributes \"name\"}}" | head -n 1'
check "an exit code" 0 "0" sh -c '"$docker" events --since '"$since"' --until $(date +%s) --filter event=die --filter type=container --format "{{index .Actor.Attributes \"exitCode\"}}" | tail -n 1'
"$docker" events --filter container=watched --format '{{.Action}}' >>"$dir/watched" 2>&1 &
watcher=$!
sees_events() { d run --rm --name watched busybox true; grep -q destroy "$dir/watched"; }
check "events as they happen" 0 "" soon sees_events
: >"$dir/watched" # it may have begun in the middle of one
check "and again" 0 "" soon sees_events
# What ended the wait may be the last of a run before; the last run's come, too.
in_order() { [ "$(tail -n 5 "$dir/watched" | tr '\n' ' ')" = "create attach start die destroy " ]; }
soon in_order
kill $watcher
wait $watcher 2>/dev/null
check "in their order" 0 "create attach start die destroy" sh -c 'echo $(tail -n 5 "$0/watched")' "$dir"
