/* Reading and writing DNS messages. */
#include "network/dns.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TTL_S 600 /* as Docker's */

#define FLAG_RESPONSE 0x8000
#define FLAG_OPCODE 0x7800
#define FLAG_TRUNCATED 0x0200
#define FLAG_RECURSE 0x0100
#define FLAG_RECURSES 0x0080

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static size_t put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return 2;
}

/* ---- reading ---- */

/* An uncompressed name, as a question has it. The offset behind it; 0: it is none. */
static size_t read_name(const uint8_t *msg, size_t len, size_t at, struct dns_question *ret)
{
	size_t n = 0;

	ret->is_plain = true;
	while (at < len && msg[at]) {
		size_t label = msg[at++];

		if (label > 63 || at + label >= len || n + label + 2 > sizeof ret->name)
			return 0;
		if (n)
			ret->name[n++] = '.';
		for (size_t i = 0; i < label; i++) {
			char c = (char)tolower(msg[at + i]);

			ret->is_plain = ret->is_plain && (isalnum((unsigned char)c) || c == '-' || c == '_');
			ret->name[n++] = c ? c : '?';
		}
		at += label;
	}
	ret->name[n] = '\0';
	return at < len ? at + 1 : 0;
}

/* What the asker's OPT record says, if that is the only other record. */
static size_t read_edns(const uint8_t *msg, size_t len, size_t at)
{
	size_t bytes;

	if (get16(msg + 6) || get16(msg + 8) || get16(msg + 10) != 1 || at + 11 > len || msg[at] != 0 ||
	    get16(msg + at + 1) != DNS_OPT)
		return DNS_UDP_MAX;
	bytes = get16(msg + at + 3);
	return bytes < DNS_UDP_MAX ? DNS_UDP_MAX : bytes > DNS_EDNS_MAX ? DNS_EDNS_MAX : bytes;
}

int dns_parse_query(const uint8_t *msg, size_t len, struct dns_question *ret)
{
	size_t at;

	*ret = (struct dns_question){ .end = DNS_HEADER, .answer_bytes = DNS_UDP_MAX };
	if (len < DNS_HEADER || get16(msg + 2) & FLAG_RESPONSE)
		return -EINVAL;
	ret->id = get16(msg);
	ret->flags = get16(msg + 2);
	if (ret->flags & FLAG_OPCODE)
		return -ENOTSUP;
	if (get16(msg + 4) != 1)
		return -EBADMSG;
	at = read_name(msg, len, DNS_HEADER, ret);
	if (at == 0 || at + 4 > len)
		return -EBADMSG;
	ret->type = get16(msg + at);
	ret->class = get16(msg + at + 2);
	ret->end = at + 4;
	ret->answer_bytes = read_edns(msg, len, ret->end);
	return 0;
}

static bool is_same_question(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = DNS_HEADER; i < n; i++) {
		if (tolower(a[i]) != tolower(b[i]))
			return false;
	}
	return true;
}

bool dns_is_answer(const uint8_t *msg, size_t len, const uint8_t *query, size_t query_len, uint16_t id)
{
	struct dns_question q;

	if (len < DNS_HEADER || get16(msg) != id || !(get16(msg + 2) & FLAG_RESPONSE))
		return false;
	if (dns_parse_query(query, query_len, &q) < 0)
		return false;
	if (get16(msg + 4) == 0) /* a server that refuses may leave the question out */
		return true;
	return len >= q.end && get16(msg + 4) == 1 && is_same_question(msg, query, q.end);
}

bool dns_is_truncated(const uint8_t *msg)
{
	return get16(msg + 2) & FLAG_TRUNCATED;
}

void dns_set_id(uint8_t *msg, uint16_t id)
{
	put16(msg, id);
}

/* ---- names of addresses ---- */

