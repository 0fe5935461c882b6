#include "sandbox/kernel/kernel.h"

int wall_enter(const struct container *c)
{
	(void)c;
	return 0;
}
