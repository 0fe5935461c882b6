# Sourced by run.sh: docker update.

d run -d --name one busybox sleep 1000 >/dev/null
d create --name two --memory 64m busybox >/dev/null
check "says the names" 0 "one
two" d update --memory 32m --memory-swap -1 --pids-limit 20 --cpu-shares 512 one two
check "what it set" 0 "33554432 -1 20 512" d inspect -f '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}' one
check "a running container has it" 0 "137" d exec one sh -c 'dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null; echo $?'
check "--restart" 0 "one
on-failure 3" sh -c '"$docker" update --restart on-failure:3 one; "$docker" inspect -f "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}" one'
check "--cpus" 0 "one
250000000" sh -c '"$docker" update --cpus 0.25 one; "$docker" inspect -f "{{.HostConfig.NanoCpus}}" one'
id=$(d inspect -f '{{.Id}}' one)
check "what contradicts" 1 "Error response from daemon: Cannot update container $id: Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set" \
	d update --cpu-quota 50000 one
check "too little" 1 "Error response from daemon: Minimum memory limit allowed is 6MB" d update --memory 1m one
check "nobody" 1 "Error response from daemon: No such container: nobody" d update --memory 64m nobody
check "one of two" 1 "two
Error response from daemon: No such container: nobody" d update --pids-limit 30 two nobody
ours check_has "a warning" 0 "BlkioWeight is kept, but this engine does not enforce it." d update --blkio-weight 100 two
check "nothing to update" 1 "you must provide one or more flags when using this command" d update one
d rm -f one two >/dev/null
