/* Texts of /proc/PID. What other processes' slots say is a hint that those
 * processes write: it is shown, never trusted. */
#include "sandbox/kernel/procfs.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

struct usage {
	char state;
	uint64_t user_ticks, system_ticks, rss_pages;
};

/* What only the host's kernel knows of another process comes through the broker. */
static struct usage usage_of(const struct proc_slot *s)
{
	struct broker_request req = { .op = BROKER_TIMES, .pid = s->vpid, .sender_vpid = self.vpid };
	struct usage u = { .state = s->state == PROC_ZOMBIE ? 'Z' : 'S', .rss_pages = s->memory_pages * 16ull };
	struct broker_reply reply;
	struct rusage ru;

	if (s == self.slot) {
		getrusage(RUSAGE_SELF, &ru);
		u.state = 'R';
		u.user_ticks = (uint64_t)ru.ru_utime.tv_sec * 100 + (uint64_t)ru.ru_utime.tv_usec / 10000;
		u.system_ticks = (uint64_t)ru.ru_stime.tv_sec * 100 + (uint64_t)ru.ru_stime.tv_usec / 10000;
	} else if (broker_call(&req, -1, &reply, NULL) == 0 && reply.result == 0) {
		u = (struct usage){ (char)reply.value[3], reply.value[0] / 10000000u, reply.value[1] / 10000000u,
				    reply.value[2] / 4096 };
	}
	return u;
}

void write_pid_stat(const struct proc_slot *s, struct buf *out)
{
	struct usage u = usage_of(s);
	struct timespec boot, now;
	uint64_t booted_ns, start;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	booted_ns = (uint64_t)(now.tv_sec - boot.tv_sec) * 1000000000u;
	start = s->start_ns > booted_ns ? (s->start_ns - booted_ns) / 10000000u : 0;
	buf_printf(out,
		   "%d (%.15s) %c %d %d %d %d -1 4194304 0 0 0 0 %lu %lu 0 0 20 0 1 0 %lu %lu %lu"
		   " 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
		   s->vpid, s->comm, u.state, proctable_parent(s), s->pgid, s->sid, s->tty ? 34816 + s->tty - 1 : 0,
		   u.user_ticks, u.system_ticks, start, u.state == 'Z' ? 0 : (uint64_t)s->memory_pages * 65536, u.rss_pages);
}

void write_pid_status(const struct proc_slot *s, struct buf *out)
{
	struct usage u = usage_of(s);
	const char *state = u.state == 'R' ? "running" :
			    u.state == 'Z' ? "zombie" :
			    u.state == 'T' ? "stopped" :
					     "sleeping";

	buf_printf(out,
		   "Name:\t%.15s\nUmask:\t%04o\nState:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n"
		   "TracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t64\nGroups:\t\n"
		   "VmPeak:\t%8u kB\nVmSize:\t%8u kB\nVmRSS:\t%8lu kB\nThreads:\t1\n"
		   "SigIgn:\t%016lx\nSigCgt:\t%016lx\n",
		   s->comm, s == self.slot ? self.umask : 022, u.state, state, s->vpid, s->vpid, proctable_parent(s),
		   s->uid, s->euid, s->euid, s->euid, s->gid, s->egid, s->egid, s->egid, s->memory_pages * 64,
		   s->memory_pages * 64, u.rss_pages * 4, (uint64_t)s->ignored, (uint64_t)s->handled);
}

void write_statm(const struct proc_slot *s, struct buf *out)
{
	buf_printf(out, "%u %u 0 0 0 %u 0\n", s->memory_pages * 16, s->memory_pages * 16, s->memory_pages * 16);
}

void write_cmdline(const struct proc_slot *s, struct buf *out)
{
	size_t n = s->state == PROC_ZOMBIE ? 0 : s->cmdline_len;

	buf_append(out, s->cmdline, n <= sizeof(s->cmdline) ? n : sizeof(s->cmdline));
}

void write_comm(const struct proc_slot *s, struct buf *out)
{
	buf_printf(out, "%.15s\n", s->comm);
}

/* Its own: other processes' memory is theirs. */
void write_environ(const struct proc_slot *s, struct buf *out)
{
	if (s == self.slot && self.environ)
		buf_append(out, self.environ, self.environ_len);
}

static void put_limit(struct buf *out, uint64_t v)
{
	if (v == UINT64_MAX)
		buf_printf(out, "%-20s ", "unlimited");
	else
		buf_printf(out, "%-20lu ", v);
}

void write_limits(const struct proc_slot *s, struct buf *out)
{
	static const struct {
		const char *name, *unit;
	} limits[16] = {
		{ "Max cpu time", "seconds" },     { "Max file size", "bytes" },
		{ "Max data size", "bytes" },      { "Max stack size", "bytes" },
		{ "Max core file size", "bytes" }, { "Max resident set", "bytes" },
		{ "Max processes", "processes" },  { "Max open files", "files" },
		{ "Max locked memory", "bytes" },  { "Max address space", "bytes" },
		{ "Max file locks", "locks" },     { "Max pending signals", "signals" },
		{ "Max msgqueue size", "bytes" },  { "Max nice priority", "" },
		{ "Max realtime priority", "" },   { "Max realtime timeout", "us" },
	};

	(void)s;
	buf_puts(out, "Limit                     Soft Limit           Hard Limit           Units     \n");
	for (int i = 0; i < 16; i++) {
		buf_printf(out, "%-25s ", limits[i].name);
		put_limit(out, self.rlimit[i][0]);
		put_limit(out, self.rlimit[i][1]);
		buf_printf(out, "%-10s\n", limits[i].unit);
	}
}
