// SPDX-License-Identifier: Apache-2.0
/* Options by tables: each fills a member of a struct, as getopt_long(3) users expect to type them.
 */
#ifndef ZL_CMDLINE_OPTIONS_H
#define ZL_CMDLINE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What an option takes and the type of the member it fills. */
enum cli_kind {
    CLI_FLAG,     /* bool; "--x", "-x", "--x=false" */
    CLI_STRING,   /* const char * */
    CLI_LIST,     /* struct cli_list; may be repeated */
    CLI_NUMBER,   /* uint64_t, decimal */
    CLI_DURATION, /* uint64_t, milliseconds; "30s", "1m 30s", or plain seconds */
    CLI_GRACE,    /* the same, but a written 0 is 1: 0 in the member means that none was given */
    CLI_CHOICE,   /* int, index into words */
};

struct cli_list {
    const char **v; /* borrowed from argv; the array is the options' */
    size_t n;
};

/* In the order in which a table reads best. */
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct cli_option {
    char letter;      /* 0: none */
    const char *name; /* "timeout", of --timeout; NULL ends the table */
    enum cli_kind kind;
    size_t offset;
    const char *arg;          /* "SECONDS", as help names the value; NULL for a flag */
    const char *help;         /* one line */
    const char *const *words; /* of a choice, NULL-terminated */
};

/*
 * Parses argv[0..argc) into out by the options of `own`, then `global` (both may be NULL; global
 * fills global_out). What is not an option is moved to the front of argv in order; returns how many
 * these are. first_only: everything from the first argument on is no option. "--" ends the options.
 * -1: a usage error, in err. *ret_help is set by -h and --help.
 */
int cli_parse_options(int argc, char **argv, const struct cli_option *own, void *out,
                      const struct cli_option *global, void *global_out, bool first_only,
                      bool *ret_help, struct zl_error *err);
/* Frees the lists of a parsed struct. */
void cli_options_done(const struct cli_option *own, void *out);

#endif
