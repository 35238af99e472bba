// SPDX-License-Identifier: Apache-2.0
/*
 * Which cgroups a container has, and what is written into them. On v1 a hierarchy is joined when
 * something is limited in it: each costs 30 to 45 µs over a container's life. The others are noted
 * as late ones. A host may have some controllers in v1 and others in v2 (hybrid).
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/plan/limits/limits.h"

enum { FOLDERS_MAX = 16 };

/* ---- where ---- */

/* "." is refused as well: it would name the hierarchy's root, whose processes are the host's. */
static bool has_dots(const char *path)
{
    for (const char *at = path; *at; at += strcspn(at, "/"), at += *at == '/') {
        size_t n = strcspn(at, "/");
        if ((n == 1 || n == 2) && strncmp(at, "..", n) == 0)
            return true;
    }
    return false;
}

static const char *mount_of_v2(const struct build *b, char out[256])
{
    (void)snprintf(out, 256, "%s%s", b->layout->root,
                   b->layout->mode == CGROUP_V2 ? "" : "/unified");
    return out;
}

/* Of systemd's cgroup, which the caller had made, or of linux.cgroupsPath, or our own. */
static int write_path(struct build *b, const char *given)
{
    const char *parent = b->options->cgroup_parent ? b->options->cgroup_parent : "/zlayer";

    while (*parent == '/')
        parent++;
    if (given && *given)
        return snprintf(b->cgroup_path, sizeof b->cgroup_path, "%s", given);
    if (b->options->rootless) {
        char mount[256];
        return delegation_path(mount_of_v2(b, mount), b->options->id, b->cgroup_path,
                               sizeof b->cgroup_path);
    }
    return snprintf(b->cgroup_path, sizeof b->cgroup_path, "%s%sc/%s", parent, *parent ? "/" : "",
                    b->options->id);
}

int choose_cgroup_path(struct build *b)
{
    const char *told = b->config ? b->config->linux_.cgroups_path : NULL;
    const char *given = b->options->cgroup_given ? b->options->cgroup_given : told;

    while (given && *given == '/')
        given++;
    if (!b->options->cgroup_given && given && strchr(given, ':') && !strchr(given, '/'))
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "linux.cgroupsPath: '%s' is meant for systemd: use --systemd-cgroup", given);
    int n = write_path(b, given);
    if (n < 0 || (size_t)n >= sizeof b->cgroup_path || has_dots(b->cgroup_path))
        return zl_fail(b->err, ZL_ERR_INVALID, "linux.cgroupsPath: '%s' cannot be used",
                       given ? given : b->options->cgroup_parent);
    return 0;
}

/* ---- what: gathered before any row is written, since controllers may share a hierarchy ---- */

struct folder { /* a hierarchy of v1 */
    const char *name;
    struct limits limits;
    bool joined;
};

struct gathered {
    struct build *b;
    const struct oci_resources *r;
    struct folder v1[FOLDERS_MAX];
    size_t n_v1;
    struct limits v2;
};

static void gathered_init(struct gathered *g, struct build *b, const struct oci_resources *r)
{
    *g = (struct gathered){ .b = b, .r = r, .v2 = { .b = b, .r = r } };
    zl_buf_init(&g->v2.rows, PLAN_MAX);
}

static void gathered_done(struct gathered *g)
{
    for (size_t i = 0; i < g->n_v1; i++)
        zl_buf_done(&g->v1[i].limits.rows);
    zl_buf_done(&g->v2.rows);
}
#define autogathered ZL_CLEANUP(gathered_done)

static struct folder *find_folder(struct gathered *g, const char *name)
{
    for (size_t i = 0; i < g->n_v1; i++)
        if (strcmp(g->v1[i].name, name) == 0)
            return &g->v1[i];
    if (g->n_v1 == FOLDERS_MAX)
        return NULL; /* more than there are controllers: cannot be */
    struct folder *f = &g->v1[g->n_v1++];
    *f = (struct folder){ .name = name, .limits = { .b = g->b, .r = g->r } };
    zl_buf_init(&f->limits.rows, PLAN_MAX);
    return f;
}

static int gather_from(limits_fn write, struct limits *l)
{
    return write ? write(l) : 0;
}

