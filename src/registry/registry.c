#include "registry/registry.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "registry/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

#define KEPT_S (7 * 24 * 3600)

static json_t *texts(const char *const *list)
{
	json_t *array = json_array();

	for (; list && *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

/* What a broken pull left is gone on with by the next one; not for ever. */
static void sweep(const char *dir)
{
	CLEANUP(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = opendir(dir);
	time_t now = time(NULL);
	struct dirent *e;
	struct stat st;

	while (d && fd >= 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && now - st.st_mtime > KEPT_S)
			unlinkat(fd, e->d_name, 0);
	if (d)
		closedir(d);
}

int registry_open(const struct registry_options *opt, struct registry **ret, struct error *err)
{
	struct registry *r = xnew(struct registry);

	r->options = *opt;
	r->options.fetch_path = xstrdup(opt->fetch_path);
	r->mirrors = texts(opt->mirrors);
	r->insecure = texts(opt->insecure);
	list_init(&r->questions);
	list_init(&r->pulls);
	list_init(&r->pushes);
	list_init(&r->downloading);
	map_init(&r->downloads);
	r->dir = xasprintf("%s/downloads", opt->data_root);
	if (mkdir(r->dir, 0700) < 0 && errno != EEXIST) {
		error_set(err, -errno, "%s: %s", r->dir, error_text(errno));
		registry_free(r);
		return err->code;
	}
	sweep(r->dir);
	*ret = r;
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	map_done(&r->downloads);
	json_decref(r->mirrors);
	json_decref(r->insecure);
	free((char *)r->options.fetch_path);
	free(r->dir);
	free(r);
}

/* ---- configuration ---- */

static bool is_network(const char *text)
{
	CLEANUP(freep) char *address = xstrndup(text, strcspn(text, "/"));
	unsigned char bytes[16];

	return strchr(text, '/') && (inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1);
}

json_t *registry_config(const struct registry *r)
{
	json_t *networks = json_pack("[s, s]", "::1/128", "127.0.0.0/8"), *hosts = json_object(), *v;
	size_t i;

	json_array_foreach(r->insecure, i, v) {
		const char *text = json_string_value(v);

		if (is_network(text))
			json_array_append(networks, v);
		else
			json_object_set_new(
				hosts, text,
				json_pack("{s:s, s:[], s:b, s:b}", "Name", text, "Mirrors", "Secure", 0, "Official", 0));
	}
	json_object_set_new(hosts, "docker.io",
			    json_pack("{s:s, s:O, s:b, s:b}", "Name", "docker.io", "Mirrors", r->mirrors, "Secure", 1,
				      "Official", 1));
	return json_pack("{s:o, s:o, s:O}", "InsecureRegistryCIDRs", networks, "IndexConfigs", hosts, "Mirrors", r->mirrors);
}

int registry_check_mirror(const char *url, char **ret, struct error *err)
{
	const char *rest = strstr(url, "://");
	bool is_known = strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;

	if (!rest || rest == url)
		return error_set_class(err, ERROR_INVALID,
				       "invalid mirror: no scheme specified for \"%.200s\": must use either 'https://' or 'http://'",
				       url);
	if (!is_known)
		return error_set_class(err, ERROR_INVALID,
				       "invalid mirror: unsupported scheme \"%.*s\" in \"%.200s\": must use either 'https://' or 'http://'",
				       (int)(rest - url), url, url);
	if (strpbrk(url, "?#"))
		return error_set_class(err, ERROR_INVALID,
				       "invalid mirror: query or fragment at end of the URI \"%.200s\"", url);
	if (strchr(url, '@'))
		return error_set_class(err, ERROR_INVALID, "invalid mirror: username/password not allowed in URI");
	if (!rest[3] || rest[3] == '/')
		return error_set_class(err, ERROR_INVALID, "invalid mirror: \"%.200s\" is not a valid URI", url);
	*ret = xasprintf("%s%s", url, url[strlen(url) - 1] == '/' ? "" : "/");
	return 0;
}

int registry_check_insecure(const char *text, struct error *err)
{
	size_t n = strlen(text);

	if (strstr(text, "://"))
		return error_set_class(err, ERROR_INVALID, "insecure registry %.200s should not contain '://'", text);
	if (n == 0 || text[0] == '-' || text[n - 1] == '-')
		return error_set_class(err, ERROR_INVALID,
				       "invalid index name (%.200s). Cannot begin or end with a hyphen", text);
	if (is_network(text))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr(".-:[]", text[i]))
			return error_set_class(err, ERROR_INVALID,
					       "insecure registry %.200s is not valid: invalid host \"%.200s\"", text, text);
	return 0;
}

void registry_complete(const struct registry *r, json_t *request, json_t *auth)
{
	json_object_set(request, "mirrors", r->mirrors);
	json_object_set(request, "insecure", r->insecure);
	if (auth)
		json_object_set(request, "auth", auth);
}

void registry_split(const char *familiar, char **ret_domain, char **ret_path)
{
	size_t n = strcspn(familiar, "/");
	bool has_domain = familiar[n] && (memchr(familiar, '.', n) || memchr(familiar, ':', n) ||
					  (n == 9 && memcmp(familiar, "localhost", 9) == 0));

	*ret_domain = has_domain ? xstrndup(familiar, n) : xstrdup("docker.io");
	*ret_path = has_domain ? xstrdup(familiar + n + 1) : xasprintf("%s%s", familiar[n] ? "" : "library/", familiar);
}

bool registry_is_loopback(const char *domain)
{
	size_t n = domain[0] == '[' ? strcspn(domain, "]") + 1 : strcspn(domain, ":");

	return strncmp(domain, "127.", 4) == 0 || (n == 9 && strncmp(domain, "localhost", 9) == 0) ||
	       (n == 5 && strncmp(domain, "[::1]", 5) == 0);
}

/* ---- events ---- */

void registry_event(struct registry *r, const char *action, const struct image *i, const char *reference, const char *name)
{
	json_t *labels = json_object_get(json_object_get(i->config, "config"), "Labels");
	json_t *attributes = json_is_object(labels) ? json_copy(labels) : json_object();

	json_object_set_new(attributes, "name", json_string(name));
	events_publish(r->options.events, "image", action, reference, attributes);
}

/* ---- questions ---- */

struct registry_question {
	struct list of_registry;
	struct registry *registry;
	struct helper *helper;
	json_t *result;
	void (*done)(void *arg, json_t *result, const struct error *err, bool is_unreachable);
	void *arg;
};

static void question_free(struct registry_question *q)
{
	list_remove(&q->of_registry);
	json_decref(q->result);
	free(q);
}

static void on_answer(void *arg, const char *kind, json_t *event)
{
	struct registry_question *q = arg;

	if (strcmp(kind, "result") == 0 && !q->result)
		q->result = json_incref(event);
}

static void on_answered(void *arg, const struct error *err, bool is_unreachable)
{
	struct registry_question *q = arg;

	q->done(q->arg, q->result, err, is_unreachable);
	question_free(q);
}

static const struct helper_calls question_calls = { .on_event = on_answer, .on_end = on_answered };

struct registry_question *registry_ask(struct registry *r, json_t *take_request, json_t *auth,
				       void (*done)(void *arg, json_t *result, const struct error *err, bool is_unreachable),
				       void *arg, struct error *err)
{
	struct registry_question *q = xnew(struct registry_question);

	q->registry = r;
	q->done = done;
	q->arg = arg;
	list_init(&q->of_registry);
	registry_complete(r, take_request, auth);
	q->helper = helper_start(r->options.loop, r->options.fetch_path, take_request, &question_calls, q, err);
	if (!q->helper) {
		free(q);
		return NULL;
	}
	list_append(&r->questions, &q->of_registry);
	return q;
}

void registry_question_cancel(struct registry_question *q)
{
	helper_kill(q->helper);
	question_free(q);
}

void registry_stop(struct registry *r)
{
	struct error err = { 0 };

	if (!r)
		return;
	error_set_class(&err, ERROR_UNAVAILABLE, "the engine is stopping");
	pulls_stop(r, &err);
	pushes_stop(r, &err);
	downloads_stop(r, &err);
	while (!list_is_empty(&r->questions)) {
		struct registry_question *q = container_of(r->questions.next, struct registry_question, of_registry);

		helper_kill(q->helper);
		on_answered(q, &err, false);
	}
}
