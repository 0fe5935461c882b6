/* The reverse mode: connects to the daemon, again and again with growing pauses, until the grace is over or the
 * daemon says that there is nothing here for us. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/dialer.h"
#include "agent/program/agent.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 5000, PAUSE_EXPECTED_MS = 500, NOT_YET = 503 };

static struct dial_target target;
static struct tls_context *tls; /* of wss:// */
static uv_timer_t timer; /* the next try */
static unsigned pause_ms = PAUSE_FIRST_MS;

static void on_dialled(void *arg, const struct dial_result *r);

static void on_timer(uv_timer_t *t)
{
	dialer_start(t->loop, &target, tls, agent.token, on_dialled, NULL);
}

static void retry(const char *why)
{
	if (target.is_fd) { /* nothing to come back to: the daemon has gone, and its launcher's work with it */
		say("%s", why);
		agent_finish(1);
	}
	say("%s; again in %u ms", why, pause_ms);
	uv_timer_start(&timer, on_timer, pause_ms, 0);
	pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
}

static void on_gone(void *arg, const char *reason)
{
	(void)arg;
	main_maybe_end();
	pause_ms = PAUSE_FIRST_MS;
	retry(reason);
}

static bool is_final(int status)
{
	return status == 400 || status == 401 || status == 404 || status == 410;
}

static void on_dialled(void *arg, const struct dial_result *r)
{
	struct error err = { 0 };

	(void)arg;
	if (is_final(r->status)) {
		say("the daemon wants nothing of this agent: %s", r->why);
		agent_finish(1);
	}
	if (r->status == NOT_YET && pause_ms > PAUSE_EXPECTED_MS) /* the container's start waits for us before long */
		pause_ms = PAUSE_EXPECTED_MS;
	if (r->status != 101) {
		retry(r->why);
		return;
	}
	if (!peer_new(r->fd, false, r->is_ours, r->early, r->early_len, on_gone, NULL, &err)) {
		close(r->fd);
		retry(err.message);
	}
}

int dial_open(const char *url, const char *authorities, struct error *err)
{
	int r = dial_parse(url, AGENT_PATH, &target, err);
	char *path;

	if (r == 0 && target.is_tls)
		r = tls_client_new(authorities, &tls, err);
	if (r < 0) {
		error_prefix(err, "--callback");
		return r;
	}
	/* Who we are: the daemon tells the agent that comes back from another one by it. */
	path = xasprintf("%s%cinstance=%s", target.path, strchr(target.path, '?') ? '&' : '?', agent.instance);
	free(target.path);
	target.path = path;
	uv_timer_init(agent.loop, &timer);
	uv_timer_start(&timer, on_timer, 0, 0);
	return 0;
}
