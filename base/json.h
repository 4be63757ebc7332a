/* json.h: glue between cJSON and our files. Build values with cJSON itself; NaN and infinities become null. */
#ifndef SEESAW_JSON_H
#define SEESAW_JSON_H

#include <cJSON.h>
#include <stdint.h>

#include "files.h"

/* json_write: VALUE, pretty-printed, to PATH ("-" is standard output), whole or not at all. Does not free VALUE. */
Status json_write(const char *path, const cJSON *value);

/* json_read: parse the file at PATH. The caller frees *value with cJSON_Delete.
 * Errors: STATUS_INPUT naming the file and the line of the first error. */
Status json_read(const char *path, cJSON **value);

/* json_origin: where a result comes from: program version, commit, device (processor, threads), command line, seed,
 * date (UTC). `command` is the line as typed. The caller frees with cJSON_Delete. NULL when memory is out. */
cJSON *json_origin(const char *command, uint64_t seed);

/* origin_write: json_origin beside a result: RESULT.origin.json. Nothing for "-" or a device. */
Status origin_write(const char *result, const char *command, uint64_t seed);

#endif
