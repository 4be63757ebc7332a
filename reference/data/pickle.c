/* pickle.c: a stack machine that builds a tree and does nothing else.
 *
 * Each instruction takes at least a byte and makes at most one value, so the size of the pickle bounds the stack, the
 * values and the items of all tuples, and one arena is measured before the first instruction. */
#include "pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "number.h"

/* NULL on the stack is a mark. */
typedef struct Machine {
  const char *path;
  const unsigned char *start, *at, *end;
  const char *const *allowed;
  size_t height, memo_size;
  const PickleValue **stack, **memo, **items; /* items: free room for those of tuples */
  PickleValue *values;                        /* free room, */
  PicklePair *pairs;
  char *text;
  const PickleValue *ordered_dict; /* the global; its place is beyond the allowed ones */
} Machine;

__attribute__((format(printf, 2, 3))) static Status malformed(const Machine *machine, const char *format, ...) {
  char what[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return status_error(STATUS_INPUT, "%s: data.pkl, byte %zu: %s", machine->path, (size_t)(machine->at - machine->start),
                      what);
}

static Status underflow(const Machine *machine) {
  return malformed(machine, "an instruction finds too little on the stack");
}

/* ---- The stack ---- */

static Status push(Machine *machine, const PickleValue *value) {
  machine->stack[machine->height++] = value;
  return status_ok();
}

static Status push_new(Machine *machine, PickleValue value) {
  *machine->values = value;
  return push(machine, machine->values++);
}

/* The value on top, left there; NULL if there is none or a mark. */
static const PickleValue *top(const Machine *machine) {
  return machine->height > 0 ? machine->stack[machine->height - 1] : NULL;
}

static const PickleValue *pop(Machine *machine) {
  const PickleValue *value = top(machine);
  machine->height -= value != NULL;
  return value;
}

/* How many values lie above the last mark; SIZE_MAX without a mark. */
static size_t above_mark(const Machine *machine) {
  for (size_t i = machine->height; i-- > 0;)
    if (machine->stack[i] == NULL)
      return machine->height - 1 - i;
  return SIZE_MAX;
}

/* ---- Bytes of the program ---- */

static Status cut_off(const Machine *machine) {
  return malformed(machine, "the pickle is cut off");
}

static bool take_number(Machine *machine, size_t length, uint64_t *number) {
  if ((size_t)(machine->end - machine->at) < length)
    return false;
  *number = 0;
  for (size_t i = 0; i < length; i++)
    *number |= (uint64_t)machine->at[i] << 8 * i;
  machine->at += length;
  return true;
}

/* A whole number of so many bytes; `negative`: two's complement. */
static Status push_integer(Machine *machine, size_t length, bool negative) {
  uint64_t bits;
  if (!take_number(machine, length, &bits))
    return cut_off(machine);
  unsigned unused = (unsigned)(64 - 8 * length);
  if (negative && length > 0 && bits >> (8 * length - 1) != 0)
    bits = length < 8 ? bits | UINT64_MAX << (64 - unused) : bits;
  return push_new(machine, (PickleValue){.kind = PICKLE_INTEGER, .integer = (int64_t)bits});
}

static Status push_long(Machine *machine) {
  uint64_t length;
  if (!take_number(machine, 1, &length))
    return cut_off(machine);
  if (length > 8)
    return malformed(machine, "a number has more than 8 bytes");
  return push_integer(machine, length, true);
}

static Status push_text(Machine *machine) {
  uint64_t length;
  if (!take_number(machine, 4, &length) || length > (size_t)(machine->end - machine->at))
    return cut_off(machine);
  const char *text = machine->text;
  memcpy(machine->text, machine->at, length);
  machine->at += length;
  machine->text += length + 1; /* the arena is zeros; the instruction and the length were longer than this one */
  return push_new(machine, (PickleValue){.kind = PICKLE_TEXT, .count = length, .text = text});
}

/* A line of the program, without its end. */
static bool take_line(Machine *machine, const char **line, size_t *length) {
  const unsigned char *end = memchr(machine->at, '\n', (size_t)(machine->end - machine->at));
  if (end == NULL)
    return false;
  *line = (const char *)machine->at;
  *length = (size_t)(end - machine->at);
  machine->at = end + 1;
  return true;
}

static bool same_name(const char *name, const char *module, size_t module_length, const char *attribute,
                      size_t attribute_length) {
  return strlen(name) == module_length + 1 + attribute_length && memcmp(name, module, module_length) == 0 &&
         name[module_length] == ' ' && memcmp(name + module_length + 1, attribute, attribute_length) == 0;
}

/* Something of Python by module and name. */
static Status push_global(Machine *machine) {
  const char *module, *name;
  char quoted_module[QUOTE_ROOM], quoted_name[QUOTE_ROOM];
  size_t module_length, name_length;
  int64_t which = 0;
  if (!take_line(machine, &module, &module_length) || !take_line(machine, &name, &name_length))
    return cut_off(machine);
  if (same_name("collections OrderedDict", module, module_length, name, name_length))
    return push(machine, machine->ordered_dict);
  while (machine->allowed[which] != NULL &&
         !same_name(machine->allowed[which], module, module_length, name, name_length))
    which++;
  if (machine->allowed[which] == NULL)
    return malformed(
        machine, "%s.%s is not allowed: this reader runs no code, and tensors of a state dict do not need it",
        quote_printable(module, module_length, quoted_module), quote_printable(name, name_length, quoted_name));
  return push_new(machine, (PickleValue){.kind = PICKLE_GLOBAL, .integer = which});
}

/* ---- Tuples, dicts, calls ---- */

/* The `count` values on top become one of a kind that has items. */
static Status push_items(Machine *machine, PickleKind kind, size_t count) {
  const PickleValue **items = machine->items;
  for (size_t i = count; i-- > 0;)
    if ((items[i] = pop(machine)) == NULL)
      return underflow(machine);
  machine->items += count;
  return push_new(machine, (PickleValue){.kind = kind, .count = count, .items = items});
}

static Status push_tuple_above_mark(Machine *machine) {
  size_t count = above_mark(machine);
  if (count == SIZE_MAX)
    return underflow(machine);
  const PickleValue **items = machine->items;
  memcpy(items, machine->stack + machine->height - count, count * sizeof *items);
  machine->items += count;
  machine->height -= count + 1;
  return push_new(machine, (PickleValue){.kind = PICKLE_TUPLE, .count = count, .items = items});
}

static void put_pair(Machine *machine, PickleValue *dict, const PickleValue *key, const PickleValue *value) {
  PicklePair *pair = machine->pairs++;
  *pair = (PicklePair){.key = key, .value = value, .next = pair};
  if (dict->last != NULL) {
    pair->next = dict->last->next;
    dict->last->next = pair;
  }
  dict->last = pair;
  dict->count++;
}

/* The `count` values on top are keys and values of the dict below them (`mark`: and below a mark). */
static Status set_items(Machine *machine, size_t count, bool mark) {
  if (count == SIZE_MAX || count % 2 != 0 || machine->height < count + mark + 1)
    return underflow(machine);
  size_t first = machine->height - count;
  const PickleValue *dict = machine->stack[first - mark - 1];
  if (dict == NULL || dict->kind != PICKLE_DICT)
    return malformed(machine, "items are put into something that is not a dict");
  for (size_t i = first; i < machine->height; i += 2) {
    const PickleValue *key = machine->stack[i], *value = machine->stack[i + 1];
    if (key == NULL || value == NULL)
      return underflow(machine);
    put_pair(machine, (PickleValue *)dict, key, value); /* all values lie in our arena: none is constant */
  }
  machine->height = first - mark;
  return status_ok();
}

/* Call the global below the tuple on top. A dict is made at once; other calls are noted down. */
static Status reduce(Machine *machine) {
  const PickleValue *arguments = top(machine),
                    *function = machine->height < 2 ? NULL : machine->stack[machine->height - 2];
  if (arguments == NULL || function == NULL)
    return underflow(machine);
  if (function->kind != PICKLE_GLOBAL || arguments->kind != PICKLE_TUPLE)
    return malformed(machine, "something is called that is not a function with a tuple of arguments");
  if (function != machine->ordered_dict)
    return push_items(machine, PICKLE_CALL, 2);
  if (arguments->count > 0)
    return malformed(machine, "collections.OrderedDict is called with arguments, which is not read");
  machine->height -= 2;
  return push_new(machine, (PickleValue){.kind = PICKLE_DICT});
}

/* Attributes of a dict (a state dict's _metadata: versions of its modules) are dropped. */
static Status build(Machine *machine) {
  const PickleValue *state = pop(machine), *object = top(machine);
  if (state == NULL || object == NULL)
    return underflow(machine);
  if (state->kind != PICKLE_DICT || object->kind != PICKLE_DICT)
    return malformed(machine, "attributes are given to something other than a dict");
  return status_ok();
}

/* ---- The memo ---- */

static Status memo_put(Machine *machine, size_t length) {
  uint64_t index;
  if (!take_number(machine, length, &index))
    return cut_off(machine);
  if (top(machine) == NULL)
    return underflow(machine);
  if (index >= machine->memo_size)
    return malformed(machine, "a value is remembered as number %ju, more than there can be", (uintmax_t)index);
  machine->memo[index] = top(machine);
  return status_ok();
}

static Status memo_get(Machine *machine, size_t length) {
  uint64_t index;
  if (!take_number(machine, length, &index))
    return cut_off(machine);
  if (index >= machine->memo_size || machine->memo[index] == NULL)
    return malformed(machine, "the value number %ju is not remembered", (uintmax_t)index);
  return push(machine, machine->memo[index]);
}

/* ---- The program ---- */

static Status run(Machine *machine, unsigned char instruction) {
  switch (instruction) {
  case '(':
    return push(machine, NULL);
  case 'N':
    return push_new(machine, (PickleValue){.kind = PICKLE_NONE});
  case 0x88:
  case 0x89:
    return push_new(machine, (PickleValue){.kind = PICKLE_BOOL, .integer = instruction == 0x88});
  case 'K':
    return push_integer(machine, 1, false);
  case 'M':
    return push_integer(machine, 2, false);
  case 'J':
    return push_integer(machine, 4, true);
  case 0x8a:
    return push_long(machine);
  case 'X':
    return push_text(machine);
  case 'c':
    return push_global(machine);
  case ')':
    return push_items(machine, PICKLE_TUPLE, 0);
  case 0x85:
  case 0x86:
  case 0x87:
    return push_items(machine, PICKLE_TUPLE, instruction - 0x84u);
  case 't':
    return push_tuple_above_mark(machine);
  case '}':
    return push_new(machine, (PickleValue){.kind = PICKLE_DICT});
  case 's':
    return set_items(machine, 2, false);
  case 'u':
    return set_items(machine, above_mark(machine), true);
  case 'R':
    return reduce(machine);
  case 'Q':
    return push_items(machine, PICKLE_PERSISTENT, 1);
  case 'b':
    return build(machine);
  case 'q':
    return memo_put(machine, 1);
  case 'r':
    return memo_put(machine, 4);
  case 'h':
    return memo_get(machine, 1);
  case 'j':
    return memo_get(machine, 4);
  default:
    return malformed(machine, "the instruction 0x%02x is not allowed: a dict of tensors does not need it", instruction);
  }
}

static Status run_all(Machine *machine) {
  if (machine->end - machine->at < 2 || machine->at[0] != 0x80)
    return malformed(machine, "this is not a pickle");
  if (machine->at[1] != 2)
    return malformed(machine, "the pickle has protocol %d; torch writes 2, and only that is read", machine->at[1]);
  for (machine->at += 2; machine->at < machine->end;) {
    unsigned char instruction = *machine->at++;
    if (instruction != '.') {
      TRY(run(machine, instruction));
      continue;
    }
    if (machine->height != 1 || top(machine) == NULL)
      return malformed(machine, "the pickle does not end with one value");
    return machine->at == machine->end ? status_ok() : malformed(machine, "there is something after the pickle");
  }
  return cut_off(machine);
}

static Status make_room(Machine *machine, Arena *memory, size_t size) {
  size_t many = size + 1;
  machine->memo_size = size / 2; /* to remember a value takes two bytes */
  TRY(arena_alloc(memory, arena_size(many, sizeof *machine->stack) + arena_size(many, sizeof *machine->items) +
                              arena_size(many, sizeof *machine->values) + arena_size(many, 1) +
                              arena_size(machine->memo_size, sizeof *machine->memo) +
                              arena_size(many / 2, sizeof *machine->pairs)));
  machine->stack = arena_carve(memory, many, sizeof *machine->stack);
  machine->items = arena_carve(memory, many, sizeof *machine->items);
  machine->values = arena_carve(memory, many, sizeof *machine->values);
  machine->text = arena_carve(memory, many, 1);
  machine->memo = arena_carve(memory, machine->memo_size, sizeof *machine->memo);
  machine->pairs = arena_carve(memory, many / 2, sizeof *machine->pairs);
  PickleValue *ordered_dict = machine->values++;
  ordered_dict->kind = PICKLE_GLOBAL;
  ordered_dict->integer = -1;
  machine->ordered_dict = ordered_dict;
  return status_ok();
}

Status pickle_parse(const PickleValue **tree, Arena *memory, const char *path, const unsigned char *bytes, size_t size,
                    const char *const *allowed) {
  Machine machine = {.path = path, .start = bytes, .at = bytes, .end = bytes + size, .allowed = allowed};
  *tree = NULL;
  *memory = (Arena){0};
  if (size > LARGEST_PICKLE)
    return status_error(STATUS_INPUT, "%s: data.pkl has %zu bytes, more than the %d allowed", path, size,
                        LARGEST_PICKLE);
  TRY(make_room(&machine, memory, size));
  Status status = run_all(&machine);
  if (status.code == STATUS_OK)
    *tree = machine.stack[0];
  else
    arena_free(memory);
  return status;
}
