/* test_probe.c: what is measured while a phase is trained, and what a trained model looks at. */
#include "probe.h"

#include "csv.h"
#include "job.h"
#include "look.h"
#include "look_pass.h"
#include "small_world.h"

#define SCHEMES SEESAW_FIXTURES "/../../experiments/schemes/scenes"

static void make_world(void) {
  scratch_make();
  setenv("OMP_WAIT_POLICY", "passive", 1); /* tests share the machine */
}

TestSuite(probe, .init = make_world, .fini = scratch_remove);
TestSuite(look, .init = make_world, .fini = scratch_remove);

#define PROBES "row,seed,phase,step,group,gradient_norm,update_share"
#define GATES "row,seed,phase,step,mean"

/* ---- windows ---- */

static const char *const header =
    "step,gate_mean,vision_gradient,vision_change,gate_gradient,gate_change,mlp_gradient,mlp_change,former_gradient,"
    "former_change,compression_gradient,compression_change,decoder_gradient,decoder_change,lora_gradient,lora_change\n";

/* Gate: gradient = step, change 3; MLP: in even steps only, gradient 10, change 4; the mixture shows in even steps. */
static const char *write_steps(const char *name, int from, int to) {
  FILE *stream = fopen(scratch_path(name), "w");
  cr_assert_not_null(stream);
  fputs(header, stream);
  for (int step = from; step <= to; step++)
    fprintf(stream, "%d,%s,0,0,%d,3,%s,0,0,0,0,0,0,0,0\n", step, step % 2 ? "nan" : "0.25", step,
            step % 2 ? "0,0" : "10,4");
  fclose(stream);
  return scratch_path(name);
}

static Status windows_of(const char *path, uint64_t steps) {
  const ProbeWhose whose = {.row = "e2e", .seed = 3, .phase = "one"};
  FILE *probes = fopen(scratch_path("probes.csv"), "w"), *gates = fopen(scratch_path("gates.csv"), "w");
  cr_assert(probes != NULL && gates != NULL);
  fputs(PROBES "\n", probes);
  fputs(GATES "\n", gates);
  Status status = probe_windows(path, steps, &whose, probes, gates);
  fclose(probes);
  fclose(gates);
  return status;
}

typedef struct Rows {
  CsvReader csv;
  bool there;
} Rows;

static Rows rows_of(const char *path, const char *columns) {
  Rows rows;
  assert_ok(csv_read(&rows.csv, path, columns));
  return rows;
}

static bool next(Rows *rows) {
  assert_ok(csv_row(&rows->csv, &rows->there));
  if (!rows->there)
    csv_close(&rows->csv);
  return rows->there;
}

static double cell(const Rows *rows, size_t column) {
  double value;
  assert_ok(csv_read_real(&rows->csv, column, -INFINITY, &value));
  return value;
}

Test(probe, a_short_phase_has_a_window_a_step) {
  assert_ok(windows_of(write_steps("steps.csv", 1, 3), 3));
  char text[1024];
  cr_expect_str_eq(scratch_read(scratch_path("probes.csv"), text, sizeof text),
                   PROBES "\ne2e,3,one,1,gate,1,1\ne2e,3,one,2,gate,2,0.36\ne2e,3,one,2,mlp,10,0.64\n"
                          "e2e,3,one,3,gate,3,1\n");
  cr_expect_str_eq(scratch_read(scratch_path("gates.csv"), text, sizeof text), GATES "\ne2e,3,one,2,0.25\n");
}

