// SPDX-License-Identifier: Apache-2.0
#include "oci/cdi.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/doc.h"
#include "base/fd.h"

enum { FILE_MAX = 4 << 20, FILES_MAX = 256 };

struct cdi {
    json_t *kinds; /* kind → name of a device → entry */
    int n_dirs;    /* read so far: a later one counts more */
};

/* An entry is {device, file, dir, from, twice}: what the file says of the device, the whole file,
 * the number of its folder, its path, and that of another in the same folder which has the device
 * as well. */

static const char *const usual_dirs[] = { "/etc/cdi", "/var/run/cdi" };
static const char *const lists[] = { "env", "deviceNodes", "mounts", "hooks" };

/* ---- YAML and JSON alike, as JSON --------------------------------------------------------- */

static json_t *to_json(const struct doc_node *n);

static json_t *scalar_to_json(const struct doc_node *n)
{
    char *end;
    if (!n->plain)
        return json_stringn(n->scalar.text, n->scalar.len);
    if (doc_is_null(n))
        return json_null();
    if (strcmp(n->scalar.text, "true") == 0 || strcmp(n->scalar.text, "false") == 0)
        return json_boolean(n->scalar.text[0] == 't');
    errno = 0;
    long long v =
        strtoll(n->scalar.text, &end, 0); /* "0666" is octal, as YAML 1.1 tools write it */
    if (end != n->scalar.text && !*end && !errno)
        return json_integer(v);
    return json_stringn(n->scalar.text, n->scalar.len);
}

