# Sourced by run.sh: a whole Debian as an image: owners, modes, links, devices, times, capabilities the same after import, save, load,
# export. IMAGES_DEBIAN=large takes one of more than 20,000 files instead of the minimal one.
. tests/images/lib.sh
least=6000
[ "${IMAGES_DEBIAN:-}" != large ] || least=20000
debian=$(tests/support/debian.sh "${IMAGES_DEBIAN:-}" 2>"$dir/debian.why") || { echo "images: debian: skipped: $(cat "$dir/debian.why")"; return 0; }
tests/images/listing.py <"$debian" >"$dir/debian.list"
check "it has many files" 0 "true" sh -c "[ \$(wc -l <'$dir/debian.list') -gt $least ] && echo true"
! grep -q '^/usr/bin/ping ' "$dir/debian.list" || check "ping has its capability" 0 1 grep -c '^/usr/bin/ping .*security.capability=' "$dir/debian.list"
check_has "import" 0 "sha256:" timeout 600 "$docker" import "$debian" debian:whole
id=$(d image inspect -f '{{.Id}}' debian:whole)
check "its layer is the archive" 0 "sha256:$(sha256sum <"$debian" | cut -d' ' -f1)" d image inspect -f '{{index .RootFS.Layers 0}}' debian:whole
same() {
	d create --name whole debian:whole true >/dev/null
	"$docker" export whole | tests/images/listing.py | diff - "$dir/debian.list" | head -n 20
	d rm whole >/dev/null
}
check "export has the same files" 0 "" same
check "save" 0 "" timeout 600 "$docker" save -o "$dir/whole.tar" debian:whole
fresh_daemon
check "load" 0 "Loaded image: debian:whole" timeout 600 "$docker" load -qi "$dir/whole.tar"
check "has the same id" 0 "$id" d image inspect -f '{{.Id}}' debian:whole
check "and the same files" 0 "" same
rm -f "$dir/whole.tar"
d rmi debian:whole >/dev/null
