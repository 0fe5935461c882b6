/* The switch, its namespaces, and what they are attached to. Who may talk to whom is connect.c's. */
#include "network/switch.h"

#include <errno.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "network/internal.h"
#include "network/resolvconf.h"
#include "util/alloc.h"
#include "util/cleanup.h"

/* Of one namespace, and never more than a sixteenth of the daemon's descriptors: one container's sockets leave
 * the others' alone. */
#define SOCKETS_MAX 4096
#define SOCKETS_MIN 64

static size_t sockets_limit(void)
{
	struct rlimit rl;
	size_t n = getrlimit(RLIMIT_NOFILE, &rl) == 0 ? rl.rlim_cur / 16 : SOCKETS_MIN;

	return n < SOCKETS_MIN ? SOCKETS_MIN : n > SOCKETS_MAX ? SOCKETS_MAX : n;
}

static void on_retry(void *arg)
{
	acceptors_resume(arg);
}

int net_switch_new(uv_loop_t *loop, const struct net_switch_options *options, struct net_switch **ret, struct error *err)
{
	struct net_switch *sw = xnew(struct net_switch);

	(void)err;
	sw->loop = loop;
	sw->allow_host_loopback = options && options->allow_host_loopback;
	sw->resolv_conf = resolvconf_file_new(options && options->resolv_conf ? options->resolv_conf : "/etc/resolv.conf");
	sw->sockets_max = sockets_limit();
	sw->packet = xmalloc(sizeof(struct net_datagram) + NET_DATAGRAM_MAX + 1);
	list_init(&sw->namespaces);
	list_init(&sw->networks);
	list_init(&sw->publications);
	list_init(&sw->paused);
	sw->retry = net_timer_new(loop, on_retry, sw);
	for (size_t i = 0; i < FILE_BUCKETS; i++)
		list_init(&sw->files[i]);
	*ret = sw;
	return 0;
}

const struct resolvconf *net_switch_resolvconf(struct net_switch *sw)
{
	return resolvconf_file_get(sw->resolv_conf, uv_now(sw->loop));
}

void net_switch_free(struct net_switch *sw)
{
	if (!sw)
		return;
	while (!list_is_empty(&sw->namespaces)) {
		struct netns *ns = container_of(sw->namespaces.next, struct netns, link);

		ns->refs = 1; /* its owner forgot it */
		netns_unref(ns);
	}
	net_timer_free(sw->retry);
	free(sw->packet);
	resolvconf_file_free(sw->resolv_conf);
	live_sockets_free(sw->live);
	free(sw);
}

/* ---- namespaces ---- */

