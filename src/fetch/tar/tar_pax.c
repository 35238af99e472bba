// SPDX-License-Identifier: Apache-2.0
/* Numbers of tar headers, and the records of pax headers: "LENGTH KEY=VALUE\n" (pax(1p)). */
#include <limits.h>
#include <string.h>

#include "fetch/tar/tar_inner.h"

/* ---- numbers --------------------------------------------------------------------------------- */

/* Two's complement, most significant byte first; the first bit only marks the form. */
static int base256(const uint8_t *field, size_t n, int64_t *ret)
{
    bool negative = field[0] & 0x40;
    uint64_t value = negative ? UINT64_MAX : 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = field[i];
        if (i == 0)
            byte = negative ? byte | 0x80 : byte & 0x7f;
        if (value >> 55 != (negative ? UINT64_MAX >> 55 : 0))
            return -1; /* the next byte would push a digit out */
        value = value << 8 | byte;
    }
    *ret = (int64_t)value;
    return 0;
}

int tar_number(const uint8_t *field, size_t n, int64_t *ret)
{
    if (field[0] & 0x80)
        return base256(field, n, ret);
    size_t i = 0;
    uint64_t value = 0;
    while (i < n && (field[i] == ' ' || field[i] == '\0'))
        i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0'); /* 12 digits at most: 36 bits */
    if (i < n && field[i] != ' ' && field[i] != '\0')
        return -1;
    *ret = (int64_t)value;
    return 0;
}

int tar_decimal(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 19 || text[digits])
        return -1;
    for (const char *p = text; *p; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return -1;
        value = value * 10 + digit;
    }
    *ret = value;
    return 0;
}

/* "-1.5" is half a second after second -2. */
int tar_pax_time(const char *text, struct timespec *ret)
{
    char whole[24];
    uint64_t seconds;
    long ns = 0, unit = 100000000;
    bool negative = *text == '-';
    text += negative;
    size_t n = strcspn(text, ".");
    if (n >= sizeof whole)
        return -1;
    memcpy(whole, text, n);
    whole[n] = '\0';
    if (tar_decimal(whole, &seconds) < 0 || seconds > INT64_MAX / 2)
        return -1;
    const char *rest = text[n] == '.' ? text + n + 1 : text + n;
    for (; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
        ns += unit * (*rest - '0'); /* beyond nanoseconds the unit is 0 */
    if (*rest)
        return -1;
    ret->tv_sec = negative ? -(int64_t)seconds - (ns != 0) : (int64_t)seconds;
    ret->tv_nsec = negative && ns ? 1000000000 - ns : ns;
    return 0;
}

/* ---- records --------------------------------------------------------------------------------- */

struct record {
    const char *key, *value; /* both end in a NUL; value may hold others */
    size_t n;                /* of the value */
};

/* Cuts one record off at *at. The text is changed: '=' and the line's end become NULs. */
static int next_record(struct zl_buf *text, size_t *at, struct record *ret)
{
    char *start = text->data + *at;
    size_t left = text->len - *at, length = 0, i = 0;
    for (; i < left && i < 8 && start[i] >= '0' && start[i] <= '9'; i++)
        length = length * 10 + (size_t)(start[i] - '0');
    if (i == 0 || i >= left || start[i] != ' ' || length > left || length < i + 3 ||
        start[length - 1] != '\n')
        return -1;
    char *key = start + i + 1, *equals = memchr(key, '=', length - i - 2);
    if (!equals || equals == key || memchr(key, '\0', (size_t)(equals - key)))
        return -1;
    *equals = start[length - 1] = '\0';
    *ret = (struct record){ key, equals + 1, (size_t)(start + length - 1 - (equals + 1)) };
    *at += length;
    return 0;
}

static const struct {
    const char *key;
    size_t at; /* of a const char * in struct tar_pax */
} texts[] = {
    { "path", offsetof(struct tar_pax, path) },
    { "linkpath", offsetof(struct tar_pax, link) },
    { "size", offsetof(struct tar_pax, size) },
    { "uid", offsetof(struct tar_pax, uid) },
    { "gid", offsetof(struct tar_pax, gid) },
    { "mtime", offsetof(struct tar_pax, mtime) },
    { "SCHILY.devmajor", offsetof(struct tar_pax, dev_major) },
    { "SCHILY.devminor", offsetof(struct tar_pax, dev_minor) },
    { "GNU.sparse.major", offsetof(struct tar_pax, sparse_major) },
    { "GNU.sparse.minor", offsetof(struct tar_pax, sparse_minor) },
    { "GNU.sparse.name", offsetof(struct tar_pax, sparse_name) },
    { "GNU.sparse.realsize", offsetof(struct tar_pax, sparse_size) },
    { "GNU.sparse.size", offsetof(struct tar_pax, sparse_size) },
};

static int take_text(struct tar_pax *p, const struct record *r, struct zl_error *err)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(texts); i++) {
        if (strcmp(texts[i].key, r->key) != 0)
            continue;
        if (memchr(r->value, '\0', r->n))
            return zl_fail(err, ZL_ERR_INVALID, "a pax header has a NUL in its %s", r->key);
        const char **to = (const char **)(void *)((char *)p + texts[i].at);
        *to = r->n ? r->value : NULL; /* an empty value takes back what was said */
    }
    return 0;
}

