/* How much memory a container's processes hold, as the host's kernel says. Pages
 * that a fork shares until somebody writes are counted once where the kernel
 * tells (it does so for a privileged daemon); else the shared table's word for them
 * is taken, but for no more than half: a container that lies has twice its limit. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/kernel/supervisor.h"

static ssize_t read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[48];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

/* "Name:  123 kB"; 0 when there is no such line. */
static uint64_t bytes_of(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line ? strtoull(line + strlen(name), NULL, 10) * 1024 : 0;
}

/* Anonymous memory, swapped out or not: the program's own text is everybody's. */
static uint64_t own_bytes(pid_t pid)
{
	char text[4096];

	if (read_proc(pid, "status", text, sizeof(text)) <= 0)
		return 0;
	return bytes_of(text, "\nRssAnon:") + bytes_of(text, "\nVmSwap:");
}

static void add_one(void *arg, pid_t pid)
{
	struct pressure *p = arg;
	uint64_t bytes = own_bytes(pid);

	p->bytes += bytes;
	p->processes++;
	if (pid == p->asker)
		bytes += p->asked_bytes;
	if (bytes > p->largest_bytes) {
		p->largest_bytes = bytes;
		p->largest = pid;
	}
}

struct exact {
	uint64_t bytes;
	bool is_known;
};

static void add_share(void *arg, pid_t pid)
{
	struct exact *e = arg;
	char text[4096];

	if (!e->is_known || read_proc(pid, "smaps_rollup", text, sizeof(text)) <= 0) {
		e->is_known = e->is_known && own_bytes(pid) == 0; /* it has ended */
		return;
	}
	e->is_known = strstr(text, "\nPss_Anon:") != NULL;
	e->bytes += bytes_of(text, "\nPss_Anon:") + bytes_of(text, "\nSwapPss:");
}

static uint64_t without_shared(const struct container *c, uint64_t sum)
{
	struct exact exact = { .is_known = true };
	uint64_t shared = 0;

	descent_each(getpid(), false, add_share, &exact);
	if (exact.is_known)
		return exact.bytes;
	for (size_t i = 0; i < proctable_used(c->table); i++) {
		const struct proc_slot *s = &c->table->slots[i];
		uint64_t inherited = s->inherited_bytes;
		pid_t pid = s->host_pid;
		uint64_t own = inherited && pid > 1 && s->state == PROC_RUNNING ? own_bytes(pid) : 0;

		shared += inherited < own ? inherited : own;
	}
	return shared < sum / 2 ? sum - shared : sum - sum / 2;
}

struct pressure pressure_look(const struct container *c, uint64_t limit_bytes, pid_t asker, uint64_t asked_bytes)
{
	struct pressure p = { .asker = asker, .asked_bytes = asked_bytes };

	descent_each(getpid(), false, add_one, &p);
	if (limit_bytes && p.bytes + asked_bytes > limit_bytes)
		p.bytes = without_shared(c, p.bytes);
	p.is_exceeded = limit_bytes && p.bytes + asked_bytes > limit_bytes;
	return p;
}
