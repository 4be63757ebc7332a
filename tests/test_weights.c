/* test_weights.c: checkpoints of one file and of several (fixtures/weights/make.py), indices that lie, and what a model
 * wants held against what is there. */
#include "weights.h"

#include <signal.h>
#include <sys/stat.h>

#include "safetensors.h"
#include "scratch.h"

TestSuite(weights, .init = scratch_make, .fini = scratch_remove);

static const char *fixture(const char *name) {
  static char path[1024];
  snprintf(path, sizeof path, "%s/weights/%s", SEESAW_FIXTURES, name);
  return path;
}

static void open_weights(Weights *weights, const char *path) {
  Status status = weights_open(weights, path);
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", path, status.message);
}

static void expect_ramp(const NamedTensor *named) {
  cr_assert_not_null(named);
  for (size_t k = 0; k < tensor_count(named->tensor); k++)
    cr_expect_eq(tensor_get(named->tensor, k), (double)k - 3, "%s element %zu", named->name, k);
}

/* make.py's model, in the order of its names. */
static const WeightSpec model[] = {
    {"model.embed_tokens.weight", 2, {11, 5}, false},        {"model.layers.0.input_layernorm.weight", 1, {5}, false},
    {"model.layers.0.mlp.up_proj.weight", 2, {7, 5}, false}, {"model.layers.1.input_layernorm.weight", 1, {5}, false},
    {"model.layers.1.mlp.up_proj.weight", 2, {7, 5}, false}, {"model.layers.2.input_layernorm.weight", 1, {5}, false},
    {"model.layers.2.mlp.up_proj.weight", 2, {7, 5}, false}, {"model.mm_projector.projection.0.bias", 1, {5}, false},
    {"model.mm_projector.w_gate", 2, {5, 2}, false},         {"model.norm.weight", 1, {5}, false},
};
enum { MODEL = sizeof model / sizeof model[0] };

static void expect_model(const char *path, size_t files) {
  Weights weights;
  open_weights(&weights, path);
  cr_expect_eq(weights.file_count, files);
  cr_expect_str_eq(weights.path, path);
  cr_assert_eq(weights.count, MODEL);
  for (size_t i = 0; i < MODEL; i++) {
    cr_expect_str_eq(weights.tensors[i].name, model[i].name);
    expect_ramp(weights_find(&weights, model[i].name));
  }
  Status status = weights_match(&weights, model, MODEL);
  cr_expect_eq(status.code, STATUS_OK, "%s", status.message);
  cr_expect_null(weights_find(&weights, "model.embed_tokens"));
  weights_close(&weights);
  cr_expect(weights.files == NULL && weights.count == 0);
}

/* ---- Which files ---- */

Test(weights, shards_are_one_set) {
  expect_model(fixture("sharded"), 2);
  expect_model(fixture("sharded/"), 2);
  expect_model(fixture("sharded_bin"), 2);
  expect_model(fixture("sharded/model.safetensors.index.json"), 2);
  expect_model(fixture("sharded_bin/pytorch_model.bin.index.json"), 2);
}

/* A file of tensors, one number 1, 2, ... each. */
static void make_file(const char *name, size_t count, const char *const *names) {
  static float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
  NamedTensor tensors[8];
  for (size_t i = 0; i < count; i++)
    tensors[i] = named_tensor(names[i], tensor_1(&numbers[i], DTYPE_F32, 1));
  Status status = safetensors_write(scratch_path(name), tensors, count, NULL, 0, NULL);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
}

static void copy_fixture(const char *from, const char *to) {
  static char bytes[8192];
  FILE *stream = fopen(fixture(from), "rb");
  cr_assert_not_null(stream);
  size_t size = fread(bytes, 1, sizeof bytes, stream);
  fclose(stream);
  scratch_write(to, bytes, size);
}