static int take_xattr(struct tar_pax *p, const struct record *r, struct zl_error *err)
{
    static const char prefix[] = "SCHILY.xattr.";
    if (strncmp(r->key, prefix, strlen(prefix)) != 0)
        return 0;
    if (p->n_xattrs == TAR_XATTRS_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "an entry has more than %d attributes", TAR_XATTRS_MAX);
    p->xattrs[p->n_xattrs++] = (struct tar_xattr){ r->key + strlen(prefix), r->value, r->n };
    return 0;
}

/* "OFFSET,LENGTH,OFFSET,LENGTH": format 0.1. */
static int take_map(struct tar *t, char *map, struct zl_error *err)
{
    char *rest = NULL;
    for (char *word = strtok_r(map, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        uint64_t offset, length;
        const char *second = strtok_r(NULL, ",", &rest);
        if (!second || tar_decimal(word, &offset) < 0 || tar_decimal(second, &length) < 0)
            return zl_fail(err, ZL_ERR_INVALID, "the map of a sparse file is damaged");
        if (tar_sparse_add(&t->sparse, offset, length, err) < 0)
            return -1;
    }
    t->pax.sparse_map = true;
    return 0;
}

static int take_sparse(struct tar *t, const struct record *r, struct zl_error *err)
{
    uint64_t n;
    if (strcmp(r->key, "GNU.sparse.map") == 0)
        return take_map(t, t->pax_bytes.data + (r->value - t->pax_bytes.data), err);
    bool offset = strcmp(r->key, "GNU.sparse.offset") == 0; /* format 0.0: many times, in turns */
    if (!offset && strcmp(r->key, "GNU.sparse.numbytes") != 0)
        return 0;
    if (tar_decimal(r->value, &n) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "the map of a sparse file is damaged");
    t->pax.sparse_map = true;
    if (!offset)
        return tar_sparse_add(&t->sparse, t->pax.sparse_offset, n, err);
    t->pax.sparse_offset = n;
    return 0;
}

int tar_pax_parse(struct tar *t, struct zl_error *err)
{
    t->pax = (struct tar_pax){ 0 };
    t->sparse.n = 0;
    for (size_t at = 0; at < t->pax_bytes.len;) {
        struct record r;
        if (next_record(&t->pax_bytes, &at, &r) < 0)
            return zl_fail(err, ZL_ERR_INVALID, "a pax header is damaged");
        if (take_text(&t->pax, &r, err) < 0 || take_xattr(&t->pax, &r, err) < 0 ||
            take_sparse(t, &r, err) < 0)
            return -1;
    }
    return 0;
}
