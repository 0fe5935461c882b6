#include "daemon/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "util/alloc.h"
#include "util/cleanup.h"

const char options_help[] =
	"usage: sockerlessd [options]\n"
	"\n"
	"  -H, --host URL         listen on unix://PATH, tcp://127.0.0.1:PORT or fd:// (repeatable)\n"
	"      --data-root DIR    where containers and their state live\n"
	"      --ephemeral        keep no state over a restart\n"
	"      --synthetic        refused: the synthetic driver is not there yet\n"
	"      --images MODE      auto, registry or synthetic\n"
	"      --config FILE      these options as JSON, as in daemon.json\n"
	"      --sandbox FILE     the sandbox program\n"
	"      --guest DIR        the built-in image's root file system\n"
	"      --log-level LEVEL  debug, info, warn, error, fatal\n"
	"      --log-format FMT   text or json\n"
	"      --version          say the version and end\n"
	"      --help             this text\n"
	"\n"
	"Each is also an environment variable: SOCKERLESS_DATA_ROOT for --data-root.\n";

enum kind { STRING, FLAG };

static const struct option { const char *name; enum kind kind; } known[] = {
	{ "host", STRING }, { "data-root", STRING }, { "ephemeral", FLAG }, { "synthetic", FLAG }, { "images", STRING },
	{ "config", STRING }, { "sandbox", STRING }, { "guest", STRING }, { "log-level", STRING }, { "log-format", STRING },
	{ "version", FLAG }, { "help", FLAG },
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

static int check_host(const char *url, struct error *err)
{
	if ((strncmp(url, "unix://", 7) == 0 && url[7]) || strncmp(url, "fd://", 5) == 0)
		return 0;
	if (strncmp(url, "tcp://127.", 10) == 0 || strncmp(url, "tcp://localhost:", 16) == 0)
		return 0;
	if (strncmp(url, "tcp://", 6) == 0)
		return error_set_class(err, ERROR_INVALID, "--host %s: without TLS only loopback is served", url);
	return error_set_class(err, ERROR_INVALID, "--host %s: expected unix://, tcp:// or fd://", url);
}

static int read_config(const char *path, struct options *o, struct error *err);

static int set(struct options *o, const char *name, const char *value, struct error *err)
{
	if (strcmp(name, "host") == 0) {
		if (o->nhosts == HOSTS_MAX)
			return error_set_class(err, ERROR_INVALID, "at most %d --host", HOSTS_MAX);
		o->hosts[o->nhosts++] = xstrdup(value);
		return check_host(value, err);
	}
	if (strcmp(name, "data-root") == 0)
		replace(&o->data_root, value);
	else if (strcmp(name, "sandbox") == 0)
		replace(&o->sandbox_path, value);
	else if (strcmp(name, "guest") == 0)
		replace(&o->guest_path, value);
	else if (strcmp(name, "config") == 0)
		return read_config(value, o, err);
	else if (strcmp(name, "ephemeral") == 0)
		o->is_ephemeral = true;
	else if (strcmp(name, "version") == 0)
		o->wants_version = true;
	else if (strcmp(name, "help") == 0)
		o->wants_help = true;
	else if (strcmp(name, "synthetic") == 0)
		return error_set_class(err, ERROR_UNIMPLEMENTED, "--synthetic: the synthetic driver is not there yet");
	else if (strcmp(name, "log-level") == 0 && log_parse_level(value, &o->log_level) < 0)
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

static int read_config(const char *path, struct options *o, struct error *err)
{
	json_error_t at;
	json_t *root = json_load_file(path, 0, &at), *v;
	const char *key;
	int r = 0;

	if (!json_is_object(root)) {
		json_decref(root);
		return error_set_class(err, ERROR_INVALID, "--config %s: %s", path, root ? "not an object" : at.text);
	}
	json_object_foreach(root, key, v) {
		const struct option *k = find(key, strlen(key));
		size_t i;
		json_t *w;

		if (strcmp(key, "hosts") == 0) {
			json_array_foreach(v, i, w)
				r = r ? r : set(o, "host", json_string_value(w) ? json_string_value(w) : "", err);
		} else if (!k || strcmp(key, "config") == 0) {
			r = error_set_class(err, ERROR_INVALID, "--config %s: unknown option \"%s\"", path, key);
		} else if (k->kind == FLAG ? !json_is_boolean(v) : !json_is_string(v)) {
			r = error_set_class(err, ERROR_INVALID, "--config %s: \"%s\" has the wrong type", path, key);
		} else if (k->kind == STRING || json_is_true(v)) {
			r = set(o, key, json_string_value(v), err);
		}
		if (r < 0)
			break;
	}
	json_decref(root);
	return r;
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
		r = set(o, known[i].name, value, err);
		if (r < 0) {
			error_prefix(err, "%s", name);
			return r;
		}
	}
	return 0;
}

static int read_arguments(int argc, char **argv, struct options *o, struct error *err)
{
	bool has_hosts = false;
	int r = 0;

	for (int i = 1; r == 0 && i < argc; i++) {
		const char *arg = argv[i], *value;
		const struct option *k;
		size_t n;

		if (strcmp(arg, "-H") == 0)
			arg = "--host";
		if (strncmp(arg, "--", 2) != 0)
			return error_set_class(err, ERROR_INVALID, "unknown argument %s", arg);
		n = strcspn(arg + 2, "=");
		k = find(arg + 2, n);
		value = arg[2 + n] ? arg + 3 + n : NULL;
		if (!k || (k->kind == FLAG && value))
			return error_set_class(err, ERROR_INVALID, "unknown option %s", arg);
		if (k->kind == STRING && !value && ++i == argc)
			return error_set_class(err, ERROR_INVALID, "%s needs a value", arg);
		if (k->kind == STRING && !value)
			value = argv[i];
		if (strcmp(k->name, "host") == 0 && !has_hosts) { /* the command line's hosts replace all others */
			while (o->nhosts > 0)
				free(o->hosts[--o->nhosts]);
			has_hosts = true;
		}
		r = set(o, k->name, value, err);
	}
	return r;
}

/* Beside this program, as in a build directory or an installed prefix. */
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

static void set_defaults(struct options *o)
{
	const char *run = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME"), *data = getenv("XDG_DATA_HOME");
	bool is_root = geteuid() == 0;

	if (o->nhosts == 0)
		o->hosts[o->nhosts++] = is_root ? xstrdup("unix:///run/sockerless/docker.sock") :
				    xasprintf("unix://%s/sockerless/docker.sock", run ? run : "/tmp");
	if (!o->data_root)
		o->data_root = is_root ? xstrdup("/var/lib/sockerless") :
			       data ? xasprintf("%s/sockerless", data) : xasprintf("%s/.local/share/sockerless", home ? home : "/tmp");
	if (!o->sandbox_path)
		o->sandbox_path = beside("sockerless-sandbox");
	if (!o->guest_path) {
		o->guest_path = beside("../guest/rootfs");
		if (access(o->guest_path, F_OK) < 0)
			replace(&o->guest_path, "/usr/local/share/sockerless/rootfs");
	}
}

int options_parse(int argc, char **argv, struct options *ret, struct error *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->log_level = LOG_LEVEL_INFO;
	r = read_environment(ret, err);
	if (r == 0)
		r = read_arguments(argc, argv, ret, err);
	if (r == 0)
		set_defaults(ret);
	return r;
}

void options_done(struct options *o)
{
	for (int i = 0; i < o->nhosts; i++)
		free(o->hosts[i]);
	free(o->data_root);
	free(o->images_mode);
	free(o->sandbox_path);
	free(o->guest_path);
}
