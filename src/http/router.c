/* The look-up over the route table: linear over a few dozen rows, each
 * compared segment by segment. Percent-encoding is undone after the split, so
 * an escaped slash stays inside its segment. */
#include "http/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "util/alloc.h"
#include "util/error.h"

struct served {
	route_handler handler;
	void *arg;
};

struct router {
	const struct route *table;
	struct served *served; /* one for each row */
	size_t n;
};

int router_new(const struct route *table, size_t n, struct router **ret, struct error *err)
{
	struct router *r;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(table[i].operation, table[k].operation) == 0 ||
			    (strcmp(table[i].method, table[k].method) == 0 && strcmp(table[i].pattern, table[k].pattern) == 0))
				return error_set(err, -EEXIST, "route %s is there twice", table[i].operation);
		}
	}
	r = xnew(struct router);
	r->table = table;
	r->n = n;
	r->served = xcalloc(n ? n : 1, sizeof(*r->served));
	for (size_t i = 0; i < n; i++)
		r->served[i].handler = table[i].handler;
	*ret = r;
	return 0;
}

void router_free(struct router *r)
{
	if (!r)
		return;
	free(r->served);
	free(r);
}

int router_override(struct router *r, const char *operation, route_handler handler, void *arg, struct error *err)
{
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->table[i].operation, operation) == 0) {
			r->served[i] = (struct served){ handler, arg };
			return 0;
		}
	}
	return error_set_class(err, ERROR_NOT_FOUND, "no such operation: %s", operation);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *http_decode(const char *text, size_t n, bool plus_is_space)
{
	char *out = xmalloc(n + 1);
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '%' && i + 2 < n && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
			out[k++] = (char)(hex(text[i + 1]) << 4 | hex(text[i + 2]));
			i += 2;
		} else {
			out[k++] = text[i] == '+' && plus_is_space ? ' ' : text[i];
		}
	}
	out[k] = '\0';
	return out;
}

void route_match_done(struct route_match *m)
{
	for (size_t i = 0; i < m->nparams; i++)
		free(m->values[i]);
	m->nparams = 0;
}

/* How much of `path` a `{name...}` takes when `rest` of the pattern follows: all but as many segments. 0: too few. */
static size_t long_length(const char *path, const char *rest)
{
	size_t n = strlen(path);

	for (; *rest; rest++) {
		if (*rest != '/')
			continue;
		while (n > 0 && path[n - 1] != '/')
			n--;
		if (n > 0)
			n--;
	}
	return n;
}

/* Does it fit, and what are its parameters? Those are to be freed either way. */
static bool match_pattern(const char *pattern, const char *path, struct route_match *m)
{
	while (*pattern == '/' && *path == '/') {
		size_t np, ns;

		pattern++, path++;
		np = strcspn(pattern, "/");
		ns = strcspn(path, "/");
		if (*pattern == '{') {
			bool is_long = np > 5 && strncmp(pattern + np - 4, "...}", 4) == 0;

			if (is_long)
				ns = long_length(path, pattern + np);
			if (ns == 0 || m->nparams == ROUTE_MAX_PARAMS)
				return false;
			m->names[m->nparams] = pattern + 1;
			m->values[m->nparams++] = http_decode(path, ns, false);
		} else if (np != ns || strncmp(pattern, path, np) != 0) {
			return false;
		}
		pattern += np;
		path += ns;
	}
	return *pattern == '\0' && *path == '\0';
}

/* Empty segments, "." and ".." name nothing; they are not resolved. */
static bool is_clean(const char *path)
{
	while (*path == '/') {
		size_t n = strcspn(++path, "/");

		if (n == 0 || (path[0] == '.' && (n == 1 || (n == 2 && path[1] == '.'))))
			return false;
		path += n;
	}
	return *path == '\0';
}

bool router_match(const struct router *r, const char *method, const char *raw_path, struct route_match *ret)
{
	if (!is_clean(raw_path))
		return false;
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->table[i].method, method) != 0)
			continue;
		memset(ret, 0, sizeof(*ret));
		if (match_pattern(r->table[i].pattern, raw_path, ret)) {
			ret->route = &r->table[i];
			ret->handler = r->served[i].handler;
			ret->arg = r->served[i].arg;
			return true;
		}
		route_match_done(ret);
	}
	return false;
}
