// SPDX-License-Identifier: Apache-2.0
#include "cli/container/detach.h"

#include <string.h>

/* One key: "ctrl-" and a letter or one of @[\\]^_, or the character itself; -1: neither. */
static int key_of(const char *word, size_t n)
{
    char c;
    if (n == 1)
        return (unsigned char)*word;
    if (n != 6 || strncmp(word, "ctrl-", 5) != 0)
        return -1;
    c = word[5];
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 1;
    return c >= '@' && c <= '_' ? c - '@' : -1;
}

int detach_init(struct detach *d, const char *keys, struct zl_error *err)
{
    const char *text = keys ? keys : DETACH_KEYS_DEFAULT;
    *d = (struct detach){ 0 };
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ",");
        int key = p[n] == ',' && !p[n + 1] ? -1 : key_of(p, n);
        if (key < 0 || d->n == DETACH_KEYS_MAX)
            return zl_fail(err, ZL_ERR_INVALID,
                           "detach keys '%s': at most %d of a character or ctrl-x, with commas "
                           "between them",
                           text, DETACH_KEYS_MAX);
        d->keys[d->n++] = (char)key;
        p += n + (p[n] == ',');
    }
    return 0;
}

/* How many of the keys the end of keys[0..d->held] and c, which did not continue it, begin. */
static size_t fall_back(const struct detach *d, char c)
{
    char typed[DETACH_KEYS_MAX + 1];
    size_t n = d->held;
    (void)memcpy(typed, d->keys, n);
    typed[n] = c;
    for (size_t from = 1; from <= n; from++)
        if (memcmp(typed + from, d->keys, n + 1 - from) == 0)
            return n + 1 - from;
    return 0;
}

bool detach_filter(struct detach *d, char *bytes, size_t *n)
{
    char in[64];
    size_t total = *n, out = 0, before = d->held;
    (void)memmove(bytes + before, bytes, total); /* room for what may have to be let go */
    for (size_t i = 0; i < total; i++) {
        char c = bytes[before + i];
        size_t held = d->n > 0 && c == d->keys[d->held] ? d->held + 1 : fall_back(d, c);
        if (held == d->n && d->n > 0) {
            *n = out;
            d->held = 0;
            return true;
        }
        /* of the held keys and c, the last `held` stay back */
        size_t let_go = d->held + 1 - held;
        (void)memcpy(in, d->keys, d->held);
        in[d->held] = c;
        (void)memcpy(bytes + out, in, let_go);
        out += let_go;
        d->held = held;
    }
    *n = out;
    return false;
}
