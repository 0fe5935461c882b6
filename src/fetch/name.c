#include "fetch/name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int invalid(struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "invalid reference format");
}

static bool is_path(const char *path)
{
	size_t n = strlen(path);

	return n > 0 && n < 256 && strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789._-/") == n && path[0] != '/' &&
	       path[n - 1] != '/' && !strstr(path, "//") && !strstr(path, "..");
}

static bool is_domain(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr(".-:[]", text[i]))
			return false;
	return n > 0 && n < 256;
}

int name_split(const char *familiar, struct name *ret, struct error *err)
{
	size_t n = strcspn(familiar, "/");
	bool has_domain = familiar[n] && (memchr(familiar, '.', n) || memchr(familiar, ':', n) ||
					  (n == 9 && memcmp(familiar, "localhost", 9) == 0));
	const char *path = has_domain ? familiar + n + 1 : familiar;
	struct name name;

	if (strlen(familiar) >= sizeof(name.familiar) || !is_path(path) || (has_domain && !is_domain(familiar, n)))
		return invalid(err);
	if (has_domain)
		snprintf(name.domain, sizeof(name.domain), "%.*s", (int)n, familiar);
	if (!has_domain || name_is_docker(name.domain)) {
		snprintf(name.domain, sizeof(name.domain), "docker.io");
		if (snprintf(name.path, sizeof(name.path), "%s%s", strchr(path, '/') ? "" : "library/", path) >=
		    (int)sizeof(name.path))
			return invalid(err);
	} else {
		snprintf(name.path, sizeof(name.path), "%s", path);
	}
	snprintf(name.familiar, sizeof(name.familiar), "%s", familiar);
	*ret = name;
	return 0;
}

bool name_is_docker(const char *domain)
{
	return strcmp(domain, "docker.io") == 0 || strcmp(domain, "index.docker.io") == 0;
}

void name_host_of(const char *domain, char *ret, unsigned size)
{
	const char *from = domain, *end = strrchr(domain, ':');

	if (domain[0] == '[') {
		from++;
		end = strchr(domain, ']');
	} else if (end && strchr(domain, ':') != end) {
		end = NULL; /* a bare IPv6 address */
	}
	snprintf(ret, size, "%.*s", end ? (int)(end - from) : (int)strlen(from), from);
}