static json_t *map_to_json(const struct doc_node *n)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < n->map.n; i++) {
        const struct doc_node *key = n->map.v[i].key;
        if (key->kind != DOC_SCALAR ||
            json_object_set_new(object, key->scalar.text, to_json(n->map.v[i].value)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *to_json(const struct doc_node *n)
{
    if (n->kind == DOC_SCALAR)
        return scalar_to_json(n);
    if (n->kind == DOC_MAP)
        return map_to_json(n);
    json_t *list = json_array();
    for (size_t i = 0; list && i < n->seq.n; i++) {
        if (json_array_append_new(list, to_json(n->seq.v[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *parse(const char *text, size_t n, const char *path, struct zl_error *err)
{
    struct zl_arena arena = ZL_ARENA(64 << 20);
    const struct doc_node *root = NULL;
    struct doc_error why;
    json_t *out = NULL;
    if (doc_parse(text, n, &arena, &root, &why) < 0)
        (void)zl_fail(err, ZL_ERR_INVALID, "CDI file '%s':%d:%d: %s", path, why.line, why.column,
                      why.text);
    else if (!root || root->kind != DOC_MAP || !(out = to_json(root)))
        (void)zl_fail(err, ZL_ERR_INVALID, "CDI file '%s': it is no mapping", path);
    zl_arena_done(&arena);
    return out;
}

/* ---- files -------------------------------------------------------------------------------- */

static bool is_cdi_file(const struct dirent *e)
{
    static const char *const ends[] = { ".json", ".yaml", ".yml" };
    const char *dot = strrchr(e->d_name, '.');
    for (size_t i = 0; dot && i < ZL_ARRAY_LEN(ends); i++)
        if (strcmp(dot, ends[i]) == 0)
            return true;
    return false;
}

static int filter(const struct dirent *e)
{
    return is_cdi_file(e);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static const char *name_of(const json_t *device)
{
    return json_string_value(json_object_get(device, "name"));
}

/* Of two in one folder neither is the right one (SPEC.md, "CDI spec directories"): who asks for the
 * device is told. */
static int take_device(const struct cdi *c, json_t *kind, json_t *file, json_t *device,
                       const char *from)
{
    json_t *before = json_object_get(kind, name_of(device));
    if (before && json_integer_value(json_object_get(before, "dir")) == c->n_dirs)
        return json_object_set_new(before, "twice", json_string(from));
    return json_object_set_new(kind, name_of(device),
                               json_pack("{s:O, s:O, s:i, s:s}", "device", device, "file", file,
                                         "dir", c->n_dirs, "from", from));
}

static json_t *kind_of(const struct cdi *c, const char *name)
{
    json_t *kind = json_object_get(c->kinds, name);
    if (!kind && json_object_set_new(c->kinds, name, json_object()) == 0)
        kind = json_object_get(c->kinds, name);
    return kind;
}

static int take_devices(const struct cdi *c, json_t *file, const char *from, struct zl_error *err)
{
    const char *name = json_string_value(json_object_get(file, "kind"));
    json_t *devices = json_object_get(file, "devices"), *device;
    size_t i;
    if (!name || !json_is_array(devices))
        return zl_fail(err, ZL_ERR_INVALID, "CDI file '%s': 'kind' or 'devices' is missing", from);
    json_t *kind = kind_of(c, name);
    json_array_foreach(devices, i, device)
    {
        if (!name_of(device))
            return zl_fail(err, ZL_ERR_INVALID, "CDI file '%s': devices[%zu] has no name", from, i);
        if (!kind || take_device(c, kind, file, device, from) < 0)
            break;
    }
    return kind && i == json_array_size(devices)
               ? 0
               : zl_fail(err, ZL_ERR_SYSTEM, "read CDI file '%s': out of memory", from);
}

static int take_file(const struct cdi *c, int dir_fd, const char *dir, const char *name,
                     struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(FILE_MAX), from = ZL_BUF(8192);
    zl_buf_addf(&from, "%s/%s", dir, name);
    if (zl_buf_check(&from, "a path", err) < 0 || zl_read_file(dir_fd, name, &text, err) < 0)
        return -1;
    json_t *file = parse(text.data, text.len, from.data, err);
    int rc = file ? take_devices(c, file, from.data, err) : -1;
    json_decref(file);
    return rc;
}

static int take_dir(struct cdi *c, int host_fd, const char *path, struct zl_error *err)
{
    struct zl_error why = { 0 };
    struct dirent **names = NULL;
    zl_autoclose int dir = zl_open_in_root(host_fd, path, O_RDONLY | O_DIRECTORY, &why);
    if (dir < 0 && errno == ENOENT)
        return 0; /* as most hosts have it */
    int n = dir < 0 ? -1 : scandirat(dir, ".", &names, filter, by_name), rc = 0;
    if (n < 0)
        return zl_fail_errno(err, "read the CDI files in '%s'", path);
    if (n > FILES_MAX)
        rc = zl_fail(err, ZL_ERR_UNSUPPORTED,
                     "read the CDI files in '%s': there are %d, not up to %d", path, n, FILES_MAX);
    c->n_dirs++;
    for (int i = 0; i < n; i++) {
        if (rc == 0)
            rc = take_file(c, dir, path, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int take_more(struct cdi *c, int host_fd, const char *dirs, struct zl_error *err)
{
    zl_autofree char *copy = dirs ? strdup(dirs) : NULL;
    char *rest = copy;
    if (dirs && !copy)
        return zl_fail_errno(err, "read CDI files");
    for (char *dir; (dir = strsep(&rest, ":"));)
        if (*dir && take_dir(c, host_fd, dir, err) < 0)
            return -1;
    return 0;
}

int cdi_read(int host_fd, const char *more_dirs, struct cdi **ret, struct zl_error *err)
{
    autocdi struct cdi *c = calloc(1, sizeof *c);
    if (!c || !(c->kinds = json_object()))
        return zl_fail(err, ZL_ERR_SYSTEM, "read CDI files: out of memory");
    for (size_t i = 0; i < ZL_ARRAY_LEN(usual_dirs); i++)
        if (take_dir(c, host_fd, usual_dirs[i], err) < 0)
            return -1;
    if (take_more(c, host_fd, more_dirs, err) < 0)
        return -1;
    *ret = zl_take_ptr(c);
    return 0;
}

void cdi_free(struct cdi *c)
{
    if (!c)
        return;
    json_decref(c->kinds);
    free(c);
}

/* ---- devices ------------------------------------------------------------------------------ */

size_t cdi_count(const struct cdi *c, const char *kind)
{
    const json_t *devices = json_object_get(c->kinds, kind);
    return json_object_size(devices) - (json_object_get(devices, "all") != NULL);
}

struct merging {
    json_t *into;
    json_t *files; /* array of those whose own edits are in it: once each */
};

static int merge(json_t *into, const json_t *device_or_file)
{
    const json_t *edits = json_object_get(device_or_file, "containerEdits");
    for (size_t i = 0; i < ZL_ARRAY_LEN(lists); i++) {
        json_t *more = json_object_get(edits, lists[i]);
        if (json_is_array(more) && json_array_extend(json_object_get(into, lists[i]), more) < 0)
            return -1;
    }
    return 0;
}

static int merge_file(struct merging *m, json_t *file)
{
    size_t i;
    json_t *done;
    json_array_foreach(m->files, i, done)
    {
        if (done == file)
            return 0;
    }
    return json_array_append(m->files, file) < 0 ? -1 : merge(m->into, file);
}

static enum cdi_result merge_device(struct merging *m, const json_t *entry, struct zl_error *err)
{
    const char *twice = json_string_value(json_object_get(entry, "twice"));
    const json_t *device = json_object_get(entry, "device");
    if (twice) {
        (void)zl_fail(err, ZL_ERR_INVALID, "CDI files '%s' and '%s' have the same device '%s'",
                      json_string_value(json_object_get(entry, "from")), twice, name_of(device));
        return CDI_CONFLICT;
    }
    if (merge_file(m, json_object_get(entry, "file")) < 0 || merge(m->into, device) < 0)
        return CDI_FAILED;
    return CDI_FOUND;
}

static enum cdi_result merge_all(struct merging *m, json_t *devices, struct zl_error *err)
{
    const char *name;
    json_t *entry;
    enum cdi_result r = CDI_NO_DEVICES;
    json_object_foreach(devices, name, entry)
    {
        r = merge_device(m, entry, err);
        if (r != CDI_FOUND)
            break;
    }
    return r;
}

static enum cdi_result merge_named(struct merging *m, json_t *devices, const char *name,
                                   struct zl_error *err)
{
    const json_t *entry = json_object_get(devices, name);
    if (!entry && strcmp(name, "all") == 0)
        return merge_all(m, devices, err);
    return entry ? merge_device(m, entry, err) : CDI_DEVICE_MISSING;
}

static void tell(enum cdi_result r, const char *kind, const char *name, struct zl_error *err)
{
    static const struct {
        enum zl_err_kind kind;
        const char *text;
    } words[] = {
        [CDI_FOUND] = { ZL_OK, "" },
        [CDI_CONFLICT] = { ZL_OK, "" }, /* told already, with the files */
        [CDI_SPEC_MISSING] = { ZL_ERR_NOT_FOUND, "no CDI file describes devices of kind" },
        [CDI_DEVICE_MISSING] = { ZL_ERR_NOT_FOUND, "no CDI file has a device of kind" },
        [CDI_NO_DEVICES] = { ZL_ERR_NOT_FOUND, "the CDI files have no devices of kind" },
        [CDI_FAILED] = { ZL_ERR_SYSTEM, "out of memory for devices of kind" },
    };
    if (words[r].kind != ZL_OK)
        (void)zl_fail(err, words[r].kind, "%s '%s'%s%s", words[r].text, kind, name ? ": " : "",
                      name ? name : "");
}

enum cdi_result cdi_edits(const struct cdi *c, const char *kind, const char *const *names, size_t n,
                          json_t **ret, struct zl_error *err)
{
    json_t *devices = json_object_get(c->kinds, kind);
    const char *at = NULL;
    enum cdi_result r = CDI_FOUND;
    if (!devices) {
        tell(CDI_SPEC_MISSING, kind, NULL, err);
        return CDI_SPEC_MISSING;
    }
    struct merging m = {
        json_pack("{s:[], s:[], s:[], s:[]}", lists[0], lists[1], lists[2], lists[3]), json_array()
    };
    if (!m.into || !m.files)
        r = CDI_FAILED;
    for (size_t i = 0; r == CDI_FOUND && i < n; i++) {
        at = names[i];
        r = merge_named(&m, devices, at, err);
    }
    tell(r, kind, at, err);
    json_decref(m.files);
    if (r == CDI_FOUND)
        *ret = m.into;
    else
        json_decref(m.into);
    return r;
}
