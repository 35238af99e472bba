// SPDX-License-Identifier: Apache-2.0
#include "ocicli/make.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "ocicli/environment.h"
#include "ocicli/hooks.h"

enum { CONFIG_MAX = 8 << 20 };

void making_init(struct making *m, struct cli *cli, const struct make_options *o, const char *id)
{
    *m = (struct making){
        .cli = cli, .o = o, .id = id, .console = -1, .container = CONTAINER_NONE, .unit = UNIT_NONE
    };
    zl_buf_init(&m->config_text, CONFIG_MAX);
}

void making_done(struct making *m)
{
    int saved = errno;

    netns_done(&m->network);
    unit_done(&m->unit);
    container_done(&m->container);
    oci_config_free(m->config);
    zl_buf_done(&m->config_text);
    zl_closep(&m->console);
    errno = saved;
}

/* ---- the bundle ---- */

static int read_config(struct making *m, struct zl_error *err)
{
    const char *bundle = m->o->bundle ? m->o->bundle : ".";
    const char *name = m->o->config ? m->o->config : "config.json";
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, bundle, err);

    if (fd < 0)
        return zl_wrap(err, "open bundle '%s'", bundle);
    if (!realpath(bundle, m->bundle))
        return zl_fail_errno(err, "open bundle '%s'", bundle);
    if (zl_read_file(fd, name, &m->config_text, err) < 0 ||
        oci_config_parse(m->config_text.data, m->config_text.len, "config.json", &m->config, err) <
            0)
        return zl_wrap(err, "bundle '%s'", m->bundle);
    return 0;
}

static int resolve_rootfs(struct making *m, struct zl_error *err)
{
    const char *path = m->config->root.path;
    int n = path[0] == '/' ? snprintf(m->rootfs, sizeof m->rootfs, "%s", path)
                           : snprintf(m->rootfs, sizeof m->rootfs, "%s/%s", m->bundle, path);

    return n < 0 || (size_t)n >= sizeof m->rootfs
               ? zl_fail(err, ZL_ERR_INVALID, "config.json: root.path: '%s' is too long", path)
               : 0;
}

/* A terminal needs somebody who holds its other end. */
static int check_console(const struct making *m, struct zl_error *err)
{
    bool terminal = m->config->process && m->config->process->terminal;

    if (m->o->console_socket && !terminal)
        return zl_fail(err, ZL_ERR_INVALID,
                       "--console-socket is given, but process.terminal is not true");
    if (m->o->console_socket && !m->o->detach)
        return zl_fail(err, ZL_ERR_INVALID,
                       "--console-socket is given, but the command runs in the foreground");
    if (terminal && m->o->detach && !m->o->console_socket)
        return zl_fail(
            err, ZL_ERR_INVALID,
            "process.terminal is true: --console-socket must tell who gets the terminal");
    return 0;
}

int making_load(struct making *m, struct zl_error *err)
{
    if (read_config(m, err) < 0 || resolve_rootfs(m, err) < 0 || check_console(m, err) < 0 ||
        hooks_check(m->config, err) < 0 || environment_check_annotations(m->config, err) < 0)
        return -1;
    return environment_listen_fds(m->config, &m->n_listen, err) < 0
               ? -1
               : environment_check_fds(m->n_listen, m->o->preserve_fds, err);
}

/* ---- making ---- */

static bool with_systemd(const struct making *m)
{
    return m->cli->cgroup_manager == OCI_SYSTEMD;
}

/* A new one, not another's by path. type: enum oci_ns */
static bool has_own(const struct oci_config *config, int type)
{
    for (size_t i = 0; i < config->linux_.namespaces.n; i++) {
        const struct oci_namespace *ns = &config->linux_.namespaces.v[i];
        if (ns->type == type)
            return !ns->path || !ns->path[0];
    }
    return false;
}

static bool has_any(const struct oci_config *config, int type)
{
    for (size_t i = 0; i < config->linux_.namespaces.n; i++)
        if (config->linux_.namespaces.v[i].type == type)
            return true;
    return false;
}

/* Hooks and systemd's helper are run by us, in the host's network; of a network namespace in a user
 * namespace its root is the owner. */
static bool enters_network(const struct making *m)
{
    return m->may_enter && has_own(m->config, OCI_NS_NETWORK) && !has_any(m->config, OCI_NS_USER) &&
           !oci_config_has_hooks(m->config) && !with_systemd(m) && !cli_is_rootless(m->cli);
}

