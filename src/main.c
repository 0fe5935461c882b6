/* sockerlessd: options in, daemon on. */
#include <locale.h>
#include <stdio.h>

#include "api/api.h"
#include "daemon/server.h"

int main(int argc, char **argv)
{
	struct options o;
	struct error err = { 0 };
	int status = 0;

	setlocale(LC_CTYPE, "C.UTF-8"); /* names in tar archives are UTF-8 */
	if (options_parse(argc, argv, &o, &err) < 0) {
		fprintf(stderr, "sockerlessd: %s\n", err.message);
		status = 2;
	} else if (o.wants_help) {
		fputs(options_help, stdout);
	} else if (o.wants_version) {
		puts("sockerlessd " SOCKERLESS_VERSION);
	} else {
		log_configure(o.log_level, o.is_log_json);
		if (server_run(&o, &err) < 0) {
			log_error("%s", err.message);
			status = 1;
		}
	}
	options_done(&o);
	return status;
}
