#include "image/platform.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

bool image_platform_matches(const struct image_platform *wanted, const struct image_platform *p)
{
	return strcmp(wanted->os, p->os) == 0 && strcmp(wanted->architecture, p->architecture) == 0 &&
	       (!*p->variant || strcmp(wanted->variant, p->variant) == 0);
}

void image_platform_format(const struct image_platform *p, char *out, unsigned long size)
{
	snprintf(out, size, "%s/%s%s%s", p->os, p->architecture, *p->variant ? "/" : "", p->variant);
}
