// SPDX-License-Identifier: Apache-2.0
/* The tables of config.json. Read from the bottom up: the root, then what it is made of. */
#include "oci/config.h"

#include <string.h>

#include "base/fd.h"

enum { CONFIG_MAX = 8 << 20 };

/* ---- decoders that only this document needs ---- */

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

static int decode_env(const struct zl_json_at *at, const struct zl_field *f, void *out,
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

/* ---- tables ---- */

#define F(key, decode, type, member)                                                               \
    {                                                                                              \
        key, decode, offsetof(struct type, member), 0, NULL                                        \
    }
#define R(key, decode, type, member)                                                               \
    {                                                                                              \
        key, decode, offsetof(struct type, member), ZL_REQUIRED, NULL                              \
    }
#define D(key, decode, type, member, detail)                                                       \
    {                                                                                              \
        key, decode, offsetof(struct type, member), 0, detail                                      \
    }
#define RD(key, decode, type, member, detail)                                                      \
    {                                                                                              \
        key, decode, offsetof(struct type, member), ZL_REQUIRED, detail                            \
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

static const struct zl_field process_fields[] = {
    F("terminal",         zl_json_bool,     oci_process, terminal),
    D("consoleSize",      zl_json_object,   oci_process, console_size, ((const struct zl_field[]){
        { "height", zl_json_u32, 0, ZL_REQUIRED, NULL },
        { "width",  zl_json_u32, sizeof(uint32_t), ZL_REQUIRED, NULL },
        { 0 } })),
    D("user",             zl_json_object,   oci_process, user, user_fields),
    F("args",             zl_json_strs,     oci_process, args),
    F("env",              decode_env,       oci_process, env),
    R("cwd",              zl_json_abs_path, oci_process, cwd),
    D("capabilities",     zl_json_pointer,  oci_process, capabilities, &capabilities_element),
    D("rlimits",          zl_json_list,     oci_process, rlimits, &rlimit_element),
    F("noNewPrivileges",  zl_json_bool,     oci_process, no_new_privileges),
    F("oomScoreAdj",      zl_json_opt_i64,  oci_process, oom_score_adj),
    F("apparmorProfile",  zl_json_string,   oci_process, apparmor_profile),
    F("selinuxLabel",     zl_json_string,   oci_process, selinux_label),
    F("scheduler",        zl_json_present,  oci_process, scheduler),
    F("ioPriority",       zl_json_present,  oci_process, io_priority),
    F("execCPUAffinity",  zl_json_present,  oci_process, exec_cpu_affinity),
    { 0 },
};
static const struct zl_element process_element = { sizeof(struct oci_process), process_fields };

static const struct zl_field mount_fields[] = {
    R("destination", zl_json_string,  oci_mount, destination),
    F("type",        zl_json_string,  oci_mount, type),
    F("source",      zl_json_string,  oci_mount, source),
    F("options",     zl_json_strs,    oci_mount, options),
    F("uidMappings", zl_json_present, oci_mount, uid_mappings),
    F("gidMappings", zl_json_present, oci_mount, gid_mappings),
    { 0 },
};
static const struct zl_element mount_element = { sizeof(struct oci_mount), mount_fields };

static const struct zl_word namespace_words[] = {
    { "pid", OCI_NS_PID },   { "network", OCI_NS_NETWORK }, { "mount", OCI_NS_MOUNT },   { "ipc", OCI_NS_IPC },
    { "uts", OCI_NS_UTS },   { "user", OCI_NS_USER },       { "cgroup", OCI_NS_CGROUP }, { "time", OCI_NS_TIME },
    { 0 },
};
static const struct zl_field namespace_fields[] = {
    RD("type", zl_json_enum,    oci_namespace, type, namespace_words),
    F("path",  zl_json_string,  oci_namespace, path),
    { 0 },
};
static const struct zl_element namespace_element = { sizeof(struct oci_namespace), namespace_fields };

static const struct zl_field device_fields[] = {
    R("path",     zl_json_abs_path, oci_device, path),
    R("type",     zl_json_string,   oci_device, type),
    F("major",    zl_json_i64,      oci_device, major),
    F("minor",    zl_json_i64,      oci_device, minor),
    F("fileMode", zl_json_opt_u64,  oci_device, file_mode),
    F("uid",      zl_json_opt_u64,  oci_device, uid),
    F("gid",      zl_json_opt_u64,  oci_device, gid),
    { 0 },
};
static const struct zl_element device_element = { sizeof(struct oci_device), device_fields };

static const struct zl_field device_rule_fields[] = {
    R("allow",  zl_json_bool,    oci_device_rule, allow),
    F("type",   zl_json_string,  oci_device_rule, type),
    F("major",  zl_json_opt_i64, oci_device_rule, major),
    F("minor",  zl_json_opt_i64, oci_device_rule, minor),
    F("access", zl_json_string,  oci_device_rule, access),
    { 0 },
};
static const struct zl_element device_rule_element = { sizeof(struct oci_device_rule), device_rule_fields };

static const struct zl_field memory_fields[] = {
    F("limit",            zl_json_opt_i64, oci_memory, limit),
    F("reservation",      zl_json_opt_i64, oci_memory, reservation),
    F("swap",             zl_json_opt_i64, oci_memory, swap),
    F("kernelTCP",        zl_json_opt_i64, oci_memory, kernel_tcp),
    F("swappiness",       zl_json_opt_u64, oci_memory, swappiness),
    F("disableOOMKiller", zl_json_bool,    oci_memory, disable_oom_killer),
    F("useHierarchy",     zl_json_bool,    oci_memory, use_hierarchy),
    { 0 },
};

static const struct zl_field cpu_fields[] = {
    F("shares",          zl_json_opt_u64, oci_cpu, shares),
    F("quota",           zl_json_opt_i64, oci_cpu, quota),
    F("burst",           zl_json_opt_u64, oci_cpu, burst),
    F("period",          zl_json_opt_u64, oci_cpu, period),
    F("realtimeRuntime", zl_json_opt_i64, oci_cpu, realtime_runtime),
    F("realtimePeriod",  zl_json_opt_u64, oci_cpu, realtime_period),
    F("cpus",            zl_json_string,  oci_cpu, cpus),
    F("mems",            zl_json_string,  oci_cpu, mems),
    F("idle",            zl_json_opt_i64, oci_cpu, idle),
    { 0 },
};

static const struct zl_field pids_fields[] = {
    { "limit", zl_json_opt_i64, 0, 0, NULL },
    { 0 },
};

static const struct zl_field resources_fields[] = {
    D("devices",        zl_json_list,    oci_resources, devices, &device_rule_element),
    D("memory",         zl_json_object,  oci_resources, memory, memory_fields),
    D("cpu",            zl_json_object,  oci_resources, cpu, cpu_fields),
    D("pids",           zl_json_object,  oci_resources, pids, pids_fields),
    F("unified",        zl_json_pairs,   oci_resources, unified),
    F("blockIO",        zl_json_present, oci_resources, block_io),
    F("hugepageLimits", zl_json_present, oci_resources, hugepage_limits),
    F("network",        zl_json_present, oci_resources, network),
    F("rdma",           zl_json_present, oci_resources, rdma),
    { 0 },
};

static const struct zl_word action_words[] = {
    { "SCMP_ACT_KILL", OCI_ACT_KILL_THREAD },         { "SCMP_ACT_KILL_PROCESS", OCI_ACT_KILL_PROCESS },
    { "SCMP_ACT_KILL_THREAD", OCI_ACT_KILL_THREAD },  { "SCMP_ACT_TRAP", OCI_ACT_TRAP },
    { "SCMP_ACT_ERRNO", OCI_ACT_ERRNO },              { "SCMP_ACT_TRACE", OCI_ACT_TRACE },
    { "SCMP_ACT_ALLOW", OCI_ACT_ALLOW },              { "SCMP_ACT_LOG", OCI_ACT_LOG },
    { "SCMP_ACT_NOTIFY", OCI_ACT_NOTIFY },            { 0 },
};
static const struct zl_word op_words[] = {
    { "SCMP_CMP_NE", OCI_OP_NE }, { "SCMP_CMP_LT", OCI_OP_LT }, { "SCMP_CMP_LE", OCI_OP_LE },
    { "SCMP_CMP_EQ", OCI_OP_EQ }, { "SCMP_CMP_GE", OCI_OP_GE }, { "SCMP_CMP_GT", OCI_OP_GT },
    { "SCMP_CMP_MASKED_EQ", OCI_OP_MASKED_EQ }, { 0 },
};
static const struct zl_field seccomp_arg_fields[] = {
    R("index",    zl_json_u32,  oci_seccomp_arg, index),
    R("value",    zl_json_u64,  oci_seccomp_arg, value),
    F("valueTwo", zl_json_u64,  oci_seccomp_arg, value_two),
    RD("op",      zl_json_enum, oci_seccomp_arg, op, op_words),
    { 0 },
};
static const struct zl_element seccomp_arg_element = { sizeof(struct oci_seccomp_arg), seccomp_arg_fields };
static const struct zl_field seccomp_rule_fields[] = {
    R("names",    zl_json_strs,    oci_seccomp_rule, names),
    RD("action",  zl_json_enum,    oci_seccomp_rule, action, action_words),
    F("errnoRet", zl_json_opt_u64, oci_seccomp_rule, errno_ret),
    D("args",     zl_json_list,    oci_seccomp_rule, args, &seccomp_arg_element),
    { 0 },
};
static const struct zl_element seccomp_rule_element = { sizeof(struct oci_seccomp_rule), seccomp_rule_fields };
static const struct zl_field seccomp_fields[] = {
    RD("defaultAction",  zl_json_enum,    oci_seccomp, default_action, action_words),
    F("defaultErrnoRet", zl_json_opt_u64, oci_seccomp, default_errno_ret),
    F("architectures",   zl_json_strs,    oci_seccomp, architectures),
    F("flags",           zl_json_strs,    oci_seccomp, flags),
    F("listenerPath",    zl_json_string,  oci_seccomp, listener_path),
    D("syscalls",        zl_json_list,    oci_seccomp, syscalls, &seccomp_rule_element),
    { 0 },
};
static const struct zl_element seccomp_element = { sizeof(struct oci_seccomp), seccomp_fields };

static const struct zl_field hook_fields[] = {
    R("path",    zl_json_abs_path, oci_hook, path),
    F("args",    zl_json_strs,     oci_hook, args),
    F("env",     decode_env,       oci_hook, env),
    F("timeout", zl_json_opt_i64,  oci_hook, timeout),
    { 0 },
};
static const struct zl_element hook_element = { sizeof(struct oci_hook), hook_fields };
static const struct zl_field hooks_fields[] = {
    D("prestart",        zl_json_list, oci_hooks, prestart, &hook_element),
    D("createRuntime",   zl_json_list, oci_hooks, create_runtime, &hook_element),
    D("createContainer", zl_json_list, oci_hooks, create_container, &hook_element),
    D("startContainer",  zl_json_list, oci_hooks, start_container, &hook_element),
    D("poststart",       zl_json_list, oci_hooks, poststart, &hook_element),
    D("poststop",        zl_json_list, oci_hooks, poststop, &hook_element),
    { 0 },
};

static const struct zl_field linux_fields[] = {
    D("namespaces",        zl_json_list,    oci_linux, namespaces, &namespace_element),
    D("devices",           zl_json_list,    oci_linux, devices, &device_element),
    F("cgroupsPath",       zl_json_string,  oci_linux, cgroups_path),
    D("resources",         zl_json_object,  oci_linux, resources, resources_fields),
    F("rootfsPropagation", zl_json_string,  oci_linux, rootfs_propagation),
    D("seccomp",           zl_json_pointer, oci_linux, seccomp, &seccomp_element),
    F("sysctl",            zl_json_pairs,   oci_linux, sysctl),
    F("maskedPaths",       zl_json_strs,    oci_linux, masked_paths),
    F("readonlyPaths",     zl_json_strs,    oci_linux, readonly_paths),
    F("mountLabel",        zl_json_string,  oci_linux, mount_label),
    F("uidMappings",       zl_json_present, oci_linux, uid_mappings),
    F("gidMappings",       zl_json_present, oci_linux, gid_mappings),
    F("intelRdt",          zl_json_present, oci_linux, intel_rdt),
    F("personality",       zl_json_present, oci_linux, personality),
    F("timeOffsets",       zl_json_present, oci_linux, time_offsets),
    { 0 },
};

static const struct zl_field root_fields[] = {
    { "path",     zl_json_string, 0,                    ZL_REQUIRED, NULL },
    { "readonly", zl_json_bool,   sizeof(const char *), 0,           NULL },
    { 0 },
};

static const struct zl_field config_fields[] = {
    R("ociVersion",  zl_json_string,  oci_config, oci_version),
    D("process",     zl_json_pointer, oci_config, process, &process_element),
    RD("root",       zl_json_object,  oci_config, root, root_fields),
    F("hostname",    zl_json_string,  oci_config, hostname),
    F("domainname",  zl_json_string,  oci_config, domainname),
    D("mounts",      zl_json_list,    oci_config, mounts, &mount_element),
    D("hooks",       zl_json_object,  oci_config, hooks, hooks_fields),
    F("annotations", zl_json_pairs,   oci_config, annotations),
    D("linux",       zl_json_object,  oci_config, linux_, linux_fields),
    { 0 },
};
/* clang-format on */

/* "1.x", with x of any value: minor versions only add (runtime-spec, spec.md, "Versioning"). */
static int check_version(const struct oci_config *c, struct zl_error *err)
{
    if (strncmp(c->oci_version, "1.", 2) != 0)
        return zl_fail(err, ZL_ERR_INVALID,
                       "%s: ociVersion: expected 1.x of the runtime-spec, found '%s'",
                       c->document.what, c->oci_version);
    return 0;
}

int oci_config_parse(const char *bytes, size_t n, const char *what, struct oci_config **ret,
                     struct zl_error *err)
{
    autociconfig struct oci_config *c = calloc(1, sizeof *c);
    if (!c)
        return zl_fail_errno(err, "decode %s", what);
    if (zl_json_parse(&c->document, bytes, n, what, err) < 0 ||
        zl_json_decode(&c->document, config_fields, c, err) < 0 || check_version(c, err) < 0)
        return -1;
    *ret = zl_take_ptr(c);
    return 0;
}

int oci_config_load(int bundle_fd, struct oci_config **ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(CONFIG_MAX);

    if (zl_read_file(bundle_fd, "config.json", &text, err) < 0)
        return -1;
    return oci_config_parse(text.data, text.len, "config.json", ret, err);
}

void oci_config_free(struct oci_config *c)
{
    if (!c)
        return;
    zl_json_done(&c->document);
    free(c);
}

int oci_process_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                      struct oci_process **ret, struct zl_error *err)
{
    struct oci_process *p;

    if (zl_json_parse(doc, bytes, n, what, err) < 0)
        return -1;
    p = zl_json_alloc(doc, 1, sizeof *p);
    if (!p)
        return zl_fail_errno(err, "decode %s", what);
    if (zl_json_decode(doc, process_fields, p, err) < 0)
        return -1;
    *ret = p;
    return 0;
}

bool oci_config_has_hooks(const struct oci_config *c)
{
    const struct oci_hooks *h = &c->hooks;
    return h->prestart.n || h->create_runtime.n || h->create_container.n || h->start_container.n ||
           h->poststart.n || h->poststop.n;
}
