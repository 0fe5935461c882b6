#include "network/flows.h"

#include "network/internal.h"

static struct list *bucket(const struct net_flows *t, uint16_t port)
{
	return (struct list *)&t->buckets[port % (sizeof(t->buckets) / sizeof(*t->buckets))];
}

static struct net_flow *oldest(const struct net_flows *t)
{
	return container_of(t->by_age.next, struct net_flow, by_age);
}

static void forget(struct net_flows *t, struct net_flow *f)
{
	list_remove(&f->of_bucket);
	list_remove(&f->by_age);
	t->n--;
	t->forget(f);
}

void net_flows_init(struct net_flows *t, size_t max, int64_t idle_ns, void (*on_forget)(struct net_flow *f))
{
	for (size_t i = 0; i < sizeof(t->buckets) / sizeof(*t->buckets); i++)
		list_init(&t->buckets[i]);
	list_init(&t->by_age);
	t->n = 0;
	t->max = max;
	t->idle_ns = idle_ns;
	t->forget = on_forget;
}

void net_flows_done(struct net_flows *t)
{
	while (t->n > 0)
		forget(t, oldest(t));
}

struct net_flow *net_flows_find(const struct net_flows *t, uint16_t port, const struct net_address *client, int64_t now_ns)
{
	list_for_each(it, bucket(t, client->port)) {
		struct net_flow *f = container_of(it, struct net_flow, of_bucket);

		if (f->port == port && f->client.port == client->port && net_ip_equal(f->client.ip, client->ip))
			return now_ns - f->used_ns < t->idle_ns ? f : NULL;
	}
	return NULL;
}

void net_flows_use(struct net_flows *t, struct net_flow *f, int64_t now_ns)
{
	f->used_ns = now_ns;
	list_remove(&f->by_age);
	list_append(&t->by_age, &f->by_age);
}

int64_t net_flows_expire(struct net_flows *t, int64_t now_ns)
{
	while (t->n > 0 && now_ns - oldest(t)->used_ns >= t->idle_ns)
		forget(t, oldest(t));
	return t->n > 0 ? oldest(t)->used_ns + t->idle_ns - now_ns : 0;
}

void net_flows_add(struct net_flows *t, struct net_flow *f, uint16_t port, const struct net_address *client, int64_t now_ns)
{
	net_flows_expire(t, now_ns);
	while (t->n > 0 && t->n >= t->max)
		forget(t, oldest(t));
	f->port = port;
	f->client = *client;
	f->used_ns = now_ns;
	list_append(bucket(t, client->port), &f->of_bucket);
	list_append(&t->by_age, &f->by_age);
	t->n++;
}
