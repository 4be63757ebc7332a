/* commands.h: the program's commands. Each reads its own words, does its work and returns a Status, whose code becomes
 * the program's exit status. `main.c` holds the list. */
#ifndef SEESAW_COMMANDS_H
#define SEESAW_COMMANDS_H

#include "ranks.h"
#include "status.h"

Status command_theory_audit(int argc, char **argv, Ranks ranks);
Status command_theory_run(int argc, char **argv, Ranks ranks);
Status command_theory_phase(int argc, char **argv, Ranks ranks);
Status command_theory_rates(int argc, char **argv, Ranks ranks);
Status command_theory_bifurcation(int argc, char **argv, Ranks ranks);
Status command_theory_escape(int argc, char **argv, Ranks ranks);
Status command_theory_sweep(int argc, char **argv, Ranks ranks);
Status command_theory_bench(int argc, char **argv, Ranks ranks);
Status command_model_info(int argc, char **argv, Ranks ranks);
Status command_model_init(int argc, char **argv, Ranks ranks);
Status command_model_run(int argc, char **argv, Ranks ranks);
Status command_model_generate(int argc, char **argv, Ranks ranks);
Status command_model_grad_check(int argc, char **argv, Ranks ranks);
Status command_model_bench(int argc, char **argv, Ranks ranks);
Status command_kernels_verify(int argc, char **argv, Ranks ranks);
Status command_kernels_bench(int argc, char **argv, Ranks ranks);
Status command_ablate(int argc, char **argv, Ranks ranks);
Status command_scenes_render(int argc, char **argv, Ranks ranks);
Status command_scenes_pretrain(int argc, char **argv, Ranks ranks);
Status command_table(int argc, char **argv, Ranks ranks);
Status command_train(int argc, char **argv, Ranks ranks);
Status command_plot(int argc, char **argv, Ranks ranks);

#endif
