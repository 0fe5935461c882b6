#include "engine/mount_spec.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/cleanup.h"

char *path_clean(const char *path)
{
	char *out, *end;

	if (path[0] != '/')
		return NULL;
	out = end = xcalloc(1, strlen(path) + 2);
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && strncmp(path, "..", 2) == 0) {
			while (end > out && *--end != '/')
				;
		} else if (n > 1 || (n == 1 && *path != '.')) {
			*end++ = '/';
			memcpy(end, path, n);
			end += n;
		}
		path += n + (path[n] == '/');
	}
	if (end == out)
		*end++ = '/';
	*end = '\0';
	return out;
}

bool path_is_local(const char *path)
{
	int depth = 0;

	if (!*path || *path == '/')
		return false;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && strncmp(path, "..", 2) == 0)
			depth--;
		else if (n > 1 || (n == 1 && *path != '.'))
			depth++;
		if (depth < 0)
			return false;
		path += n + (path[n] == '/');
	}
	return true;
}

/* ---- modes ---- */

enum mode_kind { MODE_WRITE, MODE_LABEL, MODE_PROPAGATION, MODE_COPY, MODE_CONSISTENCY, MODE_KINDS };

static const struct {
	const char *word;
	enum mode_kind kind;
} modes[] = {
	{ "rw", MODE_WRITE },
	{ "ro", MODE_WRITE },
	{ "z", MODE_LABEL },
	{ "Z", MODE_LABEL },
	{ "private", MODE_PROPAGATION },
	{ "rprivate", MODE_PROPAGATION },
	{ "shared", MODE_PROPAGATION },
	{ "rshared", MODE_PROPAGATION },
	{ "slave", MODE_PROPAGATION },
	{ "rslave", MODE_PROPAGATION },
	{ "nocopy", MODE_COPY },
	{ "consistent", MODE_CONSISTENCY },
	{ "cached", MODE_CONSISTENCY },
	{ "delegated", MODE_CONSISTENCY },
};

/* Of a word that ends at a comma; ARRAY_SIZE: there is none such. */
static size_t find_mode(const char *word, size_t n)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(modes) && (strlen(modes[i].word) != n || strncmp(modes[i].word, word, n) != 0))
		i++;
	return i;
}

bool mount_mode_is_valid(const char *mode)
{
	unsigned seen[MODE_KINDS] = { 0 };

	if (!*mode)
		return true;
	for (;;) {
		size_t n = strcspn(mode, ","), i = find_mode(mode, n);

		if (i == ARRAY_SIZE(modes) || seen[modes[i].kind]++)
			return false;
		if (!mode[n])
			return true;
		mode += n + 1;
	}
}

bool mount_mode_has(const char *mode, const char *word)
{
	for (size_t len = strlen(word);;) {
		size_t n = strcspn(mode, ",");

		if (n == len && strncmp(mode, word, n) == 0)
			return true;
		if (!mode[n])
			return false;
		mode += n + 1;
	}
}

const char *mount_mode_propagation(const char *mode)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (modes[i].kind == MODE_PROPAGATION && mount_mode_has(mode, modes[i].word))
			return modes[i].word;
	return NULL;
}

bool mount_is_propagation(const char *word)
{
	size_t i = find_mode(word, strlen(word));

	return i < ARRAY_SIZE(modes) && modes[i].kind == MODE_PROPAGATION;
}

/* ---- -v ---- */

void bind_spec_done(struct bind_spec *b)
{
	free(b->source);
	free(b->target);
	free(b->mode);
}

