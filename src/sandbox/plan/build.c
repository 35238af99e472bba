// SPDX-License-Identifier: Apache-2.0
/* config.json and options → plan: namespaces and root here, the parts from the other files. */
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "sandbox/kernel.h"
#include "sandbox/plan/cache.h"
#include "sandbox/plan/parts.h"

void build_note(const struct build *b, const char *fmt, ...)
{
    va_list ap;

    if (!b->options->notes)
        return;
    va_start(ap, fmt);
    zl_buf_vaddf(b->options->notes, fmt, ap);
    va_end(ap);
    zl_buf_addc(b->options->notes, '\n');
}

/* ---- namespaces ---- */

static const uint32_t clone_bits[] = {
    [OCI_NS_PID] = CLONE_NEWPID,       [OCI_NS_NETWORK] = CLONE_NEWNET,
    [OCI_NS_MOUNT] = CLONE_NEWNS,      [OCI_NS_IPC] = CLONE_NEWIPC,
    [OCI_NS_UTS] = CLONE_NEWUTS,       [OCI_NS_USER] = CLONE_NEWUSER,
    [OCI_NS_CGROUP] = CLONE_NEWCGROUP, [OCI_NS_TIME] = CLONE_NEWTIME,
};

static uint32_t join_fd(const struct build *b, const char *path)
{
    for (size_t i = 0; i < b->options->n_joins; i++)
        if (strcmp(b->options->joins[i].path, path) == 0)
            return b->options->joins[i].fd + 1;
    return 0;
}

int build_namespaces(struct build *b, struct plan *p)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);
    uint32_t seen = 0;

    for (size_t i = 0; i < b->config->linux_.namespaces.n; i++) {
        const struct oci_namespace *ns = &b->config->linux_.namespaces.v[i];
        uint32_t bit = clone_bits[ns->type];
        if (seen & bit)
            return zl_fail(b->err, ZL_ERR_INVALID, "linux.namespaces[%zu]: the same type again", i);
        seen |= bit;
        if (ns->path && ns->path[0]) {
            struct plan_join j = { .ns = bit,
                                   .path = writer_text(&b->w, ns->path),
                                   .fd = join_fd(b, ns->path) };
            zl_buf_add(&rows, &j, sizeof j);
        } else {
            p->namespaces |= bit;
        }
    }
    p->joins = writer_rows(&b->w, &rows, sizeof(struct plan_join));
    return 0;
}

/* ---- root ---- */

static const struct {
    const char *name;
    uint32_t before, after; /* plan.root_propagation_… */
} propagations[] = {
    { "", MS_SLAVE | MS_REC, 0 },
    { "private", MS_PRIVATE | MS_REC, MS_PRIVATE },
    { "rprivate", MS_PRIVATE | MS_REC, MS_PRIVATE | MS_REC },
    { "slave", MS_SLAVE | MS_REC, MS_SLAVE },
    { "rslave", MS_SLAVE | MS_REC, MS_SLAVE | MS_REC },
    { "shared", 0, MS_SHARED },
    { "rshared", 0, MS_SHARED | MS_REC },
    { "unbindable", MS_PRIVATE | MS_REC, MS_UNBINDABLE },
    { "runbindable", MS_PRIVATE | MS_REC, MS_UNBINDABLE | MS_REC },
};

static int build_propagation(struct build *b, struct plan *p)
{
    const char *name = b->config->linux_.rootfs_propagation;

    for (size_t i = 0; i < ZL_ARRAY_LEN(propagations); i++)
        if (strcmp(propagations[i].name, name ? name : "") == 0) {
            p->root_propagation_before = propagations[i].before;
            p->root_propagation_after = propagations[i].after;
            return 0;
        }
    return zl_fail(b->err, ZL_ERR_INVALID, "linux.rootfsPropagation: unknown '%s'", name);
}

/* pivot_root(2) would change the root of all who live there, and mounts stay when the container
 * has ended: so the root lies at a place of its own, which is unmounted then. */
static int build_shared_root(struct build *b, struct plan *p)
{
    if (p->namespaces & CLONE_NEWNS)
        return 0;
    if (!b->options->mount_point)
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "linux.namespaces: a container without a mount namespace of its own is not "
                       "supported here");
    if (p->namespaces & CLONE_NEWUSER)
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "linux.namespaces: a user namespace needs a mount namespace of its own");
    p->root_mount = writer_text(&b->w, b->options->mount_point);
    p->root_propagation_before = 0;
    return 0;
}

static int build_root(struct build *b, struct plan *p)
{
    const struct plan_options *o = b->options;
    const char *path = b->config->root.path;

    if (b->config->root.readonly)
        p->flags |= PLAN_ROOT_READONLY;
    if (o->no_pivot)
        p->flags |= PLAN_NO_PIVOT;
    if (!o->n_lower) {
        p->root_kind = PLAN_ROOT_BIND;
        p->root_path = path[0] == '/' ? writer_text(&b->w, path)
                                      : writer_textf(&b->w, "%s/%s", o->bundle, path);
        return build_propagation(b, p) < 0 ? -1 : build_shared_root(b, p);
    }
    if (o->n_lower > PLAN_LOWER_MAX)
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "an image of %u layers: at most %d are supported", o->n_lower,
                       PLAN_LOWER_MAX);
    p->root_kind = PLAN_ROOT_OVERLAY;
    p->root_path = writer_text(&b->w, o->mount_point);
    p->n_lower = o->n_lower;
    p->n_fds = o->n_lower + (o->has_upper ? 2 : 0);
    if (o->n_fds > p->n_fds)
        p->n_fds = o->n_fds;
    p->flags |= (o->has_upper ? PLAN_HAS_UPPER : 0u) |
                (o->has_upper && o->upper_volatile ? PLAN_OVERLAY_VOLATILE : 0u);
    return build_propagation(b, p);
}

