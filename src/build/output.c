/* The build's reply: one JSON message a write, as Docker's stream formatter
 * makes them, escapes of Go's encoder included. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build/internal.h"
#include "util/alloc.h"
#include "util/buf.h"

enum { MESSAGE_MAX = 8 << 20 };

/* Bytes of the UTF-8 character at s, at most n; 0: it is none. */
static size_t rune_length(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0x80                 ? 1 :
		     s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		     s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
		     s[0] >= 0xf0 && s[0] < 0xf5 ? 4 :
						   0;

	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (len == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)))
		return 0;
	return len == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) ? 0 : len;
}

static void put_escaped(struct buf *out, unsigned char c)
{
	static const char known[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
	const char *at = c ? strchr(known, c) : NULL;

	if (at)
		buf_printf(out, "\\%c", letters[at - known]);
	else
		buf_printf(out, "\\u%04x", c);
}

static void put_string(struct buf *out, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	buf_puts(out, "\"");
	while (len > 0) {
		size_t n = rune_length(s, len);

		if (n == 0)
			buf_puts(out, "\\ufffd");
		else if (n == 1 && (*s < ' ' || strchr("\"\\<>&", *s)))
			put_escaped(out, *s);
		else if (n == 3 && memcmp(s, "\xe2\x80", 2) == 0 && (s[2] == 0xa8 || s[2] == 0xa9))
			buf_printf(out, "\\u20%02x", s[2] - 0x80);
		else
			buf_append(out, s, n);
		n = n ? n : 1;
		s += n;
		len -= n;
	}
	buf_puts(out, "\"");
}

static void emit(struct build *b, const char *before, const char *text, size_t len, const char *after)
{
	struct buf out;

	if (b->options.is_quiet)
		return;
	buf_init(&out, MESSAGE_MAX);
	buf_puts(&out, before);
	put_string(&out, text, len);
	buf_puts(&out, after);
	b->sink.output(b->sink.arg, out.data, out.len);
	buf_done(&out);
}

void output_stdout(struct build *b, const char *text, size_t len)
{
	emit(b, "{\"stream\":", text, len, "}\r\n");
}

void output_text(struct build *b, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0)
		output_stdout(b, text, (size_t)n);
	free(text);
}

/* Red on a terminal. */
void output_stderr(struct build *b, const char *text, size_t len)
{
	char *red = xmalloc(len + 16);
	int n = snprintf(red, 16, "\x1b[91m");

	memcpy(red + n, text, len);
	memcpy(red + n + len, "\x1b[0m", 4);
	output_stdout(b, red, (size_t)n + len + 4);
	free(red);
}

void output_aux_id(struct build *b, const char *image_id)
{
	if (b->options.wants_aux && image_id)
		emit(b, "{\"aux\":{\"ID\":", image_id, strlen(image_id), "}}\r\n");
}

char *build_error_line(const struct error *err, int exit_code)
{
	struct buf out;

	buf_init(&out, MESSAGE_MAX);
	buf_puts(&out, "{\"errorDetail\":{");
	if (exit_code)
		buf_printf(&out, "\"code\":%d,", exit_code);
	buf_puts(&out, "\"message\":");
	put_string(&out, err->message, strlen(err->message));
	buf_puts(&out, "},\"error\":");
	put_string(&out, err->message, strlen(err->message));
	buf_puts(&out, "}\r\n");
	return buf_steal(&out);
}

const char *short_id(const char *image_id, char text[ID_SHORT_LEN + 1])
{
	snprintf(text, ID_SHORT_LEN + 1, "%s", image_id ? image_id + 7 : "");
	return text;
}
