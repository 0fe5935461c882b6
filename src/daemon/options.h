/* What the daemon is told: by the command line, which overrides the environment,
 * which overrides the configuration file. An option that the command line and
 * the file give different values, or the command line twice, is an error. */
#ifndef SOCKERLESS_DAEMON_OPTIONS_H
#define SOCKERLESS_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "util/error.h"
#include "util/log.h"

enum { HOSTS_MAX = 8, POOLS_MAX = 16, REGISTRIES_MAX = 32, ROUTES_MAX = 64 };

struct options {
	char *hosts[HOSTS_MAX];
	int nhosts;
	char *data_root, *images_mode, *default_runtime, *sandbox_path, *guest_path, *fetch_path, *bip, *host_gateway_ip;
	char *pools[POOLS_MAX + 1]; /* --default-address-pool; NULL-ended */
	int npools;
	char *mirrors[REGISTRIES_MAX + 1], *insecure[REGISTRIES_MAX + 1]; /* --registry-mirror, --insecure-registry; NULL-ended */
	int nmirrors, ninsecure;
	bool allow_host_loopback;
	char *agent_listens[HOSTS_MAX];
	int nagent_listens;
	bool agent_listen_plain;
	char *agent_token_file, *agent_callback, *agent_path, *launcher_dirs, *native;
	char *tls_cert, *tls_key, *tls_ca;
	char *routes[ROUTES_MAX + 1]; /* --route PATTERN=RUNTIME; NULL-ended */
	int nroutes;
	unsigned agent_wait_s, agent_grace_s; /* 0: the defaults */
	bool is_ephemeral, pretend, is_log_json;
	enum log_level log_level;
	bool wants_version, wants_help;
};

/* Fills *ret; free with options_done, also after an error. */
int options_parse(int argc, char **argv, struct options *ret, struct error *err);
void options_done(struct options *o);

/* The same by hand, for embedders: start with options_init, set by names as on the command line (a flag's value
 * is NULL), end with options_complete, which fills in defaults. */
void options_init(struct options *o);
int options_set(struct options *o, const char *name, const char *value, struct error *err);
/* Is this a URL that --host takes? */
int options_check_host(const char *url, struct error *err);
void options_complete(struct options *o);
void options_copy(const struct options *o, struct options *ret); /* free with options_done */

extern const char options_help[];

#endif
