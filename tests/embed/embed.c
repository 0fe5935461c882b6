/* An example of a program that embeds libsockerless, and its test (run.sh): it
 * knows the public headers only. Some operations are its own, containers named
 * fake… are executed by its process factory and own… by its driver instead of the
 * sandbox. SIGUSR1: another factory takes its place. SIGUSR2: it drains.
 *
 *   embed run|attach SOCKET DATA_ROOT SANDBOX_PROGRAM GUEST_ROOT
 *   embed lives - DIRECTORY SANDBOX_PROGRAM GUEST_ROOT
 *   embed cycles N DIRECTORY SANDBOX_PROGRAM GUEST_ROOT
 *
 * run: on the server's own loop; attach: on a libuv loop of the program's. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include <sockerless/sockerless.h>

#include "fake.h"
#include "lives.h"
#include "own.h"

static struct sockerless_server *server;

/* ---- operations of our own ---- */

static void ping(struct sockerless_request *req, void *arg)
{
	sockerless_reply_header(req, "X-Embedded", arg);
	sockerless_request_continue(req);
}

static void rename_container(struct sockerless_request *req, void *arg)
{
	char text[256];

	(void)arg;
	snprintf(text, sizeof(text), "%s must keep its name, not become %s", sockerless_request_param(req, "name"),
		 sockerless_request_query(req, "name", 0));
	sockerless_reply_error(req, 403, text);
}

static void events(struct sockerless_request *req, void *arg)
{
	struct sockerless_stream *s = sockerless_reply_stream(req, 200, "application/json", NULL, NULL);

	(void)arg;
	for (int i = 0; i < 3; i++) {
		char line[128];
		int n = snprintf(line, sizeof(line),
				 "{\"Type\":\"container\",\"Action\":\"embedded-%d\",\"Actor\":{\"ID\":\"x\"},\"timeNano\":1}\n",
				 i);

		sockerless_stream_write(s, line, (size_t)n);
	}
	sockerless_stream_end(s);
}

/* What the store has, for docker search: "kind" lists, "kind:name" inspects. */
static void search(struct sockerless_request *req, void *arg)
{
	static const char *const kinds[] = { "container", "image", "network", "volume" };
	const char *term = sockerless_request_query(req, "term", 0), *colon = strchr(term, ':');
	size_t n = colon ? (size_t)(colon - term) : strlen(term);
	struct sockerless_error err = { .size = sizeof(err) };

	(void)arg;
	for (int i = 0; i < 4; i++) {
		char *json;

		if (strlen(kinds[i]) != n || strncmp(kinds[i], term, n) != 0)
			continue;
		json = colon ? sockerless_inspect_json(server, (enum sockerless_kind)i, colon + 1, &err) :
			       sockerless_list_json(server, (enum sockerless_kind)i);
		if (json)
			sockerless_reply(req, 200, "application/json", json, strlen(json));
		else
			sockerless_reply_error(req, err.status, err.message);
		free(json);
		return;
	}
	sockerless_reply_error(req, 400, "no such kind");
}

/* The same without JSON: a line for each container. */
static void disk_usage(struct sockerless_request *req, void *arg)
{
	const struct sockerless_container *c = NULL;
	char text[4096] = "";
	size_t n = 0;

	(void)arg;
	while ((c = sockerless_container_next(server, c)) && n < sizeof(text)) {
		const char *label = sockerless_container_label(c, "colour"), *env = sockerless_container_environment(c, 0);
		const char *driver = sockerless_container_driver(c), *word = sockerless_container_argument(c, 1);

		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%zu %s %s %s %s %s/%s %s %s %d %d %d\n",
			strlen(sockerless_container_id(c)), sockerless_container_name(c), sockerless_container_image(c),
			sockerless_container_status(c), driver ? driver : "-", sockerless_container_argument(c, 0),
			word ? word : "-", env ? env : "-", label ? label : "-", sockerless_container_has_tty(c),
			sockerless_container_exit_code(c), sockerless_container_find(server, "nobody", NULL) != NULL);
	}
	sockerless_reply(req, 200, "text/plain", text, strlen(text));
}

/* ---- the program ---- */

static void on_log(void *arg, enum sockerless_log_level level, const char *text)
{
	fprintf(stderr, "%s %d %s\n", (const char *)arg, (int)level, text);
}

static void on_term(int signo)
{
	(void)signo;
	sockerless_server_stop(server); /* NOLINT(bugprone-signal-handler,cert-*): its header allows it */
}

/* On the loop thread, as a post from elsewhere would be. */
static void change_factory(void *arg)
{
	struct sockerless_error err = { 0 };

	(void)arg;
	if (sockerless_server_set_process_factory(server, fake_factory(server, ""), "late", &err) != 0)
		puts(err.message);
	puts("factory changed");
}

static void *wait_for_signals(void *arg)
{
	sigset_t *set = arg;
	int signo;

	while (sigwait(set, &signo) == 0) {
		if (signo == SIGUSR1)
			sockerless_server_post(server, change_factory, NULL);
		else if (signo == SIGUSR2)
			sockerless_server_drain(server, 5000);
		else
			break;
	}
	return NULL;
}

static void on_stopped(void *arg)
{
	uv_close(arg, NULL);
	puts("stopped");
}

static void on_tick(uv_timer_t *t)
{
	++*(int *)t->data;
}

