// SPDX-License-Identifier: Apache-2.0
/* Dump, diff and hash of specs: over every valid document of cases/, and on chosen changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "spec/diff.h"
#include "spec/dump/dump.h"

static int cases = -1; /* the folder */

static struct spec *parse(const char *text, size_t len)
{
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    return spec_parse(text, len, "test", "/srv/base", &diags);
}

typedef void (*form_fn)(const json_t *v, struct zl_buf *out);

static void dump(const struct spec *s, form_fn form, struct zl_buf *out)
{
    json_t *v = spec_dump(s);
    assert_non_null(v);
    form(v, out);
    json_decref(v);
    assert_false(out->failed);
}

/* In the form, read again and written as YAML it is the same; and so are the hashes. */
static void check_round_trip(const char *name, const struct spec *s, form_fn form)
{
    zl_autobuf struct zl_buf first = ZL_BUF(16 << 20), yaml = ZL_BUF(16 << 20),
                             again = ZL_BUF(16 << 20);
    dump(s, form, &first);
    dump(s, spec_dump_yaml, &yaml);
    autospec struct spec *read = parse(first.data, first.len);
    if (!read)
        fail_msg("%s: the dump is refused:\n%s", name, first.data);
    dump(read, spec_dump_yaml, &again);
    assert_string_equal(yaml.data, again.data);
    json_t *diff = spec_diff(s, read);
    assert_true(json_is_true(json_object_get(diff, "same")));
    json_decref(diff);
    for (size_t i = 0; i < s->n_services; i++)
        assert_int_equal(s->services[i].container_hash, read->services[i].container_hash);
}

static bool check_case(const char *name)
{
    zl_autobuf struct zl_buf text = ZL_BUF(16 << 20);
    struct zl_error err;
    assert_int_equal(zl_read_file(cases, name, &text, &err), 0);
    autospec struct spec *s = parse(text.data, text.len);
    if (!s)
        return false;
    check_round_trip(name, s, spec_dump_yaml);
    check_round_trip(name, s, spec_dump_json);
    return true;
}

static int is_case(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 4 && strcmp(d->d_name + n - 4, ".yml") == 0;
}

static void every_valid_document_reads_back_from_its_dump(void **unused)
{
    (void)unused;
    struct dirent **names;
    int n = scandirat(cases, ".", &names, is_case, alphasort), valid = 0;
    assert_true(n > 30);
    for (int i = 0; i < n; i++) {
        valid += check_case(names[i]->d_name);
        free(names[i]);
    }
    free(names);
    assert_true(valid >= 8);
    print_message("%d valid documents\n", valid);
}

#define HEAD "version: v1\ndeployment: abc\nservices:\n  a:\n    image: {name: nginx"

static void texts_that_look_like_something_else_are_quoted_and_no_others(void **unused)
{
    (void)unused;
    static const char *const quoted[] = { "",     "~",    "Null", "yes",      "NO",        "12",
                                          "1.5",  "0x1F", ".inf", "1:30",     "a: b",      " a",
                                          "a #b", "- a",  "#a",   "[a",       "&a",        "*a",
                                          "!a",   "'a",   "\"a",  "a:",       "?",         "---",
                                          "<<",   "1e3",  "a\nb", "\xc2\x85", "2026-01-01" };
    static const char *const plain[] = { "a",        "30s",          "512Mi",   "$S:x", "-x",
                                         "--listen", "a b",          "a:b",     "a#b",  "1.2.3x",
                                         "/a",       "0.0.0.0:8081", "\xc3\xa9" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(quoted) + ZL_ARRAY_LEN(plain); i++) {
        bool is_plain = i >= ZL_ARRAY_LEN(quoted);
        const char *text = is_plain ? plain[i - ZL_ARRAY_LEN(quoted)] : quoted[i];
        zl_autobuf struct zl_buf out = ZL_BUF(1000);
        json_t *v = json_string(text);
        spec_dump_yaml(v, &out);
        json_decref(v);
        if ((strcspn(out.data, "\n") == strlen(text) &&
             memcmp(out.data, text, strlen(text)) == 0) != is_plain)
            fail_msg("%s became %s", text, out.data);
    }
}

