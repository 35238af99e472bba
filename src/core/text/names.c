// SPDX-License-Identifier: Apache-2.0
#include "core/text/names.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"

static void format_replica(const struct inst_label *l, char *out, size_t size)
{
    if (strcmp(l->role, "default") == 0)
        (void)snprintf(out, size, "%s-rep-%u", l->service, l->index);
    else
        (void)snprintf(out, size, "%s-%s-%u-on-0", l->service, l->role, l->index);
}

static void format_execution(const struct inst_label *l, char *out, size_t size)
{
    char id[ZL_ID_LEN + 1];
    zl_id_format(l->execution, id);
    (void)snprintf(out, size, "%s-%s", l->service, id);
}

static void format_standalone(const struct inst_label *l, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", l->service);
}

void core_name_format(const struct inst_label *label, char *out, size_t size)
{
    static void (*const formats[])(const struct inst_label *, char *, size_t) = {
        [OWNER_REPLICA] = format_replica,
        [OWNER_EXECUTION] = format_execution,
        [OWNER_STANDALONE] = format_standalone,
    };
    formats[label->owner](label, out, size);
}

/* Cuts the part after the last hyphen off text and returns it, or NULL. */
static char *cut_last(char *text)
{
    char *hyphen = strrchr(text, '-');
    if (!hyphen || hyphen == text || !hyphen[1])
        return NULL;
    *hyphen = '\0';
    return hyphen + 1;
}

static bool parse_index(const char *text, uint32_t *ret)
{
    uint64_t n = 0;
    if (!text || !*text || *text == '0' || strlen(text) > 10)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    *ret = (uint32_t)n;
    return n <= UINT32_MAX;
}

bool core_name_parse(const char *text, struct core_replica_name *ret)
{
    struct core_replica_name name;
    size_t length = strlen(text);
    if (length >= sizeof name.service)
        return false;
    memcpy(name.service, text, length + 1);
    (void)strcpy(name.role, "default");

    char *on =
        length > 5 && strcmp(text + length - 5, "-on-0") == 0 ? name.service + length - 5 : NULL;
    if (on)
        *on = '\0';
    if (!parse_index(cut_last(name.service), &name.index))
        return false;
    const char *role = cut_last(name.service);
    if (!role || (!on && strcmp(role, "rep") != 0))
        return false;
    if (on)
        memcpy(name.role, role, strlen(role) + 1);
    *ret = name;
    return true;
}
