/* The driver that runs containers in our sandbox. */
#ifndef SOCKERLESS_DRIVERS_WASM_H
#define SOCKERLESS_DRIVERS_WASM_H

#include <uv.h>

#include "drivers/driver.h"

/* Starts the sandbox's zygote. Frees itself by its ops after the loop has run. */
int wasm_driver_new(uv_loop_t *loop, const char *sandbox_path, struct driver **ret, struct error *err);

#endif
