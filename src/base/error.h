// SPDX-License-Identifier: Apache-2.0
/*
 * What went wrong, told from the outside in: "start web-rep-1: mount '/proc': Operation not
 * permitted". An error lives in the caller's frame and needs no allocation, so running out of
 * memory can be reported as well. Every fallible function fills it before it answers -1 or NULL.
 */
#ifndef ZL_BASE_ERROR_H
#define ZL_BASE_ERROR_H

#include "base/cleanup.h"

/* What a caller may branch on; the text is for people. Kinds of the runtimes' contract included. */
enum zl_err_kind {
    ZL_OK = 0,
    ZL_ERR_SYSTEM,        /* a system call failed: errnum says why */
    ZL_ERR_INVALID,       /* the input is wrong: a spec, a config, an argument */
    ZL_ERR_NOT_FOUND,     /* no such container, image, service, file */
    ZL_ERR_EXISTS,        /* the name is taken */
    ZL_ERR_CONFLICT,      /* not in this state */
    ZL_ERR_UNSUPPORTED,   /* this runtime, build or kernel cannot */
    ZL_ERR_CONFIGURATION, /* the host or agent.yml does not allow it */
    ZL_ERR_TIMEOUT,
    ZL_ERR_CANCELLED,
    ZL_ERR_UNREACHABLE, /* nobody answers: agent, monitor, registry */
    ZL_ERR_PROTOCOL,    /* the other side broke the protocol */
    ZL_ERR_DENIED,
    ZL_ERR_INTERNAL, /* cannot happen, did */
    ZL_ERR_KINDS
};

struct zl_error {
    enum zl_err_kind kind;
    int errnum;        /* 0 when no system call is to blame */
    const char *where; /* "src/sandbox/carry/mounts.c:212" of the first failure; static storage */
    char msg[1024];    /* outermost first; UTF-8 (other bytes as \xNN); cut off with "..." */
};

/* The lower-case word of a kind, "not_found", as the API and the JSON log spell it. */
const char *zl_err_kind_name(enum zl_err_kind kind);

/*
 * Fill *err (which may be NULL) and return -1. errno is kept. zl_fail_errno appends ": " and the
 * text of errno, and keeps errno in errnum; ENOMEM and others are all ZL_ERR_SYSTEM.
 */
#define zl_fail(err, kind, ...) zl_fail_at(err, kind, ZL_HERE, __VA_ARGS__)
#define zl_fail_errno(err, ...) zl_fail_errno_at(err, ZL_HERE, __VA_ARGS__)
#define ZL_HERE_(line) __FILE__ ":" #line
#define ZL_HERE__(line) ZL_HERE_(line)
#define ZL_HERE ZL_HERE__(__LINE__)

int zl_fail_at(struct zl_error *err, enum zl_err_kind kind, const char *where, const char *fmt, ...)
    ZL_PRINTF(4, 5);
int zl_fail_errno_at(struct zl_error *err, const char *where, const char *fmt, ...) ZL_PRINTF(3, 4);

/* Puts "<text>: " in front of the message and returns -1. NULL is fine. */
int zl_wrap(struct zl_error *err, const char *fmt, ...) ZL_PRINTF(2, 3);

#endif
