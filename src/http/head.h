/* A request's head, judged before anybody acts on it. Pure functions.
 *
 * libmicrohttpd takes more than it should (two Content-Lengths, a length beside
 * a chunked body, no Host) and answers what it does not take in HTML. A
 * connection's first head is judged as bytes, by head_check; those after it,
 * which libmicrohttpd reads itself, by their fields, with the same rules. */
#ifndef SOCKERLESS_HTTP_HEAD_H
#define SOCKERLESS_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum head_state { HEAD_INCOMPLETE, HEAD_GOOD, HEAD_BAD };

enum { HEAD_QUERIES_MAX = 256 };

struct head_verdict {
	int status;              /* 0: good */
	const char *message;     /* static */
};

/* What the field lines say together. Zero-initialise, set is_1_0, feed each
 * line to head_take_field, then ask head_judge. */
struct head_facts {
	bool is_1_0;
	bool is_chunked, has_length, expects_continue;
	unsigned hosts;
	uint64_t length;
	size_t cost;             /* bytes that libmicrohttpd's pool pays beyond the text */
	struct head_verdict bad; /* the first fault */
};

/* `value` without white space around it. */
void head_take_field(struct head_facts *f, const char *name, size_t nname, const char *value, size_t nvalue);
struct head_verdict head_judge(const struct head_facts *f);

/* The request target: origin form, absolute form or "*"; escapes whole; no control characters. */
struct head_verdict head_check_target(const char *target, size_t n);

/* Judges the first `n` bytes of a connection. HEAD_GOOD: *ret_len is the head's
 * length, with its empty line. HEAD_BAD: *ret says why. HEAD_INCOMPLETE: so far
 * so good; `max` bytes without an end are bad. */
enum head_state head_check(const char *data, size_t n, size_t max, size_t *ret_len, struct head_verdict *ret);

#endif
