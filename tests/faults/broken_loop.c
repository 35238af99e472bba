// SPDX-License-Identifier: Apache-2.0
/*
 * The private loop of libzlayer made to fail under a question: broken_loop IMAGE. The answer that
 * comes when the loop turns again must reach nobody, for who asked is gone. Prints what the calls
 * said; exits with 0 when nothing was wrong.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../tools/own_world.h"

static int rows;

static int count_row(void *arg, const char *const *cells, size_t n)
{
    (void)arg;
    (void)cells;
    (void)n;
    rows++;
    return 0;
}

/* The descriptor by which the loop waits; -1. */
static int find_epoll(void)
{
    char link[64], to[64];

    for (int fd = 0; fd < 256; fd++) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, to, sizeof to - 1);
        to[n > 0 ? n : 0] = '\0';
        if (strcmp(to, "anon_inode:[eventpoll]") == 0)
            return fd;
    }
    return -1;
}

static int ask_without_loop(zlayer_container *c, struct zlayer_error *err)
{
    int epoll = find_epoll(), kept = dup(epoll), other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int rc;

    if (kept < 0 || other < 0 || dup2(other, epoll) < 0)
        return -2;
    rc = zlayer_container_top(c, "-o pid", count_row, NULL, err);
    return dup2(kept, epoll) < 0 || close(kept) < 0 || close(other) < 0 ? -2 : rc;
}

static int check(zlayer_container *c, struct zlayer_error *err)
{
    struct zlayer_stats stats = { .size = sizeof stats };

    if (zlayer_container_start(c, err) < 0 || ask_without_loop(c, err) != -1)
        return -1;
    printf("%s\n", err->message);
    for (int i = 0; i < 3; i++) /* the other's answer comes in between */
        if (zlayer_container_stats(c, &stats, err) < 0)
            return -1;
    printf("%d rows of a table that nobody waits for\n", rows);
    if (zlayer_container_top(c, "-o pid", count_row, NULL, err) < 0)
        return -1;
    printf("%d rows\n", rows);
    return 0;
}

int main(int argc, char **argv)
{
    const struct zlayer_options options = own_world();
    char spec[1024];
    zlayer_runtime *rt = NULL;
    zlayer_container *c = NULL;
    struct zlayer_error err = { 0 };

    (void)snprintf(spec, sizeof spec,
                   "image: {name: \"%s\"}\ncommand: {entrypoint: [sleep, \"1000\"]}\n",
                   argc > 1 ? argv[1] : "");
    int rc = zlayer_runtime_open(&options, &rt, &err);
    if (rc == 0)
        rc = zlayer_container_create(rt, "asked", spec, &c, &err);
    if (rc == 0) {
        rc = check(c, &err);
        if (zlayer_container_remove(c, rc < 0 ? NULL : &err) < 0)
            rc = -1;
        (void)remove(zlayer_container_log_path(c));
        zlayer_container_free(c);
    }
    zlayer_runtime_close(rt);
    if (rc < 0)
        (void)fprintf(stderr, "broken_loop: %s\n", err.message);
    return rc < 0;
}
