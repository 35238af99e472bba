// SPDX-License-Identifier: Apache-2.0
#include "fetch/tar/tar.h"

#include <stdlib.h>
#include <string.h>

#include "fetch/tar/tar_inner.h"

/* ---- bytes ----------------------------------------------------------------------------------- */

/* The next piece when the last one is used up; false: the input has ended, or failed. */
static int more(struct tar *t, struct zl_error *err)
{
    const void *bytes = NULL;
    if (t->avail)
        return 1;
    ssize_t n = t->in->read(t->in->arg, &bytes, err);
    if (n <= 0)
        return (int)n;
    t->next = bytes;
    t->avail = (size_t)n;
    return 1;
}

static void pass(struct tar *t, size_t n)
{
    t->next += n;
    t->avail -= n;
    t->position += n;
}

static int cut_off(struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_INVALID, "the archive is cut off");
}

int tar_take(struct tar *t, void *to, size_t n, struct zl_error *err)
{
    for (size_t done = 0; done < n;) {
        int rc = more(t, err);
        if (rc <= 0)
            return rc < 0 ? -1 : cut_off(err);
        size_t part = t->avail < n - done ? t->avail : n - done;
        memcpy((char *)to + done, t->next, part);
        pass(t, part);
        done += part;
    }
    return 0;
}

int tar_skip(struct tar *t, uint64_t n, struct zl_error *err)
{
    while (n) {
        if (!t->avail && t->in->skip && n > INPUT_PIECE) {
            t->in->skip(t->in->arg, n);
            t->position += n;
            return 0;
        }
        int rc = more(t, err);
        if (rc <= 0)
            return rc < 0 ? -1 : cut_off(err);
        size_t part = t->avail < n ? t->avail : (size_t)n;
        pass(t, part);
        n -= part;
    }
    return 0;
}

static unsigned padding_of(uint64_t n)
{
    return (unsigned)(-n & (TAR_BLOCK_SIZE - 1));
}

int tar_take_extra(struct tar *t, uint64_t n, struct zl_buf *out, struct zl_error *err)
{
    zl_buf_reset(out);
    char *room = n <= TAR_EXTRA_MAX ? zl_buf_reserve(out, (size_t)n + 1) : NULL;
    if (!room)
        return zl_fail(err, ZL_ERR_INVALID, "a header of %llu bytes is too large",
                       (unsigned long long)n);
    if (tar_take(t, room, (size_t)n, err) < 0)
        return -1;
    out->len = (size_t)n;
    out->data[n] = '\0';
    return tar_skip(t, padding_of(n), err);
}

/* ---- one block ------------------------------------------------------------------------------- */

struct field {
    unsigned short at, size;
};
static const struct field f_name = { 0, 100 }, f_mode = { 100, 8 }, f_uid = { 108, 8 },
                          f_gid = { 116, 8 }, f_size = { 124, 12 }, f_mtime = { 136, 12 },
                          f_sum = { 148, 8 }, f_link = { 157, 100 }, f_major = { 329, 8 },
                          f_minor = { 337, 8 }, f_prefix = { 345, 155 },
                          f_star_prefix = { 345, 131 };
enum { AT_TYPE = 156, AT_MAGIC = 257, AT_STAR = 508 };

static int number(const struct tar *t, struct field f, int64_t *ret)
{
    return tar_number(t->block + f.at, f.size, ret);
}

static void add_text(const struct tar *t, struct field f, struct zl_buf *out)
{
    const char *text = (const char *)t->block + f.at;
    zl_buf_add(out, text, strnlen(text, f.size));
}

/* The sum of the block with blanks for itself; some old programs added signed characters. */
static bool sum_is_right(const struct tar *t)
{
    int64_t wanted, plain = 0, high = 0;
    if (number(t, f_sum, &wanted) < 0)
        return false;
    for (size_t i = 0; i < TAR_BLOCK_SIZE; i++) {
        plain += t->block[i];
        high += t->block[i] >> 7;
    }
    for (size_t i = 0; i < f_sum.size; i++)
        plain += ' ' - t->block[f_sum.at + i];
    return wanted == plain || wanted == plain - 256 * high;
}

