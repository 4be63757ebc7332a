/* test_config.c: configurations: presets, HF's config.json read and written, and what is refused. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files.h"
#include "runs.h"
#include "scratch.h"

TestSuite(config, .init = scratch_make, .fini = scratch_remove);

static ModelConfig preset(const char *name) {
  ModelConfig config;
  assert_ok(config_preset(name, &config));
  return config;
}

/* ---- comparing: every field by itself, since structs have gaps ---- */

#define SAME(field) cr_expect(x->field == y->field, "%s", #field)

static void expect_same_vision(const ModelConfig *x, const ModelConfig *y) {
  SAME(vision.picture);
  SAME(vision.patch);
  SAME(vision.width);
  SAME(vision.mlp);
  SAME(vision.layers);
  SAME(vision.heads);
  SAME(vision.used);
  SAME(vision.epsilon);
  SAME(vision.quick);
}

static void expect_same_decoder(const ModelConfig *x, const ModelConfig *y) {
  SAME(decoder.vocabulary);
  SAME(decoder.width);
  SAME(decoder.mlp);
  SAME(decoder.layers);
  SAME(decoder.heads);
  SAME(decoder.kv_heads);
  SAME(decoder.head);
  SAME(decoder.theta);
  SAME(decoder.epsilon);
  SAME(decoder.tied);
}

static void expect_same_switches(const ModelConfig *x, const ModelConfig *y) {
  SAME(switches.gate_shares_weight);
  SAME(switches.gate_floor);
  SAME(switches.gate_epsilon);
  SAME(switches.router_cosine);
  SAME(switches.router_sum);
  SAME(switches.router_noise);
  SAME(switches.router_temperature);
  SAME(switches.router_history);
  SAME(switches.router_text);
  SAME(switches.gamma);
  SAME(switches.separator);
  SAME(switches.raster);
  SAME(switches.positions_half);
  SAME(switches.slicing_paper);
}

static void expect_same(const ModelConfig *x, const ModelConfig *y) {
  SAME(global);
  SAME(local);
  SAME(global_queries);
  SAME(local_queries);
  SAME(former_head);
  SAME(separator_token);
  expect_same_vision(x, y);
  expect_same_decoder(x, y);
  expect_same_switches(x, y);
}

static void expect_round_trip(const ModelConfig *config) {
  ModelConfig back;
  assert_ok(config_write(scratch_folder, config));
  assert_ok(config_read(scratch_folder, &back));
  expect_same(config, &back);
}

/* ---- there and back ---- */

Test(config, presets_come_back) {
  static const char *const names[] = {"tiny", "llama3-8b", "vicuna-7b", "vicuna-13b", "llama3-70b"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    ModelConfig config = preset(names[i]);
    cr_expect_str_eq(config.name, names[i]);
    assert_ok(config_check(&config));
    expect_round_trip(&config);
    config.switches = switches_paper();
    expect_round_trip(&config);
  }
  ModelConfig none;
  expect_refused(config_preset("llama4", &none), STATUS_USAGE,
                 "no model preset 'llama4', and no such file; there are tiny, llama3-8b");
}

/* Every field away from every default. */
Test(config, every_field_comes_back) {
  ModelConfig config = {
      .vision = {30, 3, 12, 17, 5, 3, 4, 1.25e-7, false},
      .decoder = {101, 21, 19, 3, 6, 3, 14, 12345.5, 3e-9, true},
      .global = BRIDGE_FORMER,
      .local = BRIDGE_MLP,
      .global_queries = 49,
      .local_queries = 16,
      .former_head = 6,
      .separator_token = 99,
      .switches = {true, 0.3, 0.7, true, false, 0.2, 0.9, ROUTER_TWO_SOFTMAX, ROUTER_QUESTION, 0.1, false, true, false,
                   true},
  };
  expect_round_trip(&config);
  Switches *s = &config.switches;
  *s = (Switches){false,         1.0 / 3.0, 0.0,  false, true, 0.0,  2.0, ROUTER_ONE_SOFTMAX,
                  ROUTER_PROMPT, 1.0,       true, false, true, false};
  config.local = BRIDGE_NONE;
  expect_round_trip(&config);
  config.local = BRIDGE_FORMER;
  config.global = BRIDGE_NONE;
  expect_round_trip(&config);
}

/* ---- HF's own fields ---- */

static Status read_text(const char *text, ModelConfig *config) {
  scratch_text("config.json", text);
  return config_read(scratch_folder, config);
}

