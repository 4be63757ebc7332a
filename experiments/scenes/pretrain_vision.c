/* pretrain_vision.c: a vision tower that learns to say, patch by patch, what things it sees. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "keeper.h"
#include "picture.h"
#include "pretrain.h"
#include "schedule.h"

/* ---- what a patch shows: a class for each tag; 0: nothing ---- */

const char *const tag_names[TAGS] = {"colour", "shape", "size", "letter"};
static const size_t tag_classes[TAGS] = {1 + COLOURS, 1 + SHAPES, 1 + SIZES, 2 + LETTERS}; /* letter 1: no sign */
enum { ALL_CLASSES = 1 + COLOURS + 1 + SHAPES + 1 + SIZES + 2 + LETTERS };
enum { VIEWS_MOST = 8 }; /* of a scene */

/* The thing nearest to a point of a view, of those whose box holds it; NULL: background. */
static const Thing *thing_at(const Scene *scene, const ViewFrame *frame, double x, double y) {
  const Thing *nearest = NULL;
  double least = INFINITY;
  for (size_t i = 0; i < scene->count; i++) {
    const Thing *t = &scene->things[i];
    double across = fabs(x - (t->x * frame->across_scale + frame->across_shift));
    double down = fabs(y - (t->y * frame->down_scale + frame->down_shift));
    bool within = across <= t->radius * frame->across_scale + 1 && down <= t->radius * frame->down_scale + 1;
    if (within && across + down < least) {
      least = across + down;
      nearest = t;
    }
  }
  return nearest;
}

static int class_of(const Thing *thing, int tag) {
  switch (tag) {
  case 0:
    return 1 + thing->colour;
  case 1:
    return 1 + thing->shape;
  case 2:
    return 1 + (int)thing->size;
  default:
    return thing->letter == NO_LETTER ? 1 : 2 + thing->letter;
  }
}

/* ---- a lesson: some scenes, all their views ---- */

typedef struct Lesson {
  Store *store;
  const Ops *ops;
  size_t batch, views, globals; /* scenes at most; views of this batch */
  void *pictures;               /* backend memory */
  int32_t *label[TAGS];         /* of each patch */
  bool *is_global;              /* of each view */
  void *heads;                  /* w, gradient and both moments of all tags, one below the other */
  Optimiser optimiser;
  VisionTape tape;
  Run run;
} Lesson;

static Tensor head(const Lesson *l, size_t which, int tag) {
  size_t width = l->store->model->config.vision.width, first = which * ALL_CLASSES;
  Tensor all = tensor_2(l->heads, ops_fine(l->ops), 4 * ALL_CLASSES, width);
  for (int i = 0; i < tag; i++)
    first += tag_classes[i];
  return tensor_rows(all, first, tag_classes[tag]);
}

static Tensor heads_all(const Lesson *l, size_t which) {
  size_t width = l->store->model->config.vision.width;
  return tensor_rows(tensor_2(l->heads, ops_fine(l->ops), 4 * ALL_CLASSES, width), which * ALL_CLASSES, ALL_CLASSES);
}

/* What of the heads goes on from step to step. */
static void name_heads(const Lesson *l, NamedTensor heads[3]) {
  heads[0] = named_tensor("tags", heads_all(l, 0));
  heads[1] = named_tensor("tags.m", heads_all(l, 2));
  heads[2] = named_tensor("tags.v", heads_all(l, 3));
}

static void label_view(Lesson *l, const Scene *scene, TileGrid grid, size_t view) {
  const ModelConfig *c = &l->store->model->config;
  size_t across = c->vision.picture / c->vision.patch, patches = across * across;
  ViewFrame frame = view_frame(c, scene, grid, view);
  double size = (double)c->vision.patch;
  for (size_t p = 0; p < patches; p++) {
    const Thing *thing =
        thing_at(scene, &frame, ((double)(p % across) + 0.5) * size, ((double)(p / across) + 0.5) * size);
    for (int tag = 0; tag < TAGS; tag++)
      l->label[tag][l->views * patches + p] = thing ? class_of(thing, tag) : 0;
  }
  l->is_global[l->views++] = view == 0;
}

