// SPDX-License-Identifier: Apache-2.0
/* The user's terminal: raw while a container's terminal is shown on it, restored whatever happens.
 */
#ifndef ZL_CMDLINE_TERM_H
#define ZL_CMDLINE_TERM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Makes the terminal fd raw, cfmakeraw(3). It is restored by term_restore(), by exit(3), and on no
 * other way: fatal signals must be turned into one of these by the caller. */
int term_raw(int fd, struct zl_error *err);
void term_restore(void); /* does nothing when it is not raw */
/* Size of the terminal fd; false when it is none or says nothing. */
bool term_size(int fd, uint16_t *rows, uint16_t *cols);

#endif
