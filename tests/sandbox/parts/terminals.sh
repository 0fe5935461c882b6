# Sourced by run.sh: several terminals in one container, each with its own name.

d run -dt --name terms busybox sleep 100 >/dev/null
cat >"$dir/term.exp" <<'END'
set timeout 60
spawn -noecho $env(docker) exec -it terms sh
expect "# "
send "tty; ls /dev/pts; readlink /proc/self/fd/0; ps -o tty,args | grep -v grep | grep sleep; echo end\$?\r"
expect "end0\r\n"
send "docker=1; exit\r"
expect eof
END
check_has "an exec has its own" 0 "/dev/pts/1" env docker="$docker" expect "$dir/term.exp"
check_has "ps tells them apart" 0 "136,0 sleep 100" sh -c "docker='$docker' expect '$dir/term.exp' | tr -s ' '"
check "without one there is none" 0 "not a tty" sh -c "'$docker' exec terms tty | tail -1"
check "/dev/tty is the process's own" 0 "nothing" sh -c "'$docker' exec terms sh -c 'echo x 2>/dev/null >/dev/tty || echo nothing'"
check "another session's terminal is not for opening" 0 "refused" sh -c "'$docker' exec terms sh -c '(echo x >/dev/pts/0) 2>/dev/null || echo refused'"
check "it is gone with its process" 0 "0" d exec terms ls /dev/pts
d rm -f terms >/dev/null
