// SPDX-License-Identifier: Apache-2.0
/* RT_STATS: the cgroups of the record, the interfaces of its network, the clock of the host. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "runtime/native/inner.h"
#include "sandbox/stats.h"

/* Above this a v1 limit means "none": the kernel rounds its maximum down to a page. */
#define NO_LIMIT (UINT64_C(1) << 62)

enum { NET_MAX = 256 * 1024, STAT_MAX = 1 << 20 };

static uint64_t limit_of(uint64_t n)
{
    return n >= NO_LIMIT ? 0 : n;
}

static struct fact_pressure_line line_of(const struct cgroup_pressure_line *l)
{
    return (struct fact_pressure_line){ l->avg10 / 100.0, l->avg60 / 100.0, l->avg300 / 100.0,
                                        l->total_us };
}

static struct fact_pressure pressure_of(const struct cgroup_pressure *p)
{
    return (struct fact_pressure){ p->there, line_of(&p->some), line_of(&p->full) };
}

static void take_cgroups(const struct cgroup_stats *s, struct fact_stats *ret)
{
    ret->cpu_usage_ns = s->cpu.usage_ns;
    ret->cpu_user_ns = s->cpu.user_ns;
    ret->cpu_system_ns = s->cpu.system_ns;
    ret->cpu_periods = s->cpu.periods;
    ret->cpu_throttled_periods = s->cpu.throttled_periods;
    ret->cpu_throttled_ns = s->cpu.throttled_ns;
    ret->memory_bytes = s->memory.usage;
    ret->memory_limit = limit_of(s->memory.limit);
    ret->memory_peak = s->memory.peak;
    ret->memory_working_set =
        s->memory.usage > s->memory.inactive_file ? s->memory.usage - s->memory.inactive_file : 0;
    ret->memory_anon = s->memory.anon;
    ret->memory_file = s->memory.file;
    ret->memory_kernel = s->memory.kernel;
    ret->swap_bytes = s->memory.swap;
    ret->oom_kills = s->memory.oom_kills;
    ret->blkio_read_bytes = s->io.sum.read_bytes;
    ret->blkio_write_bytes = s->io.sum.write_bytes;
    ret->blkio_reads = s->io.sum.reads;
    ret->blkio_writes = s->io.sum.writes;
    ret->pids = s->pids.current;
    ret->pids_limit = limit_of(s->pids.limit);
    ret->cpu_pressure = pressure_of(&s->cpu.pressure);
    ret->memory_pressure = pressure_of(&s->memory.pressure);
    ret->io_pressure = pressure_of(&s->io.pressure);
}

/* Whether both are in one network namespace: then its counters are the host's, not its own. */
static bool shares_our_network(const struct container *c)
{
    char theirs[64] = "", ours[64] = "", path[48];
    (void)snprintf(path, sizeof path, "/proc/%lld/ns/net", (long long)c->pid);
    return readlink(path, theirs, sizeof theirs - 1) > 0 &&
           readlink("/proc/self/ns/net", ours, sizeof ours - 1) > 0 && strcmp(theirs, ours) == 0;
}

/* proc(5): "  eth0: rx_bytes packets errs drop fifo frame compressed multicast tx_bytes packets" */
static void take_network(const struct container *c, struct fact_stats *ret)
{
    zl_autobuf struct zl_buf text = ZL_BUF(NET_MAX);
    zl_autoclose int fd = container_open_proc(c, "net/dev", O_RDONLY, NULL);
    if (fd < 0 || shares_our_network(c) || zl_read_fd(fd, &text, "net/dev", NULL) < 0)
        return;
    for (const char *line = text.data; line; line = strchr(line, '\n')) {
        uint64_t rx, rx_packets, tx, tx_packets;
        char name[32];
        line += *line == '\n';
        // NOLINTNEXTLINE(cert-err34-c): the kernel's own text
        if (sscanf(line,
                   " %31[^: ]: %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64
                   " %" SCNu64,
                   name, &rx, &rx_packets, &tx, &tx_packets) != 5 ||
            strcmp(name, "lo") == 0)
            continue;
        ret->net_rx_bytes += rx;
        ret->net_rx_packets += rx_packets;
        ret->net_tx_bytes += tx;
        ret->net_tx_packets += tx_packets;
    }
}

/* proc(5): "cpu  user nice system idle iowait irq softirq steal guest guest_nice", in ticks; guest
 * time is in user time already. */
static void take_host(struct fact_stats *ret)
{
    zl_autobuf struct zl_buf text = ZL_BUF(STAT_MAX);
    uint64_t user, nice, system, irq, softirq, steal;
    uint64_t tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    ret->online_cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    ret->wall_ms = zl_wall_ms();
    ret->mono_ns = zl_mono_ns();
    if (zl_read_file(AT_FDCWD, "/proc/stat", &text, NULL) == 0 &&
        // NOLINTNEXTLINE(cert-err34-c): the kernel's own text
        sscanf(text.data,
               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64,
               &user, &nice, &system, &irq, &softirq, &steal) == 6)
        ret->host_cpu_ns = (user + nice + system + irq + softirq + steal) * tick_ns;
}

int native_measure(const struct container *c, struct fact_stats *ret, struct zl_error *err)
{
    struct cgroup_stats stats;
    if (c->has_exit || !c->started)
        return zl_fail(err, ZL_ERR_CONFLICT, "it does not run");
    if (cgroup_stats_read(c->record.cgroups.v, c->record.cgroups.n, &stats, err) < 0)
        return -1;
    take_cgroups(&stats, ret);
    cgroup_stats_done(&stats);
    take_network(c, ret);
    take_host(ret);
    return 0;
}

int native_stats(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    struct rt_answer a = { 0 };
    (void)rq;
    if (native_call_container(k, err) < 0 || native_measure(k->c, &a.fact.stats, err) < 0)
        return -1;
    rt_call_answer_soon(&k->call, &a);
    return 0;
}
