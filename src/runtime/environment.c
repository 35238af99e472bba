// SPDX-License-Identifier: Apache-2.0
#include "runtime/environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "spec/environment.h"

enum { STANDARD = 4, NUMBER_SIZE = 12 };

/* An execution is the only one of its job: its first replica. */
static void add_standard(const struct inst_label *label, char number[NUMBER_SIZE],
                         struct spec_pair *at)
{
    (void)snprintf(number, NUMBER_SIZE, "%" PRIu32, label->index ? label->index : 1);
    at[0] = (struct spec_pair){ .key = "ZLAYER_DEPLOYMENT", .value = label->deployment };
    at[1] = (struct spec_pair){ .key = "ZLAYER_SERVICE", .value = label->service };
    at[2] = (struct spec_pair){ .key = "ZLAYER_REPLICA", .value = number };
    at[3] = (struct spec_pair){ .key = "ZLAYER_ROLE", .value = label->role };
}

struct spec_pair *environment_make(const struct rt_request *rq, struct spec_pairs *ret,
                                   struct zl_error *err)
{
    static const char *const nothing[] = { NULL };
    const struct spec_pairs *env = &rq->create.service->env;
    const struct inst_label *label = rq->create.label;
    bool in_document = label->owner != OWNER_STANDALONE;
    size_t n = env->n + (in_document ? STANDARD : 0);
    /* the text of the replica's number behind the pairs */
    struct spec_pair *pairs = malloc((n + 1) * sizeof *pairs + NUMBER_SIZE);
    if (!pairs) {
        (void)zl_fail_errno(err, "look up the environment");
        return NULL;
    }
    if (spec_env_resolve(env, rq->create.variables ? rq->create.variables : nothing, in_document,
                         pairs, err) < 0) {
        free(pairs);
        return NULL;
    }
    if (in_document)
        add_standard(label, (char *)(pairs + n), pairs + env->n);
    *ret = (struct spec_pairs){ .v = pairs, .n = n };
    return pairs;
}
