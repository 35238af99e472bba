// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/registry.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "fetch/registry/retry.h"
#include "image/document.h"

#define DOCKER_HUB "docker.io"
#define DOCKER_HUB_HOST "registry-1.docker.io"
#define DOCKER_MANIFEST_TYPE "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST_TYPE "application/vnd.docker.distribution.manifest.list.v2+json"

enum { TRIES_MAX = 3, UNPROVEN_RETRIES = 2 };

/* ---- the endpoints --------------------------------------------------------------------------- */

static const struct order_registry *settings_of(const struct order *o, const char *host)
{
    for (size_t i = 0; i < o->registries.n; i++) {
        if (strcmp(o->registries.v[i].host, host) == 0)
            return &o->registries.v[i];
    }
    return NULL;
}

/* As everybody else: what never leaves this host needs no TLS. */
static bool is_local(const char *host)
{
    static const char *const names[] = { "localhost", "127.", "[::1]" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(host, names[i], n) == 0 && (host[n] == '\0' || host[n] == ':' || i == 1))
            return true;
    }
    return false;
}

/* place: "host[:port][/path]", with or without a scheme. */
static int add_endpoint(struct registry *r, const struct order *order, const char *place,
                        struct zl_error *err)
{
    struct endpoint *e = &r->v[r->n];
    bool http = strncmp(place, "http://", 7) == 0;
    const char *host = http ? place + 7 : strncmp(place, "https://", 8) == 0 ? place + 8 : place;
    size_t n = strcspn(host, "/"), rest = strlen(host + n);
    while (rest && host[n + rest - 1] == '/')
        rest--;
    if (!n || n >= sizeof e->host || rest >= sizeof e->prefix)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "'%.300s' is no place of a registry", place);
    *e = (struct endpoint){ 0 };
    memcpy(e->host, host, n);
    memcpy(e->prefix, host + n, rest);
    const struct order_registry *s = settings_of(order, e->host);
    bool insecure = s && s->insecure;
    /* Whoever gives certificates for it knows that it speaks TLS. */
    e->may_plain = http || insecure || (is_local(e->host) && !(s && s->ca_pem));
    e->plain = http;
    e->auth.scope = r->scope;
    e->auth.ca_pem = s ? s->ca_pem : NULL;
    e->auth.unverified = insecure;
    r->n++;
    return 0;
}

/* name: what references call it. */
static int find_login(struct endpoint *e, const char *name, struct zl_error *err)
{
    if (credentials_find(name, &e->known, err) < 0)
        return zl_wrap(err, "find the credentials for %s", name);
    e->auth.login = (struct login){ .username = e->known.username,
                                    .password = e->known.password,
                                    .identity_token = e->known.identity_token };
    return 0;
}

int registry_open(struct http *http, const struct order *order, const struct zl_imageref *ref,
                  const char *access, struct registry *r, struct zl_error *err)
{
    *r = (struct registry){ .http = http };
    const struct order_registry *s = settings_of(order, ref->registry);
    memcpy(r->name, ref->registry, sizeof r->name);
    memcpy(r->repository, ref->repository, sizeof r->repository);
    (void)snprintf(r->tag, sizeof r->tag, "%s", ref->tag); /* as long as tags are */
    (void)snprintf(r->scope, sizeof r->scope, "repository:%s:%s", ref->repository, access);
    for (size_t i = 0; s && i < s->mirrors.n && !strchr(access, ','); i++) {
        if (r->n == ENDPOINTS_MAX - 1)
            return zl_fail(err, ZL_ERR_CONFIGURATION, "%s has more than %d mirrors", r->name,
                           ENDPOINTS_MAX - 1);
        if (add_endpoint(r, order, s->mirrors.v[i], err) < 0 ||
            find_login(&r->v[r->n - 1], r->v[r->n - 1].host, err) < 0)
            return -1;
    }
    bool hub = strcmp(r->name, DOCKER_HUB) == 0;
    if (add_endpoint(r, order, hub ? DOCKER_HUB_HOST : r->name, err) < 0)
        return -1;
    struct auth *own = &r->v[r->n - 1].auth;
    bool given =
        order->login.username || order->login.identity_token || order->login.registry_token;
    if (!given && find_login(&r->v[r->n - 1], r->name, err) < 0)
        return -1;
    if (given)
        own->login = (struct login){ order->login.username, order->login.password,
                                     order->login.identity_token, order->login.registry_token };
    if (s) { /* the hub is configured by the name that people know */
        own->ca_pem = s->ca_pem;
        own->unverified = s->insecure;
        r->v[r->n - 1].may_plain |= s->insecure;
    }
    return 0;
}

