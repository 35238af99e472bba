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

const struct zl_field oci_resources_fields[] = {
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
/* clang-format on */
