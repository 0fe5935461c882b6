/* The content store's promises: a blob is what its digest says, layers add up
 * to chains that images share, what nobody holds goes from the disk (and not before), and a
 * restart finds what was there and sweeps the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/images.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct fixture {
	uv_loop_t loop;
	struct store *store;
	struct events *events;
	struct images *images;
	struct layers *layers; /* borrowed from images */
	char dir[64], guest[80];
	/* what the last job told */
	int ndone, nexisted, nunpacked;
	struct layer *layer; /* a reference */
	struct image *image;
	struct error err;
};

/* ---- a data root ---- */

static void open_images(struct fixture *f)
{
	struct images_options opt = { .loop = &f->loop, .data_root = f->dir, .guest_path = f->guest, .mode = "auto" };
	struct error err = { 0 };

	assert_int_equal(store_open(&f->loop, f->dir, &f->store, &err), 0);
	assert_int_equal(events_new(f->store, &f->events), 0);
	opt.store = f->store;
	opt.events = f->events;
	if (images_open(&opt, &f->images, &err) < 0)
		fail_msg("%s", err.message);
	f->layers = images_layers(f->images);
}

static void close_images(struct fixture *f)
{
	layer_unref(f->layers, f->layer);
	f->layer = NULL;
	store_close(f->store);
	events_free(f->events);
	images_free(f->images);
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	char diff_id[128];
	FILE *out;

	strcpy(f->dir, "/tmp/sockerless-test-XXXXXX");
	if (!mkdtemp(f->dir) || uv_loop_init(&f->loop))
		return -1;
	snprintf(f->guest, sizeof(f->guest), "%s/guest", f->dir);
	snprintf(diff_id, sizeof(diff_id), "%s.diff-id", f->guest);
	out = fopen(diff_id, "w");
	if (mkdir(f->guest, 0755) < 0 || !out)
		return -1;
	fprintf(out, "sha256:%064d\n", 0);
	fclose(out);
	open_images(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int fd;

	close_images(f);
	fd = open("/tmp", O_PATH | O_DIRECTORY);
	rootfs_remove_tree(fd, f->dir + 5);
	close(fd);
	fd = uv_loop_close(&f->loop);
	free(f);
	return fd;
}

static void run_until(struct fixture *f, const int *flag, int value)
{
	for (int i = 0; i < 10000 && *flag < value; i++)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_true(*flag >= value);
}

static void on_time(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
}

/* All that is on its way: commits, and files that are removed. The store's own handle does not keep a loop turning. */
static void settle(struct fixture *f)
{
	uv_timer_t timer;

	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, on_time, 150, 0);
	while (uv_is_active((uv_handle_t *)&timer) || uv_is_closing((uv_handle_t *)&timer))
		if (!uv_run(&f->loop, UV_RUN_ONCE))
			break;
}

static size_t count_files(struct fixture *f, const char *name)
{
	char path[128];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.' && strcmp(e->d_name, "empty") != 0;
	closedir(d);
	return n;
}

/* As removals on the pool may take a while: for a minute. */
static void expect_files(struct fixture *f, const char *name, size_t n)
{
	for (int i = 0; i < 400 && count_files(f, name) != n; i++)
		settle(f);
	assert_int_equal(count_files(f, name), n);
}

/* ---- blobs ---- */

/* A layer's tar of one file, as a pinned blob. */
static void put_layer(struct fixture *f, const char *name, const char *content, bool is_gzip, char digest[DIGEST_LEN + 1])
{
	char data[65536];
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	struct blob_writer *w = blob_writer_new(f->dir, &f->err);
	uint64_t bytes;
	size_t used;
	char *path;

	archive_write_set_format_pax_restricted(a);
	if (is_gzip)
		archive_write_add_filter_gzip(a);
	archive_write_open_memory(a, data, sizeof(data), &used);
	archive_entry_set_pathname(e, name);
	archive_entry_set_mode(e, S_IFREG | 0640);
	archive_entry_set_size(e, (la_int64_t)strlen(content));
	archive_write_header(a, e);
	archive_write_data(a, content, strlen(content));
	archive_entry_free(e);
	archive_write_close(a);
	assert_non_null(w);
	assert_int_equal(blob_writer_add(w, data, used), 0);
	archive_write_free(a);
	assert_int_equal(blob_writer_end(w, NULL, digest, &bytes, &path, &f->err), 0);
	assert_int_equal(bytes, used);
	assert_int_equal(layers_settle_blob(f->layers, path, digest, &f->err), 0);
}

