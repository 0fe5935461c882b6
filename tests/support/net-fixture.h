/* Unit tests of the switch: a switch on a loop of its own, and the part of a sandbox's worker, who asks by the wire.
 * A descriptor that a function returns is the test's; -1: none came. */
#ifndef SOCKERLESS_TESTS_NET_FIXTURE_H
#define SOCKERLESS_TESTS_NET_FIXTURE_H

#include <uv.h>

#include "network/switch.h"

struct net_fixture {
	uv_loop_t loop;
	struct net_switch *sw;
	int fds_before; /* open descriptors */
};

/* cmocka's setup and teardown; the teardown fails when descriptors or handles are left. */
int net_fixture_setup(void **state);
int net_fixture_teardown(void **state);
int net_fixture_count_fds(void);

/* A namespace with an endpoint on network "N": addresses "172.N.0.HOST/16", gateway .1, for `network` N. */
struct netns *fixture_ns(struct net_fixture *f);
struct netns_endpoint fixture_endpoint(unsigned network, unsigned host);
void fixture_attach(struct netns *ns, unsigned network, unsigned host);

/* Asks and runs the loop until the answer is there, at most five seconds; *ret_fd: what came with it. The result. */
int fixture_ask(struct net_fixture *f, int door, const struct net_request *req, int file_fd, struct net_reply *ret, int *ret_fd);
/* Sends only; the answer comes at the returned fd. */
int fixture_send(int door, const struct net_request *req, int file_fd);
/* The answer if it is there now: false else. */
bool fixture_answer(int fd, struct net_reply *ret, int *ret_fd);

struct net_request fixture_tcp(uint32_t op);
struct net_request fixture_udp(uint32_t op);
struct net_address fixture_address(const char *ip, uint16_t port);

/* Listens; the channel. -errno. */
int fixture_listen(struct net_fixture *f, int door, const char *ip, uint16_t port);
/* Connects; the fd or -errno. `ret` may be NULL. */
int fixture_connect(struct net_fixture *f, int door, const char *ip, uint16_t port, struct net_reply *ret);
/* The next connection of a channel. */
int fixture_accept(struct net_fixture *f, int channel, struct net_arrival *ret);
/* Turns the loop until fd is readable. False: not within five seconds. */
bool fixture_wait(struct net_fixture *f, int fd);
void fixture_turn(struct net_fixture *f); /* what is ready now */

/* Datagrams: -errno of an error packet, or the length of the payload. */
int fixture_datagram_to(int channel, const char *ip, uint16_t port, const void *data, size_t len);
int fixture_datagram_from(struct net_fixture *f, int channel, struct net_address *ret, void *data, size_t len);

#endif
