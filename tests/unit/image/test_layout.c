// SPDX-License-Identifier: Apache-2.0
/* Imports of OCI layouts by others: what is refused, and that a refusal leaves nothing behind. */
#include "layout_maker.h"

static void one_layer(struct maker *m, const char *content)
{
    struct tarball t;
    tar_begin(&t, TAR_PLAIN);
    tar_file(&t, "file", content);
    maker_layer(m, &t);
}

/* A shelf, and on it the layout "l", begun with one layer. */
static struct shelf begin(struct maker *m)
{
    struct shelf s = shelf_open();
    *m = maker_open(&s, "l");
    one_layer(m, "x");
    return s;
}

static void assert_refused(struct shelf *s, const char *name, const char *wanted)
{
    struct zl_error err;
    char digest[DIGEST_SIZE];
    int blobs = shelf_count(s, "images/blobs/sha256");
    if (shelf_import(s, name, digest, &err) == 0)
        fail_msg("'%s' was imported, without '%s'", name, wanted);
    if (!strstr(err.msg, wanted))
        fail_msg("'%s': '%s' says nothing of '%s'", name, err.msg, wanted);
    assert_int_equal(shelf_count(s, "images/blobs/sha256"), blobs);
    assert_int_equal(shelf_count(s, "layers/of"), 0);
}

static void a_tag_chooses_among_several_images(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    char digest[DIGEST_SIZE], again[DIGEST_SIZE];
    struct zl_error err;
    struct maker m = maker_open(&s, "l");
    one_layer(&m, "one");
    maker_name(&m, maker_manifest(&m, platform_architecture()), "one");
    one_layer(&m, "two");
    maker_name(&m, maker_manifest(&m, platform_architecture()), "example.net/app:two");
    maker_close(&m);
    assert_refused(&s, "oci:l", "several images");
    assert_refused(&s, "oci:l:three", "no image for linux/");
    assert_int_equal(shelf_import(&s, "oci:l:one", digest, &err), 0);
    assert_int_equal(shelf_import(&s, "oci:l:two", again, &err), 0);
    assert_string_not_equal(digest, again);
    shelf_close(&s);
}

static void importing_twice_changes_nothing(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    char digest[DIGEST_SIZE], again[DIGEST_SIZE];
    struct zl_error err;
    struct maker m = maker_open(&s, "l");
    one_layer(&m, "one");
    one_layer(&m, "two");
    maker_name(&m, maker_manifest(&m, platform_architecture()), NULL);
    maker_close(&m);
    assert_int_equal(shelf_import(&s, "oci:l", digest, &err), 0);
    int blobs = shelf_count(&s, "images/blobs/sha256"), layers = shelf_count(&s, "layers");
    assert_int_equal(shelf_import(&s, "oci:l", again, &err), 0);
    assert_string_equal(digest, again);
    assert_int_equal(shelf_count(&s, "images/blobs/sha256"), blobs);
    assert_int_equal(shelf_count(&s, "layers"), layers);
    shelf_close(&s);
}

