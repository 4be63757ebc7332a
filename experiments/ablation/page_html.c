/* page_html.c: HTML and CSS without scripts. */
#include "page_html.h"

#include <stdio.h>
#include <string.h>

#include "page_draw.h"
#include "rows.h"

/* ---- names ---- */

char *page_name_view(char *name, size_t example, bool global, bool paper) {
  snprintf(name, PAGE_NAME, "scene-%zu-%s%s.png", example, global ? "global" : "tiles", paper ? "-paper" : "");
  return name;
}

char *page_name_kept(char *name, size_t example, const PageRow *row, Family family) {
  snprintf(name, PAGE_NAME, "scene-%zu-%s-%s.png", example, row->recipe->id, family_name(family));
  return name;
}

static const char *title_of(const Recipe *recipe) {
  for (size_t i = 0; i < ablation_row_count; i++)
    if (strcmp(ablation_rows[i].id, recipe->id) == 0)
      return ablation_rows[i].name;
  return recipe->id;
}

/* ---- what the rows are ---- */

bool page_slices(const Page *page, bool paper) {
  for (size_t i = 0; i < page->plan->count; i++)
    if (page->rows[i].trained && page->rows[i].config.switches.slicing_paper == paper)
      return true;
  return false;
}

static bool shows_tiles(const PageRow *row) {
  return row->config.local != BRIDGE_NONE && row->recipe->tested[0] & VIEWS_LOCAL;
}

bool page_routes(const PageRow *row) {
  return row->trained && shows_tiles(row) && row->config.switches.gamma < 1.0;
}

/* ---- escaping ---- */

void html_text(FILE *stream, const char *text) {
  for (; *text; text++)
    switch (*text) {
    case '&':
      fputs("&amp;", stream);
      break;
    case '<':
      fputs("&lt;", stream);
      break;
    case '>':
      fputs("&gt;", stream);
      break;
    case '"':
      fputs("&quot;", stream);
      break;
    case '\'':
      fputs("&#39;", stream);
      break;
    default:
      fputc(*text, stream);
    }
}

/* <tag attributes>text</tag> */
static void element(FILE *stream, const char *tag, const char *attributes, const char *text) {
  fprintf(stream, "<%s%s%s>", tag, *attributes ? " " : "", attributes);
  html_text(stream, text);
  fprintf(stream, "</%s>", tag);
}

/* ---- the head ---- */

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Seesaw: example scenes</title>\n"
    "<style>\n"
    ":root { color-scheme: light dark; --text: #1b1b1b; --page: #fdfdfc; --line: #c9c9c4; --dim: #5c5c58;\n"
    "  --right: #11602c; --right-page: #e0f2e4; --wrong: #8f1d17; --wrong-page: #fbe6e3; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  :root { --text: #e8e8e4; --page: #161615; --line: #474743; --dim: #a9a9a3;\n"
    "    --right: #9fe0b0; --right-page: #16331e; --wrong: #ffb3ab; --wrong-page: #431c19; }\n}\n"
    "body { font: 1rem/1.45 system-ui, sans-serif; color: var(--text); background: var(--page);\n"
    "  max-width: 64rem; margin: 0 auto; padding: 1rem; }\n"
    "h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; }\n"
    "img { max-width: 100%; height: auto; image-rendering: pixelated; }\n"
    "figure { margin: 0; }\nfigcaption, dt, caption { color: var(--dim); font-size: .875rem; text-align: left; }\n"
    ".pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }\n"
    ".kept { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem; }\n"
    ".wide { overflow-x: auto; margin: 1rem 0; }\n"
    "table { border-collapse: collapse; }\n"
    "th, td { border: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }\n"
    "th:first-child { min-width: 9rem; font-weight: normal; }\n"
    ".right { color: var(--right); background: var(--right-page); }\n"
    ".wrong { color: var(--wrong); background: var(--wrong-page); }\n"
    "dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }\n"
    "dd { margin: 0; overflow-wrap: anywhere; }\n</style>\n</head>\n<body>\n";

static void write_origin(const cJSON *origin, FILE *stream) {
  const cJSON *field;
  fputs("<dl>\n", stream);
  cJSON_ArrayForEach(field, origin) {
    char *value = cJSON_IsString(field) ? NULL : cJSON_PrintUnformatted(field);
    element(stream, "dt", "", field->string);
    element(stream, "dd", "", cJSON_IsString(field) ? field->valuestring : value ? value : "");
    fputs("\n", stream);
    cJSON_free(value);
  }
  fputs("</dl>\n", stream);
}

