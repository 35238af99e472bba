// SPDX-License-Identifier: Apache-2.0
#include "fetch/unpack/settle.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "fetch/tar/attributes.h"
#include "image/overlay.h"

enum { MEMORY = 128 << 20 }; /* twice that, and a window of zstd, fit into what a hand may have */

void settle_init(struct settle *s)
{
    *s = (struct settle){ .arena = ZL_ARENA(MEMORY) };
    s->listed_end = &s->listed;
    s->made_end = &s->made;
    s->links_end = &s->links;
}

void settle_done(struct settle *s)
{
    zl_arena_done(&s->arena);
}

/* ---- notes ----------------------------------------------------------------------------------- */

static struct settle_folder *add_folder(struct settle *s, const char *path,
                                        struct settle_folder ***end, struct zl_error *err)
{
    size_t n = strlen(path) + 1;
    struct settle_folder *f = zl_arena_alloc(&s->arena, sizeof *f + n);
    if (!f) {
        (void)zl_fail(err, ZL_ERR_INVALID, "the layer has too many folders");
        return NULL;
    }
    memcpy(f->path, path, n);
    **end = f;
    *end = &f->next;
    return f;
}

int settle_folder(struct settle *s, const char *path, unsigned mode, const struct timespec *mtime,
                  struct zl_error *err)
{
    struct settle_folder *f = add_folder(s, path, &s->listed_end, err);
    if (!f)
        return -1;
    f->mode = mode;
    f->mtime = *mtime;
    s->root_listed |= !*path;
    return 0;
}

int settle_made(struct settle *s, const char *path, struct zl_error *err)
{
    return add_folder(s, path, &s->made_end, err) ? 0 : -1;
}

int settle_link(struct settle *s, const char *target, const char *path, struct zl_error *err)
{
    struct settle_link *l = zl_arena_alloc(&s->arena, sizeof *l);
    if (l) {
        l->target = zl_arena_strdup(&s->arena, target);
        l->path = zl_arena_strdup(&s->arena, path);
    }
    if (s->arena.failed)
        return zl_fail(err, ZL_ERR_INVALID, "the layer has too many links");
    *s->links_end = l;
    s->links_end = &l->next;
    return 0;
}

/* ---- notes in a file ------------------------------------------------------------------------- */

/* A record is this and two texts, each with its NUL; path comes first. */
struct note {
    char kind; /* a folder that was listed or made, or a link */
    unsigned mode;
    struct timespec mtime;
    uint32_t path_size, target_size;
};
enum { NOTE_LISTED = 'l', NOTE_MADE = 'm', NOTE_LINK = 'k' };
enum { NOTES_PIECE = 64 * 1024 };
static const struct note no_note; /* zeros, padding included */

bool settle_has_work(const struct settle *s)
{
    return s->made || s->links || !s->root_listed;
}

struct notes {
    int fd;
    struct zl_buf piece;
};

static int flush(struct notes *n, struct zl_error *err)
{
    if (zl_write_all(n->fd, n->piece.data, n->piece.len, "notes of a layer", err) < 0)
        return -1;
    zl_buf_reset(&n->piece);
    return 0;
}

static int write_note(struct notes *n, struct note note, const char *path, const char *target,
                      struct zl_error *err)
{
    note.path_size = (uint32_t)strlen(path) + 1;
    note.target_size = (uint32_t)strlen(target) + 1;
    if (n->piece.len > NOTES_PIECE && flush(n, err) < 0)
        return -1;
    zl_buf_add(&n->piece, &note, sizeof note);
    zl_buf_add(&n->piece, path, note.path_size);
    zl_buf_add(&n->piece, target, note.target_size);
    return zl_buf_check(&n->piece, "the notes of a layer", err);
}

