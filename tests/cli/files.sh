# Sourced by run.sh: what a container sees and leaves behind, and what leads out of it.

# ---- files ----
check "copy-up, chown, links" 0 "5:6 755 target 2" d run --rm busybox sh -c \
	'cd /etc && chown 5:6 passwd && chmod 755 passwd && ln passwd p2 && ln -s target l && echo $(stat -c "%u:%g %a" passwd) $(readlink l) $(stat -c %h p2)'
check "removed and made again" 0 "new" d run --rm busybox sh -c 'rm -r /usr/sbin && mkdir /usr/sbin && echo new >/usr/sbin/f && ls /usr/sbin | xargs -I{} cat /usr/sbin/{}'
check "the image stays as it was" 0 "root:x:0:0:root:/root:/bin/sh" d run --rm busybox head -1 /etc/passwd

# ---- diff, export, sizes ----
d run --name changed busybox sh -c 'mkdir /d; printf 12345 >/d/f; ln /d/f /d/g; rm /bin/ls; printf x >>/etc/group; touch /d/ünï'
check "diff" 0 "C /bin
D /bin/ls
A /d
A /d/f
A /d/g
A /d/ünï
C /etc
C /etc/group" sh -c "'$docker' diff changed | LC_ALL=C sort -k 2" # in whatever order
check "export is a tar of the whole root" 0 "d/ d/f d/g d/ünï " sh -c "'$docker' export changed | tar tf - | grep ^d/ | sort | tr '\n' ' '"
check "export keeps hard links" 0 "hrw-r--r--" sh -c "'$docker' export changed | tar tvf - d/g | cut -c1-10"
check_has "export leaves out what was deleted" 2 "Not found in archive" sh -c "'$docker' export changed | tar tf - bin/ls"
check_has "ps --size" 0 "(virtual" d ps -as --filter name=changed --format '{{.Size}}'
check "inspect --size" 0 "true" sh -c "[ \$('$docker' inspect -s -f '{{.SizeRw}}' changed) -lt 1000 ] && echo true"
d rm changed >/dev/null

# Behind `ours`: names that Docker takes for whiteouts, volumes that only API 1.42 prunes so, a sandbox without devices.
# ---- names like our marks, owners of links and FIFOs, devices: through run, export, import, cp ----
d run --name odd busybox sh -c 'cd /tmp && echo one >.wh.file && mkdir .wh..wh..opq && echo two >.wh..wh..opq/x &&
	ln -s file link && chown -h 5:6 link && mkfifo -m 600 fifo && chown 7:8 fifo && rm -f /etc/.wh.passwd'
check "diff shows them as they are" 0 "C /tmp
A /tmp/.wh..wh..opq
A /tmp/.wh..wh..opq/x
A /tmp/.wh.file
A /tmp/fifo
A /tmp/link" d diff odd
check "export tells owners of links and FIFOs" 0 "prw------- 7/8 tmp/fifo
lrwxrwxrwx 5/6 tmp/link" sh -c "'$docker' export odd | tar --numeric-owner -tvf - tmp/fifo tmp/link | awk '{print \$1, \$2, \$6}' | sort -k3"
"$docker" export odd >"$dir/odd.tar"
check_has "import of an export" 0 "sha256:" d import "$dir/odd.tar" odd:again
# An image is a layer, and there such names are whiteouts (moby: UnpackLayer).
ours check "it is all there again, but for what reads as whiteouts" 0 "5:6 7:8 fifo link" d run --rm odd:again sh -c \
	'cd /tmp && echo $(stat -c %u:%g link fifo) $(ls -A)'
check "cp of such a name" 0 "one" sh -c "'$docker' cp -q odd:/tmp/.wh.file '$dir/out.wh' && cat '$dir/out.wh'"
check "cp in of such a name" 0 "one" sh -c "'$docker' cp -q '$dir/out.wh' odd:/tmp/.wh.in && '$docker' cp -q odd:/tmp/.wh.in - | tar xOf -"
d rm odd >/dev/null
python3 -c 'import sys, tarfile
t = tarfile.open(sys.argv[1], "w"); e = tarfile.TarInfo("null"); e.type = tarfile.CHRTYPE; e.mode = 0o620; e.devmajor, e.devminor = 1, 3
t.addfile(e)' "$dir/device.tar"
check_has "a device in an import" 0 "sha256:" d import "$dir/device.tar" device
d create --name device device x >/dev/null
check "is told again" 0 "crw--w---- 1,3" sh -c "'$docker' export device | tar tvf - null | awk '{print \$1, \$3}'"
d rm device >/dev/null

# ---- binds ----
mkdir "$dir/bind" && echo data >"$dir/bind/f"
check "bind" 0 "data" d run --rm -v "$dir/bind:/mnt/b" busybox sh -c 'cat /mnt/b/f; echo new >/mnt/b/g'
check "bind wrote to the host" 0 "new" cat "$dir/bind/g"
check_has "bind read-only" 1 "Read-only file system" d run --rm -v "$dir/bind:/mnt:ro" busybox sh -c 'echo x >/mnt/h'

