// SPDX-License-Identifier: Apache-2.0
/*
 * RT_PULL makes the module ready: compiled and loaded by the host. RT_CREATE makes record,
 * directories and plan as for a container, asks the host for a monitor that has the module, and
 * that for the guest. The record is on disk before any process knows of it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "oci/bundle.h"
#include "oci/config.h"
#include "runtime/native/storage.h"
#include "runtime/wasm/inner.h"
#include "sandbox/plan.h"

enum { COMPILE_LIMIT_MS = 310 * 1000, CREATE_LIMIT_MS = 30 * 1000, CONFIG_MAX = 8 << 20 };
enum { FD_PLAN, FD_RUN, FD_STATE, FD_LOG, FD_GUEST, FDS };

/* What is kept of a request while the host and the monitor are asked. */
struct guest_making {
    struct native *n;
    struct wasm_question *question;
    struct mon_wasm_module module;
    char *image;     /* as it was asked for */
    char digest[80]; /* of it */
    int fds[FDS];
    struct mon_create create;
    const char *names; /* the field that says how names are looked up; NULL: none does */
    bool has_network;
    struct image *made_of; /* while volumes are looked after */
    struct storage storage;
    struct storage_owner owner; /* of new volumes: who the guest runs as */
};

static struct guest_making *making_of(const struct native_call *k)
{
    return k->more;
}

static void release(struct native_call *k)
{
    struct guest_making *m = making_of(k);
    wasm_host_drop(m->question);
    for (size_t i = 0; i < FDS; i++)
        zl_closep(&m->fds[i]);
    storage_done(&m->storage);
    image_free(m->made_of);
    free(m->image);
    free(m);
}

static struct guest_making *making_new(struct native_call *k, struct native *n,
                                       struct zl_error *err)
{
    struct guest_making *m = calloc(1, sizeof *m);
    if (!m) {
        (void)zl_fail_errno(err, "make ready the module");
        return NULL;
    }
    m->n = n;
    for (size_t i = 0; i < FDS; i++)
        m->fds[i] = -1;
    k->more = m;
    k->release = release;
    return m;
}

static void fail(struct native_call *k, struct zl_error *why)
{
    if (k->on_failed)
        k->on_failed(k, why);
    else
        native_call_fail(k, why);
}

/* ---- the module --------------------------------------------------------------------------- */

/* name: as it was asked for, which the image may have been found without. */
static int name_module(struct guest_making *m, const char *name, const struct image *image,
                       unsigned variant, struct zl_error *err)
{
    const char *hex = strchr(image->wasm.digest, ':');
    m->module.variant = variant;
    for (size_t i = 0; hex && i < WASM_DIGEST_LEN; i++) /* checked: 64 digits */
        m->module.digest[i] = hex[1 + i];
    (void)snprintf(m->digest, sizeof m->digest, "%s", image->digest);
    m->image = strdup(name);
    return m->image ? 0 : zl_fail_errno(err, "make ready the module");
}

/* digest NULL: the one that name means. The caller's to free; NULL: there is none. */
static struct image *find_module(struct native *n, const char *name, const char *digest,
                                 struct zl_error *err)
{
    autoimage struct image *image = NULL;
    if (image_find(n->images, digest ? digest : name, &image, err) < 0) {
        if (digest)
            (void)zl_wrap(err, "image '%s'", name);
        return NULL;
    }
    if (!image->wasm.digest[0]) {
        (void)zl_fail(err, ZL_ERR_INVALID, "image '%s' is a container's, not a WebAssembly module",
                      name);
        return NULL;
    }
    return zl_take_ptr(image);
}

/* Also when the host has it already: then it says so at once. */
static int prepare(struct native_call *k, const struct image *image, wasm_answer_fn then,
                   struct zl_error *err)
{
    struct guest_making *m = making_of(k);
    zl_autoclose int bytes = image_wasm_open(m->n->images, image, err);
    if (bytes < 0)
        return -1;
    m->question =
        wasm_host_ask(m->n->wasm->host, MON_WASM_PREPARE, &m->module, bytes, then, k, err);
    return m->question ? 0 : -1;
}