/* A folder for the root, where the container's mounts are among those of others. */
static int make_mount_point(struct making *m, char out[PATH_MAX], struct zl_error *err)
{
    char root[PATH_MAX];
    int n = realpath(m->cli->root, root)
                ? snprintf(out, PATH_MAX, "%s/%s/" CONTAINER_ROOT, root, m->id)
                : -1;

    if (n < 0 || n >= PATH_MAX)
        return zl_fail_errno(err, "open '%s'", m->cli->root);
    return mkdirat(m->container.dir_fd, CONTAINER_ROOT, 0700) < 0
               ? zl_fail_errno(err, "make '%s'", out)
               : 0;
}

static int plan(struct making *m, struct zl_error *err)
{
    char mount_point[PATH_MAX];
    zl_autobuf struct zl_buf notes = ZL_BUF(65536);
    const char *path = m->config->linux_.cgroups_path;
    struct plan_options how = {
        .id = m->id,
        .bundle = m->bundle,
        .no_pivot = m->o->no_pivot,
        .rootless = cli_is_rootless(m->cli),
        .no_new_keyring = m->o->no_new_keyring,
        .no_cgroups = m->cli->cgroup_manager == OCI_NO_CGROUPS,
        .cgroup_given = with_systemd(m) ? m->unit.cgroup : NULL,
        /* an engine looks for the container in every hierarchy: what it is not in looks like "/" */
        .join_all = with_systemd(m) || (path && path[0]),
        .notes = &notes,
    };

    if (!has_own(m->config, OCI_NS_MOUNT)) {
        if (make_mount_point(m, mount_point, err) < 0)
            return -1;
        how.mount_point = mount_point;
    }
    if (container_plan(&m->container, m->config, &m->config_text, &how, err) < 0)
        return -1;
    oci_warn_lines(m->cli, &notes);
    return 0;
}

static int connect_console(struct making *m, struct zl_error *err)
{
    if (!m->o->console_socket)
        return 0;
    m->console = socket_connect("--console-socket", m->o->console_socket, err);
    return m->console < 0 ? -1 : 0;
}

/* Cgroups and all that can be done while the network namespace is being made. */
static int prepare(struct making *m, struct zl_error *err)
{
    enum carry_network network = m->network.pid ? CARRY_NET_ENTERED : CARRY_NET_CHILD;

    if (with_systemd(m) && unit_start(m->cli, &m->container, m->config, &m->unit, err) < 0)
        return -1;
    if (plan(m, err) < 0 || carry_prepare(m->container.carry, network, err) < 0)
        return -1;
    if (netns_enter(&m->network, err) == 0)
        return 0;
    (void)carry_remove(m->container.carry, NULL); /* the first failure is the story */
    return -1;
}

/* The id is taken from here on; what fails later removes the folder again. */
int making_prepare(struct making *m, struct zl_error *err)
{
    zl_format_rfc3339(zl_wall_ns(), 9, m->created);
    if ((enters_network(m) && netns_begin(&m->network, err) < 0) || connect_console(m, err) < 0 ||
        container_new(m->cli, m->id, &m->container, err) < 0)
        return -1;
    m->state = (struct oci_state){ .id = m->id,
                                   .bundle = m->bundle,
                                   .rootfs = m->rootfs,
                                   .created = m->created,
                                   .annotations = m->config->annotations };
    if (prepare(m, err) == 0)
        return 0;
    carry_free(m->container.carry); /* what it made it took back; a cgroup may be another's */
    m->container.carry = NULL;
    unit_done(&m->unit);
    (void)container_remove(m->cli, &m->container, NULL); /* the first failure is the story */
    return -1;
}

static struct hooking hooking(struct making *m, int init)
{
    return (struct hooking){ .cli = m->cli,
                             .container = &m->container,
                             .config = m->config,
                             .state = &m->state,
                             .init = init };
}

void making_give_up(struct making *m, struct carry_proc *p)
{
    struct hooking h = hooking(m, -1);

    if (p->pid)
        end_child(p);
    if (m->told_pid)
        pid_file_remove(m->o->pid_file); /* its number may be another's soon */
    zl_closep(&p->pidfd);
    p->pidfd = -1;
    unit_done(&m->unit);
    (void)container_remove(m->cli, &m->container, NULL);
    m->state.pid = 0;
    hooks_after_stop(&h); /* runtime.md, "Lifecycle", 12 and 13 */
}

static bool has_ended(int pidfd)
{
    struct pollfd ended = { .fd = pidfd, .events = POLLIN };

    return poll(&ended, 1, 0) == 1;
}

static const char *cgroup_of(const struct plan *p)
{
    const struct plan_cgroup *c = plan_table(p, p->cgroups);

    return p->cgroups.n ? plan_text(p, c->path) : NULL;
}