/* 103 steps in 50 windows of two or three. */
Test(probe, windows_cover_all_steps_and_their_shares_have_the_sum_1) {
  assert_ok(windows_of(write_steps("steps.csv", 1, 103), 103));
  Rows rows = rows_of(scratch_path("probes.csv"), PROBES);
  double share = 0, all = 0, last = 0, step = 0;
  size_t windows = 0;
  while (next(&rows)) {
    step = cell(&rows, 3);
    if (strcmp(rows.csv.cells[4], "gate") == 0) {
      cr_expect(windows == 0 || fabs(share - 1) < 1e-5, "step %g: %g", last, share);
      expect_within(fabs(cell(&rows, 5) - 0.5 * (last + 1 + step)), 1e-9, "the mean to step %g", step);
      all += cell(&rows, 5) * (step - last);
      windows++;
      share = 0;
      last = step;
    }
    share += cell(&rows, 6);
  }
  cr_expect_eq(windows, PROBE_WINDOWS);
  cr_expect_eq(step, 103);
  expect_within(fabs(all - 103 * 52), 1e-6, "sum over all steps");
}

Test(probe, refuses_files_that_are_not_the_phase) {
  expect_refused(windows_of(scratch_path("none.csv"), 3), STATUS_INPUT, "none.csv");
  expect_refused(windows_of(write_steps("a.csv", 1, 3), 4), STATUS_INPUT, "3 of the phase's 4 steps");
  expect_refused(windows_of(write_steps("b.csv", 2, 4), 3), STATUS_INPUT, "step 2 stands where step 1");
  expect_refused(windows_of(scratch_text("c.csv", "step,loss\n"), 1), STATUS_INPUT, "step,gate_mean");
  char text[1024];
  snprintf(text, sizeof text, "%s1,nan,0,0,one,0,0,0,0,0,0,0,0,0,0,0\n", header);
  expect_refused(windows_of(scratch_text("d.csv", text), 1), STATUS_INPUT, "gate_gradient");
  snprintf(text, sizeof text, "%s1,nan,0,0,nan,0,0,0,0,0,0,0,0,0,0,0\n", header);
  expect_refused(windows_of(scratch_text("e.csv", text), 1), STATUS_INPUT, "line 2");
}

/* ---- in training ---- */

typedef struct Lesson {
  SmallModel m;
  Feed feed;
  Features *features;
  Phase phase;
  TrainPlan plan;
  Probe probe;
  uint64_t stops; /* fails at this step; 0: never */
} Lesson;

static Status hook(void *context, const TrainStep *step) {
  Lesson *l = context;
  TRY(probe_step(&l->probe, step));
  return step->step == l->stops ? status_error(STATUS_INTERRUPTED, "stopped") : status_ok();
}

static SceneFeedPlan scenes_of(const SmallModel *m, size_t count) {
  return (SceneFeedPlan){.seed = 5, .split = SPLIT_VALIDATION, .count = count, .tokenizer = m->tokenizer};
}

static void open_scenes(const SmallModel *m, size_t count, Feed *feed, Features **features) {
  SceneFeedPlan scenes = scenes_of(m, count);
  scenes.talk = (SceneTalk){.families = (1U << FAMILIES) - 1, .rounds = 2};
  assert_ok(feed_scenes_open(feed, &scenes));
  FeaturesPlan plan = {.store = &m->store, .feed = feed, .folder = "", .quiet = true};
  assert_ok(features_open(features, &plan));
}

static void begin_lesson(Lesson *l, const char *folder, unsigned groups, Views views) {
  *l = (Lesson){0};
  small_begin(&l->m, 1, 2);
  open_scenes(&l->m, 9, &l->feed, &l->features);
  assert_ok(folder_create(scratch_path(folder)));
  l->phase = phase_default("one");
  l->phase.samples = 7 * 3;
  l->phase.batch = 3;
  l->phase.turn[0] = (PhaseTurn){.groups = groups, .views = views};
  for (int group = 0; group < GROUP_COUNT; group++)
    l->phase.rate[group] = groups >> group & 1 ? 1e-3 : 0.0;
  l->probe = (Probe){.folder = strdup(scratch_path(folder)), .phase = "one"};
  l->plan = (TrainPlan){.store = &l->m.store,
                        .phase = &l->phase,
                        .feed = &l->feed,
                        .features = l->features,
                        .seed = 4,
                        .folder = l->probe.folder,
                        .interval = 2,
                        .resume = true,
                        .quiet = true,
                        .measure = true,
                        .probe = hook,
                        .context = l};
}

