// SPDX-License-Identifier: Apache-2.0
#include "runtime/puller.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/imageref.h"
#include "base/log.h"
#include "runtime/fetch.h"
#include "runtime/trust.h"

enum { PULLS_MAX = 8 };

struct pull { /* one run of zlayer-fetch */
    struct pull *next, **link;
    struct puller *p;
    char *name;                 /* what is pulled, normalized */
    char *asked;                /* another name that the image shall have; NULL: none */
    char *platform, *login;     /* NULL: as in the wish */
    const json_t *keys;         /* it has to be signed by one of these; NULL: by nobody */
    char have[80], have_of[80]; /* what is there, and what the registry meant by the name; "" */
    struct fetch *fetch;        /* NULL: its turn has not come */
    struct pull_wait *waits;
};

struct pull_wait {
    struct pull_wait *next, **link; /* in pull.waits or puller.known */
    struct pull *pull;              /* NULL: the answer is known and on its way */
    struct event *soon;
    struct zl_error failed;
    char digest[80], stale[80]; /* stale: what will do when the registry does not answer */
    char stale_of[80];          /* what the registry meant when it came; "" */
    bool distrusted;            /* it is in the store, but not known to be signed as it has to be */
    void (*on_line)(void *arg, const char *line);
    void (*done)(void *arg, const struct zl_error *failed, const char *digest);
    void *arg;
};

