// SPDX-License-Identifier: Apache-2.0
/*
 * What criu is told of a container. It makes namespaces, mounts and processes again by itself; told
 * must be what lies outside of them: the sources of bind mounts, network and PID namespaces of
 * others, the ends of pipes that our caller holds.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "ocicli/criu/criu.h"
#include "ocicli/criu/protobuf.h"

enum { TEXT_MAX = 8192, STDIO = 3 };

/* rpc.proto, criu_opts */
enum {
    OPT_IMAGES_DIR_FD = 1,
    OPT_PID = 2,
    OPT_LEAVE_RUNNING = 3,
    OPT_EXT_UNIX_SK = 4,
    OPT_TCP_ESTABLISHED = 5,
    OPT_EVASIVE_DEVICES = 6,
    OPT_SHELL_JOB = 7,
    OPT_FILE_LOCKS = 8,
    OPT_LOG_LEVEL = 9,
    OPT_LOG_FILE = 10,
    OPT_PAGE_SERVER = 11,
    OPT_NOTIFY_SCRIPTS = 12,
    OPT_ROOT = 13,
    OPT_PARENT_IMG = 14,
    OPT_TRACK_MEM = 15,
    OPT_AUTO_DEDUP = 16,
    OPT_WORK_DIR_FD = 17,
    OPT_MANAGE_CGROUPS = 24,
    OPT_CG_ROOT = 25,
    OPT_RST_SIBLING = 26,
    OPT_INHERIT_FD = 27,
    OPT_MANAGE_CGROUPS_MODE = 34,
    OPT_EXTERNAL = 37,
    OPT_EMPTY_NS = 38,
    OPT_TCP_SKIP_IN_FLIGHT = 46,
    OPT_LAZY_PAGES = 48,
    OPT_STATUS_FD = 49,
    OPT_ORPHAN_PTS_MASTER = 50,
    OPT_CONFIG_FILE = 51,
    OPT_LSM_PROFILE = 53,
    OPT_LSM_MOUNT_CONTEXT = 63,
};
enum { PAIR_KEY = 1, PAIR_VALUE = 2 }; /* of page server, cgroup root, inherited descriptor */
enum { LOG_DEBUG = 4 };                /* of OPT_LOG_LEVEL: what one wants to read when it fails */

/* ---- modes ---- */

const char *const criu_cgroup_modes[] = {
    [CRIU_SOFT] = "soft",
    [CRIU_FULL] = "full",
    [CRIU_STRICT] = "strict",
    [CRIU_IGNORE] = "ignore",
    NULL,
};
static const int cgroup_modes[] = { /* enum criu_cg_mode */
                                    [CRIU_SOFT] = 3,
                                    [CRIU_FULL] = 4,
                                    [CRIU_STRICT] = 5,
                                    [CRIU_IGNORE] = 0
};

static void flag(struct zl_buf *opts, unsigned field, bool wanted)
{
    if (wanted)
        pb_number(opts, field, 1);
}

static void text(struct zl_buf *opts, unsigned field, const char *value)
{
    if (value)
        pb_text(opts, field, value);
}

static void add_modes(const struct criu_options *o, struct zl_buf *opts)
{
    flag(opts, OPT_LEAVE_RUNNING, o->leave_running);
    flag(opts, OPT_EXT_UNIX_SK, o->ext_unix_sk);
    flag(opts, OPT_TCP_ESTABLISHED, o->tcp_established);
    flag(opts, OPT_TCP_SKIP_IN_FLIGHT, o->tcp_skip_in_flight);
    flag(opts, OPT_SHELL_JOB, o->shell_job);
    flag(opts, OPT_FILE_LOCKS, o->file_locks);
    flag(opts, OPT_AUTO_DEDUP, o->auto_dedup);
    flag(opts, OPT_LAZY_PAGES, o->lazy_pages);
    flag(opts, OPT_TRACK_MEM, o->pre_dump || o->parent_path);
    text(opts, OPT_PARENT_IMG, o->parent_path);
    text(opts, OPT_LSM_PROFILE, o->lsm_profile);
    text(opts, OPT_LSM_MOUNT_CONTEXT, o->lsm_mount_context);
    pb_number(opts, OPT_MANAGE_CGROUPS, 1);
    pb_number(opts, OPT_MANAGE_CGROUPS_MODE, cgroup_modes[o->cgroups]);
}

