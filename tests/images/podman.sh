# Sourced by run.sh: podman, where it is installed and works, loads what we save, and we load what it saves.
. tests/images/lib.sh
command -v podman >/dev/null || { echo "images: podman: skipped: not installed"; return 0; }
p() { podman --root "$dir/podman" --runroot "$dir/podman-run" --storage-driver vfs --events-backend none "$@" 2>>"$dir/podman.log"; }
p images -q >/dev/null || { echo "images: podman: skipped: it does not work here: $(tail -n 1 "$dir/podman.log")"; return 0; }
make_kinds
for kind in busybox:latest kind/committed:1 kind/again:1 kind/imported:1; do
	d save "$kind" >"$dir/p.tar"
	check_has "podman loads $kind" 0 "Loaded image" p load -qi "$dir/p.tar"
	check "under its id" 0 "$(d image inspect -f '{{.Id}}' "$kind")" sh -c "podman --root '$dir/podman' --runroot '$dir/podman-run' --storage-driver vfs image inspect -f 'sha256:{{.Id}}' 'docker.io/$([ "$kind" = busybox:latest ] && echo library/)$kind' 2>>'$dir/podman.log'"
done
p save -q -o "$dir/pd.tar" docker.io/kind/again:1
p save -q --format oci-archive -o "$dir/po.tar" docker.io/kind/again:1
id=$(d image inspect -f '{{.Id}} {{json .RootFS.Layers}}' kind/again:1)
layers=${id#* }
for form in pd po; do
	fresh_daemon
	check "what podman saved is loaded ($form)" 0 "Loaded image: kind/again:1" d load -qi "$dir/$form.tar"
	check "with the same layers ($form)" 0 "$layers" d image inspect -f '{{json .RootFS.Layers}}' kind/again:1
done
umount "$dir/podman" 2>/dev/null
rm -rf "$dir/podman" "$dir/podman-run"
