// SPDX-License-Identifier: Apache-2.0
#include "spec/fields/decode.h"
#include "spec/dump/dump_value.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "spec/fields/compat.h"
#include "spec/fields/schema.h"
#include "spec/spec.h"
#include "spec/value/duration.h"
#include "spec/value/envref.h"
#include "spec/value/name.h"
#include "spec/value/signal.h"
#include "spec/value/size.h"

#define DIGITS "0123456789"

/* ---- text ------------------------------------------------------------------------------------ */

static DECODE(decode_text)
{
    const char *text = walk_text(w, n);
    if (text)
        *DECODE_MEMBER(const char *, f, owner) = text;
}

static DECODE(decode_checked)
{
    const struct decode_checked *c = f->detail;
    struct spec_flaw flaw;
    const char *text = walk_text(w, n);
    if (!text)
        return;
    if (c->check(text, &flaw) < 0)
        walk_report(w, walk_severity(w, flaw.strict), c->id, n,
                    "the %s %s is not valid: %s (at byte %zu)", c->what, walk_show(w, text),
                    flaw.why, flaw.at + 1);
    else
        *DECODE_MEMBER(const char *, f, owner) = text;
}

/* A module may be given a folder as its "/", and what is a module its image says later. */
static DECODE(decode_target)
{
    const struct decode_checked *c = f->detail;
    const struct decode_checked any = { spec_check_abs_path, c->id, c->what };
    struct walk_field of_any = *f;

    of_any.detail = &any;
    decode_checked(w, w->alone ? &of_any : f, n, owner);
}

static DECODE(decode_enum)
{
    int value;
    if (walk_enum(w, f->detail, n, &value))
        *DECODE_MEMBER(int, f, owner) = value;
}

static DECODE(decode_image)
{
    char normalized[ZL_IMAGEREF_MAX];
    const char *why, *text = walk_text(w, n);
    if (!text)
        return;
    if (zl_imageref_normalize(text, normalized, &why) < 0)
        walk_report(w, walk_severity(w, spec_compat_takes_image(text)), "E-IMAGE-REF", n,
                    "%s is not an image reference: %s", walk_show(w, text), why);
    else
        *DECODE_MEMBER(const char *, f, owner) = text;
}

static DECODE(decode_signal)
{
    const char *text = walk_text(w, n);
    int number = text ? spec_parse_signal(text) : 0;
    if (number < 0)
        walk_error(w, "E-SIGNAL", n,
                   "%s is not a signal; a name such as SIGTERM or TERM, or 1 to 64, is expected",
                   walk_show(w, text));
    else if (text)
        *DECODE_MEMBER(int, f, owner) = number;
}

static DECODE(decode_source)
{
    struct spec_flaw flaw;
    const char *text = walk_text(w, n);
    if (!text)
        return;
    bool relative = text[0] != '/';
    if (!*text)
        walk_error(w, "E-MOUNT-SOURCE", n, "the source is empty");
    else if (!relative && spec_check_abs_path(text, &flaw) < 0)
        walk_error(w, "E-MOUNT-SOURCE", n, "the source %s is not valid: %s", walk_show(w, text),
                   flaw.why);
    else if (relative && !w->base_dir)
        walk_error(w, "E-MOUNT-SOURCE", n,
                   "the source %s is relative, and there is no file whose "
                   "directory it could start from",
                   walk_show(w, text));
    else
        *DECODE_MEMBER(const char *, f, owner) =
            relative ? zl_arena_printf(w->arena, "%s/%s", w->base_dir, text) : text;
}

/* ---- network mode ---------------------------------------------------------------------------- */

static void bad_network(struct walk *w, const struct doc_node *n, const char *why)
{
    walk_error(w, "E-NETWORK-MODE", n,
               "%s; default, host, none, bridge, bridge:<name> and "
               "container:<id> are allowed",
               why);
}

/* The kind and its name or id: "" is none. */
static void set_network(struct walk *w, const struct doc_node *n, struct spec_service *s,
                        enum spec_net kind, const char *name)
{
    if (kind == SPEC_NET_CONTAINER && !*name) {
        bad_network(w, n, "the id of the container is missing");
        return;
    }
    s->network = kind;
    s->network_name = *name ? name : NULL;
}