static int parse_number(const char *option, const char *word, long max, long *ret,
                        struct zl_error *err)
{
    char *end;

    errno = 0;
    *ret = strtol(word, &end, 10);
    return *end || end == word || errno || *ret < 0 || *ret > max
               ? zl_fail(err, ZL_ERR_INVALID, "%s: expected a number, found '%s'", option, word)
               : 0;
}

/* "ADDRESS:PORT" */
static int add_page_server(const char *where, struct zl_buf *opts, struct zl_error *err)
{
    zl_autobuf struct zl_buf server = ZL_BUF(TEXT_MAX), address = ZL_BUF(TEXT_MAX);
    const char *colon = where ? strrchr(where, ':') : NULL;
    long port;

    if (!where)
        return 0;
    if (!colon || colon == where)
        return zl_fail(err, ZL_ERR_INVALID, "--page-server: expected ADDRESS:PORT, found '%s'",
                       where);
    if (parse_number("--page-server", colon + 1, 65535, &port, err) < 0)
        return -1;
    zl_buf_add(&address, where, (size_t)(colon - where));
    pb_text(&server, PAIR_KEY, address.data);
    pb_number(&server, PAIR_VALUE, port);
    pb_message(opts, OPT_PAGE_SERVER, &server);
    return 0;
}

static int add_status_fd(const char *word, struct zl_buf *opts, struct zl_error *err)
{
    long fd;

    if (!word)
        return 0;
    if (parse_number("--status-fd", word, INT32_MAX, &fd, err) < 0)
        return -1;
    if (fcntl((int)fd, F_GETFD) < 0)
        return zl_fail_errno(err, "--status-fd %s", word);
    pb_number(opts, OPT_STATUS_FD, fd);
    return 0;
}

/* As runc's: the network alone can be left empty, for who makes it anew. */
static int add_empty_namespaces(const struct cli_list *words, struct zl_buf *opts,
                                struct zl_error *err)
{
    for (size_t i = 0; i < words->n; i++)
        if (strcmp(words->v[i], "network") != 0)
            return zl_fail(err, ZL_ERR_INVALID, "--empty-ns: expected network, found '%s'",
                           words->v[i]);
    if (words->n)
        pb_number(opts, OPT_EMPTY_NS, CLONE_NEWNET);
    return 0;
}

/* ---- mounts ---- */

static void add_external(struct zl_buf *opts, const char *kind, const char *key, const char *value)
{
    zl_autobuf struct zl_buf word = ZL_BUF(TEXT_MAX);

    zl_buf_addf(&word, "%s[%s]:%s", kind, key, value);
    pb_text(opts, OPT_EXTERNAL, word.data);
    opts->failed |= word.failed;
}

/* Known by their place: a dump names them by it, a restore finds them by it. */
static void add_binds(enum criu_work work, const struct plan *p, struct plan_tab table,
                      struct zl_buf *opts)
{
    const struct plan_mount *m = plan_table(p, table);

    for (uint32_t i = 0; i < table.n; i++)
        if (m[i].kind == PLAN_MOUNT_BIND)
            add_external(opts, "mnt", plan_text(p, m[i].target),
                         plan_text(p, work == CRIU_RESTORE ? m[i].source : m[i].target));
}

/* Masked files are the host's /dev/null; folders an empty file system, which criu saves itself. A
 * restore may name what is not in the images. root_fd: of the container; -1: not known. */
