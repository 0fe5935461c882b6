#include "daemon/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/engine.h"
#include "network/ipam.h"
#include "registry/registry.h"
#include "util/alloc.h"
#include "util/cleanup.h"

const char options_help[] =
	"usage: sockerlessd [options]\n"
	"\n"
	"  -H, --host URL         listen on unix://PATH, tcp://127.0.0.1:PORT, tcp://[::1]:PORT or fd:// (repeatable)\n"
	"      --data-root DIR    where containers and their state live\n"
	"      --ephemeral        keep no state over a restart\n"
	"      --synthetic        pretend to run what no driver can run\n"
	"      --default-runtime NAME  auto, wasm, agent, synthetic, native or a launcher's name\n"
	"      --route PATTERN=RUNTIME what containers of images with such names run by (repeatable; the first that matches)\n"
	"      --images MODE      auto, registry or synthetic\n"
	"      --registry-mirror URL      asked before docker.io (repeatable)\n"
	"      --insecure-registry HOST   spoken to without TLS or trust: host, host:port or network (repeatable)\n"
	"      --config FILE      these options as JSON, as in daemon.json\n"
	"      --sandbox FILE     the sandbox program\n"
	"      --fetch FILE       the registry client, sockerless-fetch\n"
	"      --guest DIR        the built-in image's root file system\n"
	"      --default-address-pool base=CIDR,size=BITS  where new networks get their subnets from (repeatable)\n"
	"      --bip ADDRESS/BITS the default bridge's address and subnet\n"
	"      --host-gateway-ip ADDRESS  what host-gateway means in --add-host\n"
	"      --allow-host-loopback  a gateway's address reaches what listens on the host's 127.0.0.1\n"
	"      --agent-listen URL agents connect there, and nothing else is served: tcp://ADDRESS:PORT, unix://PATH (repeatable)\n"
	"      --agent-listen-plain    --agent-listen without TLS, also on addresses that other machines reach\n"
	"      --tlscert FILE --tlskey FILE  the certificate of --agent-listen tcp://, which makes it wss://\n"
	"      --tlscacert FILE        who vouches for agents at wss:// addresses, and for --tlscert to remote agents\n"
	"      --agent-token-file FILE what agents are told that this daemon dials\n"
	"      --agent-wait SECONDS    how long a start waits for its agent (60)\n"
	"      --agent-grace SECONDS   how long a lost agent may take to come back (30)\n"
	"      --agent-callback URL    what remote agents are told to connect to, ws:// or wss://HOST:PORT (the first --agent-listen)\n"
	"      --agent-program FILE    the agent, for launchers\n"
	"      --launcher-dirs DIR:DIR where launchers are (docs/agents.md)\n"
	"      --native NAME           the launcher for images with native programs: auto, none, or its name\n"
	"      --log-level LEVEL  debug, info, warn, error, fatal\n"
	"      --log-format FMT   text or json\n"
	"      --version          say the version and end\n"
	"      --help             this text\n"
	"\n"
	"Each is also an environment variable: SOCKERLESS_DATA_ROOT for --data-root.\n";

enum kind { STRING, FLAG };

static const struct option {
	const char *name;
	enum kind kind;
} known[] = {
	{ "host", STRING },
	{ "data-root", STRING },
	{ "ephemeral", FLAG },
	{ "synthetic", FLAG },
	{ "default-runtime", STRING },
	{ "images", STRING },
	{ "config", STRING },
	{ "sandbox", STRING },
	{ "guest", STRING },
	{ "fetch", STRING },
	{ "registry-mirror", STRING },
	{ "insecure-registry", STRING },
	{ "log-level", STRING },
	{ "log-format", STRING },
	{ "version", FLAG },
	{ "help", FLAG },
	{ "bip", STRING },
	{ "default-address-pool", STRING },
	{ "host-gateway-ip", STRING },
	{ "allow-host-loopback", FLAG },
	{ "agent-listen", STRING },
	{ "agent-listen-plain", FLAG },
	{ "agent-token-file", STRING },
	{ "agent-wait", STRING },
	{ "agent-grace", STRING },
	{ "agent-callback", STRING },
	{ "agent-program", STRING },
	{ "launcher-dirs", STRING },
	{ "native", STRING },
	{ "tlscert", STRING },
	{ "tlskey", STRING },
	{ "tlscacert", STRING },
	{ "route", STRING },
};

