/* test_features.c: the cache of CLIP features against the tower itself, and through whatever may happen to its files.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>

#include "c.h"
#include "feature_cache.h"
#include "files.h"
#include "load.h"
#include "picture.h"
#include "runs.h"
#include "safetensors.h"
#include "scratch.h"

TestSuite(features, .init = scratch_make, .fini = scratch_remove);

/* ---- a tower, and a feed that is made up ---- */

typedef struct World {
  Ops ops;
  Model model;
  Store store;
} World;

static ModelConfig tiny(bool paper) {
  ModelConfig config;
  assert_ok(config_preset("tiny", &config));
  config.switches.slicing_paper = paper;
  return config;
}

static void begin_as(World *w, Dtype real, int threads, const ModelConfig *config) {
  *w = (World){0};
  assert_ok(c_open(&w->ops, real, threads));
  assert_ok(model_alloc(&w->model, config));
  assert_ok(store_random(&w->store, &w->ops, &w->model, 0.2, 5));
}

static void begin(World *w, Dtype real, int threads, bool paper) {
  ModelConfig config = tiny(paper);
  begin_as(w, real, threads, &config);
}

static void end(World *w) {
  store_free(&w->store);
  model_free(&w->model);
  c_close(&w->ops);
}

/* Conversation i is about picture which[i]; -1: about none. */
typedef struct Album {
  int which[64];
  size_t count;
  size_t asked;          /* pictures handed out so far */
  size_t interrupt, die; /* after so many: raise SIGINT, SIGKILL; 0: never */
} Album;

/* Picture k: its size and pixels follow from k. */
static Status make_picture(int k, Image *image) {
  TRY(image_new(image, 30 + 17 * (size_t)(k % 5), 40 + 23 * (size_t)(k % 3)));
  for (size_t i = 0; i < 3 * image->width * image->height; i++)
    image->pixels[i] = (unsigned char)(i * (size_t)(k + 3) * 7 + (i >> 3) * 5 + (size_t)k);
  return status_ok();
}

static Status album_picture(void *of, size_t index, Image *image) {
  Album *album = of;
  cr_assert_geq(album->which[index], 0, "conversation %zu has no picture", index);
  album->asked++;
  if (album->interrupt == album->asked)
    raise(SIGINT);
  if (album->die == album->asked)
    raise(SIGKILL);
  return make_picture(album->which[index], image);
}

static Status album_digest(void *of, size_t index, Digest *digest) {
  const Album *album = of;
  *digest = digest_of(&album->which[index], sizeof album->which[index]);
  return status_ok();
}

static Status album_pictured(void *of, size_t index, bool *pictured) {
  const Album *album = of;
  *pictured = album->which[index] >= 0;
  return status_ok();
}

static Album album_of(const int *which, size_t count) {
  Album album = {.count = count};
  memcpy(album.which, which, count * sizeof *which);
  return album;
}

static Feed feed_of(Album *album) {
  return (Feed){.state = album,
                .count = album->count,
                .pictured = album_pictured,
                .picture = album_picture,
                .digest = album_digest};
}

static const int some[] = {4, -1, 0, 7, 4, 2, -1, 9, 0, 5, 11};
enum { SOME = sizeof some / sizeof *some, DIFFERENT = 7 };

/* The feed's features in a folder of the scratch folder ("": in memory), `most` pictures in a file. */
static Status open_features(Features **features, const World *w, Album *album, const char *folder, size_t most) {
  Feed feed = feed_of(album);
  char path[512];
  snprintf(path, sizeof path, "%s", *folder ? scratch_path(folder) : "");
  const FeaturesPlan plan = {.store = &w->store, .feed = &feed, .folder = path, .most = most, .quiet = true};
  return features_open(features, &plan);
}

static Features *must_open(const World *w, Album *album, const char *folder, size_t most) {
  Features *features;
  assert_ok(open_features(&features, w, album, folder, most));
  return features;
}

static size_t views_of(const Features *f, size_t i) {
  TileGrid grid = features_grid(f, i);
  return 1 + grid.columns * grid.rows;
}

static void expect_same(const Features *a, const Features *b, const Album *album) {
  for (size_t i = 0; i < album->count; i++) {
    TileGrid ours = features_grid(a, i), theirs = features_grid(b, i);
    cr_assert(ours.columns == theirs.columns && ours.rows == theirs.rows, "conversation %zu", i);
    for (size_t v = 0; album->which[i] >= 0 && v < views_of(a, i); v++) {
      Tensor x = features_view(a, i, v), y = features_view(b, i, v);
      cr_assert(tensor_same(x, y));
      cr_assert_arr_eq(x.data, y.data, tensor_bytes(x), "conversation %zu, view %zu", i, v);
    }
  }
}

/* The names and bytes of all cached files of a folder, whatever the order. */
typedef struct Listing {
  size_t files, others;
  Digest all; /* the files' digests, combined so that order does not matter */
} Listing;