static void fail_to_prepare(struct native_call *k, struct zl_error *why)
{
    (void)zl_wrap(why, "module '%s'", making_of(k)->image);
    fail(k, why);
}

/* ---- pull --------------------------------------------------------------------------------- */

static void pulled(void *arg, const struct mon_message *message, struct zl_error *why)
{
    struct native_call *k = arg;
    struct rt_answer a = { 0 };
    making_of(k)->question = NULL;
    if (!message) {
        fail_to_prepare(k, why);
        return;
    }
    (void)snprintf(a.pull.digest, sizeof a.pull.digest, "%s", making_of(k)->digest);
    if (message->prepared.note[0])
        (void)snprintf(a.pull.note, sizeof a.pull.note, "module '%s': %.*s: it was compiled anew",
                       making_of(k)->image, WASM_NOTE_SIZE, message->prepared.note);
    rt_call_answer(&k->call, &a);
}

int wasm_pull(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    autoimage struct image *image = NULL;
    struct native *n = native_of(k->call.rt);
    struct guest_making *m = making_new(k, n, err);
    if (m)
        image = find_module(n, rq->pull.image, rq->pull.digest, err);
    if (!image)
        return -1;
    /* With the settings that most services have; another variant is compiled at create. */
    unsigned variant = n->wasm->config.disable_epochs ? 0 : WASM_VARIANT_TIMED;
    if (name_module(m, rq->pull.image, image, variant, err) < 0 ||
        prepare(k, image, pulled, err) < 0)
        return -1;
    native_call_limit(k, COMPILE_LIMIT_MS);
    return 0;
}

/* ---- create: documents and directories ---------------------------------------------------- */

static int make_directories(struct guest_making *m, const struct container *c, struct zl_error *err)
{
    m->fds[FD_STATE] = zl_make_dir(m->n->containers_fd, c->id_text, 0700, err);
    m->fds[FD_RUN] = m->fds[FD_STATE] < 0 ? -1 : zl_make_dir(m->n->run_fd, c->id_text, 0711, err);
    return m->fds[FD_RUN] < 0 ? -1 : 0;
}

static int open_log(struct guest_making *m, const struct inst_label *label, struct zl_buf *path,
                    struct zl_error *err)
{
    native_log_path(m->n->root_dir, label, path);
    if (zl_buf_check(path, "the path of the log", err) < 0)
        return -1;
    char *slash = strrchr(path->data, '/');
    int n = snprintf(m->create.log_name, sizeof m->create.log_name, "%s", slash + 1);
    if (n >= (int)sizeof m->create.log_name)
        return zl_fail(err, ZL_ERR_INVALID, "the name of the log '%s' is too long", slash + 1);
    *slash = '\0';
    m->fds[FD_LOG] = zl_mkdir_p(AT_FDCWD, path->data, 0755, err);
    *slash = '/';
    return m->fds[FD_LOG] < 0 ? -1 : 0;
}

/* A module has no /etc/passwd: users are numbers. */
static int no_file(void *arg, const char *path, struct zl_error *err)
{
    (void)arg;
    return zl_fail(err, ZL_ERR_NOT_FOUND, "a module has no file '%s'", path);
}

static struct storage_owner owner_in(const json_t *config)
{
    const json_t *user = json_object_get(json_object_get(config, "process"), "user");
    return (struct storage_owner){
        (uint32_t)json_integer_value(json_object_get(user, "uid")),
        (uint32_t)json_integer_value(json_object_get(user, "gid")),
    };
}

