/* docker import --change: single Dockerfile instructions onto an image's config
 * (moby: builder/dockerfile BuildFromConfig's list of those allowed). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "image/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A JSON array of strings, or NULL. */
static json_t *as_array(const char *text)
{
	json_t *v = text[0] == '[' ? json_loads(text, 0, NULL) : NULL, *item;
	size_t i;

	json_array_foreach(v, i, item) {
		if (!json_is_string(item)) {
			json_decref(v);
			return NULL;
		}
	}
	return v;
}

static int set_command(json_t *config, const char *key, const char *rest)
{
	json_t *v = as_array(rest);

	return json_object_set_new(config, key, v ? v : json_pack("[s, s, s]", "/bin/sh", "-c", rest));
}

/* The next word; quotes hold blanks together. Cuts it off *text. */
static char *next_word(char **text)
{
	char *in = *text, *out, *word, quote = '\0';

	while (isspace((unsigned char)*in))
		in++;
	word = out = in;
	while (*in && (quote || !isspace((unsigned char)*in))) {
		if (!quote && (*in == '"' || *in == '\''))
			quote = *in++;
		else if (quote && *in == quote)
			quote = '\0', in++;
		else
			*out++ = *in++;
	}
	*text = *in ? in + 1 : in;
	*out = '\0';
	return *word ? word : NULL;
}

static void set_env(json_t *env, const char *setting)
{
	size_t n = strcspn(setting, "=") + 1, i;
	json_t *v;

	json_array_foreach(env, i, v) {
		if (strncmp(json_string_value(v), setting, n) == 0) {
			json_array_set_new(env, i, json_string(setting));
			return;
		}
	}
	json_array_append_new(env, json_string(setting));
}

/* ENV and LABEL: "a=b c=d", or the old "a b". */
static int set_pairs(json_t *config, const char *key, const char *rest)
{
	CLEANUP(freep) char *copy = xstrdup(rest);
	bool is_env = strcmp(key, "Env") == 0;
	json_t *into = json_object_get(config, key);
	char *at = copy, *word;

	if (!into || json_is_null(into)) {
		into = is_env ? json_array() : json_object();
		json_object_set_new(config, key, into);
	}
	while ((word = next_word(&at))) {
		CLEANUP(freep) char *joined = NULL;
		char *eq = strchr(word, '=');

		if (!eq) {
			joined = xasprintf("%s=%s", word, at);
			word = joined;
			eq = strchr(word, '=');
			at += strlen(at);
		}
		if (is_env) {
			set_env(into, word);
			continue;
		}
		*eq = '\0';
		json_object_set_new(into, word, json_string(eq + 1));
	}
	return 0;
}

/* EXPOSE and VOLUME: an object of empty objects. */
static int set_keys(json_t *config, const char *key, const char *rest)
{
	CLEANUP(freep) char *copy = xstrdup(rest);
	json_t *into = json_object_get(config, key), *list = as_array(rest), *v;
	char *at = copy, *word;
	size_t i;

	if (!into || json_is_null(into)) {
		into = json_object();
		json_object_set_new(config, key, into);
	}
	json_array_foreach(list, i, v)
		json_object_set_new(into, json_string_value(v), json_object());
	while (!list && (word = next_word(&at))) {
		CLEANUP(freep)
		char *port = strcmp(key, "ExposedPorts") == 0 && !strchr(word, '/') ? xasprintf("%s/tcp", word) : NULL;

		json_object_set_new(into, port ? port : word, json_object());
	}
	json_decref(list);
	return 0;
}

static int set_text(json_t *config, const char *key, const char *rest)
{
	return json_object_set_new(config, key, json_string(rest));
}

