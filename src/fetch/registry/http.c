// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"

enum { BUFFER = 256 * 1024, POLLED = 32, REDIRECTS = 10 };

struct transfer {
    struct transfer *next, **link;
    struct http *h;
    CURL *easy;
    struct curl_slist *headers;
    struct http_request rq; /* its strings are curl's copies; body, functions and arg are used */
    struct http_answer a;
    struct zl_error err; /* of sink or source */
    curl_off_t moved;    /* bytes, in both directions, when we looked last */
    uint64_t moved_ms;   /* when they had changed; 0: there is no connection yet */
    bool stalled;
    char text[CURL_ERROR_SIZE];
};

struct http {
    CURLM *multi;
    struct http_settings settings;
    char *system_ca; /* PEM; read while the files can still be seen */
    struct transfer *first;
};

/* ---- the trusted certificates ---------------------------------------------------------------- */

static int load_system_ca(struct http *h, struct zl_error *err)
{
    static const char *const variables[] = { "SSL_CERT_FILE", "CURL_CA_BUNDLE" };
    const char *path = "/etc/ssl/certs/ca-certificates.crt"; /* of Debian's ca-certificates */
    for (size_t i = 0; i < ZL_ARRAY_LEN(variables); i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            path = value;
    }
    FILE *f = fopen(path, "re");
    if (!f && errno == ENOENT)
        return 0; /* a host without any: only what the configuration names is trusted */
    size_t n = 0;
    if (!f || (errno = 0, getdelim(&h->system_ca, &n, '\0', f) < 0 && errno)) {
        (void)zl_fail_errno(err, "read the trusted certificates '%s'", path);
        if (f)
            (void)fclose(f); /* it was only read */
        return -1;
    }
    (void)fclose(f); /* it was only read */
    return 0;
}

struct http *http_new(const struct http_settings *s, struct http **ret, struct zl_error *err)
{
    autohttp struct http *h = calloc(1, sizeof *h);
    if (!h) {
        (void)zl_fail_errno(err, "set up HTTP");
        return NULL;
    }
    h->settings = *s;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        h->multi = curl_multi_init();
    if (!h->multi) {
        (void)zl_fail(err, ZL_ERR_SYSTEM, "set up HTTP: libcurl does not start");
        return NULL;
    }
    if (load_system_ca(h, err) < 0)
        return NULL;
    return *ret = zl_take_ptr(h);
}

static void transfer_free(struct transfer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    (void)curl_multi_remove_handle(t->h->multi, t->easy); /* fails only if it was never added */
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    free(t);
}

void http_free(struct http *h)
{
    if (!h)
        return;
    while (h->first)
        transfer_free(h->first);
    if (h->multi)
        (void)curl_multi_cleanup(h->multi); /* nothing is in it any more */
    free(h->system_ca);
    free(h);
    curl_global_cleanup();
}

void http_cancel(struct transfer *t)
{
    if (t)
        transfer_free(t);
}

/* ---- the head of an answer ------------------------------------------------------------------- */

static void reset_answer(struct http_answer *a)
{
    *a =
        (struct http_answer){ .length = -1, .range_from = -1, .range_to = -1, .retry_after_s = -1 };
}

static void take_text(char *out, size_t room, const char *value, size_t n)
{
    if (n < room) { /* longer is as good as not said */
        memcpy(out, value, n);
        out[n] = '\0';
    }
}

static void take_challenge(struct http_answer *a, const char *value, size_t n)
{
    if (a->n_challenges == HTTP_CHALLENGES || n >= HTTP_CHALLENGE_MAX)
        return;
    take_text(a->challenge[a->n_challenges++], HTTP_CHALLENGE_MAX, value, n);
}

static int64_t number(const char *text)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return errno ? -1 : n;
}

/* "bytes 100-199/200" of a body, "0-1023" of an upload. */
static void take_range(struct http_answer *a, const char *value)
{
    const char *dash = strchr(value, '-');
    if (strncasecmp(value, "bytes ", 6) == 0)
        a->range_from = number(value + 6);
    else if (dash)
        a->range_to = number(dash + 1);
}

static void take_retry_after(struct http_answer *a, const char *value)
{
    a->retry_after_s = number(value);
    if (a->retry_after_s >= 0)
        return;
    time_t at = curl_getdate(value, NULL), now = time(NULL);
    if (at != (time_t)-1)
        a->retry_after_s = at > now ? at - now : 0;
}