static void blob_of_another_digest_is_refused(void **state)
{
	struct fixture *f = *state;
	struct blob_writer *w = blob_writer_new(f->dir, &f->err);
	char wrong[DIGEST_LEN + 1], digest[DIGEST_LEN + 1];
	uint64_t bytes;
	char *path;

	digest_of("abc", 3, wrong);
	assert_int_equal(blob_writer_add(w, "abd", 3), 0);
	assert_true(blob_writer_end(w, wrong, digest, &bytes, &path, &f->err) < 0);
	assert_int_equal(f->err.cls, ERROR_INVALID);
	expect_files(f, "tmp", 0);
	expect_files(f, "blobs/sha256", 0);
}

static void blob_goes_with_its_last_pin(void **state)
{
	struct fixture *f = *state;
	char digest[DIGEST_LEN + 1];

	put_layer(f, "a", "a", false, digest);
	assert_true(layers_pin_blob(f->layers, digest));
	layers_unpin_blob(f->layers, digest);
	settle(f);
	expect_files(f, "blobs/sha256", 1);
	layers_unpin_blob(f->layers, digest);
	assert_false(layers_pin_blob(f->layers, digest));
	settle(f);
	expect_files(f, "blobs/sha256", 0);
	expect_files(f, "tmp", 0);
}

static void compressions_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(blob_compression_of("\x1f\x8b\x08", 3), BLOB_GZIP);
	assert_int_equal(blob_compression_of("\x28\xb5\x2f\xfd", 4), BLOB_ZSTD);
	assert_int_equal(blob_compression_of("BZh9", 4), BLOB_BZIP2);
	assert_int_equal(blob_compression_of("\xfd\x37zXZ\0", 6), BLOB_XZ);
	assert_int_equal(blob_compression_of("\x1f", 1), BLOB_PLAIN);
	assert_int_equal(blob_compression_of("", 0), BLOB_PLAIN);
}

/* ---- layers ---- */

static void on_layer(void *arg, struct layer *l, const struct error *err)
{
	struct fixture *f = arg;

	f->ndone++;
	f->err = err ? *err : (struct error){ 0 };
	layer_unref(f->layers, f->layer);
	f->layer = layer_ref(l);
}

static struct layer *unpack(struct fixture *f, struct layer *parent, const char *blob, const char *expected)
{
	int before = f->ndone;

	layers_unpack(f->layers, parent, blob, expected, NULL, on_layer, f);
	run_until(f, &f->ndone, before + 1);
	return f->layer;
}

static void assert_content(const struct layer *l, const char *name, const char *content)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s", l->root, name);
	char got[64] = "";
	int fd = open(path, O_RDONLY);

	if (!content) {
		assert_true(fd < 0);
		return;
	}
	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	assert_string_equal(got, content);
}

static void layers_add_up(void **state)
{
	struct fixture *f = *state;
	char lower[DIGEST_LEN + 1], upper[DIGEST_LEN + 1], chain[DIGEST_LEN + 1];
	struct layer *a, *b;

	put_layer(f, "a", "of the lower", false, lower);
	put_layer(f, "b", "of the upper", true, upper);
	a = layer_ref(unpack(f, NULL, lower, NULL));
	assert_non_null(a);
	assert_string_equal(a->chain_id, a->diff_id);
	assert_string_equal(a->diff_id, lower); /* plain: the blob is the diff */
	b = unpack(f, a, upper, NULL);
	assert_non_null(b);
	assert_int_equal(b->compression, BLOB_GZIP);
	assert_string_not_equal(b->diff_id, upper);
	layer_chain_id(a->chain_id, b->diff_id, chain);
	assert_string_equal(b->chain_id, chain);
	assert_content(b, "a", "of the lower");
	assert_content(b, "b", "of the upper");
	assert_content(a, "b", NULL);
	assert_int_equal(layer_total_bytes(b), 24);
	layers_unpin_blob(f->layers, lower);
	layers_unpin_blob(f->layers, upper);
	layer_unref(f->layers, a);
	settle(f);
	expect_files(f, "rootfs", 2); /* the upper one holds the lower */
	layer_unref(f->layers, f->layer);
	f->layer = NULL;
	settle(f);
	expect_files(f, "rootfs", 0);
	expect_files(f, "blobs/sha256", 0);
}

