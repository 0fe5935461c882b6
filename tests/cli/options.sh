# Sourced by run.sh: options of run and create that shape the process and its surroundings.

# ---- command ----
check "entrypoint" 0 "x y" d run --rm --entrypoint echo busybox x y
check "an entrypoint drops the image's command" 0 "" d run --rm --entrypoint /bin/echo busybox
check "an empty entrypoint is none" 0 "hi" d run --rm --entrypoint "" busybox echo hi
check "--platform" 0 "here" d run --rm --platform linux/amd64 busybox echo here
check "--pull missing" 0 "here" d run --rm --pull missing busybox echo here

# ---- users ----
check "user, directory, environment, hostname" 0 "1000 100 /tmp b hh" \
	d run --rm -u 1000:100 -w /tmp -e A=b --hostname hh busybox sh -c 'echo $(id -u) $(id -g) $PWD $A $(hostname)'
check "root's groups" 0 "uid=0(root) gid=0(root) groups=0(root),10(wheel)" d run --rm busybox id
check "user by name" 0 "uid=33(www-data) gid=33(www-data) groups=33(www-data)" d run --rm -u www-data busybox id
check "name:group" 0 "uid=33(www-data) gid=100(users) groups=100(users)" d run --rm -u www-data:users busybox id
check ":group" 0 "uid=0(root) gid=100(users) groups=100(users)" d run --rm -u :users busybox id
check "a number with no entry" 0 "uid=12345 gid=0(root) groups=0(root)" d run --rm -u 12345 busybox id
check "--group-add" 0 "uid=1(daemon) gid=2(bin) groups=2(bin),8(mail),777" d run --rm -u 1:2 --group-add 777 --group-add mail busybox id
check "HOME is the user's" 0 "/root /var/www" sh -c 'echo $("$docker" run --rm busybox sh -c "echo \$HOME") $("$docker" run --rm -u www-data busybox sh -c "echo \$HOME")'

# ---- working directory ----
check "a new working directory is made" 0 "/new/dir
755 0:0 /new
755 0:0 /new/dir" d run --rm -u 33 -w /new/dir busybox sh -c 'pwd; stat -c "%a %u:%g %n" /new /new/dir'
check "also below a read-only root" 0 "/new" d run --rm --read-only -w /new busybox pwd

# ---- environment ----
check "PATH and HOSTNAME" 0 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin short" \
	d run --rm --hostname short busybox sh -c 'echo $PATH $HOSTNAME'
check "empty and unset" 0 "empty: unset" d run --rm -e A= -e NOT_SET_HERE busybox sh -c 'echo empty:$A ${NOT_SET_HERE-unset}'
check "passed through" 0 "through" env PASSED=through "$docker" run --rm -e PASSED busybox sh -c 'echo $PASSED'
printf 'X=1\n# comment\nPASSED\n  Y= sp \nZ="q"\n' >"$dir/env"
check "--env-file" 0 '1,through, sp ,"q"' env PASSED=through "$docker" run --rm --env-file "$dir/env" busybox sh -c 'echo "$X,$PASSED,$Y,$Z"'
check "TERM with a terminal" 0 "xterm" sh -c '"$docker" run --rm -t busybox sh -c "echo \$TERM" | tr -d "\r"'

# ---- labels, names, ids ----
printf 'l1=v1\nl2\n' >"$dir/labels"
d create --name labelled --label-file "$dir/labels" -l l3=v3 busybox >/dev/null
check "--label-file and --label" 0 "v1..v3" d inspect -f '{{index .Config.Labels "l1"}}.{{index .Config.Labels "l2"}}.{{index .Config.Labels "l3"}}' labelled
d rm labelled >/dev/null
check "--cidfile" 0 "64" sh -c '"$docker" run --rm --cidfile "$0/cid" busybox true && wc -c <"$0/cid"' "$dir"
check_has "--cidfile that exists" 125 "container ID file found, make sure the other container isn't running" \
	d run --rm --cidfile "$dir/cid" busybox true
check "--hostname and --domainname" 0 "hh dd" sh -c '
	"$docker" create --name named --hostname hh --domainname dd busybox >/dev/null
	"$docker" inspect -f "{{.Config.Hostname}} {{.Config.Domainname}}" named; "$docker" rm named >/dev/null'
check_like "a bad name" 125 "docker: Error response from daemon: Invalid container name \(b@d\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed$usage" \
	d run --name b@d busybox true
check_like "a name twice" 125 "docker: Error response from daemon: Conflict. The container name \"/twice\" is already in use by container \"[0-9a-f]{64}\". You have to remove \(or rename\) that container to be able to reuse that name.$usage" \
	sh -c '"$docker" create --name twice busybox >/dev/null; "$docker" run --name twice busybox; r=$?; "$docker" rm twice >/dev/null; exit $r'
check "a generated name" 0 "true" sh -c '"$docker" run -d --rm --cidfile "$0/cid2" busybox sleep 100 >/dev/null
	"$docker" inspect -f "{{.Name}}" $(cat "$0/cid2") | grep -qE "^/[a-z]+_[a-z]+[0-9]*\$" && echo true; "$docker" rm -f $(cat "$0/cid2") >/dev/null' "$dir"

# ---- limits ----
check "--ulimit nofile" 0 "100 200" sh -c 'echo $("$docker" run --rm --ulimit nofile=100:200 busybox sh -c "ulimit -n; ulimit -Hn")'
check "--ulimit core and fsize" 0 "0 8" sh -c 'echo $("$docker" run --rm --ulimit core=0 --ulimit fsize=4096 busybox sh -c "ulimit -c; ulimit -f")'
check_has "a soft limit above the hard one" 125 "ulimit soft limit must be less than or equal to hard limit: 200 > 100" \
	d run --rm --ulimit nofile=200:100 busybox true

# ---- refused, in Docker's words ----
refuses() { # WORDS (28 begins them with a small letter) OPTION...
	words=$1
	shift
	check_like "refused: $*" 125 "docker: Error response from daemon: $words$usage" d run --rm "$@" busybox true
}
refuses "[Ii]nvalid signal: FOO" --stop-signal FOO
refuses "Minimum memory limit allowed is 6MB" --memory 1
refuses "[Rr]ange of CPUs is from 0.01 to [0-9]+.00, as there are only [0-9]+ CPUs available" --cpus -1
refuses "[Ii]nvalid IPC mode: foo" --ipc foo
refuses "[Ii]nvalid value 5000, range for oom score adj is \[-1000, 1000\]" --oom-score-adj 5000
refuses 'invalid CapAdd: unknown capability: "CAP_FOO"' --cap-add FOO
refuses "(failed to set up container networking: )?network nosuch not found" --network nosuch
refuses "No such container: nosuch" --network container:nosuch
refuses "No such container: nosuch" --volumes-from nosuch
refuses 'could not select device driver "" with capabilities: \[\[gpu\]\]' --gpus all
ours refuses '.*devices of the host cannot be given to a sandbox' --device /dev/null:/dev/extra # a sandbox has none

# ---- read-only root, --rm ----
check_has "read-only root" 1 "Read-only file system" d run --rm --read-only busybox sh -c 'echo x >/h'
check "a tmpfs below it can be written" 0 "0" d run --rm --read-only --tmpfs /run busybox sh -c 'touch /run/x; echo $?'
d run -d --rm --name passing busybox true >/dev/null
check "--rm with -d" 0 "" soon is_gone passing
