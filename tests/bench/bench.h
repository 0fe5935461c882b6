/* The bench's parts share this: the engines it measures and the table it prints. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/figures.h"
#include "bench/http.h"

enum { ENGINES_MAX = 3 };

/* One engine under measurement; [0] is ours. */
struct engine {
	char name[32], socket[128], host[140];
	pid_t pid;
	struct http http;          /* a keep-alive connection */
	char running[80];          /* id of a container that sleeps */
	double value, best;        /* of the row that is being measured */
	bool is_missing;           /* it cannot do this one */
};

struct bench {
	struct engine engines[ENGINES_MAX];
	int n;
	bool is_quick;
	const char *docker, *busybox, *dir, *daemon;
	pid_t echo_pid;
	char echo_socket[160], stub_socket[160];
};

/* Prints a row: the engines' values, and the limit if there is one (0: none). */
void row_print(struct bench *b, const char *what, const char *unit, double limit);
/* Takes samples as an engine's value, in units of `unit_ns`. */
void row_take(struct engine *e, struct samples *s, double unit_ns);
/* A line of explanation below a row. */
void row_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* engine.c: the usual operations; 0 or -1 with a line on stderr. `config` is the inside of the JSON object. */
int engine_connect(struct engine *e);
int engine_create(struct engine *e, const char *config, char *ret_id, size_t size);
int engine_start(struct engine *e, const char *id);
int engine_wait(struct engine *e, const char *id);
int engine_remove(struct engine *e, const char *id);
/* Runs `cmd` (a JSON array) in a container; its output's bytes, or -1. */
int64_t engine_exec(struct engine *e, const char *id, const char *cmd);
/* Starts a program and waits for it; its standard streams are /dev/null. The wall time, or 0 when it failed. */
uint64_t run_program(const char *host, char *const argv[]);

/* calls.c: starts our daemon below `dir`, returns when it answers _ping; the time from its start to that. */
pid_t daemon_start(struct bench *b, const char *dir, uint64_t *ret_ns);
void daemon_stop(pid_t pid);

/* The sections of the table. */
void bench_ping(struct bench *b);
void bench_daemon(struct bench *b);
void bench_calls(struct bench *b);
void bench_cli(struct bench *b);
void bench_loops(struct bench *b);
void bench_bytes(struct bench *b);
void bench_many(struct bench *b);
void bench_store(struct bench *b);
void bench_net(struct bench *b);
void bench_checks(struct bench *b);
void bench_ports(struct bench *b);
void bench_pull(struct bench *b); /* where run.sh has a registry */
void bench_unpack(struct bench *b);
void bench_builds(struct bench *b);

/* net.c: so many bytes through TCP over the loopback, natively. The time, or 0. */
uint64_t tcp_native(uint64_t bytes);

#endif
