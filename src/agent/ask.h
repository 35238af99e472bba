// SPDX-License-Identifier: Apache-2.0
/* What the API asks of the runtime directly: nothing of it is decided by core. Each as struct
 * api_ops says. */
#ifndef ZL_AGENT_ASK_H
#define ZL_AGENT_ASK_H

#include "api/server.h"

void ask_attach(void *agent, struct inst_id id, api_done_fn done, void *arg);
void ask_exec(void *agent, struct inst_id id, const struct api_exec *x, api_done_fn done,
              void *arg);
void ask_archive(void *agent, struct inst_id id, const struct api_archive *x, api_done_fn done,
                 void *arg);
void ask_kill(void *agent, struct inst_id id, int signal, api_done_fn done, void *arg);
void ask_pause(void *agent, struct inst_id id, bool pause, api_done_fn done, void *arg);
void ask_stats(void *agent, struct inst_id id, api_told_fn told, void *arg);
void ask_top(void *agent, struct inst_id id, const char *columns, api_told_fn told, void *arg);
void ask_details(void *agent, struct inst_id id, api_told_fn told, void *arg);
void ask_update(void *agent, struct inst_id id, const struct fact_limits *limits, api_told_fn told,
                void *arg);

#endif