static Listing list(const char *folder) {
  Listing listing = {0};
  DIR *stream = opendir(scratch_path(folder));
  for (struct dirent *entry; stream && (entry = readdir(stream));) {
    const char *dot = strrchr(entry->d_name, '.');
    unsigned char *bytes;
    size_t size;
    char path[1024];
    if (!dot || strcmp(dot, ".safetensors") != 0) {
      listing.others += entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0;
      continue;
    }
    snprintf(path, sizeof path, "%s/%s", scratch_path(folder), entry->d_name);
    assert_ok(file_read(path, SIZE_MAX / 2, &bytes, &size));
    Digest digest = digest_add(digest_of(entry->d_name, strlen(entry->d_name)), bytes, size);
    for (size_t i = 0; i < DIGEST_SIZE; i++)
      listing.all.bytes[i] ^= digest.bytes[i];
    listing.files++;
    free(bytes);
  }
  if (stream)
    closedir(stream);
  return listing;
}

static bool same_listing(Listing a, Listing b) {
  return a.files == b.files && a.others == 0 && b.others == 0 && memcmp(&a.all, &b.all, sizeof a.all) == 0;
}

/* The only cached file of a folder. */
static const char *only_file(const char *folder) {
  static char path[1024];
  DIR *stream = opendir(scratch_path(folder));
  cr_assert_not_null(stream);
  path[0] = '\0';
  for (struct dirent *entry; (entry = readdir(stream));)
    if (strstr(entry->d_name, ".safetensors"))
      snprintf(path, sizeof path, "%s/%s", scratch_path(folder), entry->d_name);
  closedir(stream);
  cr_assert_neq(path[0], '\0');
  return path;
}

/* ---- against the tower ---- */

/* Pictures of SOME in the order of their digests, as the cache takes them: conversations that have them. */
static size_t in_order(Album *album, size_t order[SOME]) {
  size_t count = 0;
  for (size_t i = 0; i < album->count; i++) {
    Digest digest, other;
    size_t at = count;
    if (album->which[i] < 0)
      continue;
    album_digest(album, i, &digest);
    for (bool seen = false; at > 0 && !seen; at -= !seen) {
      album_digest(album, order[at - 1], &other);
      int sign = memcmp(&digest, &other, sizeof digest);
      if (sign == 0)
        at = SIZE_MAX;
      seen = sign >= 0;
    }
    if (at >= count + 1)
      continue;
    memmove(&order[at + 1], &order[at], (count - at) * sizeof *order);
    order[at] = i;
    count++;
  }
  return count;
}

/* vision_fwd of these views, straight. */
static void run_tower(const World *w, void *views, size_t count, double *features) {
  SlimeTape tape;
  Run run;
  const ModelConfig *config = &w->model.config;
  size_t side = config->vision.picture, numbers = count * config_patches(config) * config->vision.width;
  Tensor pictures = tensor_make(views, w->ops.real, 4, (const size_t[]){count, 3, side, side});
  assert_ok(slime_tape_alloc(&tape, config));
  assert_ok(run_alloc(&run, &w->ops, (size_t)64 << 20));
  Tensor x = vision_fwd(&run, &w->model, pictures, &tape.vision);
  cr_assert_eq(tensor_count(x), numbers);
  for (size_t i = 0; i < numbers; i++)
    features[i] = tensor_get(tensor_1(x.data, w->ops.real, numbers), i);
  run_free(&run);
  slime_tape_free(&tape);
}

/* All views of the pictures in this order, sliced as the model says. Returns how many. */
static size_t make_views(const World *w, const Album *album, const size_t *order, size_t count, unsigned char *views,
                         TileGrid *grids) {
  Slicing slicing = picture_slicing(&w->model.config);
  size_t made = 0, bytes = 3 * slicing.tile * slicing.tile * dtype_bits(w->ops.real) / 8;
  for (size_t k = 0; k < count; k++) {
    Image image;
    Slices slices;
    assert_ok(make_picture(album->which[order[k]], &image));
    assert_ok(slice_image(&slicing, image, &slices));
    assert_ok(picture_views(&w->ops, &slices, 0, slices.count, views + made * bytes));
    made += slices.count;
    grids[k] = slices.grid;
    slices_free(&slices);
    image_free(&image);
  }
  return made;
}

/* Bit for bit the tower's own features, rounded to F16: the same batches give the same bytes. */
static void expect_tower(const World *w, Album *album, const Features *features) {
  size_t order[SOME], count = in_order(album, order), side = w->model.config.vision.picture;
  size_t numbers = config_patches(&w->model.config) * w->model.config.vision.width, first = 0;
  size_t bytes = 3 * side * side * dtype_bits(w->ops.real) / 8;
  TileGrid grids[SOME];
  unsigned char *views = malloc(40 * SOME * bytes);
  double *expected = malloc(40 * SOME * numbers * sizeof *expected);
  cr_assert_eq(count, (size_t)DIFFERENT);
  size_t made = make_views(w, album, order, count, views, grids);
  for (size_t at = 0; at < made; at += 32)
    run_tower(w, views + at * bytes, made - at < 32 ? made - at : 32, expected + at * numbers);
  for (size_t k = 0; k < count; k++) {
    TileGrid grid = features_grid(features, order[k]);
    cr_assert(grid.columns == grids[k].columns && grid.rows == grids[k].rows);
    for (size_t v = 0; v < 1 + grid.columns * grid.rows; v++, first++) {
      Tensor x = features_view(features, order[k], v);
      for (size_t i = 0; i < numbers; i++)
        cr_assert_eq(((const uint16_t *)x.data)[i], f16_from_float((float)expected[first * numbers + i]),
                     "conversation %zu, view %zu, number %zu", order[k], v, i);
    }
  }
  cr_expect_eq(first, made);
  cr_expect_gt(made, 32, "more than one batch");
  free(views);
  free(expected);
}

