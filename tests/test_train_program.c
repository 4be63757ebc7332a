/* test_train_program.c: `seesaw train`, from a scheme to a model that answers; killed, interrupted, misused. */
#include <cJSON.h>
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "files.h"
#include "image.h"
#include "json.h"
#include "program.h"
#include "safetensors.h"

TestSuite(train, .init = scratch_make, .fini = scratch_remove);

/* ---- a model, pictures, conversations ---- */

static void make_picture(const char *name, size_t width, size_t height, unsigned char shade) {
  Image image;
  cr_assert_eq(image_new(&image, width, height).code, STATUS_OK);
  for (size_t i = 0; i < width * height * 3; i++)
    image.pixels[i] = (unsigned char)(shade + i * 7 % 31);
  cr_assert_eq(image_write_png(scratch_path(name), image).code, STATUS_OK);
  image_free(&image);
}

/* Eleven conversations about four pictures. */
static void make_data(const char *name, const char *last_answer) {
  char text[8192] = "[", *end = text + 1;
  for (int i = 0; i < 11; i++)
    end += sprintf(end,
                   "%s{\"id\": \"%d\", \"image\": \"%d.png\", \"conversations\": [{\"from\": \"human\", \"value\": "
                   "\"<image>\\nWhat colour has number %d?\"}, {\"from\": \"gpt\", \"value\": \"%s%d\"}]}",
                   i > 0 ? ",\n" : "", i, i % 4, i, i == 10 ? last_answer : "shade ", i % 4);
  strcpy(end, "]\n");
  scratch_text(name, text);
}

static void make_world(void) {
  static const size_t sizes[][2] = {{24, 24}, {50, 24}, {24, 49}, {33, 40}};
  char name[16];
  cr_assert_eq(folder_create(scratch_path("pictures")).code, STATUS_OK);
  for (size_t i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "pictures/%zu.png", i);
    make_picture(name, sizes[i][0], sizes[i][1], (unsigned char)(60 * i));
  }
  make_data("captions.json", "shade ");
  make_data("chat.json", "grey ");
  program_succeeds("model init --out tiny");
}

static const char *const scheme =
    "[scheme]\nname = trial\n\n"
    "[phase one]\ndata = captions\ntrain = adapter\nviews = global\nsamples = 22\nbatch = 4\nrate = 6e-3\n\n"
    "[phase two]\ndata = captions\nturns = compression:local | adapter:both\nperiod = 2\nepochs = 2\nbatch = 4\nrate = "
    "6e-3\n\n"
    "[phase three]\ndata = chat\ntrain = adapter compression decoder\nviews = mixed\nsamples = 30\nbatch = "
    "3\naccumulate "
    "= 2\nrate = 1e-3\n";

#define DATA "--data captions=captions.json:pictures:plain,chat=chat.json:pictures"
#define TRAIN "train --config scheme.ini --model tiny --threads 1 " DATA

static void make_scheme(const char *text) {
  scratch_text("scheme.ini", text);
}

static void expect_same(const char *folder, const char *name) {
  char path[2][64];
  unsigned char *bytes[2];
  size_t size[2];
  snprintf(path[0], sizeof path[0], "whole/%s", name);
  snprintf(path[1], sizeof path[1], "%s/%s", folder, name);
  for (int i = 0; i < 2; i++) {
    Status status = file_read(scratch_path(path[i]), 1 << 26, &bytes[i], &size[i]);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  }
  cr_expect(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0, "%s differs", path[1]);
  free(bytes[0]);
  free(bytes[1]);
}

static void expect_same_run(const char *folder) {
  static const char *const names[] = {"one.safetensors", "two.safetensors", "three.safetensors",
                                      "log.csv",         "scheme.ini",      "model/model.safetensors"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    expect_same(folder, names[i]);
}

/* ---- a whole run ---- */

Test(train, goes_through_the_phases_to_a_model_that_answers) {
  make_world();
  make_scheme(scheme);
  Run run = program_run(TRAIN " --out whole --features kept --json report.json");
  cr_assert_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.out, "one  steps 6  samples 22  loss ");
  expect_contains(run.out, "three  steps 5  samples 30  loss ");
  expect_contains(run.out, "whole/two.safetensors");
  program_free(&run);
  cJSON *json;
  cr_assert_eq(json_read(scratch_path("report.json"), &json).code, STATUS_OK);
  const cJSON *phases = cJSON_GetObjectItem(json, "phases");
  cr_expect_eq(cJSON_GetArraySize(phases), 3);
  cr_expect_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(phases, 0), "image_tokens")->valuedouble, 22 * 16.0);
  cr_expect_gt(cJSON_GetObjectItem(cJSON_GetArrayItem(phases, 2), "operations")->valuedouble, 1e6);
  cJSON_Delete(json);
  run = program_run("model generate --model whole/model --image pictures/1.png --prompt 'What colour?' --max-new 4");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  program_free(&run);
  program_succeeds(TRAIN " --out again --features kept --threads 2 --recompute 1");
  expect_same_run("again");
}

