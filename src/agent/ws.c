#include "agent/ws.h"

#include <errno.h>
#include <string.h>

void ws_parser_init(struct ws_parser *p, bool is_server)
{
	memset(p, 0, sizeof(*p));
	p->is_server = is_server;
	p->head_need = 2;
	buf_init(&p->message, WS_MESSAGE_MAX);
	buf_init(&p->control, WS_CONTROL_MAX);
}

void ws_parser_done(struct ws_parser *p)
{
	buf_done(&p->message);
	buf_done(&p->control);
}

static void apply_mask(char *data, size_t len, const unsigned char mask[4], unsigned at)
{
	unsigned char turned[8];
	uint64_t wide, word;
	size_t i = 0;

	for (unsigned k = 0; k < 8; k++)
		turned[k] = mask[(at + k) % 4];
	memcpy(&wide, turned, 8);
	for (; i + 8 <= len; i += 8) {
		memcpy(&word, data + i, 8);
		word ^= wide;
		memcpy(data + i, &word, 8);
	}
	for (; i < len; i++)
		data[i] = (char)((unsigned char)data[i] ^ turned[i % 8]);
}

/* The two first bytes say how long the head is. */
static int look_at_head(struct ws_parser *p)
{
	unsigned char a = p->head[0], b = p->head[1];
	unsigned length = b & 127;
	bool is_control = a & 8;

	p->opcode = (enum ws_opcode)(a & 15);
	p->is_final = a & 128;
	if ((a & 0x70) || !(b & 128) == p->is_server)
		return -EPROTO;
	if (is_control ? !p->is_final || length > WS_CONTROL_MAX || p->opcode > WS_PONG : p->opcode > WS_BINARY)
		return -EPROTO;
	if (!is_control && (p->opcode == WS_CONTINUATION) != (p->message_opcode != 0))
		return -EPROTO;
	p->head_need = 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (p->is_server ? 4u : 0);
	return 0;
}

static int begin_payload(struct ws_parser *p)
{
	unsigned length = p->head[1] & 127;
	size_t n = length == 126 ? 2 : length == 127 ? 8 : 0;

	p->left = n ? 0 : length;
	for (size_t i = 0; i < n; i++)
		p->left = p->left << 8 | p->head[2 + i];
	if (p->is_server)
		memcpy(p->mask, p->head + 2 + n, 4);
	p->mask_at = 0;
	if (!(p->opcode & 8)) {
		if (p->left > WS_MESSAGE_MAX - p->message.len)
			return -EMSGSIZE;
		if (p->opcode != WS_CONTINUATION)
			p->message_opcode = p->opcode;
	}
	return 0;
}

static int take_payload(struct ws_parser *p, const char *data, size_t len)
{
	struct buf *to = p->opcode & 8 ? &p->control : &p->message;
	size_t before = to->len;

	if (buf_append(to, data, len) < 0)
		return -EMSGSIZE;
	if (p->is_server)
		apply_mask(to->data + before, len, p->mask, p->mask_at);
	p->mask_at = (unsigned)((p->mask_at + len) % 4);
	p->left -= len;
	return 0;
}

/* The frame is complete. */
static bool end_frame(struct ws_parser *p, ws_message_fn on_message, void *arg)
{
	struct buf *from = p->opcode & 8 ? &p->control : &p->message;
	enum ws_opcode opcode = p->opcode & 8 ? p->opcode : p->message_opcode;

	p->head_len = 0;
	p->head_need = 2;
	if (!p->is_final)
		return true;
	if (!(p->opcode & 8))
		p->message_opcode = 0;
	if (!on_message(arg, opcode, from->data ? from->data : "", from->len))
		return false;
	if (from->size > (64u << 10)) /* a large one is rare */
		buf_done(from);
	else
		buf_reset(from);
	return true;
}

/* Takes bytes of the head; true when it is complete. */
static int feed_head(struct ws_parser *p, const char **data, const char *end, bool *ret_complete)
{
	int r = 0;

	while (r == 0 && *data < end && p->head_len < p->head_need) {
		p->head[p->head_len++] = (unsigned char)*(*data)++;
		if (p->head_len == 2)
			r = look_at_head(p);
	}
	*ret_complete = p->head_len == p->head_need;
	if (r == 0 && *ret_complete)
		r = begin_payload(p);
	return r;
}

int ws_feed(struct ws_parser *p, const void *bytes, size_t len, ws_message_fn on_message, void *arg)
{
	const char *data = bytes, *end = data + len;

	while (data < end) {
		bool is_complete = p->head_len == p->head_need;
		size_t n;
		int r = is_complete ? 0 : feed_head(p, &data, end, &is_complete);

		if (r < 0)
			return r;
		if (!is_complete)
			break;
		n = (size_t)(end - data) < p->left ? (size_t)(end - data) : (size_t)p->left;
		r = n > 0 ? take_payload(p, data, n) : 0;
		if (r < 0)
			return r;
		data += n;
		if (p->left == 0 && !end_frame(p, on_message, arg))
			return 1;
	}
	return 0;
}

int ws_append(struct buf *out, enum ws_opcode opcode, const void *head, size_t head_len, const void *data, size_t len,
	      const unsigned char mask[4])
{
	unsigned char h[WS_HEAD_MAX];
	size_t total = head_len + len, n = 2, at;
	int r;

	h[0] = (unsigned char)(128 | opcode);
	if (total < 126) {
		h[1] = (unsigned char)total;
	} else {
		size_t width = total < 65536 ? 2 : 8;

		h[1] = width == 2 ? 126 : 127;
		for (size_t i = 0; i < width; i++)
			h[n++] = (unsigned char)((uint64_t)total >> 8 * (width - 1 - i));
	}
	if (mask) {
		h[1] |= 128;
		memcpy(h + n, mask, 4);
		n += 4;
	}
	r = buf_reserve(out, n + total);
	if (r < 0)
		return r;
	buf_append(out, h, n);
	at = out->len;
	if (head_len > 0)
		buf_append(out, head, head_len);
	if (len > 0)
		buf_append(out, data, len);
	if (mask)
		apply_mask(out->data + at, total, mask, 0);
	return 0;
}
