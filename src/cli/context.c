// SPDX-License-Identifier: Apache-2.0
/* Folders, connection and error messages of the command line. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/start.h"

static const char *first_set(const char *a, const char *b, const char *c)
{
    return a && *a ? a : b && *b ? b : c;
}

int cli_resolve_paths(struct cli *cli, struct zl_error *err)
{
    const char *root =
        first_set(getenv("ZLAYER_DATA_DIR"), getenv("ZLAYER_ROOT_DIR"), "/var/lib/zlayer");
    cli->root_dir = first_set(cli->root_dir, root, NULL);
    cli->runtime_dir = first_set(cli->runtime_dir, getenv("ZLAYER_RUNTIME_DIR"), "/var/run/zlayer");
    if (cli->verbose)
        zl_log_init("zlayer", ZL_LOG_DEBUG, ZL_LOG_TEXT);
    if (cli->socket)
        return 0;
    int n = snprintf(cli->socket_buf, sizeof cli->socket_buf, "%s/zlayer.sock", cli->runtime_dir);
    if (n < 0 || (size_t)n >= sizeof cli->socket_buf)
        return zl_fail(err, ZL_ERR_INVALID, "the runtime directory's path is too long");
    cli->socket = cli->socket_buf;
    return 0;
}

int cli_connect_running(struct cli *cli, struct zl_error *err)
{
    return cli->client ? 0 : api_client_open(cli->socket, &cli->client, err);
}

int cli_connect(struct cli *cli, struct zl_error *err)
{
    struct zl_error why = { 0 };
    if (cli_connect_running(cli, &why) == 0)
        return 0;
    if (why.kind != ZL_ERR_UNREACHABLE) {
        if (err)
            *err = why;
        return -1;
    }
    if (agent_start(cli, err) < 0) {
        if (err)
            err->kind = ZL_ERR_UNREACHABLE; /* whatever the reason is: there is no agent */
        return -1;
    }
    return cli_connect_running(cli, err);
}

int cli_fail(const struct zl_error *err)
{
    if (err->errnum == EPIPE && ferror(stdout))
        return CLI_FAILED; /* `zlayer logs -f | head`: nobody reads any more, and nobody asked why
                            */
    (void)fflush(stdout);
    (void)fprintf(stderr, "Error: %s\n", err->msg);
    if (zl_log_max() >= ZL_LOG_DEBUG && err->where)
        (void)fprintf(stderr, "  (%s, %s)\n", zl_err_kind_name(err->kind), err->where);
    return err->kind == ZL_ERR_UNREACHABLE ? CLI_NO_AGENT : CLI_FAILED;
}

int cli_fail_midway(const struct zl_error *err, const char *hint)
{
    int code = cli_fail(err);
    if (code == CLI_NO_AGENT)
        (void)fprintf(stderr, "  %s\n", hint);
    return code;
}

int cli_failf(enum cli_exit code, const char *fmt, ...)
{
    va_list ap;
    (void)fflush(stdout);
    (void)fputs("Error: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    return (int)code;
}