static int write_notes(const struct settle *s, struct notes *n, struct zl_error *err)
{
    struct note note = no_note;
    for (const struct settle_folder *f = s->listed; f; f = f->next) {
        note.kind = NOTE_LISTED;
        note.mode = f->mode;
        note.mtime = f->mtime;
        if (write_note(n, note, f->path, "", err) < 0)
            return -1;
    }
    note = no_note;
    note.kind = NOTE_MADE;
    for (const struct settle_folder *f = s->made; f; f = f->next) {
        if (write_note(n, note, f->path, "", err) < 0)
            return -1;
    }
    note.kind = NOTE_LINK;
    for (const struct settle_link *l = s->links; l; l = l->next) {
        if (write_note(n, note, l->path, l->target, err) < 0)
            return -1;
    }
    return 0;
}

int settle_save(const struct settle *s, int fd, struct zl_error *err)
{
    struct notes n = { fd, ZL_BUF(4 * NOTES_PIECE) };
    int rc = 0;
    if (s->made || s->links) /* else only the root, if that */
        rc = write_notes(s, &n, err);
    if (rc == 0)
        rc = flush(&n, err);
    zl_buf_done(&n.piece);
    return rc;
}

static int take_note(struct settle *s, const struct note *note, const char *path,
                     const char *target, struct zl_error *err)
{
    switch (note->kind) {
    case NOTE_LISTED:
        return settle_folder(s, path, note->mode & 07777, &note->mtime, err);
    case NOTE_MADE:
        return settle_made(s, path, err);
    case NOTE_LINK:
        return settle_link(s, target, path, err);
    default:
        return zl_fail(err, ZL_ERR_PROTOCOL, "a note of a layer is of no kind");
    }
}

/* Whether size bytes at text are one string. */
static bool is_text(const char *text, size_t size, size_t left)
{
    return size && size <= PATH_MAX && size <= left && strnlen(text, size) == size - 1;
}

