/* The DNS server of a namespace at 127.0.0.11: names of neighbours, links and hosts; the rest is asked elsewhere
 * (forward.c). Names and answers are those of Docker's embedded server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "network/dns.h"
#include "network/internal.h"

#define ANSWERS_MAX 64

struct answers {
	struct dns_record records[ANSWERS_MAX];
	size_t n;
	bool is_known; /* the name is ours, whatever was asked of it */
	uint16_t type;
};

void netns_set_dns(struct netns *ns, const struct netns_dns *dns)
{
	net_free_strv(ns->dns.servers);
	net_free_strv(ns->dns.extra_hosts);
	ns->dns.servers = dns && dns->servers ? net_copy_strv(dns->servers) : NULL;
	ns->dns.extra_hosts = dns ? net_copy_strv(dns->extra_hosts) : NULL;
}

/* ---- names ---- */

static void add_ip(struct answers *a, const uint8_t ip[16])
{
	bool is_wanted = a->type == (net_ip_is_v4(ip) ? DNS_A : DNS_AAAA);

	a->is_known = true;
	if (!is_wanted || a->n == ANSWERS_MAX)
		return;
	a->records[a->n] = (struct dns_record){ .type = a->type };
	memcpy(a->records[a->n++].ip, ip, 16);
}

static void resolve_extra(const struct netns *ns, const char *name, struct answers *a)
{
	char **hosts = ns->dns.extra_hosts;

	for (size_t i = 0; hosts && hosts[i] && hosts[i + 1]; i += 2) {
		uint8_t ip[16];

		if (!strcasecmp(hosts[i], name) && net_parse_ip(hosts[i + 1], ip))
			add_ip(a, ip);
	}
}

static bool has_name(const struct endpoint *ep, const char *name)
{
	for (size_t i = 0; ep->names[i]; i++) {
		if (!strcasecmp(ep->names[i], name))
			return true;
	}
	return false;
}

/* Everybody on that network who has the name. */
static void resolve_on(const struct net_network *n, const char *name, struct answers *a)
{
	list_for_each(it, &n->endpoints) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_network);

		if (!has_name(ep, name))
			continue;
		a->is_known = true;
		if (ep->prefix4)
			add_ip(a, ep->ip4);
		if (ep->prefix6)
			add_ip(a, ep->ip6);
	}
}

static void resolve_link(const struct endpoint *ep, const char *name, struct answers *a)
{
	for (size_t i = 0; ep->links[i] && ep->links[i + 1]; i += 2) {
		if (!strcasecmp(ep->links[i], name))
			resolve_on(ep->network, ep->links[i + 1], a);
	}
}

/* "web.backend" on network backend is web. */
static bool strip_network(const struct endpoint *ep, const char *name, char ret[DNS_NAME_MAX])
{
	size_t len = strlen(name), suffix = strlen(ep->name);

	if (suffix == 0 || len <= suffix + 1 || name[len - suffix - 1] != '.' || strcasecmp(name + len - suffix, ep->name) != 0)
		return false;
	memcpy(ret, name, len - suffix - 1);
	ret[len - suffix - 1] = '\0';
	return true;
}

static void resolve_at(const struct endpoint *ep, const char *name, struct answers *a)
{
	char bare[DNS_NAME_MAX];

	if (!ep->has_embedded_dns)
		return;
	resolve_link(ep, name, a);
	if (!a->is_known)
		resolve_on(ep->network, name, a);
	if (!a->is_known && strip_network(ep, name, bare))
		resolve_on(ep->network, bare, a);
}

/* The network of the default route is asked first, then the others as they were attached: the first that knows. */
static void resolve_name(const struct netns *ns, const char *name, struct answers *a)
{
	const struct endpoint *first = netns_default_endpoint(ns, true);

	resolve_extra(ns, name, a);
	if (!a->is_known && first)
		resolve_at(first, name, a);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the head is initialised, which it does not know */
	list_for_each(it, &ns->endpoints) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_ns);

		if (!a->is_known && ep != first)
			resolve_at(ep, name, a);
	}
}

