/* Time, names, limits, and what no container may do. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>

#include "sandbox/kernel/kernel.h"

/* A guest timespec has a 64-bit and a 32-bit field, padded to 16 bytes. */
static int copy_in_timespec(struct timespec *ts, uint64_t addr)
{
	int64_t raw[2];

	if (copy_in(raw, addr, sizeof(raw)) < 0)
		return -EFAULT;
	ts->tv_sec = raw[0];
	ts->tv_nsec = (int32_t)raw[1];
	return 0;
}

SYS(nanosleep)
{
	struct timespec ts, left;
	long r;

	if (copy_in_timespec(&ts, a[0]) < 0)
		return -EFAULT;
	left = ts;
	do {
		ts = left;
		r = host_block(SYS_nanosleep, (long)&ts, (long)&left, 0, 0, 0, 0);
	} while (r == -EINTR && signal_take_wake());
	if (r == -EINTR && a[1] && copy_out(a[1], &left, sizeof(left)) < 0)
		return -EFAULT;
	return r;
}

SYS(clock_nanosleep)
{
	struct timespec ts, left;
	long r;

	if (copy_in_timespec(&ts, a[2]) < 0)
		return -EFAULT;
	left = ts;
	do {
		ts = left;
		r = host_block(SYS_clock_nanosleep, (int)a[0], (int)a[1], (long)&ts, (long)&left, 0, 0);
	} while (r == -EINTR && signal_take_wake());
	if (r == -EINTR && a[3] && !(a[1] & TIMER_ABSTIME) && copy_out(a[3], &left, sizeof(left)) < 0)
		return -EFAULT;
	return r;
}

SYS(clock_gettime)
{
	struct timespec ts;

	if (clock_gettime((clockid_t)(int)a[0], &ts) < 0)
		return -errno;
	return copy_out(a[1], &ts, sizeof(ts));
}

SYS(clock_getres)
{
	struct timespec ts;

	if (clock_getres((clockid_t)(int)a[0], &ts) < 0)
		return -errno;
	return a[1] ? copy_out(a[1], &ts, sizeof(ts)) : 0;
}

SYS(gettimeofday)
{
	struct timespec ts;
	int64_t tv[2];

	clock_gettime(CLOCK_REALTIME, &ts);
	tv[0] = ts.tv_sec;
	tv[1] = ts.tv_nsec / 1000;
	return a[0] ? copy_out(a[0], tv, sizeof(tv)) : 0;
}

SYS(time)
{
	int64_t now = time(NULL);

	return a[0] && copy_out(a[0], &now, sizeof(now)) < 0 ? -EFAULT : now;
}

SYS(times)
{
	struct tms t;
	clock_t now = times(&t);
	int32_t out[4] = { (int32_t)t.tms_utime, (int32_t)t.tms_stime, (int32_t)t.tms_cutime, (int32_t)t.tms_cstime };

	if (a[0] && copy_out(a[0], out, sizeof(out)) < 0)
		return -EFAULT;
	return (int32_t)now;
}

SYS(uname)
{
	struct utsname u;

	if (uname(&u) < 0)
		return -errno;
	memset(u.nodename, 0, sizeof(u.nodename));
	memcpy(u.nodename, self.container->table->hostname, sizeof(u.nodename) - 1);
	memset(u.domainname, 0, sizeof(u.domainname));
	memcpy(u.domainname, self.container->table->domainname, sizeof(u.domainname) - 1);
	return copy_out(a[0], &u, sizeof(u));
}

SYS(sysinfo)
{
	struct sysinfo si;

	if (sysinfo(&si) < 0)
		return -errno;
	si.procs = (unsigned short)self.container->table->count;
	return copy_out(a[0], &si, sizeof(si));
}

SYS(getrandom)
{
	void *p = guest_ptr(a[0], a[1] & UINT32_MAX);

	return p ? host_block(SYS_getrandom, (long)p, (long)(a[1] & UINT32_MAX), (long)a[2], 0, 0, 0) : -EFAULT;
}

SYS(getrusage)
{
	struct rusage ru;

	if (getrusage((int)a[0], &ru) < 0)
		return -errno;
	return copy_out(a[1], &ru, sizeof(ru));
}

SYS(getcpu)
{
	uint32_t zero = 0;

	return a[0] && copy_out(a[0], &zero, 4) < 0 ? -EFAULT : 0;
}

/* ---- limits: the guest's view; the real ones are the wall's ---- */

SYS(prlimit64)
{
	uint64_t in[2];
	uint32_t which = (uint32_t)a[1];

	if (which >= 16)
		return -EINVAL;
	if (a[0] && (int32_t)a[0] != self.vpid)
		return -EPERM;
	if (a[2] && copy_in(in, a[2], sizeof(in)) < 0)
		return -EFAULT;
	if (a[3] && copy_out(a[3], self.rlimit[which], sizeof(in)) < 0)
		return -EFAULT;
	if (!a[2])
		return 0;
	if (in[0] > in[1])
		return -EINVAL;
	if (in[1] > self.rlimit[which][1]) /* a container has no CAP_SYS_RESOURCE */
		return -EPERM;
	if (which == RLIMIT_NOFILE && in[1] > FD_GUEST_MAX)
		return -EPERM;
	memcpy(self.rlimit[which], in, sizeof(in));
	if (which == RLIMIT_FSIZE || which == RLIMIT_CPU) {
		struct rlimit rl = { in[0], in[1] };

		setrlimit((int)which, &rl);
	}
	return 0;
}

SYS(getrlimit)
{
	const uint64_t args[6] = { 0, a[0], 0, a[1] };

	return sys_prlimit64(args);
}

SYS(setrlimit)
{
	const uint64_t args[6] = { 0, a[0], a[1], 0 };

	return sys_prlimit64(args);
}

/* ---- refused: nothing that a container may do ---- */

#define REFUSED(name)          \
	SYS(name)              \
	{                      \
		return -EPERM; \
	}
REFUSED(mount)
REFUSED(umount2)
REFUSED(pivot_root)
REFUSED(chroot)
REFUSED(sethostname)
REFUSED(setdomainname)
REFUSED(settimeofday)
REFUSED(clock_settime)
REFUSED(adjtimex)
REFUSED(clock_adjtime)
REFUSED(syslog)
REFUSED(swapon)
REFUSED(swapoff)
REFUSED(reboot)
REFUSED(acct)
REFUSED(init_module)
REFUSED(delete_module)
REFUSED(unshare)
REFUSED(setns)
REFUSED(vhangup)

/* One thread for each process: nobody else could hold it. */
SYS(futex)
{
	return (a[1] & 127) == 0 ? -EAGAIN : 0;
}
