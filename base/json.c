/* json.c: JSON files through cJSON, and where a result comes from. */
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "version.h" /* generated: SEESAW_VERSION, SEESAW_COMMIT */

static const size_t LARGEST_FILE = (size_t)1 << 30;

Status json_write(const char *path, const cJSON *value) {
  OutputFile file;
  char *text = cJSON_Print(value);
  if (text == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to write %s", path);
  Status status = output_open(&file, path);
  if (status.code == STATUS_OK) {
    fputs(text, file.stream);
    fputc('\n', file.stream);
    status = output_commit(&file);
  }
  cJSON_free(text);
  return status;
}

Status json_read(const char *path, cJSON **value) {
  unsigned char *bytes;
  size_t size;
  const char *end = NULL;
  Status status = status_ok();
  *value = NULL;
  TRY(file_read(path, LARGEST_FILE, &bytes, &size));
  const char *text = (const char *)bytes;
  if (strlen(text) < size) /* cJSON takes a zero byte for a blank */
    end = text + strlen(text);
  else
    *value = cJSON_ParseWithLengthOpts(text, size + 1, &end, true);
  if (*value == NULL) {
    size_t line = 1;
    for (const char *c = text; c < end && c < text + size; c++)
      line += *c == '\n';
    status = status_error(STATUS_INPUT, "%s: line %zu is not valid JSON", path, line);
  }
  free(bytes);
  return status;
}

/* The processor's own name where Linux tells it, else its architecture. */
static void processor_name(char *name, size_t size) {
  struct utsname about;
  char line[256];
  snprintf(name, size, "%s", uname(&about) == 0 ? about.machine : "unknown");
  FILE *stream = fopen("/proc/cpuinfo", "re");
  while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
      colon += 1 + strspn(colon + 1, " \t");
      snprintf(name, size, "%.*s", (int)strcspn(colon, "\n"), colon);
      break;
    }
  }
  if (stream != NULL)
    fclose(stream);
}

/* How many threads OpenMP will use: the user's word, else every processor. */
static long thread_count(void) {
  const char *wanted = getenv("OMP_NUM_THREADS"); /* may be a list, one number a nesting level */
  long count = wanted != NULL ? strtol(wanted, NULL, 10) : 0;
  return count > 0 ? count : sysconf(_SC_NPROCESSORS_ONLN);
}

cJSON *json_origin(const char *command, uint64_t seed) {
  char processor[256], date[32], digits[32];
  time_t now = time(NULL);
  struct tm utc;
  processor_name(processor, sizeof processor);
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  snprintf(digits, sizeof digits, "%" PRIu64, seed); /* raw: cJSON's numbers are doubles, a seed has 64 bits */
  cJSON *origin = cJSON_CreateObject();
  if (cJSON_AddStringToObject(origin, "program", "seesaw") &&
      cJSON_AddStringToObject(origin, "version", SEESAW_VERSION) &&
      cJSON_AddStringToObject(origin, "commit", SEESAW_COMMIT) &&
      cJSON_AddStringToObject(origin, "processor", processor) &&
      cJSON_AddNumberToObject(origin, "threads", (double)thread_count()) &&
      cJSON_AddStringToObject(origin, "command", command) && cJSON_AddRawToObject(origin, "seed", digits) &&
      cJSON_AddStringToObject(origin, "date", date))
    return origin;
  cJSON_Delete(origin);
  return NULL;
}

/* A pipe or a device has no place beside it. */
static bool has_a_place(const char *result) {
  struct stat there;
  return strcmp(result, "-") != 0 && strncmp(result, "/dev/", 5) != 0 &&
         (stat(result, &there) != 0 || S_ISREG(there.st_mode));
}

Status origin_write(const char *result, const char *command, uint64_t seed) {
  if (!has_a_place(result))
    return status_ok();
  cJSON *origin = json_origin(command, seed);
  char *path = NULL;
  Status status;
  if (origin == NULL || asprintf(&path, "%s.origin.json", result) < 0) {
    path = NULL;
    status = status_error(STATUS_MEMORY, "not enough memory to write the origin of %s", result);
  } else {
    status = json_write(path, origin);
  }
  free(path);
  cJSON_Delete(origin);
  return status;
}
