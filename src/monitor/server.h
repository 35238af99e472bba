// SPDX-License-Identifier: Apache-2.0
/*
 * The control socket of a monitor: who is connected, what each may ask, and which handler answers
 * it. The monitor brings a table of handlers; a handler answers at once or keeps the request's
 * ticket and answers later. Everything is bounded: connections, grants, packets; a peer that does
 * not read its answers is closed.
 *
 * Rights are decided once per connection. A peer of the monitor's own uid, or root (SO_PEERCRED, as
 * it was at connect), may ask anything. Others are known by the token in their hello, which is
 * valid once, and may ask what its grant allows.
 */
#ifndef ZL_MONITOR_SERVER_H
#define ZL_MONITOR_SERVER_H

#include "base/msg.h"
#include "monitor/loop.h"
#include "monitor/protocol.h"

enum {
    SERVER_OWN_MAX = 32,   /* connections of peers that may ask anything */
    SERVER_OTHER_MAX = 16, /* of all others; the oldest that has said no hello makes room */
    SERVER_GRANTS_MAX = 64,
    SERVER_GRANT_MS = 60 * 1000, /* how long a token waits for its use */
};

struct server;

struct server_ticket { /* to whom an answer goes; it may be gone by then */
    uint64_t connection;
    uint64_t op;
    uint16_t type; /* 0: nobody */
};

struct server_request {
    struct server_ticket ticket;
    struct zl_msg *msg;    /* descriptors that are taken are set to -1; the rest is closed after */
    uint32_t granted;      /* MON_GRANT_… of the token; 0: may ask anything */
    uint64_t granted_exec; /* of the token */
};

struct server_row {
    const char *name;  /* "start", for messages */
    uint16_t body_min; /* size of version 1's struct: shorter ones are refused */
    uint32_t granted;  /* MON_GRANT_… that suffice; 0: needs full rights */
    void (*handle)(void *arg, struct server_request *rq); /* NULL: no such type */
};

struct server_events {
    /* A connection has ended; `left` are there still. Never from inside a server_… function. */
    void (*closed)(void *arg, unsigned left);
};

/* rows[0..n) by type; the handler of MON_HELLO only answers, rights are settled then. */
int server_new(struct loop *loop, const struct server_row *rows, size_t n,
               const struct server_events *on, void *arg, struct server **ret,
               struct zl_error *err);
void server_free(struct server *s);

/* Binds MON_CTL below dir_fd, reachable for all uids that reach the directory: tokens decide. */
int server_listen(struct server *s, int dir_fd, struct zl_error *err);
unsigned server_connections(const struct server *s); /* those that are open */
/* Takes over a connected socket of a peer that may ask anything. On failure it is closed. */
int server_adopt(struct server *s, int sock, struct zl_error *err);

/* Answers with the type of the request; fd (or -1) stays the caller's. Nothing happens when the
 * peer is gone. The ticket is void afterwards. */
void server_answer(struct server *s, struct server_ticket *t, const void *body, size_t size,
                   int fd);
void server_refuse(struct server *s, struct server_ticket *t, const struct zl_error *why);
/* Whether an answer would still reach somebody. */
bool server_is_awaited(const struct server *s, const struct server_ticket *t);
/* To all that asked for events. */
void server_tell(struct server *s, uint16_t type, const void *body, size_t size);

int server_grant(struct server *s, const struct mon_grant *g, struct zl_error *err);
/* The exec that a request is about: `asked`, or the granted one when it asks for 0 by a token. A
 * token for another one is ZL_ERR_DENIED. */
int server_exec_id(const struct server_request *rq, uint64_t asked, uint64_t *ret,
                   struct zl_error *err);

#endif
