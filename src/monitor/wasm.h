// SPDX-License-Identifier: Apache-2.0
/*
 * What the agent and zlayer-wasm say to each other beyond docs/protocol.md. The host of a machine,
 * `zlayer-wasm host`, answers these requests at MON_CTL in its folder; what MON_WASM_TAKE answers
 * is a connection to a new monitor, which is then told CREATE like any other, with struct
 * wasm_guest as the first descriptor that the plan counts as its own.
 */
#ifndef ZL_MONITOR_WASM_H
#define ZL_MONITOR_WASM_H

#include "monitor/protocol.h"

enum mon_wasm_type {
    MON_WASM_PREPARE = 64, /* struct mon_wasm_module + the module's bytes as a descriptor: compiled,
                            * unless the cache has it, and loaded. Answered, maybe late, by
                            * struct mon_wasm_prepared */
    MON_WASM_TAKE = 65,    /* struct mon_wasm_module, which was prepared; answered with one fd, a
                            * new monitor's control connection */
    MON_WASM_END = 66,     /* the host ends; monitors go on. Empty answer */
};

enum { WASM_DIGEST_LEN = 64 };
struct mon_wasm_module {
    char digest[WASM_DIGEST_LEN]; /* SHA-256 of the bytes, hexadecimal */
    uint32_t variant;             /* bits: 1 time can be limited, 2 instructions are counted */
    uint32_t pad;
};
enum { WASM_VARIANT_TIMED = 1, WASM_VARIANT_METERED = 2 };

enum { WASM_NOTE_SIZE = 256 };
enum mon_wasm_serves { WASM_COMMAND = 0, WASM_HTTP = 1 };
struct mon_wasm_prepared {
    uint32_t serves;    /* enum mon_wasm_serves */
    uint32_t compiled;  /* 1: just now */
    uint32_t component; /* 1: of WASI 0.2; 0: a core module of preview 1 */
    uint32_t pad;
    char note[WASM_NOTE_SIZE]; /* why what the cache had was compiled anew; "": it was not */
};

/* One guest, in a sealed memfd: this struct, n_listen of struct wasm_listen, n_hosts texts with
 * their NULs, then the bytes of two files, by which a component with a network looks up names. */
enum {
    WASM_GUEST_MAGIC = 0x6e737a77,
    WASM_GUEST_VERSION = 2,
    WASM_LISTEN_MAX = 64,
    WASM_HOSTS_MAX = 256
};
enum { /* flags */
       WASM_OUTGOING_HTTP = 1,
       WASM_TCP = 2,
       WASM_UDP = 4,
       WASM_OWN_NETWORK = 8, /* the monitor's network is the guest's; else it has none */
};
struct wasm_listen {
    uint8_t address[4]; /* IPv4 */
    uint16_t port;
    uint16_t pad;
};
enum { WASM_TABLE_ELEMENT = 8 }; /* bytes, of the engine's tables */
struct wasm_guest {
    uint32_t magic, version, size, flags;
    uint64_t max_memory, max_tables; /* of all memories and all tables: bytes,
                                      * elements; 0: no limit */
    uint64_t max_fuel;               /* 0: unlimited */
    uint64_t time_ms;                /* 0: unlimited */
    uint64_t request_timeout_ms;
    uint32_t max_requests;
    uint32_t n_listen, n_hosts;
    uint32_t etc_hosts, etc_resolv_conf; /* sizes of /etc/hosts and /etc/resolv.conf */
    uint32_t pad;
};

/* In the run directory and, with DURABLE_EXIT, the state directory: why the guest trapped, as text.
 */
#define WASM_TRAP_FILE "trap.txt"

#endif
