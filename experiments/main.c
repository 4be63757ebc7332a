/* main.c: the program: finds the command, runs it, and turns its Status into one sentence and an exit status. */
#include <cblas.h>
#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "files.h"
#include "options.h"
#include "progress.h"
#include "version.h"

typedef struct Entry {
  const char *name, *summary; /* one or two words; what it does */
  Status (*run)(int argc, char **argv, Ranks ranks);
} Entry;

static const Entry entries[] = {
    {"theory audit", "check every claim of the theory and give a verdict on each", command_theory_audit},
    {"theory run", "run methods on one problem, step by step, to CSV", command_theory_run},
    {"theory phase", "trajectories in the plane (tau, nu)", command_theory_phase},
    {"theory rates", "predicted against measured convergence rates", command_theory_rates},
    {"theory bifurcation", "attractors of a method as its step grows", command_theory_bifurcation},
    {"theory escape", "time to escape from the saddle", command_theory_escape},
    {"theory sweep", "grids over cosine, step, start and method; resumable", command_theory_sweep},
    {"theory bench", "speed, beside the machine's limits and NumPy", command_theory_bench},
    {"model info", "sizes, parameters by group, and memory by stage", command_model_info},
    {"model init", "a random checkpoint, to try everything without a download", command_model_init},
    {"model run", "run a prompt and list or dump every named activation", command_model_run},
    {"model generate", "answer a question about a picture", command_model_generate},
    {"model grad-check", "compare every gradient with differences, in double", command_model_grad_check},
    {"model bench", "speed of the model, beside SGEMM and PyTorch", command_model_bench},
    {"kernels verify", "compare every operation of a backend with the reference", command_kernels_verify},
    {"kernels bench", "speed of every operation, beside the device's limits and PyTorch", command_kernels_bench},
    {"train", "train a model by a scheme of phases; resumable", command_train},
    {"scenes render", "pictures and conversations of the small world, as files", command_scenes_render},
    {"scenes pretrain", "train the small vision tower and decoder", command_scenes_pretrain},
    {"ablate", "train and test the rows of the tables", command_ablate},
    {"table", "the ablation's tables, ours beside the paper's", command_table},
    {"plot", "draw figures from results, as PNG and PDF", command_plot},
};
enum { ENTRIES = sizeof entries / sizeof *entries };

static void usage(FILE *stream) {
  fprintf(stream,
          "%sseesaw%s %s: does training coupled parts in turn beat training them at once, why, and by how much?\n\n"
          "Usage: seesaw COMMAND [OPTIONS]\n\n"
          "Commands:\n",
          color(stream, COLOR_BOLD), color(stream, COLOR_RESET), SEESAW_VERSION);
  for (int i = 0; i < ENTRIES; ++i)
    fprintf(stream, "  %-20s %s\n", entries[i].name, entries[i].summary);
  fprintf(stream, "\n"
                  "Each command has --help, with examples. `seesaw --version` prints the version and commit.\n"
                  "Exit status: 0 success; 1 a measurement contradicts its closed form; 2 a wrong option; 3 a bad\n"
                  "input file; 4 an output that cannot be written; 5 out of memory; 6 something that is not there\n"
                  "(gnuplot); 7 a computation that did not succeed; 130 interrupted.\n");
}

/* The program's own man page; each command prints one for itself. */
static void manual(void) {
  printf(".TH SEESAW 1 \"\" \"seesaw %s\" \"User Commands\"\n.SH NAME\n"
         "seesaw \\- does training coupled parts in turn beat training them at once?\n"
         ".SH SYNOPSIS\n.B seesaw\n.I COMMAND\n[\\fIOPTIONS\\fR]\n.SH COMMANDS\n",
         SEESAW_VERSION);
  for (int i = 0; i < ENTRIES; ++i)
    printf(".TP\n.B %s\n%s\n", entries[i].name, entries[i].summary);
  printf(".PP\nEach command has a page of its own, e.g. seesaw\\-theory\\-run(1), and \\-\\-help with examples.\n"
         ".SH EXIT STATUS\n0 success; 1 a measurement contradicts its closed form; 2 a wrong option; 3 a bad input "
         "file; 4 "
         "an\noutput that cannot be written; 5 out of memory; 6 something that is not there; 7 a computation that did "
         "not\n"
         "succeed; 130 interrupted.\n");
}