static bool is_zero(const struct tar *t)
{
    return t->block[0] == 0 && memcmp(t->block, t->block + 1, TAR_BLOCK_SIZE - 1) == 0;
}

/* The next block that says something: 1; 0: the archive ends, by two blocks of zeros or, as many
 * do it, between entries. */
static int next_block(struct tar *t, struct zl_error *err)
{
    for (int zeros = 0; zeros < 2;) {
        int rc = more(t, err);
        if (rc <= 0)
            return rc;
        if (tar_take(t, t->block, TAR_BLOCK_SIZE, err) < 0)
            return -1;
        if (is_zero(t)) {
            zeros++;
            continue;
        }
        if (zeros || !sum_is_right(t))
            return zl_fail(err, ZL_ERR_INVALID,
                           t->position > TAR_BLOCK_SIZE ? "the archive is damaged at byte %llu"
                                                        : "it is not a tar archive",
                           (unsigned long long)t->position - TAR_BLOCK_SIZE);
        return 1;
    }
    return 0;
}

/* ---- one entry ------------------------------------------------------------------------------- */

static const struct {
    char flag;
    enum tar_type type;
} types[] = {
    { '0', TAR_FILE },     { '\0', TAR_FILE },   { '7', TAR_FILE }, { 'S', TAR_FILE },
    { '1', TAR_HARDLINK }, { '2', TAR_SYMLINK }, { '3', TAR_CHAR }, { '4', TAR_BLOCK },
    { '5', TAR_DIR },      { '6', TAR_FIFO },
};

static int find_type(struct tar *t, enum tar_type *ret, struct zl_error *err)
{
    char flag = (char)t->block[AT_TYPE];
    size_t n = t->path.len;
    for (size_t i = 0; i < ZL_ARRAY_LEN(types); i++) {
        if (types[i].flag != flag)
            continue;
        *ret = types[i].type;
        if (!flag && n && t->path.data[n - 1] == '/') /* before POSIX, folders had no flag */
            *ret = TAR_DIR;
        return 0;
    }
    return zl_fail(err, ZL_ERR_UNSUPPORTED, "'%s': entries of type 0x%02x are not supported",
                   t->path.data, (unsigned char)flag);
}

/* A name: of a pax header, of GNU's long names, or of the block. */
static int find_names(struct tar *t, struct zl_error *err)
{
    static const char posix[] = "ustar"; /* and a NUL; GNU has blanks, and no prefix */
    const uint8_t *b = t->block;
    bool is_posix = memcmp(b + AT_MAGIC, posix, sizeof posix) == 0;
    bool is_star = is_posix && memcmp(b + AT_STAR, "tar", 4) == 0;
    if (!t->long_path) {
        zl_buf_reset(&t->path);
        if (is_posix && b[f_prefix.at] && !t->pax.path) {
            add_text(t, is_star ? f_star_prefix : f_prefix, &t->path);
            zl_buf_addc(&t->path, '/');
        }
        if (t->pax.path)
            zl_buf_adds(&t->path, t->pax.path);
        else
            add_text(t, f_name, &t->path);
    }
    if (!t->long_link) {
        zl_buf_reset(&t->link);
        if (t->pax.link)
            zl_buf_adds(&t->link, t->pax.link);
        else
            add_text(t, f_link, &t->link);
    }
    if (zl_buf_check(&t->path, "the name of an entry", err) < 0)
        return -1;
    return zl_buf_check(&t->link, "the target of a link", err);
}

static int bad_field(const struct tar *t, const char *what, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_INVALID, "'%s': its %s is not a valid number", t->path.data, what);
}