void registry_close(struct registry *r)
{
    for (size_t i = 0; i < r->n; i++) {
        auth_done(&r->v[i].auth);
        credentials_done(&r->v[i].known);
    }
    r->n = 0;
}

/* ---- one request ----------------------------------------------------------------------------- */

/* Whether the URL is of the endpoint's host: nobody else gets its credentials. */
static bool is_of(const struct endpoint *e, const char *url)
{
    const char *host = strstr(url, "://") + 3;
    size_t n = strlen(e->host);
    return strncmp(host, e->host, n) == 0 && (host[n] == '/' || host[n] == '\0') &&
           (e->plain || strncmp(url, "https:", 6) == 0);
}

int registry_prepare(const struct registry *r, const struct endpoint *e, const char *path,
                     struct zl_buf *url, struct http_request *rq, struct zl_error *err)
{
    zl_buf_reset(url);
    if (strstr(path, "://")) /* where an upload goes on, as the registry said */
        zl_buf_adds(url, path);
    else if (!*path)
        zl_buf_addf(url, "%s://%s%s/v2/", e->plain ? "http" : "https", e->host, e->prefix);
    else
        zl_buf_addf(url, "%s://%s%s/v2/%s/%s", e->plain ? "http" : "https", e->host, e->prefix,
                    r->repository, path);
    rq->url = url->data;
    rq->authorization = is_of(e, url->data) ? e->auth.header : NULL;
    rq->ca_pem = e->auth.ca_pem;
    rq->unverified = e->auth.unverified;
    rq->may_downgrade = e->may_plain;
    return zl_buf_check(url, "the URL", err);
}

int registry_mend(struct registry *r, struct endpoint *e, const struct http_answer *a,
                  unsigned *tries, struct zl_error *err)
{
    if (a->end == HTTP_ANSWERED && a->status != 401) {
        e->proven = true;
        return 0;
    }
    if (++*tries > TRIES_MAX)
        return 0;
    bool other = a->end == HTTP_NO_TLS || a->end == HTTP_BROKEN;
    if (other && e->may_plain && !e->plain && !e->proven) {
        e->plain = e->auth.plain = true;
        return 1;
    }
    if (a->end != HTTP_ANSWERED)
        return 0;
    e->proven = true;
    return auth_answer(&e->auth, r->http, a, e->host, err) < 0 ? -1 : 1;
}

struct words { /* distribution-spec, "Error Codes" */
    struct {
        struct word {
            const char *code, *message;
        } * v;
        size_t n;
    } errors;
};

static const struct zl_field word_fields[] = {
    { "code", zl_json_string, offsetof(struct word, code), 0, NULL },
    { "message", zl_json_string, offsetof(struct word, message), 0, NULL },
    { 0 },
};
static const struct zl_element word_element = { sizeof(struct word), word_fields };
static const struct zl_field words_fields[] = {
    { "errors", zl_json_list, offsetof(struct words, errors), ZL_REQUIRED, &word_element },
    { 0 },
};

