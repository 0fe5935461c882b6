/* What a resolv.conf says, and when the host's is looked at again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "network/resolvconf.h"

static void assert_words(json_t *words, const char *want)
{
	char got[200] = "";
	json_t *v;
	size_t i;

	json_array_foreach(words, i, v)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", json_string_value(v));
	assert_string_equal(got, want);
}

static void test_parse(void **state)
{
	struct resolvconf r;

	(void)state;
	resolvconf_parse("# a\n; b\nnameserver 10.0.0.1\n \tnameserver\tfd00::1\r\nnameserver\nnameserver 127.0.0.1#5353 x\n"
			 "domain one two\nsearch a b\nsearch c  d\noptions ndots:1\noptions timeout:3 edns0\nsortlist 1.2.3.4\nlookup",
			 &r);
	assert_words(r.servers, "10.0.0.1 fd00::1 127.0.0.1#5353");
	assert_words(r.search, "c d");
	assert_words(r.options, "timeout:3 edns0");
	assert_string_equal(r.other.data, "sortlist 1.2.3.4\nlookup\n");
	resolvconf_done(&r);
	resolvconf_parse("search a b\ndomain one two", &r);
	assert_words(r.search, "one");
	assert_words(r.servers, "");
	resolvconf_done(&r);
}

struct fixture {
	char path[40];
	struct resolvconf_file *file;
};

static void put(const struct fixture *f, const char *text)
{
	FILE *out = fopen(f->path, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void test_file(void **state)
{
	struct fixture *f = *state;

	assert_words(resolvconf_file_get(f->file, 5)->servers, ""); /* there is none */
	put(f, "nameserver 1.1.1.1\n");
	assert_words(resolvconf_file_get(f->file, 1004)->servers, ""); /* not looked at yet */
	assert_words(resolvconf_file_get(f->file, 1005)->servers, "1.1.1.1");
	put(f, "nameserver 1.1.1.1\nnameserver 2.2.2.2\n");
	assert_words(resolvconf_file_get(f->file, 2004)->servers, "1.1.1.1");
	assert_words(resolvconf_file_get(f->file, 2005)->servers, "1.1.1.1 2.2.2.2");
	unlink(f->path);
	assert_words(resolvconf_file_get(f->file, 9000)->servers, "");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	*state = f;
	if (!f)
		return -1;
	strcpy(f->path, "/tmp/resolv.XXXXXX");
	fd = mkstemp(f->path);
	if (fd < 0)
		return -1;
	close(fd);
	unlink(f->path);
	f->file = resolvconf_file_new(f->path);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	resolvconf_file_free(f->file);
	free(f);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse),
					    cmocka_unit_test_setup_teardown(test_file, set_up, tear_down) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
