#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench.h"
void torch_decoder(const DecoderConfig *config, const SyntheticPlan *plan, bool trained, int threads, double *forward,
                   double *step) { (void)config,(void)plan,(void)trained,(void)threads; *forward=*step=NAN; }
double torch_step(const char *path, int threads) { char c[999]; (void)threads; snprintf(c,999,"cp %s /tmp/sb_$(ls /tmp/sb_*.json 2>/dev/null | wc -l).json",path); return system(c) ? NAN : NAN; }
