/* pretrain_decoder.c: a decoder that learns to speak of scenes, from tokens that say in words what is where.
 *
 * In the picture's places stand sums of word embeddings: a place of a view's grid has the words of the things that
 * overlap it, and nothing where there are none. Letters are mostly missing from the global view. The ways of showing a
 * picture vary from step to step, so that no treatment of it is foreign to the decoder. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "keeper.h"
#include "parts.h"
#include "pretrain.h"
#include "schedule.h"
#include "sequence.h"

enum { WORDS = 8 };                  /* of a place, at most: two things */
enum { ROUNDS = 12, SHOWINGS = 12 }; /* questions of a conversation; ways of showing a picture */

/* Tokens of the words, as they stand after a blank. */
typedef struct Lexicon {
  int32_t colour[COLOURS], shape[SHAPES], size[SIZES], letter[LETTERS];
} Lexicon;

typedef struct Course {
  Store *store;
  const Ops *ops;
  Lexicon lexicon;
  Feed captions, questions, hard; /* hard: of the families that take longest */
  size_t batch;
  Example *examples;
  Conversation *conversations;
  Optimiser optimiser;
  DecoderTape tape;
  Run run;
  uint64_t seed;
} Course;

/* ---- words ---- */

static Status look_up(const Tokenizer *tokenizer, const char *const *words, size_t count, int32_t *ids) {
  for (size_t i = 0; i < count; i++) {
    Tokens tokens = {0};
    char text[ANSWER_ROOM + 1] = " ";
    strncat(text, words[i], ANSWER_ROOM - 1);
    Status status = tokenizer_encode(tokenizer, text, strlen(text), 0, &tokens);
    if (status.code == STATUS_OK && tokens.count != 1)
      status = status_error(STATUS_INPUT, "the tokenizer has no token for '%s'", text);
    ids[i] = status.code == STATUS_OK ? tokens.ids[0] : 0;
    tokens_free(&tokens);
    TRY(status);
  }
  return status_ok();
}

static Status make_lexicon(const Tokenizer *tokenizer, Lexicon *lexicon) {
  TRY(look_up(tokenizer, scene_colours, COLOURS, lexicon->colour));
  TRY(look_up(tokenizer, scene_shapes, SHAPES, lexicon->shape));
  TRY(look_up(tokenizer, scene_sizes, SIZES, lexicon->size));
  return look_up(tokenizer, scene_letters, LETTERS, lexicon->letter);
}

/* ---- what stands in the picture's places ---- */

/* Word k of row r is words[k][r]; -1: none. */
typedef struct Rows {
  int32_t *words[WORDS];
} Rows;

/* Does a thing overlap the rectangle about (x, y) of a view? Its outermost fifth does not count. */
static bool overlaps(const Thing *t, const ViewFrame *frame, double x, double y, double half) {
  double across = fabs(x - (t->x * frame->across_scale + frame->across_shift));
  double down = fabs(y - (t->y * frame->down_scale + frame->down_shift));
  return across < half + 0.8 * t->radius * frame->across_scale && down < half + 0.8 * t->radius * frame->down_scale;
}

/* The words of the place about (x, y); each may be missing. */
static void describe(const Lexicon *lexicon, const Scene *scene, const ViewFrame *frame, double x, double y,
                     double half, double unread, Draws *draws, Rows *rows, size_t row) {
  size_t next = 0;
  for (size_t i = 0; i < scene->count && next + 4 <= WORDS; i++) {
    const Thing *t = &scene->things[i];
    if (!overlaps(t, frame, x, y, half))
      continue;
    const int32_t words[3] = {lexicon->colour[t->colour], lexicon->shape[t->shape], lexicon->size[t->size]};
    for (int w = 0; w < 3; w++)
      if (!draw_chance(draws, 0.05))
        rows->words[next++][row] = words[w];
    if (t->letter != NO_LETTER && !draw_chance(draws, unread))
      rows->words[next++][row] = lexicon->letter[t->letter];
  }
}

