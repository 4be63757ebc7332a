/* bench_limits.c: what the machine gives, and samples of passes beside it. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "progress.h"

enum { SQUARE = 1024, BLOCK = SQUARE * SQUARE };

Status limits_open(Limits *limits, int threads) {
  size_t count = (size_t)3 * BLOCK * (size_t)threads;
  *limits = (Limits){.threads = threads, .numbers = calloc(count, sizeof *limits->numbers)};
  if (!limits->numbers)
    return status_error(STATUS_MEMORY, "not enough memory for the bench");
  for (size_t i = 0; i < count; i++)
    limits->numbers[i] = (float)(i % 7) - 3.0F;
  return status_ok();
}

void limits_close(Limits *limits) {
  free(limits->numbers);
  *limits = (Limits){0};
}

double limits_sgemm(const Limits *limits) {
  int threads = limits->threads;
  double began = clock_seconds();
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int i = 0; i < threads; i++) {
    float *a = limits->numbers + (size_t)3 * BLOCK * (size_t)i;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SQUARE, SQUARE, SQUARE, 1.0F, a, SQUARE, a + BLOCK, SQUARE,
                0.0F, a + (size_t)2 * BLOCK, SQUARE);
  }
  return 2.0 * SQUARE * BLOCK * threads / (clock_seconds() - began);
}

double limits_reading(const Limits *limits, const void *memory, size_t bytes) {
  const uint64_t *words = memory;
  size_t count = bytes / sizeof *words;
  uint64_t sum = 0;
  static volatile uint64_t sink;
  double began = clock_seconds();
#pragma omp parallel for schedule(static) num_threads(limits->threads) reduction(+ : sum)
  for (size_t i = 0; i < count; i++)
    sum += words[i];
  sink = sum;
  (void)sink;
  return (double)bytes / (clock_seconds() - began);
}

/* ---- samples ---- */

void timed_add(Timed *timed, double seconds, double operations, double sgemm) {
  REQUIRE(timed->count < SAMPLES_MOST, "more than %d samples", SAMPLES_MOST);
  timed->seconds[timed->count] = seconds;
  timed->operations[timed->count] = operations;
  timed->sgemm[timed->count++] = sgemm;
}

double timed_seconds(const Timed *timed) {
  return timed->count > 0 ? spread_of(timed->seconds, timed->count).median : NAN;
}

double timed_share(const Timed *timed) {
  double shares[SAMPLES_MOST];
  for (size_t i = 0; i < timed->count; i++)
    shares[i] = timed->operations[i] / timed->seconds[i] / timed->sgemm[i];
  return timed->count > 0 ? spread_of(shares, timed->count).median : NAN;
}

void timed_print(const Timed *timed, const char *title, const char *which, double target, size_t samples) {
  double took = timed_seconds(timed), operations = spread_of(timed->operations, timed->count).median;
  printf("%-26s %-8s %9.2f ms  %7.1f GFLOP/s  %4.0f %% of SGEMM", title, which, 1e3 * took, 1e-9 * operations / took,
         100.0 * timed_share(timed));
  if (target > 0.0)
    printf(" (aim %.0f %%)", 100.0 * target);
  if (samples > 0)
    printf("  %6.0f samples/s", (double)samples / took);
  if (!isnan(timed->torch))
    printf("   PyTorch %.2f ms: %.2f times as long", 1e3 * timed->torch, timed->torch / took);
  printf("\n");
  fflush(stdout);
}

void timed_json(const Timed *timed, const char *name, cJSON *row) {
  char key[64];
  snprintf(key, sizeof key, "%s_seconds", name);
  cJSON_AddNumberToObject(row, key, timed_seconds(timed));
  snprintf(key, sizeof key, "%s_fraction_of_sgemm", name);
  cJSON_AddNumberToObject(row, key, timed_share(timed));
  snprintf(key, sizeof key, "torch_%s_seconds", name);
  cJSON_AddNumberToObject(row, key, timed->torch);
}
