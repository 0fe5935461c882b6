/* Platforms of images, and which one of several a host can best run (containerd: platforms.Only). Pure. */
#ifndef SOCKERLESS_FETCH_PLATFORM_H
#define SOCKERLESS_FETCH_PLATFORM_H

struct platform {
	char os[32], architecture[32], variant[16];
};

/* The newest variant that this host runs. */
void platform_host(struct platform *ret);
/* "x86_64" → "amd64", "aarch64" and arm64's v8 → "arm64", arm without variant → v7. */
void platform_normalise(struct platform *p);
/* How well `offered` serves who wants `wanted`, both normalised: -1 not at all; more is better. */
int platform_rank(const struct platform *wanted, const struct platform *offered);
/* "linux/arm64/v8" */
void platform_format(const struct platform *p, char ret[96]);

#endif
