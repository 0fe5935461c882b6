/* The texts of /etc/hosts and /etc/resolv.conf, as Docker lays them out (moby: daemon/libnetwork/etchosts,
 * daemon/libnetwork/internal/resolvconf). Pure. */
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "network/resolvconf.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { FILE_MAX = 1 << 20 };

const char hosts_usual[] = "127.0.0.1\tlocalhost\n"
			   "::1\tlocalhost ip6-localhost ip6-loopback\n"
			   "fe00::\tip6-localnet\n"
			   "ff00::\tip6-mcastprefix\n"
			   "ff02::1\tip6-allnodes\n"
			   "ff02::2\tip6-allrouters\n";

/* ---- hosts ---- */

/* Is this line the address and then the names, and nothing else? */
static bool is_line(const char *line, size_t len, const char *address, const char *names)
{
	size_t na = strlen(address), nn = strlen(names);

	return len == na + 1 + nn && strncmp(line, address, na) == 0 && line[na] == '\t' &&
	       strncmp(line + na + 1, names, nn) == 0;
}

/* "172.17.0.2<TAB>alias …" */
static bool begins_with_name(const char *line, size_t len, const char *name)
{
	const char *tab = memchr(line, '\t', len);
	size_t n = strlen(name);

	if (!tab || tab + 1 + n > line + len || strncmp(tab + 1, name, n) != 0)
		return false;
	return tab + 1 + n == line + len || strchr(" \t.", tab[1 + n]);
}

/* "172.17.0.2<TAB>alias host …": a line of --add-host has the one name. */
static bool is_links(const char *line, size_t len, const char *alias)
{
	const char *tab = memchr(line, '\t', len);
	size_t n = strlen(alias);

	return tab && tab + 1 + n < line + len && strncmp(tab + 1, alias, n) == 0 && tab[1 + n] == ' ';
}

char *hosts_edit(const char *text, enum hosts_change change, const char *address, const char *names)
{
	struct buf out;

	buf_init(&out, FILE_MAX);
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (change == HOSTS_MOVE && begins_with_name(text, len, names)) {
			const char *tab = memchr(text, '\t', len);

			buf_printf(&out, "%s%.*s\n", address, (int)(text + len - tab), tab);
		} else if (!(change == HOSTS_REMOVE && is_line(text, len, address, names)) &&
			   !(change == HOSTS_UNLINK && is_links(text, len, names))) {
			buf_append(&out, text, len);
			buf_puts(&out, "\n");
		}
		text += len + (text[len] == '\n');
	}
	if (change == HOSTS_ADD)
		buf_printf(&out, "%s\t%s\n", address, names);
	return buf_steal(&out);
}

const char *extra_host_address(const char *text)
{
	size_t n = strcspn(text, ":=");

	return text[n] ? text + n + 1 : NULL;
}

/* ---- resolv.conf ---- */

static bool has_ndots(json_t *options)
{
	json_t *v;
	size_t i;

	json_array_foreach(options, i, v)
		if (strncmp(json_string_value(v), "ndots", 5) == 0 && strchr(":", json_string_value(v)[5]))
			return true;
	return false;
}

static void put_words(struct buf *out, const char *key, json_t *words)
{
	json_t *v;
	size_t i;

	if (json_array_size(words) == 0)
		return;
	buf_puts(out, key);
	json_array_foreach(words, i, v)
		buf_printf(out, " %s", json_string_value(v));
	buf_puts(out, "\n");
}

/* The usable ones, and the others in words, blank between them. */
struct servers {
	json_t *good;
	struct buf bad;
};

static void sort_servers(struct servers *s, json_t *all)
{
	struct ip ip;
	json_t *v;
	size_t i;

	s->good = json_array();
	buf_init(&s->bad, FILE_MAX);
	json_array_foreach(all, i, v) {
		if (ip_parse(json_string_value(v), &ip, NULL) == 0)
			json_array_append(s->good, v);
		else
			buf_printf(&s->bad, "%s%s", s->bad.len ? " " : "", json_string_value(v));
	}
}

static void put_servers(struct buf *out, const struct servers *s, bool is_internal)
{
	json_t *v;
	size_t i;

	if (is_internal)
		buf_puts(out, "nameserver 127.0.0.11\n");
	else
		json_array_foreach(s->good, i, v)
			buf_printf(out, "nameserver %s\n", json_string_value(v));
}

/* How the file came about, as comments. */
static void put_story(struct buf *out, const struct servers *s, const struct resolv_wish *wish, const char *ndots_from)
{
	const char *separator = "";
	json_t *v;
	size_t i;

	buf_printf(out, "\n# Based on host file: '/etc/resolv.conf'%s\n", wish->is_internal ? " (internal resolver)" : "");
	if (wish->is_internal && json_array_size(s->good) == 0)
		buf_puts(out, "# NO EXTERNAL NAMESERVERS DEFINED\n");
	if (wish->is_internal && json_array_size(s->good) > 0) {
		buf_puts(out, "# ExtServers: [");
		json_array_foreach(s->good, i, v)
			buf_printf(out, wish->servers ? "%s%s" : "%shost(%s)", i ? " " : "", json_string_value(v));
		buf_puts(out, "]\n");
	}
	if (s->bad.len)
		buf_printf(out, "# Invalid nameservers: [%s]\n", s->bad.data);
	buf_puts(out, "# Overrides: [");
	if (wish->servers) {
		buf_puts(out, "nameservers");
		separator = " ";
	}
	if (wish->search) {
		buf_printf(out, "%ssearch", separator);
		separator = " ";
	}
	if (wish->options)
		buf_printf(out, "%soptions", separator);
	buf_puts(out, "]\n");
	if (ndots_from)
		buf_printf(out, "# Option ndots from: %s\n", ndots_from);
}

static void override(struct resolvconf *r, struct servers *s, const struct resolv_wish *wish)
{
	json_t *v;
	size_t i;

	if (wish->servers) {
		json_decref(s->good);
		s->good = json_copy(wish->servers);
	}
	if (wish->search) { /* --dns-search=. means none */
		json_decref(r->search);
		r->search = json_array();
		json_array_foreach(wish->search, i, v)
			if (strcmp(json_string_value(v), ".") != 0)
				json_array_append(r->search, v);
	}
	if (wish->options) {
		json_decref(r->options);
		r->options = json_copy(wish->options);
	}
}

char *resolv_make(const char *host, const struct resolv_wish *wish)
{
	struct resolvconf r;
	struct servers servers;
	const char *ndots_from;
	struct buf out;

	buf_init(&out, FILE_MAX);
	resolvconf_parse(host, &r);
	sort_servers(&servers, r.servers);
	ndots_from = has_ndots(r.options) ? "host" : NULL;
	override(&r, &servers, wish);
	if (wish->options)
		ndots_from = has_ndots(r.options) ? "override" : NULL;
	if (wish->is_internal && !has_ndots(r.options)) {
		json_array_append_new(r.options, json_string("ndots:0"));
		ndots_from = "internal";
	}
	buf_puts(&out, "# Generated by Docker Engine.\n"
		       "# This file can be edited; Docker Engine will not make further changes once it\n"
		       "# has been modified.\n\n");
	put_servers(&out, &servers, wish->is_internal);
	put_words(&out, "search", r.search);
	put_words(&out, "options", r.options);
	if (r.other.len)
		buf_append(&out, r.other.data, r.other.len);
	put_story(&out, &servers, wish, ndots_from);
	json_decref(servers.good);
	buf_done(&servers.bad);
	resolvconf_done(&r);
	return buf_steal(&out);
}