static const struct option *find(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == n && strncmp(known[i].name, name, n) == 0)
			return &known[i];
	return NULL;
}

static void replace(char **at, const char *value)
{
	free(*at);
	*at = xstrdup(value);
}

int options_check_host(const char *url, struct error *err)
{
	if ((strncmp(url, "unix://", 7) == 0 && url[7]) || strncmp(url, "fd://", 5) == 0)
		return 0;
	if (strncmp(url, "tcp://127.", 10) == 0 || strncmp(url, "tcp://localhost:", 16) == 0 ||
	    strncmp(url, "tcp://[::1]:", 12) == 0)
		return 0;
	if (strncmp(url, "tcp://", 6) == 0)
		return error_set_class(err, ERROR_INVALID, "--host %s: without TLS only loopback is served", url);
	return error_set_class(err, ERROR_INVALID, "--host %s: expected unix://, tcp:// or fd://", url);
}

/* Options that may be given more than once: their names in the file, and where their values are. */
struct values {
	const char *name, *plural;
	char **v;
	int *n;
};

static bool find_list(struct options *o, const char *name, struct values *ret)
{
	const struct values lists[] = {
		{ "host", "hosts", o->hosts, &o->nhosts },
		{ "default-address-pool", "default-address-pools", o->pools, &o->npools },
		{ "agent-listen", "agent-listens", o->agent_listens, &o->nagent_listens },
		{ "registry-mirror", "registry-mirrors", o->mirrors, &o->nmirrors },
		{ "insecure-registry", "insecure-registries", o->insecure, &o->ninsecure },
		{ "route", "routes", o->routes, &o->nroutes },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (strcmp(lists[i].name, name) != 0 && strcmp(lists[i].plural, name) != 0)
			continue;
		*ret = lists[i];
		return true;
	}
	return false;
}

/* Who overrides an option that is a list replaces it, and adds nothing. */
static void empty_list(struct options *o, const char *name)
{
	struct values list;

	if (!find_list(o, name, &list))
		return;
	while (*list.n > 0) {
		free(list.v[--*list.n]);
		list.v[*list.n] = NULL;
	}
}

static int add_pool(struct options *o, const char *value, struct error *err)
{
	struct ipam_pool pool;

	if (o->npools == POOLS_MAX)
		return error_set_class(err, ERROR_INVALID, "at most %d --default-address-pool", POOLS_MAX);
	if (ipam_parse_pool(value, &pool, err) < 0) {
		error_prefix(err, "--default-address-pool %s", value);
		return err->code;
	}
	o->pools[o->npools++] = xstrdup(value);
	return 0;
}

static int set_seconds(const char *name, const char *value, unsigned *ret, struct error *err)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end || n == 0 || n > 86400)
		return error_set_class(err, ERROR_INVALID, "--%s %s: expected seconds, 1 to 86400", name, value);
	*ret = (unsigned)n;
	return 0;
}

/* Those that begin with "agent-". */
static int set_agent(struct options *o, const char *name, const char *value, struct error *err)
{
	if (strcmp(name, "agent-wait") == 0)
		return set_seconds(name, value, &o->agent_wait_s, err);
	if (strcmp(name, "agent-grace") == 0)
		return set_seconds(name, value, &o->agent_grace_s, err);
	if (strcmp(name, "agent-token-file") == 0)
		replace(&o->agent_token_file, value);
	else if (strcmp(name, "agent-callback") == 0)
		replace(&o->agent_callback, value);
	else if (strcmp(name, "agent-program") == 0)
		replace(&o->agent_path, value);
	else if (strcmp(name, "agent-listen-plain") == 0)
		o->agent_listen_plain = true;
	else if (strncmp(value, "tcp://", 6) != 0 && strncmp(value, "unix://", 7) != 0)
		return error_set_class(err, ERROR_INVALID, "--agent-listen %s: expected tcp:// or unix://", value);
	else if (o->nagent_listens == HOSTS_MAX)
		return error_set_class(err, ERROR_INVALID, "at most %d --agent-listen", HOSTS_MAX);
	else
		o->agent_listens[o->nagent_listens++] = xstrdup(value);
	return 0;
}