static json_t *diff_of(const char *from, const char *to)
{
    autospec struct spec *a = parse(from, strlen(from)), *b = parse(to, strlen(to));
    assert_non_null(a);
    assert_non_null(b);
    return spec_diff(a, b);
}

static void a_change_says_whether_it_needs_new_containers(void **unused)
{
    (void)unused;
    static const struct {
        const char *to, *path;
        bool live;
    } rows[] = {
        { HEAD "}\n    env: {A: b}\n", "env", false },
        { HEAD "}\n    stop_grace_period: 1m\n", "stop_grace_period", true },
        { HEAD ", pull_policy: always}\n", "image.pull_policy", true },
        { HEAD ":1}\n", "image.name", false },
        { HEAD "}\n    resources: {blkio_weight: 10}\n", "resources.blkio_weight", false },
        { HEAD "}\n    scale: {mode: fixed, replicas: 2}\n", "scale", true },
        { HEAD "}\n    command: {entrypoint: []}\n", "command.entrypoint", false },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        autospec struct spec *a = parse(HEAD "}\n", strlen(HEAD "}\n"));
        autospec struct spec *b = parse(rows[i].to, strlen(rows[i].to));
        assert_non_null(b);
        json_t *diff = spec_diff(a, b);
        json_t *changed = json_object_get(json_object_get(diff, "services"), "changed");
        json_t *fields = json_object_get(json_array_get(changed, 0), "fields");
        json_t *f = json_array_get(fields, 0);
        assert_int_equal(json_array_size(fields), 1);
        assert_string_equal(json_string_value(json_object_get(f, "path")), rows[i].path);
        assert_int_equal(json_is_true(json_object_get(f, "live")), rows[i].live);
        assert_int_equal(a->services[0].container_hash == b->services[0].container_hash,
                         rows[i].live);
        assert_true(a->services[0].full_hash != b->services[0].full_hash);
        json_decref(diff);
    }
}

static void another_spelling_is_no_change(void **unused)
{
    (void)unused;
    json_t *diff = diff_of(HEAD "}\n    stop_grace_period: 1m\n    env: {A: b, C: d}\n",
                           "version: v1\ndeployment: abc\nservices:\n  a:\n"
                           "    stop_grace_period: 60s\n    env: {C: d, A: b}\n"
                           "    image: {name: docker.io/library/nginx:latest}\n");
    assert_true(json_is_true(json_object_get(diff, "same")));
    json_decref(diff);
}

/* ---- of each field that is written: the document without it ------------------------------------
 */

struct without {
    const struct spec *whole;
    json_t *document;
    int fields, live; /* that were left out, the document still being valid; of a service only */
};

static void check_without(struct without *w, const char *name)
{
    char *text = json_dumps(w->document, 0);
    autospec struct spec *s = parse(text, strlen(text));
    free(text);
    for (size_t i = 0; s && i < s->n_services; i++) {
        const struct spec_service *now = &s->services[i];
        const struct spec_service *was = spec_find(w->whole, now->name);
        json_t *diff = spec_diff(w->whole, s);
        json_t *changed, *all = json_object_get(json_object_get(diff, "services"), "changed");
        bool differs = false, recreate = false;
        size_t k;
        json_array_foreach(all, k, changed)
        {
            if (strcmp(json_string_value(json_object_get(changed, "service")), now->name) != 0)
                continue;
            differs = true;
            recreate = json_is_true(json_object_get(changed, "recreate"));
        }
        json_decref(diff);
        if (differs != (was->full_hash != now->full_hash))
            fail_msg("%s without %s: the full hash is another: %d", now->name, name, !differs);
        if (recreate != (was->container_hash != now->container_hash) && was->rtype == now->rtype)
            fail_msg("%s without %s: the container's hash is another: %d", now->name, name,
                     !recreate);
        w->fields += differs;
        w->live += differs && !recreate;
    }
}

