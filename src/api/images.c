// SPDX-License-Identifier: Apache-2.0
/* Images of the store; the agent imports and pulls them by zlayer-fetch, whose progress passes
 * through. */
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* headers older than Linux 6.5 */
#endif

#include "api/call.h"
#include "api/shape.h"

struct listing {
    const struct core *core;
    json_t *list;
};

static int list_image(void *arg, const struct image *i)
{
    const struct listing *l = arg;
    return json_array_append_new(l->list, shape_image(l->core, i));
}

static void get_images(struct api_call *c)
{
    struct zl_error err = { 0 };
    struct listing l = { call_core(c), json_array() };
    struct image_store *store = c->server->ops->images(c->server->agent);
    if (l.list && image_each(store, list_image, &l, &err) < 0) {
        json_decref(l.list);
        reply_error(c, &err);
        return;
    }
    reply_json(c, 200, l.list);
}

static void delete_image(struct api_call *c)
{
    struct zl_error err = { 0 };
    const struct api_server *s = c->server;
    int rc = s->ops->image_remove(s->agent, c->params[0], call_query_bool(c, "force"), &err);
    reply_result(c, rc, &err, NULL);
}

static void get_image(struct api_call *c)
{
    struct zl_error err = { 0 };
    json_t *image = NULL;
    const struct api_server *s = c->server;
    if (s->ops->image_inspect(s->agent, c->params[0], &image, &err) < 0) {
        reply_error(c, &err);
        return;
    }
    const char *digest = json_string_value(json_object_get(image, "digest"));
    if (!digest)
        digest = "";
    (void)json_object_set_new(/* one member less is no reason to say nothing */
                              image, "used_by", shape_image_users(call_core(c), digest));
    reply_json(c, 200, image);
}

struct tag {
    const char *reference;
};

static const struct zl_field tag_fields[] = {
    { "reference", zl_json_string, offsetof(struct tag, reference), ZL_REQUIRED },
    { 0 },
};

static void post_tag(struct api_call *c)
{
    struct zl_error err = { 0 };
    const struct api_server *s = c->server;
    struct tag t = { 0 };
    if (call_decode(c, tag_fields, &t) < 0)
        return;
    int rc = s->ops->image_tag(s->agent, c->params[0], t.reference, &err);
    reply_result(c, rc, &err, NULL);
}

static void post_prune(struct api_call *c)
{
    struct zl_error err = { 0 };
    json_t *gone = NULL;
    const struct api_server *s = c->server;
    int rc = s->ops->image_prune(s->agent, call_query_bool(c, "all"), call_query_bool(c, "plan"),
                                 &gone, &err);
    reply_result(c, rc, &err, gone);
}

static void on_progress(void *arg, const char *line)
{
    struct api_call *c = arg;
    json_t *v = json_loads(line, 0, NULL);
    if (!v)
        v = json_pack("{s:s}", "message", line);
    if (c->req)
        (void)stream_line(c, v); /* the call is busy: it stays when its client does not */
    else
        json_decref(v);
}

struct image_task {
    struct zl_strs images;
    const char *source;
    bool docker;
    int64_t fd;
};

static const struct zl_field load_fields[] = {
    { "source", zl_json_string, offsetof(struct image_task, source), ZL_REQUIRED },
    { 0 },
};
static const struct zl_field save_fields[] = {
    { "images", zl_json_strs, offsetof(struct image_task, images), ZL_REQUIRED },
    { "docker", zl_json_bool, offsetof(struct image_task, docker), 0 },
    { "fd", zl_json_i64, offsetof(struct image_task, fd), ZL_REQUIRED },
    { 0 },
};
static const struct zl_field verify_fields[] = {
    { "images", zl_json_strs, offsetof(struct image_task, images), 0 },
    { 0 },
};

static void task_done(struct api_call *c, uint64_t id)
{
    (void)id;
    if (stream_line(c, json_pack("{s:s}", "event", "done")))
        stream_end(c);
}

static void begin_task(struct api_call *c, enum api_image_task_kind kind,
                       const struct image_task *t, int fd)
{
    const struct api_image_task task = {
        .kind = kind, .source = t->source, .images = t->images, .docker = t->docker, .fd = fd
    };
    call_expect(c, task_done);
    stream_begin(c);
    c->server->ops->image_task(c->server->agent, &task, on_progress, call_op_done, c);
}

