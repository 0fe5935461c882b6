/* Clocks, and the time formats that the Engine API uses. Any thread. */
#ifndef SOCKERLESS_UTIL_CLOCK_H
#define SOCKERLESS_UTIL_CLOCK_H

#include <stdint.h>

#define CLOCK_RFC3339_MAX 40
#define CLOCK_ZERO_TIME "0001-01-01T00:00:00Z" /* Go's zero time.Time */

int64_t clock_wall_ns(void);      /* since the epoch */
int64_t clock_monotonic_ns(void);

/* RFC 3339 in UTC with up to nine digits, trailing zeros dropped, as Go's
 * RFC3339Nano; `wall_ns` 0 gives CLOCK_ZERO_TIME. */
void clock_format_rfc3339(int64_t wall_ns, char ret_text[CLOCK_RFC3339_MAX]);

/* The same with always nine digits (log lines of `docker logs -t`). */
void clock_format_rfc3339_fixed(int64_t wall_ns, char ret_text[CLOCK_RFC3339_MAX]);

/* Parses what since/until take: seconds with an optional fraction
 * ("1136073600.000000001"), RFC 3339 with or without zone and time, or a Go
 * duration ("10m", "1h30m") counted back from now (moby: api/types/time).
 * Returns 0 or -EINVAL. */
int clock_parse_timestamp(const char *text, int64_t now_ns, int64_t *ret_wall_ns);

/* As Go prints a duration: "1.5s", "1m30s", "100ms"; the sign before it. */
#define CLOCK_DURATION_MAX 40
void clock_format_duration(int64_t ns, char ret_text[CLOCK_DURATION_MAX]);

/* A Go duration: "1.5h", "300ms", "-1m". Returns 0 or -EINVAL. */
int clock_parse_duration(const char *text, int64_t *ret_ns);

#endif