static int write_state(struct making *m, const struct carry_proc *p, struct zl_error *err)
{
    m->state.cgroup = cgroup_of(m->container.plan);
    m->state.pid = p->pid;
    m->state.pid_start = oci_pid_start(p->pid);
    /* without it nobody could ever tell that the process is the container's */
    if (!m->state.pid_start && !has_ended(p->pidfd))
        return zl_fail_errno(err, "find out when process %d began", (int)p->pid);
    return oci_state_write(m->container.dir_fd, &m->state, err);
}

int making_record(struct making *m, const struct carry_proc *p, struct zl_error *err)
{
    netns_done(&m->network);
    if (write_state(m, p, err) < 0) /* first: who is told finds a container */
        return -1;
    if (m->o->pid_file && pid_file_write(m->o->pid_file, p->pid, err) < 0)
        return -1;
    m->told_pid = true;
    if (m->o->pidfd_socket && pidfd_send(m->o->pidfd_socket, p->pidfd, err) < 0)
        return -1;
    container_made(&m->container);
    return 0;
}

static int before_pivot(void *arg, const struct carry_proc *p, struct zl_error *err)
{
    struct making *m = arg;
    struct hooking h = hooking(m, p->pidfd);

    /* a hook may ask for the state: "creating" as long as we hold the lock */
    return write_state(m, p, err) < 0 ? -1 : hooks_while_creating(&h, err);
}

static struct carry_start how_to_start(struct making *m)
{
    struct carry_start how = {
        .stdio = { 0, 1, 2 },
        .console_socket = m->console,
        .gate = -1,
        .report = -1,
        .outcome = -1,
        .preserve_fds = (unsigned)m->o->preserve_fds + m->n_listen,
        .before_pivot = oci_config_has_hooks(m->config) ? before_pivot : NULL,
        .before_pivot_arg = m,
    };

    m->listening = (struct listening){ m->config, &m->state, OCI_CREATING };
    listener_start(&m->listening, &how);
    return how;
}

/* The scope has its process: it needs ours no more. Its limits are in force; systemd is told. */
int making_settle(struct making *m, struct zl_error *err)
{
    const struct plan *p = m->container.plan;
    struct zl_error why = { 0 };

    if (!with_systemd(m))
        return 0;
    if (unit_release(&m->unit, err) < 0)
        return -1;
    if (unit_set_limits(m->cli, &m->container, p, p->cgroups, &why) < 0) {
        (void)zl_wrap(&why, "systemd does not know the limits and may undo them");
        oci_warn(m->cli, &why);
    }
    /* when it is told of some it writes all that it knows, in its own measures */
    return carry_limit(m->container.carry, err);
}

int making_create(struct making *m, struct carry_proc *ret, struct zl_error *err)
{
    struct carry_start how;
    struct carry_proc p = { .pidfd = -1 };
    autogate struct gate gate = GATE_NONE;

    m->may_enter = true;
    if (making_prepare(m, err) < 0)
        return -1;
    how = how_to_start(m);
    if (gate_make(&m->container, &gate, err) == 0) {
        how.gate = gate.gate_fd;
        how.report = gate.report_fd;
        how.outcome = gate.outcome_fd;
        if (carry_start(m->container.carry, &how, &p, err) == 0 && making_settle(m, err) == 0 &&
            making_record(m, &p, err) == 0) {
            *ret = p;
            return 0;
        }
    }
    making_give_up(m, &p);
    return -1;
}

/* Fast: one clone that returns when the command was executed. */
static int start_at_once(struct making *m, struct carry_proc *ret, struct zl_error *err)
{
    struct carry_proc p = { .pidfd = -1 };
    struct carry_start how;

    m->may_enter = true;
    if (making_prepare(m, err) < 0)
        return -1;
    how = how_to_start(m);
    if (carry_start(m->container.carry, &how, &p, err) == 0 && making_record(m, &p, err) == 0) {
        *ret = p;
        return 0;
    }
    making_give_up(m, &p);
    return -1;
}

int making_create_and_start(struct making *m, struct carry_proc *ret, struct zl_error *err)
{
    bool hooks_failed; /* whatever failed: it is given up */

    if (!oci_config_has_hooks(m->config) && !with_systemd(m))
        return start_at_once(m, ret, err);
    if (making_create(m, ret, err) < 0)
        return -1;
    if (start_created(m->cli, &m->container, m->config, &m->state, ret->pidfd, &hooks_failed,
                      err) == 0)
        return 0;
    making_give_up(m, ret);
    return -1;
}
