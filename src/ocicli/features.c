// SPDX-License-Identifier: Apache-2.0
/* `features` (runtime-spec, features.md): what this runtime knows, whether or not the host has it.
 */
#include <stdio.h>

#include "base/fd.h"
#include "base/json.h"
#include "oci/names.h"
#include "oci/state.h"
#include "ocicli/ocicli.h"

static json_t *strings(const char *const *v)
{
    json_t *list = json_array();

    for (; *v; v++)
        (void)json_array_append_new(list, json_string(*v));
    return list;
}

static json_t *capabilities(void)
{
    json_t *list = json_array();

    for (int i = 0; capability_name(i); i++)
        (void)json_array_append_new(list, json_string(capability_name(i)));
    return list;
}

static json_t *linux_features(void)
{
    static const char *const namespaces[] = { "cgroup", "ipc", "mount", "network",
                                              "pid",    "uts", NULL };
    static const char *const actions[] = {
        "SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
        "SCMP_ACT_TRACE",        "SCMP_ACT_TRAP",        NULL
    };
    static const char *const operators[] = { "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
                                             "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
                                             "SCMP_CMP_NE", NULL };
    static const char *const archs[] = { "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64",
                                         NULL };

    return json_pack("{so so s{sb sb sb sb sb} s{sb so so so} s{sb} s{sb}}", "namespaces",
                     strings(namespaces), "capabilities", capabilities(), "cgroup", "v1", 1, "v2",
                     1, "systemd", 0, "systemdUser", 0, "rdma", 0, "seccomp", "enabled", 1,
                     "actions", strings(actions), "operators", strings(operators), "archs",
                     strings(archs), "apparmor", "enabled", 0, "selinux", "enabled", 0);
}

static int features(struct zl_error *err)
{
    static const char *const hooks[] = {
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
        NULL
    };
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    json_t *root = json_pack("{ss ss so so}", "ociVersionMin", "1.0.0", "ociVersionMax",
                             OCI_VERSION, "hooks", strings(hooks), "linux", linux_features());
    int rc = root ? zl_json_dump(root, JSON_INDENT(2), &text, err)
                  : zl_fail(err, ZL_ERR_SYSTEM, "list features: out of memory");

    json_decref(root);
    if (rc < 0)
        return -1;
    zl_buf_addc(&text, '\n');
    return zl_write_all(STDOUT_FILENO, text.data, text.len, "standard output", err);
}

static int features_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };

    (void)options, (void)argc, (void)argv;
    return features(&err) < 0 ? oci_fail(cli, &err) : 0;
}

const struct cli_command features_command = {
    .name = "features",
    .group = GROUP_OTHER,
    .summary = "Print what this runtime knows, as JSON",
    .about = "Prints the features document of the runtime-spec: what config.json may ask for, "
             "whether or not "
             "this host has it.",
    .examples = "zlayer-oci features\tfor engines and people",
    .run = features_run,
};
