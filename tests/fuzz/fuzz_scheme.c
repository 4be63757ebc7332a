/* fuzz_scheme.c: any text as a scheme of training: refused, or phases that move something for some steps, and whose
 * canonical text is there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scheme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Scheme scheme;
  char *text = malloc(size + 1);
  if (!text)
    return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  if (scheme_parse(&scheme, "fuzz", text).code == STATUS_OK) {
    REQUIRE(scheme.count > 0, "a scheme without phases was taken");
    for (size_t i = 0; i < scheme.count; i++) {
      double rates[GROUP_COUNT];
      char *printed = phase_print(&scheme.phases[i]);
      REQUIRE(phase_groups(&scheme.phases[i]) != 0 && phase_steps(&scheme.phases[i], 1000) > 0, "a phase of nothing");
      phase_rates(&scheme.phases[i], 0, phase_steps(&scheme.phases[i], 1000), rates);
      free(printed);
    }
    scheme_free(&scheme);
  }
  free(text);
  return 0;
}