static void take_header(struct transfer *t, const char *name, size_t len, const char *value,
                        size_t n)
{
    struct http_answer *a = &t->a;
    char text[256] = "";
    take_text(text, sizeof text, value, n);
    const struct {
        const char *name;
        int what;
    } known[] = { { "content-type", 0 },
                  { "docker-content-digest", 1 },
                  { "www-authenticate", 2 },
                  { "content-range", 3 },
                  { "range", 3 },
                  { "location", 5 },
                  { "retry-after", 4 } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(known); i++) {
        if (strlen(known[i].name) != len || strncasecmp(known[i].name, name, len) != 0)
            continue;
        if (known[i].what == 0)
            take_text(a->type, sizeof a->type, text, strcspn(text, "; \t"));
        else if (known[i].what == 1)
            take_text(a->digest, sizeof a->digest, value, n);
        else if (known[i].what == 2)
            take_challenge(a, value, n);
        else if (known[i].what == 3)
            take_range(a, text);
        else if (known[i].what == 4)
            take_retry_after(a, text);
        else
            take_text(a->location, sizeof a->location, value, n);
    }
}

/* One line; a new status line begins the head of the next hop. */
static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t len = n *= size;
    if (n >= 5 && strncmp(line, "HTTP/", 5) == 0)
        reset_answer(&t->a);
    while (len && (line[len - 1] == '\n' || line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    const char *colon = memchr(line, ':', len);
    if (!colon)
        return n;
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    take_header(t, line, (size_t)(colon - line), value, (size_t)(end - value));
    return n;
}

/* What curl knows of the hop in hand. */
static void fill_answer(struct transfer *t)
{
    long status = 0;
    curl_off_t length = -1;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status); /* these only copy */
    (void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    t->a.status = (int)status;
    t->a.length = length;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    n *= size;
    if (!t->a.status)
        fill_answer(t);
    if (t->rq.sink && t->rq.sink(t->rq.arg, &t->a, bytes, n, &t->err) != 0)
        return n + 1; /* not what was taken: stops */
    return n;
}

static size_t on_source(char *out, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    int64_t got = t->rq.source(t->rq.arg, out, size * n, &t->err);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

/* Called about once a second, and whenever something moves. libcurl's own limit of speed takes the
 * average of some seconds, and so finds a silence that much later. */
static int on_progress(void *arg, curl_off_t all_down, curl_off_t down, curl_off_t all_up,
                       curl_off_t up)
{
    struct transfer *t = arg;
    curl_off_t connected_us = 0;
    (void)all_down;
    (void)all_up;
    (void)curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us); /* only copies */
    if (connected_us <= 0)
        return 0; /* connecting has a limit of its own */
    if (!t->moved_ms || t->moved != down + up) {
        t->moved = down + up;
        t->moved_ms = zl_mono_ms();
    }
    t->stalled = zl_mono_ms() - t->moved_ms >= (uint64_t)t->h->settings.stall_s * 1000;
    return t->stalled;
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool add_header(struct transfer *t, const char *name, const char *value)
{
    char *line = NULL;
    if (!value)
        return true;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return false;
    struct curl_slist *grown = curl_slist_append(t->headers, line);
    free(line);
    if (!grown)
        return false;
    t->headers = grown;
    return true;
}

static bool set_headers(struct transfer *t, const struct http_request *rq)
{
    char range[40] = "";
    if (rq->from)
        (void)snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)rq->from);
    return add_header(t, "Accept", rq->accept ? rq->accept : "*/*") &&
           add_header(t, "Authorization", rq->authorization) &&
           add_header(t, "Content-Type", rq->content_type) &&
           add_header(t, "Content-Range", rq->content_range) &&
           add_header(t, "Range", rq->from ? range : NULL) && add_header(t, "Expect", "") &&
           curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

/* Options are set in tables of one type each: libcurl's setopt is variadic. */
static bool set_numbers(struct transfer *t, const struct http_request *rq)
{
    const struct http_settings *s = &t->h->settings;
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_FOLLOWLOCATION,
          strcmp(rq->method, "GET") == 0 || strcmp(rq->method, "HEAD") == 0 },
        { CURLOPT_MAXREDIRS, REDIRECTS },
        { CURLOPT_CONNECTTIMEOUT, (long)s->connect_s },
        { CURLOPT_NOPROGRESS, 0 },
        { CURLOPT_BUFFERSIZE, BUFFER },
        { CURLOPT_SSL_VERIFYPEER, !rq->unverified },
        { CURLOPT_SSL_VERIFYHOST, rq->unverified ? 0 : 2 },
        { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
        { CURLOPT_TCP_KEEPALIVE, 1 },
        { CURLOPT_NOBODY, strcmp(rq->method, "HEAD") == 0 },
        /* Pieces of a layer are to be taken as they are, whatever the server thinks of them. */
        { CURLOPT_HTTP_CONTENT_DECODING, 0 },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(numbers); i++) {
        if (curl_easy_setopt(t->easy, numbers[i].option, numbers[i].value) != CURLE_OK)
            return false;
    }
    return true;
}