static void describe_global(const Course *c, const ModelConfig *config, const Scene *scene, Draws *draws, Rows *rows,
                            double unread, const int32_t *at) {
  size_t across = config->vision.picture / config->vision.patch;
  double size = (double)config->vision.patch;
  ViewFrame frame = view_frame(config, scene, (TileGrid){0}, 0);
  for (size_t j = 0; j < across * across; j++)
    describe(&c->lexicon, scene, &frame, ((double)(j % across) + 0.5) * size, ((double)(j / across) + 0.5) * size,
             size / 2, unread, draws, rows, (size_t)at[j]);
}

/* Local tokens lie on one big grid over all tiles, in the sequence's order. */
static void describe_local(const Course *c, const ModelConfig *config, const Scene *scene, TileGrid grid, Draws *draws,
                           Rows *rows, const int32_t *at) {
  size_t side = (size_t)lround(sqrt((double)config_tile_tokens(config))), each = side * side;
  double size = (double)config->vision.picture / (double)side;
  ViewFrame frame = view_frame(config, scene, grid, 1); /* of the tile at the top left: of all of the grid */
  for (size_t j = 0; j < each * grid.columns * grid.rows; j++) {
    size_t tile = j / each, across = side * grid.columns;
    size_t column = config->switches.raster ? j % across : tile % grid.columns * side + j % each % side;
    size_t row = config->switches.raster ? j / across : tile / grid.columns * side + j % each / side;
    describe(&c->lexicon, scene, &frame, ((double)column + 0.5) * size, ((double)row + 0.5) * size, size / 2, 0.05,
             draws, rows, (size_t)at[j]);
  }
}

/* ---- ways of showing ---- */

typedef struct Showing {
  bool global;
  size_t side; /* local tokens across a tile; 0: none */
} Showing;

static const Showing showings[SHOWINGS] = {{true, 3}, {true, 3},  {true, 3},  {true, 3}, {true, 3}, {true, 0},
                                           {true, 0}, {false, 3}, {false, 3}, {true, 2}, {true, 4}, {true, 6}};

static ModelConfig config_showing(const ModelConfig *config, Showing showing) {
  ModelConfig shown = *config;
  shown.global = showing.global ? BRIDGE_MLP : BRIDGE_NONE;
  shown.local = showing.side > 0 ? BRIDGE_FORMER : BRIDGE_NONE;
  shown.local_queries = showing.side * showing.side;
  return shown;
}

/* ---- a batch ---- */

typedef struct Lecture {
  ModelConfig config;
  Feed *feed;
  Split split;
  size_t first;  /* scene */
  double unread; /* how likely a letter is missing from the global view */
} Lecture;

static Status fill(Course *c, const Lecture *lecture) {
  for (size_t i = 0; i < c->batch; i++) {
    Example *e = &c->examples[i];
    Scene scene = scene_make(c->seed, lecture->split, lecture->first + i);
    TileGrid grid = slice_grid(lecture->config.switches.slicing_paper ? SLICE_PAPER : SLICE_RELEASED,
                               lecture->config.vision.picture, scene.width, scene.height);
    TRY(lecture->feed->example(lecture->feed->state, lecture->first + i, e));
    bool tiles = lecture->config.local != BRIDGE_NONE;
    c->conversations[i] = (Conversation){.count = e->text.ids.count,
                                         .ids = e->text.ids.ids,
                                         .labels = e->text.labels.ids,
                                         .columns = tiles ? grid.columns : 0,
                                         .rows = tiles ? grid.rows : 0};
  }
  return status_ok();
}

