// SPDX-License-Identifier: Apache-2.0
/* Rights and limits of the process: capabilities and rlimits. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "oci/names.h"
#include "oci/part.h"

/* ---- capabilities ------------------------------------------------------------------------- */

/* Docker's default set. */
static const char *const default_capabilities[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",      "CAP_FOWNER",           "CAP_MKNOD",
    "CAP_NET_RAW", "CAP_SETGID",       "CAP_SETUID",      "CAP_SETFCAP",          "CAP_SETPCAP",
    "CAP_KILL",    "CAP_SYS_CHROOT",   "CAP_AUDIT_WRITE", "CAP_NET_BIND_SERVICE",
};

static uint64_t default_set(void)
{
    uint64_t set = 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(default_capabilities); i++)
        set |= UINT64_C(1) << capability_number(default_capabilities[i]);
    return set;
}

static uint64_t known_set(void)
{
    uint64_t set = 0;
    for (int n = 0; capability_name(n); n++)
        set |= UINT64_C(1) << n;
    return set;
}

/* "net_admin", "CAP_NET_ADMIN"; -1: no such. */
static int find_capability(const char *name)
{
    static const char prefix[] = "CAP_";
    size_t skip = strncasecmp(name, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
    for (int n = 0; capability_name(n); n++)
        if (strcasecmp(capability_name(n) + sizeof prefix - 1, name + skip) == 0)
            return n;
    return -1;
}

static int named_set(const struct spec_strings *names, const char *field, uint64_t *ret,
                     struct zl_error *err)
{
    *ret = 0;
    for (size_t i = 0; i < names->n; i++) {
        int n = find_capability(names->v[i]);
        if (strcasecmp(names->v[i], "ALL") == 0)
            *ret = known_set();
        else if (n < 0)
            return zl_fail(err, ZL_ERR_INVALID, "%s: there is no capability '%s'", field,
                           names->v[i]);
        else
            *ret |= UINT64_C(1) << n;
    }
    return 0;
}

/* Dropped first, then added: `cap_drop: [ALL]` with one in `cap_add` means that one. */
int oci_bounding_find(const struct spec_service *s, const struct oci_host *host, uint64_t *ret,
                      struct zl_error *err)
{
    uint64_t drop, add;
    if (named_set(&s->cap_drop, "cap_drop", &drop, err) < 0 ||
        named_set(&s->cap_add, "cap_add", &add, err) < 0)
        return -1;
    uint64_t wanted = ((s->privileged ? known_set() : default_set()) & ~drop) | add;
    *ret = wanted & host->capabilities; /* what we do not have ourselves, nobody gets from us */
    return 0;
}

static json_t *names_of(uint64_t set, struct zl_error *err)
{
    json_t *list = json_array();
    for (int n = 0; list && capability_name(n); n++) {
        if ((set >> n & 1) && json_array_append_new(list, json_string(capability_name(n))) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return oci_part_checked(list, err);
}

/* Who is not root holds none, but may get those of the bounding set by a set-user-ID program;
 * inheritable and ambient stay empty, so that no exec adds any. */
json_t *oci_capabilities_make(const struct oci_making *m, struct zl_error *err)
{
    uint64_t held = m->user.uid == 0 ? m->bounding : 0;
    return oci_part_checked(json_pack("{s:o, s:o, s:o, s:[], s:[]}", "bounding",
                                      names_of(m->bounding, err), "effective", names_of(held, err),
                                      "permitted", names_of(held, err), "inheritable", "ambient"),
                            err);
}

/* ---- rlimits ------------------------------------------------------------------------------ */

/* A soft limit of 1024 keeps programs alive that use select(2); who needs more raises its own. */
enum { NOFILE_SOFT = 1024, NOFILE_HARD = 1048576 };

struct limit {
    char type[32];
    uint64_t soft, hard;
};

static uint64_t of_spec(int64_t v)
{
    return v < 0 ? (uint64_t)RLIM_INFINITY : (uint64_t)v;
}

/* JSON of ours has 63 bits; 2^64 - 1, "no limit", as the number that a decoder takes for it. */
static json_t *number(uint64_t v)
{
    return v > INT64_MAX ? json_real(18446744073709551615.0) : json_integer((json_int_t)v);
}

/* Cut down to what we may give. */
static void cut(const struct oci_bundle *b, struct limit *l)
{
    int number = rlimit_number(l->type);
    uint64_t most = number < 0 ? 0 : b->host->rlimit_max[number];
    if (b->host->raises_limits || number < 0 || l->hard <= most)
        return;
    oci_note(b, "ulimit %s: %llu is more than the agent's own limit, which holds: %llu", l->type,
             (unsigned long long)l->hard, (unsigned long long)most);
    l->hard = most;
    l->soft = l->soft < most ? l->soft : most;
}

static int append_limit(json_t *list, const struct limit *l, struct zl_error *err)
{
    return oci_part_append(list,
                           json_pack("{s:s, s:o, s:o}", "type", l->type, "soft", number(l->soft),
                                     "hard", number(l->hard)),
                           err);
}

static int limit_of(const struct spec_ulimit *u, struct limit *ret, struct zl_error *err)
{
    int64_t soft = u->has_soft ? u->soft : u->hard, hard = u->has_hard ? u->hard : u->soft;
    size_t n = (size_t)snprintf(ret->type, sizeof ret->type, "RLIMIT_");
    for (const char *p = u->name; *p && n < sizeof ret->type - 1; p++)
        ret->type[n++] = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    ret->type[n] = '\0';
    ret->soft = of_spec(soft);
    ret->hard = of_spec(hard);
    if (rlimit_number(ret->type) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "ulimits: there is no limit '%s'", u->name);
    return 0;
}

static int append_ulimits(const struct oci_bundle *b, json_t *list, bool *ret_nofile,
                          struct zl_error *err)
{
    for (size_t i = 0; i < b->service->n_ulimits; i++) {
        struct limit l;
        if (limit_of(&b->service->ulimits[i], &l, err) < 0)
            return -1;
        *ret_nofile |= strcmp(l.type, "RLIMIT_NOFILE") == 0;
        cut(b, &l);
        if (append_limit(list, &l, err) < 0)
            return -1;
    }
    return 0;
}

json_t *oci_rlimits_make(const struct oci_making *m, struct zl_error *err)
{
    uint64_t own = m->b->host->rlimit_max[RLIMIT_NOFILE];
    struct limit files = { "RLIMIT_NOFILE", NOFILE_SOFT, own < NOFILE_HARD ? own : NOFILE_HARD };
    bool has_files = false;
    json_t *list = json_array();
    if (!list)
        return oci_part_no_memory(err);
    if (files.soft > files.hard)
        files.soft = files.hard;
    if (append_ulimits(m->b, list, &has_files, err) < 0 ||
        (!has_files && append_limit(list, &files, err) < 0)) {
        json_decref(list);
        return NULL;
    }
    return list;
}
