// SPDX-License-Identifier: Apache-2.0
/*
 * Two archives of libarchive in a row: the outer one only decompresses ("raw"), the inner one reads
 * tar from what the outer one gives; the sums are taken in between. One archive would do both, but
 * shows nobody the bytes in the middle, whose sum the image's config must contain.
 */
#include "fetch/layer.h"

#include <archive.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fetch/unpack.h"

enum { CHUNK = 256 * 1024 };

struct stream {
    int fd, blob_fd;
    struct digest *blob_sum, *diff_sum;
    struct archive *outer, *inner;
    struct progress progress;
    uint64_t size, diff_size;
    struct zl_error *err; /* of our own half; set: the archives' message only repeats it */
    bool failed;
    char chunk[CHUNK];
};

static void stream_free(struct stream *s)
{
    if (!s)
        return;
    (void)archive_read_free(s->inner); /* both were only read */
    (void)archive_read_free(s->outer);
    digest_free(s->blob_sum);
    digest_free(s->diff_sum);
    zl_closep(&s->blob_fd);
    free(s);
}
ZL_DEFINE_CLEANUP(struct stream *, stream_free)

static la_ssize_t stop(struct stream *s, struct archive *a)
{
    s->failed = true;
    archive_set_error(a, EIO, "stopped");
    return ARCHIVE_FATAL;
}

/* The file, on its way into the outer archive. */
static la_ssize_t read_blob(struct archive *a, void *arg, const void **bytes)
{
    struct stream *s = arg;
    ssize_t n;
    do {
        n = read(s->fd, s->chunk, sizeof s->chunk);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        (void)zl_fail_errno(s->err, "read the layer"); /* told by stop() */
        return stop(s, a);
    }
    if (n == 0)
        return 0;
    if (digest_add(s->blob_sum, s->chunk, (size_t)n, s->err) < 0 ||
        zl_write_all(s->blob_fd, s->chunk, (size_t)n, "blob", s->err) < 0)
        return stop(s, a);
    s->size += (uint64_t)n;
    progress_layer(&s->progress, (uint64_t)n);
    *bytes = s->chunk;
    return n;
}

/* What comes out of the outer archive, on its way into the inner one. */
static la_ssize_t read_diff(struct archive *a, void *arg, const void **bytes)
{
    struct stream *s = arg;
    size_t n = 0;
    la_int64_t offset;
    int rc = archive_read_data_block(s->outer, bytes, &n, &offset);
    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc < ARCHIVE_WARN) {
        if (!s->failed)
            (void)zl_fail(s->err, ZL_ERR_INVALID, "decompress the layer: %s",
                          archive_error_string(s->outer)); /* told by stop() */
        return stop(s, a);
    }
    s->diff_size += n;
    if (s->diff_size > UNPACK_MAX_STREAM) {
        (void)zl_fail(s->err, ZL_ERR_INVALID, "the layer is larger than %llu GiB uncompressed",
                      (unsigned long long)(UNPACK_MAX_STREAM >> 30)); /* told by stop() */
        return stop(s, a);
    }
    if (digest_add(s->diff_sum, *bytes, n, s->err) < 0)
        return stop(s, a);
    return (la_ssize_t)n;
}

static int archive_failed(struct stream *s, struct archive *a, const char *what)
{
    if (s->failed)
        return -1; /* s->err says why */
    const char *text = archive_error_string(a);
    return zl_fail(s->err, ZL_ERR_INVALID, "%s: %s", what, text ? text : "not an archive");
}

static int open_stream(struct stream *s)
{
    struct archive_entry *raw;
    s->outer = archive_read_new();
    s->inner = archive_read_new();
    if (!s->outer || !s->inner)
        return zl_fail(s->err, ZL_ERR_SYSTEM, "read the layer: out of memory");
    if (archive_read_support_filter_gzip(s->outer) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(s->outer) != ARCHIVE_OK ||
        archive_read_support_format_raw(s->outer) != ARCHIVE_OK ||
        archive_read_open(s->outer, s, NULL, read_blob, NULL) != ARCHIVE_OK ||
        archive_read_next_header(s->outer, &raw) != ARCHIVE_OK)
        return archive_failed(s, s->outer, "read the layer");
    if (archive_read_support_format_tar(s->inner) != ARCHIVE_OK ||
        archive_read_open(s->inner, s, NULL, read_diff, NULL) != ARCHIVE_OK)
        return archive_failed(s, s->inner, "read the layer as a tar archive");
    return 0;
}

/* What follows the archive's end belongs to both sums. */
static int drain(struct stream *s)
{
    const void *bytes;
    la_ssize_t n;
    do {
        n = read_diff(s->inner, s, &bytes);
    } while (n > 0);
    while (n == 0 && (n = read_blob(s->outer, s, &bytes)) > 0)
        n = 0;
    return n < 0 ? -1 : 0;
}

