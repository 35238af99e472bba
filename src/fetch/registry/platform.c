// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/platform.h"

#include <string.h>
#include <sys/utsname.h>

/* clang-format off */
static const struct family {
    const char *architecture;
    unsigned lowest, highest, plain; /* plain: what no variant means */
} families[] = {
    { "amd64", 1, 4, 1 },
    { "arm",   5, 8, 7 },
    { "arm64", 8, 9, 8 },
};
/* clang-format on */

static const struct family *family_of(const char *architecture)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(families); i++) {
        if (strcmp(families[i].architecture, architecture) == 0)
            return &families[i];
    }
    return NULL;
}

/* "v7" or "7" is 7; 0: it is none of the family. */
static unsigned level_of(const struct family *f, const char *variant)
{
    if (!variant || !*variant)
        return f->plain;
    const char *digit = variant + (*variant == 'v');
    unsigned level = (unsigned)(*digit - '0');
    return level >= f->lowest && level <= f->highest && !digit[1] ? level : 0;
}

#ifdef __x86_64__
/* The levels of the psABI by features that tell them apart on the CPUs there are: clang 14 does not
 * know the levels by name. */
static unsigned x86_level(void)
{
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt"))
        return 1;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2") ||
        !__builtin_cpu_supports("fma"))
        return 2;
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd")
               ? 4
               : 3;
}
#endif

const char *platform_architecture(void)
{
    static const struct {
        const char *machine, *name;
    } known[] = {
        { "x86_64", "amd64" },    { "aarch64", "arm64" }, { "riscv64", "riscv64" },
        { "ppc64le", "ppc64le" }, { "s390x", "s390x" },   { "armv7l", "arm" },
        { "i686", "386" },
    };
    struct utsname host;
    if (uname(&host) < 0)
        return "unknown";
    for (size_t i = 0; i < ZL_ARRAY_LEN(known); i++) {
        if (strcmp(known[i].machine, host.machine) == 0)
            return known[i].name;
    }
    return "unknown";
}

struct platform platform_here(void)
{
    struct platform p = { .architecture = platform_architecture() };
    const struct family *f = family_of(p.architecture);
    p.level = f ? f->plain : 0;
#ifdef __x86_64__
    p.level = x86_level();
#endif
    return p;
}

int platform_parse(char *text, struct platform *ret, struct zl_error *err)
{
    char *parts[3] = { NULL, NULL, NULL };
    size_t n = 0;
    char *rest = NULL;
    bool has_os = strchr(text, '/') != NULL;
    for (char *word = strtok_r(text, "/", &rest); word; word = strtok_r(NULL, "/", &rest)) {
        if (n == 3)
            return zl_fail(err, ZL_ERR_INVALID, "a platform is OS/ARCHITECTURE[/VARIANT]");
        parts[n++] = word;
    }
    if (has_os && (n < 2 || strcmp(parts[0], "linux") != 0))
        return zl_fail(err, ZL_ERR_INVALID,
                       "a platform is linux/ARCHITECTURE[/VARIANT]: other systems cannot be run");
    if (n == 0)
        return zl_fail(err, ZL_ERR_INVALID, "the platform is empty");
    const char *architecture = parts[has_os], *variant = has_os ? parts[2] : NULL;
    const struct family *f = family_of(architecture);
    *ret = (struct platform){ architecture, f ? level_of(f, variant) : 0 };
    if (f && !ret->level)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is no variant of %s", variant, architecture);
    return 0;
}

unsigned platform_match(const struct platform *p, const struct oci_descriptor *d)
{
    const char *os = d->platform.os, *architecture = d->platform.architecture;
    if (!os || !architecture)
        return 0;
    if (strcmp(os, "wasip1") == 0 || strcmp(os, "wasi") == 0 || strcmp(architecture, "wasm") == 0)
        return 1; /* runs anywhere; whoever has a container for us is preferred */
    if (strcmp(os, "linux") != 0 || strcmp(architecture, p->architecture) != 0)
        return 0;
    const struct family *f = family_of(architecture);
    if (!f)
        return 2;
    unsigned level = level_of(f, d->platform.variant);
    return level && level <= p->level ? 1 + level : 0;
}

const struct oci_descriptor *platform_choose(const struct platform *p,
                                             const struct oci_index *index)
{
    const struct oci_descriptor *best = NULL;
    unsigned best_match = 0;
    for (size_t i = 0; i < index->manifests.n; i++) {
        unsigned match = platform_match(p, &index->manifests.v[i]);
        if (match > best_match) {
            best = &index->manifests.v[i];
            best_match = match;
        }
    }
    return best;
}
