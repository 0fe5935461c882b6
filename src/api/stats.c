/* GET /containers/{id}/stats: a sample a second, or one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "api/api.h"
#include "api/versions.h"
#include "engine/networks.h"
#include "network/switch.h"
#include "util/alloc.h"
#include "util/clock.h"

enum { INTERVAL_MS = 1000 };

/* One client. It is freed when nothing of it is under way. */
struct sampling {
	struct engine *engine;
	struct container *container; /* reference */
	struct stream *stream;       /* NULL: one sample, for the request */
	struct request *req;         /* NULL: answered */
	uv_timer_t timer;
	int api_version;
	bool is_asked, is_closed;    /* the driver; by the client */
	bool is_first;               /* of the two that a single sample needs */
	json_t *before;              /* the last sample's cpu_stats; NULL: none */
	int64_t before_ns;
};

/* ---- a sample ---- */

/* What all processors did since the machine started, idle too, in clock ticks of 10 ms. */
static void look_at_processors(uint64_t *ret_ns, unsigned *ret_online)
{
	FILE *f = fopen("/proc/stat", "re");
	char line[512];

	*ret_ns = *ret_online = 0;
	while (f && fgets(line, sizeof(line), f) && strncmp(line, "cpu", 3) == 0) {
		char *at = line + 3;
		uint64_t ticks = 0;

		if (*at != ' ') {
			++*ret_online;
			continue;
		}
		for (int i = 0; i < 7; i++) /* user, nice, system, idle, iowait, irq, softirq */
			ticks += strtoull(at, &at, 10);
		*ret_ns = ticks * 10000000;
	}
	if (f)
		fclose(f);
}

static uint64_t machine_memory(void)
{
	struct sysinfo si;

	sysinfo(&si);
	return (uint64_t)si.totalram * si.mem_unit;
}

static json_t *cpu_of(const struct process_figures *f)
{
	return json_pack("{s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "cpu_usage", "total_usage",
			 (json_int_t)(f->user_ns + f->system_ns), "usage_in_kernelmode", (json_int_t)f->system_ns,
			 "usage_in_usermode", (json_int_t)f->user_ns, "throttling_data", "periods",
			 (json_int_t)f->limits.periods, "throttled_periods", (json_int_t)f->limits.throttled_periods,
			 "throttled_time", (json_int_t)f->limits.throttled_ns);
}

static json_t *time_of(int64_t ns)
{
	char text[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(ns, text);
	return json_string(text);
}

/* Of a container without a process: its name, and zeros. */
static json_t *empty_sample(const struct container *c)
{
	static const struct process_figures none;

	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:{}, s:{}, s:i, s:{}, s:{s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n}}",
			 "id", c->id, "name", json_sprintf("/%s", c->name), "os_type", "linux", "read", time_of(0),
			 "preread", time_of(0), "cpu_stats", cpu_of(&none), "precpu_stats", cpu_of(&none), "memory_stats",
			 "pids_stats", "num_procs", 0, "storage_stats", "blkio_stats", "io_service_bytes_recursive",
			 "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
			 "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive");
}

/* There is no page cache that would be counted to a container: all of its memory is its processes'. */
static json_t *memory_of(const struct process_figures *f)
{
	uint64_t limit = f->memory_limit_bytes ? f->memory_limit_bytes : machine_memory();
	json_t *o = json_pack("{s:I, s:I, s:I, s:{s:I, s:i, s:i}}", "usage", (json_int_t)f->memory_bytes, "max_usage",
			      (json_int_t)f->memory_peak_bytes, "limit", (json_int_t)limit, "stats", "anon",
			      (json_int_t)f->memory_bytes, "file", 0, "inactive_file", 0);

	if (f->limits.oom_kills)
		json_object_set_new(o, "failcnt", json_integer(f->limits.oom_kills));
	return o;
}

/* By interface, of the container whose network it has; NULL: it has none. Errors and losses do not happen in the switch. */
static json_t *networks_of(struct engine *e, const struct container *c)
{
	const struct net_sandbox *s = net_sandbox_of(e, networks_named(e, c));
	json_t *all = json_object();

	for (const struct list *it = s ? s->endpoints.next : NULL; s && it != &s->endpoints; it = it->next) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_sandbox);
		struct net_interface i;

		if (!netns_counters(s->ns, ep->network->id, &i))
			continue;
		json_object_set_new(all, i.name,
				    json_pack("{s:I, s:I, s:i, s:i, s:I, s:I, s:i, s:i}", "rx_bytes",
					      (json_int_t)i.rx_bytes, "rx_packets", (json_int_t)i.rx_packets,
					      "rx_errors", 0, "rx_dropped", 0, "tx_bytes", (json_int_t)i.tx_bytes,
					      "tx_packets", (json_int_t)i.tx_packets, "tx_errors", 0, "tx_dropped", 0));
	}
	if (json_object_size(all) > 0)
		return all;
	json_decref(all);
	return NULL;
}