static int add_registry(struct options *o, const char *name, const char *value, struct error *err)
{
	bool is_mirror = strcmp(name, "registry-mirror") == 0;
	int *n = is_mirror ? &o->nmirrors : &o->ninsecure;
	char **list = is_mirror ? o->mirrors : o->insecure;

	if (*n == REGISTRIES_MAX)
		return error_set_class(err, ERROR_INVALID, "at most %d --%s", REGISTRIES_MAX, name);
	if (is_mirror ? registry_check_mirror(value, &list[*n], err) : registry_check_insecure(value, err))
		return err->code;
	if (!is_mirror)
		list[*n] = xstrdup(value);
	++*n;
	return 0;
}

/* Whether there is such a runtime is known when the drivers are. */
static int add_route(struct options *o, const char *value, struct error *err)
{
	const char *equals = strrchr(value, '=');

	if (!equals || equals == value || !equals[1])
		return error_set_class(err, ERROR_INVALID, "--route %s: expected PATTERN=RUNTIME", value);
	if (o->nroutes == ROUTES_MAX)
		return error_set_class(err, ERROR_INVALID, "at most %d --route", ROUTES_MAX);
	o->routes[o->nroutes++] = xstrdup(value);
	return 0;
}

/* Those that are kept as they are said; what is wrong with them is found where they are used. */
static bool set_text(struct options *o, const char *name, const char *value)
{
	const struct {
		const char *name;
		char **at;
	} texts[] = {
		{ "data-root", &o->data_root },
		{ "sandbox", &o->sandbox_path },
		{ "guest", &o->guest_path },
		{ "fetch", &o->fetch_path },
		{ "launcher-dirs", &o->launcher_dirs },
		{ "native", &o->native },
		{ "default-runtime", &o->default_runtime },
		{ "tlscert", &o->tls_cert },
		{ "tlskey", &o->tls_key },
		{ "tlscacert", &o->tls_ca },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(texts[i].name, name) != 0)
			continue;
		replace(texts[i].at, value);
		return true;
	}
	return false;
}

static int set(struct options *o, const char *name, const char *value, struct error *err)
{
	struct prefix bip;
	struct ip ip;

	if (strcmp(name, "default-address-pool") == 0)
		return add_pool(o, value, err);
	if (strncmp(name, "agent-", 6) == 0)
		return set_agent(o, name, value, err);
	if (strcmp(name, "route") == 0)
		return add_route(o, value, err);
	if (strcmp(name, "registry-mirror") == 0 || strcmp(name, "insecure-registry") == 0)
		return add_registry(o, name, value, err);
	if (strcmp(name, "host") == 0) {
		if (o->nhosts == HOSTS_MAX)
			return error_set_class(err, ERROR_INVALID, "at most %d --host", HOSTS_MAX);
		o->hosts[o->nhosts++] = xstrdup(value);
		return options_check_host(value, err);
	}
	if (set_text(o, name, value))
		return 0;
	if (strcmp(name, "ephemeral") == 0)
		o->is_ephemeral = true;
	else if (strcmp(name, "version") == 0)
		o->wants_version = true;
	else if (strcmp(name, "help") == 0)
		o->wants_help = true;
	else if (strcmp(name, "synthetic") == 0)
		o->pretend = true;
	else if (strcmp(name, "allow-host-loopback") == 0)
		o->allow_host_loopback = true;
	else if (strcmp(name, "bip") == 0) {
		if (prefix_parse(value, &bip, NULL) < 0 || !prefix_is_v4(bip))
			return error_set_class(err, ERROR_INVALID,
					       "--bip %s: expected an IPv4 address and its prefix length", value);
		replace(&o->bip, value);
	} else if (strcmp(name, "host-gateway-ip") == 0) {
		if (ip_parse(value, &ip, NULL) < 0 || ip_is_none(ip))
			return error_set_class(err, ERROR_INVALID, "--host-gateway-ip %s: not an address", value);
		replace(&o->host_gateway_ip, value);
	} else if (strcmp(name, "log-level") == 0 && log_parse_level(value, &o->log_level) < 0)
		return error_set_class(err, ERROR_INVALID, "--log-level %s: not a level", value);
	else if (strcmp(name, "log-format") == 0) {
		if (strcmp(value, "text") && strcmp(value, "json"))
			return error_set_class(err, ERROR_INVALID, "--log-format %s: expected text or json", value);
		o->is_log_json = strcmp(value, "json") == 0;
	} else if (strcmp(name, "images") == 0) {
		if (strcmp(value, "auto") && strcmp(value, "registry") && strcmp(value, "synthetic"))
			return error_set_class(err, ERROR_INVALID, "--images %s: expected auto, registry or synthetic", value);
		replace(&o->images_mode, value);
	}
	return 0;
}

