// SPDX-License-Identifier: Apache-2.0
/*
 * RT_CREATE: image, bundle, config.json, plan; directories and record; volumes, which zlayer-fetch
 * may have to fill first; then a monitor is asked. The record is on disk before the monitor knows
 * anything, so a kill of the agent at any point leaves something that the next one finds and
 * removes; and before there are volumes, so that these are in use by then.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "core/text/names.h"
#include "oci/config.h"
#include "runtime/native/making.h"
#include "spec/value/signal.h"

enum { CREATE_LIMIT_MS = 30000, NOTES_MAX = 4096 };

static void making_done(struct making *m)
{
    image_free(m->image);
    zl_closep(&m->run_fd);
    zl_closep(&m->state_fd);
    zl_closep(&m->log_fd);
    zl_closep(&m->plan_fd);
    for (size_t i = 0; i < m->n_fds; i++)
        zl_closep(&m->fds[i]);
    json_decref(m->config);
    storage_done(&m->storage);
    zl_buf_done(&m->plan);
    zl_buf_done(&m->notes);
    free(m);
}

/* ---- the steps, in order ------------------------------------------------------------------ */

static int find_image(struct making *m, struct zl_error *err)
{
    const char *name = m->service->image.name;
    if (image_find(m->n->images, m->image_digest ? m->image_digest : name, &m->image, err) < 0)
        return m->image_digest ? zl_wrap(err, "image '%s'", name) : -1;
    if (m->image->n_layers > PLAN_LOWER_MAX)
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "image '%s' has %zu layers; at most %d can be mounted", name,
                       m->image->n_layers, PLAN_LOWER_MAX);
    return 0;
}

static int make_directories(struct making *m, struct zl_error *err)
{
    const char *id = m->c->id_text;
    /* upper is in it, which is the container's "/" and has its modes: a program that a container
     * made set-uid must not be in reach of the host's users. */
    m->state_fd = zl_make_dir(m->n->containers_fd, id, 0700, err);
    if (m->state_fd < 0)
        return zl_wrap(err, "the state directory");
    /* ctl is in it: whoever has a token may come, for root only is what is in it for root only. */
    m->run_fd = zl_make_dir(m->n->run_fd, id, 0711, err);
    if (m->run_fd < 0)
        return zl_wrap(err, "the run directory");
    /* Where the overlay is mounted, in the container's own mount namespace only. */
    zl_autoclose int rootfs = zl_make_dir(m->state_fd, "rootfs", 0755, err);
    if (rootfs < 0)
        return zl_wrap(err, "the state directory");
    return 0;
}

static int open_layers(struct making *m, struct zl_error *err)
{
    for (size_t i = m->image->n_layers; i > 0; i--) {
        int fd = image_layer_fd(m->n->images, m->image->layers[i - 1], err);
        if (fd < 0)
            return -1;
        m->fds[m->n_fds++] = fd;
    }
    static const char *const writable[] = { "upper", "work" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(writable); i++) {
        int fd = zl_make_dir(m->state_fd, writable[i], 0755, err);
        if (fd < 0)
            return -1;
        m->fds[m->n_fds++] = fd;
    }
    return 0;
}

/* Our own process 1, when the service wants one. */
static int open_init(struct making *m, struct zl_error *err)
{
    if (!m->service->init_container)
        return 0;
    int fd = shim_pool_init(m->n->pool, err);
    if (fd < 0)
        return -1;
    m->fds[m->n_fds++] = fd;
    m->init = (uint32_t)m->n_fds;
    return 0;
}

static int open_log(struct making *m, struct zl_error *err)
{
    zl_autobuf struct zl_buf path = ZL_BUF(sizeof m->log_path - 1);
    native_log_path(m->n->root_dir, m->label, &path);
    if (zl_buf_check(&path, "the path of the log", err) < 0)
        return -1;
    (void)memcpy(m->log_path, path.data, path.len + 1);
    char *slash = strrchr(path.data, '/');
    *slash = '\0';
    if (snprintf(m->log_name, sizeof m->log_name, "%s", slash + 1) >= (int)sizeof m->log_name)
        return zl_fail(err, ZL_ERR_INVALID, "the name of the log '%s' is too long", slash + 1);
    const char *below = path.data + strlen(m->n->root_dir); /* "/logs/…" */
    m->log_fd = zl_mkdir_p(m->n->root_fd, below + 1, 0755, err);
    return m->log_fd < 0 ? -1 : 0;
}

