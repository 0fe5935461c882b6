#include "image/reference.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/tag.h"

/* Longer ones are no names; the longest that is valid has less. */
enum { TEXT_MAX = 4096 };

static int invalid(struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "invalid reference format");
}

/* ---- the grammar of distribution/reference, regexp.go ---- */

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
	return is_alpha(c) || (c >= '0' && c <= '9');
}

/* a-z0-9, joined by '.', '_', '__' or dashes. */
static bool is_component(const char *p, size_t n)
{
	if (n == 0 || !is_lower_alnum(p[0]) || !is_lower_alnum(p[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t run = 0;

		if (is_lower_alnum(p[i]))
			continue;
		while (p[i + run] == p[i])
			run++;
		if (!(p[i] == '-' || (p[i] == '.' && run == 1) || (p[i] == '_' && run <= 2)))
			return false;
		i += run - 1;
		if (!is_lower_alnum(p[i + 1]))
			return false;
	}
	return true;
}

static bool is_path(const char *p)
{
	for (;;) {
		size_t n = strcspn(p, "/");

		if (!is_component(p, n))
			return false;
		if (!p[n])
			return true;
		p += n + 1;
	}
}

/* Letters, digits and dashes, with a letter or digit at both ends, between dots. */
static bool is_host_name(const char *p, size_t n)
{
	size_t start = 0;

	for (size_t i = 0; i <= n; i++) {
		if (i < n && p[i] != '.') {
			if (!is_alnum(p[i]) && p[i] != '-')
				return false;
			continue;
		}
		if (i == start || p[start] == '-' || p[i - 1] == '-')
			return false;
		start = i + 1;
	}
	return true;
}

static bool is_domain(const char *text)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : NULL, *port;
	size_t n;

	if (end) {
		n = strspn(text + 1, "0123456789abcdefABCDEF:");
		if (n == 0 || text + 1 + n != end)
			return false;
		port = end + 1;
	} else {
		n = strcspn(text, ":");
		if (!is_host_name(text, n))
			return false;
		port = text + n;
	}
	return !*port || (*port == ':' && port[1] && strspn(port + 1, "0123456789") == strlen(port + 1));
}

/* An algorithm of words joined by "-_+.", and 32 hex digits at least. */
static bool is_digest_like(const char *d)
{
	bool is_first = true;

	for (; *d && *d != ':'; d++) {
		if (is_first ? !is_alpha(*d) : !is_alnum(*d) && !strchr("-_+.", *d))
			return false;
		is_first = !is_first && !is_alnum(*d);
	}
	return *d == ':' && !is_first && strlen(d + 1) >= 32 && strspn(d + 1, "0123456789abcdefABCDEF") == strlen(d + 1);
}

/* go-digest: Digest.Validate. */
static int check_digest(const char *d, struct error *err)
{
	static const struct {
		const char *name;
		size_t digits;
	} known[] = { { "sha256", 64 }, { "sha384", 96 }, { "sha512", 128 } };
	size_t n = strcspn(d, ":"), digits = strlen(d + n + 1);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) != n || strncmp(d, known[i].name, n) != 0)
			continue;
		if (digits != known[i].digits)
			return error_set_class(err, ERROR_INVALID, "invalid checksum digest length");
		if (strspn(d + n + 1, "0123456789abcdef") != digits)
			return error_set_class(err, ERROR_INVALID, "invalid checksum digest format");
		return 0;
	}
	return error_set_class(err, ERROR_INVALID, "unsupported digest algorithm");
}

/* ---- normalize.go ---- */

static bool has_upper(const char *p)
{
	for (; *p; p++)
		if (isupper((unsigned char)*p))
			return true;
	return false;
}

/* Is the first element of "one/two" a registry? */
static bool is_registry(const char *first)
{
	return strcmp(first, "localhost") == 0 || strpbrk(first, ".:") || has_upper(first);
}

/* Both malloc'd. */
static void split_domain(const char *text, char **ret_domain, char **ret_rest)
{
	const char *slash = strchr(text, '/');
	CLEANUP(freep) char *first = slash ? xstrndup(text, (size_t)(slash - text)) : NULL, *rest = NULL;

	if (!slash) {
		*ret_domain = xstrdup("docker.io");
		*ret_rest = xasprintf("library/%s", text);
		return;
	}
	if (strcmp(first, "index.docker.io") == 0) {
		*ret_domain = xstrdup("docker.io");
		rest = xstrdup(slash + 1);
	} else if (is_registry(first)) {
		*ret_domain = xstrdup(first);
		rest = xstrdup(slash + 1);
	} else {
		*ret_domain = xstrdup("docker.io");
		rest = xstrdup(text);
	}
	*ret_rest = strcmp(*ret_domain, "docker.io") == 0 && !strchr(rest, '/') ? xasprintf("library/%s", rest) :
										  steal_ptr(rest);
}

/* "docker.io/library/busybox" is "busybox". The registry stays where the rest would read as one
 * ("docker.io/localhost/x"): we know images by their familiar names, so those must mean the same when they are parsed again. */