/* ---- the whole ---- */

static int refuse_unsupported(struct build *b)
{
    const struct oci_linux *l = &b->config->linux_;
    /* cache and memory bandwidth of a class of service: hosts that share those classes out are not
     * ours to make room on */
    if (l->intel_rdt)
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "linux.intelRdt: Intel's resource director technology is not supported");
    return 0;
}

static void build_names(struct build *b, struct plan *p)
{
    const char *host = b->config->hostname, *domain = b->config->domainname;

    p->hostname = host && host[0] ? writer_text(&b->w, host) : 0;
    p->domainname = domain && domain[0] ? writer_text(&b->w, domain) : 0;
}

static int check_names(struct build *b, const struct plan *p)
{
    const struct plan_join *j = plan_table(b->w.out->data, p->joins);
    uint32_t own = p->namespaces;

    for (uint32_t i = 0; i < p->joins.n; i++)
        own |= j[i].ns;
    if ((p->hostname || p->domainname) && !(own & CLONE_NEWUTS))
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "hostname: needs a UTS namespace of the container's own");
    return 0;
}

static int fill(struct build *b, struct plan *p)
{
    const struct oci_linux *l = &b->config->linux_;

    build_names(b, p);
    if (refuse_unsupported(b) < 0 || build_namespaces(b, p) < 0 || build_users(b, p) < 0 ||
        build_time(b, p) < 0 || check_names(b, p) < 0 || build_root(b, p) < 0 ||
        build_cgroups(b, p) < 0 || build_mounts(b, p) < 0 || build_devices(b, p) < 0 ||
        build_sysctls(b, p) < 0)
        return -1;
    p->masked = writer_texts(&b->w, l->masked_paths.v, l->masked_paths.n);
    p->readonly = writer_texts(&b->w, l->readonly_paths.v, l->readonly_paths.n);
    p->init = b->options->init;
    return b->config->process ? build_process(b, b->config->process, &p->process) : 0;
}

int plan_build(const struct oci_config *config, const struct plan_options *o, struct zl_buf *out,
               struct zl_error *err)
{
    struct plan p = { .magic = PLAN_MAGIC, .version = PLAN_VERSION };
    struct cgroup_layout layout;
    struct build b = { .config = config, .options = o, .layout = &layout, .err = err };

    if (plan_cache_layout(o->cache, &layout, err) < 0)
        return -1;
    writer_begin(&b.w, out, sizeof p);
    if (fill(&b, &p) < 0)
        return zl_wrap(err, "%s", config->document.what);
    return writer_finish(&b.w, &p, sizeof p, err);
}

/* What the further process p does not say. */
static void take_from_container(const struct oci_process *of, struct oci_process *p)
{
    if (!p->capabilities)
        p->capabilities = of->capabilities;
    if (!p->rlimits.n)
        p->rlimits.v = of->rlimits.v, p->rlimits.n = of->rlimits.n;
    p->no_new_privileges |= of->no_new_privileges;
    if (!p->scheduler)
        p->scheduler = of->scheduler;
    if (!p->io_priority)
        p->io_priority = of->io_priority;
    if (!p->exec_cpu_affinity.initial && !p->exec_cpu_affinity.final)
        p->exec_cpu_affinity = of->exec_cpu_affinity;
    if (!p->apparmor_profile)
        p->apparmor_profile = of->apparmor_profile;
    if (!p->selinux_label)
        p->selinux_label = of->selinux_label;
    if (!p->oom_score_adj.set)
        p->oom_score_adj = of->oom_score_adj;
}

int plan_exec_build(const struct oci_config *config, const struct plan_options *o,
                    const struct oci_process *given, struct zl_buf *out, struct zl_error *err)
{
    struct plan_exec x = { .magic = PLAN_EXEC_MAGIC, .version = PLAN_VERSION };
    struct build b = { .config = config, .options = o, .err = err };
    struct oci_process p = *given;

    if (config->process)
        take_from_container(config->process, &p);
    writer_begin(&b.w, out, sizeof x);
    if (!p.args.n)
        return zl_fail(err, ZL_ERR_INVALID, "plan a further process: no command");
    if (build_process(&b, &p, &x.process) < 0 ||
        build_cpus(&b, "process.execCPUAffinity.initial", p.exec_cpu_affinity.initial,
                   &x.cpus_before) < 0 ||
        build_cpus(&b, "process.execCPUAffinity.final", p.exec_cpu_affinity.final,
                   &x.process.cpus) < 0)
        return zl_wrap(err, "plan a further process");
    if (p.user.uid && p.capabilities) /* as execve(2) would do for uid 0 only */
        x.process.caps[PLAN_CAP_EFFECTIVE] = x.process.caps[PLAN_CAP_PERMITTED] =
            x.process.caps[PLAN_CAP_AMBIENT];
    return writer_finish(&b.w, &x, sizeof x, err);
}
