// SPDX-License-Identifier: Apache-2.0
#include "runtime/volumes.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/json.h"
#include "runtime/native/inner.h"
#include "runtime/native/making.h"
#include "spec/fields/rules.h"

enum { SWEEP_AGAIN_MS = 500 };
enum { META_MAX = 256 * 1024, META_VERSION = 1, NAME_SIZE = 128 };

struct volumes {
    char *path; /* "<root>/volumes" */
    int dir_fd, meta_fd;
    struct trash *trash; /* of its own: volumes may be another file system */
    struct event *sweep;
};

/* ---- life ----------------------------------------------------------------------------------- */

/* Never by a link, which would be somebody else's folder. -1 and errno. */
static int open_folder(const struct volumes *v, const char *name)
{
    return openat(v->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* What a dead helper left goes to the trash, locked until it is there: a helper that lives has the
 * lock, and one that waits for it looks afterwards whether it still has what it has made
 * (fetch/files/fill.c). Whether it has to be looked at again. */
static bool drop_unless_locked(struct volumes *v, const char *name)
{
    zl_autoclose int fd = open_folder(v, name);
    if (fd < 0)
        return errno != ENOENT && errno != ENOTDIR;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return true;
    (void)trash_take(v->trash, v->dir_fd, name, NULL); /* met again next time */
    return false;
}

/* Whether somebody works on one. */
static bool drop_abandoned(struct volumes *v)
{
    zl_autodir DIR *dir = zl_dir_open(v->dir_fd, ".");
    const struct dirent *d;
    bool busy = false;
    while (dir && (d = readdir(dir))) {
        if (strncmp(d->d_name, ".new-", 5) == 0)
            busy = drop_unless_locked(v, d->d_name) || busy;
    }
    return busy;
}

static void on_sweep(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    volumes_sweep(arg);
}

void volumes_sweep(struct volumes *v)
{
    const struct timeval again = { 0, SWEEP_AGAIN_MS * 1000 };
    if (drop_abandoned(v))
        (void)evtimer_add(v->sweep, &again); /* only fails without memory: the next start does it */
}

int volumes_open(struct event_base *base, const char *root_dir, int root_fd, struct volumes **ret,
                 struct zl_error *err)
{
    struct volumes *v = calloc(1, sizeof *v);
    if (!v)
        return zl_fail_errno(err, "open the volumes");
    v->meta_fd = -1;
    /* for root only: a program that a container made set-uid is in reach of none of the host's
     * users */
    v->dir_fd = zl_mkdir_p(root_fd, "volumes", 0700, err);
    if (v->dir_fd >= 0)
        v->meta_fd = zl_mkdir_p(root_fd, "volumes.meta", 0700, err);
    int rc = v->meta_fd < 0 ? -1 : trash_new(base, v->dir_fd, ".trash", &v->trash, err);
    if (rc == 0 && asprintf(&v->path, "%s/volumes", root_dir) < 0) {
        v->path = NULL;
        rc = zl_fail_errno(err, "open the volumes");
    }
    v->sweep = rc == 0 ? evtimer_new(base, on_sweep, v) : NULL;
    if (rc == 0 && !v->sweep)
        rc = zl_fail(err, ZL_ERR_SYSTEM, "open the volumes: out of memory");
    if (rc < 0) {
        volumes_free(v);
        return -1;
    }
    volumes_sweep(v);
    *ret = v;
    return 0;
}

void volumes_free(struct volumes *v)
{
    if (!v)
        return;
    if (v->sweep)
        event_free(v->sweep);
    trash_free(v->trash);
    zl_closep(&v->dir_fd);
    zl_closep(&v->meta_fd);
    free(v->path);
    free(v);
}

const char *volumes_dir(const struct volumes *v)
{
    return v->path;
}

/* ---- what is known of one ------------------------------------------------------------------- */

static int check_name(const char *name, struct zl_error *err)
{
    struct spec_flaw flaw = { 0 };
    if (spec_check_volume_name(name, &flaw) == 0)
        return 0;
    return zl_fail(err, ZL_ERR_INVALID, "E-STORAGE-NAME: '%.100s' is no name of a volume: %s", name,
                   flaw.why);
}

static void meta_name(const char *name, char out[NAME_SIZE])
{
    (void)snprintf(out, NAME_SIZE, "%s.json", name); /* checked: at most 63 */
}

static void full_name(const char *name, char out[NAME_SIZE])
{
    (void)snprintf(out, NAME_SIZE, ".full-%s", name);
}

static json_t *time_text(int64_t wall_ms)
{
    char text[ZL_RFC3339_SIZE];
    (void)zl_format_rfc3339(wall_ms * 1000000, 3, text);
    return json_string(text);
}

static int write_meta(struct volumes *v, const char *name, const json_t *labels,
                      struct zl_error *err)
{
    char file[NAME_SIZE];
    zl_autobuf struct zl_buf text = ZL_BUF(META_MAX);
    json_t *copy = labels ? json_deep_copy(labels) : json_object();
    json_t *meta = json_pack("{s:i, s:s, s:o, s:o}", "version", META_VERSION, "name", name,
                             "created_at", time_text(zl_wall_ms()), "labels", copy);
    int rc = meta ? zl_json_dump(meta, JSON_INDENT(1), &text, err)
                  : zl_fail(err, ZL_ERR_SYSTEM, "out of memory");
    meta_name(name, file);
    if (rc == 0)
        rc = zl_write_atomic(v->meta_fd, file, text.data, text.len, 0600, true, err);
    json_decref(meta);
    return rc;
}

/* NULL: there is none, or it is torn; the volume is there all the same. */
static json_t *read_meta(const struct volumes *v, const char *name)
{
    char file[NAME_SIZE];
    zl_autobuf struct zl_buf text = ZL_BUF(META_MAX);
    meta_name(name, file);
    if (zl_read_file(v->meta_fd, file, &text, NULL) < 0)
        return NULL;
    json_t *meta = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_string(json_object_get(meta, "created_at")) &&
        json_is_object(json_object_get(meta, "labels")))
        return meta;
    json_decref(meta);
    return NULL;
}

bool volumes_is_empty(int fd)
{
    zl_autodir DIR *dir = zl_dir_open(fd, ".");
    const struct dirent *d;
    bool empty = dir;
    while (empty && (d = readdir(dir)))
        empty = zl_is_dots(d->d_name);
    return empty;
}

bool volumes_is_half(const struct volumes *v, const char *name)
{
    char full[NAME_SIZE];
    full_name(name, full);
    return faccessat(v->dir_fd, full, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* NOT_FOUND; INVALID: what is there is no folder. */
static int open_volume(const struct volumes *v, const char *name, struct zl_error *err)
{
    if (check_name(name, err) < 0)
        return -1;
    int fd = open_folder(v, name);
    if (fd >= 0)
        return fd;
    if (errno == ENOENT)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no volume '%s'", name);
    if (errno == ENOTDIR)
        return zl_fail(err, ZL_ERR_INVALID,
                       "'%s/%s' is no folder, which a volume is: move it out of there", v->path,
                       name);
    return zl_fail_errno(err, "open the volume '%s'", name);
}

int volumes_describe(struct volumes *v, const char *name, json_t **ret, struct zl_error *err)
{
    struct stat st;
    zl_autoclose int fd = open_volume(v, name, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "look at the volume '%s'", name);
    json_t *meta = read_meta(v, name);
    json_t *created = json_incref(json_object_get(meta, "created_at"));
    json_t *labels = json_incref(json_object_get(meta, "labels"));
    json_decref(meta);
    *ret = json_pack("{s:s, s:o, s:o, s:o, s:b}", "name", name, "path",
                     json_sprintf("%s/%s", v->path, name), "created_at",
                     created ? created : time_text((int64_t)st.st_ctim.tv_sec * 1000), "labels",
                     labels ? labels : json_object(), "empty", volumes_is_empty(fd));
    return *ret ? 0 : zl_fail(err, ZL_ERR_SYSTEM, "describe the volume '%s': out of memory", name);
}

/* ---- all ------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names {
    char **v; /* allocated each */
    size_t n, room;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

/* zl_entry_fn */
static int add_name(void *arg, const struct dirent *entry, struct zl_error *err)
{
    struct names *names = arg;
    if (entry->d_name[0] == '.')
        return 0;
    if (names->n == names->room) {
        size_t room = names->room ? 2 * names->room : 32;
        char **more = reallocarray(names->v, room, sizeof *more);
        if (!more)
            return zl_fail_errno(err, "list the volumes");
        names->v = more;
        names->room = room;
    }
    names->v[names->n] = strdup(entry->d_name);
    if (!names->v[names->n])
        return zl_fail_errno(err, "list the volumes");
    names->n++;
    return 0;
}

/* One that was removed meanwhile, or is not ours, is left out. */
static int add_description(struct volumes *v, const char *name, json_t *list, struct zl_error *err)
{
    struct zl_error why = { 0 };
    json_t *one = NULL;
    if (volumes_describe(v, name, &one, &why) < 0)
        return why.kind == ZL_ERR_NOT_FOUND || why.kind == ZL_ERR_INVALID
                   ? 0
                   : zl_fail(err, why.kind, "%s", why.msg);
    return json_array_append_new(list, one) < 0
               ? zl_fail(err, ZL_ERR_SYSTEM, "list the volumes: out of memory")
               : 0;
}

int volumes_list(struct volumes *v, json_t **ret, struct zl_error *err)
{
    ZL_CLEANUP(names_done) struct names names = { 0 };
    if (zl_dir_each(v->dir_fd, "the volumes", add_name, &names, err) < 0)
        return -1;
    if (names.n)
        qsort(names.v, names.n, sizeof *names.v, by_name);
    json_t *list = json_array();
    if (!list)
        return zl_fail(err, ZL_ERR_SYSTEM, "list the volumes: out of memory");
    for (size_t i = 0; i < names.n; i++)
        if (add_description(v, names.v[i], list, err) < 0) {
            json_decref(list);
            return -1;
        }
    *ret = list;
    return 0;
}

/* ---- made and removed ------------------------------------------------------------------------ */

/* A removal that was killed in its middle may have left what was still to be moved into the volume
 * that had this name: nothing of it comes into the new one. */
static int make_folder(struct volumes *v, const char *name, struct zl_error *err)
{
    char full[NAME_SIZE];
    full_name(name, full);
    return trash_take(v->trash, v->dir_fd, full, err) < 0 ? -1
                                                          : zl_make_dir(v->dir_fd, name, 0755, err);
}

int volumes_ensure(struct volumes *v, const char *name, struct zl_error *err)
{
    struct zl_error why = { 0 };
    zl_autoclose int there = open_volume(v, name, &why);
    if (there >= 0)
        return zl_take_fd(&there);
    if (why.kind != ZL_ERR_NOT_FOUND)
        return zl_fail(err, why.kind, "%s", why.msg);
    zl_autoclose int fd = make_folder(v, name, err);
    if (fd < 0 || write_meta(v, name, NULL, err) < 0)
        return zl_wrap(err, "create the volume '%s'", name);
    return zl_take_fd(&fd);
}

int volumes_create(struct volumes *v, const char *name, const json_t *labels, struct zl_error *err)
{
    struct zl_error why = { 0 };
    zl_autoclose int there = open_volume(v, name, &why);
    if (there >= 0)
        return zl_fail(err, ZL_ERR_EXISTS, "there is a volume '%s' already", name);
    if (why.kind != ZL_ERR_NOT_FOUND)
        return zl_fail(err, why.kind, "%s", why.msg);
    /* the labels first: what has no folder is no volume */
    if (write_meta(v, name, labels, err) < 0)
        return zl_wrap(err, "create the volume '%s'", name);
    zl_autoclose int fd = make_folder(v, name, err);
    return fd < 0 ? zl_wrap(err, "create the volume '%s'", name) : 0;
}

int volumes_remove(struct volumes *v, const char *name, bool force, struct zl_error *err)
{
    char file[NAME_SIZE];
    zl_autoclose int fd = open_volume(v, name, err);
    if (fd < 0)
        return -1;
    if (!force && (!volumes_is_empty(fd) || volumes_is_half(v, name)))
        return zl_fail(err, ZL_ERR_CONFLICT,
                       "the volume '%s' is not empty: --force removes it with what is in it", name);
    full_name(name, file);
    if (trash_take(v->trash, v->dir_fd, name, err) < 0 ||
        trash_take(v->trash, v->dir_fd, file, err) < 0)
        return zl_wrap(err, "remove the volume '%s'", name);
    meta_name(name, file);
    if (unlinkat(v->meta_fd, file, 0) < 0 && errno != ENOENT)
        return zl_fail_errno(err, "remove what is known of the volume '%s'", name);
    /* Who was told that it is gone finds it gone also after a power cut. */
    if (fsync(v->dir_fd) < 0 || fsync(v->meta_fd) < 0)
        return zl_fail_errno(err, "remove the volume '%s' from the disk", name);
    return 0;
}
