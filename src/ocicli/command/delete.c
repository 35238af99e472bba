// SPDX-License-Identifier: Apache-2.0
/* delete: what create made goes, and the poststop hooks run. */
#include <fcntl.h>

#include "ocicli/hooks.h"
#include "ocicli/make.h"

struct delete_options {
    bool force, regex;
};

/* Creation may have been cut off at any instruction: what is not there is not needed. Nor is a
 * configuration that another version of ours could read. */
static int load_what_is_there(const struct cli *cli, struct container *c,
                              struct oci_config **config, struct zl_error *err)
{
    struct zl_error why = { 0 };

    bool begun = faccessat(c->dir_fd, "plan", F_OK, 0) == 0 ||
                 faccessat(c->dir_fd, "state.json", F_OK, 0) == 0;

    if (begun && container_load_plan(c, err) < 0)
        return -1;
    if (faccessat(c->dir_fd, "config.json", F_OK, 0) == 0 &&
        container_config(c, config, &why) < 0) {
        (void)zl_wrap(&why, "poststop hooks are not run");
        oci_warn(cli, &why);
    }
    return 0;
}

int delete_found(struct cli *cli, struct found *f, bool force, struct zl_error *err)
{
    struct container *c = &f->container;
    autociconfig struct oci_config *config = NULL;
    struct hooking h = { .cli = cli, .container = c, .state = &f->state, .init = -1 };

    if (found_check(f, "delete", FOUND_IN(OCI_STOPPED) | (force ? FOUND_LIVING : 0), err) < 0 ||
        load_what_is_there(cli, c, &config, err) < 0)
        return -1;
    if (f->status != OCI_STOPPED && end_first(f, err) < 0)
        return -1;
    if (container_remove(cli, c, err) < 0)
        return -1;
    f->state.pid = 0;
    h.config = config;
    if (config && f->state.bundle) /* else it never was a container to hooks */
        hooks_after_stop(&h);
    return 0;
}

/* By force also one whose state nobody can read: its cgroups tell whose end it must be. */
static int find_to_delete(const struct cli *cli, const char *id, bool force, struct found *f,
                          struct zl_error *err)
{
    struct container *c = &f->container;

    if (container_find(cli, id, f, err) == 0)
        return 0;
    if (!force || err->kind != ZL_ERR_INVALID || c->dir_fd < 0 ||
        container_load_plan(c, NULL) < 0 || !c->plan->cgroups.n)
        return -1;
    f->state.pid = 0;
    f->state.bundle = NULL;
    f->status = OCI_STOPPED;
    return 0;
}

static int delete_one(struct cli *cli, const char *id, void *arg, struct zl_error *err)
{
    const struct delete_options *o = arg;
    autofound struct found f;

    if (find_to_delete(cli, id, o->force, &f, err) < 0)
        return o->force && err->kind == ZL_ERR_NOT_FOUND ? 0 : -1;
    return delete_found(cli, &f, o->force, err);
}

static int delete_all(struct cli *cli, const void *options, int argc, char **argv,
                      struct zl_error *err)
{
    struct delete_options o = *(const struct delete_options *)options;
    int rc = 0;

    if (o.regex)
        return containers_matching(cli, argv[0], delete_one, &o, err);
    for (int i = 0; rc == 0 && i < argc; i++)
        rc = delete_one(cli, argv[i], &o, err);
    return rc;
}

/* clang-format off */
static const struct cli_option delete_options[] = {
    { 'f', "force", CLI_FLAG, offsetof(struct delete_options, force), NULL, "kill it if it runs; an unknown container is no error", NULL },
    { 'r', "regex", CLI_FLAG, offsetof(struct delete_options, regex), NULL, "ID is a regular expression: every container that matches", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command delete_command = {
    .name = "delete",
    .args = "ID...",
    .summary = "Remove stopped containers",
    .about =
        "Removes what create made: cgroups and state. Of a container that is created, running or "
        "paused only with\n--force, which kills it.",
    .examples = "zlayer-oci delete web\tit has ended\n"
                "zlayer-oci delete --force --regex '^test-'\tall of them, whatever they do",
    .options = delete_options,
    .options_size = sizeof(struct delete_options),
    .completes = "container",
    .min_args = 1,
    .max_args = -1,
    .act = delete_all,
};