static void add_masks(const struct plan *p, int root_fd, struct zl_buf *opts)
{
    const plan_str *v = plan_table(p, p->masked);

    for (uint32_t i = 0; i < p->masked.n; i++) {
        const char *path = plan_text(p, v[i]);
        zl_autoclose int fd = root_fd < 0 ? -1 : zl_open_in_root(root_fd, path, O_PATH, NULL);
        struct stat st;
        if (root_fd < 0)
            add_external(opts, "mnt", path, "/dev/null");
        else if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
            add_external(opts, "mnt", path, path);
    }
}

/* ---- cgroups ---- */

/* Whatever cgroups the images name: the container's are now these. */
static void add_cgroup_roots(const struct plan *p, struct zl_buf *opts)
{
    const struct plan_cgroup *cg = plan_table(p, p->cgroups);

    for (uint32_t i = 0; i < p->cgroups.n; i++) {
        zl_autobuf struct zl_buf root = ZL_BUF(TEXT_MAX), path = ZL_BUF(TEXT_MAX);
        const char *controller = plan_text(p, cg[i].controller);
        if (cg[i].flags & PLAN_CGROUP_LATE)
            continue;
        zl_buf_addf(&path, "/%s", plan_text(p, cg[i].path));
        pb_text(&root, PAIR_KEY, controller ? controller : "");
        pb_text(&root, PAIR_VALUE, path.data);
        pb_message(opts, OPT_CG_ROOT, &root);
        opts->failed |= path.failed;
    }
}

/* ---- all of it ---- */

/* As runc: an annotation may name a file with more options for criu. */
static const char *config_file(const struct oci_config *config)
{
    for (size_t i = 0; i < config->annotations.n; i++)
        if (strcmp(config->annotations.v[i].key, "org.criu.config") == 0)
            return config->annotations.v[i].value;
    return NULL;
}

int criu_request(enum criu_work work, const struct criu_options *o, const struct criu_dirs *d,
                 const struct oci_config *config, const struct container *c, struct zl_buf *opts,
                 struct zl_error *err)
{
    const struct plan *p = c->plan;

    pb_number(opts, OPT_IMAGES_DIR_FD, d->images);
    pb_number(opts, OPT_WORK_DIR_FD, d->work);
    pb_number(opts, OPT_LOG_LEVEL, LOG_DEBUG);
    pb_text(opts, OPT_LOG_FILE, work == CRIU_RESTORE ? "restore.log" : "dump.log");
    pb_number(opts, OPT_NOTIFY_SCRIPTS, 1);
    pb_number(opts, OPT_ORPHAN_PTS_MASTER, 1); /* the terminal's other end is our caller's */
    text(opts, OPT_CONFIG_FILE, config_file(config));
    add_modes(o, opts);
    if (add_page_server(o->page_server, opts, err) < 0 ||
        add_status_fd(o->status_fd, opts, err) < 0 ||
        add_empty_namespaces(&o->empty_ns, opts, err) < 0)
        return -1;
    if (work == CRIU_PRE_DUMP) /* memory alone */
        return 0;
    add_binds(work, p, p->mounts, opts);
    add_binds(work, p, p->late_mounts, opts);
    if (work == CRIU_RESTORE) {
        add_masks(p, -1, opts);
        add_cgroup_roots(p, opts);
    }
    return 0;
}

int criu_request_pid(const struct container *c, pid_t pid, struct zl_buf *opts,
                     struct zl_error *err)
{
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
    zl_autoclose int root = zl_open_dir(AT_FDCWD, path, err);
    if (root < 0)
        return -1;
    pb_number(opts, OPT_PID, pid);
    add_masks(c->plan, root, opts);
    return 0;
}

void criu_request_root(struct zl_buf *opts, const char *root)
{
    pb_text(opts, OPT_ROOT, root);
    pb_number(opts, OPT_RST_SIBLING, 1); /* the first process is our child, not criu's */
    pb_number(opts, OPT_EVASIVE_DEVICES, 1);
}

/* ---- namespaces of others ---- */

