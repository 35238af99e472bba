// SPDX-License-Identifier: Apache-2.0
/*
 * libfyaml's events, made into nodes. Its own document tree is not used: it stops at the first
 * repeated key, looks for repetitions in quadratic time and has no bound on aliases.
 *
 * A container under construction keeps its children on one shared stack; when it ends, they move
 * into an array of the right size. Nothing here recurses, so nesting cannot exhaust the stack.
 */
#include "base/doc.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/hash.h"
#include "base/quoted.h"
#include "base/utf8.h"

struct anchor {
    const char *name;
    struct doc_node *node;
    bool open; /* its node has not ended: an alias now would be a cycle */
    uint64_t weight;
    unsigned height;
};

struct level { /* a container under construction */
    struct doc_node *node;
    size_t first;    /* of its children on the stack */
    uint64_t weight; /* nodes in it, aliases expanded */
    unsigned height; /* levels of containers, its own included, aliases expanded */
    size_t anchor;   /* index + 1 of its own anchor; 0: none */
};

struct builder {
    struct zl_arena *arena;
    struct doc_error *error;
    struct fy_parser *parser;
    struct fy_diag *diag;
    const char *text, *end; /* what is parsed */
    struct level levels[DOC_MAX_DEPTH];
    unsigned depth;
    struct doc_node **stack; /* children of the open containers */
    size_t n_stack, cap_stack;
    struct anchor *anchors;
    uint32_t *anchor_slots; /* twice cap_anchors: by name, the latest of each */
    size_t n_anchors, cap_anchors;
    struct doc_node *root;
    uint64_t events, expanded;
    unsigned documents;
    int line, column; /* of the last token: where a blank value is said to be */
};

static int fail_at(struct builder *b, enum doc_problem problem, int line, int column,
                   const char *fmt, ...) ZL_PRINTF(5, 6);

static int fail_at(struct builder *b, enum doc_problem problem, int line, int column,
                   const char *fmt, ...)
{
    va_list ap;
    *b->error = (struct doc_error){ .problem = problem, .line = line, .column = column };
    va_start(ap, fmt);
    (void)vsnprintf(b->error->text, sizeof b->error->text, fmt, ap); /* cut: still a sentence */
    va_end(ap);
    return -1;
}

static int no_memory(struct builder *b)
{
    return fail_at(b, DOC_NO_MEMORY, 0, 0, "out of memory");
}

/* ---- encoding -------------------------------------------------------------------------------- */

