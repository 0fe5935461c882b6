/* The store's promises: rows survive a new process, the last change of a row
 * wins, tickets come in order, a second opener is refused; containers are
 * found as Docker finds them; events come only after the commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/containers.h"
#include "store/events.h"
#include "util/alloc.h"

struct fixture {
	uv_loop_t loop;
	struct store *store;
	char dir[64];
};

static int open_store(struct fixture *f)
{
	struct error err = { 0 };
	int r = store_open(&f->loop, f->dir, &f->store, &err);

	if (r < 0)
		print_error("%s\n", err.message);
	return r;
}

static void close_store(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);

	strcpy(f->dir, "/tmp/sockerless-test-XXXXXX");
	if (!mkdtemp(f->dir) || uv_loop_init(&f->loop) || open_store(f))
		return -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	static const char *const files[] = { "state.db", "state.db-wal", "state.db-shm" };
	char path[128];
	int r;

	close_store(f);
	r = uv_loop_close(&f->loop);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return r;
}

/* Turns the loop until `*flag`; a timer bounds it. */
static void on_tick(uv_timer_t *t)
{
	(*(int *)t->data)++;
}

static void run_until(struct fixture *f, const int *flag)
{
	uv_timer_t timer;
	int ticks = 0;

	uv_timer_init(&f->loop, &timer);
	timer.data = &ticks;
	uv_timer_start(&timer, on_tick, 5, 5);
	while (!*flag && ticks < 12000)
		uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_true(*flag);
}

static int collect(void *arg, const char *id, json_t *value)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 256 - n, "%s=%s;", id, json_string_value(value));
	return 0;
}

static void put(struct fixture *f, const char *id, const char *text)
{
	json_t *v = json_string(text);

	store_put(f->store, "t", id, v);
	json_decref(v);
}

static void test_rows_survive(void **state)
{
	struct fixture *f = *state;
	char text[256] = "";

	put(f, "b", "1");
	put(f, "a", "2");
	put(f, "b", "3");
	put(f, "c", "4");
	store_delete(f->store, "t", "c");
	close_store(f);
	assert_int_equal(open_store(f), 0);
	assert_int_equal(store_load(f->store, "t", collect, text, NULL), 0);
	/* Both rows in the order of their creation, as far as batches keep it. */
	assert_non_null(strstr(text, "b=3;"));
	assert_non_null(strstr(text, "a=2;"));
	assert_int_equal(strlen(text), 8);
}

static void test_second_opener_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	struct store *other = NULL;

	assert_true(store_open(&f->loop, f->dir, &other, &err) < 0);
	assert_int_equal(err.cls, ERROR_CONFLICT);
	assert_null(other);
}

static void append_one(void *arg)
{
	char *text = *(char **)arg;

	text[strlen(text)] = (char)('0' + (strlen(text) % 10));
}

static void set_flag(void *arg)
{
	*(int *)arg = 1;
}

static void test_tickets(void **state)
{
	struct fixture *f = *state;
	char text[16] = "", *p = text;
	int is_done = 0;

	for (int i = 0; i < 5; i++) {
		put(f, "x", "y");
		store_on_durable(f->store, store_ticket(f->store), append_one, &p);
	}
	assert_string_equal(text, ""); /* never from within the call */
	store_on_durable(f->store, store_ticket(f->store), set_flag, &is_done);
	run_until(f, &is_done);
	assert_string_equal(text, "01234");
	assert_true(store_is_durable(f->store, store_ticket(f->store)));
}

static struct container *make(const char *id, const char *name)
{
	struct container *c = container_new();

	snprintf(c->id, sizeof(c->id), "%s", id);
	c->name = xstrdup(name);
	c->config = json_pack("{s:s}", "Image", "busybox");
	c->host_config = json_object();
	return c;
}