static int make_config(struct guest_making *m, const struct container *c,
                       const struct spec_service *s, const struct spec_pairs *env,
                       const struct image *image, struct zl_buf *out, struct zl_error *err)
{
    zl_autofree char *cgroups_path = NULL;
    if (asprintf(&cgroups_path, "%s/c/%s", c->n->cgroup_parent, c->id_text) < 0)
        return zl_fail_errno(err, "make config.json");
    const struct image_config *ic = &image->config;
    const struct oci_bundle bundle = {
        .service = s,
        .env = env,
        .image = { ic->entrypoint, ic->cmd, ic->env, ic->user, ic->workdir },
        .name = c->name,
        .cgroups_path = cgroups_path,
        .host = &c->n->host,
        .volumes = (const char *const *)m->storage.sources,
        .open_file = no_file,
        .is_module = true,
    };
    json_t *config = NULL;
    if (oci_bundle_make(&bundle, &config, err) < 0)
        return -1;
    m->owner = owner_in(config);
    int rc = wasm_config_strip(config, s, err);
    rc = rc < 0 ? rc : zl_json_dump(config, JSON_COMPACT, out, err);
    json_decref(config);
    return rc;
}

static int make_plan(struct guest_making *m, const struct container *c, const struct zl_buf *config,
                     struct zl_buf *plan, struct zl_error *err)
{
    autociconfig struct oci_config *parsed = NULL;
    const struct plan_options options = {
        .id = c->id_text,
        .bundle = "/",
        .cgroup_parent = m->n->cgroup_parent,
        .join_all = true,
        .no_home = true,
    };
    if (oci_config_parse(config->data, config->len, "config.json", &parsed, err) < 0 ||
        plan_build(parsed, &options, plan, err) < 0)
        return -1;
    m->fds[FD_PLAN] = zl_sealed("plan", plan->data, plan->len, err);
    return m->fds[FD_PLAN] < 0 ? -1 : 0;
}

static int write_record(struct guest_making *m, struct container *c, const struct inst_label *label,
                        const struct zl_buf *plan_bytes, const char *log, struct zl_error *err)
{
    const struct plan *plan = NULL;
    if (plan_check(plan_bytes->data, plan_bytes->len, &plan, err) < 0)
        return -1;
    const struct plan_cgroup *v = plan_table(plan, plan->cgroups);
    zl_autobuf struct zl_buf text = ZL_BUF(64 << 10);
    zl_autofree const char **cgroups = calloc(plan->cgroups.n + 1, sizeof *cgroups);
    zl_autofree size_t *at = calloc(plan->cgroups.n + 1, sizeof *at);
    if (!cgroups || !at)
        return zl_fail_errno(err, "write the record");
    for (uint32_t i = 0; i < plan->cgroups.n; i++) {
        at[i] = text.len;
        const char *mount = plan_text(plan, v[i].mount), *path = plan_text(plan, v[i].path);
        zl_buf_addf(&text, "%s/%s", mount ? mount : "", path ? path : "");
        zl_buf_addc(&text, '\0');
    }
    if (zl_buf_check(&text, "the paths of the cgroups", err) < 0)
        return -1;
    for (uint32_t i = 0; i < plan->cgroups.n; i++)
        cgroups[i] = text.data + at[i]; /* it has stopped moving */
    const struct record r = {
        .id = c->id_text,
        .owner = m->n->owner,
        .boot_id = m->n->boot_id,
        .runtime = m->n->rt.ops->name,
        .label = *label,
        .image = m->digest,
        .cgroups = { cgroups, plan->cgroups.n },
        .log = log,
        .stop_signal = m->create.stop_signal,
        .volumes = { m->storage.names, m->storage.n_names },
    };
    autorecord struct record written = { 0 };
    if (record_write(m->fds[FD_STATE], &r, &written, err) < 0)
        return -1;
    container_set_record(c, &written);
    return 0;
}