static int make_plan(struct making *m, struct zl_error *err)
{
    autociconfig struct oci_config *config = NULL;
    zl_autofree char *state_dir = NULL, *mount_point = NULL;
    if (asprintf(&state_dir, "%s/containers/%s", m->n->root_dir, m->c->id_text) < 0 ||
        asprintf(&mount_point, "%s/rootfs", state_dir) < 0)
        return zl_fail_errno(err, "make the plan");
    struct plan_join_fd joins[MAKING_JOINS];
    for (size_t i = 0; i < m->n_joins; i++)
        joins[i] = (struct plan_join_fd){ m->joins[i].path, m->joins[i].fd };
    const struct plan_options options = {
        .id = m->c->id_text,
        .bundle = state_dir,
        .cgroup_parent = m->n->cgroup_parent,
        .join_all = true,
        .seccomp = PLAN_SECCOMP_DEFAULT,
        .n_lower = (uint32_t)m->image->n_layers,
        .has_upper = true,
        .upper_volatile = m->label->owner == OWNER_EXECUTION || m->service->delete_on_exit,
        .mount_point = mount_point,
        .n_fds = (uint32_t)m->n_fds,
        .joins = joins,
        .n_joins = m->n_joins,
        .init = m->init,
        .cache = m->n->plans,
    };
    if (oci_config_of(m->config, "config.json", &config, err) < 0)
        return -1;
    if (oci_config_has_hooks(config)) /* of a CDI file */
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "this version runs no hooks");
    if (plan_build(config, &options, &m->plan, err) < 0)
        return -1;
    m->plan_fd = zl_sealed("plan", m->plan.data, m->plan.len, err);
    return m->plan_fd < 0 ? -1 : 0;
}

static int stop_signal_of(const struct making *m)
{
    const char *of_image = m->image->config.stop_signal;
    int found = of_image && *of_image ? spec_parse_signal(of_image) : -1;
    if (m->service->stop_signal)
        return m->service->stop_signal;
    return found > 0 ? found : SIGTERM;
}

/* The directories that the plan will make, for those who clean up without a monitor: n of them into
 * list, allocated. */
static int list_cgroups(const struct plan *plan, const char **list, size_t *ret_n,
                        struct zl_error *err)
{
    const struct plan_cgroup *v = plan_table(plan, plan->cgroups);
    for (uint32_t i = 0; i < plan->cgroups.n; i++) {
        char *dir;
        if (asprintf(&dir, "%s/%s", plan_text(plan, v[i].mount), plan_text(plan, v[i].path)) < 0)
            return zl_fail_errno(err, "list the cgroups");
        list[(*ret_n)++] = dir;
    }
    return 0;
}

static int write_cgroups_and_layers(struct making *m, const struct plan *plan, struct record *r,
                                    struct zl_error *err)
{
    autorecord struct record written = { 0 };
    zl_autofree uint32_t *layers = calloc(m->image->n_layers + 1, sizeof *layers);
    zl_autofree const char **cgroups = calloc(plan->cgroups.n + 1, sizeof *cgroups);
    if (!layers || !cgroups)
        return zl_fail_errno(err, "write the record");
    for (size_t i = 0; i < m->image->n_layers; i++)
        layers[i] = m->image->layers[i];
    r->layers.v = layers;
    r->layers.n = m->image->n_layers;
    r->cgroups.v = cgroups;
    int rc = list_cgroups(plan, cgroups, &r->cgroups.n, err);
    if (rc == 0)
        rc = record_write(m->state_fd, r, &written, err);
    for (size_t i = 0; i < r->cgroups.n; i++)
        free((void *)(uintptr_t)cgroups[i]);
    if (rc == 0)
        container_set_record(m->c, &written);
    return rc;
}

static int write_record(struct making *m, struct zl_error *err)
{
    const struct plan *plan = NULL;
    if (plan_check(m->plan.data, m->plan.len, &plan, err) < 0)
        return -1;
    struct record r = {
        .id = m->c->id_text,
        .owner = m->n->owner,
        .boot_id = m->n->boot_id,
        .runtime = m->n->rt.ops->name,
        .label = *m->label,
        .image = m->image->digest,
        .log = m->log_path,
        .stop_signal = stop_signal_of(m),
        .shareable = making_is_shareable(m->service),
        .gpu_vendor = m->n_gpus ? m->service->resources.gpu->vendor : NULL,
        .gpus = { m->gpus, m->n_gpus },
        .volumes = { m->storage.names, m->storage.n_names },
    };
    return write_cgroups_and_layers(m, plan, &r, err);
}

/* ---- asking the monitor ------------------------------------------------------------------- */

static unsigned flags_of(const struct making *m, bool attach_first)
{
    unsigned flags = 0;
    if (m->service->tty)
        flags |= MON_CREATE_TTY;
    if (m->service->stdin_open)
        flags |= MON_CREATE_STDIN;
    if (attach_first)
        flags |= MON_CREATE_ATTACH_FIRST;
    if (m->label->owner == OWNER_EXECUTION) /* so that a finished job never runs twice */
        flags |= MON_CREATE_DURABLE_EXIT;
    if (m->service->n_storage == 0) /* else a disk of the user's must be free when it has ended */
        flags |= MON_CREATE_MOUNTS_LATE;
    return flags;
}

