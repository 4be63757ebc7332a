/* ablation_files.h: the ablation's result files in the scratch folder, made up, with values that are known. */
#ifndef SEESAW_TEST_ABLATION_FILES_H
#define SEESAW_TEST_ABLATION_FILES_H

#include <inttypes.h>

#include "rng.h"
#include "rows.h"
#include "scratch.h"

enum { FILES_ITEMS = 40, FILES_BLOCKS = 10 }; /* questions a block */

/* How many of a block's FILES_ITEMS questions are answered right, an even number: the value is then 2.5 times that in
 * percent, F1 (as many wrong on either side) like accuracy. Below zero: there is no such run. */
typedef int (*Level)(const char *id, Shown views, int64_t seed, int family, int block);

static inline FILE *files_open(const char *name) {
  FILE *stream = fopen(scratch_path(name), "w");
  cr_assert_not_null(stream);
  return stream;
}

/* The first line of rows with this id and these views. */
static inline bool files_is_first(size_t line, bool views_too) {
  for (size_t i = 0; i < line; i++)
    if (strcmp(ablation_rows[i].id, ablation_rows[line].id) == 0 &&
        (!views_too || ablation_rows[i].views == ablation_rows[line].views))
      return false;
  return true;
}

static inline void files_block(FILE *stream, const Row *row, int64_t seed, int family, int block, int right) {
  int half = family_is_f1((RowFamily)family) ? right / 2 : 0, wrong = half || !right ? FILES_ITEMS / 2 - half : 0;
  wrong = family_is_f1((RowFamily)family) ? wrong : 0;
  fprintf(stream, "%s,%" PRId64 ",%s,%s,%d,%d,%d,%d,%d,%d\n", row->id, seed, views_names[row->views],
          family_names[family], block, FILES_ITEMS, right, half, wrong, wrong);
}

/* answers.csv: all rows, seeds from 1 to `seeds`. */
static inline void files_answers(Level level, int64_t seeds) {
  FILE *stream = files_open("answers.csv");
  fputs("row,seed,views,family,block,items,correct,tp,fp,fn\n", stream);
  for (size_t line = 0; line < ablation_row_count; line++)
    for (int64_t seed = 1; files_is_first(line, true) && seed <= seeds; seed++)
      for (int family = 0; family < ROW_FAMILIES; family++)
        for (int block = 0; block < FILES_BLOCKS; block++) {
          const Row *row = &ablation_rows[line];
          int right = level(row->id, row->views, seed, family, block);
          if (right >= 0)
            files_block(stream, row, seed, family, block, right);
        }
  fclose(stream);
}

/* costs.csv: three phases a row, of 1000, 2000 and 3000 samples, 0.5 TFLOP each; 36, 37, 38 + its place picture tokens.
 */
static inline void files_costs(int64_t seeds) {
  FILE *stream = files_open("costs.csv");
  fputs("row,seed,phase,samples,steps,tflop,image_tokens,seconds,hash\n", stream);
  for (size_t line = 0; line < ablation_row_count; line++)
    for (int64_t seed = 1; files_is_first(line, false) && seed <= seeds; seed++)
      for (int phase = 1; phase <= 3; phase++)
        fprintf(stream, "%s,%" PRId64 ",%.*s,%d,%d,0.5,%zu,12.5,abc%zu\n", ablation_rows[line].id, seed, phase, "III",
                1000 * phase, 32 * phase, 35 + (size_t)phase + (phase == 3 ? line : 0), line);
  fclose(stream);
}

/* A level that varies with row, family, seed and block. */
static inline int files_varied(const char *id, Shown views, int64_t seed, int family, int block) {
  int row = 0;
  for (const char *c = id; *c; c++)
    row += *c;
  double noise = rng_normal(rng_make((uint64_t)seed, RNG_TEST, (uint32_t)(row + 1000 * (int)views)),
                            (uint64_t)(10 * family + block));
  double collapse = views == SHOWN_LOCAL && strcmp(id, "e2e") == 0 && seed % 2 ? -9 : 0;
  int right = 2 * (int)(13 + row % 5 + family / 2.0 + collapse / 2 - (int)views + 0.7 * noise);
  return right < 0 ? 0 : right > FILES_ITEMS ? FILES_ITEMS : right;
}

/* curves, probes, loss_probes, attention, gates and router: the columns that figures draw. */
static inline void files_diagnostics(void) {
  static const char *const ids[] = {"alternating", "e2e", "e2e_mix"}, *const phases[] = {"I", "II", "III"},
                           *const groups[] = {"gate", "mlp", "former", "compression", "decoder"},
                           *const states[] = {"full", "removed", "shuffled"};
  FILE *curves = files_open("curves.csv"), *probes = files_open("probes.csv"), *losses = files_open("loss_probes.csv");
  FILE *attention = files_open("attention.csv"), *gates = files_open("gates.csv"), *router = files_open("router.csv");
  fputs("row,seed,phase,step,samples,loss,rate\n", curves);
  fputs("row,seed,phase,step,group,gradient_norm,update_share\n", probes);
  fputs("row,seed,views,local,global,loss\n", losses);
  fputs("row,seed,layer,share_local,share_global,share_text\n", attention);
  fputs("row,seed,phase,step,mean\n", gates);
  fputs("row,seed,gamma,kept_share,relate,read\n", router);
  for (int id = 0; id < 3; id++)
    for (int seed = 1; seed <= 3; seed++) {
      for (int phase = id == 0 ? 0 : 1; phase < 3; phase++)
        for (int step = 10; step <= 400; step += 30) {
          double loss = 4.0 / (1 + 0.01 * step * (phase + 1)) + 0.02 * seed + 0.1 * id;
          fprintf(curves, "%s,%d,%s,%d,%d,%.4f,%g\n", ids[id], seed, phases[phase], step, 32 * step, loss, 1e-3);
          fprintf(gates, "%s,%d,%s,%d,%.4f\n", ids[id], seed, phases[phase], step, 0.5 + 0.0005 * step * (id - 1));
          for (int group = 0; group < 5; group++)
            fprintf(probes, "%s,%d,%s,%d,%s,%.5g,%.5g\n", ids[id], seed, phases[phase], step, groups[group],
                    (phase < 2 && group == 4) || (phase == 1 && id == 0 && group < 3) ? 0.0
                                                                                      : (group + 1) / (0.1 * step),
                    0.2 + 0.02 * group);
        }
      for (int state = 0; state < 9; state++)
        fprintf(losses, "%s,%d,both,%s,%s,%.3f\n", ids[id], seed, states[state % 3], states[state / 3],
                1 + 0.3 * (state % 3) * (1 + id) + 0.5 * (state / 3) + 0.01 * seed);
      for (int layer = 0; layer < 4; layer++)
        fprintf(attention, "%s,%d,%d,%.3f,%.3f,%.3f\n", ids[id], seed, layer,
                0.3 - 0.05 * layer * (1 + id) / 2 + 0.01 * seed, 0.2, 0.5 + 0.05 * layer - 0.01 * seed);
      for (int gamma = 1; gamma <= 4; gamma++)
        fprintf(router, "%s,%d,%g,%g,%g,%g\n", ids[id], seed, 0.25 * gamma, 0.2 * gamma + 0.05, 70.0 + gamma + seed,
                60.0 + 2 * gamma - id);
    }
  FILE *const all[] = {curves, probes, losses, attention, gates, router};
  for (int i = 0; i < 6; i++)
    fclose(all[i]);
}

#endif