static bool reverse_v4(const char *name, size_t len, uint8_t ret_ip[16])
{
	unsigned b[4];
	int used = 0;

	if (sscanf(name, "%3u.%3u.%3u.%3u%n", &b[3], &b[2], &b[1], &b[0], &used) != 4 || (size_t)used != len)
		return false;
	memset(ret_ip, 0, 10);
	ret_ip[10] = ret_ip[11] = 0xff;
	for (int i = 0; i < 4; i++) {
		if (b[i] > 255)
			return false;
		ret_ip[12 + i] = (uint8_t)b[i];
	}
	return true;
}

static bool reverse_v6(const char *name, size_t len, uint8_t ret_ip[16])
{
	if (len != 63)
		return false;
	memset(ret_ip, 0, 16);
	for (size_t i = 0; i < 32; i++) {
		char c = name[i * 2];

		if (!isxdigit((unsigned char)c) || (i < 31 && name[i * 2 + 1] != '.'))
			return false;
		ret_ip[15 - i / 2] |= (uint8_t)((c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10) << (i % 2 * 4));
	}
	return true;
}

bool dns_parse_reverse(const char *name, uint8_t ret_ip[16])
{
	static const char v4[] = ".in-addr.arpa", v6[] = ".ip6.arpa";
	size_t len = strlen(name);

	if (len > sizeof v4 - 1 && !strcasecmp(name + len - (sizeof v4 - 1), v4))
		return reverse_v4(name, len - (sizeof v4 - 1), ret_ip);
	if (len > sizeof v6 - 1 && !strcasecmp(name + len - (sizeof v6 - 1), v6))
		return reverse_v6(name, len - (sizeof v6 - 1), ret_ip);
	return false;
}

/* ---- writing ---- */

/* The length of a name in a message; 0: it cannot be one. */
static size_t write_name(uint8_t *at, const char *name)
{
	size_t n = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		if (label == 0 || label > 63 || n + label + 2 > 255)
			return 0;
		at[n++] = (uint8_t)label;
		memcpy(at + n, name, label);
		n += label;
		name += label;
		name += *name == '.';
	}
	at[n++] = 0;
	return n;
}

static size_t write_record(uint8_t *at, const struct dns_record *r)
{
	uint8_t data[DNS_NAME_MAX];
	size_t n = 0, len;

	if (r->type == DNS_A) {
		memcpy(data, r->ip + 12, len = 4);
	} else if (r->type == DNS_AAAA) {
		memcpy(data, r->ip, len = 16);
	} else {
		len = write_name(data, r->name);
		if (len == 0)
			return 0;
	}
	n += put16(at + n, 0xc000 | DNS_HEADER); /* the question's name */
	n += put16(at + n, r->type);
	n += put16(at + n, 1);
	n += put16(at + n, 0);
	n += put16(at + n, TTL_S);
	n += put16(at + n, (unsigned)len);
	memcpy(at + n, data, len);
	return n + len;
}

size_t dns_build_answer(const uint8_t *query, const struct dns_question *q, enum dns_rcode rcode,
			const struct dns_record *records, size_t n, uint8_t *ret, size_t max)
{
	unsigned flags = FLAG_RESPONSE | (q->flags & (FLAG_OPCODE | FLAG_RECURSE)) | FLAG_RECURSES | (unsigned)rcode;
	size_t at = q->end, count = 0;

	memset(ret, 0, DNS_HEADER);
	memcpy(ret + DNS_HEADER, query + DNS_HEADER, q->end - DNS_HEADER);
	for (size_t i = 0; i < n; i++) {
		uint8_t record[DNS_NAME_MAX + 12];
		size_t len = write_record(record, &records[i]);

		if (at + len > max) {
			flags |= FLAG_TRUNCATED;
			break;
		}
		memcpy(ret + at, record, len);
		at += len;
		count += len > 0;
	}
	put16(ret, q->id);
	put16(ret + 2, flags);
	put16(ret + 4, q->end > DNS_HEADER);
	put16(ret + 6, (unsigned)count);
	return at;
}
