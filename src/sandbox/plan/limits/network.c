// SPDX-License-Identifier: Apache-2.0
/* net_cls and net_prio, which only v1 has. */
#include "sandbox/plan/limits/limits.h"

static int write_class(struct limits *l)
{
    limits_put_u64(l, 0, "net_cls.classid", l->r->network.class_id);
    return 0;
}

static int write_priorities(struct limits *l)
{
    for (size_t i = 0; i < l->r->network.priorities.n; i++)
        limits_put(l, 0, "net_prio.ifpriomap", "%s %u", l->r->network.priorities.v[i].name,
                   l->r->network.priorities.v[i].priority);
    return 0;
}

static int refuse(struct limits *l)
{
    if (l->r->network.class_id.v || l->r->network.priorities.n)
        return limits_refuse(l, "network", "cgroup v2 has neither net_cls nor net_prio");
    return 0;
}

const struct controller net_cls_controller = {
    .v1 = "net_cls",
    .write_v1 = write_class,
    .write_v2 = refuse,
};
/* The refusal above speaks for both. */
const struct controller net_prio_controller = { .v1 = "net_prio", .write_v1 = write_priorities };
