/* Dockerfiles: what is read out of them, and what is refused in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/dockerfile.h"
#include "dockerfile/expand.h"

static struct dockerfile *parsed(const char *text)
{
	struct error err = { 0 };
	struct dockerfile *d = NULL;

	if (dockerfile_parse(text, strlen(text), "Dockerfile", &d, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return d;
}

/* "KIND[args|…]flags" of each instruction, one a line. */
static char *shown(struct dockerfile *d)
{
	struct arena *a = &d->arena;
	char *text = arena_dup(a, "");

	for (size_t s = 0; s < d->nstages; s++) {
		text = arena_printf(a, "%sFROM %s%s%s\n", text, d->stages[s].from->base,
				    d->stages[s].from->stage_name ? " as " : "",
				    d->stages[s].from->stage_name ? d->stages[s].from->stage_name : "");
		for (size_t k = 0; k < d->stages[s].count; k++) {
			const struct instruction *i = d->stages[s].instructions[k];

			text = arena_printf(a, "%s%u %s%s %s", text, i->line, i->name, i->is_json ? " json" : "",
					    words_join(a, &i->args, "|"));
			if (i->flags.count)
				text = arena_printf(a, "%s {%s}", text, words_join(a, &i->flags, "|"));
			for (size_t h = 0; h < i->nheredocs; h++)
				text = arena_printf(a, "%s <%s%s%s:%s>", text, i->heredocs[h].name,
						    i->heredocs[h].expands ? "" : "'",
						    i->heredocs[h].strips_tabs ? "-" : "", i->heredocs[h].content);
			text = arena_printf(a, "%s\n", text);
		}
	}
	return text;
}

