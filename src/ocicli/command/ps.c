// SPDX-License-Identifier: Apache-2.0
/*
 * ps: the processes of a container. The table is ours, of /proc; with arguments it is what ps(1)
 * says to them, reduced to the container's processes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/launch.h"
#include "ocicli/container.h"

enum { TABLE, JSON };
static const char *const formats[] = { "table", "json", NULL };

struct ps_options {
    int format;
};

struct pids {
    pid_t *v; /* ascending */
    size_t n;
};

/* ---- json ---- */

static void print_json(const struct pids *p)
{
    for (size_t i = 0; i < p->n; i++)
        (void)printf("%s%d", i ? "," : "[", (int)p->v[i]);
    (void)printf("%s]\n", p->n ? "" : "[");
}

/* ---- a table of /proc ---- */

struct process {
    uid_t uid;
    long ppid;
    unsigned long long ticks; /* of CPU */
    char command[256];
};

/* Arguments as /proc/PID/cmdline has them, or the name in brackets, as ps(1). */
static void read_command(int dir, const char *name, char *out, size_t size)
{
    zl_autoclose int fd = openat(dir, "cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

    if (n <= 0) {
        (void)snprintf(out, size, "[%s]", name);
        return;
    }
    while (n > 0 && !out[n - 1])
        n--;
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)out[i] < ' ')
            out[i] = ' ';
    out[n] = '\0';
}

/* The n-th field of proc(5)'s /proc/PID/stat; rest begins at the third. */
static unsigned long long field(const char *rest, int n)
{
    for (int i = 3; rest && i < n; i++)
        rest = strchr(rest + 1, ' ');
    return rest ? strtoull(rest, NULL, 10) : 0;
}

/* The name in field 2 may hold anything, so the last ')' begins the rest. */
static int read_process(pid_t pid, struct process *ret)
{
    char path[32], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
    zl_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    zl_autoclose int fd = dir < 0 ? -1 : openat(dir, "stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    struct stat st;
    char *name, *end;

    if (n <= 0 || fstat(dir, &st) < 0)
        return -1;
    text[n] = '\0';
    name = strchr(text, '(');
    end = strrchr(text, ')');
    if (!name || !end || !end[1])
        return -1;
    *end = '\0';
    ret->uid = st.st_uid;
    ret->ppid = (long)field(end + 2, 4);
    ret->ticks = field(end + 2, 14) + field(end + 2, 15); /* user and system */
    read_command(dir, name + 1, ret->command, sizeof ret->command);
    return 0;
}

static void print_table(const struct pids *p)
{
    unsigned long long hertz = (unsigned long long)sysconf(_SC_CLK_TCK);
    struct process x;

    (void)printf("%-8s %8s %8s %8s %s\n", "UID", "PID", "PPID", "TIME", "CMD");
    for (size_t i = 0; i < p->n; i++) {
        if (read_process(p->v[i], &x) < 0)
            continue; /* it has ended meanwhile */
        unsigned long long s = x.ticks / hertz;
        (void)printf("%-8u %8d %8ld %02llu:%02llu:%02llu %s\n", x.uid, (int)p->v[i], x.ppid,
                     s / 3600, s / 60 % 60, s % 60, x.command);
    }
}

/* ---- what ps(1) says ---- */

static int column_of_pid(const char *head)
{
    int column = 0;

    while (*head) {
        head += strspn(head, " ");
        size_t n = strcspn(head, " \n");
        if (n == 3 && strncmp(head, "PID", n) == 0)
            return column;
        column++;
        head += n;
        head += *head == '\n';
    }
    return -1;
}

static pid_t pid_in(const char *line, int column)
{
    for (; column > 0; column--) {
        line += strspn(line, " ");
        line += strcspn(line, " \n");
    }
    return (pid_t)strtol(line, NULL, 10);
}

static bool has(const struct pids *p, pid_t pid)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i] == pid)
            return true;
    return false;
}

static int print_ours(const struct pids *p, const char *text, struct zl_error *err)
{
    int column = column_of_pid(text);
    bool head = true;

    if (column < 0)
        return zl_fail(err, ZL_ERR_INVALID, "ps: its output has no column PID");
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "\n");
        if (head || has(p, pid_in(at, column)))
            (void)printf("%.*s\n", (int)n, at);
        head = false;
        at += n + (at[n] == '\n');
    }
    return 0;
}

static int run_ps(char **arguments, struct zl_buf *out, struct zl_error *err)
{
    char name[] = "ps";
    char *argv[64] = { name };
    int pipe_fds[2], status = 0;
    struct zl_child child;

    for (size_t i = 1; *arguments; i++) {
        if (i == ZL_ARRAY_LEN(argv) - 1)
            return zl_fail(err, ZL_ERR_INVALID, "ps: too many arguments");
        argv[i] = *arguments++;
    }
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "run ps");
    zl_autoclose int in = pipe_fds[0];
    zl_autoclose int theirs = pipe_fds[1];
    struct zl_launch launch = {
        .program = access("/bin/ps", X_OK) == 0 ? "/bin/ps" : "/usr/bin/ps",
        .argv = argv,
        .fds = { -1, theirs, STDERR_FILENO },
        .n_fds = 3,
    };
    if (zl_launch(&launch, &child, err) < 0)
        return -1;
    (void)close(zl_take_fd(&theirs));
    int rc = zl_read_fd(in, out, "ps", err);
    (void)close(zl_take_fd(&in)); /* what it has still to say, if that was too much, ends it */
    zl_closep(&child.pidfd);
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    return rc == 0 && status ? zl_fail(err, ZL_ERR_INVALID, "ps did not succeed") : rc;
}

static int print_as_ps(const struct pids *p, char **arguments, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(16 << 20);

    return run_ps(arguments, &text, err) < 0 ? -1 : print_ours(p, text.data, err);
}

/* ---- the command ---- */

static int ps(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    const struct ps_options *o = options;
    autofound struct found f;
    zl_autofree pid_t *v = NULL;
    struct pids p = { 0 };

    argv[argc] = NULL; /* what were options lies behind */
    if (container_find(cli, argv[0], &f, err) < 0 ||
        found_check(&f, "list the processes of", FOUND_LIVING | FOUND_IN(OCI_CREATING), err) < 0)
        return -1;
    if (container_load_plan(&f.container, err) < 0 ||
        carry_pids(f.container.carry, &v, &p.n, err) < 0)
        return -1;
    p.v = v;
    if (o->format == JSON)
        print_json(&p);
    else if (!argv[1])
        print_table(&p);
    else
        return print_as_ps(&p, argv + 1, err);
    return 0;
}

/* clang-format off */
static const struct cli_option ps_options[] = {
    { 'f', "format", CLI_CHOICE, offsetof(struct ps_options, format), "FORMAT", "table or json (an array of pids)", formats },
    { 0 },
};
/* clang-format on */

const struct cli_command ps_command = {
    .name = "ps",
    .group = GROUP_LOOK,
    .args = "ID [PS-ARGUMENTS...]",
    .summary = "Show the processes of a container",
    .about = "Shows every process in the container's cgroup, also those of exec, with the pids of "
             "the host. "
             "Arguments are\nps(1)'s.",
    .examples = "zlayer-oci ps web\ta table\n"
                "zlayer-oci ps web -eo pid,rss,cmd\tas ps(1) would show them\n"
                "zlayer-oci ps --format json web\tfor engines",
    .options = ps_options,
    .options_size = sizeof(struct ps_options),
    .completes = "container",
    .min_args = 1,
    .max_args = -1,
    .options_first = true,
    .act = ps,
};