static void test_containers_find(void **state)
{
	struct fixture *f = *state;
	struct containers cs;
	struct container *c;
	struct error err = { 0 };

	assert_int_equal(containers_init(&cs, f->store, NULL), 0);
	assert_int_equal(containers_add(&cs, make("aabb", "one"), NULL), 0);
	assert_int_equal(containers_add(&cs, make("aacc", "two"), NULL), 0);
	c = make("dd", "two");
	assert_true(containers_add(&cs, c, &err) < 0);
	assert_int_equal(err.cls, ERROR_CONFLICT);
	assert_non_null(strstr(err.message, "\"/two\" is already in use by container \"aacc\""));
	container_unref(c);

	assert_int_equal(containers_find(&cs, "/one", &c, NULL), 0);
	assert_string_equal(c->id, "aabb");
	assert_int_equal(containers_find(&cs, "aac", &c, NULL), 0);
	assert_string_equal(c->name, "two");
	assert_true(containers_find(&cs, "aa", &c, &err) < 0);
	assert_string_equal(err.message, "Multiple IDs found with provided prefix: aa");
	assert_true(containers_find(&cs, "", &c, &err) < 0);
	assert_int_equal(err.cls, ERROR_NOT_FOUND);
	assert_true(containers_find(&cs, "zz", &c, &err) < 0);
	assert_string_equal(err.message, "No such container: zz");
	containers_done(&cs);
}

static void test_links(void **state)
{
	struct fixture *f = *state;
	struct containers cs;
	struct container *db = make("db1", "db"), *app = make("app1", "app"), *other = make("app2", "other"), *c;

	assert_int_equal(containers_init(&cs, f->store, NULL), 0);
	assert_int_equal(containers_add(&cs, db, NULL), 0);
	assert_int_equal(containers_add(&cs, app, NULL), 0);
	assert_int_equal(containers_add(&cs, other, NULL), 0);
	assert_true(containers_link(&cs, app, db, "x"));
	assert_false(containers_link(&cs, app, other, "x"));
	assert_true(containers_link(&cs, app, db, "/.//a/b/"));
	assert_true(containers_link(&cs, other, db, "x"));
	assert_true(containers_link(&cs, other, app, "y"));
	assert_false(containers_link(&cs, app, db, ""));
	assert_false(containers_link(&cs, app, db, "/"));
	assert_false(containers_link(&cs, app, db, "a/../.."));
	assert_int_equal(containers_find(&cs, "/app/a/b", &c, NULL), 0);
	assert_ptr_equal(c, db);

	assert_int_equal(containers_rename(&cs, app, "web", NULL), 0);
	assert_int_equal(containers_find(&cs, "web/x", &c, NULL), 0);
	assert_true(containers_find(&cs, "app/x", &c, NULL) < 0);
	containers_unlink(&cs, app->links);
	assert_true(containers_find(&cs, "web/x", &c, NULL) < 0);
	assert_int_equal(containers_find(&cs, "web/a/b", &c, NULL), 0);

	containers_remove(&cs, db);
	assert_true(containers_find(&cs, "web/a/b", &c, NULL) < 0);
	assert_ptr_equal(app->links->child, db); /* still there, and gone */
	assert_true(db->is_gone);
	containers_remove(&cs, app);
	assert_true(containers_find(&cs, "other/y", &c, NULL) < 0);
	containers_done(&cs);
}

