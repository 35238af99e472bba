// SPDX-License-Identifier: Apache-2.0
/* The store: images by name, files of images, tags, removal. Filled by what zlayer-fetch links. */
#include "layout_maker.h"

#include <sys/file.h>
#include <zstd.h>

#include "image/layout.h"

static void save_rootfs(struct shelf *s, const char *name, enum tar_pack pack, const char *content)
{
    struct tarball t;
    tar_begin(&t, pack);
    tar_folder(&t, "./", 0755);
    tar_file(&t, "./etc/hostname", content);
    tar_save(&t, s->dir.fd, name);
}

static void assert_file(struct shelf *s, const struct image *i, const char *path,
                        const char *wanted)
{
    struct zl_error err;
    zl_autobuf struct zl_buf text = ZL_BUF(1000);
    zl_autoclose int fd = image_open_file(s->store, i, path, &err);
    if (!wanted) {
        assert_int_equal(fd, -1);
        if (err.kind != ZL_ERR_NOT_FOUND)
            fail_msg("'%s': %s", path, err.msg);
        return;
    }
    if (fd < 0)
        fail_msg("'%s': %s", path, err.msg);
    assert_int_equal(zl_read_fd(fd, &text, path, &err), 0);
    assert_string_equal(text.data, wanted);
}

static void a_root_filesystem_becomes_an_image_whatever_packs_it(void **unused)
{
    (void)unused;
    static const char *const names[] = {
        [TAR_PLAIN] = "a.tar", [TAR_GZIP] = "a.tar.gz", [TAR_ZSTD] = "a.tar.zst"
    };
    char digests[3][DIGEST_SIZE];
    struct zl_error err;
    struct shelf s = shelf_open();
    for (int pack = TAR_PLAIN; pack <= TAR_ZSTD; pack++) {
        save_rootfs(&s, names[pack], (enum tar_pack)pack, "box");
        shelf_add(&s, names[pack], pack == TAR_GZIP ? "box" : names[pack], digests[pack]);
    }
    autoimage struct image *i = NULL;
    assert_int_equal(image_find(s.store, "box", &i, &err), 0);
    assert_string_equal(i->reference, "box");
    assert_string_equal(i->normalized, "docker.io/library/box:latest");
    assert_string_equal(i->digest, digests[TAR_GZIP]);
    assert_int_equal(i->n_layers, 1);
    assert_string_equal(i->config.cmd[0], "/bin/sh");
    assert_null(i->config.cmd[1]);
    assert_null(i->config.entrypoint);
    assert_string_equal(i->config.os, "linux");
    assert_true(i->created_ms > INT64_C(1700000000000));
    assert_file(&s, i, "/etc/hostname", "box");
    assert_int_equal(i->layers[0], 2);
    shelf_close(&s);
}

/* As a stream whose length nobody knew, so that the window is what its header says. */
static size_t pack_with_window(int log, const struct zl_buf *plain, char *out, size_t room)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ZSTD_inBuffer in = { plain->data, plain->len, 0 };
    ZSTD_outBuffer to = { out, room, 0 };
    assert_non_null(z);
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, log)));
    assert_false(ZSTD_isError(ZSTD_compressStream2(z, &to, &in, ZSTD_e_flush)));
    assert_int_equal(ZSTD_compressStream2(z, &to, &in, ZSTD_e_end), 0);
    (void)ZSTD_freeCCtx(z);
    return to.pos;
}

/* The largest window that is unpacked has room in what a process that unpacks may have. */
static void the_largest_window_of_zstd_fits(void **unused)
{
    (void)unused;
    enum { LARGEST = 27, ROOM = 1 << 20 };
    char digest[DIGEST_SIZE];
    struct zl_error err;
    struct shelf s = shelf_open();
    zl_autobuf struct zl_buf plain = ZL_BUF(ROOM);
    zl_autofree char *packed = malloc(ROOM);
    save_rootfs(&s, "a.tar", TAR_PLAIN, "box");
    assert_int_equal(zl_read_file(s.dir.fd, "a.tar", &plain, &err), 0);
    size_t n = pack_with_window(LARGEST, &plain, packed, ROOM);
    assert_int_equal(zl_write_atomic(s.dir.fd, "b.tar.zst", packed, n, 0600, false, &err), 0);
    shelf_add(&s, "b.tar.zst", "b", digest);
    n = pack_with_window(LARGEST + 1, &plain, packed, ROOM);
    assert_int_equal(zl_write_atomic(s.dir.fd, "c.tar.zst", packed, n, 0600, false, &err), 0);
    assert_int_equal(shelf_import(&s, "c.tar.zst", digest, &err), -1);
    assert_non_null(strstr(err.msg, "zstd"));
    shelf_close(&s);
}

