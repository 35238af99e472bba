// SPDX-License-Identifier: Apache-2.0
/*
 * The table of routes in docs/api.md, from the table that the server dispatches by. Without an
 * argument it prints the table; with the page as argument it fails unless the page has exactly this
 * one between its two markers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "base/fd.h"

#define BEGIN "<!-- routes: made by tests/unit/api/routes.c -->\n"
#define END "<!-- end of routes -->\n"

/* The server walks a store only when asked for images, which nobody does here. */
int image_each(struct image_store *s, image_fn fn, void *arg, struct zl_error *err)
{
    (void)s;
    (void)fn;
    (void)arg;
    return zl_fail(err, ZL_ERR_UNSUPPORTED, "no store");
}

static bool add_row(void *arg, const struct api_route *r)
{
    zl_buf_addf(arg, "| %s | `%s` | %s | %s%s%s |\n", r->method, r->path, r->role, r->summary,
                r->query ? "; query: " : "", r->query ? r->query : "");
    return true;
}

static int compare(const char *page_path, const struct zl_buf *table)
{
    zl_autobuf struct zl_buf page = ZL_BUF(1024 * 1024);
    struct zl_error err = { 0 };
    if (zl_read_file(AT_FDCWD, page_path, &page, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    const char *begin = strstr(page.data, BEGIN), *end = strstr(page.data, END);
    begin = begin ? begin + strlen(BEGIN) : NULL;
    if (begin && end && (size_t)(end - begin) == table->len &&
        memcmp(begin, table->data, table->len) == 0)
        return 0;
    (void)fprintf(stderr, "%s: the table of routes should be\n%s", page_path, table->data);
    return 1;
}

int main(int argc, char **argv)
{
    zl_autobuf struct zl_buf table = ZL_BUF(1024 * 1024);
    zl_buf_adds(&table, "| method | path | role | what it does |\n|---|---|---|---|\n");
    api_each_route(add_row, &table);
    if (argc > 1)
        return compare(argv[1], &table);
    (void)fputs(table.data, stdout);
    return 0;
}
