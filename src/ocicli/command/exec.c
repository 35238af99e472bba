// SPDX-License-Identifier: Apache-2.0
/* exec: a further process in a container, as an engine's process.json or the words say. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/weaken.h"
#include "ocicli/environment.h"
#include "ocicli/make.h"
#include "sandbox/kernel.h"

enum { PROCESS_MAX = 8 << 20 };

struct exec_options {
    const char *process, *user, *cwd, *apparmor, *label;
    const char *console_socket, *pid_file, *pidfd_socket;
    struct cli_list env, caps, groups, cgroups;
    bool tty, detach, no_new_privs, ignore_paused;
    uint64_t preserve_fds;
};

struct executing {
    struct cli *cli;
    const struct exec_options *o;
    int n_words; /* of the command */
    char **words;
    struct found f;
    struct oci_config *config;
    struct zl_json document; /* of process.json */
    struct oci_process process;
    struct zl_buf plan_bytes;
    int init;    /* pidfd of the container's first process */
    int console; /* carry's end of a socket for the terminal's master; -1: none */
    int ours;    /* the other, when we relay the terminal */
};

static void executing_done(struct executing *x)
{
    int saved = errno;

    found_done(&x->f);
    oci_config_free(x->config);
    zl_json_done(&x->document);
    zl_buf_done(&x->plan_bytes);
    zl_closep(&x->init);
    zl_closep(&x->console);
    zl_closep(&x->ours);
    errno = saved;
}

/* ---- the process: of the container's, with what the options say ---- */

static void *alloc(struct executing *x, size_t n, size_t size, struct zl_error *err)
{
    void *v = zl_json_alloc(&x->config->document, n, size);

    if (!v)
        (void)zl_fail(err, ZL_ERR_SYSTEM, "plan a further process: out of memory");
    return v;
}

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");

    return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* --env replaces what has the same name. */
static int add_env(struct executing *x, struct zl_error *err)
{
    const struct cli_list *more = &x->o->env;
    struct zl_strs *env = &x->process.env;
    const char **v = more->n ? alloc(x, env->n + more->n + 1, sizeof *v, err) : NULL;
    size_t n = env->n;

    if (!more->n)
        return 0;
    if (!v)
        return -1;
    if (n)
        memcpy(v, env->v, n * sizeof *v);
    for (size_t i = 0; i < more->n; i++) {
        size_t at = 0;
        if (!strchr(more->v[i], '='))
            return zl_fail(err, ZL_ERR_INVALID, "--env: expected NAME=value, found '%s'",
                           more->v[i]);
        while (at < n && !same_name(more->v[i], v[at]))
            at++;
        v[at] = more->v[i];
        n += at == n;
    }
    *env = (struct zl_strs){ v, n };
    return 0;
}

static int parse_id(const char *option, const char *text, size_t n, uint32_t *ret,
                    struct zl_error *err)
{
    char digits[16];
    char *end;
    unsigned long id;

    (void)snprintf(digits, sizeof digits, "%.*s", (int)n, text);
    errno = 0;
    id = strtoul(digits, &end, 10);
    if (!isdigit((unsigned char)digits[0]) || *end || errno || n >= sizeof digits ||
        id >= UINT32_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "%s: expected a number, found '%.*s'", option, (int)n,
                       text);
    *ret = (uint32_t)id;
    return 0;
}

/* UID[:GID] */
static int set_user(struct executing *x, struct zl_error *err)
{
    const char *text = x->o->user;
    size_t n = text ? strcspn(text, ":") : 0;

    if (!text)
        return 0;
    if (parse_id("--user", text, n, &x->process.user.uid, err) < 0)
        return -1;
    return text[n]
               ? parse_id("--user", text + n + 1, strlen(text + n + 1), &x->process.user.gid, err)
               : 0;
}

static int add_groups(struct executing *x, struct zl_error *err)
{
    const struct cli_list *more = &x->o->groups;
    struct oci_user *user = &x->process.user;
    size_t had = user->additional_gids.n;
    uint32_t *v = more->n ? alloc(x, had + more->n, sizeof *v, err) : NULL;

    if (!more->n)
        return 0;
    if (!v)
        return -1;
    if (had)
        memcpy(v, user->additional_gids.v, had * sizeof *v);
    for (size_t i = 0; i < more->n; i++)
        if (parse_id("--additional-gids", more->v[i], strlen(more->v[i]), &v[had + i], err) < 0)
            return -1;
    user->additional_gids.v = v;
    user->additional_gids.n = had + more->n;
    return 0;
}