Test(features, are_the_tower_s_in_memory_in_files_and_read_back) {
  for (int kind = 0; kind < 4; kind++) {
    World w;
    Album album = album_of(some, SOME);
    begin(&w, kind & 1 ? DTYPE_F64 : DTYPE_F32, 1, kind & 2);
    const char *folder = kind & 1 ? kind & 2 ? "d2" : "d1" : kind & 2 ? "f2" : "f1";
    Features *memory = must_open(&w, &album, "", 0), *written = must_open(&w, &album, folder, 0);
    Features *mapped = must_open(&w, &album, folder, 0);
    expect_tower(&w, &album, memory);
    expect_same(memory, written, &album);
    expect_same(memory, mapped, &album);
    cr_expect_eq(features_report(memory).files, 0);
    cr_expect_eq(features_report(memory).shared, 2);
    cr_expect_eq(features_report(written).computed, (size_t)DIFFERENT);
    cr_expect_eq(features_report(mapped).computed, 0);
    cr_expect_eq(features_report(mapped).pictures, (size_t)DIFFERENT);
    cr_expect_eq(list(folder).files, 1);
    features_close(memory);
    features_close(written);
    features_close(mapped);
    end(&w);
  }
}

/* One view alone: other batches may round otherwise in the reals, hence now and then by one unit of F16. */
Test(features, do_not_depend_on_the_batch_beyond_rounding) {
  World w;
  Album album = album_of(some, SOME), alone = album_of((const int[]){9}, 1);
  begin(&w, DTYPE_F32, 1, false);
  Features *all = must_open(&w, &album, "", 0), *one = must_open(&w, &alone, "", 0);
  for (size_t v = 0; v < views_of(one, 0); v++) {
    Tensor x = features_view(all, 7, v), y = features_view(one, 0, v);
    for (size_t i = 0; i < tensor_count(x); i++)
      expect_within(fabs(tensor_get(x, i) - tensor_get(y, i)), 0x1p-10 * fabs(tensor_get(y, i)) + 1e-6, "%zu", i);
  }
  features_close(all);
  features_close(one);
  end(&w);
}

Test(features, are_the_same_for_any_number_of_threads) {
  Album album = album_of(some, SOME);
  World one, three;
  begin(&one, DTYPE_F32, 1, false);
  begin(&three, DTYPE_F32, 3, false);
  Features *a = must_open(&one, &album, "one", 2), *b = must_open(&three, &album, "three", 2);
  expect_same(a, b, &album);
  cr_expect(same_listing(list("one"), list("three")));
  features_close(a);
  features_close(b);
  end(&one);
  end(&three);
}

/* ---- which pictures, which files ---- */

Test(features, of_a_shared_picture_are_computed_once) {
  World w;
  Album album = album_of(some, SOME);
  begin(&w, DTYPE_F32, 1, false);
  Features *features = must_open(&w, &album, "", 0);
  cr_expect_eq(album.asked, (size_t)DIFFERENT);
  cr_expect_eq(features_view(features, 0, 0).data, features_view(features, 4, 0).data);
  cr_expect_neq(features_view(features, 0, 0).data, features_view(features, 3, 0).data);
  cr_expect_eq(features_grid(features, 1).columns, 0);
  cr_expect_eq(features_grid(features, 1).rows, 0);
  features_close(features);
  end(&w);
}

Test(features, do_not_depend_on_the_order_of_conversations) {
  static const int other[] = {11, 5, 0, 9, -1, 2, 4, 7, 7, 7};
  World w;
  Album album = album_of(some, SOME), turned = album_of(other, sizeof other / sizeof *other);
  begin(&w, DTYPE_F32, 1, false);
  Features *a = must_open(&w, &album, "a", 2), *again = must_open(&w, &turned, "a", 2);
  Features *b = must_open(&w, &turned, "b", 2);
  cr_expect_eq(features_report(again).computed, 0);
  cr_expect(same_listing(list("a"), list("b")));
  cr_expect_gt(list("a").files, 1);
  cr_expect_eq(features_report(a).files, list("a").files);
  expect_same(again, b, &turned);
  features_close(a);
  features_close(again);
  features_close(b);
  end(&w);
}

