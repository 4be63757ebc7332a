/* page_html.h: the text of the page of examples. */
#ifndef SEESAW_PAGE_HTML_H
#define SEESAW_PAGE_HTML_H

#include <cJSON.h>

#include "page.h"
#include "page_ask.h"

typedef struct PageRow {
  const Recipe *recipe;
  ModelConfig config;
  bool trained;
  PageAnswer *answers; /* examples x FAMILIES */
} PageRow;

typedef struct Page {
  const PagePlan *plan;
  SceneFeedPlan scenes;
  PageRow *rows; /* plan->count of them */
  cJSON *origin;
} Page;

/* Files' names, in a buffer of PAGE_NAME bytes, which they return: the picture with its tiles, or the global view, as
 * one of the slicing rules has it; what a row keeps for a question. */
enum { PAGE_NAME = 96 };
char *page_name_view(char *name, size_t example, bool global, bool paper);
char *page_name_kept(char *name, size_t example, const PageRow *row, Family family);

/* page_slices: does any trained row cut pictures by the paper's rule, or by the released one? */
bool page_slices(const Page *page, bool paper);

/* page_routes: may the row's router drop tokens? */
bool page_routes(const PageRow *row);

/* page_html: the whole document. Errors of writing show when the stream is closed. */
void page_html(const Page *page, FILE *stream);

/* html_text: with &, <, > and quotes escaped, so that it may stand between tags and in a quoted attribute. */
void html_text(FILE *stream, const char *text);

#endif
