// SPDX-License-Identifier: Apache-2.0
#include "spec/dump/dump.h"

#include <stdlib.h>

#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"

json_t *spec_dump_service(const struct spec_service *s)
{
    json_t *map = json_object();
    (void)value_add_fields(&spec_service_shape, s, map); /* a decoded one lacks nothing */
    return map;
}

static json_t *all_services(const struct spec *s)
{
    json_t *all = json_object();
    for (size_t i = 0; i < s->n_services; i++)
        (void)json_object_set_new(all, s->services[i].name, spec_dump_service(&s->services[i]));
    return all;
}

json_t *spec_dump(const struct spec *s)
{
    const struct spec_document document = {
        .version = "v1",
        .deployment = s->deployment,
        .externals = s->externals,
        .n_externals = s->n_externals,
        .tunnels = s->tunnels,
        .n_tunnels = s->n_tunnels,
        .api = s->api,
    };
    json_t *root = json_object();
    for (const struct walk_field *f = spec_document_shape.fields; f->name; f++) {
        json_t *v = !f->type->value ? all_services(s) : value_of(f, &document);
        if (v)
            (void)json_object_set_new(root, f->name, v);
    }
    return root;
}

void spec_dump_json(const json_t *v, struct zl_buf *out)
{
    char *text = json_dumps(v, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    zl_buf_adds(out, text ? text : "");
    zl_buf_addc(out, '\n');
    out->failed |= !text;
    free(text);
}
