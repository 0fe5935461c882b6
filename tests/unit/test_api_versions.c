/* The tables of differences and the code that goes over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/versions.h"

#define V(minor) API_VERSION(1, minor)

static json_t *parse(const char *text)
{
	json_t *o = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(o);
	return o;
}

static void check_shape(enum shape shape, int minor, const char *newest, const char *wanted)
{
	json_t *o = parse(newest), *w = parse(wanted);

	versions_shape(shape, o, V(minor));
	if (!json_equal(o, w))
		fail_msg("1.%d: %s is not %s", minor, json_dumps(o, 0), wanted);
	json_decref(o);
	json_decref(w);
}

/* ---- the tables ---- */

static bool is_reply_change(enum change c)
{
	return c <= CHANGE_NEST;
}

static void check_row(const struct difference *d, const char *what)
{
	json_t *v;

	if (d->since >= d->before)
		fail_msg("%s: \"%s\" is for no version", what, d->path);
	if ((d->change == CHANGE_CALL) != (d->call != NULL) || (d->change == CHANGE_CHECK) != (d->check != NULL))
		fail_msg("%s: \"%s\" has a function, or has none", what, d->path);
	if (d->change == CHANGE_FILL || d->change == CHANGE_SET || d->change == CHANGE_DEFAULT) {
		v = json_loads(d->value, JSON_DECODE_ANY, NULL);
		if (!v || (d->change == CHANGE_FILL && !json_is_object(v)))
			fail_msg("%s: \"%s\": %s is no JSON", what, d->path, d->value);
		json_decref(v);
	}
	if ((d->change == CHANGE_COPY || d->change == CHANGE_REFUSE || d->change == CHANGE_WARN) && !d->value)
		fail_msg("%s: \"%s\" has no value", what, d->path);
}

static void test_reply_tables(void **state)
{
	(void)state;
	for (int shape = 0; shape < SHAPE_COUNT; shape++) {
		const struct difference *d = versions_of_replies[shape];
		char what[40];

		snprintf(what, sizeof(what), "shape %d", shape);
		assert_non_null(d);
		for (int above = VERSIONS_FOREVER; d->path; above = d->before, d++) {
			check_row(d, what);
			assert_true(is_reply_change(d->change));
			if (d->before > above)
				fail_msg("%s: \"%s\" stands below an older row", what, d->path);
			if (d->change == CHANGE_NEST && d->before < versions_of_replies[d->nested][0].before)
				fail_msg("%s: \"%s\" is not reached by the newest row of what is in it", what, d->path);
		}
	}
}

static void test_body_tables(void **state)
{
	(void)state;
	for (int body = 0; body < BODY_COUNT; body++) {
		char what[40];

		snprintf(what, sizeof(what), "body %d", body);
		assert_non_null(versions_of_bodies[body]);
		for (const struct difference *d = versions_of_bodies[body]; d->path; d++) {
			check_row(d, what);
			assert_false(is_reply_change(d->change));
		}
	}
}

static void test_features(void **state)
{
	(void)state;
	for (int f = 0; f < FEATURE_COUNT; f++) {
		assert_true(versions_has(f, API_VERSION_MAX));
		assert_false(versions_has(f, API_VERSION_MIN));
	}
}

/* ---- replies ---- */

static void test_members(void **state)
{
	(void)state;
	check_shape(SHAPE_IMAGE_SUMMARY, 51, "{\"Size\":5,\"RepoTags\":[],\"Containers\":2}",
		    "{\"Size\":5,\"RepoTags\":[],\"Containers\":2}");
	check_shape(SHAPE_IMAGE_SUMMARY, 50, "{\"Size\":5,\"RepoTags\":[],\"Containers\":2}",
		    "{\"Size\":5,\"RepoTags\":[],\"Containers\":-1}");
	check_shape(SHAPE_IMAGE_SUMMARY, 43, "[{\"Size\":5,\"RepoTags\":[]}]",
		    "[{\"Size\":5,\"RepoTags\":[],\"Containers\":-1,\"VirtualSize\":5}]");
	check_shape(SHAPE_IMAGE_SUMMARY, 42, "[{\"Size\":5,\"RepoTags\":[]}]",
		    "[{\"Size\":5,\"RepoTags\":[\"<none>:<none>\"],\"RepoDigests\":[\"<none>@<none>\"],\"Containers\":-1,\"VirtualSize\":5}]");
	check_shape(SHAPE_VOLUME, 30, "{\"Name\":\"a\",\"CreatedAt\":\"x\",\"Options\":null}",
		    "{\"Name\":\"a\",\"Options\":null}");
	check_shape(SHAPE_VOLUME, 24, "{\"Name\":\"a\",\"CreatedAt\":\"x\",\"Options\":null}", "{\"Name\":\"a\"}");
}

