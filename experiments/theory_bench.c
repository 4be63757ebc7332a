#include "commands.h"
Status command_theory_bench(int argc, char **argv, Ranks ranks) {
  (void)argc; (void)argv; (void)ranks;
  return status_ok();
}
