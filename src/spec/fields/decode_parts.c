// SPDX-License-Identifier: Apache-2.0
/* Types that hold parts of their own, or that have more than one spelling. */
#include "spec/fields/decode.h"

#include <string.h>
#include <time.h>

#include "spec/dump/dump_value.h"
#include "spec/fields/compat.h"
#include "spec/fields/rules.h"
#include "spec/fields/schema.h"
#include "spec/spec.h"
#include "spec/time/cron.h"
#include "spec/time/tzif.h"
#include "spec/time/zonefile.h"

/* ---- parts that may be absent, and mappings of parts ------------------------------------------
 */

static void decode_item(struct walk *w, const struct walk_list *list, const struct doc_node *n,
                        void *item)
{
    if (list->initial)
        memcpy(item, list->initial, list->item_size);
    if (list->variants)
        walk_variant(w, list->variants, n, item);
    else
        walk_struct(w, list->shape, n, item);
}

static DECODE(decode_optional)
{
    const struct walk_list *part = f->detail;
    void *item = zl_arena_alloc(w->arena, part->item_size);
    if (!item)
        return;
    decode_item(w, part, n, item);
    *DECODE_MEMBER(const void *, f, owner) = item;
}

struct map_arg {
    const struct decode_map *map;
    char *items;
    size_t n;
};

static void map_member(struct walk *w, const struct doc_pair *p, void *arg, size_t i)
{
    (void)i;
    struct map_arg *a = arg;
    const struct decode_checked *key = a->map->key;
    struct spec_flaw flaw;
    const char *name = zl_arena_strdup(w->arena, p->key->scalar.text);
    char *item = a->items + a->n * a->map->list.item_size;
    if (!name)
        return;
    if (key->check(name, &flaw) < 0)
        walk_error(w, key->id, p->key, "the %s %s is not valid: %s", key->what, walk_show(w, name),
                   flaw.why);
    decode_item(w, &a->map->list, p->value, item);
    *(const char **)(void *)item = name; /* the name is the first member */
    a->n++;
}

static DECODE(decode_map)
{
    const struct decode_map *map = f->detail;
    struct map_arg arg = { .map = map };
    if (n->kind != DOC_MAP) {
        walk_type_error(w, n, "a mapping", map->list.shape->shorthand);
        return;
    }
    arg.items = zl_arena_array(w->arena, n->map.n, map->list.item_size);
    if (!arg.items)
        return;
    walk_members(w, n, map_member, &arg);
    *DECODE_MEMBER(const void *, f, owner) = arg.items;
    memcpy((char *)owner + map->list.count_offset, &arg.n, sizeof arg.n);
}

/* ---- lists and mappings of checked texts ------------------------------------------------------
 */

struct checked_arg {
    const struct decode_checked *checked;
    const char **v;
};

static void checked_item(struct walk *w, const struct doc_node *n, void *arg, size_t i)
{
    struct checked_arg *a = arg;
    struct spec_flaw flaw;
    const char *text = doc_is_null(n) ? NULL : walk_text(w, n);
    if (doc_is_null(n))
        walk_type_error(w, n, "text", NULL);
    a->v[i] = text ? text : "";
    if (text && a->checked->check(text, &flaw) < 0)
        walk_error(w, a->checked->id, n, "the %s %s is not valid: %s", a->checked->what,
                   walk_show(w, text), flaw.why);
}

static void decode_texts(struct walk *w, const struct walk_field *f, const struct doc_node *n,
                         void *owner, walk_item_fn item)
{
    struct checked_arg arg = { .checked = f->detail };
    if (n->kind != DOC_SEQ) {
        walk_type_error(w, n, "a list of texts", NULL);
        return;
    }
    arg.v = zl_arena_array(w->arena, n->seq.n + 1, sizeof *arg.v);
    if (!arg.v)
        return;
    for (size_t i = 0; i < n->seq.n; i++)
        arg.v[i] = ""; /* of an element that was refused */
    walk_items(w, n, item, &arg);
    *DECODE_MEMBER(struct spec_strings, f, owner) =
        (struct spec_strings){ .v = arg.v, .n = n->seq.n, .written = true };
}