/* v1 does not have it: fine when nothing is asked of it, or when v2 beside v1 has it. */
static int gather_elsewhere(struct gathered *g, const struct controller *c)
{
    struct limits asked = { .b = g->b, .r = g->r };
    int rc;

    zl_buf_init(&asked.rows, PLAN_MAX);
    rc = gather_from(c->write_v1, &asked);
    bool nothing = !asked.rows.len;
    zl_buf_done(&asked.rows);
    if (rc < 0 || nothing)
        return rc;
    if (c->v2 && cgroup_layout_v2_has(g->b->layout, c->v2))
        return gather_from(c->write_v2, &g->v2);
    return zl_fail(g->b->err, ZL_ERR_CONFIGURATION,
                   "linux.resources: this host has no cgroup controller '%s'", c->v1);
}

static int gather_v1(struct gathered *g)
{
    for (size_t i = 0; controllers[i]; i++) {
        const struct controller *c = controllers[i];
        const char *name = cgroup_layout_folder(g->b->layout, c->v1);
        struct folder *f = name ? find_folder(g, name) : NULL;
        if (!f) {
            if (gather_elsewhere(g, c) < 0)
                return -1;
            continue;
        }
        if (gather_from(c->write_v1, &f->limits) < 0)
            return -1;
        f->joined |= f->limits.rows.len || (c->counts && g->b->options->join_all);
    }
    return 0;
}

static int gather_v2(struct gathered *g)
{
    for (size_t i = 0; controllers[i]; i++)
        if (gather_from(controllers[i]->write_v2, &g->v2) < 0)
            return -1;
    return 0;
}

/* A key names a file, which must be one of this very cgroup. */
static int gather_unified(struct gathered *g)
{
    for (size_t i = 0; i < g->r->unified.n; i++) {
        const char *key = g->r->unified.v[i].key;
        size_t n = strcspn(key, ".");
        char controller[64];
        if (!n || !key[n] || strchr(key, '/') || n >= sizeof controller)
            return zl_fail(g->b->err, ZL_ERR_INVALID,
                           "linux.resources.unified: '%s' is no file of a cgroup", key);
        memcpy(controller, key, n);
        controller[n] = '\0';
        if (strcmp(controller, "cgroup") != 0 && !cgroup_layout_v2_has(g->b->layout, controller))
            return zl_fail(g->b->err, ZL_ERR_UNSUPPORTED,
                           "linux.resources.unified.%s: cgroup v2 of this host has no controller "
                           "'%s'",
                           key, controller);
        limits_put(&g->v2, 0, key, "%s", g->r->unified.v[i].value);
    }
    return 0;
}

static int gather(struct gathered *g)
{
    if (check_device_rules(g->b, g->r) < 0 ||
        (g->b->layout->mode == CGROUP_V2 ? gather_v2 : gather_v1)(g) < 0)
        return -1;
    return gather_unified(g);
}

/* ---- rows ---- */

/* PLAN_CGROUP_GIVEN where the caller had it made. */
static uint32_t given_flag(const struct gathered *g)
{
    return g->b->options->cgroup_given ? PLAN_CGROUP_GIVEN : 0;
}

static void add_v1(struct gathered *g, struct folder *f, struct zl_buf *rows)
{
    struct plan_cgroup c = { .kind = PLAN_CGROUP_V1,
                             .flags = (f->joined ? 0 : PLAN_CGROUP_LATE) | given_flag(g) };
    struct writer *w = &g->b->w;

    c.mount = writer_textf(w, "%s/%s", g->b->layout->root, f->name);
    c.path = writer_text(w, g->b->cgroup_path);
    c.controller = writer_text(w, f->name);
    c.files = writer_rows(w, &f->limits.rows, sizeof(struct plan_file));
    zl_buf_add(rows, &c, sizeof c);
}

/* What the folders above must hand down: the usual ones, so that the first container readies them
 * for all, and those that the files are of. */
static plan_str controllers_wanted(struct gathered *g)
{
    const struct plan_file *f = (const struct plan_file *)(const void *)g->v2.rows.data;
    zl_autobuf struct zl_buf text = ZL_BUF(PLAN_MAX);

    for (size_t i = 0; controllers[i]; i++) {
        const struct controller *c = controllers[i];
        if (c->v2 && (c->always || (c->counts && g->b->options->join_all)))
            zl_buf_addf(&text, "%s+%s", text.len ? " " : "", c->v2);
    }
    for (size_t i = 0; i < g->v2.rows.len / sizeof *f; i++) {
        char word[80];
        const char *file = g->b->w.out->data + f[i].path;
        (void)snprintf(word, sizeof word, "+%.*s", (int)strcspn(file, "."), file);
        if (strcmp(word, "+cgroup") != 0 && !strstr(text.data, word))
            zl_buf_addf(&text, " %s", word);
    }
    return writer_text(&g->b->w, text.data);
}

