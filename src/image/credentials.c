// SPDX-License-Identifier: Apache-2.0
#include "image/credentials.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/json.h"
#include "image/helper.h"

#define HUB "docker.io"
#define HUB_KEY "https://index.docker.io/v1/" /* as Docker has always written it */

enum { FILE_MAX_BYTES = 1 << 20, HELPER_ANSWER_MAX = 256 * 1024 };

void credentials_done(struct credentials *c)
{
    if (c->password)
        explicit_bzero(c->password, strlen(c->password));
    if (c->identity_token)
        explicit_bzero(c->identity_token, strlen(c->identity_token));
    free(c->username);
    free(c->password);
    free(c->identity_token);
    *c = (struct credentials){ 0 };
}

static bool is_known(const struct credentials *c)
{
    return c->username || c->identity_token;
}

/* ---- base64, which Docker writes "user:password" in -------------------------------------------
 */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Allocated and terminated; NULL: text is none, or holds a NUL. */
static char *decode_base64(const char *text)
{
    size_t n = strlen(text), out = 0;
    char *bytes = malloc(n / 4 * 3 + 4);
    unsigned bits = 0, have = 0;
    for (size_t i = 0; bytes && i < n && text[i] != '='; i++) {
        const char *at = strchr(alphabet, text[i]);
        if (!at) {
            free(bytes);
            return NULL;
        }
        bits = bits << 6 | (unsigned)(at - alphabet);
        have += 6;
        if (have >= 8) {
            have -= 8;
            bytes[out++] = (char)(bits >> have & 0xff);
        }
    }
    if (!bytes)
        return NULL;
    bytes[out] = '\0';
    if (strlen(bytes) == out)
        return bytes;
    free(bytes);
    return NULL;
}

static char *encode_base64(const char *text)
{
    size_t n = strlen(text), at = 0;
    char *out = malloc((n + 2) / 3 * 4 + 1);
    for (size_t i = 0; out && i < n; i += 3) {
        unsigned v = (unsigned)(unsigned char)text[i] << 16;
        v |= i + 1 < n ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
        v |= i + 2 < n ? (unsigned)(unsigned char)text[i + 2] : 0;
        out[at++] = alphabet[v >> 18 & 63];
        out[at++] = alphabet[v >> 12 & 63];
        out[at++] = (char)(i + 1 < n ? alphabet[v >> 6 & 63] : '=');
        out[at++] = (char)(i + 2 < n ? alphabet[v & 63] : '=');
    }
    if (out)
        out[at] = '\0';
    return out;
}

/* ---- one document ---------------------------------------------------------------------------- */

/* "https://host/v1/", "host" are the host; the hub has several names. */
static bool is_key_of(const char *key, const char *registry)
{
    static const char *const hubs[] = { "docker.io", "index.docker.io", "registry-1.docker.io" };
    const char *scheme = strstr(key, "://");
    const char *host = scheme ? scheme + 3 : key;
    size_t n = strcspn(host, "/");
    const char *path = host + n;
    if (*path && strcmp(path, "/") != 0 && strcmp(path, "/v1/") != 0 && strcmp(path, "/v2/") != 0 &&
        strcmp(path, "/v1") != 0 && strcmp(path, "/v2") != 0)
        return false; /* of one repository: not of all */
    if (strlen(registry) == n && strncasecmp(host, registry, n) == 0)
        return true;
    for (size_t i = 0; strcmp(registry, HUB) == 0 && i < ZL_ARRAY_LEN(hubs); i++) {
        if (strlen(hubs[i]) == n && strncasecmp(host, hubs[i], n) == 0)
            return true;
    }
    return false;
}

static json_t *member_for(json_t *object, const char *registry, const char **ret_key)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!is_key_of(key, registry))
            continue;
        if (ret_key)
            *ret_key = key;
        return value;
    }
    return NULL;
}

static char *text_of(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));
    return text && *text ? strdup(text) : NULL;
}

static int take_entry(const json_t *entry, const char *what, const char *registry,
                      struct credentials *c, struct zl_error *err)
{
    zl_autofree char *auth = text_of(entry, "auth");
    c->username = text_of(entry, "username");
    c->password = text_of(entry, "password");
    c->identity_token = text_of(entry, "identitytoken");
    if (c->username || !auth)
        return 0;
    char *plain = decode_base64(auth), *colon = plain ? strchr(plain, ':') : NULL;
    if (!colon) {
        free(plain);
        return zl_fail(err, ZL_ERR_INVALID,
                       "%s: the entry 'auth' of %s is not base64 of name:password", what, registry);
    }
    *colon = '\0';
    c->username = plain;
    free(c->password); /* one beside it, without a name */
    c->password = strdup(colon + 1);
    return c->password ? 0 : zl_fail_errno(err, "read %s", what);
}

