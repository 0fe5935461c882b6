/* What the files of the switch share; nobody outside src/network includes it. Loop thread only. */
#ifndef SOCKERLESS_NETWORK_INTERNAL_H
#define SOCKERLESS_NETWORK_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "network/switch.h"
#include "util/list.h"

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST 60999
#define PENDING_MAX 256 /* connections that wait for room in one listener's channel */
#define TURN_MAX 32  /* packets, connections or requests taken from one descriptor before others have their turn */
#define PORT_BUCKETS 256
#define ID_BUCKETS 64
#define FILE_BUCKETS 64

/* ---- watch.c: a descriptor on the loop ---- */

struct net_watch;
typedef void net_watch_fn(void *arg, int events); /* may free the watch */

/* Takes fd in any case; NULL when the loop cannot watch it. */
struct net_watch *net_watch_new(uv_loop_t *loop, int take_fd, int events, net_watch_fn *on_event, void *arg);
void net_watch_set(struct net_watch *w, int events); /* 0: none */
int net_watch_fd(const struct net_watch *w);
void net_watch_free(struct net_watch *w); /* closes the fd; takes NULL */

struct net_timer;
struct net_timer *net_timer_new(uv_loop_t *loop, void (*on_time)(void *arg), void *arg);
void net_timer_set(struct net_timer *t, uint64_t in_ms); /* once; 0: not at all */
void net_timer_free(struct net_timer *t);                /* takes NULL */

/* One packet with at most 253 fds, of which `keep` are handed over and the others closed. -errno, or its length. */
ssize_t net_receive(int fd, struct iovec *iov, int niov, int *ret_fds, int keep);
/* One packet with at most one fd (-1: none); never waits. 0 or -errno. */
int net_send(int fd, const struct iovec *iov, int niov, int pass_fd);
/* Without waiting, whatever a stranger has set on it. Takes -1. */
void net_close_foreign(int fd);
bool net_is_hung_up(int fd); /* nobody holds the other end */
void net_reset(int take_fd); /* TCP: RST instead of FIN */

/* ---- address.c ---- */

extern const uint8_t net_ip_any[16];      /* :: */
extern const uint8_t net_ip_any4[16];     /* ::ffff:0.0.0.0 */
extern const uint8_t net_ip_loopback[16]; /* ::1 */
extern const uint8_t net_ip_loopback4[16];
extern const uint8_t net_ip_dns[16]; /* 127.0.0.11 */

void net_ip_from_v4(const uint8_t v4[4], uint8_t ret[16]);
bool net_ip_is_any(const uint8_t ip[16]);      /* :: or 0.0.0.0 */
bool net_ip_is_loopback(const uint8_t ip[16]); /* ::1 or 127.0.0.0/8 */
bool net_ip_is_multicast(const uint8_t ip[16]);
bool net_ip_equal(const uint8_t a[16], const uint8_t b[16]);
bool net_ip_in_prefix(const uint8_t ip[16], const uint8_t net[16], unsigned prefix); /* of 128 */
struct net_address net_address_of(uint16_t family, const uint8_t ip[16], uint16_t port);
/* Length of what was written, for the given family: a mapped address as AF_INET or AF_INET6; 0: it has no such form. */
socklen_t net_to_sockaddr(int family, const uint8_t ip[16], uint16_t port, uint32_t scope_id, struct sockaddr_storage *ret);
bool net_from_sockaddr(const struct sockaddr_storage *ss, uint8_t ret_ip[16], uint16_t *ret_port);

/* ---- the switch and its namespaces: switch.c ---- */

struct net_switch {
	uv_loop_t *loop;
	bool allow_host_loopback;
	struct resolvconf_file *resolv_conf; /* the host's */
	struct list namespaces;
	struct list networks;
	struct list files[FILE_BUCKETS]; /* AF_UNIX sockets of files, of all namespaces: volumes are shared */
	uint64_t last_id;
	size_t sockets_max; /* of one namespace; as many connections may wait in channels, and in queues */
	uint8_t *packet; /* one datagram on its way */
	struct list publications;
	struct live_sockets *live; /* connections.c; NULL: nobody has asked yet */
	struct list paused; /* acceptors that wait for room or descriptors */
	struct net_timer *retry;
};

