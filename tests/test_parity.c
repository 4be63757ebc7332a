/* test_parity.c: the whole model held against the public originals (fixtures/model/make.py): every named activation,
 * the router's choice, the losses and the gradients of all parameters, in float and in double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c.h"
#include "load.h"
#include "position.h"
#include "runs.h"
#include "safetensors.h"
#include "slime.h"

/* ---- fixtures ---- */

static int fixture_threads = 1;
static const char *fixture_folder = SEESAW_FIXTURES "/model";

/* FOLDER/name; good until four later calls: files keep the paths that they were opened by. */
static const char *fixture(const char *name) {
  static char paths[4][1024];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", fixture_folder, name);
  return path;
}

static TensorFile open_fixture(const char *name) {
  TensorFile file;
  assert_ok(safetensors_open(&file, fixture(name)));
  return file;
}

static Tensor find(const TensorFile *file, const char *name) {
  const NamedTensor *named = tensor_file_find(file, name);
  cr_assert_not_null(named, "%s has no %s", file->path, name);
  return named->tensor;
}

static double rms(Tensor x) {
  double sum = 0.0;
  for (size_t i = 0; i < tensor_count(x); i++)
    sum += tensor_get(x, i) * tensor_get(x, i);
  return sqrt(sum / (double)tensor_count(x));
}

/* ---- tolerances ---- */

/* How many numbers are summed on the way to an activation, all sums one after the other: each adds its own rounding. */
static size_t vision_terms(const VisionConfig *c, size_t layers) {
  size_t across = c->picture / c->patch, patches = across * across;
  size_t layer = 5 * c->width + c->mlp + c->width / c->heads + patches + 1; /* norms, q k v, out, MLP; attention */
  return 3 * c->patch * c->patch + c->width + layers * layer;
}

static size_t token_terms(const ModelConfig *c) {
  size_t former = 4 * c->vision.width + c->former_head + config_patches(c);
  return vision_terms(&c->vision, c->vision.used) + former + c->vision.width + c->decoder.width;
}

static size_t decoder_terms(const ModelConfig *c, size_t layers, size_t longest) {
  const DecoderConfig *d = &c->decoder;
  size_t layer = 4 * d->width + d->head + longest + d->heads * d->head + d->mlp;
  return token_terms(c) + layers * layer;
}

static size_t loss_terms(const ModelConfig *c, size_t longest) {
  return decoder_terms(c, c->decoder.layers, longest) + 2 * c->decoder.width + c->decoder.vocabulary;
}

/* Sums behind the tensor of that name. Gradients: those of the activations that they are made of, as many again on the
 * way back, and one over the rows. */
static size_t terms_of(const ModelConfig *c, const char *name, const Ragged *rows) {
  unsigned layer;
  if (strstr(name, "gradient"))
    return 3 * loss_terms(c, rows->longest) + rows->rows;
  if (sscanf(name, "vision.layers.%u", &layer) == 1)
    return vision_terms(&c->vision, layer + 1);
  if (sscanf(name, "decoder.layers.%u", &layer) == 1)
    return decoder_terms(c, layer + 1, rows->longest);
  if (strncmp(name, "vision", 6) == 0)
    return vision_terms(&c->vision, strcmp(name, "vision.embedded") == 0 ? 0 : c->vision.used);
  if (strcmp(name, "loss") == 0 || strcmp(name, "logits") == 0)
    return loss_terms(c, rows->longest);
  return token_terms(c) + (strcmp(name, "router.score") == 0 ? c->decoder.width : 0);
}

/* The largest error over its tolerance; infinite for a NaN. float: 8 sqrt(K) u (|ref| + scale), double: the rounding
 * of the fixture itself, which was computed in double and stored in float, and K roundings of double. */
