// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/arrival.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/id.h"
#include "fetch/room.h"

enum { CHUNK = 256 * 1024 };
enum { WRITEBACK = 4 << 20 }; /* bytes after which the disk begins with them */

static void set_state(struct arrival *a, enum arrival_state state)
{
    a->state = state;
}

static void fail(struct arrival *a)
{
    (void)zl_wrap(&a->err, "download %s", a->digest);
    set_state(a, ARRIVAL_FAILED);
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Locked while it is written. Somebody else's goes on without us: we take a name of our own, which
 * nobody will look for again. */
static int open_file(struct arrival *a, struct zl_error *err)
{
    int partial = a->work->store.partial;
    (void)snprintf(a->name, sizeof a->name, "%s", layout_hex(a->digest));
    for (;;) {
        struct stat here, there;
        zl_autoclose int fd =
            openat(partial, a->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return zl_fail_errno(err, "open images/partial/%s", a->name);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            char id[ZL_ID_LEN + 1];
            zl_id_format(zl_id_random(), id);
            (void)snprintf(a->name, sizeof a->name, "%s%s", LAYOUT_TMP, id);
            continue;
        }
        /* Whoever had the lock may have made a blob of it, or thrown it away. */
        if (fstat(fd, &here) == 0 && fstatat(partial, a->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
            here.st_ino == there.st_ino) {
            a->fd = zl_take_fd(&fd);
            a->have = (uint64_t)here.st_size;
            return 0;
        }
    }
}

static int start_over(struct arrival *a, struct zl_error *err)
{
    digest_free(a->sum);
    a->sum = digest_new(err);
    a->have = a->writing = 0;
    a->found = false;
    if (!a->sum)
        return -1;
    return ftruncate(a->fd, 0) < 0 ? zl_fail_errno(err, "empty images/partial/%s", a->name) : 0;
}

/* The digest of what is there already. */
static int read_found(struct arrival *a, struct zl_error *err)
{
    zl_autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        return zl_fail_errno(err, "read images/partial/%s", a->name);
    for (uint64_t at = 0; at < a->have;) {
        ssize_t n = pread(a->fd, chunk, CHUNK, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? zl_fail_errno(err, "read images/partial/%s", a->name)
                         : zl_fail(err, ZL_ERR_SYSTEM, "images/partial/%s shrank", a->name);
        if (digest_add(a->sum, chunk, (size_t)n, err) < 0)
            return -1;
        at += (uint64_t)n;
    }
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* All bytes are there: are they the right ones? */
static void settle(struct arrival *a)
{
    char found[DIGEST_SIZE];
    if (digest_end(a->sum, found, &a->err) < 0) {
        fail(a);
        return;
    }
    if (strcmp(found, a->digest) != 0) {
        (void)zl_fail(&a->err, ZL_ERR_INVALID, "%s sent something with the digest %s for %s",
                      a->host[0] ? a->host : "the disk", found, a->digest);
        set_state(a, ARRIVAL_WRONG);
        return;
    }
    if (work_add_blob(a->work, a->work->store.partial, a->name, a->digest, &a->err) < 0) {
        fail(a);
        return;
    }
    set_state(a, ARRIVAL_COMPLETE);
}

void arrival_again(struct arrival *a)
{
    bool was_found = a->found; /* the disk may have lied, not the server: ask it once more */
    if (start_over(a, &a->err) < 0 || (!was_found && !a->left)) {
        fail(a);
        return;
    }
    a->endpoint += !was_found;
    set_state(a, ARRIVAL_WANTED);
}

/* ---- the bytes ------------------------------------------------------------------------------- */

/* So that the sync at the end finds little to do; only begun, whether it works or not. */
static void begin_writeback(struct arrival *a)
{
    if (a->have < a->writing + WRITEBACK)
        return;
    (void)sync_file_range(a->fd, (off_t)a->writing, (off_t)(a->have - a->writing),
                          SYNC_FILE_RANGE_WRITE);
    a->writing = a->have;
}

static int keep(struct arrival *a, const char *bytes, size_t n, struct zl_error *err)
{
    if (n > a->size - a->have)
        return zl_fail(err, ZL_ERR_PROTOCOL, "more than its %llu bytes come",
                       (unsigned long long)a->size);
    bool look = a->have / ROOM_STEP != (a->have + n) / ROOM_STEP;
    if ((look && room_left(a->fd, err) < 0) || zl_write_all(a->fd, bytes, n, "the blob", err) < 0 ||
        digest_add(a->sum, bytes, n, err) < 0)
        return -1;
    a->have += n;
    begin_writeback(a);
    a->on_bytes(a->arg, n);
    return 0;
}

static void take_end(struct arrival *a, const struct talk_end *end)
{
    if (end->kind != ZL_OK) {
        (void)zl_fail(&a->err, (enum zl_err_kind)end->kind, "%s", end->msg);
        a->err.errnum = end->errnum;
        set_state(a, ARRIVAL_FAILED);
        return;
    }
    memcpy(a->host, end->host, sizeof a->host);
    a->endpoint = end->endpoint;
    a->left = end->left;
    if (a->have == a->size) {
        settle(a);
        return;
    }
    (void)zl_fail(&a->err, ZL_ERR_PROTOCOL, "%llu bytes came, not %llu",
                  (unsigned long long)a->have, (unsigned long long)a->size);
    fail(a);
}

void arrival_take(struct arrival *a, const struct talk_event *e)
{
    if (!e->bytes)
        take_end(a, &e->end);
    else if (keep(a, e->bytes, e->n, &a->err) < 0)
        fail(a);
}

int arrival_ask(struct arrival *a, struct talk *t, struct zl_error *err)
{
    struct talk_blob blob = { .endpoint = a->endpoint, .size = a->size, .from = a->have };
    memcpy(blob.digest, a->digest, sizeof blob.digest);
    if (lseek(a->fd, (off_t)a->have, SEEK_SET) < 0)
        return zl_fail_errno(err, "seek in images/partial/%s", a->name);
    if (talk_blob(t, &blob, &a->op, err) < 0)
        return -1;
    set_state(a, ARRIVAL_COMING);
    return 0;
}

/* ---- from the beginning ---------------------------------------------------------------------- */

int arrival_open(struct arrival *a, struct work *w, const char *digest, uint64_t size,
                 void (*on_bytes)(void *arg, uint64_t n), void *arg, struct zl_error *err)
{
    *a = (struct arrival){ .work = w, .size = size, .fd = -1, .on_bytes = on_bytes, .arg = arg };
    (void)snprintf(a->digest, sizeof a->digest, "%s", digest); /* checked: fits */
    if (open_file(a, err) < 0)
        return -1;
    if (a->have > size ? start_over(a, err) < 0 : !(a->sum = digest_new(err)))
        return -1;
    if (read_found(a, err) < 0)
        return -1;
    a->found = a->have > 0;
    if (a->have)
        a->on_bytes(a->arg, a->have);
    if (a->have == a->size && size)
        settle(a);
    return 0;
}

void arrival_close(struct arrival *a)
{
    digest_free(a->sum);
    a->sum = NULL;
    bool nobodys = layout_is_tmp(a->name);
    bool full = a->state == ARRIVAL_FAILED && (a->err.errnum == ENOSPC || a->err.errnum == EDQUOT);
    if (a->fd >= 0 && a->state != ARRIVAL_COMPLETE && (nobodys || full || !a->have))
        (void)unlinkat(a->work->store.partial, a->name, 0); /* of no use, or in the way */
    zl_closep(&a->fd);
    a->fd = -1;
}