int settle_load(struct settle *s, int fd, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(MEMORY);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return zl_fail_errno(err, "rewind the notes of a layer");
    if (zl_read_fd(fd, &text, "the notes of a layer", err) < 0)
        return -1;
    for (size_t at = 0; at < text.len;) {
        struct note note;
        if (text.len - at < sizeof note)
            return zl_fail(err, ZL_ERR_PROTOCOL, "the notes of a layer are cut off");
        memcpy(&note, text.data + at, sizeof note);
        at += sizeof note;
        const char *path = text.data + at, *target = path + note.path_size;
        if (!is_text(path, note.path_size, text.len - at) ||
            !is_text(target, note.target_size, text.len - at - note.path_size))
            return zl_fail(err, ZL_ERR_PROTOCOL, "the notes of a layer are damaged");
        at += note.path_size + note.target_size;
        if (take_note(s, &note, path, target, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- folders --------------------------------------------------------------------------------- */

int settle_folders(struct settle *s, int root, struct zl_error *err)
{
    for (const struct settle_folder *f = s->listed; f; f = f->next) {
        struct tree_path path;
        const struct timespec both[2] = { f->mtime, f->mtime };
        if (tree_path_parse(f->path, &path, err) < 0)
            return -1;
        zl_autoclose int fd = tree_open(root, &path, O_RDONLY | O_DIRECTORY, NULL);
        if (fd < 0)
            continue; /* a later entry replaced it */
        if (fchmod(fd, f->mode) < 0 || futimens(fd, both) < 0)
            return zl_fail_errno(err, "set mode and time of '%s'", f->path);
    }
    return 0;
}

/* The folder at path as in the layers below; where they have none it stays as it was made, 0755 of
 * root, with the time 0, so that unpacking again gives the same. */
static int take_after_below(int root, const char *path, const int *below, size_t n_below,
                            struct zl_error *err)
{
    static const struct timespec never[2] = { { 0 } };
    struct tree_path p;
    struct stat st;
    if (tree_path_parse(path, &p, err) < 0)
        return -1;
    zl_autoclose int fd = tree_open(root, &p, O_RDONLY | O_DIRECTORY, NULL);
    if (fd < 0)
        return 0; /* a later entry replaced it */
    int layer = tree_find_below(below, n_below, p.text[0] ? p.text : ".", &st);
    if (layer < 0 || !S_ISDIR(st.st_mode))
        return futimens(fd, never) < 0 ? zl_fail_errno(err, "set the time of '%s'", path) : 0;
    zl_autoclose int model = tree_open(layer, &p, O_RDONLY | O_DIRECTORY, err);
    if (model < 0)
        return -1;
    return attributes_copy(model, &st, fd, err) < 0 ? zl_wrap(err, "'%s'", path) : 0;
}

/* ---- links ----------------------------------------------------------------------------------- */

static int link_is_wrong(const struct tree_path *target, const char *why, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_INVALID, "it is a hard link to '%s', which is %s", target->text,
                   why);
}

int settle_link_here(struct tree *t, const struct tree_path *target, const struct tree_path *path,
                     struct zl_error *err)
{
    struct tree_path folder;
    struct stat st;
    if (tree_path_parse(target->parent, &folder, err) < 0)
        return -1;
    zl_autoclose int from = tree_open(t->root, &folder, O_RDONLY | O_DIRECTORY, NULL);
    if (from < 0 || fstatat(from, target->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 1;
    if (S_ISDIR(st.st_mode) || overlay_is_whiteout(&st))
        return link_is_wrong(target, "no file", err);
    int parent = tree_parent(t, path, err);
    if (parent < 0)
        return -1;
    if (linkat(from, target->name, parent, path->name, 0) == 0)
        return 0;
    if (errno != EEXIST)
        return zl_fail_errno(err, "create it");
    if (tree_clear(t, path, err) < 0 || (parent = tree_parent(t, path, err)) < 0)
        return -1;
    return linkat(from, target->name, parent, path->name, 0) < 0 ? zl_fail_errno(err, "create it")
                                                                 : 0;
}

static int copy_bytes(int from, int to, uint64_t size, struct zl_error *err)
{
    while (size) {
        ssize_t n = sendfile(to, from, NULL, size < (1 << 30) ? (size_t)size : 1 << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return zl_fail_errno(err, "copy it");
        size -= (uint64_t)n;
    }
    return 0;
}

/* What overlay calls copying up: the file of a layer below becomes one of this layer. */
static int copy_up(struct tree *t, const struct tree_path *target, const int *below, size_t n_below,
                   struct zl_error *err)
{
    struct stat st;
    int layer =
        tree_hides(t->root, target->text) ? -1 : tree_find_below(below, n_below, target->text, &st);
    if (layer < 0)
        return link_is_wrong(target, "not in the layer or below", err);
    if (!S_ISREG(st.st_mode))
        return link_is_wrong(target, "no file", err);
    int parent = tree_parent(t, target, err);
    zl_autoclose int from = parent < 0 ? -1 : tree_open(layer, target, O_RDONLY, err);
    if (from < 0)
        return -1;
    zl_autoclose int to =
        openat(parent, target->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return zl_fail_errno(err, "copy '%s'", target->text);
    if (copy_bytes(from, to, (uint64_t)st.st_size, err) < 0)
        return -1;
    return attributes_copy(from, &st, to, err);
}

static int link_below(struct tree *t, const struct settle_link *l, const int *below, size_t n_below,
                      struct zl_error *err)
{
    struct tree_path target, path;
    if (tree_path_parse(l->target, &target, err) < 0 || tree_path_parse(l->path, &path, err) < 0)
        return -1;
    int rc = settle_link_here(t, &target, &path, err); /* a link before may have copied it */
    if (rc <= 0)
        return rc;
    if (copy_up(t, &target, below, n_below, err) < 0)
        return -1;
    return settle_link_here(t, &target, &path, err);
}

int settle_all(struct settle *s, struct tree *t, const int *below, size_t n_below,
               struct zl_error *err)
{
    for (const struct settle_link *l = s->links; l; l = l->next) {
        if (link_below(t, l, below, n_below, err) < 0)
            return zl_wrap(err, "unpack '%s'", l->path);
    }
    for (const struct settle_folder *f = s->made; f; f = f->next) {
        if (take_after_below(t->root, f->path, below, n_below, err) < 0)
            return -1;
    }
    if (!s->root_listed && take_after_below(t->root, "", below, n_below, err) < 0)
        return -1;
    /* Both may have touched listed folders. */
    return s->made || s->links ? settle_folders(s, t->root, err) : 0;
}
