/* An example of a program that embeds libsockerless, and its test (run.sh): it
 * knows the public headers only. Two operations are its own, one more gets a
 * header, and containers named fake… are executed by it instead of the sandbox.
 *
 *   embed run|attach SOCKET DATA_ROOT SANDBOX_PROGRAM GUEST_ROOT
 *   embed lives - DIRECTORY SANDBOX_PROGRAM GUEST_ROOT
 *
 * run: on the server's own loop; attach: on a libuv loop of the program's. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include <sockerless/sockerless.h>

#include "fake.h"
#include "lives.h"

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
		   sockerless_server_override(server, "SystemPing", ping, "yes", err) ||
			       sockerless_server_override(server, "SystemPingHead", ping, "yes", err) ||
			       sockerless_server_override(server, "ContainerRename", rename_container, NULL, err) ||
			       sockerless_server_override(server, "SystemEvents", events, NULL, err) ||
			       sockerless_server_set_process_factory(server, fake_factory(server, argv[3]), NULL, err);
}

/* What must be refused, in words. */
static int check_refusals(void)
{
	struct sockerless_options *o = sockerless_options_new();
	struct sockerless_error err = { 0 };
	int bad = 0;

	bad += sockerless_options_set(o, "no-such-option", "x", &err) == 0 || !strstr(err.message, "no-such-option");
	bad += sockerless_options_set(o, "host", "tcp://0.0.0.0:1", &err) == 0 || err.status != 400;
	bad += sockerless_options_set(o, "log-level", "debug", &err) == 0 || !strstr(err.message, "sockerless_log_to");
	bad += sockerless_server_override(server, "NoSuchOperation", ping, NULL, &err) == 0 || err.status != 404;
	bad += sockerless_server_set_process_factory(server, fake_factory(server, ""), NULL, &err) == 0;
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
	int r;

	if (argc != 6)
		return 2;
	if (strcmp(argv[1], "lives") == 0)
		return lives_check(argv[3], argv[4], argv[5]) != 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sockerless_log_to(SOCKERLESS_LOG_INFO, on_log, "embed:");
	if (set_up(argv, &err) != 0 || check_refusals() != 0) {
		fprintf(stderr, "embed: %s\n", err.message);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	if (sockerless_server_start(server, &err) != 0) {
		fprintf(stderr, "embed: %s\n", err.message);
		sockerless_server_free(server);
		return 1;
	}
	puts("ready");
	if (strcmp(argv[1], "attach") == 0) {
		r = serve_attached(&err);
	} else {
		sockerless_server_run(server);
		r = 0;
	}
	sockerless_server_free(server);
	printf("%d processes left\n", fake_count());
	return r != 0 || fake_count() != 0;
}
