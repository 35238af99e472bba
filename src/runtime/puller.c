// SPDX-License-Identifier: Apache-2.0
#include "runtime/puller.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/imageref.h"
#include "base/log.h"
#include "runtime/fetch.h"

enum { PULLS_MAX = 8 };

struct pull { /* one run of zlayer-fetch */
    struct pull *next, **link;
    struct puller *p;
    char *name;             /* what is pulled, normalized */
    char *asked;            /* another name that the image shall have; NULL: none */
    char *platform, *login; /* NULL: as in the wish */
    struct fetch *fetch;    /* NULL: its turn has not come */
    struct pull_wait *waits;
};

struct pull_wait {
    struct pull_wait *next, **link; /* in pull.waits or puller.known */
    struct pull *pull;              /* NULL: the answer is known and on its way */
    struct event *soon;
    struct zl_error failed;
    char digest[80], stale[80]; /* stale: what will do when the registry does not answer */
    void (*on_line)(void *arg, const char *line);
    void (*done)(void *arg, const struct zl_error *failed, const char *digest);
    void *arg;
};

struct puller {
    struct event_base *base;
    char *root_dir, *default_registry;
    json_t *settings;
    struct image_store *images;
    struct pull *pulls;
    struct pull_wait *known;
    unsigned running;
};

/* ---- life --------------------------------------------------------------------------------- */

int puller_new(const struct puller_config *cfg, struct puller **ret, struct zl_error *err)
{
    struct puller *p = calloc(1, sizeof *p);
    if (!p)
        return zl_fail_errno(err, "set up pulling");
    p->base = cfg->base;
    p->images = cfg->images;
    p->root_dir = strdup(cfg->root_dir);
    p->default_registry = strdup(cfg->default_registry ? cfg->default_registry : "docker.io");
    p->settings = cfg->settings ? json_loads(cfg->settings, 0, NULL) : json_object();
    if (!p->root_dir || !p->default_registry || !p->settings) {
        puller_free(p);
        return zl_fail(err, ZL_ERR_SYSTEM, "set up pulling: out of memory");
    }
    *ret = p;
    return 0;
}

static void wait_free(struct pull_wait *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    if (w->soon)
        event_free(w->soon);
    free(w);
}

static void pull_free(struct pull *pull)
{
    while (pull->waits)
        wait_free(pull->waits);
    *pull->link = pull->next;
    if (pull->next)
        pull->next->link = pull->link;
    if (pull->fetch)
        pull->p->running--;
    fetch_cancel(pull->fetch);
    free(pull->name);
    free(pull->asked);
    free(pull->platform);
    free(pull->login);
    free(pull);
}

void puller_free(struct puller *p)
{
    if (!p)
        return;
    while (p->pulls)
        pull_free(p->pulls);
    while (p->known)
        wait_free(p->known);
    json_decref(p->settings);
    free(p->root_dir);
    free(p->default_registry);
    free(p);
}

static void wait_link(struct pull_wait *w, struct pull_wait **list)
{
    w->next = *list;
    w->link = list;
    if (w->next)
        w->next->link = &w->next;
    *list = w;
}

static void wait_unlink(struct pull_wait *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
}

/* ---- answers ------------------------------------------------------------------------------ */

static void tell(struct pull_wait *w, const struct zl_error *failed, const char *digest)
{
    const struct pull_wait copy = *w;
    wait_free(w);
    if (failed && copy.stale[0]) {
        zl_log_error(ZL_LOG_WARN, failed, "the registry was not asked for a newer image");
        failed = NULL;
        digest = copy.stale;
    }
    copy.done(copy.arg, failed, failed ? NULL : digest);
}

static void on_soon(int fd, short what, void *arg)
{
    struct pull_wait *w = arg;
    const struct zl_error failed = w->failed;
    char digest[sizeof w->digest];
    (void)fd;
    (void)what;
    memcpy(digest, w->digest, sizeof digest);
    tell(w, failed.kind == ZL_OK ? NULL : &failed, digest);
}

static void tell_soon(struct puller *p, struct pull_wait *w)
{
    wait_link(w, &p->known);
    event_active(w->soon, EV_TIMEOUT, 0);
}

static void start_next(struct puller *p);

