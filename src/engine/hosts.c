/* /etc/hosts, /etc/hostname and /etc/resolv.conf of a container: files beside its root, mounted over what the
 * image has. Written at each start; edited, unless the user did, when it comes to or goes from a network. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/json.h"

enum { FILE_MAX = 1 << 20 };

/* Held while a file is read and written again: what an edit of one run leaves must not come over the next run's. */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

struct container_files {
	struct engine *engine;
	char *id;       /* of the container */
	char sandbox_id[ID_LEN + 1]; /* whose files these are: that of a later run has another */
	char *dir;      /* containers/<id>/net */
	char *hosts;    /* NULL: the host's own */
	char *hostname;
	json_t *servers, *search, *options; /* NULL: the host's */
	bool is_internal;
	char *resolv_text; /* as written */
};

/* ---- files; these block ---- */

/* In place: a guest may have it open. */
static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	fchmod(fd, 0644);
	n = write(fd, text, len);
	close(fd);
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
}

static int write_in(const char *dir, const char *name, const char *text, struct error *err)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s", dir, name);
	int r = write_file(path, text);

	return r < 0 ? error_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static char *make_resolv(const struct container_files *f)
{
	struct resolv_wish wish = { f->servers, f->search, f->options, f->is_internal };
	CLEANUP(freep) char *host = file_text("/etc/resolv.conf", FILE_MAX);

	return resolv_make(host, &wish);
}