static void set_familiar(struct reference *ref)
{
	const char *path = ref->path;
	size_t n = strcspn(path, "/");

	if (strcmp(ref->domain, "docker.io") == 0 && path[n]) {
		CLEANUP(freep) char *first = xstrndup(path, n);

		if (!is_registry(first)) {
			snprintf(ref->name, sizeof(ref->name), "%s",
				 strcmp(first, "library") == 0 && !strchr(path + n + 1, '/') ? path + n + 1 : path);
			return;
		}
	}
	snprintf(ref->name, sizeof(ref->name), "%s%s%s", ref->domain, *ref->domain ? "/" : "", path);
}

/* Cuts tag and digest off `rest`. False: they are none. */
static bool cut_suffixes(char *rest, const char **ret_tag, const char **ret_digest)
{
	char *tag = rest + strcspn(rest, ":@"), *at = strchr(tag, '@');

	*ret_tag = *ret_digest = rest + strlen(rest);
	if (at) {
		*at = '\0';
		*ret_digest = at + 1;
		if (!is_digest_like(at + 1))
			return false;
	}
	if (*tag == ':') {
		*tag = '\0';
		*ret_tag = tag + 1;
		return tag_is_valid(tag + 1);
	}
	return true;
}

static int set_path(struct reference *ref, const char *domain, const char *path, struct error *err)
{
	/* What looks like a registry and cannot be one may yet be the beginning of a path. */
	CLEANUP(freep) char *whole = is_domain(domain) ? xstrdup(path) : xasprintf("%s/%s", domain, path);

	if (!is_path(whole)) {
		for (char *p = whole; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		return has_upper(domain) && is_path(whole) ?
			       error_set_class(err, ERROR_INVALID, "repository name must be lowercase") :
			       invalid(err);
	}
	if (strlen(whole) > REFERENCE_PATH_MAX)
		return error_set_class(err, ERROR_INVALID, "repository name must not be more than %d characters",
				       REFERENCE_PATH_MAX);
	if (is_domain(domain)) {
		if (strlen(domain) > REFERENCE_DOMAIN_MAX)
			return invalid(err);
		snprintf(ref->domain, sizeof(ref->domain), "%s", domain);
	}
	snprintf(ref->path, sizeof(ref->path), "%s", whole);
	return 0;
}

int reference_parse(const char *text, struct reference *ret, struct error *err)
{
	CLEANUP(freep) char *domain = NULL, *rest = NULL, *remote = NULL;
	const char *tag, *digest;
	struct reference ref = { 0 };

	if (strlen(text) > TEXT_MAX)
		return invalid(err);
	if (digest_is_hex(text))
		return error_set_class(err, ERROR_INVALID,
				       "invalid repository name (%s), cannot specify 64-byte hexadecimal strings", text);
	split_domain(text, &domain, &rest);
	remote = xstrndup(rest, strcspn(rest, ":"));
	if (has_upper(remote))
		return error_set_class(err, ERROR_INVALID,
				       "invalid reference format: repository name (%.300s) must be lowercase", remote);
	if (!cut_suffixes(rest, &tag, &digest))
		return invalid(err);
	if (set_path(&ref, domain, rest, err) < 0 || (*digest && check_digest(digest, err) < 0))
		return err ? err->code : -EINVAL;
	snprintf(ref.tag, sizeof(ref.tag), "%s", tag);
	snprintf(ref.digest, sizeof(ref.digest), "%s", digest);
	set_familiar(&ref);
	*ret = ref;
	return 0;
}

/* ---- its forms ---- */

char *reference_tagged(const struct reference *ref)
{
	return xasprintf("%s:%s", ref->name, *ref->tag ? ref->tag : "latest");
}

char *reference_familiar(const struct reference *ref)
{
	if (!*ref->digest)
		return reference_tagged(ref);
	return xasprintf("%s%s%s@%s", ref->name, *ref->tag ? ":" : "", ref->tag, ref->digest);
}

char *reference_whole(const char *text)
{
	struct reference ref;

	if (reference_parse(text, &ref, NULL) < 0)
		return NULL;
	return xasprintf("%s%s%s%s%s%s%s", ref.domain, *ref.domain ? "/" : "", ref.path, *ref.tag || !*ref.digest ? ":" : "",
			 *ref.tag    ? ref.tag :
			 *ref.digest ? "" :
				       "latest",
			 *ref.digest ? "@" : "", ref.digest);
}

int reference_of_repo(const char *repo, const char *tag, struct reference *ret, struct error *err)
{
	struct reference ref;
	int r = reference_parse(repo, &ref, err);

	if (r < 0)
		return r;
	if (*ref.digest)
		return error_set_class(err, ERROR_INVALID, "cannot import digest reference");
	if (tag && *tag && !tag_is_valid(tag))
		return error_set_class(err, ERROR_INVALID, "invalid tag format");
	if (tag && *tag)
		snprintf(ref.tag, sizeof(ref.tag), "%s", tag);
	else if (!*ref.tag)
		snprintf(ref.tag, sizeof(ref.tag), "latest");
	*ret = ref;
	return 0;
}

int reference_is_id(const char *text, char ret_id[72])
{
	const char *hex = strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;

	if (!digest_is_hex(hex))
		return false;
	snprintf(ret_id, 72, "sha256:%s", hex);
	return true;
}
