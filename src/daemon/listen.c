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

enum { BACKLOG = 4096, SD_FIRST_FD = 3 };

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

/* Only a socket that nobody serves may be replaced. */
static int remove_stale(const char *path, const struct sockaddr_un *addr, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set_class(err, ERROR_CONFLICT, "%s: there is a file that is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		return error_set_class(err, ERROR_CONFLICT, "%s: a daemon serves this socket already", path);
	if (errno != ECONNREFUSED || (unlink(path) < 0 && errno != ENOENT))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int bind_and_listen(int family, const void *addr, socklen_t len, const char *name, struct error *err)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, code;

	if (fd >= 0 && family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* The name gets the socket's own mode: no moment in which others may connect (unix(7) leaves it out). */
	if (fd >= 0 && (family != AF_UNIX || fchmod(fd, 0600) == 0) && bind(fd, addr, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	code = errno;
	if (fd >= 0)
		close(fd);
	return error_set(err, -code, "%s: %s", name, strerror(code));
}

static int open_unix(const char *path, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set_class(err, ERROR_INVALID, "%s: too long for a Unix socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (!make_parents(path))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	r = remove_stale(path, &addr, err);
	return r < 0 ? r : bind_and_listen(AF_UNIX, &addr, sizeof(addr), path, err);
}

/* "127.0.0.1:2375", "localhost:2375", "[::1]:2375". */
static int open_tcp(const char *url, struct error *err)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const char *where = url + 6, *colon = strrchr(where, ':');
	CLEANUP(freep) char *host = colon ? xstrndup(where, (size_t)(colon - where)) : NULL;
	char *end;
	unsigned long port = colon && colon[1] ? strtoul(colon + 1, &end, 10) : 0;
	size_t n = host ? strlen(host) : 0;

	if (port == 0 || port > 65535 || *end || colon[1] < '0' || colon[1] > '9')
		return error_set_class(err, ERROR_INVALID, "%s: expected an address and a port", url);
	v4.sin_port = v6.sin6_port = htons((uint16_t)port);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) == 1)
			return bind_and_listen(AF_INET6, &v6, sizeof(v6), url, err);
	} else if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4.sin_addr) == 1) {
		return bind_and_listen(AF_INET, &v4, sizeof(v4), url, err);
	}
	return error_set_class(err, ERROR_INVALID, "%s: not an address", url);
}

/* ---- systemd's socket activation (sd_listen_fds(3)): descriptors from 3 on; their names do not matter ---- */

static bool is_reachable_from_elsewhere(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return true;
	if (addr.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)&addr)->sin_addr.s_addr) >> 24 != 127;
	if (addr.ss_family == AF_INET6)
		return !IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&addr)->sin6_addr);
	return addr.ss_family != AF_UNIX;
}

static int check_activated(const char *url, int fd, struct error *err)
{
	int is_listening = 0, type = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) < 0 || !is_listening ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return error_set_class(err, ERROR_INVALID, "%s: descriptor %d is not a listening socket", url, fd);
	if (is_reachable_from_elsewhere(fd))
		return error_set_class(err, ERROR_INVALID, "%s: descriptor %d: without TLS only loopback is served", url, fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return 0;
}

static int open_activated(const char *url, int *ret_fds, struct error *err)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"), *which = url + 5;
	int n = count ? (int)strtol(count, NULL, 10) : 0, first = SD_FIRST_FD, r = 0;
	char *end;

	if (!pid || strtol(pid, NULL, 10) != getpid() || n < 1)
		return error_set_class(err, ERROR_INVALID, "%s: no socket was handed over", url);
	if (n > LISTEN_FDS_MAX)
		return error_set_class(err, ERROR_INVALID, "%s: more than %d sockets were handed over", url, LISTEN_FDS_MAX);
	if (*which) {
		first = (int)strtol(which, &end, 10);
		if (*end || first < SD_FIRST_FD || first >= SD_FIRST_FD + n)
			return error_set_class(err, ERROR_INVALID, "%s: no such socket was handed over", url);
		n = 1;
	}
	for (int i = 0; r == 0 && i < n; i++) {
		ret_fds[i] = first + i;
		r = check_activated(url, first + i, err);
	}
	return r < 0 ? r : n;
}

int listen_open(const char *url, int ret_fds[LISTEN_FDS_MAX], struct error *err)
{
	int fd;

	if (strncmp(url, "fd://", 5) == 0)
		return open_activated(url, ret_fds, err);
	fd = strncmp(url, "unix://", 7) == 0 ? open_unix(url + 7, err) : open_tcp(url, err);
	if (fd < 0)
		return fd;
	ret_fds[0] = fd;
	return 1;
}

void listen_unlink(const char *url)
{
	if (strncmp(url, "unix://", 7) == 0)
		unlink(url + 7);
}