static double excess(Tensor x, Tensor reference, size_t terms, double scale) {
  const double u = 0x1p-24;
  bool wide = x.dtype == DTYPE_F64;
  double worst = 0.0, relative_part = wide ? u : 8.0 * sqrt((double)terms) * u;
  double absolute_part = wide ? 8.0 * (double)terms * 0x1p-53 : relative_part;
  for (size_t i = 0; i < tensor_count(reference); i++) {
    double ref = tensor_get(reference, i), error = fabs(tensor_get(x, i) - ref);
    double ratio = error == 0.0 ? 0.0 : error / (relative_part * fabs(ref) + absolute_part * scale);
    if (!(ratio <= worst))
      worst = isnan(ratio) ? INFINITY : ratio;
  }
  return worst;
}

/* ---- a world: the fixture's checkpoint and samples ---- */

enum { MOST_SAMPLES = 8 };

typedef struct World {
  Ops ops;
  OpsTable table; /* the backend's, with noise that is given */
  TensorFile inputs, expected;
  Checkpoint checkpoint;
  Model model;
  Store store;
  SlimeTape tape;
  Run run;
  Conversation samples[MOST_SAMPLES];
  Batch batch;
  void *pictures;
  size_t compared;
  char first[256]; /* the first tensor that differs */
  char worst_name[128];
  double worst;
} World;

static const TensorFile *noise_source; /* NULL: no noise */

/* In the place of normal_fill: the fixture's numbers; the gate asks for factor 1, the router for less. */
static void given_noise(const Ops *ops, Tensor y, Rng rng, uint64_t first, double factor) {
  (void)rng, (void)first;
  if (!noise_source) {
    ops_zero(ops, y);
    return;
  }
  Tensor noise = find(noise_source, factor == 1.0 ? "noise.gate" : "noise.router");
  cr_assert_eq(tensor_count(y), tensor_count(noise));
  for (size_t i = 0; i < tensor_count(y); i++) {
    double value = factor * tensor_get(noise, i);
    if (y.dtype == DTYPE_F64)
      ((double *)y.data)[i] = value;
    else
      ((float *)y.data)[i] = (float)value;
  }
}

/* Numbers of any type in the backend's own. */
static Tensor converted(Dtype real, Tensor from, void **memory) {
  size_t count = tensor_count(from);
  *memory = malloc((count + 1) * sizeof(double));
  for (size_t i = 0; i < count; i++)
    if (real == DTYPE_F64)
      ((double *)*memory)[i] = tensor_get(from, i);
    else
      ((float *)*memory)[i] = (float)tensor_get(from, i);
  return tensor_make(*memory, real, from.rank, from.size);
}

static void read_samples(World *w) {
  Tensor ids = find(&w->inputs, "ids"), labels = find(&w->inputs, "labels"), counts = find(&w->inputs, "counts");
  Tensor grids = find(&w->inputs, "grids"), questions = find(&w->inputs, "questions");
  size_t first = 0;
  cr_assert_leq(counts.size[0], (size_t)MOST_SAMPLES);
  for (size_t i = 0; i < counts.size[0]; i++) {
    size_t count = (size_t)tensor_get(counts, i);
    w->samples[i] = (Conversation){.count = count,
                                   .ids = (const int32_t *)ids.data + first,
                                   .labels = (const int32_t *)labels.data + first,
                                   .question = (size_t)tensor_get(questions, 2 * i),
                                   .question_count = (size_t)tensor_get(questions, 2 * i + 1),
                                   .columns = (size_t)tensor_get(grids, 2 * i),
                                   .rows = (size_t)tensor_get(grids, 2 * i + 1)};
    first += count;
  }
  w->batch = (Batch){.count = counts.size[0], .samples = w->samples};
  w->batch.pictures = converted(w->ops.real, find(&w->inputs, "pictures"), &w->pictures);
}

static ModelConfig slime_config(void) {
  ModelConfig config;
  assert_ok(config_read(fixture("slime"), &config));
  return config;
}

static unsigned trained_groups = (1 << GROUP_COUNT) - 1;

