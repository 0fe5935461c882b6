/* Work on the files of a container whose layers lie on this host: what the
 * drivers that run containers here share. */
#ifndef SOCKERLESS_DRIVERS_LOCAL_FILES_H
#define SOCKERLESS_DRIVERS_LOCAL_FILES_H

#include "drivers/driver.h"

/* Does the job on the thread pool over the plan's mounts and calls job->done
 * from the loop. Answers 0 always: what fails is told in job->err. */
int local_files_run(uv_loop_t *loop, struct file_job *job);

/* The view of a plan's mounts without the virtual ones. Blocks; any thread. */
int local_files_open(const struct run_plan *plan, struct rootfs **ret);

#endif
