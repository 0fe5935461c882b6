# docker stats.
d run -d --name measured -m 64m busybox sh -c 'while :; do :; done' >/dev/null
check_like "stats --no-stream" 0 'measured [0-9]+\.[0-9]+% [0-9.]+[kKM]iB / 64MiB [0-9.]+k?B / [0-9.]+k?B 0B / 0B 1' d stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.NetIO}} {{.BlockIO}} {{.PIDs}}' measured
# Its part may be small: others want processors, too. A container that sleeps has 0.00%.
check "a loop takes a processor, or its part of one" 0 "yes" sh -c 'p=$("$docker" stats --no-stream --format "{{.CPUPerc}}" measured); p=${p%%.*}; [ "$p" -ge 1 ] && [ "$p" -le 110 ] && echo yes || echo "$p"'
check_like "stats of all" 0 '.*measured.*' d stats --no-stream --format '{{.Name}}'
d rm -f measured >/dev/null
