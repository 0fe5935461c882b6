/* Containers as lists show them. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "engine/network_mode.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* Go's units.HumanDuration. */
static char *human(int64_t ns)
{
	int64_t s = ns / 1000000000, m = s / 60, h = (s + 1800) / 3600;

	if (s < 1)
		return xstrdup("Less than a second");
	if (s == 1)
		return xstrdup("1 second");
	if (s < 60)
		return xasprintf("%lld seconds", (long long)s);
	if (m == 1)
		return xstrdup("About a minute");
	if (m < 60)
		return xasprintf("%lld minutes", (long long)m);
	if (h == 1)
		return xstrdup("About an hour");
	if (h < 48)
		return xasprintf("%lld hours", (long long)h);
	if (h < 24 * 7 * 2)
		return xasprintf("%lld days", (long long)(h / 24));
	if (h < 24 * 30 * 2)
		return xasprintf("%lld weeks", (long long)(h / 24 / 7));
	if (h < 24 * 365 * 2)
		return xasprintf("%lld months", (long long)(h / 24 / 30));
	return xasprintf("%lld years", (long long)(s / 3600 / 24 / 365));
}

static char *up_status(const struct container *c, const char *up)
{
	enum health_status health = c->state.health.status;

	if (health == HEALTH_NONE)
		return xasprintf("Up %s", up);
	return xasprintf("Up %s (%s%s)", up, health == HEALTH_STARTING ? "health: " : "", health_status_name(health));
}

static char *view_status(const struct container *c)
{
	int64_t now = clock_wall_ns();
	CLEANUP(freep) char *up = human(now - c->state.started_ns), *ended = human(now - c->state.finished_ns);

	switch (c->state.status) {
	case CONTAINER_RUNNING: return up_status(c, up);
	case CONTAINER_PAUSED: return xasprintf("Up %s (Paused)", up);
	case CONTAINER_CREATED: return xstrdup("Created");
	case CONTAINER_EXITED: return xasprintf("Exited (%d) %s ago", c->state.exit_code, ended);
	case CONTAINER_RESTARTING: return xasprintf("Restarting (%d) %s ago", c->state.exit_code, ended);
	case CONTAINER_REMOVING: return xstrdup("Removal In Progress");
	case CONTAINER_DEAD: return xstrdup("Dead");
	}
	return xstrdup("");
}

/* Words with a blank are quoted, as Docker's list shows them. */
static char *command_line(const struct container *c)
{
	struct buf line;
	json_t *v;
	size_t i;

	buf_init(&line, 1 << 20);
	buf_puts(&line, c->path);
	json_array_foreach(c->args, i, v) {
		const char *word = json_string_value(v);

		buf_printf(&line, strchr(word, ' ') ? " '%s'" : " %s", word);
	}
	return buf_steal(&line);
}

/* The name it was made by, while that still means the same image; else the id. */
static const char *image_shown(struct engine *e, const struct container *c)
{
	struct image *i;

	return images_find(e->images, c->image_ref, &i, NULL) == 0 && strcmp(i->id, c->image_id) == 0 ? c->image_ref :
													c->image_id;
}

static json_t *summary_host(const struct container *c)
{
	json_t *o = json_pack("{s:s}", "NetworkMode", network_mode_of(c));
	json_t *annotations = json_object_get(c->host_config, "Annotations");

	if (json_object_size(annotations) > 0)
		json_object_set(o, "Annotations", annotations);
	return o;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Its own name and those of links to it, in the order of their bytes, as moby's data base has them. */
static json_t *names_of(const struct container *c)
{
	json_t *names = json_array();
	size_t n = 1, i = 0;
	char **all;

	for (const struct container_link *l = c->linked_by; l; l = l->next_of_child)
		n++;
	all = xcalloc(n, sizeof(*all));
	all[i++] = xasprintf("/%s", c->name);
	for (const struct container_link *l = c->linked_by; l; l = l->next_of_child)
		all[i++] = xasprintf("/%s/%s", l->parent->name, l->alias);
	qsort(all, n, sizeof(*all), by_bytes);
	for (i = 0; i < n; i++) {
		json_array_append_new(names, json_string(all[i]));
		free(all[i]);
	}
	free(all);
	return names;
}

json_t *view_container_summary(struct engine *e, struct container *c)
{
	CLEANUP(freep) char *status = view_status(c), *command = command_line(c);
	json_t *labels = json_object_get(c->config, "Labels");

	return json_pack("{s:s, s:o, s:s, s:s, s:s, s:I, s:o, s:o, s:s, s:s, s:o, s:{s:o}, s:o, s:{s:s, s:i}}", "Id",
			 c->id, "Names", c->linked_by ? names_of(c) : json_pack("[o]", json_sprintf("/%s", c->name)),
			 "Image", image_shown(e, c), "ImageID", c->image_id, "Command", command, "Created",
			 (json_int_t)(c->created_ns / 1000000000), "Ports", view_ports(e, c), "Labels",
			 json_is_object(labels) ? json_incref(labels) : json_object(), "State",
			 container_status_name(c->state.status), "Status", status, "HostConfig", summary_host(c),
			 "NetworkSettings", "Networks", view_networks(e, c, false), "Mounts", view_mounts(c), "Health",
			 "Status", health_status_name(c->state.health.status), "FailingStreak",
			 (int)c->state.health.failing_streak);
}
