// SPDX-License-Identifier: Apache-2.0
/* `features` (runtime-spec, features.md): what this runtime knows, whether or not the host has it.
 */
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>

#include "oci/names.h"
#include "oci/state.h"
#include "ocicli/ocicli.h"
#include "sandbox/plan.h"
#include "sandbox/plan/seccomp.h"

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

/* The names that a table gives by number, up to its NULL. */
static json_t *names(const char *(*nth)(size_t n))
{
    json_t *list = json_array();

    for (size_t i = 0; nth(i); i++)
        (void)json_array_append_new(list, json_string(nth(i)));
    return list;
}

/* A flag that the kernel knows lets it go on to the filter, of which there is none: seccomp(2). */
static bool kernel_takes(const char *flag)
{
    static const struct {
        const char *name;
        unsigned long bits;
    } flags[] = {
        { "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
        { "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
        { "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
          SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FILTER_FLAG_NEW_LISTENER },
    };

    for (size_t i = 0; i < ZL_ARRAY_LEN(flags); i++)
        if (strcmp(flags[i].name, flag) == 0)
            return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i].bits, NULL) < 0 &&
                   errno == EFAULT;
    return true; /* TSYNC: there is one thread */
}

static json_t *supported_flags(void)
{
    json_t *list = json_array();

    for (size_t i = 0; seccomp_flag_name(i); i++)
        if (kernel_takes(seccomp_flag_name(i)))
            (void)json_array_append_new(list, json_string(seccomp_flag_name(i)));
    return list;
}

static json_t *seccomp_features(void)
{
    static const char *const actions[] = { "SCMP_ACT_ALLOW",       "SCMP_ACT_ERRNO",
                                           "SCMP_ACT_KILL",        "SCMP_ACT_KILL_PROCESS",
                                           "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                                           "SCMP_ACT_NOTIFY",      "SCMP_ACT_TRACE",
                                           "SCMP_ACT_TRAP",        NULL };
    static const char *const operators[] = { "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
                                             "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
                                             "SCMP_CMP_NE", NULL };

    return json_pack("{sb so so so so so}", "enabled", 1, "actions", strings(actions), "operators",
                     strings(operators), "archs", names(seccomp_abi_name), "knownFlags",
                     names(seccomp_flag_name), "supportedFlags", supported_flags());
}

static json_t *linux_features(void)
{
    static const char *const namespaces[] = { "cgroup", "ipc",  "mount", "network", "pid",
                                              "time",   "user", "uts",   NULL };

    return json_pack("{so so s{sb sb sb sb sb} so s{sb} s{sb} s{sb} s{s{sb}}}", "namespaces",
                     strings(namespaces), "capabilities", capabilities(), "cgroup", "v1", 1, "v2",
                     1, "systemd", 1, "systemdUser", 1, "rdma", 1, "seccomp", seccomp_features(),
                     "apparmor", "enabled", 1, "selinux", "enabled", 1, "intelRdt", "enabled", 0,
                     "mountExtensions", "idmap", "enabled", 1);
}

static json_t *all_features(void)
{
    static const char *const hooks[] = {
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
        NULL
    };
    /* who writes annotations for others must not let these through */
    static const char *const unsafe[] = { "org.systemd.property.", "run.oci.keep_original_groups",
                                          NULL };

    return json_pack("{ss ss so so so s{ss} so}", "ociVersionMin", "1.0.0", "ociVersionMax",
                     OCI_VERSION, "hooks", strings(hooks), "mountOptions", names(plan_mount_option),
                     "linux", linux_features(), "annotations", "org.zlayer.version", ZL_VERSION,
                     "potentiallyUnsafeConfigAnnotations", strings(unsafe));
}

static int features(struct cli *cli, const void *options, int argc, char **argv,
                    struct zl_error *err)
{
    (void)cli, (void)options, (void)argc, (void)argv;
    return oci_print_json(all_features(), JSON_INDENT(2), err);
}

const struct cli_command features_command = {
    .name = "features",
    .group = GROUP_OTHER,
    .summary = "Print what this runtime knows, as JSON",
    .about = "Prints the features document of the runtime-spec: what config.json may ask for, "
             "whether or not "
             "this host has it.",
    .examples = "zlayer-oci features\tfor engines and people",
    .act = features,
};