/* How many of argv's words the entry's name takes; 0 if it is not that command. */
static int words_matched(const Entry *entry, int argc, char **argv) {
  char name[64] = "";
  for (int words = 1; words <= 2 && words < argc; ++words) {
    size_t used = strlen(name);
    snprintf(name + used, sizeof name - used, "%s%s", words > 1 ? " " : "", argv[words]);
    if (strcmp(name, entry->name) == 0)
      return words;
  }
  return 0;
}

/* Does the entry belong to the group, the first of two words? */
static bool in_group(const Entry *entry, const char *group) {
  size_t length = strlen(group);
  return strncmp(entry->name, group, length) == 0 && entry->name[length] == ' ';
}

/* "theory" alone, where "theory audit" and others are meant: their names in one sentence. false: no such group. */
static bool name_group(const char *group, char *text, size_t size) {
  size_t used = 0;
  for (int i = 0; i < ENTRIES; ++i)
    if (in_group(&entries[i], group))
      used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", entries[i].name);
  return used > 0;
}

static Status unknown_command(int argc, char **argv) {
  char group[400];
  if (argc == 2 && name_group(argv[1], group, sizeof group))
    return status_error(STATUS_USAGE, "there is no command '%s' by itself: take %s", argv[1], group);
  char typed[128], names[640] = "", nearest[64];
  snprintf(typed, sizeof typed, "%s%s%s", argv[1], argc > 2 && argv[2][0] != '-' ? " " : "",
           argc > 2 && argv[2][0] != '-' ? argv[2] : "");
  for (int i = 0; i < ENTRIES; ++i) {
    size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s%s", i ? "," : "", entries[i].name);
  }
  if (options_nearest(typed, names, nearest, sizeof nearest))
    return status_error(STATUS_USAGE, "there is no command '%s'; did you mean '%s'?", typed, nearest);
  return status_error(STATUS_USAGE, "there is no command '%s'; `seesaw --help` lists them", typed);
}

/* --help of a group. false: there is none. */
static bool list_group(const char *group) {
  int count = 0;
  for (int i = 0; i < ENTRIES; ++i)
    if (in_group(&entries[i], group)) {
      ++count;
      printf("  seesaw %-20s %s\n", entries[i].name, entries[i].summary);
    }
  return count > 0;
}

static Status dispatch(int argc, char **argv, Ranks ranks) {
  if (argc < 2) {
    usage(stderr);
    return status_error(STATUS_USAGE, "which command?");
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    usage(stdout);
    return status_ok();
  }
  if (strcmp(argv[1], "--man") == 0) {
    manual();
    return status_ok();
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("seesaw %s (commit %s)\n", SEESAW_VERSION, SEESAW_COMMIT);
    return status_ok();
  }
  if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0) && list_group(argv[1]))
    return status_ok();
  for (int i = 0; i < ENTRIES; ++i) {
    int words = words_matched(&entries[i], argc, argv);
    if (words > 0)
      return entries[i].run(argc - 1 - words, argv + 1 + words, ranks);
  }
  return unknown_command(argc, argv);
}

int main(int argc, char **argv) {
  gsl_set_error_handler_off(); /* failures come back as codes */
  openblas_set_num_threads(1); /* the same bytes for any number of threads */
  interrupt_watch();
  Ranks ranks = ranks_begin(&argc, &argv);
  Status status = dispatch(argc, argv, ranks);
  if (status.code == STATUS_OK && (fflush(stdout) != 0 || ferror(stdout)))
    status = status_error(STATUS_OUTPUT, "standard output cannot be written");
  if (status.code != STATUS_OK && ranks.rank == 0)
    fprintf(stderr, "%sseesaw:%s %s\n", color(stderr, COLOR_RED), color(stderr, COLOR_RESET), status.message);
  ranks_end();
  return (int)status.code;
}
