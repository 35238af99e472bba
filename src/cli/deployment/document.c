// SPDX-License-Identifier: Apache-2.0
#include "cli/deployment/document.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "cli/output.h"
#include "spec/acted.h"
#include "spec/environment.h"

enum { DOCUMENT_MAX = 8 * 1024 * 1024, FINDINGS_MAX = 1024 * 1024 };

static int read_document(const char *path, struct document *d, struct zl_error *err)
{
    bool input = path && strcmp(path, "-") == 0;
    zl_buf_init(&d->text, DOCUMENT_MAX);
    if (path)
        d->path = strdup(input ? "<stdin>" : path);
    else if (spec_discover(NULL, &d->path, err) < 0)
        return -1;
    if (!d->path)
        return zl_fail_errno(err, "read");
    if ((input ? zl_read_fd(0, &d->text, d->path, err)
               : zl_read_file(AT_FDCWD, d->path, &d->text, err)) == 0)
        return 0;
    return zl_wrap(err, "%s", err->errnum ? "E-IO" : "E-YAML-LIMIT"); /* or it is too large */
}

static int find_base_dir(struct document *d, struct zl_error *err)
{
    const char *slash = strrchr(d->path, '/');
    zl_autofree char *dir = !slash             ? strdup(".")
                            : slash == d->path ? strdup("/")
                                               : strndup(d->path, (size_t)(slash - d->path));
    d->base_dir = dir ? realpath(dir, NULL) : NULL;
    return d->base_dir ? 0 : zl_fail_errno(err, "find the folder of '%s'", d->path);
}

static void print_diags(const struct cli *cli, const struct spec_diags *diags, const char *text)
{
    zl_autobuf struct zl_buf out = ZL_BUF(FINDINGS_MAX);
    spec_diags_print(diags, text, isatty(2) && want_colour(cli), &out);
    (void)fwrite(out.data, 1, out.len, stderr);
}

enum loading { LOAD_APPLY, LOAD_PARSE, LOAD_COMPAT };

/* Reads and parses; the findings are the caller's to print. -1: it cannot be read. */
static int read_and_parse(const char *path, struct document *d, enum loading how,
                          struct spec_diags *diags, bool *good, struct zl_error *err)
{
    *d = (struct document){ 0 };
    if (read_document(path, d, err) < 0 || find_base_dir(d, err) < 0)
        return -1;
    if (how == LOAD_COMPAT) {
        *good = spec_check_compat(d->text.data, d->text.len, d->path, d->base_dir, diags);
        return 0;
    }
    d->spec = spec_parse(d->text.data, d->text.len, d->path, d->base_dir, diags);
    *good = d->spec != NULL;
    if (*good && how == LOAD_APPLY) {
        *good = spec_check_apply(d->spec, NULL, diags);
        *good = spec_check_env(d->spec, NULL, diags) && *good;
    }
    return 0;
}

static int load(const struct cli *cli, const char *path, struct document *d, enum loading how)
{
    bool good;
    struct zl_error err = { 0 };
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    if (read_and_parse(path, d, how, &diags, &good, &err) < 0) {
        (void)cli_fail(&err);
        return CLI_BAD_SPEC;
    }
    print_diags(cli, &diags, d->text.data);
    if (good)
        return CLI_OK;
    return cli_failf(CLI_BAD_SPEC, "%s has %zu error%s", d->path, diags.n_errors,
                     diags.n_errors == 1 ? "" : "s");
}

int document_load(const struct cli *cli, const char *path, struct document *d)
{
    return load(cli, path, d, LOAD_APPLY);
}

int document_parse(const struct cli *cli, const char *path, struct document *d)
{
    return load(cli, path, d, LOAD_PARSE);
}

int document_compat(const struct cli *cli, const char *path, struct document *d)
{
    return load(cli, path, d, LOAD_COMPAT);
}

/* What could not be read, as the finding that it is; its message begins with the id, if it has one.
 */
static json_t *unreadable_json(const struct document *d, const struct zl_error *err)
{
    const char *colon = strchr(err->msg, ':');
    int n = strncmp(err->msg, "E-", 2) == 0 && colon ? (int)(colon - err->msg) : 0;
    return json_pack("[{s:s, s:s%, s:s?, s:i, s:i, s:s, s:s}]", "severity", "error", "id",
                     n ? err->msg : "E-IO", n ? n : 4, "file", d->path, "line", 0, "column", 0,
                     "path", "", "message", err->msg + (n ? n + 2 : 0));
}

