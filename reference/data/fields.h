/* fields.h: JSON from memory, and its fields with errors that name the file and the field. */
#ifndef SEESAW_FIELDS_H
#define SEESAW_FIELDS_H

#include <cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "status.h"

/* fields_parse: the whole of `size` bytes as one value; the caller frees *value with cJSON_Delete. `name` and
 * `first_line`, the line of the file on which the bytes begin, are for messages. Errors: STATUS_INPUT with the line:
 * not JSON, or a string with a zero character (\u0000), which would cut it short; STATUS_MEMORY is reported as the
 * former, for cJSON does not tell them apart. */
Status fields_parse(const char *name, const unsigned char *bytes, size_t size, size_t first_line, cJSON **value);

/* fields_get: member `key` of an object, NULL if it is absent or null, or the value is no object or NULL. */
const cJSON *fields_get(const cJSON *object, const char *key);

/* fields_string: the string of that member, NULL if it is absent or something else. fields_is: it is this string. */
const char *fields_string(const cJSON *object, const char *key);
bool fields_is(const cJSON *object, const char *key, const char *expected);

/* fields_true: the member is there and true. */
bool fields_true(const cJSON *object, const char *key);

/* fields_id: a member that is a whole number in [0, limit); -1 otherwise. */
int32_t fields_id(const cJSON *object, const char *key, size_t limit);
int32_t fields_whole(const cJSON *value, size_t limit);

#endif
