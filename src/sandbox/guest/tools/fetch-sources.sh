#!/bin/sh
# Fetches and unpacks Debian source packages without touching the system's apt:
# own lists, own cache, own sources made from the machine's by asking for
# deb-src. Works as root and as a user.
#
# usage: fetch-sources.sh DIR PACKAGE=UPSTREAM_VERSION…
# leaves DIR/PACKAGE-UPSTREAM_VERSION/
set -eu

dir=$1
shift
mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/apt/parts"
cd "$dir"
apt_dir=$PWD/apt

# Both formats; what is no sources list is not read. Options in brackets and
# Signed-By stay. /dev/null keeps awk and grep from waiting on an empty list.
: >"$apt_dir/parts/classic.list"
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
	[ -r "$f" ] || continue
	grep -hE '^[[:space:]]*deb[[:space:]]' "$f" |
		sed -E 's/^[[:space:]]*deb[[:space:]]/deb-src /' >>"$apt_dir/parts/classic.list" || true
done
n=0
for f in /etc/apt/sources.list.d/*.sources; do
	[ -r "$f" ] || continue
	n=$((n + 1))
	sed -E 's/^Types:.*/Types: deb-src/' "$f" >"$apt_dir/parts/part$n.sources"
done

# _apt cannot look into a private directory: fetch as who we are.
user_option=
[ "$(id -u)" != 0 ] || user_option="-o APT::Sandbox::User=root"
quiet_apt() {
	apt-get -qq -o Dir::Etc::SourceList=/dev/null \
		-o Dir::Etc::SourceParts="$apt_dir/parts" \
		-o Dir::State::Lists="$apt_dir/lists" \
		-o Dir::Cache="$apt_dir/cache" \
		-o Acquire::Languages=none \
		$user_option "$@"
}

quiet_apt update || {
	echo "guest: cannot read the Debian source lists (network down?)" >&2
	exit 1
}
for want; do
	package=${want%%=*}
	version=${want#*=}
	[ ! -d "$package-$version" ] || continue
	quiet_apt source --download-only "$package" || {
		echo "guest: cannot fetch the source package $package" >&2
		exit 1
	}
	dsc=$(ls "$package"_"$version"-*.dsc 2>/dev/null | tail -n 1)
	if [ -z "$dsc" ]; then
		echo "guest: Debian offers another version of $package than $version" >&2
		exit 1
	fi
	# apt has checked the hashes against the signed lists.
	dpkg-source --no-check -x "$dsc" "$package-$version" >fetch.log 2>&1 || {
		cat fetch.log >&2
		exit 1
	}
done
