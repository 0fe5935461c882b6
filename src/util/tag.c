#include "util/tag.h"

#include <string.h>

bool tag_is_valid(const char *tag)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t n = strlen(tag);

	return n > 0 && n <= TAG_MAX && strspn(tag, allowed) == n && tag[0] != '.' && tag[0] != '-';
}
