/* train.c: `seesaw train`: a model trained by a scheme of phases, one after the other. */
#include <cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "json.h"
#include "model_open.h"
#include "train_data.h"
#include "trainer.h"

typedef struct TrainCommand {
  ModelPlan model;
  const char *config, *fresh, *data, *out, *template, *features, *save, *algorithms, *json;
  int64_t seed, every, recomputed;
  bool resume;
  char *line; /* the command's */
} TrainCommand;

/* All that is open while phases run. */
typedef struct Training {
  const TrainCommand *command;
  Scheme scheme;
  DataList data;
  OpenModel open;
  Tokenizer *tokenizer;
  Features *features;  /* stay open from phase to phase while they are of the same data and weights */
  const char *seen_in; /* the data that they are of */
  cJSON *phases;       /* of the report */
} Training;

/* ---- data ---- */

/* Has an earlier phase the same data, cut to the same length? */
static bool is_checked(const Training *t, size_t phase) {
  const Phase *phases = t->scheme.phases;
  for (size_t i = 0; i < phase; i++)
    if (strcmp(phases[i].data, phases[phase].data) == 0 && phases[i].longest == phases[phase].longest)
      return true;
  return false;
}

/* Reads all conversations of all phases once and looks for their pictures, so that what is wrong with one shows now and
 * not after days. */
static Status check_phase(const Training *t, const Phase *phase) {
  Feed feed;
  FeedCount count = {0};
  TRY(data_open(&feed, &t->data, phase, t->tokenizer, t->command->template));
  Status status = feed_count(&feed, false, &count);
  feed_files_close(&feed);
  if (count.cut > 0)
    fprintf(stderr, "%s: %zu of %zu conversations of '%s' are longer than %zu tokens; %zu tokens are cut off\n",
            phase->name, count.cut, count.conversations, phase->data, phase->longest, count.cut_tokens);
  return status;
}

static Status check_data(const Training *t) {
  for (size_t i = 0; i < t->scheme.count; i++)
    if (!is_checked(t, i))
      TRY(check_phase(t, &t->scheme.phases[i]));
  return status_ok();
}

/* ---- what is told ---- */

static void print_phase(const Training *t, const Phase *phase, const TrainReport *r) {
  const TrainCounts *c = &r->counts;
  char digits[2 * DIGEST_SIZE + 1];
  printf("%s  steps %" PRIu64 "  samples %" PRIu64 "  loss %.4g  TFLOP %.4g  ", phase->name, c->steps, c->samples,
         c->loss, c->operations * 1e-12);
  if (r->finished)
    printf("finished before");
  else
    printf("seconds %.1f  samples/s %.4g", c->seconds, (double)c->samples / c->seconds);
  printf("  digest %s  %s/%s.safetensors\n", digest_print(r->digest, digits), t->command->out, phase->name);
  fflush(stdout);
  if (c->cut > 0)
    fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " samples had more than %zu rows and were cut off (longest)\n",
            phase->name, c->cut, c->samples, phase->longest);
}

static void report_phase(const Training *t, const Phase *phase, const TrainReport *r) {
  const TrainCounts *c = &r->counts;
  cJSON *json = cJSON_CreateObject();
  char digits[2 * DIGEST_SIZE + 1], *text = phase_print(phase);
  cJSON_AddStringToObject(json, "phase", phase->name);
  cJSON_AddStringToObject(json, "digest", digest_print(r->digest, digits));
  cJSON_AddStringToObject(json, "text", text ? text : "");
  cJSON_AddNumberToObject(json, "steps", (double)c->steps);
  cJSON_AddNumberToObject(json, "samples", (double)c->samples);
  cJSON_AddNumberToObject(json, "trained_tokens", (double)c->trained);
  cJSON_AddNumberToObject(json, "image_tokens", (double)c->image_tokens);
  cJSON_AddNumberToObject(json, "cut_samples", (double)c->cut);
  cJSON_AddNumberToObject(json, "operations", c->operations);
  cJSON_AddNumberToObject(json, "loss", c->loss);
  if (!r->finished)
    cJSON_AddNumberToObject(json, "seconds", c->seconds);
  cJSON_AddItemToArray(t->phases, json);
  free(text);
}

static Status write_report(Training *t) {
  if (!*t->command->json)
    return status_ok();
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "scheme", t->scheme.name);
  cJSON_AddStringToObject(json, "device", t->open.device.name);
  cJSON_AddStringToObject(json, "backend", t->open.device.kind);
  cJSON_AddStringToObject(json, "dtype", t->command->model.dtype);
  cJSON_AddItemToObject(json, "phases", t->phases);
  cJSON_AddItemToObject(json, "origin", json_origin(t->command->line, (uint64_t)t->command->seed));
  t->phases = NULL;
  Status status = json_write(t->command->json, json);
  cJSON_Delete(json);
  return status;
}

