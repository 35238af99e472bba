// SPDX-License-Identifier: Apache-2.0
/* What follows from the end of a replica: whether it is started again, and after which pause. */
#ifndef ZL_CORE_SUPERVISOR_H
#define ZL_CORE_SUPERVISOR_H

#include <stdint.h>

#include "spec/spec.h"

struct supervision;

enum ending {
    ENDED_CLEAN,    /* exit code 0 */
    ENDED_CRASHED,  /* any other exit, a lost monitor, a failed create or start */
    ENDED_UNPULLED, /* its image could not be had: nothing ran, so no policy is asked */
    ENDINGS
};

enum verdict {
    VERDICT_RESTART,
    VERDICT_COMPLETED,
    VERDICT_FAILED,
    VERDICT_SHUTDOWN,
    VERDICT_ISOLATE
};

/*
 * Judges an ending at `now` (mono, ms) after up_ms of running and notes it in s. *ret_delay, of
 * VERDICT_RESTART, is the pause before the next start in ms. Never called for a deliberate stop.
 */
enum verdict supervision_judge(struct supervision *s, const struct spec_service *service,
                               enum ending ending, uint64_t now, uint64_t up_ms,
                               uint64_t *ret_delay);

#endif
