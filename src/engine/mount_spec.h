/* What requests write of mounts: -v, modes, paths, tmpfs options. Pure, any thread. */
#ifndef SOCKERLESS_ENGINE_MOUNT_SPEC_H
#define SOCKERLESS_ENGINE_MOUNT_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

/* Without doubled and trailing slashes, dots and what dots-dots take back; malloc'd. NULL: not absolute. */
char *path_clean(const char *path);
/* Relative, and not above where it starts (Go's filepath.IsLocal). */
bool path_is_local(const char *path);

/* "source:target:mode", "source:target", "target". */
struct bind_spec {
	char *source, *target; /* "" when not said; malloc'd */
	char *mode;            /* "" */
};
/* ERROR_INVALID in Docker's words, of the shape and the mode only; nothing to free then. */
int bind_spec_parse(const char *text, struct bind_spec *ret, struct error *err);
void bind_spec_done(struct bind_spec *b);

/* "ro,z,rslave": known words, each kind once. */
bool mount_mode_is_valid(const char *mode);
bool mount_mode_has(const char *mode, const char *word);
/* Its propagation, a static word; NULL: none is said. */
const char *mount_mode_propagation(const char *mode);
bool mount_is_propagation(const char *word);

struct tmpfs_options {
	uint64_t size_bytes;
	mode_t mode;
	uint32_t uid, gid;
	bool is_readonly;
};
/* "size=64m,mode=1777". NULL text: the defaults. ERROR_INVALID for an option that is not known. */
int tmpfs_parse(const char *text, struct tmpfs_options *ret, struct error *err);
/* "64m", "1GiB", "512"; as Docker's units.RAMInBytes. */
bool size_parse(const char *text, uint64_t *ret);

#endif