static Rows describe_all(Course *c, Run *run, const Lecture *lecture, const Sequence *s) {
  const ModelConfig *config = &lecture->config;
  size_t globals = config_global_tokens(config), each = config_tile_tokens(config);
  const int32_t *global = s->global_row, *local = s->local_row;
  Rows rows;
  for (size_t k = 0; k < WORDS; k++) {
    rows.words[k] = run_host(run, s->rows.rows);
    for (size_t r = 0; r < s->rows.rows; r++)
      rows.words[k][r] = k == 0 ? s->ids[r] : -1;
  }
  for (size_t i = 0; i < c->batch; i++) {
    Scene scene = scene_make(c->seed, lecture->split, lecture->first + i);
    Draws draws = scene_draws(c->seed, lecture->split, lecture->first + i, SCENE_PREFIX);
    TileGrid grid = {c->conversations[i].columns, c->conversations[i].rows};
    if (globals > 0)
      describe_global(c, config, &scene, &draws, &rows, lecture->unread, global);
    if (each > 0)
      describe_local(c, config, &scene, grid, &draws, &rows, local);
    global += globals;
    local += each * grid.columns * grid.rows;
  }
  return rows;
}

/* ---- passes ---- */

/* What a pass leaves for its backward, and for predictions. */
typedef struct Passed {
  Sequence sequence;
  Tensor index[WORDS], predicting, label, hidden, rstd, normed;
} Passed;

static void forward(Course *c, Run *run, const Lecture *lecture, Passed *p) {
  const Model *model = c->store->model;
  const DecoderConfig *d = &model->config.decoder;
  Batch batch = {.count = c->batch, .samples = c->conversations};
  int32_t *kept = run_host(run, c->batch + 1);
  local_offsets(&batch, config_tile_tokens(&lecture->config), kept);
  sequence_plan(run, &lecture->config, &batch, kept, &p->sequence);
  const Sequence *s = &p->sequence;
  Rows rows = describe_all(c, run, lecture, s);
  Tensor x = run_reals(run, s->rows.rows, d->width);
  for (size_t k = 0; k < WORDS; k++) {
    p->index[k] = run_upload(run, rows.words[k], s->rows.rows);
    gather_fwd(run->ops, x, model->decoder.embedding.w, p->index[k], k == 0 ? WRITE_SET : WRITE_ADD);
  }
  x = decoder_fwd(run, model, x, run_upload(run, s->position, s->rows.rows), &s->rows, NULL, &c->tape);
  p->predicting = run_upload(run, s->predicting, s->supervised);
  p->label = run_upload(run, s->label, s->supervised);
  p->hidden = run_reals(run, s->supervised, d->width);
  gather_fwd(run->ops, p->hidden, x, p->predicting, WRITE_SET);
  p->normed = rmsnorm(run, &model->decoder.norm, p->hidden, d->epsilon, &p->rstd);
}

static void backward(Course *c, Run *run, const Passed *p, Tensor lse, Tensor work) {
  Model *model = c->store->model;
  size_t n = p->hidden.size[0], width = p->hidden.size[1];
  Tensor dx = run_zeros(run, p->sequence.rows.rows, width);
  Tensor dnormed = run_zeros(run, n, width), dhidden = run_zeros(run, n, width);
  cross_entropy_bwd(run->ops, dnormed, model->decoder.head.d, p->normed, model->decoder.head.w, p->label, lse,
                    1.0 / (double)n, work);
  rmsnorm_back(run, &model->decoder.norm, dhidden, dnormed, p->hidden, p->rstd);
  scatter_fwd(run->ops, dx, dhidden, p->predicting);
  decoder_bwd(run, model, &c->tape, dx);
  for (size_t k = 0; k < WORDS; k++)
    gather_bwd(run->ops, model->decoder.embedding.d, dx, p->index[k]);
}

static double pass(Course *c, Run *run, const Lecture *lecture) {
  const Model *model = c->store->model;
  Passed passed;
  forward(c, run, lecture, &passed);
  size_t n = passed.sequence.supervised;
  Tensor loss = run_vector(run, n), lse = run_vector(run, n);
  Tensor work = run_reals(run, n, model->config.decoder.vocabulary);
  cross_entropy_fwd(run->ops, loss, lse, passed.normed, model->decoder.head.w, passed.label, work);
  double mean = run_is_dry(run) ? 0.0 : run_mean(run, loss);
  if (run->training)
    backward(c, run, &passed, lse, work);
  return mean;
}

