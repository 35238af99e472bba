// SPDX-License-Identifier: Apache-2.0
#include "cli/resolve.h"

#include <string.h>

#include "cli/output.h"

/* ---- deployments --------------------------------------------------------------------------- */

static void list_names(const json_t *list, const char *key, struct zl_buf *out)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        zl_buf_addf(out, "%s%s", i ? ", " : "", jstr(json_array_get(list, i), key));
}

static int pick_deployment(const json_t *list, const char *name, char **ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf names = ZL_BUF(512);
    list_names(list, "name", &names);
    const json_t *found = !name && json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
    for (size_t i = 0; name && i < json_array_size(list); i++)
        if (strcmp(jstr(json_array_get(list, i), "name"), name) == 0)
            found = json_array_get(list, i);
    if (!found && json_array_size(list) == 0)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "nothing is deployed");
    if (!found && name)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no deployment '%s', only %s", name,
                       names.data);
    if (!found)
        return zl_fail(err, ZL_ERR_CONFLICT, "say which deployment: %s", names.data);
    *ret = strdup(jstr(found, "name"));
    return *ret ? 0 : zl_fail_errno(err, "pick a deployment");
}

int resolve_deployment(struct cli *cli, const char *name, char **ret, struct zl_error *err)
{
    json_t *list = NULL;
    int rc = cli_call(cli, "GET", "/api/v1/deployments", NULL, NULL, NULL, &list, err);
    if (rc == 0)
        rc = pick_deployment(list, name, ret, err);
    json_decref(list);
    return rc;
}

/* ---- services ------------------------------------------------------------------------------ */

/* "a/b" or "b"; the deployment part is compared only when it is there. */
static bool names_service(const char *what, const char *deployment, const char *service)
{
    const char *slash = strchr(what, '/');
    if (!slash)
        return strcmp(what, service) == 0;
    size_t n = (size_t)(slash - what);
    return strncmp(what, deployment, n) == 0 && !deployment[n] && strcmp(slash + 1, service) == 0;
}

static int pick_service(const json_t *list, const char *what, char **ret_deployment,
                        char **ret_service, struct zl_error *err)
{
    zl_autobuf struct zl_buf names = ZL_BUF(512);
    const json_t *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *s = json_array_get(list, i);
        if (!names_service(what, jstr(s, "deployment"), jstr(s, "name")))
            continue;
        zl_buf_addf(&names, "%s%s/%s", n++ ? ", " : "", jstr(s, "deployment"), jstr(s, "name"));
        found = s;
    }
    if (n == 0)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no service '%s'", what);
    if (n > 1)
        return zl_fail(err, ZL_ERR_CONFLICT, "'%s' may be any of %s", what, names.data);
    *ret_deployment = strdup(jstr(found, "deployment"));
    *ret_service = strdup(jstr(found, "name"));
    return *ret_deployment && *ret_service ? 0 : zl_fail_errno(err, "pick a service");
}

int resolve_service(struct cli *cli, const char *what, char **ret_deployment, char **ret_service,
                    struct zl_error *err)
{
    json_t *list = NULL;
    *ret_deployment = *ret_service = NULL;
    int rc = cli_call(cli, "GET", "/api/v1/services", NULL, NULL, NULL, &list, err);
    if (rc == 0)
        rc = pick_service(list, what, ret_deployment, ret_service, err);
    json_decref(list);
    return rc;
}

/* ---- containers ---------------------------------------------------------------------------- */

/* How an argument names a container; the lowest that names any wins. */
typedef bool (*names_fn)(const char *what, const json_t *c);

static bool by_id(const char *what, const json_t *c)
{
    return strcmp(what, jstr(c, "id")) == 0;
}

static bool by_name(const char *what, const json_t *c)
{
    return names_service(what, jstr(c, "deployment"), jstr(c, "name"));
}

static bool by_service(const char *what, const json_t *c)
{
    return names_service(what, jstr(c, "deployment"), jstr(c, "service"));
}

static bool by_prefix(const char *what, const json_t *c)
{
    size_t n = strlen(what);
    return n >= 4 && strncmp(what, jstr(c, "id"), n) == 0;
}

static bool same_service(const json_t *a, const json_t *b)
{
    return strcmp(jstr(a, "deployment"), jstr(b, "deployment")) == 0 &&
           strcmp(jstr(a, "service"), jstr(b, "service")) == 0;
}

static int check_one_meaning(const json_t *found, const char *what, bool many_are_fine,
                             struct zl_error *err)
{
    zl_autobuf struct zl_buf names = ZL_BUF(512);
    const json_t *first = json_array_get(found, 0);
    bool ambiguous = false;
    for (size_t i = 0; i < json_array_size(found); i++) {
        const json_t *c = json_array_get(found, i);
        zl_buf_addf(&names, "%s%s/%s", i ? ", " : "", jstr(c, "deployment"), jstr(c, "name"));
        ambiguous = ambiguous || (i > 0 && !(many_are_fine && same_service(first, c)));
    }
    if (ambiguous)
        return zl_fail(err, ZL_ERR_CONFLICT, "'%s' may be any of %s", what, names.data);
    return 0;
}

int resolve_in_list(const json_t *containers, const char *what, json_t **ret, struct zl_error *err)
{
    static const names_fn ways[] = { by_id, by_name, by_service, by_prefix };
    for (size_t w = 0; w < ZL_ARRAY_LEN(ways); w++) {
        json_t *found = json_array();
        for (size_t i = 0; found && i < json_array_size(containers); i++) {
            json_t *c = json_array_get(containers, i);
            if (ways[w](what, c))
                (void)json_array_append(found, c);
        }
        if (json_array_size(found) > 0) {
            int rc = check_one_meaning(found, what, ways[w] == by_service, err);
            if (rc == 0)
                *ret = found;
            else
                json_decref(found);
            return rc;
        }
        json_decref(found);
    }
    return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no service or container '%s'", what);
}

int resolve_containers(struct cli *cli, const char *what, json_t **ret, struct zl_error *err)
{
    json_t *list = NULL;
    int rc = cli_call(cli, "GET", "/api/v1/containers", NULL, NULL, NULL, &list, err);
    if (rc == 0)
        rc = resolve_in_list(list, what, ret, err);
    json_decref(list);
    return rc;
}

const json_t *pick_replica(const json_t *found, uint64_t replica, const char *what,
                           struct zl_error *err)
{
    const json_t *best = NULL;
    for (size_t i = 0; i < json_array_size(found); i++) {
        const json_t *c = json_array_get(found, i);
        bool eligible = replica ? (uint64_t)jint(c, "index") == replica : jint(c, "pid") > 0;
        if (eligible && (!best || jint(c, "index") < jint(best, "index")))
            best = c;
    }
    if (!best && replica)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "'%s' has no replica %llu", what,
                      (unsigned long long)replica);
    else if (!best)
        (void)zl_fail(err, ZL_ERR_CONFLICT, "nothing of '%s' is running", what);
    return best;
}