/* ---- what frozen CLIP sees ---- */

static bool moves_vision(const Phase *phase) {
  return phase_groups(phase) >> GROUP_VISION & 1;
}

/* Is it worth it, and is there room? A resumed run must come to the same answer, so what is free now does not count. */
static bool fits_in_memory(const Training *t, const Phase *phase, size_t conversations) {
  size_t samples = 0;
  for (size_t i = 0; i < t->scheme.count; i++) {
    const Phase *other = &t->scheme.phases[i];
    if (strcmp(other->data, phase->data) == 0 && !moves_vision(other))
      samples += phase_samples(other, conversations);
  }
  return samples >= conversations &&
         host_fits(4.0 * (double)features_most_bytes(&t->open.store.model->config, conversations));
}

/* The folder where a phase's features are kept, "" for memory; NULL if they are not. */
static const char *features_folder(const Training *t, const Phase *phase, const Feed *feed) {
  const char *how = t->command->features;
  if (moves_vision(phase) || strcmp(how, "none") == 0)
    return NULL;
  if (strcmp(how, "memory") == 0 || (strcmp(how, "auto") == 0 && fits_in_memory(t, phase, feed->count)))
    return "";
  return strcmp(how, "auto") == 0 ? NULL : how;
}

static Status open_features(Training *t, const Phase *phase, const Feed *feed) {
  FeaturesPlan plan = {.store = &t->open.store, .feed = feed, .folder = features_folder(t, phase, feed)};
  if (t->features && plan.folder && strcmp(t->seen_in, phase->data) == 0)
    return status_ok();
  features_close(t->features);
  t->features = NULL;
  t->seen_in = phase->data;
  return plan.folder ? features_open(&t->features, &plan) : status_ok();
}

/* ---- phases ---- */

/* A run that failed in its very first step leaves no log that a second try would have to respect. */
static void forget_start(const Training *t, const Phase *phase, const TrainReport *report) {
  if (phase != t->scheme.phases || report->counts.steps > 0 || t->command->resume)
    return;
  char *path = path_join(t->command->out, "log.csv");
  if (path)
    unlink(path);
  free(path);
}

static Status run_phase(Training *t, const Phase *phase) {
  const TrainCommand *command = t->command;
  Feed feed;
  TrainReport report;
  TRY(data_open(&feed, &t->data, phase, t->tokenizer, command->template));
  Status status = open_features(t, phase, &feed);
  TrainPlan plan = {.store = &t->open.store,
                    .phase = phase,
                    .feed = &feed,
                    .features = t->features,
                    .seed = (uint64_t)command->seed,
                    .folder = command->out,
                    .interval = (uint64_t)command->every,
                    .resume = command->resume,
                    .recomputed = (size_t)command->recomputed};
  if (status.code == STATUS_OK) {
    status = train_phase(&plan, &report);
    if (status.code != STATUS_OK)
      forget_start(t, phase, &report);
  }
  if (status.code == STATUS_OK) {
    print_phase(t, phase, &report);
    report_phase(t, phase, &report);
  }
  feed_files_close(&feed);
  return status;
}

/* ---- the folder ---- */

static Status is_free(const char *folder, const char *name) {
  char *path = path_join(folder, name);
  bool there = path && access(path, F_OK) == 0;
  free(path);
  return there ? status_error(STATUS_USAGE,
                              "%s/%s is there: --resume goes on with that run; a new one needs a folder "
                              "of its own",
                              folder, name)
               : status_ok();
}

/* Nothing of an older run is overwritten by a new one. */
static Status check_folder(const Training *t) {
  static const char *const ends[] = {".safetensors", ".checkpoint.safetensors"};
  char name[PHASE_NAME + 32];
  TRY(folder_create(t->command->out));
  if (t->command->resume)
    return status_ok();
  TRY(is_free(t->command->out, "log.csv"));
  for (size_t i = 0; i < 2 * t->scheme.count; i++) {
    snprintf(name, sizeof name, "%s%s", t->scheme.phases[i / 2].name, ends[i % 2]);
    TRY(is_free(t->command->out, name));
  }
  return status_ok();
}

static Status copy_file(const char *from, const char *to) {
  unsigned char *bytes;
  size_t size;
  OutputFile file;
  TRY(file_read(from, (size_t)1 << 30, &bytes, &size));
  Status status = output_open(&file, to);
  if (status.code == STATUS_OK) {
    fwrite(bytes, 1, size, file.stream);
    status = output_commit(&file);
  }
  free(bytes);
  return status;
}

