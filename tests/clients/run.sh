#!/bin/sh
# Real clients against a real daemon, and a table of what they say. Arguments: the clients to run, all by default.
# Four of them must be there (docker-compose 1.29, python3-docker, dockerode, testcontainers for Node); another
# that cannot be had here is told as missing. What is fetched is kept under a hash of what asks for it.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/support/daemon.sh
here=$PWD/tests/clients
cache=${CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sockerless/clients}
trap clean_up EXIT
table= bad=0

# kept NAME FILE...: the directory where what these files ask for is kept.
kept() {
	name=$1
	shift
	echo "$cache/$name-$(cat "$@" | sha256sum | cut -c1-16)"
}

# fetched DIR COMMAND...: runs the command in DIR once, with its output in the log; false when it fails.
fetched() {
	to=$1
	shift
	[ -e "$to/.done" ] && return 0
	rm -rf "$to" && mkdir -p "$to"
	(cd "$to" && "$@") >>"$dir/fetch.log" 2>&1 && touch "$to/.done"
}

# ---- how each is had: prints nothing; 0: it is there ----

get_debian() { tests/support/install-packages.sh "$@" >>"$dir/fetch.log" 2>&1; }
get_node() {
	command -v npm >/dev/null || get_debian nodejs npm || return 1
	node_dir=$(kept node "$here/node/package.json")
	fetched "$node_dir" sh -c "cp '$here/node/package.json' . && npm install --no-package-lock --no-audit --no-fund --ignore-scripts" || return 1
	cp "$here"/node/*.mjs "$node_dir/"
}
get_python_newest() {
	py_dir=$(kept python "$here/requirements.txt")
	get_debian python3-venv || return 1
	fetched "$py_dir" sh -c "/usr/bin/python3 -m venv venv && venv/bin/pip install -q -r '$here/requirements.txt'"
}
go_program() { # NAME COMMAND...
	command -v go >/dev/null || return 1
	go_dir=$1
	shift
	fetched "$go_dir" env GOFLAGS=-mod=mod "$@"
}
get_testcontainers_go() {
	tc_go=$(kept testcontainers-go "$here/go/main.go" "$here/go/go.mod" "$here/go/go.sum")
	go_program "$tc_go" sh -c "cp '$here'/go/main.go '$here'/go/go.* . && GOFLAGS=-mod=readonly go build -o client ."
}
get_act() {
	act_dir=$(kept act "$here/act/version")
	go_program "$act_dir" sh -c "GOBIN=\$PWD go install github.com/nektos/act@$(cat "$here/act/version")"
}
get_compose2() {
	compose2=$(kept compose2 "$here/compose/version")
	go_program "$compose2" sh -c "go mod init x && go get github.com/docker/compose/v2/cmd@$(cat "$here/compose/version") &&
		go build -o docker-compose github.com/docker/compose/v2/cmd"
}
get_docker_java() {
	command -v mvn >/dev/null && command -v java >/dev/null || return 1
	java_dir=$(kept java "$here/java/pom.xml")
	fetched "$java_dir" sh -c "cp '$here/java/pom.xml' . && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib"
}

# ---- the clients: client NAME required|wanted GET COMMAND... ----

client() {
	name=$1 need=$2 get=$3
	shift 3
	[ -z "$only" ] || case " $only " in *" $name "*) ;; *) return ;; esac
	if ! eval "$get"; then
		[ "$need" = wanted ] || { bad=1 && tail -5 "$dir/fetch.log"; }
		table="$table$name|missing here\n"
		return
	fi
	if eval "$*" >"$dir/client.log" 2>&1; then
		verdict=ok
	else
		verdict=FAILED bad=1
		grep -E '^FAIL' "$dir/client.log"; grep -vE '^(ok|FAIL) ' "$dir/client.log" | tail -60
	fi
	table="$table$name|$verdict: $(grep -E 'passed' "$dir/client.log" | tail -1)\n"
}

only=$*
start_daemon || exit 1
client compose-1.29 required "get_debian docker-compose" '"$here/compose.sh" docker-compose'
client compose-2 wanted get_compose2 '"$here/compose.sh" "$compose2/docker-compose"'
client python3-docker required "get_debian python3-docker" 'timeout 600 /usr/bin/python3 "$here/python_sdk.py"'
client python-newest wanted get_python_newest 'timeout 600 "$py_dir/venv/bin/python" "$here/python_sdk.py"'
client dockerode required get_node '(cd "$node_dir" && timeout 600 node dockerode.mjs)'
client testcontainers-node required get_node '"$here/with_reaper.sh" "cd $node_dir && timeout 600 node testcontainers.mjs"'
client testcontainers-go wanted get_testcontainers_go '"$here/with_reaper.sh" "timeout 600 $tc_go/client" 10s'
client docker-java wanted get_docker_java '(cd "$here/java" && timeout 600 java -cp "$java_dir/lib/*" Sdk.java)'
client act wanted get_act '"$here/act.sh" "$act_dir/act"'
client gitlab-runner required true 'timeout 600 /usr/bin/python3 "$here/gitlab_runner.py"'
client actions-runner required true '"$here/actions_runner.sh"'
client gitlab-ci-local required true '"$here/gitlab_ci_local.sh"'
stop_daemon
[ "${daemon_status:-0}" -eq 0 ] || { bad=1 && echo "the daemon ended with $daemon_status" && tail -20 "$dir/log"; }
grep -q 'AddressSanitizer\|runtime error\|LeakSanitizer' "$dir/log" && bad=1 && cat "$dir/log"
printf "$table" | column -t -s'|'
exit $bad