static enum zl_err_kind kind_of(int status)
{
    if (status == 404)
        return ZL_ERR_NOT_FOUND;
    if (status == 401 || status == 403)
        return ZL_ERR_DENIED;
    return status == 429 || status >= 500 ? ZL_ERR_UNREACHABLE : ZL_ERR_PROTOCOL;
}

int registry_refusal(const struct endpoint *e, const struct http_answer *a,
                     const struct zl_buf *body, const char *what, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct words w = { .errors = { NULL, 0 } };
    struct zl_error ignored; /* its words are only words */
    if (body && (zl_json_parse(&doc, body->data, body->len, "the answer", &ignored) < 0 ||
                 zl_json_decode(&doc, words_fields, &w, &ignored) < 0))
        w.errors.n = 0;
    const struct word *first = w.errors.n ? &w.errors.v[0] : NULL;
    const char *text = first && first->message ? first->message : first ? first->code : NULL;
    return zl_fail(err, kind_of(a->status), "%s: %s answers %d%s%.300s", what, e->host, a->status,
                   text ? ": " : "", text ? text : "");
}

static int wait_for(struct registry *r, int64_t ms, struct zl_error *err)
{
    uint64_t until = zl_mono_ms() + (uint64_t)ms;
    for (uint64_t now = zl_mono_ms(); now < until; now = zl_mono_ms()) {
        if (http_turn(r->http, NULL, NULL, 0, (int)(until - now), err) < 0)
            return -1;
    }
    return 0;
}

int registry_ask(struct registry *r, struct endpoint *e, const char *path,
                 const struct http_request *rq, struct zl_buf *body, struct http_answer *ret,
                 struct zl_error *err)
{
    zl_autobuf struct zl_buf url = ZL_BUF(HTTP_LOCATION_MAX + 1024);
    struct retry retry = { 0 };
    unsigned tries = 0;
    for (;;) {
        struct http_request mine = *rq;
        struct zl_error why = { 0 };
        if (body)
            zl_buf_reset(body);
        if (registry_prepare(r, e, path, &url, &mine, err) < 0)
            return -1;
        int rc = http_perform(r->http, &mine, body, ret, &why);
        int again = registry_mend(r, e, ret, &tries, err);
        if (again < 0)
            return -1;
        if (again > 0)
            continue;
        if (ret->end == HTTP_BROKEN && !e->proven && retry.failures == UNPROVEN_RETRIES)
            retry.failures = RETRY_MAX; /* it may well be that there is nobody */
        int64_t wait = retry_after(&retry, ret, zl_id_random());
        if (wait < 0)
            return rc < 0 ? zl_fail(err, why.kind, "ask %s: %s", e->host, why.msg) : 0;
        if (wait_for(r, wait, err) < 0)
            return -1;
    }
}

int registry_check(struct registry *r, struct zl_error *err)
{
    struct endpoint *e = &r->v[r->n - 1];
    zl_autobuf struct zl_buf body = ZL_BUF(64 * 1024);
    zl_autofree struct http_answer *a = calloc(1, sizeof *a);
    const struct http_request rq = { .method = "GET" };
    if (!a)
        return zl_fail_errno(err, "ask %s", e->host);
    if (registry_ask(r, e, "", &rq, &body, a, err) < 0)
        return -1;
    return a->status == 200 ? 0 : registry_refusal(e, a, &body, "logging in", err);
}

/* ---- documents ------------------------------------------------------------------------------- */

#define ACCEPTED                                                                                   \
    OCI_INDEX_TYPE ", " OCI_MANIFEST_TYPE ", " DOCKER_LIST_TYPE ", " DOCKER_MANIFEST_TYPE

static int check_document(const struct endpoint *e, const char *wanted, const struct zl_buf *body,
                          char digest[DIGEST_SIZE], struct zl_error *err)
{
    if (digest_of(body->data, body->len, digest, err) < 0)
        return -1;
    int fits = wanted ? digest_fits(body->data, body->len, wanted, err) : 1;
    if (fits < 0)
        return -1;
    if (!fits)
        return zl_fail(err, ZL_ERR_INVALID, "%s sent something with the digest %s for %s", e->host,
                       digest, wanted);
    return 0;
}

