// SPDX-License-Identifier: Apache-2.0
/* Unpacking of layers: what must come out, and what archives must not be able to do. */
#include "tarball.h"

#include <locale.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "../../memory_input.h"
#include "fetch/tar/tree.h"
#include "fetch/unpack/unpack.h"

struct box { /* two layers' folders, and beside them what must stay as it is */
    struct scratch dir;
    int root, upper, outside;
};

static int box_open(void **state)
{
    static struct box b;
    struct zl_error err;
    b.dir = scratch_open();
    b.root = zl_mkdir_p(b.dir.fd, "layer", 0755, &err);
    b.upper = zl_mkdir_p(b.dir.fd, "upper", 0755, &err);
    b.outside = zl_mkdir_p(b.dir.fd, "outside", 0755, &err);
    assert_true(b.root >= 0 && b.upper >= 0 && b.outside >= 0);
    assert_int_equal(zl_write_atomic(b.outside, "secret", "s", 1, 0600, false, &err), 0);
    *state = &b;
    return 0;
}

/* The neighbour still holds its one file, unchanged. */
static int box_close(void **state)
{
    struct box *b = *state;
    struct stat st;
    zl_autobuf struct zl_buf text = ZL_BUF(100);
    assert_int_equal(zl_read_file(b->outside, "secret", &text, NULL), 0);
    assert_string_equal(text.data, "s");
    assert_int_equal(fstatat(b->outside, "secret", &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(fstatat(b->outside, "evil", &st, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(fstatat(b->dir.fd, "evil", &st, AT_SYMLINK_NOFOLLOW), -1);
    (void)close(b->root);
    (void)close(b->upper);
    (void)close(b->outside);
    scratch_remove(&b->dir);
    return 0;
}

static int unpack_bytes(const char *bytes, size_t n, size_t step, int root, const int *below,
                        size_t n_below, struct zl_error *err)
{
    struct memory m = { bytes, n, step };
    const struct input in = memory_input(&m);
    autotar struct tar *tar = NULL;
    zl_autoclose int notes = memfd_create("notes", MFD_CLOEXEC);
    bool unsettled = false;
    assert_int_equal(tar_new(&in, &tar, err), 0);
    if (unpack_tar(tar, root, notes, &unsettled, err) < 0)
        return -1;
    return unsettled ? unpack_settle(root, notes, below, n_below, err) : 0;
}

static int unpack_over(struct tarball *t, int root, const int *below, size_t n_below,
                       struct zl_error *err)
{
    tar_end(t);
    int rc = unpack_bytes(t->bytes, t->n, 1000, root, below, n_below, err);
    tarball_free(t);
    return rc;
}

static void unpack(struct tarball *t, int root)
{
    struct zl_error err;
    if (unpack_over(t, root, NULL, 0, &err) < 0)
        fail_msg("%s", err.msg);
}

static struct stat look(int root, const char *path)
{
    struct stat st;
    if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        fail_msg("'%s' is not there", path);
    return st;
}

static bool missing(int root, const char *path)
{
    struct stat st;
    return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) < 0;
}

static void assert_text(int root, const char *path, const char *wanted)
{
    zl_autobuf struct zl_buf text = ZL_BUF(1000);
    assert_int_equal(zl_read_file(root, path, &text, NULL), 0);
    assert_string_equal(text.data, wanted);
}

static ssize_t attribute(int root, const char *path, const char *name, char *value, size_t size)
{
    zl_autoclose int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
    return fgetxattr(fd, name, value, size);
}

/* ---- as it was packed ------------------------------------------------------------------------ */

static void owners_modes_times_and_contents_come_out_as_they_went_in(void **state)
{
    struct box *b = *state;
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_folder(&t, "./", 0751);
    tar_folder(&t, "./tmp/", 01777);
    (void)tar_entry(&t, "usr/bin/su", S_IFREG | 04755);
    archive_entry_set_uid(t.e, 12);
    archive_entry_set_gid(t.e, 34);
    archive_entry_set_mtime(t.e, 1234567890, 500000000);
    tar_add(&t, "program");
    tar_symlink(&t, "bin", "usr/bin");
    tar_file(&t, "etc/\xc3\xa9t\xc3\xa9", "summer");
    unpack(&t, b->root);

    struct stat st = look(b->root, "usr/bin/su");
    assert_int_equal(st.st_mode, S_IFREG | 04755);
    assert_int_equal(st.st_uid, 12);
    assert_int_equal(st.st_gid, 34);
    assert_int_equal(st.st_mtim.tv_sec, 1234567890);
    assert_int_equal(st.st_mtim.tv_nsec, 500000000);
    assert_text(b->root, "usr/bin/su", "program");
    assert_int_equal(look(b->root, ".").st_mode, S_IFDIR | 0751);
    assert_int_equal(look(b->root, "tmp").st_mode, S_IFDIR | 01777);
    assert_int_equal(look(b->root, "tmp").st_mtim.tv_sec, 1000000000);
    assert_true(S_ISLNK(look(b->root, "bin").st_mode));
    assert_text(b->root, "etc/\xc3\xa9t\xc3\xa9", "summer");
}

static void links_devices_and_pipes_come_out(void **state)
{
    struct box *b = *state;
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_file(&t, "a", "shared");
    tar_hardlink(&t, "d/b", "./a");
    tar_hardlink(&t, "d/c", "/a");
    (void)tar_entry(&t, "dev/null", S_IFCHR | 0666);
    archive_entry_set_rdev(t.e, makedev(1, 3));
    tar_add(&t, NULL);
    (void)tar_entry(&t, "run/pipe", S_IFIFO | 0600);
    tar_add(&t, NULL);
    unpack(&t, b->root);

    assert_int_equal(look(b->root, "a").st_nlink, 3);
    assert_int_equal(look(b->root, "a").st_ino, look(b->root, "d/b").st_ino);
    assert_true(look(b->root, "dev/null").st_rdev == makedev(1, 3));
    assert_int_equal(look(b->root, "dev/null").st_mode, S_IFCHR | 0666);
    assert_int_equal(look(b->root, "run/pipe").st_mode, S_IFIFO | 0600);
}

static void capabilities_of_files_stay_and_attributes_for_overlay_go(void **state)
{
    struct box *b = *state;
    /* VFS_CAP_REVISION_2 with the effective bit and CAP_NET_RAW: capabilities(7) */
    static const char cap[20] = { 1, 0, 0, 2, 0, 0x20 };
    char value[64];
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    (void)tar_entry(&t, "ping", S_IFREG | 0755);
    archive_entry_xattr_add_entry(t.e, "security.capability", cap, sizeof cap);
    archive_entry_xattr_add_entry(t.e, "user.note", "hi", 2);
    archive_entry_xattr_add_entry(t.e, "user.overlay.redirect", "/etc", 4);
    archive_entry_xattr_add_entry(t.e, "trusted.overlay.opaque", "y", 1);
    tar_add(&t, "p");
    (void)tar_entry(&t, "dir", S_IFDIR | 0755);
    archive_entry_xattr_add_entry(t.e, "user.overlay.opaque", "y", 1);
    tar_add(&t, NULL);
    unpack(&t, b->root);

    assert_int_equal(attribute(b->root, "ping", "security.capability", value, sizeof value), 20);
    assert_int_equal(attribute(b->root, "ping", "user.note", value, sizeof value), 2);
    assert_int_equal(attribute(b->root, "ping", "user.overlay.redirect", value, sizeof value), -1);
    assert_int_equal(attribute(b->root, "ping", "trusted.overlay.opaque", value, sizeof value), -1);
    assert_int_equal(attribute(b->root, "dir", "user.overlay.opaque", value, sizeof value), -1);
}

static void a_later_entry_replaces_an_earlier_one_of_any_type(void **state)
{
    struct box *b = *state;
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_file(&t, "x", "file");
    tar_folder(&t, "x/", 0700);
    tar_file(&t, "x/y", "inner");
    tar_symlink(&t, "x", "z"); /* a full folder makes way */
    tar_symlink(&t, "link", "nowhere");
    tar_file(&t, "link", "now a file");
    tar_folder(&t, "d/", 0700);
    tar_file(&t, "d/f", "stays");
    tar_folder(&t, "d/", 0755); /* a folder again: only its attributes */
    unpack(&t, b->root);

    assert_true(S_ISLNK(look(b->root, "x").st_mode));
    assert_text(b->root, "link", "now a file");
    assert_text(b->root, "d/f", "stays");
    assert_int_equal(look(b->root, "d").st_mode, S_IFDIR | 0755);
}

static void folders_that_the_archive_does_not_list_are_like_those_below(void **state)
{
    struct box *b = *state;
    struct zl_error err;
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_folder(&t, ".", 0711);
    (void)tar_entry(&t, "tmp/", S_IFDIR | 01777);
    archive_entry_set_uid(t.e, 7);
    tar_add(&t, NULL);
    unpack(&t, b->root);

    tar_begin(&t, TAR_PLAIN);
    tar_file(&t, "tmp/new/file", "x");
    assert_int_equal(unpack_over(&t, b->upper, &b->root, 1, &err), 0);
    assert_int_equal(look(b->upper, ".").st_mode, S_IFDIR | 0711);
    assert_int_equal(look(b->upper, "tmp").st_mode, S_IFDIR | 01777);
    assert_int_equal(look(b->upper, "tmp").st_uid, 7);
    assert_int_equal(look(b->upper, "tmp/new").st_mode, S_IFDIR | 0755);
}

static void a_hard_link_may_lead_to_a_layer_below(void **state)
{
    struct box *b = *state;
    struct zl_error err;
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    (void)tar_entry(&t, "lib/", S_IFDIR | 0750);
    archive_entry_set_gid(t.e, 9);
    tar_add(&t, NULL);
    (void)tar_entry(&t, "lib/a", S_IFREG | 04711);
    archive_entry_set_uid(t.e, 5);
    tar_add(&t, "from below");
    tar_file(&t, "lib/gone", "deleted above");
    unpack(&t, b->root);

    tar_begin(&t, TAR_PLAIN);
    tar_hardlink(&t, "bin/b", "lib/a");
    tar_hardlink(&t, "bin/c", "lib/a");
    assert_int_equal(unpack_over(&t, b->upper, &b->root, 1, &err), 0);
    struct stat st = look(b->upper, "lib/a");
    assert_text(b->upper, "bin/b", "from below");
    assert_int_equal(st.st_ino, look(b->upper, "bin/b").st_ino);
    assert_int_equal(st.st_nlink, 3);
    assert_int_equal(st.st_mode, S_IFREG | 04711);
    assert_int_equal(st.st_uid, 5);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    assert_int_equal(look(b->upper, "lib").st_mode, S_IFDIR | 0750);
    assert_int_equal(look(b->upper, "lib").st_gid, 9);
    assert_int_equal(look(b->root, "lib/a").st_nlink, 1);

    zl_autoclose int third = zl_mkdir_p(b->dir.fd, "third", 0755, &err);
    tar_begin(&t, TAR_PLAIN);
    tar_folder(&t, "lib/", 0755);
    tar_file(&t, "lib/.wh..wh..opq", "");
    tar_hardlink(&t, "x", "lib/gone");
    assert_int_equal(unpack_over(&t, third, &b->root, 1, &err), -1);
    assert_non_null(strstr(err.msg, "not in the layer or below"));
}

static void of_a_folder_that_is_listed_twice_the_last_entry_counts(void **state)
{
    struct box *b = *state;
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_folder(&t, "d/", 0700);
    archive_entry_set_mtime(tar_entry(&t, "d/", S_IFDIR | 02755), 1111111111, 0);
    tar_add(&t, NULL);
    tar_file(&t, "d/f", "x");
    unpack(&t, b->root);
    assert_int_equal(look(b->root, "d").st_mode, S_IFDIR | 02755);
    assert_int_equal(look(b->root, "d").st_mtim.tv_sec, 1111111111);
    assert_int_equal(look(b->root, "d/f").st_mode, S_IFREG | 0644);
}

static void zeros_become_holes_and_stay_zeros(void **state)
{
    struct box *b = *state;
    struct tarball t;
    enum { SIZE = 3 << 20 };
    char *bytes = calloc(1, SIZE);
    zl_autobuf struct zl_buf text = ZL_BUF(SIZE);
    assert_non_null(bytes);
    bytes[0] = 'a';
    bytes[1 << 20] = 'b';
    tar_begin(&t, TAR_PLAIN);
    archive_entry_set_size(tar_entry(&t, "f", S_IFREG | 0600), SIZE);
    assert_int_equal(archive_write_header(t.a, t.e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(t.a, bytes, SIZE), SIZE);
    tar_end(&t);
    struct zl_error err;
    assert_int_equal(unpack_bytes(t.bytes, t.n, INPUT_PIECE, b->root, NULL, 0, &err), 0);
    tarball_free(&t);
    assert_int_equal(zl_read_file(b->root, "f", &text, &err), 0);
    assert_int_equal(text.len, SIZE);
    assert_memory_equal(text.data, bytes, SIZE);
    assert_true(look(b->root, "f").st_blocks * 512 < SIZE / 4);
    free(bytes);
}

/* ---- deletions ------------------------------------------------------------------------------- */

static void deletions_become_what_overlay_understands(void **state)
{
    struct box *b = *state;
    char value[4];
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_file(&t, "etc/.wh.passwd", "");
    tar_file(&t, "opt/.wh..wh..opq", "");
    tar_file(&t, "opt/kept", "x");
    tar_file(&t, "var/.wh..wh.plnk", "");
    tar_file(&t, ".wh.again", "");
    tar_folder(&t, "again/", 0755); /* deleted and made anew: nothing of below shows through */
    tar_folder(&t, "other/", 0755);
    tar_file(&t, ".wh.other", "");
    tar_file(&t, "f", "new");
    tar_file(&t, ".wh.f", "");
    unpack(&t, b->root);

    struct stat st = look(b->root, "etc/passwd");
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
    assert_true(missing(b->root, "etc/.wh.passwd"));
    assert_int_equal(attribute(b->root, "opt", "user.overlay.opaque", value, 1), 1);
    assert_int_equal(value[0], 'y');
    assert_text(b->root, "opt/kept", "x");
    assert_true(missing(b->root, "var/.wh..wh.plnk"));
    assert_int_equal(attribute(b->root, "again", "user.overlay.opaque", value, 1), 1);
    assert_int_equal(attribute(b->root, "other", "user.overlay.opaque", value, 1), 1);
    assert_text(b->root, "f", "new");
}

/* ---- hostile archives ------------------------------------------------------------------------ */

/* An archive of up to three entries: what it tries, and how that ends (NULL: harmlessly). */
struct attack {
    struct {
        char type; /* f file, d folder, s symlink, h hardlink, c device 1/3, p pipe */
        const char *path, *target;
    } entries[3];
    const char *refused;
};

/* clang-format off */
static const struct attack attacks[] = {
    { { { 'f', "../evil" } },                                             "leads upwards" },
    { { { 'f', "a/../../evil" } },                                        "leads upwards" },
    { { { 'f', "../outside/secret" } },                                   "leads upwards" },
    { { { 'f', "/evil" } },                                               NULL },
    { { { 'f', "//..//evil" } },                                          "leads upwards" },
    { { { 's', "a", "../outside" }, { 'f', "a/evil" } },                  "is used as a folder" },
    { { { 's', "a", "../outside" }, { 'd', "a/evil" } },                  "is used as a folder" },
    { { { 's', "a", "../outside" }, { 's', "a/evil", "x" } },             "is used as a folder" },
    { { { 's', "a", "../outside" }, { 'f', "a/b/evil" } },                "is used as a folder" },
    { { { 's', "a", "../outside" }, { 'f', "a/.wh.secret" } },            NULL },
    { { { 's', "a", "../outside" }, { 'f', "a/.wh..wh..opq" } },          NULL },
    { { { 's', "a", "../outside/secret" }, { 'f', "a" } },                NULL },
    { { { 's', "a", "../outside" }, { 'd', "a/" } },                      NULL },
    { { { 'd', "d" }, { 's', "d", "../outside" }, { 'f', "d/evil" } },    "is used as a folder" },
    { { { 'h', "a", "../outside/secret" } },                              "leads upwards" },
    { { { 'h', "a", "/etc/passwd" } },                                    "not in the layer or below" },
    { { { 's', "l", "../outside" }, { 'h', "a", "l/secret" } },           "not in the layer or below" },
    { { { 's', "l", "../outside/secret" }, { 'h', "a", "l" }, { 'f', "a" } }, NULL },
    { { { 'd', "d" }, { 'h', "a", "d" } },                                "is no file" },
    { { { 'f', ".wh.gone" }, { 'h', "a", "gone" } },                      "is no file" },
    { { { 'h', "a", "a" } },                                              NULL },
    { { { 'f', ".wh.." } },                                               "nothing that has a name" },
    { { { 'f', ".wh..." } },                                              "nothing that has a name" },
    { { { 'f', ".wh." } },                                                "nothing that has a name" },
    { { { 'f', "." } },                                                   "must be a folder" },
    { { { 's', "/", "../outside" } },                                     "must be a folder" },
    { { { 'f', "file" }, { 'f', "file/x" } },                             "is used as a folder" },
    { { { 's', "a", "/" }, { 'f', "a/evil" } },                           "is used as a folder" },
    { { { 's', "a", ".." }, { 'h', "a/evil", "x" } },                     "not in the layer or below" },
    { { { 's', "a", "../outside" }, { 'f', "b" }, { 'h', "a/evil", "b" } }, "is used as a folder" },
    { { { 'h', "../evil", "x" } },                                        "leads upwards" },
    { { { 'f', "x" }, { 'h', "../outside/evil", "x" } },                  "leads upwards" },
    { { { 's', "a", "../outside/secret" }, { 'h', "b", "a" }, { 'd', "b" } }, NULL },
    { { { 's', "..evil", "../outside" }, { 'f', "..evil/x" } },           "is used as a folder" },
    { { { 'd', "a/.." } },                                                "leads upwards" },
    { { { 'f', "..." }, { 'f', ".../x" } },                               "is used as a folder" },
    { { { 's', "a", "../outside" }, { 's', "a", "../outside" }, { 'f', "a/secret" } }, "is used as a folder" },
    { { { 'f', ".wh.a" }, { 'f', "a/x" } },                               "is used as a folder" },
    { { { 'f', ".wh.a" }, { 's', "a", "../outside" }, { 'f', "a/evil" } }, "is used as a folder" },
    { { { 'c', "null" }, { 'f', "null/x" } },                             "is used as a folder" },
    { { { 'c', "null" }, { 'f', "null" } },                               NULL },
    { { { 'p', "pipe" }, { 'h', "hard", "pipe" } },                       NULL },
};
/* clang-format on */

static void add_attack(struct tarball *t, const struct attack *a)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(a->entries) && a->entries[i].path; i++) {
        switch (a->entries[i].type) {
        case 'd':
            tar_folder(t, a->entries[i].path, 0777);
            break;
        case 's':
            tar_symlink(t, a->entries[i].path, a->entries[i].target);
            break;
        case 'c':
            archive_entry_set_rdev(tar_entry(t, a->entries[i].path, S_IFCHR | 0666), makedev(1, 3));
            tar_add(t, NULL);
            break;
        case 'p':
            (void)tar_entry(t, a->entries[i].path, S_IFIFO | 0600);
            tar_add(t, NULL);
            break;
        case 'h':
            tar_hardlink(t, a->entries[i].path, a->entries[i].target);
            break;
        default:
            tar_file(t, a->entries[i].path, "evil");
        }
    }
}

static void no_archive_touches_anything_outside_of_its_folder(void **state)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(attacks); i++) {
        (void)box_open(state);
        struct box *b = *state;
        struct tarball t;
        tar_begin(&t, TAR_PLAIN);
        struct zl_error err = { 0 };
        add_attack(&t, &attacks[i]);
        int rc = unpack_over(&t, b->root, NULL, 0, &err);
        if ((rc < 0) != (attacks[i].refused != NULL))
            fail_msg("attack %zu: %s", i, rc < 0 ? err.msg : "was not refused");
        if (rc < 0 && !strstr(err.msg, attacks[i].refused))
            fail_msg("attack %zu: '%s' says nothing of '%s'", i, err.msg, attacks[i].refused);
        (void)box_close(state);
    }
    print_message("%zu archives\n", ZL_ARRAY_LEN(attacks));
}