/* A picture more is in one file; the others stay as they are. */
Test(features, of_one_more_picture_make_one_new_file) {
  int many[33];
  World w;
  for (int i = 0; i < 33; i++)
    many[i] = i;
  Album before = album_of(many, 32), after = album_of(many, 33);
  begin(&w, DTYPE_F32, 1, false);
  Features *features = must_open(&w, &before, "cache", 4);
  size_t files = list("cache").files;
  features_close(features);
  features = must_open(&w, &after, "cache", 5);
  size_t computed = features_report(features).computed;
  cr_expect(files >= 4 && files <= 8, "%zu", files);
  cr_expect_eq(list("cache").files, files + 1);
  cr_expect(computed >= 1 && computed < 16, "%zu", computed);
  features_close(features);
  end(&w);
}

Test(features, of_no_pictures_at_all) {
  World w;
  Album none = album_of((const int[]){-1, -1, -1}, 3), nobody = {0};
  begin(&w, DTYPE_F32, 1, false);
  Features *features = must_open(&w, &none, "cache", 0);
  for (size_t i = 0; i < 3; i++)
    cr_expect_eq(features_grid(features, i).columns, 0);
  cr_expect_eq(features_report(features).pictures, 0);
  features_close(features);
  features = must_open(&w, &nobody, "", 0);
  features_close(features);
  cr_expect_eq(scratch_count(), 0, "not even a folder");
  features_close(NULL);
  end(&w);
}

/* ---- digests ---- */

static Digest tower_digest(const World *w) {
  Digest digest;
  assert_ok(vision_digest(&w->store, &digest));
  return digest;
}

static bool equal(Digest a, Digest b) {
  return memcmp(&a, &b, sizeof a) == 0;
}

/* Nudge number i of a parameter and take it back: does the digest see it? */
static bool sees(World *w, Tensor parameter, size_t i) {
  Digest before = tower_digest(w);
  float *value = (float *)parameter.data + i, kept = *value;
  *value = nextafterf(kept, 9.0F);
  bool seen = !equal(before, tower_digest(w));
  *value = kept;
  cr_assert(equal(before, tower_digest(w)));
  return seen;
}

typedef struct Nudging {
  World *w;
  size_t vision;
} Nudging;

static void nudge(void *of, const Entry *entry) {
  Nudging *nudging = of;
  bool vision = entry->group == GROUP_VISION;
  Tensor w = entry->parameter->w;
  cr_expect_eq(sees(nudging->w, w, tensor_count(w) - 1), vision, "%s", entry->name);
  nudging->vision += vision;
}

Test(features, digests_see_every_parameter_of_the_tower_and_no_other) {
  World w;
  Nudging nudging = {.w = &w};
  ModelConfig config = tiny(false);
  config.vision.mlp = 150; /* more numbers in a matrix than are digested at once */
  begin_as(&w, DTYPE_F32, 1, &config);
  model_walk(&w.model, nudge, &nudging);
  cr_expect_eq(nudging.vision, 5 + 3 * 16 + 2);
  end(&w);
}

Test(features, digests_see_the_configuration_and_not_the_type) {
  World w, wide;
  begin(&w, DTYPE_F32, 1, false);
  begin(&wide, DTYPE_F64, 1, true);
  Digest digest = tower_digest(&w);
  VisionConfig *c = &w.model.config.vision;
  cr_expect(equal(digest, tower_digest(&wide)), "weights that a float holds are the same in double");
  c->quick = !c->quick;
  cr_expect(!equal(digest, tower_digest(&w)));
  c->quick = !c->quick;
  c->used--;
  cr_expect(!equal(digest, tower_digest(&w)));
  c->used++;
  c->epsilon *= 2;
  cr_expect(!equal(digest, tower_digest(&w)));
  c->epsilon /= 2;
  cr_expect(equal(digest, tower_digest(&w)));
  end(&w);
  end(&wide);
}

/* Weights that stay in their file as BF16 are the same tower as the floats that they stand for. */
Test(features, digests_are_of_values_however_they_are_kept) {
  World made, kept = {0}, converted = {0};
  Checkpoint checkpoint = {0};
  begin(&made, DTYPE_F32, 1, false);
  assert_ok(store_save(&made.store, scratch_path("narrow"), DTYPE_BF16));
  assert_ok(checkpoint_add(&checkpoint, scratch_path("narrow")));
  for (int i = 0; i < 2; i++) {
    World *w = i ? &kept : &converted;
    assert_ok(c_open(&w->ops, i ? DTYPE_F32 : DTYPE_F64, 1));
    assert_ok(model_alloc(&w->model, &made.model.config));
    assert_ok(store_load(&w->store, &w->ops, &w->model, &checkpoint, i ? 1 << GROUP_VISION : 0, (Fresh){0}));
  }
  cr_assert_eq(kept.model.vision.layers[0].fc1.w.w.dtype, DTYPE_BF16);
  cr_expect(equal(tower_digest(&kept), tower_digest(&converted)));
  cr_expect(!equal(tower_digest(&kept), tower_digest(&made)), "rounding changes values");
  end(&made);
  end(&kept);
  end(&converted);
  checkpoint_close(&checkpoint);
}