static void begin_world(World *w, Dtype real, const ModelConfig *config, const char *expected) {
  memset(w, 0, sizeof *w);
  assert_ok(c_open(&w->ops, real, fixture_threads));
  w->table = *w->ops.table;
  w->table.normal_fill = given_noise;
  w->ops.table = &w->table;
  noise_source = NULL;
  w->inputs = open_fixture("inputs.safetensors");
  w->expected = open_fixture(expected);
  assert_ok(checkpoint_add(&w->checkpoint, fixture("slime")));
  assert_ok(model_alloc(&w->model, config));
  assert_ok(store_load(&w->store, &w->ops, &w->model, &w->checkpoint, 0, (Fresh){0}));
  assert_ok(store_train(&w->store, trained_groups));
  assert_ok(slime_tape_alloc(&w->tape, config));
  read_samples(w);
  assert_ok(batch_check(config, &w->batch));
}

static void end_world(World *w) {
  run_free(&w->run);
  slime_tape_free(&w->tape);
  store_free(&w->store);
  model_free(&w->model);
  checkpoint_close(&w->checkpoint);
  tensor_file_close(&w->inputs);
  tensor_file_close(&w->expected);
  c_close(&w->ops);
  free(w->pictures);
}

/* ---- comparing ---- */

static void compare_scaled(World *w, const char *name, Tensor x, Tensor reference, double scale) {
  double ratio = tensor_count(x) == tensor_count(reference)
                     ? excess(x, reference, terms_of(&w->model.config, name, &w->tape.sequence.rows), scale)
                     : INFINITY;
  w->compared++;
  if (!(ratio <= w->worst)) {
    w->worst = ratio;
    snprintf(w->worst_name, sizeof w->worst_name, "%.120s", name);
  }
  if (!(ratio <= 1.0) && w->first[0] == '\0')
    snprintf(w->first, sizeof w->first, "%.120s: %g times its tolerance, among %zu numbers (%zu)", name, ratio,
             tensor_count(reference), tensor_count(x));
}

static void compare(World *w, const char *name, Tensor x, Tensor reference) {
  compare_scaled(w, name, x, reference, rms(reference));
}

/* As soon as it is final, so that the first is the first. Names that the fixture has not are of other tests. Before
 * there is a sequence, no tolerance depends on it. */
static void look(void *context, const char *name, Tensor tensor) {
  World *w = context;
  const NamedTensor *reference = tensor_file_find(&w->expected, name);
  if (reference)
    compare(w, name, tensor, reference->tensor);
}

static void expect_same(World *w, size_t least, const char *what) {
  cr_expect(w->first[0] == '\0', "%s: the first that differs is %s", what, w->first);
  cr_expect_geq(w->compared, least, "%s: only %zu tensors were compared", what, w->compared);
  if (getenv("SEESAW_SHOW_ERRORS"))
    fprintf(stderr, "%-40s %3zu tensors, at most %.3g of the tolerance (%s)\n", what, w->compared, w->worst,
            w->worst_name);
  w->compared = 0;
  w->worst = 0.0;
}

/* ---- passes ---- */

static size_t measured(World *w, bool training) {
  Ops dry = {.real = w->ops.real};
  Run run = run_dry(&dry);
  size_t trained;
  run.training = training;
  slime_forward(&run, &w->model, &w->batch, &w->tape, &trained);
  if (training)
    slime_backward(&run, &w->model, &w->tape, 0);
  run_reset(&run);
  return run.most;
}

static double forward(World *w, bool training, size_t extra) {
  size_t trained, capacity = measured(w, training) + extra;
  run_free(&w->run);
  assert_ok(run_alloc(&w->run, &w->ops, capacity));
  w->run.training = training;
  w->run.observe = look;
  w->run.context = w;
  return slime_forward(&w->run, &w->model, &w->batch, &w->tape, &trained);
}

/* The mean loss, and which local tokens were kept, exactly. */
static void compare_choice(World *w, double loss) {
  Tensor kept = find(&w->expected, "kept");
  cr_expect_eq(w->tape.kept_count, kept.size[0], "%zu were kept, not %zu", w->tape.kept_count, kept.size[0]);
  for (size_t i = 0; i < kept.size[0] && i < w->tape.kept_count; i++)
    cr_expect_eq(tensor_get(w->tape.kept, i), tensor_get(kept, i), "local token %zu", i);
  float narrow = (float)loss;
  bool wide = w->ops.real == DTYPE_F64;
  compare(w, "loss", tensor_1(wide ? (void *)&loss : &narrow, w->ops.real, 1), find(&w->expected, "mean"));
}