static void add_v2(struct gathered *g, struct zl_buf *rows)
{
    bool pure = g->b->layout->mode == CGROUP_V2;
    struct plan_cgroup c = { .kind = PLAN_CGROUP_V2,
                             .flags = given_flag(g),
                             .owner = pure ? g->b->cgroup_owner : 0 };
    struct writer *w = &g->b->w;

    c.mount = writer_textf(w, "%s%s", g->b->layout->root, pure ? "" : "/unified");
    c.path = writer_text(w, g->b->cgroup_path);
    c.controller = writer_text(w, "");
    c.enable = controllers_wanted(g);
    c.files = writer_rows(w, &g->v2.rows, sizeof(struct plan_file));
    if (pure)
        build_device_bpf(g->b, g->r, &c.device_bpf);
    zl_buf_add(rows, &c, sizeof c);
}

/* Where systemd looks for a unit's processes: it ends a scope without any. */
static void add_tracking(struct gathered *g, struct zl_buf *rows)
{
    const struct cgroup_layout *l = g->b->layout;
    struct folder named = { .name = "systemd", .joined = true };
    bool unified = false;

    zl_buf_init(&named.limits.rows, PLAN_MAX);
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->v[i].name, named.name) == 0)
            add_v1(g, &named, rows);
        unified |= strcmp(l->v[i].name, "unified") == 0;
    }
    zl_buf_done(&named.limits.rows);
    if (unified)
        add_v2(g, rows);
}

/* What systemd made for us is ours. */
static bool must_be_delegated(const struct gathered *g)
{
    return g->b->options->rootless && !g->b->options->cgroup_given;
}

/* A limit that we may not set is refused; a cgroup that we may not make is left out. */
static int refuse_undelegated(struct gathered *g, const char *mount)
{
    return zl_fail(
        g->b->err, ZL_ERR_CONFIGURATION,
        "linux.resources: limits need cgroup '%s/%s', which user %u may not make: it must "
        "be delegated to him (for systemd: Delegate=yes), or the limits left out",
        mount, g->b->cgroup_path, geteuid());
}

static void swap_folders(struct folder *a, struct folder *b)
{
    struct folder was = *a;

    *a = *b;
    *b = was;
}

static int leave_out_undelegated(struct gathered *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n_v1; i++) {
        char mount[256];
        (void)snprintf(mount, sizeof mount, "%s/%s", g->b->layout->root, g->v1[i].name);
        if (delegation_allows(mount, false, g->b->cgroup_path))
            swap_folders(&g->v1[n++], &g->v1[i]); /* each is freed once, wherever this ends */
        else if (g->v1[i].limits.rows.len)
            return refuse_undelegated(g, mount);
        else
            zl_buf_done(&g->v1[i].limits.rows);
    }
    g->n_v1 = n;
    return 0;
}

static int add_rows_v2(struct gathered *g, struct zl_buf *rows)
{
    char mount[256];

    if (must_be_delegated(g) &&
        !delegation_allows(mount_of_v2(g->b, mount), true, g->b->cgroup_path))
        return g->v2.rows.len ? refuse_undelegated(g, mount) : 0;
    add_v2(g, rows);
    return 0;
}

static int add_rows_v1(struct gathered *g, struct zl_buf *rows)
{
    bool any = false;

    if (must_be_delegated(g) && leave_out_undelegated(g) < 0)
        return -1;

    for (size_t i = 0; i < g->n_v1; i++)
        any |= g->v1[i].joined;
    for (size_t i = 0; !any && i < g->n_v1; i++)
        /* one at least: where the container's processes are found, to signal them all */
        if (strcmp(g->v1[i].name, "pids") == 0 || i + 1 == g->n_v1)
            any = g->v1[i].joined = true;
    for (size_t late = 0; late < 2; late++)
        for (size_t i = 0; i < g->n_v1; i++)
            if (g->v1[i].joined != late)
                add_v1(g, &g->v1[i], rows);
    if (given_flag(g)) {
        add_tracking(g, rows);
        return 0;
    }
    return g->v2.rows.len ? add_rows_v2(g, rows) : 0;
}

/* ---- the choice ---- */

/* 1 or 0; -1: a limit that none could set. Rules of devices are in every config.json: without a
 * cgroup nobody keeps them. */
