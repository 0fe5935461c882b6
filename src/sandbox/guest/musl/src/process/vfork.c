/* A child that borrowed its parent's memory and stack would need a second
 * instance of the program: fork is as cheap as that. */
#define _GNU_SOURCE
#include <unistd.h>

pid_t vfork(void)
{
	return fork();
}
