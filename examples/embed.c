// SPDX-License-Identifier: Apache-2.0
/*
 * Runs one command in a container through libzlayer, prints what it wrote and how it ended: pull,
 * create, start, wait, remove. An image that is a WebAssembly module runs the same way: its command
 * is its name and its arguments.
 *
 *     cc embed.c $(pkg-config --cflags --libs zlayer) -o embed
 *     ./embed busybox sh -c 'echo hello; exit 3'
 *     ./embed hello-module
 *
 * Takes its directories from ZLAYER_ROOT_DIR and ZLAYER_RUNTIME_DIR, as zlayer does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlayer.h>

/* A text as a JSON string, which YAML takes as well. */
static void put_quoted(FILE *to, const char *text)
{
    (void)fputc('"', to);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            (void)fprintf(to, "\\%c", c);
        else if (c < ' ')
            (void)fprintf(to, "\\u%04x", c);
        else
            (void)fputc(c, to);
    }
    (void)fputc('"', to);
}

/* {"image": {"name": …}, "command": {"entrypoint": […]}}, the image's own without a command. NULL:
 * no memory. */
static char *make_spec(const char *image, char **command)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return NULL;
    (void)fputs("{\"image\": {\"name\": ", to);
    put_quoted(to, image);
    (void)fputc('}', to);
    for (char **word = command; *word; word++) {
        (void)fputs(word == command ? ", \"command\": {\"entrypoint\": [" : ", ", to);
        put_quoted(to, *word);
    }
    (void)fputs(*command ? "]}}" : "}", to);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

static int print_piece(void *arg, int stream, const char *bytes, size_t n)
{
    (void)arg;
    return fwrite(bytes, 1, n, stream == 2 ? stderr : stdout) == n ? 0 : 1;
}

static int run(zlayer_runtime *rt, const char *image, char **command, struct zlayer_exit *end,
               struct zlayer_error *err)
{
    const struct zlayer_container_id id = { .size = sizeof id, .service = "embed", .replica = 1 };
    zlayer_container *c = NULL;
    char *spec = make_spec(image, command);
    int rc = -1;
    if (!spec)
        (void)snprintf(err->message, sizeof err->message, "no memory");
    else if (zlayer_image_pull(rt, image, NULL, 0, err) == 0)
        rc = zlayer_container_create_replica(rt, &id, spec, &c, err);
    free(spec);
    if (rc < 0)
        return -1;
    if (zlayer_container_start(c, err) < 0 || zlayer_container_wait(c, -1, end, err) < 0 ||
        zlayer_container_logs(c, print_piece, NULL, err) < 0)
        rc = -1;
    if (zlayer_container_remove(c, rc < 0 ? NULL : err) < 0)
        rc = -1;
    (void)remove(zlayer_container_log_path(c)); /* it is ours to keep or not */
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

    if (argc < 2) {
        (void)fprintf(stderr, "usage: embed IMAGE [COMMAND…]\n");
        return 2;
    }
    int rc = zlayer_runtime_open(&options, &rt, &err);
    if (rc == 0)
        rc = run(rt, argv[1], argv + 2, &end, &err);
    zlayer_runtime_close(rt);
    if (rc < 0) {
        (void)fprintf(stderr, "embed: %s\n", err.message);
        return 125;
    }
    (void)printf("exit code %d\n", end.code);
    return end.code;
}