/* Its diff id is what who unpacked it said, whom the layer may have taken over. */
static void one_content_in_two_packings_is_two_layers(void **unused)
{
    (void)unused;
    char digest[DIGEST_SIZE];
    struct shelf s = shelf_open();
    save_rootfs(&s, "a.tar", TAR_PLAIN, "box");
    save_rootfs(&s, "b.tar.gz", TAR_GZIP, "box");
    shelf_add(&s, "a.tar", "a", digest);
    shelf_add(&s, "b.tar.gz", "b", digest);
    assert_int_equal(shelf_count(&s, "layers"), 3); /* 1, 2 and of/ */
    shelf_add(&s, "a.tar", "again", digest);
    assert_int_equal(shelf_count(&s, "layers"), 3);
    shelf_close(&s);
}

static void an_image_is_found_by_name_digest_and_prefix(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char digest[DIGEST_SIZE], other[DIGEST_SIZE], text[200];
    save_rootfs(&s, "a.tar", TAR_PLAIN, "a");
    save_rootfs(&s, "b.tar", TAR_PLAIN, "b");
    shelf_add(&s, "a.tar", "registry.example.net:5000/team/app:2", digest);
    shelf_add(&s, "b.tar", "b", other);
    struct {
        const char *reference;
        enum zl_err_kind kind;
    } cases[] = {
        { "registry.example.net:5000/team/app:2", ZL_OK },
        { digest, ZL_OK },
        { "docker.io/library/b", ZL_OK },
        { "index.docker.io/b:latest", ZL_OK },
        { "b:2", ZL_ERR_NOT_FOUND },
        { "app", ZL_ERR_NOT_FOUND },
        { "abcdef0", ZL_ERR_NOT_FOUND },
        { "Upper", ZL_ERR_INVALID },
        { "", ZL_ERR_INVALID },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        autoimage struct image *image = NULL;
        int rc = image_find(s.store, cases[i].reference, &image, &err);
        if ((rc == 0) != (cases[i].kind == ZL_OK) || (rc < 0 && err.kind != cases[i].kind))
            fail_msg("'%s': %s", cases[i].reference, rc < 0 ? err.msg : "found");
    }
    for (int form = 0; form < 3; form++) {
        autoimage struct image *image = NULL;
        const char *hex = digest + strlen("sha256:");
        (void)(form == 0   ? snprintf(text, sizeof text, "%.12s", hex)
               : form == 1 ? snprintf(text, sizeof text, "sha256:%.6s", hex)
                           : snprintf(text, sizeof text, "other/name@sha256:%s", hex));
        if (image_find(s.store, text, &image, &err) < 0)
            fail_msg("'%s': %s", text, err.msg);
        assert_string_equal(image->digest, digest);
    }
    shelf_close(&s);
}

