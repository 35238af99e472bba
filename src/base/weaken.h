// SPDX-License-Identifier: Apache-2.0
/*
 * Deliberate weaknesses, of test programs only. An escape test is worth something when the escape
 * succeeds where its one defence is missing: for each row below tests/weak/meson.build compiles the
 * file that has the defence once more, with -DZL_WEAKEN=<name>, into a program of its own. In all
 * that is shipped zl_weaken() is the constant false; tests/e2e/test_escape_shipped.py looks.
 */
#ifndef ZL_BASE_WEAKEN_H
#define ZL_BASE_WEAKEN_H

enum zl_weakness {
    ZL_WEAK_NONE,
    ZL_WEAK_SELF,     /* zlayer-oci runs from the host's file */
    ZL_WEAK_MONITOR,  /* the monitor runs from a file in memory that can be written */
    ZL_WEAK_FDS,      /* descriptors stay open in the container */
    ZL_WEAK_CLOSED,   /* a standard descriptor may be closed, and what is opened takes its place */
    ZL_WEAK_CWD,      /* the working directory may be a magic link */
    ZL_WEAK_COMMAND,  /* so may the command: descriptors close only when it is executed */
    ZL_WEAK_TARGET,   /* a path of the image is followed out of the root */
    ZL_WEAK_RACE,     /* it is looked at first, and used by name later */
    ZL_WEAK_DEVNULL,  /* masks are made of the image's /dev/null */
    ZL_WEAK_DEVICE,   /* what the image has in a device's place stays */
    ZL_WEAK_LABEL,    /* attributes are written through the container's /proc */
    ZL_WEAK_PROC,     /* /proc may be a link of the image */
    ZL_WEAK_READONLY, /* what should be read-only is not */
    ZL_WEAK_DUMPABLE, /* who joins a container can be traced in it */
    ZL_WEAK_AHEAD,    /* who joins has rights when it can be seen */
    ZL_WEAK_CAPS,     /* capabilities of ours are not dropped */
    ZL_WEAK_SETID,    /* no_new_privs is forgotten */
    ZL_WEAK_PID,      /* a container is known by the number of its process */
    ZL_WEAK_VIEW,     /* zlayer-fetch: the host's files stay in sight */
    ZL_WEAK_CALLS,    /* zlayer-fetch: no system call is refused, and the network is the host's */
    ZL_WEAK_LATE, /* zlayer-fetch: credentials stay in memory: who unpacks is forked when they were
                     read, and the environment keeps its own */
    ZL_WEAK_RIGHTS,   /* zlayer-fetch: capabilities stay */
    ZL_WEAK_LINKS,    /* zlayer-fetch: links of a layer lead out, to the host's files */
    ZL_WEAK_STDIO,    /* zlayer-fetch: so do the descriptors of who unpacks */
    ZL_WEAK_STORE,    /* zlayer-fetch: who talks with a registry has the store, and may write */
    ZL_WEAK_LANDLOCK, /* zlayer-fetch: only what it sees keeps it from writing */
    ZL_WEAK_PASSWD,   /* a file of the image is opened whatever it is */
};

#ifndef ZL_WEAKEN
#define ZL_WEAKEN NONE
#else
#define ZL_WEAK_TEXT(name) #name
#define ZL_WEAK_NAME(name) ZL_WEAK_TEXT(name)
/* by which a weakened program is known */
__attribute__((used)) static const char zl_weakened[] = "ZL_WEAKEN=" ZL_WEAK_NAME(ZL_WEAKEN);
#endif

#define ZL_WEAK_JOIN(name) ZL_WEAK_##name
#define ZL_WEAK_OF(name) ZL_WEAK_JOIN(name)
#define zl_weaken(name) (ZL_WEAK_##name == ZL_WEAK_OF(ZL_WEAKEN))

#endif
