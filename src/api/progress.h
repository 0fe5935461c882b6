/* Lines of progress as Docker's streamformatter writes them: JSON objects, each ended by "\r\n". Loop thread. */
#ifndef SOCKERLESS_API_PROGRESS_H
#define SOCKERLESS_API_PROGRESS_H

#include <stdint.h>

#include <jansson.h>

#include "util/error.h"
#include "util/stream.h"

void progress_line(struct stream *s, json_t *take_line);
/* {"status":…,"id":…}; id may be NULL. Takes the text. */
void progress_status(struct stream *s, const char *id, char *take_text);
/* {"status":…,"progressDetail":{"current":…,"total":…},"id":…}: the id is the beginning of a digest. */
void progress_amount(struct stream *s, const char *digest, const char *status, uint64_t current, uint64_t total);
/* {"stream":…} */
void progress_text(struct stream *s, const char *text);
/* {"errorDetail":{"message":…},"error":…} */
void progress_error(struct stream *s, const struct error *err);

#endif