static void write_missing(const Page *page, FILE *stream) {
  size_t missing = 0;
  for (size_t i = 0; i < page->plan->count; i++)
    if (!page->rows[i].trained) {
      fputs(missing++ == 0 ? "<p>Left out, since not all of their phases are finished with this seed: " : ", ", stream);
      html_text(stream, page->rows[i].recipe->id);
    }
  if (missing > 0)
    fputs(".</p>\n", stream);
}

static void write_summary(const Page *page, FILE *stream) {
  static const char *const splits[SPLIT_COUNT] = {"training", "validation", "test"};
  fputs("<h1>Example scenes</h1>\n", stream);
  fprintf(stream,
          "<p>The first %zu scenes of the %s split, one question of each of %d families about each, and what each row, "
          "trained with seed %llu, answers: its likeliest first token. The questions are those of the exam.</p>\n",
          page->plan->examples, splits[page->scenes.split], FAMILIES, (unsigned long long)page->plan->seed);
  fputs("<p>White lines are borders of tiles. A router keeps the local tokens that suit the question; cells of those "
        "that it dropped are dark. A cell is the place in its tile that a token's position names; the token itself may "
        "look at the whole tile.</p>\n",
        stream);
  write_missing(page, stream);
}

/* ---- the rows, and how they did here ---- */

/* Of a family, or of all of them: FAMILIES. */
static size_t count_correct(const Page *page, const PageRow *row, int family) {
  size_t correct = 0;
  for (size_t i = 0; i < page->plan->examples * FAMILIES; i++)
    correct += row->answers[i].correct && (family == FAMILIES || i % FAMILIES == (size_t)family);
  return correct;
}

static void write_tokens(const Page *page, const PageRow *row, FILE *stream) {
  size_t local = 0, kept = 0;
  for (size_t i = 0; i < page->plan->examples * FAMILIES; i++) {
    local += row->answers[i].local;
    kept += row->answers[i].kept;
  }
  if (!shows_tiles(row))
    fputs("<td>has none</td>", stream);
  else if (!page_routes(row))
    fputs("<td>keeps all</td>", stream);
  else
    fprintf(stream, "<td>gamma %.3g: kept %.0f %% here</td>", row->config.switches.gamma,
            100.0 * (double)kept / (double)local);
}

static void write_row(const Page *page, const PageRow *row, FILE *stream) {
  fputs("<tr><th scope=\"row\">", stream);
  html_text(stream, row->recipe->id);
  fputs("</th>", stream);
  element(stream, "td", "", title_of(row->recipe));
  write_tokens(page, row, stream);
  for (int family = 0; family <= FAMILIES; family++)
    fprintf(stream, "<td>%zu of %zu</td>", count_correct(page, row, family),
            page->plan->examples * (family == FAMILIES ? FAMILIES : 1));
  fputs("</tr>\n", stream);
}

static void write_rows(const Page *page, FILE *stream) {
  fputs(
      "<div class=\"wide\"><table>\n<caption>Right answers to the questions on this page, and to no others: too few to "
      "compare rows by.</caption>\n<tr><th scope=\"col\">row</th><th scope=\"col\">name</th>"
      "<th scope=\"col\">local tokens</th>",
      stream);
  for (int family = 0; family < FAMILIES; family++)
    element(stream, "th", "scope=\"col\"", family_name((Family)family));
  fputs("<th scope=\"col\">all</th></tr>\n", stream);
  for (size_t i = 0; i < page->plan->count; i++)
    if (page->rows[i].trained)
      write_row(page, &page->rows[i], stream);
  fputs("</table></div>\n", stream);
}

/* ---- pictures ---- */

static void write_image(FILE *stream, const char *name, const char *alternative, size_t width, size_t height) {
  fprintf(stream, "<img src=\"%s\" width=\"%zu\" height=\"%zu\" loading=\"lazy\" alt=\"", name, PAGE_ENLARGED * width,
          PAGE_ENLARGED * height);
  html_text(stream, alternative);
  fputs("\">", stream);
}

