/* What daemon and agent say to each other: JSON messages, and in our own subprotocol binary frames for bytes.
 * docs/agents.md has all of it. Pure. */
#ifndef SOCKERLESS_AGENT_MESSAGE_H
#define SOCKERLESS_AGENT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "util/buf.h"

/* A binary frame: its kind, the session's channel (32 bits, big endian), then the bytes. */
enum frame_kind {
	FRAME_STDIN = 'i',
	FRAME_STDOUT = 'o',
	FRAME_STDERR = 'e',
	FRAME_ACK = 'a', /* the bytes are one number (64 bits, big endian): how much has been consumed in all */
};
enum { FRAME_HEAD_LEN = 5, FRAME_DATA_MAX = 64 << 10, FRAME_ACK_LEN = 8 };

struct frame {
	enum frame_kind kind;
	uint32_t channel;
	const char *data; /* borrowed from what was parsed */
	size_t len;
	uint64_t total; /* of an ack */
};
void frame_head(unsigned char out[FRAME_HEAD_LEN], enum frame_kind kind, uint32_t channel);
void frame_put_total(unsigned char out[FRAME_ACK_LEN], uint64_t total);
/* 0, or -EPROTO. */
int frame_parse(const void *data, size_t len, struct frame *ret);

enum message_type {
	MESSAGE_UNKNOWN,
	/* to the agent */
	MESSAGE_EXEC,
	MESSAGE_ATTACH,
	MESSAGE_STDIN,
	MESSAGE_CLOSE_STDIN,
	MESSAGE_SIGNAL,
	MESSAGE_RESIZE,
	MESSAGE_RESUME,
	MESSAGE_RELEASE,
	MESSAGE_FILES,
	MESSAGE_QUERY,
	MESSAGE_END,
	/* from it */
	MESSAGE_STDOUT,
	MESSAGE_STDERR,
	MESSAGE_EXIT,
	MESSAGE_ERROR,
	MESSAGE_HEALTH,
	MESSAGE_LIFETIME_EXPIRED,
	MESSAGE_HELLO,
	MESSAGE_STARTED,
	MESSAGE_ANSWER,
};

enum { MESSAGE_ID_MAX = 256 };

struct message {
	enum message_type type;
	const char *id; /* "" when it has none; borrowed, as all below, from `json` */
	json_t *json; /* a reference of ours */
};
/* 0; -EPROTO: no JSON object with a type, or its id is no text or too long. */
int message_parse(const char *text, size_t len, struct message *ret);
void message_done(struct message *m);

const char *message_text(const struct message *m, const char *key); /* NULL when absent */
json_int_t message_number(const struct message *m, const char *key, json_int_t otherwise);
/* The base64 of "data", appended. 0 or -EPROTO, -ENOBUFS. */
int message_data(const struct message *m, struct buf *to);
/* {"type": type, "id": id, "data": base64 of it} */
json_t *message_with_data(const char *type, const char *id, const void *data, size_t len);

/* "SIGTERM", "TERM", "15" → 15; 0 when it is none. And back: "SIGTERM"; real-time ones as numbers. */
int signal_by_name(const char *name);
const char *signal_name(int signo, char buf[16]);

#endif
