#include "image/reference.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"

enum { NAME_MAX_LEN = 255, TAG_MAX_LEN = 128 };

static int invalid(struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "invalid reference format");
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* a-z0-9, joined by '.', '_', '__' or dashes. */
static bool is_component(const char *p, size_t n)
{
	if (n == 0 || !is_alnum(p[0]) || !is_alnum(p[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t run = 0;

		if (is_alnum(p[i]))
			continue;
		while (p[i + run] == p[i])
			run++;
		if (!(p[i] == '-' || (p[i] == '.' && run == 1) || (p[i] == '_' && run <= 2)))
			return false;
		i += run - 1;
		if (!is_alnum(p[i + 1]))
			return false;
	}
	return true;
}

static bool is_domain(const char *p, size_t n)
{
	return memchr(p, '.', n) || memchr(p, ':', n) || (n == 9 && memcmp(p, "localhost", 9) == 0);
}

static bool is_host(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && p[i] != '.' && p[i] != '-' && p[i] != ':')
			return false;
	return n > 0 && isalnum((unsigned char)p[0]);
}

static int check_name(const char *name, struct error *err)
{
	const char *p = name;
	size_t n = strcspn(p, "/");

	if (p[n] && is_domain(p, n)) {
		if (!is_host(p, n))
			return invalid(err);
		p += n + 1;
	}
	for (const char *c = p; *c; c++)
		if (isupper((unsigned char)*c))
			return error_set_class(err, ERROR_INVALID,
					       "invalid reference format: repository name (%s%.200s) must be lowercase",
					       p == name && !strchr(p, '/') ? "library/" : "", name);
	for (;;) {
		n = strcspn(p, "/");
		if (!is_component(p, n))
			return invalid(err);
		if (!p[n])
			return 0;
		p += n + 1;
	}
}

static bool is_tag(const char *tag)
{
	size_t n = strlen(tag);

	if (n == 0 || n > TAG_MAX_LEN || tag[0] == '.' || tag[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)tag[i]) && tag[i] != '_' && tag[i] != '.' && tag[i] != '-')
			return false;
	return true;
}

static bool is_digest(const char *d)
{
	return strncmp(d, "sha256:", 7) == 0 && strlen(d) == 71 && strspn(d + 7, "0123456789abcdef") == 64;
}

/* "docker.io/library/busybox", "library/busybox" and "busybox" are one name. The registry stays where the rest
 * would read as one ("docker.io/localhost/x"): a familiar name must mean the same when it is parsed again. */
static const char *familiar(const char *name)
{
	const char *rest;

	if (strncmp(name, "index.docker.io/", 16) == 0)
		name += 6;
	if (strncmp(name, "docker.io/", 10) == 0) {
		rest = name + 10;
		if (strchr(rest, '/') && is_domain(rest, strcspn(rest, "/")))
			return name;
		name = rest;
	}
	return strncmp(name, "library/", 8) == 0 && !strchr(name + 8, '/') ? name + 8 : name;
}

int reference_parse(const char *text, struct reference *ret, struct error *err)
{
	struct reference ref = { 0 };
	char name[512], *at, *colon;
	int r;

	if (strlen(text) >= sizeof(name) || !*text)
		return invalid(err);
	snprintf(name, sizeof(name), "%s", text);
	at = strchr(name, '@');
	if (at) {
		*at++ = '\0';
		if (!is_digest(at))
			return invalid(err);
		snprintf(ref.digest, sizeof(ref.digest), "%s", at);
	}
	colon = strrchr(name, ':');
	if (colon && !strchr(colon, '/')) {
		*colon++ = '\0';
		if (!is_tag(colon))
			return invalid(err);
		snprintf(ref.tag, sizeof(ref.tag), "%s", colon);
	}
	r = check_name(name, err);
	if (r < 0)
		return r;
	if (strlen(familiar(name)) > NAME_MAX_LEN)
		return invalid(err);
	snprintf(ref.name, sizeof(ref.name), "%s", familiar(name));
	*ret = ref;
	return 0;
}

char *reference_tagged(const struct reference *ref)
{
	return xasprintf("%s:%s", ref->name, *ref->tag ? ref->tag : "latest");
}
