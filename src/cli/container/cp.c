// SPDX-License-Identifier: Apache-2.0
/*
 * cp, diff, export: the files of a container. Trees of our own are packed and unpacked by
 * zlayer-fetch with our rights; those of the container are the agent's business.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/helper.h"
#include "base/launch.h"
#include "cli/container/archive.h"
#include "cli/outfile.h"
#include "cli/output.h"
#include "cli/resolve.h"

/* ---- our side ------------------------------------------------------------------------------ */

struct helper {
    struct zl_child child;
    int pipe; /* our end of its stdin or stdout */
};

/* pack: its stdout is ours to read; unpack: its stdin to write. name NULL: what is in path. */
static int helper_start(struct helper *h, const char *op, const char *path, const char *name,
                        bool keep_owner, struct zl_error *err)
{
    zl_autofree char *program = NULL;
    char *argv[10] = { 0 };
    size_t n = 0;
    int ends[2];
    bool packs = strcmp(op, "pack") == 0;
    if (zl_helper_path("zlayer-fetch", &program, err) < 0)
        return -1;
    const char *const words[] = { program, "archive", op, "--path", path };
    for (size_t i = 0; i < ZL_ARRAY_LEN(words); i++)
        argv[n++] = (char *)(uintptr_t)words[i]; /* only read */
    static const char name_option[] = "--name", keep_option[] = "--keep-owner";
    if (name) {
        argv[n++] = (char *)(uintptr_t)name_option;
        argv[n++] = (char *)(uintptr_t)name;
    }
    if (keep_owner)
        argv[n++] = (char *)(uintptr_t)keep_option;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    zl_autoclose int theirs = packs ? ends[1] : ends[0];
    h->pipe = packs ? ends[0] : ends[1];
    const struct zl_launch launch = {
        .program = program,
        .argv = argv,
        .fds = { packs ? -1 : theirs, packs ? theirs : -1, 2 },
        .n_fds = 3,
    };
    if (zl_launch(&launch, &h->child, err) < 0) {
        zl_closep(&h->pipe);
        return -1;
    }
    return 0;
}

/* What it failed at it has told on our stderr. */
static int helper_end(struct helper *h, struct zl_error *err)
{
    siginfo_t info = { 0 };
    zl_closep(&h->pipe);
    while (waitid(P_PIDFD, (id_t)h->child.pidfd, &info, WEXITED) < 0 && errno == EINTR)
        ;
    zl_closep(&h->child.pidfd);
    if (info.si_code == CLD_EXITED && info.si_status == 0)
        return 0;
    return zl_fail(err, ZL_ERR_SYSTEM, "the files on this side could not be copied");
}

/* ---- what goes where ----------------------------------------------------------------------- */

struct side { /* a place that is copied from or to */
    const char *path;
    bool exists, folder;
};

struct target {
    char folder[4096]; /* where it goes */
    char name[256];    /* what it is called there; "": what is in the source goes there */
};

static bool means_content(const char *path)
{
    size_t n = strlen(path);
    return strcmp(path, ".") == 0 || strcmp(path, "/") == 0 ||
           (n >= 2 && strcmp(path + n - 2, "/.") == 0);
}

/* "/a/b/" → "/a" and "b" */
static int split(const char *path, char folder[4096], char name[256], struct zl_error *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    const char *slash = memrchr(path, '/', n);
    const char *last = slash ? slash + 1 : path;
    size_t length = (size_t)(path + n - last), above = slash ? (size_t)(slash - path) : 0;
    if (length == 0 || length > 255 || above > 4095)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' has no name that something could be called",
                       path);
    (void)snprintf(name, 256, "%.*s", (int)length, last);
    (void)snprintf(folder, 4096, "%.*s", above ? (int)above : 1,
                   slash ? (above ? path : "/") : ".");
    return 0;
}

/* As Docker's cp: into a folder that exists, else by the name of a new or existing file. */
static int choose(const struct side *from, const struct side *to, struct target *ret,
                  struct zl_error *err)
{
    char folder[4096];
    size_t n = strlen(to->path);
    if (from->folder && to->exists && !to->folder)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is no folder, and '%s' is one", to->path,
                       from->path);
    if (!from->folder && !to->exists && n > 0 && to->path[n - 1] == '/')
        return zl_fail(err, ZL_ERR_NOT_FOUND, "the folder '%s' does not exist", to->path);
    if (!to->folder)
        return split(to->path, ret->folder, ret->name, err);
    (void)snprintf(ret->folder, sizeof ret->folder, "%s", to->path);
    ret->name[0] = '\0';
    return means_content(from->path) ? 0 : split(from->path, folder, ret->name, err);
}

static int look_here(const char *path, bool follow, struct side *ret, struct zl_error *err)
{
    struct stat st;
    *ret = (struct side){ .path = path };
    if ((follow ? stat(path, &st) : lstat(path, &st)) < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "look at '%s'", path);
    ret->exists = true;
    ret->folder = S_ISDIR(st.st_mode);
    return 0;
}

