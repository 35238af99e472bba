// SPDX-License-Identifier: Apache-2.0
#include "ocicli/systemd/unit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/helper.h"
#include "base/launch.h"
#include "ocicli/systemd/unit_limits.h"

enum { ARGUMENTS_MAX = 128, NOTE_MAX = 4096 };

/* ---- its name ---- */

static int copy(char *out, size_t size, const char *text, size_t n)
{
    if (n >= size)
        return -1;
    memcpy(out, text, n);
    out[n] = '\0';
    return 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

/* "SLICE:PREFIX:NAME"; without a path it is the container's id. */
static int parse_path(const char *path, const char *id, struct unit *u, struct zl_error *err)
{
    const char *prefix = path && *path ? strchr(path, ':') : NULL;
    const char *name = prefix ? strchr(prefix + 1, ':') : NULL;
    int n;

    if (!path || !*path) {
        n = snprintf(u->name, sizeof u->name, "zlayer-%s.scope", id);
        return n < 0 || (size_t)n >= sizeof u->name
                   ? zl_fail(err, ZL_ERR_INVALID, "container id '%s' is too long for a unit", id)
                   : 0;
    }
    if (!name || strchr(name + 1, ':') || strchr(path, '/') || !name[1])
        return zl_fail(err, ZL_ERR_INVALID,
                       "linux.cgroupsPath: systemd's cgroups need 'SLICE:PREFIX:NAME', found '%s'",
                       path);
    n = snprintf(u->name, sizeof u->name, "%.*s%s%s.scope", (int)(name - prefix - 1), prefix + 1,
                 name - prefix > 1 ? "-" : "", name + 1);
    if (n < 0 || (size_t)n >= sizeof u->name ||
        copy(u->slice, sizeof u->slice, path, (size_t)(prefix - path)) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "linux.cgroupsPath: '%s' is too long for a unit", path);
    if ((u->slice[0] && !ends_with(u->slice, ".slice")) || ends_with(name + 1, ".slice"))
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "linux.cgroupsPath: '%s' is no scope in a slice: others are not supported",
                       path);
    return 0;
}

/* ---- the container's note of it: delete must find it, whatever happened meanwhile ---- */

static int write_note(struct container *c, const struct unit *u, struct zl_error *err)
{
    char text[sizeof u->name + 8];
    int n = snprintf(text, sizeof text, "%s %s\n", u->user ? "user" : "system", u->name);

    return zl_write_atomic(c->dir_fd, "unit", text, (size_t)n, 0600, false, err);
}

/* 0 none, 1 there is one. */
static int read_note(const struct container *c, struct unit *u, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(NOTE_MAX);
    const char *name;

    *u = (struct unit)UNIT_NONE;
    if (faccessat(c->dir_fd, "unit", F_OK, 0) < 0)
        return errno == ENOENT ? 0
                               : zl_fail_errno(err, "look for the unit of container '%s'", c->id);
    if (zl_read_file(c->dir_fd, "unit", &text, err) < 0)
        return -1;
    name = strchr(text.data, ' ');
    if (!name || copy(u->name, sizeof u->name, name + 1, strcspn(name + 1, "\n")) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "the unit of container '%s' is not readable", c->id);
    u->user = strncmp(text.data, "user ", 5) == 0;
    return 1;
}

/* ---- running zlayer-sd ---- */

struct call {
    char *argv[ARGUMENTS_MAX];
    size_t n;
};

static void call_done(struct call *call)
{
    for (size_t i = 0; i < call->n; i++)
        free(call->argv[i]);
}
#define autocall ZL_CLEANUP(call_done)

static int argument(struct call *call, const char *text, struct zl_error *err)
{
    if (call->n + 1 == ARGUMENTS_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "ask systemd: too many properties");
    call->argv[call->n] = strdup(text);
    if (!call->argv[call->n])
        return zl_fail_errno(err, "ask systemd");
    call->n++;
    return 0;
}

