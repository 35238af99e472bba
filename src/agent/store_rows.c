// SPDX-License-Identifier: Apache-2.0
#include "agent/store_rows.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------------------ */

struct filler {
    struct store_write *w;
    struct zl_arena *arena;
};

static void add_int(struct filler *f, int64_t i)
{
    f->w->v[f->w->n++] = (struct store_value){ .type = STORE_INT, .i = i };
}

static void add_text(struct filler *f, const char *text)
{
    struct store_value v = { .type = STORE_NULL };
    if (text)
        v = (struct store_value){ .type = STORE_TEXT, .text = zl_arena_strdup(f->arena, text) };
    f->w->v[f->w->n++] = v;
}

/* Names of statuses as the database spells them: never changed, unlike the order of the enum. */
static const char *const status_words[] = {
    [EXEC_PENDING] = "pending", [EXEC_RUNNING] = "running",     [EXEC_COMPLETED] = "completed",
    [EXEC_FAILED] = "failed",   [EXEC_CANCELLED] = "cancelled",
};

static const char *const cause_words[] = {
    [CAUSE_USER] = "cli",
    [CAUSE_SCHEDULE] = "scheduler",
    [CAUSE_DEPENDENT] = "dependency",
};

/* NULL: no memory. */
static json_t *attempts_list(const struct row_service *s)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < s->n_attempts; i++) {
        const struct row_attempts *a = &s->attempts[i];
        if (json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "index", (json_int_t)a->index,
                                                  "attempts", (json_int_t)a->attempts, "counted",
                                                  (json_int_t)a->counted.v)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static void add_services(struct filler *f, const struct row_service *v, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *one = json_pack("{s:s, s:I, s:b, s:s, s:s, s:I, s:b}", "name", v[i].name,
                                "created_ms", (json_int_t)v[i].created_ms, "stopped", v[i].stopped,
                                "digest", v[i].digest ? v[i].digest : "", "previous_digest",
                                v[i].previous_digest ? v[i].previous_digest : "", "renewals",
                                (json_int_t)v[i].renewals, "renew", v[i].renew);
        if (v[i].n_attempts && json_object_set_new(one, "attempts", attempts_list(&v[i])) < 0)
            f->arena->failed = true;
        if (json_array_append_new(list, one) < 0)
            f->arena->failed = true;
    }
    char *text = json_dumps(list, JSON_COMPACT);
    if (!text)
        f->arena->failed = true;
    add_text(f, text);
    free(text);
    json_decref(list);
}

static void fill_put_deployment(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    const struct row_deployment *r = &e->deployment;
    (void)wall_ms;
    add_text(f, r->name);
    add_int(f, (int64_t)r->revision);
    add_text(f, r->spec->text);
    add_text(f, r->base_dir);
    add_int(f, r->removing);
    add_services(f, r->services, r->n_services);
    add_int(f, r->created_ms);
    add_int(f, r->updated_ms);
}

static void fill_del_deployment(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    (void)wall_ms;
    add_text(f, e->deployment.name);
}

static void fill_put_execution(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    const struct row_execution *r = &e->execution;
    (void)wall_ms;
    add_int(f, (int64_t)r->id);
    add_text(f, r->deployment);
    add_text(f, r->job);
    add_int(f, (int64_t)r->revision);
    add_text(f, status_words[r->status]);
    add_text(f, r->reason ? r->reason : "");
    add_int(f, r->exit_code);
    add_int(f, r->created_ms);
    add_int(f, r->started_ms);
    add_int(f, r->finished_ms);
    add_text(f, cause_words[r->cause]);
    add_int(f, r->due_ms);
    add_text(f, r->digest ? r->digest : "");
}

static void fill_del_execution(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    (void)wall_ms;
    add_int(f, (int64_t)e->execution.id);
}

static void fill_put_cron(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    const struct row_cron *r = &e->cron;
    (void)wall_ms;
    add_text(f, r->deployment);
    add_text(f, r->cron);
    add_int(f, r->disabled);
    add_int(f, r->cursor_s);
    add_int(f, r->high_s);
    add_int(f, (int64_t)r->jitter_seed);
    add_int(f, r->last_run_ms);
    add_int(f, (int64_t)r->last_execution);
    add_int(f, (int64_t)r->runs);
    add_int(f, (int64_t)r->missed);
    add_int(f, (int64_t)r->skipped);
}

