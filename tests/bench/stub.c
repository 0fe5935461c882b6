#include "bench/stub.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4096) < 0)
		abort();
	return fd;
}

/* The listener is there when this returns. */
static pid_t start(const char *path, void (*serve)(int fd))
{
	int fd = listen_at(path);
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd);
		_exit(0);
	}
	close(fd);
	return pid;
}

void stub_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- the echo ---- */

static const char pong[] =
	"HTTP/1.1 200 OK\r\nDate: Wed, 25 Nov 2026 00:37:07 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n"
	"Api-Version: 1.51\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Docker/0.1.0 (linux) sockerless\r\n"
	"Cache-Control: no-cache, no-store, must-revalidate\r\nPragma: no-cache\r\nBuilder-Version: 1\r\n"
	"Swarm: inactive\r\nContent-Length: 2\r\n\r\nOK";

static void serve_echo(int listener)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener }, ready[64];
	char buffer[4096];

	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		int n = epoll_wait(ep, ready, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = ready[i].data.fd;

			if (fd == listener) {
				ev.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
				epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev);
			} else if (read(fd, buffer, sizeof(buffer)) <= 0 || write(fd, pong, sizeof(pong) - 1) < 0) {
				close(fd);
			}
		}
	}
}

pid_t stub_echo_start(const char *socket_path)
{
	return start(socket_path, serve_echo);
}

/* ---- the engine that does nothing ---- */

#define ID "272fc78bcf298e39169183a1609f26fe56777183923a95b14580411f7a157b0f"
#define UPGRADED                                                                                                      \
	"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\n" \
	"Upgrade: tcp\r\n\r\n"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned long starts; /* guarded by lock */

static void answer(int fd, const char *status, const char *body)
{
	char text[4096];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %s\r\nApi-Version: 1.51\r\nOstype: linux\r\nServer: stub\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			 status, strlen(body), body);

	(void)!write(fd, text, (size_t)n);
}

static unsigned long starts_now(void)
{
	unsigned long n;

	pthread_mutex_lock(&lock);
	n = starts;
	pthread_mutex_unlock(&lock);
	return n;
}

static void wait_for_start(unsigned long seen)
{
	pthread_mutex_lock(&lock);
	while (starts == seen)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

/* 0: the connection has ended. */
static int reply_to(int fd, const char *request)
{
	unsigned long seen = starts_now();

	if (strstr(request, "/_ping")) {
		(void)!write(fd, pong, strncmp(request, "HEAD", 4) ? sizeof(pong) - 1 : sizeof(pong) - 3);
	} else if (strstr(request, "/containers/create")) {
		answer(fd, "201 Created", "{\"Id\":\"" ID "\",\"Warnings\":[]}\n");
	} else if (strstr(request, "/attach?")) {
		(void)!write(fd, UPGRADED, sizeof(UPGRADED) - 1);
		wait_for_start(seen);
		return 0;
	} else if (strstr(request, "/wait?")) {
		static const char head[] =
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
		static const char body[] = "11\r\n{\"StatusCode\":0}\n\r\n0\r\n\r\n";

		(void)!write(fd, head, sizeof(head) - 1);
		wait_for_start(seen);
		(void)!write(fd, body, sizeof(body) - 1);
	} else if (strstr(request, "/exec/") && strstr(request, "/start ")) {
		(void)!write(fd, UPGRADED, sizeof(UPGRADED) - 1);
		return 0;
	} else if (strstr(request, "/start ")) {
		pthread_mutex_lock(&lock);
		starts++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
		answer(fd, "204 No Content", "");
	} else if (strstr(request, "/exec/")) {
		answer(fd, "200 OK", "{\"ID\":\"" ID "\",\"Running\":false,\"ExitCode\":0,\"ContainerID\":\"" ID "\"}\n");
	} else if (strstr(request, "/exec ")) {
		answer(fd, "201 Created", "{\"Id\":\"" ID "\"}\n");
	} else {
		answer(fd, "200 OK",
		       "{\"Id\":\"" ID "\",\"Name\":\"/bench\",\"State\":{\"Status\":\"running\",\"Running\":true},"
		       "\"Config\":{\"Tty\":false},\"HostConfig\":{},\"Mounts\":[]}\n");
	}
	return 1;
}

/* Requests come one at a time; a body may follow its head in a second write. */
static void *serve_connection(void *arg)
{
	int fd = *(int *)arg;
	char text[16384];
	size_t n = 0;

	for (;;) {
		ssize_t r = read(fd, text + n, sizeof(text) - 1 - n);
		char *end, *length;

		if (r <= 0)
			break;
		n += (size_t)r;
		text[n] = '\0';
		end = strstr(text, "\r\n\r\n");
		length = strstr(text, "Content-Length: ");
		if (!end || (length && length < end && n < (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10)))
			continue;
		*end = '\0';
		n = 0;
		if (!reply_to(fd, text))
			break;
	}
	close(fd);
	free(arg);
	return NULL;
}

static void serve_engine(int listener)
{
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), *arg = malloc(sizeof(*arg));
		pthread_t t;

		if (!arg)
			abort();
		*arg = fd;
		if (fd >= 0 && pthread_create(&t, NULL, serve_connection, arg) == 0)
			pthread_detach(t);
		else
			free(arg);
	}
}

pid_t stub_engine_start(const char *socket_path)
{
	return start(socket_path, serve_engine);
}
