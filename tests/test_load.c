/* test_load.c: a model from the files of a checkpoint (fixtures/model/make.py), whole or in parts, and back. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "c.h"
#include "files.h"
#include "optimiser.h"
#include "position.h"
#include "runs.h"
#include "safetensors.h"
#include "scratch.h"

static const char *fixture(const char *name) {
  static char path[4][1024];
  static int next;
  char *text = path[next++ % 4];
  snprintf(text, sizeof path[0], "%s/model/%s", SEESAW_FIXTURES, name);
  return text;
}

/* ---- a model and the files it came from ---- */

typedef struct World {
  Ops ops;
  Model model;
  Store store;
  Checkpoint checkpoint;
} World;

static ModelConfig slime_config(void) {
  ModelConfig config;
  assert_ok(config_read(fixture("slime"), &config));
  return config;
}

static void add(World *w, const char *path) {
  assert_ok(checkpoint_add(&w->checkpoint, path));
}

static Status load_with(World *w, Dtype real, const ModelConfig *config, unsigned keep, Fresh fresh) {
  assert_ok(c_open(&w->ops, real, 1));
  assert_ok(model_alloc(&w->model, config));
  return store_load(&w->store, &w->ops, &w->model, &w->checkpoint, keep, fresh);
}

static Status load(World *w, Dtype real, const ModelConfig *config, unsigned keep) {
  return load_with(w, real, config, keep, (Fresh){0});
}

static void end(World *w) {
  store_free(&w->store);
  model_free(&w->model);
  checkpoint_close(&w->checkpoint);
  c_close(&w->ops);
}

/* ---- what is there against a file ---- */

typedef struct Comparing {
  const TensorFile *file;
  double (*rounded)(double value); /* what the model should hold of the file's number */
  size_t count;
} Comparing;

static double as_it_is(double value) {
  return value;
}

static double to_bf16(double value) {
  return bf16_to_float(bf16_from_float((float)value));
}

static double to_f16(double value) {
  return f16_to_float(f16_from_float((float)value));
}

/* A gate lies transposed in the model. */
static void compare(void *context, const Entry *entry) {
  Comparing *comparing = context;
  const NamedTensor *named = tensor_file_find(comparing->file, entry->name);
  cr_assert_not_null(named, "%s", entry->name);
  Tensor value = entry->parameter->w;
  size_t rows = entry->size[0], columns = tensor_count(value) / rows;
  cr_assert_eq(tensor_count(value), tensor_count(named->tensor), "%s", entry->name);
  for (size_t i = 0; i < tensor_count(value); i++) {
    double held = tensor_get(value, entry->transposed ? i % columns * rows + i / columns : i);
    cr_assert_eq(held, comparing->rounded(tensor_get(named->tensor, i)), "%s [%zu]", entry->name, i);
  }
  comparing->count++;
}

enum { PARAMETERS = 5 + 3 * 16 + 2 + 2 * 12 + 2 + 4 + 1 + 2 * 9 + 2 }; /* vision, bridge, decoder */

static void expect_slime(World *w, double (*rounded)(double)) {
  TensorFile file;
  assert_ok(safetensors_open(&file, fixture("slime/model.safetensors")));
  Comparing comparing = {.file = &file, .rounded = rounded};
  model_walk(&w->model, compare, &comparing);
  cr_expect_eq(comparing.count, (size_t)PARAMETERS, "%zu", comparing.count);
  tensor_file_close(&file);
}

Test(load, a_checkpoint) {
  static const Dtype reals[] = {DTYPE_F32, DTYPE_F64};
  for (int i = 0; i < 2; i++) {
    World w = {0};
    ModelConfig config = slime_config();
    add(&w, fixture("slime"));
    assert_ok(load(&w, reals[i], &config, 0));
    expect_slime(&w, as_it_is);
    end(&w);
  }
}

