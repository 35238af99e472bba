// SPDX-License-Identifier: Apache-2.0
#include "fetch/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"

/* Takes the object. Out of memory loses a line of progress, but not the work. */
static void say(json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text) {
        size_t n = strlen(text);
        text[n] = '\n'; /* one write a line; the NUL is not needed any more */
        (void)zl_write_all(STDOUT_FILENO, text, n + 1, "stdout", NULL); /* nobody else to tell */
    }
    free(text);
    json_decref(line);
}

void progress_layer(struct progress *p, uint64_t more)
{
    uint64_t now = zl_mono_ms();
    p->current += more;
    if (p->current < p->total && now - p->last_ms < 100)
        return;
    p->last_ms = now;
    say(json_pack("{s:s, s:s?, s:I, s:I}", "status", "layer", "digest", p->digest, "current",
                  (json_int_t)p->current, "total", (json_int_t)p->total));
}

void progress_image(const char *digest, const char *reference)
{
    say(json_pack("{s:s, s:s, s:s?}", "status", "image", "digest", digest, "reference", reference));
}

void progress_verified(const char *digest, const char *reference, const char *damage)
{
    say(json_pack("{s:s, s:s, s:s?, s:s?}", "status", "verified", "digest", digest, "reference",
                  reference, "damage", damage));
}

void progress_done(const char *digest, const char *reference, const char *resolved)
{
    say(json_pack("{s:s, s:s, s:s, s:s*}", "status", "done", "digest", digest, "reference",
                  reference, "resolved", resolved));
}

void progress_error(const struct zl_error *cause)
{
    say(json_pack("{s:s, s:s, s:s}", "status", "error", "kind", zl_err_kind_name(cause->kind),
                  "message", cause->msg));
}
