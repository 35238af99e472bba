// SPDX-License-Identifier: Apache-2.0
/*
 * Makes one system call of a program fail, or kills the program there. Calls of the program (P) and
 * of each process that it starts (C, D … by birth) are counted from 1 on, up to the execve(2) of
 * what is not the program itself. A call is meant by its process, its name and which of that name
 * it is: what else is done between, as often as time demands, does not change that.
 *
 *   failcall count LOG PROGRAM ARG...           runs it
 *
 *   failcall fail:P:CALL:N:ERRNO LOG PROGRAM... the N-th CALL of P (or C ...) does nothing, returns
 * -ERRNO (close(2): it closes)
 *
 *   failcall kill:P:CALL:N LOG PROGRAM...       before it PROGRAM gets SIGKILL
 *
 * LOG gets a line "<P|C|D...> <n> <call> <path>" for each call, n of all calls of the process; of
 * fstat(2) and its like the path is "fd <number>", of others that take none it is empty. One that
 * the kernel itself makes again (after a signal without a handler; a sysctl of the network whose
 * lock another holds: restart_syscall()) is the same call still. Exits as the program does (128 +
 * signal). LOG ends with "alive <pid>...": which of the processes it started lived when it had
 * ended.
 */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 64 };

static struct process {
    pid_t pid;
    char who;                      /* 0: it has stopped, and its maker has not told of it yet */
    unsigned long count, meant;    /* all calls; those of the name that is meant */
    unsigned long long call, from; /* the last one, and the address that it returns to */
    bool again;                    /* the kernel did not finish it: it may make it again */
    bool failing;
    bool waits;   /* for its name, in its first stop */
    bool leaving; /* it is to go on without us, as soon as it stops */
} processes[PROCESSES];

static struct {
    bool fail, kill;
    char who; /* whose call is meant */
    unsigned long long call;
    unsigned long at; /* which of those */
    int error;
    char next;              /* who is born next */
    unsigned long long brk; /* where the heap ends: what a brk(2) that fails returns */
    pid_t program;
    FILE *log;
    int status;
} all;

static struct process *find(pid_t pid)
{
    for (size_t i = 0; i < PROCESSES; i++)
        if (processes[i].pid == pid)
            return &processes[i];
    for (size_t i = 0; i < PROCESSES; i++)
        if (!processes[i].pid) {
            processes[i] = (struct process){ .pid = pid, .who = pid == all.program ? 'P' : 0 };
            return &processes[i];
        }
    fprintf(stderr, "failcall: too many processes\n");
    exit(125);
}

/* What the address in the process leads to, as far as it can be read. */
static void read_text(pid_t pid, unsigned long long address, char *out, size_t size)
{
    struct iovec to = { out, size - 1 };
    struct iovec from = { (void *)(uintptr_t)address, size - 1 }; /* NOLINT: another's address */
    ssize_t n = process_vm_readv(pid, &to, 1, &from, 1, 0);

    out[n > 0 ? n : 0] = '\0';
}

/* Calls that take a path, and which argument it is. */
static const struct {
    unsigned long long number;
    int argument;
} with_path[] = {
    { SYS_openat, 1 },   { SYS_openat2, 1 },    { SYS_newfstatat, 1 }, { SYS_mkdirat, 1 },
    { SYS_unlinkat, 1 }, { SYS_readlinkat, 1 }, { SYS_faccessat, 1 },  { SYS_faccessat2, 1 },
    { SYS_fchownat, 1 }, { SYS_mount, 1 },      { SYS_umount2, 0 },    { SYS_statfs, 0 },
    { SYS_readlink, 0 }, { SYS_execve, 0 },     { SYS_chdir, 0 },      { SYS_symlinkat, 2 },
    { SYS_mknodat, 1 },  { SYS_open_tree, 1 },  { SYS_access, 0 },
};

