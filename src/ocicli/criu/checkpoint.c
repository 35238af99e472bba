// SPDX-License-Identifier: Apache-2.0
/* checkpoint: criu saves the processes of a container as files. */
#include "ocicli/criu/criu.h"
#include "ocicli/make.h"

enum { REQUEST_MAX = 65536 };

static int check_state(const struct found *f, struct zl_error *err)
{
    if (f->status == OCI_PAUSED)
        return zl_fail(err, ZL_ERR_CONFLICT,
                       "cannot checkpoint container '%s': it is paused; resume it first",
                       f->container.id);
    return found_check(f, "checkpoint", FOUND_IN(OCI_RUNNING), err);
}

static int check_options(const struct criu_options *o, struct zl_error *err)
{
    if (o->parent_path && o->parent_path[0] == '/')
        return zl_fail(err, ZL_ERR_INVALID,
                       "--parent-path: '%s' must be relative to the images' folder",
                       o->parent_path);
    return 0;
}

static int go_on(void *arg, const char *what, pid_t pid, int fd, struct zl_error *err)
{
    (void)arg, (void)what, (void)pid, (void)fd, (void)err;
    return 0;
}

/* criu must be told of each mount that is another's. */
static int check_plan(const struct container *c, struct zl_error *err)
{
    return c->replanned
               ? zl_fail(err, ZL_ERR_UNSUPPORTED,
                         "another version of zlayer-oci made it: checkpoint it with that one, or "
                         "delete it and create it anew")
               : 0;
}

static int save(struct cli *cli, const struct criu_options *o, struct found *f,
                struct zl_error *err)
{
    zl_autobuf struct zl_buf opts = ZL_BUF(REQUEST_MAX);
    autociconfig struct oci_config *config = NULL;
    autocriudirs struct criu_dirs dirs = CRIU_DIRS_NONE;
    enum criu_work work = o->pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP;
    struct criu_call call = {
        .cli = cli, .work = work, .opts = &opts, .dirs = &dirs, .told = go_on
    };
    pid_t pid = (pid_t)f->state.pid;
    size_t n = 0;

    if (container_load_plan(&f->container, err) < 0 || check_plan(&f->container, err) < 0 ||
        container_config(&f->container, &config, err) < 0 ||
        criu_dirs_open(o, true, &dirs, err) < 0 ||
        criu_request(work, o, &dirs, config, &f->container, &opts, err) < 0 ||
        criu_request_namespaces(work, config, &opts, NULL, &n, err) < 0 ||
        criu_request_pid(&f->container, pid, &opts, err) < 0 ||
        criu_keep_stdio(&dirs, pid, err) < 0)
        return -1;
    return criu_run(&call, err);
}

/* criu ended its processes: what is left goes as well. */
static int checkpoint(struct cli *cli, const void *options, int argc, char **argv,
                      struct zl_error *err)
{
    const struct criu_options *o = options;
    const char *id = argv[0];
    autofound struct found f = { .container = CONTAINER_NONE };

    (void)argc;
    if (check_options(o, err) < 0 || container_find(cli, id, &f, err) < 0)
        return -1;
    if (check_state(&f, err) < 0 || save(cli, o, &f, err) < 0)
        return zl_wrap(err, "checkpoint container '%s'", id);
    return o->leave_running || o->pre_dump ? 0 : delete_found(cli, &f, true, err);
}

/* clang-format off */
#define O(kind, member, name, arg, help) { 0, name, kind, offsetof(struct criu_options, member), arg, help, NULL }
static const struct cli_option checkpoint_options[] = {
    O(CLI_STRING, image_path,         "image-path",         "DIR",  "where the images go [checkpoint]"),
    O(CLI_STRING, work_path,          "work-path",          "DIR",  "where criu's log goes [that of the images]"),
    O(CLI_FLAG,   leave_running,      "leave-running",      NULL,   "the container goes on"),
    O(CLI_FLAG,   pre_dump,           "pre-dump",           NULL,   "only its memory, while it goes on"),
    O(CLI_STRING, parent_path,        "parent-path",        "DIR",  "images of a pre-dump; relative to --image-path"),
    O(CLI_FLAG,   tcp_established,    "tcp-established",    NULL,   "with its open TCP connections"),
    O(CLI_FLAG,   tcp_skip_in_flight, "tcp-skip-in-flight", NULL,   "without those that are being opened"),
    O(CLI_FLAG,   ext_unix_sk,        "ext-unix-sk",        NULL,   "with unix sockets whose other end is outside"),
    O(CLI_FLAG,   shell_job,          "shell-job",          NULL,   "its terminal or session may be another's"),
    O(CLI_FLAG,   file_locks,         "file-locks",         NULL,   "with file locks"),
    O(CLI_FLAG,   lazy_pages,         "lazy-pages",         NULL,   "memory is fetched when it is needed (userfaultfd)"),
    O(CLI_STRING, status_fd,          "status-fd",          "FD",   "criu writes a byte to it when lazy pages are ready"),
    O(CLI_STRING, page_server,        "page-server",        "ADDRESS:PORT", "a page server gets the memory"),
    { 0, "manage-cgroups-mode", CLI_CHOICE, offsetof(struct criu_options, cgroups), "MODE", "what of its cgroups is saved", criu_cgroup_modes },
    O(CLI_LIST,   empty_ns,           "empty-ns",           "network", "a namespace whose content is not saved"),
    O(CLI_FLAG,   auto_dedup,         "auto-dedup",         NULL,   "pages that are in newer images go from older ones"),
    { 0 },
};
#undef O
/* clang-format on */

const struct cli_command checkpoint_command = {
    .name = "checkpoint",
    .group = GROUP_SAVE,
    .args = "ID",
    .summary = "Save a running container as files",
    .about = "criu(8), which must be installed, saves the container's processes. The container is "
             "deleted afterwards unless\nit is to go on.",
    .examples = "zlayer-oci checkpoint --image-path /saved/web web\tand restore it from there\n"
                "zlayer-oci checkpoint --leave-running --image-path /saved/web web\tit goes on",
    .options = checkpoint_options,
    .options_size = sizeof(struct criu_options),
    .completes = "container",
    .min_args = 1,
    .max_args = 1,
    .act = checkpoint,
};
