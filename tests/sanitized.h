/* sanitized.h: with sanitizers everything takes several times as long. There the longest tests take a part of their
 * cases: how memory is used shows in few of them, and the release build takes all. */
#ifndef SEESAW_TEST_SANITIZED_H
#define SEESAW_TEST_SANITIZED_H

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#define SANITIZED_OR(with, without) with
#else
enum { SANITIZED = 0 };
#define SANITIZED_OR(with, without) without
#endif

#endif