/* The tables that follow from the parameters: the file's positions are the released ones, of the keys resized. */
Test(load, prepares_the_tables) {
  World w = {0};
  double table[25 * 20], keys[25 * 20], frequency[5];
  ModelConfig config = slime_config();
  add(&w, fixture("slime"));
  assert_ok(load(&w, DTYPE_F64, &config, 0));
  position_sincos(5, 20, true, table);
  cr_expect_leq(difference(w.model.adapter.former.position.w.data, table, 25 * 20), 0x1p-11);
  cr_expect_eq(difference(w.model.adapter.former.key_position.data, w.model.adapter.former.position.w.data, 25 * 20),
               0.0);
  position_resize(3, 5, 20, w.model.compression.position.w.data, keys);
  cr_expect_eq(difference(w.model.compression.key_position.data, keys, 25 * 20), 0.0);
  position_rotary(10, 10000.0, frequency);
  cr_expect_eq(difference(w.model.frequency.data, frequency, 5), 0.0);
  end(&w);
}

/* ---- parts ---- */

TestSuite(parts, .init = scratch_make, .fini = scratch_remove);

typedef bool Choose(const char *name);

static bool of_decoder(const char *name) {
  return strncmp(name, "model.layers", 12) == 0 || strncmp(name, "model.embed", 11) == 0 ||
         strncmp(name, "model.norm", 10) == 0 || strncmp(name, "lm_head", 7) == 0;
}

static bool of_all(const char *name) {
  (void)name;
  return true;
}

static bool not_norm(const char *name) {
  return strcmp(name, "model.norm.weight") != 0 && !strstr(name, "sampler.post_qformer.ln_q");
}

/* scratch NAME: the chosen tensors of the fixture's checkpoint, and `more`. */
static const char *write_part(const char *name, Choose *choose, const NamedTensor *more, size_t more_count) {
  TensorFile file;
  NamedTensor tensors[256];
  size_t count = 0;
  assert_ok(safetensors_open(&file, fixture("slime/model.safetensors")));
  for (size_t i = 0; i < file.count; i++)
    if (choose(file.tensors[i].name))
      tensors[count++] = file.tensors[i];
  for (size_t i = 0; i < more_count; i++)
    tensors[count++] = more[i];
  const char *path = scratch_path(name);
  assert_ok(safetensors_write(path, tensors, count, NULL, 0, NULL));
  tensor_file_close(&file);
  return path;
}

/* The language model, CLIP's own file (names without prefix), and what the training stages write, in their types. */
Test(parts, of_a_training) {
  World w = {0};
  ModelConfig config = slime_config();
  add(&w, write_part("language.safetensors", of_decoder, NULL, 0));
  add(&w, fixture("clip.bin"));
  add(&w, fixture("mm_projector.bin"));
  add(&w, fixture("sampler.bin"));
  assert_ok(load(&w, DTYPE_F32, &config, 0));
  expect_slime(&w, as_it_is);
  expect_refused(checkpoint_add(&w.checkpoint, fixture("sampler.bin")), STATUS_USAGE, "more than 4 parts");
  end(&w);
}

/* ---- what starts anew ---- */

enum { BRIDGE = 1 << GROUP_GATE | 1 << GROUP_MLP | 1 << GROUP_FORMER | 1 << GROUP_COMPRESSION };

/* A model as its seed draws it, and one that some groups were drawn for. */
typedef struct Drawing {
  Fresh fresh;
  Tensor drawn[256];
  size_t count, next;
  Comparing file;
} Drawing;

static void keep_drawn(void *context, const Entry *entry) {
  Drawing *drawing = context;
  cr_assert_lt(drawing->count, 256);
  drawing->drawn[drawing->count++] = entry->parameter->w;
}

static void compare_drawn(void *context, const Entry *entry) {
  Drawing *drawing = context;
  Tensor is = entry->parameter->w, should = drawing->drawn[drawing->next++];
  if (drawing->fresh.groups >> entry->group & 1)
    cr_expect(is.dtype == should.dtype && memcmp(is.data, should.data, tensor_bytes(is)) == 0, "%s", entry->name);
  else
    compare(&drawing->file, entry);
}

