/* What the runtime asks of the kernel before linear memory grows by the program's own wish. */
#ifndef SOCKERLESS_SANDBOX_RUNTIME_CHARGE_H
#define SOCKERLESS_SANDBOX_RUNTIME_CHARGE_H

#include <stdint.h>

/* 0, or -ENOMEM: the container may not have so much more. Defined by the kernel. */
int guest_memory_charge(uint64_t bytes);

#endif
