// SPDX-License-Identifier: Apache-2.0
/*
 * One container through the agent: create and start, wait, delete, over one connection to its
 * socket. Each byte on stdin is a container; its nanoseconds go to stdout, a line each.
 *
 *   agent-drive SOCKET SPEC
 *
 * SPEC is the mapping of a service, as text.
 */
#include <stdio.h>
#include <string.h>

#include "api/client.h"
#include "base/clock.h"

static _Noreturn void die(const struct zl_error *err)
{
    (void)fprintf(stderr, "agent-drive: %s\n", err->msg);
    exit(1);
}

static json_t *call(struct api_client *c, const char *method, const char *fmt, const char *id,
                    const json_t *body)
{
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    int status;
    zl_autobuf struct zl_buf path = ZL_BUF(256);
    api_path(&path, fmt, id, NULL);
    if (api_client_call(c, method, path.data, body, &answer, &status, &err) < 0)
        die(&err);
    return answer;
}

static void one(struct api_client *c, const json_t *body)
{
    json_t *made = call(c, "POST", "/api/v1/containers", NULL, body);
    const char *id = json_string_value(json_object_get(made, "id"));
    json_t *end = call(c, "POST", "/api/v1/containers/{}/wait", id, NULL);
    const json_t *code = json_object_get(json_object_get(end, "exit"), "code");
    if (!id || json_integer_value(code) != 0 || !json_is_integer(code)) {
        (void)fprintf(stderr, "agent-drive: %s\n", json_dumps(end, JSON_COMPACT));
        exit(1);
    }
    json_decref(call(c, "DELETE", "/api/v1/containers/{}?wait=1", id, NULL));
    json_decref(end);
    json_decref(made);
}

int main(int argc, char **argv)
{
    struct zl_error err = { 0 };
    struct api_client *c;
    char word;
    if (argc != 3) {
        (void)fputs("usage: agent-drive SOCKET SPEC\n", stderr);
        return 2;
    }
    if (api_client_open(argv[1], &c, &err) < 0)
        die(&err);
    for (unsigned n = 1; read(0, &word, 1) == 1; n++) {
        char name[32];
        (void)snprintf(name, sizeof name, "drive-%u", n);
        json_t *body = json_pack("{s:s, s:s}", "name", name, "spec", argv[2]);
        uint64_t began = zl_mono_ns();
        one(c, body);
        (void)printf("%llu\n", (unsigned long long)(zl_mono_ns() - began));
        (void)fflush(stdout);
        json_decref(body);
    }
    api_client_free(c);
    return 0;
}
