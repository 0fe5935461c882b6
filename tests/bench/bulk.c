/* Many things: 100 MB through each way in and out, 1,000 running containers,
 * a store with 100,000. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

/* ---- bytes ---- */

struct bytes {
	size_t size;
	char *data;
};

static void fill_random(char *p, size_t n)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i + 8 <= n; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(p + i, &x, 8);
	}
}

/* A tar archive with one file of `size` bytes. */
static struct bytes make_archive(size_t size)
{
	struct bytes a = { 512 + (size + 511) / 512 * 512 + 1024, NULL };
	unsigned sum = 0;
	char *h;

	a.data = h = calloc(1, a.size);
	if (!h)
		abort();
	snprintf(h, 100, "file");
	snprintf(h + 100, 8, "0000644");
	snprintf(h + 108, 8, "0000000");
	snprintf(h + 116, 8, "0000000");
	snprintf(h + 124, 12, "%011lo", (unsigned long)size);
	snprintf(h + 136, 12, "%011lo", 1700000000ul);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 7, "%06o", sum);
	fill_random(h + 512, size);
	return a;
}

static int put_archive(struct engine *e, const char *id, const struct bytes *a)
{
	struct http c = { .fd = -1 };
	struct http_reply r;
	char head[400];
	size_t at = 0;
	int ok = -1;

	snprintf(head, sizeof(head),
		 "PUT /containers/%s/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n"
		 "Content-Length: %zu\r\n\r\n",
		 id, a->size);
	if (http_open(&c, e->socket) < 0)
		return -1;
	if (send(c.fd, head, strlen(head), MSG_NOSIGNAL) == (ssize_t)strlen(head)) {
		while (at < a->size) {
			size_t n = a->size - at < 32768 ? a->size - at : 32768; /* as Go's io.Copy writes */
			ssize_t w = send(c.fd, a->data + at, n, MSG_NOSIGNAL);

			if (w <= 0)
				break;
			at += (size_t)w;
		}
		ok = http_read(&c, &r) == 0 && r.status == 200 && at == a->size ? 0 : -1;
	}
	http_close(&c);
	return ok;
}

static int get_bytes(struct engine *e, const char *id, const char *what, uint64_t at_least)
{
	struct http_reply r;
	char path[300];

	snprintf(path, sizeof(path), "/containers/%s/%s", id, what);
	return http_once(e->socket, "GET", path, NULL, &r) == 200 && r.length >= at_least ? 0 : -1;
}

static int attach_run(struct engine *e, const char *id, uint64_t at_least)
{
	struct http c = { .fd = -1 };
	char path[300];
	int ok = -1;

	snprintf(path, sizeof(path), "/containers/%s/attach?stdout=1&stream=1", id);
	if (http_open(&c, e->socket) == 0 && http_hijack(&c, path, NULL) == 0 && engine_start(e, id) == 0)
		ok = http_drain(&c) >= at_least ? 0 : -1;
	http_close(&c);
	return ok;
}

enum way { PUT, GET, ATTACH, LOGS, EXEC, WAYS };

/* One turn of one engine: every way once. */
static void bytes_turn(struct engine *e, const struct bytes *a, size_t size, struct samples s[WAYS], long growth[WAYS])
{
	char id[80], config[300], exec[200];
	uint64_t t[WAYS + 1];
	int ok[WAYS];
	long rss;

	snprintf(config, sizeof(config),
		 "\"Cmd\":[\"sh\",\"-c\",\"yes 0123456789012345678901234567890123456789012345678901234567890123456789"
		 "01234567890123456789012345678 | head -c %zu\"]",
		 size);
	snprintf(exec, sizeof(exec), "[\"head\",\"-c\",\"%zu\",\"/dev/zero\"]", size);
	if (engine_create(e, config, id, sizeof(id)) < 0)
		return;
	for (int w = 0; w < WAYS; w++) {
		rss_peak_reset(e->pid);
		rss = rss_kib(e->pid);
		t[0] = now_ns();
		ok[w] = w == PUT    ? put_archive(e, id, a) :
			w == GET    ? get_bytes(e, id, "archive?path=/tmp/file", size) :
			w == ATTACH ? attach_run(e, id, size) :
			w == LOGS   ? get_bytes(e, id, "logs?stdout=1", size) :
			engine_exec(e, e->running, exec) >= (int64_t)size ? 0 :
									    -1;
		if (ok[w] == 0)
			samples_add(&s[w], now_ns() - t[0]);
		if (rss_peak_kib(e->pid) - rss > growth[w])
			growth[w] = rss_peak_kib(e->pid) - rss;
	}
	engine_remove(e, id);
}

