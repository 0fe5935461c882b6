/* A driver that an embedder wrote (sockerless/driver.h) as a driver of the chain:
 * turns its four public vtables into those of drivers/driver.h, and sees to what
 * the chain demands of a driver whatever the embedder's does: events in their
 * order, none from within a slot, every answer given once. */
#ifndef SOCKERLESS_DRIVERS_CUSTOM_H
#define SOCKERLESS_DRIVERS_CUSTOM_H

#include <stdbool.h>

#include <sockerless/driver.h>
#include <uv.h>

#include "drivers/driver.h"

/* True when every slot that must be there is. Pure. */
bool custom_is_complete(const struct sockerless_driver_ops *ops);

/* Copies the tables; borrows their name and `ctx` until its free, which calls the embedder's close. Loop thread. */
struct driver *custom_driver_new(uv_loop_t *loop, const struct sockerless_driver_ops *ops, void *ctx);

bool custom_is(const struct driver *d);

#endif
