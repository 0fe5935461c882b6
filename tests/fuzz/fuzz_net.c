/* What a worker that has been taken over writes to its net socket and its channels: a byte that says to which, one for
 * the length, the packet. Its namespace has neighbours and no way out. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "fuzz/fuzz.h"
#include "network/internal.h"

static uv_loop_t loop;
static struct net_switch *sw;
static struct netns *ns;

static struct netns *make_ns(uint8_t host)
{
	static const char *const names[] = { "web", NULL };
	struct netns *made = netns_new(sw, NETNS_PRIVATE, "fuzz");
	struct netns_endpoint ep = { .network_id = "n",
				     .network_name = "net",
				     .ip4 = { 10, 0, 0, host },
				     .ip4_prefix = 8,
				     .is_internal = true,
				     .has_embedded_dns = true,
				     .names = names };

	FUZZ_CHECK(netns_attach(made, &ep, NULL) == 0);
	return made;
}

/* One request; the descriptor that it gets, or -1. */
static int ask(struct net_request *req, size_t len)
{
	struct net_reply reply;
	int fd;

	if (!request_serve(ns, req, len, -1, -1, &reply, &fd))
		return -1;
	FUZZ_CHECK(reply.result <= 0 && (reply.result == 0 || fd < 0));
	return fd;
}

static void play(const uint8_t *data, size_t size, int channels[8])
{
	while (size >= 2) {
		size_t len = data[1] * 2u;
		unsigned which = data[0];
		struct net_request req = { 0 };

		data += 2;
		size -= 2;
		len = len < size ? len : size;
		if (which >= 128) {
			if (channels[which % 8] >= 0)
				(void)!send(channels[which % 8], data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		} else {
			memcpy(&req, data, len < sizeof req ? len : sizeof req);
			if (channels[which % 8] >= 0)
				close(channels[which % 8]);
			channels[which % 8] = ask(&req, which & 64 ? len : sizeof req);
		}
		data += len;
		size -= len;
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netns *neighbour;
	int channels[8];

	if (!sw)
		FUZZ_CHECK(uv_loop_init(&loop) == 0 && net_switch_new(&loop, NULL, &sw, NULL) == 0);
	ns = make_ns(2);
	neighbour = make_ns(3);
	for (size_t i = 0; i < 8; i++)
		channels[i] = -1;
	play(data, size, channels);
	netns_unref(neighbour);
	netns_unref(ns);
	for (size_t i = 0; i < 8; i++) {
		if (channels[i] >= 0)
			close(channels[i]);
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	return 0;
}