/* Parameters of these groups are as drawn by the seed, all others as the file has them. */
static void expect_fresh(World *w, const ModelConfig *config, Fresh fresh) {
  World drawn = {0};
  TensorFile file;
  Drawing drawing = {.fresh = fresh, .file = {.file = &file, .rounded = as_it_is}};
  assert_ok(c_open(&drawn.ops, DTYPE_F32, 1));
  assert_ok(model_alloc(&drawn.model, config));
  assert_ok(store_random(&drawn.store, &drawn.ops, &drawn.model, 0.02, fresh.seed));
  assert_ok(safetensors_open(&file, fixture("slime/model.safetensors")));
  model_walk(&drawn.model, keep_drawn, &drawing);
  model_walk(&w->model, compare_drawn, &drawing);
  cr_expect_eq(drawing.next, drawing.count);
  tensor_file_close(&file);
  end(&drawn);
}

/* A language model and CLIP become SliME before its first stage; matrices that do not start anew stay mapped. */
Test(parts, of_which_some_start_anew) {
  World w = {0};
  ModelConfig config = slime_config();
  Fresh fresh = {.groups = BRIDGE, .seed = 7};
  add(&w, write_part("language.safetensors", of_decoder, NULL, 0));
  add(&w, fixture("clip.bin"));
  expect_refused(load(&w, DTYPE_F32, &config, 0), STATUS_INPUT, "30 tensors are missing");
  model_free(&w.model);
  c_close(&w.ops);
  assert_ok(load_with(&w, DTYPE_F32, &config, (1 << GROUP_COUNT) - 1, fresh));
  expect_fresh(&w, &config, fresh);
  cr_expect_not(store_owns(&w.store, w.model.decoder.layers[0].q.w.w));
  cr_expect(store_owns(&w.store, w.model.adapter.fc1.w.w));
  end(&w);
}

/* Whatever the files hold of it; and low-rank updates, which they do not hold, begin as nothing. */
Test(parts, of_which_some_start_anew_though_they_are_there) {
  World w = {0};
  ModelConfig config = slime_config();
  Fresh fresh = {.groups = 1 << GROUP_COMPRESSION | 1 << GROUP_LORA, .seed = 3};
  config_lora(&config, 4);
  add(&w, fixture("slime"));
  assert_ok(load_with(&w, DTYPE_F32, &config, 0, fresh));
  expect_fresh(&w, &config, fresh);
  Linear *q = &w.model.decoder.layers[0].q;
  cr_expect_eq(q->lora_scale, 2.0);
  cr_expect_neq(tensor_get(q->lora_a.w, 0), 0.0);
  for (size_t i = 0; i < tensor_count(q->lora_b.w); i++)
    cr_expect_eq(tensor_get(q->lora_b.w, i), 0.0);
  end(&w);
}

Test(parts, that_replace_what_others_hold) {
  World w = {0};
  float bias[36], odd[2] = {1, 2};
  for (int i = 0; i < 36; i++)
    bias[i] = (float)(100 + i);
  const NamedTensor changed[] = {named_tensor("model.mm_projector.projection.0.bias", tensor_1(bias, DTYPE_F32, 36)),
                                 named_tensor("logit_scale", tensor_1(odd, DTYPE_F32, 1)),
                                 named_tensor("text_model.final_layer_norm.bias", tensor_1(odd, DTYPE_F32, 2))};
  ModelConfig config = slime_config();
  add(&w, fixture("slime"));
  assert_ok(safetensors_write(scratch_path("changed.safetensors"), changed, 3, NULL, 0, NULL));
  add(&w, scratch_path("changed.safetensors"));
  assert_ok(load(&w, DTYPE_F32, &config, 0));
  for (size_t i = 0; i < 36; i++)
    cr_expect_eq(tensor_get(w.model.adapter.fc1.b.w, i), 100.0 + (double)i);
  end(&w);
}

/* ---- other names ---- */

static bool not_projection(const char *name) {
  return !strstr(name, "mm_projector.projection.");
}

/* The fixture's MLP under the names of LLaVA-1.5, and low-rank updates under PEFT's. */
typedef struct Renaming {
  const TensorFile *file;
  NamedTensor tensors[64];
  char names[64][160];
  float *updates[64];
  size_t count;
} Renaming;

