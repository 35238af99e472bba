// SPDX-License-Identifier: Apache-2.0
/* Rows about the steps before a start. What `with` may hold depends on what the step uses. */
#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"

#include <string.h>

#include "spec/fields/rules.h"
#include "spec/fields/schema.h"
#include "spec/value/suggest.h"

/* ---- parameters: E-INIT-PARAM, whatever is wrong with them -------------------------------------
 */

static bool looks_like_number_or_bool(const struct doc_node *n)
{
    bool negative, too_big;
    uint64_t magnitude;
    return n->plain &&
           (decode_integer_text(n->scalar.text, &negative, &magnitude, &too_big) ||
            strcmp(n->scalar.text, "true") == 0 || strcmp(n->scalar.text, "false") == 0);
}

static DECODE(decode_param_text)
{
    if (n->kind != DOC_SCALAR || looks_like_number_or_bool(n) || !*n->scalar.text)
        walk_error(w, "E-INIT-PARAM", n, "the parameter '%s' must be text, and not empty", f->name);
    else
        *DECODE_MEMBER(const char *, f, owner) = walk_text(w, n);
}
static const struct walk_type type_param_text = { "text", decode_param_text, value_text,
                                                  schema_text };

static DECODE(decode_param_number)
{
    const struct decode_integer *c = f->detail;
    bool negative = false, too_big = false;
    uint64_t value = 0;
    if (n->kind != DOC_SCALAR || !n->plain ||
        !decode_integer_text(n->scalar.text, &negative, &value, &too_big))
        walk_report(w, walk_severity(w, c->strict), "E-INIT-PARAM", n,
                    "the parameter '%s' must be a whole number without quotes and unit", f->name);
    else if ((negative && value) || too_big || value < (uint64_t)c->lo || value > c->hi)
        walk_report(w, SPEC_STRICT, "E-INIT-PARAM", n,
                    "the parameter '%s' must be from %lld to %llu", f->name, (long long)c->lo,
                    (unsigned long long)c->hi);
    else
        decode_integer(w, f, n, owner);
}
static const struct walk_type type_param_number = { "a whole number", decode_param_number,
                                                    value_integer, schema_integer };

/* clang-format off */
static const struct decode_integer param_port = { 2, false, 1, UINT16_MAX, "E-INIT-PARAM" };
static const struct decode_integer param_status = { 2, false, 100, 599, "E-INIT-PARAM" };
static const struct decode_integer param_seconds = { 8, false, 0, UINT32_MAX, "E-INIT-PARAM", true };

#define TEXT(name, member, flags, says)                                                            \
    { name, &type_param_text, AT(spec_init_with, member), flags, NULL, .doc = says }
#define TIMEOUT                                                                                    \
    { "timeout", &type_param_number, AT(spec_init_with, timeout_s), 0, &param_seconds, .doc = "seconds" }
#define S3_OBJECT                                                                                  \
    TEXT("bucket", bucket, WALK_REQUIRED, "of the store"),                                         \
    TEXT("key", key, WALK_REQUIRED, "of the object")
#define S3_STORE                                                                                   \
    TEXT("endpoint", endpoint, 0, "of another provider"),                                          \
    TEXT("region", region, 0, "of the bucket")

static const struct walk_field wait_tcp_fields[] = {
    TEXT("host", host, WALK_REQUIRED,
         "name or address"),
    { "port", &type_param_number, AT(spec_init_with, port), WALK_REQUIRED, &param_port,
      .doc = "of the host to wait for" },
    TIMEOUT,
    { 0 },
};
static const struct walk_field wait_http_fields[] = {
    TEXT("url", url, WALK_REQUIRED,
         "`http://…` or `https://…`"),
    { "expect_status", &type_param_number, AT(spec_init_with, expect_status), 0, &param_status,
      .doc = "the status to wait for; absent is any 2xx" },
    TIMEOUT,
    { 0 },
};
static const struct walk_field run_fields[] = {
    TEXT("command", command, WALK_REQUIRED,
         "for `sh -c`"),
    TIMEOUT,
    { 0 },
};
static const struct walk_field s3_pull_fields[] = {
    S3_OBJECT,
    TEXT("destination", destination, WALK_REQUIRED,
         "a path in the container"),
    S3_STORE,
    TIMEOUT,
    { 0 },
};
static const struct walk_field s3_push_fields[] = {
    TEXT("source", source, WALK_REQUIRED,
         "a path in the container"),
    S3_OBJECT,
    S3_STORE,
    TIMEOUT,
    { 0 },
};
static const struct walk_word action_words[] = {
    { "init.wait_tcp",  SPEC_INIT_WAIT_TCP, NULL },
    { "init.wait_http", SPEC_INIT_WAIT_HTTP, NULL },
    { "init.run",       SPEC_INIT_RUN, NULL },
    { "init.s3_pull",   SPEC_INIT_S3_PULL, NULL },
    { "init.s3_push",   SPEC_INIT_S3_PUSH, NULL },
    { "init.exec",      SPEC_INIT_RUN, "init.run" },
    { 0 },
};
static const struct walk_shape action_shapes[] = {
    [SPEC_INIT_WAIT_TCP]  = { "init.wait_tcp", wait_tcp_fields, .unknown_id = "E-INIT-PARAM", .drops_unknown = true },
    [SPEC_INIT_WAIT_HTTP] = { "init.wait_http", wait_http_fields, .unknown_id = "E-INIT-PARAM", .drops_unknown = true },
    [SPEC_INIT_RUN]       = { "init.run", run_fields, .unknown_id = "E-INIT-PARAM", .drops_unknown = true },
    [SPEC_INIT_S3_PULL]   = { "init.s3_pull", s3_pull_fields, .unknown_id = "E-INIT-PARAM", .drops_unknown = true },
    [SPEC_INIT_S3_PUSH]   = { "init.s3_push", s3_push_fields, .unknown_id = "E-INIT-PARAM", .drops_unknown = true },
};
static const struct walk_variants actions = {
    "an action", "uses", action_words, action_shapes, AT(spec_init_step, action)
};
/* clang-format on */

