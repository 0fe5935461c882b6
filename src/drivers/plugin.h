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

#endif
