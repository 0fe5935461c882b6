/* `make bench`: the budgets of docs/performance.md, measured, one table.
 *
 *   bench [-q] -d DOCKER -b BUSYBOX -t DIR -D DAEMON-COMMAND [NAME SOCKET PID]…
 *
 * It starts our daemon itself (words without quotes; socket and data root are
 * added); what is named behind are engines to compare with.
 * Operations take turns between them, so that a machine's moods meet all. */
#include "bench/bench.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/stub.h"

/* ---- the table ---- */

static void print_head(const struct bench *b)
{
	printf("%-44s %12s %10s %10s %8s", "what", "ours", "best", "budget", "of it");
	for (int i = 1; i < b->n; i++)
		printf(" %12s %9s", b->engines[i].name, "ours/its");
	printf("\n");
}

static void print_value(double v, const char *unit)
{
	char text[32];

	snprintf(text, sizeof(text), v < 10 ? "%.3f %s" : v < 1000 ? "%.1f %s" : "%.0f %s", v, unit);
	printf(" %12s", text);
}

void row_print(struct bench *b, const char *what, const char *unit, double limit)
{
	struct engine *ours = &b->engines[0];

	printf("%-44s", what);
	if (ours->is_missing) {
		printf(" %12s\n", "failed");
	} else {
		print_value(ours->value, unit);
		printf(ours->best < 10 ? " %10.3f" : " %10.1f", ours->best);
		if (limit > 0)
			printf(limit < 10 ? " %10.2f %7.0f%%" : " %10.1f %7.0f%%", limit, ours->value / limit * 100);
		else
			printf(" %10s %8s", "-", "");
		for (int i = 1; i < b->n; i++) {
			struct engine *e = &b->engines[i];

			if (e->is_missing || e->value <= 0) {
				printf(" %12s %9s", "-", "");
				continue;
			}
			print_value(e->value, unit);
			printf(" %9.3f", ours->value / e->value);
		}
		printf("\n");
	}
	for (int i = 0; i < b->n; i++) {
		b->engines[i].value = b->engines[i].best = 0;
		b->engines[i].is_missing = false;
	}
	fflush(stdout);
}

void row_take(struct engine *e, struct samples *s, double unit_ns)
{
	e->value = (double)samples_at(s, 50) / unit_ns;
	e->best = (double)samples_at(s, 0) / unit_ns;
	e->is_missing = s->n == 0;
}

void row_note(const char *format, ...)
{
	va_list ap;

	printf("    ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

/* ---- what to measure ---- */

static int add_engine(struct bench *b, const char *name, const char *socket, pid_t pid)
{
	struct engine *e = &b->engines[b->n];

	if (b->n == ENGINES_MAX)
		return -1;
	snprintf(e->name, sizeof(e->name), "%s", name);
	snprintf(e->socket, sizeof(e->socket), "%s", socket);
	snprintf(e->host, sizeof(e->host), "unix://%s", socket);
	e->pid = pid;
	e->http.fd = -1;
	if (engine_connect(e) < 0 || engine_create(e, "\"Cmd\":[\"sleep\",\"36000\"]", e->running, sizeof(e->running)) < 0 ||
	    engine_start(e, e->running) < 0) {
		fprintf(stderr, "bench: %s does not serve\n", e->name);
		return b->n == 0 ? -1 : 0;
	}
	b->n++;
	return 0;
}

static int parse(struct bench *b, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "qd:b:t:D:")) != -1) {
		if (c == 'q')
			b->is_quick = true;
		else if (c == 'd')
			b->docker = optarg;
		else if (c == 'b')
			b->busybox = optarg;
		else if (c == 't')
			b->dir = optarg;
		else if (c == 'D')
			b->daemon = optarg;
		else
			return -1;
	}
	return b->docker && b->busybox && b->dir && b->daemon ? 0 : -1;
}

/* Ours first; then the others, which may fail. */
static int connect_engines(struct bench *b, int argc, char **argv, pid_t *ret_pid)
{
	char dir[160], socket[128];

	snprintf(dir, sizeof(dir), "%s/main", b->dir);
	snprintf(socket, sizeof(socket), "%.100s/docker.sock", dir);
	*ret_pid = daemon_start(b, dir, NULL);
	if (add_engine(b, "ours", socket, *ret_pid) < 0)
		return -1;
	for (; optind + 2 < argc; optind += 3)
		add_engine(b, argv[optind], argv[optind + 1], atoi(argv[optind + 2]));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct bench *b);
	} sections[] = {
		{ "ping", bench_ping },     { "calls", bench_calls },   { "cli", bench_cli },
		{ "loops", bench_loops },   { "bytes", bench_bytes },   { "many", bench_many },
		{ "store", bench_store },   { "checks", bench_checks }, { "net", bench_net },
		{ "ports", bench_ports },   { "pull", bench_pull },     { "unpack", bench_unpack },
		{ "builds", bench_builds },
	};
	static struct bench b;
	const char *only = getenv("ONLY");
	pid_t stub, daemon = 0;
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (parse(&b, argc, argv) < 0) {
		fprintf(stderr, "usage: bench [-q] -d DOCKER -b BUSYBOX -t DIR -D DAEMON-COMMAND [NAME SOCKET PID]…\n");
		return 2;
	}
	snprintf(b.echo_socket, sizeof(b.echo_socket), "%s/echo.sock", b.dir);
	snprintf(b.stub_socket, sizeof(b.stub_socket), "%s/stub.sock", b.dir);
	b.echo_pid = stub_echo_start(b.echo_socket);
	stub = stub_engine_start(b.stub_socket);
	if (!only || strstr(only, "daemon")) /* alone: a second daemon would share its pages */
		bench_daemon(&b);
	r = connect_engines(&b, argc, argv, &daemon);
	if (r == 0)
		print_head(&b);
	for (size_t i = 0; r == 0 && i < sizeof(sections) / sizeof(sections[0]); i++)
		if (!only || strstr(only, sections[i].name))
			sections[i].run(&b);
	stub_stop(b.echo_pid);
	stub_stop(stub);
	for (int i = 0; i < b.n; i++)
		engine_remove(&b.engines[i], b.engines[i].running);
	daemon_stop(daemon);
	return r < 0;
}
