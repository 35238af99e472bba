// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/download.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"

enum { REFUSAL_MAX = 64 * 1024 };
enum { PROGRESS_ENOUGH = 64 * 1024 }; /* of one try, not to count it as one in vain */

static void set_state(struct download *d, enum download_state state)
{
    d->state = state;
}

static void fail(struct download *d)
{
    (void)zl_wrap(&d->err, "download %s", d->digest);
    set_state(d, DOWNLOAD_FAILED);
}

/* An endpoint that there is not gives nothing. */
void download_open(struct download *d, struct registry *r, const struct talk_blob *blob,
                   download_sink_fn sink, void *arg)
{
    *d = (struct download){ .registry = r,
                            .size = blob->size,
                            .have = blob->from,
                            .refusal = ZL_BUF(REFUSAL_MAX),
                            .sink = sink,
                            .arg = arg };
    memcpy(d->digest, blob->digest, sizeof d->digest);
    d->endpoint = blob->endpoint < r->n ? blob->endpoint : r->n - 1;
}

void download_close(struct download *d)
{
    http_cancel(d->transfer);
    d->transfer = NULL;
    zl_buf_done(&d->refusal);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The next endpoint; when this was the last one, that is the end. */
static void leave_endpoint(struct download *d)
{
    if (d->endpoint + 1 >= d->registry->n) {
        fail(d);
        return;
    }
    d->endpoint++;
    d->retry = (struct retry){ 0 };
    d->tries = 0;
    set_state(d, DOWNLOAD_READY);
}

/* The transfer has ended without all bytes. */
static void take_failure(struct download *d, const struct http_answer *a,
                         const struct zl_error *why)
{
    struct endpoint *e = &d->registry->v[d->endpoint];
    struct http_answer judged = *a;
    struct zl_error denied = { 0 };
    if (a->status == 200 && a->length < 0)
        judged.end = HTTP_BROKEN; /* a body without a length looks whole wherever it is cut off */
    int again = registry_mend(d->registry, e, a, &d->tries, &denied);
    if (again > 0) {
        set_state(d, DOWNLOAD_READY);
        return;
    }
    if (again < 0)
        d->err = denied;
    else if (a->end != HTTP_ANSWERED)
        (void)zl_fail(&d->err, why->kind, "%s: %s", e->host, why->msg);
    else if (a->status == 200 || a->status == 206 || a->status == 416)
        (void)zl_fail(&d->err, ZL_ERR_INVALID, "%s has %llu bytes, not %llu", e->host,
                      (unsigned long long)d->have, (unsigned long long)d->size);
    else
        (void)registry_refusal(e, a, &d->refusal, "the blob", &d->err);
    int64_t wait = again < 0 ? -1 : retry_after(&d->retry, &judged, zl_id_random());
    if (wait < 0) {
        leave_endpoint(d);
        return;
    }
    d->wait_until_ms = zl_mono_ms() + (uint64_t)wait;
    set_state(d, DOWNLOAD_WAITING);
}

static void on_done(void *arg, const struct http_answer *a, const struct zl_error *why)
{
    struct download *d = arg;
    d->transfer = NULL;
    if (a->end == HTTP_STOPPED) { /* the keeper, or a server that sends too much */
        d->err = *why;
        if (why->kind == ZL_ERR_SYSTEM)
            fail(d);
        else
            leave_endpoint(d);
    } else if (d->have == d->size) {
        d->registry->v[d->endpoint].proven = true;
        set_state(d, DOWNLOAD_COMPLETE);
    } else {
        take_failure(d, a, why);
    }
}

/* ---- the bytes ------------------------------------------------------------------------------- */

static int keep(struct download *d, const char *bytes, size_t n, struct zl_error *err)
{
    if (d->skip >= n) {
        d->skip -= n;
        return 0;
    }
    bytes += d->skip;
    n -= (size_t)d->skip;
    d->skip = 0;
    if (n > d->size - d->have)
        return zl_fail(err, ZL_ERR_INVALID, "%s sends more than the %llu bytes of the blob",
                       d->registry->v[d->endpoint].host, (unsigned long long)d->size);
    if (d->sink(d->arg, bytes, n, err) < 0)
        return -1;
    d->have += n;
    d->progressed += n;
    if (d->progressed >= PROGRESS_ENOUGH)
        d->retry.failures = 0;
    return 0;
}

static int on_body(void *arg, const struct http_answer *a, const char *bytes, size_t n,
                   struct zl_error *err)
{
    struct download *d = arg;
    if (a->status != 200 && a->status != 206) {
        zl_buf_add(&d->refusal, bytes, n); /* what does not fit is not told */
        return 0;
    }
    if (a->status == 206 && a->range_from >= 0 && d->skip == UINT64_MAX &&
        (uint64_t)a->range_from != d->have)
        return zl_fail(err, ZL_ERR_PROTOCOL,
                       "%s sends another part of the blob than it was asked for",
                       d->registry->v[d->endpoint].host);
    if (d->skip == UINT64_MAX) /* the first piece */
        d->skip = a->status == 200 ? d->have : 0;
    return keep(d, bytes, n, err);
}

static void begin(struct download *d)
{
    const struct endpoint *e = &d->registry->v[d->endpoint];
    zl_autobuf struct zl_buf url = ZL_BUF(HTTP_LOCATION_MAX + 1024);
    char path[100];
    struct http_request rq = {
        .method = "GET", .from = d->have, .sink = on_body, .done = on_done, .arg = d
    };
    (void)snprintf(path, sizeof path, "blobs/%s", d->digest);
    zl_buf_reset(&d->refusal);
    d->skip = UINT64_MAX;
    d->progressed = 0;
    if (registry_prepare(d->registry, e, path, &url, &rq, &d->err) == 0)
        d->transfer = http_begin(d->registry->http, &rq, &d->err);
    if (d->transfer)
        set_state(d, DOWNLOAD_RUNNING);
    else
        fail(d);
}

void download_step(struct download *d, uint64_t now_ms)
{
    if (d->state == DOWNLOAD_READY || (d->state == DOWNLOAD_WAITING && now_ms >= d->wait_until_ms))
        begin(d);
}
