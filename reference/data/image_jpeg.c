/* image_jpeg.c: JPEG by libjpeg.
 *
 * libjpeg reports failure by a call that must not return: it fills `status` and jumps back to decode(). Everything that
 * outlives the jump lies in the Jpeg, which the function that calls decode() owns. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#include "image_internal.h"

enum { MOST_SCANS = 500 }; /* a few bytes can ask for one more pass over all of a progressive picture */

typedef struct Jpeg {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  const Encoded *file;
  Image *image;
  Status status;
  jmp_buf escape;
} Jpeg;

_Noreturn static void fail(j_common_ptr info) {
  Jpeg *jpeg = info->client_data;
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  StatusCode code = info->err->msg_code == JERR_OUT_OF_MEMORY ? STATUS_MEMORY : STATUS_INPUT;
  jpeg->status = status_error(code, "cannot decode the JPEG file %s: %s", jpeg->file->name, text);
  longjmp(jpeg->escape, 1);
}

/* Whether libjpeg goes on by inventing pixels. Its other warnings are of bytes that it skips. */
static bool pixels_are_lost(int warning) {
  return warning == JWRN_JPEG_EOF || warning == JWRN_HIT_MARKER || warning == JWRN_HUFF_BAD_CODE ||
         warning == JWRN_ARITH_BAD_CODE || warning == JWRN_MUST_RESYNC || warning == JWRN_NOT_SEQUENTIAL;
}

static void take_message(j_common_ptr info, int level) {
  if (level < 0 && pixels_are_lost(info->err->msg_code))
    fail(info);
}

static void take_progress(j_common_ptr info) {
  Jpeg *jpeg = info->client_data;
  if (jpeg->info.input_scan_number <= MOST_SCANS)
    return;
  jpeg->status = status_error(STATUS_INPUT, "cannot decode the JPEG file %s: it has more than %d scans",
                              jpeg->file->name, MOST_SCANS);
  longjmp(jpeg->escape, 1);
}

/* Ink that is inverted (255: none) to light: (255 - C) (255 - K) / 255 as Pillow rounds it. */
static unsigned char light(unsigned ink, unsigned black) {
  unsigned lit = black, product = (255 - ink) * lit + 128, absorbed = (product + (product >> 8)) >> 8;
  return (unsigned char)(lit - absorbed);
}

static void rgb_from_inverted_cmyk(size_t width, const unsigned char *from, unsigned char *to) {
  for (size_t x = 0; x < width; x++)
    for (size_t c = 0; c < 3; c++)
      to[3 * x + c] = light(from[4 * x + c], from[4 * x + 3]);
}

static void read_rows(Jpeg *jpeg) {
  struct jpeg_decompress_struct *info = &jpeg->info;
  JSAMPARRAY inks = NULL; /* a row of CMYK, libjpeg's own */
  if (info->out_color_space == JCS_CMYK)
    inks = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE, info->output_width * 4, 1);
  for (size_t y = 0; y < jpeg->image->height; y++) {
    unsigned char *row = image_row(*jpeg->image, y);
    jpeg_read_scanlines(info, inks != NULL ? inks : &row, 1);
    if (inks != NULL)
      rgb_from_inverted_cmyk(jpeg->image->width, inks[0], row);
  }
}

/* Choose what to get, as the header allows. */
static Status start(Jpeg *jpeg) {
  struct jpeg_decompress_struct *info = &jpeg->info;
  int components = info->num_components;
  if (components != 1 && components != 3 && components != 4)
    return status_error(STATUS_INPUT, "cannot decode the JPEG file %s: it has %d components; 1, 3 or 4 are read",
                        jpeg->file->name, components);
  info->out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
  info->dct_method = JDCT_ISLOW;
  info->do_fancy_upsampling = TRUE;
  return image_start(jpeg->image, jpeg->file, info->image_width, info->image_height);
}

/* The result is in jpeg->status. No variable of this function lives across the jump. */
static void decode(Jpeg *jpeg) {
  if (setjmp(jpeg->escape) != 0)
    return;
  jpeg_create_decompress(&jpeg->info);
  jpeg->info.progress = &jpeg->progress;
  jpeg_mem_src(&jpeg->info, jpeg->file->bytes, jpeg->file->size);
  jpeg_read_header(&jpeg->info, TRUE);
  jpeg->status = start(jpeg);
  if (jpeg->status.code != STATUS_OK)
    return;
  jpeg_start_decompress(&jpeg->info);
  read_rows(jpeg);
  jpeg_finish_decompress(&jpeg->info); /* reads up to the end marker */
}

Status image_decode_jpeg(const Encoded *file, Image *image) {
  Jpeg jpeg = {.file = file, .image = image, .status = status_ok()};
  jpeg.info.err = jpeg_std_error(&jpeg.errors);
  jpeg.info.client_data = &jpeg;
  jpeg.errors.error_exit = fail;
  jpeg.errors.emit_message = take_message;
  jpeg.progress.progress_monitor = take_progress;
  decode(&jpeg);
  jpeg_destroy_decompress(&jpeg.info);
  return jpeg.status;
}