/* One of the tokenizer's files, if the model has it. */
static Status copy_into(const char *from, const char *name, const char *to) {
  char *source = path_join(from, name), *target = path_join(to, name);
  Status status = status_error(STATUS_MEMORY, "not enough memory to copy %s", name);
  if (source && target)
    status = access(source, F_OK) == 0 ? copy_file(source, target) : status_ok();
  free(source);
  free(target);
  return status;
}

static Dtype dtype_of(const char *name) {
  return strcmp(name, "bf16") == 0 ? DTYPE_BF16 : strcmp(name, "f16") == 0 ? DTYPE_F16 : DTYPE_F32;
}

/* OUT/model: a complete checkpoint with its tokenizer. */
static Status save_model(const Training *t) {
  static const char *const files[] = {"tokenizer.json", "tokenizer.model", "tokenizer_config.json",
                                      "special_tokens_map.json", "generation_config.json"};
  char *folder = path_join(t->command->out, "model");
  if (!folder)
    return status_error(STATUS_MEMORY, "not enough memory to write the model");
  Status status = store_save(&t->open.store, folder, dtype_of(t->command->save));
  for (size_t i = 0; i < sizeof files / sizeof *files && status.code == STATUS_OK; i++)
    status = copy_into(t->command->model.folder, files[i], folder);
  free(folder);
  return status;
}

static Status keep_origin(const Training *t) {
  char *scheme = path_join(t->command->out, "scheme.ini"), *log = path_join(t->command->out, "log.csv");
  Status status = status_error(STATUS_MEMORY, "not enough memory for a name");
  if (scheme && log)
    status = copy_file(t->command->config, scheme);
  if (status.code == STATUS_OK)
    status = origin_write(log, t->command->line, (uint64_t)t->command->seed);
  free(scheme);
  free(log);
  return status;
}

/* ---- the command ---- */

static Status train_all(Training *t) {
  for (size_t i = 0; i < t->scheme.count; i++)
    TRY(phase_suits(&t->scheme.phases[i], &t->open.config));
  TRY(tokenizer_open(&t->tokenizer, t->command->model.folder, NULL));
  TRY(check_data(t));
  TRY(check_folder(t));
  TRY(keep_origin(t));
  for (size_t i = 0; i < t->scheme.count; i++)
    TRY(run_phase(t, &t->scheme.phases[i]));
  TRY(save_model(t));
  return write_report(t);
}

static Status open_and_train(Training *t) {
  ModelPlan model = t->command->model;
  TRY(data_parse(&t->data, t->command->data));
  TRY(scheme_read(&t->scheme, t->command->config));
  TRY(data_match(&t->data, &t->scheme));
  TRY(groups_parse(t->command->fresh, &model.fresh.groups));
  model.fresh.seed = (uint64_t)t->command->seed;
  for (size_t i = 0; i < t->scheme.count; i++)
    model.moving |= phase_groups(&t->scheme.phases[i]);
  TRY(open_model(&t->open, &model));
  device_algorithms(&t->open.device, t->command->algorithms, "");
  Status status = train_all(t);
  features_close(t->features);
  tokenizer_close(t->tokenizer);
  close_model(&t->open);
  return status;
}

static Status run(TrainCommand *command) {
  if (!*command->config)
    return status_error(STATUS_USAGE, "which scheme? --config FILE names it (see experiments/schemes)");
  if (!*command->out)
    return status_error(STATUS_USAGE, "where to? --out DIR names the folder of the results");
  Training t = {.command = command, .phases = cJSON_CreateArray()};
  Status status = open_and_train(&t);
  cJSON_Delete(t.phases);
  scheme_free(&t.scheme);
  data_free(&t.data);
  return status;
}

static const char *const description =
    "Runs the phases of a scheme one after the other. A scheme is an INI file with a section [phase NAME] for each; "
    "its "
    "keys: data (a name of --data); train (groups of parameters that move: gate, mlp, former, compression, decoder, "
    "lora, vision; adapter is the first three); views (global, local, both, none; mixed: each batch one of the first "
    "three); samples or epochs; batch, accumulate (batches a step), rate, rate.GROUP, schedule (cosine, constant), "
    "warmup, clip, decay, beta1, beta2, epsilon, gamma (the router's), global (what the global view becomes in this "
    "phase: mlp, former, mixture), longest (rows of "
    "a sample). Instead of train "
    "and "
    "views: turns = GROUPS:VIEWS | GROUPS:VIEWS with period (steps a turn) or soft (steps of the period in which the "
    "rates of one fade out and those of the other in).\n\n"
    "OUT gets a safetensors file with the trained values and their digest for each phase, log.csv with a line a step, "
    "scheme.ini, and at the end the whole model in OUT/model, which `seesaw model generate` opens. A run that is "
    "stopped, at whatever moment, goes on with --resume from its last checkpoint and ends with the same bytes as one "
    "that never stopped, for any number of threads. With another --device or --dtype it goes on, too, but to other "
    "bytes; its files list what computed them. With --dtype bf16 weights are stored in bf16, and the steps are taken "
    "by masters in f32, which the phases' files hold.\n\n"
    "Data are LLaVA-format JSON files with a folder that their pictures are relative to (without one: that of the "
    "file) and a template (without one: --template). All conversations are read, and all pictures looked for, before "
    "training starts.\n\n"
    "DIR may be a published checkpoint, or a decoder alone, as HF writes it, with --vision for CLIP and --fresh "
    "adapter,compression: its config.json has SliME's bridge where it holds \"seesaw\": {\"global\": \"mixture\", "
    "\"local\": \"former\"}, else LLaVA's MLP and no tiles.";