static const char *media_type(struct archive *outer)
{
    static const struct {
        int code;
        const char *type;
    } types[] = {
        { ARCHIVE_FILTER_NONE, OCI_LAYER_TYPE },
        { ARCHIVE_FILTER_GZIP, OCI_LAYER_TYPE "+gzip" },
        { ARCHIVE_FILTER_ZSTD, OCI_LAYER_TYPE "+zstd" },
    };
    int code = archive_filter_code(outer, 0);
    for (size_t i = 0; i < ZL_ARRAY_LEN(types); i++) {
        if (types[i].code == code)
            return types[i].type;
    }
    return OCI_LAYER_TYPE;
}

/* Compares what came out with what was promised, or fills it in. */
static int settle_digest(struct digest *sum, char promised[DIGEST_SIZE], const char *what,
                         struct zl_error *err)
{
    char found[DIGEST_SIZE];
    if (digest_end(sum, found, err) < 0)
        return -1;
    if (promised[0] && strcmp(promised, found) != 0)
        return zl_fail(err, ZL_ERR_INVALID, "the %s of the layer is %s, not %s", what, found,
                       promised);
    memcpy(promised, found, sizeof found);
    return 0;
}

/* chain(1) = diff(1); chain(n) = sha256(chain(n-1) " " diff(n)): image-spec, config.md. */
static int chain_id(const struct layer *below, size_t n_below, const struct layer *l,
                    char out[DIGEST_SIZE], struct zl_error *err)
{
    memcpy(out, n_below ? below[0].diff_id : l->diff_id, DIGEST_SIZE);
    for (size_t i = 1; i <= n_below; i++) {
        char text[2 * DIGEST_SIZE];
        int n =
            snprintf(text, sizeof text, "%s %s", out, i < n_below ? below[i].diff_id : l->diff_id);
        if (digest_of(text, (size_t)n, out, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- into the store -------------------------------------------------------------------------- */

struct models { /* roots of the layers below */
    int fds[OCI_LAYERS_MAX];
    size_t n;
};

static void models_done(struct models *m)
{
    for (size_t i = 0; i < m->n; i++)
        zl_closep(&m->fds[i]);
}

static int open_models(struct work *w, const struct layer *below, size_t n, struct models *m,
                       struct zl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        char name[LAYOUT_PATH];
        (void)snprintf(name, sizeof name, "%u/fs", below[i].number);
        m->fds[i] = openat(w->store.layers, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (m->fds[i] < 0)
            return zl_fail_errno(err, "open layers/%s", name);
        m->n = i + 1;
    }
    return 0;
}

static int unpack_stream(struct work *w, struct stream *s, const struct layer *below,
                         size_t n_below)
{
    ZL_CLEANUP(models_done) struct models models = { .n = 0 };
    zl_autoclose int root = zl_mkdir_p(w->dir, "layer/fs", 0755, s->err);
    if (root < 0 || open_models(w, below, n_below, &models, s->err) < 0 || open_stream(s) < 0)
        return -1;
    struct tree tree = TREE(root, models.fds, models.n);
    struct zl_error first = { 0 };
    int rc = unpack_tar(s->inner, &tree, &first);
    tree_done(&tree);
    if (rc < 0 && !s->failed && s->err)
        *s->err = first; /* else the cause is in s->err, and the archive's message is its echo */
    return rc < 0 ? -1 : drain(s);
}

static int run_stream(struct work *w, struct stream *s, const struct layer *below, size_t n_below,
                      struct layer *l, struct zl_error *err)
{
    struct stat st;
    s->err = err;
    s->blob_fd = openat(w->dir, "blob", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->blob_fd < 0 || fstat(s->fd, &st) < 0)
        return zl_fail_errno(err, "create a blob");
    s->progress.total = (uint64_t)st.st_size;
    s->progress.digest = l->digest[0] ? l->digest : NULL;
    s->blob_sum = digest_new(err);
    s->diff_sum = s->blob_sum ? digest_new(err) : NULL;
    if (!s->diff_sum || unpack_stream(w, s, below, n_below) < 0)
        return -1;
    if (fsync(s->blob_fd) < 0)
        return zl_fail_errno(err, "sync a blob");
    l->size = s->size;
    l->media_type = media_type(s->outer);
    if (settle_digest(s->blob_sum, l->digest, "digest", err) < 0)
        return -1;
    return settle_digest(s->diff_sum, l->diff_id, "diff id", err);
}

int layer_import(struct work *w, int fd, const struct layer *below, size_t n_below, struct layer *l,
                 struct zl_error *err)
{
    char chain[DIGEST_SIZE];
    if (l->digest[0] && l->diff_id[0] && work_has_blob(w, l->digest)) {
        if (chain_id(below, n_below, l, chain, err) < 0 ||
            work_find_layer(w, chain, &l->number, err) < 0)
            return -1;
        if (l->number)
            return 0;
    }
    ZL_CLEANUP(stream_freep) struct stream *s = calloc(1, sizeof *s);
    if (!s)
        return zl_fail_errno(err, "read the layer");
    s->fd = fd;
    s->blob_fd = -1;
    if (run_stream(w, s, below, n_below, l, err) < 0 ||
        chain_id(below, n_below, l, chain, err) < 0 ||
        work_publish_blob(w, "blob", l->digest, err) < 0 ||
        work_publish_layer(w, "layer", chain, &l->number, err) < 0)
        return -1;
    return zl_remove_tree(w->dir, "layer", err); /* still there when the store had it already */
}
