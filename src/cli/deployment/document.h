// SPDX-License-Identifier: Apache-2.0
/* The deployment file of validate, deploy and up: found, read, checked without an agent. */
#ifndef ZL_CLI_DEPLOYMENT_DOCUMENT_H
#define ZL_CLI_DEPLOYMENT_DOCUMENT_H

#include "cli/cli.h"
#include "spec/spec.h"

struct document {
    char *path;     /* as messages call it */
    char *base_dir; /* absolute: relative paths of the document start here */
    struct zl_buf text;
    struct spec *spec;
};

/* As document_load(), but whether this host can act on what it says is not asked. */
int document_parse(const struct cli *cli, const char *path, struct document *d);
/* Prints {"file", "valid", "diagnostics"} to stdout instead of the findings to stderr; includes
 * what document_ask_agent() finds, unless compat. */
int document_check_json(struct cli *cli, const char *path, bool compat);
/* As document_parse(), by spec_check_compat(): d has no spec then. */
int document_compat(const struct cli *cli, const char *path, struct document *d);

/*
 * path NULL: the one in the current directory (spec_discover); "-": standard input. Prints the
 * findings to stderr with their lines. Returns the exit code: CLI_OK with d filled, or
 * CLI_BAD_SPEC.
 */
int document_load(const struct cli *cli, const char *path, struct document *d);
void document_done(struct document *d);
#define autodocument ZL_CLEANUP(document_done)

/*
 * What only the agent can find in a document that was loaded, to stderr: whether there are the
 * variables of its environment that the document refers to. None is asked when it refers to none;
 * none is started, and that nobody was asked is told. CLI_OK or the exit code.
 */
int document_ask_agent(struct cli *cli, const struct document *d);
/* The same of findings that came with another answer. */
void document_print_agents(const json_t *diagnostics);

/* Findings as the agent sends them (details.diagnostics), to stderr. */
void document_print_findings(const json_t *diagnostics);

#endif
