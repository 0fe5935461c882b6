#include <stdint.h>

#include "pthread_impl.h"

hidden uintptr_t __guest_thread_pointer;

int __set_thread_area(void *p)
{
	__guest_thread_pointer = (uintptr_t)p;
	return 0;
}
