// SPDX-License-Identifier: Apache-2.0
/* What the API may do: each operation is an event for core or a request to the runtime. */
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>

#include "agent/agent.h"
#include "agent/images.h"
#include "agent/volumes.h"
#include "base/fd.h"
#include "base/id.h"
#include "monitor/wasm.h"
#include "runtime/native.h"

static const struct core *get_core(struct agent *a)
{
    return a->core;
}

static void info(struct agent *a, struct api_info *ret)
{
    *ret = (struct api_info){
        .version = ZL_VERSION,
        .runtime = a->rt->ops->name,
        .root_dir = a->cfg.root_dir,
        .runtime_dir = a->cfg.run_dir,
        .socket = a->cfg.socket,
        .pid = (int)getpid(),
        .started_wall_ms = a->started_wall_ms,
        .ready = a->ready,
    };
}

static const char *const *variables(struct agent *a)
{
    return a->variables;
}

static void submit(struct agent *a, const struct event *ev, api_done_fn done, void *arg)
{
    (void)step_wish(a, ev, done, arg); /* done gets the id, too */
}

static void run_attached(struct agent *a, const struct event *ev, api_held_fn held, void *arg)
{
    struct waiter *w = waiter_new(a, held, arg);
    if (w) /* else the client's own time-out is all that is left */
        waiter_expect(w, (struct inst_id){ step_wish(a, ev, waiter_stored, w) });
}

static bool log_path(struct agent *a, const struct inst_label *label, struct inst_id id,
                     struct zl_buf *ret)
{
    (void)id; /* a slot keeps its log over incarnations */
    native_log_path(a->cfg.root_dir, label, ret);
    return true;
}

/* Its monitor writes it where the exit record is: on tmpfs, and for jobs on disk as well. */
static bool trap_text(struct agent *a, struct inst_id id, struct zl_buf *ret)
{
    const char *const folders[] = { a->cfg.run_dir, "c", a->cfg.root_dir, "containers" };
    char name[ZL_ID_LEN + 1];
    zl_id_format(id.v, name);
    for (size_t i = 0; i < ZL_ARRAY_LEN(folders); i += 2) {
        zl_autobuf struct zl_buf path = ZL_BUF(PATH_MAX);
        zl_buf_addf(&path, "%s/%s/%s/" WASM_TRAP_FILE, folders[i], folders[i + 1], name);
        if (!path.failed && zl_read_file(AT_FDCWD, path.data, ret, NULL) == 0)
            return true;
    }
    return false;
}

static bool is_paused(struct agent *a, struct inst_id id)
{
    struct runtime *rt = a->rt;
    return rt->ops->is_paused && rt->ops->is_paused(rt, id);
}

static struct image_store *images(struct agent *a)
{
    return a->images;
}

static void end(struct agent *a)
{
    const struct timeval soon = { 0, 50000 };  /* the answer to who asked for it goes out first */
    (void)event_base_loopexit(a->base, &soon); /* fails only without memory: then not now */
}

const struct api_ops agent_ops = {
    .core = get_core,
    .info = info,
    .variables = variables,
    .submit = submit,
    .run_attached = run_attached,
    .ask = agent_ask,
    .is_paused = is_paused,
    .log_path = log_path,
    .trap_text = trap_text,
    .images = images,
    .image_remove = images_remove,
    .image_inspect = images_inspect,
    .image_tag = images_tag,
    .image_prune = images_prune,
    .image_import = import_begin,
    .image_task = image_task_begin,
    .image_pull = pull_begin,
    .image_push = push_begin,
    .registry_login = login_begin,
    .volume_list = volume_list,
    .volume_inspect = volume_inspect,
    .volume_create = volume_create,
    .volume_remove = volume_remove,
    .volume_prune = volume_prune,
    .shutdown = end,
};
