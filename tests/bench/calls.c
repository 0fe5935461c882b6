/* Short things: start and idle memory of the daemon, _ping, the calls of a
 * container's life, and the CLI beside a server that does nothing. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

/* ---- the daemon itself ---- */

pid_t daemon_start(struct bench *b, const char *dir, uint64_t *ret_ns)
{
	char socket[200], host[220], data[220], *argv[16], *words = strdup(b->daemon);
	uint64_t before = now_ns();
	size_t n = 0;
	pid_t pid;

	snprintf(socket, sizeof(socket), "%s/docker.sock", dir);
	snprintf(host, sizeof(host), "unix://%s", socket);
	snprintf(data, sizeof(data), "%s/data", dir);
	for (char *w = strtok(words, " \t"); w && n < 8; w = strtok(NULL, " \t"))
		argv[n++] = w;
	argv[n++] = (char *)"-H";
	argv[n++] = host;
	argv[n++] = (char *)"--data-root";
	argv[n++] = data;
	argv[n] = NULL;
	pid = fork();
	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	while (http_once(socket, "GET", "/_ping", NULL, NULL) != 200) {
		if (now_ns() - before > 5000000000u || waitpid(pid, NULL, WNOHANG) == pid) {
			fprintf(stderr, "bench: the daemon does not start: %s\n", b->daemon);
			exit(1);
		}
		usleep(100);
	}
	if (ret_ns)
		*ret_ns = now_ns() - before;
	free(words);
	return pid;
}

void daemon_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

void bench_daemon(struct bench *b)
{
	struct samples s = { 0 };
	char dir[200];
	long pss = 0;

	snprintf(dir, sizeof(dir), "%s/own", b->dir);
	for (int i = 0; i < (b->is_quick ? 7 : 21); i++) {
		uint64_t ns;
		pid_t pid = daemon_start(b, dir, &ns);

		if (i == 0) { /* this one has made the data root */
			usleep(300000);
			pss = tree_pss_kib(pid, NULL);
		} else {
			samples_add(&s, ns);
		}
		daemon_stop(pid);
	}
	row_take(&b->engines[0], &s, 1e6);
	row_print(b, "daemon start to first _ping", "ms", 10);
	samples_done(&s);
	b->engines[0].value = b->engines[0].best = (double)pss / 1024;
	row_print(b, "idle memory (PSS, all processes)", "MB", 10);
}

/* ---- _ping ---- */

enum { MANY = 64 };

struct load {
	struct http *c;
	int n;
};

static int load_open(struct load *l, const char *socket, int n)
{
	l->n = n;
	l->c = calloc((size_t)n, sizeof(*l->c));
	for (int i = 0; i < n; i++)
		if (http_open(&l->c[i], socket) < 0)
			return -1;
	return 0;
}

static void load_close(struct load *l)
{
	for (int i = 0; i < l->n; i++)
		http_close(&l->c[i]);
	free(l->c);
}

/* Every connection always has one request on its way. The time of all. */
static uint64_t load_run(struct load *l, unsigned long requests, struct samples *s)
{
	struct pollfd fds[MANY];
	struct http_reply r;
	uint64_t begin = now_ns(), sent[MANY];
	unsigned long left = requests;

	for (int i = 0; i < l->n; i++) {
		fds[i] = (struct pollfd){ l->c[i].fd, POLLIN, 0 };
		sent[i] = now_ns();
		http_send(&l->c[i], "GET", "/_ping", NULL);
	}
	while (left > 0) {
		poll(fds, (nfds_t)l->n, -1);
		for (int i = 0; i < l->n && left > 0; i++) {
			if (!fds[i].revents)
				continue;
			if (http_read(&l->c[i], &r) < 0)
				return 0;
			if (s)
				samples_add(s, now_ns() - sent[i]);
			left--;
			sent[i] = now_ns();
			http_send(&l->c[i], "GET", "/_ping", NULL);
		}
	}
	for (int i = 0; i < l->n; i++)
		http_read(&l->c[i], &r);
	return now_ns() - begin;
}