static Status add_scene(Lesson *l, const Scene *scene) {
  const ModelConfig *c = &l->store->model->config;
  Slicing slicing = picture_slicing(c);
  Image image;
  Slices slices = {0};
  size_t bytes = 3 * c->vision.picture * c->vision.picture * (dtype_bits(l->ops->real) / 8);
  TRY(scene_draw(scene, &image));
  Status status = slice_image(&slicing, image, &slices);
  image_free(&image);
  if (status.code == STATUS_OK) {
    REQUIRE(slices.count <= VIEWS_MOST, "a scene of %zu views", slices.count);
    status = picture_views(l->ops, &slices, 0, slices.count, (unsigned char *)l->pictures + l->views * bytes);
  }
  for (size_t view = 0; view < slices.count && status.code == STATUS_OK; view++)
    label_view(l, scene, slices.grid, view);
  slices_free(&slices);
  return status;
}

/* Letters as black as ink in little noise: where reading begins. */
static void make_plain(Scene *scene) {
  scene->spread = 10.0;
  scene->plate = 225;
  scene->ink = 35;
}

static Status fill(Lesson *l, uint64_t seed, Split split, size_t first, bool plain) {
  l->views = 0;
  for (size_t i = 0; i < l->batch; i++) {
    Scene scene = scene_make(seed, split, first + i);
    if (plain)
      make_plain(&scene);
    TRY(add_scene(l, &scene));
  }
  return status_ok();
}

static Tensor pictures_of(const Lesson *l) {
  size_t side = l->store->model->config.vision.picture;
  return tensor_make(l->pictures, l->ops->real, 4, (const size_t[]){l->views, 3, side, side});
}

/* ---- passes ---- */

/* The mean loss of all tags; with gradients of it, unless the run is not training. Patches without a thing count as
 * much as those with one. */
static double pass(Lesson *l, Run *run) {
  Model *model = l->store->model;
  Tensor features = vision_fwd(run, model, pictures_of(l), &l->tape);
  size_t rows = features.size[0];
  Tensor dfeatures = run->training ? run_zeros(run, rows, features.size[1]) : TENSOR_NONE;
  double total = 0.0;
  for (int tag = 0; tag < TAGS; tag++) {
    size_t mark = run_mark(run);
    Tensor label = run_upload(run, l->label[tag], rows), loss = run_vector(run, rows), lse = run_vector(run, rows);
    Tensor work = run_reals(run, rows, tag_classes[tag]);
    cross_entropy_fwd(run->ops, loss, lse, features, head(l, 0, tag), label, work);
    if (!run_is_dry(run))
      total += run_mean(run, loss);
    if (run->training)
      cross_entropy_bwd(run->ops, dfeatures, head(l, 1, tag), features, head(l, 0, tag), label, lse, 1.0 / (double)rows,
                        work);
    run_release(run, mark);
  }
  if (run->training)
    vision_bwd(run, model, &l->tape, dfeatures);
  return total;
}

/* Memory for the most views that a batch can have. */
static Status make_room(Lesson *l) {
  Ops dry = {.real = l->ops->real};
  Run measuring = run_dry(&dry);
  measuring.training = true;
  l->views = l->batch * VIEWS_MOST;
  pass(l, &measuring);
  run_reset(&measuring);
  return run_alloc(&l->run, l->ops, measuring.most);
}

static void move_heads(Lesson *l, double rate, uint64_t step) {
  AdamW rule = {.rate = rate, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = step, .factor = 1.0};
  adamw(l->ops, heads_all(l, 0), heads_all(l, 2), heads_all(l, 3), heads_all(l, 1), TENSOR_NONE, &rule);
}

static Status step(Lesson *l, const PretrainPlan *plan, size_t number, double *loss) {
  const Schedule schedule = {.kind = SCHEDULE_COSINE, .steps = plan->steps, .warmup = 0.03};
  OptimiserRule rule = optimiser_rule();
  rule.rate[GROUP_VISION] = plan->rate * schedule_factor(&schedule, number);
  TRY(fill(l, plan->seed, SPLIT_TRAIN, number * plan->batch, number < 2 * plan->steps / 5));
  run_reset(&l->run);
  l->run.training = true;
  store_zero(l->store);
  ops_zero(l->ops, heads_all(l, 1));
  *loss = pass(l, &l->run);
  if (!isfinite(*loss) || optimiser_step(&l->optimiser, &rule).bad != GROUP_COUNT)
    return status_error(STATUS_NUMERICS, "the vision tower's loss is not a number at step %zu; try a lower rate",
                        number);
  move_heads(l, rule.rate[GROUP_VISION], number + 1);
  return status_ok();
}

/* ---- skill ---- */

/* Right tags among the patches with a thing on them, of one tag. */
static void count_right(const Lesson *l, const int32_t *best, int tag, double counts[2][2]) {
  size_t patches = config_patches(&l->store->model->config);
  for (size_t i = 0; i < l->views * patches; i++)
    if (l->label[tag][i] > 0) {
      counts[l->is_global[i / patches]][0] += best[i] == l->label[tag][i];
      counts[l->is_global[i / patches]][1] += 1.0;
    }
}

