#include "util/terminal.h"

#include <poll.h>
#include <unistd.h>

/* More than the kernel keeps for a terminal (640 KiB): an orphan that goes on writing must not hold us. */
#define REST_MAX ((size_t)1 << 20)

/* The kernel passes output on in a task of its own: poll waits for that, FIONREAD does not. */
bool terminal_has_more(int master)
{
	struct pollfd fd = { .fd = master, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

void terminal_read_rest(int master, void (*take)(void *arg, const char *data, size_t len), void *arg)
{
	char page[4096];
	size_t left = REST_MAX;
	ssize_t n;

	while (left > 0 && (n = read(master, page, sizeof(page))) > 0) {
		take(arg, page, (size_t)n);
		left -= (size_t)n < left ? (size_t)n : left;
	}
}
