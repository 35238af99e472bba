// SPDX-License-Identifier: Apache-2.0
/*
 * A container whose plan this zlayer-oci cannot read: it was made by an older or a newer one, which
 * was replaced meanwhile. Where its cgroups are its state says; for one of those that did not write
 * it down its first process knows, and else they are where they would be made.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "ocicli/container.h"
#include "ocicli/systemd/unit.h"

enum { PATH_SIZE = 4096, NAME_SIZE = 1100, CGROUPS_MAX = 65536 };

/* Among the cgroups of its first process the one of this name. */
static bool of_process(const struct oci_state *state, const char *name, char out[PATH_SIZE])
{
    zl_autobuf struct zl_buf text = ZL_BUF(CGROUPS_MAX);
    size_t want = strlen(name);
    char file[32];

    (void)snprintf(file, sizeof file, "/proc/%d/cgroup", (int)state->pid);
    if (!oci_state_alive(state) || zl_read_file(AT_FDCWD, file, &text, NULL) < 0)
        return false;
    for (const char *at = text.data; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *path = memchr(at, '/', strcspn(at, "\n")); /* "4:memory:/a/b" */
        size_t n = path ? strcspn(path, "\n") : 0;
        if (n > want && path[n - want - 1] == '/' && memcmp(path + n - want, name, want) == 0)
            return snprintf(out, PATH_SIZE, "%.*s", (int)n - 1, path + 1) < PATH_SIZE;
    }
    return false;
}

/* *ret as plan_found.cgroup; it may lie in out. */
static int find_cgroup(const struct container *c, const struct oci_state *state,
                       char out[PATH_SIZE], const char **ret, struct zl_error *err)
{
    char name[NAME_SIZE];

    *ret = state->cgroup;
    if (state->cgroup)
        return 0;
    if (unit_name(c, name, sizeof name, err) < 0)
        return -1;
    bool scope = name[0]; /* it ends with its processes: systemd removes it */
    if (!scope)
        (void)snprintf(name, sizeof name, "zlayer-%s", c->id);
    if (of_process(state, name, out))
        *ret = out;
    else if (scope)
        *ret = "";
    return 0;
}

int container_replan(struct container *c, struct zl_error *err)
{
    autociconfig struct oci_config *config = NULL;
    autocistate struct oci_state state = { 0 };
    struct plan_found found = { .id = c->id, .rootless = c->rootless };
    char path[PATH_SIZE];

    (void)oci_state_read(c->dir_fd, &state, NULL); /* it has none before it has a process */
    (void)container_config(c, &config, NULL);      /* who needs it says why it is not readable */
    found.config = config;
    if (faccessat(c->dir_fd, CONTAINER_ROOT, F_OK, 0) == 0)
        found.root_mount = CONTAINER_ROOT;
    if (find_cgroup(c, &state, path, &found.cgroup, err) < 0)
        return -1;
    return plan_found_build(&found, &c->plan_bytes, err);
}