/* v is a part of the document; depth: how many keys lead to it. */
static void leave_out_each(struct without *w, json_t *v, int depth)
{
    size_t i, n = json_object_size(v);
    json_t *item;
    const char *keys[128];
    void *tmp;
    json_array_foreach(v, i, item) leave_out_each(w, item, depth);
    assert_true(n <= ZL_ARRAY_LEN(keys));
    i = 0;
    json_object_foreach_safe(v, tmp, keys[i], item) i++;
    for (i = 0; i < n; i++) {
        zl_autofree char *key = strdup(keys[i]);
        item = json_incref(json_object_get(v, key));
        leave_out_each(w, item, depth + 1);
        if (depth >= 2) { /* not a whole service */
            (void)json_object_del(v, key);
            check_without(w, key);
        }
        (void)json_object_set_new(v, key, item);
    }
}

/* The document of all fields: what is said in one row is hashed by it, and by no other list. */
static void a_field_counts_in_the_hashes_as_the_diff_says(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    struct zl_error err;
    assert_int_equal(zl_read_file(cases, "everything.yml", &text, &err), 0);
    autospec struct spec *s = parse(text.data, text.len);
    struct without w = { .whole = s, .document = spec_dump(s) };
    leave_out_each(&w, json_object_get(w.document, "services"), 1);
    json_decref(w.document);
    print_message("%d fields, %d of them live\n", w.fields, w.live);
    assert_true(w.fields > 150 && w.live > 30 && w.live < w.fields - 50);
}

/* A row that comes later and is not written: whether the place leaves the hash alone. */
static void what_is_not_written_does_not_count(void **unused)
{
    (void)unused;
    static const char *const same[][2] = {
        { "devices: [{path: /dev/fuse}]", "devices: [{path: /dev/fuse, mknod: false}]" },
        { "storage: [{type: named, name: abc, target: /a}]",
          "storage: [{type: named, name: abc, target: /a, tier: local, readonly: false}]" },
        { "port_mappings: [{container_port: 80}]",
          "port_mappings: [{container_port: 80, protocol: tcp}]" },
        { "resources: {gpu: {}}", "resources: {gpu: {count: 1, vendor: nvidia}}" },
        { "init: {steps: [{id: a, uses: init.run, with: {command: x}}]}",
          "init: {steps: [{id: a, uses: init.run, with: {command: x, timeout: 0}, retry: 0}]}" },
        { "ulimits: {core: {soft: 1}, nproc: {soft: 2}}",
          "ulimits: {nproc: {soft: 2}, core: {soft: 1}}" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(same); i++) {
        char text[2][512];
        for (size_t k = 0; k < 2; k++)
            (void)snprintf(text[k], sizeof text[k], HEAD "}\n    %s\n", same[i][k]);
        autospec struct spec *a = parse(text[0], strlen(text[0]));
        autospec struct spec *b = parse(text[1], strlen(text[1]));
        if (!a || !b)
            fail_msg("refused: %s", same[i][a ? 1 : 0]);
        assert_int_equal(a->services[0].full_hash, b->services[0].full_hash);
    }
}

/* Agents that are upgraded compare with hashes that an older one stored. */
static void the_container_hash_of_a_document_of_the_first_version_stays(void **unused)
{
    (void)unused;
    static const char text[] =
        HEAD "}\n    rtype: job\n    command: {args: [x, y], workdir: /w}\n    env: {A: b}\n"
             "    labels: {l: m}\n    resources: {cpu: 0.5, memory: 64Mi, pids_limit: 9}\n"
             "    user: '1'\n    hostname: h\n    tty: true\n    network_mode: none\n"
             "    stop_signal: INT\n    read_only_root_fs: true\n"
             "    storage: [{type: tmpfs, target: /t, size: 1Mi, mode: 1777}]\n";
    autospec struct spec *s = parse(text, sizeof text - 1);
    assert_non_null(s);
    assert_int_equal(s->services[0].container_hash, UINT64_C(0x52e61f9aa7eb818b));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_valid_document_reads_back_from_its_dump),
        cmocka_unit_test(texts_that_look_like_something_else_are_quoted_and_no_others),
        cmocka_unit_test(a_change_says_whether_it_needs_new_containers),
        cmocka_unit_test(another_spelling_is_no_change),
        cmocka_unit_test(a_field_counts_in_the_hashes_as_the_diff_says),
        cmocka_unit_test(what_is_not_written_does_not_count),
        cmocka_unit_test(the_container_hash_of_a_document_of_the_first_version_stays),
    };
    cases = argc > 1 ? open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    return cases < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
