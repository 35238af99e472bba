// SPDX-License-Identifier: Apache-2.0
/* config.json but for its process (process.c): root, mounts, namespaces, limits, hidden paths. */
#include "oci/bundle.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "oci/etc.h"
#include "oci/part.h"

/* ---- root, hostname, mounts --------------------------------------------------------------- */

static json_t *make_version(const struct oci_bundle *b, struct zl_error *err)
{
    (void)b;
    return oci_part_checked(json_string("1.0.2"), err);
}

static json_t *make_root(const struct oci_bundle *b, struct zl_error *err)
{
    return oci_part_checked(
        json_pack("{s:s, s:b}", "path", "rootfs", "readonly", b->service->read_only_root_fs), err);
}

void oci_bundle_hostname(const struct spec_service *service, const char *name, char *out)
{
    const char *from = service->hostname ? service->hostname : name;
    (void)snprintf(out, OCI_HOSTNAME_MAX + 1, "%s", from); /* cut: a long name is still a name */
}

static json_t *make_hostname(const struct oci_bundle *b, struct zl_error *err)
{
    char name[OCI_HOSTNAME_MAX + 1];
    oci_bundle_hostname(b->service, b->name, name);
    return oci_part_text("the hostname", name, err);
}

/* In this order. Options end with a NULL. */
static const struct {
    const char *target, *type, *source, *options[8];
} standard_mounts[] = {
    /* clang-format off */
    { "/proc",          "proc",   "proc",   { "nosuid", "noexec", "nodev" } },
    { "/dev",           "tmpfs",  "tmpfs",  { "nosuid", "strictatime", "mode=755", "size=65536k" } },
    { "/dev/pts",       "devpts", "devpts", { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
    { "/dev/shm",       "tmpfs",  "shm",    { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
    { "/dev/mqueue",    "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
    { "/sys",           "sysfs",  "sysfs",  { "nosuid", "noexec", "nodev", "ro" } },
    { "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime", "ro" } },
    /* clang-format on */
};

static int append_mount(json_t *mounts, const char *target, const char *type, const char *source,
                        const char *const *options, struct zl_error *err)
{
    size_t n = 0;
    while (options[n])
        n++;
    json_t *to = oci_part_text("a mount's target", target, err);
    json_t *from = to ? oci_part_text("a mount's source", source, err) : NULL;
    if (!from) {
        json_decref(to);
        return -1;
    }
    json_t *m = json_pack("{s:o, s:s, s:o, s:o}", "destination", to, "type", type, "source", from,
                          "options", oci_part_strings(options, n, err));
    if (m && json_array_append_new(mounts, m) == 0)
        return 0;
    (void)oci_part_no_memory(err);
    return -1;
}

static int append_standard(const struct oci_bundle *b, json_t *mounts, struct zl_error *err)
{
    (void)b;
    for (size_t i = 0; i < ZL_ARRAY_LEN(standard_mounts); i++)
        if (append_mount(mounts, standard_mounts[i].target, standard_mounts[i].type,
                         standard_mounts[i].source, standard_mounts[i].options, err) < 0)
            return -1;
    return 0;
}

static int append_etc(const struct oci_bundle *b, json_t *mounts, struct zl_error *err)
{
    static const char *const options[] = { "bind",   "rprivate", "nosuid", "nodev",
                                           "noexec", "ro",       NULL };
    for (size_t i = 0; b->etc_dir && oci_etc_files[i]; i++) {
        zl_autobuf struct zl_buf from = ZL_BUF(4096), to = ZL_BUF(64);
        zl_buf_addf(&from, "%s/%s", b->etc_dir, oci_etc_files[i]);
        zl_buf_addf(&to, "/etc/%s", oci_etc_files[i]);
        if (zl_buf_check(&from, "the path of the state directory", err) < 0 ||
            zl_buf_check(&to, "a mount's target", err) < 0 ||
            append_mount(mounts, to.data, "bind", from.data, options, err) < 0)
            return -1;
    }
    return 0;
}

static int append_bind(const struct spec_storage *s, json_t *mounts, struct zl_error *err)
{
    const char *const options[] = { "rbind", "rprivate", s->readonly ? "ro" : "rw", NULL };
    return append_mount(mounts, s->target, "bind", s->source, options, err);
}

static int append_tmpfs(const struct spec_storage *s, json_t *mounts, struct zl_error *err)
{
    char size[32], mode[24];
    const char *options[6] = { "nosuid", "nodev" };
    size_t n = 2;
    (void)snprintf(mode, sizeof mode, "mode=%o", s->mode ? s->mode : 01777U);
    (void)snprintf(size, sizeof size, "size=%" PRIu64, s->size);
    options[n++] = mode;
    if (s->size)
        options[n++] = size;
    if (s->readonly)
        options[n++] = "ro";
    return append_mount(mounts, s->target, "tmpfs", "tmpfs", options, err);
}

static int append_storage(const struct oci_bundle *b, json_t *mounts, struct zl_error *err)
{
    static int (*const append[])(const struct spec_storage *, json_t *, struct zl_error *) = {
        [SPEC_MOUNT_BIND] = append_bind,
        [SPEC_MOUNT_TMPFS] = append_tmpfs,
        [SPEC_MOUNT_S3] = NULL, /* the highest: what has no entry is not supported yet */
    };
    for (size_t i = 0; i < b->service->n_storage; i++) {
        const struct spec_storage *s = &b->service->storage[i];
        if (!append[s->type])
            return zl_fail(err, ZL_ERR_UNSUPPORTED,
                           "the storage for '%s' is of a type that this version cannot mount",
                           s->target);
        if (append[s->type](s, mounts, err) < 0)
            return -1;
    }
    return 0;
}

static json_t *make_mounts(const struct oci_bundle *b, struct zl_error *err)
{
    json_t *mounts = json_array();
    if (!mounts)
        return oci_part_no_memory(err);
    if (append_standard(b, mounts, err) < 0 || append_etc(b, mounts, err) < 0 ||
        append_storage(b, mounts, err) < 0) {
        json_decref(mounts);
        return NULL;
    }
    return mounts;
}

/* ---- linux -------------------------------------------------------------------------------- */

static json_t *make_namespaces(const struct oci_bundle *b, struct zl_error *err)
{
    static const char *const always[] = { "pid", "ipc", "uts", "mount", "cgroup" };
    enum spec_net net = b->service->network;
    json_t *list = json_array();
    int rc = list ? 0 : -1;

    if (net != SPEC_NET_DEFAULT && net != SPEC_NET_NONE && net != SPEC_NET_HOST) {
        (void)zl_fail(err, ZL_ERR_UNSUPPORTED,
                      "network_mode bridge and container are not supported by this version");
        json_decref(list);
        return NULL;
    }
    for (size_t i = 0; rc == 0 && i < ZL_ARRAY_LEN(always); i++)
        rc = json_array_append_new(list, json_pack("{s:s}", "type", always[i]));
    if (rc == 0 && net != SPEC_NET_HOST)
        rc = json_array_append_new(list, json_pack("{s:s}", "type", "network"));
    if (rc == 0)
        return list;
    json_decref(list);
    return oci_part_no_memory(err);
}

static json_t *make_cgroups_path(const struct oci_bundle *b, struct zl_error *err)
{
    return oci_part_text("the cgroup's path", b->cgroups_path, err);
}

static json_t *make_cpu(const struct oci_bundle *b, struct zl_error *err)
{
    enum { PERIOD = 100000, LEAST = 1000 }; /* µs; the kernel refuses a smaller quota */
    const struct spec_resources *r = &b->service->resources;
    if (r->cpu <= 0 && !r->cpu_shares && !r->cpuset)
        return json_null();
    json_t *cpu = json_object();
    int rc = cpu ? 0 : -1;
    if (rc == 0 && r->cpu > 0) {
        double quota = round(r->cpu * PERIOD);
        rc = oci_part_put(cpu, "quota", json_integer(quota < LEAST ? LEAST : (json_int_t)quota));
        rc = rc == 0 ? oci_part_put(cpu, "period", json_integer(PERIOD)) : rc;
    }
    if (rc == 0 && r->cpu_shares)
        rc = oci_part_put(cpu, "shares", json_integer(r->cpu_shares));
    if (rc == 0 && r->cpuset)
        rc = oci_part_put(cpu, "cpus", json_string(r->cpuset));
    if (rc == 0)
        return cpu;
    json_decref(cpu);
    return oci_part_no_memory(err);
}

static json_t *make_memory(const struct oci_bundle *b, struct zl_error *err)
{
    const struct spec_resources *r = &b->service->resources;
    const struct {
        const char *key;
        int64_t value;
    } limits[] = {
        { "limit", (int64_t)r->memory },
        { "reservation", (int64_t)r->memory_reservation },
        { "swap", r->memory_swap },
    };
    json_t *memory = json_object();
    for (size_t i = 0; memory && i < ZL_ARRAY_LEN(limits); i++) {
        if (limits[i].value &&
            oci_part_put(memory, limits[i].key, json_integer(limits[i].value)) < 0) {
            json_decref(memory);
            memory = NULL;
        }
    }
    if (!memory || json_object_size(memory) > 0)
        return oci_part_checked(memory, err);
    json_decref(memory);
    return json_null();
}

static json_t *make_pids(const struct oci_bundle *b, struct zl_error *err)
{
    int64_t limit = b->service->resources.pids_limit;
    return limit ? oci_part_checked(json_pack("{s:I}", "limit", (json_int_t)limit), err)
                 : json_null();
}

/* All of them character devices; minor -1 is any. */
static const struct {
    int major, minor;
} allowed_devices[] = {
    { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 },    { 1, 9 }, /* null zero full random urandom */
    { 5, 0 }, { 5, 1 }, { 5, 2 }, { 136, -1 },           /* tty console ptmx pts */
};

static json_t *make_device_rule(int major, int minor)
{
    if (minor < 0)
        return json_pack("{s:b, s:s, s:i, s:s}", "allow", 1, "type", "c", "major", major, "access",
                         "rwm");
    return json_pack("{s:b, s:s, s:i, s:i, s:s}", "allow", 1, "type", "c", "major", major, "minor",
                     minor, "access", "rwm");
}

static json_t *make_devices(const struct oci_bundle *b, struct zl_error *err)
{
    (void)b;
    json_t *rules = json_pack("[{s:b, s:s}]", "allow", 0, "access", "rwm");
    for (size_t i = 0; rules && i < ZL_ARRAY_LEN(allowed_devices); i++) {
        json_t *rule = make_device_rule(allowed_devices[i].major, allowed_devices[i].minor);
        if (json_array_append_new(rules, rule) < 0) {
            json_decref(rules);
            rules = NULL;
        }
    }
    return oci_part_checked(rules, err);
}

static json_t *make_resources(const struct oci_bundle *b, struct zl_error *err)
{
    static const struct oci_part parts[] = {
        { "devices", make_devices },
        { "memory", make_memory },
        { "cpu", make_cpu },
        { "pids", make_pids },
        { 0 },
    };
    return oci_part_object(b, parts, err);
}

static json_t *make_propagation(const struct oci_bundle *b, struct zl_error *err)
{
    (void)b;
    return oci_part_checked(json_string("private"), err);
}

static const char *const masked_paths[] = {
    "/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi",          "/sys/firmware",
};
static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static json_t *make_masked_paths(const struct oci_bundle *b, struct zl_error *err)
{
    (void)b;
    return oci_part_strings(masked_paths, ZL_ARRAY_LEN(masked_paths), err);
}

static json_t *make_readonly_paths(const struct oci_bundle *b, struct zl_error *err)
{
    (void)b;
    return oci_part_strings(readonly_paths, ZL_ARRAY_LEN(readonly_paths), err);
}

static json_t *make_linux(const struct oci_bundle *b, struct zl_error *err)
{
    static const struct oci_part parts[] = {
        { "namespaces", make_namespaces },
        { "cgroupsPath", make_cgroups_path },
        { "resources", make_resources },
        { "rootfsPropagation", make_propagation },
        { "maskedPaths", make_masked_paths },
        { "readonlyPaths", make_readonly_paths },
        { 0 },
    };
    return oci_part_object(b, parts, err);
}

int oci_bundle_make(const struct oci_bundle *b, json_t **ret, struct zl_error *err)
{
    static const struct oci_part parts[] = {
        { "ociVersion", make_version },
        { "process", oci_process_make },
        { "root", make_root },
        { "hostname", make_hostname },
        { "mounts", make_mounts },
        { "linux", make_linux },
        { 0 },
    };
    json_t *config = oci_part_object(b, parts, err);
    if (!config)
        return -1;
    *ret = config;
    return 0;
}
