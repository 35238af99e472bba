// SPDX-License-Identifier: Apache-2.0
/*
 * RT_TOP: the processes of a container's cgroup and of those below it, from /proc. Columns are
 * named as ps(1) names them; a process that ends meanwhile is left out.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "runtime/native/inner.h"
#include "sandbox/cgroup_walk.h"

enum { PROCS_MAX = 1 << 20, TABLE_MAX = 16 << 20, COLUMNS_MAX = 32, COMMAND_MAX = 4096 };

struct process {
    uint32_t uid;
    long pid, ppid, pgid, session, nice, threads;
    char state, name[64];
    uint64_t ticks, start_ticks, vsz_kb, rss_kb;
    char command[COMMAND_MAX];
};

struct clocks { /* what is the same for all processes */
    uint64_t hertz, page_kb, uptime_ticks;
    int64_t wall_s;
};

/* ---- reading ------------------------------------------------------------------------------- */

/* proc(5), /proc/PID/stat from field 3 on. The name in field 2 may hold anything. */
static bool parse_stat(char *text, const struct clocks *k, struct process *p)
{
    uint64_t user, system, vsize, rss;
    char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (!begin || !end)
        return false;
    (void)snprintf(p->name, sizeof p->name, "%.*s", (int)(end - begin - 1), begin + 1);
    // NOLINTNEXTLINE(cert-err34-c): the kernel's own text
    if (sscanf(end + 1,
               " %c %ld %ld %ld %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
               " %*d %*d %*d %ld %ld %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
               &p->state, &p->ppid, &p->pgid, &p->session, &user, &system, &p->nice, &p->threads,
               &p->start_ticks, &vsize, &rss) != 11)
        return false;
    p->ticks = user + system;
    p->vsz_kb = vsize / 1024;
    p->rss_kb = rss * k->page_kb;
    return true;
}

/* Arguments with blanks between them, or the name in brackets, as ps(1) has it. */
static void read_command(int dir, struct process *p)
{
    zl_autoclose int fd = openat(dir, "cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, p->command, sizeof p->command - 1);
    while (n > 0 && !p->command[n - 1])
        n--;
    if (n <= 0) {
        (void)snprintf(p->command, sizeof p->command, "[%s]", p->name);
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)p->command[i] < ' ')
            p->command[i] = ' ';
    p->command[n] = '\0';
}

static bool read_process(long pid, const struct clocks *k, struct process *p)
{
    char path[32];
    struct stat st;
    zl_autobuf struct zl_buf text = ZL_BUF(4096);
    (void)snprintf(path, sizeof path, "/proc/%ld", pid);
    zl_autoclose int dir = zl_open_dir(AT_FDCWD, path, NULL);
    if (dir < 0 || fstat(dir, &st) < 0 || zl_read_file(dir, "stat", &text, NULL) < 0)
        return false;
    p->pid = pid;
    p->uid = st.st_uid;
    if (!parse_stat(text.data, k, p))
        return false;
    read_command(dir, p);
    return true;
}

