// SPDX-License-Identifier: Apache-2.0
/*
 * One run of zlayer-fetch, seen from the loop: it is started, its lines of progress pass through,
 * and its last word says how it went (src/fetch/progress.h). What it stored is in no index yet.
 */
#ifndef ZL_RUNTIME_FETCH_H
#define ZL_RUNTIME_FETCH_H

#include <stddef.h>

#include "base/error.h"

struct event_base;
struct fetch;

struct fetch_end {        /* of a run that has done what it should; borrowed during on_end */
    const char *digest;   /* the manifest's; "": it is about none */
    const char *resolved; /* of a pull: what its reference means, perhaps an index; else "" */
};

struct fetch_task {
    struct event_base *base;
    const char *root_dir;
    const char *command;   /* "import", "pull", "push" */
    const char *reference; /* --reference; NULL: none */
    const char *source;    /* the argument behind; NULL: none */
    const char *order;     /* its stdin; NULL: nothing */
    int archive_fd;        /* its descriptor 3, borrowed; 0: none */
    /* A line of progress: a JSON object. */
    void (*on_line)(void *arg, const char *line);
    /* Once, when the process has ended, never from inside fetch_begin(). failed NULL: done. The run
     * is freed afterwards. */
    void (*on_end)(void *arg, const struct zl_error *failed, const struct fetch_end *end);
    void *arg;
};

/* The task's strings are read during the call only. */
int fetch_begin(const struct fetch_task *task, struct fetch **ret, struct zl_error *err);
/* Ends it; on_end does not come. What it has downloaded so far stays for the next one. */
void fetch_cancel(struct fetch *f);

#endif
