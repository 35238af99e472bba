// SPDX-License-Identifier: Apache-2.0
#include "spec/fields/walk.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spec/fields/compat.h"
#include "spec/value/suggest.h"

/* ---- paths and reports ----------------------------------------------------------------------- */

static bool is_plain_key(const char *key)
{
    size_t n = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    return n && !key[n];
}

static void add_path(const struct walk_path *p, struct zl_buf *out)
{
    if (!p)
        return;
    add_path(p->up, out); /* as deep as the tables nest, not as the document does */
    if (!p->key)
        zl_buf_addf(out, "[%zu]", p->index);
    else if (is_plain_key(p->key))
        zl_buf_addf(out, "%s%s", out->len ? "." : "", p->key);
    else
        zl_buf_addf(out, "[\"%s\"]", p->key);
}

void walk_report(struct walk *w, enum spec_severity severity, const char *id,
                 const struct doc_node *n, const char *fmt, ...)
{
    zl_autobuf struct zl_buf path = ZL_BUF(4096), text = ZL_BUF(16384);
    add_path(w->path, &path);
    va_list ap;
    va_start(ap, fmt);
    zl_buf_vaddf(&text, fmt, ap);
    va_end(ap);
    bool strict = severity == SPEC_STRICT || (severity == SPEC_ERROR && spec_compat_takes(id));
    if (strict)
        severity = w->compat ? SPEC_WARNING : SPEC_ERROR;
    spec_diags_add(w->diags, severity, id, n->line, n->column, path.data, "%s", text.data);
}

enum spec_severity walk_severity(const struct walk *w, bool strict)
{
    return strict || w->unchecked ? SPEC_STRICT : SPEC_ERROR;
}

const char *walk_show(struct walk *w, const char *text)
{
    enum { SHOWN = 80 };
    zl_autobuf struct zl_buf out = ZL_BUF(SHOWN * 4 + 8);
    size_t n = strlen(text), shown = n;
    if (n > SHOWN) {
        shown = SHOWN;
        while (((unsigned char)text[shown] & 0xc0) == 0x80) /* not in the middle of a character */
            shown--;
    }
    zl_buf_addc(&out, '\'');
    for (size_t i = 0; i < shown; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            zl_buf_addf(&out, "\\x%02x", (unsigned char)text[i]);
        else
            zl_buf_addc(&out, text[i]);
    }
    zl_buf_adds(&out, shown < n ? "'…" : "'");
    const char *copy = zl_arena_strdup(w->arena, out.data);
    return copy ? copy : "'…'";
}

static const char *show_node(struct walk *w, const struct doc_node *n)
{
    if (n->kind != DOC_SCALAR)
        return doc_kind_name(n);
    if (doc_is_null(n))
        return "nothing";
    const char *shown = walk_show(w, n->scalar.text);
    return n->plain ? shown : zl_arena_printf(w->arena, "the text %s", shown);
}

static void type_error(struct walk *w, enum spec_severity severity, const struct doc_node *n,
                       const char *wanted, const char *shorthand)
{
    walk_report(w, severity, "E-TYPE", n, "expected %s, found %s%s%s", wanted, show_node(w, n),
                shorthand ? "; write " : "", shorthand ? shorthand : "");
}

void walk_type_error(struct walk *w, const struct doc_node *n, const char *wanted,
                     const char *shorthand)
{
    type_error(w, SPEC_ERROR, n, wanted, shorthand);
}

