// SPDX-License-Identifier: Apache-2.0
#include "base/imageref.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define ALNUM LOWER UPPER DIGITS

static int refuse(const char **why, const char *text)
{
    *why = text;
    return -1;
}

static bool one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

static void copy_lower(char *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] - 'A' + 'a' : s[i]);
    out[n] = '\0';
}

/* ":" digits, of n bytes, or nothing. */
static bool is_port(const char *s, size_t n)
{
    size_t digits = n ? strspn(s + 1, DIGITS) : 0;
    return n == 0 || (s[0] == ':' && digits && digits <= 5 && 1 + digits == n);
}

/* "[" an IPv6 address "]" [":" digits], of n bytes, into out, the address as RFC 5952 writes it. */
static bool take_ipv6_domain(char out[256], const char *s, size_t n)
{
    char text[INET6_ADDRSTRLEN], canonical[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *end = memchr(s, ']', n);
    size_t length = end ? (size_t)(end - s) - 1 : 0;
    if (s[0] != '[' || !length || length >= sizeof text)
        return false;
    memcpy(text, s + 1, length);
    text[length] = '\0';
    if (inet_pton(AF_INET6, text, &address) != 1 || !is_port(end + 1, n - length - 2) ||
        !inet_ntop(AF_INET6, &address, canonical, sizeof canonical))
        return false;
    (void)snprintf(out, 256, "[%s]%.*s", canonical, (int)(n - length - 2), end + 1); /* fits */
    return true;
}

/* label ("." label)* [":" digits], of n bytes; no label begins or ends with '-'. */
static bool is_domain(const char *s, size_t n)
{
    size_t host = strcspn(s, ":");
    if (host < n) {
        if (!is_port(s + host, n - host))
            return false;
        n = host;
    }
    for (size_t i = 0; i <= n; i++) {
        bool at_edge = i == 0 || i == n || s[i - 1] == '.' || s[i] == '.';
        if (i < n && s[i] != '.' && !one_of(s[i], ALNUM "-"))
            return false;
        /* On each side of a dot, and at both ends, stands a letter or a digit. */
        if (at_edge && i < n && s[i] != '.' && s[i] == '-')
            return false;
        if (at_edge && i > 0 && (i == n || s[i] == '.') && !one_of(s[i - 1], ALNUM))
            return false;
        if (i < n && s[i] == '.' && i == 0)
            return false;
    }
    return n > 0;
}

/* [a-z0-9]+ ( ("." | "_" | "__" | "-"+) [a-z0-9]+ )*, up to '/' or the end of n bytes. */
static const char *check_path(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t word = strspn(s + i, LOWER DIGITS);
        if (i + word > n)
            word = n - i;
        if (!word)
            return one_of(s[i], UPPER) ? "upper case is not allowed in the repository"
                                       : "a part of the repository must begin and end with a-z "
                                         "or 0-9, with single '.', '_', '__' or '-' between";
        i += word;
        if (i == n)
            return NULL;
        if (one_of(s[i], UPPER))
            return "upper case is not allowed in the repository";
        size_t dashes = strspn(s + i, "-");
        size_t bars = strspn(s + i, "_");
        if (s[i] == '/' || s[i] == '.')
            i++;
        else if (dashes)
            i += dashes;
        else if (bars == 1 || bars == 2)
            i += bars;
        else
            return "a character is not allowed in the repository (a-z 0-9 . _ - /)";
    }
    return n ? "the repository ends in a separator" : "the repository is empty";
}

bool zl_digest_valid(const char *text)
{
    static const struct {
        const char *algorithm;
        size_t digits;
    } forms[] = { { "sha256:", 64 }, { "sha384:", 96 }, { "sha512:", 128 } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(forms); i++) {
        size_t n = strlen(forms[i].algorithm);
        if (strncmp(text, forms[i].algorithm, n) == 0)
            return strspn(text + n, DIGITS "abcdefABCDEF") == forms[i].digits &&
                   !text[n + forms[i].digits];
    }
    return false;
}

