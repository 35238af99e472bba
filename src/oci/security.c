// SPDX-License-Identifier: Apache-2.0
#include "oci/security.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_USER, LABEL_ROLE, LABEL_TYPE, LABEL_LEVEL };

static int invalid(const char *option, const char *why, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_INVALID, "security_opt '%s': %s", option, why);
}

static int read_privileges(struct oci_security *s, const char *option, const char *value,
                           struct zl_error *err)
{
    bool no = strcmp(value, "false") == 0;
    if (*value && !no && strcmp(value, "true") != 0)
        return invalid(option, "true or false is expected", err);
    s->no_new_privileges = !no;
    return 0;
}

static int read_seccomp(struct oci_security *s, const char *option, const char *value,
                        struct zl_error *err)
{
    s->unconfined = strcmp(value, "unconfined") == 0;
    s->profile = s->unconfined ? NULL : value;
    if (!s->unconfined && *value != '/')
        return invalid(option, "unconfined or an absolute path is expected", err);
    return 0;
}

static int read_apparmor(struct oci_security *s, const char *option, const char *value,
                         struct zl_error *err)
{
    if (!*value)
        return invalid(option, "the name of a profile is expected", err);
    s->apparmor = strcmp(value, "unconfined") == 0 ? NULL : value;
    return 0;
}

static int read_label(struct oci_security *s, const char *option, const char *value,
                      struct zl_error *err)
{
    static const char *const kinds[] = { "user:", "role:", "type:", "level:" };
    if (strcmp(value, "disable") == 0) {
        s->label_disabled = true;
        return 0;
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(kinds); i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(value, kinds[i], n) == 0 && value[n]) {
            s->label[i] = value + n;
            return 0;
        }
    }
    return invalid(option, "disable, user:…, role:…, type:… or level:… is expected", err);
}

static const struct {
    const char *name;
    int (*read)(struct oci_security *s, const char *option, const char *value,
                struct zl_error *err);
} options[] = {
    { "no-new-privileges", read_privileges },
    { "seccomp", read_seccomp },
    { "apparmor", read_apparmor },
    { "label", read_label },
};

/* "name", "name=value" or "name:value": Docker has taken both signs. */
static int read_option(struct oci_security *s, const char *option, struct zl_error *err)
{
    size_t n = strcspn(option, "=:");
    for (size_t i = 0; i < ZL_ARRAY_LEN(options); i++)
        if (strlen(options[i].name) == n && strncmp(options[i].name, option, n) == 0)
            return options[i].read(s, option, option[n] ? option + n + 1 : "", err);
    return invalid(option, "there is no such option", err);
}

int oci_security_read(const struct spec_service *service, struct oci_security *ret,
                      struct zl_error *err)
{
    /* Privileged asks for all; what is written beside it is meant to take something back. */
    struct oci_security s = { .no_new_privileges = !service->privileged,
                              .unconfined = service->privileged,
                              .paths_visible = service->privileged,
                              .label_disabled = service->privileged };
    for (size_t i = 0; i < service->security_opt.n; i++)
        if (read_option(&s, service->security_opt.v[i], err) < 0)
            return -1;
    *ret = s;
    return 0;
}

bool oci_security_label(const struct oci_security *s, char *out, size_t size)
{
    /* As container-selinux names what a container may be. */
    static const char *const usual[] = { "system_u", "system_r", "container_t", "s0" };
    bool asked = false;
    for (size_t i = 0; i < ZL_ARRAY_LEN(usual); i++)
        asked |= s->label[i] != NULL;
    if (!asked || s->label_disabled)
        return false;
    int n =
        snprintf(out, size, "%s:%s:%s:%s", s->label[LABEL_USER] ? s->label[LABEL_USER] : usual[0],
                 s->label[LABEL_ROLE] ? s->label[LABEL_ROLE] : usual[1],
                 s->label[LABEL_TYPE] ? s->label[LABEL_TYPE] : usual[2],
                 s->label[LABEL_LEVEL] ? s->label[LABEL_LEVEL] : usual[3]);
    return n > 0 && (size_t)n < size;
}
