/* Linked into what is built with ThreadSanitizer: libuv closes descriptors by syscall(2), which the sanitizer does not
 * see. To it the next file of the same number, opened and closed by another thread, is the one before, and its close a
 * race with whatever was done to that. Here such a close becomes one that it sees: descriptors that are closed while
 * another thread works with them are still found, libuv's own too. */
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long (*syscall_fn)(long number, ...);

__attribute__((visibility("default"))) long syscall(long number, ...)
{
	static _Atomic(syscall_fn) next;
	syscall_fn call = next;
	va_list ap;
	long a[6];

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_close)
		return close((int)a[0]);
	if (!call) {
		*(void **)&call = dlsym(RTLD_NEXT, "syscall");
		next = call;
	}
	return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
