/* Work on the files of a container whose layers lie on this host: what the
 * drivers that run containers here share. */
#ifndef SOCKERLESS_DRIVERS_LOCAL_FILES_H
#define SOCKERLESS_DRIVERS_LOCAL_FILES_H

#include "drivers/driver.h"

/* Does the job on the thread pool over the plan's mounts and calls job->done
 * from the loop. Answers 0 always: what fails is told in job->err. */
int local_files_run(uv_loop_t *loop, struct file_job *job);

/* Fills job->stat for job->path, out of what somebody else has found there. link NULL: it is none. */
void local_files_stat(struct file_job *job, int64_t size, uint32_t mode, int64_t mtime_ns, const char *link);

/* The view of a plan's mounts without the virtual ones. Blocks; any thread. */
int local_files_open(const struct run_plan *plan, struct rootfs **ret);

uint32_t local_files_go_mode(uint32_t mode); /* st_mode as Go's os.FileMode */

#endif
