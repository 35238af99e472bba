// SPDX-License-Identifier: Apache-2.0
/* What the API may do: each operation is an event for core or a request to the runtime. */
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>

#include "agent/agent.h"
#include "agent/ask.h"
#include "agent/images.h"
#include "agent/volumes.h"
#include "base/fd.h"
#include "base/id.h"
#include "monitor/wasm.h"
#include "runtime/native.h"
#include "runtime/volumes.h"

static const struct core *get_core(void *agent)
{
    return ((const struct agent *)agent)->core;
}

static void info(void *agent, struct api_info *ret)
{
    const struct agent *a = agent;
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

static const char *const *variables(void *agent)
{
    return ((const struct agent *)agent)->variables;
}

static void submit(void *agent, const struct event *ev, api_done_fn done, void *arg)
{
    struct event copy = *ev;
    struct zl_error why = { 0 };
    if (withheld_check(&((struct agent *)agent)->withheld, ev, &why) < 0)
        dispatch_refuse(agent, &why, done, arg);
    else
        (void)dispatch_event(agent, &copy, done, arg);
}

static void run_attached(void *agent, const struct event *ev, api_done_fn done, void *arg)
{
    struct event copy = *ev;
    struct zl_error why = { 0 };
    if (withheld_check(&((struct agent *)agent)->withheld, ev, &why) < 0)
        dispatch_refuse(agent, &why, done, arg);
    else
        waiters_run(agent, &copy, done, arg);
}

/* ---- logs and images ---------------------------------------------------------------------- */

static bool log_path(void *agent, const struct inst_label *label, struct inst_id id,
                     struct zl_buf *ret)
{
    const struct agent *a = agent;
    (void)id; /* a slot keeps its log over incarnations */
    native_log_path(a->cfg.root_dir, label, ret);
    return true;
}

/* Its monitor writes it where the exit record is: on tmpfs, and for jobs on disk as well. */
static bool trap_text(void *agent, struct inst_id id, struct zl_buf *ret)
{
    const struct agent *a = agent;
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

static bool is_paused(void *agent, struct inst_id id)
{
    struct runtime *rt = ((const struct agent *)agent)->rt;
    return rt->ops->is_paused && rt->ops->is_paused(rt, id);
}

static struct image_store *images(void *agent)
{
    return ((const struct agent *)agent)->images;
}

static int layer_in_use(void *arg, uint32_t layer)
{
    struct runtime *rt = arg;
    return rt->ops->uses_layer && rt->ops->uses_layer(rt, layer);
}

static int remove_image(void *agent, const char *reference, bool force, struct zl_error *err)
{
    struct agent *a = agent;
    autoimage struct image *image = NULL;
    if (image_find(a->images, reference, &image, err) == 0) {
        if (!force && a->rt->ops->uses_image && a->rt->ops->uses_image(a->rt, image->digest))
            return zl_fail(err, ZL_ERR_CONFLICT,
                           "image '%s' is used by a container: remove that first, or use --force",
                           reference);
    } else if (err->kind != ZL_ERR_INVALID) { /* one with missing layers may be removed */
        return -1;
    }
    return image_remove(a->images, reference, layer_in_use, a->rt, err);
}

static int inspect_image(void *agent, const char *reference, json_t **ret, struct zl_error *err)
{
    return image_inspect(images(agent), reference, ret, err);
}

static int tag_image(void *agent, const char *reference, const char *name, struct zl_error *err)
{
    autoimage struct image *image = NULL;
    if (image_find(images(agent), reference, &image, err) < 0)
        return -1;
    return image_tag(images(agent), name, image->digest, NULL, err);
}

static int prune_images(void *agent, bool all, bool plan, json_t **ret, struct zl_error *err)
{
    return images_prune(agent, all, plan, ret, err);
}

static void import(void *agent, const char *source, const char *reference, api_progress_fn progress,
                   api_done_fn done, void *arg)
{
    import_begin(agent, source, reference, progress, done, arg);
}

static void registry_login(void *agent, const char *registry, const char *login, api_done_fn done,
                           void *arg)
{
    login_begin(agent, registry, login, done, arg);
}

static void image_task(void *agent, const struct api_image_task *task, api_progress_fn progress,
                       api_done_fn done, void *arg)
{
    image_task_begin(agent, task, progress, done, arg);
}

static void push(void *agent, const char *reference, const char *login, api_progress_fn progress,
                 api_done_fn done, void *arg)
{
    push_begin(agent, reference, login, progress, done, arg);
}

static void pull(void *agent, const struct api_pull *wish, api_progress_fn progress,
                 api_done_fn done, void *arg)
{
    pull_begin(agent, wish, progress, done, arg);
}

static int list_volumes(void *agent, json_t **ret, struct zl_error *err)
{
    return volume_list(agent, ret, err);
}

static int inspect_volume(void *agent, const char *name, json_t **ret, struct zl_error *err)
{
    return volume_inspect(agent, name, ret, err);
}

static int create_volume(void *agent, const char *name, const json_t *labels, struct zl_error *err)
{
    return volumes_create(((struct agent *)agent)->volumes, name, labels, err);
}

static int remove_volume(void *agent, const char *name, bool force, struct zl_error *err)
{
    return volume_remove(agent, name, force, err);
}

static int prune_volumes(void *agent, bool force, bool plan, json_t **ret, struct zl_error *err)
{
    return volume_prune(agent, force, plan, ret, err);
}

static void end(void *agent)
{
    const struct timeval soon = { 0, 50000 }; /* the answer to who asked for it goes out first */
    struct agent *a = agent;
    (void)event_base_loopexit(a->base, &soon); /* fails only without memory: then not now */
}

const struct api_ops agent_ops = {
    .core = get_core,
    .info = info,
    .variables = variables,
    .submit = submit,
    .run_attached = run_attached,
    .attach = ask_attach,
    .exec = ask_exec,
    .archive = ask_archive,
    .kill = ask_kill,
    .pause = ask_pause,
    .is_paused = is_paused,
    .stats = ask_stats,
    .top = ask_top,
    .details = ask_details,
    .update = ask_update,
    .log_path = log_path,
    .trap_text = trap_text,
    .images = images,
    .image_remove = remove_image,
    .image_inspect = inspect_image,
    .image_tag = tag_image,
    .image_prune = prune_images,
    .image_import = import,
    .image_task = image_task,
    .image_pull = pull,
    .image_push = push,
    .registry_login = registry_login,
    .volume_list = list_volumes,
    .volume_inspect = inspect_volume,
    .volume_create = create_volume,
    .volume_remove = remove_volume,
    .volume_prune = prune_volumes,
    .shutdown = end,
};
