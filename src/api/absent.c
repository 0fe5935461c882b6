/* Operations of what is not there: experiments. */
#include "api/api.h"

static const char no_experiment[] =
	"This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.";

/* Checkpoints: an experiment of Docker's that is not taken part in. */
void ExperimentalOperation(struct request *req)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_UNIMPLEMENTED, no_experiment);
	reply_error(req, &err);
}
