// SPDX-License-Identifier: Apache-2.0
/* Real containers from plan to removal: starting and ending, what is around them, gate, exec. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "box.h"

static int run_args(struct world *w, const char *args)
{
    struct plan_options o = { 0 };
    char out[64];

    assert_int_equal(box_prepare(w, args, "", "", &o), 0);
    return box_run(w, out, sizeof out);
}

/* ---- starting and ending ---- */

static void the_exit_code_of_the_command_is_told(void **state)
{
    assert_int_equal(run_args(*state, "\"/bin/x\",\"exit\",\"42\""), 42);
}

static void a_command_without_slash_is_found_in_path(void **state)
{
    assert_int_equal(run_args(*state, "\"x\",\"exit\",\"7\""), 7);
}

/* 32: one that libc keeps for itself, so it takes a raw call; whoever is started by posix_spawn(3),
 * as make(1) does it, inherits it ignored. */
static void set_libcs_own_signal(uintptr_t handler)
{
    uintptr_t action[4] = { handler };
    assert_int_equal(syscall(SYS_rt_sigaction, 32, action, NULL, 8), 0);
}

static void the_process_starts_clean(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    char out[4096];
    zl_autoclose int open_here = open("/dev/null", O_RDONLY); /* NOLINT: not close-on-exec */

    assert_true(open_here >= 3);
    signal(SIGPIPE, SIG_IGN);
    set_libcs_own_signal((uintptr_t)SIG_IGN);
    assert_int_equal(
        box_prepare(w, "\"x\",\"facts\"",
                    ",\"user\":{\"uid\":5,\"gid\":6,\"umask\":63},\"noNewPrivileges\":true,"
                    "\"capabilities\":{\"bounding\":[\"CAP_KILL\"]}",
                    "", &o),
        0);
    assert_int_equal(box_run(w, out, sizeof out), 0);
    assert_non_null(strstr(out, "fds=0\n"));
    assert_non_null(strstr(out, "pid=1 uid=5 gid=6 host=boxed"));
    assert_non_null(strstr(out, "umask=77"));
    assert_non_null(strstr(out, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(out, "SigIgn:\t0000000000000000"));
    assert_non_null(strstr(out, "NoNewPrivs:\t1"));
    assert_non_null(strstr(out, "CapBnd:\t0000000000000020"));
    assert_non_null(strstr(out, "CapEff:\t0000000000000000"));
    signal(SIGPIPE, SIG_DFL);
    set_libcs_own_signal((uintptr_t)SIG_DFL);
}

static void a_missing_command_is_not_found_and_named(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct carry_proc p;

    assert_int_equal(box_prepare(w, "\"/bin/none\"", "", "", &o), 0);
    assert_int_equal(carry_start(w->carry, &box_plainly, &p, &w->err), -1);
    assert_int_equal(w->err.kind, ZL_ERR_NOT_FOUND);
    assert_string_equal(w->err.msg, "execute '/bin/none': No such file or directory");
}

static void a_name_that_no_folder_of_path_has_is_said_to_be_one(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct carry_proc p;

    assert_int_equal(box_prepare(w, "\"none\"", "", "", &o), 0);
    assert_int_equal(carry_start(w->carry, &box_plainly, &p, &w->err), -1);
    assert_int_equal(w->err.kind, ZL_ERR_NOT_FOUND);
    assert_string_equal(w->err.msg, "execute 'none': executable file not found in $PATH");
}

static void a_directory_is_no_command(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct carry_proc p;

    assert_int_equal(box_prepare(w, "\"/bin\"", "", "", &o), 0);
    assert_int_equal(carry_start(w->carry, &box_plainly, &p, &w->err), -1);
    assert_int_equal(w->err.kind, ZL_ERR_DENIED);
    assert_string_equal(w->err.msg, "execute '/bin': Permission denied");
}

static void a_failing_mount_is_told_with_both_its_ends(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct carry_proc p;
    char mount[256];

    (void)snprintf(mount, sizeof mount,
                   "]},\"mounts\":[{\"destination\":\"/m\",\"source\":\"%s/none\","
                   "\"options\":[\"bind\"",
                   w->path);
    char text[2048];
    (void)snprintf(
        text, sizeof text,
        "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":\"/\","
        "\"args\":[\"x\"%s]}],\"linux\":{\"namespaces\":[{\"type\":\"pid\"},"
        "{\"type\":\"mount\"}]}}",
        mount);
    assert_int_equal(box_prepare_text(w, text, &o), 0);
    assert_int_equal(carry_start(w->carry, &box_plainly, &p, &w->err), -1);
    (void)snprintf(text, sizeof text, "mount '%s/none' on '/m': No such file or directory",
                   w->path);
    assert_string_equal(w->err.msg, text);
}

/* ---- what is around it ---- */

static void the_default_filter_is_in_force(void **state)
{
    struct world *w = *state;
    struct plan_options o = { .seccomp = PLAN_SECCOMP_DEFAULT };
    char out[4096];

    assert_int_equal(box_prepare(w, "\"x\",\"facts\"", ",\"noNewPrivileges\":true", "", &o), 0);
    assert_int_equal(box_run(w, out, sizeof out), 0);
    assert_non_null(strstr(out, "Seccomp:\t2"));
}

static void masked_and_readonly_paths_are(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    char out[64];

    assert_int_equal(box_prepare(w, "\"x\",\"size\",\"/bin/secret\"", "",
                                 ",\"maskedPaths\":[\"/bin/secret\",\"/none\"]", &o),
                     0);
    zl_autoclose int fd = openat(w->dir, "rootfs/bin/secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "secret", 6), 6);
    assert_int_equal(box_run(w, out, sizeof out), 0); /* its size is 0 inside */
}

static void a_readonly_path_cannot_be_written(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    char out[64];

    assert_int_equal(
        box_prepare(w, "\"x\",\"write\",\"/bin/new\"", "", ",\"readonlyPaths\":[\"/bin\"]", &o), 0);
    assert_int_equal(box_run(w, out, sizeof out), 1);
}

/* A link in the image that points out of it is followed as if the image were "/". */
static void a_symlink_in_the_image_does_not_lead_out(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    char outside[128], out[64];
    struct stat st;

    (void)snprintf(outside, sizeof outside, "%s/outside", w->path);
    assert_int_equal(symlinkat(outside, w->dir, "rootfs/evil"), 0);
    close(zl_mkdir_p(w->dir, "rootfs", 0755, NULL));
    char inside[160];
    (void)snprintf(inside, sizeof inside, "rootfs%s/outside", w->path);
    close(zl_mkdir_p(w->dir, inside, 0755, NULL));
    assert_int_equal(
        box_prepare(w, "\"x\",\"there\",\"/evil/node\"", "",
                    ",\"devices\":[{\"path\":\"/evil/node\",\"type\":\"c\",\"major\":1,"
                    "\"minor\":3}]",
                    &o),
        0);
    assert_int_equal(box_run(w, out, sizeof out), 0);
    assert_int_equal(fstatat(w->dir, "outside/node", &st, 0), -1);
}

static void open_layer(struct world *w, const char *name)
{
    w->fds[w->n_fds] = openat(w->dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(w->fds[w->n_fds++] >= 0);
}

static void an_overlay_keeps_its_layers_as_they_were(void **state)
{
    struct world *w = *state;
    struct plan_options o = {
        .n_lower = 1, .has_upper = true, .upper_volatile = true, .mount_point = w->path
    };
    char out[64];
    struct stat st;

    close(zl_mkdir_p(w->dir, "upper", 0755, NULL));
    close(zl_mkdir_p(w->dir, "work", 0755, NULL));
    open_layer(w, "rootfs");
    open_layer(w, "upper");
    open_layer(w, "work");
    assert_int_equal(box_prepare(w, "\"x\",\"write\",\"/bin/new\"", "", "", &o), 0);
    int code = box_run(w, out, sizeof out);
    assert_int_equal(code, 0);
    assert_int_equal(fstatat(w->dir, "upper/bin/new", &st, 0), 0);
    assert_int_equal(fstatat(w->dir, "rootfs/bin/new", &st, 0), -1);
}

static void layers_alone_make_a_root_that_cannot_be_written(void **state)
{
    struct world *w = *state;
    struct plan_options o = { .n_lower = 1, .mount_point = w->path };
    char out[64];

    open_layer(w, "rootfs");
    assert_int_equal(box_prepare(w, "\"x\",\"write\",\"/new\"", "", "", &o), 0);
    assert_int_equal(box_run(w, out, sizeof out), 1);
}

static void a_missing_mount_target_is_made_even_there(void **state)
{
    struct world *w = *state;
    struct plan_options o = { .n_lower = 1, .mount_point = w->path };
    char out[64];

    open_layer(w, "rootfs");
    assert_int_equal(unlinkat(w->dir, "rootfs/proc", AT_REMOVEDIR), 0);
    assert_int_equal(box_prepare(w, "\"x\",\"there\",\"/proc/self\"", "", "", &o), 0);
    assert_int_equal(box_run(w, out, sizeof out), 0);
}

/* ---- gate, exec, terminal ---- */

static void the_command_waits_for_its_gate(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct carry_start how = box_plainly;
    struct carry_proc p;
    zl_autoclose int gate = eventfd(0, EFD_CLOEXEC);
    struct pollfd end;

    assert_int_equal(box_prepare(w, "\"x\",\"exit\",\"3\"", "", "", &o), 0);
    how.gate = gate;
    assert_int_equal(carry_start(w->carry, &how, &p, &w->err), 0);
    end = (struct pollfd){ .fd = p.pidfd, .events = POLLIN };
    assert_int_equal(poll(&end, 1, 0), 0); /* there, and not ended */
    assert_int_equal(eventfd_write(gate, 1), 0);
    assert_int_equal(box_wait(&p), 3);
}

static void a_missing_command_is_told_before_the_gate(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct carry_start how = box_plainly;
    struct carry_proc p;
    zl_autoclose int gate = eventfd(0, EFD_CLOEXEC);

    assert_int_equal(box_prepare(w, "\"none\"", "", "", &o), 0);
    how.gate = gate;
    assert_int_equal(carry_start(w->carry, &how, &p, &w->err), -1);
    assert_int_equal(w->err.kind, ZL_ERR_NOT_FOUND);
}

static void a_further_process_joins_the_container(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w, ",\"resources\":{\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(box_exec(w, p.pidfd, "exit", "5"), 5);
    assert_int_equal(box_exec(w, p.pidfd, "there", "/proc/3"),
                     0); /* itself: the third process there */
    assert_int_equal(box_exec(w, p.pidfd, "there", w->path),
                     1); /* the host's files are not there */
    assert_false(carry_is_empty(w->carry));
    assert_int_equal(carry_kill_all(w->carry, SIGKILL, &w->err), 0);
    assert_int_equal(box_wait(&p), 128 + SIGKILL);
}

/* Whoever names the cgroup of others must neither limit them nor end them with its container. */
static void a_cgroup_in_which_others_live_is_refused_and_left_alone(void **state)
{
    struct world *w = *state;
    autocarry struct carry *second = NULL;
    struct carry_proc p;

    box_hold(w, ",\"resources\":{\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(carry_new(w->plan, w->fds, w->n_fds, &second, &w->err), 0);
    assert_int_equal(carry_prepare(second, false, &w->err), -1);
    assert_int_equal(w->err.kind, ZL_ERR_CONFLICT);
    assert_false(carry_is_empty(w->carry));
    assert_int_equal(box_exec(w, p.pidfd, "exit", "5"), 5);
    assert_int_equal(carry_kill_all(w->carry, SIGKILL, &w->err), 0);
    assert_int_equal(box_wait(&p), 128 + SIGKILL);
    assert_int_equal(carry_prepare(second, false, &w->err), 0); /* an empty one may be used */
}

static void removal_kills_what_is_left(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w, ",\"resources\":{\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(carry_remove(w->carry, &w->err), 0);
    assert_int_equal(box_wait(&p), 128 + SIGKILL);
    assert_true(carry_is_empty(w->carry));
    assert_int_equal(carry_remove(w->carry, &w->err), 0); /* again is fine */
}

static void an_oom_kill_is_counted(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    uint64_t kills = 0, peak = 0;
    char out[64];

    assert_int_equal(box_prepare(w, "\"x\",\"eat\",\"64\"", "",
                                 ",\"resources\":{\"memory\":{\"limit\":8388608,\"swap\":8388608}}",
                                 &o),
                     0);
    assert_true(carry_oom_fd(w->carry) >= 0);
    assert_int_equal(box_run(w, out, sizeof out), 128 + SIGKILL);
    assert_int_equal(carry_oom_kills(w->carry, &kills, &peak, &w->err), 0);
    assert_true(kills >= 1);
    assert_true(peak > 1 << 20);
}

static int receive_master(int socket)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char text[32];
    struct iovec data = { text, sizeof text };
    struct msghdr m = { .msg_iov = &data,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof control.space };
    int fd;

    assert_true(recvmsg(socket, &m, MSG_CMSG_CLOEXEC) > 0);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

static void a_terminal_is_made_inside_and_its_master_handed_out(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct carry_start how = box_plainly;
    struct carry_proc p;
    char text[2048], out[128] = "";
    int pair[2];

    (void)snprintf(text, sizeof text,
                   "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":"
                   "\"/\",\"terminal\":true,\"args\":[\"/bin/x\",\"tty\"]},\"mounts\":["
                   "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"t\"},"
                   "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"d\",\"options\":"
                   "[\"newinstance\",\"ptmxmode=0666\",\"mode=620\"]}],\"linux\":{\"namespaces\":["
                   "{\"type\":\"pid\"},{\"type\":\"mount\"}]}}");
    assert_int_equal(box_prepare_text(w, text, &o), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    how.console_socket = pair[1];
    if (carry_start(w->carry, &how, &p, &w->err) < 0)
        fail_msg("%s", w->err.msg);
    int master = receive_master(pair[0]);
    assert_true(read(master, out, sizeof out - 1) > 0);
    assert_string_equal(out, "1 /dev/pts/0\r\n");
    assert_int_equal(box_wait(&p), 0);
    close(master);
    close(pair[0]);
    close(pair[1]);
}

/* ---- when there is no memory ---- */

static int callocs_left = -1; /* the next after so many fails; -1: none does */
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return callocs_left >= 0 && callocs_left-- == 0 ? NULL : __real_calloc(n, size);
}

static void a_carry_without_memory_closes_nothing_of_others(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct zl_error err = { 0 };
    struct carry *c = NULL;

    assert_int_equal(box_prepare(w, "\"/bin/x\",\"exit\",\"0\"", "", "", &o), 0);
    assert_true(w->plan->cgroups.n > 0);
    for (int left = 0; left < 3; left++) { /* itself, its descriptors, its cgroups */
        callocs_left = left;
        assert_int_equal(carry_new(w->plan, NULL, 0, &c, &err), -1);
        callocs_left = -1;
        assert_true(fcntl(0, F_GETFD) >= 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BOX_TEST(the_exit_code_of_the_command_is_told),
        BOX_TEST(a_carry_without_memory_closes_nothing_of_others),
        BOX_TEST(a_command_without_slash_is_found_in_path),
        BOX_TEST(the_process_starts_clean),
        BOX_TEST(a_missing_command_is_not_found_and_named),
        BOX_TEST(a_name_that_no_folder_of_path_has_is_said_to_be_one),
        BOX_TEST(a_directory_is_no_command),
        BOX_TEST(a_failing_mount_is_told_with_both_its_ends),
        BOX_TEST(the_default_filter_is_in_force),
        BOX_TEST(masked_and_readonly_paths_are),
        BOX_TEST(a_readonly_path_cannot_be_written),
        BOX_TEST(a_symlink_in_the_image_does_not_lead_out),
        BOX_TEST(an_overlay_keeps_its_layers_as_they_were),
        BOX_TEST(layers_alone_make_a_root_that_cannot_be_written),
        BOX_TEST(a_missing_mount_target_is_made_even_there),
        BOX_TEST(the_command_waits_for_its_gate),
        BOX_TEST(a_missing_command_is_told_before_the_gate),
        BOX_TEST(a_further_process_joins_the_container),
        BOX_TEST(a_cgroup_in_which_others_live_is_refused_and_left_alone),
        BOX_TEST(removal_kills_what_is_left),
        BOX_TEST(an_oom_kill_is_counted),
        BOX_TEST(a_terminal_is_made_inside_and_its_master_handed_out),
    };
    if (!box_possible(argc, argv))
        return BOX_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
