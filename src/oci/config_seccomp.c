// SPDX-License-Identifier: Apache-2.0
/* `linux.seccomp` of config.json. */
#include "oci/tables.h"

/* clang-format off */
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
const struct zl_field oci_seccomp_fields[] = {
    RD("defaultAction",  zl_json_enum,    oci_seccomp, default_action, action_words),
    F("defaultErrnoRet", zl_json_opt_u64, oci_seccomp, default_errno_ret),
    F("architectures",   zl_json_strs,    oci_seccomp, architectures),
    F("flags",           zl_json_strs,    oci_seccomp, flags),
    F("listenerPath",    zl_json_string,  oci_seccomp, listener_path),
    F("listenerMetadata", zl_json_string, oci_seccomp, listener_metadata),
    D("syscalls",        zl_json_list,    oci_seccomp, syscalls, &seccomp_rule_element),
    { 0 },
};
/* clang-format on */
