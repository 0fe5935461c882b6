#include "image/platform.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

const struct image_platform image_platform_ours = { "linux", "amd64", "" };

static void put_lower(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; text && *text && n + 1 < size; text++)
		out[n++] = (char)tolower((unsigned char)*text);
	out[n] = '\0';
}

void image_platform_set(struct image_platform *p, const char *os, const char *architecture, const char *variant)
{
	/* containerd: platforms/database.go */
	static const char *const same[][3] = { { "i386", "386", "" },     { "x86_64", "amd64", "" },
					       { "x86-64", "amd64", "" }, { "aarch64", "arm64", "" },
					       { "armhf", "arm", "v7" },  { "armel", "arm", "v6" } };

	put_lower(p->os, sizeof(p->os), os && *os ? os : "linux");
	if (strcmp(p->os, "macos") == 0)
		snprintf(p->os, sizeof(p->os), "darwin");
	put_lower(p->architecture, sizeof(p->architecture), architecture);
	put_lower(p->variant, sizeof(p->variant), variant);
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		if (strcmp(p->architecture, same[i][0]) != 0)
			continue;
		snprintf(p->architecture, sizeof(p->architecture), "%s", same[i][1]);
		if (*same[i][2])
			snprintf(p->variant, sizeof(p->variant), "%s", same[i][2]);
	}
	if (strcmp(p->architecture, "arm") == 0 && isdigit((unsigned char)p->variant[0]) && !p->variant[1]) {
		p->variant[1] = p->variant[0];
		p->variant[0] = 'v';
		p->variant[2] = '\0';
	}
	if (strcmp(p->architecture, "arm") == 0 && !*p->variant)
		snprintf(p->variant, sizeof(p->variant), "v7");
	if ((strcmp(p->architecture, "amd64") == 0 && strcmp(p->variant, "v1") == 0) ||
	    (strcmp(p->architecture, "arm64") == 0 && (strcmp(p->variant, "v8") == 0 || strcmp(p->variant, "8") == 0)))
		*p->variant = '\0';
}

void image_platform_of(struct image_platform *p, json_t *o)
{
	image_platform_set(p, json_text(o, "os"), json_text(o, "architecture"), json_text(o, "variant"));
}

static bool is_one_of(const char *text, const char *const *known)
{
	while (*known && strcmp(*known, text) != 0)
		known++;
	return *known != NULL;
}

/* ---- texts (containerd: platforms/platforms.go, specifierRe and osRe) ---- */

static size_t span(const char *text, const char *marks)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || (text[n] && strchr(marks, text[n])))
		n++;
	return n;
}

static bool is_word(const char *text)
{
	return *text && !text[span(text, "_.-")];
}

/* "windows(10.0.17763+win32k)": what is in the brackets means nothing to us, and is cut off. */
static bool is_system(char *text)
{
	size_t n = span(text, "_-");
	char *at = text + n;

	if (n == 0 || (*at && *at != '('))
		return false;
	if (!*at)
		return true;
	*at++ = '\0';
	for (at += span(at, "_.%-"); *at == '+'; at += n) {
		n = span(++at, "_.%-");
		if (n == 0)
			return false;
	}
	return strcmp(at, ")") == 0;
}

static int split(char *copy, const char *text, const char *words[3], size_t *ret_n, struct error *err)
{
	char *rest = copy;
	size_t n = 0;

	while (rest && n < 3) {
		char *word = strsep(&rest, "/");
		CLEANUP(freep) char *whole = xstrdup(word);

		if (n == 0 && !is_system(word))
			return error_set_class(err, ERROR_INVALID,
					       "\"%.100s\" is an invalid OS component of \"%.200s\": OSAndVersion specifier component must match \"^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.%%-]*)((?:\\\\+[A-Za-z0-9_.%%-]+)*)\\\\))?$\": invalid argument",
					       whole, text);
		if (n > 0 && !is_word(word))
			return error_set_class(err, ERROR_INVALID,
					       "\"%.100s\" is an invalid component of \"%.200s\": platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument",
					       word, text);
		words[n++] = word;
	}
	*ret_n = n;
	return rest ? error_set_class(err, ERROR_INVALID, "\"%.200s\": cannot parse platform specifier: invalid argument", text) :
		      0;
}

int image_platform_parse(const char *text, struct image_platform *ret, struct error *err)
{
	static const char *const systems[] = { "aix",     "android", "darwin",  "dragonfly", "freebsd", "hurd",
					       "illumos", "ios",     "js",      "linux",     "nacl",    "netbsd",
					       "openbsd", "plan9",   "solaris", "windows",   "zos",     NULL };
	static const char *const machines[] = { "386",         "amd64",   "amd64p32", "arm",      "armbe",
						"arm64",       "arm64be", "ppc64",    "ppc64le",  "loong64",
						"mips",        "mipsle",  "mips64",   "mips64le", "mips64p32",
						"mips64p32le", "ppc",     "riscv",    "riscv64",  "s390",
						"s390x",       "sparc",   "sparc64",  "wasm",     NULL };
	CLEANUP(freep) char *copy = xstrdup(text);
	const char *words[3] = { "", "", "" };
	struct image_platform p;
	size_t n = 0;
	int r = split(copy, text, words, &n, err);

	if (r < 0)
		return r;
	image_platform_set(&p, n > 1 ? words[0] : NULL, n > 1 ? words[1] : words[0], words[2]);
	if (n == 3 && strcmp(p.architecture, "arm64") == 0 && !*p.variant)
		snprintf(p.variant, sizeof(p.variant), "v8"); /* fully specified, as containerd has it */
	if (n == 1) {
		struct image_platform of_system;

		image_platform_set(&of_system, words[0], image_platform_ours.architecture, NULL);
		if (is_one_of(of_system.os, systems))
			p = of_system;
		else if (!is_one_of(p.architecture, machines))
			return error_set_class(err, ERROR_INVALID,
					       "\"%.200s\": unknown operating system or architecture: invalid argument", text);
	}
	*ret = p;
	return 0;
}

bool image_platform_matches(const struct image_platform *wanted, const struct image_platform *p)
{
	return strcmp(wanted->os, p->os) == 0 && strcmp(wanted->architecture, p->architecture) == 0 &&
	       (!*p->variant || strcmp(wanted->variant, p->variant) == 0);
}

void image_platform_format(const struct image_platform *p, char *out, unsigned long size)
{
	snprintf(out, size, "%s/%s%s%s", p->os, p->architecture, *p->variant ? "/" : "", p->variant);
}

int image_platform_check(const struct image_platform *wanted, json_t *config, const char *name, struct error *err)
{
	struct image_platform is;
	char is_text[200], wanted_text[200];

	image_platform_of(&is, config);
	if (image_platform_matches(wanted, &is))
		return 0;
	image_platform_format(&is, is_text, sizeof(is_text));
	image_platform_format(wanted, wanted_text, sizeof(wanted_text));
	return error_set_class(err, ERROR_NOT_FOUND,
			       "image with reference %.200s was found but its platform (%s) does not match the specified platform (%s)",
			       name, is_text, wanted_text);
}
