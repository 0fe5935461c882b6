/* Look-up of programs by the names they answer to. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/kernel/module.h"

static int compare_names(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

bool guest_module_has_applet(const struct guest_module *m, const char *name)
{
	return bsearch(name, m->applets, m->applet_count, sizeof(*m->applets), compare_names) != NULL;
}

const struct guest_module *guest_module_for_applet(const char *name)
{
	for (const struct guest_module *const *m = guest_modules; *m; m++)
		if (guest_module_has_applet(*m, name))
			return *m;
	return NULL;
}
