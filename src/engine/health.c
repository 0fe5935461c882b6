#include "engine/health.h"

#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define MS_NS 1000000LL
#define S_NS 1000000000LL

enum {
	OUTPUT_MAX = 4096,
	LOG_MAX = 5,
	RETRIES = 3,
	BEGIN_MS = 30000,    /* a probe that does not even begin */
	LAST_WORD_MS = 100,  /* under an agent a probe that was killed may be the first sign of the container's end */
};

enum step {
	STEP_IDLE,  /* no probes: ended, paused */
	STEP_WAIT,  /* for the next probe */
	STEP_BEGIN, /* its process is being made */
	STEP_RUN,
	STEP_ENDED, /* by a signal, in time: its result counts unless the container ends too */
	STEP_OVER,  /* the container ends: no probes, but that is not told yet */
};

struct health {
	struct crun *run;
	uv_timer_t timer;        /* to the next probe, or the running one's deadline */
	enum step step;
	struct exec *probe;      /* while it runs */
	int64_t probe_ns;        /* when it began; wall clock */
	int exit_code;
	struct buf output;
	bool is_cut;
};

/* ---- the configuration ---- */

static json_t *config_of(const struct container *c)
{
	return json_object_get(c->config, "Healthcheck");
}

/* Absent and zero are the default. */
static int64_t span_of(const struct container *c, const char *key, int64_t usual_ns)
{
	json_int_t ns = json_integer_value(json_object_get(config_of(c), key));

	return ns ? ns : usual_ns;
}

static const char *kind_of(const struct container *c)
{
	const char *kind = json_string_value(json_array_get(json_object_get(config_of(c), "Test"), 0));

	return kind ? kind : "";
}

static bool has_check(const struct container *c)
{
	return strcmp(kind_of(c), "CMD") == 0 || strcmp(kind_of(c), "CMD-SHELL") == 0;
}

/* The words of the command; the shell is the image's, or /bin/sh. */
static json_t *command_of(const struct container *c)
{
	json_t *test = json_object_get(config_of(c), "Test"), *shell = json_object_get(c->config, "Shell"), *words, *v;
	size_t i;

	if (strcmp(kind_of(c), "CMD") == 0)
		words = json_array();
	else
		words = json_array_size(shell) ? json_copy(shell) : json_pack("[s, s]", "/bin/sh", "-c");
	json_array_foreach(test, i, v)
		if (i > 0)
			json_array_append(words, v);
	return words;
}

/* ---- results ---- */

static void wait_for_next(struct health *h);

/* What a probe printed may be no text; jansson takes only UTF-8 (Go's encoder replaces too). */
static json_t *text_of(const char *data, size_t len)
{
	json_t *text = json_stringn(data, len);
	struct buf clean;

	if (text)
		return text;
	buf_init(&clean, 4 * len + 1);
	for (size_t i = 0, n; i < len; i += n) {
		for (n = len - i < 4 ? len - i : 4; n > 0; n--) { /* the longest piece that is one character */
			json_t *one = (unsigned char)data[i] >= 0x80 || n == 1 ? json_stringn(data + i, n) : NULL;

			json_decref(one);
			if (one)
				break;
		}
		if (n > 0)
			buf_append(&clean, data + i, n);
		else
			buf_puts(&clean, "\xef\xbf\xbd");
		n = n ? n : 1;
	}
	text = json_stringn(clean.data, clean.len);
	buf_done(&clean);
	return text;
}

