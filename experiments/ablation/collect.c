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

/* The first line of what.txt, which jobs of one setting share; allocated, "" where there is none. */
static Status setting_of(const char *folder, const char *job, char **line) {
  char *path;
  unsigned char *bytes;
  size_t size;
  *line = NULL;
  if (asprintf(&path, "%s/%s/what.txt", folder, job) < 0)
    return status_error(STATUS_MEMORY, "not enough memory for a path");
  Status status = status_ok();
  if (access(path, R_OK) == 0) {
    status = file_read(path, LARGEST, &bytes, &size);
    if (status.code == STATUS_OK) {
      bytes[strcspn((char *)bytes, "\n")] = '\0';
      *line = (char *)bytes;
    }
  } else if (!(*line = strdup(""))) {
    status = status_error(STATUS_MEMORY, "not enough memory for a line");
  }
  free(path);
  return status;
}

/* Those of the same setting as `like` stay in the list, the others are freed. */
static Status keep_alike(const char *folder, const char *like, struct dirent **jobs, int *count) {
  char *wanted, *line;
  int kept = 0, i = 0;
  Status status = setting_of(folder, like, &wanted);
  for (; i < *count && status.code == STATUS_OK; i++) {
    status = setting_of(folder, jobs[i]->d_name, &line);
    if (status.code == STATUS_OK && strcmp(line, wanted) == 0)
      jobs[kept++] = jobs[i];
    else
      free(jobs[i]);
    free(line);
  }
  for (; i < *count; i++)
    free(jobs[i]);
  *count = kept;
  free(wanted);
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

Status collect(const char *runs, bool probed, const char *results, const char *like, const Command *command,
               uint64_t seed) {
  char *folder = path_join(runs, "rows"), *line = options_line(command);
  struct dirent **jobs = NULL;
  int count = folder ? scandir(folder, &jobs, is_job, versionsort) : -1;
  Status status = count >= 0 ? folder_create(results) : status_error(STATUS_INPUT, "there are no results in %s", runs);
  if (status.code == STATUS_OK)
    status = keep_alike(folder, like, jobs, &count);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds && status.code == STATUS_OK; i++)
    if (kinds[i].probed == probed)
      status = collect_kind(&kinds[i], folder, jobs, count, results, line ? line : "seesaw ablate", seed);
  for (int i = 0; i < count; i++)
    free(jobs[i]);
  free(jobs);
  free(folder);
  free(line);
  return status;
}
