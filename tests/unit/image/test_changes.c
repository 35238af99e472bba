// SPDX-License-Identifier: Apache-2.0
/* What a container changed, by its upper folder over one layer. */
#include "../scratch.h"

#include <sys/xattr.h>

#include "fetch/files/changes.h"
#include "image/overlay.h"

static int note(void *arg, enum change kind, const char *path, struct zl_error *err)
{
    struct zl_buf *told = arg;
    (void)err;
    zl_buf_addf(told, "%c %s\n", "CAD"[kind], path);
    return 0;
}

static int make(int root, const char *path)
{
    struct zl_error err;
    int fd = zl_mkdir_p(root, path, 0755, &err);
    assert_true(fd >= 0);
    return fd;
}

static void hide_below(int dir_fd, const char *value)
{
    assert_int_equal(fsetxattr(dir_fd, OVERLAY_OPAQUE, value, 1, 0), 0);
}

static void assert_changes(int upper, int below, const char *wanted)
{
    zl_autobuf struct zl_buf told = ZL_BUF(1000);
    struct zl_error err;
    if (changes_walk(upper, &below, 1, NULL, 0, note, &told, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(told.len ? told.data : "", wanted);
}

/* Overlay merges the roots whatever the upper one is marked with. */
static void only_opaque_folders_below_the_root_hide_what_the_image_has(void **unused)
{
    struct scratch s = scratch_open();
    zl_autoclose int below = make(s.fd, "below/d/x"), upper = make(s.fd, "upper");
    (void)unused;
    (void)close(below);
    (void)close(make(s.fd, "below/x"));
    below = make(s.fd, "below");
    zl_autoclose int d = make(upper, "d");
    assert_changes(upper, below, "C /d\n");
    hide_below(d, "y");
    assert_changes(upper, below, "C /d\nD /d/x\n");
    hide_below(d, "x"); /* overlay's word for something else: look for whiteouts in it */
    assert_changes(upper, below, "C /d\n");
    hide_below(upper, "y");
    assert_changes(upper, below, "C /d\n");
    scratch_remove(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_opaque_folders_below_the_root_hide_what_the_image_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