static void post_load(struct api_call *c)
{
    struct image_task t = { .source = NULL };
    if (call_decode(c, load_fields, &t) == 0)
        begin_task(c, API_IMAGE_LOAD, &t, 0);
}

static void post_verify(struct api_call *c)
{
    struct image_task t = { .source = NULL };
    if (call_decode(c, verify_fields, &t) == 0)
        begin_task(c, API_IMAGE_VERIFY, &t, 0);
}

/* A pidfd of who connected (unix(7)). Before Linux 6.5 there is but its pid: of the process that it
 * was opened for as long as the connection still stands afterwards. */
static int client_process(evutil_socket_t sock, struct zl_error *err)
{
    struct ucred peer;
    struct pollfd hup = { .fd = sock, .events = POLLRDHUP };
    zl_autoclose int process = -1;
    socklen_t size = sizeof process;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &process, &size) == 0)
        return zl_take_fd(&process);
    size = sizeof peer;
    if (errno != ENOPROTOOPT || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return zl_fail_errno(err, "find the client's process");
    process = (int)syscall(SYS_pidfd_open, peer.pid, 0);
    if (process < 0)
        return zl_fail_errno(err, "open the client's process");
    if (poll(&hup, 1, 0) != 0)
        return zl_fail(err, ZL_ERR_CANCELLED, "the client has gone");
    return zl_take_fd(&process);
}

/* A descriptor of the client's, by its number: what the client itself has opened, with its rights,
 * and nothing that it could only name (pidfd_getfd(2)). */
static int take_client_fd(struct api_call *c, int64_t number, struct zl_error *err)
{
    struct bufferevent *be =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(c->req));
    zl_autoclose int process = client_process(bufferevent_getfd(be), err);
    if (process < 0)
        return -1;
    int fd = (int)syscall(SYS_pidfd_getfd, process, (int)number, 0);
    return fd >= 0 ? fd : zl_fail_errno(err, "take descriptor %d of the client", (int)number);
}

static void post_save(struct api_call *c)
{
    struct image_task t = { .source = NULL };
    struct zl_error err = { 0 };
    if (call_decode(c, save_fields, &t) < 0)
        return;
    zl_autoclose int fd = t.images.n ? take_client_fd(c, t.fd, &err)
                                     : zl_fail(&err, ZL_ERR_INVALID, "save: no image is named");
    if (fd < 0)
        reply_error(c, &err);
    else
        begin_task(c, API_IMAGE_SAVE, &t, fd);
}

/* ---- import, pull, push: an image comes or goes under a name -------------------------------- */

struct transfer {
    const char *reference;
    const char *source;   /* of an import */
    const char *platform; /* of a pull */
    int policy;           /* enum spec_pull */
    const json_t *login;
};

static void transferred(struct api_call *c, uint64_t id)
{
    const struct transfer *t = c->state;
    (void)id;
    if (stream_line(c, json_pack("{s:s, s:s}", "event", "done", "reference", t->reference)))
        stream_end(c);
}

static const struct zl_field import_fields[] = {
    { "source", zl_json_string, offsetof(struct transfer, source), ZL_REQUIRED },
    { "reference", zl_json_string, offsetof(struct transfer, reference), ZL_REQUIRED },
    { 0 },
};

static void post_import(struct api_call *c)
{
    struct transfer *i = call_state(c, sizeof *i, NULL);
    if (!i || call_decode(c, import_fields, i) < 0)
        return;
    call_expect(c, transferred);
    stream_begin(c);
    c->server->ops->image_import(c->server->agent, i->source, i->reference, on_progress,
                                 call_op_done, c);
}

/* const json_t *: an object, as it is. */
static int keep_object(const struct zl_json_at *at, const struct zl_field *f, void *out,
                       struct zl_error *err)
{
    (void)f;
    if (!json_is_object(at->value))
        return zl_json_fail_type(at, "an object", err);
    *(const json_t **)out = at->value;
    return 0;
}

static const struct zl_word policy_words[] = {
    { "always", SPEC_PULL_ALWAYS },
    { "if_not_present", SPEC_PULL_IF_NOT_PRESENT },
    { "newer", SPEC_PULL_NEWER },
    { "never", SPEC_PULL_NEVER },
    { 0 },
};