/* Processor time per request against the echo, in turns. */
static void ping_with(struct bench *b, int connections, double limit)
{
	unsigned long requests = b->is_quick ? 5000 : 20000;
	struct samples cpu[ENGINES_MAX + 1] = { 0 }, rate = { 0 }, wait = { 0 };
	char what[80];
	double echo;

	for (int turn = 0; turn < 5; turn++) {
		for (int i = 0; i <= b->n; i++) {
			const char *socket = i == b->n ? b->echo_socket : b->engines[i].socket;
			unsigned long n = i && i < b->n ? requests / 4 : requests;
			struct load l;
			uint64_t before, took = 0;
			pid_t pid = i == b->n ? b->echo_pid : b->engines[i].pid;

			if (load_open(&l, socket, connections) == 0) {
				before = cpu_ns(pid);
				took = load_run(&l, n, i == 0 ? &wait : NULL);
				usleep(2000); /* asleep, its account is up to date */
				samples_add(&cpu[i], (cpu_ns(pid) - before) / n);
			}
			if (i == 0 && took)
				samples_add(&rate, took / n);
			load_close(&l);
		}
	}
	echo = (double)samples_at(&cpu[b->n], 50) / 1e3;
	for (int i = 0; i < b->n; i++)
		row_take(&b->engines[i], &cpu[i], 1e3);
	snprintf(what, sizeof(what), "_ping, %d connection%s: CPU per request", connections, connections > 1 ? "s" : "");
	row_print(b, what, "us", echo * limit);
	row_note("the bare echo needs %.2f us; %.0f requests/s, p50 %.3f ms, p99 %.3f ms", echo,
		 1e9 / (double)samples_at(&rate, 50), (double)samples_at(&wait, 50) / 1e6,
		 (double)samples_at(&wait, 99) / 1e6);
	for (int i = 0; i <= b->n; i++)
		samples_done(&cpu[i]);
	samples_done(&rate);
	samples_done(&wait);
}

void bench_ping(struct bench *b)
{
	ping_with(b, 1, 2);
	ping_with(b, MANY, 3);
}

/* ---- a container's life through the API ---- */

void bench_calls(struct bench *b)
{
	static const char *const names[] = { "create", "start", "wait", "remove" };
	struct samples whole[ENGINES_MAX] = { 0 }, part[4] = { 0 }, exec[ENGINES_MAX] = { 0 };
	int runs = b->is_quick ? 40 : 200;
	char id[80];

	for (int k = 0; k < runs; k++) {
		for (int i = 0; i < b->n; i++) {
			struct engine *e = &b->engines[i];
			uint64_t t[5];

			if (i && k % 10)
				continue;
			t[0] = now_ns();
			if (engine_create(e, "\"Cmd\":[\"true\"]", id, sizeof(id)) < 0)
				continue;
			t[1] = now_ns();
			engine_start(e, id);
			t[2] = now_ns();
			engine_wait(e, id);
			t[3] = now_ns();
			engine_remove(e, id);
			t[4] = now_ns();
			samples_add(&whole[i], t[4] - t[0]);
			for (int p = 0; i == 0 && p < 4; p++)
				samples_add(&part[p], t[p + 1] - t[p]);
			t[0] = now_ns();
			if (engine_exec(e, e->running, "[\"true\"]") >= 0)
				samples_add(&exec[i], now_ns() - t[0]);
		}
	}
	for (int i = 0; i < b->n; i++)
		row_take(&b->engines[i], &whole[i], 1e6);
	row_print(b, "API: create + start + wait + remove", "ms", 5);
	row_note("p99 %.3f ms; %s %.3f, %s %.3f, %s %.3f, %s %.3f ms", (double)samples_at(&whole[0], 99) / 1e6,
		 names[0], (double)samples_at(&part[0], 50) / 1e6, names[1], (double)samples_at(&part[1], 50) / 1e6,
		 names[2], (double)samples_at(&part[2], 50) / 1e6, names[3], (double)samples_at(&part[3], 50) / 1e6);
	for (int i = 0; i < b->n; i++)
		row_take(&b->engines[i], &exec[i], 1e6);
	row_print(b, "API: exec of true, to the end of its output", "ms", 0);
	for (int i = 0; i < b->n; i++) {
		samples_done(&whole[i]);
		samples_done(&exec[i]);
	}
	for (int p = 0; p < 4; p++)
		samples_done(&part[p]);
}

