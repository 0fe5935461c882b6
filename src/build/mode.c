#include "build/mode.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { USER = 04700, GROUP = 02070, OTHERS = 01007, ALL = 07777 };

/* "u+rwX": answers what follows it, NULL when it is none. */
static const char *parse_clause(const char *in, struct mode_clause *c)
{
	*c = (struct mode_clause){ 0 };
	for (; *in && strchr("ugoa", *in); in++)
		c->who |= *in == 'u' ? (uint32_t)USER :
			  *in == 'g' ? (uint32_t)GROUP :
			  *in == 'o' ? (uint32_t)OTHERS :
				       (uint32_t)ALL;
	if (!c->who)
		c->who = ALL;
	if (!*in || !strchr("+-=", *in))
		return NULL;
	c->op = *in++;
	if (*in && strchr("ugo", *in)) {
		c->copy_of = *in++;
		return in;
	}
	for (; *in && *in != ','; in++) {
		switch (*in) {
		case 'r': c->bits |= 0444; break;
		case 'w': c->bits |= 0222; break;
		case 'x': c->bits |= 0111; break;
		case 'X': c->only_execute = true; break;
		case 's': c->bits |= 06000; break;
		case 't': c->bits |= 01000; break;
		default: return NULL;
		}
	}
	return in;
}

int mode_parse(const char *text, struct mode_change *ret, struct error *err)
{
	struct mode_change m = { .is_set = *text != '\0' };
	const char *in = text;
	char *end;

	if (*text && strspn(text, "01234567") == strlen(text) && strlen(text) < 8) {
		m.is_octal = true;
		m.octal = (uint32_t)strtoul(text, &end, 8);
		in = m.octal <= ALL ? "" : NULL;
	}
	while (in && *in) {
		in = m.count < MODE_CLAUSES_MAX ? parse_clause(in, &m.clauses[m.count++]) : NULL;
		if (in && *in == ',')
			in = in[1] ? in + 1 : NULL;
		else if (in && *in)
			in = NULL;
	}
	if (!in)
		return error_set_class(err, ERROR_INVALID,
				       "invalid chmod parameter: '%.100s'. it should be octal string and between 0 and 07777%s",
				       text, strspn(text, "0123456789") == strlen(text) ? "" : ", or symbolic");
	*ret = m;
	return 0;
}

static uint32_t spread(uint32_t mode, char from)
{
	uint32_t bits = (from == 'u' ? mode >> 6 : from == 'g' ? mode >> 3 : mode) & 7;

	return bits << 6 | bits << 3 | bits;
}

uint32_t mode_apply(const struct mode_change *m, uint32_t mode)
{
	uint32_t now = mode & ALL;

	if (m->is_octal)
		return m->octal;
	for (size_t i = 0; m->is_set && i < m->count; i++) {
		const struct mode_clause *c = &m->clauses[i];
		uint32_t bits = c->copy_of ? spread(now, c->copy_of) : c->bits;

		if (c->only_execute && (S_ISDIR(mode) || now & 0111))
			bits |= 0111;
		bits &= c->who;
		if (c->op == '+')
			now |= bits;
		else if (c->op == '-')
			now &= ~bits;
		else
			now = (now & ~(c->who & (S_ISDIR(mode) ? 01777u : (uint32_t)ALL))) | bits;
	}
	return now;
}
