// SPDX-License-Identifier: Apache-2.0
/*
 * One blob on its way from the talker into images/partial/<hex>: the keeper's half of a download.
 * When its digest, which is computed here, is right, the commit of the work makes a blob of it.
 * What a run that ended early left there is the beginning: the next one goes on behind it. The file
 * only grows, and nobody else has it open for writing, so somebody may read it meanwhile.
 *
 *   wanted ─▶ coming ─▶ complete (digest right, added to the work)
 *     ▲         │ ─▶ failed
 *     └─────── wrong (all bytes came, but they are others)
 */
#ifndef ZL_FETCH_REGISTRY_ARRIVAL_H
#define ZL_FETCH_REGISTRY_ARRIVAL_H

#include "fetch/registry/talk.h"
#include "fetch/store/work.h"

enum arrival_state {
    ARRIVAL_WANTED, /* arrival_ask() is to be called */
    ARRIVAL_COMING,
    ARRIVAL_COMPLETE,
    ARRIVAL_WRONG, /* err says what came; arrival_again() is to be called */
    ARRIVAL_FAILED /* err says why */
};

struct arrival {
    enum arrival_state state;
    struct work *work;
    uint64_t op;       /* by which the talker knows it */
    uint32_t endpoint; /* of the registry's: the one to be asked first */
    uint32_t left;     /* how many there are behind the one that gave the end */
    char host[256];    /* that one */
    char digest[DIGEST_SIZE];
    uint64_t size;
    int fd;           /* of the file: read and write */
    char name[80];    /* below images/partial */
    uint64_t have;    /* bytes in it */
    uint64_t writing; /* the disk was asked to begin with so many of them */
    bool found;       /* some of them are from a run before us */
    struct digest *sum;
    struct zl_error err;
    void (*on_bytes)(void *arg, uint64_t n); /* n more are in the file */
    void *arg;
};

/* Opens the file and reads what is in it; on_bytes is told. work is borrowed. */
int arrival_open(struct arrival *a, struct work *w, const char *digest, uint64_t size,
                 void (*on_bytes)(void *arg, uint64_t n), void *arg, struct zl_error *err);
/* The file stays for the next run, unless it is complete or empty. */
void arrival_close(struct arrival *a);

/* wanted becomes coming. */
int arrival_ask(struct arrival *a, struct talk *t, struct zl_error *err);
/* What the talker says of it, which is coming. */
void arrival_take(struct arrival *a, const struct talk_event *e);
/* wrong becomes wanted, from nothing, at the next endpoint; failed when there is none. */
void arrival_again(struct arrival *a);

#endif
