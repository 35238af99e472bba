// SPDX-License-Identifier: Apache-2.0
/* What a module says about itself, from its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "wasm/probe.h"

#define MODULE "\0asm\1\0\0\0"
#define COMPONENT "\0asm\15\0\1\0"

struct bytes {
    const char *v;
    size_t n;
};
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static void the_head_tells_the_kind(void **unused)
{
    static const struct {
        struct bytes in;
        int kind; /* -1: none */
        const char *says;
    } cases[] = {
        { BYTES(MODULE), PROBE_MODULE, NULL },
        { BYTES(COMPONENT), PROBE_COMPONENT, NULL },
        { BYTES("(module)"), PROBE_TEXT, NULL },
        { BYTES("\n ;; a comment (\n(module)"), PROBE_TEXT, NULL },
        { BYTES(""), -1, "not WebAssembly" },
        { BYTES("\0as"), -1, "not WebAssembly" },
        { BYTES("\0asm\1\0"), -1, "cut off: 6 bytes" },
        { BYTES("\0asm\2\0\0\0"), -1, "version 2 and layer 0" },
        { BYTES("\0asm\15\0\0\0"), -1, "version 13 and layer 0" },
        { BYTES("\177ELF\2\1\1\0"), -1, "not WebAssembly" },
        { BYTES("hello (module)"), -1, "not WebAssembly" },
        { BYTES("(\xff"), -1, "not WebAssembly" },
        { BYTES(";; nothing"), -1, "not WebAssembly" },
    };
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        enum probe_kind kind;
        struct zl_error err = { 0 };
        int rc = probe_kind_of(cases[i].in.v, cases[i].in.n, &kind, &err);
        if (cases[i].kind >= 0) {
            assert_int_equal(rc, 0);
            assert_int_equal(kind, cases[i].kind);
        } else {
            assert_int_equal(rc, -1);
            assert_non_null(strstr(err.msg, cases[i].says));
        }
    }
}

static void note_import(void *arg, struct probe_name module, struct probe_name name,
                        const char *what)
{
    zl_buf_addf(arg, "<%.*s.%.*s %s", (int)module.n, module.v, (int)name.n, name.v, what);
}

static void note_export(void *arg, struct probe_name name, const char *what)
{
    zl_buf_addf(arg, ">%.*s %s", (int)name.n, name.v, what);
}

static const struct probe_events notes = { note_import, note_export };

static void imports_exports_and_memory_are_listed(void **unused)
{
    static const char module[] = MODULE "\x01\x04\x01\x60\x00\x00" /* type 0: () -> () */
                                        "\x02\x15\x02\x03"
                                        "env\x01"
                                        "f\x00\x00" /* env.f: function */
                                        "\x03"
                                        "env\x03"
                                        "mem\x02\x01\x02\x10" /* env.mem: memory 2..16 */
                                        "\x03\x02\x01\x00"    /* one function */
                                        "\x07\x0a\x01\x06"
                                        "_start\x00\x01"            /* exported */
                                        "\x08\x01\x01"              /* start */
                                        "\x0a\x04\x01\x02\x00\x0b"; /* its code */
    zl_autobuf struct zl_buf seen = ZL_BUF(1000);
    struct probe p;
    struct zl_error err;
    (void)unused;
    assert_int_equal(probe_bytes(module, sizeof module - 1, &notes, &seen, &p, &err), 0);
    assert_string_equal(seen.data, "<env.f function<env.mem memory>_start function");
    assert_int_equal(p.n_imports, 2);
    assert_int_equal(p.n_exports, 1);
    assert_int_equal(p.memory_min, 2);
    assert_int_equal(p.memory_max, 16);
    assert_true(p.has_start);
    assert_false(p.partial);
}

static void a_component_names_its_interfaces(void **unused)
{
    static const char component[] = COMPONENT "\x0a\x15\x01\x00\x10"
                                              "wasi:io/err@0.2."
                                              "\x05\x00" /* import instance */
                                              "\x0b\x18\x01\x00\x12"
                                              "wasi:cli/run@0.2.0"
                                              "\x05\x00\x00"; /* export instance */
    zl_autobuf struct zl_buf seen = ZL_BUF(1000);
    struct probe p;
    struct zl_error err;
    (void)unused;
    assert_int_equal(probe_bytes(component, sizeof component - 1, &notes, &seen, &p, &err), 0);
    assert_int_equal(p.kind, PROBE_COMPONENT);
    assert_string_equal(seen.data, "<.wasi:io/err@0.2. instance>wasi:cli/run@0.2.0 instance");
}

static void a_section_longer_than_the_file_is_an_error(void **unused)
{
    static const char cut[] = MODULE "\x01\x05\x01\x60\x00\x00";
    struct probe p;
    struct zl_error err;
    (void)unused;
    assert_int_equal(probe_bytes(cut, sizeof cut - 1, NULL, NULL, &p, &err), -1);
    assert_string_equal(err.msg, "cut off: section 1 at offset 8 is longer than the file");
}

static void what_it_does_not_know_is_left_out(void **unused)
{
    static const char newer[] = MODULE "\x02\x08\x01\x01"
                                       "m\x01"
                                       "n\x63\x00\x00";
    zl_autobuf struct zl_buf seen = ZL_BUF(1000);
    struct probe p;
    struct zl_error err;
    (void)unused;
    assert_int_equal(probe_bytes(newer, sizeof newer - 1, &notes, &seen, &p, &err), 0);
    assert_true(p.partial);
    assert_int_equal(seen.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_tells_the_kind),
        cmocka_unit_test(imports_exports_and_memory_are_listed),
        cmocka_unit_test(a_component_names_its_interfaces),
        cmocka_unit_test(a_section_longer_than_the_file_is_an_error),
        cmocka_unit_test(what_it_does_not_know_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
