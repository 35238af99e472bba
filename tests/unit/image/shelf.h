// SPDX-License-Identifier: Apache-2.0
/* A store in a temporary directory, and images put into it. */
#ifndef ZL_TEST_IMAGE_SHELF_H
#define ZL_TEST_IMAGE_SHELF_H

#include "tarball.h"

#include "base/dir.h"
#include "fetch/digest.h"
#include "fetch/import/import.h"
#include "fetch/registry/platform.h"
#include "image/store.h"

struct shelf {
    struct scratch dir; /* sources lie here */
    int root;           /* of the store: dir/root */
    struct image_store *store;
};

static inline struct shelf shelf_open(void)
{
    struct shelf s = { .dir = scratch_open() };
    struct zl_error err;
    s.root = zl_mkdir_p(s.dir.fd, "root", 0755, &err);
    assert_true(s.root >= 0);
    if (image_store_open(s.root, &s.store, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

static inline void shelf_close(struct shelf *s)
{
    image_store_free(s->store);
    (void)close(s->root);
    scratch_remove(&s->dir);
}

static inline int shelf_keep_digest(void *arg, const char *digest, const char *const *names,
                                    struct zl_error *err)
{
    (void)names;
    (void)err;
    memcpy(arg, digest, DIGEST_SIZE);
    return 0;
}

/* Imports dir/<name> ("x.tar", "oci:layout:tag"): only those who unpack are confined here. */
static inline int shelf_import(struct shelf *s, const char *name, char digest[DIGEST_SIZE],
                               struct zl_error *err)
{
    char text[200];
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    ZL_CLEANUP(source_close) struct source source = SOURCE_CLOSED;
    struct work work;
    const char *colon = strchr(name, ':');
    int scheme = colon ? (int)(colon - name) + 1 : 0;
    (void)snprintf(text, sizeof text, "%.*s%s/%s", scheme, name, s->dir.path, name + scheme);
    if (crew_start(&crew, err) < 0 || source_open(text, &source, err) < 0)
        return -1;
    assert_int_equal(work_open(s->root, s->root, &crew, &work, err), 0);
    int rc = import_source(&work, &source, false, shelf_keep_digest, digest, err);
    work_close(&work);
    return rc;
}

static inline void shelf_add(struct shelf *s, const char *name, const char *reference,
                             char digest[DIGEST_SIZE])
{
    struct zl_error err;
    if (shelf_import(s, name, digest, &err) < 0 ||
        image_tag(s->store, reference, digest, NULL, &err) < 0)
        fail_msg("%s", err.msg);
}

/* How many entries a folder of the store has, "." and ".." apart. */
static inline int shelf_count(struct shelf *s, const char *folder)
{
    int n = 0;
    zl_autodir DIR *dir = zl_dir_open(s->root, folder);
    assert_non_null(dir);
    for (struct dirent *d = readdir(dir); d; d = readdir(dir))
        n += !zl_is_dots(d->d_name);
    return n;
}

#endif
