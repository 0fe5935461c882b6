/* DNS messages (RFC 1035, 3596): reading a query, writing an answer. Pure; anything may be in a message. */
#ifndef SOCKERLESS_NETWORK_DNS_H
#define SOCKERLESS_NETWORK_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 256 /* of the text, with its NUL */
#define DNS_HEADER 12
#define DNS_UDP_MAX 512  /* without EDNS */
#define DNS_EDNS_MAX 4096 /* what we send at most, whatever is asked for */
#define DNS_MESSAGE_MAX 65535

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_ANY = 255 };
enum dns_rcode { DNS_OK = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4, DNS_REFUSED = 5 };

struct dns_question {
	uint16_t id, flags;      /* as in the header */
	char name[DNS_NAME_MAX]; /* in lower case, without the last dot; "" is the root */
	bool is_plain;           /* every byte of it is a letter, digit, '-' or '_' */
	uint16_t type, class;
	size_t end;          /* of the question section */
	size_t answer_bytes; /* what the asker takes by UDP */
};

/* 0, or -EINVAL: no query that could be answered; -ENOTSUP: to be answered with DNS_NOTIMP, -EBADMSG: with
 * DNS_FORMERR. ret->end is DNS_HEADER when no question was read. */
int dns_parse_query(const uint8_t *msg, size_t len, struct dns_question *ret);

struct dns_record {
	uint16_t type;           /* DNS_A, DNS_AAAA, DNS_PTR */
	uint8_t ip[16];          /* IPv4 mapped */
	char name[DNS_NAME_MAX]; /* of DNS_PTR */
};

/* An answer to `query`, the message that `q` was read from; what does not fit is left out and the answer marked as
 * truncated. Returns its length; `max` is at least DNS_UDP_MAX. */
size_t dns_build_answer(const uint8_t *query, const struct dns_question *q, enum dns_rcode rcode,
			const struct dns_record *records, size_t n, uint8_t *ret, size_t max);

/* Is `msg` an answer to the question of `query`, of which only the id may differ? */
bool dns_is_answer(const uint8_t *msg, size_t len, const uint8_t *query, size_t query_len, uint16_t id);
bool dns_is_truncated(const uint8_t *msg);
void dns_set_id(uint8_t *msg, uint16_t id);

/* "4.3.2.1.in-addr.arpa", or 32 digits and "ip6.arpa". */
bool dns_parse_reverse(const char *name, uint8_t ret_ip[16]);

#endif