/* ---- steps -------------------------------------------------------------------------------------
 */

static DECODE(decode_action)
{
    struct spec_nearest near = { .typed = n->kind == DOC_SCALAR ? n->scalar.text : "" };
    const char *instead = NULL;
    const char *text = walk_text(w, n);
    if (!text)
        return;
    for (const struct walk_word *x = f->detail; x->name; x++) {
        if (strcmp(x->name, text) == 0 && !x->instead) {
            *DECODE_MEMBER(enum spec_init_action, f, owner) = (enum spec_init_action)x->value;
            ((struct spec_init_step *)owner)->known = true;
            return;
        }
        if (strcmp(x->name, text) == 0)
            instead = x->instead;
        if (!x->instead)
            spec_nearest_try(&near, x->name);
    }
    if (!instead)
        instead = near.word;
    walk_error(w, "E-INIT-ACTION", n,
               "%s is not an action; init.wait_tcp, init.wait_http, init.run, init.s3_pull and "
               "init.s3_push are%s%s%s",
               walk_show(w, text), instead ? "; did you mean '" : "", instead ? instead : "",
               instead ? "'?" : "");
}
static const struct walk_type type_action = { "an action", decode_action, value_enum, schema_enum };

/* clang-format off */
const struct walk_word spec_failure_words[] = {
    { "fail",     SPEC_FAILURE_FAIL,     NULL },
    { "warn",     SPEC_FAILURE_WARN,     NULL },
    { "continue", SPEC_FAILURE_CONTINUE, NULL },
    { 0 },
};
static const struct decode_checked step_id = { spec_check_not_empty, "E-STEP-ID", "id" };
static const struct walk_field step_fields[] = {
    { "id",         &type_checked,   AT(spec_init_step, id), WALK_REQUIRED, &step_id,
      .doc = "a name, unique in the service" },
    { "uses",       &type_action,    AT(spec_init_step, action), WALK_REQUIRED, action_words,
      .doc = "the action" },
    { "with",       &type_init_with, AT(spec_init_step, with), 0, &actions,
      .doc = "its parameters, below" },
    { "retry",      &type_integer,   AT(spec_init_step, retry), 0, &spec_any_u32,
      .doc = "more attempts" },
    { "timeout",    &type_duration,  AT(spec_init_step, timeout_ms), 0, NULL,
      .doc = "of the whole step" },
    { "on_failure", &type_enum,      AT(spec_init_step, on_failure), 0, spec_failure_words,
      .doc = "also when the time is over" },
    { 0 },
};
static const struct walk_habit step_habits[] = {
    { "name", "'id'" }, { "action", "'uses'" }, { "run", "'uses: init.run' and 'with'" }, { 0 },
};
static const struct walk_shape step_shape = {
    "a step", step_fields, step_habits, "steps: [{id: NAME, uses: init.run, with: {command: TEXT}}]",
};
static const struct spec_init_step step_initial = { .timeout_ms = 300000 };
static const struct walk_list step_list = {
    .shape = &step_shape, .item_size = sizeof(struct spec_init_step), .initial = &step_initial,
    .count_offset = AT(spec_service, n_init),
};
static const struct walk_field init_fields[] = {
    { "steps", &type_list, AT(spec_service, init), 0, &step_list,
      .doc = "in this order, before the process starts" },
    { 0 },
};
const struct walk_shape spec_init_shape = {
    .noun = "init", .fields = init_fields, .shorthand = "init: {steps: [{id: NAME, uses: init.run}]}"
};
/* clang-format on */
