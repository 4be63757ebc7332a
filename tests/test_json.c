/* test_json.c: values out and in, the line of an error, and origins. */
#include "json.h"

#include <math.h>
#include <stdint.h>

#include "scratch.h"

TestSuite(json, .init = scratch_make, .fini = scratch_remove);

Test(json, values_survive_a_round_trip) {
  cJSON *value = cJSON_CreateObject(), *back;
  const char *path = scratch_path("v.json");
  cJSON_AddNumberToObject(value, "third", 1.0 / 3);
  cJSON_AddStringToObject(value, "text", "a \"b\"\n");
  cJSON_AddNumberToObject(value, "nan", NAN);
  cJSON_AddNumberToObject(value, "inf", INFINITY);
  cr_assert_eq(json_write(path, value).code, STATUS_OK);
  cr_assert_eq(json_read(path, &back).code, STATUS_OK);
  cr_expect_eq(cJSON_GetObjectItem(back, "third")->valuedouble, 1.0 / 3);
  cr_expect_str_eq(cJSON_GetObjectItem(back, "text")->valuestring, "a \"b\"\n");
  cr_expect(cJSON_IsNull(cJSON_GetObjectItem(back, "nan")));
  cr_expect(cJSON_IsNull(cJSON_GetObjectItem(back, "inf")));
  cJSON_Delete(value);
  cJSON_Delete(back);
}

static void expect_invalid(const char *text, size_t size, const char *part) {
  cJSON *value;
  Status status = json_read(scratch_write("bad.json", text, size), &value);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "bad.json");
  expect_contains(status.message, part);
  cr_expect_null(value);
}

Test(json, errors_name_the_line) {
  expect_invalid("", 0, "line 1");
  expect_invalid("{\n \"a\": 1,\n \"b\": oops\n}\n", 24, "line 3");
  expect_invalid("{}\n\n{}", 6, "line 3");
  expect_invalid("{\n}\0x", 5, "line 2");
  expect_invalid("[1,\n2", 5, "line 2");
  expect_invalid("[1]\n\0", 5, "line 2");
}

Test(json, a_missing_file_is_an_input_error) {
  cJSON *value;
  cr_expect_eq(json_read(scratch_path("none.json"), &value).code, STATUS_INPUT);
  cr_expect_null(value);
}

Test(json, a_place_that_cannot_be_written_is_an_output_error) {
  cJSON *value = cJSON_CreateArray();
  cr_expect_eq(json_write(scratch_path("no/v.json"), value).code, STATUS_OUTPUT);
  cr_expect_eq(json_write("/dev/full", value).code, STATUS_OUTPUT);
  cJSON_Delete(value);
}

Test(json, an_origin_tells_where_a_result_comes_from) {
  setenv("OMP_NUM_THREADS", "3,2", 1);
  cJSON *origin = json_origin("seesaw theory run --cos=0.5", UINT64_MAX);
  cr_assert_not_null(origin);
  cr_expect_str_eq(cJSON_GetObjectItem(origin, "program")->valuestring, "seesaw");
  cr_expect_str_eq(cJSON_GetObjectItem(origin, "command")->valuestring, "seesaw theory run --cos=0.5");
  cr_expect_eq(cJSON_GetObjectItem(origin, "threads")->valueint, 3);
  cr_expect_gt(strlen(cJSON_GetObjectItem(origin, "version")->valuestring), 0);
  cr_expect_gt(strlen(cJSON_GetObjectItem(origin, "commit")->valuestring), 0);
  cr_expect_gt(strlen(cJSON_GetObjectItem(origin, "processor")->valuestring), 0);
  int year, month, day, hour, minute, second, used = 0;
  const char *date = cJSON_GetObjectItem(origin, "date")->valuestring;
  cr_expect_eq(sscanf(date, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day, &hour, &minute, &second, &used), 6);
  cr_expect_eq(used, 20);
  char *text = cJSON_Print(origin);
  expect_contains(text, "18446744073709551615");
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  cr_expect(strlen(host) < 4 || strstr(text, host) == NULL, "no host name");
  cJSON_free(text);
  cJSON_Delete(origin);
}

Test(json, threads_are_counted_when_nobody_says_how_many) {
  static const char *const useless[] = {"", "many", "-1", "0"};
  for (int i = 0; i < 4; i++) {
    setenv("OMP_NUM_THREADS", useless[i], 1);
    cJSON *origin = json_origin("seesaw", 0);
    cr_expect_eq(cJSON_GetObjectItem(origin, "threads")->valueint, sysconf(_SC_NPROCESSORS_ONLN));
    cJSON_Delete(origin);
  }
}

Test(json, an_origin_lies_beside_its_result) {
  cJSON *origin;
  cr_assert_eq(origin_write(scratch_path("r.csv"), "seesaw", 7).code, STATUS_OK);
  cr_assert_eq(json_read(scratch_path("r.csv.origin.json"), &origin).code, STATUS_OK);
  cr_expect_eq(cJSON_GetObjectItem(origin, "seed")->valueint, 7);
  cJSON_Delete(origin);
  cr_expect_eq(origin_write(scratch_path("no/r.csv"), "seesaw", 7).code, STATUS_OUTPUT);
}

static void *no_memory(size_t size) {
  (void)size;
  return NULL;
}

Test(json, no_memory_is_a_status) {
  cJSON *value = cJSON_CreateArray();
  cJSON_InitHooks(&(cJSON_Hooks){no_memory, free});
  cr_expect_eq(json_write(scratch_path("v.json"), value).code, STATUS_MEMORY);
  cr_expect_null(json_origin("seesaw", 7));
  cr_expect_eq(origin_write(scratch_path("r.csv"), "seesaw", 7).code, STATUS_MEMORY);
  cJSON_InitHooks(NULL);
  cr_expect_eq(scratch_count(), 0);
  cJSON_Delete(value);
}

Test(json, what_has_no_place_has_no_origin) {
  cr_expect_eq(origin_write("-", "seesaw", 7).code, STATUS_OK);
  cr_expect_eq(origin_write("/dev/null", "seesaw", 7).code, STATUS_OK);
  cr_expect_neq(access("/dev/null.origin.json", F_OK), 0);
  cr_expect_neq(access("-.origin.json", F_OK), 0);
}