/* What transformers and released code wrote (fixtures/model/make.py). */
Test(config, of_a_released_checkpoint) {
  char path[1024];
  ModelConfig config, expected = preset("llama3-8b");
  snprintf(path, sizeof path, "%s/model/slime", SEESAW_FIXTURES);
  assert_ok(config_read(path, &config));
  expected.vision = (VisionConfig){15, 3, 20, 33, 3, 5, 2, 1e-5, true};
  expected.decoder = (DecoderConfig){151, 36, 51, 2, 6, 2, 10, 1e4, 1e-5, false};
  expected.global_queries = 25;
  expected.local_queries = 9;
  expected.former_head = 10;
  expected.separator_token = 77;
  expect_same(&config, &expected);
}

#define SLIME                                                                                                          \
  "\"mm_projector_type\": \"gated\", \"mm_resampler_type\": \"cosine\", \"image_aspect_ratio\": \"anyres\", "          \
  "\"mm_patch_merge_type\": \"spatial\", \"mm_resampler_topp\": 0.95, \"mm_resampler_dim\": 144"

Test(config, missing_fields_are_hf_s_defaults) {
  ModelConfig config, expected = preset("vicuna-7b");
  assert_ok(read_text("{\"hidden_size\": 4096, " SLIME "}", &config));
  expected.decoder.epsilon = 1e-6;
  expect_same(&config, &expected);
  cr_expect_eq(config.separator_token, 1919, "of Vicuna: the comma with its blank");
  assert_ok(
      read_text("{\"hidden_size\": 4096, \"intermediate_size\": 14336, \"num_key_value_heads\": 8, \"rope_theta\": "
                "500000.0, \"rms_norm_eps\": 1e-05, \"vocab_size\": 128256, \"rope_scaling\": null, " SLIME "}",
                &config));
  expected = preset("llama3-8b");
  expect_same(&config, &expected);
  cr_expect_eq(config.separator_token, 11);
}

/* transformers 5 writes the positions' base in an object of its own. */
Test(config, the_base_of_positions_may_stand_in_rope_parameters) {
  ModelConfig config;
  assert_ok(read_text(
      "{\"hidden_size\": 4096, \"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": \"default\"}}", &config));
  cr_expect_eq(config.decoder.theta, 500000.0);
}

static ModelConfig read_slime(const char *more) {
  char text[1024];
  ModelConfig config;
  snprintf(text, sizeof text, "{\"hidden_size\": 4096, %s%s}", more,
           SLIME); /* of two fields of a name the first counts */
  assert_ok(read_text(text, &config));
  return config;
}

Test(config, as_released_code_says_it) {
  cr_expect_eq(read_slime("").global, BRIDGE_MIXTURE);
  cr_expect_eq(read_slime("\"mm_learnable_gated\": -1, ").global, BRIDGE_MIXTURE);
  cr_expect_eq(read_slime("\"mm_learnable_gated\": 0, ").global, BRIDGE_MLP);
  cr_expect_eq(read_slime("\"mm_learnable_gated\": 1, ").global, BRIDGE_FORMER);
  cr_expect_eq(read_slime("\"use_global_only\": true, ").local, BRIDGE_NONE);
  cr_expect_eq(read_slime("\"use_local_only\": true, ").global, BRIDGE_NONE);
  cr_expect_eq(read_slime("\"image_aspect_ratio\": \"pad\", ").local, BRIDGE_NONE);
  cr_expect_eq(read_slime("\"seperator\": 29892, ").separator_token, 29892);
  cr_expect_eq(read_slime("\"mm_resampler_temp\": 0.5, ").switches.router_temperature, 0.5);
  cr_expect_not(read_slime("\"mm_patch_merge_type\": \"flat\", ").switches.raster);
  cr_expect_eq(read_slime("\"mm_vision_select_layer\": -1, ").vision.used, 24);
  cr_expect_eq(read_slime("\"mm_vision_select_layer\": -25, ").vision.used, 0);
  cr_expect_eq(read_slime("\"mm_vision_select_layer\": 7, ").vision.used, 7);
  ModelConfig hd = read_slime("\"mm_projector_type\": \"mlp2x_gelu\", \"mm_resampler_type\": null, ");
  cr_expect(hd.global == BRIDGE_MLP && hd.local == BRIDGE_MLP, "tiles without a sampler");
  cr_expect(!hd.switches.separator && hd.switches.gamma == 1.0);
}

