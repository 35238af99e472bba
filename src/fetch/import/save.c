// SPDX-License-Identifier: Apache-2.0
#include "fetch/import/save.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/imageref.h"
#include "image/wasm.h"

enum { BLOCK = 512 };

struct save {
    const struct work *w;
    int fd;
    char (*written)[DIGEST_SIZE]; /* blobs that are in the archive */
    size_t n, cap;
    json_t *entries, *docker; /* of index.json and manifest.json */
    struct zl_error *err;
};

static void save_done(struct save *s)
{
    free(s->written);
    json_decref(s->entries);
    json_decref(s->docker);
}

/* ---- tar ------------------------------------------------------------------------------------- */

/* ustar; a size of 8 GiB and more is written in base 256, as GNU and Go read it. */
static void put_size(uint8_t *field, uint64_t size)
{
    if (size < UINT64_C(1) << 33) {
        (void)snprintf((char *)field, 12, "%011llo", (unsigned long long)size);
        return;
    }
    for (int i = 11; i > 0; i--, size >>= 8)
        field[i] = (uint8_t)size;
    field[0] = 0x80;
}

static int put_header(struct save *s, const char *name, uint64_t size)
{
    uint8_t block[BLOCK] = { 0 };
    char sum_text[8];
    unsigned sum = 0;
    (void)snprintf((char *)block, 100, "%s", name); /* ours: 77 at most */
    memcpy(block + 100,
           "0000644\0"
           "0000000\0"
           "0000000",
           24);
    put_size(block + 124, size);
    memcpy(block + 136, "00000000000", 12);
    memset(block + 148, ' ', 8);
    block[156] = '0';
    memcpy(block + 257, "ustar", 6);
    block[263] = block[264] = '0'; /* the version */
    for (size_t i = 0; i < BLOCK; i++)
        sum += block[i];
    (void)snprintf(sum_text, sizeof sum_text, "%06o", sum & 0777777);
    memcpy(block + 148, sum_text, 7);
    return zl_write_all(s->fd, block, BLOCK, "the archive", s->err);
}

static int put_padding(struct save *s, uint64_t size)
{
    static const char zeros[BLOCK];
    return zl_write_all(s->fd, zeros, (size_t)(-size & (BLOCK - 1)), "the archive", s->err);
}

static int put_text(struct save *s, const char *name, const char *text, size_t n)
{
    return put_header(s, name, n) < 0 || zl_write_all(s->fd, text, n, "the archive", s->err) < 0
               ? -1
               : put_padding(s, n);
}

static int put_json(struct save *s, const char *name, const json_t *v)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    if (zl_json_dump(v, JSON_COMPACT, &text, s->err) < 0)
        return -1;
    return put_text(s, name, text.data, text.len);
}

/* ---- blobs ----------------------------------------------------------------------------------- */

static int send_all(struct save *s, int from, uint64_t size)
{
    for (uint64_t left = size; left;) {
        ssize_t n = sendfile(s->fd, from, NULL, left < (1 << 30) ? (size_t)left : 1 << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(s->err, "write the archive");
        if (n == 0)
            return zl_fail(s->err, ZL_ERR_INVALID, "a blob of the store became shorter");
        left -= (uint64_t)n;
    }
    return put_padding(s, size);
}

static bool is_written(const struct save *s, const char *digest)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->written[i], digest) == 0)
            return true;
    }
    return false;
}