static void paths_that_nest_too_deep_are_refused(void **state)
{
    struct box *b = *state;
    struct zl_error err;
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    char path[2 * TREE_MAX_PARTS + 4];
    for (size_t i = 0; i <= TREE_MAX_PARTS; i++)
        memcpy(path + 2 * i, "d/", 2);
    path[2 * (TREE_MAX_PARTS + 1)] = '\0';
    tar_folder(&t, path, 0755);
    assert_int_equal(unpack_over(&t, b->root, NULL, 0, &err), -1);
    assert_non_null(strstr(err.msg, "nested deeper"));
}

static void a_cut_archive_is_an_error(void **state)
{
    struct box *b = *state;
    struct zl_error err;
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_file(&t, "f", "many bytes that will not all be there");
    tar_end(&t);
    assert_int_equal(unpack_bytes(t.bytes, 520, 100, b->root, NULL, 0, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    assert_non_null(strstr(err.msg, "cut off"));
    tarball_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(owners_modes_times_and_contents_come_out_as_they_went_in,
                                        box_open, box_close),
        cmocka_unit_test_setup_teardown(links_devices_and_pipes_come_out, box_open, box_close),
        cmocka_unit_test_setup_teardown(capabilities_of_files_stay_and_attributes_for_overlay_go,
                                        box_open, box_close),
        cmocka_unit_test_setup_teardown(a_later_entry_replaces_an_earlier_one_of_any_type, box_open,
                                        box_close),
        cmocka_unit_test_setup_teardown(folders_that_the_archive_does_not_list_are_like_those_below,
                                        box_open, box_close),
        cmocka_unit_test_setup_teardown(a_hard_link_may_lead_to_a_layer_below, box_open, box_close),
        cmocka_unit_test_setup_teardown(of_a_folder_that_is_listed_twice_the_last_entry_counts,
                                        box_open, box_close),
        cmocka_unit_test_setup_teardown(zeros_become_holes_and_stay_zeros, box_open, box_close),
        cmocka_unit_test_setup_teardown(deletions_become_what_overlay_understands, box_open,
                                        box_close),
        cmocka_unit_test(no_archive_touches_anything_outside_of_its_folder),
        cmocka_unit_test_setup_teardown(paths_that_nest_too_deep_are_refused, box_open, box_close),
        cmocka_unit_test_setup_teardown(a_cut_archive_is_an_error, box_open, box_close),
    };
    (void)umask(0);
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* of libarchive, which makes the archives */
    return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
