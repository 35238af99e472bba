// SPDX-License-Identifier: Apache-2.0
/*
 * Making a container of a bundle: what create, run and restore have in common. Whatever fails takes
 * back all that was made, and the id is free again.
 */
#ifndef ZL_OCICLI_MAKE_H
#define ZL_OCICLI_MAKE_H

#include <limits.h>

#include "base/clock.h"
#include "ocicli/container.h"
#include "ocicli/listener.h"
#include "ocicli/systemd/unit.h"
#include "sandbox/carry/netns.h"

/* What create and run say about how to make it. */
struct make_options {
    const char *bundle, *config, *pid_file, *console_socket, *pidfd_socket;
    bool detach, keep, no_pivot, no_new_keyring, no_subreaper;
    uint64_t preserve_fds;
};

struct making {
    struct cli *cli;
    const struct make_options *o;
    const char *id;
    struct container container;
    struct unit unit; /* with systemd's cgroups */
    struct zl_buf config_text;
    struct oci_config *config;
    struct oci_state state;
    struct listening listening;
    char bundle[PATH_MAX], rootfs[PATH_MAX];
    char created[ZL_RFC3339_SIZE];
    struct netns_making network; /* made meanwhile, and entered by us */
    bool told_pid;               /* the pid file, if one is asked for, is written */
    bool may_enter;              /* nothing of us is done in the host's network after that */
    int console;                 /* a socket for the terminal's master; -1: none */
    unsigned n_listen;           /* descriptors of $LISTEN_FDS, from 3 on */
};
void making_init(struct making *m, struct cli *cli, const struct make_options *o, const char *id);
void making_done(struct making *m);
#define automaking ZL_CLEANUP(making_done)

/* Reads bundle and configuration; checks them against the options. Nothing is made. */
int making_load(struct making *m, struct zl_error *err);
/* The first process, waiting at its gate: the container is "created". */
int making_create(struct making *m, struct carry_proc *ret, struct zl_error *err);
/* The same and its start. Without hooks by one clone that returns when the command was executed. */
int making_create_and_start(struct making *m, struct carry_proc *ret, struct zl_error *err);

/* The steps that restore goes by itself, whose first process criu makes. */
/* Takes the id, makes cgroups and plan; what fails leaves nothing. */
int making_prepare(struct making *m, struct zl_error *err);
/* Tells everybody who waits for the pid, and writes the state: it is a container from then on. */
int making_record(struct making *m, const struct carry_proc *p, struct zl_error *err);
/* Lets systemd's scope go on without us, when there is one. */
int making_settle(struct making *m, struct zl_error *err);
/* Undoes all since making_prepare(), the process as well when there is one. */
void making_give_up(struct making *m, struct carry_proc *p);

/* create.c: waits for the end of its first process, which is our child, and deletes the container
 * unless it is to be kept. console: our end of the terminal's socket, which is consumed, or -1. The
 * code of run. */
int making_attend(struct making *m, struct carry_proc *p, int console, struct zl_error *err);

/* start.c: opens the gate of a created container, with the hooks around it. *ret_hooks_failed: it
 * was a startContainer hook that failed, and the gate is closed still. */
int start_created(struct cli *cli, struct container *c, const struct oci_config *config,
                  const struct oci_state *state, int pidfd, bool *ret_hooks_failed,
                  struct zl_error *err);
/* kill.c: SIGKILL to the first process, and the wait for its end. */
int end_first(struct found *f, struct zl_error *err);
/* kill.c: the same of a process that is a child of ours. */
void end_child(const struct carry_proc *p);
/* delete.c: with force what still runs is killed; CONFLICT otherwise. */
int delete_found(struct cli *cli, struct found *f, bool force, struct zl_error *err);

/* pidfile.c: the pid, in decimal, replacing the file. */
int pid_file_write(const char *path, pid_t pid, struct zl_error *err);
/* Takes it back; NULL: there is none. */
void pid_file_remove(const char *path);
/* Sends a pidfd to who listens on the socket (SCM_RIGHTS), as runc's --pidfd-socket. */
int pidfd_send(const char *path, int pidfd, struct zl_error *err);
/* Sends any descriptor with these bytes, as receivers expect them. -1 and errno. */
int descriptor_send(int socket, int fd, const char *text);
/* A connected stream socket; option names what gave the path. */
int socket_connect(const char *option, const char *path, struct zl_error *err);

/* gate.c: what is between create's child and start */
struct gate {
    int gate_fd, report_fd, outcome_fd;
};
#define GATE_NONE                                                                                  \
    {                                                                                              \
        -1, -1, -1                                                                                 \
    }
int gate_make(struct container *c, struct gate *ret, struct zl_error *err);
void gate_done(struct gate *g);
#define autogate ZL_CLEANUP(gate_done)
/* Whoever approaches is the only one who may open it. CONFLICT: another has, or is about to. *ret
 * is the caller's to end with gate_done(), also after a failure. */
int gate_approach(struct container *c, struct gate *ret, struct zl_error *err);
/* Lets the command be executed; NOT_FOUND, DENIED, … when it could not be. */
int gate_open(struct container *c, const struct gate *g, struct zl_error *err);

/* attend.c: `run` and `exec` in the foreground: until the process ends, with our signals handed on
 * to it and, with a terminal, our own as its. Its code; 128 + signal. master: -1, or the
 * terminal's, which is consumed. After attend_signals(). */
int attend(const struct carry_proc *p, int master, struct zl_error *err);
/* Before what will be attended is started: from here on signals wait for attend(). */
void attend_signals(void);
/* A socket pair for carry_start.console_socket whose other end is ours. */
int attend_console(int *ret_ours, struct zl_error *err);
/* The master that came to our end; consumes it. */
int attend_master(int ours, struct zl_error *err);

#endif
