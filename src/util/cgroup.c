#include "util/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cgroup_write(const char *dir, const char *file, const char *text)
{
	char path[CGROUP_PATH + 32];
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (strncmp(list, word, n) == 0 && (list[n] == ',' || list[n] == '\0'))
			return true;
	return false;
}

bool cgroup_find_own(const char *controller, char ret[CGROUP_PATH], bool *ret_is_v2)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[CGROUP_PATH];
	bool is_found = false;

	while (f && !is_found && fgets(line, sizeof(line), f)) {
		char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
		bool is_v2;

		if (!path)
			continue;
		*path++ = '\0';
		list++;
		path[strcspn(path, "\n")] = '\0';
		is_v2 = *list == '\0';
		if (is_v2 && access("/sys/fs/cgroup/cgroup.controllers", F_OK) < 0)
			continue;
		if (!is_v2 && !has_word(list, controller))
			continue;
		is_found = snprintf(ret, CGROUP_PATH, "/sys/fs/cgroup%s%s%s", is_v2 ? "" : "/", list, path) < CGROUP_PATH;
		*ret_is_v2 = is_v2;
	}
	if (f)
		fclose(f);
	return is_found;
}

static bool make_in(const char *base, bool is_v2, const char *controller, const char *name, const char *file,
		    const char *text, char ret[CGROUP_PATH])
{
	char dir[CGROUP_PATH], enable[16];

	snprintf(enable, sizeof(enable), "+%s", controller);
	if (is_v2) /* refused where there are processes, and often done already */
		cgroup_write(base, "cgroup.subtree_control", enable);
	if (snprintf(dir, sizeof(dir), "%s/%s", base, name) >= CGROUP_PATH || (mkdir(dir, 0755) < 0 && errno != EEXIST))
		return false;
	if (cgroup_write(dir, file, text) < 0) {
		rmdir(dir);
		return false;
	}
	memcpy(ret, dir, sizeof(dir));
	return true;
}

/* Of version 2 it may have to be beside the caller's own group: cuts the path to that one. False: it is not so. */
static bool go_up(char own[CGROUP_PATH], bool is_v2)
{
	char *slash = strrchr(own, '/');

	if (!is_v2 || !slash || strcmp(own, "/sys/fs/cgroup/") == 0)
		return false;
	*slash = '\0';
	return true;
}

bool cgroup_make(const char *controller, const char *name, const char *file_v1, const char *file_v2, const char *text,
		 char ret[CGROUP_PATH], bool *ret_is_v2)
{
	char own[CGROUP_PATH];

	if (!cgroup_find_own(controller, own, ret_is_v2))
		return false;
	if (make_in(own, *ret_is_v2, controller, name, *ret_is_v2 ? file_v2 : file_v1, text, ret))
		return true;
	return go_up(own, *ret_is_v2) && make_in(own, true, controller, name, file_v2, text, ret);
}

static void remove_in(const char *base, const char *name)
{
	char dir[CGROUP_PATH];

	if (snprintf(dir, sizeof(dir), "%s/%s", base, name) < CGROUP_PATH)
		rmdir(dir);
}

void cgroup_remove(const char *controller, const char *name)
{
	char own[CGROUP_PATH];
	bool is_v2;

	if (!cgroup_find_own(controller, own, &is_v2))
		return;
	remove_in(own, name);
	if (go_up(own, is_v2))
		remove_in(own, name);
}
