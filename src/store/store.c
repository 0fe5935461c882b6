/* The durable rows: a pending set on the loop, one writer thread that owns the
 * database, and tickets that say how far it has come.
 *
 * A batch is whatever collected while the writer was busy, so under load many
 * changes share one commit, and a lone change is committed at once. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/list.h"
#include "util/map.h"

/* One row's newest change; `json` NULL deletes. */
struct change {
	struct list link;
	char *kind, *id, *json;
};

struct waiter {
	struct list link;
	uint64_t ticket;
	void (*cb)(void *arg);
	void *arg;
};

struct store {
	sqlite3 *db;                 /* NULL: ephemeral */
	sqlite3_stmt *put, *del;
	uint64_t ticket;             /* of the newest change */
	uint64_t durable;            /* loop's copy of `committed` */
	struct list pending;         /* changes since the last batch */
	struct map by_row;           /* "kind\nid" → struct change, for pending only */
	struct list waiters;         /* in ticket order */
	uv_async_t wake;
	bool has_failed;
	char failure[ERROR_MESSAGE_MAX];

	pthread_t writer;
	pthread_mutex_t lock;        /* guards what follows */
	pthread_cond_t changed;
	struct list batch;           /* handed to the writer; back here when its commit failed */
	uint64_t batch_ticket, committed;
	bool is_batch_ready, is_ending;
	bool commit_failed;          /* until the loop has taken the batch back */
	char commit_error[256];
};

static void change_free(struct change *c)
{
	free(c->kind);
	free(c->id);
	free(c->json);
	free(c);
}

/* ---- the writer thread ---- */

static int run_change(struct store *s, const struct change *c)
{
	sqlite3_stmt *st = c->json ? s->put : s->del;
	int r;

	sqlite3_bind_text(st, 1, c->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, c->id, -1, SQLITE_STATIC);
	if (c->json)
		sqlite3_bind_text(st, 3, c->json, -1, SQLITE_STATIC);
	r = sqlite3_step(st);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r == SQLITE_DONE ? 0 : -EIO;
}

