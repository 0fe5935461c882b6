/* The last link of the chain. It executes nothing: it does what needs no
 * execution (files), refuses the rest in words that say what is missing, and
 * pretends only when asked: by the whole daemon (--synthetic) or by one
 * container (--runtime synthetic). */
#ifndef SOCKERLESS_DRIVERS_SYNTHETIC_H
#define SOCKERLESS_DRIVERS_SYNTHETIC_H

#include <uv.h>

#include "drivers/driver.h"

/* Never NULL. Its ops free it; timers end in the loop's last turns. */
struct driver *synthetic_driver_new(uv_loop_t *loop, bool pretend);

#endif
