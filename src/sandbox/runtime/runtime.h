/* What the files of the runtime share; its users see sandbox/kernel/module.h. */
#ifndef SOCKERLESS_SANDBOX_RUNTIME_RUNTIME_H
#define SOCKERLESS_SANDBOX_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

/* Where the one memory of this process begins; NULL while there is none. */
extern uint8_t *runtime_memory_base;

/* For a thread besides the first, from which programs' processes are forked: its own alternate stack. 0 or -errno. */
int guest_runtime_enter_thread(void);
/* The low end of the calling thread's stack; NULL: unknown. */
void *guest_runtime_find_stack(void);
/* In the process that was forked there: its stack is that thread's. */
void guest_runtime_take_stack(void *low);

/* Async-signal-safe. */
bool runtime_is_guest_address(const void *address);

#endif