static void test_deep_and_nested(void **state)
{
	static const char newest[] = "{\"NetworkSettings\":{\"Networks\":{\"a\":{\"GwPriority\":0,\"DNSNames\":null},"
				     "\"b\":{\"GwPriority\":1,\"DNSNames\":[]}}}}";

	(void)state;
	check_shape(SHAPE_CONTAINER_SUMMARY, 48, newest, newest);
	check_shape(SHAPE_CONTAINER_SUMMARY, 47, newest,
		    "{\"NetworkSettings\":{\"Networks\":{\"a\":{\"DNSNames\":null},\"b\":{\"DNSNames\":[]}}}}");
	check_shape(SHAPE_CONTAINER_SUMMARY, 43, newest, "{\"NetworkSettings\":{\"Networks\":{\"a\":{},\"b\":{}}}}");
	check_shape(SHAPE_USAGE, 43, "{\"ImageUsage\":{\"TotalSize\":1,\"Items\":[{\"Size\":1,\"RepoTags\":[\"a\"]}]}}",
		    "{\"Images\":[{\"Size\":1,\"RepoTags\":[\"a\"],\"VirtualSize\":1}],\"LayersSize\":1,\"Containers\":null,"
		    "\"Volumes\":null,\"BuildCache\":null}");
	check_shape(SHAPE_USAGE, 52, "{\"VolumeUsage\":{\"Items\":[]}}", "{\"VolumeUsage\":{\"Items\":[]},\"Volumes\":[]}");
}

static void test_what_is_missing(void **state)
{
	(void)state;
	for (int shape = 0; shape < SHAPE_COUNT; shape++) {
		json_t *o = json_object(),
		       *odd = parse("{\"Config\":null,\"NetworkSettings\":[],\"Images\":5,\"State\":\"x\"}");

		versions_shape(shape, o, API_VERSION_MIN);
		versions_shape(shape, odd, API_VERSION_MIN);
		json_decref(o);
		json_decref(odd);
	}
}

/* What a view shares with the store stays as it is. */
static void test_shared_parts(void **state)
{
	json_t *health = parse("{\"StartInterval\":5,\"Retries\":1}"),
	       *o = json_pack("{s:{s:O}}", "Config", "Healthcheck", health);

	(void)state;
	versions_shape(SHAPE_CONTAINER, o, V(43));
	assert_null(json_object_get(json_object_get(json_object_get(o, "Config"), "Healthcheck"), "StartInterval"));
	assert_int_equal(json_integer_value(json_object_get(health, "StartInterval")), 5);
	json_decref(o);
	json_decref(health);
}

static void test_functions(void **state)
{
	(void)state;
	check_shape(SHAPE_EVENT, 51,
		    "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"1\",\"Attributes\":{\"image\":\"b\"}}}",
		    "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"1\",\"Attributes\":{\"image\":\"b\"}},"
		    "\"status\":\"die\",\"id\":\"1\",\"from\":\"b\"}");
	check_shape(SHAPE_EVENT, 51, "{\"Type\":\"volume\",\"Action\":\"mount\"}", "{\"Type\":\"volume\",\"Action\":\"mount\"}");
	check_shape(SHAPE_INFO, 24, "{\"SecurityOptions\":[\"name=seccomp,profile=builtin\",\"name=rootless\"]}",
		    "{\"SecurityOptions\":[\"seccomp\",\"rootless\"],\"KernelMemory\":false,\"BridgeNfIptables\":false,\"BridgeNfIp6tables\":false}");
	check_shape(SHAPE_CONTAINER_SUMMARY, 24, "{\"State\":\"removing\",\"Status\":\"Removal In Progress\"}",
		    "{\"State\":\"exited\",\"Status\":\"Removal In Progress\"}");
}

static void test_aliases(void **state)
{
	json_t *o = parse("{\"Id\":\"0123456789abcdef\",\"Config\":{\"Hostname\":\"h\"},\"NetworkSettings\":{\"Networks\":{"
			  "\"bridge\":{\"Aliases\":null},\"own\":{\"Aliases\":[\"web\",\"h\"]}}}}");
	json_t *networks;

	(void)state;
	versions_shape(SHAPE_CONTAINER, o, V(44));
	networks = json_object_get(json_object_get(o, "NetworkSettings"), "Networks");
	assert_true(json_is_null(json_object_get(json_object_get(networks, "bridge"), "Aliases")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(json_object_get(networks, "own"), "Aliases"), 2)),
			    "0123456789ab");
	assert_int_equal(json_array_size(json_object_get(json_object_get(networks, "own"), "Aliases")), 3);
	json_decref(o);
}

