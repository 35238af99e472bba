// SPDX-License-Identifier: Apache-2.0
#include "cli/image/transfer.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cli/output.h"

enum { BAR_CELLS = 30, LAYERS_MAX = 128 };

struct bar {
    char digest[80];
    uint64_t current, total;
    bool told; /* its line was printed: off a terminal */
};

struct transfer_view {
    bool json, live, quiet;
    struct bar bars[LAYERS_MAX];
    size_t n, drawn; /* drawn: lines on the screen that are ours */
    char digest[80]; /* of the whole */
};

struct transfer_view *transfer_view_new(const struct cli *cli, bool quiet, struct zl_error *err)
{
    struct transfer_view *v = calloc(1, sizeof *v);
    if (!v) {
        (void)zl_fail_errno(err, "show the progress");
        return NULL;
    }
    v->json = cli->format == CLI_JSON;
    v->quiet = quiet;
    v->live = !quiet && !v->json && isatty(STDOUT_FILENO);
    return v;
}

void transfer_view_free(struct transfer_view *v)
{
    free(v);
}

/* ---- on a terminal --------------------------------------------------------------------------- */

static size_t screen_rows(void)
{
    struct winsize w = { 0 };
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 2 ? w.ws_row : 24;
}

static void draw_bar(const char *name, uint64_t current, uint64_t total)
{
    char cells[BAR_CELLS + 1], done[32], all[32];
    size_t filled = total ? (size_t)((double)current / (double)total * BAR_CELLS) : 0;
    if (filled > BAR_CELLS)
        filled = BAR_CELLS;
    memset(cells, '=', filled);
    memset(cells + filled, ' ', BAR_CELLS - filled);
    cells[BAR_CELLS] = '\0';
    format_size(current, done);
    format_size(total, all);
    (void)printf("\x1b[K%-14.12s [%s] %9s / %s\n", name, cells, done, all);
}

static const char *short_name(const struct bar *b)
{
    return strncmp(b->digest, "sha256:", 7) == 0 ? b->digest + 7 : b->digest;
}

static void erase(struct transfer_view *v)
{
    if (v->drawn)
        (void)printf("\x1b[%zuA\x1b[J", v->drawn);
    v->drawn = 0;
}

/* As many of the newest as fit, and the total. */
static void draw(struct transfer_view *v)
{
    uint64_t current = 0, total = 0;
    size_t room = screen_rows() - 2, first = v->n > room ? v->n - room : 0;
    erase(v);
    for (size_t i = 0; i < v->n; i++) {
        current += v->bars[i].current;
        total += v->bars[i].total;
        if (i >= first)
            draw_bar(short_name(&v->bars[i]), v->bars[i].current, v->bars[i].total);
    }
    draw_bar("total", current, total);
    v->drawn = v->n - first + 1;
    (void)fflush(stdout); /* what cannot be shown is not worth failing for */
}

/* ---- lines ----------------------------------------------------------------------------------- */

static struct bar *bar_of(struct transfer_view *v, const char *digest)
{
    for (size_t i = 0; i < v->n; i++) {
        if (strcmp(v->bars[i].digest, digest) == 0)
            return &v->bars[i];
    }
    if (v->n == LAYERS_MAX)
        return NULL;
    struct bar *b = &v->bars[v->n++];
    (void)snprintf(b->digest, sizeof b->digest, "%s", digest);
    return b;
}

static void take_layer(struct transfer_view *v, const json_t *line)
{
    const char *digest = jstr(line, "digest");
    struct bar *b = bar_of(v, *digest ? digest : "layer");
    char size[32];
    if (!b)
        return;
    b->current = (uint64_t)jint(line, "current");
    b->total = (uint64_t)jint(line, "total");
    if (v->live) {
        draw(v);
    } else if (!v->quiet && b->current >= b->total && !b->told) {
        format_size(b->total, size);
        (void)printf("%.12s  %s\n", short_name(b), size);
        b->told = true;
    }
}

int transfer_view_line(void *arg, const json_t *line, struct zl_error *err)
{
    struct transfer_view *v = arg;
    (void)err;
    if (v->json) {
        (void)json_dumpf(line, stdout, JSON_COMPACT);
        (void)fputc('\n', stdout);
        (void)fflush(stdout); /* who reads it wants it now */
        return 0;
    }
    if (strcmp(jstr(line, "status"), "stored") == 0)
        (void)snprintf(v->digest, sizeof v->digest, "%s", jstr(line, "digest"));
    else if (strcmp(jstr(line, "status"), "layer") == 0)
        take_layer(v, line);
    return 0;
}

void transfer_view_end(struct transfer_view *v, const char *done)
{
    if (v->json)
        return;
    erase(v);
    if (done && v->quiet)
        (void)printf("%s\n", v->digest);
    else if (done)
        (void)printf("%s%s%s\n", done, *v->digest ? " " : "", v->digest);
    (void)fflush(stdout);
}
