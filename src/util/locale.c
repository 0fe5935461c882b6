#include "util/locale.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t utf8;

static void make(void)
{
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

locale_t locale_enter_utf8(void)
{
	pthread_once(&once, make);
	return uselocale(utf8);
}

void locale_leave(locale_t before)
{
	uselocale(before);
}