int options_set(struct options *o, const char *name, const char *value, struct error *err)
{
	const struct option *k = find(name, strlen(name));

	if (!k || strcmp(name, "config") == 0 || strcmp(name, "help") == 0 || strcmp(name, "version") == 0)
		return error_set_class(err, ERROR_INVALID, "unknown option %s", name);
	if ((k->kind == STRING) != (value != NULL))
		return error_set_class(err, ERROR_INVALID, "option %s %s", name, value ? "takes no value" : "needs a value");
	return set(o, name, value, err);
}

static int load_config(const char *path, json_t **ret, struct error *err)
{
	json_error_t at;
	json_t *root = json_load_file(path, 0, &at);

	if (!json_is_object(root)) {
		json_decref(root);
		return error_set_class(err, ERROR_INVALID, "--config %s: %s", path, root ? "not an object" : at.text);
	}
	*ret = root;
	return 0;
}

/* {"base": "10.0.0.0/8", "size": 24} */
static int set_pool_object(struct options *o, json_t *pool, struct error *err)
{
	const char *base = json_string_value(json_object_get(pool, "base"));
	CLEANUP(freep)
	char *text = xasprintf("base=%s,size=%d", base ? base : "", (int)json_integer_value(json_object_get(pool, "size")));

	return add_pool(o, text, err);
}

static int apply_list(struct options *o, const struct values *list, json_t *v, struct error *err)
{
	json_t *w;
	size_t i;
	int r = 0;

	json_array_foreach(v, i, w) {
		if (json_is_object(w) && strcmp(list->name, "default-address-pool") == 0)
			r = set_pool_object(o, w, err);
		else if (json_is_string(w))
			r = set(o, list->name, json_string_value(w), err);
		else
			r = error_set_class(err, ERROR_INVALID, "\"%s\": an element has the wrong type", list->plural);
		if (r < 0)
			break;
	}
	return r;
}

static int apply_config(const char *path, json_t *root, struct options *o, struct error *err)
{
	const char *key;
	json_t *v;
	int r = 0;

	json_object_foreach(root, key, v) {
		const struct option *k = find(key, strlen(key));
		struct values list;

		if (find_list(o, key, &list) && json_is_array(v))
			r = apply_list(o, &list, v, err);
		else if ((!k && !find_list(o, key, &list)) || strcmp(key, "config") == 0)
			r = error_set_class(err, ERROR_INVALID, "unknown option \"%s\"", key);
		else if (!k || (k->kind == FLAG ? !json_is_boolean(v) : !json_is_string(v)))
			r = error_set_class(err, ERROR_INVALID, "\"%s\" has the wrong type", key);
		else if (k->kind == STRING || json_is_true(v))
			r = set(o, key, json_string_value(v), err);
		if (r < 0) {
			error_prefix(err, "--config %s", path);
			break;
		}
	}
	return r;
}

/* Docker's rule: what stands in the file must not be said again otherwise. */
static int check_contradiction(json_t *config, json_t *said, struct options *o, const char *name, const char *value,
			       struct error *err)
{
	struct values list = { 0 };
	bool is_list = find_list(o, name, &list);
	json_t *in_file = is_list && json_object_get(config, list.plural) ? json_object_get(config, list.plural) :
									    json_object_get(config, name);
	const char *before = json_string_value(json_object_get(said, name));
	const char *file_value = json_string_value(in_file);

	if (in_file && !(value && file_value && strcmp(value, file_value) == 0) && !(!value && json_is_true(in_file)))
		return error_set_class(err, ERROR_INVALID, "--%s is given both as a flag and in the configuration file", name);
	if (value && before && !is_list && strcmp(before, value) != 0)
		return error_set_class(err, ERROR_INVALID, "--%s is given twice: %s and %s", name, before, value);
	if (!before) /* the first time: what the environment or the file has said is overridden */
		empty_list(o, name);
	if (value)
		json_object_set_new(said, name, json_string(value));
	return 0;
}

