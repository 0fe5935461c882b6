/* Text that libraries convert by the locale: UTF-8 for one thread and one scope,
 * whatever locale the program has. */
#ifndef SOCKERLESS_UTIL_LOCALE_H
#define SOCKERLESS_UTIL_LOCALE_H

#include <locale.h>

/* Any thread; answers what locale_leave needs. */
locale_t locale_enter_utf8(void);
void locale_leave(locale_t before);

#endif
