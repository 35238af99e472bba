// SPDX-License-Identifier: Apache-2.0
/* up and deploy: the document is checked here first, so that a wrong one changes nothing and needs
 * no agent; then it is posted, and its progress followed. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/deployment/document.h"
#include "cli/output.h"
#include "cli/progress.h"

struct up_options {
    bool detach;
    bool dry_run;
    uint64_t timeout_ms;
};

static int rejected(const json_t *answer, const struct zl_error *err)
{
    const json_t *findings = json_object_get(json_object_get(answer, "details"), "diagnostics");
    if (!json_is_array(findings))
        return cli_fail(err);
    document_print_findings(findings);
    return cli_failf(CLI_BAD_SPEC, "%s", err->msg);
}

static void print_revision(const json_t *answer)
{
    document_print_agents(json_object_get(answer, "diagnostics"));
    (void)printf("%s: revision %lld\n", jstr(answer, "name"), (long long)jint(answer, "revision"));
}

/* Posts the document; CLI_OK, or the exit code. */
static int post_document(struct cli *cli, const struct document *d)
{
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    json_t *body = json_pack("{s:s%, s:s, s:s}", "spec", d->text.data, d->text.len, "name", d->path,
                             "base_dir", d->base_dir);
    if (!body)
        return cli_failf(CLI_FAILED, "'%s' is not UTF-8 text", d->path);
    int code = CLI_OK;
    if (cli_call(cli, "POST", "/api/v1/deployments", NULL, NULL, body, &answer, &err) < 0)
        code = rejected(answer, &err);
    else
        print_revision(answer);
    (void)fflush(stdout);
    json_decref(answer);
    json_decref(body);
    return code;
}

static void print_plan(const struct document *d)
{
    (void)printf("%s: %zu service%s, in this order:\n", d->spec->deployment, d->spec->n_services,
                 d->spec->n_services == 1 ? "" : "s");
    for (size_t i = 0; i < d->spec->n_services; i++) {
        const struct spec_service *s = &d->spec->services[d->spec->start_order[i]];
        (void)printf("  %s: %s, %s", s->name, spec_rtype_name(s->rtype), s->image.name);
        if (s->rtype == SPEC_SERVICE)
            (void)printf(", %u replica%s", s->replicas, s->replicas == 1 ? "" : "s");
        for (size_t k = 0; k < s->n_depends; k++)
            (void)printf("%s%s (%s)", k ? ", " : ", after ", s->depends[k].service,
                         spec_condition_name(s->depends[k].condition));
        (void)printf("\n");
    }
}

/* Ctrl+C ends the watching only. */
static void detach_on_interrupt(int signo)
{
    static const char text[] = "\ndetached; what was deployed goes on (zlayer ps, zlayer down)\n";
    (void)signo;
    (void)!write(1, text, sizeof text - 1);
    _exit(CLI_OK);
}

static int deploy_document(struct cli *cli, const struct up_options *o, const char *path, bool stay)
{
    autodocument struct document d;
    int code = document_load(cli, path, &d);
    if (code != CLI_OK)
        return code;
    if (o->dry_run) {
        code = document_ask_agent(cli, &d);
        if (code == CLI_OK)
            print_plan(&d);
        return code;
    }
    if ((code = post_document(cli, &d)) != CLI_OK)
        return code;
    if (stay)
        (void)signal(SIGINT, detach_on_interrupt);
    struct progress_options p = { .timeout_ms = o->timeout_ms, .stay = stay };
    return progress_follow(cli, d.spec->deployment, &p);
}

static int up_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct up_options *o = options;
    return deploy_document(cli, o, argc ? argv[0] : NULL, !o->detach);
}

static int deploy_run(struct cli *cli, const void *options, int argc, char **argv)
{
    return deploy_document(cli, options, argc ? argv[0] : NULL, false);
}

struct validate_options {
    bool compat;
};

static int validate_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct validate_options *o = options;
    const char *path = argc ? argv[0] : NULL;
    if (cli->format == CLI_JSON)
        return document_check_json(cli, path, o->compat);
    autodocument struct document d;
    int code = o->compat ? document_compat(cli, path, &d) : document_load(cli, path, &d);
    if (code == CLI_OK && !o->compat)
        code = document_ask_agent(cli, &d);
    if (code != CLI_OK)
        return code;
    (void)printf("%s is valid\n", d.path);
    if (!o->compat)
        print_plan(&d);
    return CLI_OK;
}

/* clang-format off */
static const struct cli_option up_options[] = {
    { 'd', "detach",  CLI_FLAG,     offsetof(struct up_options, detach),     NULL,   "return when everything is ready", NULL },
    { 't', "timeout", CLI_DURATION, offsetof(struct up_options, timeout_ms), "TIME", "give up after this long; exit code 5", NULL },
    { 0 },
};
static const struct cli_option validate_options[] = {
    { 0,   "compat",  CLI_FLAG,     offsetof(struct validate_options, compat), NULL, "warn where only this program is strict; refuse its extensions", NULL },
    { 0 },
};
static const struct cli_option deploy_options[] = {
    { 't', "timeout", CLI_DURATION, offsetof(struct up_options, timeout_ms), "TIME", "give up after this long; exit code 5", NULL },
    { 0,   "dry-run", CLI_FLAG,     offsetof(struct up_options, dry_run),    NULL,   "check and show the plan only", NULL },
    { 0 },
};
/* clang-format on */

#define SPEC_SEARCH                                                                                \
    "Without a file, the current directory is searched: .zlayer.yml, .zlayer.yaml, zlayer.yml,\n"  \
    "zlayer.yaml, then the only *.zlayer.yml or zlayer.*.yml there is. - reads standard input."

const struct cli_command up_command = {
    .name = "up",
    .group = GROUP_DEPLOY,
    .args = "[SPEC]",
    .summary = "Deploy a file, and watch it until Ctrl+C",
    .about = SPEC_SEARCH "\n\nCtrl+C ends the watching; what was deployed goes on.",
    .examples = "zlayer up\tthe file of this directory\n"
                "zlayer up -d shop.zlayer.yml\treturn when it is ready",
    .options = up_options,
    .options_size = sizeof(struct up_options),
    .max_args = 1,
    .completes = "spec",
    .run = up_run,
};

const struct cli_command deploy_command = {
    .name = "deploy",
    .group = GROUP_DEPLOY,
    .args = "[SPEC]",
    .summary = "Deploy a file, and return when it is ready",
    .about = SPEC_SEARCH "\n\nExit code 5 when it does not get ready in time: then every service\n"
                         "that is not is named with the reason and its last log lines.",
    .examples = "zlayer deploy shop.zlayer.yml --timeout 2m\n"
                "zlayer deploy --dry-run\tonly what would be done",
    .options = deploy_options,
    .options_size = sizeof(struct up_options),
    .max_args = 1,
    .completes = "spec",
    .run = deploy_run,
};

const struct cli_command validate_command = {
    .name = "validate",
    .group = GROUP_DEPLOY,
    .args = "[SPEC]",
    .summary = "Check a file without deploying it; needs no agent",
    .about = SPEC_SEARCH
    "\n\nAn agent that runs is asked whether it has the variables that $E: refers to; none is\n"
    "started. Exit code 3 when it is invalid; --format json prints the findings as JSON.",
    .options = validate_options,
    .options_size = sizeof(struct validate_options),
    .max_args = 1,
    .completes = "spec",
    .run = validate_run,
};
