// SPDX-License-Identifier: Apache-2.0
/* `linux` of config.json: namespaces, device nodes, sysctls, what of /proc and /sys is hidden. */
#include <string.h>

#include "oci/part.h"

static json_t *no_part(json_t *list)
{
    json_decref(list);
    return NULL;
}

/* ---- namespaces --------------------------------------------------------------------------- */

/* "pid" as a new one, or, with a path, the one that is there. */
static int append_namespace(json_t *list, const char *type, const char *path, struct zl_error *err)
{
    return oci_part_append(list, json_pack("{s:s, s:s*}", "type", type, "path", path), err);
}

/* The one of another container must have been found; otherwise a new one would take its place
 * unnoticed. */
static int append_mode(json_t *list, const char *type, const char *mode, const char *join,
                       struct zl_error *err)
{
    if (mode && strcmp(mode, "host") == 0)
        return 0;
    if (oci_bundle_joins(mode) && !join)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "%s namespace: container '%s' does not run", type,
                       oci_bundle_joins(mode));
    return append_namespace(list, type, oci_bundle_joins(mode) ? join : NULL, err);
}

static int append_network(const struct oci_bundle *b, json_t *list, struct zl_error *err)
{
    enum spec_net net = b->service->network;
    if (net == SPEC_NET_BRIDGE)
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "network_mode bridge is not supported by this version");
    if (net == SPEC_NET_CONTAINER && !b->join.network)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "network namespace: container '%s' does not run",
                       b->service->network_name);
    if (net == SPEC_NET_HOST)
        return 0;
    return append_namespace(list, "network", net == SPEC_NET_CONTAINER ? b->join.network : NULL,
                            err);
}

static json_t *make_namespaces(const struct oci_making *m, struct zl_error *err)
{
    static const char *const always[] = { "uts", "mount", "cgroup" };
    const struct spec_service *s = m->b->service;
    json_t *list = json_array();
    if (!list)
        return oci_part_no_memory(err);
    if (s->userns_mode && strcmp(s->userns_mode, "host") != 0) {
        (void)zl_fail(err, ZL_ERR_UNSUPPORTED, "userns_mode '%s': only host is there",
                      s->userns_mode);
        return no_part(list);
    }
    if (append_mode(list, "pid", s->pid_mode, m->b->join.pid, err) < 0 ||
        append_mode(list, "ipc", s->ipc_mode, m->b->join.ipc, err) < 0)
        return no_part(list);
    for (size_t i = 0; i < ZL_ARRAY_LEN(always); i++)
        if (append_namespace(list, always[i], NULL, err) < 0)
            return no_part(list);
    return append_network(m->b, list, err) < 0 ? no_part(list) : list;
}

/* ---- devices, sysctls --------------------------------------------------------------------- */

static json_t *device_node(const struct oci_host_device *d)
{
    const char type[] = { d->type, '\0' };
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:I, s:I}", "path", d->path, "type", type, "major",
                     (int)d->major, "minor", (int)d->minor, "fileMode", (int)d->mode, "uid",
                     (json_int_t)d->uid, "gid", (json_int_t)d->gid);
}

static json_t *make_devices(const struct oci_making *m, struct zl_error *err)
{
    json_t *list = m->devices.n ? json_array() : json_null();
    for (size_t i = 0; list && i < m->devices.n; i++)
        if (oci_part_append(list, device_node(&m->devices.v[i]), err) < 0)
            return no_part(list);
    return oci_part_checked(list, err);
}

static json_t *make_sysctl(const struct oci_making *m, struct zl_error *err)
{
    const struct spec_pairs *from = &m->b->service->sysctls;
    json_t *all = from->n ? json_object() : json_null();
    for (size_t i = 0; all && i < from->n; i++) {
        json_t *value = oci_part_text("the value of a sysctl", from->v[i].value, err);
        if (!value)
            return no_part(all);
        if (json_object_set_new(all, from->v[i].key, value) < 0) {
            (void)zl_fail(err, ZL_ERR_INVALID, "the name of a sysctl is not valid UTF-8");
            return no_part(all);
        }
    }
    return oci_part_checked(all, err);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static json_t *make_cgroups_path(const struct oci_making *m, struct zl_error *err)
{
    return oci_part_text("the cgroup's path", m->b->cgroups_path, err);
}

static json_t *make_propagation(const struct oci_making *m, struct zl_error *err)
{
    (void)m;
    return oci_part_checked(json_string("private"), err);
}

static json_t *make_seccomp(const struct oci_making *m, struct zl_error *err)
{
    return oci_security_seccomp(&m->security, m->b->host, m->bounding, err);
}

static const char *const masked_paths[] = {
    "/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi",          "/sys/firmware",
};
static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static json_t *make_masked_paths(const struct oci_making *m, struct zl_error *err)
{
    return m->security.paths_visible
               ? json_null()
               : oci_part_strings(masked_paths, ZL_ARRAY_LEN(masked_paths), err);
}

static json_t *make_readonly_paths(const struct oci_making *m, struct zl_error *err)
{
    return m->security.paths_visible
               ? json_null()
               : oci_part_strings(readonly_paths, ZL_ARRAY_LEN(readonly_paths), err);
}

json_t *oci_linux_make(const struct oci_making *m, struct zl_error *err)
{
    static const struct oci_part parts[] = {
        { "namespaces", make_namespaces },
        { "cgroupsPath", make_cgroups_path },
        { "resources", oci_resources_make },
        { "devices", make_devices },
        { "sysctl", make_sysctl },
        { "seccomp", make_seccomp },
        { "rootfsPropagation", make_propagation },
        { "maskedPaths", make_masked_paths },
        { "readonlyPaths", make_readonly_paths },
        { 0 },
    };
    return oci_part_object(m, parts, err);
}