static void add_to_log(struct container_health *state, int64_t start_ns, int exit_code, const struct buf *output)
{
	char start[CLOCK_RFC3339_MAX], end[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(start_ns, start);
	clock_format_rfc3339(clock_wall_ns(), end);
	if (!state->log)
		state->log = json_array();
	while (json_array_size(state->log) >= LOG_MAX)
		json_array_remove(state->log, 0);
	json_array_append_new(state->log, json_pack("{s:s, s:s, s:i, s:o}", "Start", start, "End", end, "ExitCode", exit_code,
						    "Output", text_of(output->data ? output->data : "", output->len)));
}

/* A failure counts once it has been well, or its time to start is over (moby: handleProbeResult). */
static void judge(const struct container *c, struct container_health *state, int64_t start_ns, int exit_code)
{
	json_int_t retries = json_integer_value(json_object_get(config_of(c), "Retries"));

	if (exit_code == 0) {
		state->failing_streak = 0;
		state->status = HEALTH_HEALTHY;
		return;
	}
	if (state->status == HEALTH_STARTING && start_ns - c->state.started_ns < span_of(c, "StartPeriod", 0))
		return;
	state->failing_streak++;
	if (state->failing_streak >= (retries > 0 ? retries : RETRIES))
		state->status = HEALTH_UNHEALTHY;
}

static void take_result(struct health *h, int exit_code)
{
	struct container *c = h->run->container;
	struct container_health *state = &c->state.health;
	enum health_status before = state->status;
	CLEANUP(freep) char *action = NULL;

	if (h->is_cut)
		buf_puts(&h->output, "...");
	add_to_log(state, h->probe_ns, exit_code, &h->output);
	judge(c, state, h->probe_ns, exit_code);
	buf_done(&h->output);
	if (state->status != before) {
		narrow_update(&h->run->engine->containers, c);
		action = xasprintf("health_status: %s", health_status_name(state->status));
		engine_container_event(h->run->engine, c, action, NULL);
	}
	wait_for_next(h);
}

/* The probe itself could not be made, or not be waited for. */
static void take_failure(struct health *h, const char *text)
{
	buf_reset(&h->output);
	h->is_cut = false;
	buf_puts(&h->output, text);
	take_result(h, -1);
}

static void take_timeout(struct health *h)
{
	int64_t timeout_ns = span_of(h->run->container, "Timeout", 30 * S_NS);
	char span[CLOCK_DURATION_MAX];
	CLEANUP(freep) char *text = NULL;

	clock_format_duration(timeout_ns, span);
	text = h->output.len ? xasprintf("Health check exceeded timeout (%s): %.*s%s", span, (int)h->output.len,
					 h->output.data, h->is_cut ? "..." : "") :
			       xasprintf("Health check exceeded timeout (%s)", span);
	take_failure(h, text);
}

/* ---- the probe: an exec that nobody asked for ---- */

static void on_timer(uv_timer_t *t);

static void start_timer(struct health *h, int64_t ns)
{
	uv_timer_start(&h->timer, on_timer, (uint64_t)(ns / MS_NS), 0);
}

static void on_probe_started(void *arg)
{
	struct health *h = arg;

	h->step = STEP_RUN;
	start_timer(h, span_of(h->run->container, "Timeout", 30 * S_NS));
}

static void on_probe_output(void *arg, const void *data, size_t len)
{
	struct health *h = arg;
	size_t room = OUTPUT_MAX - h->output.len;

	h->is_cut = h->is_cut || len > room;
	buf_append(&h->output, data, len < room ? len : room);
}

static void on_probe_ended(void *arg, int exit_code, bool is_with_main, const struct error *err)
{
	struct health *h = arg;

	h->probe = NULL;
	if (h->step == STEP_IDLE)
		return;
	uv_timer_stop(&h->timer);
	if (is_with_main) {
		health_stop(h->run);
	} else if (err) {
		take_failure(h, err->message);
	} else if (exit_code > 128) {
		h->step = STEP_ENDED;
		h->exit_code = exit_code;
		uv_timer_start(&h->timer, on_timer, LAST_WORD_MS, 0);
	} else {
		take_result(h, exit_code);
	}
}

static const struct exec_watch_ops probe_ops = { on_probe_started, on_probe_output, on_probe_ended };

static void begin_probe(struct health *h)
{
	struct container *c = h->run->container;
	json_t *words = command_of(c);

	h->probe_ns = clock_wall_ns();
	buf_init(&h->output, 4 * OUTPUT_MAX);
	h->is_cut = false;
	if (json_array_size(words) == 0) {
		CLEANUP(freep) char *text = xasprintf("healthcheck for container %s has no command", c->id);

		json_decref(words);
		take_failure(h, text);
		return;
	}
	h->step = STEP_BEGIN;
	uv_timer_start(&h->timer, on_timer, BEGIN_MS, 0);
	h->probe = exec_watched(h->run->engine, c, words, &probe_ops, h);
}

static void drop_probe(struct health *h)
{
	if (h->probe)
		exec_unwatch(h->probe);
	h->probe = NULL;
}

static void on_timer(uv_timer_t *t)
{
	struct health *h = t->data;
	CLEANUP(freep) char *text = NULL;

	switch (h->step) {
	case STEP_IDLE:
	case STEP_OVER: return;
	case STEP_WAIT: begin_probe(h); return;
	case STEP_BEGIN:
		drop_probe(h);
		text = xasprintf("timed out starting health check for container %s", h->run->container->id);
		take_failure(h, text);
		return;
	case STEP_RUN:
		drop_probe(h);
		take_timeout(h);
		return;
	case STEP_ENDED: take_result(h, h->exit_code); return;
	}
}

/* From the end of one to the begin of the next; oftener while it starts. */
static void wait_for_next(struct health *h)
{
	const struct container *c = h->run->container;
	bool is_early = clock_wall_ns() - c->state.started_ns < span_of(c, "StartPeriod", 0);

	h->step = STEP_WAIT;
	start_timer(h, is_early && c->state.health.status == HEALTH_STARTING ? span_of(c, "StartInterval", 5 * S_NS) :
									       span_of(c, "Interval", 30 * S_NS));
}

/* ---- the life of it ---- */

void health_begin(struct crun *run)
{
	struct container_health *state = &run->container->state.health;
	struct health *h = run->health;

	if (!has_check(run->container))
		return;
	if (!h) {
		h = run->health = xnew(struct health);
		h->run = run;
		uv_timer_init(run->engine->loop, &h->timer);
		h->timer.data = h;
	}
	state->status = HEALTH_STARTING;
	state->failing_streak = 0;
	narrow_update(&run->engine->containers, run->container);
	wait_for_next(h);
}

void health_halt(struct crun *run)
{
	struct health *h = run->health;

	if (!h || h->step == STEP_IDLE)
		return;
	h->step = STEP_IDLE;
	uv_timer_stop(&h->timer);
	drop_probe(h);
	buf_done(&h->output);
	run->container->state.health.status = HEALTH_UNHEALTHY;
	narrow_update(&run->engine->containers, run->container);
}

void health_stop(struct crun *run)
{
	struct health *h = run->health;

	if (!h || h->step == STEP_OVER)
		return;
	h->step = STEP_OVER;
	uv_timer_stop(&h->timer);
	drop_probe(h);
	buf_done(&h->output);
}

void health_go_on(struct crun *run)
{
	if (run->health && run->health->step != STEP_OVER)
		wait_for_next(run->health);
}

void health_abandon(struct crun *run)
{
	if (!run->health)
		return;
	run->health->step = STEP_IDLE;
	uv_timer_stop(&run->health->timer);
	drop_probe(run->health);
}

static void on_closed(uv_handle_t *t)
{
	free(t->data);
}

void health_free(struct crun *run)
{
	struct health *h = run->health;

	if (!h)
		return;
	run->health = NULL;
	drop_probe(h);
	buf_done(&h->output);
	uv_close((uv_handle_t *)&h->timer, on_closed);
}
