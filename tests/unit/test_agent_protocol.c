/* What daemon and agent say to each other, as far as it needs no sockets: frames, messages, handshakes, windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <signal.h>

#include <cmocka.h>

#include "agent/base64.h"
#include "agent/dialer.h"
#include "agent/flow.h"
#include "agent/handshake.h"
#include "agent/message.h"
#include "agent/sha1.h"
#include "agent/ws.h"
#include "util/alloc.h"

/* ---- hashes and encodings ---- */

static void assert_sha1(const char *text, const char *expected)
{
	unsigned char digest[SHA1_LEN];
	char hex[2 * SHA1_LEN + 1];

	sha1_of(text, strlen(text), digest);
	for (int i = 0; i < SHA1_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(hex, expected);
}

static void test_sha1(void **state)
{
	(void)state;
	assert_sha1("", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	assert_sha1("abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	assert_sha1("0123456789012345678901234567890123456789012345678901234567890123",
		    "cf0800f7644ace3cb4c3fa33388d3ba0ea3c8b6e");
}

static void test_base64(void **state)
{
	static const struct {
		const char *plain, *coded;
	} pairs[] = { { "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
		      { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xff\xfe\x3e", "//4+" } };
	static const char *const bad[] = { "Z", "Zg=", "Zg=a", "Zg==Zg==", "Z===", "Zm9\n", "====" };
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		base64_encode(pairs[i].plain, strlen(pairs[i].plain), out);
		assert_string_equal(out, pairs[i].coded);
		assert_int_equal(base64_decode(pairs[i].coded, strlen(pairs[i].coded), out), strlen(pairs[i].plain));
		assert_memory_equal(out, pairs[i].plain, strlen(pairs[i].plain));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), out), -EINVAL);
}

/* ---- frames ---- */

struct heard {
	struct buf bytes;
	enum ws_opcode opcodes[16];
	size_t n;
};

static bool on_message(void *arg, enum ws_opcode opcode, const void *data, size_t len)
{
	struct heard *h = arg;

	h->opcodes[h->n++] = opcode;
	buf_append(&h->bytes, data, len);
	return true;
}

static int feed(bool is_server, const void *data, size_t len, struct heard *h)
{
	struct ws_parser p;
	int r;

	memset(h, 0, sizeof(*h));
	buf_init(&h->bytes, 8 << 20);
	ws_parser_init(&p, is_server);
	r = ws_feed(&p, data, len, on_message, h);
	ws_parser_done(&p);
	return r;
}

static void test_frames_go_round(void **state)
{
	static const size_t sizes[] = { 0, 1, 125, 126, 65535, 65536, 1000003 };
	static const unsigned char mask[4] = { 1, 2, 3, 250 };
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int masked = 0; masked < 2; masked++) {
			char *data = xmalloc(sizes[i] + 1);
			struct buf out;

			memset(data, 'x', sizes[i]);
			buf_init(&out, 8 << 20);
			assert_int_equal(ws_append(&out, WS_BINARY, "ab", 2, data, sizes[i], masked ? mask : NULL), 0);
			assert_int_equal(feed(masked, out.data, out.len, &h), 0);
			assert_int_equal(h.n, 1);
			assert_int_equal(h.bytes.len, sizes[i] + 2);
			assert_memory_equal(h.bytes.data, "ab", 2);
			assert_memory_equal(h.bytes.data + 2, data, sizes[i]);
			buf_done(&h.bytes);
			buf_done(&out);
			free(data);
		}
	}
}

static void test_fragments(void **state)
{
	struct heard h;

	(void)state;
	/* A ping may come between the parts of a message. */
	assert_int_equal(feed(false, "\x01\x02he\x89\x01p\x00\x01l\x80\x02lo", 14, &h), 0);
	assert_int_equal(h.n, 2);
	assert_int_equal(h.opcodes[0], WS_PING);
	assert_int_equal(h.opcodes[1], WS_TEXT);
	assert_memory_equal(h.bytes.data, "phello", 6);
	buf_done(&h.bytes);
}

static void test_bad_frames(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int expected;
	} bad[] = {
		{ "\xc1\x00", 2, -EPROTO },                                     /* a reserved bit */
		{ "\x83\x00", 2, -EPROTO },                                     /* a reserved opcode */
		{ "\x80\x00", 2, -EPROTO },                                     /* nothing is continued */
		{ "\x01\x00\x01\x00", 4, -EPROTO },                             /* a message within a message */
		{ "\x09\x00", 2, -EPROTO },                                     /* a control frame in parts */
		{ "\x89\x7e\x01\x00", 4, -EPROTO },                             /* a control frame too long */
		{ "\x81\x81\x00\x00\x00\x00x", 7, -EPROTO },                    /* a server masks */
		{ "\x82\x7f\x00\x00\x00\x00\x00\x40\x00\x01", 10, -EMSGSIZE },  /* 4 MiB and a byte */
		{ "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, -EMSGSIZE },
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(feed(false, bad[i].bytes, bad[i].len, &h), bad[i].expected);
		buf_done(&h.bytes);
	}
	assert_int_equal(feed(true, "\x81\x01x", 3, &h), -EPROTO); /* a client does not mask */
	buf_done(&h.bytes);
}

