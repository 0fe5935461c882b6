/* The event bus. A published event waits for the store's ticket, then goes
 * into the ring and to every subscriber. */
#include "store/events.h"

#include <stdlib.h>

#include "util/alloc.h"
#include "util/clock.h"

/* Docker keeps 256; a test suite that asks `--since` sees more here. */
#define RING_MAX 4096

struct queued {
	struct events *bus;
	struct event event;
};

struct events_subscription {
	struct list link;
	struct events *bus;
	void (*cb)(void *arg, const struct event *e);
	void *arg;
	bool is_ended;     /* unlinked and freed when no delivery runs */
};

struct events {
	struct store *store;
	struct event ring[RING_MAX];
	size_t head, count;
	struct list subscriptions;
	unsigned depth;            /* deliveries running */
	int64_t last_ns;
};

static void event_done(struct event *e)
{
	free(e->type);
	free(e->action);
	free(e->actor_id);
	json_decref(e->attributes);
}

int events_new(struct store *store, struct events **ret)
{
	struct events *ev = xnew(struct events);

	ev->store = store;
	list_init(&ev->subscriptions);
	*ret = ev;
	return 0;
}

void events_free(struct events *ev)
{
	if (!ev)
		return;
	for (size_t i = 0; i < ev->count; i++)
		event_done(&ev->ring[(ev->head + i) % RING_MAX]);
	list_for_each_safe(it, &ev->subscriptions) {
		list_remove(it);
		free(container_of(it, struct events_subscription, link));
	}
	free(ev);
}

static void sweep_subscriptions(struct events *ev)
{
	list_for_each_safe(it, &ev->subscriptions) {
		struct events_subscription *sub = container_of(it, struct events_subscription, link);

		if (sub->is_ended) {
			list_remove(it);
			free(sub);
		}
	}
}

static void ring_add(struct events *ev, struct event e)
{
	if (ev->count == RING_MAX) {
		event_done(&ev->ring[ev->head]);
		ev->head = (ev->head + 1) % RING_MAX;
		ev->count--;
	}
	ev->ring[(ev->head + ev->count++) % RING_MAX] = e;
}

/* Subscribers get a copy that stays valid when a callback publishes enough to turn the ring. */
static void deliver(void *arg)
{
	struct queued *q = arg;
	struct events *ev = q->bus;
	struct event e = q->event;

	if (store_has_failed(ev->store, NULL)) { /* what is not saved is not told */
		event_done(&e);
		free(q);
		return;
	}
	json_incref(e.attributes);
	ev->depth++;
	list_for_each(it, &ev->subscriptions) {
		struct events_subscription *sub = container_of(it, struct events_subscription, link);

		if (!sub->is_ended)
			sub->cb(sub->arg, &e);
	}
	if (--ev->depth == 0)
		sweep_subscriptions(ev);
	json_decref(e.attributes);
	ring_add(ev, q->event);
	free(q);
}

void events_publish(struct events *ev, const char *type, const char *action, const char *actor_id, json_t *take_attributes)
{
	struct queued *q = xnew(struct queued);
	int64_t now = clock_wall_ns();

	/* Strictly growing times let a client resume with since= where it stopped. */
	ev->last_ns = now > ev->last_ns ? now : ev->last_ns + 1;
	q->bus = ev;
	q->event = (struct event){
		.type = xstrdup(type),
		.action = xstrdup(action),
		.actor_id = xstrdup(actor_id),
		.attributes = take_attributes ? take_attributes : json_object(),
		.time_ns = ev->last_ns,
	};
	store_on_durable(ev->store, store_ticket(ev->store), deliver, q);
}

struct events_subscription *events_subscribe(struct events *ev, void (*cb)(void *arg, const struct event *e), void *arg)
{
	struct events_subscription *sub = xnew(struct events_subscription);

	sub->bus = ev;
	sub->cb = cb;
	sub->arg = arg;
	list_append(&ev->subscriptions, &sub->link);
	return sub;
}

void events_unsubscribe(struct events_subscription *sub)
{
	if (!sub)
		return;
	sub->is_ended = true;
	if (sub->bus->depth == 0)
		sweep_subscriptions(sub->bus);
}

void events_replay(struct events *ev, int64_t since_ns, int64_t until_ns, void (*cb)(void *arg, const struct event *e),
		   void *arg)
{
	for (size_t i = 0; i < ev->count; i++) {
		const struct event *e = &ev->ring[(ev->head + i) % RING_MAX];

		if (e->time_ns >= since_ns && e->time_ns <= until_ns)
			cb(arg, e);
	}
}

size_t events_count(const struct events *ev)
{
	size_t n = 0;

	list_for_each(it, &ev->subscriptions)
		n += !container_of(it, struct events_subscription, link)->is_ended;
	return n;
}