static void test_containers_reload(void **state)
{
	struct fixture *f = *state;
	struct containers cs;
	struct container *c;

	assert_int_equal(containers_init(&cs, f->store, NULL), 0);
	c = make("aabb", "one");
	c->nmounts = 1;
	c->mounts = xcalloc(1, sizeof(*c->mounts));
	c->mounts[0].type = xstrdup("bind");
	c->mounts[0].is_rw = true;
	assert_int_equal(containers_add(&cs, c, NULL), 0);
	assert_int_equal(containers_add(&cs, make("cc", "gone"), NULL), 0);
	c->state.status = CONTAINER_EXITED;
	c->state.exit_code = 137;
	c->state.error = xstrdup("why");
	containers_save(&cs, c);
	assert_int_equal(containers_rename(&cs, c, "uno", NULL), 0);
	assert_int_equal(containers_find(&cs, "gone", &c, NULL), 0);
	containers_remove(&cs, c);
	containers_done(&cs);
	close_store(f);

	assert_int_equal(open_store(f), 0);
	assert_int_equal(containers_init(&cs, f->store, NULL), 0);
	assert_int_equal(cs.ids.n, 1);
	assert_int_equal(containers_find(&cs, "uno", &c, NULL), 0);
	assert_int_equal(c->state.status, CONTAINER_EXITED);
	assert_int_equal(c->state.exit_code, 137);
	assert_string_equal(c->state.error, "why");
	assert_int_equal(c->nmounts, 1);
	assert_string_equal(c->mounts[0].type, "bind");
	assert_true(c->mounts[0].is_rw);
	assert_null(c->mounts[0].name);
	containers_done(&cs);
}

/* The ids that the indexes leave, newest first; "*" when they do not help. */
static void expect_narrow(struct containers *cs, const char *label, const char *part, bool is_live, const char *wanted)
{
	struct narrowing by = { .labels = label ? json_pack("[s]", label) : NULL,
				.name_parts = part ? json_pack("[s]", part) : NULL,
				.is_live = is_live };
	struct container *const *few = NULL;
	char text[128] = "";
	size_t n = 0;

	if (!containers_narrow(cs, &by, &few, &n))
		snprintf(text, sizeof(text), "*");
	while (n-- > 0)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", few[n]->id);
	json_decref(by.labels);
	json_decref(by.name_parts);
	assert_string_equal(text, wanted);
}

static struct container *make_labelled(const char *id, const char *name, const char *key, const char *value)
{
	struct container *c = make(id, name);

	json_object_set_new(c->config, "Labels", json_pack("{s:s}", key, value));
	return c;
}

static void test_containers_narrow(void **state)
{
	struct fixture *f = *state;
	struct containers cs;
	struct container *c;

	assert_int_equal(containers_init(&cs, f->store, NULL), 0);
	assert_int_equal(containers_add(&cs, make_labelled("aa", "web-one", "tier", "front"), NULL), 0);
	assert_int_equal(containers_add(&cs, make_labelled("bb", "web-two", "tier", "back"), NULL), 0);
	assert_int_equal(containers_add(&cs, make("cc", "db"), NULL), 0);
	expect_narrow(&cs, NULL, NULL, false, "*");
	expect_narrow(&cs, "tier", NULL, false, "bb aa ");
	expect_narrow(&cs, "tier=back", NULL, false, "bb ");
	expect_narrow(&cs, "tier=side", NULL, false, "");
	expect_narrow(&cs, NULL, "/web", false, "bb aa ");
	expect_narrow(&cs, NULL, "b-tw", false, "bb ");
	expect_narrow(&cs, NULL, "nowhere", false, "");
	expect_narrow(&cs, NULL, "db", false, "*"); /* too short to be indexed */
	expect_narrow(&cs, NULL, NULL, true, "");

	assert_int_equal(containers_find(&cs, "aa", &c, NULL), 0);
	c->state.status = CONTAINER_RUNNING;
	containers_save(&cs, c);
	expect_narrow(&cs, NULL, NULL, true, "aa ");
	c->state.status = CONTAINER_EXITED;
	containers_save(&cs, c);
	expect_narrow(&cs, NULL, NULL, true, "");
	assert_int_equal(containers_rename(&cs, c, "other", NULL), 0);
	expect_narrow(&cs, NULL, "web", false, "bb ");
	expect_narrow(&cs, NULL, "othe", false, "aa ");
	containers_remove(&cs, c);
	expect_narrow(&cs, "tier", NULL, false, "bb ");
	expect_narrow(&cs, NULL, "othe", false, "");
	containers_done(&cs);
}