/* ---- what is refused ---- */

static void expect_field(const char *more, const char *message) {
  char text[1024];
  ModelConfig config;
  snprintf(text, sizeof text, "{\"hidden_size\": 4096, %s, %s}", more, SLIME);
  expect_refused(read_text(text, &config), STATUS_INPUT, message);
  expect_refused(read_text(text, &config), STATUS_INPUT, scratch_folder);
}

Test(config, fields_of_the_wrong_kind) {
  static const char *const fields[][2] = {
      {"\"vocab_size\": -1", "the field vocab_size should be a whole number, not negative"},
      {"\"vocab_size\": 1.5", "the field vocab_size should be a whole number"},
      {"\"vocab_size\": \"many\"", "the field vocab_size should be a whole number"},
      {"\"vocab_size\": 1e10", "the field vocab_size should be a whole number"},
      {"\"num_hidden_layers\": [32]", "the field num_hidden_layers should be a whole number"},
      {"\"rope_theta\": \"big\"", "the field rope_theta should be a number"},
      {"\"tie_word_embeddings\": 1", "the field tie_word_embeddings should be true or false"},
      {"\"seperator\": 3000000000", "the field seperator should be a whole number"},
      {"\"use_global_only\": \"no\"", "the field use_global_only should be true or false"},
      {"\"mm_vision_select_layer\": -26", "the field mm_vision_select_layer should be one of"},
      {"\"mm_vision_select_layer\": 25", "the field mm_vision_select_layer should be one of"},
      {"\"mm_vision_select_layer\": \"last\"", "the field mm_vision_select_layer should be one of"},
      {"\"mm_learnable_gated\": 2", "the field mm_learnable_gated should be -1 (both experts), 0"},
      {"\"mm_learnable_gated\": \"all\"", "the field mm_learnable_gated should be"},
      {"\"seesaw\": {\"local\": \"both\"}", "the field local is not one of none, mlp ..."},
      {"\"seesaw\": {\"router_text\": 3}", "the field router_text is not one of question, prompt"},
      {"\"seesaw\": {\"separator\": 0}", "the field separator should be true or false"},
      {"\"seesaw\": {\"vision\": {\"patch_size\": -14}}", "the field patch_size should be a whole number"},
      {"\"seesaw\": {\"vision\": {\"quick_gelu\": 1}}", "the field quick_gelu should be true or false"},
  };
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    expect_field(fields[i][0], fields[i][1]);
}

Test(config, what_the_model_cannot_do) {
  static const char *const fields[][2] = {
      {"\"rope_scaling\": {\"rope_type\": \"llama3\"}", "the field rope_scaling should be null"},
      {"\"rope_parameters\": {\"rope_type\": \"yarn\"}", "the field rope_type should be default"},
      {"\"attention_bias\": true", "the field attention_bias should be false"},
      {"\"mlp_bias\": true", "the field mlp_bias should be false"},
      {"\"hidden_act\": \"gelu\"", "the field hidden_act should be silu"},
      {"\"mm_vision_select_feature\": \"cls_patch\"", "the field mm_vision_select_feature should be patch"},
      {"\"mm_patch_merge_type\": \"spatial_unpad\"", "the field mm_patch_merge_type should be spatial or flat"},
      {"\"mm_resampler_type\": \"qformer\"", "the field mm_resampler_type should be cosine or identity"},
  };
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    expect_field(fields[i][0], fields[i][1]);
}

Test(config, files_that_are_none) {
  ModelConfig config;
  expect_refused(config_read(scratch_path("nowhere"), &config), STATUS_INPUT, "nowhere/config.json");
  expect_refused(config_read(scratch_path("nowhere.json"), &config), STATUS_INPUT, "nowhere.json");
  expect_refused(config_open(scratch_path("nowhere"), &config), STATUS_INPUT, "nowhere/config.json");
  expect_refused(config_open("nowhere", &config), STATUS_USAGE, "no model preset 'nowhere'");
  expect_refused(read_text("{\"hidden_size\": ", &config), STATUS_INPUT, "config.json");
  expect_refused(read_text("[4096]", &config), STATUS_INPUT, "no model's configuration");
  expect_refused(read_text("{\"d_model\": 512}", &config), STATUS_INPUT, "it has no field hidden_size");
  config = preset("tiny");
  expect_refused(config_write(scratch_path("nowhere"), &config), STATUS_OUTPUT, "nowhere");
}

