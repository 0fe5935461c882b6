/* Drivers for tests of the chain: each answers what it is told to and writes
 * down what it was asked. */
#ifndef SOCKERLESS_TESTS_RECORDING_DRIVER_H
#define SOCKERLESS_TESTS_RECORDING_DRIVER_H

#include "drivers/driver.h"

struct recording_driver {
	struct driver base;
	struct driver_process process; /* what an accepted start hands out */
	struct driver_ops ops;         /* its own, so that a test can empty slots */
	int answer;      /* 0, DRIVER_DECLINED or -errno */
	char calls[256];               /* "exec lifecycle files …", in order */
};

void recording_driver_init(struct recording_driver *d, const char *name, int answer);

#endif