static void same_chain_is_made_once(void **state)
{
	struct fixture *f = *state;
	char blob[DIGEST_LEN + 1];
	struct layer *first, *second;

	put_layer(f, "a", "a", false, blob);
	first = layer_ref(unpack(f, NULL, blob, NULL));
	second = unpack(f, NULL, blob, NULL);
	assert_ptr_equal(first, second);
	layers_unpin_blob(f->layers, blob);
	layer_unref(f->layers, first);
	settle(f);
	expect_files(f, "rootfs", 1);
}

static void wrong_diff_id_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	char blob[DIGEST_LEN + 1], wrong[DIGEST_LEN + 1];

	digest_of("x", 1, wrong);
	put_layer(f, "a", "a", true, blob);
	assert_null(unpack(f, NULL, blob, wrong));
	assert_int_equal(f->err.cls, ERROR_INVALID);
	assert_non_null(strstr(f->err.message, "wrong diff id"));
	layers_unpin_blob(f->layers, blob);
	settle(f);
	expect_files(f, "rootfs", 0);
	expect_files(f, "blobs/sha256", 0);
}

static void layer_made_again_while_it_is_forgotten(void **state)
{
	struct fixture *f = *state;
	char blob[DIGEST_LEN + 1];

	put_layer(f, "a", "a", false, blob);
	assert_non_null(unpack(f, NULL, blob, NULL));
	layer_unref(f->layers, f->layer); /* its files wait for the commit */
	f->layer = NULL;
	assert_non_null(unpack(f, NULL, blob, NULL));
	layers_unpin_blob(f->layers, blob);
	settle(f);
	assert_content(f->layer, "a", "a");
	expect_files(f, "rootfs", 1);
	expect_files(f, "blobs/sha256", 1);
}

/* ---- images ---- */

static void count_layer(void *arg, size_t at, enum layer_state state, uint64_t bytes)
{
	struct fixture *f = arg;

	(void)at;
	(void)bytes;
	f->nexisted += state == LAYER_EXISTS;
	f->nunpacked += state == LAYER_DONE;
}

static void on_image(void *arg, struct image *i, const struct error *err)
{
	struct fixture *f = arg;

	f->ndone++;
	f->image = i;
	f->err = err ? *err : (struct error){ 0 };
}

static bool assemble(struct fixture *f, const char *config, const char *blob)
{
	struct image_assembly a = { .config = config,
				    .config_len = strlen(config),
				    .blobs = &blob,
				    .nblobs = blob ? 1 : 0,
				    .kind = IMAGE_LOADED,
				    .on_layer = count_layer,
				    .done = on_image,
				    .arg = f };
	int before = f->ndone;

	f->err = (struct error){ 0 };
	if (!images_assemble(f->images, &a, &f->err))
		return false;
	run_until(f, &f->ndone, before + 1);
	return f->err.code == 0;
}

static char *config_of(const char *diff_id, const char *author)
{
	/* not as we would write it: the bytes are kept */
	return xasprintf("{ \"os\": \"linux\",\n \"author\": \"%s\", \"rootfs\": {\"type\":\"layers\",\"diff_ids\":[\"%s\"]} }",
			 author, diff_id);
}

static void image_keeps_its_config_to_the_byte(void **state)
{
	struct fixture *f = *state;
	char blob[DIGEST_LEN + 1], id[DIGEST_LEN + 1];
	CLEANUP(freep) char *config = NULL, *kept = NULL;

	put_layer(f, "a", "a", false, blob);
	config = config_of(blob, "one");
	if (!assemble(f, config, blob))
		fail_msg("%s", f->err.message);
	layers_unpin_blob(f->layers, blob);
	digest_of(config, strlen(config), id);
	assert_string_equal(f->image->id, id);
	assert_int_equal(images_tag(f->images, f->image, "made", NULL, &f->err), 0);
	close_images(f);
	open_images(f);
	assert_int_equal(images_find(f->images, "made", &f->image, &f->err), 0);
	assert_string_equal(f->image->id, id);
	kept = image_config_text(f->image);
	assert_string_equal(kept, config);
	assert_content(f->image->top, "a", "a");
	expect_files(f, "blobs/sha256", 1);
}

