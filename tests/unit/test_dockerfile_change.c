/* Instructions onto an image's config, and the scopes of build arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/args.h"
#include "dockerfile/change.h"

static void test_changes(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{ "CMD echo  $A", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo  $A\"]}" },
		{ "CMD [\"a\",\"b\"]", "{\"Cmd\":[\"a\",\"b\"]}" },
		{ "ENTRYPOINT [\"a\"]", "{\"Entrypoint\":[\"a\"]}" },
		{ "CMD b\nENTRYPOINT [\"a\"]", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"b\"],\"Entrypoint\":[\"a\"]}" },
		{ "ENTRYPOINT []", "{\"Entrypoint\":null}" },
		{ "ENV A=1 B=\"x y\"\nENV C=$A-$B", "{\"Env\":[\"A=1\",\"B=x y\",\"C=1-x y\"]}" },
		{ "ENV A=1\nENV A=2", "{\"Env\":[\"A=2\"]}" },
		{ "ENV A=1 B=$A", "{\"Env\":[\"A=1\",\"B=\"]}" }, /* what is set is there in the next instruction */
		{ "LABEL a=b \"c d\"='e f'", "{\"Labels\":{\"a\":\"b\",\"c d\":\"e f\"}}" },
		{ "EXPOSE 80 53/UDP 8000-8002",
		  "{\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{},\"8000/tcp\":{},\"8001/tcp\":{},\"8002/tcp\":{}}}" },
		{ "ENV P=\"80 81\"\nEXPOSE $P", "{\"Env\":[\"P=80 81\"],\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{}}}" },
		{ "VOLUME /a /b", "{\"Volumes\":{\"/a\":{},\"/b\":{}}}" },
		{ "VOLUME [\"/a b\"]", "{\"Volumes\":{\"/a b\":{}}}" },
		{ "USER u:g", "{\"User\":\"u:g\"}" },
		{ "WORKDIR /a\nWORKDIR b/../c", "{\"WorkingDir\":\"/a/c\"}" },
		{ "WORKDIR x", "{\"WorkingDir\":\"/x\"}" },
		{ "STOPSIGNAL sigterm", "{\"StopSignal\":\"sigterm\"}" },
		{ "STOPSIGNAL RTMIN+3", "{\"StopSignal\":\"RTMIN+3\"}" },
		{ "ONBUILD RUN a  b", "{\"OnBuild\":[\"RUN a  b\"]}" },
		{ "HEALTHCHECK NONE", "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}" },
		{ "HEALTHCHECK --interval=1m --retries=2 CMD [\"x\"]",
		  "{\"Healthcheck\":{\"Interval\":60000000000,\"Retries\":2,\"Test\":[\"CMD\",\"x\"]}}" },
		{ "ENV A=\xff", "{\"Env\":[\"A=\xef\xbf\xbd\"]}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *config = json_object();
		struct error err = { 0 };
		char *text;

		if (change_by_text(config, cases[i].text, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.message);
		text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
		assert_string_equal(text, cases[i].wanted);
		free(text);
		json_decref(config);
	}
}

