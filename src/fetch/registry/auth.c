// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/auth.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "fetch/registry/challenge.h"

void auth_done(struct auth *a)
{
    free(a->header);
    a->header = NULL;
}

static char *basic_header(const struct login *l, struct zl_error *err)
{
    zl_autofree char *plain = NULL;
    char *header = NULL;
    int n = asprintf(&plain, "%s:%s", l->username, l->password ? l->password : "");
    if (n >= 0 && n < TOKEN_MAX)
        header = malloc(sizeof "Basic " + ((size_t)n + 2) / 3 * 4);
    if (!header) {
        (void)zl_fail(err, ZL_ERR_SYSTEM, "no memory for the credentials");
        return NULL;
    }
    memcpy(header, "Basic ", sizeof "Basic ");
    (void)EVP_EncodeBlock((unsigned char *)header + 6, (const unsigned char *)plain, n);
    return header;
}

/* ---- the token server ------------------------------------------------------------------------ */

static void add_parameter(struct zl_buf *out, char before, const char *name, const char *value)
{
    char *escaped = value && *value ? curl_easy_escape(NULL, value, 0) : NULL;
    if (escaped)
        zl_buf_addf(out, "%c%s=%s", before, name, escaped);
    curl_free(escaped);
}

/* A GET for who has a password or nothing, a POST for who has a refresh token. */
static void fill_query(const struct auth *a, const struct challenge *c, struct zl_buf *url,
                       struct zl_buf *form)
{
    struct zl_buf *to = a->login.identity_token ? form : url;
    char first = strchr(c->realm, '?') ? '&' : '?';
    zl_buf_adds(url, c->realm);
    if (a->login.identity_token) {
        zl_buf_adds(form, "grant_type=refresh_token&client_id=zlayer");
        add_parameter(form, '&', "refresh_token", a->login.identity_token);
        first = '&';
    }
    add_parameter(to, first, "service", c->service);
    if (c->service[0])
        first = '&';
    add_parameter(to, first, "scope", c->scope[0] ? c->scope : a->scope);
}

static bool is_loopback(const char *url)
{
    static const char *const places[] = { "http://127.", "http://localhost", "http://[::1]" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(places); i++) {
        if (strncmp(url, places[i], strlen(places[i])) == 0)
            return true;
    }
    return false;
}

/* The password goes to whom the registry names: only over TLS, unless the registry itself is
 * spoken to without it, or the token server is on this host. */
static int check_realm(const struct auth *a, const struct challenge *c, const char *host,
                       struct zl_error *err)
{
    if (strncmp(c->realm, "https://", 8) == 0 || is_loopback(c->realm) ||
        (strncmp(c->realm, "http://", 7) == 0 && a->plain))
        return 0;
    return zl_fail(err, ZL_ERR_DENIED, "%s names a token server that is no https URL: '%.200s'",
                   host, c->realm);
}

static int ask_token(struct auth *a, struct http *h, const struct challenge *c, const char *host,
                     struct zl_buf *token, struct zl_error *err)
{
    zl_autobuf struct zl_buf url = ZL_BUF(8192), form = ZL_BUF(TOKEN_MAX), body = ZL_BUF(TOKEN_MAX);
    zl_autofree char *basic = NULL;
    zl_autofree struct http_answer *answer = calloc(1, sizeof *answer);
    if (!answer)
        return zl_fail_errno(err, "ask for a token");
    if (check_realm(a, c, host, err) < 0)
        return -1;
    fill_query(a, c, &url, &form);
    if (zl_buf_check(&url, "the token server's URL", err) < 0 ||
        zl_buf_check(&form, "the token request", err) < 0)
        return -1;
    if (a->login.username && !a->login.identity_token) {
        basic = basic_header(&a->login, err);
        if (!basic)
            return -1;
    }
    const struct http_request rq = {
        .method = a->login.identity_token ? "POST" : "GET",
        .url = url.data,
        .accept = "application/json",
        .authorization = basic,
        .content_type = a->login.identity_token ? "application/x-www-form-urlencoded" : NULL,
        .body = a->login.identity_token ? form.data : NULL,
        .size = form.len,
        .ca_pem = a->ca_pem,
        .unverified = a->unverified,
    };
    if (http_perform(h, &rq, &body, answer, err) < 0)
        return zl_wrap(err, "ask the token server of %s", host);
    if (answer->status == 401 || answer->status == 403)
        return zl_fail(err, ZL_ERR_DENIED, "the token server of %s refuses %s", host,
                       a->login.username || a->login.identity_token ? "these credentials"
                                                                    : "who has no credentials");
    if (answer->status != 200)
        return zl_fail(err, ZL_ERR_UNREACHABLE, "the token server of %s answers %d", host,
                       answer->status);
    return token_parse(body.data, body.len, token, err);
}

static int get_token(struct auth *a, struct http *h, const struct challenge *c, const char *host,
                     struct zl_error *err)
{
    zl_autobuf struct zl_buf token = ZL_BUF(TOKEN_MAX + 16);
    zl_buf_adds(&token, "Bearer ");
    if (a->login.registry_token && !a->header)
        zl_buf_adds(&token, a->login.registry_token);
    else if (ask_token(a, h, c, host, &token, err) < 0)
        return -1;
    char *header = zl_buf_steal(&token);
    if (!header)
        return zl_fail(err, ZL_ERR_SYSTEM, "no memory for a token");
    free(a->header);
    a->header = header;
    return 0;
}

/* ---- the door -------------------------------------------------------------------------------- */

static int use_password(struct auth *a, const char *host, struct zl_error *err)
{
    if (!a->login.username)
        return zl_fail(err, ZL_ERR_DENIED, "%s wants a name and a password: `zlayer login %s`",
                       host, host);
    if (a->header) /* these were sent already */
        return zl_fail(err, ZL_ERR_DENIED, "%s refuses the name and password of '%s'", host,
                       a->login.username);
    a->header = basic_header(&a->login, err);
    return a->header ? 0 : -1;
}

int auth_answer(struct auth *a, struct http *h, const struct http_answer *refusal, const char *host,
                struct zl_error *err)
{
    struct challenge c, best = { .scheme = CHALLENGE_OTHER };
    for (size_t i = 0; i < refusal->n_challenges; i++) {
        if (challenge_parse(refusal->challenge[i], &c) && c.scheme > best.scheme)
            best = c;
    }
    if (best.scheme == CHALLENGE_BEARER)
        return get_token(a, h, &best, host, err);
    if (best.scheme == CHALLENGE_BASIC)
        return use_password(a, host, err);
    return zl_fail(err, ZL_ERR_DENIED, "%s refuses and does not say what it wants", host);
}
