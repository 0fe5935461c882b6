# Sourced by run.sh: umoci unpacks what we save, and packs what we load. Its own unpacking is the measure of ours.
. tests/images/lib.sh
[ "$(id -u)" -eq 0 ] || { echo "images: umoci: skipped: it gives files their owners as root only"; return 0; }
make_kinds
rm -rf "$dir/u" && mkdir "$dir/u"
for kind in kind/committed:1 kind/again:1 kind/imported:1; do
	tag=$(echo "$kind" | tr -d /:)
	d save "$kind" >"$dir/u/$tag.tar"
	skopeo copy -q "oci-archive:$dir/u/$tag.tar" "oci:$dir/u/layout:$tag"
	check_has "umoci unpacks $kind" 0 "" umoci unpack --image "$dir/u/layout:$tag" "$dir/u/$tag"
	tests/images/listing.py --loose "$dir/u/$tag/rootfs" >"$dir/u/$tag.theirs"
	d create --name unpacked "$kind" true >/dev/null
	check "and has the same files of $kind" 0 "" sh -c "'$docker' export unpacked | tests/images/listing.py --loose | diff - '$dir/u/$tag.theirs'"
	d rm unpacked >/dev/null
done
# The other way: umoci adds a layer, with a whiteout and an opaque directory's worth of changes.
echo theirs >"$dir/u/kindagain1/rootfs/theirs"
rm -rf "$dir/u/kindagain1/rootfs/deep"
rm -rf "$dir/u/kindagain1/rootfs/made" && mkdir "$dir/u/kindagain1/rootfs/made" && echo new >"$dir/u/kindagain1/rootfs/made/new"
check_has "umoci packs a layer" 0 "" umoci repack --image "$dir/u/layout:packed" "$dir/u/kindagain1"
skopeo copy -q "oci:$dir/u/layout:packed" "oci-archive:$dir/u/packed.tar:localhost/packed:1"
check "which is loaded" 0 "Loaded image: localhost/packed:1" d load -qi "$dir/u/packed.tar"
d create --name unpacked localhost/packed:1 true >/dev/null
tests/images/listing.py --loose "$dir/u/kindagain1/rootfs" >"$dir/u/theirs"
check "with the files that it packed" 0 "" sh -c "'$docker' export unpacked | tests/images/listing.py --loose | diff - '$dir/u/theirs'"
d rm unpacked >/dev/null