static int send_create(struct making *m, struct mon_client *mon, uint64_t op, struct zl_error *err)
{
    int fds[4 + MAKING_FDS] = { m->plan_fd, m->run_fd, m->state_fd, m->log_fd };
    struct mon_create create = {
        .flags = m->flags,
        .n_plan_fds = (uint32_t)m->n_fds,
        .stop_signal = m->c->record.stop_signal,
    };
    (void)snprintf(create.id, sizeof create.id, "%s", m->c->id_text);
    (void)snprintf(create.log_name, sizeof create.log_name, "%s", m->log_name);
    (void)memcpy(fds + 4, m->fds, m->n_fds * sizeof *fds);
    if (mon_client_send_hello(mon, ++m->n->last_op, true, NULL, err) < 0)
        return -1;
    return mon_client_send_create(mon, op, &create, fds, 4 + m->n_fds, err);
}

static int ask_monitor(struct making *m, uint64_t op, struct zl_error *err)
{
    struct mon_client *mon = NULL;
    int sock = shim_pool_take(m->n->pool, err);
    if (sock < 0 || mon_client_adopt(sock, &mon, err) < 0)
        return -1;
    if (send_create(m, mon, op, err) < 0) {
        mon_client_free(mon);
        return -1;
    }
    return container_connect(m->c, mon, err);
}

static int make_all(struct making *m, struct zl_error *err)
{
    static int (*const steps[])(struct making *, struct zl_error *) = {
        find_image,     make_directories, open_layers,     making_join, open_init,    making_gpus,
        making_sources, open_log,         making_document, make_plan,   write_record,
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(steps); i++)
        if (steps[i](m, err) < 0)
            return -1;
    return 0;
}

/* Nothing that was made of a container stays: the monitor, if there is one, ends by the closed
 * connection. */
static void undo(struct container *c)
{
    struct native *n = c->n;
    container_disconnect(c);
    cgroup_kill_all(&c->record);
    (void)cgroup_remove_all(&c->record);               /* the monitor removes what it made, too */
    (void)zl_remove_tree(n->run_fd, c->id_text, NULL); /* the first failure is the one to tell */
    (void)trash_take(n->trash, n->containers_fd, c->id_text, NULL);
    container_free(c);
}

struct container *container_create(const struct native_call *k, const struct rt_request *rq,
                                   struct zl_error *err)
{
    if (k->c) {
        (void)zl_fail(err, ZL_ERR_EXISTS, "this container exists already");
        return NULL;
    }
    struct container *c = container_new(native_of(k->call.rt), rq->id, err);
    if (c)
        core_name_format(rq->create.label, c->name, sizeof c->name);
    return c;
}

int container_create_undone(struct native_call *k, struct zl_error *why)
{
    struct container *c = k->c;
    if (c) {
        (void)zl_wrap(why, "%s '%s'", rt_kind_verb(k->call.kind), c->name);
        k->c = NULL;
        undo(c);
    }
    return -1;
}

void container_create_failed(struct native_call *k, struct zl_error *why)
{
    (void)container_create_undone(k, why);
    rt_call_fail(&k->call, why);
}

/* ---- volumes ------------------------------------------------------------------------------ */

static void release_making(struct native_call *k)
{
    making_done(k->more);
}

static int ask(struct native_call *k, struct zl_error *err)
{
    struct making *m = k->more;
    int rc = ask_monitor(m, native_call_expect(k, reply_done), err);
    k->more = NULL; /* the monitor has its descriptors now */
    k->release = NULL;
    making_done(m);
    if (rc == 0)
        native_call_limit(k, CREATE_LIMIT_MS);
    return rc;
}

/* It is the caller's again when submit has returned, which may be before the volumes are full. */
static void forget_request(struct making *m)
{
    m->label = NULL;
    m->service = NULL;
    m->env = NULL;
    m->image_digest = NULL;
}

/* Makes them; then the monitor is asked, or what fills them first. */
static int mount_volumes(struct native_call *k, struct zl_error *err)
{
    struct making *m = k->more;
    zl_autofree char *order = NULL;
    const struct storage_owner root = { 0, 0 };
    if (storage_make(&m->storage, m->n, m->state_fd, k->c->id_text, m->image, root, &order, err) <
        0)
        return -1;
    forget_request(m);
    return order ? storage_fill(&m->storage, k, order, ask, err) : ask(k, err);
}

/* ---- the operation ------------------------------------------------------------------------ */

static struct making *making_new(struct native *n, const struct rt_request *rq)
{
    struct making *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->n = n;
    m->label = rq->create.label;
    m->service = rq->create.service;
    m->env = rq->create.env;
    m->image_digest = rq->create.image_digest;
    m->run_fd = m->state_fd = m->log_fd = m->plan_fd = -1;
    zl_buf_init(&m->plan, PLAN_MAX);
    zl_buf_init(&m->notes, NOTES_MAX);
    m->flags = flags_of(m, rq->create.attach_first);
    return m;
}

int native_create(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    struct making *m = making_new(native_of(k->call.rt), rq);
    if (!m)
        return zl_fail_errno(err, "create");
    k->more = m;
    k->release = release_making;
    m->c = container_create(k, rq, err);
    if (!m->c)
        return -1;
    k->on_failed = container_create_failed;
    int rc = make_all(m, err);
    k->c = m->c; /* from here on, what happens to it is told to k */
    if (rc == 0 && mount_volumes(k, err) == 0)
        return 0;
    return container_create_undone(k, err);
}