static Status teach(Lesson *l) {
  TrainReport report;
  Status status = train_phase(&l->plan, &report);
  probe_close(&l->probe);
  return status;
}

static void end_lesson(Lesson *l) {
  free((char *)l->probe.folder);
  features_close(l->features);
  feed_scenes_close(&l->feed);
  small_end(&l->m);
}

enum { ADAPTER = 1U << GROUP_GATE | 1U << GROUP_MLP | 1U << GROUP_FORMER };

/* Its weights are 0, so only the noise moves it from the middle: 3 x 36 tokens of standard deviation 0.2 or less. */
Test(probe, the_gate_of_a_fresh_model_is_in_the_middle) {
  Lesson l;
  begin_lesson(&l, "phase", ADAPTER, VIEWS_BOTH);
  assert_ok(teach(&l));
  assert_ok(windows_of(scratch_path("phase/one.probe.csv"), 7));
  Rows rows = rows_of(scratch_path("gates.csv"), GATES);
  cr_assert(next(&rows));
  expect_within(fabs(cell(&rows, 4) - 0.5), 5 * 0.2 / sqrt(3 * 36), "the gate");
  size_t lines = 1;
  while (next(&rows))
    lines++;
  cr_expect_eq(lines, 7);
  end_lesson(&l);
}

Test(probe, names_the_groups_that_move_and_no_gate_without_the_global_view) {
  Lesson l;
  begin_lesson(&l, "phase", 1U << GROUP_COMPRESSION | 1U << GROUP_MLP, VIEWS_LOCAL);
  assert_ok(teach(&l));
  assert_ok(windows_of(scratch_path("phase/one.probe.csv"), 7));
  Rows rows = rows_of(scratch_path("probes.csv"), PROBES);
  size_t mlp = 0, compression = 0, lines = 0;
  double share = 0;
  while (next(&rows)) {
    mlp += strcmp(rows.csv.cells[4], "mlp") == 0;
    compression += strcmp(rows.csv.cells[4], "compression") == 0;
    cr_expect_gt(cell(&rows, 5), 0);
    share += cell(&rows, 6);
    lines++;
  }
  cr_expect(mlp == 7 && compression == 7 && lines == 14, "%zu, %zu of %zu", mlp, compression, lines);
  expect_within(fabs(share - 7), 1e-4, "shares");
  rows = rows_of(scratch_path("gates.csv"), GATES);
  cr_expect(!next(&rows));
  end_lesson(&l);
}

/* Stopped between checkpoints, so that some steps are trained twice. */
Test(probe, of_a_phase_that_was_stopped_is_the_same) {
  static char whole[1 << 15], resumed[1 << 15];
  Lesson l;
  begin_lesson(&l, "whole", ADAPTER, VIEWS_BOTH);
  assert_ok(teach(&l));
  end_lesson(&l);
  begin_lesson(&l, "stopped", ADAPTER, VIEWS_BOTH);
  l.stops = 5;
  expect_refused(teach(&l), STATUS_INTERRUPTED, "stopped");
  end_lesson(&l);
  begin_lesson(&l, "stopped", ADAPTER, VIEWS_BOTH);
  assert_ok(teach(&l));
  end_lesson(&l);
  scratch_read(scratch_path("whole/one.probe.csv"), whole, sizeof whole);
  cr_expect_gt(strlen(whole), 500);
  cr_expect_str_eq(whole, scratch_read(scratch_path("stopped/one.probe.csv"), resumed, sizeof resumed));
}

