/* Out-of-line halves of the scope clean-up kit. */
#include "util/cleanup.h"

#include <errno.h>

void closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
