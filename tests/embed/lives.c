#include "lives.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sockerless/sockerless.h>

static atomic_int bad;
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

static int connect_to(const struct sockaddr_in *addr, const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	EXPECT(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0);
	EXPECT(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
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

/* ---- several that are made, serve and end at the same time ---- */

enum { TOGETHER = 3, LETTERS = 300000 };

struct own_life {
	const char *name;
	pthread_barrier_t *begin;
};

/* One request over a connection of its own; the reply with its head. */
static void ask(const struct sockaddr_in *addr, const char *request, char *reply, size_t size)
{
	size_t n = 0;
	ssize_t r;
	int fd = connect_to(addr, request);

	while (n < size - 1 && (r = read(fd, reply + n, size - 1 - n)) > 0)
		n += (size_t)r;
	reply[n] = '\0';
	close(fd);
}

/* A container that writes the letter, and its id. */
static void create(const struct sockaddr_in *addr, char letter, char id[65])
{
	char body[300], request[600], reply[4096], *at;

	snprintf(body, sizeof(body),
		 "{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"yes %c | head -n %d | tr -d '\\\\n'\"]}", letter, LETTERS);
	snprintf(request, sizeof(request),
		 "POST /containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	ask(addr, request, reply, sizeof(reply));
	at = strstr(reply, "\"Id\":\"");
	EXPECT(at);
	snprintf(id, 65, "%s", at ? at + 6 : "");
}

static int read_whole(int fd, unsigned char *to, size_t n)
{
	size_t have = 0;
	ssize_t r;

	while (have < n && (r = read(fd, to + have, n - have)) > 0)
		have += (size_t)r;
	return have == n ? 0 : -1;
}

/* The length of the next frame; -1: the last one, or none. */
static long next_frame(int fd)
{
	unsigned char head[2], more[8] = { 0 };
	long len = 0;
	int n;

	if (read_whole(fd, head, 2) < 0 || (head[0] & 0x0f) == 8)
		return -1;
	n = head[1] == 127 ? 8 : head[1] == 126 ? 2 : 0;
	if (n == 0)
		return head[1];
	if (read_whole(fd, more, (size_t)n) < 0)
		return -1;
	for (int i = 0; i < n; i++)
		len = len << 8 | more[i];
	return len;
}

/* What came of the letter; bytes of any other are not expected. */
static int count_letters(int fd, char letter)
{
	unsigned char *frame;
	int n = 0, others = 0;
	long len;

	while ((len = next_frame(fd)) >= 0) {
		frame = malloc((size_t)len + 1);
		if (read_whole(fd, frame, (size_t)len) < 0)
			len = 0;
		for (long i = 0; i < len; i++) {
			n += frame[i] == letter;
			others += frame[i] != letter;
		}
		free(frame);
	}
	EXPECT(others == 0);
	return n;
}

static void read_head(int fd)
{
	char end[5] = "", byte;

	while (strcmp(end, "\r\n\r\n") != 0 && read(fd, &byte, 1) == 1) {
		memmove(end, end + 1, 3);
		end[3] = byte;
	}
}

static void read_by_websocket(const struct sockaddr_in *addr, char letter)
{
	char id[65], request[600], reply[4096];
	int fd;

	create(addr, letter, id);
	snprintf(request, sizeof(request),
		 "GET /containers/%s/attach/ws?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n"
		 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		 id);
	fd = connect_to(addr, request);
	read_head(fd);
	snprintf(request, sizeof(request), "POST /containers/%s/start HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", id);
	ask(addr, request, reply, sizeof(reply));
	EXPECT(strncmp(reply, "HTTP/1.1 204", 12) == 0);
	EXPECT(count_letters(fd, letter) == LETTERS);
	close(fd);
}

static void *live(void *arg)
{
	const struct own_life *life = arg;
	struct sockerless_error err = { 0 };
	struct sockerless_server *s;
	struct sockaddr_in addr;
	pthread_t thread;

	pthread_barrier_wait(life->begin);
	s = make(life->name);
	EXPECT(sockerless_server_start(s, &err) == 0);
	EXPECT(sockerless_server_listen_fd(s, listen_tcp(&addr), &err) == 0);
	pthread_create(&thread, NULL, run, s);
	ping(&addr);
	read_by_websocket(&addr, *life->name);
	sockerless_server_stop(s);
	pthread_join(thread, NULL);
	sockerless_server_free(s);
	return NULL;
}

/* The first servers of the process: what the library makes once for all is made by several threads at once. */
static void together(void)
{
	static const char *const names[TOGETHER] = { "x", "y", "z" };
	struct own_life lives[TOGETHER];
	pthread_t threads[TOGETHER];
	pthread_barrier_t begin;

	pthread_barrier_init(&begin, NULL, TOGETHER);
	for (int i = 0; i < TOGETHER; i++) {
		lives[i] = (struct own_life){ names[i], &begin };
		pthread_create(&threads[i], NULL, live, &lives[i]);
	}
	for (int i = 0; i < TOGETHER; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&begin);
}

/* ---- what another thread may do: post ---- */

struct look {
	struct sockerless_server *server;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	char *json;
	int is_done;
};

static void on_look(void *arg)
{
	struct look *l = arg;

	pthread_mutex_lock(&l->mutex);
	l->json = sockerless_inspect_json(l->server, SOCKERLESS_NETWORK, "bridge", NULL);
	l->is_done = 1;
	pthread_cond_signal(&l->cond);
	pthread_mutex_unlock(&l->mutex);
}

static void store_from_another_thread(void)
{
	struct sockerless_error err = { 0 };
	struct look l = { make("a"), PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0 };
	pthread_t thread;

	EXPECT(sockerless_server_start(l.server, &err) == 0);
	pthread_create(&thread, NULL, run, l.server);
	EXPECT(sockerless_server_post(l.server, on_look, &l) == 0);
	pthread_mutex_lock(&l.mutex);
	while (!l.is_done)
		pthread_cond_wait(&l.cond, &l.mutex);
	pthread_mutex_unlock(&l.mutex);
	EXPECT(l.json && strstr(l.json, "\"Name\":\"bridge\""));
	free(l.json);
	sockerless_server_stop(l.server);
	pthread_join(thread, NULL);
	EXPECT(!sockerless_inspect_json(l.server, SOCKERLESS_NETWORK, "bridge", &err) && err.code == -ESHUTDOWN);
	sockerless_server_free(l.server);
}

/* ---- drain ---- */

static struct sockerless_request *held;

static void hold_ping(struct sockerless_request *req, void *arg)
{
	(void)arg;
	held = req;
}

static void answer_held(void *arg)
{
	(void)arg;
	sockerless_request_continue(held); /* later than from within the handler */
}

static void is_held(void *arg)
{
	atomic_store((atomic_int *)arg, held != NULL);
}

static void drained(void)
{
	static const char keep[] = "GET /version HTTP/1.1\r\nHost: d\r\n\r\n", slow[] = "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n";
	struct sockerless_error err = { 0 };
	struct sockerless_server *s = make("a");
	struct sockaddr_in addr;
	char reply[8192] = "";
	pthread_t thread;
	atomic_int seen = 0;
	int idle, busy;
	size_t n = 0;
	ssize_t r;

	EXPECT(sockerless_server_override(s, "SystemPing", hold_ping, NULL, &err) == 0);
	EXPECT(sockerless_server_start(s, &err) == 0);
	EXPECT(sockerless_server_listen_fd(s, listen_tcp(&addr), &err) == 0);
	pthread_create(&thread, NULL, run, s);
	idle = connect_to(&addr, keep);
	EXPECT(read(idle, reply, sizeof(reply)) > 0); /* answered, and kept open */
	busy = connect_to(&addr, slow);
	for (int i = 0; !seen && i < 200; i++) {
		sockerless_server_post(s, is_held, &seen);
		usleep(5000);
	}
	EXPECT(seen);
	sockerless_server_drain(s, 10000);
	while (read(idle, reply, sizeof(reply)) > 0)
		;
	EXPECT(read(idle, reply, sizeof(reply)) == 0); /* it had nothing to do */
	r = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(connect((int)r, (struct sockaddr *)&addr, sizeof(addr)) < 0); /* nobody new */
	close((int)r);
	EXPECT(sockerless_server_post(s, answer_held, NULL) == 0); /* it works on */
	while (n < sizeof(reply) - 1 && (r = read(busy, reply + n, sizeof(reply) - 1 - n)) > 0)
		n += (size_t)r;
	reply[n] = '\0';
	EXPECT(strncmp(reply, "HTTP/1.1 200", 12) == 0 && strstr(reply, "\r\n\r\nOK"));
	pthread_join(thread, NULL); /* the last answer was the end */
	EXPECT(sockerless_server_post(s, is_held, &seen) == -ESHUTDOWN);
	sockerless_server_free(s);
	close(idle);
	close(busy);
}

/* Who does not come to an end is not waited for longer than was said. */
static void drained_in_time(void)
{
	struct sockerless_error err = { 0 };
	struct sockerless_server *s = make("a");
	struct sockaddr_in addr;
	struct timespec t0, t1;
	pthread_t thread;
	long waited_ms;
	char byte;
	int fd;

	EXPECT(sockerless_server_start(s, &err) == 0);
	EXPECT(sockerless_server_listen_fd(s, listen_tcp(&addr), &err) == 0);
	pthread_create(&thread, NULL, run, s);
	fd = connect_to(&addr, "GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
	EXPECT(read(fd, &byte, 1) == 1); /* it is being answered */
	clock_gettime(CLOCK_MONOTONIC, &t0);
	sockerless_server_drain(s, 300);
	pthread_join(thread, NULL);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	waited_ms = (t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000;
	EXPECT(waited_ms >= 290 && waited_ms < 3000);
	sockerless_server_free(s);
	close(fd);
}

/* ---- a thousand lives ---- */

static int count_in(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

int cycles_check(int n, const char *in_dir, const char *sandbox_program, const char *guest_root)
{
	enum { WARM = 20 };
	struct sockerless_error err = { 0 };
	int fds = 0, threads = 0;
	size_t bytes = 0;
	long grown;

	dir = in_dir;
	sandbox = sandbox_program;
	guest = guest_root;
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_ARENA_MAX, 1); /* mallinfo2 tells of one only */
	sockerless_log_to(SOCKERLESS_LOG_ERROR, NULL, NULL);
	for (int i = 0; i < n; i++) {
		struct sockerless_server *s = make("cycle");
		struct sockaddr_in addr;
		pthread_t thread;

		EXPECT(sockerless_server_start(s, &err) == 0);
		EXPECT(sockerless_server_listen_fd(s, listen_tcp(&addr), &err) == 0);
		pthread_create(&thread, NULL, run, s);
		ping(&addr);
		sockerless_server_stop(s);
		pthread_join(thread, NULL);
		sockerless_server_free(s);
		if (i == (n > WARM ? WARM : n / 2)) {
			fds = count_in("/proc/self/fd");
			threads = count_in("/proc/self/task");
			bytes = mallinfo2().uordblks;
		}
	}
	grown = (long)(mallinfo2().uordblks - bytes);
	printf("grown: %d %d\n", count_in("/proc/self/fd") - fds, count_in("/proc/self/task") - threads);
	printf("bytes: %ld\n", grown);
	return bad || grown > 100000 + 100L * n; /* what a life may leave, with what comes and goes */
}

int lives_check(const char *in_dir, const char *sandbox_program, const char *guest_root)
{
	dir = in_dir;
	sandbox = sandbox_program;
	guest = guest_root;
	signal(SIGPIPE, SIG_IGN);
	together();
	never_started();
	started_and_freed();
	sigpipe_is_asked_for();
	stopped_before_it_served();
	two_at_once();
	store_from_another_thread();
	drained();
	drained_in_time();
	return bad;
}
