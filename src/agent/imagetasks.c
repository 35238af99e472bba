// SPDX-License-Identifier: Apache-2.0
/*
 * What clients ask for of images and registries that takes its time: import, load, save, verify,
 * push and login are a zlayer-fetch each, whose last word may name a manifest, which is then
 * tagged; a pull is the puller's. The lines of progress pass through to the client.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "base/json.h"
#include "runtime/fetch.h"
#include "runtime/puller.h"

enum { TASKS_MAX = 8 };

struct image_task {
    struct image_task *next, **link;
    struct agent *a;
    struct fetch *fetch;    /* of an import, or */
    struct pull_wait *pull; /* of a pull */
    struct event *refused;  /* that did not even begin */
    struct zl_error failed;
    char *reference;
    api_progress_fn progress;
    api_done_fn done;
    void *arg;
};

struct image_tasks {
    struct image_task *first;
    unsigned n;
};

static void task_free(struct image_task *i)
{
    *i->link = i->next;
    if (i->next)
        i->next->link = i->link;
    i->a->image_tasks->n--;
    fetch_cancel(i->fetch);
    if (i->pull)
        puller_drop(i->pull);
    if (i->refused)
        event_free(i->refused);
    free(i->reference);
    free(i);
}

static void finish(struct image_task *i, const struct zl_error *failed)
{
    const struct image_task copy = *i;
    struct zl_error err = failed ? *failed : (struct zl_error){ 0 };
    task_free(i);
    copy.done(copy.arg, err.kind == ZL_OK ? NULL : &err, 0);
}

static void on_line(void *arg, const char *line)
{
    const struct image_task *i = arg;
    i->progress(i->arg, line);
}

static void on_imported(void *arg, const struct zl_error *failed, const struct fetch_end *end)
{
    struct image_task *i = arg;
    struct zl_error err = failed ? *failed : (struct zl_error){ 0 };
    i->fetch = NULL; /* it frees itself */
    if (!failed)
        (void)image_tag(i->a->images, i->reference, end->digest, NULL,
                        &err); /* err says how it went */
    if (err.kind != ZL_OK)
        (void)zl_wrap(&err, "import '%s'", i->reference);
    finish(i, &err);
}

static void on_pulled(void *arg, const struct zl_error *failed, const char *digest)
{
    struct image_task *i = arg;
    char line[160];
    i->pull = NULL; /* it frees itself */
    if (!failed) {  /* a digest needs no escapes */
        (void)snprintf(line, sizeof line, "{\"status\":\"stored\",\"digest\":\"%s\"}", digest);
        i->progress(i->arg, line);
    }
    finish(i, failed);
}

static void on_refused(int fd, short what, void *arg)
{
    struct image_task *i = arg;
    const struct zl_error failed = i->failed;
    (void)fd;
    (void)what;
    finish(i, &failed);
}

/* NULL: no memory; the client's own time-out is all that is left. */
static struct image_task *task_new(struct agent *a, const char *reference, api_progress_fn progress,
                                   api_done_fn done, void *arg)
{
    struct image_task *i = calloc(1, sizeof *i);
    char *name = strdup(reference);
    struct event *refused = i && name ? evtimer_new(a->base, on_refused, i) : NULL;
    if (!refused) {
        free(i);
        free(name);
        return NULL;
    }
    *i = (struct image_task){ .a = a,
                              .reference = name,
                              .refused = refused,
                              .progress = progress,
                              .done = done,
                              .arg = arg };
    i->next = a->image_tasks->first;
    i->link = &a->image_tasks->first;
    if (i->next)
        i->next->link = &i->next;
    a->image_tasks->first = i;
    a->image_tasks->n++;
    return i;
}

/* Begins it, or answers later why not. */
static void start(struct image_task *i, const struct fetch_task *task, const char *what)
{
    int rc = i->a->image_tasks->n > TASKS_MAX
                 ? zl_fail(&i->failed, ZL_ERR_CONFLICT, "%d such tasks are under way: wait for one",
                           TASKS_MAX)
                 : fetch_begin(task, &i->fetch, &i->failed);
    if (rc < 0) {
        (void)zl_wrap(&i->failed, "%s", what);
        event_active(i->refused, EV_TIMEOUT, 0);
    }
}

/* ---- load, save, verify ---------------------------------------------------------------------- */

struct loaded {
    const char *status, *digest, *reference;
};

static const struct zl_field loaded_fields[] = {
    { "status", zl_json_string, offsetof(struct loaded, status), ZL_REQUIRED, NULL },
    { "digest", zl_json_string, offsetof(struct loaded, digest), 0, NULL },
    { "reference", zl_json_string, offsetof(struct loaded, reference), 0, NULL },
    { 0 },
};

