// SPDX-License-Identifier: Apache-2.0
/*
 * Deployment documents: any bytes. A document is decoded or refused with a finding, never both; the
 * dump of a good one reads back as itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc.h"
#include "spec/acted.h"
#include "spec/dump/dump.h"
#include "spec/environment.h"
#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { OUT_MAX = 16 << 20 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void dump(const struct spec *s, struct zl_buf *out)
{
    json_t *v = spec_dump(s);
    if (v)
        spec_dump_yaml(v, out);
    json_decref(v);
}

static void check_good(const struct spec *s)
{
    zl_autobuf struct zl_buf first = ZL_BUF(OUT_MAX), again = ZL_BUF(OUT_MAX);
    autodiags struct spec_diags applied, diags;
    for (size_t i = 0; i < s->n_services; i++)
        require(s->start_order[i] < s->n_services && s->services[i].image.name);
    spec_diags_init(&applied);
    spec_diags_init(&diags);
    (void)spec_check_apply(s, NULL, &applied);
    (void)spec_check_env(s, (const char *const[]){ "A=b", NULL }, &applied);
    dump(s, &first);
    autospec struct spec *read = spec_parse(first.data, first.len, "dump", "/base", &diags);
    if (first.failed || first.len > DOC_MAX_TEXT)
        return; /* aliases made it too long to be written out, or to be read */
    require(read != NULL);
    dump(read, &again);
    require(again.failed || strcmp(first.data, again.data) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OUT_MAX), out = ZL_BUF(OUT_MAX);
    autodiags struct spec_diags diags, others;
    spec_diags_init(&diags);
    spec_diags_init(&others);
    zl_buf_add(&text, (const char *)bytes, len);
    zl_buf_addc(&text, '\0');
    autospec struct spec *s = spec_parse(text.data, len, "fuzz.yml", "/base", &diags);
    require((s == NULL) == (diags.n_errors > 0));
    require(spec_check_compat(text.data, len, "fuzz.yml", "/base", &others) == !others.n_errors);
    spec_diags_print(&diags, text.data, true, &out);
    spec_diags_json(&diags, &out);
    if (s)
        check_good(s);
    return 0;
}