static int run_batch(struct store *s, struct list *batch)
{
	if (sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return -EIO;
	list_for_each(it, batch) {
		if (run_change(s, container_of(it, struct change, link)) < 0)
			goto fail;
	}
	if (sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
fail:
	pthread_mutex_lock(&s->lock);
	snprintf(s->commit_error, sizeof(s->commit_error), "%s", sqlite3_errmsg(s->db));
	pthread_mutex_unlock(&s->lock);
	sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return -EIO;
}

static void list_move(struct list *to, struct list *from)
{
	list_init(to);
	if (list_is_empty(from))
		return;
	to->next = from->next;
	to->prev = from->prev;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

static void changes_free(struct list *changes)
{
	list_for_each_safe(it, changes) {
		list_remove(it);
		change_free(container_of(it, struct change, link));
	}
}

static void *writer_main(void *arg)
{
	struct store *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct list batch;
		uint64_t ticket;
		int r;

		while (!s->is_batch_ready && !s->is_ending)
			pthread_cond_wait(&s->changed, &s->lock);
		if (!s->is_batch_ready)
			break;
		list_move(&batch, &s->batch);
		ticket = s->batch_ticket;
		pthread_mutex_unlock(&s->lock);
		r = run_batch(s, &batch);
		if (r == 0)
			changes_free(&batch);
		pthread_mutex_lock(&s->lock);
		s->is_batch_ready = false;
		s->commit_failed = r < 0;
		if (r < 0)
			list_move(&s->batch, &batch);
		else
			s->committed = ticket;
		pthread_cond_broadcast(&s->changed);
		uv_async_send(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the loop's side ---- */

/* Gives the pending changes to the writer when it has nothing. Lock held. */
static void hand_over(struct store *s)
{
	if (s->is_batch_ready || s->commit_failed || list_is_empty(&s->pending))
		return;
	list_move(&s->batch, &s->pending);
	map_done(&s->by_row);
	map_init(&s->by_row);
	s->batch_ticket = s->ticket;
	s->is_batch_ready = true;
	pthread_cond_broadcast(&s->changed);
}

static void try_commit(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	hand_over(s);
	pthread_mutex_unlock(&s->lock);
}

static void run_waiters(struct store *s)
{
	while (!list_is_empty(&s->waiters)) {
		struct waiter *w = container_of(s->waiters.next, struct waiter, link);

		/* After a failure everybody is told, and asks store_has_failed. */
		if (w->ticket > s->durable && !s->has_failed)
			return;
		list_remove(&w->link);
		w->cb(w->arg);
		free(w);
	}
}

static char *row_name(const char *kind, const char *id)
{
	return xasprintf("%s\n%s", kind, id);
}

/* What could not be committed waits for the next try, but for rows that have changed since. Lock held. */
static void take_back(struct store *s)
{
	while (!list_is_empty(&s->batch)) {
		struct change *c = container_of(s->batch.prev, struct change, link);
		CLEANUP(freep) char *row = row_name(c->kind, c->id);

		list_remove(&c->link);
		if (map_has(&s->by_row, row)) {
			change_free(c);
			continue;
		}
		map_put(&s->by_row, row, c);
		list_insert_before(s->pending.next, &c->link);
	}
	s->commit_failed = false;
}

static void on_wake(uv_async_t *a)
{
	struct store *s = a->data;

	if (s->db) {
		pthread_mutex_lock(&s->lock);
		if (s->commit_failed) {
			take_back(s);
			snprintf(s->failure, sizeof(s->failure), "state cannot be saved: %s", s->commit_error);
			s->has_failed = true;
		} else {
			s->has_failed = s->has_failed && s->durable == s->committed;
			s->durable = s->committed;
			hand_over(s);
		}
		pthread_mutex_unlock(&s->lock);
	}
	run_waiters(s);
}

static struct change *change_for(struct store *s, const char *kind, const char *id)
{
	CLEANUP(freep) char *row = row_name(kind, id);
	struct change *c = map_get(&s->by_row, row);

	if (c) {
		/* The row goes to the end: order of changes is the order of commits. */
		list_remove(&c->link);
		free(c->json);
		c->json = NULL;
	} else {
		c = xnew(struct change);
		c->kind = xstrdup(kind);
		c->id = xstrdup(id);
		list_init(&c->link);
		map_put(&s->by_row, row, c);
	}
	list_append(&s->pending, &c->link);
	return c;
}

static void record(struct store *s, const char *kind, const char *id, char *take_json)
{
	s->ticket++;
	if (!s->db) {
		s->durable = s->ticket;
		free(take_json);
		return;
	}
	change_for(s, kind, id)->json = take_json;
	try_commit(s);
}

void store_put(struct store *s, const char *kind, const char *id, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!text)
		abort(); /* out of memory, or not a JSON value of ours */
	record(s, kind, id, text);
}

void store_delete(struct store *s, const char *kind, const char *id)
{
	record(s, kind, id, NULL);
}

uint64_t store_ticket(const struct store *s)
{
	return s->ticket;
}

bool store_is_durable(const struct store *s, uint64_t ticket)
{
	return ticket <= s->durable;
}

void store_on_durable(struct store *s, uint64_t ticket, void (*cb)(void *arg), void *arg)
{
	struct waiter *w = xnew(struct waiter);
	struct list *at = &s->waiters;

	w->ticket = ticket;
	w->cb = cb;
	w->arg = arg;
	list_init(&w->link);
	/* Nearly always the newest ticket: look from the end. */
	while (at->prev != &s->waiters && container_of(at->prev, struct waiter, link)->ticket > ticket)
		at = at->prev;
	list_insert_before(at, &w->link);
	if (store_is_durable(s, ticket))
		uv_async_send(&s->wake);
	else
		try_commit(s); /* after a failure: whoever asks makes us try again */
}

bool store_has_failed(const struct store *s, struct error *err)
{
	if (s->has_failed)
		error_set(err, -EIO, "%s", s->failure);
	return s->has_failed;
}

/* ---- opening and closing ---- */

static int db_error(struct store *s, struct error *err, const char *what)
{
	int code = s->db ? sqlite3_errcode(s->db) : SQLITE_NOMEM;

	if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		return error_set_class(err, ERROR_CONFLICT, "%s: in use by another process", what);
	return error_set(err, -EIO, "%s: %s", what, s->db ? sqlite3_errmsg(s->db) : "out of memory");
}

/* Exclusive locking keeps a second daemon out and lets WAL live without shared memory.
 * seq is the order in which rows came: without AUTOINCREMENT it is still the highest plus
 * one, and nothing else has to be written for it. */
static const char schema[] = "PRAGMA locking_mode = EXCLUSIVE;"
			     "PRAGMA journal_mode = WAL;"
			     "PRAGMA synchronous = NORMAL;"
			     "CREATE TABLE IF NOT EXISTS row ("
			     " seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL,"
			     " value TEXT NOT NULL, UNIQUE (kind, id));"
			     "BEGIN EXCLUSIVE; COMMIT;";

static int db_open(struct store *s, const char *path, struct error *err)
{
	CLEANUP(freep) char *file = xasprintf("%s/state.db", path);

	if (sqlite3_open_v2(file, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_FULLMUTEX,
			    NULL) != SQLITE_OK ||
	    sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(s, err, file);
	if (sqlite3_prepare_v2(s->db,
			       "INSERT INTO row (kind, id, value) VALUES (?1, ?2, ?3)"
			       " ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value",
			       -1, &s->put, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(s->db, "DELETE FROM row WHERE kind = ?1 AND id = ?2", -1, &s->del, NULL) != SQLITE_OK)
		return db_error(s, err, file);
	return 0;
}

static void db_close(struct store *s)
{
	sqlite3_finalize(s->put);
	sqlite3_finalize(s->del);
	sqlite3_close(s->db);
	s->db = NULL;
}

static void on_closed(uv_handle_t *h)
{
	struct store *s = h->data;

	map_done(&s->by_row);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}

int store_open(uv_loop_t *loop, const char *path, struct store **ret, struct error *err)
{
	struct store *s = xnew(struct store);
	int r;

	list_init(&s->pending);
	list_init(&s->batch);
	list_init(&s->waiters);
	map_init(&s->by_row);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	r = path ? db_open(s, path, err) : 0;
	if (r == 0 && uv_async_init(loop, &s->wake, on_wake) < 0)
		r = error_set(err, -EMFILE, "store: no event handle");
	if (r < 0) {
		db_close(s);
		free(s);
		return r;
	}
	s->wake.data = s;
	uv_unref((uv_handle_t *)&s->wake);
	if (s->db && pthread_create(&s->writer, NULL, writer_main, s)) {
		r = error_set(err, -EAGAIN, "store: cannot start its writer thread");
		db_close(s);
		uv_close((uv_handle_t *)&s->wake, on_closed);
		return r;
	}
	*ret = s;
	return 0;
}

/* The last commit; whoever waits for it is told how it went. */
static void end_writer(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	while (s->is_batch_ready)
		pthread_cond_wait(&s->changed, &s->lock);
	if (s->commit_failed)
		take_back(s);
	hand_over(s);
	s->is_ending = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->writer, NULL);
	s->durable = s->committed;
	s->has_failed = s->commit_failed;
	if (s->has_failed)
		snprintf(s->failure, sizeof(s->failure), "state cannot be saved: %s", s->commit_error);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->db) {
		end_writer(s);
		db_close(s);
	}
	run_waiters(s);
	changes_free(&s->pending);
	changes_free(&s->batch);
	uv_close((uv_handle_t *)&s->wake, on_closed);
}

int store_load(struct store *s, const char *kind, int (*each)(void *arg, const char *id, json_t *value), void *arg,
	       struct error *err)
{
	sqlite3_stmt *st = NULL;
	int r = 0;

	if (!s->db)
		return 0;
	if (sqlite3_prepare_v2(s->db, "SELECT id, value FROM row WHERE kind = ?1 ORDER BY seq", -1, &st, NULL) != SQLITE_OK)
		return db_error(s, err, "state.db");
	sqlite3_bind_text(st, 1, kind, -1, SQLITE_STATIC);
	while (r == 0 && sqlite3_step(st) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(st, 0);
		json_t *value = json_loads((const char *)sqlite3_column_text(st, 1), JSON_DECODE_ANY, NULL);

		if (!value) {
			r = error_set(err, -EBADMSG, "state.db: row %s %s is damaged", kind, id);
			break;
		}
		r = each(arg, id, value);
		json_decref(value);
	}
	sqlite3_finalize(st);
	return r;
}
