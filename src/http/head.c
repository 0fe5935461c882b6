#include "http/head.h"

#include <string.h>
#include <strings.h>

enum { FIELD_COST = 64, LENGTH_DIGITS_MAX = 18, METHOD_MAX = 32 };

static bool is_token(char ch)
{
	return ch > ' ' && ch < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", ch);
}

static bool is_hex(char ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f') || (ch >= 'A' && ch <= 'F');
}

static bool is_control(char ch)
{
	return (unsigned char)ch < ' ' || ch == 0x7f;
}

static bool is_word(const char *text, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(text, word, n) == 0;
}

static struct head_verdict verdict(int status, const char *message)
{
	return (struct head_verdict){ status, message };
}

/* The first fault is the one that is told. */
static void find_fault(struct head_facts *f, int status, const char *message)
{
	if (!f->bad.status)
		f->bad = verdict(status, message);
}

static void take_length(struct head_facts *f, const char *value, size_t n)
{
	if (f->has_length)
		find_fault(f, 400, "more than one Content-Length");
	f->has_length = true;
	f->length = 0;
	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9')
			n = 0;
		else
			f->length = f->length * 10 + (uint64_t)(value[i] - '0');
		if (i == LENGTH_DIGITS_MAX)
			n = 0;
	}
	if (n == 0)
		find_fault(f, 400, "bad Content-Length");
}

static void take_coding(struct head_facts *f, const char *value, size_t n)
{
	if (f->is_chunked)
		find_fault(f, 400, "more than one Transfer-Encoding");
	f->is_chunked = true;
	if (!is_word(value, n, "chunked"))
		find_fault(f, 501, "unsupported transfer encoding");
	if (f->is_1_0)
		find_fault(f, 400, "Transfer-Encoding in HTTP/1.0");
}

void head_take_field(struct head_facts *f, const char *name, size_t nname, const char *value, size_t nvalue)
{
	f->cost += FIELD_COST;
	for (size_t i = 0; i < nname; i++)
		if (!is_token(name[i]))
			find_fault(f, 400, "malformed header line");
	for (size_t i = 0; i < nvalue; i++)
		if (is_control(value[i]) && value[i] != '\t')
			find_fault(f, 400, "invalid header value");
	if (is_word(name, nname, "Content-Length")) {
		take_length(f, value, nvalue);
	} else if (is_word(name, nname, "Transfer-Encoding")) {
		take_coding(f, value, nvalue);
	} else if (is_word(name, nname, "Host")) {
		f->hosts++;
		for (size_t i = 0; i < nvalue; i++)
			if (value[i] == ' ' || value[i] == '\t' || value[i] == '/')
				find_fault(f, 400, "malformed Host header");
	} else if (is_word(name, nname, "Expect")) {
		f->expects_continue = true;
		if (!is_word(value, nvalue, "100-continue"))
			find_fault(f, 417, "unknown expectation");
	} else if (is_word(name, nname, "Cookie")) { /* copied and cut up by libmicrohttpd */
		f->cost += nvalue + FIELD_COST;
		for (size_t i = 0; i < nvalue; i++)
			f->cost += value[i] == ';' || value[i] == ',' ? FIELD_COST : 0;
	}
}

struct head_verdict head_judge(const struct head_facts *f)
{
	if (f->bad.status)
		return f->bad;
	if (f->is_chunked && f->has_length)
		return verdict(400, "both Content-Length and Transfer-Encoding");
	if (f->hosts > 1)
		return verdict(400, "too many Host headers");
	if (f->hosts == 0 && !f->is_1_0)
		return verdict(400, "missing required Host header");
	return verdict(0, NULL);
}

struct head_verdict head_check_target(const char *target, size_t n)
{
	unsigned queries = 0;
	bool in_query = false;

	if (n == 0 ||
	    (target[0] != '/' && !(n == 1 && target[0] == '*') && !(n >= 7 && strncasecmp(target, "http://", 7) == 0)))
		return verdict(400, "invalid URI for request");
	for (size_t i = 0; i < n; i++) {
		if (is_control(target[i]) || target[i] == ' ')
			return verdict(400, "invalid control character in URL");
		if (target[i] == '%' && (i + 2 >= n || !is_hex(target[i + 1]) || !is_hex(target[i + 2])))
			return verdict(400, "invalid URL escape");
		if (target[i] == '%' && target[i + 1] == '0' && target[i + 2] == '0')
			return verdict(400, "invalid control character in URL");
		queries += target[i] == '?' && !in_query;
		queries += target[i] == '&' && in_query;
		in_query |= target[i] == '?';
	}
	if (queries > HEAD_QUERIES_MAX)
		return verdict(400, "too many query parameters");
	return verdict(0, NULL);
}

/* ---- the head as bytes ---- */

struct reader {
	const char *data;
	size_t n, at;
	struct head_facts facts;
	struct head_verdict bad;
};

static enum head_state fail(struct reader *r, int status, const char *message)
{
	r->bad = verdict(status, message);
	return HEAD_BAD;
}

