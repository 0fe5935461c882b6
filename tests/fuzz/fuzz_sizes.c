/* Sizes and options of tmpfs, logs, and the names of signals. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "engine/internal.h"
#include "engine/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct tmpfs_options tmpfs;
	struct log_limits limits;
	struct error err = { 0 };
	json_t *value = json_string(text), *config;
	int signo = signal_number(text);

	FUZZ_CHECK(signo < 0 || (signo >= 1 && signo <= 64));
	if (tmpfs_parse(text, &tmpfs, &err) == 0)
		FUZZ_CHECK((tmpfs.mode & ~(mode_t)07777) == 0);
	if (value) {
		config = json_pack("{s:s, s:{s:O}}", "Type", "json-file", "Config", "max-size", value);
		if (log_parse_config(config, &limits, &err) == 0)
			FUZZ_CHECK(limits.max_bytes > 0);
		json_decref(config);
		config = json_pack("{s:O, s:{s:s}}", "Type", value, "Config", "max-file", "3");
		if (log_parse_config(config, &limits, &err) == 0)
			FUZZ_CHECK(limits.max_files >= 1);
		json_decref(config);
	}
	json_decref(value);
	free(text);
	return 0;
}