Test(weights, the_first_kind_of_file_in_a_folder_is_taken) {
  Weights weights;
  copy_fixture("sharded_bin/pytorch_model-00001-of-00002.bin", "pytorch_model-00001-of-00002.bin");
  copy_fixture("sharded_bin/pytorch_model-00002-of-00002.bin", "pytorch_model-00002-of-00002.bin");
  copy_fixture("sharded_bin/pytorch_model.bin.index.json", "pytorch_model.bin.index.json");
  scratch_text("other-00001.bin", "files that no index names are not opened");
  expect_model(scratch_folder, 2);
  copy_fixture("module.bin", "pytorch_model.bin");
  open_weights(&weights, scratch_folder);
  cr_expect_eq(weights.count, 7);
  weights_close(&weights);
  copy_fixture("sharded/model-00001-of-00002.safetensors", "model-00001-of-00002.safetensors");
  copy_fixture("sharded/model-00002-of-00002.safetensors", "model-00002-of-00002.safetensors");
  copy_fixture("sharded/model.safetensors.index.json", "model.safetensors.index.json");
  expect_model(scratch_folder, 2);
  make_file("model.safetensors", 2, (const char *const[]){"b", "a"});
  open_weights(&weights, scratch_folder);
  cr_expect(weights.count == 2 && tensor_get(weights_find(&weights, "a")->tensor, 0) == 2);
  weights_close(&weights);
}

Test(weights, a_file_is_read_whatever_its_name) {
  Weights weights;
  copy_fixture("module.bin", "mm_projector.pt");
  open_weights(&weights, scratch_path("mm_projector.pt"));
  cr_expect(weights.count == 7 && weights.file_count == 1);
  weights_close(&weights);
  copy_fixture("ranks.safetensors", "x");
  open_weights(&weights, scratch_path("x"));
  cr_expect_eq(weights.count, 11);
  weights_close(&weights);
}

static void expect_refused(const char *path, const char *part) {
  Weights weights;
  Status status = weights_open(&weights, path);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", path);
  if (status.code != STATUS_OK) {
    expect_contains(status.message, part);
    cr_expect(weights.files == NULL && weights.tensors == NULL && weights.count == 0);
  } else {
    weights_close(&weights);
  }
}

Test(weights, a_path_without_weights_is_an_input_error) {
  expect_refused(scratch_folder, "a folder without weights: there is no model.safetensors, pytorch_model.bin");
  expect_refused(scratch_path("none"), "No such file");
  expect_refused(scratch_path("none.index.json"), "No such file");
  expect_refused(scratch_text("text", "some text, no weights"), "not a safetensors file");
  expect_refused(scratch_text("short", "PK"), "a safetensors file starts with 8 bytes");
  expect_refused(fixture("bad_legacy.bin"), "before 1.6");
  expect_refused(fixture("bad_compressed.bin"), "is compressed");
  cr_assert_eq(mkdir(scratch_path("model.safetensors"), 0777), 0);
  expect_refused(scratch_folder, "not a regular file");
}

/* ---- Indices ---- */

static void expect_index_refused(const char *weight_map, const char *part) {
  char text[1024];
  snprintf(text, sizeof text, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {%s}}", weight_map);
  const char *path = scratch_text("x.safetensors.index.json", text);
  expect_refused(path, part);
}

Test(weights, an_index_and_its_files_must_agree) {
  Weights weights;
  make_file("1", 2, (const char *const[]){"a", "b"});
  make_file("2", 2, (const char *const[]){"c", "d"});
  make_file("3", 2, (const char *const[]){"d", "e"});
  open_weights(&weights,
               scratch_text("w.index.json", "{\"weight_map\":{\"d\":\"2\",\"a\":\"1\",\"c\":\"2\",\"b\":\"1\"}}"));
  cr_expect(weights.count == 4 && weights.file_count == 2);
  cr_expect_eq(tensor_get(weights_find(&weights, "d")->tensor, 0), 2);
  weights_close(&weights);
  expect_index_refused("\"a\":\"1\",\"b\":\"1\",\"c\":\"2\",\"d\":\"2\",\"e\":\"2\"",
                       "the tensor e is not in 2, as weight_map says");
  expect_index_refused("\"a\":\"1\",\"b\":\"2\",\"c\":\"2\",\"d\":\"2\"",
                       "the tensor b is in 1, and weight_map says 2");
  expect_index_refused("\"a\":\"1\",\"b\":\"1\",\"c\":\"2\"", "the tensor d is in 2 but not in weight_map");
  expect_index_refused("\"c\":\"2\",\"d\":\"2\",\"e\":\"3\"", "the tensor d is in 3, and weight_map says 2");
  expect_index_refused("\"a\":\"1\",\"b\":\"1\",\"a\":\"1\"", "weight_map has a twice");
  expect_index_refused("\"a\":\"1\",\"b\":\"1\",\"z\":\"4\"", "No such file");
}