/* A gradient in the file's order. The gradient of a key's bias is zero but for rounding, since it adds the same to all
 * scores: it is held against the size of its weight's. */
static void compare_gradient(void *context, const Entry *entry) {
  World *w = context;
  Tensor gradient = entry->parameter->d;
  char name[300], twin[300];
  snprintf(name, sizeof name, "gradient.%s", entry->name);
  const NamedTensor *reference = tensor_file_find(&w->expected, name);
  if (!gradient.data || !reference)
    return;
  size_t rows = entry->size[0], columns = tensor_count(gradient) / rows;
  double *values = malloc(tensor_count(gradient) * sizeof *values), scale = rms(reference->tensor);
  for (size_t i = 0; i < tensor_count(gradient); i++)
    values[i] = tensor_get(gradient, entry->transposed ? i % columns * rows + i / columns : i);
  char *bias = strstr(name, "k_proj.bias");
  if (bias) {
    snprintf(twin, sizeof twin, "%.*sk_proj.weight", (int)(bias - name), name);
    scale = rms(find(&w->expected, twin));
  }
  Tensor x = tensor_1(values, DTYPE_F64, tensor_count(gradient));
  if (gradient.dtype == DTYPE_F32) /* float's tolerance */
    for (size_t i = 0; i < tensor_count(gradient); i++)
      ((float *)x.data)[i] = (float)values[i];
  x.dtype = gradient.dtype;
  compare_scaled(w, name, x, reference->tensor, scale);
  free(values);
}

/* A parameter of which the originals make no use has no gradient there, and zeros here. */
static void expect_unused(void *context, const Entry *entry) {
  World *w = context;
  char name[300];
  snprintf(name, sizeof name, "gradient.%s", entry->name);
  Tensor gradient = entry->parameter->d;
  if (gradient.data && !tensor_file_find(&w->expected, name))
    cr_expect_eq(rms(gradient), 0.0, "%s has a gradient", name);
}

static void backward(World *w) {
  store_zero(&w->store);
  slime_backward(&w->run, &w->model, &w->tape, 0);
  model_walk(&w->model, compare_gradient, w);
}

static const Dtype reals[] = {DTYPE_F32, DTYPE_F64};

static const char *called(const char *what, Dtype real) {
  static char text[64];
  snprintf(text, sizeof text, "%s, %s", what, dtype_name(real));
  return text;
}

/* ---- as released ---- */

Test(released, forward_without_gradients) {
  for (int i = 0; i < 2; i++) {
    World w;
    ModelConfig config = slime_config();
    begin_world(&w, reals[i], &config, "released.safetensors");
    double loss = forward(&w, false, 0);
    compare_choice(&w, loss);
    expect_same(&w, 16, called("released, forward", reals[i]));
    end_world(&w);
  }
}

Test(released, forward_and_backward) {
  for (int i = 0; i < 2; i++) {
    World w;
    ModelConfig config = slime_config();
    begin_world(&w, reals[i], &config, "released.safetensors");
    double loss = forward(&w, true, 0);
    compare_choice(&w, loss);
    expect_same(&w, 16, called("released, forward of training", reals[i]));
    backward(&w);
    model_walk(&w.model, expect_unused, &w);
    expect_same(&w, 90, called("released, gradients", reals[i]));
    end_world(&w);
  }
}

Test(released, rows_and_last_logits) {
  for (int i = 0; i < 2; i++) {
    World w;
    ModelConfig config = slime_config();
    begin_world(&w, reals[i], &config, "released.safetensors");
    forward(&w, false, 1 << 16);
    Tensor lengths = find(&w.expected, "lengths"), logits = find(&w.expected, "logits.last");
    const int32_t *offsets = w.tape.sequence.rows.host;
    for (size_t j = 0; j < w.batch.count; j++) {
      cr_expect_eq(offsets[j + 1] - offsets[j], (int32_t)tensor_get(lengths, j), "sample %zu", j);
      size_t mark = run_mark(&w.run);
      Tensor all = tensor_rows(w.tape.decoder.x, 0, (size_t)offsets[j + 1]);
      compare(&w, "logits", slime_logits(&w.run, &w.model, all), tensor_rows(logits, j, 1));
      run_release(&w.run, mark);
    }
    expect_same(&w, 16, called("released, last logits", reals[i]));
    end_world(&w);
  }
}