static void rename_entry(void *context, const Entry *entry) {
  Renaming *r = context;
  char *name = r->names[r->count];
  if (entry->group == GROUP_MLP) {
    const char *part = strstr(entry->name, "projection.") + strlen("projection.");
    snprintf(name, sizeof r->names[0], "model.mm_projector.%s", part);
    r->tensors[r->count] = named_tensor(name, tensor_file_find(r->file, entry->name)->tensor);
    r->count++;
  } else if (entry->group == GROUP_LORA) {
    size_t count = entry->size[0] * entry->size[1];
    float *update = r->updates[r->count] = malloc(count * sizeof *update);
    for (size_t i = 0; i < count; i++)
      update[i] = (float)r->count + (float)i / 1024;
    snprintf(name, sizeof r->names[0], "base_model.model.%s", entry->name);
    r->tensors[r->count] = named_tensor(name, tensor_2(update, DTYPE_F32, entry->size[0], entry->size[1]));
    r->count++;
  }
}

Test(parts, under_the_names_of_llava_and_peft) {
  World w = {0};
  TensorFile file;
  Renaming renaming = {.file = &file};
  ModelConfig config = slime_config();
  config.lora_rank = 2;
  config.lora_alpha = 4;
  assert_ok(safetensors_open(&file, fixture("slime/model.safetensors")));
  assert_ok(model_alloc(&w.model, &config));
  model_walk(&w.model, rename_entry, &renaming);
  model_free(&w.model);
  cr_assert_eq(renaming.count, 4 + 2 * 7 * 2);
  add(&w, write_part("renamed.safetensors", not_projection, renaming.tensors, renaming.count));
  assert_ok(load(&w, DTYPE_F32, &config, 0));
  Tensor bias = w.model.adapter.fc2.b.w,
         right = tensor_file_find(&file, "model.mm_projector.projection.2.bias")->tensor;
  cr_expect_eq(tensor_get(bias, 3), tensor_get(right, 3));
  cr_expect_eq(tensor_get(w.model.decoder.layers[0].q.lora_a.w, 1), 4.0 + 1.0 / 1024, "the first after the MLP's four");
  cr_expect_eq(w.model.decoder.layers[1].down.lora_scale, 2.0);
  end(&w);
  tensor_file_close(&file);
  for (size_t i = 0; i < renaming.count; i++)
    free(renaming.updates[i]);
}

/* Parts of the model that the configuration leaves out may stand in the files. */
Test(parts, that_are_left_out) {
  World w = {0};
  ModelConfig config = slime_config();
  config.global = BRIDGE_MLP;
  config.local = BRIDGE_NONE;
  config.decoder.tied = true;
  add(&w, fixture("slime"));
  assert_ok(load(&w, DTYPE_F32, &config, 0));
  cr_expect_null(w.model.adapter.former.query.w.data);
  cr_expect_eq(w.model.decoder.head.w.data, w.model.decoder.embedding.w.data);
  end(&w);
}

static void expect_not_loaded(const char *path, const char *const *parts, size_t count) {
  World w = {0};
  ModelConfig config = slime_config();
  add(&w, path);
  Status status = load(&w, DTYPE_F32, &config, 0);
  cr_expect_eq(status.code, STATUS_INPUT);
  cr_expect_null(w.store.values);
  for (size_t i = 0; i < count; i++)
    expect_contains(status.message, parts[i]);
  end(&w);
}