# ---- volumes, tmpfs, --mount ----
check "a named volume keeps files and owners" 0 "33:33 data" sh -c "
	'$docker' run --rm -v vol:/v busybox sh -c 'echo data >/v/f; chown 33:33 /v/f' &&
	'$docker' run --rm -v vol:/other:ro busybox sh -c 'echo \$(stat -c %u:%g /other/f) \$(cat /other/f)'"
check_has "a volume read-only" 1 "Read-only file system" d run --rm -v vol:/v:ro busybox sh -c 'echo x >/v/g'
check "a new volume gets the image's files" 0 "root" sh -c "'$docker' run --rm -v etc:/etc busybox true &&
	'$docker' run --rm -v etc:/old busybox head -n 1 /old/passwd | cut -d: -f1"
check "volume ls" 0 "etc
vol" d volume ls -q
check "volume inspect" 0 "vol local local" d volume inspect vol -f '{{.Name}} {{.Driver}} {{.Scope}}'
d run -d --name user -v vol:/v -v /anonymous --mount type=volume,src=etc,dst=/e,ro busybox sleep 100 >/dev/null
check "mounts in inspect" 0 "
/anonymous true
/e false
/v true" sh -c "'$docker' inspect user -f '{{range .Mounts}}{{println .Destination .RW}}{{end}}' | sort"
check_has "a volume in use stays" 1 "volume is in use - [" d volume rm vol
check "volumes-from" 0 "/anonymous /v" d run --rm --volumes-from user busybox sh -c 'echo $(ls -d /anonymous /v)'
d rm -fv user >/dev/null
check "rm -v takes anonymous volumes and no others" 0 "etc
vol" d volume ls -q
d volume create --label a=b labelled >/dev/null
check "volume filters" 0 "labelled" d volume ls -q --filter label=a=b
ours check_has "volume prune spares named ones" 0 "Total reclaimed space: 0B" d volume prune -f
ours check_has "volume prune --all" 0 "labelled" d volume prune -af
check_has "no such volume" 1 "get nope: no such volume" d volume rm nope
check_has "no such volume driver" 1 'error looking up volume plugin foo: plugin "foo" not found' d volume create --driver foo xx
check_has "a bad volume name" 125 'includes invalid characters for a local volume name' d run --rm -v 'v!l:/v' busybox true
check_has "a relative mount path" 125 "mount path must be absolute" d run --rm -v vol:rel busybox true
check_has "two mounts at one place" 125 "Duplicate mount point: /v" d run --rm -v vol1:/v -v vol2:/v busybox true
check_has "--mount of a missing source" 125 "bind source path does not exist: /nonexistent" \
	d run --rm --mount type=bind,src=/nonexistent,dst=/x busybox true
check "tmpfs is empty at each start" 0 "0
0" sh -c "'$docker' run --name tmp --tmpfs /t:size=1m busybox sh -c 'ls /t | wc -l; touch /t/x' && '$docker' start -a tmp"
d rm tmp >/dev/null
check "/dev/shm" 0 "drwxrwxrwt ok" d run --rm busybox sh -c 'echo ok >/dev/shm/f; echo $(ls -ld /dev/shm | cut -c1-10) $(cat /dev/shm/f)'
check "mounts below a read-only root" 0 "/new/place" d run --rm --read-only -v vol:/new/place --tmpfs /new/tmp busybox ls -d /new/place
d volume prune -af >/dev/null

# ---- escapes: the first wall ----
ln -s /etc/passwd "$dir/bind/link"
check_has "a bind's link stays inside" 0 "root:x:0:0:root:/root:/bin/sh" d run --rm -v "$dir/bind:/b" busybox head -1 /b/link
check "a bind's .." 0 "bin dev etc home lib linuxrc media mnt opt proc root run sbin srv sys tmp usr var" \
	d run --rm -v "$dir/bind:/mnt" busybox sh -c 'cd /mnt && echo $(ls ..)'
check ".. above the root" 0 "bin" d run --rm busybox sh -c 'cd /../../.. && ls -d bin'
check "/proc/self/root" 0 "/proc/self/root/bin/sh" d run --rm busybox ls /proc/self/root/bin/sh
check_has "/proc/1 is the container's" 0 "cat" d run --rm busybox cat /proc/1/cmdline
ours check_has "mknod" 1 "Operation not permitted" d run --rm busybox mknod /tmp/sda b 8 0
check_has "kill of a foreign pid" 1 "No such process" d run --rm busybox kill -9 "$daemon_pid"
check_has "mount" 1 "permission denied" d run --rm busybox mount -t tmpfs none /mnt
check "fds above the limit" 0 "refused" d run --rm busybox sh -c '(echo x >&1027) 2>/dev/null || echo refused'
