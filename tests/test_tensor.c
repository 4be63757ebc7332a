/* test_tensor.c: descriptors, views, and the conversions between types against their definition bit by bit. */
#include "tensor.h"

#include <math.h>
#include <signal.h>

#include "scratch.h"

/* ---- types ---- */

Test(tensor, types_have_names_and_sizes) {
  for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
    cr_expect_eq(dtype_find(dtype_name((Dtype)dtype)), dtype, "%d", dtype);
    for (int other = 0; other < dtype; other++)
      cr_expect_str_neq(dtype_name((Dtype)dtype), dtype_name((Dtype)other));
    size_t bits = dtype_bits((Dtype)dtype);
    cr_expect(bits == 4 || bits == 6 || bits == 8 || bits == 16 || bits == 32 || bits == 64, "%zu", bits);
  }
  const char *const unknown[] = {"", "F", "f32", "F32 ", "F128"};
  for (int i = 0; i < 5; i++)
    cr_expect_eq(dtype_find(unknown[i]), DTYPE_COUNT, "%s", unknown[i]);
  cr_expect(dtype_bits(DTYPE_BF16) == 16 && dtype_bits(DTYPE_F64) == 64 && dtype_bits(DTYPE_F4) == 4);
  cr_expect(dtype_find("BF16") == DTYPE_BF16 && dtype_find("F8_E4M3") == DTYPE_F8_E4M3);
}

/* ---- sizes ---- */

Test(tensor, sizes) {
  float x[24];
  const size_t size[] = {2, 3, 4, 1};
  const size_t width[] = {1, 1, 3, 12, 12}, count[] = {1, 2, 6, 24, 24};
  for (int rank = 0; rank <= TENSOR_RANK; rank++) {
    Tensor tensor = tensor_make(x, DTYPE_F32, rank, size);
    cr_expect(tensor.data == x && tensor.rank == rank && tensor.dtype == DTYPE_F32);
    cr_expect_eq(tensor_width(tensor), width[rank]);
    cr_expect_eq(tensor.pitch, width[rank]);
    cr_expect_eq(tensor_count(tensor), count[rank]);
    cr_expect_eq(tensor_bytes(tensor), 4 * count[rank]);
    cr_expect(tensor_contiguous(tensor));
  }
  cr_expect_null(TENSOR_NONE.data);
  Tensor empty = tensor_2(NULL, DTYPE_F64, 0, 7);
  cr_expect(tensor_count(empty) == 0 && tensor_bytes(empty) == 0 && tensor_width(empty) == 7);
}

Test(tensor, bytes_are_rounded_up_and_do_not_wrap) {
  cr_expect_eq(tensor_bytes(tensor_1(NULL, DTYPE_F4, 3)), 2);
  cr_expect_eq(tensor_bytes(tensor_1(NULL, DTYPE_F6_E2M3, 3)), 3);
  cr_expect_eq(tensor_bytes(tensor_1(NULL, DTYPE_F6_E2M3, 4)), 3);
  cr_expect_eq(tensor_bytes(tensor_1(NULL, DTYPE_U8, 3)), 3);
  cr_expect_eq(tensor_bytes(tensor_1(NULL, DTYPE_F32, SIZE_MAX / 32)), SIZE_MAX / 32 * 4);
  cr_expect_eq(tensor_bytes(tensor_1(NULL, DTYPE_F32, SIZE_MAX / 32 + 1)), SIZE_MAX);
  cr_expect_eq(tensor_bytes(tensor_1(NULL, DTYPE_U8, SIZE_MAX)), SIZE_MAX);
  cr_expect_eq(tensor_bytes(tensor_2(NULL, DTYPE_U8, (size_t)1 << 32, (size_t)1 << 32)), SIZE_MAX);
  cr_expect_eq(tensor_bytes(tensor_make(NULL, DTYPE_F64, 4, (const size_t[]){1 << 16, 1 << 16, 1 << 16, 1 << 16})),
               SIZE_MAX);
}