static void fill_del_cron(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    (void)wall_ms;
    add_text(f, e->cron.deployment);
    add_text(f, e->cron.cron);
}

static void fill_put_standalone(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    const struct row_standalone *r = &e->standalone;
    (void)wall_ms;
    add_text(f, r->name);
    add_int(f, (int64_t)r->id.v);
    add_text(f, r->text);
    add_int(f, r->remove_wanted);
    add_int(f, r->stop_wanted);
    add_int(f, r->exited);
    add_int(f, r->exit.code);
    add_int(f, r->exit.signal);
    add_int(f, r->exit.oom);
    add_int(f, r->exit.lost);
    add_int(f, r->exit.wall_ms);
    add_text(f, r->error ? r->error : "");
    add_int(f, r->created_ms);
    add_int(f, r->started_ms);
}

static void fill_del_standalone(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    (void)wall_ms;
    add_text(f, e->standalone.name);
}

static void fill_event(struct filler *f, const struct effect *e, int64_t wall_ms)
{
    add_int(f, wall_ms);
    add_text(f, e->event.type);
    add_text(f, e->event.deployment);
    add_text(f, e->event.service);
    add_int(f, (int64_t)e->event.inst.v);
    add_text(f, e->event.text ? e->event.text : "");
}

static const struct {
    enum store_stmt stmt;
    void (*fill)(struct filler *f, const struct effect *e, int64_t wall_ms);
} writers[EFF_KINDS] = {
    [EFF_PUT_DEPLOYMENT] = { STORE_PUT_DEPLOYMENT, fill_put_deployment },
    [EFF_DEL_DEPLOYMENT] = { STORE_DEL_DEPLOYMENT, fill_del_deployment },
    [EFF_PUT_EXECUTION] = { STORE_PUT_EXECUTION, fill_put_execution },
    [EFF_DEL_EXECUTION] = { STORE_DEL_EXECUTION, fill_del_execution },
    [EFF_PUT_CRON] = { STORE_PUT_CRON, fill_put_cron },
    [EFF_DEL_CRON] = { STORE_DEL_CRON, fill_del_cron },
    [EFF_PUT_STANDALONE] = { STORE_PUT_STANDALONE, fill_put_standalone },
    [EFF_DEL_STANDALONE] = { STORE_DEL_STANDALONE, fill_del_standalone },
    [EFF_EVENT] = { STORE_PUT_EVENT, fill_event },
};

int store_write_of(const struct effect *e, int64_t wall_ms, struct zl_arena *arena,
                   struct store_write *ret, struct zl_error *err)
{
    if ((unsigned)e->kind >= EFF_KINDS || !writers[e->kind].fill)
        return zl_fail(err, ZL_ERR_INTERNAL, "effect %d changes nothing stored", (int)e->kind);
    *ret = (struct store_write){ .stmt = writers[e->kind].stmt };
    struct filler f = { .w = ret, .arena = arena };
    writers[e->kind].fill(&f, e, wall_ms);
    return 0;
}

static int bind(sqlite3_stmt *stmt, int at, const struct store_value *v)
{
    switch (v->type) {
    case STORE_INT:
        return sqlite3_bind_int64(stmt, at, v->i);
    case STORE_TEXT:
        return sqlite3_bind_text(stmt, at, v->text, -1, SQLITE_STATIC);
    case STORE_NULL:
        break;
    }
    return sqlite3_bind_null(stmt, at);
}

int store_write_run(struct store_db *d, const struct store_write *w, struct zl_error *err)
{
    for (int i = 0; i < w->n; i++)
        if (bind(d->stmt[w->stmt], i + 1, &w->v[i]) != SQLITE_OK)
            return store_db_fail(d, "bind a value for", err);
    return store_db_run(d, w->stmt, err);
}

/* ---- reading ------------------------------------------------------------------------------ */

struct reader {
    struct store_db *d;
    struct stored *into;
    sqlite3_stmt *stmt;
    struct zl_error *err;
};

static int64_t int_at(const struct reader *r, int column)
{
    return sqlite3_column_int64(r->stmt, column);
}

static const char *text_at(const struct reader *r, int column)
{
    const char *text = (const char *)sqlite3_column_text(r->stmt, column);
    return text ? zl_arena_strdup(r->into->memory, text) : NULL;
}

