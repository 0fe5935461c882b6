# Sourced by run.sh: docker volume in its documented ways, and every form of -v, --mount, --tmpfs, --volumes-from.

# ---- docker volume ----
check "volume create" 0 "named" d volume create named
check "volume create, once more" 0 "named" d volume create named
check "volume create without a name" 0 "64" sh -c "'$docker' volume create | tr -d '\n' | wc -c"
check "volume create with labels and options" 0 "opts" d volume create --driver local --label a=1 --label b= \
	--opt type=tmpfs --opt device=tmpfs --opt o=size=1m,uid=1000 opts
check "volume inspect" 0 "local map[a:1 b:] map[device:tmpfs o:size=1m,uid=1000 type:tmpfs] local" \
	d volume inspect -f '{{.Driver}} {{.Labels}} {{.Options}} {{.Scope}}' opts
check "volume inspect of two" 0 "named
opts" d volume inspect -f '{{.Name}}' named opts
check_has "volume inspect of none" 1 "get nope: no such volume" d volume inspect nope
check "volume ls --filter name" 0 "named" d volume ls -q --filter name=^nam
check "volume ls --filter label" 0 "opts" d volume ls -q --filter label=a=1 --filter label=b
check "volume ls --filter driver" 0 "" d volume ls -q --filter driver=foo
check "volume ls --format" 0 "local named local" d volume ls --filter name=named --format '{{.Driver}} {{.Name}} {{.Scope}}'
check_like "volume ls with an unknown filter" 1 ".*[Ii]nvalid filter 'colour'.*" d volume ls --filter colour=red
check_like "volume ls with a bad dangling" 1 ".*[Ii]nvalid filter 'dangling=\\[perhaps\\]'.*" d volume ls --filter dangling=perhaps
check_has "an unknown option" 1 'create xx: invalid option: "colour"' d volume create --opt colour=red xx
check_has "a missing option" 1 'create xx: missing required option: "device"' d volume create --opt type=tmpfs xx
check_has "a quota" 1 "create xx: quota size requested but no quota support" d volume create --opt size=1m xx
check_has "a short name" 1 "volume name is too short" d volume create x
check_has "a bad name" 1 "includes invalid characters for a local volume name" d volume create a/b
check "volume rm of two" 0 "named
opts" d volume rm named opts
check_has "volume rm of none" 1 "get named: no such volume" d volume rm named
check_has "volume rm --force of none" 0 "" d volume rm --force named
d create --name holder -v held:/v busybox true >/dev/null # never started
check_has "in use by one that never ran" 1 "remove held: volume is in use - [$(d inspect -f '{{.Id}}' holder)]" d volume rm -f held
check "dangling" 0 "" d volume ls -q --filter dangling=true --filter name=held
ours check "not dangling" 0 "held" d volume ls -q --filter dangling=false --filter name=held
d volume create spared >/dev/null
ours check_has "volume prune takes anonymous ones" 0 "Total reclaimed space: 0B" d volume prune -f
# The oracle's prune takes all that nobody uses, not only those without a name.
drop_anonymous() {
	if [ -n "${oracle:-}" ]; then
		d volume ls -q | grep -E '^[0-9a-f]{64}$' | xargs -r "$docker" volume rm
	else
		d volume prune -f
	fi
}
drop_anonymous >/dev/null
check "and spares the others" 0 "held
spared" d volume ls -q
ours check_has "volume prune -a" 0 "spared" d volume prune -af
d volume create --label keep=1 kept >/dev/null
d volume create --label go=1 gone >/dev/null
ours check_has "volume prune by label" 0 "gone" d volume prune -af --filter label=go
[ -z "${oracle:-}" ] || d volume rm spared gone >/dev/null # with an API of its own this would be prune -a
ours check "volume prune spares by label" 0 "kept" sh -c "'$docker' volume prune -af --filter label!=keep >/dev/null; '$docker' volume ls -qf name=kept"
check "df counts users" 0 "held 1" sh -c "'$docker' system df -v --format '{{range .Volumes}}{{println .Name .Links}}{{end}}' | grep held"
d rm holder >/dev/null
check "without the container it goes" 0 "held" d volume rm held
d volume rm kept >/dev/null

# ---- rm -v, --rm ----
d run --name one -v /anon -v named:/named busybox touch /anon/f /named/f
check "volumes-from" 0 "f f" d run --name two --volumes-from one busybox sh -c 'echo $(ls /anon) $(ls /named)'
check "volumes-from :ro" 1 "touch: /anon/g: Read-only file system" d run --rm --volumes-from one:ro busybox touch /anon/g
check "a chain of them" 0 "f" d run --rm --volumes-from two busybox ls /anon
d rm -v one >/dev/null
check "rm -v leaves what another uses" 0 "f" d run --rm --volumes-from two busybox ls /anon
d rm -v two >/dev/null
check "rm -v of the last" 0 "named" d volume ls -q
check_has "volumes-from one that is gone" 125 "No such container: one" d run --rm --volumes-from one busybox true
d run --rm -v /anon -v named:/named busybox true
check "--rm takes anonymous ones" 0 "named" d volume ls -q
d create --name keeper -v /anon busybox true >/dev/null && d rm keeper >/dev/null
check "rm without -v does not" 0 "2" sh -c "'$docker' volume ls -q | wc -l"
drop_anonymous >/dev/null
check "down to one" 0 "named" d volume ls -q