/* Each change makes another file beside the first; taken back, nothing is computed. */
static void expect_files(const World *w, Album *album, size_t files, size_t computed) {
  Features *features = must_open(w, album, "cache", 0);
  cr_expect_eq(list("cache").files, files, "%zu files, not %zu", list("cache").files, files);
  cr_expect_eq(features_report(features).computed, computed);
  features_close(features);
}

Test(features, are_computed_again_when_what_made_them_changes) {
  World w, paper, wide;
  Album album = album_of(some, SOME), other = album;
  begin(&w, DTYPE_F32, 1, false);
  begin(&paper, DTYPE_F32, 1, true);
  begin(&wide, DTYPE_F64, 1, false);
  expect_files(&w, &album, 1, DIFFERENT);
  expect_files(&paper, &album, 2, DIFFERENT);
  expect_files(&wide, &album, 3, DIFFERENT);
  other.which[3] = 8;
  expect_files(&w, &other, 4, DIFFERENT);
  float *weight = w.model.vision.layers[0].fc1.w.w.data;
  weight[3] += 0.125F;
  expect_files(&w, &album, 5, DIFFERENT);
  weight[3] -= 0.125F;
  w.model.adapter.fc1.w.w.data =
      memset(w.model.adapter.fc1.w.w.data, 0, 16); /* what is not the tower's does not count */
  expect_files(&w, &album, 5, 0);
  expect_files(&paper, &album, 5, 0);
  expect_files(&w, &other, 5, 0);
  end(&w);
  end(&paper);
  end(&wide);
}

/* ---- numbers and pictures that are not as they should be ---- */

Test(features, beyond_what_f16_holds_are_refused) {
  World w;
  Album album = album_of(some, SOME);
  Features *features;
  begin(&w, DTYPE_F32, 1, false);
  VisionLayer *last = &w.model.vision.layers[w.model.config.vision.used - 1];
  float *bias = last->fc2.b.w.data;
  bias[1] = 65400.0F;
  features_close(must_open(&w, &album, "", 0));
  bias[1] = 65600.0F;
  expect_refused(open_features(&features, &w, &album, "cache", 0), STATUS_NUMERICS, "the picture of conversation ");
  cr_expect_null(features);
  bias[1] = NAN;
  expect_refused(open_features(&features, &w, &album, "cache", 0), STATUS_NUMERICS, "not numbers");
  cr_expect_eq(list("cache").files + list("cache").others, 0);
  end(&w);
}

/* The two largest of each picture's values in one channel, over all views. */
typedef struct Peaks {
  double top, second;
  size_t picture, view; /* of the top */
} Peaks;

static Peaks peaks_of(const Features *features, size_t count, size_t channel) {
  Peaks peaks = {.top = -INFINITY, .second = -INFINITY};
  for (size_t i = 0; i < count; i++)
    for (size_t v = 0; v < views_of(features, i); v++) {
      Tensor x = features_view(features, i, v);
      double most = -INFINITY;
      for (size_t k = channel; k < tensor_count(x); k += x.size[1])
        most = fmax(most, tensor_get(x, k));
      peaks.second = fmax(peaks.second, fmin(most, peaks.top));
      if (most > peaks.top)
        peaks = (Peaks){most, fmax(peaks.second, peaks.top), i, v};
    }
  return peaks;
}

/* The error names the picture of the one view that is beyond: whichever view that is, in whichever batch. */
Test(features, that_are_refused_name_their_picture) {
  enum { COUNT = 20 };
  int many[COUNT];
  World w;
  size_t globals = 0, locals = 0;
  for (int i = 0; i < COUNT; i++)
    many[i] = i;
  Album album = album_of(many, COUNT);
  begin(&w, DTYPE_F32, 1, false);
  Features *features = must_open(&w, &album, "", 0), *none;
  float *bias = w.model.vision.layers[w.model.config.vision.used - 1].fc2.b.w.data;
  for (size_t channel = 0; channel < 32; channel++) {
    Peaks peaks = peaks_of(features, COUNT, channel);
    float kept = bias[channel];
    char expected[64];
    if (peaks.top - peaks.second < 0.02) /* floats at 65504 are 0.004 apart */
      continue;
    globals += peaks.view == 0;
    locals += peaks.view > 0;
    bias[channel] += (float)(65504.0 - (peaks.top + peaks.second) / 2);
    snprintf(expected, sizeof expected, "the picture of conversation %zu: ", peaks.picture);
    expect_refused(open_features(&none, &w, &album, "", 0), STATUS_NUMERICS, expected);
    bias[channel] = kept;
  }
  cr_expect(globals >= 2 && locals >= 2, "%zu and %zu", globals, locals);
  features_close(features);
  end(&w);
}

#define TALK                                                                                                           \
  "\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\nWhat?\"},{\"from\":\"gpt\",\"value\":\"This.\"}]"

