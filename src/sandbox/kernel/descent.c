/* Who descends from whom, as the host's kernel says. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/kernel/supervisor.h"

enum { DEPTH_MAX = 4096, CHILDREN_MAX = 65536 };

static pid_t parent_of(pid_t pid)
{
	char path[48], text[512], *p;
	ssize_t n;
	int fd, parent = -1;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	if (!p || sscanf(p + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}

bool descent_is_below(pid_t pid, pid_t ancestor)
{
	for (int i = 0; i < DEPTH_MAX && pid > 1; i++) {
		pid = parent_of(pid);
		if (pid == ancestor)
			return true;
	}
	return false;
}

static char *read_children(pid_t pid)
{
	char path[64], *text = malloc(CHILDREN_MAX);
	ssize_t n, len = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (text && fd >= 0 && len < CHILDREN_MAX - 1 && (n = read(fd, text + len, (size_t)(CHILDREN_MAX - 1 - len))) > 0)
		len += n;
	if (fd >= 0)
		close(fd);
	if (text)
		text[len] = '\0';
	return text;
}

void descent_each(pid_t pid, bool children_first, void (*each)(void *arg, pid_t pid), void *arg)
{
	char *text = read_children(pid), *p = text, *end;

	while (p && *p) {
		pid_t child = (pid_t)strtol(p, &end, 10);

		if (end == p)
			break;
		p = end;
		if (!children_first)
			each(arg, child);
		descent_each(child, children_first, each, arg);
		if (children_first)
			each(arg, child);
	}
	free(text);
}
