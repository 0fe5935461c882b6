#include "fetch/certs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <curl/curl.h>

#include "util/alloc.h"
#include "util/cleanup.h"

static bool has_end(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n > k && strcmp(name + n - k, end) == 0;
}

static int append_file(int to, int dir_fd, const char *path)
{
	CLEANUP(closep) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	char data[16384];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, data, sizeof(data))) > 0)
		if (write(to, data, (size_t)n) != n)
			return -EIO;
	return n < 0 || write(to, "\n", 1) != 1 ? -EIO : 0;
}

/* libcurl takes one file: both kinds of authorities go into one that has no name. */
static int add_authority(struct certs *c, int dir_fd, const char *name)
{
	const char *system = curl_version_info(CURLVERSION_NOW)->cainfo;

	if (!c->ca_fd) {
		c->ca_fd = memfd_create("authorities", MFD_CLOEXEC);
		if (c->ca_fd < 0)
			return -errno;
		c->ca_file = xasprintf("/proc/self/fd/%d", c->ca_fd);
		if (system)
			append_file(c->ca_fd, AT_FDCWD, system);
	}
	return append_file(c->ca_fd, dir_fd, name);
}

int certs_open(struct certs *c, const char *dir, const char *domain, struct error *err)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s", dir, domain);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!d)
		return 0;
	while (r == 0 && (entry = readdir(d))) {
		const char *name = entry->d_name;

		if (has_end(name, ".crt"))
			r = add_authority(c, fd, name);
		if (has_end(name, ".cert") && !c->cert) {
			c->cert = xasprintf("%s/%s", path, name);
			c->key = xasprintf("%s/%.*s.key", path, (int)strlen(name) - 5, name);
			if (access(c->key, F_OK) < 0)
				r = -ENOENT;
		}
		if (r == -ENOENT)
			r = error_set_class(err, ERROR_INVALID, "missing key %s for client certificate %s", c->key, name);
		else if (r < 0)
			r = error_set_class(err, ERROR_INVALID, "the certificate %s/%s cannot be read", path, name);
	}
	closedir(d);
	c->trust.ca_file = c->ca_file;
	c->trust.cert = c->cert;
	c->trust.key = c->key;
	return r;
}

void certs_done(struct certs *c)
{
	if (c->ca_fd > 0)
		close(c->ca_fd);
	free(c->ca_file);
	free(c->cert);
	free(c->key);
}
