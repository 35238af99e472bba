// SPDX-License-Identifier: Apache-2.0
/*
 * Values of environment variables: text, `$E:NAME` (a variable of the agent), `$S:REFERENCE` or
 * `$secret://REFERENCE` (a secret). docs/spec.md, "Environment values". Only the form is looked at
 * here; what a reference stands for is looked up when a container starts.
 */
#ifndef ZL_SPEC_VALUE_ENVREF_H
#define ZL_SPEC_VALUE_ENVREF_H

#include <stdbool.h>

#include "spec/value/flaw.h"

enum spec_env_kind { SPEC_ENV_LITERAL, SPEC_ENV_HOST, SPEC_ENV_SECRET };

enum spec_secret_scope {
    SPEC_SECRET_DEPLOYMENT,  /* $S:name */
    SPEC_SECRET_SERVICE,     /* $S:@service/name */
    SPEC_SECRET_ENVIRONMENT, /* $S::env/name, $secret://env/name: the global environment env */
    SPEC_SECRET_PROJECT,     /* $S:project:env/name */
};

/* A part of the text it was found in, not terminated; len 0: there is no such part. */
struct spec_env_part {
    const char *at;
    size_t len;
};

struct spec_env_value {
    enum spec_env_kind kind;
    bool embedded;                 /* SPEC_ENV_LITERAL: has "$E:" or "$S:" in its middle */
    struct spec_env_part variable; /* SPEC_ENV_HOST */
    /* SPEC_ENV_SECRET: */
    enum spec_secret_scope scope;
    struct spec_env_part service, project, env; /* those that the scope has */
    struct spec_env_part name;
    struct spec_env_part field; /* a member of a secret that is a JSON object */
};

/* *ret points into text. 0, or -1 with *flaw filled: it begins as a reference and is none. */
int spec_parse_env_value(const char *text, struct spec_env_value *ret, struct spec_flaw *flaw);

/* "literal", "host", "secret"; "deployment", "service", "environment", "project". */
const char *spec_env_kind_name(enum spec_env_kind kind);
const char *spec_secret_scope_name(enum spec_secret_scope scope);

#endif