/* What is attached to one Docker network. */
struct net_network {
	struct list link;
	char *id;
	struct list endpoints;
};

struct endpoint {
	struct list of_ns, of_network;
	struct netns *ns;
	struct net_network *network;
	char *name; /* of the network */
	char interface[16];
	uint32_t index;
	uint8_t mac[6];
	uint8_t ip4[16], gateway4[16], ip6[16], gateway6[16]; /* IPv4 mapped; all zero: none */
	uint8_t prefix4, prefix6; /* of 128 */
	int gateway_priority;
	bool is_internal, is_isolated, has_embedded_dns;
	char **names, **links; /* NULL-terminated */
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
};

struct waker {
	struct list link;
	void (*wake)(void *arg);
	void *arg;
};

struct dns_settings {
	char **servers, **extra_hosts; /* NULL-terminated; servers NULL: the host's */
};

struct netns {
	struct list link;
	unsigned refs;
	struct net_switch *sw;
	enum netns_mode mode;
	char id[65];
	int page_fd, counters_fd;
	struct net_page *page;
	struct net_counters *counters;
	struct list wakers;
	struct list doors; /* net sockets */
	struct list endpoints;
	struct list sockets;
	struct list by_port[PORT_BUCKETS];
	struct list by_id[ID_BUCKETS];
	struct list abstract; /* AF_UNIX names */
	size_t nsockets, npending, nbacklog;
	struct list connections;
	size_t nconnections, connections_many; /* when there are so many, those that are gone are forgotten */
	uint32_t port_hint, source_hint;
	struct list publications;
	struct dns_settings dns;
	struct list dns_queries, dns_streams;
	size_t ndns_queries, ndns_streams;
};

char **net_copy_strv(const char *const *words); /* NULL-terminated; of NULL an empty one */
void net_free_strv(char **words);
#define INTERFACE_LOOPBACK 1
/* Of the endpoint (NULL: the loopback). */
uint32_t interface_of(const struct endpoint *ep);
uint32_t netns_epoch(const struct netns *ns);
/* The endpoint whose gateway is the way out; NULL: none. */
struct endpoint *netns_default_endpoint(const struct netns *ns, bool is_v4);
bool endpoint_has_ip(const struct endpoint *ep, const uint8_t ip[16]);
bool endpoint_has_subnet(const struct endpoint *ep, const uint8_t ip[16]);
const uint8_t *endpoint_ip(const struct endpoint *ep, bool is_v4); /* NULL: none of that family */
const uint8_t *endpoint_gateway(const struct endpoint *ep, bool is_v4);
void endpoint_count(struct endpoint *ep, bool is_sent, size_t bytes);

/* ---- sockets.c ---- */

struct host_side;

struct net_socket {
	struct netns *ns;
	struct list of_ns, by_port, by_id, by_name; /* by_name: AF_UNIX */
	uint64_t id;
	uint32_t domain, type, protocol, flags;
	struct net_address local, peer; /* family 0: not bound, not connected */
	bool is_listening;
	bool is_automatic; /* bound by its first send */
	bool is_source_chosen; /* its local address came with its peer */
	uint32_t turn; /* whose turn it is in a REUSEPORT group */
	int32_t vpid;
	uint32_t uid, gid;
	struct net_watch *channel; /* NULL: the daemon's own service */
	struct list pending; /* connections that wait for room in the channel */
	size_t npending, nbacklog;
	struct host_side *host; /* datagrams to the world, a listener in host mode */
	/* of a service */
	void (*on_connection)(void *arg, int take_fd, const struct net_arrival *from);
	void (*on_datagram)(void *arg, const struct net_address *from, const void *data, size_t len);
	void *arg;
};