static int manifest_of(struct registry *r, struct endpoint *e, const char *reference,
                       struct zl_buf *body, char digest[DIGEST_SIZE], char type[128],
                       struct zl_error *err)
{
    char path[256];
    zl_autofree struct http_answer *a = calloc(1, sizeof *a);
    const struct http_request rq = { .method = "GET", .accept = ACCEPTED };
    if (!a)
        return zl_fail_errno(err, "get the manifest");
    (void)snprintf(path, sizeof path, "manifests/%s", reference);
    if (registry_ask(r, e, path, &rq, body, a, err) < 0)
        return -1;
    if (a->status != 200)
        return registry_refusal(e, a, body, "the manifest", err);
    /* What leads here is a digest, or a tag only, and then the registry may say or not. */
    const char *wanted = strchr(reference, ':')       ? reference
                         : zl_digest_valid(a->digest) ? a->digest
                                                      : NULL;
    memcpy(type, a->type, sizeof a->type);
    return check_document(e, wanted, body, digest, err);
}

int registry_manifest(struct registry *r, const char *reference, struct zl_buf *body,
                      char digest[DIGEST_SIZE], char type[128], struct zl_error *err)
{
    int rc = -1;
    for (size_t i = 0; rc < 0 && i < r->n; i++)
        rc = manifest_of(r, &r->v[i], reference, body, digest, type, err);
    return rc;
}

int registry_manifest_digest(struct registry *r, const char *reference, char digest[DIGEST_SIZE],
                             struct zl_error *err)
{
    char path[256];
    zl_autofree struct http_answer *a = calloc(1, sizeof *a);
    const struct http_request rq = { .method = "HEAD", .accept = ACCEPTED };
    if (!a)
        return zl_fail_errno(err, "ask for the manifest");
    (void)snprintf(path, sizeof path, "manifests/%s", reference);
    for (size_t i = 0; i < r->n; i++) {
        if (registry_ask(r, &r->v[i], path, &rq, NULL, a, err) < 0)
            continue;
        if (a->status == 200 && strncmp(a->digest, "sha256:", 7) == 0 &&
            zl_digest_valid(a->digest)) {
            memcpy(digest, a->digest, DIGEST_SIZE);
            return 0;
        }
        if (a->status == 200)
            (void)zl_fail(err, ZL_ERR_NOT_FOUND, "%s does not tell digests", r->v[i].host);
        else
            (void)registry_refusal(&r->v[i], a, NULL, "the manifest", err);
    }
    return -1; /* the last one's reason */
}

static int document_of(struct registry *r, struct endpoint *e, const char *digest, uint64_t size,
                       struct zl_buf *body, struct zl_error *err)
{
    char path[256], found[DIGEST_SIZE];
    zl_autofree struct http_answer *a = calloc(1, sizeof *a);
    const struct http_request rq = { .method = "GET" };
    if (!a)
        return zl_fail_errno(err, "get %s", digest);
    (void)snprintf(path, sizeof path, "blobs/%s", digest);
    if (registry_ask(r, e, path, &rq, body, a, err) < 0)
        return -1;
    if (a->status != 200)
        return registry_refusal(e, a, body, digest, err);
    if (body->len != size)
        return zl_fail(err, ZL_ERR_INVALID, "%s sent %zu bytes for %s, which has %llu", e->host,
                       body->len, digest, (unsigned long long)size);
    return check_document(e, digest, body, found, err);
}

int registry_document(struct registry *r, const char *digest, uint64_t size, struct zl_buf *body,
                      struct zl_error *err)
{
    int rc = -1;
    for (size_t i = 0; rc < 0 && i < r->n; i++)
        rc = document_of(r, &r->v[i], digest, size, body, err);
    return rc;
}