static const struct zl_field pull_fields[] = {
    { "reference", zl_json_string, offsetof(struct transfer, reference), ZL_REQUIRED },
    { "platform", zl_json_string, offsetof(struct transfer, platform) },
    { "policy", zl_json_enum, offsetof(struct transfer, policy), 0, policy_words },
    { "login", keep_object, offsetof(struct transfer, login) },
    { 0 },
};

static void post_pull(struct api_call *c)
{
    struct transfer *p = call_state(c, sizeof *p, NULL);
    if (!p)
        return;
    p->policy = SPEC_PULL_ALWAYS;
    if (call_decode(c, pull_fields, p) < 0)
        return;
    zl_autofree char *login = p->login ? json_dumps(p->login, JSON_COMPACT) : NULL;
    const struct api_pull pull = {
        .reference = p->reference,
        .policy = (enum spec_pull)p->policy,
        .platform = p->platform,
        .login = login,
    };
    call_expect(c, transferred);
    stream_begin(c);
    c->server->ops->image_pull(c->server->agent, &pull, on_progress, call_op_done, c);
}

static const struct zl_field push_fields[] = {
    { "reference", zl_json_string, offsetof(struct transfer, reference), ZL_REQUIRED },
    { "login", keep_object, offsetof(struct transfer, login) },
    { 0 },
};

static void post_push(struct api_call *c)
{
    struct transfer *p = call_state(c, sizeof *p, NULL);
    if (!p || call_decode(c, push_fields, p) < 0)
        return;
    zl_autofree char *login = p->login ? json_dumps(p->login, JSON_COMPACT) : NULL;
    call_expect(c, transferred);
    stream_begin(c);
    c->server->ops->image_push(c->server->agent, p->reference, login, on_progress, call_op_done, c);
}

/* ---- login ---------------------------------------------------------------------------------- */

struct login {
    const char *registry;
    const json_t *login;
};

static const struct zl_field login_fields[] = {
    { "registry", zl_json_string, offsetof(struct login, registry), ZL_REQUIRED },
    { "login", keep_object, offsetof(struct login, login), ZL_REQUIRED },
    { 0 },
};

static void logged_in(struct api_call *c, uint64_t id)
{
    (void)id;
    reply_empty(c);
}

static void post_login(struct api_call *c)
{
    struct login l = { 0 };
    if (call_decode(c, login_fields, &l) < 0)
        return;
    zl_autofree char *login = json_dumps(l.login, JSON_COMPACT);
    if (!login) {
        reply_fail(c, ZL_ERR_SYSTEM, "no memory for a login");
        return;
    }
    call_expect(c, logged_in);
    call_stay_open(c);
    c->server->ops->registry_login(c->server->agent, l.registry, login, call_op_done, c);
}

/* clang-format off */
const struct api_route image_routes[] = {
    { "GET",    "/api/v1/images",        get_images,   "reader",   "every image of the store" },
    { "POST",   "/api/v1/images/import", post_import,  "operator", "NDJSON: progress, then {event: done} or an error" },
    { "POST",   "/api/v1/registries/login", post_login, "operator", "whether {registry, login} opens the registry; nothing is kept" },
    { "POST",   "/api/v1/images/push",   post_push,    "operator", "NDJSON: progress, {status: stored, digest}, then {event: done} or an error" },
    { "POST",   "/api/v1/images/pull",   post_pull,    "operator", "NDJSON: progress, {status: stored, digest}, then {event: done} or an error" },
    { "POST",   "/api/v1/images/load",   post_load,    "operator", "all images of an archive, with their names. NDJSON: progress, {status: loaded}, {event: done}" },
    { "POST",   "/api/v1/images/save",   post_save,    "operator", "images as an archive into a descriptor of the client's. NDJSON" },
    { "POST",   "/api/v1/images/verify", post_verify,  "operator", "whether images are whole. NDJSON: {status: verified, damage}, {event: done} or an error" },
    { "POST",   "/api/v1/images/prune",  post_prune,   "operator", "forgets images that nobody needs; all: named ones too, plan: only says which", "all, plan" },
    { "GET",    "/api/v1/images/{ref}",  get_image,    "reader",   "names, config, history and layers of an image" },
    { "POST",   "/api/v1/images/{ref}/tag", post_tag,  "operator", "another name for it: {reference}" },
    { "DELETE", "/api/v1/images/{ref}",  delete_image, "operator", "forgets a reference (its slashes as %2F)", "force" },
    { 0 },
};
/* clang-format on */
