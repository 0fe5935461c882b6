/* Prints the tables of docs/docker_api_mapping.md out of the route table and api-facts.h. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "support/api-facts.h"
#include "util/cleanup.h"

static const char *const slots[] = {
	[SLOT_NONE] = "–",        [SLOT_EXEC] = "exec",           [SLOT_FILESYSTEM] = "filesystem",
	[SLOT_STREAM] = "stream", [SLOT_LIFECYCLE] = "lifecycle",
};

static const struct route *find(const char *operation, size_t n)
{
	for (size_t i = 0; i < api_route_count; i++)
		if (strncmp(api_routes[i].operation, operation, n) == 0 && !api_routes[i].operation[n] && api_routes[i].handler)
			return &api_routes[i];
	return NULL;
}

static const char *difference(const char *operation)
{
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++)
		if (strcmp(differences[i].operation, operation) == 0)
			return differences[i].text;
	return "";
}

static void print_served(void)
{
	puts("## Endpoints\n");
	puts("| operation | method | path | driver slot | state | differs from Docker |");
	puts("|---|---|---|---|---|---|");
	for (size_t i = 0; i < api_route_count; i++)
		printf("| %s | %s | `%s` | %s | %s | %s |\n", api_routes[i].operation, api_routes[i].method,
		       api_routes[i].pattern, slots[api_routes[i].slot], api_routes[i].state,
		       difference(api_routes[i].operation));
}

static void print_not_served(void)
{
	puts("\n## Endpoints of the specification that are not served\n");
	puts("| operation | method | path |");
	puts("|---|---|---|");
	for (size_t i = 0; i < ARRAY_SIZE(known_operations); i++) {
		const struct known_operation *k = &known_operations[i];

		if (!find(k->operation, strlen(k->operation)))
			printf("| %s | %s | `%s` |\n", k->operation, k->method, k->path);
	}
}

static bool is_full(const struct route *r)
{
	return strcmp(r->state, "full") == 0;
}

/* "full", or what is missing of it. */
static void print_state(const struct cli_command *c)
{
	bool has_gap = false;

	for (const char *p = c->operations; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");
		const struct route *r = find(p, n);

		if (!r)
			printf("%s%.*s is not served", has_gap ? "; " : "", (int)n, p);
		else if (!is_full(r))
			printf("%s%s: %s", has_gap ? "; " : "", r->operation, r->state);
		has_gap = has_gap || !r || !is_full(r);
		p += n;
	}
	if (!has_gap)
		printf("full");
	if (*c->note)
		printf("; %s", c->note);
}

static void print_commands(void)
{
	puts("\n## Commands of the docker CLI\n");
	puts("| command | operations | state |");
	puts("|---|---|---|");
	for (size_t i = 0; i < ARRAY_SIZE(cli_commands); i++) {
		printf("| docker %s | %s | ", cli_commands[i].command,
		       *cli_commands[i].operations ? cli_commands[i].operations : "–");
		print_state(&cli_commands[i]);
		puts(" |");
	}
}

int main(void)
{
	puts("<!-- made by make docs -->\n");
	print_served();
	print_commands();
	print_not_served();
	return 0;
}
