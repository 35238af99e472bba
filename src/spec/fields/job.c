// SPDX-License-Identifier: Apache-2.0
/* Rows about runs and their times, updates, platforms, logs, and the API of the document. */
#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"

#include <string.h>

#include "spec/fields/rules.h"
#include "spec/fields/schema.h"

/* clang-format off */

static const struct walk_word overlap_words[] = {
    { "forbid",  SPEC_OVERLAP_FORBID, NULL },
    { "allow",   SPEC_OVERLAP_ALLOW, NULL },
    { "replace", SPEC_OVERLAP_REPLACE, NULL },
    { 0 },
};
static const struct walk_word catch_up_words[] = {
    { "one",  SPEC_CATCH_UP_ONE, NULL },
    { "none", SPEC_CATCH_UP_NONE, NULL },
    { "all",  SPEC_CATCH_UP_ALL, NULL },
    { 0 },
};
static const struct walk_field schedule_fields[] = {
    { "time_zone",       &type_time_zone, AT(spec_schedule_options, time_zone), 0, NULL,
      .doc = "an IANA name; absent is UTC" },
    { "overlap",         &type_enum,      AT(spec_schedule_options, overlap), 0, overlap_words,
      .doc = "when the run before still goes on" },
    { "catch_up",        &type_enum,      AT(spec_schedule_options, catch_up), 0, catch_up_words,
      .doc = "which of the missed firings run: the latest, none, or all (at most 100)" },
    { "catch_up_window", &type_duration,  AT(spec_schedule_options, catch_up_window_ms), 0, NULL,
      .doc = "how old a missed firing may be" },
    { "jitter",          &type_duration,  AT(spec_schedule_options, jitter_ms), 0, NULL,
      .doc = "a random delay up to this" },
    { 0 },
};
static const struct spec_schedule_options schedule_initial = {
    .time_zone = "UTC", .catch_up_window_ms = 3600000
};
const struct walk_list spec_schedule_part =
    PART(spec_schedule_options, SHAPE(schedule_fields, .noun = "schedule_options"),
         &schedule_initial);

static const struct decode_integer at_least_one = { 4, false, 1, UINT32_MAX, "E-RANGE" };

/* "none" is the spelling of no limit; 0 in the struct. */
static DECODE(decode_limit)
{
    if (n->kind == DOC_SCALAR && strcmp(n->scalar.text, "none") == 0)
        *DECODE_MEMBER(uint64_t, f, owner) = 0;
    else
        type_positive.decode(w, f, n, owner);
}
static const struct walk_type type_limit = { "a duration or none", decode_limit, value_positive, schema_limit };

static const struct walk_field job_fields[] = {
    { "max_concurrent", &type_integer,  AT(spec_job_options, max_concurrent), 0, &at_least_one,
      .doc = "executions at a time" },
    { "timeout",        &type_limit,    AT(spec_job_options, timeout_ms), 0, "E-DURATION",
      .doc = "of one execution, or `none`" },
    { "retries",        &type_integer,  AT(spec_job_options, retries), 0, &spec_any_u32,
      .doc = "more attempts of a failed one" },
    { "retry_delay",    &type_duration, AT(spec_job_options, retry_delay_ms), 0, NULL,
      .doc = "before another attempt" },
    { "keep",           &type_integer,  AT(spec_job_options, keep), 0, &spec_any_u32,
      .doc = "records of ended executions" },
    { "keep_for",       &type_duration, AT(spec_job_options, keep_for_ms), 0, NULL,
      .doc = "how long they are kept" },
    { 0 },
};
static const struct spec_job_options job_initial = {
    .max_concurrent = 10, .retry_delay_ms = 10000, .keep = 10, .keep_for_ms = 3600000
};
const struct walk_list spec_job_part =
    PART(spec_job_options, SHAPE(job_fields, .noun = "job_options"), &job_initial);

