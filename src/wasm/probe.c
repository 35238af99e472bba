// SPDX-License-Identifier: Apache-2.0
#include "wasm/probe.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const unsigned char wasm_magic[4] = { 0, 'a', 's', 'm' };
enum {
    HEAD = 8,
    LAYER_MODULE = 0,
    LAYER_COMPONENT = 1,
    VERSION_MODULE = 1,
    VERSION_COMPONENT = 13
};

/* A stretch of bytes that is read from its front. Behind its end everything is 0 and `bad`. */
struct reader {
    const unsigned char *start, *at, *end; /* start: of the file, for offsets in messages */
    bool bad;
};

static uint8_t take_byte(struct reader *r)
{
    if (r->at < r->end)
        return *r->at++;
    r->bad = true;
    return 0;
}

/* unsigned LEB128, at most 64 bits */
static uint64_t take_number(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = take_byte(r);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}

static struct reader take_part(struct reader *r, uint64_t n)
{
    struct reader part = { r->start, r->at, r->at, r->bad };

    if (n > (uint64_t)(r->end - r->at)) {
        r->bad = part.bad = true;
        return part;
    }
    r->at += n;
    part.end = r->at;
    return part;
}

static struct probe_name take_name(struct reader *r)
{
    struct reader part = take_part(r, take_number(r));
    return (struct probe_name){ (const char *)part.at, (size_t)(part.end - part.at) };
}

/* ---- kind ---- */

static bool looks_like_text(const char *bytes, size_t n)
{
    size_t i = 0;

    if (zl_utf8_check(bytes, n) != n)
        return false;
    while (i < n) { /* blanks and comments may stand before the first parenthesis */
        if (strchr(" \t\r\n", bytes[i]))
            i++;
        else if (n - i > 1 && bytes[i] == ';' && bytes[i + 1] == ';')
            while (i < n && bytes[i] != '\n')
                i++;
        else
            return bytes[i] == '(';
    }
    return false;
}

int probe_kind_of(const void *bytes, size_t n, enum probe_kind *ret, struct zl_error *err)
{
    const unsigned char *b = bytes;

    if (n >= sizeof wasm_magic && memcmp(b, wasm_magic, sizeof wasm_magic) == 0) {
        if (n < HEAD)
            return zl_fail(err, ZL_ERR_INVALID, "cut off: %zu bytes are too few for WebAssembly",
                           n);
        unsigned version = b[4] | b[5] << 8, layer = b[6] | b[7] << 8;
        bool module = layer == LAYER_MODULE && version == VERSION_MODULE;
        if (!module && (layer != LAYER_COMPONENT || version != VERSION_COMPONENT))
            return zl_fail(
                err, ZL_ERR_INVALID,
                "WebAssembly of version %u and layer %u: neither a core module (1, 0) nor "
                "a component (13, 1)",
                version, layer);
        *ret = module ? PROBE_MODULE : PROBE_COMPONENT;
        return 0;
    }
    if (!looks_like_text(bytes, n))
        return zl_fail(err, ZL_ERR_INVALID,
                       "not WebAssembly: it begins neither with the magic bytes nor as text");
    *ret = PROBE_TEXT;
    return 0;
}

/* ---- sections ---- */

struct probing {
    struct probe *p;
    const struct probe_events *on;
    void *arg;
};

static void tell_import(struct probing *b, struct probe_name module, struct probe_name name,
                        const char *what)
{
    b->p->n_imports++;
    if (b->on && b->on->import)
        b->on->import(b->arg, module, name, what);
}

static void tell_export(struct probing *b, struct probe_name name, const char *what)
{
    b->p->n_exports++;
    if (b->on && b->on->export)
        b->on->export(b->arg, name, what);
}

/* limits: flags, minimum, and with bit 0 a maximum; bit 3: the size of a page follows */
static void take_limits(struct reader *r, struct probe *memory)
{
    uint8_t flags = take_byte(r);
    uint64_t min = take_number(r), max = flags & 1 ? take_number(r) : UINT64_MAX;

    if (flags & 8)
        (void)take_number(r);
    if (memory && !memory->has_memory) {
        memory->has_memory = true;
        memory->memory_min = min;
        memory->memory_max = max;
    }
}

/* A value or reference type: one byte, or (ref null? heaptype). */
static void take_type(struct reader *r)
{
    uint8_t b = take_byte(r);
    if (b == 0x63 || b == 0x64)
        (void)take_number(r); /* signed, but of the same length */
}

static const char *const core_kinds[] = { "function", "table", "memory", "global", "tag" };

static void take_import_type(struct reader *r, uint8_t kind, struct probe *p)
{
    switch (kind) {
    case 0:
        (void)take_number(r);
        break;
    case 1:
        take_type(r);
        take_limits(r, NULL);
        break;
    case 2:
        take_limits(r, p);
        break;
    case 3:
        take_type(r);
        (void)take_byte(r);
        break;
    case 4:
        (void)take_byte(r);
        (void)take_number(r);
        break;
    default:
        r->bad = true;
    }
}