static void resolve_reverse(const struct netns *ns, const uint8_t ip[16], struct answers *a)
{
	list_for_each(it, &ns->endpoints) {
		const struct endpoint *own = container_of(it, struct endpoint, of_ns);

		if (!own->has_embedded_dns)
			continue;
		list_for_each(jt, &own->network->endpoints) {
			const struct endpoint *ep = container_of(jt, struct endpoint, of_network);

			if (!endpoint_has_ip(ep, ip) || !ep->names[0])
				continue;
			a->is_known = true;
			a->records[0] = (struct dns_record){ .type = DNS_PTR };
			snprintf(a->records[0].name, sizeof a->records[0].name, "%s.%s", ep->names[0], ep->name);
			a->n = 1;
			return;
		}
	}
}

/* Of several, each comes first now and then. */
static void rotate(struct answers *a, uint32_t turn)
{
	struct dns_record first;

	for (uint32_t i = a->n > 1 ? turn % (uint32_t)a->n : 0; i > 0; i--) {
		first = a->records[0];
		memmove(a->records, a->records + 1, (a->n - 1) * sizeof first);
		a->records[a->n - 1] = first;
	}
}

static void resolve(struct netns *ns, const struct dns_question *q, struct answers *a)
{
	uint8_t ip[16];

	a->n = 0;
	a->is_known = false;
	a->type = q->type;
	if (q->class != 1 || !q->name[0])
		return;
	if (q->type == DNS_PTR && dns_parse_reverse(q->name, ip))
		resolve_reverse(ns, ip, a);
	else if (q->is_plain)
		resolve_name(ns, q->name, a);
	rotate(a, ns->port_hint++);
}

/* ---- serving ---- */

size_t resolver_answer(struct netns *ns, const uint8_t *msg, size_t len, bool is_stream, uint8_t *ret, size_t max)
{
	struct dns_question q;
	struct answers a;
	int r = dns_parse_query(msg, len, &q);

	if (r == -EINVAL)
		return 0;
	if (!is_stream && max > q.answer_bytes)
		max = q.answer_bytes;
	if (r < 0)
		return dns_build_answer(msg, &q, r == -ENOTSUP ? DNS_NOTIMP : DNS_FORMERR, NULL, 0, ret, max);
	resolve(ns, &q, &a);
	if (a.is_known)
		return dns_build_answer(msg, &q, DNS_OK, a.records, a.n, ret, max);
	/* A namespace without a way out asks nobody: a name can carry data to the world. */
	if (!netns_default_endpoint(ns, true) && !netns_default_endpoint(ns, false))
		return dns_build_answer(msg, &q, DNS_SERVFAIL, NULL, 0, ret, max);
	return RESOLVER_ELSEWHERE;
}

size_t resolver_failure(const uint8_t *msg, size_t len, uint8_t *ret)
{
	struct dns_question q;
	int r = dns_parse_query(msg, len, &q);

	return r < 0 ? 0 : dns_build_answer(msg, &q, DNS_SERVFAIL, NULL, 0, ret, DNS_UDP_MAX);
}

bool resolver_is_at(const struct netns *ns, const uint8_t ip[16], uint16_t port)
{
	return port == 53 && net_ip_equal(ip, net_ip_dns) && !list_is_empty(&ns->endpoints);
}

void resolver_take_datagram(struct net_socket *s, const void *data, size_t len)
{
	struct net_address from = socket_shown(s, net_ip_dns, 53);
	struct dns_asker asker = { .ns = s->ns, .id = s->id, .is_stream = false };
	uint8_t answer[DNS_EDNS_MAX];
	size_t n = len > DNS_EDNS_MAX ? 0 : resolver_answer(s->ns, data, len, false, answer, sizeof answer);

	if (n == RESOLVER_ELSEWHERE && forward_query(&asker, data, len) == 0)
		return;
	if (n == RESOLVER_ELSEWHERE)
		n = resolver_failure(data, len, answer);
	if (n > 0)
		datagram_give(s, &from, answer, n);
}

void resolver_give(const struct dns_asker *asker, const uint8_t *msg, size_t len)
{
	struct net_socket *s;
	struct net_address from;

	if (asker->is_stream) {
		dns_stream_give(asker->ns, asker->id, msg, len);
		return;
	}
	s = socket_find(asker->ns, asker->id);
	if (!s || s->type != SOCK_DGRAM || s->domain == AF_UNIX)
		return;
	from = socket_shown(s, net_ip_dns, 53);
	datagram_give(s, &from, msg, len);
}