int credentials_parse(const char *bytes, size_t n, const char *what, const char *registry,
                      struct credentials *ret, char **helper, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    *helper = NULL;
    if (n > FILE_MAX_BYTES)
        return zl_fail(err, ZL_ERR_INVALID, "%s is too large", what);
    if (zl_json_parse(&doc, bytes, n, what, err) < 0)
        return -1;
    const char *own =
        json_string_value(member_for(json_object_get(doc.root, "credHelpers"), registry, NULL));
    const char *all = json_string_value(json_object_get(doc.root, "credsStore"));
    const char *name = own && *own ? own : all && *all ? all : NULL;
    if (name) {
        *helper = strdup(name);
        return *helper ? 0 : zl_fail_errno(err, "read %s", what);
    }
    const json_t *entry = member_for(json_object_get(doc.root, "auths"), registry, NULL);
    return entry ? take_entry(entry, what, registry, ret, err) : 0;
}

/* ---- helpers --------------------------------------------------------------------------------- */

static const char *key_of(const char *registry)
{
    return strcmp(registry, HUB) == 0 ? HUB_KEY : registry;
}

static int ask_helper(const char *helper, const char *registry, struct credentials *c,
                      struct zl_error *err)
{
    zl_autobuf struct zl_buf out = ZL_BUF(HELPER_ANSWER_MAX);
    zl_autojson struct zl_json doc = { 0 };
    struct zl_error why = { 0 };
    if (credential_helper(helper, "get", key_of(registry), &out, &why) < 0) {
        if (why.kind == ZL_ERR_NOT_FOUND)
            return 0;
        return zl_fail(err, why.kind, "%s", why.msg);
    }
    if (zl_json_parse(&doc, out.data, out.len, "the credential helper's answer", err) < 0)
        return -1;
    c->username = text_of(doc.root, "Username");
    c->password = text_of(doc.root, "Secret");
    if (c->username && strcmp(c->username, "<token>") == 0) { /* docker-credential-helpers */
        c->identity_token = c->password;
        c->password = NULL;
        free(c->username);
        c->username = NULL;
    }
    return 0;
}

/* ---- the places ------------------------------------------------------------------------------ */

enum { PLACE_MAX = 4096 };

/* Path i of those in the header; false: the variable that it hangs on is not set. */
static bool place(size_t i, char out[PLACE_MAX])
{
    static const struct {
        const char *variable, *rest;
    } places[] = {
        { "REGISTRY_AUTH_FILE", "" },
        { "DOCKER_CONFIG", "/config.json" },
        { "HOME", "/.docker/config.json" },
        { "XDG_RUNTIME_DIR", "/containers/auth.json" },
        { "HOME", "/.config/containers/auth.json" },
    };
    if (i >= ZL_ARRAY_LEN(places))
        return false;
    const char *value = getenv(places[i].variable);
    int n = value && *value ? snprintf(out, PLACE_MAX, "%s%s", value, places[i].rest) : -1;
    return n > 0 && n < PLACE_MAX;
}
enum { PLACES = 5 };

static int find_in_file(const char *path, const char *registry, struct credentials *c,
                        struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(FILE_MAX_BYTES);
    zl_autofree char *helper = NULL;
    struct zl_error why = { 0 };
    if (zl_read_file(AT_FDCWD, path, &text, &why) < 0)
        return why.errnum == ENOENT || why.errnum == ENOTDIR
                   ? 0
                   : zl_fail(err, why.kind, "read '%s': %s", path, why.msg);
    if (credentials_parse(text.data, text.len, path, registry, c, &helper, err) < 0)
        return -1;
    return helper ? ask_helper(helper, registry, c, err) : 0;
}

static int find_in_environment(const char *registry, struct credentials *c, struct zl_error *err)
{
    const char *username = getenv("ZLAYER_REGISTRY_USERNAME");
    const char *password = getenv("ZLAYER_REGISTRY_PASSWORD");
    const char *host = getenv("ZLAYER_REGISTRY");
    if (!host || !*host)
        host = getenv("ZLAYER_DEFAULT_REGISTRY");
    if (!host || !*host)
        host = HUB;
    if (!username || !*username || !password || !is_key_of(host, registry))
        return 0;
    c->username = strdup(username);
    c->password = strdup(password);
    return c->username && c->password ? 0 : zl_fail_errno(err, "read the environment");
}

