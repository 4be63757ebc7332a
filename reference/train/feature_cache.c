/* feature_cache.c: which pictures there are, which file each is in, and who computes what is missing. */
#include "feature_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "feature_shard.h"
#include "files.h"

struct Features {
  size_t conversations, patches, width;
  size_t *place; /* of each conversation, its picture among all, or NONE */
  CachedPicture *pictures;
  size_t picture_count, pictured, computed;
  Shard *shards;
  size_t shard_count;
};

#define NONE SIZE_MAX

static Status no_memory(size_t conversations) {
  return status_error(STATUS_MEMORY, "not enough memory for the list of pictures of %zu conversations", conversations);
}

/* ---- which pictures there are ---- */

/* A picture for each pictured conversation; pictures of several are still there several times. */
static Status list_pictures(Features *f, const FeaturesPlan *plan, Progress *progress) {
  const Feed *feed = plan->feed;
  for (size_t i = 0; i < feed->count; i++) {
    bool pictured;
    TRY(feed_pictured(feed, i, &pictured));
    if (pictured) {
      CachedPicture *picture = &f->pictures[f->pictured++];
      picture->conversation = i;
      TRY(feed->digest(feed->state, i, &picture->digest));
    }
    progress_update(progress, (double)i + 1.0);
    TRY(interrupt_check());
  }
  return status_ok();
}

static int by_digest_then_place(const void *x, const void *y) {
  const CachedPicture *a = x, *b = y;
  int order = memcmp(a->digest.bytes, b->digest.bytes, DIGEST_SIZE);
  return order != 0 ? order : (a->conversation > b->conversation) - (a->conversation < b->conversation);
}

/* In the order of their digests, each once; every conversation is told its own. */
static void merge_pictures(Features *f) {
  CachedPicture *pictures = f->pictures;
  qsort(pictures, f->pictured, sizeof *pictures, by_digest_then_place);
  for (size_t i = 0; i < f->conversations; i++)
    f->place[i] = NONE;
  for (size_t i = 0; i < f->pictured; i++) {
    size_t last = f->picture_count;
    if (last == 0 || memcmp(&pictures[i].digest, &pictures[last - 1].digest, DIGEST_SIZE) != 0)
      pictures[f->picture_count++] = pictures[i];
    f->place[pictures[i].conversation] = f->picture_count - 1;
  }
}

/* A bar unless the plan is quiet: a zeroed one draws nothing. */
static void start_bar(Progress *progress, const FeaturesPlan *plan, const char *title, size_t total) {
  *progress = (Progress){0};
  if (!plan->quiet)
    progress_start(progress, title, (double)total);
}

static Status find_pictures(Features *f, const FeaturesPlan *plan) {
  Progress progress;
  f->conversations = plan->feed->count;
  f->place = malloc((f->conversations + 1) * sizeof *f->place);
  f->pictures = malloc((f->conversations + 1) * sizeof *f->pictures);
  if (!f->place || !f->pictures)
    return no_memory(f->conversations);
  start_bar(&progress, plan, "pictures", f->conversations);
  Status status = list_pictures(f, plan, &progress);
  progress_end(&progress);
  if (status.code == STATUS_OK)
    merge_pictures(f);
  return status;
}

/* ---- which file each is in ---- */

enum { MOST_PICTURES = 4096, USUAL_VIEWS = 5 };
static const size_t MOST_BYTES = (size_t)1 << 30; /* of a file, if pictures have the usual number of views */

static size_t most_pictures(const FeaturesPlan *plan) {
  size_t fit = MOST_BYTES / (USUAL_VIEWS * tower_view(&plan->store->model->config) * sizeof(uint16_t));
  size_t most = fit < MOST_PICTURES ? fit : MOST_PICTURES;
  return plan->most > 0 ? plan->most : most > 0 ? most : 1;
}

/* The leading bits of a digest. */
static uint64_t leading(Digest digest, unsigned bits) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++)
    value = value << 8 | digest.bytes[i];
  return bits > 0 ? value >> (64 - bits) : 0;
}