/* Room for one more behind the n rows of v; counts are not known before the last row. */
static void *grown(struct zl_arena *a, const void *v, size_t n, size_t size)
{
    if (n & (n - 1)) /* not a power of two: the last growth left room */
        return (void *)(uintptr_t)v;
    void *bigger = zl_arena_array(a, n ? 2 * n : 1, size);
    if (bigger && n)
        memcpy(bigger, v, n * size);
    return bigger;
}

/* "" where an older agent wrote the row. */
static const char *member_at(const struct reader *r, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return zl_arena_strdup(r->into->memory, text ? text : "");
}

static uint64_t number_at(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void read_attempts(struct reader *r, const json_t *list, struct row_service *s)
{
    size_t n = json_array_size(list);
    struct row_attempts *v = zl_arena_array(r->into->memory, n, sizeof *v);
    for (size_t i = 0; v && i < n; i++) {
        const json_t *one = json_array_get(list, i);
        v[i] = (struct row_attempts){ .index = (uint32_t)number_at(one, "index"),
                                      .attempts = (uint32_t)number_at(one, "attempts"),
                                      .counted = { number_at(one, "counted") } };
    }
    s->attempts = v;
    s->n_attempts = v ? n : 0;
}

static int read_services(struct reader *r, const char *text, struct row_deployment *row)
{
    json_error_t at;
    json_t *list = text ? json_loads(text, 0, &at) : NULL;
    size_t n = json_array_size(list);
    bool good = json_is_array(list);
    struct row_service *v = zl_arena_array(r->into->memory, n, sizeof *v);
    for (size_t i = 0; v && i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        good = good && name;
        v[i] = (struct row_service){
            .name = zl_arena_strdup(r->into->memory, name ? name : ""),
            .created_ms = json_integer_value(json_object_get(one, "created_ms")),
            .stopped = json_is_true(json_object_get(one, "stopped")),
            .digest = member_at(r, one, "digest"),
            .previous_digest = member_at(r, one, "previous_digest"),
            .renewals = (uint64_t)json_integer_value(json_object_get(one, "renewals")),
            .renew = json_is_true(json_object_get(one, "renew")),
        };
        read_attempts(r, json_object_get(one, "attempts"), &v[i]);
    }
    json_decref(list);
    if (!good)
        return zl_fail(r->err, ZL_ERR_INVALID,
                       "the database '%s' is damaged: the services of '%s' are no list of them",
                       r->d->path, row->name);
    row->services = v;
    row->n_services = n;
    return 0;
}

static int read_deployment(struct reader *r)
{
    struct stored *s = r->into;
    s->deployments = grown(s->memory, s->deployments, s->n_deployments, sizeof *s->deployments);
    s->texts = grown(s->memory, s->texts, s->n_deployments, sizeof *s->texts);
    if (!s->deployments || !s->texts)
        return 0; /* memory->failed says so */
    s->texts[s->n_deployments] = text_at(r, 2);
    struct row_deployment *row = &s->deployments[s->n_deployments++];
    *row = (struct row_deployment){
        .name = text_at(r, 0),
        .revision = (uint64_t)int_at(r, 1),
        .base_dir = text_at(r, 3),
        .removing = int_at(r, 4) != 0,
        .created_ms = int_at(r, 6),
        .updated_ms = int_at(r, 7),
    };
    return read_services(r, (const char *)sqlite3_column_text(r->stmt, 5), row);
}

/* Which of the n words is in the column; -1 and an error: none. what: they are. */
static int read_word(const struct reader *r, int column, const char *const *words, size_t n,
                     const char *what)
{
    const char *word = (const char *)sqlite3_column_text(r->stmt, column);
    for (size_t i = 0; word && i < n; i++)
        if (strcmp(words[i], word) == 0)
            return (int)i;
    return zl_fail(r->err, ZL_ERR_INVALID,
                   "the database '%s' is damaged: an execution has the %s '%s'", r->d->path, what,
                   word ? word : "");
}

static int read_execution(struct reader *r)
{
    struct stored *s = r->into;
    s->executions = grown(s->memory, s->executions, s->n_executions, sizeof *s->executions);
    if (!s->executions)
        return 0;
    struct row_execution *row = &s->executions[s->n_executions++];
    *row = (struct row_execution){
        .id = (uint64_t)int_at(r, 0),
        .deployment = text_at(r, 1),
        .job = text_at(r, 2),
        .revision = (uint64_t)int_at(r, 3),
        .reason = text_at(r, 5),
        .exit_code = (int)int_at(r, 6),
        .created_ms = int_at(r, 7),
        .started_ms = int_at(r, 8),
        .finished_ms = int_at(r, 9),
        .due_ms = int_at(r, 11),
        .digest = text_at(r, 12),
    };
    int status = read_word(r, 4, status_words, ZL_ARRAY_LEN(status_words), "status");
    int cause = status < 0 ? -1 : read_word(r, 10, cause_words, ZL_ARRAY_LEN(cause_words), "cause");
    if (cause < 0)
        return -1;
    row->status = (enum execution_status)status;
    row->cause = (enum execution_cause)cause;
    return 0;
}

static int read_cron(struct reader *r)
{
    struct stored *s = r->into;
    s->crons = grown(s->memory, s->crons, s->n_crons, sizeof *s->crons);
    if (!s->crons)
        return 0;
    s->crons[s->n_crons++] = (struct row_cron){
        .deployment = text_at(r, 0),
        .cron = text_at(r, 1),
        .disabled = int_at(r, 2) != 0,
        .cursor_s = int_at(r, 3),
        .high_s = int_at(r, 4),
        .jitter_seed = (uint64_t)int_at(r, 5),
        .last_run_ms = int_at(r, 6),
        .last_execution = (uint64_t)int_at(r, 7),
        .runs = (uint64_t)int_at(r, 8),
        .missed = (uint64_t)int_at(r, 9),
        .skipped = (uint64_t)int_at(r, 10),
    };
    return 0;
}

static int read_standalone(struct reader *r)
{
    struct stored *s = r->into;
    s->standalones = grown(s->memory, s->standalones, s->n_standalones, sizeof *s->standalones);
    if (!s->standalones)
        return 0;
    s->standalones[s->n_standalones++] = (struct row_standalone){
        .name = text_at(r, 0),
        .id = { (uint64_t)int_at(r, 1) },
        .text = text_at(r, 2),
        .remove_wanted = int_at(r, 3) != 0,
        .stop_wanted = int_at(r, 4) != 0,
        .exited = int_at(r, 5) != 0,
        .exit = { .code = (int)int_at(r, 6),
                  .signal = (int)int_at(r, 7),
                  .oom = int_at(r, 8) != 0,
                  .lost = int_at(r, 9) != 0,
                  .wall_ms = int_at(r, 10) },
        .error = text_at(r, 11),
        .created_ms = int_at(r, 12),
        .started_ms = int_at(r, 13),
    };
    return 0;
}

static int read_meta(struct reader *r)
{
    const char *key = (const char *)sqlite3_column_text(r->stmt, 0);
    const char *value = (const char *)sqlite3_column_text(r->stmt, 1);
    if (key && value && strcmp(key, "boot_id") == 0)
        (void)snprintf(r->into->boot_id, sizeof r->into->boot_id, "%s", value);
    return 0;
}

static int read_rows(struct store_db *d, enum store_stmt which, int (*read_row)(struct reader *),
                     struct stored *into, struct zl_error *err)
{
    struct reader r = { .d = d, .into = into, .stmt = d->stmt[which], .err = err };
    int step = SQLITE_ROW, rc = 0;
    while (rc == 0 && (step = sqlite3_step(r.stmt)) == SQLITE_ROW)
        rc = read_row(&r);
    if (rc == 0 && step != SQLITE_DONE)
        rc = store_db_fail(d, "read", err);
    (void)sqlite3_reset(r.stmt); /* repeats the step's answer */
    return rc;
}

int store_read_all(struct store_db *d, struct stored *ret, struct zl_error *err)
{
    if (read_rows(d, STORE_ALL_DEPLOYMENTS, read_deployment, ret, err) < 0 ||
        read_rows(d, STORE_ALL_EXECUTIONS, read_execution, ret, err) < 0 ||
        read_rows(d, STORE_ALL_CRONS, read_cron, ret, err) < 0 ||
        read_rows(d, STORE_ALL_STANDALONES, read_standalone, ret, err) < 0 ||
        read_rows(d, STORE_ALL_META, read_meta, ret, err) < 0)
        return -1;
    if (ret->memory->failed)
        return zl_fail(err, ZL_ERR_SYSTEM, "read '%s': more rows than memory", d->path);
    return 0;
}
