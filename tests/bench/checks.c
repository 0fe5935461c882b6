/* Health checks: what the processors have to do for 500 of them a second. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

enum {
	CONTAINERS = 60,
	WINDOW_S = 6, /* of processor time */
	COUNT_S = 2,  /* the end of it, in which they are counted: the engine remembers 4096 events, three for each */
	WANTED = 500, /* a second */
};

static double wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int occurrences(const char *text, const char *word)
{
	int n = 0;

	for (; (text = strstr(text, word)); text += strlen(word))
		n++;
	return n;
}

/* Probes that ended in that time. */
static int count_probes(struct engine *e, double since, double until)
{
	enum { ROOM = 16 << 20 };
	char *all = calloc(1, ROOM), request[300];
	struct http *c = calloc(1, sizeof(*c));
	size_t at = 0;
	ssize_t r;
	int n;

	snprintf(request, sizeof(request),
		 "GET /events?since=%.9f&until=%.9f&filters={\"event\":[\"exec_die\"]} HTTP/1.0\r\nHost: d\r\n\r\n",
		 since, until);
	if (!all || !c || http_open(c, e->socket) < 0 || send(c->fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		abort();
	while (at < ROOM - 1 && (r = read(c->fd, all + at, ROOM - 1 - at)) > 0)
		at += (size_t)r;
	n = occurrences(all, "\"Action\":\"exec_die\"");
	http_close(c);
	free(c);
	free(all);
	return n;
}

void bench_checks(struct bench *b)
{
	struct engine *e = &b->engines[0];
	struct account account;
	char ids[CONTAINERS][80], what[80];
	uint64_t all, own;
	double begin, rate, own_cores;
	bool is_exact;
	int n = 0;

	for (; n < CONTAINERS; n++)
		if (engine_create(e, "\"Cmd\":[\"sleep\",\"36000\"],\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":110000000}",
				  ids[n], sizeof(ids[n])) < 0 ||
		    engine_start(e, ids[n]) < 0)
			break;
	sleep(1);
	is_exact = account_open(&account, e->pid) == 0;
	sleep(1);
	all = account_ns(&account);
	own = cpu_ns(e->pid);
	begin = wall_s();
	sleep(WINDOW_S);
	all = account_ns(&account) - all;
	own = cpu_ns(e->pid) - own;
	rate = count_probes(e, begin + WINDOW_S - COUNT_S, begin + WINDOW_S) / (double)COUNT_S;
	own_cores = rate > 0 ? (double)own / 1e9 / WINDOW_S / rate * WANTED : 0;
	e->value = e->best = rate > 0 ? (double)all / 1e9 / WINDOW_S / rate * WANTED : 0;
	snprintf(what, sizeof(what), "%d health checks a second, processors", WANTED);
	row_print(b, what, "", 0.5);
	row_note("measured at %.0f a second, by %s; the daemon's part %.2f, the rest is the probes' own processes",
		 rate, is_exact ? "a control group" : "ticks, which lose some", own_cores);
	while (n-- > 0)
		engine_remove(e, ids[n]);
	account_close(&account);
}