static int call_begin(struct call *call, const struct unit *u, const char *verb,
                      struct zl_error *err)
{
    *call = (struct call){ 0 };
    if (argument(call, "zlayer-sd", err) < 0 || (u->user && argument(call, "--user", err) < 0))
        return -1;
    return argument(call, verb, err) < 0 ? -1 : argument(call, u->name, err);
}

/* What it says when it fails is one line; ours is its successor. */
static int call_failed(int stderr_fd, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(NOTE_MAX);

    if (lseek(stderr_fd, 0, SEEK_SET) < 0 || zl_read_fd(stderr_fd, &text, "zlayer-sd", NULL) < 0 ||
        !text.len)
        return zl_fail(err, ZL_ERR_SYSTEM, "zlayer-sd did not succeed");
    return zl_fail(err, ZL_ERR_SYSTEM, "%.*s", (int)strcspn(text.data, "\n"), text.data);
}

static int launch(const struct cli *cli, struct call *call, int in, int out, int errors,
                  struct carry_proc *ret, struct zl_error *err)
{
    zl_autofree char *program = NULL;
    struct zl_child child;

    if (zl_helper_path_from(cli->self, "zlayer-sd", &program, err) < 0)
        return zl_wrap(err, "systemd's cgroups");
    struct zl_launch how = {
        .program = program, .argv = call->argv, .fds = { in, out, errors }, .n_fds = 3
    };
    if (zl_launch(&how, &child, err) < 0)
        return -1;
    *ret = (struct carry_proc){ .pid = child.pid, .pidfd = child.pidfd };
    return 0;
}

/* 0 it succeeded, 1 it did not. */
static int wait_for(struct carry_proc *p)
{
    siginfo_t info = { 0 };

    while (waitid(P_PID, (id_t)p->pid, &info, WEXITED) < 0 && errno != ECHILD)
        ; /* a child of ours: there is no other answer */
    zl_closep(&p->pidfd);
    *p = (struct carry_proc){ .pidfd = -1 };
    return info.si_code != CLD_EXITED || info.si_status != 0;
}

static int run(const struct cli *cli, struct call *call, struct zl_error *err)
{
    zl_autoclose int errors = memfd_create("errors", MFD_CLOEXEC);
    struct carry_proc p = { .pidfd = -1 };

    if (errors < 0)
        return zl_fail_errno(err, "ask systemd");
    if (launch(cli, call, -1, -1, errors, &p, err) < 0)
        return -1;
    return wait_for(&p) ? call_failed(errors, err) : 0;
}

/* ---- start ---- */

/* crun's and runc's org.systemd.property.NAME; a …Sec is a …USec of a million times as much. */
static int add_property(struct call *call, const char *name, const char *value,
                        struct zl_error *err)
{
    const char *number = strrchr(value, ' '); /* after its type */
    char text[1024];
    size_t n = strlen(name);
    int m;

    if (n > 3 && strcmp(name + n - 3, "Sec") == 0 && name[n - 4] >= 'a' && name[n - 4] <= 'z')
        m = snprintf(text, sizeof text, "%.*sUSec=uint64 %llu", (int)n - 3, name,
                     1000000 * strtoull(number ? number : value, NULL, 10));
    else
        m = snprintf(text, sizeof text, "%s=%s", name, value);
    if (m < 0 || (size_t)m >= sizeof text)
        return zl_fail(err, ZL_ERR_INVALID, "annotation org.systemd.property.%s is too long", name);
    return argument(call, "--property", err) < 0 ? -1 : argument(call, text, err);
}

static int add_properties(struct call *call, const struct oci_config *config, struct zl_error *err)
{
    static const char prefix[] = "org.systemd.property.";
    const struct zl_pairs *a = &config->annotations;

    /* what is not limited is not limited: else it would be the manager's default */
    if (add_property(call, "TasksMax", "uint64 18446744073709551615", err) < 0)
        return -1;
    for (size_t i = 0; i < a->n; i++)
        if (strncmp(a->v[i].key, prefix, sizeof prefix - 1) == 0 &&
            add_property(call, a->v[i].key + sizeof prefix - 1, a->v[i].value, err) < 0)
            return -1;
    return 0;
}