int container_files_write(struct container_files *f, struct error *err)
{
	CLEANUP(freep) char *hosts = f->hosts ? xstrdup(f->hosts) : file_text("/etc/hosts", FILE_MAX);
	int r;

	if (mkdir(f->dir, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", f->dir, strerror(errno));
	f->resolv_text = make_resolv(f);
	pthread_mutex_lock(&writing);
	r = write_in(f->dir, "hosts", hosts, err);
	if (r == 0)
		r = write_in(f->dir, "hostname", f->hostname, err);
	if (r == 0)
		r = write_in(f->dir, "resolv.conf", f->resolv_text, err);
	pthread_mutex_unlock(&writing);
	return r;
}

/* ---- what a start writes ---- */

char *container_files_dir(struct engine *e, const struct container *c)
{
	const struct net_sandbox *s = net_sandbox_of(e, c);

	if (!s && (!c->state.started_ns || network_mode_container(network_mode_of(c))))
		return NULL;
	return xasprintf("%s/containers/%s/net", e->options.data_root, s ? s->files_of : c->id);
}

static void host_gateway_text(struct engine *e, char ret[IP_TEXT_MAX])
{
	struct network *bridge;

	ip_format(e->networks->host_gateway, ret);
	if (!*ret && networks_find(e->networks, "bridge", &bridge, NULL) == 0 && bridge->nsubnets)
		ip_format(bridge->subnets[0].gateway, ret);
}

json_t *extra_hosts(struct engine *e, const struct container *c)
{
	json_t *pairs = json_array(), *v;
	char gateway[IP_TEXT_MAX];
	size_t i;

	host_gateway_text(e, gateway);
	json_array_foreach(json_object_get(c->host_config, "ExtraHosts"), i, v) {
		const char *text = json_string_value(v), *address = extra_host_address(text);

		if (!address)
			continue;
		json_array_append_new(pairs, json_stringn(text, (size_t)(address - 1 - text)));
		json_array_append_new(pairs, json_string(strcmp(address, "host-gateway") == 0 ? gateway : address));
	}
	return pairs;
}

static void add_extra_hosts(struct buf *b, struct engine *e, const struct container *c)
{
	json_t *pairs = extra_hosts(e, c);

	for (size_t i = 0; i + 1 < json_array_size(pairs); i += 2)
		buf_printf(b, "%s\t%s\n", json_string_value(json_array_get(pairs, i + 1)),
			   json_string_value(json_array_get(pairs, i)));
	json_decref(pairs);
}

/* Those of its own addresses: "host.domain host". */
static char *own_names(const struct container *c)
{
	const char *host = json_text(c->config, "Hostname"), *domain = json_text(c->config, "Domainname");
	CLEANUP(freep) char *full = *domain ? xasprintf("%s.%s", host, domain) : xstrdup(host);
	size_t n = strcspn(full, ".");

	return full[n] ? xasprintf("%s %.*s", full, (int)n, full) : xstrdup(full);
}

static void each_address(const struct endpoint *ep, void (*act)(void *arg, const char *address), void *arg)
{
	char text[IP_TEXT_MAX];

	ip_format(ep->ip4, text);
	if (*text)
		act(arg, text);
	ip_format(ep->ip6, text);
	if (*text)
		act(arg, text);
}

struct naming {
	struct buf *out;
	const char *names;
};

static void put_line(void *arg, const char *address)
{
	struct naming *n = arg;

	buf_printf(n->out, "%s\t%s\n", address, n->names);
}

/* --link on the default bridge: alias, host name and name of the other (moby: addLegacyLinks). */
static int add_link(struct buf *b, struct engine *e, const struct container_link *l, struct error *err)
{
	const struct container *other = l->child;
	const char *host = json_text(other->config, "Hostname");
	const struct endpoint *ep = endpoint_find(net_sandbox_of(e, other), "bridge");
	CLEANUP(freep)
	char *names = strcmp(l->alias, other->name) ? xasprintf("%s %s %s", l->alias, host, other->name) :
						      xasprintf("%s %s", l->alias, host);
	struct naming n = { b, names };

	if (!container_has_process(other))
		return error_set(err, -EINVAL, "Cannot link to a non running container: /%s AS /%s/%s", other->name,
				 l->parent->name, l->alias);
	if (!ep)
		return error_set(err, -EINVAL, "Cannot link to /%s, as it does not belong to the default network", other->name);
	each_address(ep, put_line, &n);
	return 0;
}

static int make_hosts(struct engine *e, const struct container *c, const struct net_sandbox *s, char **ret, struct error *err)
{
	CLEANUP(freep) char *own = own_names(c);
	bool is_on_bridge = endpoint_find(s, "bridge") != NULL;
	struct buf b;
	struct naming n = { &b, own };

	buf_init(&b, FILE_MAX);
	buf_puts(&b, hosts_usual);
	add_extra_hosts(&b, e, c);
	for (const struct container_link *l = is_on_bridge ? c->links : NULL; l; l = l->next) {
		if (add_link(&b, e, l, err) == 0)
			continue;
		buf_done(&b);
		return err->code;
	}
	list_for_each(it, &s->endpoints)
		each_address(container_of(it, struct endpoint, of_sandbox), put_line, &n);
	*ret = buf_steal(&b);
	return 0;
}

static json_t *list_or_null(json_t *host, const char *key)
{
	json_t *v = json_object_get(host, key);

	return json_array_size(v) ? json_deep_copy(v) : NULL;
}

/* 127.0.0.11 serves the default bridge too, but for --dns: the host's own name servers may well be on
 * the host's loopback, where no container gets. There it knows no names of containers. */
static bool wants_internal(const struct net_sandbox *s)
{
	bool has_own = json_array_size(json_object_get(s->container->host_config, "Dns")) > 0, is_bridged = false;

	list_for_each(it, &s->endpoints) {
		const struct network *n = container_of(it, struct endpoint, of_sandbox)->network;

		if (network_is_user_defined(n->name))
			return true;
		is_bridged = is_bridged || strcmp(n->driver, "bridge") == 0;
	}
	return is_bridged && !has_own;
}

static struct container_files *files_of(const struct net_sandbox *s)
{
	struct container_files *f = xnew(struct container_files);
	const struct container *c = s->container;
	json_t *host = c->host_config;

	f->engine = s->engine;
	f->id = xstrdup(c->id);
	memcpy(f->sandbox_id, s->id, sizeof(f->sandbox_id));
	f->dir = container_files_dir(s->engine, c);
	f->hostname = xasprintf("%s\n", json_text(c->config, "Hostname"));
	f->servers = list_or_null(host, "Dns");
	f->search = list_or_null(host, "DnsSearch");
	f->options = list_or_null(host, "DnsOptions");
	f->is_internal = wants_internal(s);
	return f;
}

int container_files_new(struct engine *e, struct container *c, struct container_files **ret, struct error *err)
{
	struct net_sandbox *s = net_sandbox_of(e, c);
	struct container_files *f;
	bool is_host;
	int r = 0;

	*ret = NULL;
	if (!s || strcmp(s->files_of, c->id) != 0)
		return 0;
	f = files_of(s);
	is_host = strcmp(network_mode_of(c), "host") == 0;
	if (!is_host || json_array_size(json_object_get(c->host_config, "ExtraHosts")) > 0)
		r = make_hosts(e, c, s, &f->hosts, err);
	if (r < 0) {
		container_files_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

/* NULL when that run has ended, whether there is another or not. */
static struct net_sandbox *sandbox_of(const struct container_files *f)
{
	struct net_sandbox *s = map_get(&f->engine->networks->sandboxes, f->id);

	return s && strcmp(s->id, f->sandbox_id) == 0 ? s : NULL;
}

void container_files_free(struct container_files *f)
{
	struct net_sandbox *s;

	if (!f)
		return;
	s = sandbox_of(f);
	if (s && f->resolv_text) {
		free(s->resolv_text);
		s->resolv_text = steal_ptr(f->resolv_text);
	}
	json_decref(f->servers);
	json_decref(f->search);
	json_decref(f->options);
	free(f->resolv_text);
	free(f->id);
	free(f->dir);
	free(f->hosts);
	free(f->hostname);
	free(f);
}

/* ---- edits while it runs: one after the other ---- */

struct edit {
	struct list link;
	enum hosts_change change;
	char *address, *names;
};

struct edit_job {
	uv_work_t work;
	struct container_files *files;
	struct list edits;
	char *before;                /* resolv.conf as we wrote it */
	atomic_bool is_over;         /* the run has ended: the files are the next one's */
};

static void edit_free(struct edit *ed)
{
	list_remove(&ed->link);
	free(ed->address);
	free(ed->names);
	free(ed);
}

static void edit_files(struct edit_job *j)
{
	CLEANUP(freep) char *hosts_path = xasprintf("%s/hosts", j->files->dir);
	CLEANUP(freep) char *resolv_path = xasprintf("%s/resolv.conf", j->files->dir);
	CLEANUP(freep) char *text = file_text(hosts_path, FILE_MAX), *resolv = file_text(resolv_path, FILE_MAX);

	list_for_each(it, &j->edits) {
		struct edit *ed = container_of(it, struct edit, link);
		char *edited = hosts_edit(text, ed->change, ed->address, ed->names);

		free(text);
		text = edited;
	}
	write_file(hosts_path, text);
	j->files->resolv_text = make_resolv(j->files);
	if (!j->before || strcmp(j->before, resolv) != 0) { /* the user's own */
		free(j->files->resolv_text);
		j->files->resolv_text = NULL;
	} else if (strcmp(j->files->resolv_text, resolv) != 0) {
		write_file(resolv_path, j->files->resolv_text);
	}
}

static void edit_work(uv_work_t *w)
{
	struct edit_job *j = container_of(w, struct edit_job, work);

	pthread_mutex_lock(&writing);
	if (!atomic_load(&j->is_over))
		edit_files(j);
	pthread_mutex_unlock(&writing);
}

static void begin_edits(struct net_sandbox *s);

static void on_edited(uv_work_t *w, int status)
{
	struct edit_job *j = container_of(w, struct edit_job, work);
	struct net_sandbox *s = sandbox_of(j->files);

	(void)status;
	list_for_each_safe(it, &j->edits)
		edit_free(container_of(it, struct edit, link));
	container_files_free(j->files);
	free(j->before);
	if (s) {
		s->edit_job = NULL;
		begin_edits(s);
	}
	free(j);
}

static void begin_edits(struct net_sandbox *s)
{
	struct edit_job *j;

	if (s->edit_job || list_is_empty(&s->edits) || !container_has_process(s->container))
		return; /* a start writes what it found when it began, and would undo them */
	j = xnew(struct edit_job);
	j->files = files_of(s);
	j->before = xstrdup(s->resolv_text);
	list_init(&j->edits);
	list_for_each_safe(it, &s->edits) {
		list_remove(it);
		list_append(&j->edits, it);
	}
	s->edit_job = j;
	uv_queue_work(s->engine->loop, &j->work, edit_work, on_edited);
}

static void add_edit(struct net_sandbox *s, enum hosts_change change, const char *address, const char *names)
{
	struct edit *ed = xnew(struct edit);

	ed->change = change;
	ed->address = xstrdup(address);
	ed->names = xstrdup(names);
	list_append(&s->edits, &ed->link);
}

struct editing {
	struct net_sandbox *sandbox;
	enum hosts_change change;
	const char *names;
};

static void edit_address(void *arg, const char *address)
{
	struct editing *ed = arg;

	add_edit(ed->sandbox, ed->change, address, ed->names);
}

/* Begun at the next turn, when the endpoint has come or gone. */
static void on_begin(void *arg, const struct error *err)
{
	struct container *c = arg;
	struct crun *run = c->run;
	struct net_sandbox *s = run ? net_sandbox_of(run->engine, c) : NULL;

	(void)err;
	if (s)
		begin_edits(s);
	container_unref(c);
}

static void begin_later(struct net_sandbox *s)
{
	engine_later(s->engine, on_begin, container_ref(s->container), NULL);
}

void container_files_edit(struct net_sandbox *s, const struct endpoint *ep, bool is_added)
{
	CLEANUP(freep) char *names = own_names(s->container);
	struct editing ed = { s, is_added ? HOSTS_ADD : HOSTS_REMOVE, names };

	if (strcmp(s->files_of, s->container->id) != 0)
		return;
	each_address(ep, edit_address, &ed);
	begin_later(s);
}

void container_files_move(struct net_sandbox *s, const struct endpoint *of, const char *alias)
{
	struct editing ed = { s, HOSTS_MOVE, alias };

	each_address(of, edit_address, &ed);
	begin_later(s);
}

void container_files_unlink(struct net_sandbox *s, const char *alias)
{
	add_edit(s, HOSTS_UNLINK, "", alias);
	begin_later(s);
}

void container_files_started(struct net_sandbox *s)
{
	begin_edits(s);
}

void container_files_forget(struct net_sandbox *s)
{
	if (s->edit_job)
		atomic_store(&s->edit_job->is_over, true);
	list_for_each_safe(it, &s->edits)
		edit_free(container_of(it, struct edit, link));
	free(s->resolv_text);
	s->resolv_text = NULL;
}
