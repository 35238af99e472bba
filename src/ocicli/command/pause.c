// SPDX-License-Identifier: Apache-2.0
/* pause and resume: the freezer of the container's cgroup. */
#include "ocicli/container.h"

static int freeze(struct cli *cli, const char *id, bool frozen, struct zl_error *err)
{
    autofound struct found f;

    if (container_find(cli, id, &f, err) < 0)
        return -1;
    if (frozen ? f.status != OCI_RUNNING && f.status != OCI_CREATED : f.status != OCI_PAUSED)
        return zl_fail(err, ZL_ERR_CONFLICT, "cannot %s container '%s': it is %s",
                       frozen ? "pause" : "resume", id, oci_status_name(f.status));
    return container_load_plan(&f.container, err) < 0
               ? -1
               : carry_freeze(f.container.carry, frozen, err);
}

static int pause_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };

    (void)options, (void)argc;
    return freeze(cli, argv[0], true, &err) < 0 ? oci_fail(cli, &err) : 0;
}

static int resume_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };

    (void)options, (void)argc;
    return freeze(cli, argv[0], false, &err) < 0 ? oci_fail(cli, &err) : 0;
}

const struct cli_command pause_command = {
    .name = "pause",
    .group = GROUP_CHANGE,
    .args = "ID",
    .summary = "Stop all processes where they are",
    .examples = "zlayer-oci pause web\tuntil zlayer-oci resume web",
    .completes = "container",
    .min_args = 1,
    .max_args = 1,
    .run = pause_run,
};

const struct cli_command resume_command = {
    .name = "resume",
    .group = GROUP_CHANGE,
    .args = "ID",
    .summary = "Let paused processes go on",
    .examples = "zlayer-oci resume web\tafter zlayer-oci pause web",
    .completes = "container",
    .min_args = 1,
    .max_args = 1,
    .run = resume_run,
};