static void read_path(const struct process *p, const struct __ptrace_syscall_info *info, char *out,
                      size_t size)
{
    for (size_t i = 0; i < sizeof with_path / sizeof *with_path; i++)
        if (with_path[i].number == info->entry.nr)
            read_text(p->pid, info->entry.args[with_path[i].argument], out, size);
    if (info->entry.nr == SYS_fstat || (info->entry.nr == SYS_newfstatat && !out[0]))
        snprintf(out, size, "fd %d", (int)info->entry.args[0]);
    for (char *at = out; *at; at++)
        if (*at == '\n')
            *at = '?';
}

/* As ptrace(2) shows what a call that the kernel has not finished returns: linux/errno.h. */
static bool is_unfinished(long long returned)
{
    enum { ERESTARTSYS = 512, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK = 516 };

    return returned == -ERESTARTSYS || returned == -ERESTARTNOINTR || returned == -ERESTARTNOHAND ||
           returned == -ERESTART_RESTARTBLOCK;
}

static bool is_same(const struct process *p, const struct __ptrace_syscall_info *info)
{
    return p->again && info->instruction_pointer == p->from &&
           (info->entry.nr == p->call || info->entry.nr == SYS_restart_syscall);
}

static bool is_meant(struct process *p)
{
    p->meant += p->call == all.call;
    return p->who == all.who && p->call == all.call && p->meant == all.at;
}

static void entered(struct process *p, const struct __ptrace_syscall_info *info)
{
    struct user_regs_struct regs;

    char path[256] = "";
    unsigned long long number = info->entry.nr;

    if (is_same(p, info))
        return;
    p->call = number;
    p->from = info->instruction_pointer;
    p->count++;
    read_path(p, info, path, sizeof path);
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
    fprintf(all.log, "%c %lu %s %s\n", p->who, p->count, name ? name : "?", path);
    free(name);
    if (!is_meant(p))
        return;
    fflush(all.log);
    if (all.kill)
        kill(all.program, SIGKILL);
    if (!all.fail || ptrace(PTRACE_GETREGS, p->pid, 0, &regs) < 0)
        return;
    if (number != SYS_close) /* which closes, whatever it says: close(2), NOTES */
        regs.orig_rax = (unsigned long long)-1; /* no such call: skipped */
    ptrace(PTRACE_SETREGS, p->pid, 0, &regs);
    p->failing = true;
}

static void left(struct process *p, const struct __ptrace_syscall_info *info)
{
    struct user_regs_struct regs;

    p->again = !p->failing && is_unfinished(info->exit.rval);
    if (!p->failing && p->call != SYS_brk)
        return;
    if (ptrace(PTRACE_GETREGS, p->pid, 0, &regs) < 0)
        return;
    if (!p->failing) {
        all.brk = regs.rax;
        return;
    }
    regs.rax = p->call == SYS_brk ? all.brk : (unsigned long long)-(long long)all.error;
    ptrace(PTRACE_SETREGS, p->pid, 0, &regs);
    p->failing = false;
}

/* The call that it stands at, as the kernel tells: no guess whether it enters or leaves. */
static void at_call(struct process *p)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        entered(p, &info);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        left(p, &info);
}

static bool is_program(pid_t pid)
{
    char mine[64], its[64], a[4096], b[4096];
    ssize_t n, m;

    snprintf(mine, sizeof mine, "/proc/%d/comm", (int)all.program);
    snprintf(its, sizeof its, "/proc/%d/comm", (int)pid);
    FILE *f = fopen(mine, "re"), *g = fopen(its, "re");
    n = f ? (ssize_t)fread(a, 1, sizeof a, f) : 0;
    m = g ? (ssize_t)fread(b, 1, sizeof b, g) : -1;
    if (f)
        fclose(f);
    if (g)
        fclose(g);
    return n == m && memcmp(a, b, (size_t)n) == 0;
}

/* What a process that stopped is to get when it goes on: a signal that is its own, or none. */
static int signal_of(int status)
{
    int signal = WSTOPSIG(status);
    bool ours = status >> 16 || signal == (SIGTRAP | 0x80) || signal == SIGTRAP;

    return ours || signal == SIGSTOP ? 0 : signal; /* also the beginning of a child */
}

