// SPDX-License-Identifier: Apache-2.0
/*
 * What the processes of zlayer-fetch give up before they look at the first foreign byte. They read
 * archives, documents and answers that anybody may have made, with libraries that had bugs; a bug
 * in them then owns a process that sees part of the state folder, or one layer of it, and can do
 * little there. Which process is what: crew.h.
 */
#ifndef ZL_FETCH_CREW_CONFINE_H
#define ZL_FETCH_CREW_CONFINE_H

#include "base/error.h"

enum confine_view { /* what is left of the file system: any of these */
                    CONFINE_NOTHING = 0,
                    CONFINE_STORE = 1,    /* images/ and layers/ of the state folder, and below
                                             seen/ the same two once more, where nothing can be
                                             written */
                    CONFINE_RESOLVER = 2, /* /etc with the resolver's files of this host, as they
                                             are now */
};

enum confine_role {
    CONFINE_KEEPER,  /* reads sources and the store: may read whatever its owner is; no network */
    CONFINE_TALKER,  /* talks with registries: has sockets, and no capability at all; nothing can
                        be written by its path, whatever it sees (Landlock, where the kernel has it)
                      */
    CONFINE_FOREMAN, /* forks the next ones, and needs what they need */
    CONFINE_HAND,    /* unpacks: owners, modes, devices; a list of system calls, nothing else */
    CONFINE_READER,  /* a hand that reads and writes what is open, and has no right at all */
    CONFINE_COPIER,  /* files into and out of a container, for one client */
};

#define CONFINE_SEEN "seen" /* the read-only half of CONFINE_STORE */

/* Standard input and output are the caller's: he believes what is said there, may wait for their
 * ends, and what comes in are credentials; standard error may be his terminal. */
int confine_stdio(struct zl_error *err);
int confine_stdin(struct zl_error *err); /* only that */

/*
 * A mount namespace of its own, whose root is a file system that holds nothing but the view, below
 * the current folder: no devices, no set-uid, nothing is executed. No new privileges. `root` is the
 * state folder; images/ and layers/ are made when missing. What is needed from elsewhere must be
 * open. Needs root. Credentials of the environment are gone from memory: nobody here needs them,
 * since the order has them.
 */
int confine_view(const char *root, unsigned view, struct zl_error *err);
/* Memory, capabilities and system calls: what the role does not need is gone. After confine_view().
 */
int confine_role(enum confine_role role, struct zl_error *err);
/* The current folder becomes the root, for a FOREMAN's child that is to be a HAND: the layer. */
int confine_folder(int fd, struct zl_error *err);

#endif
