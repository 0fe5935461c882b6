#include "util/terminal.h"

#include <poll.h>
#include <unistd.h>

/* The kernel passes output on in a task of its own: poll waits for that, FIONREAD does not. */
bool terminal_has_more(int master)
{
	struct pollfd fd = { .fd = master, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

void terminal_read_rest(int master, void (*take)(void *arg, const char *data, size_t len), void *arg)
{
	char page[4096];
	ssize_t n;

	while ((n = read(master, page, sizeof(page))) > 0)
		take(arg, page, (size_t)n);
}