static const struct {
    int type;
    const char *kind, *name; /* the names are runc's, so that its images can be restored */
} outside[] = {
    { OCI_NS_NETWORK, "net", "extRootNetNS" },
    { OCI_NS_PID, "pid", "extRootPidNS" },
};

static void inherit(struct zl_buf *opts, const char *key, int fd)
{
    zl_autobuf struct zl_buf it = ZL_BUF(TEXT_MAX);

    pb_text(&it, PAIR_KEY, key);
    pb_number(&it, PAIR_VALUE, fd);
    pb_message(opts, OPT_INHERIT_FD, &it);
}

static int add_namespace(enum criu_work work, const char *path, size_t which, struct zl_buf *opts,
                         int *fds, size_t *n_fds, struct zl_error *err)
{
    zl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    char inode[24];
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return zl_fail_errno(err, "open namespace '%s'", path);
    if (work != CRIU_RESTORE) {
        (void)snprintf(inode, sizeof inode, "%llu", (unsigned long long)st.st_ino);
        add_external(opts, outside[which].kind, inode, outside[which].name);
        return 0;
    }
    fds[*n_fds] = zl_dup_above(fd, 16, err); /* its number is free in criu */
    if (fds[*n_fds] < 0)
        return -1;
    inherit(opts, outside[which].name, fds[(*n_fds)++]);
    return 0;
}

int criu_request_namespaces(enum criu_work work, const struct oci_config *config,
                            struct zl_buf *opts, int *fds, size_t *n_fds, struct zl_error *err)
{
    for (size_t i = 0; i < config->linux_.namespaces.n; i++) {
        const struct oci_namespace *ns = &config->linux_.namespaces.v[i];
        for (size_t k = 0; ns->path && k < ZL_ARRAY_LEN(outside); k++)
            if (ns->type == outside[k].type && *n_fds < CRIU_INHERIT_MAX &&
                add_namespace(work, ns->path, k, opts, fds, n_fds, err) < 0)
                return -1;
    }
    return 0;
}

/* ---- 0, 1, 2 ---- */

static const char stdio_file[] = "descriptors.json";

int criu_keep_stdio(const struct criu_dirs *d, pid_t pid, struct zl_error *err)
{
    zl_autobuf struct zl_buf out = ZL_BUF(TEXT_MAX * STDIO);
    json_t *list = json_array();
    int rc = list ? 0 : -1;

    for (int i = 0; rc == 0 && i < STDIO; i++) {
        char path[48], where[TEXT_MAX];
        (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, i);
        ssize_t n = readlink(path, where, sizeof where - 1);
        where[n > 0 ? n : 0] = '\0'; /* it may have closed it */
        rc = json_array_append_new(list, json_string(where));
    }
    rc = rc == 0 ? zl_json_dump(list, JSON_COMPACT, &out, err)
                 : zl_fail(err, ZL_ERR_SYSTEM, "save descriptors: out of memory");
    json_decref(list);
    if (rc < 0 || zl_buf_check(&out, stdio_file, err) < 0)
        return -1;
    return zl_write_atomic(d->images, stdio_file, out.data, out.len, 0600, true, err);
}

int criu_request_stdio(const struct criu_dirs *d, struct zl_buf *opts, struct zl_error *err)
{
    zl_autobuf struct zl_buf bytes = ZL_BUF(TEXT_MAX * STDIO);
    zl_autojson struct zl_json doc = { 0 };

    if (zl_read_file(d->images, stdio_file, &bytes, err) < 0 ||
        zl_json_parse(&doc, bytes.data, bytes.len, stdio_file, err) < 0)
        return zl_wrap(err, "these are no images of a container");
    for (size_t i = 0; i < json_array_size(doc.root) && i < STDIO; i++) {
        const char *where = json_string_value(json_array_get(doc.root, i));
        if (where && strncmp(where, "pipe:", 5) == 0)
            inherit(opts, where, (int)i);
    }
    return 0;
}