/* CR LF and nothing else ends a line: who takes a bare LF sees other lines than who does not. */
static enum head_state read_line_end(struct reader *r)
{
	if (r->at == r->n)
		return HEAD_INCOMPLETE;
	if (r->data[r->at] == '\n')
		return fail(r, 400, "line ends with a bare LF");
	if (r->data[r->at] != '\r')
		return fail(r, 400, "malformed HTTP request");
	if (r->at + 1 == r->n)
		return HEAD_INCOMPLETE;
	if (r->data[r->at + 1] != '\n')
		return fail(r, 400, "bare CR in the head");
	r->at += 2;
	return HEAD_GOOD;
}

static enum head_state read_version(struct reader *r)
{
	static const char model[] = "HTTP/";
	const char *v = r->data + r->at;
	size_t n = r->n - r->at;

	if (strncmp(v, model, n < 5 ? n : 5) != 0)
		return fail(r, 400, "malformed HTTP version");
	if (n < 8)
		return HEAD_INCOMPLETE;
	if (v[5] < '0' || v[5] > '9' || v[6] != '.' || v[7] < '0' || v[7] > '9')
		return fail(r, 400, "malformed HTTP version");
	if (v[5] != '1')
		return fail(r, 505, "unsupported HTTP version");
	r->facts.is_1_0 = v[7] == '0';
	r->at += 8;
	return read_line_end(r);
}

static enum head_state read_request_line(struct reader *r)
{
	size_t start = r->at;
	struct head_verdict v;

	while (r->at < r->n && is_token(r->data[r->at]))
		r->at++;
	if (r->at - start > METHOD_MAX)
		return fail(r, 400, "malformed HTTP request");
	if (r->at == r->n)
		return HEAD_INCOMPLETE;
	if (r->at == start || r->data[r->at] != ' ')
		return fail(r, 400, "malformed HTTP request");
	start = ++r->at;
	while (r->at < r->n && r->data[r->at] != ' ' && r->data[r->at] != '\r' && r->data[r->at] != '\n')
		r->at++;
	if (r->at == r->n)
		return HEAD_INCOMPLETE;
	v = head_check_target(r->data + start, r->at - start);
	if (v.status)
		return fail(r, v.status, v.message);
	for (size_t i = start; i < r->at; i++)
		r->facts.cost += r->data[i] == '&' || r->data[i] == '?' ? FIELD_COST : 0;
	if (r->data[r->at] != ' ')
		return fail(r, 400, "malformed HTTP version");
	r->at++;
	return read_version(r);
}

static enum head_state read_field(struct reader *r)
{
	size_t name = r->at, nname, value, end;
	enum head_state state;

	if (r->data[r->at] == ' ' || r->data[r->at] == '\t')
		return fail(r, 400, "folded header line");
	while (r->at < r->n && is_token(r->data[r->at]))
		r->at++;
	if (r->at == r->n)
		return HEAD_INCOMPLETE;
	nname = r->at - name;
	if (nname == 0 || r->data[r->at] != ':')
		return fail(r, 400, "malformed header line");
	value = ++r->at;
	while (r->at < r->n && r->data[r->at] != '\r' && r->data[r->at] != '\n')
		r->at++;
	end = r->at;
	state = read_line_end(r);
	if (state != HEAD_GOOD)
		return state;
	while (value < end && (r->data[value] == ' ' || r->data[value] == '\t'))
		value++;
	while (end > value && (r->data[end - 1] == ' ' || r->data[end - 1] == '\t'))
		end--;
	head_take_field(&r->facts, r->data + name, nname, r->data + value, end - value);
	return HEAD_GOOD;
}

static enum head_state read_head(struct reader *r)
{
	enum head_state state;

	while (r->at + 1 < r->n && r->data[r->at] == '\r' && r->data[r->at + 1] == '\n')
		r->at += 2; /* RFC 9112, 2.2: empty lines before the request */
	if (r->at == r->n || (r->data[r->at] == '\r' && r->at + 1 == r->n))
		return HEAD_INCOMPLETE;
	state = read_request_line(r);
	while (state == HEAD_GOOD) {
		if (r->at == r->n)
			return HEAD_INCOMPLETE;
		if (r->data[r->at] == '\r' || r->data[r->at] == '\n') {
			state = read_line_end(r);
			break;
		}
		state = read_field(r);
	}
	return state;
}

enum head_state head_check(const char *data, size_t n, size_t max, size_t *ret_len, struct head_verdict *ret)
{
	struct reader r = { .data = data, .n = n };
	enum head_state state = read_head(&r);

	if (state == HEAD_GOOD) {
		r.bad = head_judge(&r.facts);
		state = r.bad.status ? HEAD_BAD : HEAD_GOOD;
	}
	if ((state == HEAD_INCOMPLETE && n >= max) || (state == HEAD_GOOD && r.at + r.facts.cost > max))
		state = fail(&r, 431, "request header fields too large");
	if (state == HEAD_GOOD)
		*ret_len = r.at;
	else if (state == HEAD_BAD)
		*ret = r.bad;
	return state;
}
