/* pickle.h: the part of Python's pickle protocol 2 that a dict of torch tensors is written in, as a tree. No code runs.
 *
 * Source: the comments of Python's pickletools. A pickle is a program for a stack machine; loading one may call
 * anything. Here a call is only noted down as a value, and only of the names that the reader allows; what else a
 * program may do is refused. */
#ifndef SEESAW_PICKLE_H
#define SEESAW_PICKLE_H

#include <stdint.h>

#include "arena.h"

typedef enum {
  PICKLE_NONE,
  PICKLE_BOOL,
  PICKLE_INTEGER,
  PICKLE_TEXT,
  PICKLE_TUPLE,
  PICKLE_DICT,      /* also an OrderedDict, whose attributes are dropped */
  PICKLE_GLOBAL,    /* one of the allowed names */
  PICKLE_CALL,      /* items: the global, a tuple of arguments */
  PICKLE_PERSISTENT /* items: the value that stands for an object outside of the pickle */
} PickleKind;

typedef struct PickleValue PickleValue;
typedef struct PicklePair PicklePair;

struct PickleValue {
  PickleKind kind;
  size_t count; /* bytes of a text, items of a tuple, pairs of a dict */
  union {
    int64_t integer;  /* also of a bool; of a global: its place among the allowed names */
    const char *text; /* followed by a zero byte; may hold others */
    const PickleValue *const *items;
    PicklePair *last; /* pair that was put into the dict; last->next is the first: a ring. NULL: none */
  };
};

struct PicklePair {
  const PickleValue *key, *value;
  PicklePair *next;
};

enum { LARGEST_PICKLE = 1 << 24 }; /* bytes; the names and shapes of 100,000 tensors fit */

/* pickle_parse: `bytes` as a tree that lies in *memory (some 64 times the bytes), which the caller frees. `allowed`:
 * "module name" of each global that may be called, ended by NULL; collections.OrderedDict() always may. `path` is used
 * in messages. Errors: STATUS_INPUT naming the file and the byte of the pickle; STATUS_MEMORY. */
Status pickle_parse(const PickleValue **tree, Arena *memory, const char *path, const unsigned char *bytes, size_t size,
                    const char *const *allowed);

#endif