static Status open_of_files(Features **features, const World *w, const char *json) {
  Tokenizer *tokenizer;
  Feed feed;
  assert_ok(tokenizer_open(&tokenizer, SEESAW_FIXTURES "/tokenizer/pieces", NULL));
  const FeedFilesPlan of = {scratch_text("data.json", json), SEESAW_FIXTURES "/pictures", tokenizer, TEMPLATE_V1, 2048};
  assert_ok(feed_files_open(&feed, &of));
  const FeaturesPlan plan = {.store = &w->store, .feed = &feed, .folder = scratch_path("cache")};
  Status status = features_open(features, &plan);
  feed_files_close(&feed);
  tokenizer_close(tokenizer);
  return status;
}

Test(features, of_files_and_their_errors) {
  World w;
  Features *features;
  begin(&w, DTYPE_F32, 1, false);
  assert_ok(open_of_files(&features, &w,
                          "[{\"image\":\"rgb_8.png\"," TALK "},{" TALK "},{\"image\":\"cmyk.jpg\"," TALK "},"
                          "{\"image\":\"./rgb_8.png\"," TALK "}]"));
  cr_expect_eq(features_report(features).pictures, 2);
  cr_expect_eq(features_report(features).shared, 1);
  cr_expect_eq(features_view(features, 0, 1).data, features_view(features, 3, 1).data);
  cr_expect_eq(features_grid(features, 1).rows, 0);
  features_close(features);
  expect_refused(open_of_files(&features, &w, "[{\"id\":\"p\",\"image\":\"none.jpg\"," TALK "}]"), STATUS_INPUT,
                 "data.json: record 0 ('p'): ");
  expect_refused(open_of_files(&features, &w, "[{\"id\":\"q\",\"image\":\"bad_truncated.jpg\"," TALK "}]"),
                 STATUS_INPUT, "data.json: record 0 ('q'): ");
  cr_expect_null(features);
  cr_expect_eq(list("cache").files, 1);
  end(&w);
}

/* ---- files that are damaged, or others' ---- */

static void expect_damaged(const World *w, Album *album, const char *path, const char *part) {
  Features *features;
  Status status = open_features(&features, w, album, "cache", 0);
  cr_assert_eq(status.code, STATUS_INPUT, "%s", part);
  cr_expect_null(features);
  expect_contains(status.message, path);
  expect_contains(status.message, "it is safe to delete it");
  expect_contains(status.message, part);
}

/* Every byte of the header, changed in one bit: refused, or without consequence (a blank that becomes another). */
Test(features, of_a_damaged_file_are_refused) {
  World w;
  Album album = album_of(some, SOME);
  char path[1024];
  unsigned char *bytes;
  size_t size, let_pass = 0;
  begin(&w, DTYPE_F32, 1, false);
  Features *memory = must_open(&w, &album, "", 0), *features = must_open(&w, &album, "cache", 0);
  features_close(features);
  snprintf(path, sizeof path, "%s", only_file("cache"));
  assert_ok(file_read(path, SIZE_MAX / 2, &bytes, &size));
  size_t header = 8 + bytes[0] + 256u * bytes[1], grids = 2 * DIFFERENT * sizeof(int32_t);
  for (size_t i = 0; i < header + grids; i++) {
    bytes[i] ^= 1u << i % 7;
    FILE *stream = fopen(path, "wb");
    cr_assert_eq(fwrite(bytes, 1, size, stream), size);
    fclose(stream);
    Status status = open_features(&features, &w, &album, "cache", 0);
    if (status.code == STATUS_OK) {
      expect_same(memory, features, &album);
      let_pass++;
      features_close(features);
    } else {
      cr_expect_eq(status.code, STATUS_INPUT, "byte %zu", i);
      expect_contains(status.message, "it is safe to delete it");
      expect_contains(status.message, path);
    }
    bytes[i] ^= 1u << i % 7;
  }
  cr_expect_leq(let_pass, 8, "%zu", let_pass);
  FILE *stream = fopen(path, "wb");
  cr_assert_eq(fwrite(bytes, 1, size - 7, stream), size - 7);
  fclose(stream);
  expect_damaged(&w, &album, path, "safetensors: ");
  cr_assert_eq(truncate(path, 0), 0);
  expect_damaged(&w, &album, path, "safetensors: ");
  cr_assert_eq(unlink(path), 0);
  features = must_open(&w, &album, "cache", 0);
  expect_same(memory, features, &album);
  features_close(features);
  features_close(memory);
  free(bytes);
  end(&w);
}

/* A sound file of the right name: with other tensors, with another's features, with wrong grids. */
Test(features, of_a_foreign_file_are_refused) {
  World w;
  Album album = album_of(some, SOME), other = album_of((const int[]){3, 1}, 2);
  char right[1024], wrong[1024], command[2200];
  float number = 1;
  const NamedTensor odd = named_tensor("odd", tensor_1(&number, DTYPE_F32, 1));
  begin(&w, DTYPE_F32, 1, false);
  features_close(must_open(&w, &album, "cache", 0));
  features_close(must_open(&w, &other, "other", 0));
  snprintf(right, sizeof right, "%s", only_file("cache"));
  snprintf(wrong, sizeof wrong, "%s", only_file("other"));
  snprintf(command, sizeof command, "cp '%s' '%s'", wrong, right);
  cr_assert_eq(system(command), 0);
  expect_damaged(&w, &album, right, "its `pictures` must be ");
  assert_ok(safetensors_write(right, &odd, 1, NULL, 0, NULL));
  expect_damaged(&w, &album, right, "its `content` must be seesaw CLIP features 1");
  cr_assert_eq(unlink(right), 0);
  cr_assert_eq(mkdir(right, 0777), 0);
  expect_damaged(&w, &album, right, "safetensors");
  end(&w);
}

