// SPDX-License-Identifier: Apache-2.0
#include "fetch/download.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "fetch/room.h"

enum { CHUNK = 256 * 1024, REFUSAL_MAX = 64 * 1024 };
enum { WRITEBACK = 4 << 20 };         /* bytes after which the disk begins with them */
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

/* ---- the file -------------------------------------------------------------------------------- */

/* Locked while it is written. Somebody else's goes on without us: we take a name of our own, which
 * nobody will look for again. */
static int open_file(struct download *d, struct zl_error *err)
{
    int partial = d->work->store.partial;
    (void)snprintf(d->name, sizeof d->name, "%s", layout_hex(d->digest));
    for (;;) {
        struct stat here, there;
        zl_autoclose int fd =
            openat(partial, d->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return zl_fail_errno(err, "open images/partial/%s", d->name);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            char id[ZL_ID_LEN + 1];
            zl_id_format(zl_id_random(), id);
            (void)snprintf(d->name, sizeof d->name, "%s%s", LAYOUT_TMP, id);
            continue;
        }
        /* Whoever had the lock may have made a blob of it, or thrown it away. */
        if (fstat(fd, &here) == 0 && fstatat(partial, d->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
            here.st_ino == there.st_ino) {
            d->fd = zl_take_fd(&fd);
            d->have = (uint64_t)here.st_size;
            return 0;
        }
    }
}

static int start_over(struct download *d, struct zl_error *err)
{
    digest_free(d->sum);
    d->sum = digest_new(err);
    d->have = d->writing = 0;
    d->found = false;
    if (!d->sum)
        return -1;
    return ftruncate(d->fd, 0) < 0 ? zl_fail_errno(err, "empty images/partial/%s", d->name) : 0;
}

/* The digest of what is there already. */
static int read_found(struct download *d, struct zl_error *err)
{
    zl_autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        return zl_fail_errno(err, "read images/partial/%s", d->name);
    for (uint64_t at = 0; at < d->have;) {
        ssize_t n = pread(d->fd, chunk, CHUNK, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? zl_fail_errno(err, "read images/partial/%s", d->name)
                         : zl_fail(err, ZL_ERR_SYSTEM, "images/partial/%s shrank", d->name);
        if (digest_add(d->sum, chunk, (size_t)n, err) < 0)
            return -1;
        at += (uint64_t)n;
    }
    return 0;
}

static void settle(struct download *d);

int download_open(struct download *d, struct work *w, struct registry *r, const char *digest,
                  uint64_t size, void (*on_bytes)(void *arg, uint64_t n), void *arg,
                  struct zl_error *err)
{
    *d = (struct download){ .work = w,
                            .registry = r,
                            .size = size,
                            .fd = -1,
                            .refusal = ZL_BUF(REFUSAL_MAX),
                            .on_bytes = on_bytes,
                            .arg = arg };
    (void)snprintf(d->digest, sizeof d->digest, "%s", digest);
    if (open_file(d, err) < 0)
        return -1;
    uint64_t found = d->have;
    if (found > size ? start_over(d, err) < 0 : !(d->sum = digest_new(err)))
        return -1;
    if (read_found(d, err) < 0)
        return -1;
    d->found = d->have > 0;
    if (d->have)
        d->on_bytes(d->arg, d->have);
    if (d->have == d->size && size)
        settle(d);
    return 0;
}

void download_close(struct download *d)
{
    http_cancel(d->transfer);
    d->transfer = NULL;
    digest_free(d->sum);
    d->sum = NULL;
    zl_buf_done(&d->refusal);
    bool nobodys = strncmp(d->name, LAYOUT_TMP, strlen(LAYOUT_TMP)) == 0;
    bool full = d->state == DOWNLOAD_FAILED && (d->err.errnum == ENOSPC || d->err.errnum == EDQUOT);
    if (d->fd >= 0 && d->state != DOWNLOAD_COMPLETE && (nobodys || full || !d->have))
        (void)unlinkat(d->work->store.partial, d->name, 0); /* of no use, or in the way */
    zl_closep(&d->fd);
    d->fd = -1;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* All bytes are there: are they the right ones? */
static void settle(struct download *d)
{
    char found[DIGEST_SIZE];
    if (digest_end(d->sum, found, &d->err) < 0) {
        fail(d);
        return;
    }
    if (strcmp(found, d->digest) != 0) {
        (void)zl_fail(&d->err, ZL_ERR_INVALID, "%s sent something with the digest %s for %s",
                      d->registry->v[d->endpoint].host, found, d->digest);
        set_state(d, DOWNLOAD_WRONG);
        return;
    }
    if (work_add_blob(d->work, d->work->store.partial, d->name, d->digest, &d->err) < 0) {
        fail(d);
        return;
    }
    set_state(d, DOWNLOAD_COMPLETE);
}

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

void download_again(struct download *d)
{
    bool was_found = d->found; /* the disk may have lied, not the server: ask it once more */
    if (start_over(d, &d->err) < 0) {
        fail(d);
        return;
    }
    if (was_found)
        set_state(d, DOWNLOAD_READY);
    else
        leave_endpoint(d);
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
    if (a->end == HTTP_STOPPED) { /* our disk, or a server that sends too much */
        d->err = *why;
        if (why->kind == ZL_ERR_SYSTEM)
            fail(d);
        else
            leave_endpoint(d);
    } else if (d->have == d->size) {
        d->registry->v[d->endpoint].proven = true;
        settle(d);
    } else {
        take_failure(d, a, why);
    }
}

/* ---- the bytes ------------------------------------------------------------------------------- */

/* So that the sync at the end finds little to do; only begun, whether it works or not. */
static void begin_writeback(struct download *d)
{
    if (d->have < d->writing + WRITEBACK)
        return;
    (void)sync_file_range(d->fd, (off_t)d->writing, (off_t)(d->have - d->writing),
                          SYNC_FILE_RANGE_WRITE);
    d->writing = d->have;
}

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
    bool look = d->have / ROOM_STEP != (d->have + n) / ROOM_STEP;
    if ((look && room_left(d->fd, err) < 0) || zl_write_all(d->fd, bytes, n, "the blob", err) < 0 ||
        digest_add(d->sum, bytes, n, err) < 0)
        return -1;
    d->have += n;
    begin_writeback(d);
    d->progressed += n;
    if (d->progressed >= PROGRESS_ENOUGH)
        d->retry.failures = 0;
    d->on_bytes(d->arg, n);
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
    if (lseek(d->fd, (off_t)d->have, SEEK_SET) < 0) {
        (void)zl_fail_errno(&d->err, "seek in images/partial/%s", d->name);
        fail(d);
        return;
    }
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
