/* The event bus: what happened, told in order, and only when it is durable.
 * A ring keeps the newest for since/until. Loop thread only. */
#ifndef SOCKERLESS_STORE_EVENTS_H
#define SOCKERLESS_STORE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "store/store.h"
#include "util/list.h"

struct event {
	char *type;         /* container, image, volume, network, daemon */
	char *action;       /* "start", "exec_create: sh -c …", … */
	char *actor_id;
	json_t *attributes; /* string → string */
	int64_t time_ns;
};

struct events;

/* Returns 0. Borrows the store for its life. */
int events_new(struct store *store, struct events **ret);
/* Subscriptions too. Every event has been told, as when the store was closed before. Takes NULL. */
void events_free(struct events *ev);

/* Queues an event; subscribers get it after everything changed so far has
 * been committed. `attributes` (taken) may be NULL. */
void events_publish(struct events *ev, const char *type, const char *action, const char *actor_id, json_t *take_attributes);

/* Live subscription; `cb` borrows the event. Unsubscribing inside cb is allowed. */
struct events_subscription;
struct events_subscription *events_subscribe(struct events *ev, void (*cb)(void *arg, const struct event *e), void *arg);
void events_unsubscribe(struct events_subscription *sub); /* takes NULL */

size_t events_count(const struct events *ev); /* live subscriptions */

/* Past events with time_ns in [since, until], oldest first. */
void events_replay(struct events *ev, int64_t since_ns, int64_t until_ns, void (*cb)(void *arg, const struct event *e),
		   void *arg);
#endif