/* "net_admin" and "CAP_NET_ADMIN" are the same. */
static int capability_word(struct executing *x, const char *word, const char **ret,
                           struct zl_error *err)
{
    size_t n = strlen(word) + 5;
    char *out = alloc(x, n, 1, err);

    if (!out)
        return -1;
    (void)snprintf(out, n, "%s%s", strncasecmp(word, "CAP_", 4) == 0 ? "" : "CAP_", word);
    for (char *at = out; *at; at++)
        *at = (char)toupper((unsigned char)*at);
    *ret = out;
    return 0;
}

static int extend(struct executing *x, struct zl_strs *set, const char *const *more, size_t n_more,
                  struct zl_error *err)
{
    const char **v = alloc(x, set->n + n_more + 1, sizeof *v, err);

    if (!v)
        return -1;
    if (set->n)
        memcpy(v, set->v, set->n * sizeof *v);
    memcpy(v + set->n, more, n_more * sizeof *v);
    *set = (struct zl_strs){ v, set->n + n_more };
    return 0;
}

/* --cap adds to all sets: what the command, whoever it runs as, has in the end. */
static int add_capabilities(struct executing *x, struct zl_error *err)
{
    const struct cli_list *more = &x->o->caps;
    struct oci_capabilities *caps;
    const char **words;

    if (!more->n)
        return 0;
    caps = alloc(x, 1, sizeof *caps, err);
    words = alloc(x, more->n, sizeof *words, err);
    if (!caps || !words)
        return -1;
    if (x->process.capabilities)
        *caps = *x->process.capabilities;
    for (size_t i = 0; i < more->n; i++)
        if (capability_word(x, more->v[i], &words[i], err) < 0)
            return -1;
    struct zl_strs *sets[] = { &caps->bounding, &caps->effective, &caps->permitted,
                               &caps->inheritable, &caps->ambient };
    for (size_t i = 0; i < ZL_ARRAY_LEN(sets); i++)
        if (extend(x, sets[i], words, more->n, err) < 0)
            return -1;
    x->process.capabilities = caps;
    return 0;
}

static int process_of_words(struct executing *x, struct zl_error *err)
{
    const char **args = alloc(x, (size_t)x->n_words + 1, sizeof *args, err);

    if (!args)
        return -1;
    if (!x->n_words)
        return zl_fail(err, ZL_ERR_INVALID, "exec: no command");
    if (!x->config->process)
        return zl_fail(err, ZL_ERR_INVALID, "exec: the container has no process to be like");
    for (int i = 0; i < x->n_words; i++)
        args[i] = x->words[i];
    x->process = *x->config->process;
    x->process.terminal = x->o->tty;
    x->process.console_size.height = x->process.console_size.width = 0;
    x->process.args = (struct zl_strs){ args, (size_t)x->n_words };
    if (x->o->cwd)
        x->process.cwd = x->o->cwd;
    if (x->process.cwd[0] != '/')
        return zl_fail(err, ZL_ERR_INVALID, "--cwd: '%s' is no absolute path", x->o->cwd);
    return add_env(x, err) < 0 || set_user(x, err) < 0 || add_groups(x, err) < 0
               ? -1
               : add_capabilities(x, err);
}

static int process_of_file(struct executing *x, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(PROCESS_MAX);
    struct oci_process *p;

    if (x->n_words)
        return zl_fail(err, ZL_ERR_INVALID, "exec: --process and a command are given");
    if (zl_read_file(AT_FDCWD, x->o->process, &text, err) < 0 ||
        oci_process_parse(&x->document, text.data, text.len, x->o->process, &p, err) < 0)
        return -1;
    x->process = *p;
    x->process.terminal |= x->o->tty;
    return 0;
}

static int make_process(struct executing *x, struct zl_error *err)
{
    if ((x->o->process ? process_of_file : process_of_words)(x, err) < 0)
        return -1;
    x->process.no_new_privileges |= x->o->no_new_privs;
    if (x->o->apparmor)
        x->process.apparmor_profile = x->o->apparmor;
    if (x->o->label)
        x->process.selinux_label = x->o->label;
    return 0;
}

/* ---- its terminal ---- */

static int make_console(struct executing *x, struct zl_error *err)
{
    const struct exec_options *o = x->o;

    if (o->console_socket && !x->process.terminal)
        return zl_fail(err, ZL_ERR_INVALID,
                       "--console-socket is given, but no terminal is asked for");
    if (!x->process.terminal)
        return 0;
    if (o->detach && !o->console_socket)
        return zl_fail(err, ZL_ERR_INVALID,
                       "exec: with --detach, --console-socket must tell who gets the terminal");
    x->console = o->console_socket ? socket_connect("--console-socket", o->console_socket, err)
                                   : attend_console(&x->ours, err);
    return x->console < 0 ? -1 : 0;
}

