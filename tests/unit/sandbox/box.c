// SPDX-License-Identifier: Apache-2.0
#include "box.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *program; /* of main's arguments */

bool box_possible(int argc, char **argv)
{
    program = argc > 1 ? argv[1] : NULL;
    if (geteuid() == 0 && program)
        return true;
    print_message("needs root and a program: skipped\n");
    return false;
}

static void copy_program(int root_fd)
{
    zl_autobuf struct zl_buf bytes = ZL_BUF(8 << 20);
    zl_autoclose int to = openat(root_fd, "bin/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

    assert_int_equal(zl_read_file(AT_FDCWD, program, &bytes, NULL), 0);
    assert_int_equal(zl_write_all(to, bytes.data, bytes.len, "bin/x", NULL), 0);
}

int box_set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    (void)snprintf(w->path, sizeof w->path, "/tmp/zl-carry.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    (void)snprintf(w->parent, sizeof w->parent, "/zlayer-unit-%d", (int)getpid());
    w->dir = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(zl_mkdir_p(w->dir, "rootfs/bin", 0755, NULL));
    close(zl_mkdir_p(w->dir, "rootfs/proc", 0755, NULL));
    close(zl_mkdir_p(w->dir, "outside", 0755, NULL));
    zl_autoclose int root = openat(w->dir, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    copy_program(root);
    zl_buf_init(&w->bytes, PLAN_MAX);
    *state = w;
    return 0;
}

/* What the containers' cgroups were made in, in every hierarchy. */
static void remove_parents(struct world *w)
{
    static const char *const folders[] = { "",        "memory",  "pids",   "devices",
                                           "cpu",     "cpuacct", "cpuset", "blkio",
                                           "freezer", "hugetlb", "unified" };

    for (size_t i = 0; i < ZL_ARRAY_LEN(folders); i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "/sys/fs/cgroup/%s%s/c", folders[i], w->parent);
        (void)rmdir(path);
        *strrchr(path, '/') = '\0';
        (void)rmdir(path);
    }
}

int box_tear_down(void **state)
{
    struct world *w = *state;

    if (w->carry)
        assert_int_equal(carry_remove(w->carry, NULL), 0);
    carry_free(w->carry);
    for (size_t i = 0; i < w->n_fds; i++)
        close(w->fds[i]);
    remove_parents(w);
    zl_buf_done(&w->bytes);
    oci_config_free(w->config);
    close(w->dir);
    assert_int_equal(zl_remove_tree(AT_FDCWD, w->path, NULL), 0);
    free(w);
    return 0;
}

int box_prepare_text(struct world *w, const char *text, struct plan_options *o)
{
    if (oci_config_parse(text, strlen(text), "config.json", &w->config, &w->err) < 0)
        fail_msg("%s", w->err.msg);
    o->id = "c1";
    o->bundle = w->path;
    o->cgroup_parent = w->parent;
    if (plan_build(w->config, o, &w->bytes, &w->err) < 0 ||
        plan_check(w->bytes.data, w->bytes.len, &w->plan, &w->err) < 0 ||
        carry_new(w->plan, w->fds, w->n_fds, &w->carry, &w->err) < 0)
        fail_msg("%s", w->err.msg);
    return carry_prepare(w->carry, false, &w->err);
}

int box_prepare(struct world *w, const char *args, const char *process, const char *rest,
                struct plan_options *o)
{
    char text[4096];

    (void)snprintf(
        text, sizeof text,
        "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"hostname\":\"boxed\","
        "\"process\":{\"cwd\":\"/\",\"args\":[%s],\"env\":[\"PATH=/none:/bin\"]%s},"
        "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
        "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}],"
        "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
        "{\"type\":\"uts\"},{\"type\":\"ipc\"},{\"type\":\"network\"}]%s}}",
        args, process, rest);
    return box_prepare_text(w, text, o);
}

const struct carry_start box_plainly = {
    .stdio = { -1, -1, 2 }, .console_socket = -1, .gate = -1, .report = -1, .outcome = -1
};

int box_wait(struct carry_proc *p)
{
    siginfo_t info = { 0 };

    assert_int_equal(waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED), 0);
    close(p->pidfd);
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

int box_run(struct world *w, char *out, size_t size)
{
    struct carry_start how = box_plainly;
    struct carry_proc p;
    int pipes[2];
    size_t n = 0;
    ssize_t got;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    how.stdio[1] = pipes[1];
    if (carry_start(w->carry, &how, &p, &w->err) < 0)
        fail_msg("%s", w->err.msg);
    close(pipes[1]);
    while (n + 1 < size && (got = read(pipes[0], out + n, size - n - 1)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    close(pipes[0]);
    return box_wait(&p);
}

void box_hold(struct world *w, const char *rest, struct carry_proc *p)
{
    struct plan_options o = { 0 };
    struct carry_start how = box_plainly;
    int pipes[2];
    char word[8] = "";

    if (box_prepare(w, "\"x\",\"hold\"", "", rest, &o) < 0)
        fail_msg("%s", w->err.msg);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    how.stdio[1] = pipes[1];
    if (carry_start(w->carry, &how, p, &w->err) < 0)
        fail_msg("%s", w->err.msg);
    close(pipes[1]);
    assert_int_equal(read(pipes[0], word, sizeof word - 1), 6);
    close(pipes[0]);
}

int box_exec(struct world *w, int init, const char *what, const char *arg)
{
    struct plan_options o = { .id = "c1", .bundle = w->path };
    const char *args[] = { "x", what, arg, NULL };
    const char *env[] = { "PATH=/bin", NULL };
    struct oci_process process = { .cwd = "/", .args = { args, 3 }, .env = { env, 1 } };
    zl_autobuf struct zl_buf bytes = ZL_BUF(PLAN_MAX);
    const struct plan_exec *x;
    struct carry_proc p;

    assert_int_equal(plan_exec_build(w->config, &o, &process, &bytes, &w->err), 0);
    assert_int_equal(plan_exec_check(bytes.data, bytes.len, &x, &w->err), 0);
    if (carry_exec(w->carry, init, x, &box_plainly, &p, &w->err) < 0)
        return -1;
    return box_wait(&p);
}
