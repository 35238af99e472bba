// SPDX-License-Identifier: Apache-2.0
/* clang-format off */
/*
 * The processes of one run of zlayer-fetch, none of which holds what another one guards:
 *
 *   keeper       the program itself: the only one with the store, images/ and layers/. It computes
 *     │          digests, compares, and renames into the store; it talks with nobody, and no
 *     │          library parses an archive, a stream or a document of an image for it
 *     ├ talker   of pull, push, login (talker.h): sockets, TLS, HTTP, credentials; of the disk
 *     │          nothing but the resolver's files. Bytes come from it, by a socket
 *     └ foreman  forked before anything was read; an empty root, no network, a PID namespace;
 *         │      looks at no foreign byte
 *         └ hands   one for each layer: decompress and unpack what comes through a pipe; the
 *                   layer's folder is their root, and a list of system calls all they may do.
 *                   One for each archive that is decompressed or listed, and for each document
 *                   (reading.h): files that are open, and no right at all
 *
 * What needs rights over files of any owner, settling and removing, is done by hands as well, that
 * are given the folders by descriptor. When the program ends, however that happens, the foreman
 * kills the hands and ends after them; until then it holds the locks of the work folder.
 */
/* clang-format on */
#ifndef ZL_FETCH_CREW_CREW_H
#define ZL_FETCH_CREW_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "fetch/crew/reading.h"
#include "fetch/unpack/pipeline.h"

/*
 * How long a hand may take, since it may be somebody else's by now and never say anything: all of a
 * document, of 4 MiB at most; else, without taking a byte, what it has left to do when it has all.
 * Then it is TIMEOUT, and the hand is left to the foreman's end.
 */
enum { CREW_DOCUMENT_MS = 60 * 1000, CREW_SILENCE_MS = 15 * 60 * 1000 };

struct crew {
    int foreman; /* a socket */
    int pid;     /* its */
    uint64_t document_ms, silence_ms;
};
#define CREW_NONE                                                                                  \
    {                                                                                              \
        -1, -1, CREW_DOCUMENT_MS, CREW_SILENCE_MS                                                  \
    }
/* Forks and confines the foreman, of a process with one thread that has read nothing of value.
 * From here on SIGPIPE is ignored. */
int crew_start(struct crew *ret, struct zl_error *err);
void crew_end(struct crew *c); /* waits for all of them: it holds no lock any more */

/* The foreman holds these descriptors as long as there may be hands. They stay the caller's. */
int crew_hold(const struct crew *c, const int *fds, size_t n, struct zl_error *err);

struct crew_job {
    int pipe; /* non-blocking */
    int answer;
    uint64_t silence_ms;
    uint64_t until_ms; /* then it is too late in any case */
};
#define CREW_NO_JOB                                                                                \
    {                                                                                              \
        -1, -1, 0, 0                                                                               \
    }
/* Begins to unpack into the folder root, which is empty, what crew_feed() gives it; notes: a
 * file for unpack_tar(). All are thread-safe from here on. */
int crew_unpack(const struct crew *c, int root, int notes, struct crew_job *ret,
                struct zl_error *err);
/* The same for what is only decompressed, into the file out. */
int crew_decompress(const struct crew *c, int out, struct crew_job *ret, struct zl_error *err);
/* Has a hand read the document text, and fills found with what reading_find() says of it, or
 * whatever else, if the document took the hand over; at most found->max bytes. what: names it. */
int crew_read(const struct crew *c, enum reading_kind kind, const struct zl_buf *text,
              const char *what, struct zl_buf *found, struct zl_error *err);
/* Has members_list() done, of the archive into the file list. */
int crew_list(const struct crew *c, int archive, int list, struct zl_error *err);
/* Gives it n bytes. 0: it does not want more, and crew_finish() tells why; 1: it will look at them.
 */
int crew_feed(struct crew_job *j, const void *bytes, size_t n, struct zl_error *err);
/* The end of what it is given, and the hand's answer, when it has ended. Always to be called. It
 * may lie about all of it, if the layer took it over. */
int crew_finish(struct crew_job *j, struct unpacked *ret, struct zl_error *err);

/* unpack_settle() of a layer, by its notes. */
int crew_settle(const struct crew *c, int root, int notes, const int *below, size_t n_below,
                struct zl_error *err);
/* Removes dir_fd/name with everything in it; *bytes (may be NULL): what it took of the disk. A
 * missing one is success. */
int crew_remove(const struct crew *c, int dir_fd, const char *name, uint64_t *bytes,
                struct zl_error *err);
/* How much of the disk dir_fd/name takes; what cannot be found out counts nothing. */
uint64_t crew_measure(const struct crew *c, int dir_fd, const char *name);

#endif
