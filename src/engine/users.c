/* Who runs a process: USER[:GROUP] looked up in the container's own files, as
 * runc does (libcontainer/user). Pool thread; reads through the view. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/internal.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { FILE_MAX_BYTES = 1 << 20, COLUMNS = 7, GROUPS_MAX = 64 };

/* The whole file, or an empty string: a container without passwd is usual. */
static char *read_all(struct rootfs *fs, const char *path)
{
	struct rootfs_file f;
	size_t len = 0, room = 4096; /* usually enough: a start reads two such files */
	char *text = xmalloc(room + 1);
	ssize_t n;

	text[0] = '\0';
	if (rootfs_open(fs, NULL, NULL, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, &f) < 0)
		return text;
	while (f.fd >= 0 && len < FILE_MAX_BYTES && (n = read(f.fd, text + len, room - len)) > 0) {
		len += (size_t)n;
		if (len == room && room < FILE_MAX_BYTES)
			text = xrealloc(text, (room *= 4) + 1);
	}
	rootfs_file_done(&f);
	text[len] = '\0';
	return text;
}

/* Cuts the next line of *text into columns at ':'. Answers how many; 0 at the end. */
static int next_line(char **text, char *columns[COLUMNS])
{
	char *line, *column;
	int n = 0;

	do {
		line = strsep(text, "\n");
	} while (line && !*line);
	while (line && n < COLUMNS && (column = strsep(&line, ":")))
		columns[n++] = column;
	return n;
}

struct user {
	char *name, *home;
	uint32_t uid, gid;
	bool is_found;
};

static void find_user(struct rootfs *fs, const char *key, struct user *u)
{
	CLEANUP(freep) char *text = read_all(fs, "/etc/passwd");
	char *at = text, *c[COLUMNS];
	int n;

	while (!u->is_found && (n = next_line(&at, c)) > 0) {
		if (n < 4 || (strcmp(c[0], key) != 0 && strcmp(c[2], key) != 0))
			continue;
		u->is_found = true;
		u->name = xstrdup(c[0]);
		u->home = xstrdup(n > 5 ? c[5] : "");
		u->uid = (uint32_t)strtoul(c[2], NULL, 10);
		u->gid = (uint32_t)strtoul(c[3], NULL, 10);
	}
}

static bool is_number(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!*text || *end || v > 0x7fffffff)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool find_group(struct rootfs *fs, const char *key, uint32_t *ret)
{
	CLEANUP(freep) char *text = read_all(fs, "/etc/group");
	char *at = text, *c[COLUMNS];
	int n;

	while ((n = next_line(&at, c)) > 0)
		if (n >= 3 && (strcmp(c[0], key) == 0 || strcmp(c[2], key) == 0))
			return is_number(c[2], ret);
	return is_number(key, ret);
}

static void add_group(struct run_spec *s, uint32_t gid)
{
	for (size_t i = 0; i < s->ngroups; i++)
		if (s->groups[i] == gid)
			return;
	if (s->ngroups == GROUPS_MAX)
		return;
	s->groups = xrealloc(s->groups, (s->ngroups + 1) * sizeof(*s->groups));
	s->groups[s->ngroups++] = gid;
}

static void add_memberships(struct rootfs *fs, const char *name, struct run_spec *s)
{
	CLEANUP(freep) char *text = read_all(fs, "/etc/group");
	char *at = text, *c[COLUMNS], *member;
	uint32_t gid;
	int n;

	while ((n = next_line(&at, c)) > 0)
		while (n >= 4 && (member = strsep(&c[3], ",")))
			if (strcmp(member, name) == 0 && is_number(c[2], &gid))
				add_group(s, gid);
}

static int no_user(const char *name, struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "unable to find user %.100s: no matching entries in passwd file", name);
}

static int no_group(const char *name, struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "unable to find group %.100s: no matching entries in group file", name);
}

int users_resolve(struct rootfs *fs, const char *user, json_t *group_add, struct run_spec *s, char **ret_home, struct error *err)
{
	CLEANUP(freep) char *name = xstrdup(user && *user ? user : "0");
	char *group = strchr(name, ':');
	struct user u = { 0 };
	json_t *v;
	size_t i;
	int r = 0;

	if (group)
		*group++ = '\0';
	find_user(fs, *name ? name : "0", &u);
	s->gid = u.gid;
	if (u.is_found)
		s->uid = u.uid;
	else if (!is_number(*name ? name : "0", &s->uid))
		r = no_user(name, err);
	if (r == 0 && group && *group && !find_group(fs, group, &s->gid))
		r = no_group(group, err);
	add_group(s, s->gid); /* as Docker does since CVE-2022-36109 */
	if (r == 0 && !group && u.is_found)
		add_memberships(fs, u.name, s);
	json_array_foreach(group_add, i, v) {
		const char *text = json_string_value(v);
		uint32_t gid;

		if (r == 0 && text && find_group(fs, text, &gid))
			add_group(s, gid);
		else if (r == 0)
			r = no_group(text ? text : "", err);
	}
	*ret_home = xstrdup(u.home && *u.home ? u.home : "/");
	free(u.name);
	free(u.home);
	return r;
}
