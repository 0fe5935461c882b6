#include "agent/program/agent.h"

int files_run(void *request)
{
	(void)request;
	return 1;
}
