// SPDX-License-Identifier: Apache-2.0
/* Replicas of a service by libzlayer, one line for each attempt: "web 1: created", or the error. */
#include <stdio.h>

#include "own_world.h"

static zlayer_container *attempt(zlayer_runtime *rt, const char *service, uint32_t replica,
                                 const char *spec)
{
    const struct zlayer_container_id id = { sizeof id, service, replica };
    zlayer_container *c = NULL;
    struct zlayer_error err;
    int rc = zlayer_container_create_replica(rt, &id, spec, &c, &err);

    if (rc < 0)
        (void)printf("%s %u: kind %d: %s\n", service, replica, err.kind, err.message);
    else
        (void)printf("%s %u: created\n", service, replica);
    return c;
}

static void finish(zlayer_container *c)
{
    struct zlayer_error err;

    if (zlayer_container_remove(c, &err) < 0)
        (void)printf("remove: %s\n", err.message);
    (void)remove(zlayer_container_log_path(c));
}

int main(int argc, char **argv)
{
    const struct zlayer_options options = own_world();
    zlayer_runtime *rt;
    struct zlayer_error err;

    if (argc != 2)
        return 2;
    if (zlayer_runtime_open(&options, &rt, &err) < 0) {
        (void)fprintf(stderr, "open: %s\n", err.message);
        return 125;
    }
    zlayer_container *first = attempt(rt, "web", 1, argv[1]);
    zlayer_container *second = attempt(rt, "web", 2, argv[1]);
    if (!first || !second || attempt(rt, "web", 1, argv[1]) || attempt(rt, "web", 0, argv[1]) ||
        attempt(rt, "", 1, argv[1]) || attempt(rt, "web", 3, "image: 7"))
        return 1;
    finish(first);
    zlayer_container *again = attempt(rt, "web", 1, argv[1]); /* beside the handle of the first */
    if (!again)
        return 1;
    finish(again);
    finish(second);
    zlayer_container_free(first);
    zlayer_container_free(second);
    zlayer_container_free(again);
    zlayer_runtime_close(rt);
    return 0;
}
