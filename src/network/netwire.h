/* What a sandbox's worker asks of the daemon's switch (network/switch.h) to have sockets, and what the switch
 * hands it. A worker may not make, bind or connect a socket itself (docs/sandbox.md): every socket that a guest
 * has is an end that the switch made.
 *
 * Requests. All workers of a container share one SOCK_SEQPACKET socket, its *net socket*; whose it is says to
 * the switch which network namespace asks. A request is one packet: struct net_request, and the fd of a fresh
 * socket pair's end, to which one packet answers: struct net_reply, with at most one fd. Its end without an answer
 * means that the daemon is out of descriptors (ENFILE). Both sides take what they receive for hostile: lengths,
 * enums and addresses are checked, unexpected fds closed.
 *
 * An AF_UNIX address that is a file's: a second fd comes with the request (or with the datagram that goes there),
 * the host's placeholder file opened for reading, never O_PATH. Whom it names is what fstat says of that fd; dev
 * and ino of the request are not looked at, so nobody reaches a socket whose file he cannot open.
 *
 * What the ends are:
 *   stream, bound or listening   a *channel*: SOCK_SEQPACKET. Each connection that comes in is one packet, struct
 *                                net_arrival with the fd of the connection; accept is recvmsg, poll is the host's.
 *                                The backlog is what the channel and the switch's queue hold. When every copy of
 *                                the guest's end is closed, the switch sees the hang-up and forgets the address.
 *   stream, connected            between two namespaces of ours or within one: one end of a SOCK_STREAM AF_UNIX
 *                                socket pair, of which the other end arrived at the listener. To or from the
 *                                world: a real TCP socket. The switch keeps no copy, bytes never pass it.
 *   datagram                     a channel on which every packet is struct net_datagram and then the payload: to
 *                                the switch with where it goes, from the switch with where it came from.
 *
 * A connect to the world may still be under way when its fd is handed over (net_reply.is_in_progress): the fd is
 * non-blocking then; poll and SO_ERROR tell how it ends, as ever on Linux. Every other fd is in blocking mode.
 * A connect to a listener whose backlog is full is answered when there is room, as a SYN would wait: a
 * non-blocking connect polls the answer's end.
 *
 * ICMP: the payload of a datagram to the switch is the ICMP message; from the switch it is what Linux gives: on a
 * SOCK_RAW AF_INET socket the IP header first, else the message alone. The port of the address is 0.
 *
 * Cutting. When a namespace leaves a network, connections over it have no future: the switch raises the epoch in
 * the page that the workers have mapped, and the driver wakes those that sleep in a socket call. A worker that
 * sees a newer epoch than its socket's asks NET_CHECK, and shuts the socket down when the answer is an error.
 * Both ends of a connection do so; one honest worker is enough. */
#ifndef SOCKERLESS_NETWORK_NETWIRE_H
#define SOCKERLESS_NETWORK_NETWIRE_H

#include <stdbool.h>
#include <stdint.h>

/* An IP address is 16 bytes in network order; IPv4 is mapped (::ffff:a.b.c.d). A path of AF_UNIX is known by the
 * identity of its file, as the worker's union file system finds it, or by an abstract name. */
struct net_address {
	uint16_t family; /* AF_INET, AF_INET6 (how the guest sees it), AF_UNIX; 0: none */
	uint16_t port;   /* host order */
	uint8_t ip[16];
	uint32_t scope_id;
	/* AF_UNIX */
	uint64_t dev, ino;  /* of the socket's file on the host; 0: abstract or without name */
	uint8_t path_len;   /* of path, as given to bind (shown by getsockname); an abstract one begins with NUL */
	char path[108];
	uint8_t reserved[3]; /* nowhere is there padding, which would carry bytes of the sender's stack */
};