static void tag_patches(Lesson *l, double counts[TAGS][2][2]) {
  Run *run = &l->run;
  run_reset(run);
  run->training = false;
  Tensor features = vision_fwd(run, l->store->model, pictures_of(l), &l->tape);
  for (int tag = 0; tag < TAGS; tag++) {
    size_t rows = features.size[0], classes = tag_classes[tag], mark = run_mark(run);
    Tensor logits = run_reals(run, rows, classes);
    int32_t *best = run_host(run, rows);
    linear_fwd(run->ops, logits, features, head(l, 0, tag), TENSOR_NONE, TENSOR_NONE);
    run_likeliest(run, logits, best);
    count_right(l, best, tag, counts[tag]);
    run_release(run, mark);
  }
}

static Status examine(Lesson *l, const PretrainPlan *plan, VisionSkill *skill) {
  size_t scenes = plan->scenes > 0 ? plan->scenes : 512;
  double counts[TAGS][2][2] = {0};
  for (size_t first = 0; first < scenes; first += l->batch) {
    TRY(fill(l, plan->seed, SPLIT_VALIDATION, first, false));
    tag_patches(l, counts);
  }
  for (int tag = 0; tag < TAGS; tag++) {
    skill->tiles[tag] = counts[tag][0][0] / counts[tag][0][1];
    skill->global[tag] = counts[tag][1][0] / counts[tag][1][1];
  }
  return status_ok();
}

/* ---- the whole ---- */

static Status prepare(Lesson *l, const PretrainPlan *plan) {
  const ModelConfig *c = &l->store->model->config;
  size_t views = plan->batch * VIEWS_MOST, real = dtype_bits(l->ops->real) / 8, patches = config_patches(c);
  TRY(store_train(l->store, 1U << GROUP_VISION));
  TRY(optimiser_alloc(&l->optimiser, l->store));
  TRY(ops_alloc(l->ops, views * 3 * c->vision.picture * c->vision.picture * real, &l->pictures));
  TRY(ops_alloc(l->ops, 4 * ALL_CLASSES * c->vision.width * (dtype_bits(ops_fine(l->ops)) / 8), &l->heads));
  normal_fill(l->ops, heads_all(l, 0), rng_make(plan->seed, RNG_WEIGHTS, UINT32_MAX), 0, 0.02);
  l->is_global = calloc(views, sizeof *l->is_global);
  l->tape.layers = calloc(c->vision.used + 1, sizeof *l->tape.layers);
  bool there = l->is_global && l->tape.layers;
  for (int tag = 0; tag < TAGS; tag++)
    there &= (l->label[tag] = calloc(views * patches, sizeof *l->label[tag])) != NULL;
  if (!there)
    return status_error(STATUS_MEMORY, "not enough memory for %zu views", views);
  return make_room(l);
}

static void finish(Lesson *l) {
  optimiser_free(&l->optimiser);
  run_free(&l->run);
  ops_free(l->ops, l->pictures);
  ops_free(l->ops, l->heads);
  free(l->is_global);
  free(l->tape.layers);
  for (int tag = 0; tag < TAGS; tag++)
    free(l->label[tag]);
}

Status pretrain_vision(Store *store, const PretrainPlan *plan, VisionSkill *skill) {
  Lesson lesson = {.store = store, .ops = store->ops, .batch = plan->batch};
  double loss = 0.0, sum = 0.0;
  Status status = prepare(&lesson, plan);
  NamedTensor heads[3];
  Keeper keeper = {.path = NULL};
  size_t start = 0;
  if (status.code == STATUS_OK) {
    name_heads(&lesson, heads);
    status = keeper_open(&keeper, plan, "vision", &lesson.optimiser, heads, 3, &start);
  }
  for (size_t i = start; i < plan->steps && status.code == STATUS_OK; i++) {
    status = step(&lesson, plan, i, &loss);
    sum += loss;
    if (status.code == STATUS_OK)
      status = keeper_step(&keeper, i + 1);
    if (plan->report && status.code == STATUS_OK && (i + 1) % plan->every == 0) {
      plan->report(plan->context, i + 1, sum / (double)plan->every, NAN);
      sum = 0.0;
    }
  }
  if (status.code == STATUS_OK)
    status = examine(&lesson, plan, skill);
  keeper_close(&keeper, status.code == STATUS_OK);
  finish(&lesson);
  return status;
}
