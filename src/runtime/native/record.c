// SPDX-License-Identifier: Apache-2.0
#include "runtime/native/record.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"

enum { RECORD_MAX = 64 * 1024, RECORD_VERSION = 1 };
#define NATIVE "native" /* the runtime of a record that names none */

static const struct zl_word owner_words[] = {
    { "replica", OWNER_REPLICA },
    { "execution", OWNER_EXECUTION },
    { "standalone", OWNER_STANDALONE },
    { 0 },
};

static const char *owner_word(enum owner_kind kind)
{
    for (const struct zl_word *w = owner_words; w->name; w++)
        if (w->value == (int)kind)
            return w->name;
    return "";
}

/* 64 bits as 16 hexadecimal digits: JSON's integers are signed for some readers. */
static int decode_hex(const struct zl_json_at *at, const struct zl_field *f, void *out,
                      struct zl_error *err)
{
    (void)f;
    const char *text = json_string_value(at->value);
    char *end;
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return zl_json_fail_type(at, "16 hexadecimal digits", err);
    *(uint64_t *)out = strtoull(text, &end, 16); /* its form was checked */
    return 0;
}

static int decode_enum(const struct zl_json_at *at, const struct zl_field *f, void *out,
                       struct zl_error *err)
{
    int value;
    if (zl_json_enum(at, f, &value, err) < 0)
        return -1;
    *(enum owner_kind *)out = (enum owner_kind)value;
    return 0;
}

static const struct zl_field label_fields[] = {
    { "owner", decode_enum, offsetof(struct inst_label, owner), ZL_REQUIRED, owner_words },
    { "deployment", zl_json_string, offsetof(struct inst_label, deployment), ZL_REQUIRED, NULL },
    { "service", zl_json_string, offsetof(struct inst_label, service), ZL_REQUIRED, NULL },
    { "role", zl_json_string, offsetof(struct inst_label, role), ZL_REQUIRED, NULL },
    { "index", zl_json_u32, offsetof(struct inst_label, index), ZL_REQUIRED, NULL },
    { "execution", decode_hex, offsetof(struct inst_label, execution), ZL_REQUIRED, NULL },
    { "spec_hash", decode_hex, offsetof(struct inst_label, spec_hash), ZL_REQUIRED, NULL },
    { 0 },
};

/* struct { uint32_t *v; size_t n; }; detail: the least number that is one. */
static int decode_numbers(const struct zl_json_at *at, const struct zl_field *f, void *out,
                          struct zl_error *err)
{
    const json_int_t *least = f->detail;
    struct zl_list *list = out;
    size_t n = json_array_size(at->value);
    uint32_t *numbers = zl_json_alloc(at->doc, n ? n : 1, sizeof *numbers);
    if (!numbers)
        return zl_json_fail(at, err, "out of memory");
    for (size_t i = 0; i < n; i++) {
        json_int_t v = json_integer_value(json_array_get(at->value, i));
        if (v < *least || v > UINT32_MAX)
            return zl_json_fail_type(at, "a list of numbers", err);
        numbers[i] = (uint32_t)v;
    }
    list->v = numbers;
    list->n = n;
    return 0;
}
static const json_int_t from_zero = 0, from_one = 1;

static const struct zl_field record_fields[] = {
    { "id", zl_json_string, offsetof(struct record, id), ZL_REQUIRED, NULL },
    { "owner", zl_json_string, offsetof(struct record, owner), ZL_REQUIRED, NULL },
    { "boot_id", zl_json_string, offsetof(struct record, boot_id), ZL_REQUIRED, NULL },
    { "runtime", zl_json_string, offsetof(struct record, runtime), 0, NULL },
    { "label", zl_json_object, offsetof(struct record, label), ZL_REQUIRED, label_fields },
    { "image", zl_json_string, offsetof(struct record, image), ZL_REQUIRED, NULL },
    { "layers", decode_numbers, offsetof(struct record, layers), ZL_REQUIRED, &from_one },
    { "cgroups", zl_json_strs, offsetof(struct record, cgroups), ZL_REQUIRED, NULL },
    { "volumes", zl_json_strs, offsetof(struct record, volumes), 0, NULL },
    { "log", zl_json_string, offsetof(struct record, log), ZL_REQUIRED, NULL },
    { "stop_signal", zl_json_i32, offsetof(struct record, stop_signal), ZL_REQUIRED, NULL },
    { "shareable", zl_json_bool, offsetof(struct record, shareable), 0, NULL },
    { "gpu_vendor", zl_json_string, offsetof(struct record, gpu_vendor), 0, NULL },
    { "gpus", decode_numbers, offsetof(struct record, gpus), 0, &from_zero },
    { 0 },
};