/* Files are told apart by as many leading bits as make them small enough on average. */
static Status divide_pictures(Features *f, const FeaturesPlan *plan) {
  unsigned bits = 0;
  while (f->picture_count >> bits > most_pictures(plan) && bits < 63)
    bits++;
  for (size_t i = 0; i < f->picture_count; i++)
    f->shard_count += i == 0 || leading(f->pictures[i].digest, bits) != leading(f->pictures[i - 1].digest, bits);
  f->shards = calloc(f->shard_count + 1, sizeof *f->shards);
  if (!f->shards)
    return no_memory(f->conversations);
  for (size_t i = 0, shard = 0; i < f->picture_count; i++) {
    if (i > 0 && leading(f->pictures[i].digest, bits) != leading(f->pictures[i - 1].digest, bits))
      shard++;
    if (f->shards[shard].count++ == 0)
      f->shards[shard].pictures = &f->pictures[i];
  }
  return status_ok();
}

static Status name_shards(Features *f, const FeaturesPlan *plan) {
  Digest tower;
  TRY(vision_digest(plan->store, &tower));
  for (size_t i = 0; i < f->shard_count; i++)
    TRY(shard_name(&f->shards[i], plan->store, tower, plan->folder));
  return status_ok();
}

/* ---- who computes what is missing ---- */

typedef struct Work {
  Features *features;
  const FeaturesPlan *plan;
  Tower tower;
  int lock; /* the folder's; -1: in memory */
  Progress progress;
  double done; /* pictures */
} Work;

static Status open_lock(Work *work) {
  const char *folder = work->plan->folder;
  work->lock = -1;
  if (!*folder)
    return status_ok();
  TRY(folder_create(folder));
  char *path = path_join(folder, "lock");
  if (!path)
    return status_error(STATUS_MEMORY, "not enough memory for the names of files in %s", folder);
  work->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  Status status = work->lock < 0 ? status_from_errno(STATUS_OUTPUT, "cannot write %s", path) : status_ok();
  free(path);
  return status;
}

/* The lock of one file: a byte of the folder's lock, which falls with the process that holds it. Two files of one byte
 * only wait for each other. */
static Status lock_shard(const Work *work, const Shard *shard, short type, bool *got) {
  struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
  range.l_start = (off_t)leading(shard->name, 32);
  *got = fcntl(work->lock, F_OFD_SETLK, &range) == 0;
  if (*got || errno == EAGAIN || errno == EACCES)
    return status_ok();
  return status_from_errno(STATUS_OUTPUT, "cannot lock the file `lock` in %s, by which processes share the folder",
                           work->plan->folder);
}

static Status compute_shard(Work *work, Shard *shard) {
  const FeaturesPlan *plan = work->plan;
  if (!work->tower.store)
    TRY(tower_open(&work->tower, plan->store));
  work->progress.done = work->done;
  TRY(shard_compute(shard, &work->tower, plan->feed, &work->progress));
  if (shard->path)
    TRY(shard_write(shard, &plan->store->model->config));
  work->features->computed += shard->count;
  return status_ok();
}

/* Once more from its file, which another process may have finished meanwhile, else compute it. */
static Status finish_locked(Work *work, Shard *shard) {
  TRY(shard_map(shard, &work->plan->store->model->config));
  return shard->ready ? status_ok() : compute_shard(work, shard);
}

/* A shard that another process works on stays as it is. */
static Status finish_shard(Work *work, Shard *shard) {
  bool got;
  if (!shard->path)
    return compute_shard(work, shard);
  TRY(lock_shard(work, shard, F_WRLCK, &got));
  if (!got)
    return status_ok();
  Status status = finish_locked(work, shard), unlocked = lock_shard(work, shard, F_UNLCK, &got);
  return status.code != STATUS_OK ? status : unlocked;
}