static void test_long_labels(void **state)
{
	struct fixture *f = *state;
	struct containers cs;
	char value[600], wanted[620];

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	snprintf(wanted, sizeof(wanted), "key=%s", value);
	assert_int_equal(containers_init(&cs, f->store, NULL), 0);
	assert_int_equal(containers_add(&cs, make_labelled("aa", "one", "key", value), NULL), 0);
	assert_int_equal(containers_add(&cs, make_labelled("bb", "two", "key", "short"), NULL), 0);
	expect_narrow(&cs, wanted, NULL, false, "bb aa "); /* by the key: the caller looks at the value */
	containers_done(&cs);
}

struct seen {
	char text[64];
	int is_done;
	struct fixture *f;
	struct events_subscription *sub;
};

static void on_event(void *arg, const struct event *e)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%s%s ", e->action,
		 store_is_durable(s->f->store, store_ticket(s->f->store)) ? "" : "(early)");
	if (strcmp(e->action, "last") == 0) {
		events_unsubscribe(s->sub);
		s->is_done = 1;
	}
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	struct events *ev;
	struct seen live = { .f = f }, past = { .f = f };

	assert_int_equal(events_new(f->store, &ev), 0);
	live.sub = events_subscribe(ev, on_event, &live);
	put(f, "x", "y");
	events_publish(ev, "container", "first", "id", NULL);
	events_publish(ev, "container", "last", "id", json_pack("{s:s}", "name", "n"));
	assert_string_equal(live.text, "");
	run_until(f, &live.is_done);
	assert_string_equal(live.text, "first last ");
	events_replay(ev, 0, INT64_MAX, on_event, &past);
	assert_string_equal(past.text, "first last ");
	events_free(ev);
}

/* A full disk: nothing is told, nothing is lost, and it goes on when there is room. */
static void on_told(void *arg)
{
	(*(int *)arg)++;
}

/* Who waits when the store closes is told, and in time to ask how it went. */
static void test_close_tells(void **state)
{
	struct fixture *f = *state;
	int told = 0;

	put(f, "x", "y");
	store_on_durable(f->store, store_ticket(f->store), on_told, &told);
	store_on_durable(f->store, 0, on_told, &told);
	assert_int_equal(told, 0);
	close_store(f);
	assert_int_equal(told, 2);
	assert_int_equal(open_store(f), 0);
}

static int put_and_wait(struct fixture *f, const char *id, json_t *take_value)
{
	int told = 0;

	store_put(f->store, "thing", id, take_value);
	json_decref(take_value);
	store_on_durable(f->store, store_ticket(f->store), on_told, &told);
	run_until(f, &told);
	return store_has_failed(f->store, NULL) ? -1 : 0;
}

static int count_rows(void *arg, const char *id, json_t *value)
{
	(void)id, (void)value;
	++*(int *)arg;
	return 0;
}

static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	struct rlimit all, small;
	char *large = xmalloc(1 << 20);
	int rows = 0, event_told = 0;

	memset(large, 'x', (1 << 20) - 1);
	large[(1 << 20) - 1] = '\0';
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &all);
	small = (struct rlimit){ 200000, all.rlim_max };
	assert_int_equal(put_and_wait(f, "before", json_integer(1)), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(put_and_wait(f, "large", json_string(large)), -1);
	assert_int_equal(put_and_wait(f, "after", json_integer(2)), -1);
	setrlimit(RLIMIT_FSIZE, &all);
	store_on_durable(f->store, store_ticket(f->store), on_told, &event_told);
	run_until(f, &event_told);
	assert_false(store_has_failed(f->store, NULL));
	free(large);
	close_store(f);
	assert_int_equal(open_store(f), 0);
	assert_int_equal(store_load(f->store, "thing", count_rows, &rows, NULL), 0);
	assert_int_equal(rows, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows_survive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_opener_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tickets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_containers_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_containers_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_containers_narrow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_labels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_tells, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
