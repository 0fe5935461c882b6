/* docker cp and its like. While the container runs, its agent reads and writes the files, where they are; else what
 * lies on this host is worked on. */
#include "drivers/agent_internal.h"
#include "drivers/local_files.h"

int agent_files_run(struct driver *d, struct file_job *job, struct error *err)
{
	(void)err;
	return local_files_run(((struct agent_driver *)d)->loop, job);
}