static int build_start(struct call *call, const struct unit *u, const char *id,
                       const struct oci_config *config, struct zl_error *err)
{
    char description[256];

    (void)snprintf(description, sizeof description, "zlayer container %.200s", id);
    if (call_begin(call, u, "scope", err) < 0 || argument(call, "--description", err) < 0 ||
        argument(call, description, err) < 0)
        return -1;
    if (u->slice[0] && (argument(call, "--slice", err) < 0 || argument(call, u->slice, err) < 0))
        return -1;
    return add_properties(call, config, err);
}

/* The line that says where it is. */
static int read_cgroup(struct unit *u, int out, int errors, struct zl_error *err)
{
    size_t n = 0;

    while (n + 1 < sizeof u->cgroup) {
        ssize_t got = read(out, u->cgroup + n, sizeof u->cgroup - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return zl_fail_errno(err, "hear from zlayer-sd");
        if (got == 0)
            return call_failed(errors, err);
        n += (size_t)got;
        u->cgroup[n] = '\0';
        if (u->cgroup[n - 1] == '\n') {
            u->cgroup[n - 1] = '\0';
            return 0;
        }
    }
    return zl_fail(err, ZL_ERR_PROTOCOL, "hear from zlayer-sd: its answer is too long");
}

static int start(const struct cli *cli, struct unit *u, struct call *call, struct zl_error *err)
{
    zl_autoclose int errors = memfd_create("errors", MFD_CLOEXEC);
    int hold[2], out[2];

    if (errors < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, hold) < 0)
        return zl_fail_errno(err, "ask systemd");
    zl_autoclose int its_in = hold[0];
    u->hold = hold[1];
    if (pipe2(out, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "ask systemd");
    zl_autoclose int ours = out[0];
    zl_autoclose int its_out = out[1];
    u->asked = true;
    if (launch(cli, call, its_in, its_out, errors, &u->sd, err) < 0)
        return -1;
    (void)close(zl_take_fd(&its_out)); /* so that its end is our end-of-file */
    return read_cgroup(u, ours, errors, err);
}

/* zlayer-sd counts as a process of the container while this starts. */
static int check_pids(const struct oci_config *config, struct zl_error *err)
{
    struct zl_opt_i64 limit = config->linux_.resources.pids.limit;

    return limit.set && limit.v == 1
               ? zl_fail(err, ZL_ERR_UNSUPPORTED,
                         "linux.resources.pids.limit: with systemd's cgroups at least 2")
               : 0;
}

int unit_start(const struct cli *cli, struct container *c, const struct oci_config *config,
               struct unit *ret, struct zl_error *err)
{
    autocall struct call call = { 0 };

    *ret = (struct unit)UNIT_NONE;
    ret->user = cli_is_rootless(cli);
    if (parse_path(config->linux_.cgroups_path, c->id, ret, err) < 0 ||
        check_pids(config, err) < 0 || build_start(&call, ret, c->id, config, err) < 0 ||
        write_note(c, ret, err) < 0)
        return -1;
    oci_debug(cli, "start unit '%s'", ret->name);
    if (start(cli, ret, &call, err) == 0)
        return 0;
    if (!ret->asked || (err && err->kind == ZL_ERR_NOT_FOUND)) /* there is no zlayer-sd */
        (void)unlinkat(c->dir_fd, "unit", 0);
    return -1;
}

int unit_release(struct unit *u, struct zl_error *err)
{
    if (!u->sd.pid)
        return 0;
    (void)send(u->hold, "", 1, MSG_NOSIGNAL); /* its exit status tells whether it heard */
    zl_closep(&u->hold);
    u->hold = -1;
    return wait_for(&u->sd) ? zl_fail(err, ZL_ERR_SYSTEM, "zlayer-sd did not succeed") : 0;
}

void unit_done(struct unit *u)
{
    (void)unit_release(u, NULL);
    zl_closep(&u->hold);
    u->hold = -1;
}

/* ---- what is done to it later ---- */

bool unit_is_there(const struct container *c)
{
    return faccessat(c->dir_fd, "unit", F_OK, 0) == 0;
}

int unit_name(const struct container *c, char *out, size_t size, struct zl_error *err)
{
    struct unit u;

    if (read_note(c, &u, err) < 0)
        return -1;
    return copy(out, size, u.name, strlen(u.name)) < 0
               ? zl_fail(err, ZL_ERR_INVALID, "the unit of container '%s' is not readable", c->id)
               : 0;
}

/* A number in a file that one of its cgroups has; -1 and *err when it cannot be read. */
static int read_number(const struct container *c, const char *file, int64_t *ret,
                       struct zl_error *err)
{
    const struct plan_cgroup *g = plan_table(c->plan, c->plan->cgroups);

    for (uint32_t i = 0; i < c->plan->cgroups.n; i++) {
        zl_autobuf struct zl_buf path = ZL_BUF(PATH_MAX), text = ZL_BUF(NOTE_MAX);
        struct zl_error why = { 0 };
        zl_buf_addf(&path, "%s/%s/%s", plan_text(c->plan, g[i].mount),
                    plan_text(c->plan, g[i].path), file);
        if (zl_buf_check(&path, "a cgroup's path", err) < 0)
            return -1;
        if (zl_read_file(AT_FDCWD, path.data, &text, &why) == 0) {
            *ret = strtoll(text.data, NULL, 10);
            return 0;
        }
        if (why.errnum == ENOENT)
            continue; /* of another controller */
        if (err)
            *err = why;
        return -1;
    }
    return 0;
}

/* v2 has no such files, and needs none. */
static int quota_in_force(const struct container *c, struct unit_quota *ret, struct zl_error *err)
{
    int64_t quota = -1, period = 0;

    if (read_number(c, "cpu.cfs_quota_us", &quota, err) < 0 ||
        read_number(c, "cpu.cfs_period_us", &period, err) < 0)
        return -1;
    *ret = (struct unit_quota){ quota, period > 0 ? (uint64_t)period : 0 };
    return 0;
}

int unit_set_limits(const struct cli *cli, struct container *c, const void *base,
                    struct plan_tab cgroups, struct zl_error *err)
{
    zl_autobuf struct zl_buf properties = ZL_BUF(65536);
    autocall struct call call = { 0 };
    struct unit_quota quota = { .quota = -1 };
    struct unit u;
    int there = read_note(c, &u, err);

    if (there <= 0)
        return there;
    if (container_load_plan(c, err) < 0 ||
        (unit_limits_quota(base, cgroups) && quota_in_force(c, &quota, err) < 0))
        return -1;
    unit_limits(base, cgroups, quota, &properties);
    if (!properties.len)
        return 0;
    if (call_begin(&call, &u, "set", err) < 0)
        return -1;
    for (const char *at = properties.data; *at; at += strcspn(at, "\n") + 1) {
        char text[2048];
        if (copy(text, sizeof text, at, strcspn(at, "\n")) < 0)
            return zl_fail(err, ZL_ERR_INVALID, "ask systemd: a property is too long");
        if (argument(&call, text, err) < 0)
            return -1;
    }
    return run(cli, &call, err);
}

int unit_stop(const struct cli *cli, struct container *c, struct zl_error *err)
{
    autocall struct call call = { 0 };
    struct unit u;
    int there = read_note(c, &u, err);

    if (there <= 0)
        return there;
    return call_begin(&call, &u, "stop", err) < 0 ? -1 : run(cli, &call, err);
}
