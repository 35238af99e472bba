// SPDX-License-Identifier: Apache-2.0
/* The world that a test made for a program of libzlayer: tests/e2e/world.py says it in the
 * environment. */
#ifndef ZL_TEST_OWN_WORLD_H
#define ZL_TEST_OWN_WORLD_H

#include <stdlib.h>

#include <zlayer.h>

static inline struct zlayer_options own_world(void)
{
    return (struct zlayer_options){
        .size = sizeof(struct zlayer_options),
        .root_dir = getenv("ZLAYER_ROOT_DIR"),
        .runtime_dir = getenv("ZLAYER_RUNTIME_DIR"),
        .cgroup_parent = getenv("ZLAYER_CGROUP_PARENT"),
    };
}

#endif
