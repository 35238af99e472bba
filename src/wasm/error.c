// SPDX-License-Identifier: Apache-2.0
#include "wasm/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FRAMES_MAX = 64 };

/* The line that begins at `at`: its end, and where its words begin, behind blanks and a number. */
static size_t line_words(const char *text, size_t n, size_t at, size_t *ret_from)
{
    const char *newline = memchr(text + at, '\n', n - at);
    size_t end = newline ? (size_t)(newline - text) : n, from = at;

    while (from < end && (text[from] == ' ' || text[from] == '\t'))
        from++;
    if (end - from > 3 && text[from] >= '0' && text[from] <= '9' && text[from + 1] == ':')
        from += 3;
    *ret_from = from;
    return end;
}

/* The engine tells causes on lines of their own, indented and numbered: here they follow by ": ".
 * Its texts have a length and no NUL. */
static void add_flat(struct zl_buf *out, const char *text, size_t n)
{
    static const char caused[] = "Caused by:";
    bool fresh = true;
    size_t from;

    for (size_t at = 0, end; at < n; at = end + 1) {
        end = line_words(text, n, at, &from);
        bool heading =
            end - from >= strlen(caused) && memcmp(text + from, caused, strlen(caused)) == 0;
        if (from == end || heading)
            continue;
        zl_buf_adds(out, fresh ? "" : ": ");
        zl_buf_add(out, text + from, end - from);
        fresh = false;
    }
}

int wasm_fail_consume(wasmtime_error_t *failed, struct zl_error *err, const char *act, ...)
{
    zl_autobuf struct zl_buf what = ZL_BUF(256), why = ZL_BUF(4096);
    wasm_name_t message;
    va_list ap;

    va_start(ap, act);
    zl_buf_vaddf(&what, act, ap);
    va_end(ap);
    wasmtime_error_message(failed, &message);
    add_flat(&why, message.data, message.size);
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(failed);
    return zl_fail(err, ZL_ERR_INVALID, "%s: %s", what.data, why.data);
}

/* clang-format off */
static const char *const traps[] = {
    [WASMTIME_TRAP_CODE_STACK_OVERFLOW]           = "stack overflow",
    [WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS]     = "memory out of bounds",
    [WASMTIME_TRAP_CODE_HEAP_MISALIGNED]          = "misaligned heap access",
    [WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS]      = "table out of bounds",
    [WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL]    = "null indirect call",
    [WASMTIME_TRAP_CODE_BAD_SIGNATURE]            = "bad signature of an indirect call",
    [WASMTIME_TRAP_CODE_INTEGER_OVERFLOW]         = "integer overflow",
    [WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO] = "division by zero",
    [WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER]= "bad conversion to integer",
    [WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED] = "unreachable",
    [WASMTIME_TRAP_CODE_INTERRUPT]                = "interrupt: its time was over",
    [WASMTIME_TRAP_CODE_OUT_OF_FUEL]              = "out of fuel",
    [WASMTIME_TRAP_CODE_ATOMIC_WAIT_NON_SHARED_MEMORY] = "atomic wait on memory that is not shared",
    [WASMTIME_TRAP_CODE_NULL_REFERENCE]           = "null reference",
    [WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS]      = "array out of bounds",
    [WASMTIME_TRAP_CODE_ALLOCATION_TOO_LARGE]     = "allocation too large",
    [WASMTIME_TRAP_CODE_CAST_FAILURE]             = "cast failure",
};
/* clang-format on */

bool wasm_trap_is_interrupt(const wasm_trap_t *trap)
{
    wasmtime_trap_code_t code;
    return wasmtime_trap_code(trap, &code) && code == WASMTIME_TRAP_CODE_INTERRUPT;
}

/* The engine's message begins with its own backtrace; the cause is its last line. */
static void add_cause(const wasm_message_t *message, struct zl_buf *out)
{
    static const char prefix[] = "wasm trap: ";
    size_t n = message->size, from = 0;

    while (n > 0 && (message->data[n - 1] == '\0' || message->data[n - 1] == '\n'))
        n--; /* of a trap's text alone a NUL is part */
    size_t last = n;
    while (last > 0 && message->data[last - 1] != '\n')
        last--;
    (void)line_words(message->data, n, last, &from);
    if (n - from > strlen(prefix) && memcmp(message->data + from, prefix, strlen(prefix)) == 0)
        from += strlen(prefix);
    zl_buf_add(out, message->data + from, n - from);
}

static void add_frames(const wasm_frame_vec_t *frames, struct zl_buf *out)
{
    for (size_t i = 0; i < frames->size && i < FRAMES_MAX; i++) {
        const wasm_frame_t *f = frames->data[i];
        const wasm_name_t *name = wasmtime_frame_func_name(f);
        zl_buf_addf(out, "\n  %zu: ", i);
        if (name)
            zl_buf_add(out, name->data, name->size);
        else
            zl_buf_addf(out, "function %u", wasm_frame_func_index(f));
        zl_buf_addf(out, " (0x%zx)", wasm_frame_module_offset(f));
    }
    if (frames->size > FRAMES_MAX)
        zl_buf_addf(out, "\n  … and %zu more", frames->size - FRAMES_MAX);
}

void wasm_trap_text_consume(wasm_trap_t *trap, struct zl_buf *out)
{
    wasmtime_trap_code_t code;
    wasm_frame_vec_t frames;

    zl_buf_adds(out, "wasm trap: ");
    if (wasmtime_trap_code(trap, &code) && code < ZL_ARRAY_LEN(traps)) {
        zl_buf_adds(out, traps[code]);
    } else { /* a host function's words, or a code that this table does not know */
        wasm_message_t message;
        wasm_trap_message(trap, &message);
        add_cause(&message, out);
        wasm_byte_vec_delete(&message);
    }
    wasm_trap_trace(trap, &frames);
    add_frames(&frames, out);
    wasm_frame_vec_delete(&frames);
    wasm_trap_delete(trap);
}

void wasm_error_text_consume(wasmtime_error_t *failed, struct zl_buf *out)
{
    wasm_frame_vec_t frames;
    wasm_name_t message;

    zl_buf_adds(out, "wasm trap: ");
    wasmtime_error_message(failed, &message);
    add_cause(&message, out);
    wasm_byte_vec_delete(&message);
    wasmtime_error_wasm_trace(failed, &frames);
    add_frames(&frames, out);
    wasm_frame_vec_delete(&frames);
    wasmtime_error_delete(failed);
}