static DECODE(decode_checked_texts)
{
    decode_texts(w, f, n, owner, checked_item);
}

/* A profile is a file of the host: its path starts where the document's other relative ones do. */
static void security_item(struct walk *w, const struct doc_node *n, void *arg, size_t i)
{
    static const char seccomp[] = "seccomp=";
    struct checked_arg *a = arg;
    checked_item(w, n, arg, i);
    const char *path = a->v[i] + sizeof seccomp - 1;
    if (strncmp(a->v[i], seccomp, sizeof seccomp - 1) != 0 || !*path || *path == '/' ||
        strcmp(path, "unconfined") == 0)
        return;
    if (w->base_dir)
        a->v[i] = zl_arena_printf(w->arena, "%s%s/%s", seccomp, w->base_dir, path);
    else
        walk_error(w, a->checked->id, n,
                   "the path of %s is relative, and there is no file whose directory it could "
                   "start from",
                   walk_show(w, a->v[i]));
}

static DECODE(decode_security_opts)
{
    decode_texts(w, f, n, owner, security_item);
}

static DECODE(decode_sysctls)
{
    struct spec_flaw flaw;
    type_labels.decode(w, f, n, owner);
    for (size_t i = 0; n->kind == DOC_MAP && i < n->map.n; i++) {
        const struct doc_node *key = n->map.v[i].key;
        struct walk_path at = { .up = w->path };
        if (key->kind != DOC_SCALAR || spec_check_sysctl(key->scalar.text, &flaw) == 0)
            continue;
        at.key = key->scalar.text;
        w->path = &at;
        walk_error(w, "E-SYSCTL", key, "the setting %s is not possible: %s", walk_show(w, at.key),
                   flaw.why);
        w->path = at.up;
    }
}

/* ---- three-valued bool ------------------------------------------------------------------------
 */

static DECODE(decode_said)
{
    bool value = false;
    const struct walk_field plain = { .name = f->name };
    size_t errors = w->diags->n_errors;
    type_bool.decode(w, &plain, n, &value);
    if (errors == w->diags->n_errors)
        *DECODE_MEMBER(enum spec_said, f, owner) = value ? SPEC_SAID_TRUE : SPEC_SAID_FALSE;
}

/* ---- affinity ---------------------------------------------------------------------------------
 */

static void decode_pin(struct walk *w, const struct doc_node *n, struct spec_affinity *a)
{
    const char *text = walk_text(w, n);
    if (!text)
        return;
    size_t start = strspn(text, " \t"), len = strlen(text + start);
    while (len && strchr(" \t\n", text[start + len - 1]))
        len--;
    const char *pin = zl_arena_strndup(w->arena, text + start, len);
    const char *equals = pin ? strchr(pin, '=') : NULL;
    bool id = pin && strncmp(pin, "id=", 3) == 0;
    if (!equals || equals == pin || !equals[1] || (id && pin[3 + strspn(pin + 3, "0123456789")]))
        walk_error(w, "E-PIN-SELECTOR", n, "%s is not a selector; id=NUMBER or LABEL=VALUE is",
                   walk_show(w, text));
    else
        *a = (struct spec_affinity){ SPEC_AFFINITY_PIN, pin };
}

/* "spread", "pack", !pin SELECTOR, or {pin: SELECTOR}. */
static DECODE(decode_affinity)
{
    static const struct walk_word words[] = {
        { "spread", SPEC_AFFINITY_SPREAD, NULL },
        { "pack", SPEC_AFFINITY_PACK, NULL },
        { 0 },
    };
    static const struct walk_field pin_fields[] = { { "pin", &type_text, 0, 0, NULL, 0 }, { 0 } };
    static const struct walk_shape pin_shape = { .noun = "affinity", .fields = pin_fields };
    struct spec_affinity *a = DECODE_MEMBER(struct spec_affinity, f, owner);
    const struct doc_pair *pin = doc_find(n, "pin");
    const char *ignored = NULL;
    int kind;
    if (n->tag && strcmp(n->tag, "!pin") != 0) {
        walk_error(w, "E-TAG", n, "the tag %s has no meaning here; !pin has", walk_show(w, n->tag));
    } else if (n->tag) {
        decode_pin(w, n, a);
    } else if (n->kind == DOC_MAP) {
        walk_struct(w, &pin_shape, n, &ignored);
        if (!pin || doc_is_null(pin->value))
            walk_error(w, "E-MISSING-FIELD", n, "affinity needs the field 'pin'");
        else if (pin->value->kind == DOC_SCALAR)
            decode_pin(w, pin->value, a);
    } else if (walk_enum(w, words, n, &kind)) {
        a->kind = (enum spec_affinity_kind)kind;
    }
}

