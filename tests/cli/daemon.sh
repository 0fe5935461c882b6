# Sourced by run.sh: the daemon itself: versions, options, its end.

# ---- the daemon itself ----
check_has "version" 0 "API version:      1.55" d version
check_has "info" 0 "Storage Driver: sockerless" d info
check_has "images" 0 "busybox" d images
d run --rm busybox true
sleep 1.1 # the CLI sends whole seconds
check_has "events" 0 "container die" d events --since 10m --until 0s

# ---- options ----
refused() { # MESSAGE OPTION...: status 2 and the message
	text=$1
	shift
	check_has "refused: $*" 2 "$text" "$B/bin/sockerlessd" "$@"
}
check_has "a second daemon on this data root is refused" 1 "" "$B/bin/sockerlessd" -H "unix://$dir/other.sock" --data-root "$dir/data"
check_has "a second daemon on this socket is refused" 1 "" "$B/bin/sockerlessd" -H "$DOCKER_HOST" --data-root "$dir/other"
refused "unknown option --nonsense" --nonsense
refused "unknown argument nonsense" nonsense
refused "--data-root needs a value" --data-root
refused "only loopback is served" -H tcp://0.0.0.0:2375
refused "expected unix://, tcp:// or fd://" -H ssh://somewhere
refused "--data-root is given twice" --data-root /a --data-root /b
refused "not a level" --log-level loud
refused "expected text or json" --log-format xml
refused "expected auto, registry or synthetic" --images some
refused "expected PATTERN=RUNTIME" --route wasm
echo '{"data-root": "/a"}' >"$dir/config.json"
refused "given both as a flag and in the configuration file" --config "$dir/config.json" --data-root /b
echo '{"data-roof": "/a"}' >"$dir/config.json"
refused 'unknown option "data-roof"' --config "$dir/config.json"
echo '{"data-root": 5}' >"$dir/config.json"
refused 'has the wrong type' --config "$dir/config.json"
echo '{' >"$dir/config.json"
refused '--config' --config "$dir/config.json"
check_has "an environment variable is an option" 2 "SOCKERLESS_LOG_LEVEL" env SOCKERLESS_LOG_LEVEL=loud "$B/bin/sockerlessd"
check_has "--version" 0 "sockerlessd " "$B/bin/sockerlessd" --version
check_has "--help" 0 "usage: sockerlessd" "$B/bin/sockerlessd" --help
check "the socket is ours alone" 0 "600" stat -c %a "$dir/docker.sock"
check "the data root is ours alone" 0 "700" stat -c %a "$dir/data"

# ---- another daemon: configured by a file, pretending, on TCP, forgetful ----
# A port that nobody has now, below those that the kernel gives away by itself: others ask for it only by number.
port=$(python3 -c 'import random, socket
while True:
    port = random.randrange(10000, 32000)
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        continue
    print(port)
    break')
echo "{\"hosts\": [\"unix://$dir/second.sock\", \"tcp://127.0.0.1:$port\"], \"data-root\": \"$dir/second\", \"synthetic\": true,
	\"images\": \"synthetic\", \"ephemeral\": true, \"log-format\": \"json\"}" >"$dir/config.json"
"$B/bin/sockerlessd" --config "$dir/config.json" --sandbox "$dir/sockerless-sandbox" --guest build/guest/rootfs >>"$dir/second.log" 2>&1 &
second=$!
second() { timeout 180 "$docker" -H "unix://$dir/second.sock" "$@"; }
soon second version
check "TCP on loopback" 0 "OK" curl -s --max-time 60 "http://127.0.0.1:$port/_ping"
check_has "a synthetic image says what it is" 0 "Synthetic image: nothing was downloaded" second pull alpine:3.19
check "it has a label" 0 "synthetic" second image inspect -f '{{index .Config.Labels "sockerless.image"}}' alpine:3.19
check "it runs what the sandbox can run" 0 "real" second run --rm alpine:3.19 echo real
mkdir -p "$dir/bin" && cp /bin/bash "$dir/bin/native"
check_has "and pretends the rest when asked" 0 "nothing was executed" second run --rm -v "$dir/bin:/b" alpine:3.19 /b/native --build
check "JSON in the log" 0 "true" sh -c "head -n 1 $dir/second.log | grep -q '^{.*\"msg\"' && echo true"
kill -TERM $second
wait $second
got=$? is=0
verdict "it ends well" 0 0
check "and its socket is gone" 1 "" test -e "$dir/second.sock"

# ---- what clients must not say ----
api() { curl -s --max-time 60 --unix-socket "$dir/docker.sock" "$@"; }
check "malformed JSON" 0 "400" api -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"Image"' http://d/v1.43/containers/create
check "wrong type" 0 "400" api -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"Image":5}' http://d/v1.43/containers/create
check "unknown path" 0 '{"message":"page not found"}' api http://d/v1.43/nothing
check_has "too old a version" 0 "client version 1.10 is too old" api http://d/v1.10/info
check_has "too new a version" 0 "client version 1.99 is too new" api http://d/v1.99/info
