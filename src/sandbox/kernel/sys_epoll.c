/* epoll, eventfd and timerfd, which are the host's own. What is registered is kept here as well: when a socket's
 * descriptor is replaced (connect, listen) the host forgets it, and it is registered anew. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

struct interest {
	int epoll, fd;
	struct epoll_event event;
};

static struct interest *interests;
static size_t count, size;

static struct interest *find(int epoll, int fd)
{
	for (size_t i = 0; i < count; i++)
		if (interests[i].epoll == epoll && interests[i].fd == fd)
			return &interests[i];
	return NULL;
}

static int keep(int epoll, int fd, const struct epoll_event *event)
{
	struct interest *it = find(epoll, fd);

	if (!it && count == size) {
		struct interest *more = realloc(interests, (size + 64) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		interests = more;
		size += 64;
	}
	if (!it)
		it = &interests[count++];
	*it = (struct interest){ epoll, fd, *event };
	return 0;
}

void epoll_forget(int fd)
{
	for (size_t i = count; i-- > 0;)
		if (interests[i].fd == fd || interests[i].epoll == fd)
			interests[i] = interests[--count];
}

static uint32_t events_of(int fd, uint32_t events)
{
	const struct kfile *f = fdtable_get(fd);
	short low = (short)(events & 0x7fff);

	if (!f || f->kind != KFILE_SOCKET)
		return events;
	socket_poll_events(f->socket, &low);
	return (events & ~0x7fffu) | (uint16_t)low;
}

void epoll_renew(int fd)
{
	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = interests[i].event;

		if (interests[i].fd != fd)
			continue;
		event.events = events_of(fd, event.events);
		if (epoll_ctl(interests[i].epoll, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EEXIST)
			epoll_ctl(interests[i].epoll, EPOLL_CTL_MOD, fd, &event);
	}
}

static int install(int host_fd, enum kfile_kind kind, bool is_cloexec)
{
	struct kfile f = { .kind = (uint8_t)kind, .is_cloexec = is_cloexec, .flags = O_RDWR };

	return host_fd < 0 ? -errno : fdtable_install(host_fd, &f);
}

SYS(epoll_create1)
{
	if (a[0] & ~(uint64_t)EPOLL_CLOEXEC)
		return -EINVAL;
	return install(epoll_create1((int)a[0]), KFILE_EPOLL, a[0] & EPOLL_CLOEXEC);
}

SYS(epoll_create)
{
	return (int)a[0] <= 0 ? -EINVAL : install(epoll_create1(0), KFILE_EPOLL, false);
}

static bool is_epoll(int fd)
{
	const struct kfile *f = fdtable_get(fd);

	return f && f->kind == KFILE_EPOLL;
}

SYS(epoll_ctl)
{
	int epoll = (int)a[0], op = (int)a[1], fd = (int)a[2], r;
	struct epoll_event event = { 0 }, host;

	if (!fdtable_get(epoll) || !fdtable_get(fd))
		return -EBADF;
	if (!is_epoll(epoll) || epoll == fd)
		return -EINVAL;
	if (op != EPOLL_CTL_DEL && copy_in(&event, a[3], sizeof(event)) < 0)
		return -EFAULT;
	if (op != EPOLL_CTL_DEL) {
		r = keep(epoll, fd, &event);
		if (r < 0)
			return r;
	}
	host = event;
	host.events = events_of(fd, event.events);
	r = epoll_ctl(epoll, op, fd, &host) < 0 ? -errno : 0;
	if (op == EPOLL_CTL_DEL || (r < 0 && r != -EEXIST))
		for (size_t i = count; i-- > 0;)
			if (interests[i].fd == fd && interests[i].epoll == epoll)
				interests[i] = interests[--count];
	return r;
}

static int64_t wait_for(const uint64_t a[6], const uint64_t *mask)
{
	enum { EVENTS = 256 };
	struct epoll_event events[EVENTS];
	int epoll = (int)a[0], max = (int)a[2];
	long n;

	if (!fdtable_get(epoll))
		return -EBADF;
	if (!is_epoll(epoll) || max <= 0)
		return -EINVAL;
	if (max > EVENTS)
		max = EVENTS;
	do {
		for (size_t i = 0; i < count; i++) {
			struct ksocket *s;

			if (interests[i].epoll == epoll && socket_get(interests[i].fd, &s) == 0)
				socket_look(interests[i].fd, s);
		}
		n = host_block(SYS_epoll_pwait, epoll, (long)events, max, (int)a[3], (long)mask, 8);
	} while (n == -EINTR && signal_take_wake());
	if (n > 0 && copy_out(a[1], events, (size_t)n * sizeof(events[0])) < 0)
		return -EFAULT;
	return n;
}

SYS(epoll_wait)
{
	return wait_for(a, NULL);
}

SYS(epoll_pwait)
{
	uint64_t mask;

	if ((a[4] & UINT32_MAX) && copy_in(&mask, a[4], 8) < 0)
		return -EFAULT;
	return wait_for(a, (a[4] & UINT32_MAX) ? &mask : NULL);
}

/* ---- eventfd, timerfd ---- */

SYS(eventfd2)
{
	if (a[1] & ~(uint64_t)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	return install(eventfd((unsigned)a[0], (int)a[1]), KFILE_HOST, a[1] & EFD_CLOEXEC);
}

SYS(eventfd)
{
	return install(eventfd((unsigned)a[0], 0), KFILE_HOST, false);
}

SYS(timerfd_create)
{
	if (a[1] & ~(uint64_t)(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	return install(timerfd_create((int)a[0], (int)a[1]), KFILE_HOST, a[1] & TFD_CLOEXEC);
}

/* Two timespecs: 64-bit seconds, 32-bit nanoseconds with padding behind. */
static void trim(struct itimerspec *t)
{
	t->it_interval.tv_nsec = (int32_t)t->it_interval.tv_nsec;
	t->it_value.tv_nsec = (int32_t)t->it_value.tv_nsec;
}

SYS(timerfd_settime)
{
	struct itimerspec in, out;

	if (!fdtable_get((int)a[0]))
		return -EBADF;
	if (copy_in(&in, a[2], sizeof(in)) < 0)
		return -EFAULT;
	trim(&in);
	if (timerfd_settime((int)a[0], (int)a[1], &in, &out) < 0)
		return -errno;
	return (a[3] & UINT32_MAX) ? copy_out(a[3], &out, sizeof(out)) : 0;
}

SYS(timerfd_gettime)
{
	struct itimerspec out;

	if (!fdtable_get((int)a[0]))
		return -EBADF;
	return timerfd_gettime((int)a[0], &out) < 0 ? -errno : copy_out(a[1], &out, sizeof(out));
}