static int check_encoding(struct builder *b, const char *text, size_t len)
{
    size_t bad = zl_utf8_check(text, len);
    if (bad == len)
        return 0;
    int line = 1, column = 1;
    for (size_t i = 0; i < bad; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return fail_at(b, DOC_BAD_UTF8, line, column, "byte %zu (0x%02x) is %s", bad + 1,
                   (unsigned char)text[bad], text[bad] ? "not UTF-8" : "not allowed in a text");
}

/*
 * libfyaml reads a directive in quadratic time, so a long one is refused. Directives stand before a
 * document: at the beginning, or behind a line "...", with only comments and blank lines between.
 */
static int check_directives(struct builder *b, const char *text, size_t len)
{
    enum { MAX_DIRECTIVE = 1024 };
    bool before_document = true;
    int line = 1;
    for (size_t i = 0, n; i < len; i += n + 1, line++) {
        const char *end = memchr(text + i, '\n', len - i);
        n = end ? (size_t)(end - text) - i : len - i;
        if (before_document && text[i] == '%' && n > MAX_DIRECTIVE)
            return fail_at(b, DOC_LIMIT, line, 1, "a directive is longer than %d bytes",
                           MAX_DIRECTIVE);
        size_t blank = 0;
        while (blank < n && strchr(" \t\r", text[i + blank])) /* no NUL: check_encoding */
            blank++;
        if (n >= 3 && text[i] == '.' && text[i + 1] == '.' && text[i + 2] == '.')
            before_document = true;
        else if (blank < n && text[i + blank] != '#' && text[i] != '%')
            before_document = false;
    }
    return 0;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static int grow_stack(struct builder *b)
{
    size_t cap = b->cap_stack ? b->cap_stack * 2 : 64;
    struct doc_node **grown = reallocarray(b->stack, cap, sizeof(void *));
    if (!grown)
        return no_memory(b);
    b->stack = grown;
    b->cap_stack = cap;
    return 0;
}

static int push_child(struct builder *b, struct doc_node *n)
{
    if (b->n_stack == b->cap_stack && grow_stack(b) < 0)
        return -1;
    b->stack[b->n_stack++] = n;
    return 0;
}

/* n, with all below it, becomes the next child of the innermost open container, or the root. */
static int add_node(struct builder *b, struct doc_node *n, uint64_t weight, unsigned height)
{
    if (!b->depth) {
        b->root = n;
        return 0;
    }
    struct level *up = &b->levels[b->depth - 1];
    up->weight += weight;
    if (up->height < height + 1)
        up->height = height + 1;
    if (b->depth + height > DOC_MAX_DEPTH)
        return fail_at(b, DOC_LIMIT, n->line, n->column, "nested deeper than %d levels",
                       DOC_MAX_DEPTH);
    return push_child(b, n);
}

/*
 * Maps of more than a few pairs have a table behind the pairs: open addressing, index + 1 or 0 for
 * a free slot, at most half full. A hostile document must not be able to choose keys that collide,
 * so the hash begins with the random bytes that the kernel gives each process (getauxval(3)).
 */
enum { SEARCHED_PAIRS = 8 };

static uint64_t key_hash(const char *text, size_t len)
{
    uint64_t random;
    memcpy(&random, (const void *)(uintptr_t)getauxval(AT_RANDOM), sizeof random);
    uint64_t h = zl_hash_bytes(ZL_HASH_START ^ random, text, len);
    return h ^ h >> 32; /* so that the low bits depend on all of the random ones */
}

static bool same_key(const struct doc_node *key, const char *text, size_t len)
{
    return key->kind == DOC_SCALAR && key->scalar.len == len &&
           memcmp(key->scalar.text, text, len) == 0;
}

static size_t count_slots(size_t pairs)
{
    size_t n = pairs > SEARCHED_PAIRS ? 2 * SEARCHED_PAIRS : 0;
    while (n < 2 * pairs && n)
        n *= 2;
    return n;
}

static uint32_t *map_slots(const struct doc_node *map)
{
    return (uint32_t *)(void *)(map->map.v + map->map.n);
}

/* The slot of this key, or where it would be put. */
static uint32_t *find_slot(const struct doc_node *map, const char *text, size_t len)
{
    uint32_t *slots = map_slots(map);
    size_t mask = count_slots(map->map.n) - 1;
    size_t i = key_hash(text, len) & mask;
    while (slots[i] && !same_key(map->map.v[slots[i] - 1].key, text, len))
        i = (i + 1) & mask;
    return &slots[i];
}

/* The first pair of this key among the first n; NULL: none. */
static struct doc_pair *search_pair(const struct doc_node *map, size_t n, const char *text,
                                    size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (same_key(map->map.v[i].key, text, len))
            return &map->map.v[i];
    }
    return NULL;
}

/* The pair of the same key before pair i; NULL: none, and the key is noted. */
static struct doc_pair *note_key(const struct doc_node *map, size_t i)
{
    const struct doc_node *key = map->map.v[i].key;
    if (map->map.n <= SEARCHED_PAIRS)
        return search_pair(map, i, key->scalar.text, key->scalar.len);
    uint32_t *slot = find_slot(map, key->scalar.text, key->scalar.len);
    if (*slot)
        return &map->map.v[*slot - 1];
    *slot = (uint32_t)i + 1;
    return NULL;
}

static int end_map(struct builder *b, struct doc_node *map, struct doc_node **children, size_t n)
{
    size_t pairs = n / 2; /* at most 8 M: no overflow below */
    map->map.n = pairs;
    map->map.v = zl_arena_alloc(b->arena,
                                pairs * sizeof *map->map.v + count_slots(pairs) * sizeof(uint32_t));
    if (!map->map.v)
        return no_memory(b);
    for (size_t i = 0; i < pairs; i++) {
        struct doc_pair *p = &map->map.v[i];
        *p = (struct doc_pair){ .key = children[2 * i], .value = children[2 * i + 1] };
        const struct doc_pair *first = p->key->kind == DOC_SCALAR ? note_key(map, i) : NULL;
        p->first = first ? first->key : NULL;
    }
    return 0;
}

static int end_seq(struct builder *b, struct doc_node *seq, struct doc_node **children, size_t n)
{
    seq->seq.n = n;
    seq->seq.v = zl_arena_array(b->arena, n, sizeof(void *));
    if (!seq->seq.v)
        return no_memory(b);
    for (size_t i = 0; i < n; i++)
        seq->seq.v[i] = children[i];
    return 0;
}

/* ---- anchors --------------------------------------------------------------------------------- */

/* The slot of this name, index + 1 or 0; there is always a free one. */
static uint32_t *anchor_slot(const struct builder *b, const char *name, size_t len)
{
    size_t mask = b->cap_anchors * 2 - 1;
    size_t i = key_hash(name, len) & mask;
    for (; b->anchor_slots[i]; i = (i + 1) & mask) {
        const struct anchor *a = &b->anchors[b->anchor_slots[i] - 1];
        if (strncmp(a->name, name, len) == 0 && !a->name[len])
            break;
    }
    return &b->anchor_slots[i];
}

static struct anchor *find_anchor(struct builder *b, const char *name, size_t len)
{
    uint32_t index = b->n_anchors ? *anchor_slot(b, name, len) : 0;
    return index ? &b->anchors[index - 1] : NULL;
}

/* A later anchor of the same name replaces the earlier one (YAML 1.2.2, 3.2.2.2). */
static void index_anchor(struct builder *b, size_t i)
{
    const char *name = b->anchors[i].name;
    *anchor_slot(b, name, strlen(name)) = (uint32_t)i + 1;
}

static int grow_anchors(struct builder *b)
{
    size_t cap = b->cap_anchors ? b->cap_anchors * 2 : 8;
    struct anchor *grown = reallocarray(b->anchors, cap, sizeof *grown);
    if (!grown)
        return no_memory(b);
    b->anchors = grown;
    uint32_t *slots = calloc(cap * 2, sizeof *slots);
    if (!slots)
        return no_memory(b);
    free(b->anchor_slots);
    b->anchor_slots = slots;
    b->cap_anchors = cap;
    for (size_t i = 0; i < b->n_anchors; i++)
        index_anchor(b, i);
    return 0;
}

/* Notes an anchor at n, if its event has one. Returns its index + 1, 0 for none, -1 on failure. */
static ssize_t note_anchor(struct builder *b, struct fy_event *e, struct doc_node *n)
{
    size_t len = 0;
    struct fy_token *token = fy_event_get_anchor_token(e);
    const char *name = token ? fy_token_get_text(token, &len) : NULL;
    if (!name)
        return 0;
    if (b->n_anchors == b->cap_anchors && grow_anchors(b) < 0)
        return -1;
    char *copy = zl_arena_strndup(b->arena, name, len);
    if (!copy)
        return no_memory(b);
    b->anchors[b->n_anchors] =
        (struct anchor){ .name = copy, .node = n, .open = n->kind != DOC_SCALAR, .weight = 1 };
    index_anchor(b, b->n_anchors++);
    return (ssize_t)b->n_anchors;
}

static int on_alias(struct builder *b, struct fy_event *e)
{
    size_t len = 0;
    const char *name = fy_token_get_text(e->alias.anchor, &len);
    b->column -= b->column > 1; /* libfyaml's mark stands behind the '*' */
    struct anchor *a = name ? find_anchor(b, name, len) : NULL;
    if (!a)
        return fail_at(b, DOC_BAD_SYNTAX, b->line, b->column, "alias '*%.*s' has no anchor",
                       (int)len, name ? name : "");
    if (a->open)
        return fail_at(b, DOC_BAD_SYNTAX, b->line, b->column, "alias '*%s' contains itself",
                       a->name);
    b->expanded += a->weight; /* no overflow: the bound below stops at 100 x 8 M events */
    if (b->expanded > DOC_ALIAS_FACTOR * b->events)
        return fail_at(b, DOC_LIMIT, b->line, b->column,
                       "aliases expand to more than %d times the document", DOC_ALIAS_FACTOR);
    return add_node(b, a->node, a->weight, a->height);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* A tag other than YAML's own begins its node; what those say the decoder decides anyway. */
static void take_tag(struct builder *b, struct fy_event *e, struct doc_node *n)
{
    static const char core[] = "tag:yaml.org,2002:";
    struct fy_token *token = fy_event_get_tag_token(e);
    size_t len = 0;
    if (!token)
        return;
    const char *full = fy_token_get_text(token, &len);
    if (full && len > sizeof core - 1 && memcmp(full, core, sizeof core - 1) == 0)
        return;
    n->tag = full ? zl_arena_strndup(b->arena, full, len) : "!";
    const struct fy_mark *mark = fy_token_start_mark(token);
    if (mark) {
        n->line = mark->line + 1;
        n->column = mark->column + 1;
    }
}

static struct doc_node *new_node(struct builder *b, enum doc_kind kind)
{
    struct doc_node *n = zl_arena_alloc(b->arena, sizeof *n);
    if (!n) {
        (void)no_memory(b); /* answered by NULL */
        return NULL;
    }
    *n = (struct doc_node){ .kind = kind, .line = b->line, .column = b->column };
    return n;
}

static int take_quoted(struct builder *b, const struct fy_mark *start, struct doc_node *n)
{
    const char *from = b->text + start->input_pos;
    size_t max = start->input_pos && from <= b->end ? zl_unquoted_max(from, b->end) : 0;
    char *text = max ? zl_arena_alloc(b->arena, max + 1) : NULL;
    if (max && !text)
        return no_memory(b);
    ptrdiff_t len = max ? zl_unquote(from, b->end, text) : -1;
    if (len < 0)
        return fail_at(b, DOC_BAD_SYNTAX, n->line, n->column, "a quoted text has a wrong escape");
    n->scalar.text = text;
    n->scalar.len = (size_t)len;
    return 0;
}

static int take_text(struct builder *b, struct fy_token *token, struct doc_node *n)
{
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : NULL;
    n->scalar.len = text ? len : 0;
    n->scalar.text = zl_arena_strndup(b->arena, text ? text : "", n->scalar.len);
    return n->scalar.text ? 0 : no_memory(b);
}

static int on_scalar(struct builder *b, struct fy_event *e)
{
    struct doc_node *n = new_node(b, DOC_SCALAR);
    if (!n)
        return -1;
    struct fy_token *token = e->scalar.value;
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;
    const struct fy_mark *start = token ? fy_token_start_mark(token) : NULL;
    bool quoted = start && (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED);
    n->plain = style == FYSS_PLAIN;
    if (quoted && n->column > 1)
        n->column--; /* libfyaml's mark stands behind the quote */
    take_tag(b, e, n);
    const struct fy_mark *end = token ? fy_token_end_mark(token) : NULL;
    n->last_line = end && end->line >= n->line ? end->line + 1 : n->line;
    if ((quoted ? take_quoted(b, start, n) : take_text(b, token, n)) < 0)
        return -1;
    if (zl_utf8_check(n->scalar.text, n->scalar.len) != n->scalar.len) /* by an escape: "\0" */
        return fail_at(b, DOC_BAD_UTF8, n->line, n->column, "an escape makes NUL or invalid UTF-8");
    if (note_anchor(b, e, n) < 0)
        return -1;
    return add_node(b, n, 1, 0);
}

static int on_start(struct builder *b, struct fy_event *e, enum doc_kind kind)
{
    if (b->depth == DOC_MAX_DEPTH)
        return fail_at(b, DOC_LIMIT, b->line, b->column, "nested deeper than %d levels",
                       DOC_MAX_DEPTH);
    struct doc_node *n = new_node(b, kind);
    if (!n)
        return -1;
    take_tag(b, e, n);
    ssize_t anchor = note_anchor(b, e, n);
    if (anchor < 0)
        return -1;
    b->levels[b->depth++] = (struct level){
        .node = n, .first = b->n_stack, .weight = 1, .height = 1, .anchor = (size_t)anchor
    };
    return 0;
}

static int on_end(struct builder *b)
{
    if (!b->depth)
        return fail_at(b, DOC_BAD_SYNTAX, b->line, b->column, "something ends that did not begin");
    struct level *l = &b->levels[--b->depth];
    struct doc_node **children = b->stack + l->first;
    size_t n = b->n_stack - l->first;
    int rc = l->node->kind == DOC_MAP ? end_map(b, l->node, children, n)
                                      : end_seq(b, l->node, children, n);
    if (rc < 0)
        return rc;
    b->n_stack = l->first;
    if (l->anchor) {
        struct anchor *a = &b->anchors[l->anchor - 1];
        a->open = false;
        a->weight = l->weight;
        a->height = l->height;
    }
    return add_node(b, l->node, l->weight, l->height);
}

static int on_document(struct builder *b)
{
    if (++b->documents > 1)
        return fail_at(b, DOC_MULTI, b->line, b->column,
                       "a second document begins here; there is one deployment in a file, so write "
                       "one file for each");
    return 0;
}

static int on_event(struct builder *b, struct fy_event *e)
{
    const struct fy_mark *mark = fy_event_start_mark(e);
    if (mark && e->type != FYET_STREAM_START) {
        b->line = mark->line + 1;
        b->column = mark->column + 1;
    }
    b->events++;
    switch (e->type) {
    case FYET_DOCUMENT_START:
        return on_document(b);
    case FYET_SCALAR:
        return on_scalar(b, e);
    case FYET_ALIAS:
        return on_alias(b, e);
    case FYET_MAPPING_START:
        return on_start(b, e, DOC_MAP);
    case FYET_SEQUENCE_START:
        return on_start(b, e, DOC_SEQ);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return on_end(b);
    default: /* stream start and end, document end: nothing to note */
        return 0;
    }
}

static int syntax_error(struct builder *b)
{
    void *at = NULL;
    struct fy_diag_error *first = fy_diag_errors_iterate(b->diag, &at);
    if (!first)
        return fail_at(b, DOC_BAD_SYNTAX, b->line, b->column, "not YAML");
    bool star = strstr(first->msg, "alias"); /* of "schedule: * * * * *" nobody means an alias */
    return fail_at(b, DOC_BAD_SYNTAX, first->line, first->column, "%s%s", first->msg,
                   star ? "; a text that begins with '*' stands in quotes" : "");
}

static int build(struct builder *b, const char *text, size_t len)
{
    struct fy_diag_cfg diag_cfg;
    if (grow_stack(b) < 0)
        return -1;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    b->diag = fy_diag_create(&diag_cfg);
    if (!b->diag)
        return no_memory(b);
    fy_diag_set_collect_errors(b->diag, true);
    struct fy_parse_cfg cfg = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DISABLE_DEPTH_LIMIT /* ours is lower */ |
                 FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
        .diag = b->diag,
    };
    b->parser = fy_parser_create(&cfg);
    if (!b->parser || fy_parser_set_string(b->parser, text, len) < 0)
        return no_memory(b);

    struct fy_event *e;
    while ((e = fy_parser_parse(b->parser))) {
        int rc = on_event(b, e);
        fy_parser_event_free(b->parser, e);
        if (rc < 0)
            return -1;
    }
    return fy_parser_get_stream_error(b->parser) ? syntax_error(b) : 0;
}

int doc_parse(const char *text, size_t len, struct zl_arena *arena, const struct doc_node **ret,
              struct doc_error *error)
{
    struct builder b = { .arena = arena, .error = error, .line = 1, .column = 1 };
    if (len > DOC_MAX_TEXT)
        return fail_at(&b, DOC_LIMIT, 0, 0, "longer than %d bytes", DOC_MAX_TEXT);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    b.text = text;
    b.end = text + len;
    if (check_encoding(&b, text, len) < 0)
        return -1;
    if (check_directives(&b, text, len) < 0)
        return -1;
    int rc = len ? build(&b, text, len) : 0;
    if (b.parser)
        fy_parser_destroy(b.parser);
    if (b.diag)
        fy_diag_destroy(b.diag);
    free(b.stack);
    free(b.anchors);
    free(b.anchor_slots);
    if (rc == 0)
        *ret = b.root;
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

bool doc_is_blank(const struct doc_node *n)
{
    return n->kind == DOC_SCALAR && n->plain && n->scalar.len == 0;
}

bool doc_is_null(const struct doc_node *n)
{
    static const char *const words[] = { "", "~", "null", "Null", "NULL" };
    if (n->kind != DOC_SCALAR || !n->plain || n->tag)
        return false;
    for (size_t i = 0; i < ZL_ARRAY_LEN(words); i++) {
        if (strcmp(n->scalar.text, words[i]) == 0)
            return true;
    }
    return false;
}

const struct doc_pair *doc_find(const struct doc_node *n, const char *key)
{
    if (!n || n->kind != DOC_MAP)
        return NULL;
    size_t len = strlen(key);
    if (n->map.n <= SEARCHED_PAIRS)
        return search_pair(n, n->map.n, key, len);
    uint32_t slot = *find_slot(n, key, len);
    return slot ? &n->map.v[slot - 1] : NULL;
}

const char *doc_kind_name(const struct doc_node *n)
{
    static const char *const names[] = {
        [DOC_SCALAR] = "text", [DOC_MAP] = "a mapping", [DOC_SEQ] = "a list"
    };
    return names[n->kind];
}