/* A number: of the pax header if it has one, else of the block; at most max. */
static int find_number(const struct tar *t, const char *pax, struct field f, uint64_t max,
                       const char *what, uint64_t *ret, struct zl_error *err)
{
    int64_t n;
    if (pax ? tar_decimal(pax, ret) < 0 : number(t, f, &n) < 0 || n < 0)
        return bad_field(t, what, err);
    if (!pax)
        *ret = (uint64_t)n;
    return *ret <= max ? 0
                       : zl_fail(err, ZL_ERR_INVALID, "'%s': its %s %llu is out of range",
                                 t->path.data, what, (unsigned long long)*ret);
}

static int find_time(const struct tar *t, struct timespec *ret, struct zl_error *err)
{
    int64_t n;
    *ret = (struct timespec){ 0 };
    if (t->pax.mtime)
        return tar_pax_time(t->pax.mtime, ret) < 0 ? bad_field(t, "time", err) : 0;
    if (number(t, f_mtime, &n) < 0)
        return bad_field(t, "time", err);
    ret->tv_sec = n;
    return 0;
}

static int find_device(const struct tar *t, struct tar_entry *e, struct zl_error *err)
{
    uint64_t major = 0, minor = 0;
    if (e->type != TAR_CHAR && e->type != TAR_BLOCK)
        return 0;
    /* The kernel has 12 and 20 bits for them: makedev(3), linux/kdev_t.h. */
    if (find_number(t, t->pax.dev_major, f_major, 0xfff, "major number", &major, err) < 0 ||
        find_number(t, t->pax.dev_minor, f_minor, 0xfffff, "minor number", &minor, err) < 0)
        return -1;
    e->dev_major = (unsigned)major;
    e->dev_minor = (unsigned)minor;
    return 0;
}

/* Links, folders and devices have no content, whatever their size says. */
static int find_content(struct tar *t, struct tar_entry *e, struct zl_error *err)
{
    uint64_t size = 0;
    t->at = 0;
    t->extent = 0;
    t->left = 0;
    t->padding = 0;
    e->size = 0;
    if (e->type != TAR_FILE)
        return 0;
    if (find_number(t, t->pax.size, f_size, INT64_MAX, "size", &size, err) < 0)
        return -1;
    t->left = size;
    t->padding = padding_of(size);
    int rc = t->block[AT_TYPE] == 'S' ? tar_sparse_gnu(t, err) : tar_sparse_pax(t, err);
    if (rc < 0 || (t->sparse.is && tar_sparse_check(t, err) < 0))
        return zl_wrap(err, "'%s'", t->path.data);
    e->size = t->sparse.is ? t->sparse.size : size;
    return 0;
}

static int fill(struct tar *t, struct tar_entry *e, struct zl_error *err)
{
    uint64_t mode = 0, uid = 0, gid = 0;
    /* UINT32_MAX as an owner means "leave it" to chown(2). */
    if (find_names(t, err) < 0 || find_type(t, &e->type, err) < 0 ||
        find_number(t, NULL, f_mode, UINT32_MAX, "mode", &mode, err) < 0 ||
        find_number(t, t->pax.uid, f_uid, UINT32_MAX - 1, "owner", &uid, err) < 0 ||
        find_number(t, t->pax.gid, f_gid, UINT32_MAX - 1, "group", &gid, err) < 0 ||
        find_time(t, &e->mtime, err) < 0 || find_device(t, e, err) < 0 ||
        find_content(t, e, err) < 0)
        return -1;
    e->mode = (unsigned)mode & 07777;
    e->uid = (uint32_t)uid;
    e->gid = (uint32_t)gid;
    e->path = t->sparse.is && t->pax.sparse_name ? t->pax.sparse_name : t->path.data;
    e->link = t->link.data;
    e->xattrs = t->pax.xattrs;
    e->n_xattrs = t->pax.n_xattrs;
    return 0;
}

static void forget_entry(struct tar *t)
{
    t->long_path = t->long_link = false;
    t->pax = (struct tar_pax){ 0 };
    t->sparse.is = false;
    t->sparse.n = 0;
}

