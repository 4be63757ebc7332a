/* test_scheme.c: schemes from files: what they say, what is refused and where, what each step does. */
#include "scheme.h"

#include <glob.h>
#include <stdlib.h>

#include "runs.h"

static Scheme parsed(const char *text) {
  Scheme scheme;
  assert_ok(scheme_parse(&scheme, "folder/test.ini", text));
  return scheme;
}

enum { ADAPTER = 1 << GROUP_GATE | 1 << GROUP_MLP | 1 << GROUP_FORMER };

static const char *const simple =
    "[phase one]\ndata = captions\ntrain = adapter\nviews = global\nsamples = 100\nrate = 1e-2\n";

Test(scheme, says_what_moves_and_what_is_shown) {
  Scheme s =
      parsed("; a comment\n[scheme]\nname = both-ways ; and why\n\n[phase stage1]\ndata = captions\ntrain = adapter "
             "lora\nviews = global\nsamples = 1e3\nbatch = 7\naccumulate = 2\nrate = 6e-3\nrate.lora = "
             "1e-4\nrate.adapter = 2e-3\nrate.mlp = 5e-3\n  gamma = 0.5\n\n[phase stage2]\ndata=other\n"
             "train = compression,decoder\nviews = mixed\nepochs = 1.5\nrate = 1\nschedule = constant\nlongest = 0\n");
  cr_assert_eq(s.count, 2);
  cr_expect_str_eq(s.name, "both-ways");
  const Phase *one = &s.phases[0], *two = &s.phases[1];
  cr_expect(strcmp(one->name, "stage1") == 0 && strcmp(two->data, "other") == 0);
  cr_expect_eq(one->turn[0].groups, ADAPTER | 1 << GROUP_LORA);
  cr_expect(one->turn[0].views == VIEWS_GLOBAL && !one->turn[0].mixed && two->turn[0].mixed);
  cr_expect_eq(two->turn[0].groups, 1 << GROUP_COMPRESSION | 1 << GROUP_DECODER);
  cr_expect(one->rate[GROUP_LORA] == 1e-4 && one->rate[GROUP_GATE] == 2e-3 && one->rate[GROUP_MLP] == 5e-3);
  cr_expect(one->rate[GROUP_DECODER] == 0.0 && one->gamma == 0.5 && two->gamma < 0.0);
  cr_expect(one->warmup == 0.03 && one->clip == 1.0 && one->longest == 2048 && two->longest == 0);
  cr_expect_eq(phase_steps(one, 5), 72, "1000 in steps of 14");
  cr_expect_eq(phase_samples(two, 33), 50, "49.5");
  scheme_free(&s);
}

Test(scheme, of_a_file_without_a_head_is_named_by_it) {
  Scheme s = parsed(simple);
  cr_expect_str_eq(s.name, "test");
  scheme_free(&s);
}

/* ---- rates and turns ---- */

Test(scheme, turns_come_in_turn) {
  Scheme s = parsed("[phase a]\ndata = x\nturns = adapter:global | compression decoder : local\nperiod = 3\nsamples = "
                    "64\nrate = 1\nrate.decoder = 2\nwarmup = 0\nschedule = constant\n");
  double rates[GROUP_COUNT];
  for (size_t step = 0; step < 12; step++) {
    bool first = step / 3 % 2 == 0;
    PhaseTurn turn = phase_turn(&s.phases[0], step);
    phase_rates(&s.phases[0], step, 12, rates);
    cr_expect_eq(turn.views, first ? VIEWS_GLOBAL : VIEWS_LOCAL);
    cr_expect(rates[GROUP_MLP] == (first ? 1.0 : 0.0) && rates[GROUP_DECODER] == (first ? 0.0 : 2.0));
  }
  cr_expect_eq(phase_groups(&s.phases[0]), ADAPTER | 1 << GROUP_COMPRESSION | 1 << GROUP_DECODER);
  scheme_free(&s);
}

Test(scheme, the_soft_constraint_fades) {
  Scheme s =
      parsed("[phase a]\ndata = x\nturns = adapter decoder:global | compression decoder:local\nsoft = 8\nsamples = "
             "64\nrate = 0.5\nwarmup = 0\nschedule = constant\n");
  double rates[GROUP_COUNT];
  for (size_t step = 0; step < 20; step++) {
    double lambda = 0.5 + 0.5 * cos(2 * M_PI * (double)step / 8);
    phase_rates(&s.phases[0], step, 20, rates);
    expect_within(fabs(rates[GROUP_MLP] - 0.5 * lambda), 1e-12, "step %zu", step);
    expect_within(fabs(rates[GROUP_COMPRESSION] - 0.5 * (1 - lambda)), 1e-12, "step %zu", step);
    cr_expect_eq(rates[GROUP_DECODER], 0.5);
    cr_expect_eq(phase_turn(&s.phases[0], step).views, VIEWS_BOTH);
  }
  phase_rates(&s.phases[0], 8, 20, rates);
  cr_expect_eq(rates[GROUP_COMPRESSION], 0.0, "it stands still where lambda is one");
  scheme_free(&s);
}

