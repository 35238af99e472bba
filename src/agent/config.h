// SPDX-License-Identifier: Apache-2.0
/*
 * The agent's settings: flag > environment > agent.yml > default. agent.yml is read like a
 * deployment document, with the same located errors:
 *
 *     version: v1
 *     root_dir: /var/lib/zlayer
 *     log_level: debug
 *     pull_stall_timeout: 60s
 *     registries:
 *       - host: registry.example.net:5000
 *         ca_file: /etc/ssl/our-ca.pem
 *         mirrors: ["cache.example.net"]
 *     signatures:
 *       - prefix: registry.example.net:5000/team
 *         key_files: [/etc/zlayer/team.pub]
 */
#ifndef ZL_AGENT_CONFIG_H
#define ZL_AGENT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "spec/spec.h"

struct agent_registry { /* one of `registries` in agent.yml */
    const char *host;   /* as references name it */
    bool insecure;      /* plain HTTP and any certificate will do */
    const char *ca_file;
    struct spec_strings mirrors;
};

struct agent_signature { /* one of `signatures`: which images have to be signed, and by whom */
    const char *prefix;  /* "registry.example.net/team"; "*": all */
    struct spec_strings key_files; /* PEM; one of them has to fit */
    const char **keys;             /* their contents, read with the settings */
    bool is_unsigned;              /* no signature is asked for */
};

struct agent_config {
    const char *root_dir, *run_dir; /* absolute */
    const char *socket;             /* NULL in the source of it all: <run_dir>/zlayer.sock */
    const char *cgroup_parent;      /* "/zlayer" */
    struct {                        /* of WebAssembly guests */
        const char *cache_dir;      /* absolute; default: <root_dir>/wasm */
        const char *max_execution_time_word, *epoch_deadline_word, *enable_epochs_word;
        uint64_t max_execution_ms, epoch_deadline;
        bool enable_epochs;
    } wasm;
    const struct agent_registry *registries;
    size_t n_registries;
    struct agent_signature *signatures;
    size_t n_signatures;
    uint64_t pull_stall_ms, pull_connect_ms; /* 0: zlayer-fetch's own */
    uint16_t pull_streams;
    const char *log_level_word;
    enum zl_log_level log_level;
    bool help, version;
    int ready_fd; /* one byte is written there when the agent serves; -1: none */
    struct zl_arena memory;
};

/*
 * Reads argv, the environment and the file. INVALID: the text says what is wrong, in one or more
 * lines. NOT_FOUND: --config names no file (a missing default file is fine).
 */
int agent_config_read(int argc, char **argv, struct agent_config *ret, struct zl_error *err);
/* The file alone, for who is no agent but pulls as one: what agent_config_order() needs. path NULL:
 * the default one, which may be missing. */
int agent_config_read_file(const char *path, struct agent_config *ret, struct zl_error *err);
void agent_config_done(struct agent_config *c);
/* What the puller is told (runtime/puller.h): a JSON object, allocated. NULL: no memory. */
char *agent_config_order(const struct agent_config *c);
/* The usage text, on stdout. */
void agent_config_help(void);

#endif