/* An entry that only says something about the next one: 1 when it was such, else 0. */
static int take_about(struct tar *t, struct zl_error *err)
{
    uint64_t size = 0;
    char flag = (char)t->block[AT_TYPE];
    if (!flag || !strchr("xXgLKV", flag))
        return 0;
    if (find_number(t, NULL, f_size, INT64_MAX, "size", &size, err) < 0)
        return -1;
    int rc = -1;
    switch (flag) {
    case 'x':
    case 'X': /* Solaris' */
        rc = tar_take_extra(t, size, &t->pax_bytes, err) < 0 ? -1 : tar_pax_parse(t, err);
        break;
    case 'L':
        rc = tar_take_extra(t, size, &t->path, err);
        t->path.len = strlen(t->path.data);
        t->long_path = true;
        break;
    case 'K':
        rc = tar_take_extra(t, size, &t->link, err);
        t->link.len = strlen(t->link.data);
        t->long_link = true;
        break;
    default: /* 'g': defaults, which no image may rely on, since Docker ignores them; 'V': a label
              */
        rc = size > TAR_EXTRA_MAX ? zl_fail(err, ZL_ERR_INVALID, "a header is too large")
                                  : tar_skip(t, size + padding_of(size), err);
        break;
    }
    return rc < 0 ? -1 : 1;
}

int tar_next(struct tar *t, struct tar_entry *ret, struct zl_error *err)
{
    if (t->ended)
        return 0;
    if (tar_skip(t, t->left, err) < 0)
        return -1;
    int rest = t->padding ? more(t, err) : 1;
    if (rest <= 0) { /* umoci insert ends without padding, and Go takes it */
        t->ended = rest == 0;
        return rest;
    }
    if (tar_skip(t, t->padding, err) < 0)
        return -1;
    t->left = t->padding = 0;
    forget_entry(t);
    for (bool about = false;; about = true) {
        int rc = next_block(t, err);
        if (rc == 0 && about)
            return cut_off(err);
        if (rc <= 0) {
            t->ended = rc == 0;
            return rc;
        }
        rc = take_about(t, err);
        if (rc <= 0)
            return rc < 0 || fill(t, ret, err) < 0 ? -1 : 1;
    }
}

/* ---- its content ----------------------------------------------------------------------------- */

ssize_t tar_data(struct tar *t, const void **bytes, uint64_t *offset, struct zl_error *err)
{
    uint64_t most = t->left;
    if (!t->left)
        return 0;
    if (t->sparse.is) { /* checked: the extents hold exactly what is left */
        const struct tar_extent *e = &t->sparse.extents[t->extent];
        while (!e->length || t->at >= e->offset + e->length)
            e = &t->sparse.extents[++t->extent];
        if (t->at < e->offset)
            t->at = e->offset;
        most = e->offset + e->length - t->at;
    }
    int rc = more(t, err);
    if (rc <= 0)
        return rc < 0 ? -1 : cut_off(err);
    size_t n = t->avail < most ? t->avail : (size_t)most;
    *bytes = t->next;
    *offset = t->at;
    pass(t, n);
    t->at += n;
    t->left -= n;
    return (ssize_t)n;
}

uint64_t tar_position(const struct tar *t)
{
    return t->position;
}

int tar_new(const struct input *in, struct tar **ret, struct zl_error *err)
{
    struct tar *t = calloc(1, sizeof *t);
    if (!t)
        return zl_fail_errno(err, "read an archive");
    t->in = in;
    zl_buf_init(&t->pax_bytes, TAR_EXTRA_MAX + 1);
    zl_buf_init(&t->path, TAR_EXTRA_MAX + 1);
    zl_buf_init(&t->link, TAR_EXTRA_MAX + 1);
    *ret = t;
    return 0;
}

void tar_free(struct tar *t)
{
    if (!t)
        return;
    zl_buf_done(&t->pax_bytes);
    zl_buf_done(&t->path);
    zl_buf_done(&t->link);
    free(t->sparse.extents);
    free(t);
}
