# Sourced by run.sh: mounts with a size, and --storage-opt size.

sized() { d run --rm --tmpfs /t:size=1m busybox sh -c "cd /t; $1"; }
check "tmpfs: full at its size, to the byte" 0 "1048576 full" sized 'head -c 3000000 /dev/zero >f 2>/dev/null || s=full; echo $(stat -c %s f) $s'
check_has "tmpfs: ENOSPC" 1 "No space left on device" sized 'dd if=/dev/zero of=f bs=64k count=20'
check "tmpfs: df" 0 "1024 512 512" sized 'head -c 524288 /dev/zero >f; df -k /t | awk "END { print \$2, \$3, \$4 }"'
check "tmpfs: what is removed is free again" 0 "well" sized 'for i in 1 2 3 4 5; do head -c 900000 /dev/zero >f || exit; rm f; done; echo well'
check "tmpfs: what is overwritten too" 0 "well" sized 'for i in 1 2 3; do head -c 900000 /dev/zero >f || exit; done; dd if=/dev/zero of=f bs=900000 count=1 conv=notrunc 2>/dev/null && echo well'
check "tmpfs: what is replaced by a rename too" 0 "well" sized 'for i in 1 2 3 4; do head -c 500000 /dev/zero >n || exit; mv n f; done; echo well'
check "tmpfs: what is truncated too" 0 "well" sized 'head -c 900000 /dev/zero >f; truncate -s 10 f; head -c 900000 /dev/zero >g && echo well'
check "tmpfs: a hole costs nothing" 0 "well" sized 'truncate -s 10000000 f && head -c 900000 /dev/zero >g && echo well'
check "tmpfs: but filling it does" 0 "1" sized 'truncate -s 10000000 f; dd if=/dev/zero of=f bs=1500000 count=1 conv=notrunc 2>/dev/null; echo $?'
check "tmpfs: fallocate" 0 "1" sized 'fallocate -l 2000000 f 2>/dev/null; echo $?'
check "tmpfs: directories" 0 "full" sized 'for i in $(seq 400); do mkdir $i 2>/dev/null || { echo full; break; }; done'
check "tmpfs: of several processes" 0 "1" sized 'for i in 1 2 3 4 5 6; do head -c 300000 /dev/zero >$i 2>/dev/null & done; wait; [ $(cat * | wc -c) -le 1060000 ]; echo $(($? == 0))'
check "tmpfs: a full one can be read, and made empty" 0 "0" sized 'head -c 3000000 /dev/zero >f 2>/dev/null; cat f >/dev/null && rm f && ls | wc -l'
check "--mount type=tmpfs" 0 "1048576" d run --rm --mount type=tmpfs,dst=/t,tmpfs-size=1m busybox sh -c 'head -c 3000000 /dev/zero >/t/f 2>/dev/null; stat -c %s /t/f'
check "--shm-size" 0 "2097152" d run --rm --shm-size 2m busybox sh -c 'head -c 3000000 /dev/zero >/dev/shm/f 2>/dev/null; stat -c %s /dev/shm/f'
check "/dev/shm has 64 MiB" 0 "67108864" d run --rm busybox sh -c 'head -c 70000000 /dev/zero >/dev/shm/f 2>/dev/null; stat -c %s /dev/shm/f'
check "they are the mount's own" 0 "well" sized 'head -c 3000000 /dev/zero >/tmp/f && echo well'

# ---- the root ----
check "--storage-opt size" 0 "1048576" d run --rm --storage-opt size=1m busybox sh -c 'head -c 3000000 /dev/zero >/f 2>/dev/null; stat -c %s /f'
d run --name kept --storage-opt size=1m busybox sh -c 'head -c 700000 /dev/zero >/f' >/dev/null
check "what an earlier start left counts" 0 "" sh -c '"$docker" start -a kept' # the same size again, in its place
d rm kept >/dev/null
d run -d --name grown --storage-opt size=1m busybox sleep 1000 >/dev/null
d create --name source busybox >/dev/null
head -c 500000 /dev/zero >"$dir/big" && d cp -q "$dir/big" source:/big
d export source | d import - big >/dev/null
d rm source >/dev/null
check "a copy of the image's file counts" 0 "full 500000" d run --rm --storage-opt size=200k big sh -c '(echo x >>/big) 2>/dev/null || echo full $(stat -c %s /big)'
check "and fits where there is room" 0 "500002" d run --rm --storage-opt size=600k big sh -c '(echo x >>/big) 2>/dev/null; stat -c %s /big'
d rmi big >/dev/null
head -c 800000 /dev/zero | tr '\0' x >"$dir/large" # an archive's zeros become a hole, which counts nothing
check_has "docker cp into it" 0 "" d cp "$dir/large" grown:/one
check_has "docker cp beyond it" 1 "no space left on device" sh -c "'$docker' cp '$dir/large' grown:/two 2>&1 | tr N n; '$docker' cp '$dir/large' grown:/two >/dev/null 2>&1"
check "what was copied counts for the container" 0 "1" d exec grown sh -c 'rm -f /two; head -c 500000 /dev/zero >/three 2>/dev/null; echo $?'
d rm -f grown >/dev/null
check_has "an unknown option" 125 "Unknown option colour" d run --rm --storage-opt colour=red busybox
check_has "no size" 125 "invalid size: 'much'" d run --rm --storage-opt size=much busybox