Test(released, training_with_its_noise) {
  for (int i = 0; i < 2; i++) {
    World w;
    ModelConfig config = slime_config();
    begin_world(&w, reals[i], &config, "training.safetensors");
    noise_source = &w.inputs;
    double loss = forward(&w, true, 0);
    compare_choice(&w, loss);
    backward(&w);
    expect_same(&w, 30, called("released, with noise", reals[i]));
    cr_expect_eq(rms(w.model.adapter.noise.d), 0.0, "W_noise is never used");
    end_world(&w);
  }
}

Test(released, router_before_and_after_the_change) {
  for (int i = 0; i < 4; i++) {
    World w;
    ModelConfig config = slime_config();
    config.switches.gamma = 0.75;
    config.switches.router_history = i < 2 ? ROUTER_TWO_SOFTMAX : ROUTER_ONE_SOFTMAX;
    begin_world(&w, reals[i % 2], &config, i < 2 ? "history.safetensors" : "gamma.safetensors");
    double loss = forward(&w, false, 0);
    compare_choice(&w, loss);
    expect_same(&w, 3, called(i < 2 ? "two softmaxes" : "gamma 0.75", reals[i % 2]));
    end_world(&w);
  }
}

Test(released, sequences_that_are_cut_off) {
  for (int i = 0; i < 2; i++) {
    World w;
    ModelConfig config = slime_config();
    begin_world(&w, reals[i], &config, "truncated.safetensors");
    w.batch.longest = 41;
    double loss = forward(&w, false, 0);
    compare_choice(&w, loss);
    expect_same(&w, 3, called("cut off", reals[i]));
    end_world(&w);
  }
}

/* At full size, if fixtures/model/full.py has made the files: SEESAW_FULL says where. */
Test(full, a_picture_through_clip_l_and_a_layer_of_llama_3) {
  World w;
  fixture_folder = getenv("SEESAW_FULL");
  if (!fixture_folder)
    cr_skip_test("SEESAW_FULL names no folder of full.py's");
  fixture_threads = 0;
  trained_groups &= ~(1U << GROUP_VISION);
  ModelConfig config = slime_config();
  begin_world(&w, DTYPE_F32, &config, "released.safetensors");
  double loss = forward(&w, true, 0);
  compare_choice(&w, loss);
  expect_same(&w, 36, "full size, forward");
  backward(&w);
  expect_same(&w, 33, "full size, gradients");
  end_world(&w);
}

/* ---- the paper's rules ---- */

Test(paper, training_with_its_noise) {
  for (int i = 0; i < 2; i++) {
    World w;
    ModelConfig config = slime_config();
    config.switches = switches_paper();
    begin_world(&w, reals[i], &config, "paper.safetensors");
    noise_source = &w.inputs;
    double loss = forward(&w, true, 0);
    compare_choice(&w, loss);
    backward(&w);
    expect_same(&w, 30, called("paper, with noise", reals[i]));
    cr_expect(rms(w.model.adapter.noise.d) > 0.0, "W_noise is used");
    end_world(&w);
  }
}

/* ---- the checker is checked ---- */

Test(checker, finds_one_wrong_number) {
  World w;
  ModelConfig config = slime_config();
  begin_world(&w, DTYPE_F64, &config, "released.safetensors");
  double *scale = w.model.vision.layers[1].norm2.g.w.data;
  scale[7] *= 1.0 + 1e-4;
  forward(&w, false, 0);
  cr_expect(strncmp(w.first, "vision.layers.1:", 16) == 0, "%s", w.first);
  w.first[0] = '\0';
  scale[7] = NAN;
  forward(&w, false, 0);
  cr_expect(strncmp(w.first, "vision.layers.1: inf", 20) == 0, "%s", w.first);
  end_world(&w);
}

