/* A driver that executes nothing: its processes are C objects, its files three lines of text. */
#ifndef SOCKERLESS_TESTS_EMBED_OWN_H
#define SOCKERLESS_TESTS_EMBED_OWN_H

#include <sockerless/driver.h>

/* Takes containers whose name begins with "own". */
const struct sockerless_driver_ops *own_driver(void);

/* Processes that were made and not released. */
int own_count(void);

#endif