static bool set_texts(struct transfer *t, const struct http_request *rq)
{
    const struct {
        CURLoption option;
        const char *value;
    } texts[] = {
        { CURLOPT_URL, rq->url },
        { CURLOPT_USERAGENT, "zlayer/" ZL_VERSION },
        { CURLOPT_PROTOCOLS_STR, "http,https" },
        { CURLOPT_REDIR_PROTOCOLS_STR,
          rq->may_downgrade || strncmp(rq->url, "http:", 5) == 0 ? "http,https" : "https" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(texts); i++) {
        if (curl_easy_setopt(t->easy, texts[i].option, texts[i].value) != CURLE_OK)
            return false;
    }
    return true;
}

static bool set_certificates(struct transfer *t, const struct http_request *rq)
{
    const char *system = t->h->system_ca ? t->h->system_ca : "";
    const char *more = rq->ca_pem ? rq->ca_pem : "";
    zl_autofree char *all = NULL;
    if (strncmp(rq->url, "https:", 6) != 0 || rq->unverified)
        return true;
    if (asprintf(&all, "%s\n%s", system, more) < 0)
        return false;
    struct curl_blob blob = { all, strlen(all), CURL_BLOB_COPY };
    return curl_easy_setopt(t->easy, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK;
}

static bool set_body(struct transfer *t, const struct http_request *rq)
{
    CURL *e = t->easy;
    bool with_body = rq->body || rq->source;
    if (!with_body && strcmp(rq->method, "POST") != 0 && strcmp(rq->method, "PUT") != 0)
        return strcmp(rq->method, "HEAD") == 0 || strcmp(rq->method, "GET") == 0 ||
               curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, rq->method) == CURLE_OK;
    if (rq->source)
        return curl_easy_setopt(e, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_READFUNCTION, on_source) == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_READDATA, t) == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)rq->size) == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, rq->method) == CURLE_OK;
    return curl_easy_setopt(e, CURLOPT_POSTFIELDS, rq->body ? rq->body : "") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->size) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, rq->method) == CURLE_OK;
}

static bool set_functions(struct transfer *t)
{
    CURL *e = t->easy;
    return curl_easy_setopt(e, CURLOPT_PRIVATE, t) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->text) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_XFERINFODATA, t) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

struct transfer *http_begin(struct http *h, const struct http_request *rq, struct zl_error *err)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (!t) {
        (void)zl_fail_errno(err, "%s %s", rq->method, rq->url);
        return NULL;
    }
    t->h = h;
    t->rq = *rq;
    t->next = h->first;
    t->link = &h->first;
    if (t->next)
        t->next->link = &t->next;
    h->first = t;
    reset_answer(&t->a);
    t->easy = curl_easy_init();
    if (!t->easy || !set_functions(t) || !set_numbers(t, rq) || !set_texts(t, rq) ||
        !set_certificates(t, rq) || !set_headers(t, rq) || !set_body(t, rq) ||
        curl_multi_add_handle(h->multi, t->easy) != CURLM_OK) {
        transfer_free(t);
        (void)zl_fail(err, ZL_ERR_INVALID, "%s %s: libcurl does not take it", rq->method, rq->url);
        return NULL;
    }
    return t;
}

/* ---- the end --------------------------------------------------------------------------------- */

static enum http_end end_of(CURLcode code, const struct transfer *t)
{
    switch (code) {
    case CURLE_OK:
        return HTTP_ANSWERED;
    case CURLE_WRITE_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
        return t->err.kind != ZL_OK ? HTTP_STOPPED : HTTP_BROKEN;
    case CURLE_SSL_CONNECT_ERROR:
        return HTTP_NO_TLS;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        return HTTP_REFUSED;
    default:
        return HTTP_BROKEN;
    }
}