static void test_texts(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{ "FROM a", "FROM a\n" },
		{ "\n  \n# c\nfrom a\n", "FROM a\n" },
		{ "FROM a AS B.c-1_\nRUN x", "FROM a as b.c-1_\n2 RUN x\n" },
		{ "FROM a\nRUN x \\\n  y\\\n\n# c\nz\nRUN q", "FROM a\n2 RUN x   yz\n7 RUN q\n" },
		{ "FROM a\nRUN x \\\\\nRUN y", "FROM a\n2 RUN x \\\\\n3 RUN y\n" },
		{ "FROM a\nRUN x \\  \ny", "FROM a\n2 RUN x y\n" },
		{ "FROM a\nRUN x \\", "FROM a\n2 RUN x\n" },
		{ "# escape=`\nFROM a\nRUN x `\ny\\\nRUN z", "FROM a\n3 RUN x y\\\n5 RUN z\n" },
		{ "# Escape = `\n# syntax=docker/dockerfile:1\nFROM a\nRUN x `\ny", "FROM a\n4 RUN x y\n" },
		{ "# a comment\n# escape=`\nFROM a\nRUN x \\\ny", "FROM a\n4 RUN x y\n" },
		{ "\xef\xbb\xbf"
		  "FROM a",
		  "FROM a\n" },
		{ "FROM a\r\nRUN x \\\r\n y\r\n", "FROM a\n2 RUN x  y\n" },
		{ "FROM a\n\tRUN  x\ty ", "FROM a\n2 RUN x\ty\n" },
		{ "FROM a\nRUN [\"x\", \"y z\"]", "FROM a\n2 RUN json x|y z\n" },
		{ "FROM a\nRUN ['x']", "FROM a\n2 RUN ['x']\n" },
		{ "FROM a\nRUN [ \"x\" ] y", "FROM a\n2 RUN [ \"x\" ] y\n" },
		{ "FROM a\nCMD []", "FROM a\n2 CMD json \n" },
		{ "FROM a\nENV x y z", "FROM a\n2 ENV x|y z|\n" },
		{ "FROM a\nENV x=1 y=\"a b\" z=c\\ d w='q'", "FROM a\n2 ENV x|1|=|y|\"a b\"|=|z|c\\ d|=|w|'q'|=\n" },
		{ "FROM a\nLABEL \"a b\"=c d=", "FROM a\n2 LABEL \"a b\"|c|=|d||=\n" },
		{ "FROM a\nARG x=1 y", "FROM a\n2 ARG x=1|y\n" },
		{ "FROM a\nEXPOSE 90 80/udp", "FROM a\n2 EXPOSE 80/udp|90\n" },
		{ "FROM a\nCOPY --from=b --chown=1:2 x y /z/", "FROM a\n2 COPY x|y|/z/ {--from=b|--chown=1:2}\n" },
		{ "FROM a\nCOPY --chown='a b' -- --x y", "FROM a\n2 COPY --x|y {--chown=a b}\n" },
		{ "FROM a\nCOPY [\"a b\", \"c\"]", "FROM a\n2 COPY json a b|c\n" },
		{ "FROM a\nVOLUME /a /b", "FROM a\n2 VOLUME /a|/b\n" },
		{ "FROM a\nVOLUME [\" /a \"]", "FROM a\n2 VOLUME json /a\n" },
		{ "FROM a\nHEALTHCHECK --retries=3 CMD x y", "FROM a\n2 HEALTHCHECK CMD|x y {--retries=3}\n" },
		{ "FROM a\nHEALTHCHECK cmd [\"x\"]", "FROM a\n2 HEALTHCHECK json CMD|x\n" },
		{ "FROM a\nONBUILD COPY a b", "FROM a\n2 ONBUILD COPY|a|b\n" },
		{ "FROM a\nRUN <<EOF\nx\n y\nEOF\nRUN z", "FROM a\n2 RUN <<EOF <EOF:x\n y\n>\n6 RUN z\n" },
		{ "FROM a\nRUN <<-'E F'\n\tx\n\tE F\n", "FROM a\n2 RUN <<-'E F' <E F'-:\tx\n>\n" },
		{ "FROM a\nCOPY <<A <<\"B\" /d/\n1\nA\n2\nB\n", "FROM a\n2 COPY <<A|<<\"B\"|/d/ <A:1\n> <B':2\n>\n" },
		{ "FROM a\nRUN python3 <<EOF && 3<<X cat\np\nEOF\nq\nX\n",
		  "FROM a\n2 RUN python3 <<EOF && 3<<X cat <EOF:p\n> <X:q\n>\n" },
		{ "FROM a\nRUN cat <<<x", "FROM a\n2 RUN cat <<<x\n" },
		{ "FROM a\nRUN echo $((1<<3))", "FROM a\n2 RUN echo $((1<<3))\n" },
		{ "FROM a\nENV x=<<EOF", "FROM a\n2 ENV x|<<EOF|=\n" },
		{ "FROM a\nUSER  a b ", "FROM a\n2 USER a b\n" },
		{ "FROM a\nRUN --mount=type=cache,target=/x --mount=type=tmpfs,target=/y echo",
		  "FROM a\n2 RUN echo {--mount=type=cache,target=/x|--mount=type=tmpfs,target=/y}\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dockerfile *d;

		d = parsed(cases[i].text);
		if (strcmp(shown(d), cases[i].wanted) != 0)
			fail_msg("%s\nis:\n%swanted:\n%s", cases[i].text, shown(d), cases[i].wanted);
		dockerfile_free(d);
	}
}

