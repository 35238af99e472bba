// SPDX-License-Identifier: Apache-2.0
/*
 * How a container ended, as a file: one line of JSON in exactly this form,
 *
 *   {"code":137,"signal":9,"oom":true,"oom_peak":16777216,"started_at":"…Z","finished_at":"…Z"}
 *
 * with "why":"timeout" (or "trap", "broken") before "started_at" when code and signal do not tell.
 * Written by the monitor, read by the agent when the monitor is gone. Only we write it, so the
 * reader takes this form and no other: a torn or foreign record is an error, never half an answer.
 */
#ifndef ZL_MONITOR_EXITREC_H
#define ZL_MONITOR_EXITREC_H

#include <stdbool.h>

#include "base/error.h"
#include "monitor/protocol.h"

/* dir_fd/MON_EXIT_RECORD, all or nothing. durable: it survives a power cut, with the files beside
 * it, without which nobody could tell whose it is, and the folder itself. */
int exitrec_write(int dir_fd, const struct mon_exit *e, bool durable, struct zl_error *err);
/* ZL_ERR_NOT_FOUND when there is none, ZL_ERR_INVALID when it is torn. */
int exitrec_read(int dir_fd, struct mon_exit *ret, struct zl_error *err);

#endif
