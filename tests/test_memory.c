/* test_memory.c: what the machine can give, and how it is printed. */
#include "memory.h"

#include <criterion/criterion.h>
#include <stdint.h>

Test(memory, is_a_plausible_number) {
  cr_expect_gt(memory_available(), (size_t)1 << 20);
  cr_expect_eq(memory_available() % 1024 == 0 || memory_available() == SIZE_MAX, 1);
}

Test(memory, prints_in_the_unit_that_fits) {
  static const struct {
    size_t bytes;
    const char *text;
  } cases[] = {{0, "0 bytes"},           {999, "999 bytes"},   {1000, "1 kB"},
               {16100000000, "16.1 GB"}, {1234567, "1.23 MB"}, {SIZE_MAX, "1.84e+04 PB"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[32];
    cr_expect_str_eq(memory_print(cases[i].bytes, text), cases[i].text);
  }
}
