// SPDX-License-Identifier: Apache-2.0
/* Values of environment variables. The parts of a reference, put together again, are its text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "spec/value/envref.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void add_part(struct zl_buf *out, const char *before, struct spec_env_part part)
{
    if (part.len)
        zl_buf_addf(out, "%s%.*s", before, (int)part.len, part.at);
}

static void write_reference(const struct spec_env_value *v, struct zl_buf *out)
{
    add_part(out, "$E:", v->variable);
    if (v->kind != SPEC_ENV_SECRET)
        return;
    zl_buf_adds(out, "$S:");
    add_part(out, "@", v->service);
    add_part(out, "", v->project);
    add_part(out, ":", v->env);
    add_part(out, v->scope == SPEC_SECRET_DEPLOYMENT ? "" : "/", v->name);
    add_part(out, "/", v->field);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct spec_env_value v;
    struct spec_flaw flaw = { 0 };
    zl_autobuf struct zl_buf again = ZL_BUF(1 << 20);
    zl_autofree char *text = calloc(1, len + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, len);
    if (spec_parse_env_value(text, &v, &flaw) < 0) {
        if (!flaw.why || flaw.at > len)
            abort();
        return 0;
    }
    write_reference(&v, &again);
    if (v.kind != SPEC_ENV_LITERAL && (again.failed || strcmp(again.data, text) != 0))
        abort();
    return 0;
}
