// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of the native runtime among themselves: one struct for the runtime, one for each
 * container that exists, one for each request under way. A container's struct lives from create (or
 * from being found) until remove; its monitor may be gone earlier.
 */
#ifndef ZL_RUNTIME_NATIVE_INNER_H
#define ZL_RUNTIME_NATIVE_INNER_H

#include "base/map.h"
#include "image/store.h"
#include "monitor/client.h"
#include "oci/bundle.h"
#include "runtime/call.h"
#include "runtime/native.h"
#include "runtime/native/record.h"

struct event;
struct archive;
struct shim_pool;
struct trash;
struct volumes;
struct plan_cache;
struct native_call;
struct wasm_part;

enum { NATIVE_ANSWER_MS = 30000 }; /* for a monitor to answer what it can answer at once */

struct container {
    struct container *next, **link; /* in native.containers */
    struct zl_map_node by_id;       /* in native.ids; with those that are doomed */
    struct native *n;
    struct inst_id id;
    char id_text[16];
    char name[192]; /* for messages */
    struct record record;
    struct mon_client *mon; /* NULL: gone */
    struct event *readable;
    struct event *again; /* silent: when it is dialled next */
    uint64_t hello_op;   /* silent: what its answer to our hello will carry; 0: none said */
    bool silent;         /* not known to be dead, nor heard of since the connection was cut */
    bool has_exit;       /* RT_EV_EXIT was told, or is known from the record */
    bool started;
    bool oom_told;
    bool paused;            /* by RT_PAUSE, as far as we were told */
    unsigned pauses;        /* how often, so that who began before one can tell */
    int64_t pid;            /* of its first process, while it runs; 0: not known */
    bool receiving, doomed; /* freed when the receiving loop is done with it */
};

struct native {
    struct runtime rt;
    char *root_dir, *run_dir, *cgroup_parent, *owner;
    int root_fd, run_fd; /* run_fd: of run_dir/c */
    int containers_fd;   /* of root_dir/containers */
    char boot_id[40];
    struct oci_host host;
    struct image_store *images;
    struct shim_pool *pool; /* NULL: its monitors come from elsewhere */
    struct wasm_part *wasm; /* of the wasm runtime, which shares all of this */
    struct trash *trash;
    struct volumes *volumes;
    struct plan_cache *plans; /* what they have in common; NULL: nothing is kept */
    struct archive *archives; /* helpers that serve files of containers */
    struct container *containers;
    struct zl_map ids; /* of them */
    uint64_t last_op;
    rt_event_fn on_event;
    void *on_event_arg;
};

static inline struct native *native_of(struct runtime *rt)
{
    return (struct native *)rt; /* rt is the first member */
}

/* One request. on_reply continues it; it must answer the call or send a further message. */
struct native_call {
    struct rt_call call;
    struct container *c; /* NULL: none (any more) */
    uint64_t op;         /* of the message whose reply is waited for */
    void (*on_reply)(struct native_call *k, const struct mon_message *m);
    /* Instead of a reply: an error of the monitor's, its end (UNREACHABLE), too long a silence
     * (TIMEOUT). NULL: native_call_fail(). */
    void (*on_failed)(struct native_call *k, struct zl_error *why);
    void (*release)(struct native_call *k); /* frees `more`; NULL: plain free */
    struct event *timer;                    /* how long this may take */
    void *more;
};

/* ---- native.c: what a runtime whose containers have monitors is made of ---- */

/* All but the monitors; cfg is read during the call only. */
int native_begin(const struct native_config *cfg, const struct runtime_ops *ops,
                 struct native **ret, struct zl_error *err);
void native_end(struct runtime *rt);
/* The functions of runtime_ops that do not depend on where monitors come from. */
struct rt_call *native_submit(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                              void *arg);
void native_cancel(struct rt_call *c);
int native_watch(struct runtime *rt, rt_event_fn on_event, void *arg, struct zl_error *err);
bool native_has(struct runtime *rt, struct inst_id id);
bool native_uses_image(struct runtime *rt, const char *digest);
bool native_uses_layer(struct runtime *rt, uint32_t layer);
void native_each_volume(struct runtime *rt, rt_volume_fn fn, void *arg);
bool native_is_paused(struct runtime *rt, struct inst_id id);
/* Of one that submits and ends in its own way. */
#define NATIVE_OPS(name_, submit_, free_)                                                          \
    {                                                                                              \
        .name = (name_), .submit = (submit_), .cancel = native_cancel, .watch = native_watch,      \
        .has = native_has, .is_paused = native_is_paused, .uses_image = native_uses_image,         \
        .uses_layer = native_uses_layer, .each_volume = native_each_volume, .free = (free_),       \
    }

/* ---- create.c ---- */

/* Of what a create asks for: named and found from now on, with nothing made yet. NULL: EXISTS. */
struct container *container_create(const struct native_call *k, const struct rt_request *rq,
                                   struct zl_error *err);
/* Undoes the container of the create k, unless it was removed meanwhile, and wraps why. -1. */
int container_create_undone(struct native_call *k, struct zl_error *why);
/* on_failed of a create: the same, and answers. */
void container_create_failed(struct native_call *k, struct zl_error *why);

/* ---- container.c: the connection to one monitor ---- */

