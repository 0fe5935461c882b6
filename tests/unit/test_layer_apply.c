/* Layers as they come: what an archive says is what a container's view shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/layer-fixture.h"

#define APPLIED(f)                                                 \
	do {                                                       \
		if (apply(f) != 0)                                 \
			fail_msg("applied: %s", (f)->err.message); \
	} while (0)

static void every_kind_with_its_owner_and_time(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .type = '5', .name = "./", .mode = 01777, .uid = 7, .mtime = 5);
	TAR(&f->tar, .type = '5', .name = "dir/", .mode = 0750, .uid = 1000, .gid = 100, .mtime = 1000000000);
	TAR(&f->tar, .name = "dir/file", .mode = 04711, .uid = 3, .gid = 4, .mtime = 1000000001, .content = "hello");
	TAR(&f->tar, .name = "plain", .mtime = 12, .content = "root's");
	TAR(&f->tar, .name = "group", .mode = 0666, .mtime = 13);
	TAR(&f->tar, .name = "closed", .mode = 040, .mtime = 14, .content = "x");
	TAR(&f->tar, .type = '1', .name = "name", .link = "./dir/file");
	TAR(&f->tar, .type = '2', .name = "link", .link = "/no/where", .mtime = 15);
	TAR(&f->tar, .type = '2', .name = "mine", .link = "dir", .uid = 9, .gid = 8, .mtime = 16);
	TAR(&f->tar, .type = '3', .name = "null", .mode = 0666, .major = 1, .minor = 3, .mtime = 17);
	TAR(&f->tar, .type = '4', .name = "disk", .mode = 0660, .gid = 6, .major = 8, .minor = 300, .mtime = 18);
	TAR(&f->tar, .type = '6', .name = "fifo", .mode = 0622, .mtime = 19);
	TAR(&f->tar, .type = '6', .name = "fifo2", .mode = 0200, .uid = 1, .mtime = 20);
	APPLIED(f);
	assert_string_equal(shown(f), "/ d 1777 7:0\n"
				      "/closed - 0040 0:0 14 \"x\"\n"
				      "/dir d 0750 1000:100 1000000000\n"
				      "/dir/file - 4711 3:4 1000000001 \"hello\"\n"
				      "/disk b 0660 0:6 18 8,300\n"
				      "/fifo p 0622 0:0 19\n"
				      "/fifo2 p 0200 1:0 20\n"
				      "/group - 0666 0:0 13 \"\"\n"
				      "/link l 0777 0:0 15 -> /no/where\n"
				      "/mine l 0777 9:8 16 -> dir\n"
				      "/name = /dir/file\n"
				      "/null c 0666 0:0 17 1,3\n"
				      "/plain - 0644 0:0 12 \"root's\"\n");
	assert_int_equal(f->figures.entries, 13);
	assert_int_equal(f->figures.bytes, 12);
	assert_false(f->figures.has_native);
}

static void what_needs_no_record_has_none(void **state)
{
	struct layer_fixture *f = *state;
	struct stat st;

	TAR(&f->tar, .type = '2', .name = "l", .link = "x", .mtime = 5);
	TAR(&f->tar, .type = '6', .name = "p", .mtime = 6);
	TAR(&f->tar, .type = '2', .name = "o", .link = "x", .gid = 1, .mtime = 5);
	APPLIED(f);
	assert_int_equal(fstatat(f->root, ".wh..wh.own.l", &st, 0), -1);
	assert_int_equal(fstatat(f->root, ".wh..wh.own.p", &st, 0), -1);
	assert_int_equal(fstatat(f->root, ".wh..wh.own.o", &st, 0), 0);
}

static void a_device_is_none_on_the_host(void **state)
{
	struct layer_fixture *f = *state;
	struct stat st;

	TAR(&f->tar, .type = '3', .name = "mem", .major = 1, .minor = 1);
	APPLIED(f);
	assert_int_equal(fstatat(f->root, "mem", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void parents_that_nobody_has_told_of(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .name = "a/b/c", .content = "x");
	TAR(&f->tar, .name = "./a/../a//b/./d", .content = "y");
	TAR(&f->tar, .name = "/abs/../abs/e", .content = "z");
	APPLIED(f);
	assert_non_null(strstr(shown(f), "/a/b d 0755 0:0 "));
	assert_non_null(strstr(f->shown, "/a/b/c - 0644 0:0 0 \"x\"\n/a/b/d - 0644 0:0 0 \"y\"\n"));
	assert_non_null(strstr(f->shown, "/abs/e - "));
}

static void times_of_directories_outlive_what_is_put_in_them(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .type = '5', .name = "d", .mtime = 100);
	TAR(&f->tar, .type = '5', .name = "d/e", .mtime = 50);
	APPLIED(f);
	assert_int_equal(next_root(f), 0);
	TAR(&f->tar, .name = "d/e/f", .mtime = 7); /* and of those that the layer only passes by */
	APPLIED(f);
	assert_non_null(strstr(shown(f), "/d d 0755 0:0 100\n/d/e d 0755 0:0 50\n/d/e/f"));
}

