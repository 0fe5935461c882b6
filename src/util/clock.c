/* Time text in and out: RFC 3339, seconds with fraction, Go durations. */

#include "util/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ll

static int64_t now_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_wall_ns(void)
{
	return now_of(CLOCK_REALTIME);
}

int64_t clock_monotonic_ns(void)
{
	return now_of(CLOCK_MONOTONIC);
}

/* Of the second below, also before the epoch. */
static int64_t fraction_of(int64_t wall_ns)
{
	int64_t frac = wall_ns % NS_PER_S;

	return frac < 0 ? frac + NS_PER_S : frac;
}

static size_t format_seconds(int64_t wall_ns, char *text)
{
	time_t s = (time_t)(wall_ns / NS_PER_S - (wall_ns % NS_PER_S < 0));
	struct tm tm;

	gmtime_r(&s, &tm);
	return strftime(text, CLOCK_RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
}

void clock_format_rfc3339(int64_t wall_ns, char ret_text[CLOCK_RFC3339_MAX])
{
	int64_t frac = fraction_of(wall_ns);
	size_t n;

	if (wall_ns == 0) {
		memcpy(ret_text, CLOCK_ZERO_TIME, sizeof(CLOCK_ZERO_TIME));
		return;
	}
	n = format_seconds(wall_ns, ret_text);
	if (frac) {
		n += (size_t)snprintf(ret_text + n, CLOCK_RFC3339_MAX - n, ".%09lld", (long long)frac);
		while (ret_text[n - 1] == '0')
			n--;
	}
	memcpy(ret_text + n, "Z", 2);
}

void clock_format_rfc3339_fixed(int64_t wall_ns, char ret_text[CLOCK_RFC3339_MAX])
{
	size_t n = format_seconds(wall_ns, ret_text);

	snprintf(ret_text + n, CLOCK_RFC3339_MAX - n, ".%09lldZ", (long long)fraction_of(wall_ns));
}

/* Up to nine digits after a dot as nanoseconds; further digits are cut. */
static const char *parse_fraction(const char *p, int64_t *ret_ns)
{
	int64_t ns = 0, unit = NS_PER_S / 10;

	for (; isdigit((unsigned char)*p); p++, unit /= 10)
		ns += (*p - '0') * unit;
	*ret_ns = ns;
	return p;
}

#define LAST_S (INT64_MAX / NS_PER_S - 1)

static int parse_seconds(const char *text, int64_t *ret_ns)
{
	char *end;
	int64_t s, ns = 0;
	const char *p;

	errno = 0;
	s = strtoll(text, &end, 10);
	if (end == text || errno)
		return -EINVAL;
	p = end;
	if (*p == '.')
		p = parse_fraction(p + 1, &ns);
	if (*p)
		return -EINVAL;
	if (s >= LAST_S || s <= -LAST_S) /* beyond what we can tell is the end, or the beginning, of time */
		*ret_ns = s > 0 ? LAST_S * NS_PER_S : -LAST_S * NS_PER_S;
	else
		*ret_ns = s * NS_PER_S + (*text == '-' ? -ns : ns);
	return 0;
}

static int parse_zone(const char *p, int64_t *ret_offset_s)
{
	int h, m, used = 0;

	*ret_offset_s = 0;
	if (!*p || !strcmp(p, "Z") || !strcmp(p, "z"))
		return 0;
	if ((*p != '+' && *p != '-') || sscanf(p + 1, "%2d:%2d%n", &h, &m, &used) != 2 || p[1 + used])
		return -EINVAL;
	*ret_offset_s = (*p == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return 0;
}

static int parse_rfc3339(const char *text, int64_t *ret_ns)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d" };

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct tm tm = { 0 };
		const char *p = strptime(text, forms[i], &tm);
		int64_t offset_s, s, ns = 0;

		if (!p)
			continue;
		if (*p == '.' && i == 0)
			p = parse_fraction(p + 1, &ns);
		if (parse_zone(p, &offset_s) < 0)
			continue;
		s = (int64_t)timegm(&tm) - offset_s;
		if (s > INT64_MAX / NS_PER_S - 1 || s < -(INT64_MAX / NS_PER_S) + 1)
			return -EINVAL; /* beyond what 64 bits of nanoseconds hold: the years 1678 to 2262 */
		*ret_ns = s * NS_PER_S + ns;
		return 0;
	}
	return -EINVAL;
}