void bench_bytes(struct bench *b)
{
	static const char *const names[WAYS] = { "docker cp in", "docker cp out", "run + attach, 100-byte lines",
						 "logs, 100-byte lines", "exec output" };
	struct samples s[ENGINES_MAX][WAYS] = { 0 };
	long growth[ENGINES_MAX][WAYS] = { 0 };
	size_t size = b->is_quick ? 20 << 20 : 100 << 20;
	struct bytes a = make_archive(size);
	char what[80];

	for (int turn = 0; turn < 3; turn++)
		for (int i = 0; i < b->n; i++)
			bytes_turn(&b->engines[i], &a, size, s[i], growth[i]);
	free(a.data);
	for (int w = 0; w < WAYS; w++) {
		for (int i = 0; i < b->n; i++)
			row_take(&b->engines[i], &s[i][w], 1e6);
		/* The budget is the peer's time. */
		snprintf(what, sizeof(what), "%zu MB: %s", size >> 20, names[w]);
		row_print(b, what, "ms", b->n > 1 ? (double)samples_at(&s[1][w], 50) / 1e6 : 0);
		row_note("daemon memory grew by %.1f MB at most%s", (double)growth[0][w] / 1024,
			 growth[0][w] > 8192 ? " (NOT FLAT)" : "");
		for (int i = 0; i < b->n; i++)
			samples_done(&s[i][w]);
	}
}

/* ---- many containers ---- */

enum { CLIENTS = 4 };

/* Runs `work` in CLIENTS processes, each with a connection of its own and its share; the time of all. */
static uint64_t share(struct engine *e, int n, void (*work)(struct engine *e, int from, int to, void *arg), void *arg)
{
	uint64_t begin = now_ns();
	pid_t pids[CLIENTS];

	for (int i = 0; i < CLIENTS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			e->http.fd = -1;
			if (engine_connect(e) == 0)
				work(e, n * i / CLIENTS, n * (i + 1) / CLIENTS, arg);
			_exit(0);
		}
	}
	for (int i = 0; i < CLIENTS; i++)
		waitpid(pids[i], NULL, 0);
	return now_ns() - begin;
}

static void create_named(struct engine *e, int from, int to, void *arg)
{
	char id[80], config[300];

	for (int k = from; k < to; k++) {
		snprintf(config, sizeof(config), "\"Cmd\":[\"sleep\",\"36000\"],\"Labels\":{\"%s\":\"%d\"}", (char *)arg, k);
		engine_create(e, config, id, sizeof(id));
	}
}

/* The ids that a label's filter lists, in one array of `width` bytes each. */
enum { WIDTH = 65 };
static char *ids_of(struct engine *e, const char *label, int *ret_n)
{
	struct http *c = calloc(1, sizeof(*c));
	char path[200], *all = calloc(1, 64 << 20), *ids, *p;
	size_t at = 0;
	ssize_t r;
	int n = 0;

	snprintf(path, sizeof(path),
		 "GET /containers/json?all=1&filters={\"label\":[\"%s\"]} HTTP/1.0\r\nHost: d\r\n\r\n", label);
	if (!c || !all || http_open(c, e->socket) < 0 || send(c->fd, path, strlen(path), MSG_NOSIGNAL) < 0)
		abort();
	while (at < (64 << 20) - 1 && (r = read(c->fd, all + at, (64 << 20) - 1 - at)) > 0)
		at += (size_t)r;
	http_close(c);
	free(c);
	ids = calloc(at / 100 + 1, WIDTH);
	for (p = all; ids && (p = strstr(p, "{\"Id\":\"")); n++) {
		memcpy(ids + n * WIDTH, p + 7, 64);
		p += 70;
	}
	free(all);
	*ret_n = n;
	return ids;
}

static void start_each(struct engine *e, int from, int to, void *arg)
{
	for (int k = from; k < to; k++)
		engine_start(e, (char *)arg + k * WIDTH);
}

static void remove_each(struct engine *e, int from, int to, void *arg)
{
	for (int k = from; k < to; k++)
		engine_remove(e, (char *)arg + k * WIDTH);
}

