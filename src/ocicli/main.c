// SPDX-License-Identifier: Apache-2.0
/* zlayer-oci: its commands, the options of all, and the checks before any of them runs. */
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/stdfds.h"
#include "oci/state.h"
#include "ocicli/container.h"

static const char *const log_formats[] = { "text", "json", NULL };
static const char *const managers[] = { "cgroupfs", "systemd", "disabled", NULL };
static const char *const groups[] = {
    [GROUP_LIFE] = "Life of a container",
    [GROUP_LOOK] = "Looking at it",
    [GROUP_CHANGE] = "Changing it",
    [GROUP_SAVE] = "Saving it",
    [GROUP_OTHER] = "Other",
    NULL,
};

/* clang-format off */
static const struct cli_option globals[] = {
    { 0,   "root",           CLI_STRING, offsetof(struct cli, root),           "DIR",    "where containers' states are [/run/zlayer-oci]", NULL },
    { 0,   "log",            CLI_STRING, offsetof(struct cli, log),            "FILE",   "errors are appended to FILE as well; or syslog:NAME, journald:NAME", NULL },
    { 0,   "log-format",     CLI_CHOICE, offsetof(struct cli, log_format),     "FORMAT", "of FILE: text or json", log_formats },
    { 0,   "debug",          CLI_FLAG,   offsetof(struct cli, debug),          NULL,     "say what is done", NULL },
    { 0,   "cgroup-manager", CLI_CHOICE, offsetof(struct cli, cgroup_manager), "NAME",   "who makes cgroups: cgroupfs (we), systemd, disabled", managers },
    { 0,   "systemd-cgroup", CLI_FLAG,   offsetof(struct cli, systemd_cgroup), NULL,     "the same as --cgroup-manager systemd", NULL },
    { 0,   "rootless",       CLI_STRING, offsetof(struct cli, rootless),       "BOOL",   "true, false or auto [auto: when not root]", NULL },
    { 0,   "criu",           CLI_STRING, offsetof(struct cli, criu),           "FILE",   "the program of checkpoint and restore [criu, of $PATH]", NULL },
    { 0 },
};

#define ENTRY(name) &name##_command,
static const struct cli_command *const commands[] = {
    OCI_EACH_COMMAND(ENTRY)
    &completion_command, &man_command, &help_command,
    NULL,
};
#undef ENTRY

static const struct cli_exit_text exits[] = {
    { "0",   "success" },
    { "1",   "a failure, or wrong usage" },
    { "n",   "run and exec: the command's own code, or 128 + the signal that ended it" },
    { "125", "run and exec: any failure of zlayer-oci" },
    { "126", "run and exec: the command cannot be executed" },
    { "127", "run and exec: there is no such command" },
    { 0 },
};
/* clang-format on */

bool cli_is_rootless(const struct cli *cli)
{
    if (!cli->rootless || strcmp(cli->rootless, "auto") == 0)
        return cli->of_user;
    return strcmp(cli->rootless, "true") == 0;
}

/* Root of a user namespace that is not the host's has no more rights on the host than its user.
 * Only looked for where a session of a user is told of: engines of root have none. */
static bool in_user_namespace(void)
{
    zl_autobuf struct zl_buf map = ZL_BUF(65536);
    unsigned inside, outside, size;

    return zl_read_file(AT_FDCWD, "/proc/self/uid_map", &map, NULL) == 0 &&
           // NOLINTNEXTLINE(cert-err34-c): the kernel's own text
           (sscanf(map.data, "%u %u %u", &inside, &outside, &size) != 3 || size != UINT32_MAX);
}

