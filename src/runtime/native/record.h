// SPDX-License-Identifier: Apache-2.0
/*
 * containers/<id>/record.json: what a container is and what it holds on the host, so that whoever
 * comes later can adopt it or remove it without a trace. Written before anything else is made,
 * never changed.
 */
#ifndef ZL_RUNTIME_NATIVE_RECORD_H
#define ZL_RUNTIME_NATIVE_RECORD_H

#include "base/json.h"
#include "core/core.h"

#define RECORD_FILE "record.json"

struct record {
    const char *id, *owner, *boot_id;
    const char *runtime; /* whose it is: runtime_ops.name */
    struct inst_label label;
    const char *image; /* digest of its manifest */
    struct {
        uint32_t *v;
        size_t n;
    } layers; /* short numbers */
    struct zl_strs
        volumes; /* names of those that it mounts, which are in use as long as it exists */
    struct zl_strs cgroups; /* absolute directories, the first is where its processes are found */
    const char *log;        /* absolute path */
    int stop_signal;
    bool shareable;         /* ipc_mode */
    const char *gpu_vendor; /* NULL: it has no GPUs */
    struct {
        uint32_t *v;
        size_t n;
    } gpus;                  /* their numbers, for itself alone */
    int64_t created_wall_ms; /* when it was written; set by record_read */
    struct zl_json document; /* what all of this borrows from */
};

/* Of a container that has none yet. r->document is not looked at; *written is a copy of all that
 * was written, which counts from here on. */
int record_write(int dir_fd, const struct record *r, struct record *written, struct zl_error *err);
/* NOT_FOUND: there is none; INVALID: it is torn or of another kind. */
int record_read(int dir_fd, struct record *ret, struct zl_error *err);
void record_done(struct record *r);
static inline void record_donep(struct record *r)
{
    record_done(r);
}
#define autorecord ZL_CLEANUP(record_donep)

#endif
