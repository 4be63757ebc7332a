/* caption.c: the small print under a figure: the command that made its data, from the origin file beside them. */
#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "json.h"
#include "style.h"

static const char *text_field(const cJSON *origin, const char *name) {
  const cJSON *field = cJSON_GetObjectItemCaseSensitive(origin, name);
  return cJSON_IsString(field) && field->valuestring[0] ? field->valuestring : NULL;
}

/* The command without its --out: where the data lay is no parameter of theirs. */
static void drop_output(char *command) {
  char *out = strstr(command, " --out=");
  if (!out)
    return;
  char *next = strstr(out + 1, " --");
  if (next)
    memmove(out, next, strlen(next) + 1);
  else
    *out = '\0';
}

/* "COMMAND (seed 1, commit 0123456789ab)"; the seed only where there is one that the command line does not give. */
static char *origin_text(cJSON *origin) {
  char *command = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(origin, "command"));
  const char *commit = text_field(origin, "commit");
  if (!command || !*command)
    return NULL;
  drop_output(command);
  const cJSON *seed = cJSON_GetObjectItemCaseSensitive(origin, "seed");
  char seed_text[48] = "", commit_text[64] = "";
  if (cJSON_IsNumber(seed) && seed->valuedouble > 0 && !strstr(command, "--seed"))
    snprintf(seed_text, sizeof seed_text, "seed %.0f", seed->valuedouble);
  if (commit)
    snprintf(commit_text, sizeof commit_text, "commit %.48s", commit);
  bool any = *seed_text || *commit_text;
  char *text = NULL;
  if (asprintf(&text, "%s%s%s%s%s%s", command, any ? " (" : "", seed_text, *seed_text && *commit_text ? ", " : "",
               commit_text, any ? ")" : "") < 0)
    return NULL;
  return text;
}

static const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* How good a place for a line break is between text[at - 1] and text[at]: best before an option, then at any blank,
 * then after a comma; 0: not at all. */
static int break_quality(const char *text, size_t at) {
  if (text[at - 1] == ' ')
    return strncmp(text + at, "--", 2) == 0 || text[at] == '(' ? 3 : 2;
  return text[at - 1] == ',' ? 1 : 0;
}

/* The length of the line that starts at `text`: at most `columns` characters, broken at the best place in its last
 * third, or else at the last place before that. */
static size_t line_length(const char *text, size_t columns) {
  size_t best = 0, characters = 0, at = 0;
  int quality = 0;
  for (; text[at] && characters < columns; at++) {
    characters += (text[at] & 0xC0) != 0x80; /* not inside a UTF-8 character */
    int here = break_quality(text, at + 1);
    bool early = 3 * characters < 2 * columns;
    if (here > 0 && (early || here >= quality)) {
      best = at + 1;
      quality = early ? 0 : here;
    }
  }
  while ((text[at] & 0xC0) == 0x80)
    at++;
  return text[at] && best > 0 ? best : at;
}

static char *broken_into_lines(const char *text, size_t columns) {
  char *lines = malloc(2 * strlen(text) + 1), *to = lines;
  while (lines && *text) {
    size_t length = line_length(text, columns);
    memcpy(to, text, length);
    to += length;
    text += length;
    if (*text)
      *to++ = '\n';
  }
  if (lines)
    *to = '\0';
  return lines;
}

static void blank_controls(char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < ' ')
      *text = ' ';
}

char *caption_read(const char *path, size_t columns) {
  char *origin_path = NULL, *text = NULL;
  cJSON *origin = NULL;
  if (asprintf(&origin_path, "%s.origin.json", path) < 0)
    return NULL;
  if (json_read(origin_path, &origin).code == STATUS_OK) {
    text = origin_text(origin);
    cJSON_Delete(origin);
  }
  free(origin_path);
  if (!text)
    text = strdup(file_name(path));
  if (!text)
    return NULL;
  blank_controls(text);
  char *lines = broken_into_lines(text, columns);
  free(text);
  return lines;
}