static void a_new_tag_moves_the_name_and_the_old_image_stays_by_its_other_name(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char a[DIGEST_SIZE], b[DIGEST_SIZE];
    save_rootfs(&s, "a.tar", TAR_PLAIN, "a");
    save_rootfs(&s, "b.tar", TAR_PLAIN, "b");
    shelf_add(&s, "a.tar", "app", a);
    assert_int_equal(image_tag(s.store, "app:old", a, NULL, &err), 0);
    shelf_add(&s, "b.tar", "app", b);
    autoimage struct image *now = NULL, *old = NULL;
    assert_int_equal(image_find(s.store, "app", &now, &err), 0);
    assert_int_equal(image_find(s.store, "app:old", &old, &err), 0);
    assert_string_equal(now->digest, b);
    assert_string_equal(old->digest, a);
    assert_int_equal(
        image_tag(s.store, "x",
                  "sha256:0000000000000000000000000000000000000000000000000000000000000000", NULL,
                  &err),
        -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    shelf_close(&s);
}

static bool needs_a(void *arg, const char *name, const char *digest)
{
    (void)name;
    return strcmp(digest, arg) == 0;
}

static void note_gone(void *arg, const char *name, const char *digest)
{
    (void)arg;
    print_message("gone: %s %s\n", name ? name : "-", digest);
}

static void a_name_that_moves_leaves_a_nameless_image_for_prune(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    struct image_freed freed;
    char a[DIGEST_SIZE], b[DIGEST_SIZE], plan[DIGEST_SIZE];
    save_rootfs(&s, "a.tar", TAR_PLAIN, "a");
    save_rootfs(&s, "b.tar", TAR_PLAIN, "b");
    shelf_add(&s, "a.tar", "app", a);
    shelf_add(&s, "b.tar", "app", b);
    assert_int_equal(image_tag(s.store, "app", b, NULL, &err), 0); /* again changes nothing */
    autoimage struct image *old = NULL;
    assert_int_equal(image_find(s.store, a, &old, &err), 0);
    assert_string_equal(old->normalized, a);

    struct image_prune how = { .needed = needs_a, .gone = note_gone, .arg = a };
    assert_int_equal(image_prune(s.store, &how, &freed, &err), 0);
    assert_int_equal(freed.images, 0);
    assert_int_equal(shelf_count(&s, "layers"), 3);

    how.arg = plan;
    memset(plan, 0, sizeof plan);
    how.plan = true;
    assert_int_equal(image_prune(s.store, &how, &freed, &err), 0);
    assert_int_equal(freed.images, 1);
    assert_int_equal(freed.layers, 1);
    assert_int_equal(freed.blobs, 3);
    assert_true(freed.bytes > 0);
    assert_int_equal(shelf_count(&s, "layers"), 3);

    how.plan = false;
    struct image_freed done;
    assert_int_equal(image_prune(s.store, &how, &done, &err), 0);
    assert_memory_equal(&done, &freed, sizeof done);
    assert_int_equal(shelf_count(&s, "layers"), 2);
    assert_int_equal(image_prune(s.store, &how, &done, &err), 0);
    assert_int_equal(done.images + done.blobs + done.layers, 0);
    how.all = true;
    assert_int_equal(image_prune(s.store, &how, &done, &err), 0);
    assert_int_equal(done.images, 1);
    assert_int_equal(shelf_count(&s, "layers"), 1);
    assert_int_equal(shelf_count(&s, "images/blobs/sha256"), 0);
    shelf_close(&s);
}

static void inspect_shows_names_config_and_layers(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char a[DIGEST_SIZE];
    json_t *v = NULL;
    save_rootfs(&s, "a.tar", TAR_GZIP, "a");
    shelf_add(&s, "a.tar", "app", a);
    assert_int_equal(image_tag(s.store, "other:1", a, NULL, &err), 0);
    assert_int_equal(image_inspect(s.store, "app", &v, &err), 0);
    assert_string_equal(json_string_value(json_object_get(v, "digest")), a);
    assert_int_equal(json_array_size(json_object_get(v, "references")), 2);
    const json_t *layer = json_array_get(json_object_get(v, "layers"), 0);
    assert_int_equal(json_integer_value(json_object_get(layer, "number")), 1);
    assert_non_null(json_object_get(layer, "diff_id"));
    json_decref(v);
    /* The last entry of the index: those before it are looked at when its name is gone. */
    assert_int_equal(image_remove(s.store, "other:1", NULL, NULL, &err), 0);
    assert_int_equal(image_inspect(s.store, "app", &v, &err), 0);
    assert_int_equal(json_array_size(json_object_get(v, "references")), 1);
    json_decref(v);
    assert_int_equal(image_inspect(s.store, "nothing", &v, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    shelf_close(&s);
}

static int count_images(void *arg, const struct image *i)
{
    int *n = arg;
    assert_true(i->size > 0);
    ++*n;
    return 0;
}

static int layer_two_is_in_use(void *arg, uint32_t layer)
{
    (void)arg;
    return layer == 2;
}

static void removal_takes_what_nothing_needs_but_not_layers_in_use(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char digest[DIGEST_SIZE];
    int n = 0;
    save_rootfs(&s, "a.tar", TAR_PLAIN, "a");
    save_rootfs(&s, "b.tar", TAR_PLAIN, "b");
    shelf_add(&s, "a.tar", "a", digest);
    assert_int_equal(image_tag(s.store, "a:again", digest, NULL, &err), 0);
    shelf_add(&s, "b.tar", "b", digest);
    assert_int_equal(image_each(s.store, count_images, &n, &err), 0);
    assert_int_equal(n, 3);

    assert_int_equal(image_remove(s.store, "a", NULL, NULL, &err), 0);
    assert_int_equal(shelf_count(&s, "images/blobs/sha256"), 6); /* a:again still needs them */
    assert_int_equal(image_remove(s.store, "a:again", layer_two_is_in_use, NULL, &err), 0);
    assert_int_equal(shelf_count(&s, "images/blobs/sha256"), 3);
    assert_int_equal(shelf_count(&s, "layers"), 2); /* 2 and of/ */

    assert_int_equal(image_remove(s.store, "b", layer_two_is_in_use, NULL, &err), 0);
    assert_int_equal(shelf_count(&s, "images/blobs/sha256"), 0);
    assert_int_equal(shelf_count(&s, "layers"), 2); /* 2 is kept for its container */
    assert_int_equal(image_remove(s.store, "b", NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    shelf_close(&s);
}

static void nothing_is_collected_while_an_import_runs(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char digest[DIGEST_SIZE];
    save_rootfs(&s, "a.tar", TAR_PLAIN, "a");
    shelf_add(&s, "a.tar", "a", digest);
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    struct work work;
    assert_int_equal(crew_start(&crew, &err), 0);
    assert_int_equal(work_open(s.root, s.root, &crew, &work, &err), 0);
    assert_int_equal(image_remove(s.store, "a", NULL, NULL, &err), 0);
    assert_int_equal(shelf_count(&s, "images/blobs/sha256"), 3);
    work_close(&work);
    shelf_close(&s);
}

static void what_a_killed_import_left_is_removed_by_the_next_one(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    struct work alive, next;
    zl_autoclose int dead =
        zl_mkdir_p(s.root, "layers/" LAYOUT_TMP "dead/layer/fs/etc", 0700, &err);
    assert_true(dead >= 0);
    assert_int_equal(crew_start(&crew, &err), 0);
    assert_int_equal(work_open(s.root, s.root, &crew, &alive, &err), 0);
    assert_int_equal(shelf_count(&s, "layers"), 2); /* of/ and the living one's folder */
    assert_int_equal(work_open(s.root, s.root, &crew, &next, &err), 0);
    assert_int_equal(shelf_count(&s, "layers"), 3); /* the living one's was left alone */
    work_close(&next);
    work_close(&alive);
    assert_int_equal(shelf_count(&s, "layers"), 1);
    shelf_close(&s);
}

static int expect_damaged_a(void *arg, const struct image *i)
{
    ++*(int *)arg;
    assert_string_equal(i->normalized, "docker.io/library/a:latest");
    assert_int_equal(i->n_layers, 0);
    return 0;
}

static void an_image_without_its_layers_is_named_as_damaged(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char digest[DIGEST_SIZE];
    struct image *i = NULL;
    save_rootfs(&s, "a.tar", TAR_PLAIN, "a");
    shelf_add(&s, "a.tar", "a", digest);
    assert_int_equal(zl_remove_tree(s.root, "layers/1", &err), 0);
    assert_int_equal(image_find(s.store, "a", &i, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    assert_non_null(strstr(err.msg, "image 'a'"));
    int n = 0;
    assert_int_equal(image_each(s.store, expect_damaged_a, &n, &err), 0);
    assert_int_equal(n, 1); /* it is listed, and can be removed */
    assert_int_equal(image_remove(s.store, "a", NULL, NULL, &err), 0);
    shelf_close(&s);
}

/* ---- files of an image ----------------------------------------------------------------------- */

static void make_stack(struct shelf *s)
{
    struct maker m = maker_open(s, "layout");
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_folder(&t, "./", 0755);
    tar_file(&t, "etc/passwd", "low");
    tar_file(&t, "etc/group", "low");
    tar_file(&t, "usr/lib/os-release", "release");
    tar_symlink(&t, "etc/os-release", "../usr/lib/os-release");
    tar_symlink(&t, "lib", "usr/lib");
    tar_file(&t, "opt/a", "hidden");
    tar_file(&t, "was/a/folder", "hidden");
    tar_symlink(&t, "loop", "loop");
    tar_symlink(&t, "out", "../../../../etc/passwd");
    tar_symlink(&t, "abs", "/etc/group");
    tar_symlink(&t, "up", "new/name");
    maker_layer(&m, &t);
    tar_begin(&t, TAR_PLAIN);
    tar_file(&t, "etc/passwd", "middle");
    tar_file(&t, "etc/.wh.group", "");
    tar_file(&t, "opt/.wh..wh..opq", "");
    tar_file(&t, "opt/b", "b");
    tar_file(&t, "was", "a file now");
    maker_layer(&m, &t);
    tar_begin(&t, TAR_PLAIN);
    tar_file(&t, "etc/passwd", "high");
    tar_file(&t, "new/name", "from above");
    maker_layer(&m, &t);
    maker_name(&m, maker_manifest(&m, platform_architecture()), "stack");
    maker_close(&m);
}

static void a_file_of_an_image_is_the_one_that_overlay_would_show(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char digest[DIGEST_SIZE];
    static const struct {
        const char *path, *content;
    } cases[] = {
        { "/etc/passwd", "high" },
        { "etc/passwd", "high" },
        { "//etc/./../etc/passwd", "high" },
        { "/../../etc/passwd", "high" },
        { "/etc/group", NULL },           /* deleted by the middle layer */
        { "/etc/os-release", "release" }, /* a relative link */
        { "/lib/os-release", "release" }, /* a link as a folder */
        { "/out", "high" },               /* a link that climbs ends at the image's root */
        { "/abs", NULL },                 /* an absolute link, to what is deleted */
        { "/up", "from above" },          /* a link of a low layer to what a high one has */
        { "/opt/a", NULL },               /* behind an opaque folder */
        { "/opt/b", "b" },
        { "/was", "a file now" },
        { "/was/a/folder", NULL },
        { "/etc", NULL },
        { "/etc/passwd/x", NULL },
        { "/nothing", NULL },
        { "", NULL },
    };
    make_stack(&s);
    shelf_add(&s, "oci:layout", "stack", digest);
    autoimage struct image *i = NULL;
    assert_int_equal(image_find(s.store, "stack", &i, &err), 0);
    for (int again = 0; again < 2; again++) /* then by what is remembered of the first time */
        for (size_t k = 0; k < ZL_ARRAY_LEN(cases); k++)
            assert_file(&s, i, cases[k].path, cases[k].content);
    assert_int_equal(image_open_file(s.store, i, "/loop", &err), -1);
    assert_non_null(strstr(err.msg, "too many symbolic links"));
    zl_autoclose int fd = image_layer_fd(s.store, i->layers[2], &err);
    assert_int_equal(faccessat(fd, "new/name", F_OK, 0), 0);
    shelf_close(&s);
}

static void the_image_config_says_what_to_run(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    char digest[DIGEST_SIZE];
    make_stack(&s);
    shelf_add(&s, "oci:layout:stack", "stack", digest);
    autoimage struct image *i = NULL;
    assert_int_equal(image_find(s.store, "stack", &i, &err), 0);
    assert_int_equal(i->n_layers, 3);
    assert_string_equal(i->config.entrypoint[0], "/init");
    assert_string_equal(i->config.cmd[1], "b");
    assert_string_equal(i->config.env[0], "PATH=/bin");
    assert_string_equal(i->config.user, "app");
    assert_string_equal(i->config.workdir, "/srv");
    assert_string_equal(i->config.stop_signal, "SIGINT");
    assert_true(i->created_ms == INT64_C(1714979289000));
    shelf_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_root_filesystem_becomes_an_image_whatever_packs_it),
        cmocka_unit_test(the_largest_window_of_zstd_fits),
        cmocka_unit_test(one_content_in_two_packings_is_two_layers),
        cmocka_unit_test(an_image_is_found_by_name_digest_and_prefix),
        cmocka_unit_test(a_new_tag_moves_the_name_and_the_old_image_stays_by_its_other_name),
        cmocka_unit_test(a_name_that_moves_leaves_a_nameless_image_for_prune),
        cmocka_unit_test(inspect_shows_names_config_and_layers),
        cmocka_unit_test(removal_takes_what_nothing_needs_but_not_layers_in_use),
        cmocka_unit_test(nothing_is_collected_while_an_import_runs),
        cmocka_unit_test(what_a_killed_import_left_is_removed_by_the_next_one),
        cmocka_unit_test(an_image_without_its_layers_is_named_as_damaged),
        cmocka_unit_test(a_file_of_an_image_is_the_one_that_overlay_would_show),
        cmocka_unit_test(the_image_config_says_what_to_run),
    };
    (void)umask(0);
    return cmocka_run_group_tests_name("image store", tests, NULL, NULL);
}