/* Room for this batch, if there is not enough yet. */
static Status make_room(Course *c, const Lecture *lecture) {
  Ops dry = {.real = c->ops->real};
  Run measuring = run_dry(&dry);
  measuring.training = true;
  pass(c, &measuring, lecture);
  run_reset(&measuring);
  return run_grow(&c->run, c->ops, measuring.most);
}

/* One step in four is of captions, one in four of the hardest questions. The first three tenths show the global view
 * alone, letters and all: to find a word where it stands is what takes longest to learn, and that is the shortest way
 * to it. */
static Lecture lecture_of(Course *c, size_t number, size_t steps) {
  static const Showing easiest = {true, 0};
  Draws draws = {.rng = rng_make(c->seed, RNG_SCENES, UINT32_MAX), .next = 2 * number};
  size_t kind = draw(&draws, 8);
  bool early = 10 * number < 3 * steps;
  Showing showing = showings[draw(&draws, SHOWINGS)];
  return (Lecture){.config = config_showing(&c->store->model->config, early ? easiest : showing),
                   .feed = kind < 2   ? &c->captions
                           : kind < 6 ? &c->questions
                                      : &c->hard,
                   .split = SPLIT_TRAIN,
                   .first = number * c->batch,
                   .unread = early ? 0.05 : 0.7};
}

/* Means since the last report; of captions, and of questions. */
typedef struct Means {
  double sum[2], count[2];
} Means;

static Status step(Course *c, const PretrainPlan *plan, size_t number, Means *means) {
  const Schedule schedule = {.kind = SCHEDULE_COSINE, .steps = plan->steps, .warmup = 0.03};
  OptimiserRule rule = optimiser_rule();
  Lecture lecture = lecture_of(c, number, plan->steps);
  rule.rate[GROUP_DECODER] = plan->rate * schedule_factor(&schedule, number);
  TRY(fill(c, &lecture));
  TRY(make_room(c, &lecture));
  run_reset(&c->run);
  c->run.training = true;
  store_zero(c->store);
  double loss = pass(c, &c->run, &lecture);
  size_t kind = lecture.feed == &c->captions;
  means->sum[kind] += loss;
  means->count[kind] += 1.0;
  if (!isfinite(loss) || optimiser_step(&c->optimiser, &rule).bad != GROUP_COUNT)
    return status_error(STATUS_NUMERICS, "the decoder's loss is not a number at step %zu; try a lower rate", number);
  return status_ok();
}

/* ---- skill ---- */

/* Right answers of a batch of single questions: the first trained token of each. */
static size_t right_answers(Course *c, const Lecture *lecture) {
  const Model *model = c->store->model;
  Run *run = &c->run;
  Passed p;
  size_t right = 0, vocabulary = model->config.decoder.vocabulary;
  run_reset(run);
  run->training = false;
  forward(c, run, lecture, &p);
  size_t n = p.sequence.supervised;
  Tensor logits = run_reals(run, n, vocabulary);
  int32_t *best = run_host(run, n);
  linear_fwd(run->ops, logits, p.normed, model->decoder.head.w, TENSOR_NONE, TENSOR_NONE);
  run_likeliest(run, logits, best);
  for (size_t i = 0, sample = 0; i < n && sample < c->batch; i++) {
    if (p.sequence.predicting[i] < p.sequence.rows.host[sample])
      continue; /* the rest of an answer */
    right += best[i] == p.sequence.label[i];
    sample++;
  }
  return right;
}