# ---- --mount ----
mkdir "$dir/host" && echo data >"$dir/host/f"
check "type=bind" 0 "data" d run --rm --mount "type=bind,source=$dir/host,target=/b" busybox cat /b/f
check "type=bind,readonly" 1 "touch: /b/g: Read-only file system" d run --rm --mount "type=bind,src=$dir/host,dst=/b,readonly" busybox touch /b/g
check "bind-propagation, consistency" 0 "rslave" sh -c "id=\$('$docker' create --mount 'type=bind,src=$dir/host,dst=/b,bind-propagation=rslave,consistency=cached' busybox true) &&
	'$docker' inspect -f '{{range .Mounts}}{{.Propagation}}{{end}}' \$id; '$docker' rm \$id >/dev/null"
ours check "bind-recursive=readonly" 1 "touch: /b/g: Read-only file system" d run --rm \
	--mount "type=bind,src=$dir/host,dst=/b,readonly,bind-recursive=readonly,bind-propagation=rprivate" busybox touch /b/g
check "bind-recursive=disabled" 0 "data" d run --rm --mount "type=bind,src=$dir/host,dst=/b,bind-recursive=disabled" busybox cat /b/f
check "type=volume with options and labels" 0 "map[l:1] map[device:$dir/host o:bind type:none] data" sh -c "
	'$docker' run -d --name mm --mount 'type=volume,src=optvol,dst=/v,volume-driver=local,volume-label=l=1,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=$dir/host' busybox cat /v/f >/dev/null &&
	'$docker' wait mm >/dev/null && echo \$('$docker' volume inspect -f '{{.Labels}} {{.Options}}' optvol) \$('$docker' logs mm); '$docker' rm mm >/dev/null"
# What Docker binds there has its places in the volume, and nothing of the image.
check "volume-nocopy" 0 "hostname
hosts
resolv.conf" d run --rm --mount type=volume,src=empty,dst=/etc,volume-nocopy busybox ls /etc
check "content with owners, modes and links" 0 "5:6 4755
target" sh -c "'$docker' run --name maker busybox sh -c 'mkdir /d && touch /d/f && chown 5:6 /d/f && chmod 4755 /d/f && ln -s target /d/l' &&
	'$docker' export maker | '$docker' import - owners >/dev/null && '$docker' rm maker >/dev/null &&
	'$docker' create --name maker -v owned:/d owners true >/dev/null &&
	'$docker' run --rm -v owned:/o busybox sh -c 'stat -c \"%u:%g %a\" /o/f; readlink /o/l'; '$docker' rm maker >/dev/null"
d run --rm -v parts:/p busybox sh -c 'mkdir -p /p/a/b; echo deep >/p/a/b/f; ln -s /etc /p/out'
ours check "volume-subpath" 0 "deep" d run --rm --mount type=volume,src=parts,dst=/s,volume-subpath=a/b busybox cat /s/f
ours check_has "volume-subpath that leads out" 125 "path concatenation escapes the base directory" \
	d run --rm --mount type=volume,src=parts,dst=/s,volume-subpath=out busybox cat /s/passwd
ours check_has "volume-subpath with .." 125 "subpath must be a relative path within the volume" \
	d run --rm --mount type=volume,src=parts,dst=/s,volume-subpath=../x busybox true
ours check_has "volume-subpath of nothing" 127 "cannot access path" d run --rm --mount type=volume,src=parts,dst=/s,volume-subpath=no busybox true
check "type=tmpfs" 0 "drwx------" d run --rm --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0700 busybox sh -c 'ls -ld /t | cut -c1-10'
ours check "type=image" 0 "root" d run --rm --mount type=image,src=busybox,dst=/i busybox sh -c 'head -n1 /i/etc/passwd | cut -d: -f1'
check_has "an unknown type" 125 "mount type unknown" d run --rm --mount type=odd,src=a,dst=/x busybox true

# ---- -v ----
check "a host path is made" 0 "made" sh -c "'$docker' run --rm -v '$dir/new/dir:/m' busybox touch /m/made && ls '$dir/new/dir'"
check "labels and consistency are taken" 0 "data" d run --rm -v "$dir/host:/b:Z,delegated,rprivate" busybox cat /b/f
check "a file" 0 "data" d run --rm -v "$dir/host/f:/etc/passwd:ro" busybox cat /etc/passwd
check_has "a bad mode" 125 "invalid mode: odd" d run --rm -v vol:/v:odd busybox true
check_has "a directory over a file" 125 "Are you trying to mount a directory onto a file (or vice-versa)?" \
	d run --rm -v "$dir/host:/etc/passwd" busybox true
check "nested, in no order" 0 "1 2 3" d run --rm -v deep:/v/bind/in -v top:/v -v "$dir/host:/v/bind" busybox sh -c \
	'echo 1 >/v/a; echo 2 >/v/bind/b; echo 3 >/v/bind/in/c; echo $(cat /v/a /v/bind/b /v/bind/in/c)'
check "each got its own" 0 "b f in" sh -c "cd '$dir/host' && echo *"
check "cp into a volume of a container that never ran" 0 "data" sh -c "
	'$docker' create --name copied -v cpvol:/v busybox true >/dev/null && '$docker' cp -q '$dir/host/f' copied:/v/ &&
	'$docker' run --rm -v cpvol:/w busybox cat /w/f; '$docker' rm copied >/dev/null"
check "cp of what a new volume got" 0 "root" sh -c "
	'$docker' create --name copied -v /etc busybox true >/dev/null && '$docker' cp -q copied:/etc/passwd - | tar xOf - | head -n1 | cut -d: -f1; '$docker' rm -v copied >/dev/null"
check "diff and export have the place, not the content" 0 "A /vol
vol/" sh -c "'$docker' run --name dd -v dvol:/vol busybox touch /vol/f; '$docker' diff dd; '$docker' export dd | tar tf - | grep ^vol; '$docker' rm dd >/dev/null"

d volume ls -q | xargs "$docker" volume rm >/dev/null
check "nothing is left" 0 "" d volume ls -q
