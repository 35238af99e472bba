// SPDX-License-Identifier: Apache-2.0
/*
 * Works inside a container that runs, through libzlayer: files go in, a command makes something of
 * them, and what it made comes out:
 *
 *     cc inside.c $(pkg-config --cflags --libs zlayer) -o inside
 *     tar c . | ./inside busybox 'wc -c * > /work/sizes' /work/sizes > sizes.tar
 *
 * The archive is unpacked in /work, where the command is executed by sh. Its output goes to stderr,
 * for stdout is the archive of what is asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlayer.h>

static int print_piece(void *arg, int stream, const char *bytes, size_t n)
{
    (void)arg;
    (void)stream;
    return fwrite(bytes, 1, n, stderr) == n ? 0 : 1;
}

/* One piece is enough to see that it is alive. */
static int print_once(void *arg, int stream, const char *bytes, size_t n)
{
    (void)fputs("heard ", stderr);
    (void)print_piece(arg, stream, bytes, n);
    return 1;
}

static int print_row(void *arg, const char *const *cells, size_t n)
{
    (void)arg;
    for (size_t i = 0; i < n; i++)
        (void)fprintf(stderr, "%s%s", i ? " " : "process ", cells[i]);
    (void)fputc('\n', stderr);
    return 0;
}

static int make_folder(zlayer_container *c, struct zlayer_error *err)
{
    static const char *const argv[] = { "mkdir", "-p", "/work", NULL };
    const struct zlayer_exec x = { .size = sizeof x, .argv = argv };
    struct zlayer_exit end = { 0 };
    return zlayer_container_exec(c, &x, print_piece, NULL, &end, err);
}

static int work(zlayer_container *c, char **words, struct zlayer_exit *end,
                struct zlayer_error *err)
{
    const char *const argv[] = { "sh", "-c", words[1], NULL };
    static const char *const env[] = { "BY=inside", NULL };
    static const char given[] = "a line of input\n";
    const struct zlayer_limits limits = { .size = sizeof limits, .memory = 64 << 20, .pids = 50 };
    const struct zlayer_exec x = { .size = sizeof x,
                                   .argv = argv,
                                   .env = env,
                                   .cwd = "/work",
                                   .input = given,
                                   .input_size = sizeof given - 1 };
    char warnings[1024] = "";

    if (zlayer_container_start(c, err) < 0 ||
        zlayer_container_attach(c, print_once, NULL, err) < 0 ||
        zlayer_container_update(c, &limits, warnings, sizeof warnings, err) < 0 ||
        make_folder(c, err) < 0 ||
        zlayer_container_copy_in(c, "/work", STDIN_FILENO, ZLAYER_COPY_OWNERS, err) < 0 ||
        zlayer_container_exec(c, &x, print_piece, NULL, end, err) < 0 ||
        zlayer_container_top(c, "-o pid,comm", print_row, NULL, err) < 0)
        return -1;
    (void)fputs(warnings, stderr);
    return zlayer_container_copy_out(c, words[2], STDOUT_FILENO, err);
}

static int in_container(zlayer_runtime *rt, char **words, struct zlayer_exit *end,
                        struct zlayer_error *err)
{
    static const char spec[] =
        "image: {name: \"%s\"}\n"
        "command: {entrypoint: [sh, -c, \"while :; do echo beat; sleep 0.1; done\"]}\n";
    char text[1024];
    zlayer_container *c = NULL;

    (void)snprintf(text, sizeof text, spec, words[0]);
    if (zlayer_container_create(rt, "inside", text, &c, err) < 0)
        return -1;
    int rc = work(c, words, end, err);
    if (zlayer_container_remove(c, rc < 0 ? NULL : err) < 0)
        rc = -1;
    (void)remove(zlayer_container_log_path(c));
    zlayer_container_free(c);
    return rc;
}

int main(int argc, char **argv)
{
    const struct zlayer_options options = {
        .size = sizeof options,
        .root_dir = getenv("ZLAYER_ROOT_DIR"),
        .runtime_dir = getenv("ZLAYER_RUNTIME_DIR"),
        .cgroup_parent = getenv("ZLAYER_CGROUP_PARENT"),
        .config_file = getenv("EXAMPLE_CONFIG"), /* who has to sign images */
    };
    zlayer_runtime *rt = NULL;
    struct zlayer_exit end = { 0 };
    struct zlayer_error err = { 0 };

    if (argc != 4) {
        (void)fprintf(stderr, "usage: inside IMAGE COMMAND PATH < TAR > TAR\n");
        return 2;
    }
    int rc = zlayer_runtime_open(&options, &rt, &err);
    if (rc == 0)
        rc = in_container(rt, argv + 1, &end, &err);
    zlayer_runtime_close(rt);
    if (rc < 0)
        (void)fprintf(stderr, "inside: %s\n", err.message);
    return rc < 0 ? 125 : end.code;
}