static void fill_create(struct guest_making *m, const struct container *c,
                        const struct rt_request *rq)
{
    const struct spec_service *s = rq->create.service;
    struct mon_create *create = &m->create;
    create->n_plan_fds = 1;
    create->stop_signal = s->stop_signal ? s->stop_signal : SIGTERM;
    create->flags = (s->tty ? MON_CREATE_TTY : 0U) | (s->stdin_open ? MON_CREATE_STDIN : 0U) |
                    (rq->create.attach_first ? MON_CREATE_ATTACH_FIRST : 0U) |
                    (rq->create.label->owner == OWNER_EXECUTION ? MON_CREATE_DURABLE_EXIT : 0U);
    (void)snprintf(create->id, sizeof create->id, "%s", c->id_text);
}

/* What is asked for and cannot be: refused by name, never left out. */
static int check_service(const struct spec_service *s, struct zl_error *err)
{
    const struct {
        const char *field;
        bool asked;
    } containers_only[] = {
        { "privileged", s->privileged },
        { "devices", s->n_devices > 0 },
        { "cap_add", s->cap_add.n > 0 },
        { "resources.gpu", s->resources.gpu != NULL },
        { "sysctls", s->sysctls.n > 0 },
        { "init_container", s->init_container },
        { "pid_mode", s->pid_mode != NULL },
        { "ipc_mode", s->ipc_mode != NULL },
        { "network_mode container:", s->network == SPEC_NET_CONTAINER },
    };
    if (s->health.written && s->health.check == SPEC_CHECK_COMMAND)
        return zl_fail(
            err, ZL_ERR_CONFIGURATION,
            "a WebAssembly service cannot be asked by a command, which nothing in it could "
            "execute: use a tcp or http health check");
    for (size_t i = 0; i < ZL_ARRAY_LEN(containers_only); i++)
        if (containers_only[i].asked)
            return zl_fail(err, ZL_ERR_CONFIGURATION,
                           "'%s' is for containers: a WebAssembly guest has no such thing",
                           containers_only[i].field);
    return 0;
}

static void note_names(struct guest_making *m, const struct spec_service *s)
{
    m->names = s->dns.n ? "dns" : s->extra_hosts.n ? "extra_hosts" : NULL;
    m->has_network = wasm_needs_network(s);
}

/* Whether it can look up any shows when its module is known. */
static int check_names(const struct guest_making *m, bool component, struct zl_error *err)
{
    if (!m->names || (component && m->has_network))
        return 0;
    return zl_fail(err, ZL_ERR_CONFIGURATION,
                   component ? "'%s' is for guests with a network, and this one has none: no "
                               "endpoint, no wasm.allow_tcp or wasm.allow_udp asks for it"
                             : "'%s' is for components: a core module of WASI preview 1 has no way "
                               "to look up names",
                   m->names);
}

static int make_all(struct guest_making *m, struct container *c, const struct rt_request *rq,
                    const struct image *image, struct zl_error *err)
{
    zl_autobuf struct zl_buf config = ZL_BUF(CONFIG_MAX), plan = ZL_BUF(PLAN_MAX),
                             log = ZL_BUF(1000);
    fill_create(m, c, rq);
    if (check_service(rq->create.service, err) < 0 || make_directories(m, c, err) < 0 ||
        open_log(m, rq->create.label, &log, err) < 0 ||
        storage_plan(m->n, c->id_text, rq->create.service, &m->storage, err) < 0 ||
        make_config(m, c, rq->create.service, rq->create.env, image, &config, err) < 0 ||
        make_plan(m, c, &config, &plan, err) < 0)
        return -1;
    /* On tmpfs, for root only: it holds the environment with its secrets. */
    if (zl_write_atomic(m->fds[FD_RUN], "config.json", config.data, config.len, 0600, false, err) <
        0)
        return -1;
    return write_record(m, c, rq->create.label, &plan, log.data, err);
}

/* ---- create: the processes ---------------------------------------------------------------- */

/* While the host was asked it may have been removed. */
static int check_wanted(const struct native_call *k, struct zl_error *err)
{
    return k->c ? 0 : zl_fail(err, ZL_ERR_CANCELLED, "it was removed meanwhile");
}

