/* collect.c: result files from the jobs' files. */
#include "collect.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "json.h"

enum { LARGEST = 1 << 28 }; /* bytes of a job's file */

typedef struct Kind {
  bool probed;
  const char *name, *header;
} Kind;

static const Kind kinds[] = {
    {false, "answers.csv", "row,seed,views,family,block,items,correct,tp,fp,fn"},
    {false, "costs.csv", "row,seed,phase,samples,steps,tflop,image_tokens,seconds,hash"},
    {false, "curves.csv", "row,seed,phase,step,samples,loss,rate"},
    {true, "probes.csv", "row,seed,phase,step,group,gradient_norm,update_share"},
    {true, "gates.csv", "row,seed,phase,step,mean"},
    {true, "loss_probes.csv", "row,seed,views,local,global,loss"},
    {true, "attention.csv", "row,seed,layer,share_local,share_global,share_text"},
    {true, "router.csv", "row,seed,gamma,kept_share,relate,read"},
};

/* Folders of jobs; names that begin with a dot are none. */
static int is_job(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

/* Whose folder is it? NULL: of no row and seed that there are. */
static const Recipe *job_named(const char *name, uint64_t *seed) {
  const char *dash = strrchr(name, '-');
  char id[64], again[96];
  unsigned long long number;
  if (!dash || sscanf(dash, "-%20llu", &number) != 1)
    return NULL;
  snprintf(id, sizeof id, "%.*s", (int)(dash - name), name);
  snprintf(again, sizeof again, "%s-%llu", id, number);
  *seed = number;
  return strcmp(again, name) == 0 ? recipe_find(id) : NULL;
}

/* Is the job done by this setting? *stale: no, but there are answers, of whatever setting. */
static Status judge_job(const Setting *setting, const char *name, bool *done, bool *stale) {
  uint64_t seed;
  const Recipe *recipe = job_named(name, &seed);
  *done = false;
  *stale = !recipe || job_answered(setting, recipe, seed);
  if (!recipe)
    return status_ok();
  Status status = job_done(setting, recipe, seed, done);
  *stale = *stale && !*done;
  return status.code == STATUS_INPUT ? status_ok() : status; /* a scheme that is not there, or damaged */
}

/* Those of the setting stay in the list, the others are freed. */
static Status keep_done(const Setting *setting, struct dirent **jobs, int *count) {
  int kept = 0, left = 0, i = 0;
  Status status = status_ok();
  for (; i < *count && status.code == STATUS_OK; i++) {
    bool done, stale;
    status = judge_job(setting, jobs[i]->d_name, &done, &stale);
    if (stale)
      fprintf(stderr, "%s %s", left++ ? "," : "left out, since of other options, schemes or rows:", jobs[i]->d_name);
    if (status.code == STATUS_OK && done)
      jobs[kept++] = jobs[i];
    else
      free(jobs[i]);
  }
  if (left > 0)
    fprintf(stderr, "\n");
  for (; i < *count; i++)
    free(jobs[i]);
  *count = kept;
  return status;
}

static Status append(const char *folder, const char *job, const char *name, FILE *stream) {
  char *path;
  unsigned char *bytes;
  size_t size;
  if (asprintf(&path, "%s/%s/%s", folder, job, name) < 0)
    return status_error(STATUS_MEMORY, "not enough memory for a path");
  Status status = status_ok();
  if (access(path, R_OK) == 0) {
    status = file_read(path, LARGEST, &bytes, &size);
    if (status.code == STATUS_OK) {
      fwrite(bytes, 1, size, stream);
      free(bytes);
    }
  }
  free(path);
  return status;
}

static Status collect_kind(const Kind *kind, const char *folder, struct dirent **jobs, int count, const char *results,
                           const char *line, uint64_t seed) {
  char *path = path_join(results, kind->name);
  OutputFile file;
  Status status = path ? output_open(&file, path) : status_error(STATUS_MEMORY, "not enough memory for a path");
  if (status.code == STATUS_OK) {
    fprintf(file.stream, "%s\n", kind->header);
    for (int i = 0; i < count && status.code == STATUS_OK; i++)
      status = append(folder, jobs[i]->d_name, kind->name, file.stream);
    if (status.code == STATUS_OK)
      status = output_commit(&file);
    else
      output_abort(&file);
  }
  if (status.code == STATUS_OK)
    status = origin_write(path, line, seed);
  free(path);
  return status;
}

Status collect(const Setting *setting, const char *results, const Command *command, uint64_t seed) {
  char *folder = path_join(setting->folder, "rows"), *line = options_line(command);
  struct dirent **jobs = NULL;
  int count = folder ? scandir(folder, &jobs, is_job, versionsort) : -1;
  Status status =
      count >= 0 ? folder_create(results) : status_error(STATUS_INPUT, "there are no results in %s", setting->folder);
  if (status.code == STATUS_OK)
    status = keep_done(setting, jobs, &count);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds && status.code == STATUS_OK; i++)
    if (kinds[i].probed == setting->probed)
      status = collect_kind(&kinds[i], folder, jobs, count, results, line ? line : "seesaw ablate", seed);
  for (int i = 0; i < count; i++)
    free(jobs[i]);
  free(jobs);
  free(folder);
  free(line);
  return status;
}