/* An image of an archive is in the store: it gets its name, or one by its digest. */
static void on_loaded(void *arg, const char *line)
{
    struct image_task *i = arg;
    zl_autojson struct zl_json doc = { 0 };
    struct loaded l = { .status = "" };
    char made[64], told[512];
    if (zl_json_parse(&doc, line, strlen(line), "zlayer-fetch", &i->failed) < 0 ||
        zl_json_decode(&doc, loaded_fields, &l, &i->failed) < 0)
        return; /* told at the end */
    if (strcmp(l.status, "image") != 0 || !l.digest) {
        i->progress(i->arg, line);
        return;
    }
    if (!l.reference) {
        (void)snprintf(made, sizeof made, "imported-%.12s", l.digest + strlen("sha256:"));
        l.reference = made;
    }
    if (puller_trusts(i->a->puller, l.reference, l.digest, &i->failed) < 0 ||
        image_tag(i->a->images, l.reference, l.digest, NULL, &i->failed) < 0)
        return; /* it has no name: zlayer image prune */
    json_t *v = json_pack("{s:s, s:s, s:s}", "status", "loaded", "digest", l.digest, "reference",
                          l.reference);
    size_t n = v ? json_dumpb(v, told, sizeof told - 1, JSON_COMPACT) : 0;
    json_decref(v);
    if (n && n < sizeof told) {
        told[n] = '\0';
        i->progress(i->arg, told);
    }
}

static void on_task_end(void *arg, const struct zl_error *failed, const struct fetch_end *end)
{
    struct image_task *i = arg;
    const struct zl_error own = i->failed;
    (void)end;
    i->fetch = NULL; /* it frees itself */
    finish(i, failed ? failed : &own);
}

/* What a task is about, by digest. */
struct choice {
    struct agent *a;
    json_t *images;
    struct zl_error *err;
};

static int choose(void *arg, const struct image *image)
{
    struct choice *c = arg;
    bool named = strncmp(image->normalized, "sha256:", 7) != 0;
    json_t *v = named
                    ? json_pack("{s:s, s:[s]}", "digest", image->digest, "names", image->normalized)
                    : json_pack("{s:s}", "digest", image->digest);
    return json_array_append_new(c->images, v) < 0
               ? zl_fail(c->err, ZL_ERR_SYSTEM, "choose images: out of memory")
               : 0;
}

static int choose_all(struct choice *c, const struct zl_strs *names)
{
    if (!names->n)
        return image_each(c->a->images, choose, c, c->err);
    for (size_t i = 0; i < names->n; i++) {
        autoimage struct image *image = NULL;
        if (image_find(c->a->images, names->v[i], &image, c->err) < 0 || choose(c, image) < 0)
            return -1;
    }
    return 0;
}

static char *make_order(struct agent *a, const struct api_image_task *t, struct zl_error *err)
{
    struct choice c = { a, json_array(), err };
    char *text = NULL;
    if (!c.images)
        (void)zl_fail(err, ZL_ERR_SYSTEM, "choose images: out of memory");
    else if (choose_all(&c, &t->images) == 0) {
        json_t *order = json_pack("{s:O, s:b}", "images", c.images, "docker", t->docker);
        text = order ? json_dumps(order, JSON_COMPACT) : NULL;
        json_decref(order);
        if (!text)
            (void)zl_fail(err, ZL_ERR_SYSTEM, "choose images: out of memory");
    }
    json_decref(c.images);
    return text;
}

void image_task_begin(struct agent *a, const struct api_image_task *t, api_progress_fn progress,
                      api_done_fn done, void *arg)
{
    static const char *const commands[] = {
        [API_IMAGE_LOAD] = "load", [API_IMAGE_SAVE] = "save", [API_IMAGE_VERIFY] = "verify"
    };
    struct image_task *i = task_new(a, "", progress, done, arg);
    if (!i)
        return;
    zl_autofree char *order =
        t->source ? puller_load_order(a->puller) : make_order(a, t, &i->failed);
    if (!order) {
        if (t->source)
            (void)zl_fail(&i->failed, ZL_ERR_SYSTEM, "load: out of memory");
        event_active(i->refused, EV_TIMEOUT, 0);
        return;
    }
    const struct fetch_task task = {
        .base = a->base,
        .root_dir = a->cfg.root_dir,
        .command = commands[t->kind],
        .source = t->source,
        .order = order,
        .archive_fd = t->fd,
        .on_line = t->kind == API_IMAGE_LOAD ? on_loaded : on_line,
        .on_end = on_task_end,
        .arg = i,
    };
    start(i, &task, commands[t->kind]);
}

/* ---- import ---------------------------------------------------------------------------------- */

