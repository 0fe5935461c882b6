/* What the two adapters for execution of an embedder's share: the structs of the
 * public headers, out of and into the engine's. */
#ifndef SOCKERLESS_DRIVERS_PUBLIC_H
#define SOCKERLESS_DRIVERS_PUBLIC_H

#include <stdbool.h>

#include <sockerless/process.h>

#include "drivers/driver.h"

/* Programs built against an older header have shorter structs: what they lack is zero. from_size 0: the whole. */
void public_copy(void *to, size_t size, const void *from, size_t from_size);
/* [a-z0-9-]+ */
bool public_is_name(const char *name);
/* -errno in the chain's terms, with what the embedder said. */
int public_error(int code, const struct sockerless_error *said, struct error *err);
#define PUBLIC_ERROR_INIT { sizeof(struct sockerless_error), 0, 0, { 0 } }

/* A process to be made, with what it points to. */
struct public_spec {
	struct sockerless_process_spec spec;
	struct sockerless_mount *mounts;
	const struct sockerless_mount **list;
	char lower[4096], upper[4096];
};
/* `plan` NULL: an exec. Borrows c, s and plan until public_spec_done. */
void public_spec_init(struct public_spec *ps, const struct container *c, const struct run_spec *s, const struct run_plan *plan);
void public_spec_done(struct public_spec *ps);

void public_row(const struct sockerless_process_row *in, struct process_info *ret);
void public_stats(const struct sockerless_process_stats *in, struct process_figures *ret);

#endif
