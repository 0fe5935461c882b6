/* The reaper's stand-in, shared by ryuk.c (the process and its clients) and ryuk_prune.c (what it removes). */
#ifndef SOCKERLESS_ENGINE_RYUK_H
#define SOCKERLESS_ENGINE_RYUK_H

#include "engine/internal.h"
#include "engine/standins.h"
#include "network/switch.h"

struct settings {
	uint64_t connection_ms, reconnection_ms, shutdown_ms, retry_ms;
	int64_t offset_ms;
	int remove_retries;
	uint16_t port;
};

struct reaper {
	struct engine *engine;
	struct container *container; /* reference */
	struct settings settings;
	struct netns *ns;            /* reference */
	struct net_service *service;
	struct buf early;            /* what is logged before anybody listens */
	const struct sockerless_process_listener *listener;
	void *listener_arg;
	void (*exited)(void *arg, int code);
	void *exited_arg;
	json_t *filters;             /* array of filters (ryuk_filter.h) */
	struct list clients;
	size_t nclients;
	uv_timer_t timer;            /* of the next prune check */
	uint64_t deadline_ms;        /* of a shutdown that was asked for; loop time; 0: none */
	bool is_pruning, is_over;    /* over: it has ended, and begins nothing more */
	unsigned pending, tries;     /* removals under way */
	json_t *removed;             /* kind → how many */
	unsigned refs;               /* the handle, the timer, removals under way */
};

/* A line of its log, as Go's slog writes them. */
void ryuk_say(struct reaper *r, const char *level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The next look at what is to be removed. */
void ryuk_again_in(struct reaper *r, uint64_t ms);
/* The process ends. */
void ryuk_end(struct reaper *r, int code);
void ryuk_unref(struct reaper *r);

/* ---- ryuk_prune.c ---- */
/* Is something of what is meant so new that its client may still be coming? */
bool ryuk_has_fresh(const struct reaper *r);
/* Removes what is meant, in steps: it comes back by the removals' ends and the timer, and ends the process. */
void ryuk_prune(struct reaper *r);

#endif