static void print_finding(const json_t *f)
{
    (void)fprintf(stderr, "%s %s %s:%lld:%lld %s: %s\n", jstr(f, "severity"), jstr(f, "id"),
                  jstr(f, "file"), (long long)jint(f, "line"), (long long)jint(f, "column"),
                  jstr(f, "path"), jstr(f, "message"));
}

void document_print_findings(const json_t *diagnostics)
{
    for (size_t i = 0; i < json_array_size(diagnostics); i++)
        print_finding(json_array_get(diagnostics, i));
}

void document_print_agents(const json_t *diagnostics)
{
    for (size_t i = 0; i < json_array_size(diagnostics); i++)
        if (spec_env_is_agents(jstr(json_array_get(diagnostics, i), "id")))
            print_finding(json_array_get(diagnostics, i));
}

/* ---- what only the agent knows ------------------------------------------------------------- */

/* The agent's findings, a new reference; NULL with kind OK: there is nothing to ask, or nobody. */
static json_t *ask_agent(struct cli *cli, const struct document *d, bool *good,
                         struct zl_error *err)
{
    json_t *answer = NULL;
    if (!spec_env_asks_agent(d->spec))
        return NULL;
    if (cli_connect_running(cli, err) < 0) {
        if (err->kind != ZL_ERR_UNREACHABLE)
            return NULL;
        *err = (struct zl_error){ .kind = ZL_OK };
        (void)fputs("note: no agent runs, so whether it has the variables that $E: refers to "
                    "is not known\n",
                    stderr);
        return NULL;
    }
    json_t *body = json_pack("{s:s%, s:s, s:s}", "spec", d->text.data, d->text.len, "name", d->path,
                             "base_dir", d->base_dir);
    if (!body) {
        (void)zl_fail(err, ZL_ERR_INVALID, "'%s' is not UTF-8 text", d->path);
        return NULL;
    }
    *good = api_client_call(cli->client, "POST", "/api/v1/validate", body, &answer, NULL, err) == 0;
    const json_t *of = *good ? answer : json_object_get(answer, "details");
    json_t *findings = json_incref(json_object_get(of, "diagnostics"));
    if (findings)
        *err = (struct zl_error){ .kind = ZL_OK };
    json_decref(answer);
    json_decref(body);
    return findings;
}

int document_ask_agent(struct cli *cli, const struct document *d)
{
    struct zl_error err = { 0 };
    bool good = true;
    json_t *findings = ask_agent(cli, d, &good, &err);
    if (err.kind != ZL_OK)
        return cli_fail(&err);
    document_print_agents(findings);
    json_decref(findings);
    return good ? CLI_OK : cli_failf(CLI_BAD_SPEC, "%s cannot be deployed here", d->path);
}

int document_check_json(struct cli *cli, const char *path, bool compat)
{
    autodocument struct document d = { 0 };
    autodiags struct spec_diags diags;
    zl_autobuf struct zl_buf list = ZL_BUF(FINDINGS_MAX);
    struct zl_error err = { 0 };
    json_t *findings;
    bool good = false;
    spec_diags_init(&diags);
    if (read_and_parse(path, &d, compat ? LOAD_COMPAT : LOAD_APPLY, &diags, &good, &err) < 0) {
        findings = unreadable_json(&d, &err);
    } else {
        spec_diags_json(&diags, &list);
        findings = json_loads(list.data, 0, NULL);
    }
    json_t *more = good && !compat ? ask_agent(cli, &d, &good, &err) : NULL;
    if (good && err.kind != ZL_OK && !more) {
        json_decref(findings);
        return cli_fail(&err);
    }
    if (more) { /* of the same text: all that was found here, too */
        json_decref(findings);
        findings = more;
    }
    json_t *out =
        json_pack("{s:s?, s:b, s:o}", "file", d.path, "valid", good, "diagnostics", findings);
    print_json(out);
    json_decref(out);
    return good ? CLI_OK : CLI_BAD_SPEC;
}

void document_done(struct document *d)
{
    free(d->path);
    free(d->base_dir);
    zl_buf_done(&d->text);
    spec_unref(d->spec);
    *d = (struct document){ 0 };
}
