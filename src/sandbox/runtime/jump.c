/* The guest's setjmp and longjmp. Host jump buffers live on a stack of slots
 * that is cut when the function that owns them returns; the guest's jmp_buf is
 * only a name. So a guest can neither read nor forge a host address, and a
 * longjmp to a frame that is gone finds no slot and traps. */
#include <setjmp.h>
#include <string.h>

#include "sandbox/kernel/module.h"
#include "sandbox/runtime/woven.h"

/* As many nested shell functions, traps and evals as BusyBox can stack before
 * its native stack ends. */
enum { SLOTS_MAX = 16384 };

struct slot {
	uint32_t name;
	uint32_t depth; /* of the stack when it was set: what longjmp cuts back to */
	uint32_t stack_pointer;
	jmp_buf buffer;
};

static struct slot slots[SLOTS_MAX]; /* untouched pages cost nothing */
static uint32_t top;
static uint32_t *stack_pointer;

void guest_jump_stack(uint32_t *guest_stack_pointer)
{
	stack_pointer = guest_stack_pointer;
}

uint32_t guest_jump_mark(void)
{
	return top;
}

void guest_jump_cut(uint32_t mark)
{
	top = mark;
}

uint32_t guest_jump_depth(void)
{
	return top;
}

void guest_jump_reset(void)
{
	top = 0;
}

jmp_buf *guest_jump_slot(uint32_t name, uint32_t mark)
{
	uint32_t i;

	for (i = mark; i < top; i++)
		if (slots[i].name == name)
			break;
	if (i == SLOTS_MAX)
		guest_trap(SIGSEGV, name, false);
	if (i == top)
		top++;
	slots[i].name = name;
	slots[i].depth = top;
	slots[i].stack_pointer = *stack_pointer;
	return &slots[i].buffer;
}

/* The linux.longjmp import. */
struct Z_linux_instance_t;
void Z_linuxZ_longjmp(struct Z_linux_instance_t *host, uint32_t name, uint32_t value);

void Z_linuxZ_longjmp(struct Z_linux_instance_t *host, uint32_t name, uint32_t value)
{
	(void)host;
	for (uint32_t i = top; i-- > 0;) {
		if (slots[i].name != name)
			continue;
		top = slots[i].depth;
		*stack_pointer = slots[i].stack_pointer;
		guest_jump_hook(top);
		_longjmp(slots[i].buffer, value ? (int)value : 1);
	}
	guest_trap(SIGSEGV, name, false);
}