/* The right metadata over tensors that are not. */
static void write_changed(const char *path, int change) {
  TensorFile file;
  static int32_t grids[2 * DIFFERENT];
  char digits[2 * DIGEST_SIZE + 1];
  TextPair metadata[16];
  assert_ok(safetensors_open(&file, path));
  Tensor features = tensor_file_find(&file, "features")->tensor, was = tensor_file_find(&file, "grids")->tensor;
  memcpy(grids, was.data, sizeof grids);
  if (change == 0)
    features = tensor_rows(features, 0, features.size[0] - 16);
  if (change == 1)
    grids[5] = -1;
  if (change == 2)
    grids[2] += 1;
  size_t rows = change == 3 ? DIFFERENT - 1 : DIFFERENT;
  const NamedTensor tensors[] = {named_tensor("features", features),
                                 named_tensor("grids", tensor_2(grids, DTYPE_I32, rows, 2))};
  memcpy(metadata, file.metadata, file.metadata_count * sizeof *metadata);
  digest_print(digest_of(grids, sizeof grids), digits);
  for (size_t i = 0; i < file.metadata_count; i++)
    if (strcmp(metadata[i].key, "grids") == 0)
      metadata[i].value = digits;
  assert_ok(safetensors_write(path, tensors, 2, metadata, file.metadata_count, NULL));
  tensor_file_close(&file);
}

Test(features, with_tensors_that_do_not_fit_are_refused) {
  static const char *const said[] = {"its tensor `features` must be F16 (", "picture 2 has a grid of ",
                                     "its tensor `features` must be F16 (", "its tensor `grids` must be I32 (7, 2)"};
  World w;
  Album album = album_of(some, SOME);
  begin(&w, DTYPE_F32, 1, false);
  for (int change = 0; change < 4; change++) {
    char path[1024];
    features_close(must_open(&w, &album, "cache", 0));
    snprintf(path, sizeof path, "%s", only_file("cache"));
    write_changed(path, change);
    expect_damaged(&w, &album, path, said[change]);
    cr_assert_eq(unlink(path), 0);
  }
  end(&w);
}

/* ---- interrupted, killed, out of room ---- */

static World *shared_world;
static Album shared_album;

static void open_in_child(void) {
  Features *features;
  interrupt_watch();
  Status status = open_features(&features, shared_world, &shared_album, "cache", 1);
  printf("%d %s", (int)status.code, status.code == STATUS_OK ? "" : status.message);
  if (status.code == STATUS_OK)
    features_close(features);
}

/* As an undisturbed run leaves it. */
static Listing undisturbed(const World *w) {
  Album album = album_of(some, SOME);
  features_close(must_open(w, &album, "right", 1));
  return list("right");
}

static void expect_mended(const World *w, size_t at_least) {
  Album album = album_of(some, SOME);
  Listing right = undisturbed(w), left = list("cache");
  cr_expect(left.files >= at_least && left.files < right.files, "%zu of %zu files", left.files, right.files);
  Features *features = must_open(w, &album, "cache", 1), *memory = must_open(w, &album, "", 0);
  cr_expect(same_listing(right, list("cache")));
  cr_expect(features_report(features).computed < DIFFERENT && features_report(features).computed > 0);
  features_close(features);
  features_close(memory);
}

Test(features, keep_what_was_finished_when_interrupted) {
  World w;
  char text[600];
  begin(&w, DTYPE_F32, 1, false);
  shared_world = &w;
  shared_album = album_of(some, SOME);
  shared_album.interrupt = 5;
  int status = in_child(open_in_child, STDOUT_FILENO, text, sizeof text);
  cr_expect(WIFEXITED(status));
  expect_contains(text, "130 interrupted");
  cr_expect_eq(list("cache").others, 0);
  expect_mended(&w, 1);
  end(&w);
}

Test(features, keep_what_was_finished_when_killed) {
  World w;
  char text[600];
  begin(&w, DTYPE_F32, 1, false);
  shared_world = &w;
  shared_album = album_of(some, SOME);
  shared_album.die = 5;
  int status = in_child(open_in_child, STDOUT_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  expect_mended(&w, 1);
  end(&w);
}

/* What a process leaves that was killed while it wrote: the next one writes over it. */
Test(features, overwrite_a_side_file) {
  World w;
  Album album = album_of(some, SOME);
  char path[1024], side[1100];
  begin(&w, DTYPE_F32, 1, false);
  features_close(must_open(&w, &album, "cache", 0));
  Listing right = list("cache");
  snprintf(path, sizeof path, "%s", only_file("cache"));
  snprintf(side, sizeof side, "%s.partial", path);
  cr_assert_eq(rename(path, side), 0);
  cr_assert_eq(truncate(side, 99), 0);
  features_close(must_open(&w, &album, "cache", 0));
  cr_expect(same_listing(right, list("cache")));
  end(&w);
}

/* A disk that fills: nothing half is left, and room brings it all. */
static void open_on_a_full_disk(void) {
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, 4096}), 0);
  open_in_child();
}