static void test_refusals(void **state)
{
	static const char *const cases[][2] = {
		{ "FROM x", "FROM is not a valid change command" },
		{ "run x", "run is not a valid change command" },
		{ "NONSENSE", "NONSENSE is not a valid change command" },
		{ "EXPOSE x", "invalid containerPort: x" },
		{ "EXPOSE 80/x", "invalid proto: x" },
		{ "EXPOSE 70000", "invalid containerPort: 70000" },
		{ "EXPOSE /tcp", "no port specified: /tcp<empty>" },
		{ "STOPSIGNAL x", "invalid signal: x" },
		{ "STOPSIGNAL 0", "invalid signal: 0" },
		{ "ENV ${", "ENV must have two arguments" },
		{ "USER ${", "failed to process \"${\": syntax error: missing '}'" },
		{ "WORKDIR $NONE", "cannot normalize nothing" },
		{ "", "file with no instructions" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *config = json_object();
		struct error err = { 0 };

		assert_true(change_by_text(config, cases[i][0], &err) < 0);
		assert_string_equal(err.message, cases[i][1]);
		assert_int_equal(err.cls, ERROR_INVALID);
		json_decref(config);
	}
}

/* What `docker history` shows of each. */
static void test_comments(void **state)
{
	static const char *const cases[][2] = {
		{ "CMD a b", "CMD [\"/bin/sh\" \"-c\" \"a b\"]" },
		{ "ENTRYPOINT [\"a\", \"b\\\"c\"]", "ENTRYPOINT [\"a\" \"b\\\"c\"]" },
		{ "ENV a=b c=d", "ENV a=b c=d" },
		{ "ENV a b c", "ENV a=b c" },
		{ "LABEL a=b", "LABEL a=b" },
		{ "EXPOSE 80 90/udp", "EXPOSE 80 90/udp" },
		{ "VOLUME /a /b", "VOLUME [/a /b]" },
		{ "ARG a b=c", "ARG a b=c" },
		{ "SHELL [\"a\", \"b\"]", "SHELL [a b]" },
		{ "MAINTAINER me <me@x>", "MAINTAINER me <me@x>" },
		{ "WORKDIR x", "WORKDIR /x" },
		{ "ONBUILD  RUN x", "ONBUILD RUN x" },
		{ "HEALTHCHECK --timeout=3s CMD a b",
		  "HEALTHCHECK &{Test:[CMD-SHELL a b] Interval:0s Timeout:3s StartPeriod:0s StartInterval:0s Retries:0}" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct instruction_list list;
		struct instruction expanded;
		struct error err = { 0 };
		json_t *config = json_object();
		bool is_cmd_set = false;
		char *comment = NULL;

		assert_int_equal(instructions_parse(&a, cases[i][0], strlen(cases[i][0]), &list, &err), 0);
		assert_int_equal(instruction_check(&a, list.items[0], &err), 0);
		assert_int_equal(instruction_expand(&a, list.items[0], '\\', NULL, &expanded, &err), 0);
		assert_int_equal(change_config(&a, &expanded, config, &is_cmd_set, &comment, &err), 0);
		assert_string_equal(comment, cases[i][1]);
		json_decref(config);
	}
	arena_done(&a);
}

static void test_argument_scopes(void **state)
{
	json_t *given = json_pack("{s:s, s:n, s:s, s:s}", "G", "given", "N", "HTTP_PROXY", "p", "UNUSED", "u");
	json_t *env = json_pack("[s]", "E=env");
	struct build_args b;
	struct words list = { 0 };
	struct arena a = { 0 };

	(void)state;
	build_args_init(&b, given, "linux/amd64");
	build_args_declare(&b, "M", "meta", true);
	build_args_declare(&b, "G", "default", true);
	assert_string_equal(build_args_get_meta(&b, "M"), "meta");
	assert_string_equal(build_args_get_meta(&b, "G"), "given");
	assert_string_equal(build_args_get_meta(&b, "TARGETARCH"), "amd64");
	assert_null(build_args_get_meta(&b, "OTHER"));
	build_args_begin_stage(&b);
	assert_null(build_args_get(&b, "M"));
	assert_null(build_args_get(&b, "TARGETARCH"));
	build_args_declare(&b, "M", NULL, false);
	build_args_declare(&b, "N", "default", false);
	build_args_declare(&b, "TARGETPLATFORM", NULL, false);
	build_args_declare(&b, "E", "arg", false);
	assert_string_equal(build_args_get(&b, "M"), "meta");
	assert_string_equal(build_args_get(&b, "N"), "default");
	assert_string_equal(build_args_get(&b, "TARGETPLATFORM"), "linux/amd64");
	assert_string_equal(build_args_get(&b, "HTTP_PROXY"), "p");
	assert_true(build_args_is_transparent(&b, "HTTP_PROXY"));
	build_args_list(&b, &a, env, &list);
	assert_string_equal(words_join(&a, &list, " "), "HTTP_PROXY=p M=meta N=default TARGETPLATFORM=linux/amd64");
	assert_string_equal(build_args_unused(&b, &a), "[Warning] One or more build-args [UNUSED] were not consumed\n");
	build_args_begin_stage(&b);
	assert_null(build_args_get(&b, "M"));
	build_args_done(&b);
	arena_done(&a);
	json_decref(given);
	json_decref(env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_argument_scopes),
	};

	return cmocka_run_group_tests_name("dockerfile_change", tests, NULL, NULL);
}
