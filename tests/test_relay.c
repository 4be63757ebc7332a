/* test_relay.c: an item that fails, crashes, hangs or exits costs itself alone, and each is taken once, in order. */
#include <criterion/criterion.h>
#include <signal.h>
#include <unistd.h>

#include "../experiments/relay.c"
#include "scratch.h"

enum { ITEMS = 6, FAILS = 1, CRASHES = 2, HANGS = 3, EXITS = 4 };

typedef struct World {
  bool broken, unavailable;
  size_t taken, begun;
  Status outcome[ITEMS];
  int report[ITEMS];
} World;

static Status begin(void *context) {
  World *w = context;
  w->begun++;
  w->broken = false;
  return w->unavailable ? status_error(STATUS_UNAVAILABLE, "there is none") : status_ok();
}

/* What is broken stays so, as a device does. */
static Status work(void *context, size_t item, void *report) {
  World *w = context;
  *(int *)report = 10 + (int)item;
  if (item == CRASHES)
    kill(getpid(), SIGKILL);
  if (item == HANGS)
    sleep(60);
  if (item == EXITS)
    _exit(3);
  w->broken = w->broken || item == FAILS;
  return w->broken ? status_error(STATUS_UNAVAILABLE, "a fault") : status_ok();
}

static void end(void *context) {
  (void)context;
}

static Status take(void *context, size_t item, const void *report, Status outcome) {
  World *w = context;
  cr_expect_eq(item, w->taken++);
  w->outcome[item] = outcome;
  w->report[item] = *(const int *)report;
  return status_ok();
}

static Relay relay_over(World *w, size_t count) {
  return (Relay){.count = count,
                 .size = sizeof(int),
                 .seconds = 0.5,
                 .context = w,
                 .begin = begin,
                 .work = work,
                 .end = end,
                 .take = take};
}

Test(relay, what_ends_a_process_costs_one_item) {
  static const char *const sentence[ITEMS] = {NULL, "a fault", "signal 9", "longer than 0.5 s", "status 3", NULL};
  World w = {0};
  Relay relay = relay_over(&w, ITEMS);
  cr_assert_eq(relay_run(&relay).code, STATUS_OK);
  cr_expect_eq(w.taken, ITEMS);
  cr_expect_eq(w.begun, 0, "this process opens nothing");
  for (int i = 0; i < ITEMS; i++) {
    cr_expect_eq(w.outcome[i].code, sentence[i] ? STATUS_UNAVAILABLE : STATUS_OK, "item %d", i);
    cr_expect_eq(w.report[i], i >= CRASHES && i <= EXITS ? 0 : 10 + i, "item %d: %d", i, w.report[i]);
    if (sentence[i])
      cr_expect_not_null(strstr(w.outcome[i].message, sentence[i]), "%s", w.outcome[i].message);
  }
}

Test(relay, in_this_process_opens_again_behind_a_fault) {
  World w = {0};
  Relay relay = relay_over(&w, CRASHES);
  relay.here = true;
  cr_assert_eq(relay_run(&relay).code, STATUS_OK);
  cr_expect_eq(w.taken, CRASHES);
  cr_expect_eq(w.begun, 1);
  cr_expect_eq(w.outcome[FAILS].code, STATUS_UNAVAILABLE);
}

Test(relay, without_a_device_nothing_is_taken) {
  World w = {.unavailable = true};
  Relay relay = relay_over(&w, ITEMS);
  for (int here = 0; here < 2; here++) {
    relay.here = here;
    Status status = relay_run(&relay);
    cr_expect_eq(status.code, STATUS_UNAVAILABLE);
    cr_expect_str_eq(status.message, "there is none");
  }
  cr_expect_eq(w.taken, 0);
}

Test(relay, an_interruption_ends_it) {
  World w = {0};
  Relay relay = relay_over(&w, ITEMS);
  interrupt_watch();
  raise(SIGINT);
  cr_expect_eq(relay_run(&relay).code, STATUS_INTERRUPTED);
  cr_expect_eq(w.taken, 0);
}
