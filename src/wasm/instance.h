// SPDX-License-Identifier: Apache-2.0
/*
 * Running the guest: the last thing that a process does. The process is forked from one that has
 * the module loaded, belongs to the guest alone and ends with it.
 */
#ifndef ZL_WASM_INSTANCE_H
#define ZL_WASM_INSTANCE_H

#include "wasm/module.h"
#include "wasm/wasi/wasi.h"

enum { INSTANCE_TRAPPED = 134, INSTANCE_BROKEN = 125 };

struct instance {
    const struct module *module;
    struct wasi_config wasi;
    uint64_t max_memory;                  /* bytes of linear memory; 0: no limit */
    uint64_t max_tables;                  /* elements of all tables; 0: no limit */
    uint64_t max_fuel;                    /* 0: unlimited */
    uint64_t time_ms;                     /* 0: unlimited */
    uint64_t *linear_bytes;               /* counts its linear memory; NULL: nobody looks */
    struct zl_component_ready *component; /* of a component: made before the host's paths went */
    struct wishes *wishes;                /* of component.c, the same */
};

/* How it ended, for whoever forked us: over a pipe before the process ends. */
enum instance_end {
    INSTANCE_EXITED,
    INSTANCE_TRAP,
    INSTANCE_TIMEOUT,
    INSTANCE_FAILED,
    INSTANCE_READY, /* no end: it may be started */
};
struct instance_report {
    uint32_t end, length; /* of the text that follows */
};

/*
 * What can be done before the guest may run: its store, its descriptors and, where nothing of the
 * guest runs by that, its instance. In the process that will be the guest's. Failing is told by
 * instance_run.
 */
struct instance_ready;
struct instance_ready *instance_prepare(const struct instance *i);

/*
 * Runs the guest to its end and ends the process: with the guest's code, INSTANCE_TRAPPED, or
 * INSTANCE_BROKEN when it could not be entered. A trap's text goes to stderr, and with its report
 * to report_fd (-1: nobody), which gets nothing when the guest called proc_exit.
 */
_Noreturn void instance_run(struct instance_ready *r, int report_fd);

#endif
