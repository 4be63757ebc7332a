/* races.h: what ThreadSanitizer is told, in a build with it: each thread of a block is one of its threads, and only
 * barriers, shuffles and votes order what they do. It then reports two threads of a block that touch the same number,
 * in shared or other memory, without a barrier between them, whatever the order in which they happened to run.
 *
 * The machine itself is compiled without it, and blocks run one after the other: races between blocks do not show. */
#ifndef SEESAW_KERNELS_RACES_H
#define SEESAW_KERNELS_RACES_H

#ifdef SEESAW_RACES
#include <sanitizer/tsan_interface.h>

extern "C" void AnnotateIgnoreReadsBegin(const char *file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char *file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char *file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

namespace machine {

/* What everybody did who told `point` before comes before what follows for who hears it. */
inline void races_tell(void *point) {
#ifdef SEESAW_RACES
  __tsan_release(point);
#else
  (void)point;
#endif
}

inline void races_hear(void *point) {
#ifdef SEESAW_RACES
  __tsan_acquire(point);
#else
  (void)point;
#endif
}

/* While it lives, nothing that this thread touches is a race: it is atomic, or the machine's. */
struct Unraced {
#ifdef SEESAW_RACES
  Unraced() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Unraced() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
#else
  ~Unraced() {}
#endif
};

} // namespace machine

#endif