static void the_last_of_a_name_counts(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .name = "a", .uid = 5, .content = "first");
	TAR(&f->tar, .name = "a", .content = "second", .mtime = 2);
	TAR(&f->tar, .type = '2', .name = "b", .link = "a", .uid = 4);
	TAR(&f->tar, .name = "b", .content = "no link", .mtime = 3);
	TAR(&f->tar, .name = "d/x/y", .content = "below");
	TAR(&f->tar, .name = "d", .content = "a file now", .mtime = 4);
	TAR(&f->tar, .name = "e", .content = "a file");
	TAR(&f->tar, .type = '5', .name = "e/", .mtime = 5);
	TAR(&f->tar, .name = "e/f", .mtime = 6);
	TAR(&f->tar, .type = '2', .name = "g", .link = "e");
	TAR(&f->tar, .type = '5', .name = "g", .mtime = 7, .mode = 0700, .uid = 3);
	TAR(&f->tar, .type = '5', .name = "g", .mtime = 8);
	APPLIED(f);
	assert_non_null(strstr(shown(f), "/a - 0644 0:0 2 \"second\"\n"
					 "/b - 0644 0:0 3 \"no link\"\n"
					 "/d - 0644 0:0 4 \"a file now\"\n"
					 "/e d 0755 0:0 5\n"
					 "/e/f - 0644 0:0 6 \"\"\n"
					 "/g d 0755 0:0 8\n"));
}

/* ---- upon another layer ---- */

static void below(struct layer_fixture *f)
{
	TAR(&f->tar, .type = '5', .name = "etc", .mtime = 1);
	TAR(&f->tar, .name = "etc/a", .content = "lower a", .mtime = 2);
	TAR(&f->tar, .name = "etc/b", .content = "lower b", .uid = 5, .mtime = 3);
	TAR(&f->tar, .type = '5', .name = "var", .mtime = 4, .uid = 6, .mode = 0700);
	TAR(&f->tar, .type = '5', .name = "var/lib", .mtime = 5);
	TAR(&f->tar, .name = "var/lib/x", .content = "x", .mtime = 6);
	TAR(&f->tar, .type = '2', .name = "run", .link = "/var/lib", .mtime = 7);
	TAR(&f->tar, .type = '2', .name = "owned", .link = "etc", .mtime = 8, .uid = 9);
	APPLIED(f);
}

static void whiteouts_remove_what_was_below(void **state)
{
	struct layer_fixture *f = *state;
	struct stat st;

	below(f);
	assert_int_equal(next_root(f), 0);
	TAR(&f->tar, .name = "etc/.wh.a");
	TAR(&f->tar, .name = ".wh.var");
	TAR(&f->tar, .name = ".wh.owned");
	TAR(&f->tar, .name = ".wh.was-never-there");
	APPLIED(f);
	assert_string_equal(strchr(shown(f), '\n') + 1,
			    "/etc d 0755 0:0 1\n/etc/b - 0644 5:0 3 \"lower b\"\n/run l 0777 0:0 7 -> /var/lib\n");
	assert_int_equal(fstatat(f->root, ".wh..wh.own.owned", &st, 0), -1); /* the record goes, too */
}

static void whiteouts_spare_what_their_own_layer_brings(void **state)
{
	struct layer_fixture *f = *state;

	below(f);
	assert_int_equal(next_root(f), 0);
	TAR(&f->tar, .name = "etc/a", .content = "new a");
	TAR(&f->tar, .name = "etc/.wh.a");
	TAR(&f->tar, .name = "var/lib/y", .content = "new y");
	TAR(&f->tar, .name = "var/.wh..wh..opq");
	TAR(&f->tar, .name = "var/late", .content = "late");
	TAR(&f->tar, .name = ".wh.etc"); /* all but the new a */
	TAR(&f->tar, .name = "run/z", .content = "over a link");
	TAR(&f->tar, .name = ".wh.run");
	APPLIED(f);
	shown(f);
	assert_non_null(strstr(f->shown, "/etc d 0755 0:0"));
	assert_non_null(strstr(f->shown, "/etc/a - 0644 0:0 0 \"new a\"\n"));
	assert_null(strstr(f->shown, "/etc/b"));
	assert_non_null(strstr(f->shown, "/var d 0700 6:0 4\n/var/late - 0644 0:0 0 \"late\"\n/var/lib d 0755 0:0"));
	assert_non_null(strstr(f->shown, "/var/lib/y"));
	assert_null(strstr(f->shown, "/var/lib/x"));
	assert_non_null(strstr(f->shown, "/run/z"));
}

