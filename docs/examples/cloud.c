#include "cloud.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TURN_US = 20000, TICK_TURNS = 5, LINES_MAX = 1000 };

enum state { COMING_UP, RUNNING, ENDED };

struct task {
	struct task *next;
	char id[65], command[256];
	enum state state;
	int signo; /* 0: nobody has stopped it */
	unsigned turns, ticks;
	char *lines[LINES_MAX];
	int nlines;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_t thread;
static struct task *tasks;
static int is_over;
static void (*tell)(const char *id, enum cloud_news what, int code, const char *line);

static struct task *find(const char *id)
{
	struct task *t = tasks;

	while (t && strcmp(t->id, id) != 0)
		t = t->next;
	return t;
}

static void write_line(struct task *t, const char *text)
{
	char line[300];

	snprintf(line, sizeof(line), "%s\n", text);
	if (t->nlines < LINES_MAX)
		t->lines[t->nlines++] = strdup(line);
	tell(t->id, CLOUD_LINE, 0, line);
}

static void end(struct task *t, int code)
{
	t->state = ENDED;
	tell(t->id, CLOUD_ENDED, code, "");
}

static void run(struct task *t)
{
	char text[64];

	if (t->signo) {
		end(t, 128 + t->signo);
	} else if (strncmp(t->command, "exit ", 5) == 0) {
		end(t, atoi(t->command + 5));
	} else if (strncmp(t->command, "echo ", 5) == 0) {
		write_line(t, t->command + 5);
		end(t, 0);
	} else if (++t->turns % TICK_TURNS == 0) {
		snprintf(text, sizeof(text), "tick %u", ++t->ticks);
		write_line(t, text);
	}
}

static void come_up(struct task *t)
{
	if (strncmp(t->command, "fail", 4) == 0) {
		t->state = ENDED;
		tell(t->id, CLOUD_FAILED, 0, "the cloud has no capacity");
	} else {
		t->state = RUNNING;
		tell(t->id, CLOUD_RUNNING, 0, "");
	}
}

static void *serve(void *arg)
{
	int is_on = 1;

	(void)arg;
	while (is_on) {
		usleep(TURN_US);
		pthread_mutex_lock(&mutex);
		for (struct task *t = tasks; t; t = t->next) {
			if (t->state == COMING_UP)
				come_up(t);
			else if (t->state == RUNNING)
				run(t);
		}
		is_on = !is_over;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

void cloud_open(void (*on_news)(const char *id, enum cloud_news what, int code, const char *line))
{
	tell = on_news;
	pthread_create(&thread, NULL, serve, NULL);
}

static void task_free(struct task *t)
{
	for (int i = 0; i < t->nlines; i++)
		free(t->lines[i]);
	free(t);
}

void cloud_close(void)
{
	pthread_mutex_lock(&mutex);
	is_over = 1;
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	while (tasks) {
		struct task *t = tasks;

		tasks = t->next;
		task_free(t);
	}
}

void cloud_run(const char *id, const char *command)
{
	struct task *t;

	pthread_mutex_lock(&mutex);
	t = find(id);
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			abort();
		snprintf(t->id, sizeof(t->id), "%s", id);
		t->next = tasks;
		tasks = t;
	}
	snprintf(t->command, sizeof(t->command), "%s", command);
	t->state = COMING_UP;
	t->signo = 0;
	pthread_mutex_unlock(&mutex);
}

int cloud_stop(const char *id, int signo)
{
	struct task *t;
	int is_there;

	pthread_mutex_lock(&mutex);
	t = find(id);
	is_there = t && t->state != ENDED;
	if (is_there)
		t->signo = signo;
	pthread_mutex_unlock(&mutex);
	return is_there;
}

int cloud_is_running(const char *id)
{
	const struct task *t;
	int is_running;

	pthread_mutex_lock(&mutex);
	t = find(id);
	is_running = t && t->state == RUNNING;
	pthread_mutex_unlock(&mutex);
	return is_running;
}

void cloud_logs(const char *id, int n, void (*each)(void *arg, const char *line), void *arg)
{
	const struct task *t;

	pthread_mutex_lock(&mutex);
	t = find(id);
	for (int i = t && n >= 0 && n < t->nlines ? t->nlines - n : 0; t && i < t->nlines; i++)
		each(arg, t->lines[i]);
	pthread_mutex_unlock(&mutex);
}

void cloud_delete(const char *id)
{
	pthread_mutex_lock(&mutex);
	for (struct task **at = &tasks; *at; at = &(*at)->next)
		if (strcmp((*at)->id, id) == 0) {
			struct task *t = *at;

			*at = t->next;
			task_free(t);
			break;
		}
	pthread_mutex_unlock(&mutex);
}
