#!/bin/sh
# The built-in image's root file system: the guest's own userland and the few
# files that it reads. Owners and modes are those of the tree as a root-owned
# tar would have them; the image store records them.
#
# /bin/busybox is a WebAssembly file with nothing in it but a custom section that
# names the module which the sandbox has built in (src/sandbox/program.c).
#
# usage: make-rootfs.sh APPLETS_TXT ROOT
set -eu
applets=$(realpath "$1") root=$2

mkdir -p "$root"
cd "$root"
mkdir -p bin sbin lib usr/bin usr/sbin usr/lib usr/share usr/local/bin etc dev proc sys tmp root home run mnt media opt srv
mkdir -p var/tmp var/log var/run var/cache var/lib var/mail var/opt var/spool/cron/crontabs
chmod 1777 tmp var/tmp
chmod 700 root
printf '\0asm\1\0\0\0\0\31\21sockerless.modulebusybox' >bin/busybox
chmod 755 bin/busybox
while read -r path; do
	[ -e ".$path" ] || ln -s /bin/busybox ".$path"
done <"$applets"

cat >etc/passwd <<'EOF'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
EOF
cat >etc/group <<'EOF'
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
lp:x:7:
mail:x:8:
kmem:x:9:
wheel:x:10:root
cdrom:x:11:
dialout:x:18:
floppy:x:19:
video:x:28:
audio:x:29:
tape:x:32:
www-data:x:33:
operator:x:37:
utmp:x:43:
plugdev:x:46:
staff:x:50:
lock:x:54:
netdev:x:82:
users:x:100:
nobody:x:65534:
EOF
cat >etc/shadow <<'EOF'
root:*:::::::
daemon:*:::::::
nobody:*:::::::
EOF
chmod 640 etc/shadow
printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >etc/hosts
printf 'localhost\n' >etc/hostname
: >etc/resolv.conf
printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n' >etc/nsswitch.conf
printf '/bin/sh\n/bin/ash\n' >etc/shells
# name port [protocol]: both when none is said
while read -r name port protocol; do
	for p in ${protocol:-tcp udp}; do printf '%s\t\t%s/%s\n' "$name" "$port" "$p"; done
done >etc/services <<'EOF'
echo 7
discard 9
daytime 13
chargen 19
ftp-data 20 tcp
ftp 21 tcp
ssh 22 tcp
telnet 23 tcp
smtp 25 tcp
time 37
domain 53
bootps 67 udp
bootpc 68 udp
tftp 69 udp
http 80
pop3 110 tcp
ntp 123 udp
imap2 143 tcp
snmp 161
ldap 389
https 443
syslog 514 udp
ldaps 636
imaps 993 tcp
pop3s 995 tcp
mysql 3306 tcp
postgresql 5432 tcp
EOF
printf 'ip\t0\tIP\nicmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6-icmp\t58\tIPv6-ICMP\n' >etc/protocols

# The layer's digest, as of a tar archive of it with owners and times as told here.
find . -exec touch -h -d '2024-01-01T00:00:00Z' {} +
tar --format=ustar --sort=name --owner=0 --group=0 --numeric-owner -cf - . | sha256sum |
	sed 's/^\([0-9a-f]*\).*/sha256:\1/' >"../$(basename "$PWD").diff-id"
