// SPDX-License-Identifier: Apache-2.0
#include "ocicli/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/stdfds.h"

enum { FDS_MAX = 1024 };

/* ---- socket activation ---- */

static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    unsigned long n;

    if (!text || !*text)
        return 0;
    errno = 0;
    n = strtoul(text, &end, 10);
    return errno || *end ? 0 : n;
}

/* "NAME=value" in the document's memory. */
static char *entry(struct oci_config *c, const char *name, const char *value)
{
    size_t n = strlen(name) + strlen(value) + 2;
    char *out = zl_json_alloc(&c->document, n, 1);

    if (out)
        (void)snprintf(out, n, "%s=%s", name, value);
    return out;
}

int environment_listen_fds(struct oci_config *config, unsigned *ret_n, struct zl_error *err)
{
    unsigned long n = number_of("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    struct zl_strs *env = config->process ? &config->process->env : NULL;
    char count[24];

    *ret_n = 0;
    if (!n || n > FDS_MAX || number_of("LISTEN_PID") != (unsigned long)getpid() || !env)
        return 0;
    (void)snprintf(count, sizeof count, "%lu", n);
    const char **v = zl_json_alloc(&config->document, env->n + 4, sizeof *v);
    if (!v)
        return zl_fail(err, ZL_ERR_SYSTEM, "pass $LISTEN_FDS on: out of memory");
    if (env->n)
        memcpy(v, env->v, env->n * sizeof *v);
    v[env->n] = entry(config, "LISTEN_FDS", count);
    v[env->n + 1] = entry(config, "LISTEN_PID", "1"); /* as the container sees its first process */
    if (names)
        v[env->n + 2] = entry(config, "LISTEN_FDNAMES", names);
    if (!v[env->n] || !v[env->n + 1] || (names && !v[env->n + 2]))
        return zl_fail(err, ZL_ERR_SYSTEM, "pass $LISTEN_FDS on: out of memory");
    env->v = v;
    env->n += names ? 3 : 2;
    *ret_n = (unsigned)n;
    return 0;
}

int environment_check_fds(unsigned listen, uint64_t n, struct zl_error *err)
{
    if (n > FDS_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "--preserve-fds: at most %d, not %" PRIu64, FDS_MAX, n);
    for (int fd = 3; fd < 3 + (int)listen + (int)n; fd++)
        if (!zl_is_inherited(fd)) /* ours may have the number by now */
            return zl_fail(err, ZL_ERR_INVALID, "%s: descriptor %d is not open",
                           fd < 3 + (int)listen ? "$LISTEN_FDS" : "--preserve-fds", fd);
    return 0;
}

/* ---- annotations ---- */

int environment_check_annotations(const struct oci_config *config, struct zl_error *err)
{
    static const char prefix[] = "run.oci.";
    static const char *const understood[] = { "run.oci.keep_original_groups" };
    const struct zl_pairs *a = &config->annotations;

    for (size_t i = 0; i < a->n; i++) {
        bool known = strncmp(a->v[i].key, prefix, sizeof prefix - 1) != 0;
        for (size_t k = 0; k < ZL_ARRAY_LEN(understood); k++)
            known = known || strcmp(a->v[i].key, understood[k]) == 0;
        if (!known)
            return zl_fail(err, ZL_ERR_UNSUPPORTED, "config.json: annotation '%s' is not supported",
                           a->v[i].key);
    }
    return 0;
}
