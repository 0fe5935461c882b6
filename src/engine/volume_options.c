#include "engine/volume_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/json.h"

static int refuse(struct error *err, const char *what, const char *key)
{
	return error_set_class(err, ERROR_INVALID, "%s: \"%.200s\"", what, key);
}

/* //host:445/share: the port belongs into o. */
static bool has_port(const char *device)
{
	const char *host = strstr(device, "//"), *colon;

	if (!host)
		return false;
	host += 2;
	colon = memchr(host, ':', strcspn(host, "/"));
	return colon && isdigit((unsigned char)colon[1]);
}

/* Each of these needs the others. */
static int check_pairs(json_t *options, struct error *err)
{
	static const char *const needs[][2] = { { "device", "type" }, { "type", "device" }, { "o", "device" }, { "o", "type" } };

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (json_object_get(options, needs[i][0]) && !json_object_get(options, needs[i][1]))
			return refuse(err, "missing required option", needs[i][1]);
	return 0;
}

int volume_options_check(json_t *options, struct error *err)
{
	static const char *const known[] = { "type", "o", "device", "size" };
	json_t *size = json_object_get(options, "size"), *v;
	const char *key;
	uint64_t bytes;

	json_object_foreach(options, key, v) {
		size_t i = 0;

		while (i < ARRAY_SIZE(known) && strcmp(known[i], key))
			i++;
		if (i == ARRAY_SIZE(known))
			return refuse(err, "invalid option", key);
	}
	if (strcmp(json_text(options, "type"), "cifs") == 0 && has_port(json_text(options, "device")))
		return error_set_class(err, ERROR_INVALID, "port not allowed in CIFS device URL, include 'port' in 'o='");
	if (size && !size_parse(json_string_value(size), &bytes))
		return error_set_class(err, ERROR_INVALID, "invalid size: '%.100s'", json_string_value(size));
	if (size && bytes > 0)
		return error_set_class(err, ERROR_INVALID, "quota size requested but no quota support");
	return check_pairs(options, err);
}

/* ---- o= ---- */

static const struct {
	const char *word;
	unsigned long set, clear;
} flags[] = {
	{ "defaults", 0, 0 },
	{ "rw", 0, MS_RDONLY },
	{ "ro", MS_RDONLY, 0 },
	{ "suid", 0, MS_NOSUID },
	{ "nosuid", MS_NOSUID, 0 },
	{ "dev", 0, MS_NODEV },
	{ "nodev", MS_NODEV, 0 },
	{ "exec", 0, MS_NOEXEC },
	{ "noexec", MS_NOEXEC, 0 },
	{ "async", 0, MS_SYNCHRONOUS },
	{ "sync", MS_SYNCHRONOUS, 0 },
	{ "bind", MS_BIND, 0 },
	{ "rbind", MS_BIND | MS_REC, 0 },
	{ "atime", 0, MS_NOATIME },
	{ "noatime", MS_NOATIME, 0 },
	{ "diratime", 0, MS_NODIRATIME },
	{ "nodiratime", MS_NODIRATIME, 0 },
	{ "relatime", MS_RELATIME, 0 },
	{ "strictatime", MS_STRICTATIME, 0 },
	{ "private", MS_PRIVATE, 0 },
	{ "rprivate", MS_PRIVATE | MS_REC, 0 },
	{ "shared", MS_SHARED, 0 },
	{ "rshared", MS_SHARED | MS_REC, 0 },
	{ "slave", MS_SLAVE, 0 },
	{ "rslave", MS_SLAVE | MS_REC, 0 },
};

/* What are flags of mount(2), and the rest, which is for the file system; malloc'd. A password stays ours. */
static unsigned long split(const char *text, char **ret_data)
{
	CLEANUP(freep) char *copy = xstrdup(text);
	char *at = copy, *word;
	unsigned long set = 0;
	struct buf data;

	buf_init(&data, 1 << 16);
	while ((word = strsep(&at, ","))) {
		size_t i = 0;

		while (i < ARRAY_SIZE(flags) && strcmp(flags[i].word, word))
			i++;
		if (i < ARRAY_SIZE(flags)) {
			set = (set & ~flags[i].clear) | flags[i].set;
		} else if (*word) {
			buf_puts(&data, data.len ? "," : "");
			buf_puts(&data, strncmp(word, "password=", 9) == 0 ? "password=********" : word);
		}
	}
	*ret_data = buf_steal(&data);
	return set;
}

char *volume_options_print(json_t *options, const char *target)
{
	CLEANUP(freep) char *data = NULL;
	unsigned long set = split(json_text(options, "o"), &data);
	CLEANUP(freep) char *shown = set ? xasprintf(", flags: 0x%lx", set) : xstrdup("");
	const char *device = json_text(options, "device");

	return xasprintf("mount %s%s%s%s%s%s", device, *device ? ":" : "", target, shown, *data ? ", data: " : "", data);
}

void volume_options_read(json_t *options, struct volume_options *ret)
{
	CLEANUP(freep) char *data = NULL;
	const char *type = json_text(options, "type");
	unsigned long set = split(json_text(options, "o"), &data);

	*ret = (struct volume_options){ .kind = VOLUME_PLAIN, .device = json_text(options, "device") };
	ret->is_readonly = set & MS_RDONLY;
	if (!*type && !*ret->device)
		return;
	if (set & MS_BIND) {
		ret->kind = VOLUME_BIND;
	} else if (strcmp(type, "tmpfs") == 0) {
		ret->kind = VOLUME_TMPFS;
		ret->errnum = tmpfs_parse(data, &ret->tmpfs, NULL) < 0 ? EINVAL : 0;
	} else {
		ret->kind = VOLUME_FOREIGN;
		ret->errnum = strcmp(type, "none") == 0 || strcmp(type, "bind") == 0 || !*type ? ENODEV : EPERM;
	}
}
