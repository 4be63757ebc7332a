/* test_model_program.c: the program's commands of the model, from a random checkpoint to an answer about a picture. */
#include <cJSON.h>
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "program.h"
#include "safetensors.h"
#include "sanitized.h"

#define PICTURE SEESAW_FIXTURES "/pictures/baseline_420.jpg"

TestSuite(model, .init = scratch_make, .fini = scratch_remove);

static void make_tiny(const char *options) {
  Run run = program_run("model init --out tiny %s", options);
  cr_assert_eq(run.exit, 0, "%s", run.err);
  program_free(&run);
}

/* The run ends so, and says this. */
static void expect_run(Run run, int exit, const char *part) {
  cr_expect_eq(run.exit, exit, "%d: %s", run.exit, run.err);
  cr_expect(strstr(exit == 0 ? run.out : run.err, part) != NULL, "no '%s' in: %s%s", part, run.out, run.err);
  program_free(&run);
}

Test(model, answers_about_a_real_picture) {
  make_tiny("");
  Run first = program_run("model generate --model tiny --image '%s' --prompt 'What is this?' --max-new 9", PICTURE);
  Run again =
      program_run("model generate --model tiny --image '%s' --prompt 'What is this?' --max-new 9 --threads 1", PICTURE);
  cr_assert_eq(first.exit, 0, "%s", first.err);
  cr_expect_gt(strlen(first.out), 1);
  cr_expect_str_eq(first.out, again.out, "one thread or more: the same answer");
  program_free(&first);
  program_free(&again);
}

Test(model, says_what_memory_it_needs_before_it_takes_it) {
  make_tiny("");
  Run run = program_run("model generate --model tiny --prompt Hi --max-new 3 --report");
  cr_expect_eq(run.exit, 0);
  cr_expect_not_null(strstr(run.err, "of activations, keys and values are needed; "), "%s", run.err);
  program_free(&run);
  run = program_run("model generate --model tiny --prompt Hi --max-new 3");
  cr_expect_str_eq(run.err, "", "little is not worth a line");
  program_free(&run);
}

Test(model, draws_by_its_seed) {
  make_tiny("--spread 0.2");
  char *answers[3];
  static const char *const seeds[] = {"1", "1", "2"};
  for (int i = 0; i < 3; i++) {
    Run run =
        program_run("model generate --model tiny --prompt Hello --max-new 40 --temperature 2 --seed %s", seeds[i]);
    cr_assert_eq(run.exit, 0, "%s", run.err);
    answers[i] = strdup(run.out);
    program_free(&run);
  }
  cr_expect_str_eq(answers[0], answers[1]);
  cr_expect_str_neq(answers[0], answers[2]);
  for (int i = 0; i < 3; i++)
    free(answers[i]);
}

Test(model, works_in_every_weight_type_and_by_the_paper) {
  static const char *const options[] = {"--dtype bf16", "--dtype f16", "--switches paper", "--seed 7"};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    make_tiny(options[i]);
    expect_run(program_run("model generate --model tiny --image '%s' --prompt 'Where?' --max-new 3", PICTURE), 0, "\n");
  }
}

Test(model, dumps_every_named_activation) {
  make_tiny("");
  expect_run(program_run("model run --model tiny --image '%s' --prompt Why --dump out.safetensors", PICTURE), 0,
             "router.score");
  TensorFile file;
  Status status = safetensors_open(&file, scratch_path("out.safetensors"));
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  static const char *const names[] = {"vision.features", "global.tokens", "local.ordered", "decoder.layers.1",
                                      "logits"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    cr_expect_not_null(tensor_file_find(&file, names[i]), "%s", names[i]);
  tensor_file_close(&file);
}

Test(model, counts_parameters_and_memory) {
  Run run = program_run("model info llama3-8b --json info.json");
  cr_assert_eq(run.exit, 0, "%s", run.err);
  program_free(&run);
  cJSON *json;
  cr_assert_eq(json_read(scratch_path("info.json"), &json).code, STATUS_OK);
  const cJSON *groups = cJSON_GetObjectItem(json, "parameters"), *stages = cJSON_GetObjectItem(json, "stages");
  cr_expect_eq(cJSON_GetObjectItem(groups, "decoder")->valuedouble, 8030261248.0, "Llama-3-8B's own count");
  cr_expect_eq(cJSON_GetArraySize(stages), 4);
  cr_expect_gt(cJSON_GetObjectItem(cJSON_GetArrayItem(stages, 3), "activation_bytes")->valuedouble, 1e9);
  cJSON_Delete(json);
}

Test(model, checks_its_gradients) {
  expect_run(program_run("model grad-check --layer mm_projector.projection --probes 1"), 0, "largest relative error");
  expect_run(program_run("model grad-check --layer nowhere"), 2, "no parameter has 'nowhere'");
  expect_run(program_run("model grad-check --layer projection.0 --probes 1 --tolerance 1e-16"), 1, "differs");
}

Test(model, says_what_is_wrong) {
  make_tiny("");
  static const struct {
    const char *words;
    int exit;
    const char *part;
  } refusals[] = {
      {"model generate --prompt Hi", 2, "--model DIR"},
      {"model generate --model nowhere --prompt Hi", 3, "nowhere/config.json"},
      {"model generate --model tiny --image nowhere.jpg --prompt Hi", 3, "nowhere.jpg"},
      {"model generate --model tiny --image tiny/config.json --prompt Hi", 3, "neither a JPEG nor a PNG"},
      {"model generate --model tiny --template plain --prompt Hi", 2, ""},
      {"model generate --model tiny --temperature -1", 2, "temperature"},
      {"model generate --model tiny --vision tiny/tokenizer.json", 3, "tokenizer.json"},
      {"model run --model tiny --prompt Hi --dump /nowhere/x.safetensors", 4, "/nowhere"},
      {"model init", 2, "--out DIR"},
      {"model init --config huge --out x", 2, "no model preset 'huge'"},
      {"model info huge", 2, "no model preset 'huge'"},
      {"model info ./huge", 3, "huge/config.json"},
      {"model info", 2, "which model"},
  };
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    Run run = program_run("%s", refusals[i].words);
    cr_expect_neq(run.exit, 0, "%s", refusals[i].words);
    cr_expect_lt(run.exit, 128, "%s: %s", refusals[i].words, run.err);
    cr_expect(strstr(run.err, refusals[i].part) != NULL, "%s: no '%s' in: %s", refusals[i].words, refusals[i].part,
              run.err);
    program_free(&run);
  }
}