Test(checker, tells_the_switches_apart) {
  World w;
  ModelConfig config = slime_config();
  config.switches.gate_epsilon = 0.0; /* a millionth of a gate */
  begin_world(&w, DTYPE_F64, &config, "released.safetensors");
  forward(&w, false, 0);
  cr_expect(strncmp(w.first, "global.gate:", 12) == 0, "%s", w.first);
  end_world(&w);
}

/* ---- one pass after another, and in pieces ---- */

/* Features that were kept give what pictures give. */
Test(passes, features_in_the_place_of_pictures) {
  World w;
  void *memory;
  ModelConfig config = slime_config();
  begin_world(&w, DTYPE_F64, &config, "released.safetensors");
  w.batch.features = converted(DTYPE_F64, find(&w.expected, "vision.features"), &memory);
  w.batch.pictures = TENSOR_NONE;
  assert_ok(batch_check(&config, &w.batch));
  double loss = forward(&w, true, 0);
  cr_expect(fabs(loss - tensor_get(find(&w.expected, "mean"), 0)) < 1e-5, "%g", loss);
  store_zero(&w.store);
  slime_backward(&w.run, &w.model, &w.tape, 0);
  cr_expect_eq(rms(w.model.vision.patch.d), 0.0, "there were no pictures");
  free(memory);
  end_world(&w);
}

/* A batch of text after one of pictures: nothing of the former is used again. */
Test(passes, text_after_pictures) {
  World w;
  ModelConfig config = slime_config();
  begin_world(&w, DTYPE_F32, &config, "released.safetensors");
  forward(&w, true, 0);
  slime_backward(&w.run, &w.model, &w.tape, 0);
  w.batch = (Batch){.count = 1, .samples = &w.samples[1]};
  forward(&w, true, 0);
  store_zero(&w.store);
  slime_backward(&w.run, &w.model, &w.tape, 0);
  cr_expect(rms(w.model.decoder.norm.g.d) > 0.0);
  cr_expect_eq(rms(w.model.vision.patch.d), 0.0, "a gradient of pictures that are not there");
  cr_expect_eq(rms(w.model.adapter.fc1.w.d), 0.0);
  end_world(&w);
}

static void expect_near(Tensor x, Tensor reference, double tolerance, size_t piece) {
  double scale = rms(reference);
  for (size_t i = 0; i < tensor_count(reference); i++) {
    double ref = tensor_get(reference, i);
    cr_assert(fabs(tensor_get(x, i) - ref) <= tolerance * (fabs(ref) + scale), "piece %zu, number %zu", piece, i);
  }
}

/* The decoder with a cache, a sample's rows in three pieces: HF's rows of the whole. */
Test(passes, cache) {
  World w;
  Tensor keys[2], values[2];
  void *input;
  ModelConfig config = slime_config();
  begin_world(&w, DTYPE_F64, &config, "released.safetensors");
  forward(&w, false, 1 << 20);
  size_t length = (size_t)tensor_get(find(&w.expected, "lengths"), 0),
         width = config.decoder.kv_heads * config.decoder.head;
  Tensor x = converted(DTYPE_F64, tensor_rows(find(&w.expected, "decoder.input"), 0, length), &input);
  Tensor expected = tensor_rows(find(&w.expected, "decoder.layers.1"), 0, length);
  double tolerance = 8.0 * sqrt((double)decoder_terms(&config, 2, length)) * 0x1p-24; /* its input is in float */
  cr_assert_eq(config.decoder.layers, 2);
  for (size_t i = 0; i < 2; i++) {
    keys[i] = run_reals(&w.run, length, width);
    values[i] = run_reals(&w.run, length, width);
  }
  Cache cache = {.capacity = length, .keys = keys, .values = values};
  w.run.observe = NULL;
  const size_t pieces[] = {length - 3, 1, 2};
  for (size_t i = 0; i < 3; i++) {
    size_t first = cache.length, rows = pieces[i];
    int32_t *place = run_host(&w.run, rows);
    for (size_t j = 0; j < rows; j++)
      place[j] = (int32_t)(first + j);
    Ragged ragged = run_even(&w.run, 1, rows);
    Tensor y = decoder_fwd(&w.run, &w.model, tensor_rows(x, first, rows), run_upload(&w.run, place, rows), &ragged,
                           &cache, &w.tape.decoder);
    expect_near(y, tensor_rows(expected, first, rows), tolerance, i);
  }
  cr_expect_eq(cache.length, length);
  free(input);
  end_world(&w);
}

