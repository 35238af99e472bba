// SPDX-License-Identifier: Apache-2.0
/* Durability of a commit, images/ and layers/ on one file system or on two: --wrap=syncfs; and what
 * dead runs leave. */
#include "tarball.h"

#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/dir.h"
#include "fetch/store/work.h"

/* The real one is called, too; kept: of which file systems, and what was not in its place yet. */
static struct {
    int blobs; /* the folder of finished ones */
    char blob[DIGEST_SIZE];
    dev_t synced[8];
    size_t n;
} seen;

int __real_syncfs(int fd);
int __wrap_syncfs(int fd);

int __wrap_syncfs(int fd)
{
    struct stat st;
    assert_true(seen.n < ZL_ARRAY_LEN(seen.synced));
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(faccessat(seen.blobs, layout_hex(seen.blob), F_OK, 0), -1);
    seen.synced[seen.n++] = st.st_dev;
    return __real_syncfs(fd);
}

static bool is_synced(dev_t dev)
{
    for (size_t i = 0; i < seen.n; i++) {
        if (seen.synced[i] == dev)
            return true;
    }
    return false;
}

static dev_t device_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_dev;
}

/* Commits one document; ret: the file systems of images/ and layers/. */
static void commit_one(int root, dev_t ret[2])
{
    static const char text[] = "{}";
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    ZL_CLEANUP(work_close) struct work work = WORK_CLOSED;
    struct zl_error err;
    assert_int_equal(crew_start(&crew, &err), 0);
    assert_int_equal(work_open(root, root, &crew, &work, &err), 0);
    seen.blobs = work.store.blobs;
    seen.n = 0;
    assert_int_equal(work_put_blob(&work, text, sizeof text - 1, seen.blob, &err), 0);
    assert_int_equal(work_commit(&work, NULL, 0, &err), 0);
    assert_true(work_has_blob(&work, seen.blob));
    ret[0] = device_of(work.store.images);
    ret[1] = device_of(work.store.layers);
}

static void one_file_system_is_synced_once_before_a_blob_has_its_name(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    dev_t devices[2];
    commit_one(dir.fd, devices);
    assert_true(devices[0] == devices[1]);
    assert_int_equal(seen.n, 1);
    assert_true(is_synced(devices[0]));
    scratch_remove(&dir);
}

static void mount_tmpfs(const char *path)
{
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "size=16m"), 0);
}

static void both_file_systems_are_synced_when_images_and_layers_are_mounts(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    char images[128], layers[128];
    dev_t devices[2];
    (void)snprintf(images, sizeof images, "%s/" LAYOUT_IMAGES, dir.path);
    (void)snprintf(layers, sizeof layers, "%s/" LAYOUT_LAYERS, dir.path);
    mount_tmpfs(images);
    mount_tmpfs(layers);
    commit_one(dir.fd, devices);
    assert_true(devices[0] != devices[1]);
    assert_int_equal(seen.n, 2);
    assert_true(is_synced(devices[0]));
    assert_true(is_synced(devices[1]));
    assert_int_equal(umount2(images, 0), 0);
    assert_int_equal(umount2(layers, 0), 0);
    scratch_remove(&dir);
}

/* A run that was killed, whose processes have not ended yet; the lock of which is theirs. */
static int leave_dead_run(const struct layout *l)
{
    struct zl_error err;
    zl_autoclose int dead = zl_make_dir(l->layers, LAYOUT_TMP "dead", 0700, &err);
    assert_true(dead >= 0);
    int crew = openat(dead, "crew", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(crew, LOCK_EX), 0);
    return crew;
}

static int count_tmp(void *arg, const struct dirent *entry, struct zl_error *err)
{
    int *n = arg;
    (void)err;
    *n += layout_is_tmp(entry->d_name);
    return 0;
}

/* A run has a folder of its own beside that of the dead one. */
static bool has_begun(const struct layout *l)
{
    int n = 0;
    assert_int_equal(zl_dir_each(l->layers, "layers", count_tmp, &n, NULL), 0);
    return n > 1;
}

/* crew: which is not to be held by it as well. */
static pid_t begin_a_run(int root, int crew)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(crew);
        ZL_CLEANUP(crew_end) struct crew own = CREW_NONE;
        struct work work = WORK_CLOSED;
        _exit(crew_start(&own, NULL) < 0 || work_open(root, root, &own, &work, NULL) < 0);
    }
    return pid;
}

static void who_waits_for_a_dead_run_keeps_nobody_from_the_index(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct layout l = LAYOUT_CLOSED;
    struct zl_error err;
    assert_int_equal(layout_open(dir.fd, &l, &err), 0);
    int crew = leave_dead_run(&l), status = -1, index = -1;
    pid_t pid = begin_a_run(dir.fd, crew);
    for (int i = 0; i < 5000 && index < 0; i++) {
        (void)poll(NULL, 0, 1);
        if (has_begun(&l))
            index = layout_lock(&l, LAYOUT_LOCK, LOCK_EX | LOCK_NB, NULL);
    }
    assert_true(index >= 0);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it waits */
    zl_closep(&index);
    zl_closep(&crew);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(faccessat(l.layers, LAYOUT_TMP "dead", F_OK, 0), -1);
    layout_close(&l);
    scratch_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_file_system_is_synced_once_before_a_blob_has_its_name),
        cmocka_unit_test(who_waits_for_a_dead_run_keeps_nobody_from_the_index),
        cmocka_unit_test(both_file_systems_are_synced_when_images_and_layers_are_mounts),
    };
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)fputs("needs root, to mount: skipped\n", stderr);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
