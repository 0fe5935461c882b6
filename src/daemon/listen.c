#include "daemon/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/cleanup.h"

enum { BACKLOG = 1024, SD_FIRST_FD = 3 };

static bool make_parents(const char *path)
{
	CLEANUP(freep) char *dir = xstrdup(path);

	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return false;
		*p = '/';
	}
	return true;
}

static bool somebody_answers(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;

	if (fd >= 0)
		close(fd);
	return answers;
}

static int open_unix(const char *path, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set_class(err, ERROR_INVALID, "%s: too long for a Unix socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (!make_parents(path))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (somebody_answers(&addr))
		return error_set_class(err, ERROR_CONFLICT, "%s: a daemon serves this socket already", path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The name gets the socket's own mode: no moment in which others may connect (unix(7) leaves it out). */
	r = fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
			    listen(fd, BACKLOG) < 0 ? -errno : 0;
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return error_set(err, r, "%s: %s", path, strerror(-r));
	}
	return fd;
}

static int open_tcp(const char *where, struct error *err)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	char host[64] = "127.0.0.1";
	const char *colon = strrchr(where, ':');
	char *end;
	long port;
	int fd, r, on = 1;

	if (!colon || (size_t)(colon - where) >= sizeof(host))
		return error_set_class(err, ERROR_INVALID, "tcp://%s: expected an address and a port", where);
	if (strncmp(where, "localhost", 9) != 0) {
		memcpy(host, where, (size_t)(colon - where));
		host[colon - where] = '\0';
	}
	port = strtol(colon + 1, &end, 10);
	if (!colon[1] || *end || port < 0 || port > 65535)
		return error_set_class(err, ERROR_INVALID, "tcp://%s: not a port", where);
	addr.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, host, &addr.sin_addr) != 1)
		return error_set_class(err, ERROR_INVALID, "tcp://%s: not an address", where);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	r = fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return error_set(err, r, "tcp://%s: %s", where, strerror(-r));
	}
	return fd;
}

/* systemd's socket activation (sd_listen_fds(3)): one descriptor, number 3. */
static int open_activated(struct error *err)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

	if (!pid || !n || strtol(pid, NULL, 10) != getpid() || strtol(n, NULL, 10) < 1)
		return error_set_class(err, ERROR_INVALID, "fd://: no socket was handed over");
	fcntl(SD_FIRST_FD, F_SETFD, FD_CLOEXEC);
	fcntl(SD_FIRST_FD, F_SETFL, fcntl(SD_FIRST_FD, F_GETFL) | O_NONBLOCK);
	return SD_FIRST_FD;
}

int listen_open(const char *url, struct error *err)
{
	if (strncmp(url, "unix://", 7) == 0)
		return open_unix(url + 7, err);
	if (strncmp(url, "tcp://", 6) == 0)
		return open_tcp(url + 6, err);
	return open_activated(err);
}

void listen_unlink(const char *url)
{
	if (strncmp(url, "unix://", 7) == 0)
		unlink(url + 7);
}