static int64_t unit_ns(const char **p)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = { { "ns", 1 },       { "us", 1000 },         { "µs", 1000 },          { "ms", 1000000 },
		      { "s", NS_PER_S }, { "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S } };

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t n = strlen(units[i].name);

		if (!strncmp(*p, units[i].name, n)) {
			*p += n;
			return units[i].ns;
		}
	}
	return 0;
}

int clock_parse_duration(const char *text, int64_t *ret_ns)
{
	const char *p = text;
	bool negative = *p == '-';
	double total = 0;

	if (*p == '-' || *p == '+')
		p++;
	if (!strcmp(p, "0")) {
		*ret_ns = 0;
		return 0;
	}
	if (!*p)
		return -EINVAL;
	while (*p) {
		char *end;
		double value;
		int64_t unit;

		if (!isdigit((unsigned char)*p) && *p != '.')
			return -EINVAL;
		if (p[0] == '0' && (p[1] | 0x20) == 'x')
			return -EINVAL; /* strtod takes hexadecimal, Go does not */
		value = strtod(p, &end);
		if (end == p)
			return -EINVAL;
		p = end;
		unit = unit_ns(&p);
		if (!unit)
			return -EINVAL;
		total += value * (double)unit;
	}
	if (total > 9.2e18)
		return -EINVAL;
	*ret_ns = negative ? -(int64_t)total : (int64_t)total;
	return 0;
}

int clock_parse_timestamp(const char *text, int64_t now_ns, int64_t *ret_wall_ns)
{
	int64_t ns;

	if (!clock_parse_duration(text, &ns) && strcmp(text, "0"))
		return __builtin_sub_overflow(now_ns, ns, ret_wall_ns) ? -EINVAL : 0;
	if (!parse_seconds(text, ret_wall_ns))
		return 0;
	return parse_rfc3339(text, ret_wall_ns);
}

/* "12.5" of 12500 thousandths: without trailing zeros. */
static int put_decimal(char *text, size_t size, uint64_t n, uint64_t unit)
{
	uint64_t rest = n % unit;
	int len = snprintf(text, size, "%llu", (unsigned long long)(n / unit));

	if (rest == 0)
		return len;
	text[len++] = '.';
	for (uint64_t digit = unit / 10; rest > 0; digit /= 10) {
		text[len++] = (char)('0' + rest / digit);
		rest %= digit;
	}
	text[len] = '\0';
	return len;
}

void clock_format_duration(int64_t ns, char ret_text[CLOCK_DURATION_MAX])
{
	uint64_t n = ns < 0 ? -(uint64_t)ns : (uint64_t)ns, s = n / 1000000000;
	char *p = ret_text, *end = ret_text + CLOCK_DURATION_MAX;

	if (ns < 0)
		*p++ = '-';
	if (n > 0 && n < 1000000000) {
		uint64_t unit = n < 1000 ? 1 : n < 1000000 ? 1000 : 1000000;

		p += put_decimal(p, (size_t)(end - p), n, unit);
		snprintf(p, (size_t)(end - p), "%s", unit == 1 ? "ns" : unit == 1000 ? "\xc2\xb5s" : "ms");
		return;
	}
	if (s >= 3600)
		p += snprintf(p, (size_t)(end - p), "%lluh", (unsigned long long)(s / 3600));
	if (s >= 60)
		p += snprintf(p, (size_t)(end - p), "%llum", (unsigned long long)(s / 60 % 60));
	p += put_decimal(p, (size_t)(end - p), n - s / 60 * 60 * 1000000000, 1000000000);
	snprintf(p, (size_t)(end - p), "s");
}
