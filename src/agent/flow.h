/* One direction of a session's bytes in our subprotocol: numbered from the session's beginning, at most a window of
 * them not yet consumed by the other side, and kept until they are, so that a new connection goes on where the old
 * one broke. Pure. */
#ifndef SOCKERLESS_AGENT_FLOW_H
#define SOCKERLESS_AGENT_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/message.h"
#include "util/list.h"

#define FLOW_WINDOW (256u << 10)

struct flow_chunk {
	struct list link;
	uint64_t at;            /* the number of its first byte */
	uint32_t len;
	enum frame_kind kind;
	char data[];
};

struct flow_out {
	struct list chunks;     /* what has not been acknowledged */
	uint64_t total, sent, acked;
};
void flow_out_init(struct flow_out *f);
void flow_out_done(struct flow_out *f);
/* Takes a copy; cut into chunks that fit a frame. */
void flow_out_add(struct flow_out *f, enum frame_kind kind, const void *data, size_t len);
/* How many bytes may be added before the window is full. */
size_t flow_out_room(const struct flow_out *f);
/* The next chunk to be sent, which is then taken as sent; NULL: none. */
const struct flow_chunk *flow_out_next(struct flow_out *f);
bool flow_out_is_sent(const struct flow_out *f);
/* The other side has consumed so many in all. -EPROTO: more than was sent. */
int flow_out_ack(struct flow_out *f, uint64_t total);
/* A new connection: what comes after `received` is to be sent again. -EPROTO as above. */
int flow_out_rewind(struct flow_out *f, uint64_t received);

/* The receiving end: what has come, and what of it was consumed and told. */
struct flow_in {
	uint64_t received, consumed, told;
};
/* -EPROTO: the sender goes beyond its window. */
int flow_in_add(struct flow_in *f, size_t len);
/* True when it is time to tell: an ack with `consumed` is to be sent now. */
bool flow_in_consume(struct flow_in *f, size_t len);

#endif
