/* What the host calls to run a handler: only the guest can call through its
 * function table, with the type checked. Kept alive by the export. */
#include <signal.h>

__attribute__((export_name("__guest_deliver")))
void __guest_deliver(int sig, unsigned long handler, int is_siginfo,
		     siginfo_t *info, void *context)
{
	if (is_siginfo)
		((void (*)(int, siginfo_t *, void *))handler)(sig, info, context);
	else
		((void (*)(int))handler)(sig);
}