enum net_op {
	NET_OPEN = 1,  /* a datagram socket (or raw ICMP, see type): answers a channel and its socket id */
	NET_BIND,      /* socket_id 0: a new socket; answers a channel, its id, and `local` with the port chosen.
	                  -EADDRINUSE, -EADDRNOTAVAIL, -EACCES. A datagram socket keeps its channel (no fd). */
	NET_LISTEN,    /* socket_id, backlog in `value`; of 0 (never bound): binds the wildcard to a free port and
	                  answers its channel */
	NET_CONNECT,   /* stream: `peer`, `local` (if bound); answers a connected fd, `local`, `peer`.
	                  datagram: socket_id: only datagrams of the peer are given from now on, errors are told.
	                  peer.family 0 undoes that. -ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH, -EACCES, -ETIMEDOUT */
	NET_CHECK,     /* is a connection from `local` to `peer` still possible? 0, -ENETUNREACH */
	NET_SOCKETS, /* rows for /proc/net/{tcp,tcp6,udp,udp6,raw,unix}: fd of a memory file of struct net_socket_row */
	NET_INTERFACES, /* fd of a memory file of struct net_interface */
	NET_ROUTES, /* fd of a memory file of struct net_route */
	NET_NAME, /* socket_id: answers `local` and `peer` as they are now (a datagram socket is bound by its first send) */
	NET_PAIR, /* AF_UNIX socketpair(2) of a type that a worker may not make itself: not yet served */
};

struct net_request {
	uint32_t op;
	uint32_t domain; /* AF_INET, AF_INET6, AF_UNIX */
	uint32_t type; /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET (AF_UNIX), SOCK_RAW (ICMP only) */
	uint32_t protocol; /* 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
	uint64_t socket_id; /* of an earlier answer; 0: none yet */
	uint32_t flags; /* enum net_flag */
	int32_t value;
	struct net_address local, peer;
	int32_t vpid; /* claims of the first wall: what SO_PEERCRED tells the other side */
	uint32_t uid, gid, reserved;
};

enum net_flag {
	NET_REUSE_ADDRESS = 1,
	NET_REUSE_PORT = 2,
	NET_V6_ONLY = 4,
	NET_BROADCAST = 8,
};

struct net_reply {
	int32_t result; /* 0, or -errno */
	uint32_t count; /* rows of the memory file */
	uint64_t socket_id;
	bool is_in_progress;
	uint8_t reserved[3];
	uint32_t epoch; /* of the page, when this was decided */
	struct net_address local, peer;
	int32_t vpid; /* SO_PEERCRED of an AF_UNIX connection */
	uint32_t uid, gid;
	uint32_t interface; /* of a connection: whose counters its bytes go to; 0: nobody's */
};

struct net_arrival {
	uint32_t epoch, reserved;
	struct net_address local, peer;
	int32_t vpid;
	uint32_t uid, gid;
	uint32_t interface; /* as in net_reply */
};

#define NET_DATAGRAM_MAX 65507

struct net_datagram {
	int32_t error; /* from the switch: not data but the -errno that the next call gives (ECONNREFUSED …) */
	uint32_t reserved;
	struct net_address address;
};

struct net_socket_row {
	uint32_t domain, type, protocol;
	uint32_t state; /* as /proc/net/tcp has it: 1 established, 7 closed (udp), 10 listening */
	struct net_address local, peer;
	uint32_t uid, reserved;
	uint64_t inode; /* the socket id */
};

struct net_interface {
	char name[16]; /* lo, eth0, eth1 … */
	uint32_t index;
	uint32_t flags; /* IFF_* */
	uint32_t mtu;
	uint8_t mac[6];
	uint8_t ip4[4], ip4_prefix; /* prefix 0: no address */
	uint8_t ip6[16], ip6_prefix;
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets; /* what passed the switch: datagrams and connections only */
};

struct net_route {
	uint8_t destination[16], gateway[16]; /* gateway zero: on link */
	uint8_t prefix; /* of 128; an IPv4 one is 96 more */
	uint8_t reserved[3];
	uint32_t interface_index;
};

/* The page that workers map read-only. */
struct net_page {
	_Atomic uint32_t epoch;
};

/* The page that workers write: what went through their connections, by the interface's index modulo NET_COUNTERS. The
 * switch sees no bytes of a connection; these are the container's own word, and only shown. */
#define NET_COUNTERS 64
struct net_counters {
	struct {
		_Atomic uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
	} of[NET_COUNTERS];
};

#endif
