// SPDX-License-Identifier: Apache-2.0
/* zlayer: its commands are in commands.c, the way from argv to them in cmdline/dispatch.c. */
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "base/stdfds.h"
#include "cli/cli.h"

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    struct zl_error err = { 0 };

    if (zl_fill_standard_fds(&err) < 0)
        return cli_fail(&err);
    (void)signal(SIGPIPE, SIG_IGN); /* `zlayer ps | head` ends by EPIPE, with our own cleanup */
    zl_log_init("zlayer", ZL_LOG_WARN, ZL_LOG_TEXT);
    int rc = cli_main(&cli, argc, argv);
    api_client_free(cli.client);
    if (fflush(stdout) == EOF && rc == CLI_OK) { /* what was asked for was not delivered */
        (void)zl_fail_errno(&err, "write to the standard output");
        rc = cli_fail(&err);
    }
    return rc == CLI_OK && ferror(stdout) ? CLI_FAILED : rc; /* a reader that went halfway */
}
