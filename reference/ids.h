/* ids.h: numbers among token ids that are no tokens. Source: the constants of the released code. */
#ifndef SEESAW_IDS_H
#define SEESAW_IDS_H

enum {
  IMAGE_TOKEN = -200, /* among ids: a picture's tokens go here */
  IGNORE_LABEL = -100 /* among labels: this token is not learnt */
};

#endif
