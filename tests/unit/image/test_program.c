// SPDX-License-Identifier: Apache-2.0
/* zlayer-fetch itself: what it prints, how it ends, what a kill leaves. */
#include "shelf.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "fetch/crew/confine.h"

static const char *program;

struct result {
    int status; /* as waitpid has it */
    char out[65536];
};

/* Starts it with stdout as a pipe, whose reading end is *out. */
static pid_t start(const char *const *argv, int *out)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (dup2(fds[1], STDOUT_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0)
            execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(fds[1]);
    *out = fds[0];
    return pid;
}

static struct result run(const char *const *argv)
{
    struct result r = { 0 };
    zl_autobuf struct zl_buf out = ZL_BUF(sizeof r.out - 1);
    int fd;
    pid_t pid = start(argv, &fd);
    assert_int_equal(zl_read_fd(fd, &out, "stdout", NULL), 0);
    (void)close(fd);
    assert_int_equal(waitpid(pid, &r.status, 0), pid);
    memcpy(r.out, out.data, out.len + 1);
    return r;
}

static void save_rootfs(struct shelf *s, size_t files)
{
    struct tarball t;
    tar_begin(&t, TAR_GZIP);
    for (size_t i = 0; i < files; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "dir%zu/file%zu", i % 50, i);
        tar_file(&t, path, "x");
    }
    tar_save(&t, s->dir.fd, "rootfs.tar.gz");
}

static void the_last_line_says_done_with_digest_and_normalized_reference(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char root[100], source[100], digest[DIGEST_SIZE];
    (void)snprintf(root, sizeof root, "%s/root", s.dir.path);
    (void)snprintf(source, sizeof source, "%s/rootfs.tar.gz", s.dir.path);
    const char *argv[] = { program, "import", "--root", root, "--reference", "box", source, NULL };
    save_rootfs(&s, 10);
    struct result r = run(argv);
    assert_int_equal(r.status, 0);
    char *last = strstr(r.out, "{\"status\":\"done\"");
    assert_non_null(last);
    assert_non_null(strstr(last, "\"reference\":\"docker.io/library/box:latest\"}\n"));
    assert_non_null(strstr(r.out, "{\"status\":\"layer\",\"digest\":null,"));
    (void)snprintf(digest, sizeof digest, "%.71s", strstr(last, "sha256:"));
    assert_int_equal(image_tag(s.store, "box", digest, NULL, &err), 0);
    autoimage struct image *i = NULL;
    assert_int_equal(image_find(s.store, "box", &i, &err), 0);
    shelf_close(&s);
}

static void a_failure_is_one_line_and_exit_1_a_wrong_call_is_exit_2(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    char root[100];
    (void)snprintf(root, sizeof root, "%s/root", s.dir.path);
    const char *const calls[][8] = {
        { program, "import", "--root", root, "--reference", "box", "/nonexistent.tar" },
        { program, "import", "--root", root, "--reference", "box", "relative.tar" },
        { program, "import", "--root", root, "--reference", "Box", "/x.tar" },
        { program, "import", "--root", "/nonexistent", "--reference", "box", "/etc/passwd" },
    };
    static const char *const wanted[] = { "open '/nonexistent.tar'", "absolute path",
                                          "not an image reference", "'/nonexistent'" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(calls); i++) {
        struct result r = run(calls[i]);
        assert_true(WIFEXITED(r.status));
        assert_int_equal(WEXITSTATUS(r.status), 1);
        if (strncmp(r.out, "{\"status\":\"error\",\"kind\":\"", 25) != 0 ||
            !strstr(r.out, wanted[i]))
            fail_msg("said: %s", r.out);
    }
    const char *usage[][3] = { { program, NULL }, { program, "export", NULL }, { program, "--x" } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(usage); i++)
        assert_int_equal(WEXITSTATUS(run(usage[i]).status), 2);
    const char *version[] = { program, "--version", NULL };
    struct result r = run(version);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "zlayer-fetch " ZL_VERSION "\n");
    shelf_close(&s);
}

static void a_kill_at_any_time_leaves_a_store_that_the_next_run_repairs(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    char root[100], source[100];
    (void)snprintf(root, sizeof root, "%s/root", s.dir.path);
    (void)snprintf(source, sizeof source, "%s/rootfs.tar.gz", s.dir.path);
    const char *argv[] = { program, "import", "--root", root, "--reference", "box", source, NULL };
    save_rootfs(&s, 3000);
    for (int i = 0; i < 8; i++) {
        int fd, status;
        char byte;
        pid_t pid = start(argv, &fd);
        if (i % 2) /* in the middle of its work: the first line of progress was said */
            assert_int_equal(read(fd, &byte, 1), 1);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        (void)close(fd);
    }
    struct result r = run(argv);
    assert_int_equal(r.status, 0);
    assert_int_equal(shelf_count(&s, "layers"), 2); /* 1 and of/: nothing of the killed ones */
    assert_int_equal(shelf_count(&s, "layers/1/fs"), 50);
    shelf_close(&s);
}

/* ---- confinement ------------------------------------------------------------------------------
 */

enum { /* a bit for each thing that a confined process could still do */
       SEES_HOST = 1 << 0,
       SEES_STATE = 1 << 1, /* what is beside images/ and layers/ */
       HAS_SOCKETS = 1 << 2,
       MOUNTS = 1 << 3,
       CHANGES_ROOT = 1 << 4,
       CHANGES_USER = 1 << 5,
       MAKES_DEVICES = 1 << 6,
       CHANGES_OWNERS = 1 << 7,
       SIGNALS_OTHERS = 1 << 8,
       FORKS = 1 << 9,
       SEES_STORE = 1 << 10,
       WRITES_STORE = 1 << 11,
       WRITES_SEEN = 1 << 12, /* where it is to be looked at only */
       WRITES_ROOT = 1 << 13, /* its own, which is empty */
       HAS_MEMORY = 1 << 14,  /* a gibibyte of it */
       BROKEN = 1 << 30
};

