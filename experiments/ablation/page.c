/* page.c: asks the rows that are trained, draws, and writes the text last. */
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "json.h"
#include "page_draw.h"
#include "page_html.h"
#include "picture.h"
#include "progress.h"

/* ---- answers ---- */

/* What job_visit's callback works on. */
typedef struct AskVisit {
  Page *page;
  PageRow *row;
} AskVisit;

static Status ask_row(void *context, const Store *store, const SceneFeedPlan *scenes, const Features *features) {
  AskVisit *visit = context;
  ExamPlan plan = {.store = store, .scenes = scenes, .features = features, .views = visit->row->recipe->tested[0]};
  visit->page->scenes = *scenes;
  visit->row->config = store->model->config;
  visit->row->answers = calloc(visit->page->plan->examples * FAMILIES, sizeof *visit->row->answers);
  return visit->row->answers
             ? page_ask(&plan, visit->row->answers)
             : status_error(STATUS_MEMORY, "not enough memory for the answers of %s", visit->row->recipe->id);
}

/* Few scenes: their features are not worth a file. */
static Status ask_rows(Page *page, Progress *progress) {
  const PagePlan *plan = page->plan;
  Setting setting = *plan->setting;
  size_t trained = 0;
  setting.tests = plan->examples;
  setting.features = "";
  setting.quiet = true;
  for (size_t i = 0; i < plan->count; i++) {
    PageRow *row = &page->rows[i];
    AskVisit visit = {.page = page, .row = row};
    row->recipe = plan->recipes[i];
    TRY(job_visit(&setting, row->recipe, plan->seed, ask_row, &visit, &row->trained));
    trained += row->trained;
    progress_update(progress, (double)(i + 1));
  }
  return trained > 0
             ? status_ok()
             : status_error(STATUS_INPUT,
                            "none of the rows is trained with seed %llu and these options in %s; `seesaw ablate "
                            "%s` trains",
                            (unsigned long long)plan->seed, setting.folder, plan->recipes[0]->id);
}

/* ---- pictures ---- */

static Status write_picture(const PagePlan *plan, const char *name, Image image) {
  char *path = path_join(plan->folder, name);
  Status status = path ? image_write_png(path, image) : status_error(STATUS_MEMORY, "not enough memory for a path");
  free(path);
  return status;
}

static Status write_global(const PagePlan *plan, const char *name, const Slices *slices) {
  Image enlarged;
  TRY(page_enlarge(slices_view(slices, 0), PAGE_ENLARGED, &enlarged));
  Status status = write_picture(plan, name, enlarged);
  image_free(&enlarged);
  return status;
}

/* With the cells darkened that are not among keeps; NULL: none. */
static Status write_tiles(const PagePlan *plan, const char *name, Image image, const PageTiles *tiles, size_t side,
                          const bool *keeps) {
  Image enlarged;
  TRY(page_enlarge(image, tiles->factor, &enlarged));
  if (keeps)
    page_darken(enlarged, tiles, side, keeps);
  page_draw_tiles(enlarged, tiles);
  Status status = write_picture(plan, name, enlarged);
  image_free(&enlarged);
  return status;
}

/* The picture and its global view by one slicing rule. */
static Status write_views(const Page *page, size_t example, const Scene *scene, Image image, bool paper) {
  ModelConfig config = page->plan->setting->pair->config;
  config.switches.slicing_paper = paper;
  Slicing slicing = picture_slicing(&config);
  Slices slices;
  char name[PAGE_NAME];
  TRY(slice_image(&slicing, image, &slices));
  PageTiles tiles = {.config = &config, .scene = scene, .grid = slices.grid, .factor = PAGE_ENLARGED};
  Status status = write_tiles(page->plan, page_name_view(name, example, false, paper), image, &tiles, 0, NULL);
  if (status.code == STATUS_OK)
    status = write_global(page->plan, page_name_view(name, example, true, paper), &slices);
  slices_free(&slices);
  return status;
}

/* What a row kept, question by question. */
static Status write_kept(const Page *page, const PageRow *row, size_t example, const Scene *scene, Image image) {
  for (int family = 0; family < FAMILIES; family++) {
    const PageAnswer *answer = &row->answers[example * FAMILIES + (size_t)family];
    PageTiles tiles = {.config = &row->config, .scene = scene, .grid = answer->grid, .factor = PAGE_ENLARGED};
    char name[PAGE_NAME];
    TRY(write_tiles(page->plan, page_name_kept(name, example, row, (Family)family), image, &tiles, answer->side,
                    answer->keeps));
  }
  return status_ok();
}

static Status write_scene(const Page *page, size_t example) {
  Scene scene = scene_make(page->scenes.seed, page->scenes.split, example);
  Image image;
  TRY(scene_draw(&scene, &image));
  Status status = status_ok();
  for (int paper = 0; paper < 2 && status.code == STATUS_OK; paper++)
    if (page_slices(page, paper))
      status = write_views(page, example, &scene, image, paper);
  for (size_t i = 0; i < page->plan->count && status.code == STATUS_OK; i++)
    if (page_routes(&page->rows[i]))
      status = write_kept(page, &page->rows[i], example, &scene, image);
  image_free(&image);
  return status.code == STATUS_OK ? interrupt_check() : status;
}

/* ---- the page ---- */

static Status write_text(Page *page, const char *path) {
  const PagePlan *plan = page->plan;
  OutputFile file;
  page->origin = json_origin(plan->command, plan->seed);
  if (!page->origin)
    return status_error(STATUS_MEMORY, "not enough memory for the origin of %s", path);
  TRY(output_open(&file, path));
  page_html(page, file.stream);
  TRY(output_commit(&file));
  return origin_write(path, plan->command, plan->seed);
}

static Status write_files(Page *page, const char *path, Progress *progress) {
  const PagePlan *plan = page->plan;
  TRY(folder_create(plan->folder));
  if (access(path, F_OK) == 0 && unlink(path) != 0)
    return status_from_errno(STATUS_OUTPUT, "cannot remove %s, which is older", path);
  for (size_t i = 0; i < plan->examples; i++) {
    TRY(write_scene(page, i));
    progress_update(progress, (double)(plan->count + i + 1));
  }
  return write_text(page, path);
}

Status page_write(const PagePlan *plan) {
  Page page = {.plan = plan, .rows = calloc(plan->count + 1, sizeof *page.rows)};
  char *path = path_join(plan->folder, "index.html");
  Progress progress;
  progress_start(&progress, "page", (double)(plan->count + plan->examples));
  Status status = page.rows && path ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for a page");
  if (status.code == STATUS_OK)
    status = ask_rows(&page, &progress);
  if (status.code == STATUS_OK)
    status = write_files(&page, path, &progress);
  progress_end(&progress);
  for (size_t i = 0; page.rows && i < plan->count; i++)
    page_answers_free(page.rows[i].answers, plan->examples * FAMILIES);
  cJSON_Delete(page.origin);
  free(page.rows);
  free(path);
  return status;
}
