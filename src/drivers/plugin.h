/* Execution that an embedder plugs in, as a driver of the chain: turns the two
 * public vtables of sockerless/process.h into the four of drivers/driver.h. */
#ifndef SOCKERLESS_DRIVERS_PLUGIN_H
#define SOCKERLESS_DRIVERS_PLUGIN_H

#include <stdbool.h>

#include <sockerless/process.h>
#include <uv.h>

#include "drivers/driver.h"

/* True when every slot that must be there is. Pure. */
bool plugin_factory_is_complete(const struct sockerless_process_factory_ops *ops);

/* Borrows `ops` and `ctx` until its free, which calls the factory's close. Loop thread. */
struct driver *plugin_driver_new(uv_loop_t *loop, const struct sockerless_process_factory_ops *ops, void *ctx);

bool plugin_is_retired(const struct driver *d); /* false for other drivers */

/* Starts nothing any more. `idle` is called from the loop when none of its processes is left: the driver may be taken
 * out of the chain and freed then. Once. */
void plugin_retire(struct driver *d, void (*idle)(void *arg, struct driver *d), void *arg);

/* A process that is there already, as the container's main one; NULL with *err set: a slot that it must have is
 * missing. plugin_begin then tells the sink, from within, that it has started, and what follows from the loop. */
struct driver_process *plugin_adopt(struct driver *d, const struct container *c, bool has_stdin,
				    const struct sockerless_container_process_ops *ops, void *process,
				    struct process_sink sink, struct error *err);
void plugin_begin(struct driver_process *p);

#endif
