// SPDX-License-Identifier: Apache-2.0
/*
 * The standard streams of one process, the first of a container or an exec: the pipes (or the pty)
 * whose other ends it has, the log they go to, the clients that are attached, the last bytes that a
 * health command keeps. Each burst of output is read once and goes to all of them. The caller's
 * process ignores or blocks SIGPIPE: stdin may lose its reader at any time.
 */
#ifndef ZL_MONITOR_STREAMS_H
#define ZL_MONITOR_STREAMS_H

#include "monitor/logfile.h"
#include "monitor/loop.h"
#include "monitor/protocol.h"

struct streams_opts {
    bool tty;
    bool stdin_open; /* stdin is fed by clients; else /dev/null */
    bool
        first_holds; /* the first client may slow the process down, and ends its stdin by leaving */
    bool capture;    /* keep the last STREAMS_CAPTURE bytes of output */
    struct logfile *log; /* borrowed; NULL: none */
};
enum { STREAMS_CAPTURE = 4096 };

struct streams_events {
    void (*ended)(void *arg); /* all output has been read; once, never from inside streams_… */
    void (*left)(void *arg);  /* a client has gone; the streams may be freed here */
};

struct streams;

int streams_open(struct loop *loop, const struct streams_opts *opts,
                 const struct streams_events *on, void *arg, struct streams **ret,
                 struct zl_error *err);
void streams_free(struct streams *s); /* closes everything, clients too */
ZL_DEFINE_CLEANUP(struct streams *, streams_free)
#define autostreams ZL_CLEANUP(streams_freep)

/* What the process gets: its ends of the pipes (-1: /dev/null), or the socket that wants the pty's
 * master. Borrowed until streams_started. */
void streams_child_ends(const struct streams *s, int ret_stdio[3], int *ret_console);
/* The process has them: ours of its ends are closed, the pty's master is taken, reading begins. */
int streams_started(struct streams *s, struct zl_error *err);

/* A new client: the end of its socket that goes to it, the caller's to close, or -1. After
 * streams_finish it gets the exit frame only. */
int streams_attach(struct streams *s, struct zl_error *err);
/* For stdin, past all clients. How many were taken; what it takes no more of is dropped and counts
 * as taken. CONFLICT: its stdin is not open. */
int streams_input(struct streams *s, const char *bytes, size_t n, size_t *ret_taken,
                  struct zl_error *err);
int streams_input_end(struct streams *s, struct zl_error *err);
/* From now on no client slows the process down, and none ends its stdin by leaving. */
void streams_let_go(struct streams *s);
unsigned streams_clients(const struct streams *s);
int streams_resize(struct streams *s, uint16_t rows, uint16_t cols, struct zl_error *err);

/* The process is gone: reads what is left in the pipes, held clients or not. True when every stream
 * has ended; else somebody else still has its other end, and `ended` may come. */
bool streams_drain(struct streams *s);
/* Stops reading, ends the log's lines, tells the clients. */
void streams_finish(struct streams *s, const struct mon_exit *exit);
/* Closes all clients without a last frame: the process never ran. None is told as `left`. */
void streams_cut(struct streams *s);
/* Of `capture`: the last bytes, at most STREAMS_CAPTURE; returns how many. */
size_t streams_captured(const struct streams *s, char out[STREAMS_CAPTURE]);

#endif
