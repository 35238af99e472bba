// SPDX-License-Identifier: Apache-2.0
/* Signals by name or number: "SIGTERM", "TERM", "15", "SIGRTMIN+3". */
#ifndef ZL_SPEC_VALUE_SIGNAL_H
#define ZL_SPEC_VALUE_SIGNAL_H

/* The number, 1 to 64; -1: no such signal. Names are upper case. */
int spec_parse_signal(const char *text);
/* The same as people type them: any case, blanks around it. */
int spec_parse_signal_loosely(const char *text);

#endif