void bench_many(struct bench *b)
{
	struct engine *e = &b->engines[0];
	int n = b->is_quick ? 200 : 1000, found, processes;
	char what[80], *ids;
	uint64_t ns;
	long before, after;

	ns = share(e, n, create_named, "many");
	ids = ids_of(e, "many", &found);
	snprintf(what, sizeof(what), "%d creates, %d clients", n, CLIENTS);
	e->value = e->best = (double)ns / 1e6;
	row_print(b, what, "ms", n);
	before = tree_pss_kib(e->pid, NULL);
	ns = share(e, found, start_each, ids);
	snprintf(what, sizeof(what), "%d starts, %d clients", found, CLIENTS);
	e->value = e->best = (double)ns / 1e6;
	row_print(b, what, "ms", n * 5.0);
	after = tree_pss_kib(e->pid, &processes);
	e->value = e->best = (double)(after - before) / 1024 / (found ? found : 1);
	row_print(b, "memory of a running container (PSS)", "MB", 1.5);
	row_note("%d processes; the daemon alone %.1f MB", processes, (double)rss_kib(e->pid) / 1024);
	ns = share(e, found, remove_each, ids);
	snprintf(what, sizeof(what), "%d forced removes, %d clients", found, CLIENTS);
	e->value = e->best = (double)ns / 1e6;
	row_print(b, what, "ms", 0);
	free(ids);
}

/* ---- a full store ---- */

/* path NULL: a create. Filters are selective: one container, or none, is meant. */
static const struct {
	const char *name, *path;
} calls[] = {
	{ "inspect", "/containers/bench-one/json" },
	{ "create", NULL },
	{ "list with limit=100", "/containers/json?all=1&limit=100" },
	{ "list by one label", "/containers/json?all=1&filters=%7B%22label%22:%5B%22pick=one%22%5D%7D" },
	{ "list by one name", "/containers/json?all=1&filters=%7B%22name%22:%5B%22bench-one%22%5D%7D" },
	{ "list by one volume", "/containers/json?all=1&filters=%7B%22volume%22:%5B%22bench-one%22%5D%7D" },
	{ "list by one network", "/containers/json?all=1&filters=%7B%22network%22:%5B%22bench-one%22%5D%7D" },
	{ "list by health", "/containers/json?filters=%7B%22health%22:%5B%22unhealthy%22%5D%7D" },
	{ "list of what runs", "/containers/json?filters=%7B%22status%22:%5B%22running%22%5D%7D" },
	{ "_ping", "/_ping" },
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static void measure_calls(struct engine *e, struct samples s[CALLS])
{
	struct http_reply r;
	char other[80];

	for (int k = 0; k < 100; k++) {
		for (int w = 0; w < CALLS; w++) {
			uint64_t t = now_ns();

			if (calls[w].path)
				http_do(&e->http, "GET", calls[w].path, NULL, &r);
			else
				engine_create(e, "\"Cmd\":[\"true\"],\"Labels\":{\"extra\":\"1\"}", other, sizeof(other));
			samples_add(&s[w], now_ns() - t);
		}
	}
}

void bench_store(struct bench *b)
{
	struct samples few[CALLS] = { 0 }, many[CALLS] = { 0 };
	struct engine *e = &b->engines[0];
	int n = b->is_quick ? 10000 : 100000;
	struct http_reply r;
	char what[80];
	long before;
	uint64_t ns;

	http_do(&e->http, "POST", "/networks/create", "{\"Name\":\"bench-one\"}", &r);
	http_do(&e->http, "POST", "/containers/create?name=bench-one",
		"{\"Image\":\"busybox\",\"Cmd\":[\"true\"],\"Labels\":{\"pick\":\"one\"},"
		"\"HostConfig\":{\"Binds\":[\"bench-one:/data\"],\"NetworkMode\":\"bench-one\"}}",
		&r);
	share(e, 100, create_named, "few"); /* so that the short list is as long as the other */
	engine_connect(e);
	before = rss_kib(e->pid);
	measure_calls(e, few);
	ns = share(e, n, create_named, "crowd");
	snprintf(what, sizeof(what), "%d creates, %d clients", n, CLIENTS);
	e->value = e->best = (double)ns / 1e6;
	row_print(b, what, "ms", n);
	row_note("%.1f KB of the daemon's memory each", (double)(rss_kib(e->pid) - before) / n);
	measure_calls(e, many);
	for (int w = 0; w < CALLS; w++) {
		snprintf(what, sizeof(what), "%s of %d", calls[w].name, n);
		row_take(e, &many[w], 1e6);
		row_print(b, what, "ms", 2 * (double)samples_at(&few[w], 50) / 1e6);
		samples_done(&few[w]);
		samples_done(&many[w]);
	}
}