Test(tensor, same_means_type_rank_and_sizes) {
  float x[12], y[12];
  Tensor tensor = tensor_2(x, DTYPE_F32, 3, 4);
  cr_expect(tensor_same(tensor, tensor_2(y, DTYPE_F32, 3, 4)));
  cr_expect(tensor_same(tensor_columns(tensor, 1, 2), tensor_2(y, DTYPE_F32, 3, 2)), "whatever the pitch");
  cr_expect_not(tensor_same(tensor, tensor_2(x, DTYPE_I32, 3, 4)));
  cr_expect_not(tensor_same(tensor, tensor_2(x, DTYPE_F32, 4, 3)));
  cr_expect_not(tensor_same(tensor, tensor_2(x, DTYPE_F32, 3, 3)));
  cr_expect_not(tensor_same(tensor, tensor_1(x, DTYPE_F32, 3)));
  cr_expect_not(tensor_same(tensor, tensor_make(x, DTYPE_F32, 3, (const size_t[]){3, 4, 1})));
}

/* ---- views ---- */

Test(tensor, views_are_where_they_should_be) {
  float x[5 * 7];
  Tensor all = tensor_2(x, DTYPE_F32, 5, 7), rows = tensor_rows(all, 2, 3), columns = tensor_columns(all, 3, 2);
  cr_expect(rows.data == x + 14 && rows.size[0] == 3 && rows.size[1] == 7 && tensor_contiguous(rows));
  cr_expect(columns.data == x + 3 && columns.size[0] == 5 && columns.size[1] == 2 && columns.pitch == 7);
  cr_expect_not(tensor_contiguous(columns));
  Tensor block = tensor_rows(columns, 4, 1);
  cr_expect(block.data == x + 4 * 7 + 3 && tensor_contiguous(block), "one row has no gaps");
  cr_expect_eq(tensor_columns(tensor_columns(all, 1, 5), 2, 2).data, x + 3, "a view of a view");
  cr_expect(tensor_rows(all, 5, 0).size[0] == 0 && tensor_columns(all, 7, 0).size[1] == 0);
  Tensor cube = tensor_make(x, DTYPE_F32, 3, (const size_t[]){5, 1, 7});
  cr_expect_eq(tensor_rows(cube, 1, 2).data, x + 7);
  Tensor shaped = tensor_shaped(all, 7, 5);
  cr_expect(shaped.data == x && shaped.size[0] == 7 && shaped.size[1] == 5 && shaped.pitch == 5);
  cr_expect_eq(tensor_rows(tensor_1(x, DTYPE_F32, 35), 4, 3).data, x + 4);
  cr_expect_null(tensor_rows(tensor_2(NULL, DTYPE_F32, 5, 7), 2, 3).data, "no data stays none");
  cr_expect_eq((char *)tensor_rows(tensor_2(x, DTYPE_BF16, 5, 7), 1, 1).data, (char *)x + 14, "two bytes each");
}

static float some[35];

static void rows_past_the_end(void) {
  tensor_rows(tensor_2(some, DTYPE_F32, 5, 7), 3, 3);
}

static void rows_that_wrap(void) {
  tensor_rows(tensor_2(some, DTYPE_F32, 5, 7), 3, SIZE_MAX);
}

static void rows_of_a_number(void) {
  tensor_rows(tensor_make(some, DTYPE_F32, 0, NULL), 0, 1);
}

static void columns_past_the_end(void) {
  tensor_columns(tensor_2(some, DTYPE_F32, 5, 7), 8, 0);
}

static void columns_of_a_vector(void) {
  tensor_columns(tensor_1(some, DTYPE_F32, 7), 0, 1);
}

static void shape_of_a_view(void) {
  tensor_shaped(tensor_columns(tensor_2(some, DTYPE_F32, 5, 7), 0, 5), 25, 1);
}

static void shape_of_more(void) {
  tensor_shaped(tensor_2(some, DTYPE_F32, 5, 7), 6, 6);
}

static void rank_of_five(void) {
  tensor_make(some, DTYPE_F32, 5, (const size_t[]){1, 1, 1, 1, 1});
}

static void number_of_no_type(void) {
  tensor_get(tensor_1(some, DTYPE_F8_E4M3, 7), 0);
}

static void number_to_no_type(void) {
  tensor_set(tensor_1(some, DTYPE_I64, 7), 0, 1.0);
}

