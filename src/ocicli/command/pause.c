// SPDX-License-Identifier: Apache-2.0
/* pause and resume: the freezer of the container's cgroup. */
#include "ocicli/container.h"

static int freeze(struct cli *cli, const char *id, bool frozen, struct zl_error *err)
{
    const unsigned states =
        frozen ? FOUND_IN(OCI_CREATED) | FOUND_IN(OCI_RUNNING) : FOUND_IN(OCI_PAUSED);
    autofound struct found f;

    if (container_find(cli, id, &f, err) < 0 ||
        found_check(&f, frozen ? "pause" : "resume", states, err) < 0 ||
        container_load_plan(&f.container, err) < 0)
        return -1;
    return carry_freeze(f.container.carry, frozen, err);
}

static int pause_container(struct cli *cli, const void *options, int argc, char **argv,
                           struct zl_error *err)
{
    (void)options, (void)argc;
    return freeze(cli, argv[0], true, err);
}

static int resume_container(struct cli *cli, const void *options, int argc, char **argv,
                            struct zl_error *err)
{
    (void)options, (void)argc;
    return freeze(cli, argv[0], false, err);
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
    .act = pause_container,
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
    .act = resume_container,
};