#define LINE_2 "dockerfile parse error on line 2: "
#define PARSE "failed to parse Dockerfile: "
#define TWO "requires at least two arguments, but only one was provided. Destination could not be determined"

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{ "", "the Dockerfile (Dockerfile) cannot be empty" },
		{ "\n# c\n", PARSE "file with no instructions" },
		{ "RUN x", "no build stage in current context" },
		{ "FROM a\nFOO x", LINE_2 "unknown instruction: FOO (did you mean FROM?)" },
		{ "FROM a\nNONSENSE x", LINE_2 "unknown instruction: NONSENSE" },
		{ "FROM a\nRUNN x", LINE_2 "unknown instruction: RUNN (did you mean RUN?)" },
		{ "FROM a\nenvv x", LINE_2 "unknown instruction: envv (did you mean env?)" },
		{ "FROM a\nCOPY x", LINE_2 "COPY " TWO },
		{ "FROM a\nADD", LINE_2 "ADD " TWO },
		{ "FROM a\nENV", LINE_2 "ENV requires at least one argument" },
		{ "FROM a\nENV x", PARSE "ENV must have two arguments" },
		{ "FROM a\nLABEL x", PARSE "LABEL must have two arguments" },
		{ "FROM a\nENV x=1 y", PARSE "Syntax error - can't find = in \"y\". Must be of the form: name=value" },
		{ "FROM a\nENV =1", LINE_2 "ENV names can not be blank" },
		{ "FROM a\nARG =1", LINE_2 "ARG names can not be blank" },
		{ "FROM a\nARG", LINE_2 "ARG requires at least one argument" },
		{ "FROM", "dockerfile parse error on line 1: FROM requires either one or three arguments" },
		{ "FROM a b", "dockerfile parse error on line 1: FROM requires either one or three arguments" },
		{ "FROM a AS 1b",
		  "dockerfile parse error on line 1: invalid name for build stage: \"1b\", name can't start with a number or contain symbols" },
		{ "FROM --x=y a", "dockerfile parse error on line 1: unknown flag: --x" },
		{ "FROM --platfrom=y a", "dockerfile parse error on line 1: unknown flag: --platfrom (did you mean platform?)" },
		{ "FROM a\nCOPY --from x y", LINE_2 "missing a value on flag: --from" },
		{ "FROM a\nCOPY --link=maybe x y", LINE_2 "expecting boolean value for flag --link, not: maybe" },
		{ "FROM a\nCOPY --from=x --from=y x y", LINE_2 "duplicate flag specified: --from" },
		{ "FROM a\nCOPY x <<EOF\nEOF\n", LINE_2 "COPY cannot accept a heredoc as a destination" },
		{ "FROM a\nRUN <<EOF\nx", PARSE "unterminated heredoc" },
		{ "FROM a\nWORKDIR", LINE_2 "WORKDIR requires exactly one argument" },
		{ "FROM a\nUSER", LINE_2 "USER requires exactly one argument" },
		{ "FROM a\nSTOPSIGNAL", LINE_2 "STOPSIGNAL requires exactly one argument" },
		{ "FROM a\nMAINTAINER", LINE_2 "MAINTAINER requires exactly one argument" },
		{ "FROM a\nEXPOSE", LINE_2 "EXPOSE requires at least one argument" },
		{ "FROM a\nVOLUME", LINE_2 "VOLUME requires at least one argument" },
		{ "FROM a\nVOLUME [\"\"]", LINE_2 "VOLUME specified can not be an empty string" },
		{ "FROM a\nSHELL sh -c", LINE_2 "SHELL requires the arguments to be in JSON form" },
		{ "FROM a\nSHELL []", LINE_2 "SHELL requires at least one argument" },
		{ "FROM a\nCMD [1]", PARSE "when using JSON array syntax, arrays must be comprised of strings only" },
		{ "FROM a\nONBUILD", LINE_2 "ONBUILD requires at least one argument" },
		{ "FROM a\nONBUILD ONBUILD RUN x", LINE_2 "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed" },
		{ "FROM a\nONBUILD FROM x", LINE_2 "FROM isn't allowed as an ONBUILD trigger" },
		{ "FROM a\nONBUILD maintainer x", LINE_2 "MAINTAINER isn't allowed as an ONBUILD trigger" },
		{ "FROM a\nHEALTHCHECK", LINE_2 "HEALTHCHECK requires at least one argument" },
		{ "FROM a\nHEALTHCHECK NONE x", LINE_2 "HEALTHCHECK NONE takes no arguments" },
		{ "FROM a\nHEALTHCHECK CMD", LINE_2 "Missing command after HEALTHCHECK CMD" },
		{ "FROM a\nHEALTHCHECK foo", LINE_2 "Unknown type \"FOO\" in HEALTHCHECK (try CMD)" },
		{ "FROM a\nHEALTHCHECK --interval=3 CMD x", LINE_2 "time: missing unit in duration \"3\"" },
		{ "FROM a\nHEALTHCHECK --interval=x CMD x", LINE_2 "time: invalid duration \"x\"" },
		{ "FROM a\nHEALTHCHECK --timeout=1us CMD x", LINE_2 "Interval \"timeout\" cannot be less than 1ms" },
		{ "FROM a\nHEALTHCHECK --retries=x CMD x", LINE_2 "strconv.ParseInt: parsing \"x\": invalid syntax" },
		{ "FROM a\nHEALTHCHECK --retries=-1 CMD x", LINE_2 "--retries cannot be negative (-1)" },
		{ "FROM a\nRUN --network=x y", LINE_2 "invalid network mode \"x\"" },
		{ "FROM a\nRUN --security=x y", LINE_2 "security \"x\" is not valid" },
		{ "FROM a\nRUN --mount=from=$x y", LINE_2 "'from' doesn't support variable expansion, define alias stage instead" },
		{ "FROM a\nENV --x a=b", LINE_2 "unknown flag: --x" },
		{ "# escape=x\nFROM a", PARSE "invalid escape token 'x' does not match ` or \\" },
		{ "# escape=`\n# escape=`\nFROM a", PARSE "only one escape parser directive can be used" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };
		struct dockerfile *d;

		if (dockerfile_parse(cases[i].text, strlen(cases[i].text), "Dockerfile", &d, &err) == 0)
			fail_msg("taken: %s", cases[i].text);
		assert_string_equal(err.message, cases[i].wanted);
		assert_int_equal(err.cls, ERROR_INVALID);
	}
}

