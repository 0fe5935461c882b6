/* The frames of WebSockets (RFC 6455), both sides. Our own, and not libwebsockets' as elsewhere: the agent is one
 * static binary, and that library's libuv support is a plug-in that a static program cannot load. Pure; no sockets. */
#ifndef SOCKERLESS_AGENT_WS_H
#define SOCKERLESS_AGENT_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/error.h"

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_BIG = 1009,
};

#define WS_MESSAGE_MAX (4u << 20) /* a whole message; an exec carries its environment */
enum { WS_CONTROL_MAX = 125, WS_HEAD_MAX = 14 };

struct ws_parser {
	bool is_server;          /* frames of clients are masked, those of servers are not */
	unsigned char head[WS_HEAD_MAX];
	size_t head_len, head_need;
	enum ws_opcode opcode;   /* of the frame at hand */
	enum ws_opcode message_opcode; /* of the message that fragments belong to; 0: none is open */
	bool is_final;
	uint64_t left;           /* of the frame's payload */
	unsigned char mask[4];
	unsigned mask_at;
	struct buf message, control;
};

void ws_parser_init(struct ws_parser *p, bool is_server);
void ws_parser_done(struct ws_parser *p);

/* A whole message, or a control frame: borrowed bytes. False: stop; the parser may be gone then. */
typedef bool (*ws_message_fn)(void *arg, enum ws_opcode opcode, const void *data, size_t len);

/* 0, or 1 when the callback has said stop. -EPROTO, -EMSGSIZE: the connection is to be closed. */
int ws_feed(struct ws_parser *p, const void *data, size_t len, ws_message_fn on_message, void *arg);

/* Appends one final frame. `mask`: of a client's; NULL: a server's. 0 or buf_append's errors. The payload is
 * two parts, of which either may be empty. */
int ws_append(struct buf *out, enum ws_opcode opcode, const void *head, size_t head_len, const void *data, size_t len,
	      const unsigned char mask[4]);

#endif