/* Our loop has a life of its own beside the server. */
static int serve_attached(struct sockerless_error *err)
{
	uv_loop_t loop;
	uv_timer_t tick;
	int ticks = 0;

	uv_loop_init(&loop);
	uv_timer_init(&loop, &tick);
	tick.data = &ticks;
	uv_timer_start(&tick, on_tick, 20, 20);
	if (sockerless_server_attach(server, &loop, on_stopped, &tick, err) < 0)
		return -1;
	uv_run(&loop, UV_RUN_DEFAULT);
	printf("%d ticks\n", ticks);
	return uv_loop_close(&loop);
}

static int set_up(char **argv, struct sockerless_error *err)
{
	struct sockerless_options *o = sockerless_options_new();
	char url[4096];
	int r;

	snprintf(url, sizeof(url), "unix://%s", argv[2]);
	r = sockerless_options_set(o, "host", url, err) || sockerless_options_set(o, "data-root", argv[3], err) ||
	    sockerless_options_set(o, "sandbox", argv[4], err) || sockerless_options_set(o, "guest", argv[5], err) ||
	    sockerless_server_new(o, &server, err);
	sockerless_options_free(o);
	return r ? r :
		   sockerless_server_describe(server,
					      &(struct sockerless_descriptor){ .size = sizeof(struct sockerless_descriptor),
									       .name = "somewhere",
									       .driver = "clouds",
									       .operating_system = "Cloud OS",
									       .architecture = "aarch64",
									       .cpus = 77,
									       .memory_bytes = 1ULL << 40 },
					      err) ||
			       sockerless_server_override(server, "ImageSearch", search, NULL, err) ||
			       sockerless_server_override(server, "SystemDataUsage", disk_usage, NULL, err) ||
			       sockerless_server_add_driver(server, own_driver(), NULL, err) ||
			       sockerless_server_override(server, "SystemPing", ping, "yes", err) ||
			       sockerless_server_override(server, "SystemPingHead", ping, "yes", err) ||
			       sockerless_server_override(server, "ContainerRename", rename_container, NULL, err) ||
			       sockerless_server_override(server, "SystemEvents", events, NULL, err) ||
			       sockerless_server_set_process_factory(server, fake_factory(server, argv[3]), "fake", err);
}

/* What must be refused, in words. */
static int check_refusals(void)
{
	struct sockerless_options *o = sockerless_options_new();
	struct sockerless_process_factory_ops nameless = *fake_factory(server, ""), wasm = nameless;
	struct sockerless_driver_ops empty = { .size = sizeof(empty), .name = "empty" };
	/* Of a program built when an error had no message. */
	struct sockerless_error small = { .size = offsetof(struct sockerless_error, message), .message = "kept" };
	struct sockerless_error err = { 0 };
	int bad = 0;

	nameless.name = "No Name";
	wasm.name = "wasm";

	bad += sockerless_options_set(o, "no-such-option", "x", &err) == 0 || !strstr(err.message, "no-such-option");
	bad += sockerless_options_set(o, "host", "tcp://0.0.0.0:1", &err) == 0 || err.status != 400;
	bad += sockerless_options_set(o, "log-level", "debug", &err) == 0 || !strstr(err.message, "sockerless_log_to");
	bad += sockerless_server_override(server, "NoSuchOperation", ping, NULL, &err) == 0 || err.status != 404;
	bad += sockerless_server_set_process_factory(server, &nameless, NULL, &err) == 0 || err.status != 400;
	bad += sockerless_server_set_process_factory(server, &wasm, NULL, &err) == 0 || !strstr(err.message, "runtime");
	bad += sockerless_server_add_driver(server, &empty, NULL, &err) == 0 || !strstr(err.message, "lifecycle");
	bad += sockerless_inspect_json(server, SOCKERLESS_IMAGE, "x", &err) != NULL || err.code != -ESHUTDOWN;
	bad += sockerless_container_find(server, "x", &small) != NULL || small.code != -ESHUTDOWN || small.message[0] != 'k';
	bad += !sockerless_operation(0) || sockerless_operation(100000) != NULL;
	bad += strcmp(sockerless_version(), SOCKERLESS_VERSION) != 0;
	signal(SIGPIPE, SIG_DFL);
	bad += sockerless_server_listen(server, "unix:///nowhere", &err) == 0; /* not before the start */
	sockerless_options_free(o);
	return bad;
}

int main(int argc, char **argv)
{
	struct sockerless_error err = { 0 };
	sigset_t signals;
	pthread_t watcher;
	int r;

	if (argc != 6)
		return 2;
	if (strcmp(argv[1], "lives") == 0)
		return lives_check(argv[3], argv[4], argv[5]) != 0;
	if (strcmp(argv[1], "cycles") == 0)
		return cycles_check(atoi(argv[2]), argv[3], argv[4], argv[5]) != 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sockerless_log_to(SOCKERLESS_LOG_INFO, on_log, "embed:");
	if (set_up(argv, &err) != 0 || check_refusals() != 0) {
		fprintf(stderr, "embed: %s\n", err.message);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (sockerless_server_start(server, &err) != 0) {
		fprintf(stderr, "embed: %s\n", err.message);
		sockerless_server_free(server);
		return 1;
	}
	pthread_create(&watcher, NULL, wait_for_signals, &signals);
	puts("ready");
	if (strcmp(argv[1], "attach") == 0) {
		r = serve_attached(&err);
	} else {
		sockerless_server_run(server);
		r = 0;
	}
	pthread_kill(watcher, SIGHUP);
	pthread_join(watcher, NULL);
	sockerless_server_free(server);
	printf("%d processes left\n", fake_count() + own_count());
	return r != 0 || fake_count() + own_count() != 0;
}