/* ---- position tables ---- */

/* The largest distance in units of `unit` times the reference, or times 1 where that is less. */
static double table_error(const double *x, Tensor reference, double unit) {
  double worst = 0.0;
  for (size_t i = 0; i < tensor_count(reference); i++) {
    double ref = tensor_get(reference, i), error = fabs(x[i] - ref) / (unit * fmax(fabs(ref), 1.0));
    worst = error > worst || isnan(error) ? error : worst;
  }
  return worst;
}

/* The released table has float sines of the same angles; rounded to fp16 both are the same. */
Test(positions, sincos_is_the_released_table) {
  static const size_t cases[][2] = {{1, 4}, {3, 20}, {5, 20}, {12, 32}, {24, 8}};
  TensorFile file = open_fixture("positions.safetensors");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t side = cases[i][0], width = cases[i][1], differ = 0;
    char name[64];
    double *table = malloc(side * side * width * sizeof *table);
    position_sincos(side, width, false, table);
    snprintf(name, sizeof name, "sincos.%zu.%zu", side, width);
    double error = table_error(table, find(&file, name), 0x1p-24);
    cr_expect(error <= 2.0, "%s: %g", name, error);
    position_sincos(side, width, true, table);
    snprintf(name, sizeof name, "half.%zu.%zu", side, width);
    Tensor half = find(&file, name);
    for (size_t j = 0; j < tensor_count(half); j++)
      differ += table[j] != tensor_get(half, j);
    cr_expect_eq(differ, 0, "%s: %zu of %zu differ", name, differ, tensor_count(half));
    free(table);
  }
  tensor_file_close(&file);
}

Test(positions, resize_is_torch_s_bicubic) {
  static const size_t cases[][2] = {{3, 5}, {5, 3}, {12, 24}, {24, 12}, {7, 7}, {1, 4}, {4, 1}, {2, 9}, {11, 13}};
  TensorFile file = open_fixture("positions.safetensors");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t from = cases[i][0], to = cases[i][1], width = 3;
    char name[64];
    void *table;
    double *resized = malloc(to * to * width * sizeof *resized);
    snprintf(name, sizeof name, "table.%zu.%zu", from, to);
    converted(DTYPE_F64, find(&file, name), &table);
    position_resize(from, to, width, table, resized);
    snprintf(name, sizeof name, "resized.%zu.%zu", from, to);
    double error = table_error(resized, find(&file, name), 0x1p-24);
    cr_expect(error <= 1.0, "%s: %g", name, error);
    free(resized);
    free(table);
  }
  tensor_file_close(&file);
}

/* A float's power is a rounding or two from the right one. */
Test(positions, rotary_frequencies_are_hf_s) {
  static const struct {
    size_t head;
    double theta;
  } cases[] = {{2, 1e4}, {10, 1e4}, {128, 1e4}, {128, 5e5}, {96, 1e6}};
  TensorFile file = open_fixture("positions.safetensors");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char name[64];
    double frequency[64];
    snprintf(name, sizeof name, "rotary.%zu.%.0f", cases[i].head, cases[i].theta);
    Tensor expected = find(&file, name);
    cr_assert_eq(expected.size[0], cases[i].head / 2);
    position_rotary(cases[i].head, cases[i].theta, frequency);
    for (size_t j = 0; j < expected.size[0]; j++)
      cr_expect(relative(frequency[j], tensor_get(expected, j)) <= 2 * 0x1p-24, "%s [%zu]: %.9g, not %.9g", name, j,
                frequency[j], tensor_get(expected, j));
  }
  tensor_file_close(&file);
}