#define EXPECT_NOT_LOADED(path, ...)                                                                                   \
  expect_not_loaded(path, (const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

Test(parts, that_do_not_fit_are_named) {
  float numbers[40] = {0};
  const NamedTensor unknown = named_tensor("model.sampler.selector.query", tensor_1(numbers, DTYPE_F32, 3));
  const NamedTensor turned = named_tensor("model.norm.weight", tensor_2(numbers, DTYPE_F32, 1, 36));
  EXPECT_NOT_LOADED(write_part("decoder.safetensors", of_decoder, NULL, 0),
                    "decoder.safetensors does not hold this model", "85 tensors are missing, 0 unexpected, 0 misshapen",
                    "missing model.vision_tower.vision_tower.vision_model.embeddings.class_embedding");
  EXPECT_NOT_LOADED(write_part("short.safetensors", not_norm, NULL, 0), "3 tensors are missing, 0 unexpected",
                    "missing model.sampler.post_qformer.ln_q.weight", "missing model.norm.weight");
  EXPECT_NOT_LOADED(write_part("more.safetensors", of_all, &unknown, 1), "0 tensors are missing, 1 unexpected",
                    "unexpected model.sampler.selector.query");
  EXPECT_NOT_LOADED(write_part("shape.safetensors", not_norm, &turned, 1), "2 tensors are missing", "1 misshapen",
                    "misshapen model.norm.weight, which is F32 (");
}

Test(parts, that_are_not_there) {
  World w = {0};
  expect_refused(checkpoint_add(&w.checkpoint, scratch_path("none")), STATUS_INPUT, "none");
  cr_expect_eq(w.checkpoint.count, 0);
  checkpoint_close(&w.checkpoint);
}

/* ---- saving ---- */

TestSuite(save, .init = scratch_make, .fini = scratch_remove);

static void save_slime(const char *folder, Dtype dtype) {
  World w = {0};
  ModelConfig config = slime_config();
  add(&w, fixture("slime"));
  assert_ok(load(&w, DTYPE_F64, &config, 0));
  assert_ok(store_save(&w.store, folder, dtype));
  end(&w);
}

Test(save, then_load) {
  static const struct {
    Dtype dtype;
    double (*rounded)(double);
  } cases[] = {{DTYPE_F32, as_it_is}, {DTYPE_BF16, to_bf16}, {DTYPE_F16, to_f16}};
  for (size_t i = 0; i < 3; i++) {
    World w = {0};
    ModelConfig config;
    const char *folder = scratch_path(dtype_name(cases[i].dtype));
    save_slime(folder, cases[i].dtype);
    assert_ok(config_read(folder, &config));
    add(&w, folder);
    cr_expect_eq(w.checkpoint.part[0].tensors[0].tensor.dtype, cases[i].dtype);
    assert_ok(load(&w, DTYPE_F32, &config, 0));
    expect_slime(&w, cases[i].rounded);
    end(&w);
  }
}

/* Groups that stay in the mapped file: their matrices only, in the file's type. Saved again, they are the same. */
Test(save, what_stays_in_the_file) {
  World w = {0}, again = {0};
  ModelConfig config = slime_config();
  save_slime(scratch_path("narrow"), DTYPE_BF16);
  add(&w, scratch_path("narrow"));
  assert_ok(load(&w, DTYPE_F64, &config, 1 << GROUP_DECODER | 1 << GROUP_GATE | 1 << GROUP_COMPRESSION));
  const NamedTensor *head = weights_find(&w.checkpoint.part[0], "lm_head.weight");
  cr_expect_eq(w.model.decoder.head.w.data, head->tensor.data);
  cr_expect_eq(w.model.decoder.layers[1].k.w.w.dtype, DTYPE_BF16);
  cr_expect_eq(w.model.decoder.layers[1].norm1.g.w.dtype, DTYPE_F64);
  cr_expect_eq(w.model.adapter.gate.w.dtype, DTYPE_F64, "it is transposed");
  cr_expect_eq(w.model.compression.position.w.dtype, DTYPE_F64, "it is a table");
  cr_expect_eq(w.model.vision.patch.w.dtype, DTYPE_F64);
  expect_slime(&w, to_bf16);
  assert_ok(store_save(&w.store, scratch_path("again"), DTYPE_F32));
  end(&w);
  add(&again, scratch_path("again"));
  assert_ok(load(&again, DTYPE_F32, &config, 0));
  expect_slime(&again, to_bf16);
  end(&again);
}

/* Working copies of another type: matrices rounded, tables of positions and vectors as they were; what is mapped stays.
 * Tables that follow from the parameters are there still. */
static void expect_narrow(Dtype real, Dtype working, unsigned keep) {
  World w = {0};
  ModelConfig config = slime_config();
  add(&w, fixture("slime"));
  assert_ok(load(&w, real, &config, keep));
  Tensor keys = w.model.compression.key_position;
  double *table = malloc(tensor_count(keys) * sizeof *table);
  for (size_t i = 0; i < tensor_count(keys); i++)
    table[i] = tensor_get(keys, i);
  const void *head = w.model.decoder.head.w.data;
  assert_ok(store_narrow(&w.store, working));
  cr_expect_eq(w.model.decoder.head.w.data == head, keep != 0);
  cr_expect_eq(w.model.decoder.head.w.dtype, keep ? DTYPE_F32 : working);
  cr_expect_eq(w.model.adapter.gate.w.dtype, working);
  cr_expect_eq(w.model.vision.patch.w.dtype, working);
  cr_expect_eq(w.model.decoder.layers[1].norm1.g.w.dtype, real);
  cr_expect_eq(w.model.compression.position.w.dtype, real, "it is a table");
  for (size_t i = 0; i < tensor_count(keys); i++)
    cr_expect_eq(tensor_get(w.model.compression.key_position, i), table[i]);
  free(table);
  end(&w);
}

/* Rounded twice is rounded once; and F32 again, all of it. */
Test(narrow, matrices_become_working_copies) {
  World w = {0};
  ModelConfig config = slime_config();
  expect_narrow(DTYPE_F32, DTYPE_BF16, 0);
  expect_narrow(DTYPE_F64, DTYPE_F16, 1 << GROUP_DECODER);
  expect_narrow(DTYPE_F64, DTYPE_F32, 0);
  add(&w, fixture("slime"));
  assert_ok(load(&w, DTYPE_F32, &config, 0));
  assert_ok(store_narrow(&w.store, DTYPE_BF16));
  assert_ok(store_narrow(&w.store, DTYPE_F32));
  double was = tensor_get(w.model.decoder.head.w, 7);
  assert_ok(store_narrow(&w.store, DTYPE_BF16));
  cr_expect_eq(tensor_get(w.model.decoder.head.w, 7), was);
  cr_expect_eq(to_bf16(was), was);
  end(&w);
}

static void narrow_to_integers(void) {
  World w = {0};
  ModelConfig config = slime_config();
  add(&w, fixture("slime"));
  assert_ok(load(&w, DTYPE_F32, &config, 0));
  store_narrow(&w.store, DTYPE_I32);
}

/* A file's own pages are not to be written. */
static void train_what_is_mapped(void) {
  World w = {0};
  Optimiser optimiser;
  ModelConfig config = slime_config();
  add(&w, fixture("slime"));
  assert_ok(load(&w, DTYPE_F32, &config, 1 << GROUP_DECODER));
  assert_ok(store_train(&w.store, 1 << GROUP_DECODER));
  assert_ok(optimiser_alloc(&optimiser, &w.store));
}

static void expect_stopped(void (*body)(void), const char *part) {
  char text[1024];
  int end = in_child(body, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT, "it did not stop: %s", text);
  expect_contains(text, part);
}

Test(narrow, mistakes_stop) {
  expect_stopped(narrow_to_integers, "working copies of type I32");
  expect_stopped(train_what_is_mapped, "is trained, but its values are not the store's own");
}

Test(save, where_it_cannot) {
  World w = {0};
  ModelConfig config = slime_config();
  add(&w, fixture("slime"));
  assert_ok(load(&w, DTYPE_F32, &config, 0));
  const char *file = scratch_text("file", "not a folder");
  expect_refused(store_save(&w.store, file, DTYPE_F32), STATUS_OUTPUT, "file");
  assert_ok(folder_create(scratch_path("blocked")));
  cr_assert_eq(mkdir(scratch_path("blocked/model.safetensors"), 0777), 0);
  expect_refused(store_save(&w.store, scratch_path("blocked"), DTYPE_F32), STATUS_OUTPUT, "model.safetensors");
  end(&w);
}
