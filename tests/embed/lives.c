#include "lives.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sockerless/sockerless.h>

static int bad;
static const char *dir, *sandbox, *guest;

#define EXPECT(claim)                                                         \
	do {                                                                  \
		if (!(claim)) {                                               \
			fprintf(stderr, "lives: %d: %s\n", __LINE__, #claim); \
			bad++;                                                \
		}                                                             \
	} while (0)

static struct sockerless_server *make(const char *name)
{
	struct sockerless_options *o = sockerless_options_new();
	struct sockerless_server *s = NULL;
	struct sockerless_error err = { 0 };
	char text[4096];

	snprintf(text, sizeof(text), "unix://%s/%s.sock", dir, name);
	EXPECT(sockerless_options_set(o, "host", text, &err) == 0);
	snprintf(text, sizeof(text), "%s/%s", dir, name);
	EXPECT(sockerless_options_set(o, "data-root", text, &err) == 0);
	EXPECT(sockerless_options_set(o, "sandbox", sandbox, &err) == 0);
	EXPECT(sockerless_options_set(o, "guest", guest, &err) == 0);
	EXPECT(sockerless_options_set(o, "ephemeral", NULL, &err) == 0);
	EXPECT(sockerless_server_new(o, &s, &err) == 0);
	sockerless_options_free(o);
	return s;
}

static void never_started(void)
{
	struct sockerless_error err = { 0 };
	struct sockerless_server *s = make("a");

	EXPECT(sockerless_server_listen(s, "unix:///nowhere", &err) == -ESHUTDOWN || err.code < 0);
	sockerless_server_free(s);
	sockerless_server_free(NULL);
}

static void started_and_freed(void)
{
	struct sockerless_error err = { 0 };
	struct sockerless_server *s = make("a"), *second = make("a");

	EXPECT(sockerless_server_start(s, &err) == 0);
	EXPECT(sockerless_server_start(s, &err) < 0); /* once */
	EXPECT(sockerless_server_override(s, "SystemPing", NULL, NULL, &err) < 0); /* too late */
	EXPECT(sockerless_server_start(second, &err) < 0);
	EXPECT(err.status == 409 && strstr(err.message, "another daemon"));
	sockerless_server_free(second);
	sockerless_server_free(s);
	s = make("a"); /* everything was given back */
	EXPECT(sockerless_server_start(s, &err) == 0);
	sockerless_server_free(s);
}

static void sigpipe_is_asked_for(void)
{
	struct sockerless_error err = { 0 };
	struct sockerless_server *s = make("a");

	signal(SIGPIPE, SIG_DFL);
	EXPECT(sockerless_server_start(s, &err) < 0 && strstr(err.message, "SIGPIPE"));
	signal(SIGPIPE, SIG_IGN);
	sockerless_server_free(s);
}

static int order[3], norder;

static void on_post(void *arg)
{
	order[norder++] = *(int *)arg;
}

static void on_last_post(void *arg)
{
	on_post(arg);
}

static void stopped_before_it_served(void)
{
	static int one = 1, two = 2, three = 3, four = 4;
	struct sockerless_error err = { 0 };
	struct sockerless_server *s = make("a");

	EXPECT(sockerless_server_start(s, &err) == 0);
	EXPECT(sockerless_server_post(s, on_post, &one) == 0);
	EXPECT(sockerless_server_post(s, on_last_post, &two) == 0);
	sockerless_server_stop(s);
	sockerless_server_stop(s);
	EXPECT(sockerless_server_post(s, on_post, &three) == 0); /* containers may have to tell their end */
	sockerless_server_run(s);
	EXPECT(sockerless_server_post(s, on_post, &four) == -ESHUTDOWN);
	EXPECT(norder == 3 && order[0] == 1 && order[1] == 2 && order[2] == 3);
	sockerless_server_free(s);
}

static void *run(void *arg)
{
	sockerless_server_run(arg);
	return NULL;
}

/* A listener of the program's own, on a port that the kernel chose. */
static int listen_tcp(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	EXPECT(bind(fd, (struct sockaddr *)addr, sizeof(*addr)) == 0 && listen(fd, 8) == 0);
	EXPECT(getsockname(fd, (struct sockaddr *)addr, &len) == 0);
	return fd;
}

static void ping(const struct sockaddr_in *addr)
{
	static const char request[] = "GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
	char reply[4096] = "";
	size_t n = 0;
	ssize_t r;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	EXPECT(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0);
	EXPECT(write(fd, request, sizeof(request) - 1) == sizeof(request) - 1);
	while (n < sizeof(reply) - 1 && (r = read(fd, reply + n, sizeof(reply) - 1 - n)) > 0)
		n += (size_t)r;
	EXPECT(strncmp(reply, "HTTP/1.1 200", 12) == 0 && strstr(reply, "\r\n\r\nOK"));
	close(fd);
}

static void two_at_once(void)
{
	struct sockerless_error err = { 0 };
	struct sockerless_server *s[2] = { make("a"), make("b") };
	struct sockaddr_in addr[2];
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		EXPECT(sockerless_server_start(s[i], &err) == 0);
		EXPECT(sockerless_server_listen_fd(s[i], listen_tcp(&addr[i]), &err) == 0);
		pthread_create(&threads[i], NULL, run, s[i]);
	}
	for (int i = 0; i < 4; i++)
		ping(&addr[i % 2]);
	for (int i = 0; i < 2; i++) {
		sockerless_server_stop(s[i]); /* from this thread, which is not its own */
		pthread_join(threads[i], NULL);
		sockerless_server_free(s[i]);
	}
}

int lives_check(const char *in_dir, const char *sandbox_program, const char *guest_root)
{
	dir = in_dir;
	sandbox = sandbox_program;
	guest = guest_root;
	signal(SIGPIPE, SIG_IGN);
	never_started();
	started_and_freed();
	sigpipe_is_asked_for();
	stopped_before_it_served();
	two_at_once();
	return bad;
}