static void test_stages(void **state)
{
	struct dockerfile *d = parsed("ARG v=1\nFROM a AS one\nFROM one\nRUN x\nFROM b AS three\nRUN y\nRUN z\n");

	(void)state;
	assert_int_equal(d->nargs, 1);
	assert_int_equal(d->nstages, 3);
	assert_int_equal(d->stages[2].count, 2);
	assert_int_equal(dockerfile_find_stage(d, "THREE"), 2);
	assert_int_equal(dockerfile_find_stage(d, "four"), -1);
	assert_int_equal(dockerfile_stage_before(d, 1, "one", false), 0);
	assert_int_equal(dockerfile_stage_before(d, 0, "one", false), -1);
	assert_int_equal(dockerfile_stage_before(d, 2, "1", true), 1);
	assert_int_equal(dockerfile_stage_before(d, 2, "1", false), -1);
	assert_int_equal(dockerfile_stage_before(d, 2, "2", true), -1);
	dockerfile_free(d);
}

static void test_meanings(void **state)
{
	struct dockerfile *d = parsed("FROM --platform=linux/arm64 a\nCOPY --parents --exclude=*.o --exclude=b --chmod=644 x y\n"
				      "ONBUILD RUN <<E\nq\nE\nADD --checksum=sha256:1 --unpack=false u v\n");
	const struct stage *s = d->stages;

	(void)state;
	assert_string_equal(s->from->platform, "linux/arm64");
	assert_true(s->instructions[0]->has_parents);
	assert_int_equal(s->instructions[0]->excludes.count, 2);
	assert_string_equal(s->instructions[0]->chmod, "644");
	assert_string_equal(s->instructions[0]->original, "COPY --parents --exclude=*.o --exclude=b --chmod=644 x y");
	assert_string_equal(s->instructions[1]->trigger, "RUN <<E\nq\nE");
	assert_string_equal(s->instructions[2]->checksum, "sha256:1");
	assert_true(s->instructions[2]->is_unpack_given && !s->instructions[2]->unpacks);
	dockerfile_free(d);
}