static json_t *hex(uint64_t v)
{
    char text[17];
    (void)snprintf(text, sizeof text, "%016" PRIx64, v);
    return json_string(text);
}

static json_t *label_to_json(const struct inst_label *l)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "owner", owner_word(l->owner),
                     "deployment", l->deployment, "service", l->service, "role", l->role, "index",
                     (json_int_t)l->index, "execution", hex(l->execution), "spec_hash",
                     hex(l->spec_hash));
}

static json_t *numbers_to_json(const uint32_t *v, size_t n, bool *complete)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        *complete &= json_array_append_new(list, json_integer(v[i])) == 0;
    return list;
}

static json_t *texts_to_json(const struct zl_strs *texts, bool *complete)
{
    json_t *list = json_array();
    for (size_t i = 0; i < texts->n; i++)
        *complete &= json_array_append_new(list, json_string(texts->v[i])) == 0;
    return list;
}

static json_t *to_json(const struct record *r)
{
    bool complete = true;
    json_t *layers = numbers_to_json(r->layers.v, r->layers.n, &complete);
    json_t *gpus = numbers_to_json(r->gpus.v, r->gpus.n, &complete);
    json_t *cgroups = texts_to_json(&r->cgroups, &complete);
    json_t *volumes = texts_to_json(&r->volumes, &complete);
    json_t *made = json_pack(
        "{s:i, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:s, s:i, s:b, s:s*, s:o, s:s}", "version",
        RECORD_VERSION, "id", r->id, "owner", r->owner, "boot_id", r->boot_id, "label",
        label_to_json(&r->label), "image", r->image, "layers", layers, "cgroups", cgroups,
        "volumes", volumes, "log", r->log, "stop_signal", r->stop_signal, "shareable", r->shareable,
        "gpu_vendor", r->gpu_vendor, "gpus", gpus, "runtime", r->runtime ? r->runtime : NATIVE);
    if (made && complete)
        return made;
    json_decref(made);
    return NULL;
}

/* r has its document. */
static int decode(struct record *r, struct zl_error *err)
{
    if (zl_json_decode(&r->document, record_fields, r, err) < 0)
        return -1;
    if (!r->runtime) /* of a version that had no other */
        r->runtime = NATIVE;
    return 0;
}

int record_write(int dir_fd, const struct record *r, struct record *written, struct zl_error *err)
{
    autorecord struct record copy = { .document = { .root = to_json(r), .what = RECORD_FILE } };
    zl_autofree char *text =
        copy.document.root ? json_dumps(copy.document.root, JSON_INDENT(2)) : NULL;
    if (!text)
        return zl_fail(err, ZL_ERR_INVALID, "write '" RECORD_FILE "': a name in it is not UTF-8");
    /* Not synced: after a power cut no process of the container is left either, and a directory
     * without a record, or with a part of one, is removed. */
    if (zl_write_new(dir_fd, RECORD_FILE, text, strlen(text), 0600, err) < 0 ||
        decode(&copy, err) < 0)
        return -1;
    copy.created_wall_ms = zl_wall_ms();
    *written = copy;
    copy.document = (struct zl_json){ 0 }; /* handed over */
    return 0;
}

int record_read(int dir_fd, struct record *ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(RECORD_MAX);
    autorecord struct record r = { 0 };
    struct stat st;
    zl_autoclose int fd = openat(dir_fd, RECORD_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "no '" RECORD_FILE "'");
    if (fd < 0)
        return zl_fail_errno(err, "open '" RECORD_FILE "'");
    if (zl_read_fd(fd, &text, RECORD_FILE, err) < 0 ||
        zl_json_parse(&r.document, text.data, text.len, RECORD_FILE, err) < 0 ||
        decode(&r, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "look at '" RECORD_FILE "'");
    r.created_wall_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    *ret = r;
    r.document = (struct zl_json){ 0 }; /* handed over */
    return 0;
}

void record_done(struct record *r)
{
    zl_json_done(&r->document);
    *r = (struct record){ 0 };
}
