// SPDX-License-Identifier: Apache-2.0
/*
 * What keeper (talk.h) and talker (talker.h) say to each other: packets of base/msg.h over one
 * socket. The keeper asks, by an op of its choice; the talker answers with any number of BYTES or
 * SENT and one END, all with that op. Nothing that comes from the talker is believed: a registry
 * may have taken it over. Both are one program, so the structs are sent as they lie.
 */
#ifndef ZL_FETCH_REGISTRY_TALKWIRE_H
#define ZL_FETCH_REGISTRY_TALKWIRE_H

#include "fetch/digest.h"
#include "image/document.h"

enum talk_question {
    TALK_ORDER,    /* what the keeper needs of the order: JSON without what is secret */
    TALK_CHECK,    /* does the registry let us in? */
    TALK_RESOLVE,  /* body: a tag. END: its digest */
    TALK_MANIFEST, /* body: a tag or digest. BYTES; END: their type */
    TALK_DOCUMENT, /* body: struct talk_blob. BYTES of a small blob */
    TALK_BLOB,     /* body: struct talk_blob. BYTES from `from` on; several at the same time */
    TALK_PUSH,     /* body: struct talk_push; its descriptors */
    TALK_QUESTIONS
};

enum talk_answer {
    TALK_BYTES = 100,
    TALK_SENT, /* body: struct talk_sent, of a push */
    TALK_END,  /* body: struct talk_end */
};

struct talk_blob {
    char digest[DIGEST_SIZE];
    uint32_t endpoint; /* of the registry's: the first one to be asked */
    uint64_t size, from;
};

enum { TALK_PARTS = OCI_LAYERS_MAX + 1, TALK_SOURCES_MAX = 64 * 1024 };

/* Descriptors: of the manifest, of its config, of its layers in their order. */
struct talk_push {
    char digest[DIGEST_SIZE]; /* of the manifest */
    uint32_t n_sources;       /* bytes that follow: for config and layers each, with its NUL, the
                               * repository of this registry that has it, or "" */
};

struct talk_sent {
    uint32_t part; /* 0: the config; then the layers */
    uint32_t unused;
    uint64_t bytes;
};

struct talk_end {
    uint32_t kind; /* enum zl_err_kind */
    int32_t errnum;
    char msg[1024];
    char digest[DIGEST_SIZE];
    char type[128];          /* media type */
    char host[256];          /* who answered */
    uint32_t endpoint, left; /* its number, and how many there are behind it */
};

#endif
