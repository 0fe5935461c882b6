#include "api/progress.h"

#include <stdlib.h>
#include <string.h>

void progress_line(struct stream *s, json_t *take_line)
{
	char *text = json_dumps(take_line, JSON_COMPACT);

	stream_write(s, text, strlen(text));
	stream_write(s, "\r\n", 2);
	free(text);
	json_decref(take_line);
}

void progress_status(struct stream *s, const char *id, char *take_text)
{
	progress_line(s, id ? json_pack("{s:s, s:s}", "status", take_text, "id", id) : json_pack("{s:s}", "status", take_text));
	free(take_text);
}

void progress_amount(struct stream *s, const char *digest, const char *status, uint64_t current, uint64_t total)
{
	const char *hex = strncmp(digest, "sha256:", 7) == 0 ? digest + 7 : digest;

	progress_line(s, json_pack("{s:s, s:{s:I, s:I}, s:o}", "status", status, "progressDetail", "current",
				   (json_int_t)current, "total", (json_int_t)total, "id", json_sprintf("%.12s", hex)));
}

void progress_text(struct stream *s, const char *text)
{
	progress_line(s, json_pack("{s:s}", "stream", text));
}

void progress_error(struct stream *s, const struct error *err)
{
	progress_line(s, json_pack("{s:{s:s}, s:s}", "errorDetail", "message", err->message, "error", err->message));
}