int bind_spec_parse(const char *text, struct bind_spec *ret, struct error *err)
{
	CLEANUP(freep) char *copy = xstrdup(text);
	char *at = copy, *parts[3] = { 0 };
	size_t n = 0;

	do
		parts[n++] = strsep(&at, ":");
	while (at && n < 3);
	/* A target and a mode alone are no volume. */
	if (at || !*parts[0] || (n == 2 && mount_mode_is_valid(parts[1])))
		return error_set_class(err, ERROR_INVALID, "invalid volume specification: '%.200s'", text);
	if (n == 3 && !mount_mode_is_valid(parts[2]))
		return error_set_class(err, ERROR_INVALID, "invalid mode: %.100s", parts[2]);
	ret->source = xstrdup(n > 1 ? parts[0] : "");
	ret->target = xstrdup(n > 1 ? parts[1] : parts[0]);
	ret->mode = xstrdup(n == 3 ? parts[2] : "");
	return 0;
}

/* ---- sizes, tmpfs ---- */

bool size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "bkmgtp";
	const char *unit;
	char *end;
	double v;
	int c;

	if (!isdigit((unsigned char)*text) || strpbrk(text, "xXeEnN"))
		return false;
	v = strtod(text, &end);
	if (*end == ' ')
		end++;
	c = tolower((unsigned char)*end);
	unit = c ? strchr(units, c) : units;
	if (!unit || (*end && end[1] && strcasecmp(end + 1, "b") != 0 && strcasecmp(end + 1, "ib") != 0) ||
	    (c == 'b' && end[1]))
		return false;
	for (; unit > units; unit--)
		v *= 1024;
	if (v >= 9223372036854775807.0)
		return false;
	*ret = (uint64_t)v;
	return true;
}

/* The kernel's own: 12, 12k, 50%. */
static bool tmpfs_size_parse(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	int c = tolower((unsigned char)*end), shift = c == 'k' ? 10 : c == 'm' ? 20 : c == 'g' ? 30 : 0;

	if (!isdigit((unsigned char)*text))
		return false;
	if (c == '%' && !end[1] && v <= 100) {
		*ret = (uint64_t)sysconf(_SC_PHYS_PAGES) / 100 * v * (uint64_t)sysconf(_SC_PAGESIZE);
		return true;
	}
	if (end[shift != 0] || v > UINT64_MAX >> shift)
		return false;
	*ret = (uint64_t)v << shift;
	return true;
}

static bool parse_word(char *word, struct tmpfs_options *o)
{
	static const char *const ignored[] = { "rw",       "exec",    "noexec",   "suid",        "nosuid",     "dev",
					       "nodev",    "sync",    "async",    "noatime",     "relatime",   "atime",
					       "defaults", "private", "rprivate", "strictatime", "nodiratime", "shared",
					       "rshared",  "slave",   "rslave",   "diratime" };
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (strcmp(ignored[i], word) == 0)
			return true;
	if (strcmp(word, "ro") == 0) {
		o->is_readonly = true;
		return true;
	}
	if (strncmp(word, "size=", 5) == 0)
		return tmpfs_size_parse(word + 5, &o->size_bytes);
	if (strncmp(word, "uid=", 4) == 0 || strncmp(word, "gid=", 4) == 0) {
		*(word[0] == 'u' ? &o->uid : &o->gid) = (uint32_t)strtoul(word + 4, &end, 10);
		return isdigit((unsigned char)word[4]) && !*end;
	}
	if (strncmp(word, "mode=", 5) == 0) {
		o->mode = (mode_t)strtoul(word + 5, &end, 8) & 07777;
		return isdigit((unsigned char)word[5]) && !*end;
	}
	return !*word || strncmp(word, "nr_inodes=", 10) == 0 || strncmp(word, "huge=", 5) == 0 ||
	       strncmp(word, "mpol=", 5) == 0;
}

int tmpfs_parse(const char *text, struct tmpfs_options *ret, struct error *err)
{
	CLEANUP(freep) char *copy = xstrdup(text ? text : "");
	char *at = copy, *word;

	*ret = (struct tmpfs_options){ .mode = 01777 };
	while ((word = strsep(&at, ",")))
		if (!parse_word(word, ret))
			return error_set_class(err, ERROR_INVALID, "invalid tmpfs option \"%.*s\"",
					       (int)strcspn(word, "="), word);
	return 0;
}
