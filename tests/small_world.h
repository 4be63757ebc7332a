/* small_world.h: what tests of the small experiments share: a model for scenes that is smaller than any of sizes.h, its
 * tokenizer, its checkpoint. */
#ifndef SEESAW_TEST_SMALL_WORLD_H
#define SEESAW_TEST_SMALL_WORLD_H

#include "c.h"
#include "files.h"
#include "load.h"
#include "questions.h"
#include "runs.h"
#include "sizes.h"

/* The model has a Run of its own: that of a program is a ProgramRun here. */
#define Run ProgramRun
#include "program.h"
#undef Run

/* Views of 36 pixels in 36 patches as all models of scenes; one layer, 32 numbers wide. */
static inline ModelConfig small_config(size_t vocabulary) {
  ModelConfig c;
  assert_ok(scenes_config("small", vocabulary, &c));
  c.vision.width = c.vision.mlp = c.decoder.width = c.decoder.mlp = 32;
  c.vision.layers = c.vision.used = c.vision.heads = 1;
  c.decoder.layers = c.decoder.heads = c.decoder.kv_heads = 1;
  assert_ok(config_check(&c));
  return c;
}

/* The words' tokenizer, written into this folder of the scratch folder. */
static inline Tokenizer *small_tokenizer(const char *folder, size_t *vocabulary) {
  Tokenizer *tokenizer;
  assert_ok(folder_create(scratch_path(folder)));
  assert_ok(tokenizer_write(scratch_path(folder), &scene_words, vocabulary));
  assert_ok(tokenizer_open(&tokenizer, scratch_path(folder), NULL));
  return tokenizer;
}

typedef struct SmallModel {
  Ops ops;
  Model model;
  Store store;
  Tokenizer *tokenizer;
} SmallModel;

/* It must not move. */
static inline void small_begin(SmallModel *m, int threads, uint64_t seed) {
  size_t vocabulary;
  *m = (SmallModel){0};
  m->tokenizer = small_tokenizer("tokens", &vocabulary);
  ModelConfig config = small_config(vocabulary);
  assert_ok(c_open(&m->ops, DTYPE_F32, threads));
  assert_ok(model_alloc(&m->model, &config));
  assert_ok(store_random(&m->store, &m->ops, &m->model, 0.1, seed));
}

static inline void small_end(SmallModel *m) {
  tokenizer_close(m->tokenizer);
  store_free(&m->store);
  model_free(&m->model);
  c_close(&m->ops);
}

/* A random model in place of a pretrained pair, as a checkpoint. */
static inline void small_pair(const char *folder, uint64_t seed) {
  SmallModel m;
  size_t vocabulary;
  small_begin(&m, 1, seed);
  tokenizer_close(small_tokenizer(folder, &vocabulary));
  assert_ok(store_save(&m.store, scratch_path(folder), DTYPE_F32));
  small_end(&m);
}

#endif
