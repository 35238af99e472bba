// SPDX-License-Identifier: Apache-2.0
/*
 * A seccomp profile from a file. Docker's form has what the runtime spec's has, and on top
 * `archMap` instead of `architectures`, `name` beside `names`, and conditions on each rule
 * (`includes`, `excludes`), which are decided here: a rule that is meant for a container with
 * CAP_SYS_ADMIN must not reach one without it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/json.h"
#include "oci/names.h"
#include "oci/part.h"

enum { PROFILE_MAX = 1 << 20 };

struct conditions {
    struct zl_strs caps, arches;
    const char *min_kernel;
};
struct rule {
    const json_t *value;
    const char *name;
    struct zl_strs names;
    struct conditions includes, excludes;
};
struct arch_map {
    const char *architecture;
    struct zl_strs sub;
};
struct profile {
    const char *default_action;
    struct zl_opt_u64 default_errno;
    struct zl_strs architectures, flags;
    const char *listener;
    struct {
        struct arch_map *v;
        size_t n;
    } arch_map;
    struct {
        struct rule *v;
        size_t n;
    } syscalls;
};

/* ---- decoding ----------------------------------------------------------------------------- */

static const struct zl_field condition_fields[] = {
    { "caps", zl_json_strs, offsetof(struct conditions, caps), 0, NULL },
    { "arches", zl_json_strs, offsetof(struct conditions, arches), 0, NULL },
    { "minKernel", zl_json_string, offsetof(struct conditions, min_kernel), 0, NULL },
    { 0 },
};

static int decode_conditions(const struct zl_json_at *at, const struct zl_field *f, void *out,
                             struct zl_error *err)
{
    (void)f;
    return zl_json_members(at, condition_fields, out, err);
}

static const struct zl_field rule_fields[] = {
    { "name", zl_json_string, offsetof(struct rule, name), 0, NULL },
    { "names", zl_json_strs, offsetof(struct rule, names), 0, NULL },
    { "includes", decode_conditions, offsetof(struct rule, includes), 0, NULL },
    { "excludes", decode_conditions, offsetof(struct rule, excludes), 0, NULL },
    { 0 },
};

static const struct zl_field arch_fields[] = {
    { "architecture", zl_json_string, offsetof(struct arch_map, architecture), ZL_REQUIRED, NULL },
    { "subArchitectures", zl_json_strs, offsetof(struct arch_map, sub), 0, NULL },
    { 0 },
};
static const struct zl_element rule_element = { sizeof(struct rule), rule_fields };
static const struct zl_element arch_element = { sizeof(struct arch_map), arch_fields };

static const struct zl_field profile_fields[] = {
    { "defaultAction", zl_json_string, offsetof(struct profile, default_action), ZL_REQUIRED,
      NULL },
    { "defaultErrnoRet", zl_json_opt_u64, offsetof(struct profile, default_errno), 0, NULL },
    { "architectures", zl_json_strs, offsetof(struct profile, architectures), 0, NULL },
    { "archMap", zl_json_list, offsetof(struct profile, arch_map), 0, &arch_element },
    { "flags", zl_json_strs, offsetof(struct profile, flags), 0, NULL },
    { "listenerPath", zl_json_string, offsetof(struct profile, listener), 0, NULL },
    { "syscalls", zl_json_list, offsetof(struct profile, syscalls), 0, &rule_element },
    { 0 },
};

/* ---- conditions --------------------------------------------------------------------------- */

static const struct {
    const char *machine, *docker, *scmp;
} arches[] = {
    { "x86_64", "amd64", "SCMP_ARCH_X86_64" },
    { "aarch64", "arm64", "SCMP_ARCH_AARCH64" },
};

/* The row of this machine; NULL: of none that we know. */
static const char *machine_name(bool scmp)
{
    struct utsname u;
    for (size_t i = 0; uname(&u) == 0 && i < ZL_ARRAY_LEN(arches); i++)
        if (strcmp(arches[i].machine, u.machine) == 0)
            return scmp ? arches[i].scmp : arches[i].docker;
    return "";
}

static bool has_all(const struct zl_strs *caps, uint64_t bounding)
{
    for (size_t i = 0; i < caps->n; i++) {
        int n = capability_number(caps->v[i]);
        if (n < 0 || !(bounding >> n & 1))
            return false;
    }
    return true;
}

static bool has_any(const struct zl_strs *caps, uint64_t bounding)
{
    for (size_t i = 0; i < caps->n; i++) {
        int n = capability_number(caps->v[i]);
        if (n >= 0 && bounding >> n & 1)
            return true;
    }
    return false;
}

static bool is_ours(const struct zl_strs *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i], machine_name(false)) == 0)
            return true;
    return false;
}

/* "4.8" as 4 * 1000 + 8, whatever follows. */
static unsigned long version_number(const char *text)
{
    char *end;
    unsigned long major = strtoul(text, &end, 10);
    return major * 1000 + (*end == '.' ? strtoul(end + 1, NULL, 10) : 0);
}