static void read_clocks(struct clocks *k)
{
    struct timespec up;
    (void)clock_gettime(CLOCK_BOOTTIME, &up); /* cannot fail for a clock that there is */
    k->hertz = (uint64_t)sysconf(_SC_CLK_TCK);
    k->page_kb = (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
    k->uptime_ticks = (uint64_t)up.tv_sec * k->hertz;
    k->wall_s = zl_wall_ms() / 1000;
}

/* ---- columns ------------------------------------------------------------------------------- */

static uint64_t age_s(const struct process *p, const struct clocks *k)
{
    return k->uptime_ticks > p->start_ticks ? (k->uptime_ticks - p->start_ticks) / k->hertz : 0;
}

static void put_time(struct zl_buf *b, uint64_t s)
{
    zl_buf_addf(b, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
}

static void put_uid(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%" PRIu32, p->uid);
}
static void put_pid(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%ld", p->pid);
}
static void put_ppid(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%ld", p->ppid);
}
static void put_pgid(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%ld", p->pgid);
}
static void put_session(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%ld", p->session);
}
static void put_nice(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%ld", p->nice);
}
static void put_threads(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%ld", p->threads);
}
static void put_state(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%c", p->state);
}
static void put_vsz(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%" PRIu64, p->vsz_kb);
}
static void put_rss(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_addf(b, "%" PRIu64, p->rss_kb);
}
static void put_cpu_time(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    put_time(b, p->ticks / k->hertz);
}
/* Of one CPU since it started, as ps(1). */
static void put_cpu_percent(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    uint64_t age = age_s(p, k);
    zl_buf_addf(b, "%.1f", age ? 100.0 * (double)p->ticks / (double)k->hertz / (double)age : 0.0);
}
static void put_elapsed(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    put_time(b, age_s(p, k));
}
/* The time of day, or the day when that is not today's. */
static void put_start(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    time_t at = (time_t)(k->wall_s - (int64_t)age_s(p, k));
    struct tm tm;
    char text[16];
    bool today = k->wall_s - at < 24 * 3600;
    if (gmtime_r(&at, &tm) && strftime(text, sizeof text, today ? "%H:%M" : "%b%d", &tm) > 0)
        zl_buf_adds(b, text);
}
static void put_name(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_adds(b, p->name);
}
static void put_command(struct zl_buf *b, const struct process *p, const struct clocks *k)
{
    (void)k;
    zl_buf_adds(b, p->command);
}

/* clang-format off */
static const struct column {
    const char *names; /* of ps -o, with blanks around each */
    const char *title;
    void (*put)(struct zl_buf *b, const struct process *p, const struct clocks *k);
} columns[] = {
    { " uid user euid euser ",    "UID",     put_uid },
    { " pid ",                    "PID",     put_pid },
    { " ppid ",                   "PPID",    put_ppid },
    { " pgid pgrp ",              "PGID",    put_pgid },
    { " sid sess session ",       "SID",     put_session },
    { " ni nice ",                "NI",      put_nice },
    { " nlwp thcount ",           "NLWP",    put_threads },
    { " s stat state ",           "S",       put_state },
    { " vsz vsize ",              "VSZ",     put_vsz },
    { " rss rssize rsz ",         "RSS",     put_rss },
    { " time cputime ",           "TIME",    put_cpu_time },
    { " c pcpu %cpu ",            "%CPU",    put_cpu_percent },
    { " etime elapsed ",          "ELAPSED", put_elapsed },
    { " stime start start_time ", "STIME",   put_start },
    { " comm ucmd ucomm ",        "COMMAND", put_name },
    { " cmd args command ",       "CMD",     put_command },
};
static const struct { const char *words, *columns; } usual[] = {
    { "",     "uid,pid,ppid,c,stime,time,cmd" },
    { "-ef",  "uid,pid,ppid,c,stime,time,cmd" },
    { "-e -f","uid,pid,ppid,c,stime,time,cmd" },
    { "aux",  "uid,pid,pcpu,vsz,rss,stat,start,time,cmd" },
    { "-aux", "uid,pid,pcpu,vsz,rss,stat,start,time,cmd" },
};
/* clang-format on */

struct chosen {
    const struct column *v[COLUMNS_MAX];
    size_t n;
};

static const struct column *find_column(const char *word, size_t n)
{
    char wanted[32];
    if (n == 0 || n + 3 > sizeof wanted)
        return NULL;
    (void)snprintf(wanted, sizeof wanted, " %.*s ", (int)n, word);
    for (size_t i = 0; i < ZL_ARRAY_LEN(columns); i++)
        if (strcasestr(columns[i].names, wanted))
            return &columns[i];
    return NULL;
}

/* "pid,comm args" */
static int choose_words(const char *list, struct chosen *ret, struct zl_error *err)
{
    for (const char *p = list + strspn(list, ", "); *p; p += strspn(p, ", ")) {
        size_t n = strcspn(p, ", ");
        const struct column *c = find_column(p, n);
        if (!c)
            return zl_fail(err, ZL_ERR_INVALID, "there is no column '%.*s'", (int)n, p);
        if (ret->n == COLUMNS_MAX)
            return zl_fail(err, ZL_ERR_INVALID, "more than %d columns", COLUMNS_MAX);
        ret->v[ret->n++] = c;
        p += n;
    }
    return ret->n ? 0 : zl_fail(err, ZL_ERR_INVALID, "no columns are named");
}

static int choose(const char *asked, struct chosen *ret, struct zl_error *err)
{
    const char *text = asked ? asked + strspn(asked, " ") : "";
    for (size_t i = 0; i < ZL_ARRAY_LEN(usual); i++)
        if (strcmp(text, usual[i].words) == 0)
            return choose_words(usual[i].columns, ret, err);
    text += strncmp(text, "-e", 2) == 0 ? 2 : 0; /* all of them: which it is anyway */
    text += strspn(text, " ");
    if (strncmp(text, "-o", 2) == 0 || strncmp(text, "o ", 2) == 0)
        return choose_words(text + 2, ret, err);
    return zl_fail(err, ZL_ERR_INVALID,
                   "'%s': of ps's arguments -ef, aux and -o COLUMN,… are understood", asked);
}

/* ---- the table ----------------------------------------------------------------------------- */

/* The cells, one after the other, each with its NUL. */
static int make_table(const struct container *c, const struct chosen *ch, struct zl_buf *out,
                      size_t *ret_rows, struct zl_error *err)
{
    zl_autobuf struct zl_buf procs = ZL_BUF(PROCS_MAX);
    zl_autoclose int dir = zl_open_dir(AT_FDCWD, c->record.cgroups.v[0], err);
    struct clocks k;
    struct process p;
    if (dir < 0 || cgroup_procs_below(dir, &procs, err) < 0)
        return zl_wrap(err, "list its processes");
    read_clocks(&k);
    for (size_t i = 0; i < ch->n; i++)
        zl_buf_add(out, ch->v[i]->title, strlen(ch->v[i]->title) + 1);
    *ret_rows = 0;
    for (char *at = procs.data, *end; *at; at = end + 1) {
        long pid = strtol(at, &end, 10); /* the kernel's own numbers; 0: of another namespace */
        if (end == at || *end != '\n')
            break;
        if (pid <= 0 || !read_process(pid, &k, &p))
            continue;
        for (size_t i = 0; i < ch->n; i++) {
            ch->v[i]->put(out, &p, &k);
            zl_buf_add(out, "", 1);
        }
        ++*ret_rows;
    }
    return zl_buf_check(out, "the list of its processes", err);
}

int native_top(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    struct rt_answer a = { 0 };
    struct chosen ch = { .n = 0 };
    zl_autobuf struct zl_buf table = ZL_BUF(TABLE_MAX);
    if (native_call_container(k, err) < 0)
        return -1;
    if (k->c->has_exit || k->c->record.cgroups.n == 0)
        return zl_fail(err, ZL_ERR_CONFLICT, "it does not run");
    if (choose(rq->top.columns, &ch, err) < 0 ||
        make_table(k->c, &ch, &table, &a.fact.table.n_rows, err) < 0)
        return -1;
    a.owned = zl_buf_steal(&table);
    a.fact.table.n_columns = ch.n;
    a.fact.table.cells = a.owned;
    rt_call_answer_soon(&k->call, &a);
    return 0;
}