Test(probe, refuses_to_go_on_where_its_file_does_not_reach) {
  Lesson l;
  begin_lesson(&l, "stopped", ADAPTER, VIEWS_BOTH);
  l.stops = 5;
  expect_refused(teach(&l), STATUS_INTERRUPTED, "stopped");
  end_lesson(&l);
  write_steps("stopped/one.probe.csv", 1, 3);
  begin_lesson(&l, "stopped", ADAPTER, VIEWS_BOTH);
  expect_refused(teach(&l), STATUS_INPUT, "ends at step 3, but training goes on at step 5");
  end_lesson(&l);
  cr_assert_eq(unlink(scratch_path("stopped/one.probe.csv")), 0);
  begin_lesson(&l, "stopped", ADAPTER, VIEWS_BOTH);
  expect_refused(teach(&l), STATUS_INPUT, "one.probe.csv");
  end_lesson(&l);
}

/* ---- attention of known queries and keys ---- */

/* Two samples of 3 and 4 rows; one head of one number: q = 1, k = ln w, so that p is in proportion to w. */
Test(look, attention_of_known_queries_and_keys) {
  static const double weight[7] = {1, 2, 5, 4, 1, 3, 2};
  static const Part parts[7] = {PART_TEXT, PART_LOCAL, PART_TEXT, PART_GLOBAL, PART_LOCAL, PART_LOCAL, PART_TEXT};
  static const int32_t offsets[] = {0, 3, 7};
  int32_t predicting[] = {2, 5, 6};
  double qkv[7][3], lse[7], sum[PARTS] = {0};
  DecoderConfig config = {.heads = 1, .kv_heads = 1, .head = 1};
  Sequence sequence = {
      .rows = {.count = 2, .rows = 7, .longest = 4, .host = offsets}, .supervised = 3, .predicting = predicting};
  for (int row = 0; row < 7; row++) {
    double all = 0;
    for (int seen = row < 3 ? 0 : 3; seen <= row; seen++)
      all += weight[seen];
    qkv[row][0] = 1;
    qkv[row][1] = log(weight[row]);
    qkv[row][2] = NAN; /* values play no part */
    lse[row] = log(all);
  }
  attention_add(&config, &sequence, parts, tensor_2(qkv, DTYPE_F64, 7, 3), tensor_2(lse, DTYPE_F64, 7, 1), sum);
  expect_within(fabs(sum[PART_LOCAL] - (2.0 / 8 + 4.0 / 8 + 4.0 / 10)), 1e-14, "local");
  expect_within(fabs(sum[PART_GLOBAL] - (0 + 4.0 / 8 + 4.0 / 10)), 1e-14, "global");
  expect_within(fabs(sum[PART_TEXT] - (6.0 / 8 + 0 + 2.0 / 10)), 1e-14, "text");
}

/* Four heads share two key heads; a head's queries are 0 but for one, so that all others look evenly. */
Test(look, attention_of_grouped_heads) {
  enum { HEADS = 4, KEYS = 2, HEAD = 4, ROWS = 3, WIDTH = (HEADS + 2 * KEYS) * HEAD };
  static const Part parts[ROWS] = {PART_LOCAL, PART_GLOBAL, PART_TEXT};
  static const int32_t offsets[] = {0, ROWS};
  int32_t predicting[] = {ROWS - 1};
  double qkv[ROWS][WIDTH] = {0}, lse[ROWS][HEADS], sum[PARTS] = {0};
  DecoderConfig config = {.heads = HEADS, .kv_heads = KEYS, .head = HEAD};
  Sequence sequence = {
      .rows = {.count = 1, .rows = ROWS, .longest = ROWS, .host = offsets}, .supervised = 1, .predicting = predicting};
  for (int head = 0; head < HEADS; head++)
    lse[2][head] = log(3);
  qkv[2][2 * HEAD + 1] = 2;                /* query head 2 */
  qkv[0][(HEADS + 1) * HEAD + 1] = log(7); /* its key head 1: scale 1/2 times 2 log 7 */
  lse[2][2] = log(9);
  attention_add(&config, &sequence, parts, tensor_2(qkv, DTYPE_F64, ROWS, WIDTH), tensor_2(lse, DTYPE_F64, ROWS, HEADS),
                sum);
  expect_within(fabs(sum[PART_LOCAL] - (1 + 7.0 / 9)), 1e-14, "local");
  expect_within(fabs(sum[PART_GLOBAL] - (1 + 1.0 / 9)), 1e-14, "global");
  expect_within(fabs(sum[PART_TEXT] - (1 + 1.0 / 9)), 1e-14, "text");
}