static void end_pull(struct pull *pull, const struct zl_error *failed, const char *digest)
{
    struct puller *p = pull->p;
    struct pull_wait *w;
    /* Each wait is taken out before it is told: it may ask for more, or drop others. */
    while ((w = pull->waits)) {
        wait_unlink(w);
        w->pull = NULL;
        if (failed)
            w->failed = *failed;
        else
            (void)snprintf(w->digest, sizeof w->digest, "%s", digest);
        tell_soon(p, w);
    }
    pull_free(pull);
    start_next(p);
}

static int name_image(const struct pull *pull, const char *digest, struct zl_error *err)
{
    struct image_store *s = pull->p->images;
    if (image_tag(s, pull->name, digest, err) < 0)
        return -1;
    return pull->asked ? image_tag(s, pull->asked, digest, err) : 0;
}

static void on_end(void *arg, const struct zl_error *failed, const char *digest)
{
    struct pull *pull = arg;
    struct zl_error err = failed ? *failed : (struct zl_error){ 0 };
    pull->fetch = NULL; /* it frees itself */
    pull->p->running--;
    if (!failed)
        (void)name_image(pull, digest, &err); /* err says how it went */
    if (err.kind != ZL_OK)
        (void)zl_wrap(&err, "pull '%s'", pull->name);
    end_pull(pull, err.kind == ZL_OK ? NULL : &err, digest);
}

static void on_line(void *arg, const char *line)
{
    const struct pull *pull = arg;
    for (const struct pull_wait *w = pull->waits; w; w = w->next) {
        if (w->on_line)
            w->on_line(w->arg, line);
    }
}

/* ---- one pull ----------------------------------------------------------------------------- */

