// SPDX-License-Identifier: Apache-2.0
#include "api/find.h"

#include <string.h>

#include "base/id.h"

enum { PREFIX_MIN = 4 };

/* How well a container answers to a name; the best class with exactly one member wins. */
enum match { MATCH_NONE, MATCH_PREFIX, MATCH_NAME, MATCH_FULL };

struct container_search {
    const char *what;
    enum match best;
    size_t n; /* of the best */
    struct view_container found;
    struct zl_buf candidates;
};

static bool is_qualified(const char *what, const struct view_container *v)
{
    size_t n = strlen(v->label.deployment);
    return strncmp(what, v->label.deployment, n) == 0 && what[n] == '/' &&
           strcmp(what + n + 1, v->name) == 0;
}

static enum match match_container(const char *what, const struct view_container *v)
{
    char id[ZL_ID_LEN + 1];
    zl_id_format(v->id.v, id);
    if (v->id.v && strcmp(what, id) == 0)
        return MATCH_FULL;
    if (is_qualified(what, v))
        return MATCH_FULL;
    if (strcmp(what, v->name) == 0)
        return MATCH_NAME;
    size_t n = strlen(what);
    return v->id.v && n >= PREFIX_MIN && strncmp(what, id, n) == 0 ? MATCH_PREFIX : MATCH_NONE;
}

static bool consider_container(void *arg, const struct view_container *v)
{
    struct container_search *s = arg;
    enum match m = match_container(s->what, v);
    if (m == MATCH_NONE || m < s->best)
        return true;
    if (m > s->best) {
        s->best = m;
        s->n = 0;
        zl_buf_reset(&s->candidates);
    }
    s->found = *v;
    zl_buf_addf(&s->candidates, "%s%s/%s", s->n++ ? ", " : "", v->label.deployment, v->name);
    return true;
}

int find_container(const struct core *core, const char *what, struct view_container *ret,
                   struct zl_error *err)
{
    struct container_search s = { .what = what };
    struct inst_id id;
    /* Nothing is a better match than the whole id, and it needs no search. */
    if (zl_id_parse(what, &id.v) && find_container_id(core, id, ret) == 0)
        return 0;
    zl_buf_init(&s.candidates, 512);
    core_each_container(core, NULL, consider_container, &s);
    int rc = 0;
    if (s.n == 0)
        rc = zl_fail(err, ZL_ERR_NOT_FOUND, "there is no container '%s'", what);
    else if (s.n > 1)
        rc = zl_fail(err, ZL_ERR_CONFLICT, "'%s' may be any of %s", what, s.candidates.data);
    else
        *ret = s.found;
    zl_buf_done(&s.candidates);
    return rc;
}

int find_container_id(const struct core *core, struct inst_id id, struct view_container *ret)
{
    return id.v && core_find_container(core, id, ret) ? 0 : -1;
}

struct deployment_search {
    const char *name;
    struct view_deployment *ret;
    bool found;
};

static bool consider_deployment(void *arg, const struct view_deployment *v)
{
    struct deployment_search *s = arg;
    s->found = strcmp(s->name, v->row->name) == 0;
    if (s->found)
        *s->ret = *v;
    return !s->found;
}

int find_deployment(const struct core *core, const char *name, struct view_deployment *ret,
                    struct zl_error *err)
{
    struct deployment_search s = { .name = name, .ret = ret };
    core_each_deployment(core, consider_deployment, &s);
    return s.found ? 0 : zl_fail(err, ZL_ERR_NOT_FOUND, "there is no deployment '%s'", name);
}

struct service_search {
    const char *name;
    struct view_service *ret;
    bool found;
};

static bool consider_service(void *arg, const struct view_service *v)
{
    struct service_search *s = arg;
    s->found = strcmp(s->name, v->service->name) == 0;
    if (s->found)
        *s->ret = *v;
    return !s->found;
}

int find_service(const struct core *core, const char *deployment, const char *name,
                 struct view_service *ret, struct zl_error *err)
{
    struct view_deployment d;
    struct service_search s = { .name = name, .ret = ret };
    if (find_deployment(core, deployment, &d, err) < 0)
        return -1;
    core_each_service(core, deployment, consider_service, &s);
    if (!s.found)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "deployment '%s' has no service '%s'", deployment,
                       name);
    return 0;
}

struct cron_search {
    const char *name;
    struct view_cron found;
    struct zl_buf candidates;
    size_t n;
};

static bool consider_cron(void *arg, const struct view_cron *v)
{
    struct cron_search *s = arg;
    if (strcmp(s->name, v->row->cron) != 0)
        return true;
    s->found = *v;
    zl_buf_addf(&s->candidates, "%s%s/%s", s->n++ ? ", " : "", v->row->deployment, v->row->cron);
    return true;
}

int find_cron(const struct core *core, const char *deployment, const char *name,
              struct view_cron *ret, struct zl_error *err)
{
    struct cron_search s = { .name = name };
    int rc = 0;
    zl_buf_init(&s.candidates, 512);
    core_each_cron(core, deployment, consider_cron, &s);
    if (s.n == 0)
        rc = zl_fail(err, ZL_ERR_NOT_FOUND, "there is no cron '%s'%s%s", name,
                     deployment ? " in " : "", deployment ? deployment : "");
    else if (s.n > 1)
        rc = zl_fail(err, ZL_ERR_CONFLICT, "'%s' may be any of %s", name, s.candidates.data);
    else
        *ret = s.found;
    zl_buf_done(&s.candidates);
    return rc;
}

struct execution_search {
    uint64_t id;
    struct row_execution *ret;
    bool found;
};

static bool consider_execution(void *arg, const struct row_execution *v)
{
    struct execution_search *s = arg;
    s->found = v->id == s->id;
    if (s->found)
        *s->ret = *v;
    return !s->found;
}

int find_execution(const struct core *core, const char *id, struct row_execution *ret,
                   struct zl_error *err)
{
    struct execution_search s = { .ret = ret };
    if (!zl_id_parse(id, &s.id))
        return zl_fail(err, ZL_ERR_NOT_FOUND, "'%s' is not the id of an execution", id);
    core_each_execution(core, NULL, NULL, consider_execution, &s);
    return s.found ? 0 : zl_fail(err, ZL_ERR_NOT_FOUND, "there is no execution '%s'", id);
}