/* ---- a model that looks ---- */

typedef struct Looking {
  SmallModel m;
  Feed feed;
  Features *features;
  LookPlan plan;
} Looking;

static void begin_looking(Looking *l, size_t scenes, Views views) {
  small_begin(&l->m, 1, 6);
  open_scenes(&l->m, scenes, &l->feed, &l->features);
  l->plan = (LookPlan){.store = &l->m.store, .feed = &l->feed, .features = l->features, .views = views};
}

static void end_looking(Looking *l) {
  features_close(l->features);
  feed_scenes_close(&l->feed);
  small_end(&l->m);
}

static void expect_shares(const LookPlan *plan, bool local, bool global) {
  double share[1][PARTS];
  assert_ok(look_attention(plan, share));
  expect_within(fabs(share[0][PART_LOCAL] + share[0][PART_GLOBAL] + share[0][PART_TEXT] - 1), 1e-5, "the sum");
  cr_expect_eq(share[0][PART_LOCAL] > 0, local, "local %g", share[0][PART_LOCAL]);
  cr_expect_eq(share[0][PART_GLOBAL] > 0, global, "global %g", share[0][PART_GLOBAL]);
  cr_expect_gt(share[0][PART_TEXT], 0);
}

Test(look, shares_of_attention_have_the_sum_1) {
  Looking l;
  begin_looking(&l, 35, VIEWS_BOTH); /* two batches */
  expect_shares(&l.plan, true, true);
  l.plan.views = VIEWS_GLOBAL;
  expect_shares(&l.plan, false, true);
  l.plan.views = VIEWS_LOCAL;
  expect_shares(&l.plan, true, false);
  l.plan.views = VIEWS_NONE;
  expect_shares(&l.plan, false, false);
  end_looking(&l);
}

/* The mean loss of some samples in one batch. */
static double loss_of(const Looking *l, Views views, const size_t *samples, size_t count) {
  Model shown = model_showing(&l->m.model, views);
  LookPass pass;
  size_t trained;
  assert_ok(look_begin(&pass, &l->plan));
  assert_ok(batcher_fill(&pass.batcher, &shown, samples, count, 0));
  assert_ok(look_room(&pass, &shown));
  double loss = slime_forward(&pass.run, &shown, &pass.batcher.batch, &pass.tape, &trained);
  cr_assert_gt(trained, 0);
  look_end(&pass);
  return loss;
}

/* Those that have a partner. */
static size_t partnered(const Looking *l, size_t *samples) {
  size_t count = 0;
  for (size_t i = 0; i < l->feed.count; i++) {
    bool found = false;
    TileGrid a = features_grid(l->features, i);
    for (size_t j = 0; j < l->feed.count; j++) {
      TileGrid b = features_grid(l->features, j);
      found |= i != j && a.columns == b.columns && a.rows == b.rows;
    }
    if (found)
      samples[count++] = i;
  }
  return count;
}