/* ---- doing it ---- */

static int check_status(const struct executing *x, struct zl_error *err)
{
    const struct found *f = &x->f;

    if (f->status == OCI_PAUSED && !x->o->ignore_paused)
        return zl_fail(err, ZL_ERR_CONFLICT,
                       "cannot exec in container '%s': it is paused (--ignore-paused: the command "
                       "waits)",
                       f->container.id);
    return found_check(f, "exec in", FOUND_LIVING, err);
}

static int make_plan(struct executing *x, const struct plan_exec **ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf notes = ZL_BUF(65536);
    char root[32];
    struct plan_options how = {
        .id = x->f.container.id,
        .root = root,
        .no_new_keyring = !x->f.container.plan->process.keyring,
        .notes = &notes,
    };

    (void)snprintf(root, sizeof root, "/proc/%d/root", (int)x->f.state.pid);
    if (plan_exec_build(x->config, &how, &x->process, &x->plan_bytes, err) < 0 ||
        plan_exec_check(x->plan_bytes.data, x->plan_bytes.len, ret, err) < 0)
        return -1;
    oci_warn_lines(x->cli, &notes);
    return 0;
}

/* Between the look at its state and here its number may have become another process's. */
static int pin_first(struct executing *x, struct zl_error *err)
{
    x->init =
        zl_weaken(PID) ? k_pidfd_open((pid_t)x->f.state.pid) : container_pidfd(&x->f.state, err);
    return x->init < 0 ? -1 : 0;
}

static int prepare(struct executing *x, const char *id, const struct plan_exec **ret,
                   struct zl_error *err)
{
    if (container_find(x->cli, id, &x->f, err) < 0 || check_status(x, err) < 0 ||
        pin_first(x, err) < 0 || container_load_plan(&x->f.container, err) < 0 ||
        container_config(&x->f.container, &x->config, err) < 0)
        return -1;
    return environment_check_fds(0, x->o->preserve_fds, err) < 0 || make_process(x, err) < 0 ||
                   make_console(x, err) < 0
               ? -1
               : make_plan(x, ret, err);
}

static int tell(const struct executing *x, const struct carry_proc *p, struct zl_error *err)
{
    if (x->o->pid_file && pid_file_write(x->o->pid_file, p->pid, err) < 0)
        return -1;
    if (!x->o->pidfd_socket || pidfd_send(x->o->pidfd_socket, p->pidfd, err) == 0)
        return 0;
    pid_file_remove(x->o->pid_file);
    return -1;
}

static int wait_for_end(struct executing *x, const struct carry_proc *p, struct zl_error *err)
{
    int master = x->ours < 0 ? -1 : attend_master(zl_take_fd(&x->ours), err);

    return x->process.terminal && master < 0 && !x->o->console_socket ? -1 : attend(p, master, err);
}

/* [CONTROLLER:]PATH; the controller's copy is the configuration's. */
static int parse_sub(struct executing *x, const char *word, struct carry_sub *ret,
                     struct zl_error *err)
{
    size_t n = strcspn(word, ":");
    char *controller;

    *ret = (struct carry_sub){ .path = word };
    if (!word[n])
        return 0;
    controller = alloc(x, n + 1, 1, err);
    if (!controller)
        return -1;
    memcpy(controller, word, n);
    *ret = (struct carry_sub){ .controller = controller, .path = word + n + 1 };
    return 0;
}

static int choose_cgroups(struct executing *x, struct carry_start *how, struct zl_error *err)
{
    const struct cli_list *words = &x->o->cgroups;
    struct carry_sub *subs = words->n ? alloc(x, words->n, sizeof *subs, err) : NULL;

    if (!words->n)
        return 0;
    for (size_t i = 0; subs && i < words->n; i++)
        if (parse_sub(x, words->v[i], &subs[i], err) < 0)
            return -1;
    how->subs = subs;
    how->n_subs = words->n;
    return subs ? 0 : -1;
}

static int execute(struct executing *x, const struct plan_exec *plan, struct zl_error *err)
{
    struct carry_proc p = { .pidfd = -1 };
    struct carry_start how = {
        .stdio = { 0, 1, 2 },
        .console_socket = x->console,
        .gate = -1,
        .report = -1,
        .outcome = -1,
        .preserve_fds = (unsigned)x->o->preserve_fds,
    };
    struct listening listening = { x->config, &x->f.state, x->f.status };
    int rc;

    listener_start(&listening, &how);
    if (choose_cgroups(x, &how, err) < 0 ||
        carry_exec(x->f.container.carry, x->init, plan, &how, &p, err) < 0)
        return zl_wrap(err, "exec in container '%s'", x->f.container.id);
    rc = tell(x, &p, err);
    if (rc < 0)
        end_child(&p); /* nobody knows of it who would look after it */
    else if (!x->o->detach)
        rc = wait_for_end(x, &p, err);
    zl_closep(&p.pidfd);
    return rc;
}

