// SPDX-License-Identifier: Apache-2.0
/*
 * The native runtime: our own containers, each held by a zlayer-shim. This side keeps a connection
 * to every monitor and nothing that could not be found again on disk.
 */
#ifndef ZL_RUNTIME_NATIVE_H
#define ZL_RUNTIME_NATIVE_H

#include "base/buf.h"
#include "image/store.h"
#include "runtime/runtime.h"

struct native_config {
    struct event_base *base;
    const char *root_dir, *run_dir; /* absolute, existing */
    const char *cgroup_parent;      /* "/zlayer"; containers are <parent>/c/<id> */
    const char *owner;              /* whose containers are adopted: "agent", "library:<pid>:…" */
    struct image_store *images;     /* borrowed */
};

/* Reads zlayer-shim and starts the first spare one. cfg is read during the call only. */
int native_new(const struct native_config *cfg, struct runtime **ret, struct zl_error *err);

/* Appends the absolute path of the log that a container of this label writes. */
void native_log_path(const char *root_dir, const struct inst_label *label, struct zl_buf *out);

#endif
