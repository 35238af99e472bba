// SPDX-License-Identifier: Apache-2.0
/* `process` of config.json, which is also the whole of a process.json. */
#include <string.h>

#include "oci/tables.h"

/* struct { uint32_t *v; size_t n; } */
static int decode_gids(const struct zl_json_at *at, const struct zl_field *f, void *out,
                       struct zl_error *err)
{
    size_t n = json_array_size(at->value);
    uint32_t *v;

    if (!json_is_array(at->value))
        return zl_json_fail_type(at, "a list of numbers", err);
    v = zl_json_alloc(at->doc, n + 1, sizeof *v);
    if (!v)
        return zl_fail(err, ZL_ERR_SYSTEM, "decode %s: out of memory", at->doc->what);
    for (size_t i = 0; i < n; i++) {
        struct zl_json_at el = { at->doc, json_array_get(at->value, i), at, NULL, i };
        if (zl_json_u32(&el, f, &v[i], err) < 0)
            return -1;
    }
    *(struct zl_list *)out = (struct zl_list){ v, n };
    return 0;
}

int oci_decode_env(const struct zl_json_at *at, const struct zl_field *f, void *out,
                   struct zl_error *err)
{
    struct zl_strs *env = out;

    if (zl_json_strs(at, f, out, err) < 0)
        return -1;
    for (size_t i = 0; i < env->n; i++) {
        struct zl_json_at el = { at->doc, json_array_get(at->value, i), at, NULL, i };
        if (!strchr(env->v[i], '='))
            return zl_json_fail_type(&el, "NAME=value", err);
    }
    return 0;
}

/* clang-format off */
static const struct zl_field user_fields[] = {
    F("uid",            zl_json_u32,     oci_user, uid),
    F("gid",            zl_json_u32,     oci_user, gid),
    F("umask",          zl_json_opt_u64, oci_user, umask),
    F("additionalGids", decode_gids,     oci_user, additional_gids),
    { 0 },
};

static const struct zl_field capabilities_fields[] = {
    F("bounding",    zl_json_strs, oci_capabilities, bounding),
    F("effective",   zl_json_strs, oci_capabilities, effective),
    F("permitted",   zl_json_strs, oci_capabilities, permitted),
    F("inheritable", zl_json_strs, oci_capabilities, inheritable),
    F("ambient",     zl_json_strs, oci_capabilities, ambient),
    { 0 },
};
static const struct zl_element capabilities_element = { sizeof(struct oci_capabilities), capabilities_fields };

static const struct zl_field rlimit_fields[] = {
    R("type", zl_json_string, oci_rlimit, type),
    R("soft", zl_json_u64,    oci_rlimit, soft),
    R("hard", zl_json_u64,    oci_rlimit, hard),
    { 0 },
};
static const struct zl_element rlimit_element = { sizeof(struct oci_rlimit), rlimit_fields };

/* linux/sched.h; the kernel reserves SCHED_ISO and does not have it */
static const struct zl_word policy_words[] = {
    { "SCHED_OTHER", 0 }, { "SCHED_FIFO", 1 }, { "SCHED_RR", 2 },       { "SCHED_BATCH", 3 },
    { "SCHED_ISO", 4 },   { "SCHED_IDLE", 5 }, { "SCHED_DEADLINE", 6 }, { 0 },
};
static const struct zl_field scheduler_fields[] = {
    RD("policy",   zl_json_enum, oci_scheduler, policy, policy_words),
    F("nice",      zl_json_i32,  oci_scheduler, nice),
    F("priority",  zl_json_i32,  oci_scheduler, priority),
    F("flags",     zl_json_strs, oci_scheduler, flags),
    F("runtime",   zl_json_u64,  oci_scheduler, runtime),
    F("deadline",  zl_json_u64,  oci_scheduler, deadline),
    F("period",    zl_json_u64,  oci_scheduler, period),
    { 0 },
};
static const struct zl_element scheduler_element = { sizeof(struct oci_scheduler), scheduler_fields };

/* linux/ioprio.h */
static const struct zl_word io_class_words[] = {
    { "IOPRIO_CLASS_RT", 1 }, { "IOPRIO_CLASS_BE", 2 }, { "IOPRIO_CLASS_IDLE", 3 }, { 0 },
};
static const struct zl_field io_priority_fields[] = {
    RD("class",    zl_json_enum, oci_io_priority, io_class, io_class_words),
    F("priority",  zl_json_i32,  oci_io_priority, priority),
    { 0 },
};
static const struct zl_element io_priority_element = { sizeof(struct oci_io_priority), io_priority_fields };

/* told from the start of oci_process */
static const struct zl_field affinity_fields[] = {
    F("initial", zl_json_string, oci_process, exec_cpu_affinity.initial),
    F("final",   zl_json_string, oci_process, exec_cpu_affinity.final),
    { 0 },
};

const struct zl_field oci_process_fields[] = {
    F("terminal",         zl_json_bool,     oci_process, terminal),
    D("consoleSize",      zl_json_object,   oci_process, console_size, ((const struct zl_field[]){
        { "height", zl_json_u32, 0, ZL_REQUIRED, NULL },
        { "width",  zl_json_u32, sizeof(uint32_t), ZL_REQUIRED, NULL },
        { 0 } })),
    D("user",             zl_json_object,   oci_process, user, user_fields),
    F("args",             zl_json_strs,     oci_process, args),
    F("env",              oci_decode_env,   oci_process, env),
    R("cwd",              zl_json_abs_path, oci_process, cwd),
    D("capabilities",     zl_json_pointer,  oci_process, capabilities, &capabilities_element),
    D("rlimits",          zl_json_list,     oci_process, rlimits, &rlimit_element),
    F("noNewPrivileges",  zl_json_bool,     oci_process, no_new_privileges),
    F("oomScoreAdj",      zl_json_opt_i64,  oci_process, oom_score_adj),
    F("apparmorProfile",  zl_json_string,   oci_process, apparmor_profile),
    F("selinuxLabel",     zl_json_string,   oci_process, selinux_label),
    D("scheduler",        zl_json_pointer,  oci_process, scheduler, &scheduler_element),
    D("ioPriority",       zl_json_pointer,  oci_process, io_priority, &io_priority_element),
    { "execCPUAffinity",  zl_json_object,   0, 0, affinity_fields },
    { 0 },
};
/* clang-format on */

int oci_process_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                      struct oci_process **ret, struct zl_error *err)
{
    struct oci_process *p;

    if (zl_json_parse(doc, bytes, n, what, err) < 0)
        return -1;
    p = zl_json_alloc(doc, 1, sizeof *p);
    if (!p)
        return zl_fail_errno(err, "decode %s", what);
    if (zl_json_decode(doc, oci_process_fields, p, err) < 0)
        return -1;
    *ret = p;
    return 0;
}