Test(features, leave_nothing_half_on_a_full_disk) {
  World w;
  Album album = album_of(some, SOME);
  char text[600];
  begin(&w, DTYPE_F32, 1, false);
  shared_world = &w;
  shared_album = album;
  int status = in_child(open_on_a_full_disk, STDOUT_FILENO, text, sizeof text);
  cr_expect(WIFEXITED(status));
  expect_contains(text, "4 cannot write ");
  expect_contains(text, ".safetensors");
  cr_expect_eq(list("cache").files + list("cache").others, 0);
  features_close(must_open(&w, &album, "cache", 1));
  cr_expect(same_listing(undisturbed(&w), list("cache")));
  end(&w);
}

Test(features, where_nothing_can_be_written) {
  World w;
  Album album = album_of(some, SOME);
  Features *features;
  begin(&w, DTYPE_F32, 1, false);
  scratch_text("cache", "a file");
  expect_refused(open_features(&features, &w, &album, "cache", 0), STATUS_OUTPUT, "cache");
  cr_assert_eq(mkdir(scratch_path("locked"), 0777), 0);
  cr_assert_eq(mkdir(scratch_path("locked/lock"), 0777), 0);
  expect_refused(open_features(&features, &w, &album, "locked", 0), STATUS_OUTPUT, "locked/lock");
  cr_expect_null(features);
  end(&w);
}

/* Files that are there need no right to write. */
Test(features, are_read_from_a_folder_without_its_lock) {
  World w;
  Album album = album_of(some, SOME);
  begin(&w, DTYPE_F32, 1, false);
  features_close(must_open(&w, &album, "cache", 2));
  cr_assert_eq(unlink(scratch_path("cache/lock")), 0);
  features_close(must_open(&w, &album, "cache", 2));
  cr_expect_neq(access(scratch_path("cache/lock"), F_OK), 0);
  end(&w);
}

/* ---- several processes ---- */

enum { PROCESSES = 3 };

/* Each tells by its exit status how many pictures it computed. */
static pid_t start_process(const World *w, const int gate[2]) {
  pid_t child = fork();
  char go;
  if (child != 0)
    return child;
  Album album = album_of(some, SOME);
  Features *features;
  close(gate[1]);
  if (read(gate[0], &go, 1) != 0) /* until the parent closes its end: all at once */
    _exit(100);
  if (open_features(&features, w, &album, "cache", 1).code != STATUS_OK)
    _exit(101);
  int computed = (int)features_report(features).computed;
  features_close(features);
  _exit(computed);
}

Test(features, of_processes_at_once_are_the_same_files_computed_once) {
  World w;
  int gate[2], status, computed = 0;
  pid_t children[PROCESSES];
  begin(&w, DTYPE_F32, 1, false);
  for (int round = 0; round < 3; round++) {
    computed = 0;
    cr_assert_eq(pipe(gate), 0);
    for (int i = 0; i < PROCESSES; i++) {
      children[i] = start_process(&w, gate);
      cr_assert_gt(children[i], 0);
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < PROCESSES; i++) {
      cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
      cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= DIFFERENT, "exit status %d", WEXITSTATUS(status));
      computed += WEXITSTATUS(status);
    }
    cr_expect_eq(computed, round == 0 ? DIFFERENT : 0, "round %d: %d", round, computed);
  }
  cr_expect(same_listing(undisturbed(&w), list("cache")));
  end(&w);
}

/* ---- the caller's mistakes ---- */

static Features *shared_features;

static void ask_for_a_view_of_nothing(void) {
  features_view(shared_features, 1, 0);
}

static void ask_for_a_view_too_many(void) {
  features_view(shared_features, 0, views_of(shared_features, 0));
}

static void ask_beyond_the_feed(void) {
  features_grid(shared_features, SOME);
}

Test(features, that_are_not_there_are_the_caller_s_mistake) {
  static void (*const mistakes[])(void) = {ask_for_a_view_of_nothing, ask_for_a_view_too_many, ask_beyond_the_feed};
  static const char *const said[] = {"conversation 1 has no picture", "tiles", "conversation 11 of 11"};
  World w;
  Album album = album_of(some, SOME);
  char text[600];
  begin(&w, DTYPE_F32, 1, false);
  shared_features = must_open(&w, &album, "", 0);
  for (int i = 0; i < 3; i++) {
    int status = in_child(mistakes[i], STDERR_FILENO, text, sizeof text);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    expect_contains(text, said[i]);
  }
  features_close(shared_features);
  end(&w);
}