static void second_image_takes_the_layer_that_is_there(void **state)
{
	struct fixture *f = *state;
	struct image_removal rm = { .ref = "one" };
	char blob[DIGEST_LEN + 1];
	CLEANUP(freep) char *one = NULL, *two = NULL;
	json_t *report;

	put_layer(f, "a", "a", false, blob);
	one = config_of(blob, "one");
	two = config_of(blob, "two");
	assert_true(assemble(f, one, blob));
	layers_unpin_blob(f->layers, blob);
	assert_int_equal(images_tag(f->images, f->image, "one", NULL, &f->err), 0);
	assert_int_equal(f->nunpacked, 1);
	assert_true(assemble(f, two, blob));
	assert_int_equal(f->nunpacked, 1);
	assert_int_equal(f->nexisted, 1);
	assert_int_equal(images_remove(f->images, &rm, &report, &f->err), 0);
	json_decref(report);
	settle(f);
	assert_content(f->image->top, "a", "a"); /* two still holds it */
	expect_files(f, "blobs/sha256", 1);
	rm.ref = f->image->id;
	assert_int_equal(images_remove(f->images, &rm, &report, &f->err), 0);
	json_decref(report);
	settle(f);
	expect_files(f, "rootfs", 0);
	expect_files(f, "blobs/sha256", 0);
}

static void bad_configs_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"os\":\"windows\"}",
		"{\"os\":7}",
		"{\"config\":[]}",
		"{\"rootfs\":{\"diff_ids\":\"x\"}}",
		"{\"rootfs\":{\"diff_ids\":[\"sha256:zz\"]}}",
		"{\"rootfs\":{\"diff_ids\":[7]}}",
		"{\"rootfs\":{\"diff_ids\":[\"sha256:"
		"0000000000000000000000000000000000000000000000000000000000000000\"]}}", /* and no blob */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(assemble(f, bad[i], NULL));
		assert_int_equal(f->err.cls, ERROR_INVALID);
	}
	assert_int_equal(images_count(f->images), 1);
}

static void restart_sweeps_what_nobody_holds(void **state)
{
	struct fixture *f = *state;
	char blob[DIGEST_LEN + 1], path[256];
	int fd;

	put_layer(f, "a", "a", false, blob);
	assert_non_null(unpack(f, NULL, blob, NULL)); /* a layer of no image */
	settle(f);
	snprintf(path, sizeof(path), "%s/rootfs/new-0123", f->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/tmp/blob-0123", f->dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	f->layer = NULL; /* as a crash would leave it */
	close_images(f);
	open_images(f);
	settle(f);
	expect_files(f, "rootfs", 0);
	expect_files(f, "blobs/sha256", 0);
	expect_files(f, "tmp", 0);
}

static void steps_of_a_build_go_with_its_image(void **state)
{
	struct fixture *f = *state;
	struct image *builtin = images_next(f->images, NULL), *step, *last;
	struct image_child child = { .parent = builtin, .kind = IMAGE_BUILT, .created_by = "one", .take_config = json_object() };
	struct image_removal rm = { .ref = "last" };
	json_t *report;

	step = images_make_child(f->images, &child);
	child.parent = step;
	child.created_by = "two";
	child.take_config = json_object();
	last = images_make_child(f->images, &child);
	assert_int_equal(images_tag(f->images, last, "last", NULL, &f->err), 0);
	assert_true(images_has_child(f->images, step));
	assert_int_equal(json_array_size(json_object_get(last->config, "history")),
			 json_array_size(json_object_get(builtin->config, "history")) + 2);
	assert_ptr_equal(last->top, builtin->top);
	assert_int_equal(images_remove(f->images, &rm, &report, &f->err), 0);
	assert_int_equal(json_array_size(report), 3); /* the name, and two images */
	json_decref(report);
	assert_int_equal(images_count(f->images), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(blob_of_another_digest_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(blob_goes_with_its_last_pin, setup, teardown),
		cmocka_unit_test(compressions_are_told_apart),
		cmocka_unit_test_setup_teardown(layers_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(same_chain_is_made_once, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_diff_id_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(layer_made_again_while_it_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(image_keeps_its_config_to_the_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(second_image_takes_the_layer_that_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_configs_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(restart_sweeps_what_nobody_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(steps_of_a_build_go_with_its_image, setup, teardown),
	};

	return cmocka_run_group_tests_name("image_layers", tests, NULL, NULL);
}
