// SPDX-License-Identifier: Apache-2.0
/*
 * The host of a machine's guests: keeps the engine and every compiled module mapped, and forks the
 * monitor of each guest (guest.h), which forks the guest. It has one thread, and neither runs nor
 * compiles anything foreign: compilers are forks of their own. Its death costs nobody anything: the
 * monitors go on, and the agent starts another one.
 *
 *   agent ── PREPARE(digest) + module ──▶ host ── fork ──▶ compiler ──▶ cache
 *         ◀─ what it serves ────────────       mapped ◀─────────────────┘
 *         ── TAKE(digest) ──────────────▶      ── fork ──▶ monitor ── fork ──▶ guest
 *         ◀─ the monitor's connection ──
 *
 * A monitor is forked ahead for each module that was asked for lately, so that a start waits for no
 * fork of this process.
 */
#ifndef ZL_WASM_HOST_H
#define ZL_WASM_HOST_H

/* Serves MON_CTL in `folder` and the connection on descriptor 3; compiled modules are in `cache`.
 * cgroup_parent (NULL: none): it and the monitors live in <parent>/shims. Ends when it is told so.
 * The exit code. */
int host_main(const char *folder, const char *cache, const char *cgroup_parent);

#endif
