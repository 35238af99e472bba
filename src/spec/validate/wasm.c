// SPDX-License-Identifier: Apache-2.0
/* Rules about WASM services: what each kind may have, and what is filled in where nothing is said.
 */
#include "spec/validate/validate.h"

#include <stdio.h>
#include <string.h>

#include "spec/fields/fields.h"

enum cap {
    CAP_CONFIG = 1 << 0,
    CAP_KEYVALUE = 1 << 1,
    CAP_LOGGING = 1 << 2,
    CAP_SECRETS = 1 << 3,
    CAP_METRICS = 1 << 4,
    CAP_HTTP_CLIENT = 1 << 5,
    CAP_CLI = 1 << 6,
    CAP_FILESYSTEM = 1 << 7,
    CAP_SOCKETS = 1 << 8,
};

/* clang-format off */
static const unsigned caps_of_kind[] = { /* the default, and the most that may be asked for */
    [SPEC_WASM_HTTP] = CAP_CONFIG | CAP_KEYVALUE | CAP_LOGGING | CAP_HTTP_CLIENT,
    [SPEC_WASM_PLUGIN] = CAP_CONFIG | CAP_KEYVALUE | CAP_LOGGING | CAP_SECRETS | CAP_METRICS | CAP_HTTP_CLIENT | CAP_CLI | CAP_FILESYSTEM,
    [SPEC_WASM_TRANSFORMER] = CAP_LOGGING | CAP_CLI,
    [SPEC_WASM_AUTHENTICATOR] = CAP_CONFIG | CAP_LOGGING | CAP_SECRETS | CAP_HTTP_CLIENT,
    [SPEC_WASM_RATE_LIMITER] = CAP_CONFIG | CAP_KEYVALUE | CAP_LOGGING | CAP_METRICS | CAP_CLI,
    [SPEC_WASM_MIDDLEWARE] = CAP_CONFIG | CAP_LOGGING | CAP_HTTP_CLIENT,
    [SPEC_WASM_ROUTER] = CAP_CONFIG | CAP_KEYVALUE | CAP_LOGGING | CAP_HTTP_CLIENT,
    [SPEC_TYPE_JOB] = 0,
};
static const struct {
    const char *name;
    size_t offset;
    unsigned bit;
} caps[] = {
    { "config",      AT(spec_wasm_caps, config), CAP_CONFIG },
    { "keyvalue",    AT(spec_wasm_caps, keyvalue), CAP_KEYVALUE },
    { "logging",     AT(spec_wasm_caps, logging), CAP_LOGGING },
    { "secrets",     AT(spec_wasm_caps, secrets), CAP_SECRETS },
    { "metrics",     AT(spec_wasm_caps, metrics), CAP_METRICS },
    { "http_client", AT(spec_wasm_caps, http_client), CAP_HTTP_CLIENT },
    { "cli",         AT(spec_wasm_caps, cli), CAP_CLI },
    { "filesystem",  AT(spec_wasm_caps, filesystem), CAP_FILESYSTEM },
    { "sockets",     AT(spec_wasm_caps, sockets), CAP_SOCKETS },
};
/* clang-format on */

static bool is_wasm(const struct spec_service *s)
{
    return s->type != SPEC_STANDARD && s->type != SPEC_TYPE_JOB;
}

static const char *kind_name(const struct spec_service *s)
{
    for (const struct walk_word *x = spec_service_type_words; x->name; x++) {
        if (x->value == (int)s->type)
            return x->name;
    }
    return "?";
}

static void excess(struct walk *w, const struct spec_service *s, const struct doc_node *n,
                   const char *name)
{
    zl_autobuf struct zl_buf text = ZL_BUF(1024);
    zl_buf_addf(&text, "%s cannot have %s; it may have", kind_name(s), name);
    for (size_t i = 0; i < ZL_ARRAY_LEN(caps); i++) {
        if (caps_of_kind[s->type] & caps[i].bit)
            zl_buf_addf(&text, " %s", caps[i].name);
    }
    validate_report_field(w, SPEC_ERROR, "E-WASM-CAP", n, name, text.data);
}

/* Nothing said is the default of the kind. Returns what is granted. */
static unsigned fill_caps(struct walk *w, const struct spec_service *s, struct spec_wasm *x,
                          const struct doc_node *wasm)
{
    const struct doc_node *n = validate_field(wasm, "capabilities");
    struct walk_path at = { .up = w->path, .key = "capabilities" };
    unsigned granted = 0;
    w->path = &at;
    for (size_t i = 0; i < ZL_ARRAY_LEN(caps); i++) {
        enum spec_said *said = (enum spec_said *)(void *)((char *)&x->caps + caps[i].offset);
        bool allowed = caps_of_kind[s->type] & caps[i].bit;
        if (*said == SPEC_SAID_TRUE && !allowed)
            excess(w, s, n, caps[i].name);
        if (*said == SPEC_SAID_NOTHING)
            *said = allowed ? SPEC_SAID_TRUE : SPEC_SAID_FALSE;
        granted |= *said == SPEC_SAID_TRUE ? caps[i].bit : 0;
    }
    w->path = at.up;
    return granted;
}

