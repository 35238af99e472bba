// SPDX-License-Identifier: Apache-2.0
/* A further process in a container: from the request and the container's config.json to its plan.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "oci/config.h"
#include "oci/user.h"
#include "runtime/native/inner.h"
#include "sandbox/plan.h"

/* What becomes struct oci_process; all of it lives until the plan is built. */
struct exec_making {
    struct native_call *k;
    const struct rt_exec *x;
    struct oci_config *config;
    struct oci_account account;
    struct oci_process process;
    const char **env;
};

static size_t count(const char *const *v)
{
    size_t n = 0;
    while (v && v[n])
        n++;
    return n;
}

static bool same_key(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* The container's environment, with the exec's own on top. */
static int merge_env(struct exec_making *m, struct zl_error *err)
{
    const struct zl_strs *base = &m->config->process->env;
    size_t added = count(m->x->env), n = 0;
    m->env = calloc(base->n + added + 1, sizeof *m->env);
    if (!m->env)
        return zl_fail_errno(err, "prepare the environment");
    for (size_t i = 0; i < base->n; i++)
        m->env[n++] = base->v[i];
    for (size_t i = 0; i < added; i++) {
        size_t at = 0;
        while (at < n && !same_key(m->x->env[i], m->env[at]))
            at++;
        m->env[at] = m->x->env[i];
        n = at == n ? n + 1 : n;
    }
    m->process.env = (struct zl_strs){ m->env, n };
    return 0;
}

struct image_files { /* where a user's name is looked up */
    struct image_store *images;
    struct image *image;
};

static int open_image_file(void *arg, const char *path, struct zl_error *err)
{
    const struct image_files *f = arg;
    return image_open_file(f->images, f->image, path, err);
}

/* As the image has it: what the container wrote over its passwd meanwhile does not count. */
static int set_user(struct exec_making *m, struct zl_error *err)
{
    if (!m->x->user) {
        m->process.user = m->config->process->user;
        return 0;
    }
    autoimage struct image *image = NULL;
    struct image_files files = { .images = m->k->c->n->images };
    if (image_find(files.images, m->k->c->record.image, &image, err) < 0)
        return -1;
    files.image = image;
    if (oci_user_find(m->x->user, open_image_file, &files, &m->account, err) < 0)
        return -1;
    m->process.user = (struct oci_user){ .uid = m->account.uid, .gid = m->account.gid };
    m->process.user.additional_gids.v = m->account.groups;
    m->process.user.additional_gids.n = m->account.n_groups;
    return 0;
}

static int make_process(struct exec_making *m, struct zl_error *err)
{
    if (!m->config->process)
        return zl_fail(err, ZL_ERR_INVALID, "its config.json has no process");
    if (count(m->x->argv) == 0)
        return zl_fail(err, ZL_ERR_INVALID, "no command is given");
    m->process.terminal = m->x->tty;
    m->process.console_size.height = m->x->rows;
    m->process.console_size.width = m->x->cols;
    m->process.cwd = m->x->cwd ? m->x->cwd : m->config->process->cwd;
    /* Only read: struct zl_strs is shared with who decodes. */
    m->process.args.v = (const char **)(uintptr_t)m->x->argv;
    m->process.args.n = count(m->x->argv);
    return merge_env(m, err) < 0 || set_user(m, err) < 0 ? -1 : 0;
}

static int make_plan(struct exec_making *m, struct zl_buf *plan, struct zl_error *err)
{
    const struct container *c = m->k->c;
    const struct plan_options options = {
        .id = c->id_text,
        .bundle = "/",
        .cgroup_parent = c->n->cgroup_parent,
        .join_all = true,
        .seccomp = PLAN_SECCOMP_DEFAULT,
    };
    zl_autoclose int run_fd = container_open_run_dir(c, err);
    if (run_fd < 0 || oci_config_load(run_fd, &m->config, err) < 0 || make_process(m, err) < 0)
        return -1;
    return plan_exec_build(m->config, &options, &m->process, plan, err);
}

static int send_plan(struct native_call *k, const struct zl_buf *plan, const struct mon_exec *exec,
                     void (*on_made)(struct native_call *, const struct mon_message *),
                     struct zl_error *err)
{
    zl_autoclose int fd = zl_sealed("exec plan", plan->data, plan->len, err);
    if (fd < 0)
        return -1;
    return mon_client_send_exec(k->c->mon, native_call_expect(k, on_made), exec, &fd, 1, err);
}

int exec_send(struct native_call *k, const struct rt_exec *x, bool capture, uint64_t timeout_ms,
              void (*on_made)(struct native_call *, const struct mon_message *),
              struct zl_error *err)
{
    struct exec_making m = { .k = k, .x = x };
    const struct mon_exec exec = {
        .flags = (x->tty ? MON_CREATE_TTY : 0U) | (x->stdin_open ? MON_CREATE_STDIN : 0U),
        .rows = x->rows,
        .cols = x->cols,
        .capture = capture,
        .timeout_ms = timeout_ms,
    };
    zl_autobuf struct zl_buf plan = ZL_BUF(PLAN_MAX);
    int rc = make_plan(&m, &plan, err);
    if (rc == 0)
        rc = send_plan(k, &plan, &exec, on_made, err);
    oci_config_free(m.config);
    free(m.env);
    return rc;
}
