// SPDX-License-Identifier: Apache-2.0
/*
 * One blob from a registry into images/partial/<hex>. When its digest is right, the commit of the
 * work makes a blob of it. What a run that ended early left there is the beginning: the next one
 * goes on behind it. The file only grows, so somebody may read it meanwhile.
 *
 *   ready ─▶ running ─▶ complete (digest right, added to the work)
 *     ▲         │ ─▶ wrong (all bytes came, but they are others) ─▶ ready, from nothing
 *     └ waiting ┘ ─▶ failed
 */
#ifndef ZL_FETCH_DOWNLOAD_H
#define ZL_FETCH_DOWNLOAD_H

#include "fetch/registry.h"
#include "fetch/retry.h"
#include "fetch/work.h"

enum download_state {
    DOWNLOAD_READY, /* may begin */
    DOWNLOAD_RUNNING,
    DOWNLOAD_WAITING, /* until wait_until_ms: a try has failed */
    DOWNLOAD_COMPLETE,
    DOWNLOAD_WRONG, /* err says what came; download_again() is to be called */
    DOWNLOAD_FAILED /* err says why */
};

struct download {
    enum download_state state;
    struct work *work;
    struct registry *registry;
    size_t endpoint; /* in hand */
    char digest[DIGEST_SIZE];
    uint64_t size;
    int fd;           /* of the file: read and write */
    char name[80];    /* below images/partial */
    uint64_t have;    /* bytes in it */
    uint64_t writing; /* the disk was asked to begin with so many of them */
    bool found;       /* some of them are from a run before us */
    uint64_t skip;    /* bytes of the answer that we have: the server knows no ranges */
    struct digest *sum;
    struct retry retry;
    uint64_t progressed; /* bytes that the try in hand has brought */
    unsigned tries;
    struct transfer *transfer;
    uint64_t wait_until_ms;
    struct zl_buf refusal; /* the body of an answer that is none */
    struct zl_error err;
    void (*on_bytes)(void *arg, uint64_t n); /* n more are in the file */
    void *arg;
};

/* Opens the file and reads what is in it; on_bytes is told. work and registry are borrowed. */
int download_open(struct download *d, struct work *w, struct registry *r, const char *digest,
                  uint64_t size, void (*on_bytes)(void *arg, uint64_t n), void *arg,
                  struct zl_error *err);
/* The file stays for the next run, unless it is complete or empty. */
void download_close(struct download *d);

/* ready, and waiting whose time has come, becomes running. */
void download_step(struct download *d, uint64_t now_ms);
/* wrong becomes ready, from nothing, at the next endpoint; failed when there is none. */
void download_again(struct download *d);

#endif