/* ---- requests ---- */

/* `wanted` is the body after it, or the refusal. */
static void check_body(enum body which, int minor, const char *said, const char *wanted, const char *warning)
{
	json_t *o = parse(said), *warnings = json_array();
	struct error err = { 0 };

	if (versions_request(which, o, V(minor), warnings, &err) < 0) {
		assert_int_equal(err.cls, ERROR_INVALID);
		assert_string_equal(err.message, wanted);
	} else {
		json_t *w = parse(wanted);

		if (!json_equal(o, w))
			fail_msg("1.%d: %s is not %s", minor, json_dumps(o, 0), wanted);
		json_decref(w);
		assert_int_equal(json_array_size(warnings), warning ? 1 : 0);
		if (warning)
			assert_string_equal(json_string_value(json_array_get(warnings, 0)), warning);
	}
	json_decref(warnings);
	json_decref(o);
}

static void test_ignored(void **state)
{
	(void)state;
	check_body(BODY_CONTAINER_CREATE, 41, "{\"HostConfig\":{\"ConsoleSize\":[1,2],\"KernelMemory\":5}}",
		   "{\"HostConfig\":{\"KernelMemory\":5}}", NULL);
	check_body(BODY_CONTAINER_CREATE, 42, "{\"HostConfig\":{\"ConsoleSize\":[1,2],\"KernelMemory\":5}}",
		   "{\"HostConfig\":{\"ConsoleSize\":[1,2]}}", NULL);
	check_body(BODY_CONTAINER_CREATE, 39, "{\"HostConfig\":{}}", "{\"HostConfig\":{\"IpcMode\":\"shareable\"}}", NULL);
	check_body(BODY_CONTAINER_CREATE, 39, "{\"HostConfig\":{\"IpcMode\":\"host\"}}",
		   "{\"HostConfig\":{\"IpcMode\":\"host\"}}", NULL);
	check_body(BODY_CONTAINER_CREATE, 41,
		   "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"VolumeOptions\":{},\"BindOptions\":{}}]}}",
		   "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"VolumeOptions\":{}}]}}", NULL);
	check_body(BODY_NETWORK_CONNECT, 53, "{\"EndpointConfig\":{\"MacAddress\":\"x\"}}", "{\"EndpointConfig\":{}}", NULL);
}

static void test_refused(void **state)
{
	(void)state;
	check_body(BODY_CONTAINER_CREATE, 43, "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"a\":{},\"b\":{}}}}",
		   "Container cannot be created with multiple network endpoints: a, b", NULL);
	check_body(BODY_CONTAINER_CREATE, 44, "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"a\":{},\"b\":{}}}}",
		   "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"a\":{},\"b\":{}}}}", NULL);
	check_body(BODY_CONTAINER_CREATE, 44,
		   "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"VolumeOptions\":{\"Subpath\":\"a\"}}]}}",
		   "VolumeOptions.Subpath needs API v1.45 or newer", NULL);
	check_body(BODY_CONTAINER_CREATE, 47, "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"image\"}]}}",
		   "Mount type \"Image\" needs API v1.48 or newer", NULL);
	check_body(BODY_CONTAINER_CREATE, 52, "{\"MacAddress\":\"02:00:00:00:00:01\"}",
		   "container-wide MAC address no longer supported; use endpoint-specific MAC address instead", NULL);
}

static void test_warned(void **state)
{
	(void)state;
	check_body(BODY_CONTAINER_CREATE, 51, "{\"MacAddress\":\"02:00:00:00:00:01\"}", "{\"MacAddress\":\"02:00:00:00:00:01\"}",
		   "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.");
	check_body(BODY_CONTAINER_CREATE, 43, "{\"MacAddress\":\"\"}", "{\"MacAddress\":\"\"}", NULL);
	check_body(BODY_CONTAINER_CREATE, 52, "{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[],\"81/tcp\":[{}]}}}",
		   "{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[],\"81/tcp\":[{}]}}}",
		   "Following container port(s) have an empty list of port-bindings: 80/tcp. Such bindings will be discarded in a future version.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reply_tables),    cmocka_unit_test(test_body_tables),
		cmocka_unit_test(test_features),        cmocka_unit_test(test_members),
		cmocka_unit_test(test_deep_and_nested), cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_shared_parts),    cmocka_unit_test(test_functions),
		cmocka_unit_test(test_aliases),         cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_refused),         cmocka_unit_test(test_warned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
