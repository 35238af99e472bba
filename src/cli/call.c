// SPDX-License-Identifier: Apache-2.0
/* Calls to the agent, and the ways in which most commands end with what was answered. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"

int cli_call(struct cli *cli, const char *method, const char *fmt, const char *a, const char *b,
             const json_t *body, json_t **ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf path = ZL_BUF(8192);
    api_path(&path, fmt, a, b);
    struct zl_error why = { 0 };
    if (zl_buf_check(&path, "request", err) < 0 || cli_connect(cli, err) < 0)
        return -1;
    if (api_client_call(cli->client, method, path.data, body, ret, NULL, &why) == 0)
        return 0;
    if (why.kind != ZL_ERR_UNREACHABLE || strcmp(method, "GET") != 0) {
        if (err)
            *err = why;
        return -1;
    }
    /* It was killed a moment ago, or just now; a question may be asked twice. */
    api_client_free(zl_take_ptr(cli->client));
    return cli_connect(cli, err) < 0
               ? -1
               : api_client_call(cli->client, method, path.data, body, ret, NULL, err);
}

int cli_post(struct cli *cli, const char *fmt, const char *a, json_t *body, json_t **ret,
             struct zl_error *err)
{
    int rc = body ? cli_call(cli, "POST", fmt, a, NULL, body, ret, err)
                  : zl_fail(err, ZL_ERR_INVALID, "a word of the command line is not UTF-8");
    json_decref(body);
    return rc;
}

int cli_show(const struct cli *cli, int rc, json_t *answer, cli_show_fn show,
             const struct zl_error *err)
{
    if (rc == 0 && (cli->format == CLI_JSON || !show))
        print_json(answer);
    else if (rc == 0)
        show(cli, answer);
    json_decref(answer);
    return rc < 0 ? cli_fail(err) : CLI_OK;
}

int cli_get(struct cli *cli, const char *fmt, const char *a, cli_show_fn show)
{
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    int rc = cli_call(cli, "GET", fmt, a, NULL, NULL, &answer, &err);
    return cli_show(cli, rc, answer, show, &err);
}

int cli_each(struct cli *cli, const char *method, const char *fmt, const json_t *body, int n,
             char **names)
{
    int code = CLI_OK;
    for (int i = 0; i < n; i++) {
        struct zl_error err = { 0 };
        if (cli_call(cli, method, fmt, names[i], NULL, body, NULL, &err) < 0)
            code = cli_fail(&err);
        else
            (void)printf("%s\n", names[i]);
    }
    return code;
}

int cli_get_each(struct cli *cli, const char *fmt, int n, char **names)
{
    int code = CLI_OK;
    for (int i = 0; i < n; i++) {
        int failed = cli_get(cli, fmt, names[i], NULL);
        code = failed ? failed : code;
    }
    return code;
}