void import_begin(struct agent *a, const char *source, const char *reference,
                  api_progress_fn progress, api_done_fn done, void *arg)
{
    struct image_task *i = task_new(a, reference, progress, done, arg);
    zl_autofree char *order = i ? puller_import_order(a->puller, reference) : NULL;
    if (!i)
        return;
    const struct fetch_task task = {
        .base = a->base,
        .root_dir = a->cfg.root_dir,
        .command = "import",
        .order = order,
        .reference = reference,
        .source = source,
        .on_line = on_line,
        .on_end = on_imported,
        .arg = i,
    };
    if (order) {
        start(i, &task, "import");
        return;
    }
    (void)zl_fail(&i->failed, ZL_ERR_SYSTEM, "import '%s': out of memory", reference);
    event_active(i->refused, EV_TIMEOUT, 0);
}

static void no_line(void *arg, const char *line)
{
    (void)arg;
    (void)line; /* a login makes no progress */
}

static void on_login(void *arg, const struct zl_error *failed, const struct fetch_end *end)
{
    struct image_task *i = arg;
    (void)end;
    i->fetch = NULL; /* it frees itself */
    finish(i, failed);
}

void login_begin(struct agent *a, const char *registry, const char *login, api_done_fn done,
                 void *arg)
{
    struct image_task *i = task_new(a, registry, NULL, done, arg);
    if (!i)
        return;
    zl_autofree char *order = puller_order(a->puller, login, NULL), *reference = NULL;
    if (!order || asprintf(&reference, "%s/login", registry) < 0) {
        (void)zl_fail(&i->failed, ZL_ERR_SYSTEM, "log in to %s: out of memory", registry);
        event_active(i->refused, EV_TIMEOUT, 0);
        return;
    }
    const struct fetch_task task = {
        .base = a->base,
        .root_dir = a->cfg.root_dir,
        .command = "login",
        .reference = reference,
        .order = order,
        .on_line = no_line,
        .on_end = on_login,
        .arg = i,
    };
    start(i, &task, "login");
}

static void on_pushed(void *arg, const struct zl_error *failed, const struct fetch_end *end)
{
    struct image_task *i = arg;
    struct zl_error err = failed ? *failed : (struct zl_error){ 0 };
    char line[160];
    i->fetch = NULL; /* it frees itself */
    if (failed) {
        (void)zl_wrap(&err, "push '%s'", i->reference);
    } else { /* a digest needs no escapes */
        (void)snprintf(line, sizeof line, "{\"status\":\"stored\",\"digest\":\"%s\"}", end->digest);
        i->progress(i->arg, line);
    }
    finish(i, &err);
}

/* NULL with i->failed: it is not there. */
static char *push_order(struct image_task *i, const char *login)
{
    autoimage struct image *image = NULL;
    if (image_find(i->a->images, i->reference, &image, &i->failed) < 0)
        return NULL;
    char *order = puller_order(i->a->puller, login, image->digest);
    if (!order)
        (void)zl_fail(&i->failed, ZL_ERR_SYSTEM, "push '%s': out of memory", i->reference);
    return order;
}

void push_begin(struct agent *a, const char *reference, const char *login, api_progress_fn progress,
                api_done_fn done, void *arg)
{
    struct image_task *i = task_new(a, reference, progress, done, arg);
    zl_autofree char *order = i ? push_order(i, login) : NULL;
    if (!i)
        return;
    if (!order) {
        event_active(i->refused, EV_TIMEOUT, 0);
        return;
    }
    const struct fetch_task task = {
        .base = a->base,
        .root_dir = a->cfg.root_dir,
        .command = "push",
        .reference = i->reference,
        .order = order,
        .on_line = on_line,
        .on_end = on_pushed,
        .arg = i,
    };
    start(i, &task, "push");
}

void pull_begin(struct agent *a, const struct api_pull *pull, api_progress_fn progress,
                api_done_fn done, void *arg)
{
    struct image_task *i = task_new(a, pull->reference, progress, done, arg);
    if (!i)
        return;
    const struct pull_wish wish = {
        .reference = pull->reference,
        .policy = pull->policy,
        .platform = pull->platform,
        .login = pull->login,
        .on_line = on_line,
        .done = on_pulled,
        .arg = i,
    };
    i->pull = puller_pull(a->puller, &wish);
    if (!i->pull) {
        (void)zl_fail(&i->failed, ZL_ERR_SYSTEM, "pull '%s': out of memory", pull->reference);
        event_active(i->refused, EV_TIMEOUT, 0);
    }
}

int image_tasks_new(struct agent *a, struct image_tasks **ret, struct zl_error *err)
{
    (void)a;
    struct image_tasks *is = calloc(1, sizeof *is);
    if (!is)
        return zl_fail_errno(err, "set up the agent");
    *ret = is;
    return 0;
}

void image_tasks_free(struct image_tasks *is)
{
    if (!is)
        return;
    while (is->first)
        task_free(is->first);
    free(is);
}