/* A switch or list that lacks the capability it is about. Sockets are switched on by allow_tcp and
 * allow_udp alone, whatever the kind. */
static void check_unused(struct walk *w, const struct spec_wasm *x, const struct doc_node *n,
                         unsigned granted)
{
    const struct {
        const char *field;
        bool asked;
        unsigned needs;
    } rows[] = {
        { "allow_http_outgoing", x->allow_http_outgoing, CAP_HTTP_CLIENT },
        { "allowed_hosts", x->allowed_hosts.n, CAP_HTTP_CLIENT },
        { "kv_enabled", x->kv_enabled, CAP_KEYVALUE },
        { "kv_namespace", x->kv_namespace, CAP_KEYVALUE },
        { "secrets", x->secrets.n, CAP_SECRETS },
        { "preopens", x->n_preopens, CAP_FILESYSTEM },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        if (rows[i].asked && !(granted & rows[i].needs) && validate_written(n, rows[i].field))
            validate_report_field(w, SPEC_WARNING, "W-WASM-UNUSED", n, rows[i].field,
                                  "the module does not have the capability that this is about");
    }
}

static void check_wasm(struct walk *w, const struct spec_source *s)
{
    /* decoded into memory of ours; const for everybody else */
    struct spec_wasm *x = (struct spec_wasm *)(uintptr_t)s->service->wasm;
    const char *field = validate_written(s->node, "wasm") ? "wasm" : "wasm_http";
    const struct doc_node *n = validate_field(s->node, field);
    struct walk_path at = { .up = w->path, .key = field };
    char text[100];
    w->path = &at;
    (void)snprintf(text, sizeof text, "min_instances is %u, and max_instances is %u",
                   x->min_instances, x->max_instances);
    if (x->min_instances > x->max_instances)
        validate_report_field(w, SPEC_ERROR, "E-WASM-INSTANCES", n, "min_instances", text);
    check_unused(w, x, n, fill_caps(w, s->service, x, n));
    w->path = at.up;
}

static void check_http(struct walk *w, const struct spec_source *s)
{
    const struct spec_service *x = s->service;
    if (x->type != SPEC_WASM_HTTP || !x->n_endpoints)
        return;
    for (size_t i = 0; i < x->n_endpoints; i++) {
        if (x->endpoints[i].protocol == SPEC_HTTP || x->endpoints[i].protocol == SPEC_HTTPS)
            return;
    }
    validate_report_field(w, x->wasm ? SPEC_ERROR : SPEC_STRICT, "E-WASM-NO-HTTP", s->node,
                          "endpoints",
                          "a wasm_http service needs at least one http or https endpoint");
}

/* Of storage, a module sees directories only, and only if it sees any. */
static void check_storage(struct walk *w, const struct spec_source *s)
{
    const struct spec_service *x = s->service;
    bool sees = caps_of_kind[x->type] & CAP_FILESYSTEM &&
                !(x->wasm && x->wasm->caps.filesystem == SPEC_SAID_FALSE);
    for (size_t i = 0; i < x->n_storage; i++) {
        bool directory = x->storage[i].type != SPEC_MOUNT_S3;
        if (!directory || !sees)
            validate_report_item(w, SPEC_WARNING, "W-WASM-UNUSED",
                                 validate_item(s->node, "storage", i), "storage", i, NULL,
                                 directory
                                     ? "the module does not have the capability filesystem"
                                     : "a module gets folders of the host, volumes and tmpfs only");
    }
}

void spec_validate_wasm(struct walk *w, const struct spec_source *s)
{
    char text[200];
    if (is_wasm(s->service)) {
        if (s->service->wasm)
            check_wasm(w, s);
        check_http(w, s);
        check_storage(w, s);
    } else if (s->service->wasm) {
        (void)snprintf(text, sizeof text,
                       "this needs a service_type of wasm_http, wasm_plugin, wasm_transformer, "
                       "wasm_authenticator, wasm_rate_limiter, wasm_middleware or wasm_router; it "
                       "is %s",
                       kind_name(s->service));
        validate_report_field(w, SPEC_ERROR, "E-WASM-ON-NON-WASM", s->node,
                              validate_written(s->node, "wasm") ? "wasm" : "wasm_http", text);
    }
}
