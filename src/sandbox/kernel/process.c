/* Processes: fork, exit, wait, groups and sessions. Each guest process is a
 * host process, so the host's fork, wait and groups do the work; this file
 * translates pids and keeps the table in step. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"

struct process self = { .tty_fd = -1 };

SYS(getpid)
{
	return self.vpid;
}
SYS(gettid)
{
	return self.vpid;
}
SYS(set_tid_address)
{
	return self.vpid;
}
SYS(getppid)
{
	return proctable_parent(self.slot);
}
SYS(sched_yield)
{
	return host_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

/* ---- fork ---- */

static void become_child(struct proc_slot *slot)
{
	uint64_t mapped = memory_mapped();

	self.slot = slot;
	self.vpid = slot->vpid;
	slot->host_pid = getpid();
	slot->state = PROC_RUNNING;
	memory_fork_child(mapped);
	signal_fork_child();
}

/* ulimit -u: processes of one user of the container. Root has none, as on Linux. */
static bool has_too_many(void)
{
	const struct proctable *t = self.container->table;
	uint64_t n = 0;

	if (self.ruid == 0 || self.rlimit[RLIMIT_NPROC][0] >= PROCTABLE_SLOTS)
		return false;
	for (size_t i = 0; i < proctable_used(t); i++)
		n += t->slots[i].state != PROC_FREE && t->slots[i].uid == self.ruid;
	return n >= self.rlimit[RLIMIT_NPROC][0];
}

SYS(fork)
{
	struct proc_slot *slot = has_too_many() ? NULL : proctable_claim(), *parent = self.slot;
	uint64_t all = UINT64_MAX, old = 0;
	pid_t pid;

	if (!slot)
		return -EAGAIN;
	slot->ppid = self.vpid;
	slot->pgid = (int32_t)parent->pgid;
	slot->sid = (int32_t)parent->sid;
	slot->uid = (uint32_t)parent->uid;
	slot->gid = (uint32_t)parent->gid;
	slot->euid = (uint32_t)parent->euid;
	slot->egid = (uint32_t)parent->egid;
	slot->tty = (uint32_t)parent->tty;
	slot->memory_pages = (uint32_t)parent->memory_pages;
	memcpy(slot->comm, parent->comm, sizeof(slot->comm));
	memcpy(slot->exe, parent->exe, sizeof(slot->exe));
	memcpy(slot->cmdline, parent->cmdline, sizeof(slot->cmdline));
	slot->cmdline_len = parent->cmdline_len;
	/* No signal may find the child with its parent's name. */
	host_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, 8, 0, 0);
	pid = fork();
	if (pid == 0)
		become_child(slot);
	else if (pid > 0)
		slot->host_pid = pid; /* the child writes the same */
	host_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, 8, 0, 0);
	if (pid < 0) {
		proctable_release(slot);
		return -EAGAIN;
	}
	return pid ? slot->vpid : 0;
}

SYS(vfork)
{
	return sys_fork(a);
}

void process_exit(int code)
{
	const struct proc_slot *parent = proctable_find(proctable_parent(self.slot));

	self.slot->state = PROC_ZOMBIE;
	/* A parent that ignores SIGCHLD never waits: nobody else would free the slot. */
	if (parent && (parent->ignored >> (SIGCHLD - 1) & 1))
		proctable_release(self.slot);
	_exit(code);
}

SYS(exit)
{
	process_exit((int)a[0] & 0xff);
}

SYS(exit_group)
{
	process_exit((int)a[0] & 0xff);
}

/* ---- wait ---- */

/* Guest groups to host groups: the leader's host pid, or that of any member. */
static pid_t host_group(int32_t pgid)
{
	const struct proc_slot *leader = proctable_find(pgid);
	const struct proctable *t = self.container->table;

	if (leader && leader->host_pid)
		return leader->host_pid;
	for (size_t i = 0; i < proctable_used(t); i++)
		if (t->slots[i].state != PROC_FREE && t->slots[i].pgid == pgid && t->slots[i].host_pid) {
			pid_t g = getpgid(t->slots[i].host_pid);

			if (g > 0)
				return g;
		}
	return -1;
}

static int host_wait_target(int32_t pid, pid_t *ret)
{
	const struct proc_slot *slot;

	if (pid == -1 || pid == 0) {
		*ret = pid;
		return 0;
	}
	if (pid < -1) {
		*ret = pid == INT32_MIN ? 1 : -host_group(-pid);
		return *ret == 1 ? -ECHILD : 0;
	}
	slot = proctable_find(pid);
	if (!slot || proctable_parent(slot) != self.vpid || !slot->host_pid)
		return -ECHILD;
	*ret = slot->host_pid;
	return 0;
}

