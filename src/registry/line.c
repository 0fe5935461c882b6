/* Lines of progress, as Docker's streamformatter writes them and its CLI draws them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/internal.h"
#include "util/alloc.h"

void line_id(const char *digest, char ret[13])
{
	snprintf(ret, 13, "%.12s", strncmp(digest, "sha256:", 7) == 0 ? digest + 7 : digest);
}

json_t *line_status(const char *id, char *take_text)
{
	json_t *line = json_pack("{s:s}", "status", take_text);

	if (id)
		json_object_set_new(line, "id", json_string(id));
	free(take_text);
	return line;
}

/* "1.049MB": four digits, powers of ten (go-units: HumanSize). */
static void human(double bytes, char ret[32])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	size_t i = 0;

	while (bytes >= 1000 && i < 5) {
		bytes /= 1000;
		i++;
	}
	snprintf(ret, 32, "%.4g%s", bytes, units[i]);
}

json_t *line_bytes(const char *id, const char *status, int64_t current, int64_t total)
{
	char have[32], all[32], bar[160];
	json_t *detail;
	int done = total > 0 ? (int)((double)current / (double)total * 100) / 2 : 0;

	done = done > 50 ? 50 : done;
	human((double)current, have);
	human((double)total, all);
	if (total <= 0)
		snprintf(bar, sizeof(bar), "%8s", have);
	else
		snprintf(bar, sizeof(bar), "[%.*s>%*s] %8s/%s", done,
			 "==================================================", 50 - done, "", have, all);
	detail = json_object();
	if (current > 0)
		json_object_set_new(detail, "current", json_integer(current));
	if (total > 0)
		json_object_set_new(detail, "total", json_integer(total));
	return json_pack("{s:s, s:o, s:s, s:s}", "status", status, "progressDetail", detail, "progress", bar, "id", id);
}