Status command_train(int argc, char **argv, Ranks ranks) {
  TrainCommand command = {.model = MODEL_USUAL,
                          .config = "",
                          .fresh = "",
                          .data = "",
                          .out = "",
                          .template = "auto",
                          .features = "auto",
                          .save = "f32",
                          .algorithms = "first",
                          .json = "",
                          .seed = 1,
                          .every = 100};
  const Option options[] = {
      {"config", OPTION_TEXT, &command.config, "FILE", "the scheme"},
      MODEL_OPTIONS(command.model),
      {"fresh", OPTION_TEXT, &command.fresh, "GROUPS",
       "what starts anew, whatever DIR holds of it: vision, gate, mlp, former, compression, decoder, lora; adapter"},
      {"lora-rank", OPTION_INTEGER, &command.model.lora_rank, "R",
       "fresh low-rank updates of the decoder's matrices, with alpha 2R; 0: as config.json has them", 0, 65536},
      {"data", OPTION_TEXT, &command.data, "LIST", "NAME=FILE[:IMAGES[:TEMPLATE]],...: the data that phases name"},
      {"out", OPTION_TEXT, &command.out, "DIR", "folder of the results; made if it is not there"},
      {"resume", OPTION_FLAG, &command.resume, NULL, "go on with the run in DIR"},
      {"seed", OPTION_INTEGER, &command.seed, "N", "of the order, the noise, mixed views and what starts anew", 0,
       9e15},
      {"template", OPTION_TEXT, &command.template, "NAME", "plain, v1, llama3 or auto: by the tokenizer"},
      {"features", OPTION_TEXT, &command.features, "DIR",
       "where to keep what frozen CLIP sees, computed once: a folder, to use it again; memory; none; or auto: in "
       "memory, "
       "if it surely takes less than a sixth of the machine's and phases show as many samples as there are"},
      {"every", OPTION_INTEGER, &command.every, "N", "steps from one checkpoint to the next; 0: only when interrupted",
       0, 1e15},
      {"recompute", OPTION_INTEGER, &command.recomputed, "N",
       "of the decoder's first N layers keep the inputs alone: less memory, a third more work there, the same bytes", 0,
       1e6},
      {"algorithms", OPTION_CHOICE, &command.algorithms, NULL,
       "of a GPU's matrix products: the library's first answer, those kept in the user's cache, or timed and kept; "
       "where the file differs, so may the bytes",
       .choices = ALGORITHM_CHOICES},
      {"save-dtype", OPTION_CHOICE, &command.save, NULL, "type of the weights in OUT/model", .choices = "f32,bf16,f16"},
      {"json", OPTION_TEXT, &command.json, "FILE", "write what each phase did"},
      {NULL},
  };
  const Command usage = {
      .name = "train",
      .summary = "train a model by a scheme of phases",
      .description = description,
      .examples = "seesaw scenes render --out captions --count 200\n"
                  "seesaw scenes render --out questions --talk questions --count 200\n"
                  "seesaw model init --out tiny\n"
                  "seesaw train --config experiments/schemes/alternating.ini --model tiny --out run \\\n"
                  "    --data captions=captions/data.json::plain,instructions=questions/data.json\n"
                  "seesaw model generate --model run/model --image questions/images/000000.png --prompt 'What is "
                  "this?'\n"
                  "seesaw train --config scheme.ini --model slime --out run2 --features kept \\\n"
                  "    --data captions=blip.json:/data/blip:plain,instructions=chat.json:/data/pictures\n"
                  "seesaw train --config experiments/schemes/slime-lora.ini --model llama --vision clip \\\n"
                  "    --fresh adapter,compression --lora-rank 128 --out run3 --data captions=...,instructions=...\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&usage, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  command.line = options_line(&usage); /* before schemes are read by the same parser */
  Status status = command.line ? run(&command) : status_error(STATUS_MEMORY, "not enough memory for the options");
  free(command.line);
  return status;
}
