/* setjmp and longjmp are the host's: the translator turns the import into a
 * native _setjmp in the calling function. The guest's jmp_buf is only a name
 * (its address) for the host's, and the place of the saved signal mask. */
#ifndef _SETJMP_H
#define _SETJMP_H

#include <features.h>

#include <bits/setjmp.h>

typedef struct __jmp_buf_tag {
	__jmp_buf __jb;
	unsigned long __fl;
	unsigned long __ss[128 / sizeof(long)];
} jmp_buf[1];

int setjmp(jmp_buf) __attribute__((__returns_twice__,
	__import_module__("linux"), __import_name__("setjmp")));
_Noreturn void longjmp(jmp_buf, int) __attribute__((
	__import_module__("linux"), __import_name__("longjmp")));

#if defined(_POSIX_SOURCE) || defined(_POSIX_C_SOURCE) \
 || defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) || defined(_BSD_SOURCE)
typedef jmp_buf sigjmp_buf;
/* Saves the mask if asked to; a macro, because setjmp must be called by the
 * function whose frame is meant. */
void __sigjmp_save(sigjmp_buf, int);
_Noreturn void siglongjmp(sigjmp_buf, int);
#define sigsetjmp(buf, mask) (__sigjmp_save(buf, mask), setjmp(buf))
#endif

#if defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) || defined(_BSD_SOURCE)
#define _setjmp(buf) setjmp(buf)
#define _longjmp(buf, value) longjmp(buf, value)
#endif

#define setjmp setjmp

#endif