/* {name: x} of !bridge, {id: x} of !container. */
static void decode_network_body(struct walk *w, const struct doc_node *n, struct spec_service *s,
                                enum spec_net kind)
{
    static const struct walk_field bridge[] = { { "name", &type_text, 0, 0, NULL, 0 }, { 0 } };
    static const struct walk_field container[] = { { "id", &type_text, 0, 0, NULL, 0 }, { 0 } };
    const struct walk_shape shape = {
        .noun = kind == SPEC_NET_BRIDGE ? "bridge" : "container",
        .fields = kind == SPEC_NET_BRIDGE ? bridge : container,
        .drops_unknown = true,
    };
    const char *name = "";
    if (!doc_is_blank(n) && !doc_is_null(n))
        walk_struct(w, &shape, n, &name);
    set_network(w, n, s, kind, name ? name : "");
}

static const struct {
    const char *tag, *word;
    enum spec_net kind;
} joined_networks[] = {
    { "!bridge", "bridge", SPEC_NET_BRIDGE },
    { "!container", "container", SPEC_NET_CONTAINER },
};

/* A tag with a body, or the same as a mapping of one key: bridge: {name: x}. */
static void decode_network_map(struct walk *w, const struct doc_node *n, struct spec_service *s)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(joined_networks); i++) {
        const struct doc_pair *p = n->tag ? NULL : doc_find(n, joined_networks[i].word);
        if (n->tag && strcmp(n->tag, joined_networks[i].tag) == 0) {
            decode_network_body(w, n, s, joined_networks[i].kind);
            return;
        }
        if (p && n->map.n == 1) {
            decode_network_body(w, p->value, s, joined_networks[i].kind);
            return;
        }
    }
    if (n->tag)
        walk_error(w, "E-TAG", n, "the tag %s has no meaning here; !bridge and !container have",
                   walk_show(w, n->tag));
    else
        bad_network(w, n, "neither bridge nor container is its one key");
}

static DECODE(decode_network)
{
    static const struct walk_word words[] = { { "default", SPEC_NET_DEFAULT, NULL },
                                              { "host", SPEC_NET_HOST, NULL },
                                              { "none", SPEC_NET_NONE, NULL },
                                              { "bridge", SPEC_NET_BRIDGE, NULL },
                                              { 0 } };
    struct spec_service *s = owner;
    (void)f;
    if (n->tag || n->kind == DOC_MAP) {
        decode_network_map(w, n, s);
        return;
    }
    const char *text = walk_text(w, n);
    if (!text)
        return;
    for (const struct walk_word *x = words; x->name; x++) {
        if (strcmp(x->name, text) == 0) {
            s->network = (enum spec_net)x->value;
            return;
        }
    }
    if (strncmp(text, "bridge:", 7) == 0)
        set_network(w, n, s, SPEC_NET_BRIDGE, text + 7);
    else if (strncmp(text, "container:", 10) == 0)
        set_network(w, n, s, SPEC_NET_CONTAINER, text + 10);
    else
        bad_network(w, n, walk_show(w, text));
}

/* ---- numbers --------------------------------------------------------------------------------- */

static DECODE(decode_bool)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {
        { "true", true },   { "True", true },   { "TRUE", true },
        { "false", false }, { "False", false }, { "FALSE", false },
    };
    for (size_t i = 0; n->kind == DOC_SCALAR && n->plain && i < ZL_ARRAY_LEN(words); i++) {
        if (strcmp(n->scalar.text, words[i].text) == 0) {
            *DECODE_MEMBER(bool, f, owner) = words[i].value;
            return;
        }
    }
    walk_type_error(w, n, "true or false", NULL);
}

