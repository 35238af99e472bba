// SPDX-License-Identifier: Apache-2.0
/*
 * An agent that works, without containers: the real server and the real core in a process of its
 * own, and a runtime whose every request succeeds in the next turn of the loop. Names of images
 * make it do otherwise: "exits" ends at once with code 7, "no-command" cannot be started, "stuck"
 * never answers its start.
 */
#ifndef FAKE_AGENT_H
#define FAKE_AGENT_H

#include <sys/types.h>

struct fake_agent {
    char dir[64], socket[96];
    pid_t pid;
};

void fake_agent_start(struct fake_agent *f);
/* Ends it by the API, checks that it ended well (its sanitizer found nothing), removes its folder.
 */
void fake_agent_stop(struct fake_agent *f);

#endif