static bool is_birth(int event)
{
    return event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE;
}

/* Its maker tells of it, so names follow the order of births, not that in which we hear. */
static void name(struct process *child)
{
    bool waits = child->waits;

    if (child->who)
        return;
    child->who = all.next++;
    child->waits = false;
    if (waits)
        ptrace(PTRACE_SYSCALL, child->pid, 0, 0);
}

/* Somebody has ended, perhaps before we heard of a child of it that waits for its name. */
static void name_orphans(void)
{
    for (size_t i = 0; i < PROCESSES; i++)
        if (processes[i].pid && !processes[i].who)
            name(&processes[i]);
}

/* A child that executed something is the container's command: its calls are not ours to count. */
static void stopped(struct process *p, int status)
{
    unsigned long born = 0;
    int event = status >> 16;

    if (!p->who) {
        p->waits = true;
        return;
    }
    if (is_birth(event) && ptrace(PTRACE_GETEVENTMSG, p->pid, 0, &born) == 0)
        name(find((pid_t)born));
    if (event == PTRACE_EVENT_EXEC && p->pid != all.program && !is_program(p->pid)) {
        ptrace(PTRACE_DETACH, p->pid, 0, 0);
        return;
    }
    if (WSTOPSIG(status) == (SIGTRAP | 0x80))
        at_call(p);
    ptrace(PTRACE_SYSCALL, p->pid, 0, (long)signal_of(status));
}

/* Who waits in vfork(2) does not stop before its child went on, of which we may not have heard yet:
 * so whoever stops goes, until nobody is left. */
static void let_go(void)
{
    size_t left = 0;
    int status;
    pid_t pid;

    fprintf(all.log, "alive");
    for (size_t i = 0; i < PROCESSES; i++) {
        pid = processes[i].pid;
        if (!pid || pid == all.program || kill(pid, 0) < 0)
            continue;
        processes[i].leaving = ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0;
        left += processes[i].leaving;
        fprintf(all.log, " %d", (int)pid);
    }
    fputc('\n', all.log);
    while (left && (pid = waitpid(-1, &status, __WALL)) > 0) {
        struct process *p = find(pid);
        if (WIFSTOPPED(status))
            ptrace(PTRACE_DETACH, pid, 0, (long)signal_of(status));
        left -= p->leaving;
        *p = (struct process){ 0 };
    }
}

static void follow(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, __WALL)) > 0) {
        struct process *p = find(pid);
        if (WIFSTOPPED(status)) {
            stopped(p, status);
            continue;
        }
        p->pid = 0;
        name_orphans();
        if (pid == all.program) {
            all.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            return;
        }
    }
}

static void parse(const char *mode)
{
    char call[64] = "";

    all.fail = strncmp(mode, "fail:", 5) == 0;
    all.kill = strncmp(mode, "kill:", 5) == 0;
    if (!all.fail && !all.kill)
        return;
    int n = sscanf(mode + 5, "%c:%63[a-z0-9_]:%lu:%d", &all.who, call, &all.at, &all.error);
    int number = seccomp_syscall_resolve_name(call);
    if (n != (all.fail ? 4 : 3) || number < 0)
        exit(125);
    all.call = (unsigned long long)number;
}

int main(int argc, char **argv)
{
    int options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                  PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;

    if (argc < 4)
        return 125;
    parse(argv[1]);
    all.next = 'C';
    all.program = fork();
    if (all.program == 0) {
        raise(SIGSTOP);
        execv(argv[3], argv + 3);
        _exit(125);
    }
    int status;
    (void)syscall(SYS_close_range, 3, ~0U, 0); /* the program's alone: it is seen when it closes */
    all.log = fopen(argv[2], "we");
    if (!all.log || waitpid(all.program, &status, WUNTRACED) < 0 ||
        ptrace(PTRACE_SEIZE, all.program, 0, options) < 0)
        return 125;
    kill(all.program, SIGCONT);
    follow();
    let_go();
    fclose(all.log);
    return all.status;
}
