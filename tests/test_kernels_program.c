/* test_kernels_program.c: `seesaw kernels` as a user meets it. */
#include <sys/stat.h>

#include "json.h"
#include "program.h"

TestSuite(kernels, .init = scratch_make, .fini = scratch_remove);

static const char *scratch(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", scratch_folder, name);
  return path;
}

Test(kernels, verify_compares_an_operation_and_writes_json) {
  Run run = program_run("kernels verify --device cpu --op swiglu --json verify.json");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.out, "swiglu fwd");
  expect_contains(run.out, "swiglu bwd");
  expect_contains(run.out, "ok");
  cr_expect_null(strstr(run.out, "\033"), "no colours in a file");
  cr_expect_null(strstr(run.out, "layernorm"));
  program_free(&run);
  cJSON *json;
  cr_assert_eq(json_read(scratch("verify.json"), &json).code, STATUS_OK);
  const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "operations"), 0);
  cr_assert_not_null(first);
  cr_expect_str_eq(cJSON_GetObjectItem(first, "name")->valuestring, "swiglu");
  cr_expect_str_eq(cJSON_GetObjectItem(first, "direction")->valuestring, "fwd");
  cr_expect_str_eq(cJSON_GetObjectItem(first, "dtype")->valuestring, "f32");
  cr_expect(cJSON_GetObjectItem(first, "worst")->valuedouble <= 1.0);
  cr_expect(cJSON_IsString(cJSON_GetObjectItem(json, "device")));
  cr_expect(cJSON_IsString(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "origin"), "commit")));
  cJSON_Delete(json);
}

Test(kernels, verify_trains_the_model) {
  Run run = program_run("kernels verify --device cpu --op model");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.out, "model, released, 10 steps");
  expect_contains(run.out, "model, paper, 10 steps");
  program_free(&run);
}

Test(kernels, bench_times_beside_the_limits) {
  Run run =
      program_run("kernels bench --device cpu --quick --op rope --shape odd --repeats 3 --json b.json --csv b.csv");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.out, "GB/s");
  expect_contains(run.out, "rope bwd");
  expect_contains(run.out, "% of copy");
  program_free(&run);
  cJSON *json;
  cr_assert_eq(json_read(scratch("b.json"), &json).code, STATUS_OK);
  cr_expect_gt(cJSON_GetObjectItem(json, "copy_bytes_per_second")->valuedouble, 0.0);
  cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "operations")), 10);
  cJSON_Delete(json);
  program_refuses(2, "no operation has such a shape",
                  "kernels bench --device cpu --quick --op rope --shape none --repeats 1");
}

/* A python3 of the test's own, first on the path. */
static void make_python(const char *body) {
  char path[4200], text[1024];
  snprintf(path, sizeof path, "%s/python3", scratch_folder);
  FILE *file = fopen(path, "w");
  cr_assert_not_null(file);
  fprintf(file, "#!/bin/sh\n%s\n", body);
  cr_assert_eq(fclose(file), 0);
  cr_assert_eq(chmod(path, 0700), 0);
  snprintf(text, sizeof text, "%.500s:%.500s", scratch_folder, getenv("PATH"));
  setenv("PATH", text, 1);
}

Test(kernels, the_peer_says_what_it_timed_or_why_not) {
  make_python("echo torch 9.9; echo 2e-6 the bias apart; echo nan none: no product; echo 3e-6");
  Run run = program_run("kernels bench --device host --quick --op zero --shape odd --repeats 1 --peer --json p.json");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.out, "times as long (the bias apart)");
  expect_contains(run.out, "PyTorch: none: no product");
  expect_contains(run.out, "PyTorch: python3 ended before");
  program_free(&run);
  cJSON *json;
  cr_assert_eq(json_read(scratch("p.json"), &json).code, STATUS_OK);
  cr_expect_str_eq(cJSON_GetObjectItem(json, "torch")->valuestring, "torch 9.9");
  cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(json, "complete")));
  cJSON_Delete(json);
}

Test(kernels, an_interruption_keeps_what_was_finished) {
  cJSON *json = NULL;
  int count = 0;
  Run run = program_start("kernels verify --device host --shapes odd --json i.json");
  for (int i = 0; i < 2000 && count == 0; i++) {
    usleep(10000);
    if (access(scratch("i.json"), F_OK) == 0 && json_read(scratch("i.json"), &json).code == STATUS_OK) {
      count = cJSON_GetArraySize(cJSON_GetObjectItem(json, "operations"));
      cJSON_Delete(json);
    }
  }
  cr_expect_gt(count, 0);
  kill(run.child, SIGINT);
  program_finish(&run);
  cr_expect_eq(run.exit, 130, "%d: %s", run.exit, run.err);
  expect_contains(run.err, "what was finished is kept");
  program_free(&run);
  cr_assert_eq(json_read(scratch("i.json"), &json).code, STATUS_OK);
  cr_expect_geq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "operations")), count);
  cr_expect(cJSON_IsFalse(cJSON_GetObjectItem(json, "complete")));
  cJSON_Delete(json);
}

Test(kernels, compute_in_one_process_too) {
  program_succeeds("kernels verify --device host --op swiglu --one-process");
}

Test(kernels, refuse_what_is_not_there) {
  program_refuses(2, "the model is no operation; `seesaw model bench`", "kernels bench --device host --op model");
  program_refuses(2, "take kernels verify, kernels bench", "kernels");
  program_succeeds("kernels --help");
  program_refuses(2, "did you mean layernorm", "kernels verify --device cpu --op layernrom");
  program_refuses(2, "the C backend computes in f32", "kernels verify --device cpu --dtype bf16");
  program_refuses(2, "--device", "kernels verify --device tpu");
  program_refuses(4, "cannot", "kernels verify --device cpu --op zero --json nowhere/x.json");
  program_succeeds("kernels verify --help");
  program_succeeds("kernels bench --help");
}