/* ---- the CLI ---- */

static void cli_with(struct bench *b, const char *what, char *const *words, int place, double extra_ms)
{
	struct samples s[ENGINES_MAX + 1] = { 0 };
	char host[180];
	double own;

	snprintf(host, sizeof(host), "unix://%s", b->stub_socket);
	for (int k = 0; k < (b->is_quick ? 11 : 41); k++) {
		for (int i = 0; i <= b->n; i++) {
			char *argv[12] = { 0 };
			uint64_t ns;

			if (i && i < b->n && k % 4)
				continue;
			for (int w = 0; words[w]; w++)
				argv[w] = words[w];
			argv[0] = (char *)b->docker;
			if (place)
				argv[place] = i < b->n ? b->engines[i].running : "bench";
			ns = run_program(i < b->n ? b->engines[i].host : host, argv);
			if (ns && k)
				samples_add(&s[i], ns);
		}
	}
	own = (double)samples_at(&s[b->n], 50) / 1e6;
	for (int i = 0; i < b->n; i++)
		row_take(&b->engines[i], &s[i], 1e6);
	row_print(b, what, "ms", own + extra_ms);
	row_note("the CLI alone, against a server that answers the same calls at once: %.1f ms (best %.1f)", own,
		 (double)samples_at(&s[b->n], 0) / 1e6);
	for (int i = 0; i <= b->n; i++)
		samples_done(&s[i]);
}

void bench_cli(struct bench *b)
{
	char *run[] = { "docker", "run", "--rm", "--network", "none", "busybox", "true", NULL };
	char *exec[] = { "docker", "exec", "", "true", NULL };

	cli_with(b, "docker run --rm busybox true", run, 0, 10);
	cli_with(b, "docker exec true", exec, 2, 5);
}

/* ---- the processor in the sandbox ---- */

static void loop_with(struct bench *b, const char *what, const char *script, const char *json)
{
	struct samples s[ENGINES_MAX] = { 0 }, native = { 0 };
	char *argv[] = { (char *)b->busybox, "sh", "-c", (char *)script, NULL };

	for (int k = 0; k < (b->is_quick ? 3 : 5); k++) {
		for (int i = 0; i < b->n; i++) {
			uint64_t before = now_ns();

			if (engine_exec(&b->engines[i], b->engines[i].running, json) >= 0)
				samples_add(&s[i], now_ns() - before);
		}
		samples_add(&native, run_program(NULL, argv));
	}
	for (int i = 0; i < b->n; i++)
		row_take(&b->engines[i], &s[i], 1e6);
	row_print(b, what, "ms", 2 * (double)samples_at(&native, 50) / 1e6);
	row_note("native: %.1f ms", (double)samples_at(&native, 50) / 1e6);
	for (int i = 0; i < b->n; i++)
		samples_done(&s[i]);
	samples_done(&native);
}

#define LOOP(script) script, "[\"sh\",\"-c\",\"" script "\"]"

void bench_loops(struct bench *b)
{
	loop_with(b, "shell: counting to 300,000", LOOP("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"));
	loop_with(b, "shell: functions, case, substitution",
		  LOOP("f() { case $1 in *7) r=${1%7}x;; *) r=$1;; esac; }; i=0; "
		       "while [ $i -lt 100000 ]; do f $i; i=$((i+1)); done"));
	loop_with(b, "awk: 1,000,000 sums", LOOP("awk 'BEGIN { for (i = 0; i < 1000000; i++) s += i % 7; print s }'"));
	loop_with(b, "awk: 200,000 strings in an array",
		  LOOP("awk 'BEGIN { for (i = 0; i < 200000; i++) a[i % 1000] = a[i % 1000] substr(i, 1, 1); print length(a[7]) }'"));
	loop_with(b, "shell: 300 times /bin/busybox true",
		  LOOP("i=0; while [ $i -lt 300 ]; do /bin/busybox true; i=$((i+1)); done"));
}