/* ---- handshakes ---- */

static void test_handshake(void **state)
{
	char accept[HANDSHAKE_ACCEPT_LEN + 1], key[HANDSHAKE_KEY_LEN + 1], *request, *response, *said = NULL, *v;
	size_t len;

	(void)state;
	handshake_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept); /* RFC 6455, 1.3 */
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	handshake_make_key(key);
	request = handshake_request("host:1", "/ws?a=1&token=x%2fy", key, "secret");
	len = strlen(request);
	assert_int_equal(handshake_head_length(request, len), len);
	assert_int_equal(handshake_head_length(request, len - 1), 0);
	assert_null(handshake_fault(request, len, &said));
	assert_string_equal(said, key);
	v = handshake_target(request, len);
	assert_string_equal(v, "/ws?a=1&token=x%2fy");
	free(said);
	said = handshake_query(v, "token");
	assert_string_equal(said, "x/y");
	assert_null(handshake_query(v, "oken"));
	free(said);
	free(v);
	v = handshake_header(request, len, "authorization");
	assert_string_equal(v, "Bearer secret");
	free(v);
	response = handshake_response(key, true);
	assert_int_equal(handshake_status(response, strlen(response)), 101);
	free(response);
	free(request);
}

static void test_handshake_faults(void **state)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
		"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n",
		"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n",
	};
	char *key = NULL, *big = xmalloc(HANDSHAKE_HEAD_MAX);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(handshake_fault(bad[i], strlen(bad[i]), &key));
	assert_null(key);
	assert_null(handshake_target("POST / HTTP/1.1\r\n\r\n", 19));
	assert_null(handshake_target("GET / HTTP/1.0\r\n\r\n", 18));
	assert_null(handshake_query("/x?token=%zz", "token"));
	assert_null(handshake_query("/x?token=a%00b", "token"));
	memset(big, 'a', HANDSHAKE_HEAD_MAX);
	assert_int_equal(handshake_head_length(big, HANDSHAKE_HEAD_MAX), -EMSGSIZE);
	free(big);
}

static void test_tokens(void **state)
{
	char a[TOKEN_LEN + 1], b[TOKEN_LEN + 1];

	(void)state;
	token_make(a);
	token_make(b);
	assert_int_equal(strlen(a), TOKEN_LEN);
	assert_true(token_equal(a, a));
	assert_false(token_equal(a, b));
	assert_false(token_equal(a, NULL));
	assert_false(token_equal(NULL, NULL));
	assert_false(token_equal("", ""));
	assert_false(token_equal("abc", "abcd"));
}

static void test_urls(void **state)
{
	struct dial_target t;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(dial_parse("ws://host:9111", "/ws", &t, &err), 0);
	assert_string_equal(t.host, "host");
	assert_string_equal(t.port, "9111");
	assert_string_equal(t.path, "/ws");
	dial_target_done(&t);
	assert_int_equal(dial_parse("ws://[::1]/a?b=c", "/ws", &t, &err), 0);
	assert_string_equal(t.host, "::1");
	assert_string_equal(t.port, "80");
	assert_string_equal(t.path, "/a?b=c");
	dial_target_done(&t);
	assert_int_equal(dial_parse("unix:///run/x.sock:/p?id=1", "/d", &t, &err), 0);
	assert_string_equal(t.socket, "/run/x.sock");
	assert_string_equal(t.path, "/p?id=1");
	dial_target_done(&t);
	assert_false(t.is_tls);
	assert_int_equal(dial_parse("wss://[::1]?id=1", "/ws", &t, &err), 0);
	assert_true(t.is_tls);
	assert_string_equal(t.host, "::1");
	assert_string_equal(t.port, "443");
	assert_string_equal(t.path, "/ws?id=1");
	dial_target_done(&t);
	for (size_t i = 0; i < 6; i++) {
		static const char *const bad[] = { "", "ftp://x", "ws://", "wss:///a", "ws://a b", "fd://9999" };

		assert_int_equal(dial_parse(bad[i], "/ws", &t, &err), -EINVAL);
		dial_target_done(&t);
	}
}

/* ---- messages ---- */