static Status examine(Course *c, const Tokenizer *tokenizer, const PretrainPlan *plan, DecoderSkill *skill) {
  size_t batches = plan->scenes > 0 ? (plan->scenes + c->batch - 1) / c->batch : 64;
  for (int f = 0; f < FAMILIES; f++) {
    Feed feed;
    SceneFeedPlan scenes = {.seed = c->seed,
                            .split = SPLIT_VALIDATION,
                            .count = batches * c->batch,
                            .talk = {.families = 1U << f, .rounds = 1},
                            .tokenizer = tokenizer};
    size_t right = 0;
    TRY(feed_scenes_open(&feed, &scenes));
    Status status = status_ok();
    for (size_t b = 0; b < batches && status.code == STATUS_OK; b++) {
      Lecture lecture = {.config = config_showing(&c->store->model->config, showings[0]),
                         .feed = &feed,
                         .split = SPLIT_VALIDATION,
                         .first = b * c->batch,
                         .unread = 0.7};
      status = fill(c, &lecture);
      if (status.code == STATUS_OK)
        status = make_room(c, &lecture);
      if (status.code == STATUS_OK)
        right += right_answers(c, &lecture);
    }
    feed_scenes_close(&feed);
    TRY(status);
    skill->correct[f] = (double)right / (double)(batches * c->batch);
  }
  return status_ok();
}

/* ---- the whole ---- */

static Status prepare(Course *c, const Tokenizer *tokenizer, const PretrainPlan *plan) {
  SceneFeedPlan scenes = {.seed = plan->seed, .count = plan->steps * plan->batch, .tokenizer = tokenizer};
  TRY(make_lexicon(tokenizer, &c->lexicon));
  scenes.talk = (SceneTalk){.caption = true};
  TRY(feed_scenes_open(&c->captions, &scenes));
  scenes.talk = (SceneTalk){.families = (1U << FAMILIES) - 1, .rounds = ROUNDS, .easily = true};
  TRY(feed_scenes_open(&c->questions, &scenes));
  scenes.talk.families = 1U << FAMILY_RELATE | 1U << FAMILY_REASON;
  TRY(feed_scenes_open(&c->hard, &scenes));
  TRY(store_train(c->store, 1U << GROUP_DECODER));
  TRY(optimiser_alloc(&c->optimiser, c->store));
  c->examples = calloc(c->batch, sizeof *c->examples);
  c->conversations = calloc(c->batch, sizeof *c->conversations);
  c->tape.layers = calloc(c->store->model->config.decoder.layers + 1, sizeof *c->tape.layers);
  c->run.ops = c->ops;
  if (!c->examples || !c->conversations || !c->tape.layers)
    return status_error(STATUS_MEMORY, "not enough memory for %zu conversations", c->batch);
  return status_ok();
}

static void finish(Course *c) {
  feed_scenes_close(&c->captions);
  feed_scenes_close(&c->questions);
  feed_scenes_close(&c->hard);
  optimiser_free(&c->optimiser);
  run_free(&c->run);
  for (size_t i = 0; c->examples && i < c->batch; i++)
    example_free(&c->examples[i]);
  free(c->examples);
  free(c->conversations);
  free(c->tape.layers);
}

Status pretrain_decoder(Store *store, const Tokenizer *tokenizer, const PretrainPlan *plan, DecoderSkill *skill) {
  Course course = {.store = store, .ops = store->ops, .batch = plan->batch, .seed = plan->seed};
  Means means = {0};
  Status status = prepare(&course, tokenizer, plan);
  Keeper keeper = {.path = NULL};
  size_t start = 0;
  if (status.code == STATUS_OK)
    status = keeper_open(&keeper, plan, "decoder", &course.optimiser, NULL, 0, &start);
  for (size_t i = start; i < plan->steps && status.code == STATUS_OK; i++) {
    status = step(&course, plan, i, &means);
    if (status.code == STATUS_OK)
      status = keeper_step(&keeper, i + 1);
    if (plan->report && status.code == STATUS_OK && (i + 1) % plan->every == 0) {
      plan->report(plan->context, i + 1, means.sum[0] / means.count[0], means.sum[1] / means.count[1]);
      means = (Means){0};
    }
  }
  if (status.code == STATUS_OK)
    status = examine(&course, tokenizer, plan, skill);
  keeper_close(&keeper, status.code == STATUS_OK);
  finish(&course);
  return status;
}
