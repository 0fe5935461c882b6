/* The mask half of sigsetjmp and siglongjmp (see setjmp.h). */
#include <setjmp.h>
#include <signal.h>

void __sigjmp_save(sigjmp_buf buf, int mask)
{
	buf->__fl = mask != 0;
	if (mask)
		sigprocmask(SIG_SETMASK, 0, (sigset_t *)buf->__ss);
}

_Noreturn void siglongjmp(sigjmp_buf buf, int value)
{
	if (buf->__fl)
		sigprocmask(SIG_SETMASK, (sigset_t *)buf->__ss, 0);
	longjmp(buf, value);
}