Test(tensor, mistakes_stop) {
  const struct {
    void (*body)(void);
    const char *part;
  } cases[] = {
      {rows_past_the_end, "rows 3 to 6 of a tensor of 5 rows"},
      {rows_that_wrap, "of a tensor of 5 rows"},
      {rows_of_a_number, "rows 0 to 1"},
      {columns_past_the_end, "columns 8 to 8 of a tensor of 7 columns"},
      {columns_of_a_vector, "columns 0 to 1"},
      {shape_of_a_view, "25 numbers as 25 rows of 1"},
      {shape_of_more, "35 numbers as 6 rows of 6"},
      {rank_of_five, "a tensor of rank 5"},
      {number_of_no_type, "numbers of type F8_E4M3 are not read"},
      {number_to_no_type, "numbers of type I64 are not written"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[512];
    int end = in_child(cases[i].body, STDERR_FILENO, text, sizeof text);
    cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT, "case %zu: %s", i, text);
    expect_contains(text, cases[i].part);
  }
}

/* ---- printing ---- */

Test(tensor, printing) {
  char text[64];
  cr_expect_str_eq(tensor_print(tensor_2(NULL, DTYPE_F32, 3, 4), text), "F32 (3, 4)");
  cr_expect_str_eq(tensor_print(tensor_1(NULL, DTYPE_BF16, 0), text), "BF16 (0)");
  cr_expect_str_eq(tensor_print(tensor_make(NULL, DTYPE_I64, 0, NULL), text), "I64 ()");
  const size_t huge[] = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
  tensor_print(tensor_make(NULL, DTYPE_F8_E4M3FNUZ, 4, huge), text);
  cr_expect_eq(strlen(text), 63, "cut at the end: '%s'", text);
  cr_expect_eq(strncmp(text, "F8_E4M3FNUZ (18446744073709551615, ", 35), 0, "%s", text);
}

/* ---- numbers of two bytes ---- */

/* sign, exponent and fraction of a format with that many bits, as the standard defines them. */
static double by_definition(uint32_t bits, int exponent_bits, int fraction_bits) {
  int exponent = (int)(bits >> fraction_bits & ((1U << exponent_bits) - 1)), bias = (1 << (exponent_bits - 1)) - 1;
  uint32_t fraction = bits & ((1U << fraction_bits) - 1);
  double sign = bits >> (exponent_bits + fraction_bits) ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1)
    return fraction ? NAN : sign * INFINITY;
  if (exponent == 0)
    return sign * ldexp(fraction, 1 - bias - fraction_bits);
  return sign * ldexp(fraction + (1U << fraction_bits), exponent - bias - fraction_bits);
}

typedef struct Format {
  const char *name;
  Dtype dtype;
  int exponent_bits, fraction_bits;
  float (*to_float)(uint16_t bits);
  uint16_t (*from_float)(float value);
} Format;

static float widen_bf16(uint16_t bits) {
  return bf16_to_float(bits);
}

static const Format formats[] = {
    {"BF16", DTYPE_BF16, 8, 7, widen_bf16, bf16_from_float},
    {"F16", DTYPE_F16, 5, 10, f16_to_float, f16_from_float},
};

static double value_of(const Format *format, uint32_t bits) {
  return by_definition(bits, format->exponent_bits, format->fraction_bits);
}

Test(tensor, every_number_of_two_bytes_is_read) {
  for (int f = 0; f < 2; f++)
    for (uint32_t bits = 0; bits < 1 << 16; bits++) {
      uint16_t number = (uint16_t)bits;
      double is = formats[f].to_float(number), should = value_of(&formats[f], bits);
      if (isnan(should)) {
        cr_assert(isnan(is), "%s %04x", formats[f].name, bits);
        cr_assert(isnan(formats[f].to_float(formats[f].from_float((float)is))), "%s %04x", formats[f].name, bits);
        continue;
      }
      cr_assert(is == should && signbit(is) == signbit(should), "%s %04x: %g, not %g", formats[f].name, bits, is,
                should);
      cr_assert_eq(formats[f].from_float((float)is), number, "%s %04x there and back", formats[f].name, bits);
      cr_assert_eq(tensor_get(tensor_1(&number, formats[f].dtype, 1), 0), should);
    }
}

