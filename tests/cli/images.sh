# Sourced by run.sh: the built-in image, imports, names.

# ---- images ----
d run --name root busybox sh -c 'echo hi >/marker; echo bob:x:1000:1000::/:/bin/sh >>/etc/passwd; chown 1000 /marker'
"$docker" export root | d import -c 'CMD ["cat","/marker"]' -c 'ENV A=b C="d e"' - my/img:v1 >"$dir/imported"
check "import prints the id" 0 "sha256:" cut -c1-7 "$dir/imported"
check "an imported image runs, with its changes" 0 "hi" d run --rm my/img:v1
check "an imported image keeps owners and environment" 0 "bob d e" d run --rm my/img:v1 sh -c 'echo $(stat -c %U /marker) $C'
"$docker" export root | gzip | d import - zipped >/dev/null
check "a compressed archive is the same layer" 0 "true" sh -c "[ \$('$docker' image inspect -f '{{.RootFS.Layers}}' my/img:v1) = \$('$docker' image inspect -f '{{.RootFS.Layers}}' zipped) ] && echo true"
d rm root >/dev/null
d tag my/img:v1 other
check "tag and images" 0 "my/img:v1
other:latest" sh -c "'$docker' images --format '{{.Repository}}:{{.Tag}}' | grep -E '^(my|other)' | sort"
check "rmi of one of two names" 0 "Untagged: my/img:v1" d rmi my/img:v1
d create --name holder other >/dev/null
check_has "an image in use stays" 1 'unable to remove repository reference "other" (must force) - container' d rmi other
d rm holder >/dev/null
check_has "rmi of the last name deletes" 0 "Deleted: sha256:" d rmi other
d create --name holder busybox >/dev/null
check_has "image prune --all" 0 "untagged: zipped:latest" d image prune -af
d rm holder >/dev/null
# It is there without a registry, and would not come back.
ours check_has "the built-in image stays" 1 "the image is built in" d rmi busybox
check_like "import of no archive" 1 "Error response from daemon: .*(invalid tar archive|unexpected EOF).*" sh -c "echo bad | '$docker' import - bad"
check_like "import with a bad change" 1 "Error response from daemon: ([Ff]rom|FROM) is not a valid change command" sh -c "echo bad | '$docker' import -c 'FROM x' - bad"
check_has "rmi of nothing" 1 "No such image: nope:latest" d rmi nope
check_has "system df" 0 "Local Volumes" d system df
