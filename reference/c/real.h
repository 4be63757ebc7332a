/* real.h: the type that a copy of the C backend computes with, and the names of what it exports. */
#ifndef SEESAW_C_REAL_H
#define SEESAW_C_REAL_H

#define REAL_JOIN2(name, real) name##_##real
#define REAL_JOIN(name, real) REAL_JOIN2(name, real)
#define REAL_NAME(name) REAL_JOIN(name, REAL) /* c_open -> c_open_float */

typedef REAL real;

#endif