/* A socket with a channel, of which *ret_fd is the guest's end; with `ret_fd` NULL a service. */
int socket_new(struct netns *ns, const struct net_request *req, int *ret_fd, struct net_socket **ret);
void socket_free(struct net_socket *s);
struct net_socket *socket_find(struct netns *ns, uint64_t id);
int socket_bind(struct net_socket *s, const struct net_address *local); /* port 0: an ephemeral one */
int socket_bind_automatically(struct net_socket *s);
int socket_listen(struct net_socket *s, int backlog);
/* Who listens for (datagrams to) ip:port; `from`: whom a connected datagram socket would have to have as peer. */
struct net_socket *socket_lookup(struct netns *ns, uint32_t protocol, const uint8_t ip[16], uint16_t port,
				 const struct net_address *from);
/* Of AF_UNIX: whoever has that file or abstract name; NULL. */
struct net_socket *socket_lookup_name(struct netns *ns, const struct net_address *name);
/* A free port for a connection's own end. */
uint16_t netns_source_port(struct netns *ns);
/* The guest has closed it, and the loop has not told yet: then it is freed. */
bool socket_reap_if_dead(struct net_socket *s);
bool netns_has_ip(struct netns *ns, const uint8_t ip[16]); /* loopback and wildcard too */
struct net_address socket_shown(const struct net_socket *s, const uint8_t ip[16], uint16_t port);

/* ---- requests.c ---- */

/* AF_UNIX with a path: dev and ino are the file's that is open as file_fd; -EINVAL when that proves nothing. */
int address_resolve_file(struct net_address *a, int file_fd);
int netns_open_door(struct netns *ns);
void netns_close_doors(struct netns *ns);
/* Checks a request and carries it out; *ret_fd: what goes with the answer. False: the answer comes later, and
 * reply_fd has been taken. */
bool request_serve(struct netns *ns, struct net_request *req, size_t len, int reply_fd, int file_fd,
		   struct net_reply *ret, int *ret_fd);

/* ---- connect.c ---- */

enum route_kind {
	ROUTE_OWN, /* the namespace itself */
	ROUTE_PEER, /* another namespace on a shared network */
	ROUTE_GATEWAY, /* the host */
	ROUTE_WORLD,
	ROUTE_HOST_MODE, /* whatever the host's kernel says */
};

struct route {
	enum route_kind kind;
	struct netns *ns; /* of PEER and OWN */
	struct endpoint *out, *in; /* NULL: loopback */
	uint8_t source[16]; /* the address of ours that is seen */
	uint8_t target[16]; /* the destination, 0.0.0.0 made loopback */
};

/* May `ns` reach `ip`, and how? -ENETUNREACH, -EHOSTUNREACH, -ETIMEDOUT, -EINVAL. */
int route_find(struct netns *ns, const uint8_t ip[16], struct route *ret);
int connect_check(struct netns *ns, const struct net_address *local, const struct net_address *peer);
bool connect_stream(struct netns *ns, const struct net_request *req, int reply_fd, struct net_reply *ret, int *ret_fd);

/* ---- connections.c ---- */

/* A TCP end that is about to be handed over: the namespace has a connection until the host's kernel has that socket no
 * more. Of other families and modes nothing is noted. */
void connection_note(struct netns *ns, int fd, const struct net_address *local, const struct net_address *peer, uint32_t uid);
int connections_each(struct netns *ns, int (*each)(void *arg, const struct net_socket_row *row), void *arg);
void connections_drop(struct netns *ns);
void live_sockets_free(struct live_sockets *l); /* takes NULL */

/* ---- arrivals.c: connections on their way to a listener ---- */

/* A connection for a listener, and whom to answer when it is in the listener's channel. Owns its fds (-1: none). */
struct arrival {
	struct list link;
	struct net_arrival told;
	int fd;
	int reply_fd, answer_fd; /* who connects gets `reply` with answer_fd on reply_fd */
	struct net_reply reply;
};

/* Takes what `a` owns in any case, and answers reply_fd sooner or later. 0: told, or waits for room.
 * -ECONNREFUSED: nobody is there any more, and `s` is gone; -ETIMEDOUT: too many wait already. */
int arrival_give(struct net_socket *s, struct arrival *a);
void arrivals_drop(struct net_socket *s);
void arrivals_on_writable(struct net_socket *s);

/* ---- host.c: the host's own sockets ---- */

