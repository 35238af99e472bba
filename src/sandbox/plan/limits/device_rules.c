// SPDX-License-Identifier: Apache-2.0
/* Who may use which devices: linux.resources.devices → devices.allow and devices.deny of v1. */
#include <string.h>

#include "sandbox/plan/limits/limits.h"

/* Making nodes, the default devices, ptys. */
const char *const devices_always[] = {
    "c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm",   "c 1:7 rwm", "c 1:8 rwm",
    "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm", NULL,
};

int check_device_rules(struct build *b, const struct oci_resources *r)
{
    for (size_t i = 0; i < r->devices.n; i++) {
        const struct oci_device_rule *d = &r->devices.v[i];
        if (d->type && (!d->type[0] || !strchr("abc", d->type[0]) || d->type[1]))
            return zl_fail(b->err, ZL_ERR_INVALID,
                           "linux.resources.devices[%zu].type: expected a, b or c, found '%s'", i,
                           d->type);
        if (d->access && d->access[strspn(d->access, "rwm")])
            return zl_fail(b->err, ZL_ERR_INVALID,
                           "linux.resources.devices[%zu].access: expected letters of rwm, found "
                           "'%s'",
                           i, d->access);
    }
    return 0;
}

static void add_rule(struct build *b, struct zl_buf *rows, bool allow, const char *text)
{
    struct plan_file f = { .path = writer_text(&b->w, allow ? "devices.allow" : "devices.deny"),
                           .value = writer_text(&b->w, text) };
    zl_buf_add(rows, &f, sizeof f);
}

static void number_or_star(struct zl_buf *out, struct zl_opt_i64 n)
{
    if (n.set && n.v >= 0)
        zl_buf_addf(out, "%lld", (long long)n.v);
    else
        zl_buf_addc(out, '*');
}

static bool is_every_type(const struct oci_device_rule *d)
{
    return !d->type || d->type[0] == 'a';
}

static bool is_every_access(const struct oci_device_rule *d)
{
    const char *a = d->access && d->access[0] ? d->access : "rwm";
    return strchr(a, 'r') && strchr(a, 'w') && strchr(a, 'm');
}

static bool is_all(const struct oci_device_rule *d)
{
    return is_every_type(d) && is_every_access(d) && (!d->major.set || d->major.v < 0) &&
           (!d->minor.set || d->minor.v < 0);
}

static void add_one(struct build *b, struct zl_buf *rows, const struct oci_device_rule *d,
                    char type)
{
    zl_autobuf struct zl_buf text = ZL_BUF(128);

    zl_buf_addf(&text, "%c ", type);
    number_or_star(&text, d->major);
    zl_buf_addc(&text, ':');
    number_or_star(&text, d->minor);
    zl_buf_addf(&text, " %.8s", d->access && d->access[0] ? d->access : "rwm");
    add_rule(b, rows, d->allow, text.data);
}

/* "a" in v1 replaces all rules before it, so rules in order do what the spec says. It ignores the
 * numbers and letters behind it: both types at one number, or read only, take two rules. */
void build_device_rules(struct build *b, const struct oci_resources *r, struct zl_buf *rows)
{
    bool denied = false;

    for (size_t i = 0; i < r->devices.n; i++) {
        const struct oci_device_rule *d = &r->devices.v[i];
        if (is_all(d)) {
            denied = !d->allow;
            add_rule(b, rows, d->allow, "a");
            continue;
        }
        denied |= !d->allow;
        if (is_every_type(d) || d->type[0] == 'c')
            add_one(b, rows, d, 'c');
        if (is_every_type(d) || d->type[0] == 'b')
            add_one(b, rows, d, 'b');
    }
    for (size_t i = 0; denied && devices_always[i]; i++)
        add_rule(b, rows, true, devices_always[i]);
}
