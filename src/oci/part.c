// SPDX-License-Identifier: Apache-2.0
/* Building JSON by tables of parts; the contract is in part.h. */
#include "oci/part.h"

json_t *oci_part_no_memory(struct zl_error *err)
{
    errno = ENOMEM;
    (void)zl_fail_errno(err, "make config.json");
    return NULL;
}

json_t *oci_part_checked(json_t *made, struct zl_error *err)
{
    return made ? made : oci_part_no_memory(err);
}

json_t *oci_part_object(const struct oci_making *m, const struct oci_part *parts,
                        struct zl_error *err)
{
    json_t *object = json_object();
    for (; object && parts->key; parts++) {
        json_t *value = parts->make(m, err);
        if (!value) {
            json_decref(object);
            return NULL;
        }
        if (json_is_null(value))
            continue;
        if (json_object_set_new(object, parts->key, value) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return oci_part_checked(object, err);
}

json_t *oci_part_text(const char *what, const char *text, struct zl_error *err)
{
    json_t *s = json_string(text); /* refuses what is not UTF-8, as RFC 8259 8.1 asks */
    if (!s)
        (void)zl_fail(err, ZL_ERR_INVALID, "%s is not valid UTF-8", what);
    return s;
}

json_t *oci_part_strings(const char *const *v, size_t n, struct zl_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (json_array_append_new(list, json_string(v[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return oci_part_checked(list, err);
}

int oci_part_put(json_t *object, const char *key, json_t *value)
{
    return value ? json_object_set_new(object, key, value) : -1;
}

int oci_part_append(json_t *list, json_t *value, struct zl_error *err)
{
    if (value && json_array_append_new(list, value) == 0)
        return 0;
    (void)oci_part_no_memory(err);
    return -1;
}

void oci_note(const struct oci_bundle *b, const char *fmt, ...)
{
    va_list ap;
    if (!b->notes)
        return;
    va_start(ap, fmt);
    zl_buf_vaddf(b->notes, fmt, ap);
    va_end(ap);
    zl_buf_addc(b->notes, '\n');
}
