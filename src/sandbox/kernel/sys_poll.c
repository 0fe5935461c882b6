/* poll and select, over the host's. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "sandbox/kernel/socket.h"

/* A socket's network may have been left; and a listener is never ready for writing, whatever its channel is. */
static void prepare(int fd, short *events)
{
	const struct kfile *f = fdtable_get(fd);

	if (!f || f->kind != KFILE_SOCKET)
		return;
	socket_look(fd, f->socket);
	socket_poll_events(f->socket, events);
}

static int64_t do_poll(uint64_t addr, size_t n, struct timespec *timeout, uint64_t *mask)
{
	struct pollfd fds[FD_GUEST_MAX];
	int bad = 0;
	long r;

	if (n > FD_GUEST_MAX)
		return -EINVAL;
	if (n && copy_in(fds, addr, n * sizeof(fds[0])) < 0)
		return -EFAULT;
	for (size_t i = 0; i < n; i++) {
		fds[i].revents = 0;
		if (fds[i].fd >= 0 && !fdtable_get(fds[i].fd)) {
			fds[i].fd = -1;
			fds[i].revents = POLLNVAL;
			bad++;
		}
	}
	if (bad) { /* what is known already must not wait */
		struct timespec now = { 0 };

		r = host_call(SYS_ppoll, (long)fds, (long)n, (long)&now, 0, 8, 0);
	} else {
		do { /* the host leaves in *timeout what is left of it */
			for (size_t i = 0; i < n; i++)
				prepare(fds[i].fd, &fds[i].events);
			r = host_block(SYS_ppoll, (long)fds, (long)n, (long)timeout, (long)mask, 8, 0);
		} while (r == -EINTR && signal_take_wake());
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (copy_out(addr + i * sizeof(fds[0]) + 6, &fds[i].revents, sizeof(short)) < 0)
			return -EFAULT;
	return r + bad;
}

SYS(poll)
{
	int ms = (int)a[2];
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000L };

	return do_poll(a[0], a[1] & UINT32_MAX, ms < 0 ? NULL : &ts, NULL);
}

SYS(ppoll)
{
	uint64_t mask = 0;
	int64_t raw[2];
	struct timespec ts = { 0 };

	if (a[2]) {
		if (copy_in(raw, a[2], sizeof(raw)) < 0)
			return -EFAULT;
		ts = (struct timespec){ raw[0], (int32_t)raw[1] };
	}
	if (a[3] && copy_in(&mask, a[3], 8) < 0)
		return -EFAULT;
	return do_poll(a[0], a[1] & UINT32_MAX, a[2] ? &ts : NULL, a[3] ? &mask : NULL);
}

static void check_sets(size_t n, fd_set sets[3])
{
	for (size_t fd = 0; fd < n; fd++) {
		short events = POLLOUT;

		if (!FD_ISSET(fd, &sets[0]) && !FD_ISSET(fd, &sets[1]))
			continue;
		prepare((int)fd, &events);
		if (!events)
			FD_CLR(fd, &sets[1]);
	}
}

static int64_t do_select(const uint64_t a[6], struct timespec *timeout, const uint64_t *mask)
{
	struct {
		const uint64_t *mask;
		size_t size;
	} with_mask = { mask, 8 };
	size_t n = a[0] & UINT32_MAX, bytes = (n + 31) / 32 * 4;
	fd_set sets[3];
	long r;

	if (n > FD_GUEST_MAX)
		return -EINVAL;
	memset(sets, 0, sizeof(sets));
	for (int i = 0; i < 3; i++)
		if (a[1 + i] && copy_in(&sets[i], a[1 + i], bytes) < 0)
			return -EFAULT;
	for (size_t fd = 0; fd < n; fd++)
		for (int i = 0; i < 3; i++)
			if (FD_ISSET(fd, &sets[i]) && !fdtable_get((int)fd))
				return -EBADF;
	do {
		check_sets(n, sets);
		r = host_block(SYS_pselect6, (long)n, a[1] ? (long)&sets[0] : 0, a[2] ? (long)&sets[1] : 0,
			       a[3] ? (long)&sets[2] : 0, (long)timeout, mask ? (long)&with_mask : 0);
	} while (r == -EINTR && signal_take_wake());
	if (r < 0)
		return r;
	for (int i = 0; i < 3; i++)
		if (a[1 + i] && copy_out(a[1 + i], &sets[i], bytes) < 0)
			return -EFAULT;
	return r;
}

SYS(select)
{
	int64_t raw[2] = { 0 };
	struct timespec ts;

	if (a[4] && copy_in(raw, a[4], sizeof(raw)) < 0)
		return -EFAULT;
	ts = (struct timespec){ raw[0], raw[1] * 1000 };
	return do_select(a, a[4] ? &ts : NULL, NULL);
}

SYS(pselect6)
{
	uint32_t where[2];
	uint64_t mask = 0;
	int64_t raw[2] = { 0 };
	struct timespec ts;

	if (a[4] && copy_in(raw, a[4], sizeof(raw)) < 0)
		return -EFAULT;
	ts = (struct timespec){ raw[0], (int32_t)raw[1] };
	if (a[5]) {
		if (copy_in(where, a[5], sizeof(where)) < 0)
			return -EFAULT;
		if (where[0] && copy_in(&mask, where[0], 8) < 0)
			return -EFAULT;
		if (!where[0])
			return do_select(a, a[4] ? &ts : NULL, NULL);
	}
	return do_select(a, a[4] ? &ts : NULL, a[5] ? &mask : NULL);
}
