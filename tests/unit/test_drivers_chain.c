/* The dispatcher: who is asked, in which order, and who is not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "drivers/synthetic.h"
#include "support/recording-driver.h"
#include "util/alloc.h"

struct chain_of_three {
	struct recording_driver agent, wasm, last;
	struct container *c;
	struct driver_process *process;
	struct error err;
};

static struct chain_of_three *make(int agent, int wasm, int last, const char *runtime)
{
	struct chain_of_three *t = xnew(struct chain_of_three);

	recording_driver_init(&t->agent, "agent", agent);
	recording_driver_init(&t->wasm, "wasm", wasm);
	recording_driver_init(&t->last, "synthetic", last);
	t->agent.base.next = &t->wasm.base;
	t->wasm.base.next = &t->last.base;
	t->c = container_new();
	t->c->runtime = xstrdup(runtime);
	return t;
}

static void done(struct chain_of_three *t)
{
	container_unref(t->c);
	free(t);
}

static int start(struct chain_of_three *t)
{
	return chain_lifecycle_start(&t->agent.base, t->c, NULL, (struct process_sink){ 0 }, &t->process, &t->err);
}

static int exec(struct chain_of_three *t)
{
	struct run_spec spec = { 0 };

	return chain_exec_start(&t->agent.base, t->c, &spec, (struct process_sink){ 0 }, &t->process, &t->err);
}

static void test_declined_goes_on(void **state)
{
	struct chain_of_three *t = make(DRIVER_DECLINED, 0, 0, "auto");

	(void)state;
	assert_int_equal(start(t), 0);
	assert_string_equal(t->agent.calls, "start");
	assert_string_equal(t->wasm.calls, "start");
	assert_string_equal(t->last.calls, "");
	assert_ptr_equal(t->process->owner, &t->wasm.base);
	assert_string_equal(t->c->driver, "wasm");
	done(t);
}

static void test_failure_is_final(void **state)
{
	struct chain_of_three *t = make(-EIO, 0, 0, "auto");

	(void)state;
	assert_int_equal(start(t), -EIO);
	assert_string_equal(t->err.message, "agent failed");
	assert_string_equal(t->wasm.calls, "");
	assert_null(t->c->driver);
	done(t);
}

static void test_empty_slots_decline(void **state)
{
	struct chain_of_three *t = make(0, 0, 0, "auto");

	(void)state;
	t->agent.ops.lifecycle = NULL;
	t->wasm.ops.lifecycle = NULL;
	assert_int_equal(start(t), 0);
	assert_ptr_equal(t->process->owner, &t->last.base);
	done(t);
}

static void test_routing_is_obeyed(void **state)
{
	struct chain_of_three *t = make(0, DRIVER_DECLINED, -EACCES, "wasm");

	(void)state;
	assert_int_equal(start(t), -EACCES); /* the last one says why not */
	assert_string_equal(t->agent.calls, "");
	assert_string_equal(t->wasm.calls, "start");
	assert_string_equal(t->last.calls, "start");
	done(t);
}

static void test_nobody(void **state)
{
	struct chain_of_three *t = make(DRIVER_DECLINED, DRIVER_DECLINED, DRIVER_DECLINED, "auto");

	(void)state;
	assert_true(start(t) < 0);
	assert_non_null(strstr(t->err.message, "no driver here"));
	done(t);
}

static void test_execs_begin_at_the_containers_driver(void **state)
{
	struct chain_of_three *t = make(0, DRIVER_DECLINED, 0, "auto");

	(void)state;
	t->c->driver = xstrdup("wasm");
	assert_int_equal(exec(t), 0);
	assert_string_equal(t->agent.calls, "");
	assert_string_equal(t->wasm.calls, "exec");
	assert_ptr_equal(t->process->owner, &t->last.base);
	done(t);
}

static void test_files_go_to_the_containers_driver(void **state)
{
	struct chain_of_three *t = make(0, 0, 0, "auto");
	struct file_job job = { .container = t->c };

	(void)state;
	t->c->driver = xstrdup("wasm");
	assert_int_equal(chain_files(&t->agent.base, &job, &t->err), 0);
	assert_string_equal(t->agent.calls, "");
	assert_string_equal(t->wasm.calls, "files");
	done(t);
}

static void test_cleanup_reaches_all(void **state)
{
	struct chain_of_three *t = make(0, -EIO, 0, "auto");

	(void)state;
	chain_cleanup(&t->agent.base, t->c);
	assert_string_equal(t->agent.calls, "cleanup");
	assert_string_equal(t->wasm.calls, "cleanup");
	assert_string_equal(t->last.calls, "cleanup");
	done(t);
}

static void test_the_last_fills_every_slot(void **state)
{
	struct chain_of_three *t = make(0, 0, 0, "auto");
	struct driver *synthetic = synthetic_driver_new(uv_default_loop(), false);

	(void)state;
	assert_true(chain_check(&t->agent.base, &t->err) < 0);
	assert_non_null(strstr(t->err.message, "synthetic"));
	t->wasm.base.next = synthetic;
	assert_int_equal(chain_check(&t->agent.base, &t->err), 0);
	synthetic->ops->free(synthetic);
	done(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_declined_goes_on),
		cmocka_unit_test(test_failure_is_final),
		cmocka_unit_test(test_empty_slots_decline),
		cmocka_unit_test(test_routing_is_obeyed),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_execs_begin_at_the_containers_driver),
		cmocka_unit_test(test_files_go_to_the_containers_driver),
		cmocka_unit_test(test_cleanup_reaches_all),
		cmocka_unit_test(test_the_last_fills_every_slot),
	};

	return cmocka_run_group_tests_name("drivers_chain", tests, NULL, NULL);
}