static void tell(struct transfer *t, CURLcode code)
{
    struct zl_error why = t->err;
    fill_answer(t);
    t->a.end = end_of(code, t);
    if (t->stalled && t->a.end == HTTP_BROKEN) {
        (void)zl_fail(&why, ZL_ERR_TIMEOUT, "nothing came or went for %u s",
                      t->h->settings.stall_s);
    } else if (t->a.end != HTTP_ANSWERED && t->a.end != HTTP_STOPPED) {
        enum zl_err_kind kind = code == CURLE_OPERATION_TIMEDOUT ? ZL_ERR_TIMEOUT
                                : t->a.end == HTTP_REFUSED       ? ZL_ERR_DENIED
                                                                 : ZL_ERR_UNREACHABLE;
        (void)zl_fail(&why, kind, "%s", *t->text ? t->text : curl_easy_strerror(code));
    }
    const struct http_answer a = t->a;
    http_done_fn done = t->rq.done;
    void *arg = t->rq.arg;
    transfer_free(t); /* done may begin others, or end all of them */
    done(arg, &a, &why);
}

static int failed(CURLMcode code, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_INTERNAL, "libcurl: %s", curl_multi_strerror(code));
}

int http_turn(struct http *h, const int *fds, bool *ready, size_t n_fds, int timeout_ms,
              struct zl_error *err)
{
    struct curl_waitfd waits[POLLED] = { { 0 } };
    int running, left;
    CURLMcode code = curl_multi_perform(h->multi, &running);
    CURLMsg *m;
    if (n_fds > POLLED)
        return zl_fail(err, ZL_ERR_INTERNAL, "too much to wait for");
    for (size_t i = 0; i < n_fds; i++)
        waits[i] = (struct curl_waitfd){ .fd = fds[i], .events = CURL_WAIT_POLLIN };
    m = code == CURLM_OK ? curl_multi_info_read(h->multi, &left) : NULL;
    if (code == CURLM_OK)
        code = curl_multi_poll(h->multi, waits, (unsigned)n_fds, m ? 0 : timeout_ms, NULL);
    if (code != CURLM_OK)
        return failed(code, err);
    for (size_t i = 0; i < n_fds; i++)
        ready[i] = waits[i].revents != 0;
    while (m) {
        struct transfer *t = NULL;
        if (m->msg == CURLMSG_DONE &&
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t) == CURLE_OK && t)
            tell(t, m->data.result);
        m = curl_multi_info_read(h->multi, &left);
    }
    return 0;
}

/* ---- one at a time --------------------------------------------------------------------------- */

struct single {
    struct zl_buf *body;
    struct http_answer *ret;
    struct zl_error why;
    bool over;
    const struct http_request *rq;
};

static int keep_body(void *arg, const struct http_answer *so_far, const char *bytes, size_t n,
                     struct zl_error *err)
{
    struct single *s = arg;
    (void)so_far;
    if (!s->body)
        return 0;
    zl_buf_add(s->body, bytes, n);
    return zl_buf_check(s->body, "the answer", err);
}

static int64_t pass_source(void *arg, char *out, size_t room, struct zl_error *err)
{
    const struct single *s = arg;
    return s->rq->source(s->rq->arg, out, room, err);
}

static void keep_end(void *arg, const struct http_answer *a, const struct zl_error *why)
{
    struct single *s = arg;
    *s->ret = *a;
    s->why = *why;
    s->over = true;
}

int http_perform(struct http *h, const struct http_request *rq, struct zl_buf *body,
                 struct http_answer *ret, struct zl_error *err)
{
    struct single s = { .body = body, .ret = ret, .rq = rq };
    struct http_request mine = *rq;
    mine.sink = keep_body;
    mine.done = keep_end;
    mine.source = rq->source ? pass_source : NULL;
    mine.arg = &s;
    reset_answer(ret);
    ret->end = HTTP_REFUSED;
    struct transfer *t = http_begin(h, &mine, err);
    if (!t)
        return -1;
    while (!s.over) {
        if (http_turn(h, NULL, NULL, 0, 1000, err) < 0) {
            http_cancel(t);
            return -1;
        }
    }
    if (ret->end == HTTP_ANSWERED)
        return 0;
    return zl_fail(err, s.why.kind, "%s", s.why.msg);
}
