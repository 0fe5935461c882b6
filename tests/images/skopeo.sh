# Sourced by run.sh: skopeo reads what we save, and we load what it writes.
. tests/images/lib.sh
make_kinds
d save -o "$dir/s.tar" kind/again:1
id=$(d image inspect -f '{{.Id}}' kind/again:1)
check "skopeo reads the OCI layout" 0 "" skopeo copy -q "oci-archive:$dir/s.tar" "oci:$dir/oci:again"
# As an OCI layout nothing needs to be rewritten: its config is ours to the byte, its name our id.
check "whose config is ours" 0 "${id#sha256:}" sh -c "skopeo inspect --raw --config 'oci:$dir/oci:again' | sha256sum | cut -d' ' -f1"
check "skopeo reads the Docker archive" 0 "" skopeo copy -q "docker-archive:$dir/s.tar:kind/again:1" "dir:$dir/skopeo-dir"
check "skopeo shows the same config" 0 "$(d image inspect -f '{{json .Config.Cmd}} {{json .Config.Env}} {{json .RootFS.Layers}}' kind/again:1)" \
	sh -c "skopeo inspect --config 'docker-archive:$dir/s.tar' | python3 -c 'import json, sys; c = json.load(sys.stdin); print(*(json.dumps(x, separators=(\",\", \":\")) for x in (c[\"config\"][\"Cmd\"], c[\"config\"][\"Env\"], c[\"rootfs\"][\"diff_ids\"])))'"
layers=$(d image inspect -f '{{json .RootFS.Layers}}' kind/again:1)
# What skopeo writes: compressed layers, other manifests, the same files.
for to in "docker-archive:$dir/x.tar:other/da:1" "oci-archive:$dir/x.tar:localhost/other/oa:1"; do
	rm -f "$dir/x.tar"
	said=other${to##*other}
	[ "${to%%:*}" = docker-archive ] || said=localhost/$said
	check "skopeo writes a ${to%%:*}" 0 "" skopeo copy -q "oci:$dir/oci:again" "$to"
	check "which is loaded" 0 "Loaded image: $said" d load -qi "$dir/x.tar"
	check "with the same layers" 0 "$layers" d image inspect -f '{{json .RootFS.Layers}}' "$said"
	d rmi "$said" >/dev/null
done
fresh_daemon
for format in "" --dest-oci-accept-uncompressed-layers; do
	rm -rf "$dir/layout"
	# shellcheck disable=SC2086
	skopeo copy -q $format "oci-archive:$dir/s.tar" "oci:$dir/layout:localhost/lay:1"
	check "an OCI layout of skopeo's ${format:-as it likes} is loaded" 0 "Loaded image: localhost/lay:1" sh -c "tar cf - -C '$dir/layout' . | '$docker' load -q"
	check "with the id that it had" 0 "$id" d image inspect -f '{{.Id}}' localhost/lay:1
done
