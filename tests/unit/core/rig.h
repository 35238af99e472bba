// SPDX-License-Identifier: Apache-2.0
/*
 * A core with a runtime that does at once what it is asked, unless a test says otherwise, and a
 * clock that a test moves. Everything that is told to the core goes through here.
 */
#ifndef ZL_TESTS_UNIT_CORE_RIG_H
#define ZL_TESTS_UNIT_CORE_RIG_H

#include "core/core.h"
#include "core/view.h"
#include "doc.h"

enum { RIG_MAX = 128, RIG_LINES = 512 };

struct rig_container {
    struct inst_id id;
    enum owner_kind owner;
    char service[32];
    uint32_t index;
    uint64_t execution, hash, made_at;
    char digest[32]; /* of its image; "": by its name */
    bool runs, ended;
};

struct rig_request {
    uint64_t op;
    enum effect_kind kind;
    struct inst_id id;
    char what[32];   /* image of a pull, service of a create or probe */
    char digest[32]; /* that a pull wants; "": whatever the tag means */
    int signal;
    uint64_t grace_ms;
};

struct rig_line {
    uint64_t at;
    char type[32], text[256];
};

struct rig {
    struct core *core;
    struct core_now now;
    struct effects out;
    uint64_t seed;
    size_t documents;                         /* alive before it */
    struct rig_container containers[RIG_MAX]; /* those that exist */
    size_t n_containers;
    struct rig_request open[RIG_MAX]; /* not answered yet, the oldest first */
    size_t n_open;
    struct rig_line lines[RIG_LINES]; /* what `zlayer events` would show */
    size_t n_lines;
    struct rig_container made[RIG_LINES]; /* each create, in order */
    size_t n_made;
    size_t asked[EFF_KINDS]; /* requests so far */
    bool held[EFF_KINDS];    /* these are not answered by themselves */
    const char *missing;     /* an image that cannot be pulled */
    unsigned tag;            /* pulls answer "<image>-<tag>" */
    const char *unstartable; /* a service whose start fails */
    const char *sick;        /* a service whose probes fail */
    const char *paused;      /* a service whose probes are postponed */
    const char *mute;        /* a service whose probes are never answered */
};

struct rig *rig_new(void);
void rig_free(struct rig *r); /* also asserts that no document is left */

/* One event; then what follows is carried out. Answers what the core refused, or ZL_OK. */
enum zl_err_kind rig_tell(struct rig *r, struct event *ev);
void rig_settle(struct rig *r);
void rig_set_clock(struct rig *r, int64_t wall_ms);
void rig_pass(struct rig *r, uint64_t ms); /* time goes by, with every deadline in it */

enum zl_err_kind rig_deploy(struct rig *r, const struct spec_service *services, size_t n);
enum zl_err_kind rig_deploy_one(struct rig *r, struct spec_service service);
void rig_down(struct rig *r);
enum zl_err_kind rig_restart(struct rig *r, const char *service, uint32_t index);
void rig_stop(struct rig *r, const char *service);
uint64_t rig_run_job(struct rig *r, const char *job);
uint64_t rig_run(struct rig *r, const char *name, const char *image, bool delete_on_exit);
void rig_exit(struct rig *r, const char *service, uint32_t index, int code);
/* Answers the oldest open request of this kind; failed in words, or NULL. */
void rig_answer(struct rig *r, enum effect_kind kind, const char *failed);

struct rig_container *rig_find(struct rig *r, const char *service, uint32_t index); /* or NULL */
size_t rig_running(struct rig *r, const char *service);
size_t rig_lines(const struct rig *r, const char *type);
const struct rig_line *rig_last(const struct rig *r, const char *type); /* or NULL */
struct view_container rig_slot(struct rig *r, const char *service, uint32_t index);
struct view_service rig_service(struct rig *r, const char *service);
struct view_deployment rig_deployment(struct rig *r);
struct row_execution rig_execution(struct rig *r, uint64_t id); /* id 0: not there */

#endif