static int prepare(struct cli *cli, struct zl_error *err)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    bool session = run && run[0] == '/';
    int n;

    cli->of_user = geteuid() != 0 || (session && in_user_namespace());
    if (cli->systemd_cgroup)
        cli->cgroup_manager = OCI_SYSTEMD;
    if (cli->rootless && strcmp(cli->rootless, "auto") != 0 && strcmp(cli->rootless, "true") != 0 &&
        strcmp(cli->rootless, "false") != 0)
        return zl_fail(err, ZL_ERR_INVALID, "--rootless is true, false or auto, not '%s'",
                       cli->rootless);
    n = snprintf(cli->default_root, sizeof cli->default_root, "%s/zlayer-oci",
                 cli->of_user && session ? run : "/run");
    if (n < 0 || (size_t)n >= sizeof cli->default_root)
        return zl_fail(err, ZL_ERR_INVALID, "$XDG_RUNTIME_DIR is too long");
    if (!cli->root)
        cli->root = cli->default_root;
    return 0;
}

static void words(struct cli *cli, const char *kind)
{
    if (strcmp(kind, "container") == 0)
        (void)containers_each(cli, container_print_id, NULL, NULL);
}

const struct cli_program cli_program = {
    .name = "zlayer-oci",
    .purpose = "run OCI containers",
    .about =
        "zlayer-oci runs containers as config.json of an OCI bundle describes them; a drop-in for "
        "runc and crun\n(runtime-spec " OCI_VERSION ").",
    .section = "8",
    .commands = commands,
    .globals = globals,
    .groups = groups,
    .exits = exits,
    .environment =
        "XDG_RUNTIME_DIR (of other users than the host's root: the folder of states), LISTEN_FDS "
        "(descriptors for the container, as sd_listen_fds(3)), ZLAYER_LIBEXEC (where "
        "zlayer\\-sd is), ZLAYER_TRACE=start (how long each step of a start took)",
    .one_page = true,
    .usage_exit = OCI_FAILED,
    .own_exit = OCI_OWN_FAILURE,
    .prepare = prepare,
    .fail = oci_fail,
    .words = words,
};

static int version_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)cli, (void)options, (void)argc, (void)argv;
    return printf("zlayer-oci version %s\nspec: %s\n", ZL_VERSION, OCI_VERSION) > 0 ? 0
                                                                                    : OCI_FAILED;
}

const struct cli_command version_command = {
    .name = "version",
    .group = GROUP_OTHER,
    .summary = "Print the version of zlayer-oci and of the runtime-spec",
    .run = version_run,
};

/* jansson would open /dev/urandom for the seed of its tables: 50 us of a start. */
static void seed_tables(void)
{
    uint32_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed && seed)
        json_object_seed(seed);
}

/* One call for the pages that a start takes: each of its own would be a fault, 1 to 2 us in a
 * virtual machine. What this kernel cannot do is left out: then they are faults. */
static void ready_heap(void)
{
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
    enum { HEAP = 1 << 20, READY = 288 << 10, PAGE = 4096, POPULATE_WRITE = 23 };
    (void)mallopt(M_TOP_PAD, HEAP); /* never given back and asked for again */
    (void)mallopt(M_TRIM_THRESHOLD, 2 * HEAP);
    char *first = malloc(1);
    if (first)
        (void)madvise((void *)(((uintptr_t)first | (PAGE - 1)) + 1), READY, POPULATE_WRITE);
    free(first);
#endif
}

int main(int argc, char **argv)
{
    char version[] = "version";
    struct cli cli = { 0 };
    struct zl_error err = { 0 };
    int rc;

    ready_heap();
    if (zl_fill_standard_fds(&err) < 0 ||
        self_protect(argv, cli.self, &err) < 0) /* before the parser puts argv in another order */
        return oci_fail(&cli, &err);
    if (argc > 1 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "-V") == 0)) /* as theirs */
        argv[1] = version;
    seed_tables();
    rc = cli_main(&cli, argc, argv);
    if (fflush(stdout) != EOF || rc != 0)
        return rc;
    (void)zl_fail_errno(&err, "write to standard output"); /* what was asked for */
    return oci_fail(&cli, &err);
}
