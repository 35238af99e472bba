// SPDX-License-Identifier: Apache-2.0
/*
 * A plan of what is found of a container whose own plan cannot be read: its cgroups, and from its
 * configuration which namespaces it has. What only its start needed is not in it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/plan/parts.h"

static void put(struct build *b, struct zl_buf *rows, struct plan_cgroup c, const char *mount)
{
    c.mount = writer_text(&b->w, mount);
    c.path = writer_text(&b->w, b->cgroup_path);
    zl_buf_add(rows, &c, sizeof c);
}

static bool is_there(const struct build *b, const char *mount)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/%s", mount, b->cgroup_path);
    return faccessat(AT_FDCWD, path, F_OK, 0) == 0;
}

static void put_v2(struct build *b, struct zl_buf *rows, const char *mount)
{
    struct plan_cgroup c = { .kind = PLAN_CGROUP_V2,
                             .controller = writer_text(&b->w, ""),
                             .enable = writer_text(&b->w, "+memory +pids +cpu") };

    if (is_there(b, mount))
        put(b, rows, c, mount);
}

/* late: those hierarchies that it is not in, which a pause or an update may need. All processes are
 * in each of the others. */
static void put_v1(struct build *b, struct zl_buf *rows, bool late)
{
    const struct cgroup_layout *l = b->layout;
    char mount[256];

    for (size_t i = 0; i < l->n; i++) {
        (void)snprintf(mount, sizeof mount, "%s/%s", l->root, l->v[i].name);
        if (l->v[i].link_to[0] || is_there(b, mount) == late)
            continue;
        if (strcmp(l->v[i].type, "cgroup") != 0) {
            put_v2(b, rows, mount);
            continue;
        }
        struct plan_cgroup c = { .kind = PLAN_CGROUP_V1,
                                 .flags = late ? PLAN_CGROUP_LATE : 0,
                                 .controller = writer_text(&b->w, l->v[i].name) };
        put(b, rows, c, mount);
    }
}

static int find_cgroups(struct build *b, struct plan *p)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);

    if (choose_cgroup_path(b) < 0)
        return -1;
    if (b->layout->mode == CGROUP_V2)
        put_v2(b, &rows, b->layout->root);
    if (b->layout->mode == CGROUP_V1)
        put_v1(b, &rows, false);
    if (b->layout->mode == CGROUP_V1 && rows.len)
        put_v1(b, &rows, true);
    p->cgroups = writer_rows(&b->w, &rows, sizeof(struct plan_cgroup));
    return 0;
}

int plan_found_build(const struct plan_found *f, struct zl_buf *out, struct zl_error *err)
{
    struct plan p = { .magic = PLAN_MAGIC, .version = PLAN_VERSION };
    struct plan_options o = { .id = f->id, .rootless = f->rootless, .cgroup_given = f->cgroup };
    struct cgroup_layout layout;
    struct build b = { .config = f->config, .options = &o, .layout = &layout, .err = err };
    bool none = f->cgroup && !f->cgroup[0];

    if (cgroup_layout_probe("/sys/fs/cgroup", &layout, err) < 0)
        return -1;
    zl_buf_reset(out);
    writer_begin(&b.w, out, sizeof p);
    if ((!none && find_cgroups(&b, &p) < 0) || (f->config && build_namespaces(&b, &p) < 0))
        return zl_wrap(err, "find what container '%s' has", f->id);
    p.root_path = writer_text(&b.w, "/");
    p.root_mount = writer_text(&b.w, f->root_mount);
    p.process.keyring = writer_textf(&b.w, "_ses.%s", f->id);
    p.process.caps[PLAN_CAP_BOUNDING] = UINT64_MAX; /* who joins it is as careful as can be */
    return writer_finish(&b.w, &p, sizeof p, err);
}
