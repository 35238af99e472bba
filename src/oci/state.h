// SPDX-License-Identifier: Apache-2.0
/*
 * state.json of one container (runtime-spec, runtime.md, "State"), with the start time of its first
 * process beside the pid, so that a pid that was given to another process is not taken for it.
 */
#ifndef ZL_OCI_STATE_H
#define ZL_OCI_STATE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/json.h"

#define OCI_VERSION "1.2.0" /* of the runtime-spec that we carry out */

struct oci_state {
    const char *id, *bundle;
    const char *rootfs;  /* absolute; NULL: not known. Not of the spec, but runc has it */
    const char *created; /* RFC 3339 */
    int64_t pid;         /* 0: none yet */
    uint64_t pid_start;  /* field 22 of /proc/PID/stat, clock ticks since boot */
    const char *cgroup;  /* below each hierarchy, no leading '/'; NULL: none, or not known */
    struct zl_pairs annotations;
    struct zl_json document; /* of a state that was read: what it borrows from */
};

/* runtime.md, "State"; "paused" is of those that a runtime may add, and all have. */
enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED, OCI_STOPPED };
const char *oci_status_name(enum oci_status s); /* "creating" … */

/* dir_fd/state.json, all or nothing; not synced: it lies on tmpfs. */
int oci_state_write(int dir_fd, const struct oci_state *s, struct zl_error *err);
/* ret is the caller's, to be ended with oci_state_done(). */
int oci_state_read(int dir_fd, struct oci_state *ret, struct zl_error *err);
void oci_state_done(struct oci_state *s);
#define autocistate ZL_CLEANUP(oci_state_done)

/* The state as the spec has it, the caller's (json_decref); NULL: out of memory. */
json_t *oci_state_json(const struct oci_state *s, enum oci_status status);
/* That as text, as hooks read it, with a newline. */
int oci_state_print(const struct oci_state *s, enum oci_status status, struct zl_buf *out,
                    struct zl_error *err);

/* Field 22 of /proc/PID/stat of a living process; 0: there is none, or it is a zombie. */
uint64_t oci_pid_start(pid_t pid);
bool oci_state_alive(const struct oci_state *s);

#endif
