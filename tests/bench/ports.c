/* Published ports and networks: BusyBox's nc in a container beside the same natively, ten thousand connections,
 * bytes between two containers. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

enum { BLOCK = 65536, BYTES_PORT = 9000, WORDS_PORT = 9001, TURNS = 3, SLACK = 4 };

static const char *const network = "bench-ports";

struct scene {
	struct engine *engine;
	char server[80], words[80], client[80];
	unsigned bytes_port, words_port, native_port, native_words_port; /* of the host */
	pid_t native, native_words;
};

/* Nobody has it; nobody else asks for one meanwhile. */
static unsigned free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		a.sin_port = 0;
	close(fd);
	return ntohs(a.sin_port);
}

/* Reads a connection to its end. The bytes, or -1. */
static int64_t drain(unsigned port)
{
	static char block[BLOCK];
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t got = -1;
	ssize_t n;

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
		got = 0;
		while ((n = read(fd, block, BLOCK)) > 0)
			got += n;
	}
	close(fd);
	return got;
}

/* Until somebody answers there. */
static int wait_for_port(unsigned port)
{
	for (int i = 0; i < 500; i++) {
		if (drain(port) > 0)
			return 0;
		usleep(10000);
	}
	return -1;
}

static pid_t native_server(const struct bench *b, unsigned port, char *const words[])
{
	char text[16], *argv[16] = { (char *)b->busybox, (char *)"nc",      (char *)"-ll", (char *)"-p", text,
				     (char *)"-e",       (char *)b->busybox };
	size_t n = 7;
	pid_t pid;

	snprintf(text, sizeof(text), "%u", port);
	for (; *words && n < 15; words++)
		argv[n++] = *words;
	pid = fork();
	if (pid == 0) {
		if (!freopen("/dev/null", "r+", stderr))
			_exit(126);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static int start(struct engine *e, const char *cmd, unsigned port, unsigned host_port, char ret_id[80])
{
	struct http_reply r = { 0 };
	char body[1024], bind[200] = "";

	if (host_port)
		snprintf(bind, sizeof(bind),
			 ",\"PortBindings\":{\"%u/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"%u\"}]}", port, host_port);
	snprintf(body, sizeof(body),
		 "{\"Image\":\"busybox\",\"Cmd\":%s,\"ExposedPorts\":{\"%u/tcp\":{}},\"HostConfig\":{\"NetworkMode\":\"%s\"%s}}",
		 cmd, port, network, bind);
	if (http_do(&e->http, "POST", "/containers/create", body, &r) != 201) {
		fprintf(stderr, "bench: ports: create: %.200s\n", r.body);
		return -1;
	}
	json_text(r.body, "Id", ret_id, 80);
	return engine_start(e, ret_id);
}

static int set(struct bench *b, struct scene *s, uint64_t bytes)
{
	char cmd[200], count[32];
	char *const dd[] = { (char *)"dd", (char *)"if=/dev/zero", (char *)"bs=64k", count, NULL };
	char *const echo[] = { (char *)"echo", (char *)"ok", NULL };
	struct engine *e = s->engine;

	snprintf(count, sizeof(count), "count=%lu", (unsigned long)(bytes / BLOCK));
	snprintf(cmd, sizeof(cmd), "{\"Name\":\"%s\"}", network);
	s->bytes_port = free_port();
	s->words_port = free_port();
	s->native_port = free_port();
	s->native_words_port = free_port();
	if (http_do(&e->http, "POST", "/networks/create", cmd, NULL) != 201)
		return -1;
	snprintf(cmd, sizeof(cmd), "[\"nc\",\"-ll\",\"-p\",\"%d\",\"-e\",\"dd\",\"if=/dev/zero\",\"bs=64k\",\"%s\"]",
		 BYTES_PORT, count);
	if (start(e, cmd, BYTES_PORT, s->bytes_port, s->server) < 0)
		return -1;
	snprintf(cmd, sizeof(cmd), "[\"nc\",\"-ll\",\"-p\",\"%d\",\"-e\",\"echo\",\"ok\"]", WORDS_PORT);
	if (start(e, cmd, WORDS_PORT, s->words_port, s->words) < 0 ||
	    start(e, "[\"sleep\",\"36000\"]", WORDS_PORT, 0, s->client) < 0)
		return -1;
	s->native = native_server(b, s->native_port, dd);
	s->native_words = native_server(b, s->native_words_port, echo);
	return wait_for_port(s->words_port) < 0 || wait_for_port(s->native_words_port) < 0 ||
			       wait_for_port(s->bytes_port) < 0 || wait_for_port(s->native_port) < 0 ?
		       -1 :
		       0;
}

static void clear(struct scene *s)
{
	char path[64];
	const pid_t pids[] = { s->native, s->native_words };

	for (int i = 0; i < 2; i++) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	if (*s->server)
		engine_remove(s->engine, s->server);
	if (*s->words)
		engine_remove(s->engine, s->words);
	if (*s->client)
		engine_remove(s->engine, s->client);
	snprintf(path, sizeof(path), "/networks/%s", network);
	http_do(&s->engine->http, "DELETE", path, NULL, NULL);
}

static void take_time(struct samples *s, unsigned port, uint64_t bytes)
{
	uint64_t begin = now_ns();

	if (drain(port) == (int64_t)bytes)
		samples_add(s, now_ns() - begin);
}

/* DESIGN: at least 0.7 of what flows between two native processes. */
static void measure_port(struct bench *b, const struct scene *s, uint64_t bytes)
{
	struct samples ours = { 0 }, native = { 0 };
	char what[80];

	for (int turn = 0; turn < TURNS; turn++) {
		take_time(&native, s->native_port, bytes);
		take_time(&ours, s->bytes_port, bytes);
	}
	row_take(s->engine, &ours, 1e6);
	snprintf(what, sizeof(what), "%lu MB through a published port", (unsigned long)(bytes >> 20));
	row_print(b, what, "ms", (double)samples_at(&native, 50) / 1e6 / 0.7);
	row_note("the limit is the time of native BusyBox's nc in the same run (%.1f ms), divided by 0.7",
		 (double)samples_at(&native, 50) / 1e6);
	samples_done(&ours);
	samples_done(&native);
}

static void measure_between(struct bench *b, const struct scene *s, uint64_t bytes)
{
	struct samples ours = { 0 }, tcp = { 0 };
	char cmd[300], what[80];

	snprintf(cmd, sizeof(cmd), "[\"sh\",\"-c\",\"nc %.12s %d -e dd of=/dev/null bs=64k 2>/dev/null; echo ok\"]",
		 s->server, BYTES_PORT);
	for (int turn = 0; turn < TURNS; turn++) {
		uint64_t t = tcp_native(bytes);

		if (t)
			samples_add(&tcp, t);
		t = now_ns();
		if (engine_exec(s->engine, s->client, cmd) >= 3)
			samples_add(&ours, now_ns() - t);
	}
	row_take(s->engine, &ours, 1e6);
	snprintf(what, sizeof(what), "%lu MB from container to container", (unsigned long)(bytes >> 20));
	row_print(b, what, "ms", (double)samples_at(&tcp, 50) / 1e6);
	row_note("the limit is TCP over the loopback, natively, in the same run");
	samples_done(&ours);
	samples_done(&tcp);
}

static uint64_t connect_often(unsigned port, int n)
{
	uint64_t begin = now_ns();

	for (int i = 0; i < n; i++)
		if (drain(port) != 3)
			return 0;
	return now_ns() - begin;
}

static void measure_connections(struct bench *b, const struct scene *s)
{
	int n = b->is_quick ? 1000 : 10000, before = tree_fds(s->engine->pid), after = 0;
	uint64_t native = connect_often(s->native_words_port, n), t = connect_often(s->words_port, n);
	struct samples ours = { 0 };
	char what[80];

	/* The last ones' processes may just be ending. */
	for (int i = 0; i < 50 && ((after = tree_fds(s->engine->pid)) > before); i++)
		usleep(20000);
	if (t && after <= before + SLACK)
		samples_add(&ours, t);
	row_take(s->engine, &ours, (double)n * 1e6);
	snprintf(what, sizeof(what), "%d connections to a published port, each", n);
	row_print(b, what, "ms", 0);
	row_note("natively %.3f ms, each with a fork and an exec; descriptors of the engine's processes before %d, after %d",
		 (double)native / n / 1e6, before, after);
	samples_done(&ours);
}

void bench_ports(struct bench *b)
{
	uint64_t bytes = b->is_quick ? 256u << 20 : 1024u << 20;
	struct scene s = { .engine = &b->engines[0] };

	if (set(b, &s, bytes) == 0) {
		measure_port(b, &s, bytes);
		measure_between(b, &s, bytes);
		measure_connections(b, &s);
	} else {
		fprintf(stderr, "bench: ports: the servers cannot be reached\n");
	}
	clear(&s);
}
