// SPDX-License-Identifier: Apache-2.0
#include "image/layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/dir.h"
#include "base/fd.h"

static int write_if_missing(int dir_fd, const char *name, const char *text, struct zl_error *err)
{
    if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return zl_write_atomic(dir_fd, name, text, strlen(text), 0600, true, err);
}

static int fill(const struct layout *l, struct zl_error *err)
{
    if (write_if_missing(l->images, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err) < 0)
        return -1;
    if (faccessat(l->images, LAYOUT_INDEX, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    zl_autoclose int lock = layout_lock(l, LAYOUT_LOCK, LOCK_EX, err); /* against another's index */
    if (lock < 0)
        return -1;
    return write_if_missing(
        l->images, LAYOUT_INDEX,
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX_TYPE "\",\"manifests\":[]}", err);
}

int layout_open(int root_fd, struct layout *ret, struct zl_error *err)
{
    ZL_CLEANUP(layout_close) struct layout l = LAYOUT_CLOSED;
    l.images = zl_mkdir_p(root_fd, LAYOUT_IMAGES, 0700, err);
    if (l.images >= 0)
        l.blobs = zl_mkdir_p(l.images, LAYOUT_BLOBS, 0700, err);
    if (l.blobs >= 0)
        l.partial = zl_mkdir_p(l.images, LAYOUT_PARTIAL, 0700, err);
    if (l.partial >= 0)
        l.layers = zl_mkdir_p(root_fd, LAYOUT_LAYERS, 0700, err);
    if (l.layers >= 0)
        l.of = zl_mkdir_p(l.layers, LAYOUT_OF, 0700, err);
    if (l.of < 0 || fill(&l, err) < 0)
        return zl_wrap(err, "open the image store");
    *ret = l;
    l = (struct layout)LAYOUT_CLOSED;
    return 0;
}

void layout_close(struct layout *l)
{
    zl_closep(&l->images);
    zl_closep(&l->blobs);
    zl_closep(&l->partial);
    zl_closep(&l->layers);
    zl_closep(&l->of);
    *l = (struct layout)LAYOUT_CLOSED;
}

int layout_lock(const struct layout *l, const char *name, int operation, struct zl_error *err)
{
    zl_autoclose int fd = openat(l->images, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = -1;
    if (fd >= 0) {
        do {
            rc = flock(fd, operation);
        } while (rc < 0 && errno == EINTR);
    }
    return rc < 0 ? zl_fail_errno(err, "lock images/%s", name) : zl_take_fd(&fd);
}

const char *layout_hex(const char *digest)
{
    return digest + strlen("sha256:");
}

int layout_read_blob(const struct layout *l, const char *digest, struct zl_buf *out,
                     struct zl_error *err)
{
    if (zl_read_file(l->blobs, layout_hex(digest), out, err) < 0)
        return zl_wrap(err, "read blob %s", digest);
    return 0;
}

bool layout_is_tmp(const char *name)
{
    return strncmp(name, LAYOUT_TMP, strlen(LAYOUT_TMP)) == 0;
}

/* "12" is 12; anything else but a number as we write it is refused. */
static bool parse_number(const char *name, uint32_t *ret)
{
    size_t n = strspn(name, "0123456789");
    if (!n || n > 9 || name[n] || name[0] == '0')
        return false;
    *ret = (uint32_t)strtoul(name, NULL, 10);
    return true;
}

int layout_read_layers(const struct layout *l, const char *digest, uint32_t *ret, size_t max,
                       size_t *n, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(16384);
    if (zl_read_file(l->of, layout_hex(digest), &text, err) < 0) {
        if (err && err->errnum == ENOENT)
            return zl_fail(err, ZL_ERR_NOT_FOUND, "the layers of %s are not unpacked", digest);
        return -1;
    }
    char *rest = NULL;
    *n = 0;
    for (char *word = strtok_r(text.data, " \n", &rest); word;
         word = strtok_r(NULL, " \n", &rest)) {
        if (*n == max || !parse_number(word, &ret[*n]))
            return zl_fail(err, ZL_ERR_INVALID, "layers/of/%s is damaged", layout_hex(digest));
        ++*n;
    }
    return 0;
}

int layout_write_layers(const struct layout *l, const char *digest, const uint32_t *layers,
                        size_t n, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(16384);
    for (size_t i = 0; i < n; i++)
        zl_buf_addf(&text, "%u%c", layers[i], i + 1 < n ? ' ' : '\n');
    if (zl_buf_check(&text, "the list of layers", err) < 0)
        return -1;
    return zl_write_atomic(l->of, layout_hex(digest), text.data, text.len, 0600, true, err);
}

struct layer_walk {
    layout_layer_fn fn;
    void *arg;
};

static int visit_layer(void *arg, const struct dirent *entry, struct zl_error *err)
{
    const struct layer_walk *w = arg;
    uint32_t n;
    return parse_number(entry->d_name, &n) ? w->fn(w->arg, n, err) : 0;
}

int layout_each_layer(const struct layout *l, layout_layer_fn fn, void *arg, struct zl_error *err)
{
    struct layer_walk w = { fn, arg };
    return zl_dir_each(l->layers, "the layers", visit_layer, &w, err);
}

uint64_t layout_tree_bytes(int dir_fd, const char *name)
{
    struct stat st;
    uint64_t bytes = 0;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return (uint64_t)st.st_blocks * 512 / (st.st_nlink ? st.st_nlink : 1);
    bytes = (uint64_t)st.st_blocks * 512;
    zl_autodir DIR *dir = zl_dir_open(dir_fd, name);
    for (const struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir)) {
        if (!zl_is_dots(d->d_name))
            bytes += layout_tree_bytes(dirfd(dir), d->d_name);
    }
    return bytes;
}
