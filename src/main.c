/* sockerlessd: options in, daemon on. */
#include <errno.h>
#include <locale.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/api.h"
#include "daemon/server.h"

/* On a Unix socket the kernel answers a TCP option with EOPNOTSUPP; libmicrohttpd 0.9.75 expects ENOPROTOOPT
 * there, and not hearing it tries two options again with every reply, a tenth of the daemon's time for a small
 * request. The program's definition comes before the C library's; all else passes through unchanged. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int r = (int)syscall(SYS_setsockopt, fd, level, name, value, len);

	if (r < 0 && errno == EOPNOTSUPP && level == IPPROTO_TCP)
		errno = ENOPROTOOPT;
	return r;
}

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