/* ---- the canonical text ---- */

Test(scheme, the_canonical_text_holds_what_matters) {
  Scheme s = parsed(simple), renamed = parsed("[phase two]\nrate.adapter = 0.01\nviews = global\nsamples = 100\ndata = "
                                              "captions\ntrain = former gate mlp\nrate = 7\n");
  char *text = phase_print(&s.phases[0]), *other = phase_print(&renamed.phases[0]);
  cr_expect_str_eq(text, other, "neither the name nor the way it is written");
  cr_expect_str_eq(text, "accumulate = 1\nbatch = 32\nbeta1 = 0.9\nbeta2 = 0.999\nclip = 1\ndata = captions\ndecay = "
                         "0\nepsilon = 1e-08\nlongest = 2048\nrate.former = 0.01\nrate.gate = 0.01\nrate.mlp = "
                         "0.01\nsamples = 100\nschedule = cosine\nturns = gate mlp former:global\nwarmup = 0.03\n");
  free(other);
  renamed.phases[0].gamma = 0.25;
  renamed.phases[0].turn[0].mixed = true;
  other = phase_print(&renamed.phases[0]);
  cr_expect(strstr(other, "gamma = 0.25\n") && strstr(other, "former:mixed\n"));
  free(text);
  free(other);
  scheme_free(&s);
  scheme_free(&renamed);
}

/* ---- what is refused ---- */

static void refused(const char *text, const char *part) {
  Scheme scheme;
  expect_refused(scheme_parse(&scheme, "a.ini", text), STATUS_INPUT, part);
  cr_expect_null(scheme.phases);
}

/* The simple phase, one of its lines replaced, or one put behind it. */
static void refused_with(const char *key, const char *line, const char *part) {
  char text[1024], *out = text;
  bool replaced = false;
  for (const char *at = simple; *at; at += strcspn(at, "\n") + 1)
    if (strncmp(at, key, strlen(key)) == 0 && strchr(" =", at[strlen(key)])) {
      out += sprintf(out, "%s\n", line);
      replaced = true;
    } else {
      out += sprintf(out, "%.*s\n", (int)strcspn(at, "\n"), at);
    }
  if (!replaced)
    sprintf(out, "%s\n", line);
  refused(text, part);
}

Test(scheme, says_which_line_is_wrong_and_what_would_be_right) {
  refused_with("warmup", "warmpu = 0.1", "a.ini: line 7: unknown key 'warmpu'; did you mean 'warmup'?");
  refused_with("samples", "samples = many", "a.ini: line 5: samples must be a whole number, not 'many'");
  refused_with("rate", "rate = -1", "a.ini: line 6: rate must");
  refused_with("rate", "rate = nan", "a.ini: line 6: rate must be a finite number");
  refused_with("train", "train = adaptor", "a.ini: line 3: unknown group 'adaptor'; did you mean 'adapter'?");
  refused_with("train", "train = adapter xyzzy", "there are vision,gate");
  refused_with("train", "train = ,", "a.ini: line 3: [phase one]: train names no group");
  refused_with("views", "views = globl", "a.ini: line 4: unknown views 'globl'; did you mean 'global'?");
  refused_with("schedule", "schedule = cosin", "a.ini: line 7: schedule must be");
  refused_with("rate.decoder", "rate.decoder = 1", "a.ini: line 7: [phase one]: decoder has a rate, but does not move");
  refused_with("train", "train = decoder\nrate.adapter = 1",
               "line 4: [phase one]: the adapter has a rate, but does not");
  refused_with("rate", "rate.mlp = 1", "a.ini: line 3: [phase one]: gate moves, but has no rate");
  refused_with("data", "data = two words", "a.ini: line 2: [phase one]: data must be the name of a feed");
  refused_with("epochs", "epochs = 1", "a.ini: line 5: [phase one]: there must be either samples or epochs");
  refused_with("samples", "", "either samples or epochs");
  refused_with("views", "", "views is missing");
  refused_with("train", "", "train is missing");
  refused_with("period", "period = 3", "line 7: [phase one]: period goes with turns");
  refused_with("soft", "soft = 3", "soft goes with turns");
  refused_with("turns", "turns = mlp:local | gate:global", "turns stand instead of train and views");
  refused_with("clip", "clip = 1\nclip = 2", "line 8: 'clip' is there twice");
  refused_with("batch", "batch 7", "line 7 is not a [section], a 'key = value'");
}

