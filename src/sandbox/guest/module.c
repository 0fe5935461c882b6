/* The translated BusyBox as a guest_module. Compiled by guest.mk beside the
 * generated code; applets.inc and constants.inc are made by make-tables.sh. */
#include "busybox.h"

#include "sandbox/kernel/module.h"
#include "sandbox/runtime/woven.h"

#include "constants.inc"

static const char *const applets[] = {
#include "applets.inc"
	NULL,
};

static void instantiate(void *instance)
{
	Z_busybox_instantiate(instance, NULL);
	guest_jump_stack(Z_busyboxZ___stack_pointer(instance));
}

static wasm_rt_memory_t *memory(void *instance)
{
	return Z_busyboxZ_memory(instance);
}

static uint32_t *stack_pointer(void *instance)
{
	return Z_busyboxZ___stack_pointer(instance);
}

static void release(void *instance)
{
	Z_busybox_free(instance);
}

static void start(void *instance, uint32_t block)
{
	Z_busyboxZ___guest_start(instance, block);
}

static void deliver(void *instance, uint32_t sig, uint32_t handler, uint32_t is_siginfo, uint32_t siginfo,
		    uint32_t ucontext)
{
	Z_busyboxZ___guest_deliver(instance, sig, handler, is_siginfo, siginfo, ucontext);
}

/* The linux.syscall import. */
u64 Z_linuxZ_syscall(struct Z_linux_instance_t *host, u32 n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	(void)host;
	return (u64)guest_syscall(n, a, b, c, d, e, f);
}

static const struct guest_module busybox = {
	.name = "busybox",
	.instance_size = sizeof(Z_busybox_instance_t),
	.init = Z_busybox_init_module,
	.instantiate = instantiate,
	.release = release,
	.memory = memory,
	.stack_pointer = stack_pointer,
	.start = start,
	.deliver = deliver,
	.stack_top = GUEST_STACK_TOP,
	.heap_base = GUEST_HEAP_BASE,
	.applets = applets,
	.applet_count = sizeof(applets) / sizeof(applets[0]) - 1,
};

const struct guest_module *const guest_modules[] = { &busybox, NULL };
