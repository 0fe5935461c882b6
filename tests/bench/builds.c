/* Builds by the classic builder: one that finds all of its steps cached, and steps that run a command that does nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

enum { STEPS = 30, RUNS = 10, CACHED_LIMIT_MS = 50, RUN_LIMIT_MS = 10, BLOCK = 512 };

/* A tar of one file; its length. */
static size_t make_context(const char *dockerfile, char *out, size_t size)
{
	size_t len = strlen(dockerfile), total = BLOCK + (len + BLOCK - 1) / BLOCK * BLOCK + (size_t)2 * BLOCK;
	unsigned sum = 0;

	if (total > size)
		return 0;
	memset(out, 0, total);
	snprintf(out, 100, "Dockerfile");
	snprintf(out + 100, 8, "%07o", 0644);
	snprintf(out + 108, 8, "%07o", 0);
	snprintf(out + 116, 8, "%07o", 0);
	snprintf(out + 124, 12, "%011zo", len);
	snprintf(out + 136, 12, "%011o", 0);
	memset(out + 148, ' ', 8);
	out[156] = '0';
	memcpy(out + 257,
	       "ustar\0"
	       "00",
	       8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)out[i];
	snprintf(out + 148, 8, "%06o", sum);
	memcpy(out + BLOCK, dockerfile, len);
	return total;
}

/* The time of a build, or 0; its output is only looked at for an error. */
static uint64_t build(struct engine *e, const char *query, const char *dockerfile)
{
	static char context[65536];
	static struct http_reply r;
	struct http c = { .fd = -1 };
	size_t n = make_context(dockerfile, context, sizeof(context));
	char head[200];
	uint64_t begin = now_ns(), ns = 0;
	int len = snprintf(head, sizeof(head),
			   "POST /v1.41/build?%s HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: %zu\r\n\r\n",
			   query, n);

	if (n == 0 || http_open(&c, e->socket) < 0)
		return 0;
	if (write(c.fd, head, (size_t)len) == len && write(c.fd, context, n) == (ssize_t)n && http_read(&c, &r) == 0 &&
	    r.status == 200 && !strstr(r.body, "errorDetail"))
		ns = now_ns() - begin;
	http_close(&c);
	return ns;
}

static char *thirty_steps(void)
{
	char *text = malloc(8192);
	int n = snprintf(text, 8192, "FROM busybox\n");

	for (int i = 1; i < STEPS; i++)
		n += snprintf(text + n, 8192 - (size_t)n, i % 10 ? "ENV STEP%d=%d\n" : "RUN echo %d >/step%d\n", i, i);
	return text;
}

static void cached_builds(struct engine *e, const char *dockerfile, int turns, struct samples *s)
{
	if (build(e, "forcerm=1", dockerfile) == 0) { /* fills the cache */
		e->is_missing = true;
		return;
	}
	for (int i = 0; i < turns; i++) {
		uint64_t ns = build(e, "forcerm=1", dockerfile);

		if (ns)
			samples_add(s, ns);
	}
}

static void runs(struct engine *e, int turns, struct samples *s)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "FROM busybox\n");

	for (int i = 0; i < RUNS; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "RUN true %d\n", i);
	for (int i = 0; i < turns; i++) {
		uint64_t ns = build(e, "forcerm=1&nocache=1", text);

		if (ns)
			samples_add(s, ns / RUNS);
	}
	e->is_missing = s->n == 0;
}

void bench_builds(struct bench *b)
{
	char *dockerfile = thirty_steps();

	for (int i = 0; i < b->n; i++) {
		struct samples s = { 0 };

		cached_builds(&b->engines[i], dockerfile, b->is_quick ? 5 : 30, &s);
		row_take(&b->engines[i], &s, 1e6);
		samples_done(&s);
	}
	row_print(b, "build of 30 steps, all cached", "ms", CACHED_LIMIT_MS);
	for (int i = 0; i < b->n; i++) {
		struct samples s = { 0 };

		runs(&b->engines[i], i ? 2 : b->is_quick ? 5 : 20, &s);
		row_take(&b->engines[i], &s, 1e6);
		samples_done(&s);
	}
	row_print(b, "RUN true in a build", "ms", RUN_LIMIT_MS);
	for (int i = 0; i < b->n; i++)
		b->engines[i].is_missing = false;
	free(dockerfile);
}