/* The settings, and what somebody adds. */
static char *make_order(const struct puller *p, const char *login_text, const char *platform,
                        const char *have)
{
    json_t *o = json_copy(p->settings);
    json_t *login = login_text ? json_loads(login_text, 0, NULL) : NULL;
    int rc = 0;
    if (login)
        rc = json_object_set_new(o, "login", login);
    if (rc == 0 && platform)
        rc = json_object_set_new(o, "platform", json_string(platform));
    if (rc == 0 && have)
        rc = json_object_set_new(o, "have", json_string(have));
    char *text = o && rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

char *puller_order(const struct puller *p, const char *login, const char *have)
{
    return make_order(p, login, NULL, have);
}

static int start(struct pull *pull, struct zl_error *err)
{
    zl_autofree char *order = make_order(pull->p, pull->login, pull->platform, NULL);
    const struct fetch_task task = {
        .base = pull->p->base,
        .root_dir = pull->p->root_dir,
        .command = "pull",
        .reference = pull->name,
        .order = order,
        .on_line = on_line,
        .on_end = on_end,
        .arg = pull,
    };
    if (!order)
        return zl_fail(err, ZL_ERR_SYSTEM, "out of memory");
    if (fetch_begin(&task, &pull->fetch, err) < 0)
        return -1;
    pull->p->running++;
    return 0;
}

/* The oldest that wait for their turn: the last of the list. */
static void start_next(struct puller *p)
{
    struct pull *oldest = NULL;
    struct zl_error err;
    for (struct pull *i = p->pulls; i; i = i->next)
        oldest = i->fetch ? oldest : i;
    if (!oldest || p->running >= PULLS_MAX)
        return;
    if (start(oldest, &err) < 0) {
        (void)zl_wrap(&err, "pull '%s'", oldest->name);
        end_pull(oldest, &err, NULL);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static char *copy_text(const char *text, bool *failed)
{
    char *copy = text ? strdup(text) : NULL;
    *failed |= text && !copy;
    return copy;
}

static struct pull *pull_for(struct puller *p, const struct pull_wish *wish, const char *name,
                             const char *asked)
{
    for (struct pull *i = p->pulls; i; i = i->next) {
        if (strcmp(i->name, name) == 0 && same_text(i->asked, asked) &&
            same_text(i->platform, wish->platform) && same_text(i->login, wish->login))
            return i;
    }
    struct pull *pull = calloc(1, sizeof *pull);
    bool failed = false;
    if (!pull)
        return NULL;
    pull->p = p;
    pull->next = p->pulls;
    pull->link = &p->pulls;
    if (pull->next)
        pull->next->link = &pull->next;
    p->pulls = pull;
    pull->name = copy_text(name, &failed);
    pull->asked = copy_text(asked, &failed);
    pull->platform = copy_text(wish->platform, &failed);
    pull->login = copy_text(wish->login, &failed);
    if (failed) {
        pull_free(pull);
        return NULL;
    }
    return pull;
}

/* ---- the decision ------------------------------------------------------------------------- */

static bool tag_moves(const struct zl_imageref *r)
{
    static const char *const tags[] = { "latest", "dev", "edge", "main", "master" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(tags); i++) {
        if (!r->digest[0] && strcmp(r->tag, tags[i]) == 0)
            return true;
    }
    return false;
}

/* Whether the registry is to be asked; else w has its answer. */
static bool must_ask(struct puller *p, const struct pull_wish *wish, const struct zl_imageref *r,
                     struct pull_wait *w)
{
    autoimage struct image *image = NULL;
    struct zl_error err = { 0 };
    bool here = image_find(p->images, wish->reference, &image, &err) == 0;
    bool damaged = !here && err.kind == ZL_ERR_INVALID;
    bool fixed = here && r->digest[0]; /* a digest is what it is */
    if (!here && wish->policy == SPEC_PULL_NEVER) {
        w->failed = err;
        if (err.kind == ZL_ERR_NOT_FOUND)
            (void)zl_fail(
                &w->failed, ZL_ERR_NOT_FOUND,
                "E-IMAGE-ABSENT: image '%s' is not in the local store, and its pull policy "
                "is never",
                wish->reference);
        return false;
    }
    if (!here && err.kind != ZL_ERR_NOT_FOUND && !damaged) {
        w->failed = err;
        return false;
    }
    if (here && wish->policy == SPEC_PULL_NEWER && tag_moves(r) && !fixed) {
        (void)snprintf(w->stale, sizeof w->stale, "%s", image->digest);
        return true;
    }
    if (!here || (wish->policy == SPEC_PULL_ALWAYS && !fixed))
        return true;
    (void)snprintf(w->digest, sizeof w->digest, "%s", image->digest);
    return false;
}

/* What is pulled: names without a registry are the default one's, and keep their own name too. */
static int name_of(const struct puller *p, const struct pull_wish *wish, struct zl_imageref *r,
                   char name[ZL_IMAGEREF_MAX], char asked[ZL_IMAGEREF_MAX], struct zl_error *err)
{
    zl_autofree char *full = NULL;
    const char *why;
    asked[0] = '\0';
    if (zl_imageref_parse(wish->reference, r, &why) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not an image reference: %s", wish->reference,
                       why);
    zl_imageref_format(r, name);
    if (r->qualified || strcmp(p->default_registry, "docker.io") == 0)
        return 0;
    if (!*p->default_registry)
        return zl_fail(err, ZL_ERR_NOT_FOUND,
                       "image '%s' is not in the local store, and names no registry while "
                       "ZLAYER_DEFAULT_REGISTRY is empty",
                       wish->reference);
    memcpy(asked, name, ZL_IMAGEREF_MAX);
    if (asprintf(&full, "%s/%s", p->default_registry, wish->reference) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "out of memory");
    if (zl_imageref_normalize(full, name, &why) < 0)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "ZLAYER_DEFAULT_REGISTRY is '%s': %s",
                       p->default_registry, why);
    return 0;
}

struct pull_wait *puller_pull(struct puller *p, const struct pull_wish *wish)
{
    struct zl_imageref r;
    char name[ZL_IMAGEREF_MAX], asked[ZL_IMAGEREF_MAX];
    struct pull_wait *w = calloc(1, sizeof *w);
    if (!w || !(w->soon = evtimer_new(p->base, on_soon, w))) {
        free(w);
        return NULL;
    }
    w->on_line = wish->on_line;
    w->done = wish->done;
    w->arg = wish->arg;
    const char *why;
    if (zl_imageref_parse(wish->reference, &r, &why) < 0)
        memset(&r, 0, sizeof r); /* a digest's beginning: only the store can know it */
    if (!must_ask(p, wish, &r, w) || name_of(p, wish, &r, name, asked, &w->failed) < 0) {
        tell_soon(p, w);
        return w;
    }
    w->pull = pull_for(p, wish, name, *asked ? asked : NULL);
    if (!w->pull) {
        (void)zl_fail(&w->failed, ZL_ERR_SYSTEM, "pull '%s': out of memory", name);
        tell_soon(p, w);
        return w;
    }
    wait_link(w, &w->pull->waits);
    if (!w->pull->fetch)
        start_next(p);
    return w;
}

void puller_drop(struct pull_wait *w)
{
    struct pull *pull = w->pull;
    struct puller *p = pull ? pull->p : NULL;
    wait_free(w);
    if (!pull || pull->waits)
        return;
    pull_free(pull);
    start_next(p);
}