static const struct walk_word strategy_words[] = {
    { "rolling",  SPEC_ROLLING, NULL },
    { "recreate", SPEC_RECREATE, NULL },
    { 0 },
};
static const struct walk_word update_failure_words[] = {
    { "rollback", SPEC_ROLLBACK, NULL },
    { "pause",    SPEC_PAUSE, NULL },
    { 0 },
};
static const struct walk_field update_fields[] = {
    { "strategy",        &type_enum,     AT(spec_update, strategy), 0, strategy_words,
      .doc = "`rolling`: one after the other; `recreate`: all at once" },
    { "max_surge",       &type_integer,  AT(spec_update, max_surge), 0, &spec_any_u32,
      .doc = "more replicas than asked for, meanwhile" },
    { "max_unavailable", &type_integer,  AT(spec_update, max_unavailable), 0, &spec_any_u32,
      .doc = "fewer ready replicas than asked for, meanwhile" },
    { "drain",           &type_duration, AT(spec_update, drain_ms), 0, NULL,
      .doc = "without new connections, before the stop signal" },
    { "on_failure",      &type_enum,     AT(spec_update, on_failure), 0, update_failure_words,
      .doc = "when new replicas do not get ready" },
    { 0 },
};
static const struct spec_update update_initial = { .max_surge = 1, .drain_ms = 10000 };
const struct walk_list spec_update_part =
    PART(spec_update, SHAPE(update_fields, .noun = "update"), &update_initial);

static const struct walk_word os_words[] = {
    { "linux",   SPEC_OS_LINUX, NULL },
    { "windows", SPEC_OS_WINDOWS, NULL },
    { "macos",   SPEC_OS_MACOS, NULL },
    { "darwin",  SPEC_OS_MACOS, "macos" },
    { 0 },
};
static const struct walk_word arch_words[] = {
    { "amd64",   SPEC_ARCH_AMD64, NULL },
    { "arm64",   SPEC_ARCH_ARM64, NULL },
    { "x86_64",  SPEC_ARCH_AMD64, "amd64" },
    { "aarch64", SPEC_ARCH_ARM64, "arm64" },
    { 0 },
};
static const struct walk_field platform_fields[] = {
    { "os",        &type_enum, AT(spec_platform, os), WALK_REQUIRED, os_words,
      .doc = "the operating system" },
    { "arch",      &type_enum, AT(spec_platform, arch), WALK_REQUIRED, arch_words,
      .doc = "the processor" },
    { "osVersion", &type_text, AT(spec_platform, os_version), 0, NULL,
      .doc = "chooses among Windows images" },
    { 0 },
};
const struct walk_list spec_platform_part =
    PART(spec_platform, SHAPE(platform_fields, .noun = "platform", .drops_unknown = true,
                              .shorthand = "platform: {os: linux, arch: amd64}"), NULL);

static const struct decode_checked destination = {
    spec_check_log_destination, "E-LOG-DEST", "destination"
};
static const struct walk_field logs_fields[] = {
    { "destination",    &type_checked, AT(spec_logs, destination), 0, &destination,
      .doc = "`disk` or `memory`" },
    { "max_size_bytes", &type_integer, AT(spec_logs, max_size_bytes), 0, &spec_any_u64,
      .doc = "of the files of one replica" },
    { "retention_secs", &type_integer, AT(spec_logs, retention_secs), 0, &spec_any_u64,
      .doc = "after the removal" },
    { 0 },
};
static const struct spec_logs logs_initial = { "disk", 104857600, SPEC_LOGS_RETENTION_S };
const struct walk_list spec_logs_part =
    PART(spec_logs, SHAPE(logs_fields, .noun = "logs", .drops_unknown = true), &logs_initial);

static const struct decode_checked bind_address = { spec_check_bind, "E-API-BIND", "address" };
static const struct walk_field api_fields[] = {
    { "enabled",    &type_bool,    AT(spec_api, enabled), 0, NULL,
      .doc = "run the API server" },
    { "bind",       &type_checked, AT(spec_api, bind), 0, &bind_address,
      .doc = "address and port" },
    { "jwt_secret", &type_text,    AT(spec_api, jwt_secret), WALK_SECRET, NULL,
      .doc = "signs tokens; never shown" },
    { "swagger",    &type_bool,    AT(spec_api, swagger), 0, NULL,
      .doc = "serve the interactive page" },
    { 0 },
};
static const struct spec_api api_initial = {
    .enabled = true, .swagger = true, .bind = "0.0.0.0:3669"
};
const struct walk_list spec_api_part =
    PART(spec_api, SHAPE(api_fields, .noun = "api", .drops_unknown = true, .has_secret = true), &api_initial);
/* clang-format on */