Test(weights, names_of_files_must_be_plain) {
  static const char *const names[] = {"../1", "/etc/passwd", "x/1", "..", ".", "", ".hidden", "a..b", "x\\\\1", "./1"};
  char map[64];
  make_file("1", 1, (const char *const[]){"a"});
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(map, sizeof map, "\"a\":\"%s\"", names[i]);
    expect_index_refused(map, "which is not the plain name of a file beside it");
  }
  expect_index_refused("\"a\":1", "what weight_map has for a is not the name of a file");
  expect_index_refused("\"a\":{}", "what weight_map has for a is not the name of a file");
}

Test(weights, an_index_must_be_one) {
  expect_refused(scratch_text("a.index.json", "{}"), "not an index: it has no weight_map");
  expect_refused(scratch_text("a.index.json", "[]"), "not an index");
  expect_refused(scratch_text("a.index.json", "{\"weight_map\": {}}"), "not an index");
  expect_refused(scratch_text("a.index.json", "{\"weight_map\": [\"1\"]}"), "not an index");
  expect_refused(scratch_text("a.index.json", "{"), "line 1 is not valid JSON");
}

/* ---- Selections ---- */

Test(weights, a_part_goes_by_the_text_after_a_marker) {
  Weights all, part;
  open_weights(&all, fixture("sharded"));
  cr_assert_eq(weights_select(&part, &all, "mm_projector.", WEIGHTS_INSIDE).code, STATUS_OK);
  cr_assert_eq(part.count, 2);
  cr_expect_str_eq(part.tensors[0].name, "projection.0.bias");
  expect_ramp(weights_find(&part, "w_gate"));
  weights_close(&part);
  cr_assert_eq(weights_select(&part, &all, "mm_projector.", WEIGHTS_PREFIX).code, STATUS_OK);
  cr_expect_eq(part.count, 0);
  cr_expect_null(weights_find(&part, "w_gate"));
  weights_close(&part);
  cr_assert_eq(weights_select(&part, &all, "model.layers.", WEIGHTS_PREFIX).code, STATUS_OK);
  cr_expect_eq(part.count, 6);
  expect_ramp(weights_find(&part, "1.mlp.up_proj.weight"));
  weights_close(&part);
  cr_assert_eq(weights_select(&part, &all, "", WEIGHTS_PREFIX).code, STATUS_OK);
  cr_expect_eq(weights_match(&part, model, MODEL).code, STATUS_OK);
  weights_close(&part);
  expect_ramp(weights_find(&all, "model.norm.weight"));
  weights_close(&all);
}

Test(weights, two_names_must_not_become_one) {
  Weights all, part;
  make_file("w", 3, (const char *const[]){"x.p.a", "y.p.a", "p.a.p.b"});
  open_weights(&all, scratch_path("w"));
  Status status = weights_select(&part, &all, "p.", WEIGHTS_INSIDE);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "the tensor a is there twice");
  cr_expect_null(part.tensors);
  cr_assert_eq(weights_select(&part, &all, "p.", WEIGHTS_PREFIX).code, STATUS_OK);
  cr_expect_str_eq(part.tensors[0].name, "a.p.b");
  weights_close(&part);
  weights_close(&all);
}

/* ---- What a model wants ---- */

static void expect_difference(const char *fixture_name, const WeightSpec *wanted, size_t count, const char *sentence,
                              const char *lines, WeightsDiff expected) {
  Weights weights;
  WeightsDiff diff;
  char text[2048];
  open_weights(&weights, fixture(fixture_name));
  Status status = weights_match(&weights, wanted, count);
  cr_expect_eq(status.code, STATUS_INPUT);
  cr_expect_str_eq(strstr(status.message, ": the tensors"), sentence);
  FILE *stream = fopen(scratch_path("diff"), "w");
  cr_assert_eq(weights_diff(&weights, wanted, count, stream, &diff).code, STATUS_OK);
  fclose(stream);
  cr_expect_str_eq(scratch_read(scratch_path("diff"), text, sizeof text), lines);
  cr_expect(diff.missing == expected.missing && diff.unexpected == expected.unexpected &&
            diff.misshapen == expected.misshapen);
  cr_assert_eq(weights_diff(&weights, wanted, count, NULL, &diff).code, STATUS_OK);
  cr_expect_eq(diff.unexpected, expected.unexpected);
  weights_close(&weights);
}

