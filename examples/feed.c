// SPDX-License-Identifier: Apache-2.0
/*
 * Feeds our standard input to a command in a container, through libzlayer, and tells what it used:
 *
 *     cc feed.c $(pkg-config --cflags --libs zlayer) -o feed
 *     echo hello | ./feed busybox cat
 *
 * On the way it stands still once, as a program would make it that wants a quiet moment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlayer.h>

/* Words without quotes and backslashes: embed.c has the whole way. */
static char *make_spec(const char *image, char **command)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return NULL;
    (void)fprintf(to, "image: {name: \"%s\"}\nstdin_open: true\ncommand: {entrypoint: [", image);
    for (char **word = command; *word; word++)
        (void)fprintf(to, "%s\"%s\"", word == command ? "" : ", ", *word);
    (void)fputs("]}\n", to);
    return fclose(to) == 0 ? text : NULL;
}

static int print_piece(void *arg, int stream, const char *bytes, size_t n)
{
    (void)arg;
    return fwrite(bytes, 1, n, stream == 2 ? stderr : stdout) == n ? 0 : 1;
}

static int feed(zlayer_container *c, struct zlayer_error *err)
{
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
        if (zlayer_container_write_stdin(c, piece, n, err) < 0)
            return -1;
    return zlayer_container_close_stdin(c, err);
}

static int run(zlayer_container *c, struct zlayer_exit *end, struct zlayer_error *err)
{
    struct zlayer_stats stats = { .size = sizeof stats };
    if (zlayer_container_start(c, err) < 0 || zlayer_container_pause(c, err) < 0 ||
        zlayer_container_stats(c, &stats, err) < 0 || zlayer_container_unpause(c, err) < 0 ||
        feed(c, err) < 0 || zlayer_container_wait(c, -1, end, err) < 0 ||
        zlayer_container_logs(c, print_piece, NULL, err) < 0)
        return -1;
    (void)fprintf(stderr, "%llu processes, %s\n", (unsigned long long)stats.pids,
                  stats.memory_bytes > 0 ? "some memory" : "no memory");
    return 0;
}

int main(int argc, char **argv)
{
    const struct zlayer_options options = {
        .size = sizeof options,
        .root_dir = getenv("ZLAYER_ROOT_DIR"),
        .runtime_dir = getenv("ZLAYER_RUNTIME_DIR"),
        .cgroup_parent = getenv("ZLAYER_CGROUP_PARENT"),
    };
    zlayer_runtime *rt = NULL;
    zlayer_container *c = NULL;
    struct zlayer_exit end = { 0 };
    struct zlayer_error err = { 0 };
    char *spec = argc > 2 ? make_spec(argv[1], argv + 2) : NULL;

    if (!spec) {
        (void)fprintf(stderr, "usage: feed IMAGE COMMAND…\n");
        return 2;
    }
    int rc = zlayer_runtime_open(&options, &rt, &err);
    if (rc == 0)
        rc = zlayer_container_create(rt, "feed", spec, &c, &err);
    if (rc == 0)
        rc = run(c, &end, &err);
    if (c && zlayer_container_remove(c, rc < 0 ? NULL : &err) < 0)
        rc = -1;
    if (c)
        (void)remove(zlayer_container_log_path(c));
    zlayer_container_free(c);
    zlayer_runtime_close(rt);
    free(spec);
    if (rc < 0)
        (void)fprintf(stderr, "feed: %s\n", err.message);
    return rc < 0 ? 125 : end.code;
}
