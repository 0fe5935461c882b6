/* Users and groups: the guest's own, kept here and in the table's slot. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/kernel/kernel.h"

static struct rootfs_cred cred;

const struct rootfs_cred *process_cred(void)
{
	cred.uid = self.fsuid;
	cred.gid = self.fsgid;
	cred.groups = self.groups;
	cred.ngroups = self.ngroups;
	cred.umask = self.umask;
	return &cred;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void process_set_groups(const uint32_t *groups, size_t n)
{
	self.ngroups = n;
	memcpy(self.groups, groups, n * sizeof(*groups));
	qsort(self.groups, n, sizeof(*self.groups), by_number);
}

bool process_is_root(void)
{
	return self.euid == 0;
}

static void publish(void)
{
	self.fsuid = self.euid;
	self.fsgid = self.egid;
	self.slot->uid = self.ruid;
	self.slot->gid = self.rgid;
	self.slot->euid = self.euid;
	self.slot->egid = self.egid;
}

void process_take_ids(const struct exec_image *image)
{
	if (image->is_setuid)
		self.euid = image->uid;
	if (image->is_setgid)
		self.egid = image->gid;
	self.suid = self.euid;
	self.sgid = self.egid;
	publish();
}

SYS(getuid)
{
	return self.ruid;
}
SYS(geteuid)
{
	return self.euid;
}
SYS(getgid)
{
	return self.rgid;
}
SYS(getegid)
{
	return self.egid;
}

/* One rule for all set*id calls: each new value must be one of the three held, or root asks. */
static int set_ids(uint32_t held[3], const uint32_t wanted[3])
{
	for (int i = 0; i < 3; i++) {
		uint32_t v = wanted[i];

		if (v != UINT32_MAX && !process_is_root() && v != held[0] && v != held[1] && v != held[2])
			return -EPERM;
	}
	for (int i = 0; i < 3; i++)
		if (wanted[i] != UINT32_MAX)
			held[i] = wanted[i];
	return 0;
}

static int set_uids(uint32_t r, uint32_t e, uint32_t s)
{
	uint32_t held[3] = { self.ruid, self.euid, self.suid }, wanted[3] = { r, e, s };
	int result = set_ids(held, wanted);

	if (result < 0)
		return result;
	self.ruid = held[0], self.euid = held[1], self.suid = held[2];
	publish();
	return 0;
}

static int set_gids(uint32_t r, uint32_t e, uint32_t s)
{
	uint32_t held[3] = { self.rgid, self.egid, self.sgid }, wanted[3] = { r, e, s };
	int result = set_ids(held, wanted);

	if (result < 0)
		return result;
	self.rgid = held[0], self.egid = held[1], self.sgid = held[2];
	publish();
	return 0;
}

SYS(setuid)
{
	uint32_t id = (uint32_t)a[0];

	return process_is_root() ? set_uids(id, id, id) : set_uids(UINT32_MAX, id, UINT32_MAX);
}

SYS(setgid)
{
	uint32_t id = (uint32_t)a[0];

	return process_is_root() ? set_gids(id, id, id) : set_gids(UINT32_MAX, id, UINT32_MAX);
}

SYS(setreuid)
{
	uint32_t r = (uint32_t)a[0], e = (uint32_t)a[1];

	return set_uids(r, e, r != UINT32_MAX || e != UINT32_MAX ? e : UINT32_MAX);
}

SYS(setregid)
{
	uint32_t r = (uint32_t)a[0], e = (uint32_t)a[1];

	return set_gids(r, e, r != UINT32_MAX || e != UINT32_MAX ? e : UINT32_MAX);
}

SYS(setresuid)
{
	return set_uids((uint32_t)a[0], (uint32_t)a[1], (uint32_t)a[2]);
}
SYS(setresgid)
{
	return set_gids((uint32_t)a[0], (uint32_t)a[1], (uint32_t)a[2]);
}

static int copy_three(const uint64_t a[6], uint32_t r, uint32_t e, uint32_t s)
{
	if (copy_out(a[0], &r, 4) < 0 || copy_out(a[1], &e, 4) < 0 || copy_out(a[2], &s, 4) < 0)
		return -EFAULT;
	return 0;
}

SYS(getresuid)
{
	return copy_three(a, self.ruid, self.euid, self.suid);
}
SYS(getresgid)
{
	return copy_three(a, self.rgid, self.egid, self.sgid);
}
SYS(setfsuid)
{
	return self.fsuid;
}
SYS(setfsgid)
{
	return self.fsgid;
}

SYS(getgroups)
{
	size_t n = a[0] & UINT32_MAX;

	if (n == 0)
		return (int64_t)self.ngroups;
	if (n < self.ngroups)
		return -EINVAL;
	return copy_out(a[1], self.groups, self.ngroups * 4) < 0 ? -EFAULT : (int64_t)self.ngroups;
}

SYS(setgroups)
{
	size_t n = a[0] & UINT32_MAX;
	uint32_t groups[64];

	if (!process_is_root())
		return -EPERM;
	if (n > 64)
		return -EINVAL;
	if (n && copy_in(groups, a[1], n * 4) < 0)
		return -EFAULT;
	process_set_groups(groups, n);
	return 0;
}

SYS(umask)
{
	uint32_t old = self.umask;

	self.umask = (uint32_t)a[0] & 0777;
	return old;
}
