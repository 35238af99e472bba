// SPDX-License-Identifier: Apache-2.0
/* `linux.resources` of config.json, which is also the whole of what `update` reads. */
#include "oci/tables.h"

/* clang-format off */
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
    F("checkBeforeUpdate", zl_json_bool,   oci_memory, check_before_update),
    F("kernel",           zl_json_opt_i64, oci_memory, kernel),
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

static const struct zl_field weight_device_fields[] = {
    R("major",      zl_json_i64,     oci_weight_device, major),
    R("minor",      zl_json_i64,     oci_weight_device, minor),
    F("weight",     zl_json_opt_u64, oci_weight_device, weight),
    F("leafWeight", zl_json_opt_u64, oci_weight_device, leaf_weight),
    { 0 },
};
static const struct zl_element weight_device_element = { sizeof(struct oci_weight_device), weight_device_fields };

static const struct zl_field throttle_device_fields[] = {
    R("major", zl_json_i64, oci_throttle_device, major),
    R("minor", zl_json_i64, oci_throttle_device, minor),
    R("rate",  zl_json_u64, oci_throttle_device, rate),
    { 0 },
};
static const struct zl_element throttle_device_element = { sizeof(struct oci_throttle_device), throttle_device_fields };

static const struct zl_field block_io_fields[] = {
    F("weight",                  zl_json_opt_u64, oci_block_io, weight),
    F("leafWeight",              zl_json_opt_u64, oci_block_io, leaf_weight),
    D("weightDevice",            zl_json_list,    oci_block_io, weight_devices, &weight_device_element),
    D("throttleReadBpsDevice",   zl_json_list,    oci_block_io, read_bps, &throttle_device_element),
    D("throttleWriteBpsDevice",  zl_json_list,    oci_block_io, write_bps, &throttle_device_element),
    D("throttleReadIOPSDevice",  zl_json_list,    oci_block_io, read_iops, &throttle_device_element),
    D("throttleWriteIOPSDevice", zl_json_list,    oci_block_io, write_iops, &throttle_device_element),
    { 0 },
};

static const struct zl_field hugepage_fields[] = {
    R("pageSize", zl_json_string, oci_hugepage_limit, page_size),
    R("limit",    zl_json_u64,    oci_hugepage_limit, limit),
    { 0 },
};
static const struct zl_element hugepage_element = { sizeof(struct oci_hugepage_limit), hugepage_fields };

static const struct zl_field priority_fields[] = {
    R("name",     zl_json_string, oci_interface_priority, name),
    R("priority", zl_json_u32,    oci_interface_priority, priority),
    { 0 },
};
static const struct zl_element priority_element = { sizeof(struct oci_interface_priority), priority_fields };
static const struct zl_field network_fields[] = {
    F("classID",    zl_json_opt_u64, oci_resources, network.class_id),
    D("priorities", zl_json_list,    oci_resources, network.priorities, &priority_element),
    { 0 },
};

static const struct zl_field rdma_fields[] = {
    F("hcaHandles", zl_json_opt_u64, oci_rdma, hca_handles),
    F("hcaObjects", zl_json_opt_u64, oci_rdma, hca_objects),
    { 0 },
};
static const struct zl_element rdma_element = { sizeof(struct oci_rdma), rdma_fields };

static const struct zl_field pids_fields[] = {
    { "limit", zl_json_opt_i64, 0, 0, NULL },
    { 0 },
};

const struct zl_field oci_resources_fields[] = {
    D("devices",        zl_json_list,   oci_resources, devices, &device_rule_element),
    D("memory",         zl_json_object, oci_resources, memory, memory_fields),
    D("cpu",            zl_json_object, oci_resources, cpu, cpu_fields),
    D("pids",           zl_json_object, oci_resources, pids, pids_fields),
    D("blockIO",        zl_json_object, oci_resources, block_io, block_io_fields),
    D("hugepageLimits", zl_json_list,   oci_resources, hugepages, &hugepage_element),
    /* its fields are told from the start of oci_resources */
    { "network", zl_json_object, 0, 0, network_fields },
    D("rdma",           zl_json_map,    oci_resources, rdma, &rdma_element),
    F("unified",        zl_json_pairs,  oci_resources, unified),
    { 0 },
};
/* clang-format on */

int oci_resources_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                        struct oci_resources **ret, struct zl_error *err)
{
    struct oci_resources *r;

    if (zl_json_parse(doc, bytes, n, what, err) < 0)
        return -1;
    r = zl_json_alloc(doc, 1, sizeof *r);
    if (!r)
        return zl_fail_errno(err, "decode %s", what);
    if (zl_json_decode(doc, oci_resources_fields, r, err) < 0)
        return -1;
    *ret = r;
    return 0;
}