static Status work_through(Work *work, size_t missing) {
  Features *f = work->features;
  static const struct timespec nap = {.tv_nsec = 20 * 1000 * 1000};
  while (missing > 0) {
    size_t before = missing;
    for (size_t i = 0; i < f->shard_count; i++) {
      Shard *shard = &f->shards[i];
      if (shard->ready)
        continue;
      TRY(interrupt_check());
      TRY(finish_shard(work, shard));
      if (shard->ready) {
        missing--;
        work->done += (double)shard->count;
      }
    }
    if (missing == before) /* all that is left is in other processes' hands */
      nanosleep(&nap, NULL);
  }
  return status_ok();
}

static Status compute_missing(Features *f, const FeaturesPlan *plan, size_t missing, size_t pictures) {
  Work work = {.features = f, .plan = plan};
  Status status = open_lock(&work);
  start_bar(&work.progress, plan, "features", pictures);
  if (status.code == STATUS_OK)
    status = work_through(&work, missing);
  progress_end(&work.progress);
  tower_close(&work.tower);
  if (work.lock >= 0)
    close(work.lock);
  return status;
}

static Status fill_shards(Features *f, const FeaturesPlan *plan) {
  size_t missing = 0, pictures = 0;
  for (size_t i = 0; i < f->shard_count; i++) {
    Shard *shard = &f->shards[i];
    if (shard->path)
      TRY(shard_map(shard, &plan->store->model->config));
    missing += !shard->ready;
    pictures += shard->ready ? 0 : shard->count;
  }
  return missing > 0 ? compute_missing(f, plan, missing, pictures) : status_ok();
}

/* ---- the whole ---- */

static Status open_all(Features *f, const FeaturesPlan *plan) {
  f->patches = config_patches(&plan->store->model->config);
  f->width = plan->store->model->config.vision.width;
  TRY(find_pictures(f, plan));
  TRY(divide_pictures(f, plan));
  TRY(name_shards(f, plan));
  return fill_shards(f, plan);
}

Status features_open(Features **features, const FeaturesPlan *plan) {
  Features *f = *features = calloc(1, sizeof *f);
  if (!f)
    return no_memory(plan->feed->count);
  Status status = open_all(f, plan);
  if (status.code != STATUS_OK) {
    features_close(f);
    *features = NULL;
  }
  return status;
}

void features_close(Features *features) {
  if (!features)
    return;
  for (size_t i = 0; features->shards && i < features->shard_count; i++)
    shard_free(&features->shards[i]);
  free(features->shards);
  free(features->pictures);
  free(features->place);
  free(features);
}

size_t features_most_bytes(const ModelConfig *config, size_t pictures) {
  size_t tiles = config->switches.slicing_paper ? 6 * 6 : 6 + 1; /* slice.h */
  return pictures * (1 + tiles) * tower_view(config) * sizeof(uint16_t);
}

/* ---- asking ---- */

static const CachedPicture *picture_of(const Features *f, size_t index) {
  REQUIRE(index < f->conversations, "conversation %zu of %zu", index, f->conversations);
  return f->place[index] == NONE ? NULL : &f->pictures[f->place[index]];
}

TileGrid features_grid(const Features *features, size_t index) {
  const CachedPicture *picture = picture_of(features, index);
  return picture ? picture->grid : (TileGrid){0};
}

Tensor features_view(const Features *features, size_t index, size_t view) {
  const CachedPicture *picture = picture_of(features, index);
  REQUIRE(picture, "conversation %zu has no picture", index);
  REQUIRE(view <= picture->grid.columns * picture->grid.rows, "view %zu of a picture of %zu x %zu tiles", view,
          picture->grid.columns, picture->grid.rows);
  const uint16_t *numbers = picture->features + view * features->patches * features->width;
  return tensor_2((void *)numbers, DTYPE_F16, features->patches, features->width);
}

FeaturesReport features_report(const Features *f) {
  FeaturesReport report = {
      .pictures = f->picture_count, .shared = f->pictured - f->picture_count, .computed = f->computed};
  for (size_t i = 0; i < f->picture_count; i++)
    report.views += 1 + f->pictures[i].grid.columns * f->pictures[i].grid.rows;
  for (size_t i = 0; i < f->shard_count; i++)
    report.files += f->shards[i].path != NULL;
  return report;
}