static int look_there(struct cli *cli, const json_t *container, const char *path, bool follow,
                      struct side *ret, struct zl_error *err)
{
    const struct archive_ask ask = { .op = "stat", .path = path };
    json_t *stat = NULL;
    *ret = (struct side){ .path = path };
    if (archive_run(cli, container, &ask, -1, -1, &stat, err) < 0)
        return err->kind == ZL_ERR_NOT_FOUND ? 0 : -1;
    ret->exists = true;
    ret->folder = jbool(stat, "folder") || (follow && jbool(stat, "leads_to_folder"));
    json_decref(stat);
    return 0;
}

/* ---- both ways ----------------------------------------------------------------------------- */

struct cp_options {
    bool archive;
};

/* The one that is named, whether it runs or not; of a service its first replica that runs. */
static const json_t *one_container(struct cli *cli, const char *what, json_t **found,
                                   struct zl_error *err)
{
    if (resolve_containers(cli, what, found, err) < 0)
        return NULL;
    return json_array_size(*found) == 1 ? json_array_get(*found, 0)
                                        : pick_replica(*found, 0, what, err);
}

/* What the helper packs goes into the container, what it unpacks comes out of it. */
static int copy(struct cli *cli, const json_t *container, const struct archive_ask *ask,
                struct helper *h, struct zl_error *err)
{
    struct zl_error why = { 0 };
    bool in = strcmp(ask->op, "put") == 0;
    int rc = archive_run(cli, container, ask, in ? h->pipe : -1, in ? -1 : h->pipe, NULL, err);
    int ours = helper_end(h, &why);
    if (rc == 0 && ours < 0)
        *err = why;
    return rc < 0 ? rc : ours;
}

static int copy_out(struct cli *cli, const struct cp_options *o, const json_t *container,
                    const char *from_path, const char *to_path, struct zl_error *err)
{
    struct side from, to;
    struct target t = { 0 };
    struct helper h;
    const struct archive_ask to_stdout = { .op = "get", .path = from_path };
    if (strcmp(to_path, "-") == 0)
        return archive_run(cli, container, &to_stdout, -1, STDOUT_FILENO, NULL, err);
    if (look_there(cli, container, from_path, false, &from, err) < 0 ||
        look_here(to_path, true, &to, err) < 0)
        return -1;
    if (!from.exists)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no '%s' in %s", from_path,
                       jstr(container, "name"));
    if (choose(&from, &to, &t, err) < 0)
        return -1;
    /* by a new name, what is in a folder is the folder */
    zl_autofree char *path = strdup(from_path);
    if (!path)
        return zl_fail_errno(err, "copy '%s'", from_path);
    if (t.name[0] && means_content(path) && strlen(path) > 2)
        path[strlen(path) - 2] = '\0';
    const struct archive_ask ask = { .op = "get", .path = path };
    bool content = means_content(path);
    if (content && t.name[0]) { /* the whole root by a new name */
        if (mkdir(to_path, 0755) < 0)
            return zl_fail_errno(err, "create '%s'", to_path);
        (void)snprintf(t.folder, sizeof t.folder, "%s", to_path);
    }
    if (helper_start(&h, "unpack", t.folder, content || !t.name[0] ? NULL : t.name, o->archive,
                     err) < 0)
        return -1;
    return copy(cli, container, &ask, &h, err);
}

static int copy_in(struct cli *cli, const struct cp_options *o, const json_t *container,
                   const char *from_path, const char *to_path, struct zl_error *err)
{
    struct side from, to;
    struct target t = { 0 };
    struct helper h;
    const struct archive_ask from_stdin = { .op = "put",
                                            .path = to_path,
                                            .keep_owner = o->archive };
    if (strcmp(from_path, "-") == 0)
        return archive_run(cli, container, &from_stdin, STDIN_FILENO, -1, NULL, err);
    if (look_here(from_path, means_content(from_path), &from, err) < 0 ||
        look_there(cli, container, to_path, true, &to, err) < 0)
        return -1;
    if (!from.exists)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no '%s' here", from_path);
    if (choose(&from, &to, &t, err) < 0 ||
        helper_start(&h, "pack", from_path, t.name[0] ? t.name : NULL, false, err) < 0)
        return -1;
    const struct archive_ask ask = {
        .op = "put", .path = t.folder, .keep_owner = o->archive, .same_types = true
    };
    return copy(cli, container, &ask, &h, err);
}

/* "CONTAINER:PATH": where its path begins; NULL: a path of ours. */
static const char *path_in_container(const char *text)
{
    const char *colon = strchr(text, ':');
    const char *slash = strchr(text, '/');
    /* "./a:b" is ours; "shop/web:/etc" is not */
    if (!colon || *text == '.' || *text == '/' || (slash && slash < colon && colon[1] != '/'))
        return NULL;
    return colon + 1;
}

