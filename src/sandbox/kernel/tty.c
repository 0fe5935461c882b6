/* ioctl: terminals and the few calls that any file has. Groups are translated
 * both ways; what is not in the table answers ENOTTY. */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

static const struct tty_call {
	uint32_t request;
	uint16_t bytes;        /* of the argument; 0: an integer */
	bool is_out, may_block;
} calls[] = {
	{ TCGETS, sizeof(struct termios), true, false },
	{ TCSETS, sizeof(struct termios), false, false },
	{ TCSETSW, sizeof(struct termios), false, true },
	{ TCSETSF, sizeof(struct termios), false, true },
	{ TIOCGWINSZ, sizeof(struct winsize), true, false },
	{ TIOCSWINSZ, sizeof(struct winsize), false, false },
	{ FIONREAD, 4, true, false },
	{ TIOCOUTQ, 4, true, false },
	{ FIONBIO, 4, false, false },
	{ TCSBRK, 0, false, true },
	{ TCXONC, 0, false, false },
	{ TCFLSH, 0, false, false },
	{ TIOCEXCL, 0, false, false },
	{ TIOCNXCL, 0, false, false },
	{ TIOCNOTTY, 0, false, false },
};

static int64_t call_terminal(int fd, const struct tty_call *c, uint64_t arg)
{
	unsigned char buf[64] = { 0 };
	long r;

	if (c->bytes && !c->is_out && copy_in(buf, arg, c->bytes) < 0)
		return -EFAULT;
	r = c->may_block ? host_block(SYS_ioctl, fd, c->request, c->bytes ? (long)buf : (long)(int)arg, 0, 0, 0) :
			   host_call(SYS_ioctl, fd, c->request, c->bytes ? (long)buf : (long)(int)arg, 0, 0, 0);
	if (r == 0 && c->is_out && copy_out(arg, buf, c->bytes) < 0)
		return -EFAULT;
	return r;
}

static int64_t get_group(int fd, uint64_t arg)
{
	int32_t group;
	pid_t host = tcgetpgrp(fd);

	if (host < 0)
		return -errno;
	group = process_guest_group(host);
	return copy_out(arg, &group, sizeof(group));
}

static int64_t set_group(int fd, uint64_t arg)
{
	int32_t group;
	pid_t host;

	if (copy_in(&group, arg, sizeof(group)) < 0)
		return -EFAULT;
	host = process_host_group(group);
	if (host <= 0)
		return -EPERM;
	/* From a background group this stops us with SIGTTOU, as it must. */
	return host_block(SYS_ioctl, fd, TIOCSPGRP, (long)&host, 0, 0, 0);
}

static int64_t get_session(int fd, uint64_t arg)
{
	struct proc_slot *leader;
	int32_t sid, host = 0;
	long r = host_call(SYS_ioctl, fd, TIOCGSID, (long)&host, 0, 0, 0);

	if (r < 0)
		return r;
	leader = proctable_find_host(host);
	sid = leader ? leader->vpid : 0;
	return copy_out(arg, &sid, sizeof(sid));
}

static int64_t set_controlling(int fd, const struct kfile *f)
{
	long r = host_call(SYS_ioctl, fd, TIOCSCTTY, 0, 0, 0, 0);

	if (r == 0) {
		if (self.tty_fd >= 0)
			close(self.tty_fd);
		self.tty_fd = fd_to_floor(dup(fd));
		self.tty_number = minor(f->rdev);
		self.slot->tty = self.tty_number + 1;
	}
	return r;
}

static int64_t call_socket(int fd, const struct kfile *f, uint32_t request, uint64_t arg)
{
	int n;

	if (request == FIONREAD && socket_is_channel(f->socket)) {
		n = socket_is_stream(f->socket) ? 0 : socket_readable_bytes(fd, f->socket);
		return copy_out(arg, &n, sizeof(n));
	}
	return netinfo_ioctl(request, arg);
}

SYS(ioctl)
{
	int fd = (int)a[0];
	uint32_t request = (uint32_t)a[1];
	struct kfile *f = fdtable_get(fd);

	if (!f)
		return -EBADF;
	if (f->kind == KFILE_SOCKET) {
		int64_t r = call_socket(fd, f, request, a[2]);

		if (r != -ENOTTY)
			return r;
	}
	if (f->kind == KFILE_MASTER && (request == TIOCGPTN || request == TIOCSPTLCK))
		return request == TIOCGPTN ? copy_out(a[2], &(uint32_t){ (uint32_t)f->cookie }, 4) : 0;
	switch (request) {
	case FIOCLEX:
	case FIONCLEX: {
		const uint64_t args[6] = { a[0], 2 /* F_SETFD */, request == FIOCLEX };

		return sys_fcntl(args);
	}
	case TIOCGPGRP: return get_group(fd, a[2]);
	case TIOCSPGRP: return set_group(fd, a[2]);
	case TIOCGSID: return get_session(fd, a[2]);
	case TIOCSCTTY: return set_controlling(fd, f);
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].request == request)
			return f->kind == KFILE_DIR ? -ENOTTY : call_terminal(fd, &calls[i], a[2]);
	return -ENOTTY;
}
