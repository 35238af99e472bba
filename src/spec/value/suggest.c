// SPDX-License-Identifier: Apache-2.0
#include "spec/value/suggest.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST = 32 }; /* no field or spelling is longer */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same(char a, char b)
{
    return lower(a) == lower(b);
}

/* Optimal string alignment distance; three rows of the matrix are alive at a time. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned rows[3][LONGEST + 1];
    for (unsigned j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned differs = !same(a[i - 1], b[j - 1]);
            now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + differs);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) &&
                up2[j - 2] + 1 < now[j])
                now[j] = up2[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

void spec_nearest_try(struct spec_nearest *s, const char *word)
{
    size_t n = strlen(s->typed), m = strlen(word);
    if (n > LONGEST || m > LONGEST || !n)
        return;
    unsigned allowed = m <= 3 ? 1 : m <= 7 ? 2 : 3; /* more, and it is another word */
    unsigned d = distance(s->typed, n, word, m);
    if (d > allowed || d >= n || (s->word && d >= s->distance))
        return;
    s->word = word;
    s->distance = d;
}