/* Between every two neighbours: just below the middle rounds down, just above up, the middle to the even one. */
Test(tensor, rounding_to_two_bytes) {
  for (int f = 0; f < 2; f++) {
    const Format *format = &formats[f];
    uint32_t infinity = ((1U << format->exponent_bits) - 1) << format->fraction_bits;
    for (uint32_t bits = 0; bits < infinity; bits++) {
      double low = value_of(format, bits), step = value_of(format, bits) - value_of(format, bits > 0 ? bits - 1 : 0);
      double high = bits + 1 < infinity ? value_of(format, bits + 1) : low + step;
      float middle = (float)(low + (high - low) / 2);
      uint32_t even = bits % 2 == 0 ? bits : bits + 1;
      if (low + (high - low) / 2 > 0x1.fffffep127) /* beyond float */
        continue;
      cr_assert_eq(format->from_float(middle), even, "%s: the middle above %04x", format->name, bits);
      cr_assert_eq(format->from_float(-middle), even | 0x8000, "%s: the same below zero", format->name);
      cr_assert_eq(format->from_float(nextafterf(middle, 0.0F)), bits, "%s: below the middle above %04x", format->name,
                   bits);
      cr_assert_eq(format->from_float(nextafterf(middle, INFINITY)), bits + 1, "%s: above the middle above %04x",
                   format->name, bits);
    }
    cr_expect_eq(format->from_float(INFINITY), infinity);
    cr_expect_eq(format->from_float(-INFINITY), infinity | 0x8000);
    cr_expect_eq(format->from_float(0x1.fffffep127F), infinity, "%s: the largest float", format->name);
    cr_expect_eq(format->from_float(0x1p-149F), 0, "%s: the smallest", format->name);
    cr_expect_eq(format->from_float(-0.0F), 0x8000);
  }
}

/* NaN whose set bits are all among those that are cut off. */
Test(tensor, not_a_number_stays_so) {
  union {
    uint32_t bits;
    float value;
  } word;
  const uint32_t bits[] = {0x7f800001, 0xff800001, 0x7fc00000, 0xffffffff, 0x7f80ffff, 0x7f801fff};
  for (int i = 0; i < 6; i++) {
    word.bits = bits[i];
    for (int f = 0; f < 2; f++) {
      uint16_t number = formats[f].from_float(word.value);
      cr_expect(isnan(value_of(&formats[f], number)), "%s of %08x: %04x", formats[f].name, bits[i], number);
      cr_expect_eq(number >> 15, bits[i] >> 31, "%s of %08x keeps its sign", formats[f].name, bits[i]);
    }
  }
}

/* Each number rounded to its type, and its neighbours untouched. */
Test(tensor, numbers_of_every_floating_type_are_written) {
  static const struct {
    Dtype dtype;
    double rounded; /* 1 + 2^-9 + 2^-40 */
  } types[] = {
      {DTYPE_F64, 1.0 + 0x1p-9 + 0x1p-40}, {DTYPE_F32, 1.0 + 0x1p-9}, {DTYPE_F16, 1.0 + 0x1p-9}, {DTYPE_BF16, 1.0}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    double room[3] = {0.0};
    Tensor tensor = tensor_1(room, types[i].dtype, 3);
    tensor_set(tensor, 1, 1.0 + 0x1p-9 + 0x1p-40);
    cr_expect_eq(tensor_get(tensor, 1), types[i].rounded, "%s: %a", dtype_name(types[i].dtype), tensor_get(tensor, 1));
    cr_expect(tensor_get(tensor, 0) == 0.0 && tensor_get(tensor, 2) == 0.0);
  }
}

Test(tensor, numbers_of_every_type_are_read) {
  float f32[] = {1.5F, -2.5F};
  double f64[] = {1.5, 1e300};
  int32_t i32[] = {1, INT32_MIN};
  int64_t i64[] = {1, -(1LL << 53)};
  uint8_t u8[] = {1, 255};
  cr_expect_eq(tensor_get(tensor_1(f32, DTYPE_F32, 2), 1), -2.5);
  cr_expect_eq(tensor_get(tensor_1(f64, DTYPE_F64, 2), 1), 1e300);
  cr_expect_eq(tensor_get(tensor_1(i32, DTYPE_I32, 2), 1), -2147483648.0);
  cr_expect_eq(tensor_get(tensor_1(i64, DTYPE_I64, 2), 1), -0x1p53);
  cr_expect_eq(tensor_get(tensor_1(u8, DTYPE_U8, 2), 1), 255.0);
  cr_expect_eq(tensor_get(tensor_1(u8, DTYPE_BOOL, 2), 0), 1.0);
}
