// SPDX-License-Identifier: Apache-2.0
/*
 * Shell completion from the tables. Names of things (deployments, containers, …) are asked of the
 * program itself while completing, by `PROGRAM completion words KIND`.
 */
#include <stdio.h>
#include <string.h>

#include "cmdline/command.h"

static void put_words(const struct cli_option *table)
{
    for (; table && table->name; table++)
        (void)printf(" --%s", table->name);
}

static void bash_case(const char *key, const struct cli_command *c)
{
    (void)printf("    \"%s\") kind=%s; words=\"", key, c->completes ? c->completes : "none");
    put_words(c->options);
    put_words(cli_program.globals);
    for (const struct cli_command *s = c->sub; s && s->name; s++)
        (void)printf(" %s", s->name);
    (void)printf("\" ;;\n");
}

enum { FUNCTION_NAME = 64 };

/* The program's name as a shell function may be called, into out[FUNCTION_NAME]. */
static const char *function_name(char *out)
{
    (void)snprintf(out, FUNCTION_NAME, "%s", cli_program.name);
    for (char *at = strchr(out, '-'); at; at = strchr(at, '-'))
        *at = '_';
    return out;
}

static void bash_head(void)
{
    char name[FUNCTION_NAME];

    (void)printf("# bash completion of %s; made by `%s completion bash`\n"
                 "_%s() {\n"
                 "  local cur=${COMP_WORDS[COMP_CWORD]} kind=command words= cmd= i\n"
                 "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "    case ${COMP_WORDS[i]} in -*) ;; *) cmd+=${cmd:+ }${COMP_WORDS[i]} ;; esac\n"
                 "  done\n"
                 "  set -- $cmd\n"
                 "  cmd=${1-}\n"
                 "  case $cmd in",
                 cli_program.name, cli_program.name, function_name(name));
    for (const struct cli_command *const *c = cli_program.commands; *c; c++)
        if ((*c)->sub)
            (void)printf(" %s%s", (*c)->name, ") cmd+=${2+ $2} ;;");
    (void)printf(" esac\n"
                 "  case $cmd in\n");
}

static void bash_tail(void)
{
    char name[FUNCTION_NAME];

    (void)printf("    \"\") words=\"");
    for (const struct cli_command *const *c = cli_program.commands; *c; c++)
        (void)printf(" %s", (*c)->name);
    (void)printf("\"; kind=none ;;\n"
                 "  esac\n"
                 "  if [[ $cur != -* && $kind == spec ]]; then\n"
                 "    COMPREPLY=($(compgen -f -X '!*.y*ml' -- \"$cur\")); return\n"
                 "  fi\n"
                 "  [[ $cur != -* && $kind != none ]] && words+=\" $(%s completion words $kind "
                 "2>/dev/null)\"\n"
                 "  [[ $cur != -* ]] && words=$(printf '%%s\\n' $words | grep -v '^-')\n"
                 "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "}\n"
                 "complete -o default -F _%s %s\n",
                 cli_program.name, function_name(name), cli_program.name);
}

static void print_bash(void)
{
    char key[64];

    bash_head();
    for (const struct cli_command *const *c = cli_program.commands; *c; c++) {
        bash_case((*c)->name, *c);
        for (const struct cli_command *s = (*c)->sub; s && s->name; s++) {
            (void)snprintf(key, sizeof key, "%s %s", (*c)->name, s->name);
            bash_case(key, s);
        }
    }
    bash_tail();
}

static void print_zsh(void)
{
    (void)printf("#compdef %s\nautoload -U +X bashcompinit && bashcompinit\n", cli_program.name);
    print_bash();
}

static void fish_options(const char *condition, const struct cli_option *table)
{
    for (; table && table->name; table++) {
        (void)printf("complete -c %s -n '%s' -l %s", cli_program.name, condition, table->name);
        if (table->letter)
            (void)printf(" -s %c", table->letter);
        (void)printf("%s -d \"%s\"\n", table->kind == CLI_FLAG ? "" : " -r", table->help);
    }
}

static void fish_command(const struct cli_command *c)
{
    const char *name = cli_program.name;
    char condition[96];

    (void)printf("complete -c %s -n __fish_use_subcommand -a %s -d \"%s\"\n", name, c->name,
                 c->summary);
    (void)snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", c->name);
    fish_options(condition, c->options);
    for (const struct cli_command *s = c->sub; s && s->name; s++)
        (void)printf("complete -c %s -n '%s' -a %s -d \"%s\"\n", name, condition, s->name,
                     s->summary);
    if (c->completes && strcmp(c->completes, "spec") != 0)
        (void)printf("complete -c %s -n '%s' -a '(%s completion words %s 2>/dev/null)'\n", name,
                     condition, name, c->completes);
}

static void print_fish(void)
{
    (void)printf("# fish completion of %s; made by `%s completion fish`\n", cli_program.name,
                 cli_program.name);
    for (const struct cli_command *const *c = cli_program.commands; *c; c++)
        fish_command(*c);
    fish_options("true", cli_program.globals);
}

/* clang-format off */
static const struct { const char *name; void (*print)(void); } shells[] = {
    { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish },
};
/* clang-format on */

int cli_print_completion(const char *shell)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(shells); i++) {
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].print();
            return 0;
        }
    }
    return -1;
}

static int print_words(struct cli *cli, const char *kind)
{
    for (const struct cli_command *const *c = cli_program.commands; *c; c++)
        if (strcmp(kind, "command") == 0)
            (void)printf("%s\n", (*c)->name);
    cli_program.words(cli, kind);
    return 0; /* nothing to offer is no failure */
}

static int completion_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    if (argc == 2 && strcmp(argv[0], "words") == 0)
        return print_words(cli, argv[1]);
    if (argc == 2)
        return cli_usage(cli, "'%s' is one argument too many", argv[1]);
    if (cli_print_completion(argv[0]) < 0)
        return cli_usage(cli, "there is completion for bash, zsh and fish, not for '%s'", argv[0]);
    return 0;
}

const struct cli_command completion_command = {
    .name = "completion",
    .group = CLI_LAST_GROUP,
    .args = "bash|zsh|fish",
    .summary = "Print a script that completes commands in a shell",
    .about =
        "For this shell: source <(PROGRAM completion bash). For good: write it to the folder of "
        "the shell's\ncompletions, such as /etc/bash_completion.d.",
    .min_args = 1,
    .max_args = 2,
    .run = completion_run,
};