static bool is_new_enough(const char *wanted)
{
    struct utsname u;
    return !wanted || uname(&u) < 0 || version_number(u.release) >= version_number(wanted);
}

static bool applies(const struct rule *r, uint64_t bounding)
{
    if (!has_all(&r->includes.caps, bounding) || !is_new_enough(r->includes.min_kernel) ||
        (r->includes.arches.n && !is_ours(&r->includes.arches)))
        return false;
    return !has_any(&r->excludes.caps, bounding) && !is_ours(&r->excludes.arches) &&
           !(r->excludes.min_kernel && is_new_enough(r->excludes.min_kernel));
}

/* ---- the runtime spec's form --------------------------------------------------------------- */

/* What of a rule the runtime spec knows as well, with `names` whatever way they were written. */
static json_t *convert_rule(const json_t *from, const struct rule *r)
{
    static const char *const same[] = { "action", "errnoRet", "args" };
    json_t *to = json_object();
    for (size_t i = 0; to && i < ZL_ARRAY_LEN(same); i++) {
        json_t *value = json_object_get(from, same[i]);
        if (value && !json_is_null(value) && json_object_set(to, same[i], value) < 0) {
            json_decref(to);
            to = NULL;
        }
    }
    json_t *names = r->names.n ? json_incref(json_object_get(from, "names"))
                               : json_pack("[s]", r->name ? r->name : "");
    if (!to || json_object_set_new(to, "names", names) < 0) {
        json_decref(to);
        return NULL;
    }
    return to;
}

static int convert_rules(const json_t *list, const struct profile *p, uint64_t bounding, json_t *to,
                         struct zl_error *err)
{
    for (size_t i = 0; i < p->syscalls.n; i++) {
        const struct rule *r = &p->syscalls.v[i];
        if (!r->name && !r->names.n)
            continue;
        if (applies(r, bounding) &&
            oci_part_append(to, convert_rule(json_array_get(list, i), r), err) < 0)
            return -1;
    }
    return 0;
}

/* `architectures`, or what `archMap` says for this machine. */
static json_t *architectures(const struct profile *p, struct zl_error *err)
{
    json_t *list =
        oci_part_strings((const char *const *)p->architectures.v, p->architectures.n, err);
    for (size_t i = 0; list && i < p->arch_map.n; i++) {
        const struct arch_map *a = &p->arch_map.v[i];
        if (strcmp(a->architecture, machine_name(true)) != 0)
            continue;
        int rc = oci_part_append(list, json_string(a->architecture), err);
        for (size_t k = 0; rc == 0 && k < a->sub.n; k++)
            rc = oci_part_append(list, json_string(a->sub.v[k]), err);
        if (rc < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *convert(const struct zl_json *doc, const struct profile *p, uint64_t bounding,
                       struct zl_error *err)
{
    json_t *rules = json_array();
    json_t *arch = rules ? architectures(p, err) : oci_part_no_memory(err);
    if (!arch ||
        convert_rules(json_object_get(doc->root, "syscalls"), p, bounding, rules, err) < 0) {
        json_decref(arch);
        json_decref(rules);
        return NULL;
    }
    json_t *out = json_pack("{s:s, s:o, s:o, s:o, s:s*}", "defaultAction", p->default_action,
                            "architectures", arch, "syscalls", rules, "flags",
                            oci_part_strings((const char *const *)p->flags.v, p->flags.n, err),
                            "listenerPath", p->listener);
    if (out && p->default_errno.set &&
        json_object_set_new(out, "defaultErrnoRet", json_integer((json_int_t)p->default_errno.v)) <
            0) {
        json_decref(out);
        out = NULL;
    }
    return oci_part_checked(out, err);
}

static json_t *read_profile(const char *path, const struct oci_host *host, uint64_t bounding,
                            struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    zl_autobuf struct zl_buf text = ZL_BUF(PROFILE_MAX);
    struct profile p = { 0 };
    zl_autoclose int fd = zl_open_in_root(host->root_fd, path, O_RDONLY, err);
    if (fd < 0 || zl_read_fd(fd, &text, path, err) < 0 ||
        zl_json_parse(&doc, text.data, text.len, path, err) < 0 ||
        zl_json_decode(&doc, profile_fields, &p, err) < 0)
        return NULL;
    return convert(&doc, &p, bounding, err);
}

json_t *oci_security_seccomp(const struct oci_security *s, const struct oci_host *host,
                             uint64_t bounding, struct zl_error *err)
{
    if (s->unconfined)
        return oci_part_checked(json_pack("{s:s}", "defaultAction", "SCMP_ACT_ALLOW"), err);
    if (!s->profile)
        return json_null();
    json_t *made = read_profile(s->profile, host, bounding, err);
    if (!made)
        (void)zl_wrap(err, "security_opt seccomp");
    return made;
}
