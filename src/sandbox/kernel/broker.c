/* Signals between the processes of one container. The kernel says who asks;
 * the table is only a hint for who is meant, proved by descent before any
 * signal is sent. Pid 1 feels from inside only what it has a handler for. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/kernel/supervisor.h"

static bool may_signal(const struct proc_slot *from, const struct proc_slot *to, int signo)
{
	if (from->euid == 0 || from->euid == to->uid || from->uid == to->uid)
		return true;
	return signo == SIGCONT && from->sid == to->sid;
}

static int signal_one(struct proc_slot *from, struct proc_slot *to, int signo)
{
	pid_t pid = to->host_pid;

	if (to->state == PROC_FREE || pid <= 1 || !descent_is_below(pid, getpid()))
		return -ESRCH;
	if (!may_signal(from, to, signo))
		return -EPERM;
	if (signo == 0)
		return 0;
	if (to->vpid == 1 && (signo == SIGKILL || signo == SIGSTOP || !(to->handled >> (signo - 1) & 1)))
		return 0;
	return kill(pid, signo) < 0 ? -errno : 0;
}

static bool is_meant(const struct proc_slot *from, const struct proc_slot *to, int32_t pid)
{
	if (pid > 0)
		return to->vpid == pid;
	if (pid == 0)
		return to->pgid == from->pgid;
	if (pid == -1)
		return to != from && to->vpid != 1;
	return to->pgid == -pid;
}

static int signal_many(struct container *c, struct proc_slot *from, const struct broker_request *req)
{
	int result = -ESRCH;

	if (req->signo < 0 || req->signo > 64)
		return -EINVAL;
	/* The sender last: a signal to its own group must not cut the work short. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < proctable_used(c->table); i++) {
			struct proc_slot *s = &c->table->slots[i];
			int r;

			if (s->state == PROC_FREE || (s == from) != (pass == 1) || !is_meant(from, s, req->pid))
				continue;
			r = signal_one(from, s, req->signo);
			if (r == 0 || result == -ESRCH)
				result = r;
		}
	}
	return result;
}

void broker_serve(struct container *c, int sock)
{
	struct broker_request req;
	struct broker_reply reply = { .result = -EPERM };
	struct iovec iov = { &req, sizeof(req) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct ucred who = { 0 };
	struct proc_slot *from;
	int reply_fd = -1;
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	for (struct cmsghdr *h = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL; h; h = CMSG_NXTHDR(&msg, h)) {
		if (h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&reply_fd, CMSG_DATA(h), sizeof(int));
		else if (h->cmsg_type == SCM_CREDENTIALS)
			memcpy(&who, CMSG_DATA(h), sizeof(who));
	}
	if (reply_fd < 0)
		return;
	from = proctable_find_host(who.pid);
	if (n == (ssize_t)sizeof(req) && from && descent_is_below(who.pid, getpid()))
		reply.result = req.op == BROKER_KILL ? signal_many(c, from, &req) : -ENOSYS;
	(void)!send(reply_fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(reply_fd);
}