static void an_opaque_root_keeps_nothing(void **state)
{
	struct layer_fixture *f = *state;

	below(f);
	assert_int_equal(next_root(f), 0);
	TAR(&f->tar, .name = "new", .mtime = 1);
	TAR(&f->tar, .name = ".wh..wh..opq");
	APPLIED(f);
	assert_string_equal(strchr(shown(f), '\n') + 1, "/new - 0644 0:0 1 \"\"\n");
}

static void a_directory_goes_over_anything_else_but_merges_with_its_like(void **state)
{
	struct layer_fixture *f = *state;

	below(f);
	assert_int_equal(next_root(f), 0);
	TAR(&f->tar, .type = '5', .name = "etc", .mode = 0711, .mtime = 21);
	TAR(&f->tar, .type = '5', .name = "var", .mtime = 22); /* back to root */
	TAR(&f->tar, .type = '5', .name = "run", .mtime = 23);
	TAR(&f->tar, .type = '5', .name = "owned", .mtime = 24);
	TAR(&f->tar, .name = "var/lib", .mtime = 25);
	APPLIED(f);
	assert_string_equal(strchr(shown(f), '\n') + 1, "/etc d 0711 0:0 21\n"
							"/etc/a - 0644 0:0 2 \"lower a\"\n"
							"/etc/b - 0644 5:0 3 \"lower b\"\n"
							"/owned d 0755 0:0 24\n"
							"/run d 0755 0:0 23\n"
							"/var d 0755 0:0 22\n"
							"/var/lib - 0644 0:0 25 \"\"\n");
}

/* As over the kernel's overlay, where a layer's own directory hides the link. */
static void a_link_below_gives_way_to_a_parent(void **state)
{
	struct layer_fixture *f = *state;

	below(f);
	assert_int_equal(next_root(f), 0);
	TAR(&f->tar, .name = "run/pid", .content = "1");
	APPLIED(f);
	assert_non_null(strstr(shown(f), "/run d 0755 0:0"));
	assert_non_null(strstr(f->shown, "/run/pid"));
	assert_null(strstr(f->shown, "/var/lib/pid"));
}

static void a_link_of_the_layer_is_followed_within_the_root(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .type = '5', .name = "usr/lib");
	TAR(&f->tar, .type = '2', .name = "lib", .link = "usr/lib");
	TAR(&f->tar, .type = '2', .name = "usr/up", .link = "/lib/../lib");
	TAR(&f->tar, .name = "lib/a", .content = "a");
	TAR(&f->tar, .name = "usr/up/b", .content = "b");
	TAR(&f->tar, .type = '1', .name = "c", .link = "lib/a");
	APPLIED(f);
	assert_non_null(strstr(shown(f), "/c - 0644 0:0 0 \"a\"\n"));
	assert_non_null(strstr(f->shown, "/usr/lib/a = /c\n/usr/lib/b - 0644 0:0 0 \"b\"\n"));
}

static void other_roots_stay_as_they_are(void **state)
{
	struct layer_fixture *f = *state;
	char *before;
	int old;

	below(f);
	old = fcntl(f->root, F_DUPFD_CLOEXEC, 3);
	before = strdup(shown(f));
	assert_int_equal(next_root(f), 0);
	assert_string_equal(shown(f), before);
	TAR(&f->tar, .name = "etc/a", .content = "other", .uid = 1, .mode = 0600);
	TAR(&f->tar, .type = '1', .name = "hard", .link = "etc/b", .uid = 77, .mode = 0700, .mtime = 99); /* as it is below */
	TAR(&f->tar, .type = '1', .name = "hard2", .link = "owned");
	TAR(&f->tar, .type = '2', .name = "owned", .link = "var", .uid = 10);
	TAR(&f->tar, .type = '5', .name = "var", .mode = 0755, .mtime = 5);
	APPLIED(f);
	shown(f);
	assert_non_null(strstr(
		f->shown,
		"/etc/b - 0644 5:0 3 \"lower b\"\n/hard = /etc/b\n/hard2 l 0777 9:0 8 -> etc\n/owned l 0777 10:0 0 -> var\n"));
	close(f->root);
	f->root = old;
	assert_string_equal(shown(f), before);
	free(before);
}

