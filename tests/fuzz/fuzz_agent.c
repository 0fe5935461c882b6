/* What an agent, or somebody who says that he is one, may send: WebSocket frames, messages, heads of HTTP. */
#include "agent/base64.h"
#include "agent/flow.h"
#include "agent/handshake.h"
#include "agent/message.h"
#include "agent/ws.h"
#include "fuzz/fuzz.h"
#include "util/alloc.h"

static size_t whole_bytes, cut_bytes, messages_whole, messages_cut;

static void check_frame(const void *data, size_t len)
{
	struct frame f;

	if (frame_parse(data, len, &f) < 0)
		return;
	FUZZ_CHECK(f.data >= (const char *)data && f.data + f.len <= (const char *)data + len);
}

static void check_text(const char *data, size_t len)
{
	struct message m;
	struct buf b;

	if (message_parse(data, len, &m) < 0)
		return;
	FUZZ_CHECK(m.json && m.id && strlen(m.id) <= MESSAGE_ID_MAX);
	buf_init(&b, WS_MESSAGE_MAX);
	message_data(&m, &b);
	message_text(&m, "cmd");
	message_number(&m, "code", 0);
	buf_done(&b);
	message_done(&m);
}

static bool on_whole(void *arg, enum ws_opcode opcode, const void *data, size_t len)
{
	(void)arg;
	whole_bytes += len;
	messages_whole++;
	FUZZ_CHECK(len <= (opcode & 8 ? WS_CONTROL_MAX : WS_MESSAGE_MAX));
	if (opcode == WS_BINARY)
		check_frame(data, len);
	else if (opcode == WS_TEXT)
		check_text(data, len);
	return true;
}

static bool on_cut(void *arg, enum ws_opcode opcode, const void *data, size_t len)
{
	(void)arg, (void)opcode, (void)data;
	cut_bytes += len;
	messages_cut++;
	return true;
}

/* However the bytes are cut, the messages are the same. */
static void check_ws(const uint8_t *data, size_t size, bool is_server)
{
	struct ws_parser p;
	int whole, cut = 0;

	whole_bytes = cut_bytes = messages_whole = messages_cut = 0;
	ws_parser_init(&p, is_server);
	whole = ws_feed(&p, data, size, on_whole, NULL);
	ws_parser_done(&p);
	ws_parser_init(&p, is_server);
	for (size_t i = 0; i < size && cut == 0; i++)
		cut = ws_feed(&p, data + i, 1, on_cut, NULL);
	ws_parser_done(&p);
	FUZZ_CHECK(whole == cut && whole_bytes == cut_bytes && messages_whole == messages_cut);
}

static void check_head(const char *text, size_t size)
{
	int head = handshake_head_length(text, size);
	char *target, *key = NULL;

	FUZZ_CHECK(head <= (int)size && head <= HANDSHAKE_HEAD_MAX);
	if (head <= 0)
		return;
	target = handshake_target(text, (size_t)head);
	if (target) {
		free(handshake_query(target, "id"));
		free(handshake_query(target, "token"));
	}
	handshake_fault(text, (size_t)head, &key);
	handshake_status(text, (size_t)head);
	free(key);
	free(target);
}

static void check_base64(const char *text, size_t size)
{
	unsigned char *out = xmalloc(size / 4 * 3 + 3);
	char *again = xmalloc(BASE64_LEN(size) + 1);
	ssize_t n = base64_decode(text, size, out);

	if (n >= 0) {
		base64_encode(out, (size_t)n, again);
		FUZZ_CHECK(strlen(again) == size);
	}
	free(again);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	check_ws(data, size, true);
	check_ws(data, size, false);
	check_frame(data, size);
	check_text(text, size);
	check_head(text, size);
	check_base64(text, size);
	free(text);
	return 0;
}
