/* What src/sandbox/guest/tools/weave.awk puts into translated programs. */
#ifndef SOCKERLESS_SANDBOX_RUNTIME_WOVEN_H
#define SOCKERLESS_SANDBOX_RUNTIME_WOVEN_H

#include <setjmp.h>
#include <stdint.h>

extern volatile int guest_poll_flag;
void guest_poll(void);

#define GUEST_POLL()                                      \
	do {                                              \
		if (__builtin_expect(guest_poll_flag, 0)) \
			guest_poll();                     \
	} while (0)

/* Slots above a function's mark belong to it and to what it calls. */
uint32_t guest_jump_mark(void);
void guest_jump_cut(uint32_t mark);
/* The host's buffer for the guest's one at `name`: that of this frame if it
 * has been set here before, else a new slot. */
jmp_buf *guest_jump_slot(uint32_t name, uint32_t mark);

/* Tells which variable is the guest's stack pointer: longjmp puts it back. */
void guest_jump_stack(uint32_t *guest_stack_pointer);

/* Never sigsetjmp: saving the mask would be a system call each time. */
#define GUEST_SETJMP(mark, name) ((uint32_t)_setjmp(*guest_jump_slot((name), (mark))))

#endif