struct puller {
    struct event_base *base;
    char *root_dir, *default_registry;
    json_t *settings, *rules;
    struct trust *trust; /* borrows rules */
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
    p->rules = json_incref(json_object_get(p->settings, "signatures"));
    (void)json_object_del(p->settings, "signatures"); /* -1: there are none */
    if (trust_new(p->rules, &p->trust, err) < 0) {
        puller_free(p);
        return zl_wrap(err, "set up pulling");
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
    trust_free(p->trust);
    json_decref(p->rules);
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
    struct zl_error why;
    if (failed && copy.distrusted) {
        why = *failed;
        (void)zl_wrap(&why, "it is in the local store, but not known to be signed");
        failed = &why;
    }
    if (failed && copy.stale[0]) {
        zl_log_error(ZL_LOG_WARN, failed, "what is here stays: no newer image was taken");
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

static int name_image(const struct pull *pull, const struct fetch_end *end, struct zl_error *err)
{
    struct image_store *s = pull->p->images;
    /* of another machine's image it would tell this one that it has its own */
    const char *resolved = *end->resolved && !pull->platform ? end->resolved : NULL;
    if (image_tag(s, pull->name, end->digest, resolved, err) < 0)
        return -1;
    return pull->asked ? image_tag(s, pull->asked, end->digest, resolved, err) : 0;
}

static void on_end(void *arg, const struct zl_error *failed, const struct fetch_end *end)
{
    struct pull *pull = arg;
    struct zl_error err = failed ? *failed : (struct zl_error){ 0 };
    pull->fetch = NULL; /* it frees itself */
    pull->p->running--;
    if (!failed)
        (void)name_image(pull, end, &err); /* err says how it went */
    if (err.kind != ZL_OK)
        (void)zl_wrap(&err, "pull '%s'", pull->name);
    end_pull(pull, err.kind == ZL_OK ? NULL : &err, end->digest);
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

struct additions { /* to the settings; NULL: none */
    const char *login, *platform, *have, *have_of;
    const json_t *keys;
};

static char *make_order(const struct puller *p, const struct additions *more)
{
    json_t *keys = more->keys ? json_copy((json_t *)(uintptr_t)more->keys) : NULL;
    json_t *login = more->login ? json_loads(more->login, 0, NULL) : NULL;
    json_t *add =
        json_pack("{s:o*, s:s*, s:s*, s:s*, s:o*}", "login", login, "platform", more->platform,
                  "have", more->have, "have_of", more->have_of, "keys", keys);
    json_t *o = json_copy(p->settings);
    bool whole = o && add && json_object_update(o, add) == 0;
    char *text = whole ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(add);
    json_decref(o);
    return text;
}

char *puller_order(const struct puller *p, const char *login, const char *have)
{
    return make_order(p, &(struct additions){ .login = login, .have = have });
}

static int start(struct pull *pull, struct zl_error *err)
{
    const bool knows = pull->have[0] && pull->have_of[0];
    zl_autofree char *order = make_order(pull->p, &(struct additions){
                                                      .login = pull->login,
                                                      .platform = pull->platform,
                                                      .have = knows ? pull->have : NULL,
                                                      .have_of = knows ? pull->have_of : NULL,
                                                      .keys = pull->keys,
                                                  });
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

static void say_absent(const struct pull_wish *wish, struct zl_error *err)
{
    (void)zl_fail(err, ZL_ERR_NOT_FOUND,
                  "E-IMAGE-ABSENT: image '%s'%s%s is not in the local store, and its pull policy "
                  "is never",
                  wish->reference, wish->digest ? " as it was deployed, " : "",
                  wish->digest ? wish->digest : "");
}

/* Whether the registry is to be asked; else w has its answer. */
static bool must_ask(struct puller *p, const struct pull_wish *wish, const struct zl_imageref *r,
                     const json_t *keys, struct pull_wait *w)
{
    autoimage struct image *image = NULL;
    struct zl_error err = { 0 };
    const char *wanted = wish->digest ? wish->digest : wish->reference;
    bool here = image_find(p->images, wanted, &image, &err) == 0;
    bool damaged = !here && err.kind == ZL_ERR_INVALID;
    w->distrusted = here && !trust_is_met(keys, p->images, image->digest);
    if (w->distrusted) {
        here = false;
        (void)zl_fail(&err, ZL_ERR_DENIED, "E-IMAGE-SIGNATURE: %s of image '%s' is not verified",
                      image->digest, wish->reference);
    }
    bool fixed = here && (wish->digest || r->digest[0]); /* a digest is what it is */
    if (!here && wish->policy == SPEC_PULL_NEVER) {
        w->failed = err;
        if (err.kind == ZL_ERR_NOT_FOUND)
            say_absent(wish, &w->failed);
        return false;
    }
    if (!here && err.kind != ZL_ERR_NOT_FOUND && !damaged && !w->distrusted) {
        w->failed = err;
        return false;
    }
    if (here && wish->policy == SPEC_PULL_NEWER && tag_moves(r) && !fixed) {
        (void)snprintf(w->stale, sizeof w->stale, "%s", image->digest);
        (void)snprintf(w->stale_of, sizeof w->stale_of, "%s",
                       wish->platform ? "" : image->resolved);
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
    if (wish->digest)
        (void)snprintf(r->digest, sizeof r->digest, "%s", wish->digest);
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
    if (zl_imageref_parse(full, r, &why) < 0)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "ZLAYER_DEFAULT_REGISTRY is '%s': %s",
                       p->default_registry, why);
    if (wish->digest)
        (void)snprintf(r->digest, sizeof r->digest, "%s", wish->digest);
    zl_imageref_format(r, name);
    return 0;
}

/* By whom it has to be signed. One without a registry is looked for under the default one's name,
 * and keeps its own: whichever asks for a signature gets it. */
static const json_t *keys_of(const struct puller *p, const struct pull_wish *wish,
                             const struct zl_imageref *r)
{
    struct zl_imageref full;
    zl_autofree char *text = NULL;
    const char *why;
    const json_t *keys = trust_keys(p->trust, r);
    if (keys || r->qualified || !*p->default_registry ||
        asprintf(&text, "%s/%s", p->default_registry, wish->reference) < 0 ||
        zl_imageref_parse(text, &full, &why) < 0)
        return keys;
    return trust_keys(p->trust, &full);
}

int puller_trusts(const struct puller *p, const char *reference, const char *digest,
                  struct zl_error *err)
{
    const struct pull_wish wish = { .reference = reference };
    struct zl_imageref r;
    const char *why;
    if (zl_imageref_parse(reference, &r, &why) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not an image reference: %s", reference, why);
    if (trust_is_met(keys_of(p, &wish, &r), p->images, digest))
        return 0;
    return zl_fail(
        err, ZL_ERR_DENIED,
        "E-IMAGE-SIGNATURE: '%s' is not known to be signed, as agent.yml demands: zlayer pull "
        "asks the registry; import and load look at the signatures that an OCI layout brings",
        reference);
}

static char *keys_order(json_t *keys)
{
    json_t *o = json_pack("{s:o*}", "keys", keys);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

char *puller_load_order(const struct puller *p)
{
    json_t *keys = trust_all_keys(p->trust);
    return keys ? keys_order(keys) : NULL;
}

char *puller_import_order(const struct puller *p, const char *reference)
{
    const struct pull_wish wish = { .reference = reference };
    struct zl_imageref r;
    const char *why;
    if (zl_imageref_parse(reference, &r, &why) < 0)
        memset(&r, 0, sizeof r); /* zlayer-fetch says so */
    const json_t *keys = keys_of(p, &wish, &r);
    return keys_order(keys ? json_copy((json_t *)(uintptr_t)keys) : NULL);
}

/* keys are the same for the same name. What is there is of use only to a pull that has not begun.
 */
static void describe(struct pull *pull, const struct pull_wait *w, const json_t *keys)
{
    pull->keys = keys;
    memcpy(pull->have, w->stale, sizeof pull->have);
    memcpy(pull->have_of, w->stale_of, sizeof pull->have_of);
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
    const json_t *keys = keys_of(p, wish, &r);
    if (!must_ask(p, wish, &r, keys, w) || name_of(p, wish, &r, name, asked, &w->failed) < 0) {
        tell_soon(p, w);
        return w;
    }
    w->pull = pull_for(p, wish, name, *asked ? asked : NULL);
    if (w->pull)
        describe(w->pull, w, keys);
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