static void *page_new(size_t size, bool is_ours, int *ret_fd)
{
	CLEANUP(closep) int fd = memfd_create("sockerless-net", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *page;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return NULL;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return NULL;
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	if (is_ours) /* stays writable for us; nobody else's mapping ever is, where the kernel knows that seal (5.1) */
		fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
	*ret_fd = steal_fd(&fd);
	return page;
}

struct netns *netns_new(struct net_switch *sw, enum netns_mode mode, const char *id)
{
	struct netns *ns = xnew(struct netns);

	ns->refs = 1;
	ns->sw = sw;
	ns->mode = mode;
	snprintf(ns->id, sizeof ns->id, "%s", id);
	ns->page_fd = ns->counters_fd = -1;
	ns->page = page_new(sizeof *ns->page, true, &ns->page_fd);
	ns->counters = page_new(sizeof *ns->counters, false, &ns->counters_fd);
	list_init(&ns->wakers);
	list_init(&ns->doors);
	list_init(&ns->endpoints);
	list_init(&ns->sockets);
	list_init(&ns->abstract);
	list_init(&ns->publications);
	list_init(&ns->dns_queries);
	list_init(&ns->dns_streams);
	list_init(&ns->connections);
	for (size_t i = 0; i < PORT_BUCKETS; i++)
		list_init(&ns->by_port[i]);
	for (size_t i = 0; i < ID_BUCKETS; i++)
		list_init(&ns->by_id[i]);
	while (getrandom(&ns->port_hint, sizeof ns->port_hint, GRND_NONBLOCK) < 0 && errno == EINTR)
		;
	ns->source_hint = ns->port_hint >> 16;
	list_append(&sw->namespaces, &ns->link);
	return ns;
}

struct netns *netns_ref(struct netns *ns)
{
	ns->refs++;
	return ns;
}

static void endpoint_free(struct endpoint *ep);

void netns_unref(struct netns *ns)
{
	if (!ns || --ns->refs > 0)
		return;
	netns_close_doors(ns);
	netns_unpublish_all(ns);
	while (!list_is_empty(&ns->sockets))
		socket_free(container_of(ns->sockets.next, struct net_socket, of_ns));
	while (!list_is_empty(&ns->endpoints))
		endpoint_free(container_of(ns->endpoints.next, struct endpoint, of_ns));
	forward_cancel_all(ns);
	dns_streams_close(ns);
	connections_drop(ns);
	netns_set_dns(ns, NULL);
	list_for_each_safe(it, &ns->wakers)
		free(container_of(it, struct waker, link));
	if (ns->page)
		munmap(ns->page, sizeof *ns->page);
	if (ns->counters)
		munmap(ns->counters, sizeof *ns->counters);
	closep(&ns->page_fd);
	closep(&ns->counters_fd);
	list_remove(&ns->link);
	free(ns);
}

int netns_open_socket(struct netns *ns, struct error *err)
{
	int fd = ns->page && ns->counters ? netns_open_door(ns) : -EMFILE;

	return fd < 0 ? error_set(err, fd, "network namespace: %s", strerror(-fd)) : fd;
}

int netns_page_fd(const struct netns *ns)
{
	return ns->page_fd;
}

int netns_counters_fd(const struct netns *ns)
{
	return ns->counters_fd;
}

uint32_t netns_epoch(const struct netns *ns)
{
	return ns->page ? atomic_load(&ns->page->epoch) : 0;
}

void netns_add_waker(struct netns *ns, void (*wake)(void *arg), void *arg)
{
	struct waker *w = xnew(struct waker);

	w->wake = wake;
	w->arg = arg;
	list_append(&ns->wakers, &w->link);
}

void netns_remove_waker(struct netns *ns, void *arg)
{
	list_for_each_safe(it, &ns->wakers) {
		struct waker *w = container_of(it, struct waker, link);

		if (w->arg != arg)
			continue;
		list_remove(&w->link);
		free(w);
		return;
	}
}

static void netns_raise_epoch(struct netns *ns)
{
	if (ns->page)
		atomic_fetch_add(&ns->page->epoch, 1);
	list_for_each_safe(it, &ns->wakers) {
		struct waker *w = container_of(it, struct waker, link);

		w->wake(w->arg);
	}
}

/* ---- endpoints ---- */

char **net_copy_strv(const char *const *words)
{
	size_t n = 0;
	char **copy;

	while (words && words[n])
		n++;
	copy = xcalloc(n + 1, sizeof *copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(words[i]);
	return copy;
}

void net_free_strv(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

static struct net_network *network_find(struct net_switch *sw, const char *id)
{
	list_for_each(it, &sw->networks) {
		struct net_network *n = container_of(it, struct net_network, link);

		if (!strcmp(n->id, id))
			return n;
	}
	return NULL;
}

static struct net_network *network_get(struct net_switch *sw, const char *id)
{
	struct net_network *n = network_find(sw, id);

	if (n)
		return n;
	n = xnew(struct net_network);
	n->id = xstrdup(id);
	list_init(&n->endpoints);
	list_append(&sw->networks, &n->link);
	return n;
}

static void endpoint_free(struct endpoint *ep)
{
	struct net_network *n = ep->network;

	list_remove(&ep->of_ns);
	list_remove(&ep->of_network);
	if (list_is_empty(&n->endpoints)) {
		list_remove(&n->link);
		free(n->id);
		free(n);
	}
	free(ep->name);
	net_free_strv(ep->names);
	net_free_strv(ep->links);
	free(ep);
}

static struct endpoint *endpoint_find(const struct netns *ns, const char *network_id)
{
	list_for_each(it, &ns->endpoints) {
		struct endpoint *ep = container_of(it, struct endpoint, of_ns);

		if (!strcmp(ep->network->id, network_id))
			return ep;
	}
	return NULL;
}

static bool has_interface(const struct netns *ns, const char *name)
{
	list_for_each(it, &ns->endpoints) {
		if (!strcmp(container_of(it, struct endpoint, of_ns)->interface, name))
			return true;
	}
	return false;
}

static void endpoint_name(struct endpoint *ep, const char *wanted)
{
	uint32_t index = 1;

	list_for_each(it, &ep->ns->endpoints) {
		struct endpoint *other = container_of(it, struct endpoint, of_ns);

		index = other->index > index ? other->index : index;
	}
	ep->index = index + 1; /* 1 is lo */
	if (ep->ns->counters)
		memset(&ep->ns->counters->of[ep->index % NET_COUNTERS], 0, sizeof ep->ns->counters->of[0]);
	if (wanted && *wanted)
		snprintf(ep->interface, sizeof ep->interface, "%s", wanted);
	for (unsigned i = 0; !*ep->interface; i++) {
		char name[16] = "";

		snprintf(name, sizeof name, "eth%u", i);
		if (!has_interface(ep->ns, name))
			memcpy(ep->interface, name, sizeof name);
	}
}

static void endpoint_set_addresses(struct endpoint *ep, const struct netns_endpoint *from)
{
	static const uint8_t none[4];

	if (from->ip4_prefix && from->ip4_prefix <= 32) {
		net_ip_from_v4(from->ip4, ep->ip4);
		ep->prefix4 = (uint8_t)(from->ip4_prefix + 96);
	}
	if (memcmp(from->gateway4, none, 4) != 0)
		net_ip_from_v4(from->gateway4, ep->gateway4);
	if (from->ip6_prefix && from->ip6_prefix <= 128) {
		memcpy(ep->ip6, from->ip6, 16);
		ep->prefix6 = from->ip6_prefix;
	}
	memcpy(ep->gateway6, from->gateway6, 16);
}

int netns_attach(struct netns *ns, const struct netns_endpoint *from, struct error *err)
{
	struct endpoint *ep;

	if (endpoint_find(ns, from->network_id))
		return error_set(err, -EEXIST, "already attached to network %s", from->network_id);
	ep = xnew(struct endpoint);
	ep->ns = ns;
	ep->network = network_get(ns->sw, from->network_id);
	ep->name = xstrdup(from->network_name ? from->network_name : "");
	endpoint_name(ep, from->interface);
	memcpy(ep->mac, from->mac, sizeof ep->mac);
	endpoint_set_addresses(ep, from);
	ep->gateway_priority = from->gateway_priority;
	ep->is_internal = from->is_internal;
	ep->is_isolated = from->is_isolated;
	ep->has_embedded_dns = from->has_embedded_dns;
	ep->names = net_copy_strv(from->names);
	ep->links = net_copy_strv(from->links);
	list_append(&ns->endpoints, &ep->of_ns);
	list_append(&ep->network->endpoints, &ep->of_network);
	return 0;
}

int netns_set_names(struct netns *ns, const char *network_id, const char *const *names)
{
	struct endpoint *ep = endpoint_find(ns, network_id);

	if (!ep)
		return -ENOENT;
	net_free_strv(ep->names);
	ep->names = net_copy_strv(names);
	return 0;
}

int netns_detach(struct netns *ns, const char *network_id)
{
	struct endpoint *ep = endpoint_find(ns, network_id);
	struct net_network *n;

	if (!ep)
		return -ENOENT;
	n = ep->network;
	list_remove(&ep->of_network);
	list_for_each(it, &n->endpoints)
		netns_raise_epoch(container_of(it, struct endpoint, of_network)->ns);
	endpoint_free(ep);
	netns_raise_epoch(ns);
	return 0;
}

struct endpoint *netns_default_endpoint(const struct netns *ns, bool is_v4)
{
	struct endpoint *best = NULL;

	list_for_each(it, &ns->endpoints) {
		struct endpoint *ep = container_of(it, struct endpoint, of_ns);

		if (ep->is_internal || !endpoint_ip(ep, is_v4) || !endpoint_gateway(ep, is_v4))
			continue;
		if (!best || ep->gateway_priority > best->gateway_priority ||
		    (ep->gateway_priority == best->gateway_priority && strcmp(ep->name, best->name) < 0))
			best = ep;
	}
	return best;
}

const uint8_t *endpoint_ip(const struct endpoint *ep, bool is_v4)
{
	if (is_v4)
		return ep->prefix4 ? ep->ip4 : NULL;
	return ep->prefix6 ? ep->ip6 : NULL;
}

const uint8_t *endpoint_gateway(const struct endpoint *ep, bool is_v4)
{
	const uint8_t *gateway = is_v4 ? ep->gateway4 : ep->gateway6;

	return net_ip_equal(gateway, net_ip_any) ? NULL : gateway;
}

bool endpoint_has_ip(const struct endpoint *ep, const uint8_t ip[16])
{
	const uint8_t *own = endpoint_ip(ep, net_ip_is_v4(ip));

	return own && net_ip_equal(own, ip);
}

bool endpoint_has_subnet(const struct endpoint *ep, const uint8_t ip[16])
{
	bool is_v4 = net_ip_is_v4(ip);
	const uint8_t *own = endpoint_ip(ep, is_v4);

	return own && net_ip_in_prefix(ip, own, is_v4 ? ep->prefix4 : ep->prefix6);
}

uint32_t interface_of(const struct endpoint *ep)
{
	return ep ? ep->index : INTERFACE_LOOPBACK;
}

void endpoint_count(struct endpoint *ep, bool is_sent, size_t bytes)
{
	if (!ep)
		return;
	if (is_sent) {
		ep->tx_bytes += bytes;
		ep->tx_packets++;
	} else {
		ep->rx_bytes += bytes;
		ep->rx_packets++;
	}
}
