/* Stand-in for testcontainers/ryuk, the reaper that test suites start beside their containers: each connection
 * sends lines of filters ("label=k%3Dv&label=…"), each is answered "ACK\n"; some time after the last connection
 * has gone, whatever matches a line is removed: containers, networks, volumes, images. Protocol, environment and
 * the words that clients wait for: testcontainers/moby-ryuk 0.14 (reaper.go, config.go). */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/networks.h"
#include "engine/ryuk.h"
#include "engine/ryuk_filter.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { LINE_MAX_BYTES = 64 << 10, FILTERS_MAX = 10000, CLIENTS_MAX = 1000 };

struct client {
	struct list link;
	struct reaper *reaper;
	uv_poll_t poll;
	int fd;
	struct buf line;
};

void ryuk_unref(struct reaper *r)
{
	if (--r->refs > 0)
		return;
	json_decref(r->filters);
	json_decref(r->removed);
	buf_done(&r->early);
	container_unref(r->container);
	free(r);
}

/* ---- its log: lines as Go's slog writes them ---- */

void ryuk_say(struct reaper *r, const char *level, const char *fmt, ...)
{
	char now[CLOCK_RFC3339_MAX], text[512];
	CLEANUP(freep) char *line = NULL;
	va_list args;

	clock_format_rfc3339(clock_wall_ns(), now);
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	line = xasprintf("time=%s level=%s msg=%s\n", now, level, text);
	if (r->listener)
		r->listener->output(r->listener_arg, 1, line, strlen(line));
	else
		buf_puts(&r->early, line);
}

/* ---- the end ---- */

static void close_client(struct client *c);

static void stop_serving(struct reaper *r)
{
	net_service_free(r->service);
	r->service = NULL;
}

void ryuk_end(struct reaper *r, int code)
{
	void (*exited)(void *arg, int code) = r->exited;

	r->is_over = true;
	uv_timer_stop(&r->timer);
	stop_serving(r);
	r->exited = NULL;
	if (exited)
		exited(r->exited_arg, code);
}

/* ---- when to prune ---- */

static void on_timer(uv_timer_t *t);

