#include "agent/message.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base64.h"
#include "util/alloc.h"
#include "util/cleanup.h"

/* ---- binary frames ---- */

void frame_head(unsigned char out[FRAME_HEAD_LEN], enum frame_kind kind, uint32_t channel)
{
	out[0] = (unsigned char)kind;
	for (int i = 0; i < 4; i++)
		out[1 + i] = (unsigned char)(channel >> (24 - 8 * i));
}

void frame_put_total(unsigned char out[FRAME_ACK_LEN], uint64_t total)
{
	for (int i = 0; i < FRAME_ACK_LEN; i++)
		out[i] = (unsigned char)(total >> (56 - 8 * i));
}

int frame_parse(const void *data, size_t len, struct frame *ret)
{
	const unsigned char *p = data;

	if (len < FRAME_HEAD_LEN || len > FRAME_HEAD_LEN + FRAME_DATA_MAX || !memchr("ioea", p[0], 4))
		return -EPROTO;
	*ret = (struct frame){ .kind = (enum frame_kind)p[0], .data = (const char *)p + FRAME_HEAD_LEN, .len = len - FRAME_HEAD_LEN };
	for (int i = 0; i < 4; i++)
		ret->channel = ret->channel << 8 | p[1 + i];
	if (ret->kind != FRAME_ACK)
		return 0;
	if (ret->len != FRAME_ACK_LEN)
		return -EPROTO;
	for (int i = 0; i < FRAME_ACK_LEN; i++)
		ret->total = ret->total << 8 | p[FRAME_HEAD_LEN + i];
	return 0;
}

/* ---- JSON ---- */

static const struct {
	const char *name;
	enum message_type type;
} types[] = {
	{ "exec", MESSAGE_EXEC },
	{ "attach", MESSAGE_ATTACH },
	{ "stdin", MESSAGE_STDIN },
	{ "close_stdin", MESSAGE_CLOSE_STDIN },
	{ "signal", MESSAGE_SIGNAL },
	{ "resize", MESSAGE_RESIZE },
	{ "resume", MESSAGE_RESUME },
	{ "release", MESSAGE_RELEASE },
	{ "files", MESSAGE_FILES },
	{ "query", MESSAGE_QUERY },
	{ "end", MESSAGE_END },
	{ "stdout", MESSAGE_STDOUT },
	{ "stderr", MESSAGE_STDERR },
	{ "exit", MESSAGE_EXIT },
	{ "error", MESSAGE_ERROR },
	{ "health", MESSAGE_HEALTH },
	{ "lifetime_expired", MESSAGE_LIFETIME_EXPIRED },
	{ "hello", MESSAGE_HELLO },
	{ "started", MESSAGE_STARTED },
	{ "answer", MESSAGE_ANSWER },
};

int message_parse(const char *text, size_t len, struct message *ret)
{
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *id = json_object_get(json, "id");
	const char *type = json_string_value(json_object_get(json, "type"));

	if (!type || (id && !json_is_string(id)) || json_string_length(id) > MESSAGE_ID_MAX) {
		json_decref(json);
		return -EPROTO;
	}
	*ret = (struct message){ .json = json, .id = id ? json_string_value(id) : "" };
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i].name) == 0)
			ret->type = types[i].type;
	return 0;
}

void message_done(struct message *m)
{
	json_decref(m->json);
	m->json = NULL;
}

const char *message_text(const struct message *m, const char *key)
{
	return json_string_value(json_object_get(m->json, key));
}

json_int_t message_number(const struct message *m, const char *key, json_int_t otherwise)
{
	json_t *v = json_object_get(m->json, key);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

int message_data(const struct message *m, struct buf *to)
{
	json_t *v = json_object_get(m->json, "data");
	size_t len = json_string_length(v);
	ssize_t n;

	if (!v)
		return 0;
	if (!json_is_string(v))
		return -EPROTO;
	if (buf_reserve(to, len / 4 * 3 + 3) < 0)
		return -ENOBUFS;
	n = base64_decode(json_string_value(v), len, to->data + to->len);
	if (n < 0)
		return -EPROTO;
	to->len += (size_t)n;
	to->data[to->len] = '\0';
	return 0;
}

json_t *message_with_data(const char *type, const char *id, const void *data, size_t len)
{
	CLEANUP(freep) char *text = xmalloc(BASE64_LEN(len) + 1);

	base64_encode(data, len, text);
	return json_pack("{s:s, s:s, s:s}", "type", type, "id", id, "data", text);
}

/* ---- signals ---- */

int signal_by_name(const char *name)
{
	const char *bare = strncasecmp(name, "SIG", 3) == 0 ? name + 3 : name;
	char *end;
	long n = strtol(bare, &end, 10);

	if (*bare && !*end)
		return n > 0 && n < NSIG ? (int)n : 0;
	for (int i = 1; i < NSIG; i++) {
		const char *abbrev = sigabbrev_np(i);

		if (abbrev && strcasecmp(bare, abbrev) == 0)
			return i;
	}
	return 0;
}

const char *signal_name(int signo, char buf[16])
{
	const char *abbrev = sigabbrev_np(signo);

	if (abbrev)
		snprintf(buf, 16, "SIG%s", abbrev);
	else
		snprintf(buf, 16, "%d", signo);
	return buf;
}
