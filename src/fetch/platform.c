#include "fetch/platform.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static void put(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* Of x86-64's four levels. */
static const char *amd64_variant(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
		return "v4";
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma"))
		return "v3";
	if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
		return "v2";
#endif
	return "";
}

void platform_host(struct platform *ret)
{
	struct utsname u;
	struct platform p = { .os = "linux" };

	uname(&u);
	snprintf(p.architecture, sizeof(p.architecture), "%.31s", u.machine);
	platform_normalise(&p);
	if (strcmp(p.architecture, "amd64") == 0)
		put(p.variant, sizeof(p.variant), amd64_variant());
	*ret = p;
}

void platform_normalise(struct platform *p)
{
	lower(p->os);
	lower(p->architecture);
	lower(p->variant);
	if (strcmp(p->os, "macos") == 0)
		put(p->os, sizeof(p->os), "darwin");
	if (strcmp(p->architecture, "x86_64") == 0 || strcmp(p->architecture, "x86-64") == 0)
		put(p->architecture, sizeof(p->architecture), "amd64");
	if (strcmp(p->architecture, "i386") == 0 || strcmp(p->architecture, "i686") == 0)
		put(p->architecture, sizeof(p->architecture), "386");
	if (strcmp(p->architecture, "aarch64") == 0)
		put(p->architecture, sizeof(p->architecture), "arm64");
	if (strcmp(p->architecture, "armhf") == 0 || strcmp(p->architecture, "armel") == 0 ||
	    strncmp(p->architecture, "armv", 4) == 0) {
		if (!p->variant[0])
			put(p->variant, sizeof(p->variant), strcmp(p->architecture, "armel") == 0 ? "v6" : "v7");
		put(p->architecture, sizeof(p->architecture), "arm");
	}
	if (strcmp(p->architecture, "amd64") == 0 && strcmp(p->variant, "v1") == 0)
		p->variant[0] = '\0';
	if (strcmp(p->architecture, "arm64") == 0 && (strcmp(p->variant, "8") == 0 || strcmp(p->variant, "v8") == 0))
		p->variant[0] = '\0';
	if (strcmp(p->architecture, "arm") == 0 && (!p->variant[0] || strcmp(p->variant, "7") == 0))
		put(p->variant, sizeof(p->variant), "v7");
	if (strcmp(p->architecture, "arm") == 0 &&
	    (strcmp(p->variant, "5") == 0 || strcmp(p->variant, "6") == 0 || strcmp(p->variant, "8") == 0)) {
		p->variant[1] = p->variant[0];
		p->variant[0] = 'v';
		p->variant[2] = '\0';
	}
}

/* "v3" → 3, "" → `none`, "v8.2" → 8. */
static int level(const char *variant, int none)
{
	return variant[0] == 'v' && isdigit((unsigned char)variant[1]) ? atoi(variant + 1) : none;
}

int platform_rank(const struct platform *wanted, const struct platform *offered)
{
	bool is_same = strcmp(wanted->architecture, offered->architecture) == 0;
	const char *arch = wanted->architecture;
	int have, want;

	if (strcmp(wanted->os, offered->os) != 0)
		return -1;
	if (strcmp(arch, "amd64") == 0 && !is_same)
		return strcmp(offered->architecture, "386") == 0 ? 0 : -1;
	if (strcmp(arch, "arm64") == 0 && !is_same) {
		have = level(offered->variant, 7);
		return strcmp(offered->architecture, "arm") == 0 && have <= 8 ? have : -1;
	}
	if (!is_same)
		return -1;
	if (strcmp(arch, "amd64") != 0 && strcmp(arch, "arm64") != 0 && strcmp(arch, "arm") != 0)
		return strcmp(wanted->variant, offered->variant) == 0 ? 100 : -1;
	want = level(wanted->variant, strcmp(arch, "amd64") == 0 ? 1 : strcmp(arch, "arm64") == 0 ? 8 : 7);
	have = level(offered->variant, strcmp(arch, "amd64") == 0 ? 1 : strcmp(arch, "arm64") == 0 ? 8 : 7);
	return have <= want ? 100 + have : -1;
}

void platform_format(const struct platform *p, char ret[96])
{
	snprintf(ret, 96, "%s/%s%s%s", p->os, p->architecture, p->variant[0] ? "/" : "", p->variant);
}
