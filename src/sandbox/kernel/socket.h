/* Sockets of the guest. A socket's descriptor is always one of: a *placeholder* (a stream socket that is neither bound
 * nor connected, an end of a pair whose other end is closed), a *channel* to the switch, or a *connected* end; what it
 * is, is in its ksocket, which all numbers of one process share. A change of what it is puts the new descriptor in the
 * place of all of them. After a fork each process has its own copy of what is written here. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_SOCKET_H
#define SOCKERLESS_SANDBOX_KERNEL_SOCKET_H

#include <sys/socket.h>
#include <sys/time.h>

#include "network/netwire.h"
#include "sandbox/kernel/kernel.h"

enum { SOCKET_OPTIONS = 48 };

enum socket_state {
	SOCKET_NEW,        /* placeholder; or a datagram socket's channel */
	SOCKET_BOUND,      /* a stream's channel that does not listen yet */
	SOCKET_LISTENING,
	SOCKET_CONNECTING, /* the host's connect is under way, or the switch has not answered: pending_fd */
	SOCKET_CONNECTED,
};

struct ksocket {
	unsigned refs;
	int domain, type, protocol; /* as the guest asked for */
	enum socket_state state;
	bool is_pair;           /* of socketpair: no name, no switch */
	bool is_peer_set;       /* a datagram socket that is connected */
	bool is_bound;          /* local is what bind or the switch has said */
	bool is_host_tcp;       /* a TCP socket of the host's, its options are real */
	uint64_t id;            /* the switch's */
	uint32_t interface;     /* whose counters the bytes go to; 0: nobody's */
	uint32_t epoch;         /* in which the connection was found possible */
	int pending_fd;         /* where the switch's answer to a connect comes, above the floor; -1 */
	int far_fd;             /* AF_NETLINK: our end, to which answers are written, above the floor; -1 */
	int error;              /* SO_ERROR: positive errno, told once */
	struct net_address local, peer;
	struct ucred peer_cred; /* AF_UNIX; pid as the guest knows it */
	bool is_shut[2];        /* SHUT_RD, SHUT_WR */
	uint32_t flags;            /* enum net_flag */
	struct linger linger;
	struct timeval timeout[2]; /* SO_RCVTIMEO, SO_SNDTIMEO */
	int options[SOCKET_OPTIONS]; /* the rest, by their place in socket_options.c */
};

/* ---- socket_options.c ---- */

void options_init(struct ksocket *s);
/* What a connected end of the host's must be told. */
void options_apply(int fd, const struct ksocket *s);

/* ---- socket.c: state, descriptors, the switch ---- */

/* The socket of a guest's number: 0, -EBADF, -ENOTSOCK. */
int socket_get(int fd, struct ksocket **ret);
struct ksocket *socket_new(int domain, int type, int protocol);
struct ksocket *socket_ref(struct ksocket *s);
void socket_unref(struct ksocket *s); /* takes NULL */
/* A new number for it: takes both, s also when it fails. flags: SOCK_CLOEXEC, SOCK_NONBLOCK. */
int socket_install(int take_fd, struct ksocket *take_s, int flags);
/* Puts the descriptor in the place of the one that the socket has; modes and time-outs are carried over. */
int socket_replace(int fd, struct ksocket *s, int take_fd);
int socket_placeholder(void); /* a fresh descriptor or -errno */
bool socket_is_channel(const struct ksocket *s);
bool socket_is_stream(const struct ksocket *s); /* by connection: SOCK_STREAM, SOCK_SEQPACKET */
bool socket_is_nonblocking(int fd);

/* Asks the switch and waits. 0 or its -errno; -EINTR. file_fd: of an AF_UNIX address, or -1. ret_fd NULL: none is
 * wanted; else -1 when none came. */
int switch_call(const struct net_request *req, int file_fd, struct net_reply *ret, int *ret_fd);
/* The same in two steps: where the answer will come, and the answer (is_waiting false: -EAGAIN while it is not there). */
int switch_ask(const struct net_request *req, int file_fd);
int switch_answer(int reply_fd, bool is_waiting, struct net_reply *ret, int *ret_fd);
struct net_request socket_request(const struct ksocket *s, enum net_op op);
/* A memory file of rows: malloc'd; count in *ret_n. */
int switch_rows(enum net_op op, size_t row_size, void **ret, size_t *ret_n);

/* Before each use of a connected socket: has its network been left? Shuts it down then, the error is told once. */
void socket_look(int fd, struct ksocket *s);
/* A blocking host call on it, made again when only the epoch has risen. */
long socket_block(int fd, struct ksocket *s, long n, long a, long b, long c, long d, long e, long f);
/* Whether a connected end is a TCP socket of the host's or an end of a pair. */
void socket_know_end(int fd, struct ksocket *s);
/* A connect that is under way: finished if it can be, waited for if asked. 0: connected; -EINPROGRESS, -errno. */
int socket_settle(int fd, struct ksocket *s, bool is_waiting);
int socket_take_error(struct ksocket *s); /* -errno once, 0 */
/* The same with the host's. */
int socket_host_error(int fd, struct ksocket *s);

/* ---- socket_address.c ---- */

enum { SOCKADDR_MAX = 128 };
/* A guest's sockaddr (copied in), of the socket's domain. AF_UNIX: path and path_len only, the file is the caller's to
 * find. -EINVAL, -EAFNOSUPPORT. */
int address_parse(int domain, const void *sockaddr, size_t len, struct net_address *ret);
/* As the guest gets it: the full length, at most SOCKADDR_MAX bytes are written. family 0: the domain's unspecified. */
size_t address_print(int domain, const struct net_address *a, unsigned char out[SOCKADDR_MAX]);
bool address_is_v4(const struct net_address *a);

/* ---- socket_unix.c ---- */

/* The placeholder file of a path's socket, opened: the fd, -1 for an abstract name or none, -errno. */
int unix_open(const struct net_address *a);
/* Makes it: the same. -EADDRINUSE when the name is taken. */
int unix_make(const struct net_address *a);
void unix_unmake(const struct net_address *a);

/* ---- socket_data.c ---- */

struct iovec;
int64_t socket_send(int fd, struct ksocket *s, struct iovec *iov, size_t niov, int flags, const struct net_address *to);
int64_t socket_receive(int fd, struct ksocket *s, struct iovec *iov, size_t niov, int flags,
		       struct net_address *ret_from, int *ret_flags);
/* n of a call that sent or received on a connection, for the interface's counters. */
void socket_count(const struct ksocket *s, bool is_sent, int64_t n);
/* read and write of a file that is a socket. */
int64_t socket_transfer(int fd, bool is_write, struct iovec *iov, size_t niov);
int socket_readable_bytes(int fd, struct ksocket *s); /* FIONREAD */

/* ---- netlink.c, netinfo.c ---- */

/* A request to NETLINK_ROUTE: answers are written to s->far_fd. */
int64_t netlink_send(struct ksocket *s, const void *data, size_t len);
/* SIOCGIF*: -ENOTTY when it is none of these. */
int64_t netinfo_ioctl(uint32_t request, uint64_t arg);
/* malloc'd; never without lo. */
int netinfo_interfaces(struct net_interface **ret, size_t *ret_n);
int netinfo_routes(struct net_route **ret, size_t *ret_n);

/* ---- sys_epoll.c: what is registered where ---- */

void epoll_forget(int fd);
void epoll_renew(int fd); /* another descriptor has taken its number */

/* What poll is to look for: not what the host would say of a channel in place of a listener. */
void socket_poll_events(const struct ksocket *s, short *events);

#endif
