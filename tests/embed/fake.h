/* A process factory that executes nothing: its processes are C functions. */
#ifndef SOCKERLESS_TESTS_EMBED_FAKE_H
#define SOCKERLESS_TESTS_EMBED_FAKE_H

#include <sockerless/process.h>

struct sockerless_server;

/* Takes containers whose name begins with its ctx, a string. `dir`: where its processes' root directories are made. */
const struct sockerless_process_factory_ops *fake_factory(struct sockerless_server *s, const char *dir);

/* Processes that were made and not closed. */
int fake_count(void);

#endif
