// SPDX-License-Identifier: Apache-2.0
#include "fetch/order.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"

enum { ORDER_MAX = 1 << 20, CA_MAX = 1 << 20, STREAMS_MAX = 16 };

/* clang-format off */
static const struct zl_field login_fields[] = {
    { "username",       zl_json_string, offsetof(struct order, login.username),       0, NULL },
    { "password",       zl_json_string, offsetof(struct order, login.password),       0, NULL },
    { "identity_token", zl_json_string, offsetof(struct order, login.identity_token), 0, NULL },
    { "registry_token", zl_json_string, offsetof(struct order, login.registry_token), 0, NULL },
    { 0 },
};

static int decode_login(const struct zl_json_at *at, const struct zl_field *f, void *out,
                        struct zl_error *err)
{
    return zl_json_members(at, f->detail, out, err);
}

static const struct zl_field registry_fields[] = {
    { "host",     zl_json_string,   offsetof(struct order_registry, host),     ZL_REQUIRED, NULL },
    { "insecure", zl_json_bool,     offsetof(struct order_registry, insecure), 0, NULL },
    { "ca_file",  zl_json_abs_path, offsetof(struct order_registry, ca_file),  0, NULL },
    { "mirrors",  zl_json_strs,     offsetof(struct order_registry, mirrors),  0, NULL },
    { 0 },
};
static const struct zl_element registry_element = { sizeof(struct order_registry), registry_fields };

static const struct zl_field order_fields[] = {
    { "login",      decode_login,   0, 0, login_fields },
    { "platform",   zl_json_string, offsetof(struct order, platform),   0, NULL },
    { "keys",       zl_json_strs,   offsetof(struct order, keys),       0, NULL },
    { "have",       zl_json_string, offsetof(struct order, have),       0, NULL },
    { "have_of",    zl_json_string, offsetof(struct order, have_of),    0, NULL },
    { "registries", zl_json_list,   offsetof(struct order, registries), 0, &registry_element },
    { "connect_s",  zl_json_u32,    offsetof(struct order, connect_s),  0, NULL },
    { "stall_s",    zl_json_u32,    offsetof(struct order, stall_s),    0, NULL },
    { "streams",    zl_json_u32,    offsetof(struct order, streams),    0, NULL },
    { 0 },
};
/* clang-format on */

int order_parse(const char *bytes, size_t n, struct zl_json *doc, struct order *ret,
                struct zl_error *err)
{
    struct order o = { .connect_s = 30, .stall_s = 60, .streams = 3 };
    doc->strict = true;
    if (n && (zl_json_parse(doc, bytes, n, "the order", err) < 0 ||
              zl_json_decode(doc, order_fields, &o, err) < 0))
        return -1;
    if (!o.connect_s || !o.stall_s || !o.streams || o.streams > STREAMS_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "the order: a time or a number is out of range");
    *ret = o;
    return 0;
}

static int read_certificates(struct zl_json *doc, struct order_registry *r, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(CA_MAX);
    if (zl_read_file(AT_FDCWD, r->ca_file, &text, err) < 0)
        return zl_wrap(err, "the certificates for %s", r->host);
    char *copy = zl_json_alloc(doc, text.len + 1, 1);
    if (!copy)
        return zl_fail_errno(err, "the certificates for %s", r->host);
    memcpy(copy, text.data, text.len);
    r->ca_pem = copy;
    return 0;
}

int order_read(int fd, struct zl_json *doc, struct order *ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(ORDER_MAX);
    if (zl_read_fd(fd, &text, "the order", err) < 0 ||
        order_parse(text.data, text.len, doc, ret, err) < 0)
        return -1;
    for (size_t i = 0; i < ret->registries.n; i++) {
        struct order_registry *r = &ret->registries.v[i];
        if (r->ca_file && read_certificates(doc, r, err) < 0)
            return -1;
    }
    return 0;
}