static void names_of_aufs(void **state)
{
	struct layer_fixture *f = *state;
	struct stat st;

	below(f);
	assert_int_equal(next_root(f), 0);
	TAR(&f->tar, .name = ".wh..wh.aufs");
	TAR(&f->tar, .type = '5', .name = ".wh..wh.plnk");
	TAR(&f->tar, .name = ".wh..wh.plnk/12.34", .content = "linked", .uid = 3, .mtime = 9);
	TAR(&f->tar, .type = '5', .name = ".wh..wh.orph");
	TAR(&f->tar, .type = '1', .name = "one", .link = ".wh..wh.plnk/12.34");
	TAR(&f->tar, .type = '1', .name = "etc/two", .link = "/.wh..wh.plnk/12.34");
	APPLIED(f);
	assert_non_null(strstr(shown(f), "/etc/two - 0644 3:0 9 \"linked\"\n/one = /etc/two\n"));
	assert_int_equal(fstatat(f->root, ".wh..wh.new.plnk", &st, 0), -1);
	assert_int_equal(fstatat(f->root, ".wh..wh.plnk", &st, 0), -1);
	assert_int_equal(fstatat(f->root, ".wh..wh.aufs", &st, 0), -1);
	TAR(&f->tar, .type = '1', .name = "three", .link = ".wh..wh.plnk/5");
	assert_true(apply(f) < 0);
	assert_string_equal(f->err.message, "invalid aufs hardlink");
}

static void our_own_marks_cannot_be_brought(void **state)
{
	struct layer_fixture *f = *state;
	char *before;

	below(f);
	before = strdup(shown(f));
	TAR(&f->tar, .name = ".wh..wh.own.run", .content = "7:7:0777;1.0;1.0");
	TAR(&f->tar, .name = "etc/.wh..wh.own.a", .content = "7:7:0777;1.0;1.0");
	TAR(&f->tar, .name = "etc/.wh..wh.esc.x", .content = "7");
	TAR(&f->tar, .name = "etc/.wh..wh.new.x", .content = "7");
	TAR(&f->tar, .name = "etc/.wh..wh.esc.x/y", .content = "7");
	TAR(&f->tar, .type = '2', .name = "var/.wh..wh.own..", .link = "7");
	TAR(&f->tar, .name = ".wh.x/y", .content = "7");
	APPLIED(f);
	assert_string_equal(shown(f), before);
	free(before);
	assert_int_equal(unlinkat(f->root, "etc/.wh..wh.own.a", 0), -1);
	assert_int_equal(unlinkat(f->root, "etc/.wh..wh.esc.x", 0), -1);
	assert_int_equal(unlinkat(f->root, ".wh.x", AT_REMOVEDIR), -1);
}

static void programs_of_the_machine_are_noticed(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .name = "library", .content = "\177ELF....");
	TAR(&f->tar, .name = "script", .mode = 0755, .content = "#!/bin/sh");
	APPLIED(f);
	assert_false(f->figures.has_native);
	TAR(&f->tar, .name = "program", .mode = 0755, .content = "\177ELF....");
	APPLIED(f);
	assert_true(f->figures.has_native);
}

static void nothing_is_a_layer_too(void **state)
{
	struct layer_fixture *f = *state;

	APPLIED(f);
	assert_int_equal(f->figures.entries, 0);
	assert_int_equal(apply_bytes(f, f->root, "", 0), 0);
	assert_int_equal(f->figures.entries, 0);
}

static int run(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, layer_fixture_setup, layer_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_kind_with_its_owner_and_time),
		TEST(what_needs_no_record_has_none),
		TEST(a_device_is_none_on_the_host),
		TEST(parents_that_nobody_has_told_of),
		TEST(times_of_directories_outlive_what_is_put_in_them),
		TEST(the_last_of_a_name_counts),
		TEST(whiteouts_remove_what_was_below),
		TEST(whiteouts_spare_what_their_own_layer_brings),
		TEST(an_opaque_root_keeps_nothing),
		TEST(a_directory_goes_over_anything_else_but_merges_with_its_like),
		TEST(a_link_below_gives_way_to_a_parent),
		TEST(a_link_of_the_layer_is_followed_within_the_root),
		TEST(other_roots_stay_as_they_are),
		TEST(names_of_aufs),
		TEST(our_own_marks_cannot_be_brought),
		TEST(programs_of_the_machine_are_noticed),
		TEST(nothing_is_a_layer_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(run);
}
