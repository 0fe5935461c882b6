/* Prints the endpoint table of docs/docker_api_mapping.md out of the route table. */
#include <stdio.h>

#include "api/api.h"

int main(void)
{
	static const char *const slots[] = {
		[SLOT_NONE] = "–", [SLOT_EXEC] = "exec", [SLOT_FILESYSTEM] = "filesystem", [SLOT_STREAM] = "stream",
		[SLOT_LIFECYCLE] = "lifecycle",
	};

	puts("| operation | method | path | driver slot | state |");
	puts("|---|---|---|---|---|");
	for (size_t i = 0; i < api_route_count; i++)
		printf("| %s | %s | `%s` | %s | %s |\n", api_routes[i].operation, api_routes[i].method, api_routes[i].pattern,
		       slots[api_routes[i].slot], api_routes[i].state);
	return 0;
}