bool decode_integer_text(const char *text, bool *negative, uint64_t *magnitude, bool *too_big)
{
    static const struct {
        const char *prefix, *digits;
        unsigned base;
    } forms[] = {
        { "0x", "0123456789abcdefABCDEF", 16 },
        { "0o", "01234567", 8 },
        { "0b", "01", 2 },
        { "", DIGITS, 10 },
    };
    *negative = *text == '-';
    text += *text == '-' || *text == '+';
    *magnitude = 0;
    *too_big = false;
    for (size_t i = 0; i < ZL_ARRAY_LEN(forms); i++) {
        size_t skip = strlen(forms[i].prefix);
        if (strncmp(text, forms[i].prefix, skip) != 0)
            continue;
        text += skip;
        size_t n = strspn(text, forms[i].digits);
        if (!n || text[n] || (forms[i].base == 10 && n > 1 && text[0] == '0'))
            return false;
        for (size_t k = 0; k < n; k++) {
            char c = text[k];
            unsigned digit = c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 0x20) - 'a' + 10;
            *too_big |= __builtin_mul_overflow(*magnitude, forms[i].base, magnitude);
            *too_big |= __builtin_add_overflow(*magnitude, digit, magnitude);
        }
        return true;
    }
    return false;
}

/* Whether the number -magnitude or magnitude lies in lo to hi. */
static bool in_range(bool negative, uint64_t magnitude, int64_t lo, uint64_t hi)
{
    if (negative && magnitude)
        return lo < 0 && magnitude <= (uint64_t) - (lo + 1) + 1 && magnitude <= (uint64_t)1 << 63;
    return magnitude <= hi && (lo <= 0 || magnitude >= (uint64_t)lo);
}

static void store_integer(void *out, size_t size, uint64_t bits)
{
    uint8_t u8 = (uint8_t)bits;
    uint16_t u16 = (uint16_t)bits;
    uint32_t u32 = (uint32_t)bits;
    const void *from = size == sizeof u8    ? (const void *)&u8
                       : size == sizeof u16 ? (const void *)&u16
                       : size == sizeof u32 ? &u32
                                            : (void *)&bits;
    memcpy(out, from, size);
}

DECODE(decode_integer)
{
    const struct decode_integer *c = f->detail;
    bool negative, too_big;
    uint64_t magnitude;
    if (n->kind != DOC_SCALAR || !n->plain ||
        !decode_integer_text(n->scalar.text, &negative, &magnitude, &too_big)) {
        walk_type_error(w, n, "a whole number without quotes", NULL);
        return;
    }
    unsigned bits = (unsigned)c->size * CHAR_BIT - c->is_signed;
    uint64_t type_hi = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    int64_t type_lo = c->is_signed ? -(int64_t)type_hi - 1 : 0;
    bool fits = !too_big && in_range(negative, magnitude, type_lo, type_hi);
    if (!fits || !in_range(negative, magnitude, c->lo, c->hi))
        walk_report(w, walk_severity(w, fits && c->strict), fits ? c->id : "E-RANGE", n,
                    "%s is out of range; %lld to %llu are allowed", walk_show(w, n->scalar.text),
                    (long long)c->lo, (unsigned long long)c->hi);
    else
        store_integer(DECODE_MEMBER(char, f, owner), c->size, negative ? -magnitude : magnitude);
}

/* YAML's own numbers: [-+]? ( "." digits | digits [ "." digits? ] ) ( [eE] [-+]? digits )?, but
 * digits alone with a zero in front are a text, as for integers */
static bool is_decimal(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, DIGITS), fraction = 0;
    if (whole > 1 && *s == '0' && !s[whole])
        return false;
    s += whole;
    if (*s == '.') {
        fraction = strspn(++s, DIGITS);
        s += fraction;
    }
    if (!whole && !fraction)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        size_t exponent = strspn(s, DIGITS);
        if (!exponent)
            return false;
        s += exponent;
    }
    return !*s;
}

