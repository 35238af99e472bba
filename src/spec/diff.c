// SPDX-License-Identifier: Apache-2.0
#include "spec/diff.h"

#include <stdio.h>
#include <string.h>

#include "base/imageref.h"
#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"

enum { PATH_MAX_TEXT = 512 };

static json_t *or_null(json_t *v)
{
    return v ? json_incref(v) : json_null();
}

static bool same_image(const json_t *a, const json_t *b)
{
    char left[ZL_IMAGEREF_MAX], right[ZL_IMAGEREF_MAX];
    const char *why;
    return json_is_string(a) && json_is_string(b) &&
           zl_imageref_normalize(json_string_value(a), left, &why) == 0 &&
           zl_imageref_normalize(json_string_value(b), right, &why) == 0 &&
           strcmp(left, right) == 0;
}

static void add_change(json_t *out, const char *path, json_t *a, json_t *b, bool live)
{
    (void)json_array_append_new(out, json_pack("{s:s, s:o, s:o, s:b}", "path", path, "old",
                                               or_null(a), "new", or_null(b), "live", live));
}

/* Values that no table leads into: as deep as both have the same kind. */
static void diff_value(json_t *out, const char *path, json_t *a, json_t *b, bool live);

static void diff_maps(json_t *out, const char *path, json_t *a, json_t *b, bool live)
{
    char below[PATH_MAX_TEXT];
    const char *key;
    json_t *v;
    json_object_foreach(a, key, v)
    {
        (void)snprintf(below, sizeof below, "%s.%s", path, key);
        diff_value(out, below, v, json_object_get(b, key), live);
    }
    json_object_foreach(b, key, v)
    {
        (void)snprintf(below, sizeof below, "%s.%s", path, key);
        if (!json_object_get(a, key))
            add_change(out, below, NULL, v, live);
    }
}

static void diff_lists(json_t *out, const char *path, json_t *a, json_t *b, bool live)
{
    char below[PATH_MAX_TEXT];
    for (size_t i = 0; i < json_array_size(a); i++) {
        (void)snprintf(below, sizeof below, "%s[%zu]", path, i);
        diff_value(out, below, json_array_get(a, i), json_array_get(b, i), live);
    }
}

static void diff_value(json_t *out, const char *path, json_t *a, json_t *b, bool live)
{
    if (a == b || (a && b && json_equal(a, b)))
        return;
    if (json_is_object(a) && json_is_object(b))
        diff_maps(out, path, a, b, live);
    else if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b))
        diff_lists(out, path, a, b, live);
    else
        add_change(out, path, a, b, live);
}

static void diff_field(json_t *out, const char *path, const struct walk_field *f, const void *a,
                       const void *b, bool live)
{
    json_t *left = value_of(f, a), *right = value_of(f, b);
    if (f->type != &type_image || !same_image(left, right))
        diff_value(out, path, left, right, live);
    json_decref(left);
    json_decref(right);
}

/* Structs in place are entered by their tables, whose rows may differ in what they need. */
static void diff_shape(json_t *out, const char *path, const struct walk_shape *shape, const void *a,
                       const void *b, bool live)
{
    char below[PATH_MAX_TEXT];
    for (const struct walk_field *f = shape->fields; f->name; f++) {
        bool is_live = live || f->flags & WALK_LIVE;
        if (f->flags & WALK_ALIAS)
            continue;
        (void)snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", f->name);
        const void *left = a, *right = b;
        const struct walk_shape *inside = value_inside(f, &left, &right);
        if (inside)
            diff_shape(out, below, inside, left, right, is_live);
        else
            diff_field(out, below, f, a, b, is_live);
    }
}

static bool any_recreates(const json_t *fields)
{
    for (size_t i = 0; i < json_array_size(fields); i++) {
        if (json_is_false(json_object_get(json_array_get(fields, i), "live")))
            return true;
    }
    return false;
}

static void diff_service(json_t *changed, const struct spec_service *a,
                         const struct spec_service *b)
{
    json_t *fields = json_array();
    diff_shape(fields, "", &spec_service_shape, a, b, false);
    if (json_array_size(fields))
        (void)json_array_append_new(changed,
                                    json_pack("{s:s, s:b, s:O}", "service", b->name, "recreate",
                                              any_recreates(fields), "fields", fields));
    json_decref(fields);
}

/* Names of the services of a that b has not. */
static json_t *only_in(const struct spec *a, const struct spec *b)
{
    json_t *names = json_array();
    for (size_t i = 0; i < a->n_services; i++) {
        if (!spec_find(b, a->services[i].name))
            (void)json_array_append_new(names, json_string(a->services[i].name));
    }
    return names;
}

static struct spec_document document_of(const struct spec *s)
{
    return (struct spec_document){ .version = "v1",
                                   .deployment = s->deployment,
                                   .externals = s->externals,
                                   .n_externals = s->n_externals,
                                   .tunnels = s->tunnels,
                                   .n_tunnels = s->n_tunnels,
                                   .api = s->api };
}

json_t *spec_diff(const struct spec *from, const struct spec *to)
{
    const struct spec_document a = document_of(from), b = document_of(to);
    json_t *changed = json_array(), *document = json_array();
    json_t *added = only_in(to, from), *removed = only_in(from, to);
    for (size_t i = 0; i < to->n_services; i++) {
        const struct spec_service *old = spec_find(from, to->services[i].name);
        if (old)
            diff_service(changed, old, &to->services[i]);
    }
    diff_shape(document, "", &spec_document_shape, &a, &b, true);
    bool same = !json_array_size(changed) && !json_array_size(document) &&
                !json_array_size(added) && !json_array_size(removed);
    return json_pack("{s:b, s:{s:o, s:o, s:o}, s:o}", "same", same, "services", "added", added,
                     "removed", removed, "changed", changed, "document", document);
}