static json_t *full_sample(struct engine *e, const struct container *c, const struct process_figures *f, int64_t now_ns)
{
	json_t *o = empty_sample(c), *cpu = cpu_of(f), *pids = json_object_get(o, "pids_stats"),
	       *networks = networks_of(e, c);
	json_int_t pids_max = json_integer_value(json_object_get(c->host_config, "PidsLimit"));
	uint64_t system_ns;
	unsigned online;

	look_at_processors(&system_ns, &online);
	json_object_set_new(cpu, "system_cpu_usage", json_integer((json_int_t)system_ns));
	json_object_set_new(cpu, "online_cpus", json_integer(online));
	json_object_set_new(o, "cpu_stats", cpu);
	json_object_set_new(o, "memory_stats", memory_of(f));
	if (networks)
		json_object_set_new(o, "networks", networks);
	if (f->pids)
		json_object_set_new(pids, "current", json_integer(f->pids));
	if (pids_max > 0)
		json_object_set_new(pids, "limit", json_integer(pids_max));
	json_object_set_new(o, "read", time_of(now_ns));
	return o;
}

/* ---- who asks ---- */

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void sampling_free(struct sampling *s)
{
	json_decref(s->before);
	container_unref(s->container);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void answer(struct sampling *s, json_t *take_sample)
{
	reply_shaped(s->req, 200, SHAPE_STATS, take_sample);
	s->req = NULL;
	s->is_closed = true;
	if (!s->is_asked)
		sampling_free(s);
}

static void send_sample(struct sampling *s, json_t *take_sample)
{
	char *text;

	versions_shape(SHAPE_STATS, take_sample, s->api_version);
	text = json_dumps(take_sample, JSON_COMPACT);
	json_decref(take_sample);
	if (!stream_is_full(s->stream)) {
		stream_write(s->stream, text, strlen(text));
		stream_write(s->stream, "\n", 1);
	}
	free(text);
}

static void on_timer(uv_timer_t *t);

/* The sample before goes with it: a share of the processors is a difference. */
static void take(struct sampling *s, json_t *take_sample, int64_t now_ns)
{
	json_t *cpu = json_incref(json_object_get(take_sample, "cpu_stats"));

	if (s->before) {
		json_object_set_new(take_sample, "precpu_stats", s->before);
		json_object_set_new(take_sample, "preread", time_of(s->before_ns));
	}
	s->before = cpu;
	s->before_ns = now_ns;
	if (!s->stream && !s->is_first) {
		answer(s, take_sample);
		return;
	}
	if (s->stream)
		send_sample(s, take_sample);
	else
		json_decref(take_sample);
	s->is_first = false;
	uv_timer_start(&s->timer, on_timer, INTERVAL_MS, 0);
}

static void on_figures(void *arg, const struct process_figures *f, const struct error *err)
{
	struct sampling *s = arg;
	int64_t now = clock_wall_ns();

	s->is_asked = false;
	if (s->is_closed)
		sampling_free(s);
	else if (err)
		take(s, empty_sample(s->container), 0);
	else
		take(s, full_sample(s->engine, s->container, f, now), now);
}

static void look(struct sampling *s)
{
	s->is_asked = true;
	if (engine_stats(s->engine, s->container, on_figures, s, NULL) == 0)
		return;
	s->is_asked = false;
	take(s, empty_sample(s->container), 0);
}

static void on_timer(uv_timer_t *t)
{
	struct sampling *s = t->data;

	if (s->stream && s->container->is_gone)
		stream_end(s->stream);
	else
		look(s);
}

static void on_close(void *arg)
{
	struct sampling *s = arg;

	s->is_closed = true;
	uv_timer_stop(&s->timer);
	if (!s->is_asked)
		sampling_free(s);
}

/* The client of a single sample has left before the second look. */
static void on_gone(void *arg)
{
	struct sampling *s = arg;

	uv_timer_stop(&s->timer);
	answer(s, empty_sample(s->container));
}

void ContainerStats(struct request *req)
{
	static const struct stream_events events = { .on_close = on_close };
	struct container *c = api_container(req);
	bool is_stream = request_query_bool_default(req, "stream", true);
	struct sampling *s;

	if (!c)
		return;
	if (!is_stream && !container_has_process(c)) {
		reply_shaped(req, 200, SHAPE_STATS, empty_sample(c));
		return;
	}
	s = xnew(struct sampling);
	s->engine = api_engine(req);
	s->container = container_ref(c);
	s->api_version = request_api_version(req);
	s->is_first = !is_stream && !versions_query_bool(req, "one-shot");
	uv_timer_init(s->engine->loop, &s->timer);
	s->timer.data = s;
	if (is_stream) {
		s->stream = reply_stream(req, 200, "application/json");
		stream_set_events(s->stream, &events, s);
	} else {
		s->req = req;
		request_on_gone(req, on_gone, s);
	}
	look(s);
}