struct confined {
    unsigned view;
    enum confine_role role;
    int can;
};

static bool can_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

/* In a child whose parent is not confined. */
static int abilities(const char *root, const struct confined *c)
{
    struct zl_error err;
    if (confine_view(root, c->view, &err) < 0 || confine_role(c->role, &err) < 0)
        return BROKEN;
    int can = 0;
    can |= faccessat(AT_FDCWD, "/etc/passwd", F_OK, 0) == 0 ? SEES_HOST : 0;
    can |= faccessat(AT_FDCWD, "../../../../etc/passwd", F_OK, 0) == 0 ? SEES_HOST : 0;
    can |= faccessat(AT_FDCWD, "state.db", F_OK, 0) == 0 ? SEES_STATE : 0;
    can |= faccessat(AT_FDCWD, "images/index.json", F_OK, 0) == 0 ? SEES_STORE : 0;
    can |= socket(AF_INET, SOCK_STREAM, 0) >= 0 ? HAS_SOCKETS : 0;
    can |= mount("/", "/", NULL, MS_BIND, NULL) == 0 ? MOUNTS : 0;
    can |= chroot("/") == 0 ? CHANGES_ROOT : 0;
    can |= setuid(1) == 0 ? CHANGES_USER : 0;
    can |= kill(getppid(), 0) == 0 ? SIGNALS_OTHERS : 0;
    can |= mknod("layers/device", S_IFCHR | 0600, makedev(1, 3)) == 0 ? MAKES_DEVICES : 0;
    can |= chown("images/index.json", 1, 1) == 0 ? CHANGES_OWNERS : 0;
    can |= mkdir("images/new", 0700) == 0 ? WRITES_STORE : 0;
    can |= mkdir("seen/images/new", 0700) == 0 || chmod("seen/images/index.json", 0644) == 0
               ? WRITES_SEEN
               : 0;
    can |= mkdir("/new", 0700) == 0 || mkdir("new", 0700) == 0 ? WRITES_ROOT : 0;
#ifndef __SANITIZE_ADDRESS__ /* there it has no limit */
    can |= mmap(NULL, 1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED
               ? HAS_MEMORY
               : 0;
#endif
    can |= can_fork() ? FORKS : 0;
    return can;
}

static int abilities_of_child(const char *root, const struct confined *c)
{
    int fds[2], can = BROKEN, status;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        can = abilities(root, c);
        _exit(write(fds[1], &can, sizeof can) == (ssize_t)sizeof can ? 0 : 1);
    }
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], &can, sizeof can), sizeof can);
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return can;
}

static void each_confined_process_can_do_what_its_role_needs_and_no_more(void **unused)
{
    (void)unused;
    static const struct confined roles[] = {
        { CONFINE_STORE, CONFINE_KEEPER, SEES_STORE | WRITES_STORE },
        { CONFINE_RESOLVER, CONFINE_TALKER, HAS_SOCKETS },
        { CONFINE_NOTHING, CONFINE_FOREMAN, CHANGES_ROOT | FORKS | SIGNALS_OTHERS },
        { CONFINE_STORE, CONFINE_COPIER,
          SEES_STORE | WRITES_STORE | MAKES_DEVICES | CHANGES_OWNERS },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(roles); i++) {
        struct shelf s = shelf_open();
        char root[100];
        (void)snprintf(root, sizeof root, "%s/root", s.dir.path);
        assert_int_equal(zl_write_atomic(s.root, "state.db", "s", 1, 0600, false, NULL), 0);
        int can = abilities_of_child(root, &roles[i]);
        if (can != roles[i].can)
            fail_msg("role %d: %x, not %x", roles[i].role, can, roles[i].can);
        shelf_close(&s);
    }
}

/* In a child: what it could still do with the folder of a source, a bit each. */
static int escapes_of_source(const char *root, const char *layout)
{
    struct zl_error err;
    struct source source;
    int bits = 0;
    if (source_open(layout, &source, &err) < 0 || confine_view(root, CONFINE_STORE, &err) < 0 ||
        confine_role(CONFINE_KEEPER, &err) < 0)
        return 128;
    bits |= (faccessat(source.fd, "../../etc/passwd", F_OK, 0) == 0) << 0;
    bits |= (mkdirat(source.fd, "new", 0700) == 0) << 1;
    return bits;
}

static void a_folder_that_is_imported_is_read_only_and_leads_nowhere(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    char root[100], layout[100];
    int status;
    (void)snprintf(root, sizeof root, "%s/root", s.dir.path);
    (void)snprintf(layout, sizeof layout, "oci:%s", s.dir.path);
    pid_t pid = fork();
    if (pid == 0)
        _exit(escapes_of_source(root, layout));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    shelf_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_confined_process_can_do_what_its_role_needs_and_no_more),
        cmocka_unit_test(a_folder_that_is_imported_is_read_only_and_leads_nowhere),
        cmocka_unit_test(the_last_line_says_done_with_digest_and_normalized_reference),
        cmocka_unit_test(a_failure_is_one_line_and_exit_1_a_wrong_call_is_exit_2),
        cmocka_unit_test(a_kill_at_any_time_leaves_a_store_that_the_next_run_repairs),
    };
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s ZLAYER-FETCH\n", argv[0]);
        return 2;
    }
    program = argv[1];
    return cmocka_run_group_tests_name("zlayer-fetch", tests, NULL, NULL);
}