/* By one slicing rule. */
static void write_views(const Page *page, size_t example, const Scene *scene, bool paper, FILE *stream) {
  char name[PAGE_NAME], caption[128];
  size_t side = page->plan->setting->pair->config.vision.picture;
  const char *rule = paper ? ", by the paper's rule" : "";
  snprintf(caption, sizeof caption, "The picture, %zu x %zu pixels, and its tiles%s", scene->width, scene->height,
           rule);
  fputs("<figure>", stream);
  write_image(stream, page_name_view(name, example, false, paper), caption, scene->width, scene->height);
  element(stream, "figcaption", "", caption);
  fputs("</figure>\n<figure>", stream);
  snprintf(caption, sizeof caption, "The global view, %zu x %zu pixels%s", side, side, rule);
  write_image(stream, page_name_view(name, example, true, paper), caption, side, side);
  element(stream, "figcaption", "", caption);
  fputs("</figure>\n", stream);
}

/* What a row's router kept for each question. */
static void write_kept(const PageRow *row, size_t example, const Scene *scene, FILE *stream) {
  fputs("<h3>Kept by ", stream);
  html_text(stream, row->recipe->id);
  fputs("</h3>\n<div class=\"kept\">\n", stream);
  for (int family = 0; family < FAMILIES; family++) {
    const PageAnswer *answer = &row->answers[example * FAMILIES + (size_t)family];
    char name[PAGE_NAME], caption[QUESTION_ROOM + 96];
    snprintf(caption, sizeof caption, "%s: %zu of %zu kept", family_name((Family)family), answer->kept, answer->local);
    fputs("<figure>", stream);
    write_image(stream, page_name_kept(name, example, row, (Family)family), caption, scene->width, scene->height);
    element(stream, "figcaption", "", caption);
    fputs("</figure>\n", stream);
  }
  fputs("</div>\n", stream);
}

/* ---- a scene ---- */

static void write_answer(const PageAnswer *answer, FILE *stream) {
  fprintf(stream, "<td class=\"%s\">%s ", answer->correct ? "right" : "wrong", answer->correct ? "✓" : "✗");
  html_text(stream, answer->given);
  fputs("</td>", stream);
}

/* The first trained row knows the questions: they are the same for all. */
static const PageRow *any_row(const Page *page) {
  size_t i = 0;
  while (!page->rows[i].trained)
    i++;
  return &page->rows[i];
}

static void write_answers(const Page *page, size_t example, FILE *stream) {
  fputs("<div class=\"wide\"><table>\n<tr><th scope=\"col\">question</th><th scope=\"col\">right answer</th>", stream);
  for (size_t i = 0; i < page->plan->count; i++)
    if (page->rows[i].trained)
      element(stream, "th", "scope=\"col\"", page->rows[i].recipe->id);
  fputs("</tr>\n", stream);
  for (size_t family = 0; family < FAMILIES; family++) {
    size_t place = example * FAMILIES + family;
    const PageAnswer *asked = &any_row(page)->answers[place];
    fputs("<tr>", stream);
    element(stream, "th", "scope=\"row\"", asked->question);
    element(stream, "td", "", asked->right);
    for (size_t i = 0; i < page->plan->count; i++)
      if (page->rows[i].trained)
        write_answer(&page->rows[i].answers[place], stream);
    fputs("</tr>\n", stream);
  }
  fputs("</table></div>\n", stream);
}

static void write_scene(const Page *page, size_t example, FILE *stream) {
  Scene scene = scene_make(page->scenes.seed, page->scenes.split, example);
  fprintf(stream, "<section>\n<h2>Scene %zu</h2>\n<div class=\"pictures\">\n", example);
  for (int paper = 0; paper < 2; paper++)
    if (page_slices(page, paper))
      write_views(page, example, &scene, paper, stream);
  fputs("</div>\n", stream);
  write_answers(page, example, stream);
  for (size_t i = 0; i < page->plan->count; i++)
    if (page_routes(&page->rows[i]))
      write_kept(&page->rows[i], example, &scene, stream);
  fputs("</section>\n", stream);
}

void page_html(const Page *page, FILE *stream) {
  fputs(head, stream);
  write_summary(page, stream);
  write_rows(page, stream);
  write_origin(page->origin, stream);
  for (size_t i = 0; i < page->plan->examples; i++)
    write_scene(page, i, stream);
  fputs("</body>\n</html>\n", stream);
}
