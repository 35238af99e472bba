// SPDX-License-Identifier: Apache-2.0
#include "cli/container/ended.h"

#include "cli/output.h"

/* The exit code of a container that ended or never started, with a word about the latter. */
static int told_code(const json_t *end, const char *what)
{
    const json_t *exit = json_object_get(end, "exit");
    if (*jstr(end, "why"))
        (void)cli_failf(CLI_RUN_OURS, "%s", jstr(end, "why"));
    else if (!json_is_object(exit))
        (void)cli_failf(CLI_RUN_OURS, "%s was removed while it ran", what);
    else if (jbool(exit, "lost"))
        (void)cli_failf(CLI_RUN_OURS, "the monitor of %s died; how it ended is not known", what);
    return json_is_object(exit) && !jbool(exit, "lost") ? (int)jint(exit, "code") : CLI_RUN_OURS;
}

int ended_code(struct cli *cli, const json_t *container)
{
    struct zl_error err = { 0 };
    json_t *end = NULL;
    int code = CLI_RUN_OURS;
    if (cli_call(cli, "POST", "/api/v1/containers/{}/wait", jstr(container, "id"), NULL, NULL, &end,
                 &err) < 0)
        (void)cli_fail(&err);
    else
        code = told_code(end, jstr(container, "name"));
    json_decref(end);
    return code;
}
