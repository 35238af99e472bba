// SPDX-License-Identifier: Apache-2.0
/* The tables of config.json. Read from the bottom up: the root, then what it is made of. */
#include <string.h>

#include "base/fd.h"
#include "oci/tables.h"

enum { CONFIG_MAX = 8 << 20 };

/* clang-format off */
static const struct zl_element process_element = { sizeof(struct oci_process), oci_process_fields };

static const struct zl_field id_mapping_fields[] = {
    R("containerID", zl_json_u32, oci_id_mapping, container),
    R("hostID",      zl_json_u32, oci_id_mapping, host),
    R("size",        zl_json_u32, oci_id_mapping, size),
    { 0 },
};
static const struct zl_element id_mapping_element = { sizeof(struct oci_id_mapping), id_mapping_fields };

static const struct zl_field mount_fields[] = {
    R("destination", zl_json_string,  oci_mount, destination),
    F("type",        zl_json_string,  oci_mount, type),
    F("source",      zl_json_string,  oci_mount, source),
    F("options",     zl_json_strs,    oci_mount, options),
    D("uidMappings", zl_json_list,    oci_mount, uid_mappings, &id_mapping_element),
    D("gidMappings", zl_json_list,    oci_mount, gid_mappings, &id_mapping_element),
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

static const struct zl_element seccomp_element = { sizeof(struct oci_seccomp), oci_seccomp_fields };

static const struct zl_field hook_fields[] = {
    R("path",    zl_json_abs_path, oci_hook, path),
    F("args",    zl_json_strs,     oci_hook, args),
    F("env",     oci_decode_env,   oci_hook, env),
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

static const struct zl_field time_offset_fields[] = {
    F("secs",     zl_json_i64, oci_time_offset, secs),
    F("nanosecs", zl_json_u32, oci_time_offset, nanosecs),
    { 0 },
};
static const struct zl_element time_offset_element = { sizeof(struct oci_time_offset), time_offset_fields };

/* told from the start of oci_linux */
static const struct zl_field personality_fields[] = {
    R("domain", zl_json_string, oci_linux, personality.domain),
    F("flags",  zl_json_strs,   oci_linux, personality.flags),
    { 0 },
};

static const struct zl_field linux_fields[] = {
    D("namespaces",        zl_json_list,    oci_linux, namespaces, &namespace_element),
    D("devices",           zl_json_list,    oci_linux, devices, &device_element),
    F("cgroupsPath",       zl_json_string,  oci_linux, cgroups_path),
    D("resources",         zl_json_object,  oci_linux, resources, oci_resources_fields),
    F("rootfsPropagation", zl_json_string,  oci_linux, rootfs_propagation),
    D("seccomp",           zl_json_pointer, oci_linux, seccomp, &seccomp_element),
    F("sysctl",            zl_json_pairs,   oci_linux, sysctl),
    F("maskedPaths",       zl_json_strs,    oci_linux, masked_paths),
    F("readonlyPaths",     zl_json_strs,    oci_linux, readonly_paths),
    F("mountLabel",        zl_json_string,  oci_linux, mount_label),
    D("uidMappings",       zl_json_list,    oci_linux, uid_mappings, &id_mapping_element),
    D("gidMappings",       zl_json_list,    oci_linux, gid_mappings, &id_mapping_element),
    F("intelRdt",          zl_json_present, oci_linux, intel_rdt),
    { "personality",       zl_json_object,  0, 0, personality_fields },
    D("timeOffsets",       zl_json_map,     oci_linux, time_offsets, &time_offset_element),
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

static int decode(struct oci_config *c, struct zl_error *err)
{
    return zl_json_decode(&c->document, config_fields, c, err) < 0 ? -1 : check_version(c, err);
}

int oci_config_of(json_t *document, const char *what, struct oci_config **ret, struct zl_error *err)
{
    autociconfig struct oci_config *c = calloc(1, sizeof *c);
    if (!c)
        return zl_fail_errno(err, "decode %s", what);
    c->document = (struct zl_json){ .root = json_incref(document), .what = what };
    if (decode(c, err) < 0)
        return -1;
    *ret = zl_take_ptr(c);
    return 0;
}

int oci_config_parse(const char *bytes, size_t n, const char *what, struct oci_config **ret,
                     struct zl_error *err)
{
    autociconfig struct oci_config *c = calloc(1, sizeof *c);
    if (!c)
        return zl_fail_errno(err, "decode %s", what);
    if (zl_json_parse(&c->document, bytes, n, what, err) < 0 || decode(c, err) < 0)
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

bool oci_config_has_hooks(const struct oci_config *c)
{
    const struct oci_hooks *h = &c->hooks;
    return h->prestart.n || h->create_runtime.n || h->create_container.n || h->start_container.n ||
           h->poststart.n || h->poststop.n;
}
