// SPDX-License-Identifier: Apache-2.0
/* A container of `zlayer run`: standalone.h. */
#ifndef ZL_CORE_MODEL_STANDALONE_H
#define ZL_CORE_MODEL_STANDALONE_H

#include <sys/queue.h>

#include "base/map.h"
#include "core/core.h"
#include "core/model/grave.h"
#include "core/model/instance.h"
#include "core/text/why.h"

struct standalone {
    struct grave grave;
    TAILQ_ENTRY(standalone) link, touched_link;
    struct zl_map_node by_id, by_name; /* the latter by a hash of it */
    bool touched;
    struct inst_id id;
    char *name, *text;
    struct spec *spec;
    struct instance *inst; /* NULL: not begun yet, or nothing is left of it */
    bool hold;
    bool stop_wanted, remove_wanted, exited;
    struct stop_how stop_how;
    struct inst_exit exit;
    int64_t created_ms, started_ms;
    bool dirty;
    char error[WHY_MAX];
};

#endif
