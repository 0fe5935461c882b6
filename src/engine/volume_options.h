/* Options of the local driver (moby: daemon/volume/local): what they mean where
 * nothing can be mounted. Pure, any thread. */
#ifndef SOCKERLESS_ENGINE_VOLUME_OPTIONS_H
#define SOCKERLESS_ENGINE_VOLUME_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "engine/mount_spec.h"

enum volume_kind {
	VOLUME_PLAIN,   /* no options: its own directory */
	VOLUME_BIND,    /* o=bind: a directory of the host in its place */
	VOLUME_TMPFS,   /* type=tmpfs: lives while somebody has it mounted */
	VOLUME_FOREIGN, /* another file system: there is nobody who may mount it */
};

struct volume_options {
	enum volume_kind kind;
	const char *device;         /* borrowed from the options; "" */
	bool is_readonly;
	struct tmpfs_options tmpfs; /* VOLUME_TMPFS */
	int errnum;                 /* what mount(2) would answer, 0 when that is to be seen at the first use */
};

/* NULL and {}: none. ERROR_INVALID in Docker's words. */
int volume_options_check(json_t *options, struct error *err);
/* Of options that were checked. */
void volume_options_read(json_t *options, struct volume_options *ret);
/* "mount device:target, flags: 0x1000, data: x", as Docker tells a mount that failed; malloc'd. */
char *volume_options_print(json_t *options, const char *target);

#endif
