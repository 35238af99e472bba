// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP API on the agent's unix socket (docs/api.md): routes, JSON, streams. It reads core/ by
 * its views and changes nothing itself: what it may do is the table of operations that the agent
 * hands over. Everything runs on the agent's loop.
 */
#ifndef ZL_API_SERVER_H
#define ZL_API_SERVER_H

#include "core/core.h"
#include "core/view.h"
#include "image/store.h"
#include "runtime/request.h"

struct event_base;
struct api_server;
struct agent; /* of whoever hands the operations over */

struct api_pull {
    const char *reference;
    enum spec_pull policy;
    const char *platform; /* "linux/arm64"; NULL: the agent's */
    const char *login;    /* a JSON object: src/fetch/order.h; NULL: none */
};

enum api_image_task_kind { API_IMAGE_LOAD, API_IMAGE_SAVE, API_IMAGE_VERIFY };

struct api_image_task {
    enum api_image_task_kind kind;
    const char *source;    /* of load: "archive:/abs/file" */
    struct zl_strs images; /* of the others, by any name; verify: none are all */
    bool docker;           /* of save: for docker load, too */
    int fd;                /* of save: the archive goes there; borrowed for the call */
};

struct api_info {
    const char *version, *runtime, *root_dir, *runtime_dir, *socket;
    int pid;
    int64_t started_wall_ms;
    bool ready; /* restore is over */
};

/* Once, on the loop, never from inside the call. failed NULL: success. id as the operation says,
 * else 0. All borrowed for the time of the call. */
typedef void (*api_done_fn)(void *arg, const struct zl_error *failed, uint64_t id);
/* The same of a container that waits for its client; where: NULL on failure. */
typedef void (*api_held_fn)(void *arg, const struct zl_error *failed, uint64_t id,
                            const struct rt_stream_where *where);
/* One line of progress of an import or a pull, as zlayer-fetch prints it: a JSON object. */
typedef void (*api_progress_fn)(void *arg, const char *line);

struct api_ops {
    const struct core *(*core)(struct agent *agent);
    void (*info)(struct agent *agent, struct api_info *ret);
    const char *const *(*variables)(struct agent *agent); /* as spec_check_env() takes them */
    /* Gives the event to core. done: when it is durable (id: given_id), or with what core refused.
     */
    void (*submit)(struct agent *agent, const struct event *ev, api_done_fn done, void *arg);
    /* EV_RUN whose start waits for an attach client; held when the container is created. */
    void (*run_attached)(struct agent *agent, const struct event *ev, api_held_fn held, void *arg);
    /* Gives the request to the runtime as it is: nothing of it is decided by core. It is read
     * during the call. */
    void (*ask)(struct agent *agent, const struct rt_request *rq, rt_done_fn told, void *arg);
    bool (*is_paused)(struct agent *agent, struct inst_id id);
    /* What a WebAssembly guest ended with, and where in it. NULL: there are no such guests. */
    bool (*trap_text)(struct agent *agent, struct inst_id id, struct zl_buf *ret);
    /* Absolute path of the log that this container (or its slot) writes; false: no log. */
    bool (*log_path)(struct agent *agent, const struct inst_label *label, struct inst_id id,
                     struct zl_buf *ret);
    struct image_store *(*images)(struct agent *agent);
    int (*image_remove)(struct agent *agent, const char *reference, bool force,
                        struct zl_error *err);
    int (*image_inspect)(struct agent *agent, const char *reference, json_t **ret,
                         struct zl_error *err);
    int (*image_tag)(struct agent *agent, const char *reference, const char *name,
                     struct zl_error *err);
    /* *ret: what went, or with plan would go. */
    int (*image_prune)(struct agent *agent, bool all, bool plan, json_t **ret,
                       struct zl_error *err);
    /* source: "/abs/rootfs.tar", "oci:/abs/dir[:tag]". */
    void (*image_import)(struct agent *agent, const char *source, const char *reference,
                         api_progress_fn progress, api_done_fn done, void *arg);
    void (*image_task)(struct agent *agent, const struct api_image_task *task,
                       api_progress_fn progress, api_done_fn done, void *arg);
    void (*image_pull)(struct agent *agent, const struct api_pull *pull, api_progress_fn progress,
                       api_done_fn done, void *arg);
    /* login as in struct api_pull. */
    void (*image_push)(struct agent *agent, const char *reference, const char *login,
                       api_progress_fn progress, api_done_fn done, void *arg);
    /* Whether login (as in struct api_pull) opens the registry; nothing is kept. */
    void (*registry_login)(struct agent *agent, const char *registry, const char *login,
                           api_done_fn done, void *arg);
    /* Named volumes: what these answer is the caller's. labels: an object of texts, or NULL. */
    int (*volume_list)(struct agent *agent, json_t **ret, struct zl_error *err);
    int (*volume_inspect)(struct agent *agent, const char *name, json_t **ret,
                          struct zl_error *err);
    int (*volume_create)(struct agent *agent, const char *name, const json_t *labels,
                         struct zl_error *err);
    int (*volume_remove)(struct agent *agent, const char *name, bool force, struct zl_error *err);
    /* force: not empty ones, too; plan: only says which. */
    int (*volume_prune)(struct agent *agent, bool force, bool plan, json_t **ret,
                        struct zl_error *err);
    void (*shutdown)(struct agent *agent); /* lets go of the containers and ends the agent */
};

/*
 * Listens on listen_fd (AF_UNIX, bound, listening; taken over on success). The process must ignore
 * SIGPIPE: a client may go away at any time.
 */
int api_server_new(struct event_base *base, int listen_fd, const struct api_ops *ops,
                   struct agent *agent, struct api_server **ret, struct zl_error *err);
/* Cuts open requests off. No api_done_fn or api_progress_fn of theirs may be called afterwards. */
void api_server_free(struct api_server *s);
/* To be called after core_step changed something: wakes the requests that wait for a state, in a
 * later turn of the loop, once however often it was called. */
void api_server_changed(struct api_server *s);
/* An EFF_EVENT that became durable, for those who follow events. */
void api_server_event(struct api_server *s, const struct effect *event, int64_t wall_ms);

#endif
