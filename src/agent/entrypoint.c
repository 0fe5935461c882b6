#include "agent/entrypoint.h"

#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"

enum { WORDS_MAX = 16 };

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* The options of tail that change nothing here; *ret_follows when it is the one that counts. */
static bool is_harmless(const char *const **at, bool *ret_follows)
{
	static const char *const follows[] = { "-f",  "-F",  "--follow", "--follow=name", "--follow=descriptor",
					       "-fq", "-qf", "-fn0",     "-f0",           "-0f",
					       NULL };
	static const char *const alone[] = { "-q", "--quiet",   "--silent",  "--retry", "-n0", "-c0",
					     "-0", "--lines=0", "--bytes=0", "-n+1",    NULL };
	static const char *const with_value[] = { "-n", "-c", "-s", "--lines", "--bytes", "--sleep-interval", NULL };

	if (is_one_of(**at, follows)) {
		*ret_follows = true;
		return true;
	}
	if (is_one_of(**at, with_value) && (*at)[1]) {
		(*at)++;
		return true;
	}
	return is_one_of(**at, alone) || strncmp(**at, "--pid=", 6) == 0;
}

static bool is_tail(const char *const *argv)
{
	bool follows = false, has_null = false;

	if (strcmp(base_of(*argv), "busybox") == 0 && argv[1])
		argv++;
	if (strcmp(base_of(*argv), "tail") != 0)
		return false;
	for (argv++; *argv; argv++) {
		if (strcmp(*argv, "--") == 0)
			continue;
		if (strcmp(*argv, "/dev/null") == 0 && !has_null)
			has_null = true;
		else if (!is_harmless(&argv, &follows))
			return false;
	}
	return follows && has_null;
}

/* A line of a shell's, of one simple command; quotes around whole words are taken off. */
static bool is_tail_line(const char *line)
{
	CLEANUP(freep) char *copy = xstrdup(line);
	const char *words[WORDS_MAX + 1];
	char *save = NULL;
	size_t n = 0;

	for (char *end = copy + strlen(copy); end > copy && strchr(" \t\n;", end[-1]); end--)
		end[-1] = '\0';
	if (strpbrk(copy, "|&<>$`\\*?(){};\n"))
		return false;
	for (char *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		size_t len = strlen(w);

		if (n == WORDS_MAX)
			return false;
		if (len >= 2 && (w[0] == '"' || w[0] == '\'') && w[len - 1] == w[0]) {
			w[len - 1] = '\0';
			w++;
		}
		if (n == 0 && strcmp(w, "exec") == 0)
			continue;
		words[n++] = w;
	}
	words[n] = NULL;
	return n > 0 && is_tail(words);
}

bool entrypoint_is_keep_alive(const char *const *argv)
{
	static const char *const shells[] = { "sh", "bash", "ash", "dash", NULL };
	static const char *const flags[] = { "-c", "-ec", "-ce", "-lc", "-cl", "-xc", "-exc", NULL };
	static const char *const inits[] = { "tini", "dumb-init", "docker-init", "env", "exec", NULL };

	while (argv[0] && argv[1] && is_one_of(base_of(argv[0]), inits)) /* init -- command */
		argv += argv[1] && strcmp(argv[1], "--") == 0 ? 2 : 1;
	if (!argv[0])
		return false;
	if (is_one_of(base_of(argv[0]), shells) && argv[1] && is_one_of(argv[1], flags) && argv[2] && !argv[3])
		return is_tail_line(argv[2]);
	return is_tail(argv);
}

static char **build(const char *agent, const char *option, const char *value, const char *const *argv)
{
	bool is_alone = !argv[0] || entrypoint_is_keep_alive(argv);
	size_t n = 0, k = 0;
	char **out;

	while (argv[n])
		n++;
	out = xcalloc(n + 6, sizeof(*out));
	out[k++] = xstrdup(agent);
	out[k++] = xstrdup(option);
	out[k++] = xstrdup(value);
	if (is_alone)
		return out;
	out[k++] = xstrdup("--keep-alive");
	out[k++] = xstrdup("--");
	for (size_t i = 0; i < n; i++)
		out[k++] = xstrdup(argv[i]);
	return out;
}

char **entrypoint_forward(const char *agent, const char *addr, const char *const *argv)
{
	return build(agent, "--addr", addr, argv);
}

char **entrypoint_reverse(const char *agent, const char *url, const char *const *argv)
{
	return build(agent, "--callback", url, argv);
}

void entrypoint_free(char **argv)
{
	for (size_t i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

char *entrypoint_quote(const char *const *argv)
{
	struct buf b;

	buf_init(&b, 64u << 20);
	for (; *argv; argv++) {
		buf_puts(&b, b.len ? " '" : "'");
		for (const char *p = *argv; *p; p++) {
			if (*p == '\'')
				buf_puts(&b, "'\\''");
			else
				buf_append(&b, p, 1);
		}
		buf_puts(&b, "'");
	}
	return buf_steal(&b);
}
