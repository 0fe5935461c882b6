/* Which program a command means. The file that is found decides; its name only
 * where it is a native program that our userland has too. */
#include "sandbox/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRIPTS_MAX = 4, HEAD_MAX = 256 };

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *const applets[] = {
#include "applets.inc"
};

static int compare_names(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

/* "bash" counts as ash. */
static bool program_is_applet(const char *name)
{
	return strcmp(name, "bash") == 0 ||
	       bsearch(name, applets, sizeof(applets) / sizeof(applets[0]), sizeof(applets[0]), compare_names);
}

/* A module of ours: a header and one custom section, "sockerless.module" and a name. */
static const char marker[] = "\0asm\1\0\0\0\0\31\21sockerless.modulebusybox";

struct file_head {
	char text[HEAD_MAX + 1];
	size_t len;
	struct rootfs_stat st;
};

static int read_head(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *cwd, const char *path,
		     struct file_head *ret)
{
	struct rootfs_file f;
	ssize_t n;
	int r = rootfs_open_program(fs, cred, cwd, path, &f);

	if (r < 0)
		return r;
	if (!(f.st.mode & 0111)) {
		rootfs_file_done(&f);
		return -EACCES;
	}
	n = pread(f.fd, ret->text, HEAD_MAX, 0);
	ret->st = f.st;
	rootfs_file_done(&f);
	if (n < 0)
		return -EIO;
	ret->len = (size_t)n;
	ret->text[n] = '\0';
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int classify(const struct file_head *h, const char *path, struct program *ret)
{
	if (h->len >= sizeof(marker) - 1 && memcmp(h->text, marker, sizeof(marker) - 1) == 0) {
		ret->kind = PROGRAM_MODULE;
		ret->module = "busybox";
		return 0;
	}
	if (h->len >= 4 && memcmp(h->text, "\0asm", 4) == 0) {
		ret->kind = PROGRAM_WASM;
		return -EACCES;
	}
	if (h->len >= 4 && memcmp(h->text, "\177ELF", 4) == 0) {
		if (!program_is_applet(base_name(path))) {
			ret->kind = PROGRAM_NATIVE;
			return -EACCES;
		}
		ret->kind = PROGRAM_MODULE;
		ret->module = "busybox";
		ret->applet_by_name = true;
		return 0;
	}
	return -ENOEXEC;
}

static int prepend(struct program *p, const char *interpreter, const char *argument, const char *script)
{
	size_t n = 0, k = 0;
	char **v;

	while (p->prefix && p->prefix[n])
		n++;
	v = calloc(n + 4, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v[k++] = strdup(interpreter);
	if (argument)
		v[k++] = strdup(argument);
	/* The script's path; on a second level it stands there already, as argv[0] of the first. */
	if (n == 0)
		v[k++] = strdup(script);
	for (size_t i = 0; i < n; i++)
		v[k++] = p->prefix[i];
	free(p->prefix);
	p->prefix = v;
	return 0;
}

/* "#! interpreter [one argument]": what is in p->interpreter is the script. */
static int take_script(struct file_head *h, struct program *p)
{
	char *line = h->text + 2, *end, *argument;
	int r;

	line[strcspn(line, "\n")] = '\0';
	line += strspn(line, " \t");
	end = line + strlen(line);
	while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		*--end = '\0';
	argument = strpbrk(line, " \t");
	if (argument) {
		*argument++ = '\0';
		argument += strspn(argument, " \t");
	}
	if (!*line)
		return -ENOEXEC;
	r = prepend(p, line, argument && *argument ? argument : NULL, p->interpreter);
	memcpy(p->interpreter, line, strlen(line) + 1);
	return r;
}

/* Not the paths' whole length: it is done for each directory of PATH. */
static void clear(struct program *p)
{
	p->kind = PROGRAM_MODULE;
	p->path[0] = p->interpreter[0] = '\0';
	p->module = NULL;
	p->prefix = NULL;
	p->is_setuid = p->is_setgid = p->is_found = p->applet_by_name = false;
	p->uid = p->gid = 0;
}

/* Of ret->path; in place, since a worker's stack is copied page by page. */
static int resolve(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *cwd, struct program *ret)
{
	struct file_head h;
	int r;

	memcpy(ret->interpreter, ret->path, strlen(ret->path) + 1);
	for (int level = 0;; level++) {
		r = read_head(fs, cred, cwd, ret->interpreter, &h);
		if (r < 0)
			break;
		ret->is_found = true;
		if (h.len < 2 || h.text[0] != '#' || h.text[1] != '!') {
			r = classify(&h, ret->interpreter, ret);
			break;
		}
		r = level < SCRIPTS_MAX ? take_script(&h, ret) : -ELOOP;
		if (r < 0)
			break;
	}
	ret->is_setuid = r == 0 && (h.st.mode & S_ISUID);
	ret->is_setgid = r == 0 && (h.st.mode & S_ISGID) && (h.st.mode & S_IXGRP);
	ret->uid = r == 0 ? h.st.uid : 0;
	ret->gid = r == 0 ? h.st.gid : 0;
	if (r < 0) {
		enum program_kind kind = ret->kind; /* callers tell why */

		program_done(ret);
		ret->kind = kind;
	}
	return r;
}

int program_resolve(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *cwd, const char *path,
		    struct program *ret)
{
	size_t n = strlen(path);

	clear(ret);
	if (n >= sizeof(ret->path))
		return -ENAMETOOLONG;
	memcpy(ret->path, path, n + 1);
	return resolve(fs, cred, cwd, ret);
}

/* "DIR/NAME"; the empty directory is the current one. */
static int join(const char *dir, size_t n, const char *name, struct program *ret)
{
	size_t len = strlen(name), at = n ? n : 1;

	if (at + 1 + len >= sizeof(ret->path))
		return -ENAMETOOLONG;
	memcpy(ret->path, n ? dir : ".", at);
	if (ret->path[at - 1] != '/')
		ret->path[at++] = '/';
	memcpy(ret->path + at, name, len + 1);
	return 0;
}

int program_search(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *cwd, const char *name,
		   const char *path_list, struct program *ret)
{
	int r, worst = -ENOENT;

	if (strchr(name, '/'))
		return program_resolve(fs, cred, cwd, name, ret);
	clear(ret);
	if (!*name)
		return -ENOENT;
	for (const char *p = path_list ? path_list : DEFAULT_PATH;; p++) {
		const char *end = strchrnul(p, ':');
		size_t n = (size_t)(end - p);

		if (n < 4096 && strlen(name) < 4000) {
			clear(ret);
			r = join(p, n, name, ret);
			if (r == 0)
				r = resolve(fs, cred, cwd, ret);
			if (ret->is_found || (r != -ENOENT && r != -ENOTDIR && r != -EACCES))
				return r;
			if (r == -EACCES && ret->kind != PROGRAM_MODULE)
				return r; /* found, but native: say so */
			if (r == -EACCES)
				worst = r;
		}
		p = end;
		if (!*p)
			return worst;
	}
}

struct wire_program program_told(const struct program *p)
{
	return (struct wire_program){ .path = p->path,
				      .interpreter = p->interpreter,
				      .prefix = (const char *const *)p->prefix,
				      .is_setuid = p->is_setuid,
				      .is_setgid = p->is_setgid,
				      .applet_by_name = p->applet_by_name,
				      .uid = p->uid,
				      .gid = p->gid };
}

void program_done(struct program *p)
{
	for (size_t i = 0; p->prefix && p->prefix[i]; i++)
		free(p->prefix[i]);
	free(p->prefix);
	p->prefix = NULL;
}