/* Few pictures, shown often: what CLIP sees is kept in memory without being asked, to the same bytes as in files. */
Test(train, keeps_features_in_memory_where_they_fit) {
  make_world();
  make_scheme(scheme);
  program_succeeds(TRAIN " --out whole --features kept");
  program_succeeds(TRAIN " --out unasked");
  expect_same_run("unasked");
  program_succeeds(TRAIN " --out asked --features memory");
  expect_same_run("asked");
  program_refuses(3, "it has 'features = kept', this run 'features = as they come'",
                  TRAIN " --out whole --resume --features none");
  make_scheme("[phase one]\ndata = captions\ntrain = adapter\nviews = global\nsamples = 10\nbatch = 4\nrate = 6e-3\n\n"
              "[phase two]\ndata = chat\ntrain = vision\nviews = global\nsamples = 22\nbatch = 4\nrate = 6e-3\n");
  program_succeeds(TRAIN " --out few");
  program_refuses(3, "it has 'features = as they come', this run 'features = kept'",
                  TRAIN " --out few --resume --features memory");
}

/* The example of the help, with fewer samples. */
Test(train, takes_rendered_scenes_as_they_lie) {
  program_succeeds("scenes render --out captions --count 9");
  program_succeeds("scenes render --out questions --talk questions --count 7");
  program_succeeds("model init --out tiny");
  make_scheme("[phase one]\ndata = captions\ntrain = adapter\nviews = global\nsamples = 9\nrate = 6e-3\n\n"
              "[phase two]\ndata = instructions\ntrain = decoder\nviews = local\nsamples = 7\nrate = 6e-3\n");
  program_succeeds("train --config scheme.ini --model tiny --out run --threads 1 "
                   "--data captions=captions/data.json::plain,instructions=questions/data.json");
  program_succeeds("model generate --model run/model --image questions/images/000000.png --prompt 'What is this?' "
                   "--max-new 2");
}

Test(train, a_finished_run_stays_as_it_is_and_is_not_overwritten) {
  make_world();
  make_scheme(scheme);
  program_succeeds(TRAIN " --out whole");
  Run run = program_run(TRAIN " --out whole --resume");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.out, "three  steps 5  samples 30  loss");
  expect_contains(run.out, "finished before");
  program_free(&run);
  program_refuses(2, "whole/log.csv is there: --resume goes on with that run", TRAIN " --out whole");
  make_scheme("[phase one]\ndata = captions\ntrain = adapter\nviews = global\nsamples = 23\nbatch = 4\nrate = 6e-3\n");
  program_refuses(3, "it has 'samples = 22', this run 'samples = 23'",
                  "train --config scheme.ini --model tiny --threads 1 --data captions=captions.json:pictures:plain "
                  "--out whole --resume");
}

/* Frozen weights stay mapped in half precision; those that move are widened. */
Test(train, takes_models_in_half_precision) {
  make_world();
  make_scheme(scheme);
  program_succeeds("model init --dtype bf16 --out half");
  program_succeeds("train --config scheme.ini --model half --threads 1 " DATA " --out whole --save-dtype f16");
  program_succeeds("model generate --model whole/model --prompt Hi --max-new 2");
  make_scheme("[phase one]\ndata = captions\ntrain = adapter\nviews = global\nsamples = 22\nbatch = 4\nrate = "
              "6e-3\n");
  program_succeeds(
      "train --config scheme.ini --model half --threads 1 --data captions=captions.json:pictures:plain --out "
      "mapped");
}

/* ---- killed ---- */

static void wait_for(double seconds) {
  struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
  nanosleep(&time, NULL);
}

