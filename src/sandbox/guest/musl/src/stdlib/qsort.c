/* Merge sort, because smoothsort's many indirect compare calls and moves made
 * sorting several times slower. Falls back to heap sort, which needs no
 * memory, when there is none. */
#define _BSD_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int (*compare_fn)(const void *, const void *, void *);

struct sort {
	size_t width;
	compare_fn compare;
	void *arg;
};

enum { RUN = 8, LOCAL_BYTES = 512 };

static void move(const struct sort *s, char *to, const char *from)
{
	/* Arrays of pointers and ints are nearly all that is ever sorted. */
	if (s->width == 4)
		memcpy(to, from, 4);
	else if (s->width == 8)
		memcpy(to, from, 8);
	else
		memcpy(to, from, s->width);
}

static void swap(char *a, char *b, size_t width)
{
	for (size_t i = 0; i < width; i++) {
		char c = a[i];

		a[i] = b[i];
		b[i] = c;
	}
}

static void insertion_sort(const struct sort *s, char *base, size_t n, char *one)
{
	size_t w = s->width;

	for (size_t i = 1; i < n; i++) {
		char *to = base + i * w;

		if (s->compare(to - w, to, s->arg) <= 0)
			continue;
		move(s, one, to);
		do {
			move(s, to, to - w);
			to -= w;
		} while (to > base && s->compare(to - w, one, s->arg) > 0);
		move(s, to, one);
	}
}

/* Sorts base in place; tmp has room for half of it, and at least one item. */
static void merge_sort(const struct sort *s, char *base, size_t n, char *tmp)
{
	size_t w = s->width, half = n / 2;
	char *mid = base + half * w, *end = base + n * w;
	char *left = tmp, *left_end = tmp + half * w, *right = mid, *to = base;

	if (n <= RUN) {
		insertion_sort(s, base, n, tmp);
		return;
	}
	merge_sort(s, base, half, tmp);
	merge_sort(s, mid, n - half, tmp);
	if (s->compare(mid - w, mid, s->arg) <= 0)
		return;
	memcpy(tmp, base, half * w);
	while (left < left_end && right < end) {
		if (s->compare(left, right, s->arg) <= 0) {
			move(s, to, left);
			left += w;
		} else {
			move(s, to, right);
			right += w;
		}
		to += w;
	}
	/* What is left on the right side is in place already. */
	memcpy(to, left, (size_t)(left_end - left));
}

static void sift_down(const struct sort *s, char *base, size_t root, size_t n)
{
	size_t w = s->width, child;

	while ((child = 2 * root + 1) < n) {
		if (child + 1 < n &&
		    s->compare(base + child * w, base + (child + 1) * w, s->arg) < 0)
			child++;
		if (s->compare(base + root * w, base + child * w, s->arg) >= 0)
			return;
		swap(base + root * w, base + child * w, w);
		root = child;
	}
}

static void heap_sort(const struct sort *s, char *base, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(s, base, i, n);
	while (n-- > 1) {
		swap(base, base + n * s->width, s->width);
		sift_down(s, base, 0, n);
	}
}

void __qsort_r(void *base, size_t n, size_t width, compare_fn compare, void *arg)
{
	struct sort s = { .width = width, .compare = compare, .arg = arg };
	char local[LOCAL_BYTES];
	char *tmp = local;
	size_t need;

	if (n < 2 || width == 0)
		return;
	need = (n / 2 > 0 ? n / 2 : 1) * width; /* fits: the array does */
	if (need > sizeof local)
		tmp = malloc(need);
	if (!tmp) {
		heap_sort(&s, base, n);
		return;
	}
	merge_sort(&s, base, n, tmp);
	if (tmp != local)
		free(tmp);
}

weak_alias(__qsort_r, qsort_r);