Test(look, without_a_view_the_loss_is_that_of_a_model_without_it) {
  Looking l;
  LookLosses losses;
  size_t samples[17];
  begin_looking(&l, 17, VIEWS_BOTH);
  assert_ok(look_losses(&l.plan, &losses));
  size_t count = partnered(&l, samples);
  cr_assert_gt(count, 4);
  cr_expect_eq(losses.samples, count);
  double(*loss)[TOKEN_STATES] = losses.loss;
  expect_within(relative(loss[TOKENS_FULL][TOKENS_FULL], loss_of(&l, VIEWS_BOTH, samples, count)), 1e-12, "both");
  expect_within(relative(loss[TOKENS_REMOVED][TOKENS_FULL], loss_of(&l, VIEWS_GLOBAL, samples, count)), 1e-12,
                "global");
  expect_within(relative(loss[TOKENS_FULL][TOKENS_REMOVED], loss_of(&l, VIEWS_LOCAL, samples, count)), 1e-12, "local");
  expect_within(relative(loss[TOKENS_REMOVED][TOKENS_REMOVED], loss_of(&l, VIEWS_NONE, samples, count)), 1e-12, "none");
  for (int i = 0; i < TOKEN_STATES * TOKEN_STATES; i++)
    for (int j = 0; j < i; j++)
      cr_expect_neq((&loss[0][0])[i], (&loss[0][0])[j], "states %d and %d do the same", i, j);
  end_looking(&l);
}

/* Of a model used with one view only, and of one without a bridge, only what is left is measured. */
Test(look, a_view_that_is_not_used_counts_as_removed) {
  Looking l;
  LookLosses losses;
  begin_looking(&l, 17, VIEWS_GLOBAL);
  assert_ok(look_losses(&l.plan, &losses));
  for (int local = 0; local < TOKEN_STATES; local++)
    for (int global = 0; global < TOKEN_STATES; global++)
      cr_expect_eq(isnan(losses.loss[local][global]), local != TOKENS_REMOVED, "%d, %d", local, global);
  end_looking(&l);
}

/* ---- all samples alike ---- */

static Status first_example(void *state, size_t index, Example *example) {
  const Feed *inner = state;
  (void)index;
  return inner->example(inner->state, 0, example);
}
static Status first_pictured(void *state, size_t index, bool *pictured) {
  const Feed *inner = state;
  (void)index;
  return inner->pictured(inner->state, 0, pictured);
}
static Status first_picture(void *state, size_t index, Image *image) {
  const Feed *inner = state;
  (void)index;
  return inner->picture(inner->state, 0, image);
}
static Status first_digest(void *state, size_t index, Digest *digest) {
  const Feed *inner = state;
  (void)index;
  return inner->digest(inner->state, 0, digest);
}

Test(look, exchange_among_equal_samples_changes_nothing) {
  Looking l;
  LookLosses losses;
  begin_looking(&l, 2, VIEWS_BOTH);
  Feed alike = {.state = &l.feed,
                .count = 5,
                .example = first_example,
                .pictured = first_pictured,
                .picture = first_picture,
                .digest = first_digest};
  features_close(l.features);
  FeaturesPlan plan = {.store = &l.m.store, .feed = &alike, .folder = "", .quiet = true};
  assert_ok(features_open(&l.features, &plan));
  l.plan.feed = &alike;
  l.plan.features = l.features;
  assert_ok(look_losses(&l.plan, &losses));
  cr_expect_eq(losses.samples, 5);
  double full = losses.loss[TOKENS_FULL][TOKENS_FULL];
  cr_expect_eq(losses.loss[TOKENS_SHUFFLED][TOKENS_FULL], full);
  cr_expect_eq(losses.loss[TOKENS_FULL][TOKENS_SHUFFLED], full);
  cr_expect_eq(losses.loss[TOKENS_SHUFFLED][TOKENS_SHUFFLED], full);
  end_looking(&l);
}

Test(look, refuses_a_picture_without_another) {
  Looking l;
  LookLosses losses;
  begin_looking(&l, 1, VIEWS_BOTH);
  expect_refused(look_losses(&l.plan, &losses), STATUS_INPUT, "no two of the 1 pictures");
  end_looking(&l);
}

/* ---- the router ---- */

