// SPDX-License-Identifier: Apache-2.0
#include "cli/container/archive.h"

#include "cli/output.h"
#include "monitor/filestream.h"

int archive_run(struct cli *cli, const json_t *container, const struct archive_ask *ask, int in,
                int out, json_t **ret_stat, struct zl_error *err)
{
    json_t *answer = NULL;
    json_t *body =
        json_pack("{s:s, s:s, s:b, s:b}", "op", ask->op, "path", ask->path ? ask->path : "/",
                  "copy_uid_gid", ask->keep_owner, "no_overwrite_dir_non_dir", ask->same_types);
    int rc =
        cli_post(cli, "/api/v1/containers/{}/archive", jstr(container, "id"), body, &answer, err);
    if (rc == 0)
        rc = filestream_run(jstr(json_object_get(answer, "where"), "socket"), in, out, ret_stat,
                            err);
    json_decref(answer);
    return rc;
}
