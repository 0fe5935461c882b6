/* docker run --memory without a cgroup: what the container's processes hold of
 * their own is looked at every so often, and over the limit the largest of them
 * is killed, as Linux does. Between two looks it may be exceeded. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "sandbox/kernel/supervisor.h"

/* Anonymous memory: the program's own text is everybody's. */
static uint64_t own_bytes(pid_t pid)
{
	unsigned long resident = 0, shared = 0;
	char path[48], text[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%*u %lu %lu", &resident, &shared) != 2 || shared > resident)
		return 0;
	return (uint64_t)(resident - shared) * 4096;
}

static void add_one(void *arg, pid_t pid)
{
	struct pressure *p = arg;
	uint64_t bytes = own_bytes(pid);

	p->bytes += bytes;
	if (bytes > p->largest_bytes) {
		p->largest_bytes = bytes;
		p->largest = pid;
	}
}

struct pressure pressure_look(void)
{
	struct pressure p = { 0 };

	descent_each(getpid(), false, add_one, &p);
	return p;
}

/* One at a time: what is dying gives its memory back before anybody else must go. */
bool pressure_relieve(uint64_t limit_bytes, struct pressure *ret)
{
	static pid_t dying;
	struct descent_facts f;

	*ret = pressure_look();
	if (ret->bytes <= limit_bytes)
		return false;
	if (dying && descent_is_below(dying, getpid()) && descent_look(dying, &f) == 0 && f.state != 'Z')
		return false;
	dying = ret->largest;
	return descent_signal(dying, getpid(), SIGKILL) == 0;
}