static void test_messages(void **state)
{
	static const char *const bad[] = { "",
					   "[]",
					   "{}",
					   "{\"type\":1}",
					   "{\"type\":\"exec\",\"id\":7}",
					   "{\"type\":\"exec\"",
					   "{\"type\":\"a\",\"type\":\"b\"}" };
	struct message m;
	struct frame f;
	struct buf b;
	json_t *o = message_with_data("stdout", "s", "hi", 2);
	char *text = json_dumps(o, JSON_COMPACT), name[16];

	(void)state;
	json_decref(o);
	assert_int_equal(message_parse(text, strlen(text), &m), 0);
	free(text);
	assert_int_equal(m.type, MESSAGE_STDOUT);
	assert_string_equal(m.id, "s");
	buf_init(&b, 100);
	assert_int_equal(message_data(&m, &b), 0);
	assert_int_equal(b.len, 2);
	buf_done(&b);
	message_done(&m);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(message_parse(bad[i], strlen(bad[i]), &m), -EPROTO);
	assert_int_equal(frame_parse("o\0\0\1\2data", 9, &f), 0);
	assert_int_equal(f.channel, 258);
	assert_int_equal(f.len, 4);
	assert_int_equal(frame_parse("o\0\0\1", 4, &f), -EPROTO);
	assert_int_equal(frame_parse("x\0\0\0\1", 5, &f), -EPROTO);
	assert_int_equal(frame_parse("a\0\0\0\1\0\0\0\0\0\0\0", 12, &f), -EPROTO);
	assert_int_equal(signal_by_name("SIGTERM"), SIGTERM);
	assert_int_equal(signal_by_name("kill"), SIGKILL);
	assert_int_equal(signal_by_name("10"), 10);
	assert_int_equal(signal_by_name("SIGNOTHING"), 0);
	assert_string_equal(signal_name(SIGWINCH, name), "SIGWINCH");
	assert_string_equal(signal_name(40, name), "40");
}

/* ---- windows ---- */

static void test_window(void **state)
{
	char *data = xmalloc(FLOW_WINDOW);
	struct flow_out f;
	struct flow_in in = { 0 };
	const struct flow_chunk *c;
	uint64_t sent = 0;

	(void)state;
	memset(data, 'x', FLOW_WINDOW);
	flow_out_init(&f);
	assert_int_equal(flow_out_room(&f), FLOW_WINDOW);
	flow_out_add(&f, FRAME_STDOUT, data, FLOW_WINDOW);
	assert_int_equal(flow_out_room(&f), 0);
	flow_out_add(&f, FRAME_STDERR, "more", 4); /* it may be overdrawn, but is not sent */
	while ((c = flow_out_next(&f))) {
		assert_int_equal(c->at, sent);
		assert_int_equal(flow_in_add(&in, c->len), 0);
		sent += c->len;
	}
	assert_int_equal(sent, FLOW_WINDOW);
	assert_false(flow_out_is_sent(&f));
	assert_int_equal(flow_out_ack(&f, sent + 1), -EPROTO);
	assert_true(flow_in_consume(&in, FLOW_WINDOW / 2));
	assert_int_equal(flow_out_ack(&f, in.consumed), 0);
	assert_int_equal(flow_out_ack(&f, 1), 0); /* an old one changes nothing */
	assert_int_equal(f.acked, FLOW_WINDOW / 2);
	c = flow_out_next(&f);
	assert_int_equal(c->kind, FRAME_STDERR);
	assert_null(flow_out_next(&f));
	/* The connection broke: the other side has a part of it. */
	assert_int_equal(flow_out_rewind(&f, FLOW_WINDOW / 4), -EPROTO);
	assert_int_equal(flow_out_rewind(&f, FLOW_WINDOW), 0);
	c = flow_out_next(&f);
	assert_memory_equal(c->data, "more", 4);
	flow_out_done(&f);
	free(data);
}

static void test_window_is_kept(void **state)
{
	struct flow_in in = { 0 };
	int r = 0;

	(void)state;
	for (int i = 0; i < 100 && r == 0; i++)
		r = flow_in_add(&in, 32 << 10);
	assert_int_equal(r, -EPROTO);
	assert_true(in.received <= FLOW_WINDOW + FRAME_DATA_MAX);
}

static void test_little_by_little(void **state)
{
	struct flow_out f;
	const struct flow_chunk *c;

	(void)state;
	flow_out_init(&f);
	for (int i = 0; i < 1000; i++)
		flow_out_add(&f, FRAME_STDOUT, "x", 1);
	flow_out_add(&f, FRAME_STDERR, "e", 1);
	c = flow_out_next(&f);
	assert_int_equal(c->len, 1000);
	c = flow_out_next(&f);
	assert_int_equal(c->kind, FRAME_STDERR);
	assert_true(flow_out_is_sent(&f));
	flow_out_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha1),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_frames_go_round),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_bad_frames),
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_handshake_faults),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_window_is_kept),
		cmocka_unit_test(test_little_by_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