static bool is_not_finite(const char *s)
{
    static const char *const words[] = { ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF" };
    s += *s == '-' || *s == '+';
    for (size_t i = 0; i < ZL_ARRAY_LEN(words); i++) {
        if (strcmp(s, words[i]) == 0)
            return true;
    }
    return false;
}

static DECODE(decode_cpu)
{
    static const double least = 0.01; /* the kernel takes no quota below 1 ms in 100 ms */
    bool odd = n->kind == DOC_SCALAR && n->plain && is_not_finite(n->scalar.text);
    if (!odd && (n->kind != DOC_SCALAR || !n->plain || !is_decimal(n->scalar.text))) {
        walk_type_error(w, n, "a number of cores without unit and quotes, such as 0.5", NULL);
        return;
    }
    double cores = odd ? -1 : strtod(n->scalar.text, NULL); /* nobody here sets a locale */
    if (!(cores > 0) || isinf(cores)) {
        walk_report(w, walk_severity(w, odd), "E-CPU", n,
                    "%s cores: the number must be more than 0", walk_show(w, n->scalar.text));
        return;
    }
    if (cores < least) {
        walk_warn(w, "W-CPU-RAISED", n,
                  "%s cores is less than the kernel can limit to; 0.01 is "
                  "used",
                  walk_show(w, n->scalar.text));
        cores = least;
    }
    *DECODE_MEMBER(double, f, owner) = cores;
}

static DECODE(decode_size)
{
    struct spec_flaw flaw;
    const char *text = walk_text(w, n);
    uint64_t bytes;
    if (!text)
        return;
    if (spec_parse_size(text, &bytes, &flaw) < 0)
        walk_report(w, walk_severity(w, flaw.strict), f->detail, n, "%s is not a size: %s",
                    walk_show(w, text), flaw.why);
    else
        *DECODE_MEMBER(uint64_t, f, owner) = bytes;
}

static DECODE(decode_swap)
{
    struct spec_flaw flaw;
    const char *text = walk_text(w, n);
    uint64_t bytes;
    if (!text)
        return;
    if (strcmp(text, "-1") == 0)
        *DECODE_MEMBER(int64_t, f, owner) = -1;
    else if (spec_parse_size(text, &bytes, &flaw) < 0 || bytes > INT64_MAX)
        walk_report(w, SPEC_STRICT, "E-MEMORY", n,
                    "%s is neither -1 (unlimited) nor a size: a whole number and Ki, Mi, Gi or Ti "
                    "is expected, such as 512Mi",
                    walk_show(w, text));
    else
        *DECODE_MEMBER(int64_t, f, owner) = (int64_t)bytes;
}

/* Milliseconds, rounded up so that what was written never becomes 0. */
static bool duration_ms(struct walk *w, const char *id, const struct doc_node *n, uint64_t *ret)
{
    struct spec_flaw flaw;
    uint64_t ns;
    const char *text = walk_text(w, n);
    if (!text)
        return false;
    if (spec_parse_duration(text, &ns, &flaw) < 0) {
        walk_report(w, walk_severity(w, flaw.strict), id, n,
                    "%s is not a duration: %s (at byte %zu)", walk_show(w, text), flaw.why,
                    flaw.at + 1);
        return false;
    }
    *ret = ns / 1000000 + (ns % 1000000 != 0);
    return true;
}

static DECODE(decode_duration)
{
    uint64_t ms;
    if (duration_ms(w, f->detail ? f->detail : "E-DURATION", n, &ms))
        *DECODE_MEMBER(uint64_t, f, owner) = ms;
}

static DECODE(decode_positive)
{
    uint64_t ms;
    if (!duration_ms(w, "E-DURATION", n, &ms))
        return;
    if (!ms)
        walk_report(w, SPEC_STRICT, f->detail, n, "%s: it must be more than 0",
                    walk_show(w, n->scalar.text));
    else
        *DECODE_MEMBER(uint64_t, f, owner) = ms;
}

static DECODE(decode_tmpfs_mode)
{
    bool negative, too_big, octal;
    uint64_t mode = 0;
    const char *text = n->kind == DOC_SCALAR && n->plain ? n->scalar.text : "";
    octal = *text && !text[strspn(text, "01234567")] && strlen(text) <= 8;
    for (const char *p = text; octal && *p; p++)
        mode = mode * 8 + (uint64_t)(*p - '0');
    if (!octal)
        octal = strncmp(text, "0o", 2) == 0 &&
                decode_integer_text(text, &negative, &mode, &too_big) && !too_big;
    if (!octal || mode > 07777)
        walk_error(w, "E-TMPFS-MODE", n,
                   "the mode must be octal digits without quotes, at most 7777, such as 1777");
    else
        *DECODE_MEMBER(uint32_t, f, owner) = (uint32_t)mode;
}

/* ---- lists, mappings ------------------------------------------------------------------------- */

static void text_item(struct walk *w, const struct doc_node *n, void *arg, size_t i)
{
    const char **texts = arg;
    if (doc_is_null(n))
        walk_type_error(w, n, "text", NULL);
    else
        texts[i] = walk_text(w, n);
}

static DECODE(decode_texts)
{
    if (n->kind != DOC_SEQ) {
        walk_type_error(w, n, "a list of texts", NULL);
        return;
    }
    const char **texts = zl_arena_array(w->arena, n->seq.n + 1, sizeof *texts);
    if (!texts)
        return;
    walk_items(w, n, text_item, texts);
    *DECODE_MEMBER(struct spec_strings, f, owner) =
        (struct spec_strings){ .v = texts, .n = n->seq.n, .written = true };
}

DECODE(decode_struct)
{
    walk_struct(w, f->detail, n, DECODE_MEMBER(char, f, owner));
}

static DECODE(decode_here)
{
    walk_struct(w, f->detail, n, owner);
}

static DECODE(decode_variant)
{
    walk_variant(w, f->detail, n, DECODE_MEMBER(char, f, owner));
}

struct list_arg {
    const struct walk_list *list;
    char *items;
};

static void struct_item(struct walk *w, const struct doc_node *n, void *arg, size_t i)
{
    const struct list_arg *a = arg;
    void *item = a->items + i * a->list->item_size;
    if (a->list->initial)
        memcpy(item, a->list->initial, a->list->item_size);
    if (a->list->variants)
        walk_variant(w, a->list->variants, n, item);
    else
        walk_struct(w, a->list->shape, n, item);
}

static DECODE(decode_list)
{
    const struct walk_list *list = f->detail;
    struct list_arg arg = { .list = list };
    if (n->kind != DOC_SEQ) {
        const struct walk_shape *shape = list->variants ? list->variants->shapes : list->shape;
        walk_type_error(w, n, "a list of mappings", shape->shorthand);
        return;
    }
    arg.items = zl_arena_array(w->arena, n->seq.n, list->item_size);
    if (!arg.items)
        return;
    walk_items(w, n, struct_item, &arg);
    *DECODE_MEMBER(const void *, f, owner) = arg.items;
    memcpy((char *)owner + list->count_offset, &n->seq.n, sizeof n->seq.n);
}

/* The text of a map's value: a blank is empty, a written null is refused. */
static const char *member_text(struct walk *w, const struct doc_pair *p)
{
    if (doc_is_null(p->value) && !doc_is_blank(p->value)) {
        walk_error(w, "E-ENV-NULL", p->value,
                   "%s: quote it to mean that text, or leave it blank "
                   "to mean the empty one",
                   walk_show(w, p->value->scalar.text));
        return NULL;
    }
    return walk_text(w, p->value);
}

struct pairs_arg {
    struct spec_pair *v; /* room for every member */
    size_t n;
};

static void add_pair(struct walk *w, const struct doc_pair *p, struct pairs_arg *a)
{
    const char *value = member_text(w, p);
    const char *key = value ? zl_arena_strdup(w->arena, p->key->scalar.text) : NULL;
    if (key)
        a->v[a->n++] = (struct spec_pair){
            .key = key, .value = value, .line = p->value->line, .column = p->value->column
        };
}

static void label_member(struct walk *w, const struct doc_pair *p, void *arg, size_t i)
{
    (void)i;
    add_pair(w, p, arg);
}

/* What a reference stands for is looked up when the container starts; here its form is judged. */
static bool env_value_ok(struct walk *w, const struct doc_node *n)
{
    struct spec_env_value value;
    struct spec_flaw flaw;
    if (n->kind != DOC_SCALAR)
        return true; /* reported with the type */
    const char *text = n->scalar.text;
    if (spec_parse_env_value(text, &value, &flaw) < 0) {
        walk_report(w, walk_severity(w, flaw.strict),
                    strncmp(text, "$E:", 3) == 0 ? "E-ENV-HOST-REF" : "E-ENV-SECRET-REF", n,
                    "%s is not a reference: %s (at byte %zu)", walk_show(w, text), flaw.why,
                    flaw.at + 1);
        return false;
    }
    if (value.embedded)
        walk_warn(w, "W-ENV-EMBEDDED-REF", n,
                  "a reference is one only at the beginning of a value; this stays as it is");
    return true;
}

static void env_member(struct walk *w, const struct doc_pair *p, void *arg, size_t i)
{
    (void)i;
    struct spec_flaw flaw;
    const char *name = p->key->scalar.text;
    if (spec_check_env_name(name, &flaw) < 0)
        walk_error(w, "E-ENV-NAME", p->key, "%s is not a name of a variable: %s",
                   walk_show(w, name), flaw.why);
    else if (env_value_ok(w, p->value))
        add_pair(w, p, arg);
}

static void decode_pairs(struct walk *w, const struct walk_field *f, const struct doc_node *n,
                         void *owner, walk_member_fn member)
{
    if (n->kind != DOC_MAP) {
        walk_type_error(w, n, "a mapping", "NAME: value");
        return;
    }
    struct pairs_arg arg = { .v = zl_arena_array(w->arena, n->map.n, sizeof *arg.v) };
    if (!arg.v)
        return;
    walk_members(w, n, member, &arg);
    *DECODE_MEMBER(struct spec_pairs, f, owner) = (struct spec_pairs){ .v = arg.v, .n = arg.n };
}

static DECODE(decode_labels)
{
    decode_pairs(w, f, n, owner, label_member);
}

static DECODE(decode_env)
{
    decode_pairs(w, f, n, owner, env_member);
}

/* ---- the types ------------------------------------------------------------------------------- */

/* clang-format off */
const struct walk_type type_text = { "text", decode_text, value_text, schema_text };
const struct walk_type type_checked = { "text", decode_checked, value_text, schema_checked };
const struct walk_type type_bool = { "true or false", decode_bool, value_bool, schema_bool };
const struct walk_type type_integer = { "a whole number", decode_integer, value_integer, schema_integer };
const struct walk_type type_enum = { "one word", decode_enum, value_enum, schema_enum };
const struct walk_type type_cpu = { "a number of cores", decode_cpu, value_cpu, schema_cpu };
const struct walk_type type_size = { "a size", decode_size, value_size, schema_size };
const struct walk_type type_swap = { "a size or -1", decode_swap, value_swap, schema_swap };
const struct walk_type type_duration = { "a duration", decode_duration, value_duration, schema_duration };
const struct walk_type type_delay = { "a duration", decode_duration, value_positive, schema_duration };
const struct walk_type type_positive = { "a duration", decode_positive, value_positive, schema_duration };
const struct walk_type type_texts = { "a list of texts", decode_texts, value_texts, schema_texts };
const struct walk_type type_struct = { "a mapping", decode_struct, value_struct, schema_struct };
const struct walk_type type_here = { "a mapping", decode_here, value_here, schema_struct };
const struct walk_type type_variant = { "a mapping", decode_variant, value_variant, schema_variant };
const struct walk_type type_list = { "a list", decode_list, value_list, schema_list };
const struct walk_type type_labels = { "a mapping of texts", decode_labels, value_pairs, schema_pairs };
const struct walk_type type_env = { "a mapping of texts", decode_env, value_pairs, schema_pairs };
const struct walk_type type_image = { "an image reference", decode_image, value_text, schema_image };
const struct walk_type type_signal = { "a signal", decode_signal, value_signal, schema_signal };
const struct walk_type type_tmpfs_mode = { "an octal mode", decode_tmpfs_mode, value_tmpfs_mode, schema_tmpfs_mode };
const struct walk_type type_target = { "text", decode_target, value_text, schema_checked };
const struct walk_type type_source = { "a host path", decode_source, value_text, schema_text };
const struct walk_type type_network = { "a network mode", decode_network, value_network, schema_network };
/* clang-format on */