Test(scheme, says_what_is_wrong_with_turns) {
  static const char *const rest = "data = x\nsamples = 1\nrate = 1\n";
  static const struct {
    const char *lines, *part;
  } cases[] = {
      {"turns = mlp:local\nperiod = 1\n", "two turns or more"},
      {"turns = mlp:local | gate\nperiod = 1\n", "a turn is GROUPS:VIEWS, as in 'adapter:global', not ' gate'"},
      {"turns = mlp:local | gate:global\n", "turns need either period or soft"},
      {"turns = mlp:local | gate:global\nperiod = 2\nsoft = 4\n", "turns need either period or soft"},
      {"turns = mlp:local | gate:mixed\nsoft = 4\n", "without mixed views"},
      {"turns = mlp:local | gate:global | mlp:both\nsoft = 4\n", "between two turns"},
      {"turns = mlp:local|gate:global|mlp:both|mlp:local|mlp:local\nperiod = 4\n", "more than four"},
      {"turns = mlp:locl | gate:global\nperiod = 4\n", "line 5: unknown views 'locl'; did you mean 'local'?"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[512];
    snprintf(text, sizeof text, "[phase a]\n%s%s", rest, cases[i].lines);
    refused(text, cases[i].part);
  }
}

Test(scheme, says_what_is_wrong_with_sections) {
  char text[2048];
  snprintf(text, sizeof text, "[scheme]\nname = x\n%s%s", simple, simple);
  refused(text, "a.ini: line 9: [phase one]: a second phase one");
  refused("[scheme]\nname = x\n", "a.ini has no [phase NAME]");
  refused("", "has no [phase NAME]");
  refused("[scheme]\nname = a/b\n", "line 2: [scheme]: a name is of");
  refused("[scheme]\nnam = a\n", "line 2: unknown key 'nam'; did you mean 'name'?");
  refused("[stage one]\n", "line 1: [stage one]: a section is [scheme] or [phase NAME]");
  refused("\n\n[phase a/b]\n", "line 3: [phase a/b]: a phase's name");
  refused("[phase ]\n", "a phase's name");
  refused("[phase an-endless-name-of-more-than-forty-letters-in-all]\n", "a phase's name");
  refused("train = mlp\n[phase a]\n", "line 1");
  refused("[phase a\ndata = x\n", "line 1");
}

/* ---- the schemes that come with the program ---- */

/* All of a folder; the row without pictures has one phase. */
static void expect_right(const char *pattern, size_t fewest) {
  glob_t found;
  cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
  cr_expect_geq(found.gl_pathc, fewest);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    Scheme s;
    Status status = scheme_read(&s, found.gl_pathv[i]);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    cr_expect_geq(s.count, strcmp(s.name, "text-only") == 0 ? 1 : 2, "%s", found.gl_pathv[i]);
    cr_expect_not_null(strstr(found.gl_pathv[i], s.name), "%s is called %s", found.gl_pathv[i], s.name);
    scheme_free(&s);
  }
  globfree(&found);
}

Test(scheme, those_at_hand_are_right) {
  expect_right(SEESAW_FIXTURES "/../../experiments/schemes/*.ini", 8);
  expect_right(SEESAW_FIXTURES "/../../experiments/schemes/scenes/*.ini", 14);
}

/* Samples of all phases before the last. */
static size_t samples_of_pretraining(const char *name) {
  Scheme s;
  char path[1024];
  size_t samples = 0;
  snprintf(path, sizeof path, SEESAW_FIXTURES "/../../experiments/schemes/scenes/%s.ini", name);
  Status status = scheme_read(&s, path);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  for (size_t i = 0; i + 1 < s.count; i++)
    samples += s.phases[i].samples;
  cr_expect_eq(s.phases[s.count - 1].samples, 12000, "Stage III is every row's");
  scheme_free(&s);
  return samples;
}

Test(scheme, controls_have_the_samples_that_they_claim) {
  static const char *const as_many[] = {"e2e-samples", "periodic", "reversed", "unfrozen"};
  size_t stages = samples_of_pretraining("alternating");
  cr_expect_eq(stages, 24000);
  for (size_t i = 0; i < sizeof as_many / sizeof *as_many; i++)
    cr_expect_eq(samples_of_pretraining(as_many[i]), stages, "%s", as_many[i]);
  cr_expect_eq(samples_of_pretraining("e2e"), stages / 2, "as the paper's E2E: one stage");
}

Test(scheme, a_file_that_is_not_there_or_not_text) {
  Scheme s;
  expect_refused(scheme_read(&s, "/nowhere/a.ini"), STATUS_INPUT, "/nowhere/a.ini");
  scheme_free(&s);
}
