/* fields.c: cJSON from memory, and members of objects. */
#include "fields.h"

#include <math.h>
#include <string.h>

static size_t line_of(const unsigned char *bytes, size_t offset, size_t first_line) {
  for (size_t i = 0; i < offset; i++)
    first_line += bytes[i] == '\n';
  return first_line;
}

/* Where \u0000 is written or a zero byte is, `size` if nowhere. A backslash escapes the character after it, so that
 * the \u of \\u0000 is none. */
static size_t zero_character(const unsigned char *bytes, size_t size) {
  const unsigned char *zero = memchr(bytes, 0, size), *end = bytes + size, *at = bytes;
  if (zero != NULL)
    return (size_t)(zero - bytes);
  while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL && end - at >= 6) {
    if (memcmp(at, "\\u0000", 6) == 0)
      return (size_t)(at - bytes);
    at += 2;
  }
  return size;
}

Status fields_parse(const char *name, const unsigned char *bytes, size_t size, size_t first_line, cJSON **value) {
  const char *end = (const char *)bytes;
  size_t zero = size == 0 ? 0 : zero_character(bytes, size);
  *value = NULL;
  if (zero < size)
    return status_error(STATUS_INPUT, "%s: line %zu has a zero character, which no text may have", name,
                        line_of(bytes, zero, first_line));
  if (size > 0)
    *value = cJSON_ParseWithLengthOpts((const char *)bytes, size, &end, false);
  const char *rest = end; /* cJSON asks for a zero byte after a whole value; ours has none */
  while (*value != NULL && rest < (const char *)bytes + size && strchr(" \t\r\n", *rest) != NULL)
    rest++;
  if (*value != NULL && rest == (const char *)bytes + size)
    return status_ok();
  cJSON_Delete(*value);
  *value = NULL;
  return status_error(STATUS_INPUT, "%s: line %zu is not valid JSON", name,
                      line_of(bytes, (size_t)(rest - (const char *)bytes), first_line));
}

const cJSON *fields_get(const cJSON *object, const char *key) {
  const cJSON *member = cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
  return cJSON_IsNull(member) ? NULL : member;
}

const char *fields_string(const cJSON *object, const char *key) {
  return cJSON_GetStringValue(fields_get(object, key));
}

bool fields_is(const cJSON *object, const char *key, const char *expected) {
  const char *string = fields_string(object, key);
  return string != NULL && strcmp(string, expected) == 0;
}

bool fields_true(const cJSON *object, const char *key) {
  return cJSON_IsTrue(fields_get(object, key));
}

int32_t fields_whole(const cJSON *value, size_t limit) {
  double number = cJSON_IsNumber(value) ? value->valuedouble : -1;
  return number >= 0 && number < (double)limit && number < 0x1p31 && number == floor(number) ? (int32_t)number : -1;
}

int32_t fields_id(const cJSON *object, const char *key, size_t limit) {
  return fields_whole(fields_get(object, key), limit);
}