static int put_blob(struct save *s, const char *digest)
{
    char name[LAYOUT_PATH];
    struct stat st;
    if (is_written(s, digest))
        return 0;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        char(*grown)[DIGEST_SIZE] = reallocarray(s->written, cap, sizeof *grown);
        if (!grown)
            return zl_fail_errno(s->err, "save an image");
        s->written = grown;
        s->cap = cap;
    }
    (void)snprintf(s->written[s->n++], DIGEST_SIZE, "%s", digest);
    zl_autoclose int fd =
        openat(s->w->store.blobs, layout_hex(digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return zl_fail_errno(s->err, "open blob %s", digest);
    (void)snprintf(name, sizeof name, LAYOUT_BLOBS "/%s", layout_hex(digest));
    return put_header(s, name, (uint64_t)st.st_size) < 0 ? -1
                                                         : send_all(s, fd, (uint64_t)st.st_size);
}

/* ---- one image ------------------------------------------------------------------------------- */

/* One entry of index.json for each name, or one without. */
static int add_entries(struct save *s, const struct ordered_image *o, uint64_t size,
                       const char *media_type)
{
    size_t i = 0;
    do {
        struct zl_imageref r;
        const char *why, *name = o->names.n ? o->names.v[i] : NULL;
        json_t *entry = json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", o->digest,
                                  "size", (json_int_t)size);
        if (entry && name && zl_imageref_parse(name, &r, &why) == 0)
            (void)json_object_set_new(entry, "annotations",
                                      json_pack("{s:s, s:s}", "io.containerd.image.name", name,
                                                OCI_REF_NAME, r.tag)); /* or it has no name */
        if (json_array_append_new(s->entries, entry) < 0)
            return zl_fail(s->err, ZL_ERR_SYSTEM, "save an image: out of memory");
    } while (++i < o->names.n);
    return 0;
}

static json_t *blob_path(const char *digest)
{
    return json_sprintf(LAYOUT_BLOBS "/%s", layout_hex(digest));
}

/* Of an artifact docker knows nothing. */
static int add_docker(struct save *s, const struct ordered_image *o, const struct oci_manifest *m)
{
    if (image_wasm_layer(m))
        return 0;
    json_t *names = json_array(), *layers = json_array();
    for (size_t i = 0; names && i < o->names.n; i++)
        (void)json_array_append_new(names, json_string(o->names.v[i])); /* or it has no such name */
    int rc = names && layers ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < m->layers.n; i++)
        rc = json_array_append_new(layers, blob_path(m->layers.v[i].digest));
    json_t *entry = json_pack("{s:o, s:o, s:o}", "Config", blob_path(m->config.digest), "RepoTags",
                              names, "Layers", layers);
    if (rc < 0 || json_array_append_new(s->docker, entry) < 0)
        return zl_fail(s->err, ZL_ERR_SYSTEM, "save an image: out of memory");
    return 0;
}

static int put_image(struct save *s, const struct ordered_image *o)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    autoreading struct reading r = READING;
    struct oci_manifest m;
    if (layout_read_blob(&s->w->store, o->digest, &text, s->err) < 0 ||
        reading_manifest(s->w->crew, &text, o->digest, &r, &m, s->err) < 0)
        return -1;
    if (add_entries(s, o, text.len, m.media_type ? m.media_type : OCI_MANIFEST_TYPE) < 0 ||
        add_docker(s, o, &m) < 0 || put_blob(s, o->digest) < 0 || put_blob(s, m.config.digest) < 0)
        return -1;
    for (size_t i = 0; i < m.layers.n; i++) {
        if (put_blob(s, m.layers.v[i].digest) < 0)
            return -1;
    }
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int put_index(struct save *s, bool docker)
{
    static const char zeros[2 * BLOCK];
    json_t *index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", OCI_INDEX_TYPE,
                              "manifests", s->entries);
    int rc = index ? put_json(s, "index.json", index)
                   : zl_fail(s->err, ZL_ERR_SYSTEM, "save an image: out of memory");
    json_decref(index);
    if (rc == 0 && docker)
        rc = put_json(s, "manifest.json", s->docker);
    return rc < 0 ? -1 : zl_write_all(s->fd, zeros, sizeof zeros, "the archive", s->err);
}

int save_images(const struct work *w, const struct ordered *o, int fd, struct zl_error *err)
{
    static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    ZL_CLEANUP(save_done)
    struct save s = {
        .w = w, .fd = fd, .entries = json_array(), .docker = json_array(), .err = err
    };
    if (!s.entries || !s.docker)
        return zl_fail(err, ZL_ERR_SYSTEM, "save an image: out of memory");
    if (put_text(&s, "oci-layout", version, sizeof version - 1) < 0)
        return -1;
    for (size_t i = 0; i < o->images.n; i++) {
        if (put_image(&s, &o->images.v[i]) < 0)
            return zl_wrap(err, "save %s", o->images.v[i].digest);
    }
    return put_index(&s, o->docker);
}
