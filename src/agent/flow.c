#include "agent/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

enum { CHUNK_MAX = 32 << 10 };

void flow_out_init(struct flow_out *f)
{
	memset(f, 0, sizeof(*f));
	list_init(&f->chunks);
}

static struct flow_chunk *chunk_of(struct list *l)
{
	return container_of(l, struct flow_chunk, link);
}

void flow_out_done(struct flow_out *f)
{
	list_for_each_safe(it, &f->chunks) {
		list_remove(it);
		free(chunk_of(it));
	}
}

/* Little by little is one chunk, as long as it has not been sent. */
static bool add_to_last(struct flow_out *f, enum frame_kind kind, const void *data, size_t len)
{
	struct flow_chunk *c = list_is_empty(&f->chunks) ? NULL : chunk_of(f->chunks.prev);

	if (!c || c->at < f->sent || c->kind != kind || c->len + len > CHUNK_MAX)
		return false;
	list_remove(&c->link);
	c = xrealloc(c, sizeof(*c) + c->len + len);
	list_append(&f->chunks, &c->link);
	memcpy(c->data + c->len, data, len);
	c->len += (uint32_t)len;
	f->total += len;
	return true;
}

void flow_out_add(struct flow_out *f, enum frame_kind kind, const void *data, size_t len)
{
	const char *p = data;

	if (len == 0 || add_to_last(f, kind, data, len))
		return;

	while (len > 0) {
		size_t n = len < CHUNK_MAX ? len : CHUNK_MAX;
		struct flow_chunk *c = xmalloc(sizeof(*c) + n);

		c->at = f->total;
		c->len = (uint32_t)n;
		c->kind = kind;
		memcpy(c->data, p, n);
		list_append(&f->chunks, &c->link);
		f->total += n;
		p += n;
		len -= n;
	}
}

size_t flow_out_room(const struct flow_out *f)
{
	uint64_t open = f->total - f->acked;

	return open < FLOW_WINDOW ? FLOW_WINDOW - (size_t)open : 0;
}

bool flow_out_is_sent(const struct flow_out *f)
{
	return f->sent == f->total;
}

/* What is unsent stands at the end: a window holds few chunks. */
const struct flow_chunk *flow_out_next(struct flow_out *f)
{
	struct flow_chunk *next = NULL;

	if (flow_out_is_sent(f) || f->sent - f->acked >= FLOW_WINDOW)
		return NULL;
	for (struct list *it = f->chunks.prev; it != &f->chunks && chunk_of(it)->at >= f->sent; it = it->prev)
		next = chunk_of(it);
	if (next)
		f->sent = next->at + next->len;
	return next;
}

int flow_out_ack(struct flow_out *f, uint64_t total)
{
	if (total > f->sent)
		return -EPROTO;
	if (total <= f->acked)
		return 0;
	f->acked = total;
	list_for_each_safe(it, &f->chunks) {
		struct flow_chunk *c = chunk_of(it);

		if (c->at + c->len > total)
			break;
		list_remove(it);
		free(c);
	}
	return 0;
}

int flow_out_rewind(struct flow_out *f, uint64_t received)
{
	if (received > f->sent || received < f->acked)
		return -EPROTO;
	f->sent = received;
	return 0;
}

int flow_in_add(struct flow_in *f, size_t len)
{
	if (f->received + len - f->consumed > (uint64_t)FLOW_WINDOW + FRAME_DATA_MAX)
		return -EPROTO;
	f->received += len;
	return 0;
}

bool flow_in_consume(struct flow_in *f, size_t len)
{
	f->consumed += len;
	if (f->consumed - f->told < FLOW_WINDOW / 4)
		return false;
	f->told = f->consumed;
	return true;
}