static int send_create(struct native_call *k, int sock, struct zl_error *err)
{
    struct guest_making *m = making_of(k);
    struct mon_client *mon = NULL;
    if (check_wanted(k, err) < 0) {
        (void)close(sock); /* which ends the monitor */
        return -1;
    }
    if (mon_client_adopt(sock, &mon, err) < 0)
        return -1;
    if (mon_client_send_hello(mon, ++m->n->last_op, true, NULL, err) < 0 ||
        mon_client_send_create(mon, native_call_expect(k, reply_done), &m->create, m->fds, FDS,
                               err) < 0) {
        mon_client_free(mon);
        return -1;
    }
    return container_connect(k->c, mon, err);
}

static void taken(void *arg, const struct mon_message *message, struct zl_error *why)
{
    struct native_call *k = arg;
    struct zl_error err = { 0 };
    making_of(k)->question = NULL;
    if (!message)
        fail(k, why);
    else if (send_create(k, message->fd, &err) < 0)
        fail(k, &err);
    else
        native_call_limit(k, CREATE_LIMIT_MS);
}

/* What the module serves decides whether its time is limited. */
static void prepared(void *arg, const struct mon_message *message, struct zl_error *why)
{
    struct native_call *k = arg;
    struct guest_making *m = making_of(k);
    struct zl_error err = { 0 };
    m->question = NULL;
    if (!message) {
        fail_to_prepare(k, why);
        return;
    }
    if (check_wanted(k, &err) == 0 && check_names(m, message->prepared.component, &err) == 0 &&
        wasm_settings_finish(m->fds[FD_GUEST], &m->n->wasm->config, &k->c->record.label,
                             (enum mon_wasm_serves)message->prepared.serves, &err) == 0)
        m->question =
            wasm_host_ask(m->n->wasm->host, MON_WASM_TAKE, &m->module, -1, taken, k, &err);
    if (!m->question)
        fail(k, &err);
}

static int go_on(struct native_call *k, struct zl_error *err)
{
    return prepare(k, making_of(k)->made_of, prepared, err);
}

/* There is nothing in a module to be copied, but a copy for a container may be half done. */
static int mount_volumes(struct native_call *k, struct image **image, struct zl_error *err)
{
    struct guest_making *m = making_of(k);
    zl_autofree char *order = NULL;
    if (storage_make(&m->storage, m->n, m->fds[FD_STATE], k->c->id_text, NULL, m->owner, &order,
                     err) < 0)
        return -1;
    if (!order)
        return prepare(k, *image, prepared, err);
    m->made_of = zl_take_ptr(*image);
    return storage_fill(&m->storage, k, order, go_on, err);
}

static int begin_create(struct native_call *k, const struct rt_request *rq, struct image **image,
                        struct zl_error *err)
{
    struct guest_making *m = making_of(k);
    const struct spec_service *s = rq->create.service;
    note_names(m, s);
    m->fds[FD_GUEST] = wasm_settings_make(s, k->c->name, err);
    if (m->fds[FD_GUEST] < 0 ||
        name_module(m, s->image.name, *image, wasm_variant(&m->n->wasm->config, s), err) < 0 ||
        make_all(m, k->c, rq, *image, err) < 0)
        return -1;
    return mount_volumes(k, image, err);
}

int wasm_create(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    autoimage struct image *image = NULL;
    struct native *n = native_of(k->call.rt);
    struct guest_making *m = making_new(k, n, err);
    if (!m)
        return -1;
    image = find_module(n, rq->create.service->image.name, rq->create.image_digest, err);
    if (!image)
        return -1;
    struct container *c = container_create(k, rq, err);
    if (!c)
        return -1;
    k->c = c;
    k->on_failed = container_create_failed;
    if (begin_create(k, rq, &image, err) < 0)
        return container_create_undone(k, err);
    native_call_limit(k, COMPILE_LIMIT_MS);
    return 0;
}