/* Killed at ever later moments, each time going on; the last run comes to its end. */
Test(train, killed_at_any_moment_it_goes_on_to_the_same_bytes) {
  make_world();
  make_scheme(scheme);
  Run whole = program_run(TRAIN " --out whole --every 2");
  cr_assert_eq(whole.exit, 0, "%s", whole.err);
  program_free(&whole);
  int killed = 0;
  double wait = 0.004;
  for (bool ended = false; !ended; wait *= 1.35) {
    Run run = program_start(TRAIN " --out killed --every 1 --resume");
    wait_for(wait);
    kill(run.child, SIGKILL);
    program_finish(&run);
    ended = run.exit == 0;
    killed += !ended;
    cr_assert(ended || run.exit == 128 + SIGKILL, "%d: %s", run.exit, run.err);
    program_free(&run);
  }
  cr_expect_geq(killed, 4);
  expect_same_run("killed");
}

Test(train, interrupted_it_keeps_what_was_done) {
  make_world();
  make_scheme("[phase one]\ndata = captions\ntrain = adapter decoder\nviews = both\nsamples = 2000\nbatch = 4\nrate = "
              "6e-4\n");
  Run run = program_start(
      "train --config scheme.ini --model tiny --threads 1 --data captions=captions.json:pictures:plain --out "
      "stopped --every 0");
  while (access(scratch_path("stopped/log.csv"), F_OK) != 0)
    wait_for(0.01);
  wait_for(0.1);
  kill(run.child, SIGINT);
  program_finish(&run);
  cr_expect_eq(run.exit, 130, "%s", run.err);
  expect_contains(run.err, "interrupted in phase one after step ");
  expect_contains(run.err, "--resume goes on");
  cr_expect_eq(access(scratch_path("stopped/one.checkpoint.safetensors"), F_OK), 0);
  program_free(&run);
}

/* ---- a full disk ---- */

Test(train, a_full_disk_is_told_and_can_be_helped) {
  make_world();
  make_scheme(scheme);
  program_succeeds(TRAIN " --out whole");
  char command[1024];
  snprintf(command, sizeof command, "cd '%s' && trap '' XFSZ && ulimit -f 60 && '%s' " TRAIN " --out full 2>error.txt",
           scratch_folder, SEESAW_PROGRAM); /* 60 blocks: phase one's file fits, a whole model does not */
  int end = system(command);
  char text[512];
  cr_expect_eq(WEXITSTATUS(end), 4);
  expect_contains(scratch_read(scratch_path("error.txt"), text, sizeof text), "cannot write full/");
  program_succeeds(TRAIN " --out full --resume");
  expect_same_run("full");
}

/* ---- what is refused ---- */

/* Low-rank updates, which no checkpoint of a language model has, and a bridge drawn anew; the rest does not move. */
Test(train, starts_parts_anew) {
  make_world();
  make_scheme("[scheme]\nname = low\n\n[phase one]\ndata = chat\ntrain = adapter lora\nviews = both\nsamples = 8\n"
              "batch = 4\nrate = 1e-2\n");
  program_refuses(3, "phase one moves lora",
                  "train --config scheme.ini --model tiny --out x --data chat=chat.json:pictures");
  program_succeeds("train --config scheme.ini --model tiny --out whole --data chat=chat.json:pictures --lora-rank 2 "
                   "--fresh adapter,compression --seed 5");
  TensorFile file[2];
  const char *const paths[] = {"tiny/model.safetensors", "whole/model/model.safetensors"};
  for (int i = 0; i < 2; i++)
    cr_assert_eq(safetensors_open(&file[i], scratch_path(paths[i])).code, STATUS_OK);
  cr_expect_eq(file[1].count, file[0].count + 28, "two matrices for each of seven, in two layers");
  for (size_t i = 0; i < file[0].count; i++) {
    const NamedTensor *before = &file[0].tensors[i], *after = tensor_file_find(&file[1], before->name);
    cr_assert_not_null(after, "%s", before->name);
    bool same = memcmp(before->tensor.data, after->tensor.data, tensor_bytes(before->tensor)) == 0;
    bool bridge = strstr(before->name, "mm_projector") || strstr(before->name, "sampler");
    bool matrix = before->rank > 1 && !strstr(before->name, "pos_embed") && !strstr(before->name, "w_");
    cr_expect(bridge ? !same || !matrix : same, "%s", before->name);
  }
  for (int i = 0; i < 2; i++)
    tensor_file_close(&file[i]);
  program_succeeds("model generate --model whole/model --image pictures/1.png --prompt 'What colour?' --max-new 2");
}

