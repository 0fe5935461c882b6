#include "fetch/session.h"
#include "util/digest.h"
#include "util/tag.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#define WAIT_MAX_MS 60000

const char *session_text(const struct session *s, const char *key)
{
	const char *text = json_string_value(json_object_get(s->root, key));

	return text ? text : "";
}

static const char *text_in(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static long number_of(const struct session *s, const char *key, long fallback, long min, long max)
{
	json_t *v = json_object_get(s->root, key);
	long n = json_is_integer(v) ? (long)json_integer_value(v) : fallback;

	return n < min ? min : n > max ? max : n;
}

static int read_name(struct session *s, struct error *err)
{
	s->tag = session_text(s, "tag");
	s->digest = session_text(s, "digest");
	if (!json_object_get(s->root, "name"))
		return 0;
	if ((*s->tag && !tag_is_valid(s->tag)) || (*s->digest && !digest_is_valid(s->digest)))
		return error_set_class(err, ERROR_INVALID, "invalid reference format");
	s->has_name = true;
	return name_split(session_text(s, "name"), &s->name, err);
}

static void read_platform(struct session *s)
{
	json_t *o = json_object_get(s->root, "platform");

	platform_host(&s->platform);
	if (json_is_object(o)) {
		snprintf(s->platform.os, sizeof(s->platform.os), "%.31s", *text_in(o, "os") ? text_in(o, "os") : "linux");
		if (*text_in(o, "architecture")) {
			snprintf(s->platform.architecture, sizeof(s->platform.architecture), "%.31s",
				 text_in(o, "architecture"));
			snprintf(s->platform.variant, sizeof(s->platform.variant), "%.15s", text_in(o, "variant"));
		}
	}
	platform_normalise(&s->platform);
	s->shown_platform = s->platform;
	if (!json_is_object(o) && strcmp(s->platform.architecture, "amd64") == 0)
		s->shown_platform.variant[0] = '\0'; /* the host's own level is not what was asked for */
}

int session_open(json_t *take_request, struct session *ret, struct error *err)
{
	struct session s = { .root = take_request };
	json_t *auth = json_object_get(take_request, "auth");
	int r = read_name(&s, err);

	read_platform(&s);
	s.username = text_in(auth, "username");
	s.password = text_in(auth, "password");
	s.identity_token = text_in(auth, "identitytoken");
	s.registry_token = text_in(auth, "registrytoken");
	s.dir = session_text(&s, "dir");
	s.certs_dir = *session_text(&s, "certs_dir") ? session_text(&s, "certs_dir") : "/etc/docker/certs.d";
	s.mirrors = json_object_get(take_request, "mirrors");
	s.insecure = json_object_get(take_request, "insecure");
	s.http.user_agent = *session_text(&s, "user_agent") ? session_text(&s, "user_agent") : "sockerless";
	s.http.connect_timeout_s = number_of(&s, "connect_timeout", 30, 1, 600);
	s.http.stall_timeout_s = number_of(&s, "stall_timeout", 60, 1, 3600);
	s.tries = (int)number_of(&s, "tries", 5, 1, 20);
	s.backoff_ms = (int)number_of(&s, "backoff_ms", 1000, 1, WAIT_MAX_MS);
	s.parallel = (int)number_of(&s, "parallel", 3, 1, 16);
	*ret = s;
	return r;
}

void session_done(struct session *s)
{
	json_decref(s->root);
}

/* ---- insecure registries ---- */

/* Is the address within "10.0.0.0/8"? */
static bool is_within(const char *host, const char *network)
{
	unsigned char a[16], b[16];
	char prefix[64];
	const char *slash = strchr(network, '/');
	int family, bits, max;

	if (!slash || slash - network >= (int)sizeof(prefix))
		return false;
	snprintf(prefix, sizeof(prefix), "%.*s", (int)(slash - network), network);
	family = strchr(prefix, ':') ? AF_INET6 : AF_INET;
	max = family == AF_INET6 ? 128 : 32;
	bits = atoi(slash + 1);
	if (inet_pton(family, host, a) != 1 || inet_pton(family, prefix, b) != 1 || bits < 0 || bits > max)
		return false;
	for (int i = 0; i < bits; i++)
		if ((a[i / 8] ^ b[i / 8]) & (0x80 >> (i % 8)))
			return false;
	return true;
}

bool session_is_insecure(const struct session *s, const char *domain)
{
	char host[256];
	json_t *v;
	size_t i;

	name_host_of(domain, host, sizeof(host));
	if (strcasecmp(host, "localhost") == 0 || is_within(host, "127.0.0.0/8") || is_within(host, "::1/128"))
		return true;
	json_array_foreach(s->insecure, i, v) {
		const char *text = json_string_value(v);

		if (text && (strcasecmp(text, domain) == 0 || strcasecmp(text, host) == 0 || is_within(host, text)))
			return true;
	}
	return false;
}

/* ---- waiting ---- */

static int wait_ms(const struct session *s, int attempt, const char *retry_after)
{
	int64_t ms = (int64_t)s->backoff_ms << (attempt < 8 ? attempt : 8);

	if (retry_after && *retry_after >= '0' && *retry_after <= '9' && atol(retry_after) * 1000 > ms)
		ms = atol(retry_after) * 1000;
	return ms < WAIT_MAX_MS ? (int)ms : WAIT_MAX_MS;
}

int session_wait_seconds(const struct session *s, int attempt, const char *retry_after)
{
	return (wait_ms(s, attempt, retry_after) + 999) / 1000;
}

/* A fifth more or less, so that many who were cut off together do not come back together. */
void session_wait(const struct session *s, int attempt, const char *retry_after)
{
	int ms = wait_ms(s, attempt, retry_after);
	unsigned char dice = 128;
	struct timespec t;

	if (getrandom(&dice, 1, GRND_NONBLOCK) != 1)
		dice = 128;
	ms = ms * 4 / 5 + ms * 2 / 5 * dice / 255;
	t = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	nanosleep(&t, NULL);
}
