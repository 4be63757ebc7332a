/* test_kernels_program.c: `seesaw kernels` as a user meets it. */
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

Test(kernels, refuse_what_is_not_there) {
  program_refuses(2, "did you mean layernorm", "kernels verify --device cpu --op layernrom");
  program_refuses(2, "the C backend computes in f32", "kernels verify --device cpu --dtype bf16");
  program_refuses(2, "--device", "kernels verify --device tpu");
  program_refuses(4, "cannot", "kernels verify --device cpu --op zero --json nowhere/x.json");
  program_succeeds("kernels verify --help");
  program_succeeds("kernels bench --help");
}