int credentials_find(const char *registry, struct credentials *ret, struct zl_error *err)
{
    char path[PLACE_MAX];
    *ret = (struct credentials){ 0 };
    if (find_in_environment(registry, ret, err) < 0)
        return -1;
    for (size_t i = 0; i < PLACES && !is_known(ret); i++) {
        if (place(i, path) && find_in_file(path, registry, ret, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- keeping --------------------------------------------------------------------------------- */

/* The file that is written: the first place that there is a variable for. Its content, or {}. */
static int open_kept(char path[PLACE_MAX], struct zl_json *doc, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(FILE_MAX_BYTES);
    struct zl_error why = { 0 };
    if (!place(0, path) && !place(1, path) && !place(2, path))
        return zl_fail(err, ZL_ERR_CONFIGURATION,
                       "there is no place for credentials: set HOME or DOCKER_CONFIG");
    if (zl_read_file(AT_FDCWD, path, &text, &why) < 0) {
        if (why.errnum != ENOENT)
            return zl_fail(err, why.kind, "%s", why.msg);
        zl_buf_adds(&text, "{}");
    }
    if (zl_json_parse(doc, text.data, text.len, path, err) < 0)
        return -1;
    return json_is_object(doc->root) ? 0 : zl_fail(err, ZL_ERR_INVALID, "%s is no object", path);
}

static int write_kept(char path[PLACE_MAX], const json_t *root, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(FILE_MAX_BYTES);
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (slash)
        *slash = '\0';
    zl_autoclose int dir = zl_mkdir_p(AT_FDCWD, slash ? (*path ? path : "/") : ".", 0700, err);
    int rc = dir < 0 ? -1 : zl_json_dump(root, JSON_INDENT(4), &text, err);
    if (rc == 0)
        rc = zl_write_atomic(dir, name, text.data, text.len, 0600, true, err);
    if (slash)
        *slash = '/';
    return rc;
}

static char *helper_of(const json_t *root, const char *registry)
{
    const char *own =
        json_string_value(member_for(json_object_get(root, "credHelpers"), registry, NULL));
    const char *all = json_string_value(json_object_get(root, "credsStore"));
    const char *name = own && *own ? own : all && *all ? all : NULL;
    return name ? strdup(name) : NULL;
}

static int give_helper(const char *helper, const char *registry, const struct credentials *c,
                       struct zl_error *err)
{
    zl_autobuf struct zl_buf out = ZL_BUF(HELPER_ANSWER_MAX);
    json_t *o = json_pack("{s:s, s:s, s:s}", "ServerURL", key_of(registry), "Username", c->username,
                          "Secret", c->password);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    int rc = text ? credential_helper(helper, "store", text, &out, err)
                  : zl_fail(err, ZL_ERR_INVALID, "the name or the password is not UTF-8");
    free(text);
    json_decref(o);
    return rc;
}

static int put_entry(json_t *root, const char *registry, const struct credentials *c,
                     struct zl_error *err)
{
    zl_autofree char *plain = NULL, *auth = NULL;
    json_t *auths = json_object_get(root, "auths");
    if (asprintf(&plain, "%s:%s", c->username, c->password) < 0 || !(auth = encode_base64(plain)))
        return zl_fail_errno(err, "keep the credentials");
    if (!json_is_object(auths)) {
        auths = json_object();
        if (!auths || json_object_set_new(root, "auths", auths) < 0)
            return zl_fail(err, ZL_ERR_SYSTEM, "keep the credentials: out of memory");
    }
    for (const char *old; member_for(auths, registry, &old);)
        (void)json_object_del(auths, old); /* it is there */
    if (json_object_set_new(auths, key_of(registry), json_pack("{s:s}", "auth", auth)) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "keep the credentials: out of memory");
    return 0;
}

int credentials_keep(const char *registry, const struct credentials *c, char *where, size_t size,
                     struct zl_error *err)
{
    char path[PLACE_MAX] = "";
    zl_autojson struct zl_json doc = { 0 };
    if (open_kept(path, &doc, err) < 0)
        return -1;
    zl_autofree char *helper = helper_of(doc.root, registry);
    if (helper) {
        (void)snprintf(where, size, "the credential helper %s", helper);
        return give_helper(helper, registry, c, err);
    }
    if (put_entry(doc.root, registry, c, err) < 0 || write_kept(path, doc.root, err) < 0)
        return -1;
    (void)snprintf(where, size, "%s, not encrypted", path);
    return 0;
}

int credentials_forget(const char *registry, struct zl_error *err)
{
    char path[PLACE_MAX] = "";
    zl_autojson struct zl_json doc = { 0 };
    zl_autobuf struct zl_buf out = ZL_BUF(HELPER_ANSWER_MAX);
    bool was = false;
    if (open_kept(path, &doc, err) < 0)
        return -1;
    zl_autofree char *helper = helper_of(doc.root, registry);
    if (helper)
        return credential_helper(helper, "erase", key_of(registry), &out, err);
    json_t *auths = json_object_get(doc.root, "auths");
    for (const char *old; member_for(auths, registry, &old); was = true)
        (void)json_object_del(auths, old); /* it is there */
    if (!was)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "%s holds no credentials for %s", path, registry);
    return write_kept(path, doc.root, err);
}
