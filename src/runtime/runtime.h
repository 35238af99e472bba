// SPDX-License-Identifier: Apache-2.0
/*
 * The one door to whatever runs containers: native, docker, wasm, a composite of them, or a test
 * double. Asynchronous: a request goes in, its answer comes later on the loop, once. The shell of
 * the agent turns effects of core/ into these requests.
 */
#ifndef ZL_RUNTIME_RUNTIME_H
#define ZL_RUNTIME_RUNTIME_H

#include "core/core.h"
#include "core/facts.h"

enum rt_kind {
    RT_PULL,   /* makes the image usable; answers its digest */
    RT_CREATE, /* everything but the process; an existing container of that id is an error */
    RT_START,  /* answers when the command was executed; a missing command is an error here */
    RT_STOP, /* the stop signal to init, after grace_ms SIGKILL to all; answers when all are gone */
    RT_KILL, /* one signal to init; SIGKILL to all */
    RT_REMOVE, /* kills if need be, frees everything; an unknown id is success */
    RT_PROBE,  /* connects or asks inside the container's network; answers success or why not */
    RT_EXEC,   /* prepares an exec; answers where its client finds the stream */
    RT_ATTACH, /* answers where a client finds the streams of the first process */
    RT_STATS,
    RT_TOP, /* its processes as a table, with the columns that are asked for */
    RT_DETAILS,
    RT_ARCHIVE, /* its files, running or not; answers where a client finds the stream, which is that
                 * of fetch/files/archive.h */
    RT_PAUSE,   /* all of its processes stand still, or go on; CONFLICT when they do already */
    RT_UPDATE,  /* new limits: all of them or none */
    RT_STDIN,   /* bytes for its standard input; answers how many were taken */
    RT_KINDS
};
#define RT_CAN(kind) (UINT64_C(1) << (kind))

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
            bool pause; /* false: go on */
        } pause;
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
    char token[33];      /* one use, in the client's hello */
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

/* RT_EV_OOM comes before the exit that it led to, if it did. */
enum rt_event_kind { RT_EV_EXIT, RT_EV_OOM, RT_EV_FOUND, RT_EV_FOUND_END };
struct rt_event {
    enum rt_event_kind kind;
    struct inst_id id;
    union {
        struct inst_exit exit; /* lost is set when the monitor died */
        struct event found;    /* an EV_FOUND, for core as it is */
    };
};

struct runtime;
struct rt_call; /* runtime/call.h: what a backend keeps of a request */
/* Once per request, on the loop, never from inside runtime_submit. */
typedef void (*rt_done_fn)(void *arg, const struct rt_answer *a);
typedef void (*rt_event_fn)(void *arg, const struct rt_event *ev);

struct rt_volume_use { /* a container that has this named volume among its mounts, running or not */
    const char *volume;
    const char *id, *name; /* of the container */
};
typedef void (*rt_volume_fn)(void *arg, const struct rt_volume_use *use);

struct runtime_ops {
    const char *name; /* as written in a spec: "native", "docker", "wasm" */
    uint64_t can;     /* RT_CAN bits; runtime_submit answers UNSUPPORTED for the rest */
    struct rt_call *(*submit)(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                              void *arg);
    void (*cancel)(
        struct rt_call *c); /* done still comes: CANCELLED when what was begun is undone */
    /* on_event gets one RT_EV_FOUND for each container that exists, RT_EV_FOUND_END, then what
     * happens: the only unasked messages. Called once. */
    int (*watch)(struct runtime *rt, rt_event_fn on_event, void *arg, struct zl_error *err);
    /* Whether it holds this container; whether one of its containers needs the image (digest of its
     * manifest) or the unpacked layer. NULL: it holds none. */
    bool (*has)(struct runtime *rt, struct inst_id id);
    /* Whether it stands still by RT_PAUSE. NULL: it never does. */
    bool (*is_paused)(struct runtime *rt, struct inst_id id);
    bool (*uses_image)(struct runtime *rt, const char *digest);
    bool (*uses_layer)(struct runtime *rt, uint32_t layer);
    /* Every use of a named volume by a container that exists. NULL: there is none. */
    void (*each_volume)(struct runtime *rt, rt_volume_fn fn, void *arg);
    void (*free)(struct runtime *rt); /* lets go of containers, which go on */
};

struct event_base;
struct runtime { /* first member of a backend's own struct; runtime_init() before anything else */
    const struct runtime_ops *ops;
    struct event_base *base;
    struct rt_call *calls; /* that are not answered yet */
};

/*
 * Hands the request to the backend, or refuses what it cannot do, and a container whose environment
 * refers to what there is not. NULL when there is no memory even
 * for that: then no answer comes. Everything in rq is read before this returns.
 */
struct rt_call *runtime_submit(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                               void *arg);
/* Of a call that is not answered yet. */
void runtime_cancel(struct rt_call *c);
/* Of a call that is not answered yet: nobody is told how it ends. What was begun goes on. */
void runtime_forget(struct rt_call *c);
/* No answers come after it. NULL is fine. */
void runtime_free(struct runtime *rt);
const char *rt_kind_verb(enum rt_kind k); /* "create", for messages */

#endif
