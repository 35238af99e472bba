// SPDX-License-Identifier: Apache-2.0
/* events: a line of JSON for each look at the counters and for each process that the OOM killer
 * ended, until the container ends. */
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "ocicli/container.h"
#include "ocicli/stats.h"

struct events_options {
    uint64_t interval; /* ms */
    bool stats;
};

/* v1 tells that the limit was hit a moment before the kernel has counted its victim. */
enum { LOOK_AGAIN_MS = 50, DEFAULT_INTERVAL_MS = 5000 };

struct watching {
    struct carry *carry;
    const char *id;
    uint64_t interval, kills;
    uint64_t next; /* look at the counters, zl_mono_ms() */
    int pidfd, oom_fd;
    short oom_events;
    bool look_again;
};

static int print_event(const char *type, const char *id, json_t *data, struct zl_error *err)
{
    json_t *root = json_pack("{ss ss}", "type", type, "id", id);

    if (root && data)
        (void)json_object_set(root, "data", data);
    return oci_print_json(root, JSON_COMPACT, err);
}

static int print_stats(struct carry *carry, const char *id, struct zl_error *err)
{
    struct cgroup_stats stats;
    json_t *data;
    int rc;

    if (carry_stats(carry, &stats, err) < 0)
        return -1;
    data = stats_json(&stats);
    rc = data ? print_event("stats", id, data, err)
              : zl_fail(err, ZL_ERR_SYSTEM, "print statistics: out of memory");
    json_decref(data);
    cgroup_stats_done(&stats);
    return rc;
}

static int tell_oom(struct watching *w, struct zl_error *err)
{
    uint64_t kills, peak;

    if (carry_oom_kills(w->carry, &kills, &peak, NULL) < 0)
        return 0; /* the cgroup is going */
    for (; w->kills < kills; w->kills++)
        if (print_event("oom", w->id, NULL, err) < 0)
            return -1;
    return 0;
}

/* eventfd(2) is emptied by a read, a cgroup file's event by reading it from its start. */
static void clear_oom(struct watching *w)
{
    char seen[512];

    if (read(w->oom_fd, seen, sizeof seen) < 0 || pread(w->oom_fd, seen, sizeof seen, 0) < 0)
        if (errno != ESPIPE && errno != EAGAIN)
            w->oom_fd = -1;
}

static int timeout_of(const struct watching *w)
{
    uint64_t now = zl_mono_ms();
    uint64_t left = w->next > now ? w->next - now : 0;

    if (w->look_again && left > LOOK_AGAIN_MS)
        left = LOOK_AGAIN_MS;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

/* 1: the container has ended. */
static int serve(struct watching *w, struct zl_error *err)
{
    struct pollfd fds[] = { { .fd = w->pidfd, .events = POLLIN },
                            { .fd = w->oom_fd, .events = w->oom_events } };

    if (poll(fds, ZL_ARRAY_LEN(fds), timeout_of(w)) < 0 && errno != EINTR)
        return zl_fail_errno(err, "wait for events");
    w->look_again = fds[1].revents != 0;
    if (fds[1].revents)
        clear_oom(w);
    if (tell_oom(w, err) < 0)
        return -1;
    if (fds[0].revents)
        return 1;
    if (zl_mono_ms() < w->next)
        return 0;
    w->next += w->interval;
    return print_stats(w->carry, w->id, err);
}

static void watch_oom(struct watching *w)
{
    struct stat st;
    uint64_t peak;

    (void)carry_oom_kills(w->carry, &w->kills, &peak, NULL); /* 0 where nobody counts */
    w->oom_fd = carry_oom_fd(w->carry);
    if (w->oom_fd >= 0 && fstat(w->oom_fd, &st) == 0)
        w->oom_events = S_ISREG(st.st_mode) ? POLLPRI : POLLIN;
}

static int watch(struct watching *w, struct zl_error *err)
{
    int rc;

    watch_oom(w);
    w->next = zl_mono_ms();
    while ((rc = serve(w, err)) == 0)
        ;
    return rc < 0 ? -1 : 0;
}

static int events(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    const struct events_options *o = options;
    const char *id = argv[0];
    autofound struct found f;

    (void)argc;
    if (container_find(cli, id, &f, err) < 0 || found_check(&f, "watch", FOUND_LIVING, err) < 0)
        return -1;
    zl_autoclose int pidfd = container_pidfd(&f.state, err);
    if (pidfd < 0 || container_load_plan(&f.container, err) < 0)
        return -1;
    struct watching w = { .carry = f.container.carry,
                          .id = id,
                          .interval = o->interval ? o->interval : DEFAULT_INTERVAL_MS,
                          .pidfd = pidfd,
                          .oom_fd = -1 };
    return o->stats ? print_stats(w.carry, id, err) : watch(&w, err);
}

/* clang-format off */
static const struct cli_option events_options[] = {
    { 0, "stats",    CLI_FLAG,     offsetof(struct events_options, stats),    NULL,   "the counters once, and no more", NULL },
    { 0, "interval", CLI_DURATION, offsetof(struct events_options, interval), "TIME", "between two looks at the counters [5s]", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command events_command = {
    .name = "events",
    .group = GROUP_LOOK,
    .args = "ID",
    .summary = "Print counters and OOM kills as they come, a line of JSON each",
    .examples = "zlayer-oci events --stats web\tthe counters now\n"
                "zlayer-oci events --interval 1s web\tuntil it ends",
    .options = events_options,
    .options_size = sizeof(struct events_options),
    .completes = "container",
    .min_args = 1,
    .max_args = 1,
    .act = events,
};