SYS(wait4)
{
	struct rusage ru;
	int status = 0, r, options = (int)a[2];
	struct proc_slot *slot;
	pid_t target;
	long pid;

	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED))
		return -EINVAL;
	r = host_wait_target((int32_t)a[0], &target);
	if (r < 0)
		return r;
	do { /* a child that gave its slot back is one nobody waits for; nor does a pause's end count */
		pid = host_block(SYS_wait4, target, (long)&status, options, (long)&ru, 0, 0);
		if (pid <= 0)
			return pid;
		slot = proctable_find_host((int32_t)pid);
	} while (!slot || (WIFCONTINUED(status) && signal_is_of_pause()));
	r = slot->vpid;
	if (WIFEXITED(status) || WIFSIGNALED(status)) {
		proctable_release(slot);
		status &= 0xff7f; /* nobody dumps core here */
	}
	if (a[1] && copy_out(a[1], &status, sizeof(status)) < 0)
		return -EFAULT;
	if (a[3] && copy_out(a[3], &ru, sizeof(ru)) < 0)
		return -EFAULT;
	return r;
}

/* ---- groups and sessions ---- */

static struct proc_slot *slot_of(int32_t pid)
{
	return pid == 0 ? self.slot : proctable_find(pid);
}

SYS(getpgrp)
{
	return self.slot->pgid;
}

SYS(getpgid)
{
	const struct proc_slot *s = slot_of((int32_t)a[0]);

	return s ? s->pgid : -ESRCH;
}

SYS(getsid)
{
	const struct proc_slot *s = slot_of((int32_t)a[0]);

	return s ? s->sid : -ESRCH;
}

SYS(setpgid)
{
	struct proc_slot *s = slot_of((int32_t)a[0]);
	int32_t pgid = (int32_t)a[1];
	pid_t group;

	if (!s || (s != self.slot && s->ppid != self.vpid))
		return -ESRCH;
	if (pgid < 0)
		return -EINVAL;
	if (pgid == 0)
		pgid = s->vpid;
	group = pgid == s->vpid ? s->host_pid : host_group(pgid);
	if (group <= 0)
		return -EPERM;
	if (setpgid(s->host_pid, group) < 0)
		return -errno;
	s->pgid = pgid;
	return 0;
}

SYS(setsid)
{
	if (setsid() < 0)
		return -errno;
	self.slot->pgid = self.slot->sid = self.vpid;
	self.slot->tty = 0;
	return self.vpid;
}

/* For the terminal's calls (tty.c). */
pid_t process_host_group(int32_t pgid)
{
	return host_group(pgid);
}

int32_t process_guest_group(pid_t host)
{
	const struct proc_slot *leader = proctable_find_host(host);
	const struct proctable *t = self.container->table;

	if (leader)
		return leader->vpid;
	for (size_t i = 0; i < proctable_used(t); i++)
		if (t->slots[i].state != PROC_FREE && t->slots[i].host_pid && getpgid(t->slots[i].host_pid) == host)
			return t->slots[i].pgid;
	return 0;
}

SYS(prctl)
{
	char name[16];

	switch ((int)a[0]) {
	case 15: /* PR_SET_NAME */
		if (copy_in_string(name, a[1], sizeof(name)) < 0)
			return -EFAULT;
		memcpy(self.slot->comm, name, sizeof(name));
		return 0;
	case 16: /* PR_GET_NAME */ return copy_out(a[1], self.slot->comm, sizeof(name));
	default: return -EINVAL;
	}
}

SYS(getpriority)
{
	return 20;
}
SYS(setpriority)
{
	return 0;
}
SYS(sched_getscheduler)
{
	return 0;
}
SYS(ioprio_get)
{
	return 0;
}
SYS(ioprio_set)
{
	return 0;
}

SYS(sched_getaffinity)
{
	unsigned char mask[128] = { 0 };
	size_t len = a[1] & UINT32_MAX;
	long r = host_call(SYS_sched_getaffinity, 0, sizeof(mask), (long)mask, 0, 0, 0);

	if (r < 0)
		return r;
	if (len < (size_t)r)
		return -EINVAL;
	return copy_out(a[2], mask, (size_t)r) < 0 ? -EFAULT : r;
}

/* ---- the broker ---- */

static long receive_answer(int from, struct broker_reply *ret, int *ret_fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (ret_fd) {
		*ret_fd = -1;
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	do
		n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n > 0 && ret_fd && CMSG_FIRSTHDR(&msg) && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(&control.head), sizeof(int));
	return n == (ssize_t)sizeof(*ret) ? 0 : -ESRCH;
}

long broker_call(const struct broker_request *req, int fd, struct broker_reply *ret, int *ret_fd)
{
	int pair[2], fds[2];
	size_t size = sizeof(int) * (fd >= 0 ? 2 : 1);
	struct iovec iov = { (void *)req, sizeof(*req) };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(size) };
	ssize_t n;
	long r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	fds[0] = pair[1];
	fds[1] = fd;
	control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), fds, size);
	do
		n = sendmsg(self.container->broker_fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	r = n < 0 ? -errno : -EIO;
	close(pair[1]);
	if (n == (ssize_t)sizeof(*req))
		r = receive_answer(pair[0], ret, ret_fd);
	close(pair[0]);
	return r;
}
