/* Request targets: version, path, query; and the routes over the path. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "api/api.h"
#include "http/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct router *router;
	struct request req = { .target = fuzz_text(data, size), .version = API_VERSION_MAX };

	if (!router)
		router_new(api_routes, api_route_count, &router, NULL);
	request_parse_target(&req);
	FUZZ_CHECK(req.path && strlen(req.path) <= size);
	for (size_t i = 0; i < api_route_count; i++) {
		struct route_match m;

		if (!router_match(router, api_routes[i].method, req.path, &m))
			continue;
		FUZZ_CHECK(m.route && m.nparams <= ROUTE_MAX_PARAMS);
		for (size_t k = 0; k < m.nparams; k++)
			FUZZ_CHECK(m.values[k] != NULL);
		route_match_done(&m);
	}
	for (size_t i = 0; i < req.nqueries; i++) {
		free(req.queries[i].key);
		free(req.queries[i].value);
	}
	free(req.queries);
	free(req.version_said);
	free(req.path);
	free(req.target);
	return 0;
}