/* One option before HEALTHCHECK's command; false: it is none. */
static bool set_health_option(json_t *health, const char *word, struct error *err)
{
	static const char *const names[][2] = { { "--interval=", "Interval" },
						{ "--timeout=", "Timeout" },
						{ "--start-period=", "StartPeriod" },
						{ "--start-interval=", "StartInterval" },
						{ "--retries=", "Retries" } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = word + strlen(names[i][0]);
		char *end;
		int64_t n;

		if (strncmp(word, names[i][0], strlen(names[i][0])) != 0)
			continue;
		if (i == ARRAY_SIZE(names) - 1) {
			n = strtoll(value, &end, 10);
			if (!*value || *end || n < 0 || n > INT32_MAX)
				error_set_class(err, ERROR_INVALID,
						"--retries must be a number that is not negative (%.40s)", value);
		} else if (clock_parse_duration(value, &n) < 0) {
			error_set_class(err, ERROR_INVALID, "time: invalid duration \"%.40s\"", value);
		} else if (n != 0 && n < 1000000) {
			error_set_class(err, ERROR_INVALID, "Interval \"%.*s\" cannot be less than 1ms",
					(int)strlen(names[i][0]) - 3, names[i][0] + 2);
		}
		json_object_set_new(health, names[i][1], json_integer(n));
		return true;
	}
	return false;
}

/* HEALTHCHECK: NONE, or options and CMD with words or a line for the shell. */
static int set_health(json_t *config, const char *rest, struct error *err)
{
	CLEANUP(freep) char *copy = xstrdup(rest);
	json_t *health = json_object(), *words;
	struct error found = { 0 };
	char *at = copy, *word = next_word(&at);

	while (word && set_health_option(health, word, &found))
		word = next_word(&at);
	at += strspn(at, " \t");
	if (!word)
		word = "";
	if (found.code == 0 && strcasecmp(word, "NONE") == 0) {
		if (*at)
			error_set_class(&found, ERROR_INVALID, "HEALTHCHECK NONE takes no arguments");
		json_object_set_new(health, "Test", json_pack("[s]", "NONE"));
	} else if (found.code == 0 && strcasecmp(word, "CMD") == 0) {
		words = as_array(at);
		if (!*at)
			error_set_class(&found, ERROR_INVALID, "Missing command after HEALTHCHECK CMD");
		if (words)
			json_array_insert_new(words, 0, json_string("CMD"));
		json_object_set_new(health, "Test", words ? words : json_pack("[s, s]", "CMD-SHELL", at));
	} else if (found.code == 0) {
		error_set_class(&found, ERROR_INVALID, "Unknown type \"%.40s\" in HEALTHCHECK (try CMD)", word);
	}
	if (found.code) {
		json_decref(health);
		if (err)
			*err = found;
		return found.code;
	}
	return json_object_set_new(config, "Healthcheck", health);
}

static const struct {
	const char *name, *key;
	int (*set)(json_t *config, const char *key, const char *rest);
} instructions[] = {
	{ "CMD", "Cmd", set_command },
	{ "ENTRYPOINT", "Entrypoint", set_command },
	{ "ENV", "Env", set_pairs },
	{ "LABEL", "Labels", set_pairs },
	{ "EXPOSE", "ExposedPorts", set_keys },
	{ "VOLUME", "Volumes", set_keys },
	{ "USER", "User", set_text },
	{ "WORKDIR", "WorkingDir", set_text },
	{ "STOPSIGNAL", "StopSignal", set_text },
};

int change_apply(json_t *config, const char *instruction, struct error *err)
{
	size_t n = strcspn(instruction, " \t");
	const char *rest = instruction + n + strspn(instruction + n, " \t");

	if (n == 11 && strncasecmp(instruction, "HEALTHCHECK", n) == 0 && *rest)
		return set_health(config, rest, err);
	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++)
		if (strlen(instructions[i].name) == n && strncasecmp(instructions[i].name, instruction, n) == 0 && *rest)
			return instructions[i].set(config, instructions[i].key, rest);
	return error_set_class(err, ERROR_INVALID, "%.*s is not a valid change command", (int)(n < 100 ? n : 100), instruction);
}