Test(train, says_what_is_wrong_before_it_starts) {
  make_world();
  make_scheme(scheme);
  program_refuses(2, "which scheme?", "train --model tiny --out x");
  program_refuses(2, "where to?", "train --config scheme.ini --model tiny");
  program_refuses(3, "nowhere.ini", "train --config nowhere.ini --out x");
  program_refuses(2, "phase three learns from 'chat'; --data chat=FILE says where that is",
                  "train --config scheme.ini --model tiny --out x --data captions=captions.json");
  program_refuses(2, "no phase of scheme trial learns from 'cat'", TRAIN ",cat=chat.json --out x");
  program_refuses(2, "--data has 'chat' twice", TRAIN ",chat=chat.json --out x");
  program_refuses(2, "--data must be NAME=FILE", TRAIN ",chat --out x");
  program_refuses(2, "which model?", "train --config scheme.ini --out x " DATA);
  program_refuses(3, "unknown group 'adaptor'; did you mean 'adapter'?", TRAIN " --fresh adaptor --out x");
  program_refuses(2, "there is no template 'plane'", TRAIN " --template plane --out x");
  program_refuses(2, "unknown option --resumed; did you mean --resume?", TRAIN " --resumed --out x");
  program_refuses(4, "captions.json", TRAIN " --out captions.json");
  make_scheme("[phase one]\ndata = captions\ntrian = adapter\n");
  program_refuses(3, "scheme.ini: line 3: unknown key 'trian'; did you mean 'train'?", TRAIN " --out x");
}

Test(train, says_which_conversation_teaches_nothing) {
  make_world();
  make_scheme(scheme);
  scratch_text("chat.json", "[{\"id\": \"a\", \"conversations\": [{\"from\": \"human\", \"value\": \"What?\"}]}]");
  program_refuses(3, "chat.json: record 0", TRAIN " --out x");
  scratch_text("chat.json", "[{\"id\": \"a\", ");
  program_refuses(3, "chat.json", TRAIN " --out x");
}

/* A picture that is missing is found before anything is trained; one that is damaged, in the first step. Neither leaves
 * anything that a second try stumbles over. */
Test(train, a_failed_start_can_be_repeated) {
  make_world();
  make_scheme(scheme);
  cr_assert_eq(rename(scratch_path("pictures/3.png"), scratch_path("elsewhere.png")), 0);
  program_refuses(3, "captions.json: record 3 ('3'): cannot read the picture pictures/3.png: No such file",
                  TRAIN " --out x");
  cr_expect_neq(access(scratch_path("x"), F_OK), 0, "nothing was written");
  scratch_text("pictures/3.png", "no picture");
  for (int kept = 0; kept < 2; kept++) {
    Run run = program_run(TRAIN " --out x --features %s", kept ? "auto" : "none");
    cr_expect_eq(run.exit, 3, "%s", run.err);
    expect_contains(run.err, "pictures/3.png");
    program_free(&run);
  }
  cr_assert_eq(rename(scratch_path("elsewhere.png"), scratch_path("pictures/3.png")), 0);
  program_succeeds(TRAIN " --out x");
}

/* Long conversations are cut off, counted and told. */
Test(train, says_how_many_conversations_are_too_long) {
  make_world();
  make_scheme(
      "[phase one]\ndata = captions\ntrain = adapter\nviews = global\nepochs = 1\nbatch = 4\nrate = 6e-3\nlongest "
      "= 23\n");
  Run run = program_run(
      "train --config scheme.ini --model tiny --threads 1 --data captions=captions.json:pictures:plain --out cut");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.err, "one: 11 of 11 samples had more than 23 rows and were cut off");
  program_free(&run);
  make_data("captions.json", "a very long answer, longer than that ");
  run = program_run(
      "train --config scheme.ini --model tiny --threads 1 --data captions=captions.json:pictures:plain --out longer");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.err, "1 of 11 conversations of 'captions' are longer than 23 tokens; ");
  program_free(&run);
}
