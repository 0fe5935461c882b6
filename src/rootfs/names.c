/* The guest's names and those of a layer. A name that begins with our marker
 * prefix is stored under another one, so that every name is the guest's to use
 * and no name of the guest is ever read as a mark. docs/rootfs.md lists them.
 *
 * Inside the library a name is the stored one; walk and listing translate. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rootfs/internal.h"

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* A bind is the host's own directory: nothing of ours is kept in it. */
bool dir_has_marks(const struct rootfs_dir *dir)
{
	const struct rootfs_mount *m = dir_mount(dir);

	return m->kind == ROOTFS_MOUNT_UNION || (m->kind == ROOTFS_MOUNT_DIR && !m->is_bind);
}

int name_store(const struct rootfs_dir *dir, const char *guest, char out[256])
{
	bool is_escaped = has_prefix(guest, WHITEOUT_PREFIX) && dir_has_marks(dir);
	int n = is_escaped ? snprintf(out, 256, ESCAPE_PREFIX "%s", guest + strlen(WHITEOUT_PREFIX)) :
			     snprintf(out, 256, "%s", guest);

	return n < 256 ? 0 : -ENAMETOOLONG;
}

static void unescape(const char *stored, char out[256])
{
	if (has_prefix(stored, ESCAPE_PREFIX))
		snprintf(out, 256, WHITEOUT_PREFIX "%s", stored + strlen(ESCAPE_PREFIX));
	else
		snprintf(out, 256, "%s", stored);
}

void name_show(const struct rootfs_dir *dir, const char *stored, char out[256])
{
	if (dir_has_marks(dir))
		unescape(stored, out);
	else
		snprintf(out, 256, "%s", stored);
}

enum name_kind name_read(const char *stored, char guest[256])
{
	enum name_kind kind = NAME_ENTRY;

	if (has_prefix(stored, WHITEOUT_PREFIX) && !has_prefix(stored, ESCAPE_PREFIX)) {
		kind = NAME_WHITEOUT;
		stored += strlen(WHITEOUT_PREFIX);
		if (has_prefix(stored, WHITEOUT_PREFIX) && !has_prefix(stored, ESCAPE_PREFIX))
			return NAME_MARK;
	}
	unescape(stored, guest);
	return kind;
}