static int exec_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct executing x __attribute__((cleanup(executing_done))) = {
        .cli = cli,
        .o = options,
        .n_words = argc - 1,
        .words = argv + 1,
        .f = { .container = CONTAINER_NONE },
        .init = -1,
        .console = -1,
        .ours = -1,
    };
    const struct plan_exec *plan;
    struct zl_error err = { 0 };
    int rc;

    zl_buf_init(&x.plan_bytes, PLAN_MAX);
    attend_signals();
    if (prepare(&x, argv[0], &plan, &err) < 0) {
        (void)oci_fail(cli, &err);
        return OCI_OWN_FAILURE;
    }
    rc = execute(&x, plan, &err);
    return rc < 0 ? oci_fail_to_run(cli, &err) : rc;
}

/* clang-format off */
static const struct cli_option exec_options[] = {
    { 'p', "process",         CLI_STRING, offsetof(struct exec_options, process),        "FILE",     "a process.json in place of a command", NULL },
    { 't', "tty",             CLI_FLAG,   offsetof(struct exec_options, tty),            NULL,       "with a terminal", NULL },
    { 'd', "detach",          CLI_FLAG,   offsetof(struct exec_options, detach),         NULL,       "do not wait for its end", NULL },
    { 'u', "user",            CLI_STRING, offsetof(struct exec_options, user),           "UID[:GID]", "as whom [as the container's process]", NULL },
    { 'g', "additional-gids", CLI_LIST,   offsetof(struct exec_options, groups),         "GID",      "a further group; may be repeated", NULL },
    { 0,   "cwd",             CLI_STRING, offsetof(struct exec_options, cwd),            "DIR",      "the working directory", NULL },
    { 'e', "env",             CLI_LIST,   offsetof(struct exec_options, env),            "NAME=VALUE", "a variable; may be repeated", NULL },
    { 'c', "cap",             CLI_LIST,   offsetof(struct exec_options, caps),           "NAME",     "a further capability; may be repeated", NULL },
    { 0,   "no-new-privs",    CLI_FLAG,   offsetof(struct exec_options, no_new_privs),   NULL,       "it cannot gain privileges by executing something", NULL },
    { 0,   "apparmor",        CLI_STRING, offsetof(struct exec_options, apparmor),       "PROFILE",  "AppArmor profile", NULL },
    { 0,   "process-label",   CLI_STRING, offsetof(struct exec_options, label),          "LABEL",    "SELinux label", NULL },
    { 0,   "cgroup",          CLI_LIST,   offsetof(struct exec_options, cgroups),        "[CONTROLLER:]PATH", "a cgroup below the container's, which is there; may be repeated (v1)", NULL },
    { 0,   "ignore-paused",   CLI_FLAG,   offsetof(struct exec_options, ignore_paused),  NULL,       "also in a paused container", NULL },
    { 0,   "preserve-fds",    CLI_NUMBER, offsetof(struct exec_options, preserve_fds),   "N",        "descriptors 3 to 2+N stay open", NULL },
    { 0,   "console-socket",  CLI_STRING, offsetof(struct exec_options, console_socket), "SOCKET",   "gets the master of the terminal", NULL },
    { 0,   "pid-file",        CLI_STRING, offsetof(struct exec_options, pid_file),       "FILE",     "gets the pid of the process", NULL },
    { 0,   "pidfd-socket",    CLI_STRING, offsetof(struct exec_options, pidfd_socket),   "SOCKET",   "gets a pidfd of the process", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command exec_command = {
    .name = "exec",
    .group = GROUP_CHANGE,
    .args = "ID [COMMAND...]",
    .summary = "Execute a further command in a container",
    .about = "Executes a command in all namespaces and the cgroup of the container, with the "
             "rights of its "
             "process unless\noptions say more. The exit code is the command's, or 128 + the "
             "signal that "
             "ended it.",
    .examples = "zlayer-oci exec web ps\tand wait for its end\n"
                "zlayer-oci exec --tty --user 1000 web sh\ta shell on a terminal\n"
                "zlayer-oci exec --detach --process process.json --pid-file pid web\tas engines do",
    .options = exec_options,
    .options_size = sizeof(struct exec_options),
    .completes = "container",
    .min_args = 1,
    .max_args = -1,
    .options_first = true,
    .own_failure = true,
    .run = exec_run,
};
