// SPDX-License-Identifier: Apache-2.0
#include "sandbox/plan/cache.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

struct plan_cache {
    int mounts_fd; /* tells by poll(2) when mounts have changed; -1: nothing is kept of them */
    bool has_layout;
    struct cgroup_layout layout;
    struct sock_filter *filter; /* NULL: none */
    size_t n_filter;
    uint64_t caps; /* of filter */
};

struct plan_cache *plan_cache_new(void)
{
    struct plan_cache *c = calloc(1, sizeof *c);
    if (c)
        c->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    return c;
}

void plan_cache_free(struct plan_cache *c)
{
    if (!c)
        return;
    zl_closep(&c->mounts_fd);
    free(c->filter);
    free(c);
}

/* Since the last time it was asked (proc(5), /proc/PID/mounts). */
static bool mounts_changed(const struct plan_cache *c)
{
    struct pollfd p = { .fd = c->mounts_fd, .events = POLLPRI };
    return c->mounts_fd < 0 || poll(&p, 1, 0) != 0;
}

int plan_cache_layout(struct plan_cache *c, struct cgroup_layout *ret, struct zl_error *err)
{
    if (!c)
        return cgroup_layout_probe("/sys/fs/cgroup", ret, err);
    if (mounts_changed(c) || !c->has_layout) {
        c->has_layout = false;
        if (cgroup_layout_probe("/sys/fs/cgroup", &c->layout, err) < 0)
            return -1;
        c->has_layout = true;
    }
    *ret = c->layout;
    return 0;
}

const struct sock_filter *plan_cache_filter(const struct plan_cache *c, uint64_t caps,
                                            size_t *ret_n)
{
    if (!c || c->caps != caps)
        return NULL;
    *ret_n = c->n_filter;
    return c->filter;
}

void plan_cache_keep_filter(struct plan_cache *c, uint64_t caps, const struct sock_filter *v,
                            size_t n)
{
    struct sock_filter *copy = c ? malloc(n * sizeof *copy) : NULL;
    if (!copy)
        return;
    memcpy(copy, v, n * sizeof *copy);
    free(c->filter);
    c->filter = copy;
    c->n_filter = n;
    c->caps = caps;
}