int host_connect(struct netns *ns, const struct net_request *req, const struct route *route, struct net_reply *ret, int *ret_fd);
/* Host mode: the real socket behind a bound or listening one. */
int host_bind(struct net_socket *s, const struct net_address *local);
int host_listen(struct net_socket *s, int backlog);
/* A datagram to the world, through a socket of the host that is opened for the first. */
int host_send(struct net_socket *s, const struct route *route, const struct net_address *to, const void *data, size_t len);
void host_side_free(struct host_side *h); /* takes NULL */
/* Where on the host a gateway's address leads; false: nowhere. */
bool host_gateway_target(struct net_switch *sw, bool is_v4, uint16_t port, uint32_t protocol, uint8_t ret[16]);

/* ---- icmp.c ---- */

/* An echo; a world that the daemon may not ping is -EACCES. */
int icmp_send(struct net_socket *s, const struct route *route, const struct net_address *to, const void *data, size_t len);
void icmp_give(struct net_socket *s, const struct net_address *from, uint8_t *data, size_t len);

/* ---- accept.c: listeners of the host ---- */

struct acceptor;
/* `on_connection` owns fd (blocking); called with -1 it says whether there is room for one more. */
struct acceptor *acceptor_new(struct net_switch *sw, int take_fd,
			      bool (*on_connection)(void *arg, int take_fd, const struct sockaddr_storage *peer), void *arg);
bool acceptor_has_room(const struct net_socket *s); /* for one more arrival from the host */
void acceptor_free(struct acceptor *a); /* takes NULL */
void acceptors_resume(struct net_switch *sw);

/* ---- publish.c ---- */

/* Is it published on every address of the host? */
bool publish_is_wildcard(const struct net_switch *sw, bool is_v4, uint16_t port, uint32_t protocol);
/* An answer to a client of a published UDP port: true when it was one. */
bool publish_send_back(struct net_socket *s, const struct net_address *to, const void *data, size_t len);

/* ---- datagrams.c ---- */

void datagrams_on_readable(struct net_socket *s);
int datagram_connect(struct net_socket *s, const struct net_address *peer);
/* A datagram for s, lost when the channel is full. 0, or -ECONNREFUSED: s is about to go. */
int datagram_give(struct net_socket *s, const struct net_address *from, const void *data, size_t len);
/* A service's, to whom it is published or who is in reach of its networks; else it is lost. */
void datagram_answer(struct net_socket *s, const struct net_address *to, const void *data, size_t len);
void datagram_give_error(struct net_socket *s, int error, const struct net_address *about);

/* ---- the DNS server of a namespace: resolver.c, dns_stream.c, forward.c ---- */

struct dns_asker {
	struct netns *ns;
	uint64_t id; /* of the socket or stream */
	bool is_stream;
};

#define RESOLVER_ELSEWHERE SIZE_MAX

bool resolver_is_at(const struct netns *ns, const uint8_t ip[16], uint16_t port);
/* The length of the answer; 0: none is due; RESOLVER_ELSEWHERE: the name is not ours. */
size_t resolver_answer(struct netns *ns, const uint8_t *msg, size_t len, bool is_stream, uint8_t *ret, size_t max);
size_t resolver_failure(const uint8_t *msg, size_t len, uint8_t *ret);
void resolver_take_datagram(struct net_socket *s, const void *data, size_t len);
/* An answer from elsewhere, if the asker is still there. */
void resolver_give(const struct dns_asker *asker, const uint8_t *msg, size_t len);

struct dns_stream;
int dns_stream_new(struct netns *ns, int take_fd);
void dns_stream_free(struct dns_stream *t);
void dns_stream_give(struct netns *ns, uint64_t id, const uint8_t *msg, size_t len);
void dns_streams_close(struct netns *ns);

/* Copies the query. 0: the asker gets an answer, never before this returns. -EAGAIN: too many are under way. */
int forward_query(const struct dns_asker *asker, const uint8_t *msg, size_t len);
void forward_cancel_all(struct netns *ns);

/* ---- tables.c: memory files of what there is ---- */

int table_sockets(struct netns *ns, uint32_t *ret_count);
int table_interfaces(struct netns *ns, uint32_t *ret_count);
int table_routes(struct netns *ns, uint32_t *ret_count);

#endif
