// SPDX-License-Identifier: Apache-2.0
/* sysctls: only those of a namespace that the container has for itself. */
#include <sched.h>
#include <string.h>

#include "sandbox/plan/parts.h"

/* sysctl(8)'s names; a '.' at the end means all that begin so. */
static const struct {
    const char *name;
    uint32_t ns;
} namespaced[] = {
    { "fs.mqueue.", CLONE_NEWIPC },      { "kernel.domainname", CLONE_NEWUTS },
    { "kernel.hostname", CLONE_NEWUTS }, { "kernel.msgmax", CLONE_NEWIPC },
    { "kernel.msgmnb", CLONE_NEWIPC },   { "kernel.msgmni", CLONE_NEWIPC },
    { "kernel.sem", CLONE_NEWIPC },      { "kernel.shm_rmid_forced", CLONE_NEWIPC },
    { "kernel.shmall", CLONE_NEWIPC },   { "kernel.shmmax", CLONE_NEWIPC },
    { "kernel.shmmni", CLONE_NEWIPC },   { "net.", CLONE_NEWNET },
};

/* As sysctl(8): when '/' comes first it separates, and '.' is part of a name (eth0.100). */
static void to_path(char *name)
{
    size_t first = strcspn(name, "./");

    if (name[first] != '.')
        return;
    for (; *name; name++)
        *name = (char)(*name == '.' ? '/' : *name == '/' ? '.' : *name);
}

static uint32_t namespace_of(const char *path)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(namespaced); i++) {
        size_t n = strlen(namespaced[i].name);
        char as_path[64];
        memcpy(as_path, namespaced[i].name, n + 1);
        to_path(as_path);
        if (as_path[n - 1] == '/' ? strncmp(path, as_path, n) == 0 : strcmp(path, as_path) == 0)
            return namespaced[i].ns;
    }
    return 0;
}

static uint32_t own_namespaces(const struct build *b, const struct plan *p)
{
    const struct plan_join *j = plan_table(b->w.out->data, p->joins);
    uint32_t own = p->namespaces;

    for (uint32_t i = 0; i < p->joins.n; i++)
        own |= j[i].ns;
    return own;
}

/* What no namespace has would change the host; so would what the container shares with it. */
static int check_owner(struct build *b, const char *key, const char *path, uint32_t own)
{
    uint32_t ns = strstr(path, "..") ? 0 : namespace_of(path);

    if (!ns)
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "linux.sysctl: '%s' is of the whole host: it is not of a namespace of the "
                       "container",
                       key);
    if (!(ns & own))
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "linux.sysctl: '%s' is not of a namespace of the container, which shares "
                       "the %s namespace of the host",
                       key,
                       ns == CLONE_NEWNET   ? "network"
                       : ns == CLONE_NEWIPC ? "ipc"
                                            : "uts");
    return 0;
}

int build_sysctls(struct build *b, struct plan *p)
{
    const struct zl_pairs *from = &b->config->linux_.sysctl;
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);
    uint32_t own = own_namespaces(b, p);

    for (size_t i = 0; i < from->n; i++) {
        struct plan_file f = { .value = writer_text(&b->w, from->v[i].value) };
        zl_autofree char *path = strdup(from->v[i].key);
        if (!path)
            return zl_fail_errno(b->err, "plan sysctls");
        to_path(path);
        if (check_owner(b, from->v[i].key, path, own) < 0)
            return -1;
        f.path = writer_text(&b->w, path);
        zl_buf_add(&rows, &f, sizeof f);
    }
    p->sysctls = writer_rows(&b->w, &rows, sizeof(struct plan_file));
    return 0;
}
