// SPDX-License-Identifier: Apache-2.0
/* One incarnation of a container, and its health while it runs: instance.h, health.h. */
#ifndef ZL_CORE_MODEL_INSTANCE_H
#define ZL_CORE_MODEL_INSTANCE_H

#include <sys/queue.h>

#include "base/map.h"
#include "core/model/grave.h"
#include "core/model/version.h"
#include "core/text/why.h"
#include "core/timers.h"
#include "core/view.h"

struct execution;
struct slot;
struct standalone;

struct health {
    enum health_state state;
    uint32_t failures;      /* consecutive, outside the start grace */
    uint64_t op, op_end;    /* of the probe under way; op 0: none */
    uint64_t next_at;       /* mono; NEVER: no check */
    uint64_t grace_end;     /* mono */
    uint64_t pause;         /* until the next probe, ms */
    uint64_t healthy_since; /* mono; only while HEALTH_HEALTHY */
    char reason[WHY_MAX];
};

struct stop_how {
    uint64_t grace_ms; /* 0: the spec's */
    bool force;        /* SIGKILL at once */
    bool keep;         /* the ended container stays */
};

/* How hard a stop has been tried; see press_harder() */
enum pressure { PRESS_STOP, PRESS_KILL, PRESS_REMOVE };

struct instance {
    struct grave grave;
    TAILQ_ENTRY(instance) link, moving_link, touched_link;
    struct zl_map_node by_id, by_probe;
    struct timer timer;
    bool moving, touched;
    struct inst_id id;
    struct inst_label label; /* strings in names */
    char *names;
    const char *display; /* "web-rep-1"; in names too */
    struct version version;
    union { /* by label.owner; NULL: nobody's, on its way out */
        void *owner;
        struct slot *slot;
        struct execution *execution;
        struct standalone *standalone;
    };
    enum inst_state state;
    uint64_t op;       /* of the request that is under way; instances share that of a pull */
    uint64_t deadline; /* mono, of op or of a pause between two tries; NEVER: none */
    bool pulled;       /* its image is there: may be created */
    bool hold;         /* start waits for the first attach client */
    bool ended;        /* its process is known not to run */
    bool keep;         /* INST_STOPPING: stay as INST_EXITED */
    bool forced;       /* INST_STOPPING: by SIGKILL from the first */
    uint64_t start_op; /* INST_STOPPING: of a start that was under way; 0: none */
    enum zl_err_kind unstarted; /* INST_STOPPING: why that failed, see why; ZL_OK: it did not */
    enum pressure pressure;
    uint32_t removals_failed;
    int64_t pid, created_ms, started_ms;
    uint64_t up_at; /* mono */
    bool has_exit;
    struct inst_exit exit;
    struct health health;
    char why[WHY_MAX];
};

#endif