/* The sizes of a checkpoint make another one: a folder, or its config.json. */
Test(model, takes_sizes_from_a_file) {
  make_tiny("--seed 3");
  expect_run(program_run("model init --config tiny/config.json --seed 3 --out again"), 0, "");
  expect_run(program_run("model init --config ./tiny --seed 4 --out other"), 0, "");
  static const char *const commands[] = {"tiny", "again", "other"};
  unsigned char *bytes[3];
  size_t size[3];
  for (int i = 0; i < 3; i++) {
    char path[64];
    snprintf(path, sizeof path, "%s/model.safetensors", commands[i]);
    Status status = file_read(scratch_path(path), 1 << 24, &bytes[i], &size[i]);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  }
  cr_expect(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0, "the same seed, the same bytes");
  cr_expect(size[0] == size[2] && memcmp(bytes[0], bytes[2], size[0]) != 0, "another seed, others");
  for (int i = 0; i < 3; i++)
    free(bytes[i]);
}

/* A tensor that is missing, one too many, one of another shape: named, with the counts. */
Test(model, names_what_a_checkpoint_lacks) {
  make_tiny("");
  expect_run(program_run("model init --config tiny --switches paper --out other"), 0, "");
  Run run = program_run("model info other");
  program_free(&run);
  FILE *stream = fopen(scratch_path("tiny/config.json"), "r");
  char text[4096] = "";
  size_t size = fread(text, 1, sizeof text - 1, stream);
  fclose(stream);
  text[size] = '\0';
  char *layers = strstr(text, "\"num_hidden_layers\":\t2");
  cr_assert_not_null(layers);
  layers[strlen("\"num_hidden_layers\":\t")] = '3';
  stream = fopen(scratch_path("tiny/config.json"), "w");
  fputs(text, stream);
  fclose(stream);
  expect_run(program_run("model generate --model tiny --prompt Hi"), 3,
             "9 tensors are missing, 0 unexpected, 0 misshapen; missing model.layers.2.input_layernorm.weight");
}

static void expect_positive(const cJSON *row, const char *const *keys, size_t count) {
  for (size_t i = 0; i < count; i++)
    cr_expect_gt(cJSON_GetNumberValue(cJSON_GetObjectItem(row, keys[i])), 0.0, "%s", keys[i]);
}

/* Without PyTorch, as where python3 cannot start: its numbers are not there, all others are. Temporary files are gone
 * in the end. */
Test(model, benches, .timeout = 120) {
  static const char *const passes[] = {"sgemm_flops", "forward_seconds", "step_seconds", "forward_fraction_of_sgemm",
                                       "step_fraction_of_sgemm"};
  static const char *const steps[] = {"sgemm_flops", "step_seconds", "step_fraction_of_sgemm", "samples_per_second"};
  if (SANITIZED)
    return; /* what it times has tests of its own */
  setenv("TMPDIR", scratch_folder, 1);
  setenv("PYTHONHOME", "/nowhere", 1);
  expect_run(program_run("model bench --quick --repeats 1 --json bench.json"), 0, "Stage III");
  cJSON *json;
  cr_assert_eq(json_read(scratch_path("bench.json"), &json).code, STATUS_OK);
  const cJSON *pass = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "passes"), 0);
  const cJSON *step = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "steps"), 0);
  expect_positive(pass, passes, sizeof passes / sizeof *passes);
  expect_positive(step, steps, sizeof steps / sizeof *steps);
  cr_expect(cJSON_IsNull(cJSON_GetObjectItem(step, "torch_step_seconds")), "no PyTorch");
  cJSON_Delete(json);
  glob_t left;
  cr_expect_eq(glob(scratch_path("seesaw-bench-*"), 0, NULL, &left), GLOB_NOMATCH);
}

Test(model, bench_needs_a_folder_for_temporary_files, .timeout = 120) {
  setenv("TMPDIR", "/nowhere", 1);
  setenv("PYTHONHOME", "/nowhere", 1);
  expect_run(program_run("model bench --quick --repeats 1"), 4, "TMPDIR says where");
}

Test(model, helps) {
  static const char *const commands[] = {"init", "info", "run", "generate", "grad-check", "bench"};
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    expect_run(program_run("model %s --help", commands[i]), 0, "Example");
}
