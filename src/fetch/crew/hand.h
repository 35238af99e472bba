// SPDX-License-Identifier: Apache-2.0
/* The other side of crew.c: the foreman and its hands. */
#ifndef ZL_FETCH_CREW_HAND_H
#define ZL_FETCH_CREW_HAND_H

#include "fetch/crew/crew.h"

/* What the foreman is told, by packets of base/msg.h. The first descriptor is for the answer, a
 * struct hand_answer, of all but HOLD; its holder ends when it is done. */
enum hand_order {
    HAND_HOLD,       /* any descriptors, to be held */
    HAND_UNPACK,     /* the folder, the notes, a pipe of bytes */
    HAND_DECOMPRESS, /* a file to write, a pipe of bytes */
    HAND_LIST,       /* a file to write, an archive */
    HAND_INDEX,      /* a pipe for what is found, a pipe with the document; the body names it: an
                      * index, and in the order of enum reading_kind */
    HAND_MANIFEST,   /* the same */
    HAND_CONFIG,     /* the same */
    HAND_DOCKER,     /* the same */
    HAND_SETTLE,     /* the folder, the notes, the folders of the layers below, lowest first */
    HAND_REMOVE,     /* a folder; the body is the name in it */
    HAND_MEASURE,    /* the same */
    HAND_ORDERS
};

struct hand_answer {
    uint32_t kind; /* enum zl_err_kind */
    int32_t errnum;
    char msg[1024];
    uint64_t bytes;
    struct unpacked layer;
};

/* The child's part of crew_start(): serves until the other end of the socket is closed. */
_Noreturn void hand_foreman(int sock);

#endif