static int read_environment(struct options *o, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		char name[64] = "SOCKERLESS_";
		size_t n = strlen(name);
		const char *value;
		int r;

		for (const char *p = known[i].name; *p; p++)
			name[n++] = *p == '-' ? '_' : (char)(*p & ~0x20);
		name[n] = '\0';
		value = getenv(name);
		if (!value || !*value || (known[i].kind == FLAG && strcmp(value, "0") == 0))
			continue;
		empty_list(o, known[i].name);
		r = set(o, known[i].name, value, err);
		if (r < 0) {
			error_prefix(err, "%s", name);
			return r;
		}
	}
	return 0;
}

/* Takes one option, and its value, off the command line. */
static int next_argument(int argc, char **argv, int *at, const struct option **ret, const char **ret_value, struct error *err)
{
	const char *arg = strcmp(argv[*at], "-H") == 0 ? "--host" : argv[*at];
	size_t n;

	if (strncmp(arg, "--", 2) != 0)
		return error_set_class(err, ERROR_INVALID, "unknown argument %s", arg);
	n = strcspn(arg + 2, "=");
	*ret = find(arg + 2, n);
	*ret_value = arg[2 + n] ? arg + 3 + n : NULL;
	if (!*ret || ((*ret)->kind == FLAG && *ret_value))
		return error_set_class(err, ERROR_INVALID, "unknown option %s", arg);
	if ((*ret)->kind == STRING && !*ret_value) {
		if (++*at >= argc)
			return error_set_class(err, ERROR_INVALID, "%s needs a value", arg);
		*ret_value = argv[*at];
	}
	return 0;
}

static int read_arguments(int argc, char **argv, json_t *config, struct options *o, struct error *err)
{
	json_t *said = json_object();
	int r = 0;

	for (int i = 1; r == 0 && i < argc; i++) {
		const struct option *k = NULL;
		const char *value = NULL;

		r = next_argument(argc, argv, &i, &k, &value, err);
		if (r == 0)
			r = check_contradiction(config, said, o, k->name, value, err);
		if (r == 0)
			r = set(o, k->name, value, err);
	}
	json_decref(said);
	return r;
}

/* The file is the first thing needed, wherever it is named. */
static const char *config_path(int argc, char **argv)
{
	const char *path = getenv("SOCKERLESS_CONFIG");

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--config=", 9) == 0)
			path = argv[i] + 9;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			path = argv[i + 1];
	}
	return path && *path ? path : NULL;
}

/* Relative ones: beside this program, as in a build directory or an installed prefix; the rest is for programs
 * that embed the library and lie elsewhere. */
static const char *const sandbox_places[] = { "sockerless-sandbox", "/usr/local/bin/sockerless-sandbox",
					      "/usr/bin/sockerless-sandbox" };
static const char *const agent_places[] = { "sockerless-agent", "../../bin/sockerless-agent",
					    "/usr/local/bin/sockerless-agent", "/usr/bin/sockerless-agent" };
static const char *const launcher_places[] = { "../../src/launchers", "../../../src/launchers",
					       "../share/sockerless/launchers", "/usr/local/share/sockerless/launchers",
					       "/usr/share/sockerless/launchers" };
static const char *const fetch_places[] = { "sockerless-fetch", "/usr/local/bin/sockerless-fetch", "/usr/bin/sockerless-fetch" };
static const char *const guest_places[] = { "../guest/rootfs", "../share/sockerless/rootfs",
					    "/usr/local/share/sockerless/rootfs", "/usr/share/sockerless/rootfs" };

static char *beside(const char *name)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return xstrdup(name);
	*slash = '\0';
	return xasprintf("%s/%s", path, name);
}

