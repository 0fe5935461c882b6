#!/bin/sh
# The Debian package under a real systemd: installed into a debootstrap tree, booted in a container of systemd-nspawn's; socket
# activation, notification, the unit's walls with the sandbox behind them, restarts. Root; inside.sh runs in there.
set -u
[ "$(id -u)" -eq 0 ] || { echo "systemd: skipped: it needs root"; exit 0; }
tests/support/install-packages.sh debootstrap systemd-container >/dev/null || { echo "systemd: skipped: no systemd-nspawn"; exit 0; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sockerless
tree=$cache/systemd-bookworm.tar
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
if [ ! -e "$tree" ]; then
	mkdir -p "$cache"
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,curl,procps,ca-certificates bookworm "$dir/root" \
		${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$dir/log" 2>&1 &&
		rm -f "$dir"/root/var/cache/apt/archives/*.deb && tar --numeric-owner -C "$dir/root" -cf "$tree.new" . && mv "$tree.new" "$tree"
	rm -rf "$dir/root"
fi
[ -e "$tree" ] || { echo "systemd: skipped: no Debian to be had: $(tail -n 1 "$dir/log")"; exit 0; }
mkdir "$dir/root" && tar -C "$dir/root" --numeric-owner -xf "$tree" || exit 1
cp build/sockerless_*.deb "$dir/root/tmp/" || exit 1
cp "$(tests/support/docker-cli.sh build/docker-cli)" "$dir/root/usr/local/bin/docker"
cp tests/systemd/inside.sh "$dir/root/usr/local/bin/"
cp -L /etc/resolv.conf "$dir/root/etc/resolv.conf"
cp -r /etc/apt/apt.conf.d/. "$dir/root/etc/apt/apt.conf.d/"
chroot "$dir/root" sh -c 'DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; apt-get update -qq && apt-get install -y -qq --no-install-recommends /tmp/sockerless_*.deb' \
	>"$dir/log" 2>&1 || { tail -5 "$dir/log"; echo "FAIL the package cannot be installed"; exit 1; }
cat >"$dir/root/etc/systemd/system/inside.service" <<'EOF'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/local/bin/inside.sh
StandardOutput=file:/result
ExecStopPost=systemctl exit 0
[Install]
WantedBy=multi-user.target
EOF
chroot "$dir/root" systemctl enable -q inside.service
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout 120 systemd-nspawn --quiet --register=no --keep-unit -D "$dir/root" -b --console=pipe >"$dir/boot" 2>&1
cat "$dir/root/result"
grep -q '^systemd: [0-9]* passed, 0 failed$' "$dir/root/result" || { tail -20 "$dir/boot"; exit 1; }
chroot "$dir/root" sh -c 'apt-get remove -y -qq sockerless' >"$dir/log" 2>&1 || { cat "$dir/log"; echo "FAIL the package cannot be removed"; exit 1; }
left=$(find "$dir/root/usr" "$dir/root/etc" "$dir/root/lib" -name '*sockerless*' ! -path '*/var/*' 2>/dev/null)
[ -z "$left" ] || { echo "FAIL left behind: $left"; exit 1; }
