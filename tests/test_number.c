/* test_number.c: strict numbers, exactness, shortest decimals, words made fit for a message. */
#include "number.h"

#include <math.h>

#include "scratch.h"

Test(number, decimals_are_read_whole_or_not_at_all) {
  static const char *const good[] = {"0", "-0.5", "+.5", "5.", "1e5", "1E-5", "-1.5e+300"};
  static const char *const bad[] = {"",      "-",   ".",     "e5",     "1e",  "1 ",  " 1",    "1x", "0x10",
                                    "0x1p3", "1,5", "1e5.5", "nan(1)", "--1", "1_0", "1.2.3", "in"};
  double value;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    cr_expect(number_parse(good[i], &value), "%s", good[i]);
    cr_expect_eq(value, atof(good[i]), "%s", good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    cr_expect_not(number_parse(bad[i], &value), "%s", bad[i]);
}

Test(number, what_is_not_finite_is_read_as_such) {
  double value;
  cr_expect(number_parse("NaN", &value) && isnan(value));
  cr_expect(number_parse("-Infinity", &value) && value == -INFINITY);
  cr_expect(number_parse("1e999", &value) && value == INFINITY);
  cr_expect(number_parse("1e-999", &value) && value == 0);
}

Test(number, whole_numbers_are_read_exactly_or_not_at_all) {
  int64_t value;
  cr_expect(number_parse_integer("-9223372036854775808", &value) && value == INT64_MIN);
  cr_expect(number_parse_integer("9007199254740993", &value) && value == 9007199254740993);
  cr_expect(number_parse_integer("9.007199254740992e15", &value) && value == 9007199254740992);
  cr_expect_not(number_parse_integer("9.007199254740994e15", &value));
  cr_expect_not(number_parse_integer("-9223372036854775809", &value));
  cr_expect_not(number_parse_integer("0.5", &value));
  cr_expect_not(number_parse_integer("inf", &value));
  cr_expect_not(number_parse_integer("nan", &value));
}

Test(number, exact_means_53_bits_and_zeros_behind) {
  cr_expect(number_exact(0) && number_exact(1) && number_exact((uint64_t)1 << 63));
  cr_expect(number_exact(9007199254740991) && number_exact(9007199254740992) && number_exact(9007199254740994));
  cr_expect_not(number_exact(9007199254740993));
  cr_expect_not(number_exact(UINT64_MAX));
}

Test(number, decimals_are_printed_short_and_read_back) {
  static const struct {
    double value;
    const char *text;
  } cases[] = {{0.1, "0.1"}, {1e6, "1000000"},  {0.1 + 0.2, "0.30000000000000004"},
               {-0.0, "-0"}, {1e300, "1e+300"}, {INFINITY, "inf"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[NUMBER_ROOM];
    number_print(cases[i].value, text);
    cr_expect_str_eq(text, cases[i].text);
  }
}

Test(number, words_are_cut_and_cleaned_for_messages) {
  char quoted[QUOTE_ROOM], text[200];
  cr_expect_str_eq(quote_printable("plain", 5, quoted), "plain");
  cr_expect_str_eq(quote_printable("a\033[1m\xc3\n", 7, quoted), "a?[1m??");
  cr_expect_str_eq(quote_printable("abc", 2, quoted), "ab");
  memset(text, 'x', sizeof text);
  quote_printable(text, QUOTE_ROOM - 1, quoted);
  cr_expect_eq(strlen(quoted), QUOTE_ROOM - 1);
  cr_expect_null(strchr(quoted, '.'));
  quote_printable(text, sizeof text, quoted);
  cr_expect_eq(strlen(quoted), QUOTE_ROOM - 1);
  cr_expect_str_eq(quoted + QUOTE_ROOM - 4, "...");
}