Test(look, gamma_1_keeps_all_tokens_and_less_keeps_fewer) {
  Looking l;
  LookRouter points[LOOK_GAMMAS];
  begin_looking(&l, 11, VIEWS_BOTH);
  SceneFeedPlan scenes = scenes_of(&l.m, 11);
  ExamPlan plan = {.store = &l.m.store, .scenes = &scenes, .features = l.features, .views = VIEWS_BOTH};
  double gamma = l.m.model.config.switches.gamma;
  assert_ok(look_router(&plan, points));
  cr_expect_eq(points[LOOK_GAMMAS - 1].gamma, 1);
  cr_expect_eq(points[LOOK_GAMMAS - 1].kept, 1);
  cr_expect_eq(l.m.model.config.switches.gamma, gamma, "the model itself is as it was");
  for (int i = 0; i < LOOK_GAMMAS; i++) {
    cr_expect(points[i].kept > 0 && points[i].kept <= 1 && (i == 0 || points[i].kept > points[i - 1].kept), "%d: %g", i,
              points[i].kept);
    cr_expect(points[i].relate >= 0 && points[i].relate <= 1 && points[i].read >= 0 && points[i].read <= 1);
  }
  Exam exam;
  plan.families = 1U << FAMILY_READ;
  assert_ok(examine(&plan, &exam));
  cr_expect(isnan(exam_accuracy(&exam, FAMILY_RELATE)), "was not asked");
  cr_expect(exam.kept > 0 && exam.kept < exam.local);
  end_looking(&l);
}

/* ---- the command ---- */

#define SMALL "--model pair --pictures 40 --tests 13 --scale 0.01 --schemes '" SCHEMES "' "

static size_t count_rows(const char *name, const char *columns) {
  Rows rows = rows_of(scratch_path(name), columns);
  size_t count = 0;
  while (next(&rows))
    count++;
  return count;
}

static void expect_same(const char *name) {
  static char text[2][1 << 16];
  char path[64];
  snprintf(path, sizeof path, "results/%s", name);
  scratch_read(scratch_path(path), text[0], sizeof text[0]);
  snprintf(path, sizeof path, "again/%s", name);
  cr_expect_str_eq(text[0], scratch_read(scratch_path(path), text[1], sizeof text[1]), "%s", name);
}

#define RESULTS "--results results --runs r --features f "

/* 0.01 of 12,000 samples, 32 a step, are 4 steps; stage 1 moves three groups, stage 2 one, stage 3 all five. */
Test(probe, writes_what_the_figures_read) {
  small_pair("pair", 1);
  program_succeeds("ablate probe:alternating,global_moe " SMALL RESULTS "--seeds 1 --jobs 1");
  cr_expect_eq(count_rows("results/probes.csv", PROBES), 4 * (3 + 1 + 5) + 4 * (3 + 4));
  cr_expect_eq(count_rows("results/gates.csv", GATES), 4 * 2 + 4 * 2);
  cr_expect_eq(count_rows("results/loss_probes.csv", "row,seed,views,local,global,loss"), 9 + 3);
  cr_expect_eq(count_rows("results/attention.csv", "row,seed,layer,share_local,share_global,share_text"), 2);
  cr_expect_eq(count_rows("results/router.csv", "row,seed,gamma,kept_share,relate,read"), 10);
  cr_expect_neq(access(scratch_path("results/answers.csv"), F_OK), 0, "nobody was examined");
  cr_expect_eq(access(scratch_path("results/router.csv.origin.json"), F_OK), 0);
  program_succeeds("ablate probe:alternating,global_moe " SMALL "--runs other --features f --results again --seeds 1 "
                   "--jobs 1");
  expect_same("probes.csv");
  expect_same("loss_probes.csv");
  expect_same("attention.csv");
}

Test(probe, command_refuses_what_it_cannot_do) {
  program_refuses(2, "no row 'nobody'", "ablate probe:nobody --model pair");
  program_refuses(2, "no row 'probed'", "ablate probed --model pair");
  program_refuses(2, "no row is named", "ablate probe: --model pair");
}
