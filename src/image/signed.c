// SPDX-License-Identifier: Apache-2.0
#include "image/signed.h"

#include <string.h>

#include "base/fd.h"

enum { NOTE_MAX = 64 * 1024 };
#define BEGIN "-----BEGIN PUBLIC KEY-----"
#define END "-----END PUBLIC KEY-----"
#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

int signed_key_body(const char *pem, char ret[SIGNED_KEY_SIZE], struct zl_error *err)
{
    const char *begin = strstr(pem, BEGIN), *end = begin ? strstr(begin, END) : NULL;
    char body[SIGNED_KEY_SIZE];
    size_t n = 0;
    if (!end)
        return zl_fail(err, ZL_ERR_INVALID, "it holds no public key in PEM (%s)", BEGIN);
    for (const char *p = begin + strlen(BEGIN); p < end; p++) {
        if (*p == '\n' || *p == '\r')
            continue;
        if (!strchr(BASE64, *p) || n + 1 == sizeof body)
            return zl_fail(err, ZL_ERR_INVALID, "its public key is damaged, or too long");
        body[n++] = *p;
    }
    body[n] = '\0';
    memcpy(ret, body, n + 1);
    return n ? 0 : zl_fail(err, ZL_ERR_INVALID, "its public key is empty");
}

/* The note of a manifest; empty when there is none. */
static int read_note(const struct layout *l, const char *digest, struct zl_buf *out,
                     struct zl_error *err)
{
    struct zl_error why;
    zl_autoclose int dir = zl_mkdir_p(l->images, LAYOUT_SIGNED, 0700, err);
    if (dir < 0)
        return -1;
    if (zl_read_file(dir, layout_hex(digest), out, &why) == 0)
        return 0;
    zl_buf_reset(out);
    return why.errnum == ENOENT ? 0 : zl_fail(err, why.kind, "%s", why.msg);
}

static bool has_line(const struct zl_buf *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = text->len ? text->data : NULL; p && *p;) {
        size_t length = strcspn(p, "\n");
        if (length == n && memcmp(p, line, n) == 0)
            return true;
        p += length + (p[length] == '\n');
    }
    return false;
}

bool signed_is_by(const struct layout *l, const char *digest, const char *key_body)
{
    zl_autobuf struct zl_buf text = ZL_BUF(NOTE_MAX);
    struct zl_error ignored; /* what cannot be read says nothing for it */
    return read_note(l, digest, &text, &ignored) == 0 && has_line(&text, key_body);
}

int signed_note(const struct layout *l, const char *digest, const char *key_body,
                struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(NOTE_MAX);
    zl_autoclose int dir = zl_mkdir_p(l->images, LAYOUT_SIGNED, 0700, err);
    if (dir < 0 || read_note(l, digest, &text, err) < 0)
        return -1;
    if (has_line(&text, key_body))
        return 0;
    zl_buf_addf(&text, "%s\n", key_body);
    if (zl_buf_check(&text, "the list of keys", err) < 0)
        return -1;
    return zl_write_atomic(dir, layout_hex(digest), text.data, text.len, 0600, true, err);
}