struct container *container_new(struct native *n, struct inst_id id, struct zl_error *err);
void container_free(struct container *c);
struct container *container_find(const struct native *n, struct inst_id id);
/* Takes the record over; sets the name. */
void container_set_record(struct container *c, struct record *r);
/* Takes the connection over and listens to it. */
int container_connect(struct container *c, struct mon_client *mon, struct zl_error *err);
/* The monitor is gone: its calls end, the cgroup is killed, the exit is told as lost. */
void container_lost(struct container *c);
void container_disconnect(struct container *c);
/* Once; later ones are dropped. */
void container_tell_exit(struct container *c, const struct inst_exit *exit);
/* ---- silent.c: a monitor that was not heard ---- */

enum dialled { DIALLED, DIALLED_NOBODY, DIALLED_IN_VAIN };
typedef int (*dial_fn)(int dir_fd, struct mon_client **ret, struct zl_error *err);
/* Connects by the run directory, with mon_client_open or _open_now. NOBODY: it is dead. IN_VAIN:
 * that is not known. */
enum dialled container_dial(const struct container *c, dial_fn open, struct mon_client **ret);
/* Its connection has ended, or never came to be: until it answers or is known to be dead it is
 * dialled again and again. `now`: at once, else after a pause. */
void container_silent(struct container *c, bool now);
/* Its answer to our hello: it is heard again. */
void container_heard(struct container *c, const struct mon_message *m);

/* A file of its first process below /proc, which is that process's for sure; -1: it has ended. */
int container_open_proc(const struct container *c, const char *file, int flags,
                        struct zl_error *err);
/* Its run directory, opened; -1 with an error. */
int container_open_run_dir(const struct container *c, struct zl_error *err);
struct inst_exit exit_of(const struct mon_exit *e);

/* ---- call.c: requests under way ---- */

/*
 * Begins an operation; k->c is the container that it is about, NULL when there is none. 0: it is
 * under way, or answered already by rt_call_answer_soon(). -1: it is refused, and nothing is left
 * of it but the call, which whoever called answers with err, wrapped as by native_call_fail().
 */
typedef int native_fn(struct native_call *k, const struct rt_request *rq, struct zl_error *err);

/* runtime_ops.submit of what begin begins. */
struct rt_call *native_call_submit(native_fn *begin, struct runtime *rt,
                                   const struct rt_request *rq, rt_done_fn done, void *arg);
/* What an operation asks for first. NOT_FOUND: there is no such container. */
int native_call_container(const struct native_call *k, struct zl_error *err);
/* That, and CONFLICT: it has ended; TIMEOUT: its monitor is silent. From now on k may take
 * NATIVE_ANSWER_MS. */
int native_call_monitor(struct native_call *k, struct zl_error *err);
/* The next message of k will carry this op, and its reply goes to on_reply. */
uint64_t native_call_expect(struct native_call *k,
                            void (*on_reply)(struct native_call *, const struct mon_message *));
/* After this many milliseconds the call fails with TIMEOUT. */
void native_call_limit(struct native_call *k, uint64_t ms);
void native_call_unlimit(struct native_call *k);
/* "<verb> '<name>': <why>" */
void native_call_fail(struct native_call *k, struct zl_error *why);
/* Hands a reply to the call that waits for it. */
void native_reply(struct container *c, const struct mon_message *m);
/* Ends every call on the container whose monitor is gone. */
void native_calls_lost(struct container *c);
/* Ends those whose answer was cut off with the connection that op is the hello after. */
void native_calls_cut(struct container *c, uint64_t op);
/* A reply without content means that it is done. */
void reply_done(struct native_call *k, const struct mon_message *m);

/* ---- the operations: native_pull() and so on, one handler for each kind ---- */

#define RT_HANDLER(kind, name, verb, event) native_fn native_##name;
RT_EACH_KIND(RT_HANDLER)
#undef RT_HANDLER

/* stats.c: what RT_STATS answers. CONFLICT: it does not run. */
struct fact_stats;
int native_measure(const struct container *c, struct fact_stats *ret, struct zl_error *err);

/* exec.c: sends a command to the monitor as k's next message. env is added to the container's. */
int exec_send(struct native_call *k, const struct rt_exec *x, bool capture, uint64_t timeout_ms,
              void (*on_made)(struct native_call *, const struct mon_message *),
              struct zl_error *err);

/* found.c: every container of this owner on disk is told by RT_EV_FOUND. */
int native_find_all(struct native *n, struct zl_error *err);

/* cgroup.c: the cgroups of a record, when no monitor does it. */
void cgroup_kill_all(const struct record *r);
bool cgroup_remove_all(const struct record *r); /* false: something still lives there */

/* archive.c: lets go of the helpers, which end with their clients. */
void archives_free(struct archive *first);

/* trash.c: directories that may be large are renamed away at once and removed bit by bit. */
/* The folder dir_fd/name, made when it is missing. */
int trash_new(struct event_base *base, int dir_fd, const char *name, struct trash **ret,
              struct zl_error *err);
void trash_free(struct trash *t);
/* Moves dir_fd/name into the trash; a missing one is success. */
int trash_take(struct trash *t, int dir_fd, const char *name, struct zl_error *err);

/* shim.c: monitors ready to be used. */
int shim_pool_new(struct event_base *base, struct shim_pool **ret, struct zl_error *err);
void shim_pool_free(struct shim_pool *p); /* the spare one ends by itself */
/* A fresh monitor: our end of the socket to it, the caller's. */
int shim_pool_take(struct shim_pool *p, struct zl_error *err);
/* zlayer-init, sealed in memory: a descriptor of the caller's. */
int shim_pool_init(struct shim_pool *p, struct zl_error *err);

#endif