/* The first place that is there; the first of all when none is, for the error's text. */
static char *find_file(const char *const *places, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *path = *places[i] == '/' ? xstrdup(places[i]) : beside(places[i]);

		if (access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return beside(places[0]);
}

void options_complete(struct options *o)
{
	const char *run = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME"), *data = getenv("XDG_DATA_HOME");
	bool is_root = geteuid() == 0;

	if (o->nhosts == 0)
		o->hosts[o->nhosts++] = is_root ? xstrdup("unix:///run/sockerless/docker.sock") :
						  xasprintf("unix://%s/sockerless/docker.sock", run ? run : "/tmp");
	if (!o->data_root)
		o->data_root = is_root ? xstrdup("/var/lib/sockerless") :
			       data    ? xasprintf("%s/sockerless", data) :
					 xasprintf("%s/.local/share/sockerless", home ? home : "/tmp");
	if (!o->sandbox_path)
		o->sandbox_path = find_file(sandbox_places, ARRAY_SIZE(sandbox_places));
	if (!o->agent_path)
		o->agent_path = find_file(agent_places, ARRAY_SIZE(agent_places));
	if (!o->launcher_dirs) {
		CLEANUP(freep) char *found = find_file(launcher_places, ARRAY_SIZE(launcher_places));

		o->launcher_dirs = xasprintf("/etc/sockerless/launchers:%s", found ? found : "");
	}
	if (!o->fetch_path)
		o->fetch_path = find_file(fetch_places, ARRAY_SIZE(fetch_places));
	if (!o->guest_path)
		o->guest_path = find_file(guest_places, ARRAY_SIZE(guest_places));
}

void options_init(struct options *o)
{
	memset(o, 0, sizeof(*o));
	o->log_level = LOG_LEVEL_INFO;
}

void options_copy(const struct options *o, struct options *ret)
{
	*ret = *o;
	for (int i = 0; i < o->nhosts; i++)
		ret->hosts[i] = xstrdup(o->hosts[i]);
	ret->data_root = xstrdup(o->data_root);
	ret->images_mode = xstrdup(o->images_mode);
	ret->default_runtime = xstrdup(o->default_runtime);
	ret->sandbox_path = xstrdup(o->sandbox_path);
	ret->guest_path = xstrdup(o->guest_path);
	ret->fetch_path = xstrdup(o->fetch_path);
	ret->bip = xstrdup(o->bip);
	ret->host_gateway_ip = xstrdup(o->host_gateway_ip);
	ret->agent_token_file = xstrdup(o->agent_token_file);
	ret->agent_callback = xstrdup(o->agent_callback);
	ret->agent_path = xstrdup(o->agent_path);
	ret->launcher_dirs = xstrdup(o->launcher_dirs);
	ret->native = xstrdup(o->native);
	ret->tls_cert = xstrdup(o->tls_cert);
	ret->tls_key = xstrdup(o->tls_key);
	ret->tls_ca = xstrdup(o->tls_ca);
	for (int i = 0; i < o->nroutes; i++)
		ret->routes[i] = xstrdup(o->routes[i]);
	for (int i = 0; i < o->nagent_listens; i++)
		ret->agent_listens[i] = xstrdup(o->agent_listens[i]);
	for (int i = 0; i < o->npools; i++)
		ret->pools[i] = xstrdup(o->pools[i]);
	for (int i = 0; i < o->nmirrors; i++)
		ret->mirrors[i] = xstrdup(o->mirrors[i]);
	for (int i = 0; i < o->ninsecure; i++)
		ret->insecure[i] = xstrdup(o->insecure[i]);
}

int options_parse(int argc, char **argv, struct options *ret, struct error *err)
{
	const char *path = config_path(argc, argv);
	json_t *config = NULL;
	int r = 0;

	options_init(ret);
	if (path)
		r = load_config(path, &config, err);
	if (r == 0 && config)
		r = apply_config(path, config, ret, err);
	if (r == 0)
		r = read_environment(ret, err);
	if (r == 0)
		r = read_arguments(argc, argv, config, ret, err);
	json_decref(config);
	if (r == 0)
		options_complete(ret);
	return r;
}

void options_done(struct options *o)
{
	for (int i = 0; i < o->nhosts; i++)
		free(o->hosts[i]);
	free(o->data_root);
	free(o->images_mode);
	free(o->default_runtime);
	free(o->sandbox_path);
	free(o->guest_path);
	free(o->fetch_path);
	for (int i = 0; i < o->nmirrors; i++)
		free(o->mirrors[i]);
	for (int i = 0; i < o->ninsecure; i++)
		free(o->insecure[i]);
	free(o->bip);
	free(o->host_gateway_ip);
	free(o->agent_token_file);
	free(o->agent_callback);
	free(o->agent_path);
	free(o->launcher_dirs);
	free(o->native);
	free(o->tls_cert);
	free(o->tls_key);
	free(o->tls_ca);
	for (int i = 0; i < o->nroutes; i++)
		free(o->routes[i]);
	for (int i = 0; i < o->nagent_listens; i++)
		free(o->agent_listens[i]);
	for (int i = 0; i < o->npools; i++)
		free(o->pools[i]);
}