static int cp_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const char *from = path_in_container(argv[0]), *to = path_in_container(argv[1]);
    struct zl_error err = { 0 };
    json_t *found = NULL;
    (void)argc;
    if (!from == !to)
        return cli_failf(CLI_USAGE, "one of both is CONTAINER:PATH, the other a path here or -");
    const char *path = from ? from : to, *word = from ? argv[0] : argv[1];
    if (*path != '/')
        return cli_failf(CLI_USAGE, "'%s': a path in a container begins with /", word);
    zl_autofree char *name = strndup(word, (size_t)(path - word) - 1);
    const json_t *c = name ? one_container(cli, name, &found, &err) : NULL;
    int rc = !c     ? -1
             : from ? copy_out(cli, options, c, from, argv[1], &err)
                    : copy_in(cli, options, c, argv[0], to, &err);
    json_decref(found);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

/* clang-format off */
static const struct cli_option cp_options[] = {
    { 'a', "archive", CLI_FLAG, offsetof(struct cp_options, archive), NULL, "files keep their owners", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command cp_command = {
    .name = "cp",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER:PATH PATH|-  or  PATH|- CONTAINER:PATH",
    .summary = "Copy files out of a container, or into one",
    .about = "Of a container that runs, its volumes are seen as well; one that has ended keeps its "
             "files\n"
             "until it is removed. What is copied goes into a folder that exists, else it gets the "
             "name\n"
             "that is given; PATH/. is what is in the folder. Links are copied, not followed. "
             "Files belong\n"
             "to root in the container and to you here, unless -a is given. - is a tar archive on "
             "standard\n"
             "input or output.",
    .examples = "zlayer cp web:/var/log ./logs\n"
                "zlayer cp ./conf/. shop/web:/etc/app\twhat is in conf\n"
                "zlayer cp db:/data - | zstd > data.tar.zst",
    .options = cp_options,
    .options_size = sizeof(struct cp_options),
    .min_args = 2,
    .max_args = 2,
    .completes = "container",
    .run = cp_run,
};

/* ---- diff, export -------------------------------------------------------------------------- */

/* Lines {"kind", "path"} as letters and paths. */
static int print_changes(FILE *in, struct zl_error *err)
{
    static const char letters[] = "CAD";
    zl_autofree char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, in) > 0) {
        json_t *change = json_loads(line, 0, NULL);
        int64_t kind = jint(change, "kind");
        if (!change || kind < 0 || kind > 2) {
            json_decref(change);
            return zl_fail(err, ZL_ERR_PROTOCOL, "the helper said '%s'", line);
        }
        (void)printf("%c %s\n", letters[kind], jstr(change, "path"));
        json_decref(change);
    }
    return 0;
}

static int diff_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct archive_ask ask = { .op = "changes" };
    struct zl_error err = { 0 };
    json_t *found = NULL;
    (void)options;
    (void)argc;
    const json_t *c = one_container(cli, argv[0], &found, &err);
    FILE *kept = c && cli->format != CLI_JSON ? tmpfile() : NULL;
    int rc = c ? 0 : -1;
    if (rc == 0 && cli->format != CLI_JSON && !kept)
        rc = zl_fail_errno(&err, "keep the changes");
    if (rc == 0)
        rc = archive_run(cli, c, &ask, -1, kept ? fileno(kept) : STDOUT_FILENO, NULL, &err);
    if (rc == 0 && kept) {
        rewind(kept);
        rc = print_changes(kept, &err);
    }
    if (kept)
        (void)fclose(kept);
    json_decref(found);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command diff_command = {
    .name = "diff",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER",
    .summary = "Show what a container changed of its image's files",
    .about =
        "A: added, C: changed, D: deleted. Volumes do not belong to it. With --format json, an\n"
        "object a line; kind is 0 changed, 1 added, 2 deleted.",
    .min_args = 1,
    .max_args = 1,
    .completes = "container",
    .run = diff_run,
};

struct export_options {
    const char *output;
};

static int export_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct export_options *o = options;
    const struct archive_ask ask = { .op = "export" };
    struct zl_error err = { 0 };
    json_t *found = NULL;
    (void)argc;
    if (!o->output && isatty(STDOUT_FILENO))
        return cli_failf(CLI_USAGE, "a tar archive is not for a terminal: redirect it, or use -o");
    const json_t *c = one_container(cli, argv[0], &found, &err);
    autooutfile struct outfile out = { .fd = -1 };
    int rc = c ? 0 : -1;
    if (rc == 0 && o->output)
        rc = outfile_open(o->output, &out, &err);
    if (rc == 0)
        rc = archive_run(cli, c, &ask, -1, o->output ? out.fd : STDOUT_FILENO, NULL, &err);
    if (rc == 0 && o->output)
        rc = outfile_keep(&out, &err);
    json_decref(found);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

/* clang-format off */
static const struct cli_option export_options[] = {
    { 'o', "output", CLI_STRING, offsetof(struct export_options, output), "FILE", "write it there [standard output]", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command export_command = {
    .name = "export",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER",
    .summary = "Write the file system of a container as a tar archive",
    .about =
        "Image and changes in one tree, without volumes. `zlayer import` makes an image of it.",
    .examples = "zlayer export -o web.tar web",
    .options = export_options,
    .options_size = sizeof(struct export_options),
    .min_args = 1,
    .max_args = 1,
    .completes = "container",
    .run = export_run,
};