static int limits_anything(struct build *b, const struct oci_resources *r)
{
    struct oci_resources asked = *r;
    struct limits l = { .b = b, .r = &asked };
    int rc = 0;

    asked.devices.n = 0;
    zl_buf_init(&l.rows, PLAN_MAX);
    for (size_t i = 0; rc == 0 && controllers[i]; i++)
        rc = gather_from(controllers[i]->write_v1, &l);
    if (rc == 0)
        rc = l.rows.len || r->unified.n;
    zl_buf_done(&l.rows);
    return rc;
}

/* Fine as long as nothing is limited. */
static int without_cgroup(struct build *b, const struct oci_resources *r)
{
    int limited = limits_anything(b, r);

    if (limited <= 0)
        return limited;
    if (b->options->no_cgroups)
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "linux.resources: limits need a cgroup, and cgroups are disabled");
    return zl_fail(b->err, ZL_ERR_CONFIGURATION, "linux.resources: no cgroups are mounted at '%s'",
                   b->layout->root);
}

/*
 * config-linux.md, "Cgroup ownership": a container with a cgroup namespace of its own in which it
 * may write has its cgroup for itself.
 */
static uint32_t owner_of(const struct build *b, const struct plan *p)
{
    const struct oci_config *c = b->config;
    uint32_t owner = 0;
    bool writable = false;

    for (size_t i = 0; i < c->mounts.n; i++) {
        const struct oci_mount *m = &c->mounts.v[i];
        if (!m->type || strncmp(m->type, "cgroup", 6) != 0)
            continue;
        writable = true;
        for (size_t o = 0; o < m->options.n; o++)
            writable &= strcmp(m->options.v[o], "ro") != 0;
    }
    if (!writable || !c->process || !(p->namespaces & CLONE_NEWCGROUP) ||
        !map_id(b, &c->linux_.uid_mappings, c->process->user.uid, &owner))
        return 0;
    return owner;
}

/* As far as they are of use to who is no root. */
static struct oci_resources resources_of(const struct build *b)
{
    struct oci_resources r = b->config->linux_.resources;

    if (b->options->rootless) { /* nobody in a user namespace makes a device; what is bound, we open
                                 * with our own rights */
        r.devices.v = NULL;
        r.devices.n = 0;
    }
    return r;
}

int build_cgroups(struct build *b, struct plan *p)
{
    const struct oci_resources all = resources_of(b), *r = &all;
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);
    autogathered struct gathered g;

    gathered_init(&g, b, r);
    if (b->options->no_cgroups)
        return without_cgroup(b, r);
    if (choose_cgroup_path(b) < 0)
        return -1;
    b->cgroup_owner = owner_of(b, p);
    if (b->layout->mode == CGROUP_NONE)
        return without_cgroup(b, r);
    if (gather(&g) < 0 || (b->layout->mode == CGROUP_V2 ? add_rows_v2 : add_rows_v1)(&g, &rows) < 0)
        return -1;
    if (b->options->rootless && !rows.len)
        build_note(b, "no cgroup: user %u may make none; its processes are in ours", geteuid());
    p->cgroups = writer_rows(&b->w, &rows, sizeof(struct plan_cgroup));
    return 0;
}

/* ---- new limits for a container that is there ---- */

static void add_changes(struct gathered *g, struct zl_buf *rows)
{
    bool pure = g->b->layout->mode == CGROUP_V2;

    for (size_t i = 0; i < g->n_v1; i++)
        if (g->v1[i].limits.rows.len)
            add_v1(g, &g->v1[i], rows);
    if (g->v2.rows.len || (pure && g->r->devices.n))
        add_v2(g, rows);
}

int plan_update_build(const struct oci_resources *r, struct zl_buf *notes, struct zl_buf *out,
                      struct zl_error *err)
{
    struct plan_update u = { .magic = PLAN_UPDATE_MAGIC, .version = PLAN_VERSION };
    const struct plan_options options = { .notes = notes };
    struct cgroup_layout layout;
    struct build b = { .options = &options, .layout = &layout, .err = err };
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);
    autogathered struct gathered g;

    gathered_init(&g, &b, r);
    if (cgroup_layout_probe("/sys/fs/cgroup", &layout, err) < 0)
        return -1;
    if (layout.mode == CGROUP_NONE)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "linux.resources: no cgroups are mounted at '%s'",
                       layout.root);
    writer_begin(&b.w, out, sizeof u);
    if (gather(&g) < 0)
        return -1;
    add_changes(&g, &rows);
    u.cgroups = writer_rows(&b.w, &rows, sizeof(struct plan_cgroup));
    return writer_finish(&b.w, &u, sizeof u, err);
}
