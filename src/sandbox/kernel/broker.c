/* Signals between the processes of one container. The kernel says who asks;
 * the table is only a hint for who is meant, proved by descent before any
 * signal is sent. Pid 1 feels from inside only what it has a handler for. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/kernel/limits.h"
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

	if (to->state == PROC_FREE || pid <= 1)
		return -ESRCH;
	if (!may_signal(from, to, signo))
		return descent_is_below(pid, getpid()) ? -EPERM : -ESRCH;
	if (signo && to->vpid == 1 && (signo == SIGKILL || signo == SIGSTOP || !(to->handled >> (signo - 1) & 1)))
		signo = 0;
	return descent_signal(pid, getpid(), signo);
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
	if (req->pid == INT32_MIN) /* has no negative */
		return -ESRCH;
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

/* What /proc of the container says of another process: only the kernel knows. */
static void answer_times(const struct broker_request *req, struct broker_reply *reply)
{
	const struct proc_slot *slot = proctable_find(req->pid);
	pid_t pid = slot ? slot->host_pid : 0;
	struct descent_facts f;

	reply->result = -ESRCH;
	if (pid <= 1 || !descent_is_below(pid, getpid()) || descent_look(pid, &f) < 0)
		return;
	*reply = (struct broker_reply){ .value = { f.user_ns, f.system_ns, f.rss_bytes, (uint64_t)(unsigned char)f.state } };
}

enum { TERMINALS_MAX = 64 };

/* The terminals that the container has of its own making are those given out whose slaves are still there. */
static bool has_room_for_terminal(unsigned number)
{
	static unsigned given[TERMINALS_MAX];
	static size_t n;
	char path[32];

	for (size_t i = n; i-- > 0;) {
		snprintf(path, sizeof(path), "/dev/pts/%u", given[i]);
		if (given[i] == number || access(path, F_OK) < 0)
			given[i] = given[--n];
	}
	if (n == TERMINALS_MAX)
		return false;
	given[n++] = number;
	return true;
}

/* The slave is opened by way of the master: by whoever holds that. */
static int open_terminal(struct broker_reply *reply)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), unlock = 0;
	unsigned number = 0;

	*reply = (struct broker_reply){ .result = fd < 0 ? -errno : 0 };
	if (fd < 0)
		return -1;
	if (ioctl(fd, TIOCSPTLCK, &unlock) < 0 || ioctl(fd, TIOCGPTN, &number) < 0)
		reply->result = -errno;
	else if (!has_room_for_terminal(number))
		reply->result = -ENOSPC;
	if (reply->result < 0) {
		close(fd);
		return -1;
	}
	reply->value[0] = number;
	return fd;
}

static void answer(int to, const struct broker_reply *reply, int fd)
{
	struct iovec iov = { (void *)reply, sizeof(*reply) };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		control.head =
			(struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	(void)!sendmsg(to, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int open_slave(int master, struct broker_reply *reply)
{
	int fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	*reply = (struct broker_reply){ .result = fd < 0 ? -errno : 0 };
	return fd;
}

/* Takes what came with a message: who asks, and where the answer goes. The
 * sender chooses how many descriptors come; all but two are closed. */
static void take_control(struct msghdr *msg, struct ucred *who, int fds[2])
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
		if (h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof(*who)))
			memcpy(who, CMSG_DATA(h), sizeof(*who));
		if (h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
			if (fds[0] < 0)
				fds[0] = fd;
			else if (fds[1] < 0)
				fds[1] = fd;
			else
				close(fd);
		}
	}
}

void broker_serve(struct container *c, int sock)
{
	struct broker_request req;
	struct broker_reply reply = { .result = -EPERM };
	struct iovec iov = { &req, sizeof(req) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct ucred who = { 0 };
	struct proc_slot *from;
	int fds[2] = { -1, -1 }, fd = -1;
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return;
	take_control(&msg, &who, fds);
	if (fds[0] < 0)
		return;
	from = proctable_find_host(who.pid);
	if (n == (ssize_t)sizeof(req) && from && descent_is_below(who.pid, getpid())) {
		reply.result = -ENOSYS;
		if (req.op == BROKER_KILL)
			reply.result = signal_many(c, from, &req);
		else if (req.op == BROKER_TIMES)
			answer_times(&req, &reply);
		else if (req.op == BROKER_MEMORY)
			reply.result = limits_ask_memory(c, who.pid, req.arg);
		else if (req.op == BROKER_OPEN_PTY)
			fd = open_terminal(&reply);
		else if (req.op == BROKER_OPEN_TTY)
			fd = open_slave(fds[1], &reply);
	}
	answer(fds[0], &reply, fd);
	if (fd >= 0)
		close(fd);
	close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
}