/* Whether nobody will read another error: then its text is not worth the search for near names. */
static bool enough(const struct walk *w)
{
    return w->diags->n_errors >= SPEC_DIAGS_KEPT;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static struct walk_path member_path(const struct walk *w, const struct doc_pair *p)
{
    return (struct walk_path){ .up = w->path, .key = p->key->scalar.text, .at = p->key };
}

/* Whether the pair may be looked at: its key is text, no merge key, and comes for the first time.
 * Of a free mapping v1 takes the last of two, and << for a name. */
static bool key_is_usable(struct walk *w, const struct doc_pair *p, bool free_map)
{
    enum spec_severity severity = free_map ? SPEC_STRICT : SPEC_ERROR;
    if (p->key->kind != DOC_SCALAR) {
        walk_type_error(w, p->key, "text as a key", NULL);
        return false;
    }
    if (p->key->plain && strcmp(p->key->scalar.text, "<<") == 0) {
        walk_report(w, severity, "E-MERGE-KEY", p->key,
                    "merge keys (<<) are not supported; write the fields out or give the whole "
                    "mapping by an alias");
        return false;
    }
    if (p->first) {
        struct walk_path at = member_path(w, p);
        w->path = &at;
        walk_report(w, severity, "E-DUP-KEY", p->key, "the key %s stands here and in line %d",
                    walk_show(w, p->key->scalar.text), p->first->line);
        w->path = at.up;
        return false;
    }
    return true;
}

bool walk_tag_is_usable(struct walk *w, const struct doc_node *n)
{
    if (!n->tag)
        return true;
    walk_error(w, "E-TAG", n, "the tag %s has no meaning here; leave it out", walk_show(w, n->tag));
    return false;
}

/* ---- structs --------------------------------------------------------------------------------- */

static const struct walk_field *find_field(const struct walk_shape *shape, const char *name)
{
    for (const struct walk_field *f = shape->fields; f->name; f++) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static const char *find_habit(const struct walk_shape *shape, const char *name)
{
    for (const struct walk_habit *h = shape->habits; h && h->name; h++) {
        if (strcmp(h->name, name) == 0)
            return h->instead;
    }
    return NULL;
}

static void unknown_field(struct walk *w, const struct walk_shape *shape,
                          const struct doc_node *key)
{
    zl_autobuf struct zl_buf text = ZL_BUF(8192);
    struct spec_nearest near = { .typed = key->scalar.text };
    const char *habit = find_habit(shape, key->scalar.text);
    const char *id = shape->unknown_id ? shape->unknown_id : "E-UNKNOWN-FIELD";
    enum spec_severity severity = shape->drops_unknown ? SPEC_STRICT : SPEC_ERROR;
    if (enough(w)) {
        walk_report(w, severity, id, key, "unknown field");
        return;
    }
    zl_buf_addf(&text, "%s has no field %s", shape->noun, walk_show(w, key->scalar.text));
    for (const struct walk_field *f = shape->fields; f->name; f++)
        spec_nearest_try(&near, f->name);
    if (habit)
        zl_buf_addf(&text, "; write %s", habit);
    else if (near.word)
        zl_buf_addf(&text, "; did you mean '%s'?", near.word);
    zl_buf_adds(&text, habit || !near.word ? "; allowed: " : " Allowed: ");
    zl_buf_adds(&text, shape->discriminator ? shape->discriminator : "");
    const char *comma = shape->discriminator ? ", " : "";
    for (const struct walk_field *f = shape->fields; f->name; f++) {
        zl_buf_addf(&text, "%s%s", comma, f->name);
        comma = ", ";
    }
    walk_report(w, severity, id, key, "%s", text.data);
}

/* Whether both the field and its alias are written; said once, at the later of the two. */
static bool other_spelling(struct walk *w, const struct walk_field *f, const struct doc_pair *p)
{
    if (f->flags & WALK_DEPRECATED)
        walk_warn(w, "W-DEPRECATED", p->key, "'%s' is an old spelling%s%s", f->name,
                  f->flags & WALK_ALIAS ? "; write " : "",
                  f->flags & WALK_ALIAS ? (f - 1)->name : "");
    const struct doc_pair *other = f->flags & WALK_ALIAS ? doc_find(w->map, (f - 1)->name) : NULL;
    if (!other || doc_is_null(other->value))
        return false;
    bool after = p->key->line > other->key->line ||
                 (p->key->line == other->key->line && p->key->column > other->key->column);
    walk_error(w, "E-DUP-KEY", after ? p->key : other->key,
               "'%s' and '%s' are one field: it stands here and in line %d", (f - 1)->name, f->name,
               after ? other->key->line : p->key->line);
    return true;
}

static void decode_field(struct walk *w, const struct walk_field *f, const struct doc_node *n,
                         void *owner)
{
    bool unchecked = w->unchecked;
    if (f->written)
        *(bool *)((char *)owner + f->written) = true;
    w->unchecked |= (f->flags & WALK_UNCHECKED) != 0;
    f->type->decode(w, f, n, owner);
    w->unchecked = unchecked;
}

static void walk_pair(struct walk *w, const struct walk_shape *shape, const struct doc_pair *p,
                      void *owner)
{
    const char *name = p->key->scalar.text;
    if (shape->discriminator && strcmp(name, shape->discriminator) == 0)
        return;
    struct walk_path at = member_path(w, p);
    w->path = &at;
    const struct walk_field *f = find_field(shape, name);
    bool absent = doc_is_null(p->value);
    if (!f)
        unknown_field(w, shape, p->key);
    else if (w->compat && f->flags & WALK_EXTENSION)
        walk_error(w, "E-UNKNOWN-FIELD", p->key,
                   "the field '%s' is an extension, which plain v1 does not have", name);
    else if (!absent && !other_spelling(w, f, p) &&
             (f->flags & WALK_TAGGED || walk_tag_is_usable(w, p->value)))
        decode_field(w, f, p->value, owner);
    w->path = at.up;
}

static void report_missing(struct walk *w, const char *id, const char *noun,
                           const struct doc_node *n, const char *name)
{
    const struct doc_pair *written = doc_find(n, name);
    const struct doc_node *at = written ? written->key : w->path && w->path->at ? w->path->at : n;
    walk_error(w, id ? id : "E-MISSING-FIELD", at, "%s needs the field '%s'%s", noun, name,
               written ? ", which is blank here" : "");
}

/* The lines with secrets, also of a key that is misspelled, or that stands there twice. */
static void hide_secrets(struct walk *w, const struct walk_shape *shape, const struct doc_node *n)
{
    for (size_t i = 0; i < n->map.n; i++) {
        const struct doc_node *key = n->map.v[i].key, *value = n->map.v[i].value;
        struct spec_nearest near = { .typed = key->kind == DOC_SCALAR ? key->scalar.text : "" };
        for (const struct walk_field *f = shape->fields; f->name; f++)
            spec_nearest_try(&near, f->name);
        const struct walk_field *f = near.word ? find_field(shape, near.word) : NULL;
        if (f && f->flags & WALK_SECRET)
            spec_diags_hide(w->diags, value->line,
                            value->kind == DOC_SCALAR ? value->last_line : INT_MAX);
    }
}

void walk_struct(struct walk *w, const struct walk_shape *shape, const struct doc_node *n,
                 void *owner)
{
    if (n->kind != DOC_MAP) {
        walk_type_error(w, n, "a mapping", shape->shorthand);
        return;
    }
    if (shape->has_secret)
        hide_secrets(w, shape, n);
    const struct doc_node *outer = w->map;
    w->map = n;
    for (size_t i = 0; i < n->map.n; i++) {
        if (key_is_usable(w, &n->map.v[i], false))
            walk_pair(w, shape, &n->map.v[i], owner);
    }
    w->map = outer;
    for (const struct walk_field *f = shape->fields; f->name; f++) {
        const struct doc_pair *p = f->flags & WALK_REQUIRED ? doc_find(n, f->name) : NULL;
        if (f->flags & WALK_REQUIRED && (!p || doc_is_null(p->value)))
            report_missing(w, shape->unknown_id, shape->noun, n, f->name);
    }
}

static const struct walk_word *find_word(const struct walk_word *words, const char *text)
{
    for (; words->name; words++) {
        if (strcmp(words->name, text) == 0)
            return words;
    }
    return NULL;
}

static bool variant_kind(struct walk *w, const struct walk_variants *v, const struct doc_pair *p,
                         int *kind)
{
    struct walk_path at = member_path(w, p);
    w->path = &at;
    bool ok = walk_tag_is_usable(w, p->value) && walk_enum(w, v->words, p->value, kind);
    w->path = at.up;
    return ok;
}

/* [fixed, 3] for {mode: fixed, replicas: 3} */
static bool is_list_form(const struct walk_variants *v, const struct doc_node *n)
{
    const struct doc_node *first = n->kind == DOC_SEQ && n->seq.n ? n->seq.v[0] : NULL;
    return v->takes_lists && first && first->kind == DOC_SCALAR &&
           find_word(v->words, first->scalar.text);
}

void walk_variant(struct walk *w, const struct walk_variants *v, const struct doc_node *n,
                  void *owner)
{
    int kind;
    if (n->kind != DOC_MAP) {
        type_error(w, is_list_form(v, n) ? SPEC_STRICT : SPEC_ERROR, n, "a mapping",
                   v->shapes[0].shorthand);
        return;
    }
    const struct doc_pair *p = doc_find(n, v->key);
    if (!p || doc_is_null(p->value)) {
        report_missing(w, NULL, v->noun, n, v->key);
        return;
    }
    if (!variant_kind(w, v, p, &kind))
        return;
    memcpy((char *)owner + v->kind_offset, &kind, sizeof kind);
    walk_struct(w, &v->shapes[kind], n, owner);
}

/* ---- values ---------------------------------------------------------------------------------- */

const char *walk_text(struct walk *w, const struct doc_node *n)
{
    if (n->kind != DOC_SCALAR) {
        walk_type_error(w, n, "text", NULL);
        return NULL;
    }
    const char *copy = zl_arena_strndup(w->arena, n->scalar.text, n->scalar.len);
    return copy;
}

static void unknown_word(struct walk *w, const struct walk_word *words, const struct doc_node *n)
{
    zl_autobuf struct zl_buf text = ZL_BUF(2048);
    struct spec_nearest near = { .typed = n->scalar.text };
    const struct walk_word *meant = find_word(words, n->scalar.text);
    const char *comma = "";
    if (enough(w)) {
        walk_error(w, "E-ENUM", n, "unknown word");
        return;
    }
    zl_buf_addf(&text, "%s is not one of ", walk_show(w, n->scalar.text));
    for (const struct walk_word *x = words; x->name; x++) {
        if (x->instead)
            continue;
        spec_nearest_try(&near, x->name);
        zl_buf_addf(&text, "%s%s", comma, x->name);
        comma = ", ";
    }
    if (meant || near.word)
        zl_buf_addf(&text, "; did you mean '%s'?", meant ? meant->instead : near.word);
    walk_error(w, "E-ENUM", n, "%s", text.data);
}

bool walk_enum(struct walk *w, const struct walk_word *words, const struct doc_node *n, int *ret)
{
    if (n->kind != DOC_SCALAR) {
        walk_type_error(w, n, "one word", NULL);
        return false;
    }
    const struct walk_word *x = find_word(words, n->scalar.text);
    if (!x || x->instead) {
        unknown_word(w, words, n);
        return false;
    }
    *ret = x->value;
    return true;
}

void walk_items(struct walk *w, const struct doc_node *list, walk_item_fn item, void *arg)
{
    for (size_t i = 0; i < list->seq.n; i++) {
        const struct doc_node *n = list->seq.v[i];
        struct walk_path at = { .up = w->path, .index = i, .at = n };
        w->path = &at;
        if (walk_tag_is_usable(w, n))
            item(w, n, arg, i);
        w->path = at.up;
    }
}

void walk_members(struct walk *w, const struct doc_node *map, walk_member_fn member, void *arg)
{
    for (size_t i = 0; i < map->map.n; i++) {
        const struct doc_pair *p = &map->map.v[i];
        if (!key_is_usable(w, p, true))
            continue;
        struct walk_path at = member_path(w, p);
        w->path = &at;
        if (walk_tag_is_usable(w, p->value))
            member(w, p, arg, i);
        w->path = at.up;
    }
}