static void core_imports(struct reader *r, struct probing *b)
{
    for (uint64_t n = take_number(r); n > 0 && !r->bad; n--) {
        struct probe_name module = take_name(r), name = take_name(r);
        uint8_t kind = take_byte(r);
        take_import_type(r, kind, b->p);
        if (!r->bad)
            tell_import(b, module, name, core_kinds[kind]);
    }
}

static void core_memories(struct reader *r, struct probing *b)
{
    for (uint64_t n = take_number(r); n > 0 && !r->bad; n--)
        take_limits(r, b->p);
}

static void core_start(struct reader *r, struct probing *b)
{
    (void)r;
    b->p->has_start = true;
}

static void core_exports(struct reader *r, struct probing *b)
{
    for (uint64_t n = take_number(r); n > 0 && !r->bad; n--) {
        struct probe_name name = take_name(r);
        uint8_t kind = take_byte(r);
        (void)take_number(r);
        r->bad |= kind >= ZL_ARRAY_LEN(core_kinds);
        if (!r->bad)
            tell_export(b, name, core_kinds[kind]);
    }
}

/* sort: 0x00 and a core sort, or one byte (component-model Binary.md, "Instance Definitions") */
static const char *take_sort(struct reader *r)
{
    static const char *const sorts[] = { "core", "function",  "value",
                                         "type", "component", "instance" };
    uint8_t sort = take_byte(r);

    if (sort == 0)
        (void)take_byte(r);
    r->bad |= sort >= ZL_ARRAY_LEN(sorts);
    return r->bad ? "" : sorts[sort];
}

/* importname', exportname': 0x00 name, 0x01 name, or since 2025 0x02 name and its options */
static struct probe_name take_component_name(struct reader *r)
{
    uint8_t form = take_byte(r);
    r->bad |= form > 1;
    return take_name(r);
}

/* externdesc; a value's type is told by its first byte and may be followed by more, which ends the
 * reading of this section. */
static const char *take_description(struct reader *r)
{
    const char *what = take_sort(r);

    bool is_type = strcmp(what, "type") == 0;
    if (is_type || strcmp(what, "value") == 0) {
        uint8_t bound = take_byte(r);
        if (is_type && bound != 0)
            return what; /* a new resource: nothing follows */
    }
    (void)take_number(r);
    return what;
}

static void component_imports(struct reader *r, struct probing *b)
{
    for (uint64_t n = take_number(r); n > 0 && !r->bad; n--) {
        struct probe_name name = take_component_name(r);
        const char *what = take_description(r);
        if (!r->bad)
            tell_import(b, (struct probe_name){ "", 0 }, name, what);
    }
}

static void component_exports(struct reader *r, struct probing *b)
{
    for (uint64_t n = take_number(r); n > 0 && !r->bad; n--) {
        struct probe_name name = take_component_name(r);
        const char *what = take_sort(r);
        (void)take_number(r);
        if (take_byte(r) == 1)
            (void)take_description(r);
        if (!r->bad)
            tell_export(b, name, what);
    }
}

typedef void (*section_fn)(struct reader *, struct probing *);
static const section_fn module_sections[] = {
    [2] = core_imports, [5] = core_memories, [7] = core_exports, [8] = core_start
};
static const section_fn component_sections[] = {
    [10] = component_imports, [11] = component_exports
};

static section_fn section_of(enum probe_kind kind, uint8_t id)
{
    if (kind == PROBE_MODULE)
        return id < ZL_ARRAY_LEN(module_sections) ? module_sections[id] : NULL;
    return id < ZL_ARRAY_LEN(component_sections) ? component_sections[id] : NULL;
}

int probe_bytes(const void *bytes, size_t n, const struct probe_events *on, void *arg,
                struct probe *ret, struct zl_error *err)
{
    struct probe p = { 0 };
    struct probing b = { &p, on, arg };
    struct reader r = { bytes, bytes, (const unsigned char *)bytes + n, false };

    if (probe_kind_of(bytes, n, &p.kind, err) < 0)
        return -1;
    if (p.kind != PROBE_TEXT)
        r.at += HEAD;
    while (p.kind != PROBE_TEXT && r.at < r.end) {
        size_t offset = (size_t)(r.at - r.start);
        uint8_t id = take_byte(&r);
        struct reader part = take_part(&r, take_number(&r));
        if (r.bad)
            return zl_fail(err, ZL_ERR_INVALID,
                           "cut off: section %u at offset %zu is longer than the file", id, offset);
        section_fn read = section_of(p.kind, id);
        if (read)
            read(&part, &b);
        p.partial |= part.bad;
        p.sections++;
    }
    *ret = p;
    return 0;
}