/* ---- sizes that do not fit together ---- */

typedef void Change(ModelConfig *config);

#define CHANGE(name, what)                                                                                             \
  static void name(ModelConfig *c) {                                                                                   \
    what;                                                                                                              \
  }
CHANGE(odd_picture, c->vision.picture = 25)
CHANGE(no_patch, c->vision.patch = 0)
CHANGE(odd_heads, c->vision.heads = 5)
CHANGE(too_many_used, c->vision.used = 4)
CHANGE(no_vision_mlp, c->vision.mlp = 0)
CHANGE(odd_groups, c->decoder.kv_heads = 4)
CHANGE(odd_head, c->decoder.head = 7)
CHANGE(large_head, c->decoder.head = 1026)
CHANGE(no_vocabulary, c->decoder.vocabulary = 0)
CHANGE(local_mixture, c->local = BRIDGE_MIXTURE)
CHANGE(no_tokens, c->local = c->global = BRIDGE_NONE)
CHANGE(odd_former, c->former_head = 12)
CHANGE(few_queries, c->global_queries = 9)
CHANGE(no_square, (c->global = BRIDGE_FORMER, c->global_queries = 8))
CHANGE(no_local_square, c->local_queries = 5)
CHANGE(no_gamma, c->switches.gamma = 0.0)
CHANGE(nan_gamma, c->switches.gamma = NAN)
CHANGE(cold, c->switches.router_temperature = 0.0)
CHANGE(no_such_token, c->separator_token = 320)

Test(config, sizes_that_do_not_fit) {
  static const struct {
    Change *change;
    const char *message;
  } cases[] = {
      {odd_picture, "picture size is 25; it should be a multiple of the patch size"},
      {no_patch, "picture size is 24; it should be a multiple of the patch size"},
      {odd_heads, "vision width is 32; it should be a multiple of its heads"},
      {too_many_used, "number of vision layers that are used is 4"},
      {no_vision_mlp, "vision MLP width is 0; it should be positive"},
      {odd_groups, "number of heads is 6; it should be a multiple of the key heads"},
      {odd_head, "head size is 7; it should be even"},
      {large_head, "head size is 1026; it should be even, and at most 1024"},
      {no_vocabulary, "must be positive"},
      {local_mixture, "not through the mixture"},
      {no_tokens, "neither global nor local tokens"},
      {odd_former, "vision width is 32; it should be a multiple of 4 and of the query former's head size"},
      {few_queries, "number of global queries is 9; it should be the number of patches"},
      {no_square, "number of global queries is 8; it should be a square"},
      {no_local_square, "number of local queries is 5; it should be a square"},
      {no_gamma, "gamma is 0"},
      {nan_gamma, "gamma is"},
      {cold, "the router's temperature is 0"},
      {no_such_token, "the separator is token 320, but the vocabulary has 320"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ModelConfig config = preset("tiny");
    cases[i].change(&config);
    expect_refused(config_check(&config), STATUS_INPUT, cases[i].message);
  }
}

/* ---- derived sizes, and for people ---- */

Test(config, tokens_of_a_view) {
  ModelConfig config = preset("llama3-8b");
  cr_expect_eq(config_patches(&config), 576);
  cr_expect_eq(config_global_tokens(&config), 576);
  cr_expect_eq(config_tile_tokens(&config), 144);
  config.global = BRIDGE_FORMER;
  config.global_queries = 144;
  config.local = BRIDGE_MLP;
  cr_expect_eq(config_global_tokens(&config), 144);
  cr_expect_eq(config_tile_tokens(&config), 576);
  config.global = BRIDGE_NONE;
  cr_expect_eq(config_global_tokens(&config), 0);
}

static void print_tiny(void) {
  ModelConfig config = preset("tiny");
  config_print(&config, stdout);
}

Test(config, in_words) {
  char text[2048];
  in_child(print_tiny, STDOUT_FILENO, text, sizeof text);
  expect_contains(text, "vision    24 x 24 pixels, patches of 6, width 32, MLP 48, 2 of 3 layers, 4 heads\n");
  expect_contains(text, "bridge    global mixture (16 tokens), local former (4 tokens a tile)\n");
  expect_contains(text, "decoder   vocabulary 320, width 48, MLP 80, 2 layers, 6 heads, 2 key heads\n");
  expect_contains(text, "router    cosine, sum over the prompt, one softmax, temperature 1, gamma 0.95, noise 0.1\n");
}
