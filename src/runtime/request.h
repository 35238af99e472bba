// SPDX-License-Identifier: Apache-2.0
/*
 * What can be asked of whatever runs containers, and what comes back: plain data, which the API
 * fills in and reads and the runtimes carry out. A kind is a row of RT_EACH_KIND, its arguments in
 * struct rt_request, what it answers in struct rt_answer; docs/extending.md says how one is added.
 */
#ifndef ZL_RUNTIME_REQUEST_H
#define ZL_RUNTIME_REQUEST_H

#include "core/core.h"
#include "runtime/facts.h"

/*
 * A row: the kind, the name of its handler behind the backend's (native_pull), the verb of messages
 * ("pull 'web': ..."), and the event that `zlayer events` shows of the container when it was done
 * for a client; NULL: none.
 */
/* clang-format off */
#define RT_EACH_KIND(ROW)                                                                           \
    /* makes the image usable; answers its digest */                                                \
    ROW(RT_PULL,    pull,    "pull",                  NULL)                                         \
    /* everything but the process; an existing container of that id is an error */                  \
    ROW(RT_CREATE,  create,  "create",                NULL)                                         \
    /* answers when the command was executed; a missing command is an error here */                 \
    ROW(RT_START,   start,   "start",                 NULL)                                         \
    /* the stop signal to init, after grace_ms SIGKILL to all; answers when all are gone */         \
    ROW(RT_STOP,    stop,    "stop",                  NULL)                                         \
    /* one signal to init; SIGKILL to all */                                                        \
    ROW(RT_KILL,    kill,    "kill",                  "kill")                                       \
    /* kills if need be, frees everything; an unknown id is success */                              \
    ROW(RT_REMOVE,  remove,  "remove",                NULL)                                         \
    /* connects or asks inside the container's network; answers success or why not */               \
    ROW(RT_PROBE,   probe,   "probe",                 NULL)                                         \
    /* prepares an exec; answers where its client finds the stream */                               \
    ROW(RT_EXEC,    exec,    "exec in",               NULL)                                         \
    /* answers where a client finds the streams of the first process */                             \
    ROW(RT_ATTACH,  attach,  "attach to",             NULL)                                         \
    ROW(RT_STATS,   stats,   "measure",               NULL)                                         \
    /* its processes as a table, with the columns that are asked for */                             \
    ROW(RT_TOP,     top,     "list the processes of", NULL)                                         \
    ROW(RT_DETAILS, details, "describe",              NULL)                                         \
    /* its files, running or not; answers where a client finds the stream: fetch/files/archive.h */ \
    ROW(RT_ARCHIVE, archive, "copy files of",         NULL)                                         \
    /* all of its processes stand still, or go on again; CONFLICT when they do already */           \
    ROW(RT_PAUSE,   pause,   "pause",                 "pause")                                      \
    ROW(RT_UNPAUSE, unpause, "unpause",               "unpause")                                    \
    /* new limits: all of them or none */                                                           \
    ROW(RT_UPDATE,  update,  "update",                "update")                                     \
    /* bytes for its standard input; answers how many were taken */                                 \
    ROW(RT_STDIN,   stdin,   "write to",              NULL)
/* clang-format on */

#define RT_KIND(kind, name, verb, event) kind,
enum rt_kind { RT_EACH_KIND(RT_KIND) RT_KINDS };
#undef RT_KIND

struct rt_exec {
    const char *const *argv, *const *env; /* NULL-terminated; env is added to the container's */
    const char *user, *cwd;               /* NULL: the container's */
    bool tty, stdin_open;
    uint16_t rows, cols;
};

struct rt_request {
    enum rt_kind kind;
    struct inst_id id;
    uint64_t deadline_ms; /* mono; 0: none */
    union {
        struct {
            const char *image;
            const char *digest; /* the very manifest that it has to be; NULL: what image means */
            enum spec_pull policy;
        } pull;
        struct {
            const struct inst_label *label;
            const struct spec_service *service; /* read during submit only */
            const char *image_digest;           /* likewise; NULL: what its image's name means */
            bool attach_first;                  /* start waits for the first attach client */
            /* Where `$E:NAME` is looked up: "NAME=value", NULL-terminated; NULL: nowhere. */
            const char *const *variables;
            /* For backends: what the service's env resolves to, with the variables that every
             * container of a deployment has. Read during submit only; set by runtime_submit. */
            const struct spec_pairs *env;
        } create;
        struct {
            int signal;
            uint64_t grace_ms;
        } stop; /* signal 0: the image's, else SIGTERM */
        struct {
            int signal;
        } kill;
        struct {
            const struct spec_service *service;
        } probe;
        struct rt_exec exec;
        struct {
            const char *op, *path; /* "get", "put", "stat", "export", "changes" */
            bool keep_owner, same_types;
        } archive;
        struct {
            const char
                *columns; /* as ps(1) has them: "-o pid,cmd", "-ef", "aux"; NULL: the usual */
        } top;
        struct {
            const char *bytes; /* at most 64 KiB */
            size_t n;
            bool end; /* end-of-file behind them, when all are taken */
        } input;
        struct {
            const struct fact_limits *limits;
        } update;
    };
};

struct rt_stream_where { /* where a client finds a stream: it speaks docs/protocol.md itself */
    char socket[256];    /* path of the monitor's control socket */
    char token[33];      /* one use, in the client's hello; "": the socket is good for one client */
};

struct rt_answer {
    enum rt_kind kind;
    struct zl_error err; /* kind ZL_OK: done. CANCELLED of RT_PROBE: it was given up, or the
                          * container is paused; that tells nothing of its health */
    char *owned;         /* what pointers below point to; freed when done has returned; or NULL */
    union {
        struct {
            char digest[80];
            char note[512]; /* what was not as it should be and was mended, a line; or "" */
        } pull;
        struct {
            int64_t pid, started_wall_ms;
        } start;
        struct rt_stream_where where; /* RT_EXEC, RT_ATTACH, RT_ARCHIVE (without a token) */
        size_t taken;                 /* RT_STDIN */
        struct fact fact;             /* RT_STATS, RT_TOP, RT_DETAILS, RT_UPDATE */
    };
};

/* Once per request, on the loop, never from inside whoever took the request. */
typedef void (*rt_done_fn)(void *arg, const struct rt_answer *a);

const char *rt_kind_verb(enum rt_kind k); /* "create", for messages */
/* What is told of a request that was done for a client: the event's type, and in text what stands
 * behind the container's name, or "". NULL: nothing is told. */
const char *rt_request_event(const struct rt_request *rq, char *text, size_t size);

#endif