static void an_index_below_the_index_is_followed_to_this_machine(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    char digest[DIGEST_SIZE];
    struct zl_error err;
    struct maker m = maker_open(&s, "l");
    one_layer(&m, "ours");
    json_t *ours = maker_manifest(&m, platform_architecture());
    one_layer(&m, "theirs");
    json_t *theirs = maker_manifest(&m, "sparc");
    (void)json_object_set_new(
        ours, "platform",
        json_pack("{s:s, s:s}", "os", "linux", "architecture", platform_architecture()));
    (void)json_object_set_new(theirs, "platform",
                              json_pack("{s:s, s:s}", "os", "linux", "architecture", "sparc"));
    char wanted[DIGEST_SIZE];
    (void)snprintf(wanted, sizeof wanted, "%s", json_string_value(json_object_get(ours, "digest")));
    json_t *inner =
        maker_document(&m, OCI_INDEX_TYPE,
                       json_pack("{s:i, s:[o, o]}", "schemaVersion", 2, "manifests", theirs, ours));
    maker_name(&m, inner, "app");
    maker_close(&m);
    if (shelf_import(&s, "oci:l:app", digest, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(digest, wanted);
    shelf_close(&s);
}

static void an_image_for_another_machine_is_refused(void **unused)
{
    (void)unused;
    struct maker m;
    struct shelf s = begin(&m);
    maker_name(&m, maker_manifest(&m, "sparc"), NULL);
    maker_close(&m);
    assert_refused(&s, "oci:l", "the image is for 'sparc'");
    shelf_close(&s);
}

/* Overwrites the first blob whose size the check accepts, keeping its name. */
static void spoil(struct shelf *s, const json_t *descriptor, const char *bytes, size_t n)
{
    struct zl_error err;
    char path[200];
    (void)snprintf(path, sizeof path, "l/blobs/sha256/%s",
                   json_string_value(json_object_get(descriptor, "digest")) + 7);
    zl_autoclose int fd = openat(s->dir.fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(zl_write_all(fd, bytes, n, path, &err), 0);
}

static void bytes_that_do_not_have_their_digest_are_refused(void **unused)
{
    (void)unused;
    for (int which = 0; which < 2; which++) {
        struct shelf s = shelf_open();
        struct maker m = maker_open(&s, "l");
        struct tarball t;
        one_layer(&m, "x");
        json_t *layer = json_incref(json_array_get(m.layers, 0));
        json_t *manifest = maker_manifest(&m, platform_architecture());
        maker_name(&m, json_incref(manifest), NULL);
        maker_close(&m);
        tar_begin(&t, TAR_PLAIN);
        tar_file(&t, "file", "something else");
        tar_end(&t);
        if (which)
            spoil(&s, layer, t.bytes, t.n);
        else
            spoil(&s, manifest, "{}", 2);
        assert_refused(&s, "oci:l", which ? "the digest of the layer is" : "holds 2 bytes");
        tarball_free(&t);
        json_decref(layer);
        json_decref(manifest);
        shelf_close(&s);
    }
}

static void a_diff_id_that_is_not_the_layers_is_refused(void **unused)
{
    (void)unused;
    struct maker m;
    struct shelf s = begin(&m);
    (void)json_array_set_new(
        m.diff_ids, 0,
        json_string("sha256:0000000000000000000000000000000000000000000000000000000000000000"));
    maker_name(&m, maker_manifest(&m, platform_architecture()), NULL);
    maker_close(&m);
    assert_refused(&s, "oci:l", "the diff id of the layer is");
    shelf_close(&s);
}

static void digests_that_are_paths_and_blobs_that_are_links_lead_nowhere(void **unused)
{
    (void)unused;
    struct zl_error err;
    struct maker m;
    struct shelf s = begin(&m);
    json_t *layer = json_incref(json_array_get(m.layers, 0));
    maker_name(&m, maker_manifest(&m, platform_architecture()), NULL);
    maker_close(&m);
    char path[200];
    (void)snprintf(path, sizeof path, "l/blobs/sha256/%s",
                   json_string_value(json_object_get(layer, "digest")) + 7);
    assert_int_equal(unlinkat(s.dir.fd, path, 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", s.dir.fd, path), 0);
    assert_refused(&s, "oci:l", "layer 1 of 1");
    assert_int_equal(unlinkat(s.dir.fd, path, 0), 0);
    assert_int_equal(mknodat(s.dir.fd, path, S_IFIFO | 0600, 0), 0);
    assert_refused(&s, "oci:l", "is not a regular file");
    json_decref(layer);

    static const char hostile[] = "{\"manifests\":[{\"digest\":\"sha256:../../../../etc/passwd\","
                                  "\"size\":1}]}";
    zl_autoclose int dir = zl_open_dir(s.dir.fd, "l", &err);
    assert_int_equal(
        zl_write_atomic(dir, "index.json", hostile, strlen(hostile), 0644, false, &err), 0);
    assert_refused(&s, "oci:l", "is not a sha256 digest");
    shelf_close(&s);
}

static void what_is_no_archive_is_refused_with_its_name(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct zl_error err;
    static const char *const texts[] = { "this is no archive, whatever its name says\n",
                                         "\x1f\x8b\x08" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(texts); i++) {
        char digest[DIGEST_SIZE];
        assert_int_equal(
            zl_write_atomic(s.dir.fd, "x.tar", texts[i], strlen(texts[i]), 0644, false, &err), 0);
        assert_int_equal(shelf_import(&s, "x.tar", digest, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
        assert_non_null(strstr(err.msg, "x.tar"));
    }
    assert_int_equal(shelf_count(&s, "images/blobs/sha256"), 0);
    assert_int_equal(shelf_count(&s, "layers"), 1);
    shelf_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_chooses_among_several_images),
        cmocka_unit_test(importing_twice_changes_nothing),
        cmocka_unit_test(an_index_below_the_index_is_followed_to_this_machine),
        cmocka_unit_test(an_image_for_another_machine_is_refused),
        cmocka_unit_test(bytes_that_do_not_have_their_digest_are_refused),
        cmocka_unit_test(a_diff_id_that_is_not_the_layers_is_refused),
        cmocka_unit_test(digests_that_are_paths_and_blobs_that_are_links_lead_nowhere),
        cmocka_unit_test(what_is_no_archive_is_refused_with_its_name),
    };
    (void)umask(0);
    return cmocka_run_group_tests_name("OCI layouts", tests, NULL, NULL);
}