static void test_warnings(void **state)
{
	struct dockerfile *d = parsed("FROM a\nRUN x \\\n\n y\n");

	(void)state;
	assert_int_equal(d->warnings.count, 2);
	assert_string_equal(d->warnings.items[0], "[WARNING]: Empty continuation line found in: RUN x  y\n");
	dockerfile_free(d);
}

static void test_caps(void **state)
{
	char *text = malloc(70000);
	struct error err = { 0 };
	struct dockerfile *d;

	(void)state;
	memset(text, 'x', 70000);
	assert_true(dockerfile_parse(text, 70000, "D", &d, &err) < 0);
	assert_string_equal(err.message, "failed to parse D: dockerfile line greater than max allowed size of 65535");
	assert_true(dockerfile_parse(text, (size_t)DOCKERFILE_MAX_BYTES + 1, "D", &d, &err) < 0);
	assert_true(dockerfile_parse("FROM a\n\0", 8, "D", &d, &err) < 0);
	free(text);
}

static const char *no_variables(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "dir") == 0 ? "/d" : NULL;
}

static void test_mounts(void **state)
{
	static const struct expand_source source = { no_variables, NULL };
	static const char *const bad[][2] = {
		{ "type=x", "unsupported mount type \"x\"" },
		{ "type=bnd", "unsupported mount type \"bnd\" (did you mean bind?)" },
		{ "target", "invalid field 'target' must be a key=value pair" },
		{ "typ=bind", "unexpected key 'typ' in 'typ=bind' (did you mean type?)" },
		{ "type=bind,size=1", "unexpected key 'size' for mount type 'bind'" },
		{ "type=tmpfs,size=x", "invalid value for size: x" },
		{ "type=cache,sharing=all", "unsupported sharing value \"all\"" },
		{ "ro=x", "invalid value for ro: x" },
		{ "type=cache,mode=9", "invalid value 9 for mode" },
		{ "type=tmpfs,uid=1", "uid not allowed for \"tmpfs\" type mounts" },
		{ "type=secret", "invalid secret mount. one of source, target required" },
		{ "type=secret,id=a,source=b", "both source and id can't be set" },
		{ "type=bind,required", "unexpected key 'required' for mount type 'bind'" },
		{ "type=tmpfs,sharing=shared", "invalid cache sharing set for tmpfs mount" },
	};
	struct arena a = { 0 };
	struct run_mount_flag f;

	(void)state;
	assert_int_equal(run_mount_parse(&a, "type=cache,\"target=$dir/a,b\",id=x,sharing=LOCKED,mode=0700,uid=5", '\\',
					 &source, &f, NULL),
			 0);
	assert_int_equal(f.type, RUN_MOUNT_CACHE);
	assert_string_equal(f.target, "/d/a,b");
	assert_string_equal(f.sharing, "locked");
	assert_int_equal(f.mode, 0700);
	assert_int_equal(f.uid, 5);
	assert_false(f.is_readonly);
	assert_int_equal(run_mount_parse(&a, "src=a,dst=b", '\\', &source, &f, NULL), 0);
	assert_true(f.is_readonly);
	assert_int_equal(run_mount_parse(&a, "src=a,dst=b,rw", '\\', &source, &f, NULL), 0);
	assert_false(f.is_readonly);
	assert_int_equal(run_mount_parse(&a, "type=tmpfs,target=b,size=1.5k", '\\', &source, &f, NULL), 0);
	assert_int_equal(f.size_bytes, 1536);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };

		assert_true(run_mount_parse(&a, bad[i][0], '\\', &source, &f, &err) < 0);
		assert_string_equal(err.message, bad[i][1]);
	}
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),    cmocka_unit_test(test_refusals), cmocka_unit_test(test_stages),
		cmocka_unit_test(test_meanings), cmocka_unit_test(test_warnings), cmocka_unit_test(test_caps),
		cmocka_unit_test(test_mounts),
	};

	return cmocka_run_group_tests_name("dockerfile_parse", tests, NULL, NULL);
}
