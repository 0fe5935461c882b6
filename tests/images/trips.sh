# Sourced by run.sh: save | load, there and back.
. tests/images/lib.sh
make_kinds
# shellcheck disable=SC2086
ids busybox $kinds >"$dir/before"
# shellcheck disable=SC2086
d save -o "$dir/all.tar" busybox $kinds
# shellcheck disable=SC2086
check "the same images are the same bytes" 0 "" sh -c "'$docker' save busybox $kinds | cmp - '$dir/all.tar'"
for kind in $kinds; do d save "$kind" >"$dir/$(echo "$kind" | tr /: --).tar"; done
d create --name exporter kind/again:1 true >/dev/null
d export exporter | tests/images/listing.py >"$dir/listing"
d rm exporter >/dev/null
fresh_daemon
check "load of all at once" 0 "$(for k in busybox:latest $kinds; do [ "$k" = kind/tagged:1 ] || echo "Loaded image: $k"; [ "$k" != kind/committed:1 ] || echo "Loaded image: kind/tagged:1"; done)" d load -qi "$dir/all.tar"
# shellcheck disable=SC2086
check "has the same ids and layers" 0 "$(cat "$dir/before")" ids busybox $kinds
# shellcheck disable=SC2086
check "and is saved as the same bytes" 0 "" sh -c "'$docker' save busybox $kinds | cmp - '$dir/all.tar'"
d create --name exporter kind/again:1 true >/dev/null
check "and has the same files" 0 "" sh -c "'$docker' export exporter | tests/images/listing.py | diff - '$dir/listing'"
check "and no digest of a registry" 0 "[]" d image inspect -f '{{.RepoDigests}}' kind/committed:1
check "a loaded image runs" 0 "hi" d run --rm kind/committed:1
for squeeze in 'gzip -1' 'zstd -1' bzip2 'xz -0'; do
	fresh_daemon
	check_has "load of what ${squeeze%% *} made" 0 "Loaded image: kind/empty:1" sh -c "$squeeze <'$dir/all.tar' | '$docker' load -q"
	# shellcheck disable=SC2086
	check "has the same ids after ${squeeze%% *}" 0 "$(cat "$dir/before")" ids busybox $kinds
done
fresh_daemon
for kind in $kinds; do check_has "load of $kind" 0 "Loaded image: $kind" d load -qi "$dir/$(echo "$kind" | tr /: --).tar"; done
# shellcheck disable=SC2086
check "has the same ids one by one" 0 "$(cat "$dir/before")" ids busybox $kinds