void ryuk_again_in(struct reaper *r, uint64_t ms)
{
	if (!r->is_over)
		uv_timer_start(&r->timer, on_timer, ms, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct reaper *r = t->data;
	bool is_late = r->deadline_ms && uv_now(r->engine->loop) >= r->deadline_ms;

	if (!r->is_pruning) {
		ryuk_say(r, r->nclients ? "WARN" : "INFO", "\"prune check\" clients=%zu", r->nclients);
		if (ryuk_has_fresh(r) && !is_late) {
			ryuk_say(r, "WARN", "\"change detected, waiting again\"");
			ryuk_again_in(r, r->settings.retry_ms);
			return;
		}
		r->is_pruning = true;
		stop_serving(r);
	}
	ryuk_prune(r);
}

/* ---- clients ---- */

static void on_client_closed(uv_handle_t *h)
{
	struct client *c = h->data;

	close(c->fd);
	buf_done(&c->line);
	free(c);
}

static void close_client(struct client *c)
{
	list_remove(&c->link);
	c->reaper->nclients--;
	uv_close((uv_handle_t *)&c->poll, on_client_closed);
}

static void lose_client(struct client *c)
{
	struct reaper *r = c->reaper;

	close_client(c);
	ryuk_say(r, "INFO", "\"client disconnected\" clients=%zu", r->nclients);
	if (r->nclients == 0 && !r->is_pruning)
		ryuk_again_in(r, r->settings.reconnection_ms);
}

static void take_line(struct client *c, const char *line)
{
	struct reaper *r = c->reaper;
	struct error err = { 0 };

	if (!*line) {
		ryuk_say(r, "WARN", "\"empty filter received\"");
		return;
	}
	if (json_array_size(r->filters) >= FILTERS_MAX)
		ryuk_say(r, "ERROR", "\"add filter\" error=\"too many filters\"");
	else if (ryuk_filter_add(r->filters, line, &err) < 0)
		ryuk_say(r, "ERROR", "\"add filter\" error=\"%s\"", err.message);
	/* A client that does not read its four bytes has itself to blame. */
	(void)!send(c->fd, "ACK\n", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void take_lines(struct client *c)
{
	char *end;

	while (c->line.len && (end = memchr(c->line.data, '\n', c->line.len))) {
		size_t n = (size_t)(end - c->line.data);

		*end = '\0';
		if (n > 0 && c->line.data[n - 1] == '\r')
			c->line.data[n - 1] = '\0';
		take_line(c, c->line.data);
		buf_consume(&c->line, n + 1);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct client *c = poll->data;
	char data[4096];
	ssize_t n = status < 0 ? -1 : recv(c->fd, data, sizeof(data), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && status == 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || buf_append(&c->line, data, (size_t)n) < 0)
		lose_client(c);
	else
		take_lines(c);
}

static void on_connection(void *arg, int fd, const struct net_arrival *from)
{
	struct reaper *r = arg;
	struct client *c;

	(void)from;
	if (r->nclients >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	c = xnew(struct client);
	c->reaper = r;
	c->fd = fd;
	buf_init(&c->line, LINE_MAX_BYTES);
	uv_poll_init(r->engine->loop, &c->poll, fd);
	c->poll.data = c;
	list_append(&r->clients, &c->link);
	if (++r->nclients == 1)
		uv_timer_stop(&r->timer);
	ryuk_say(r, "INFO", "\"client connected\" clients=%zu", r->nclients);
	uv_poll_start(&c->poll, UV_READABLE, on_readable);
}

/* ---- the process ---- */

static int process_wait(void *process, void (*exited)(void *arg, int code), void *arg)
{
	struct reaper *r = process;

	r->exited = exited;
	r->exited_arg = arg;
	return 0;
}

/* TERM and INT: prune once nobody is connected, or after some time all the same; KILL: no more. */
static int process_signal(void *process, int signo)
{
	struct reaper *r = process;

	if (signo == SIGKILL) {
		ryuk_end(r, 128 + SIGKILL);
	} else if ((signo == SIGTERM || signo == SIGINT) && !r->deadline_ms) {
		ryuk_say(r, "INFO", "\"signal received\" clients=%zu", r->nclients);
		stop_serving(r);
		r->deadline_ms = uv_now(r->engine->loop) + r->settings.shutdown_ms;
		if (!r->is_pruning)
			ryuk_again_in(r, r->nclients ? r->settings.shutdown_ms : 0);
	}
	return 0;
}

static const void *process_log(void *process, size_t *ret_len)
{
	struct reaper *r = process;

	*ret_len = r->early.len;
	return r->early.data;
}

static int process_subscribe(void *process, const struct sockerless_process_listener *listener, void *arg)
{
	struct reaper *r = process;

	r->listener = listener;
	r->listener_arg = arg;
	return 0;
}

static int process_top(void *process, void (*row)(void *arg, const struct sockerless_process_row *r), void *arg)
{
	const struct reaper *r = process;

	row(arg, &(struct sockerless_process_row){ .pid = 1, .started_ns = r->container->state.started_ns, .command = "/bin/ryuk" });
	return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
	ryuk_unref(h->data);
}

static void process_close(void *process)
{
	struct reaper *r = process;

	r->is_over = true;
	r->exited = NULL;
	r->listener = NULL;
	stop_serving(r);
	list_for_each_safe(it, &r->clients)
		close_client(container_of(it, struct client, link));
	netns_unref(r->ns);
	r->ns = NULL;
	uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

static const struct sockerless_container_process_ops process_ops = {
	.size = sizeof(process_ops),
	.wait = process_wait,
	.signal = process_signal,
	.log_bytes = process_log,
	.subscribe = process_subscribe,
	.top = process_top,
	.close = process_close,
};

/* ---- start ---- */

static const char *variable(const struct sockerless_process_spec *spec, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; spec->env && spec->env[i]; i++)
		if (strncmp(spec->env[i], name, len) == 0 && spec->env[i][len] == '=')
			return spec->env[i] + len + 1;
	return NULL;
}

/* A duration of the environment into *ret (in ms), which has the default. */
static int take_duration(const struct sockerless_process_spec *spec, const char *name, int64_t *ret,
			 struct sockerless_error *err)
{
	const char *text = variable(spec, name);
	int64_t ns;

	if (!text || !*text)
		return 0;
	if (clock_parse_duration(text, &ns) < 0) {
		snprintf(err->message, sizeof(err->message), "load config: %s: invalid duration \"%.100s\"", name, text);
		return -EINVAL;
	}
	*ret = ns / 1000000;
	return 0;
}

static int take_number(const struct sockerless_process_spec *spec, const char *name, long most, long *ret,
		       struct sockerless_error *err)
{
	const char *text = variable(spec, name);
	char *rest;
	long n;

	if (!text || !*text)
		return 0;
	n = strtol(text, &rest, 10);
	if (*rest || n < 0 || n > most) {
		snprintf(err->message, sizeof(err->message), "load config: %s: invalid number \"%.100s\"", name, text);
		return -EINVAL;
	}
	*ret = n;
	return 0;
}

static int read_settings(const struct sockerless_process_spec *spec, struct settings *ret, struct sockerless_error *err)
{
	int64_t connection = 60000, reconnection = 10000, shutdown = 600000, retry = 1000, offset = -1000;
	long retries = 10, port = 8080;

	if (take_duration(spec, "RYUK_CONNECTION_TIMEOUT", &connection, err) < 0 ||
	    take_duration(spec, "RYUK_RECONNECTION_TIMEOUT", &reconnection, err) < 0 ||
	    take_duration(spec, "RYUK_SHUTDOWN_TIMEOUT", &shutdown, err) < 0 ||
	    take_duration(spec, "RYUK_CHANGES_RETRY_INTERVAL", &retry, err) < 0 ||
	    take_duration(spec, "RYUK_RETRY_OFFSET", &offset, err) < 0 ||
	    take_number(spec, "RYUK_REMOVE_RETRIES", 1000, &retries, err) < 0 ||
	    take_number(spec, "RYUK_PORT", UINT16_MAX, &port, err) < 0)
		return -EINVAL;
	*ret = (struct settings){
		.connection_ms = (uint64_t)(connection > 0 ? connection : 0),
		.reconnection_ms = (uint64_t)(reconnection > 0 ? reconnection : 0),
		.shutdown_ms = (uint64_t)(shutdown > 0 ? shutdown : 0),
		.retry_ms = (uint64_t)(retry > 10 ? retry : 10),
		.offset_ms = offset,
		.remove_retries = (int)retries,
		.port = (uint16_t)port,
	};
	return 0;
}

static void begin(struct reaper *r)
{
	r->filters = json_array();
	r->removed = json_object();
	r->refs = 1;
	list_init(&r->clients);
	buf_init(&r->early, LINE_MAX_BYTES);
	uv_timer_init(r->engine->loop, &r->timer);
	r->timer.data = r;
	ryuk_say(r, "INFO", "starting stand_in=sockerless port=%u", (unsigned)r->settings.port);
}

int ryuk_start(struct engine *e, struct container *c, const struct sockerless_process_spec *spec,
	       const struct sockerless_container_process_ops **ret_ops, void **ret_process, struct sockerless_error *err)
{
	struct reaper *r;
	struct settings settings;
	struct error told = { 0 };

	if (read_settings(spec, &settings, err) < 0)
		return -EINVAL;
	r = xnew(struct reaper);
	r->engine = e;
	r->container = container_ref(c);
	r->settings = settings;
	r->ns = networks_netns(e, c);
	begin(r);
	if (!r->ns || netns_serve(r->ns, settings.port, on_connection, r, &r->service, &told) < 0) {
		snprintf(err->message, sizeof(err->message), "listen: %.900s",
			 r->ns ? told.message : "the container has no network");
		process_close(r);
		return -EADDRINUSE;
	}
	ryuk_say(r, "INFO", "Started address=[::]:%u", (unsigned)settings.port);
	ryuk_again_in(r, settings.connection_ms);
	*ret_ops = &process_ops;
	*ret_process = r;
	return 0;
}
