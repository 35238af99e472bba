// SPDX-License-Identifier: Apache-2.0
/* start: the command of a created container is executed. */
#include "ocicli/hooks.h"
#include "ocicli/make.h"

int start_created(struct cli *cli, struct container *c, const struct oci_config *config,
                  const struct oci_state *state, int pidfd, bool *ret_hooks_failed,
                  struct zl_error *err)
{
    autogate struct gate gate = GATE_NONE;
    struct hooking h = {
        .cli = cli, .container = c, .config = config, .state = state, .init = pidfd
    };

    *ret_hooks_failed = false;
    if (gate_approach(c, &gate, err) < 0)
        return -1;
    if (hooks_before_start(&h, err) < 0) {
        *ret_hooks_failed = true;
        return -1;
    }
    if (gate_open(c, &gate, err) < 0)
        return -1;
    hooks_after_start(&h);
    return 0;
}

/* runtime.md, "Lifecycle", 7: a startContainer hook that fails ends the container (12 and 13). */
static void destroy(struct cli *cli, struct found *f, const struct oci_config *config)
{
    struct hooking h = {
        .cli = cli, .container = &f->container, .config = config, .state = &f->state, .init = -1
    };

    if (end_first(f, NULL) < 0 || container_load_plan(&f->container, NULL) < 0 ||
        container_remove(cli, &f->container, NULL) < 0)
        return; /* the hook's failure is the story; delete will tell the rest */
    f->state.pid = 0;
    hooks_after_stop(&h);
}

static int start(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    autociconfig struct oci_config *config = NULL;
    autofound struct found f;
    bool hooks_failed;

    (void)options, (void)argc;
    if (container_find(cli, argv[0], &f, err) < 0 ||
        found_check(&f, "start", FOUND_IN(OCI_CREATED), err) < 0)
        return -1;
    zl_autoclose int pidfd = container_pidfd(&f.state, err);
    if (pidfd < 0 || container_config(&f.container, &config, err) < 0)
        return -1;
    if (start_created(cli, &f.container, config, &f.state, pidfd, &hooks_failed, err) == 0)
        return 0;
    if (hooks_failed)
        destroy(cli, &f, config);
    return -1;
}

const struct cli_command start_command = {
    .name = "start",
    .args = "ID",
    .summary = "Execute the command of a created container",
    .examples = "zlayer-oci start web\tafter zlayer-oci create",
    .completes = "container",
    .min_args = 1,
    .max_args = 1,
    .act = start,
};