Test(weights, differences_are_told) {
  static const WeightSpec wanted[] = {
      {"a", 1, {3}, false}, {"b", 2, {2, 3}, false}, {"c", 0, {0}, false}, {"d", 1, {1}, true}};
  expect_difference(
      "no_checksums.bin", wanted, 4,
      ": the tensors are not the model's; missing 1: c; unexpected 0; misshapen 1: b is F16 (2, 2) and not (2, 3)",
      "misshapen b: F16 (2, 2), wanted (2, 3)\nmissing c: ()\n", (WeightsDiff){1, 0, 1});
  expect_difference("no_checksums.bin", wanted, 1,
                    ": the tensors are not the model's; missing 0; unexpected 1: b; misshapen 0",
                    "unexpected b: F16 (2, 2)\n", (WeightsDiff){0, 1, 0});
  expect_difference("no_checksums.bin", NULL, 0,
                    ": the tensors are not the model's; missing 0; unexpected 2: a, b; misshapen 0",
                    "unexpected a: F32 (3)\nunexpected b: F16 (2, 2)\n", (WeightsDiff){0, 2, 0});
}

Test(weights, optional_tensors_may_be_missing_but_not_misshapen) {
  static const WeightSpec wanted[] = {
      {"a", 1, {3}, true}, {"b", 2, {2, 2}, true}, {"c", 1, {1}, true}, {"a", 2, {3, 1}, true}};
  Weights weights;
  open_weights(&weights, fixture("no_checksums.bin"));
  cr_expect_eq(weights_match(&weights, wanted, 3).code, STATUS_OK);
  Status status = weights_match(&weights, wanted + 1, 3);
  expect_contains(status.message, "misshapen 1: a is F32 (3) and not (3, 1)");
  weights_close(&weights);
}

Test(weights, a_flattened_tensor_fits_no_wanted_shape) {
  static const WeightSpec wanted[] = {{"five", 1, {12}, false}};
  Weights weights, part;
  open_weights(&weights, fixture("ranks.safetensors"));
  cr_assert_eq(weights_select(&part, &weights, "fiv", WEIGHTS_PREFIX).code, STATUS_OK);
  cr_assert_eq(part.count, 1);
  part.tensors[0].name = "five";
  expect_contains(weights_match(&part, wanted, 1).message, "five is F32 (2, 3, 1, 2, 1) and not (12)");
  weights_close(&part);
  weights_close(&weights);
}

Test(weights, the_sentence_lists_the_first_few) {
  WeightSpec wanted[40];
  char names[40][128];
  Weights weights;
  for (size_t i = 0; i < 40; i++) {
    snprintf(names[i], sizeof names[i],
             "model.vision_tower.vision_tower.vision_model.encoder.layers.%zu.mlp.fc1.weight", i);
    wanted[i] = (WeightSpec){names[i], 4, {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX}, false};
  }
  open_weights(&weights, fixture("sharded"));
  Status status = weights_match(&weights, wanted, 40);
  expect_contains(status.message,
                  "missing 40: model.vision_tower.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight, "
                  "model.vision_tower.vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight, ...; unexpected "
                  "10: model.embed_tokens.weight, ");
  expect_contains(status.message, ", ...; misshapen 0");
  weights_close(&weights);
}

Test(weights, odd_and_long_names_are_printable) {
  char text[NAME_ROOM], name[300];
  memset(name, 'x', sizeof name);
  strcpy(name + sizeof name - 5, "\n\x1b.b");
  name_print(name, text);
  cr_expect_eq(strlen(text), NAME_ROOM - 1);
  cr_expect(strncmp(text, "...x", 4) == 0 && strcmp(text + NAME_ROOM - 6, "x?\?.b") == 0, "%s", text);
  NamedTensor named = {.rank = 100, .shape = calloc(100, sizeof(size_t))};
  named_print(&named, text);
  cr_expect(strlen(text) == NAME_ROOM - 1 && strcmp(text + NAME_ROOM - 4, "...") == 0, "%s", text);
  free((void *)named.shape);
}

static void want_twice(void) {
  static const WeightSpec wanted[] = {{"a", 1, {3}, false}, {"a", 1, {3}, false}};
  Weights weights;
  open_weights(&weights, fixture("no_checksums.bin"));
  Status status = weights_match(&weights, wanted, 2);
  (void)status;
}

Test(weights, to_want_a_tensor_twice_stops) {
  char text[512];
  cr_expect_eq(WTERMSIG(in_child(want_twice, STDERR_FILENO, text, sizeof text)), SIGABRT);
  expect_contains(text, "a is wanted twice");
}
