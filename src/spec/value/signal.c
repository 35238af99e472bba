// SPDX-License-Identifier: Apache-2.0
#include "spec/value/signal.h"

#include <ctype.h>
#include <signal.h>
#include <string.h>

/* The kernel's numbers: glibc keeps 32 and 33 for itself, but images may well name SIGRTMIN. */
enum { LAST_SIGNAL = 64, KERNEL_RTMIN = 34 };

/* A decimal number of one or two digits, without a leading zero; -1: not one. */
static int small_number(const char *text)
{
    size_t n = strspn(text, "0123456789");
    if (!n || n > 2 || text[n] || text[0] == '0')
        return -1;
    return n == 1 ? text[0] - '0' : (text[0] - '0') * 10 + text[1] - '0';
}

static int realtime(const char *name)
{
    int base, offset = 0;
    if (strncmp(name, "RTMIN", 5) == 0)
        base = KERNEL_RTMIN;
    else if (strncmp(name, "RTMAX", 5) == 0)
        base = LAST_SIGNAL;
    else
        return -1;
    const char *rest = name + 5;
    if (*rest) {
        char sign = base == LAST_SIGNAL ? '-' : '+';
        offset = *rest == sign ? small_number(rest + 1) : -1;
        if (offset < 0 || offset > LAST_SIGNAL - KERNEL_RTMIN)
            return -1;
    }
    return base == LAST_SIGNAL ? base - offset : base + offset;
}

int spec_parse_signal(const char *text)
{
    int number = small_number(text);
    if (number > 0)
        return number <= LAST_SIGNAL ? number : -1;
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (int i = 1; i < KERNEL_RTMIN; i++) {
        const char *known = sigabbrev_np(i);
        if (known && strcmp(known, name) == 0)
            return i;
    }
    return realtime(name);
}

int spec_parse_signal_loosely(const char *text)
{
    char word[16];
    size_t n = 0;
    text += strspn(text, " \t");
    while (text[n] && !strchr(" \t", text[n]) && n < sizeof word - 1) {
        word[n] = (char)toupper((unsigned char)text[n]);
        n++;
    }
    word[n] = '\0';
    return text[n + strspn(text + n, " \t")] ? -1 : spec_parse_signal(word);
}
