// SPDX-License-Identifier: Apache-2.0
/*
 * One blob from a registry, to whoever takes its bytes, in their order: the talker's half. What it
 * is worth, and where it goes, is the keeper's business (arrival.h).
 *
 *   ready ─▶ running ─▶ complete (all bytes came)
 *     ▲         │ ─▶ failed
 *     └ waiting ┘
 */
#ifndef ZL_FETCH_REGISTRY_DOWNLOAD_H
#define ZL_FETCH_REGISTRY_DOWNLOAD_H

#include "fetch/registry/registry.h"
#include "fetch/registry/retry.h"
#include "fetch/registry/talkwire.h"

enum download_state {
    DOWNLOAD_READY, /* may begin */
    DOWNLOAD_RUNNING,
    DOWNLOAD_WAITING, /* until wait_until_ms: a try has failed */
    DOWNLOAD_COMPLETE,
    DOWNLOAD_FAILED /* err says why */
};

/* The next bytes. -1: they cannot be taken, which is the end of it. */
typedef int (*download_sink_fn)(void *arg, const char *bytes, size_t n, struct zl_error *err);

struct download {
    enum download_state state;
    struct registry *registry;
    size_t endpoint; /* in hand */
    char digest[DIGEST_SIZE];
    uint64_t size;
    uint64_t have; /* bytes that were passed on, or are there from before */
    uint64_t skip; /* bytes of the answer that we have: the server knows no ranges */
    struct retry retry;
    uint64_t progressed; /* bytes that the try in hand has brought */
    unsigned tries;
    struct transfer *transfer;
    uint64_t wait_until_ms;
    struct zl_buf refusal; /* the body of an answer that is none */
    struct zl_error err;
    download_sink_fn sink;
    void *arg;
};

/* Of a blob of this registry, which is borrowed, all behind blob->from. */
void download_open(struct download *d, struct registry *r, const struct talk_blob *blob,
                   download_sink_fn sink, void *arg);
void download_close(struct download *d);

/* ready, and waiting whose time has come, becomes running. */
void download_step(struct download *d, uint64_t now_ms);

#endif
