#include "fetch/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

#define WRITES                                                                                                                     \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                          \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

int confine(const char *dir, struct error *err)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = WRITES | LANDLOCK_ACCESS_FS_EXECUTE };
	struct landlock_path_beneath_attr below = { .allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE |
								      LANDLOCK_ACCESS_FS_REMOVE_FILE |
								      LANDLOCK_ACCESS_FS_MAKE_REG };
	CLEANUP(closep) int rules = -1, fd = -1;

	if (*dir) {
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return error_set(err, -errno, "%s: %s", dir, error_text(errno));
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "no_new_privs: %s", error_text(errno));
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return 0; /* an older kernel: the daemon's user is the wall */
	below.parent_fd = fd;
	if ((fd >= 0 && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) < 0) ||
	    syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return error_set(err, -errno, "landlock: %s", error_text(errno));
	return 0;
}