/* ---- schedules --------------------------------------------------------------------------------
 */

static DECODE(decode_cron)
{
    struct cron cron;
    struct cron_flaw flaw;
    char why[320];
    int64_t next;
    const char *text = walk_text(w, n);
    if (!text)
        return;
    if (cron_parse(text, &cron, &flaw) < 0) {
        (void)cron_flaw_format(&flaw, why, sizeof why);
        walk_report(w, walk_severity(w, spec_compat_takes_cron(text)), "E-CRON-SYNTAX", n,
                    "%s is not a schedule: %s", walk_show(w, text), why);
        return;
    }
    if (!cron_next(&cron, NULL, time(NULL), &next))
        walk_warn(w, "W-CRON-NEVER", n, "%s never fires", walk_show(w, text));
    *DECODE_MEMBER(const char *, f, owner) = text;
}

/* A zone that is not among the files is refused, but only where there are zone files to read. */
static DECODE(decode_time_zone)
{
    struct zl_error err;
    struct tz *utc = NULL, *zone = NULL;
    const char *text = walk_text(w, n);
    if (!text)
        return;
    bool bad = !tz_name_valid(text);
    if (!bad && tz_load(TZ_DIR, text, &zone, &err) < 0) {
        bool readable = tz_load(TZ_DIR, "Etc/UTC", &utc, &err) == 0;
        bad = readable;
        tz_free(utc);
    }
    tz_free(zone);
    if (bad)
        walk_error(w, "E-TIME-ZONE", n,
                   "%s is not a time zone; a name such as Europe/Berlin or UTC is expected",
                   walk_show(w, text));
    else
        *DECODE_MEMBER(const char *, f, owner) = text;
}

/* ---- the parameters of an init step -----------------------------------------------------------
 */

static DECODE(decode_init_with)
{
    const struct walk_variants *actions = f->detail;
    const struct doc_pair *uses = doc_find(w->map, "uses");
    if (!uses || uses->value->kind != DOC_SCALAR)
        return; /* what the parameters mean is not known, and that is reported */
    for (const struct walk_word *x = actions->words; x->name; x++) {
        if (!x->instead && strcmp(x->name, uses->value->scalar.text) == 0)
            walk_struct(w, &actions->shapes[x->value], n, DECODE_MEMBER(char, f, owner));
    }
}

/* clang-format off */
const struct walk_type type_optional      = { "a mapping", decode_optional, value_optional, schema_optional };
const struct walk_type type_map           = { "a mapping of mappings", decode_map, value_map, schema_map };
const struct walk_type type_checked_texts = { "a list of texts", decode_checked_texts, value_texts, schema_texts };
const struct walk_type type_security_opts = { "a list of texts", decode_security_opts, value_texts, schema_texts };
const struct walk_type type_sysctls       = { "a mapping of texts", decode_sysctls, value_pairs, schema_pairs };
const struct walk_type type_said          = { "true or false", decode_said, value_said, schema_bool };
const struct walk_type type_affinity      = { "an affinity", decode_affinity, value_affinity, schema_affinity };
const struct walk_type type_cron          = { "a cron expression", decode_cron, value_text, schema_text };
const struct walk_type type_time_zone     = { "a time zone", decode_time_zone, value_text, schema_text };
const struct walk_type type_init_with     = { "a mapping", decode_init_with, value_init_with, schema_init_with };
/* clang-format on */