static int take_digest(struct zl_imageref *r, const char *digest, const char **why)
{
    if (strncmp(digest, "sha256:", 7) != 0 && strncmp(digest, "sha384:", 7) != 0 &&
        strncmp(digest, "sha512:", 7) != 0)
        return refuse(why, "the digest's algorithm must be sha256, sha384 or sha512");
    if (!zl_digest_valid(digest))
        return refuse(why, "the digest has not the number of hexadecimal digits it must have");
    copy_lower(r->digest, digest, strlen(digest));
    return 0;
}

static int take_tag(struct zl_imageref *r, const char *tag, size_t n, const char **why)
{
    if (!n)
        return refuse(why, "the tag is empty");
    if (n >= sizeof r->tag)
        return refuse(why, "the tag is longer than 128 characters");
    if (!one_of(tag[0], ALNUM "_") || strspn(tag, ALNUM "_.-") < n)
        return refuse(why, "the tag must begin with a letter, a digit or '_' and go on with "
                           "letters, digits, '_', '.', '-'");
    memcpy(r->tag, tag, n);
    r->tag[n] = '\0';
    return 0;
}

/* s, n bytes, is a registry when it looks like a host: "library/x" is a path. */
static bool looks_like_registry(const char *s, size_t n)
{
    return memchr(s, '.', n) || memchr(s, ':', n) || (n == 9 && memcmp(s, "localhost", 9) == 0);
}

static int take_name(struct zl_imageref *r, const char *s, size_t n, const char **why)
{
    const char *slash = memchr(s, '/', n);
    size_t domain = slash ? (size_t)(slash - s) : 0;
    if (domain && looks_like_registry(s, domain)) {
        if (domain < sizeof r->registry && is_domain(s, domain))
            copy_lower(r->registry, s, domain);
        else if (!take_ipv6_domain(r->registry, s, domain))
            return refuse(why, "the registry is not a host name, or an IPv6 address in brackets, "
                               "with an optional port");
        r->qualified = true;
        s += domain + 1;
        n -= domain + 1;
    }
    if (!r->registry[0] || strcmp(r->registry, "index.docker.io") == 0)
        memcpy(r->registry, "docker.io", sizeof "docker.io");

    *why = check_path(s, n);
    if (*why)
        return -1;
    bool official = strcmp(r->registry, "docker.io") == 0 && !memchr(s, '/', n);
    int len = snprintf(r->repository, sizeof r->repository, "%s%.*s", official ? "library/" : "",
                       n < sizeof r->repository ? (int)n : (int)sizeof r->repository, s);
    if (len >= (int)sizeof r->repository)
        return refuse(why, "the repository is longer than 255 bytes");
    return 0;
}

int zl_imageref_parse(const char *text, struct zl_imageref *ret, const char **why)
{
    struct zl_imageref r = { 0 };
    if (!*text)
        return refuse(why, "it is empty");
    if (strstr(text, "://"))
        return refuse(why, "a reference has no scheme");
    size_t n = strlen(text);
    const char *at = strchr(text, '@');
    if (at && take_digest(&r, at + 1, why) < 0)
        return -1;
    if (at)
        n = (size_t)(at - text);

    const char *slash = memrchr(text, '/', n);
    const char *colon = memrchr(text, ':', n);
    if (colon && (!slash || colon > slash)) {
        if (take_tag(&r, colon + 1, (size_t)(text + n - colon - 1), why) < 0)
            return -1;
        n = (size_t)(colon - text);
    }
    if (take_name(&r, text, n, why) < 0)
        return -1;
    if (!r.tag[0] && !r.digest[0])
        memcpy(r.tag, "latest", sizeof "latest");
    *ret = r;
    return 0;
}

void zl_imageref_format(const struct zl_imageref *r, char out[ZL_IMAGEREF_MAX])
{
    (void)snprintf(out, ZL_IMAGEREF_MAX, "%s/%s%s%s%s%s", r->registry, r->repository,
                   r->tag[0] ? ":" : "", r->tag, r->digest[0] ? "@" : "", r->digest);
}

int zl_imageref_normalize(const char *text, char out[ZL_IMAGEREF_MAX], const char **why)
{
    struct zl_imageref r;
    if (zl_imageref_parse(text, &r, why) < 0)
        return -1;
    zl_imageref_format(&r, out);
    return 0;
}
