/* image_png.c: PNG by libpng, in and out.
 *
 * libpng reports failure by a call that must not return: it fills `status` and jumps back to decode() or encode().
 * Everything that outlives the jump lies in the Png, which their callers own. */
#include <png.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "image_internal.h"

typedef struct Png {
  png_structp png;
  png_infop info;
  const Encoded *file; /* of reading */
  size_t at;           /* the byte that is read next */
  Image *image;
  FILE *stream; /* of writing */
  Status status;
} Png;

_Noreturn static void fail_reading(png_structp png, png_const_charp text) {
  Png *self = png_get_error_ptr(png);
  self->status = status_error(STATUS_INPUT, "cannot decode the PNG file %s: %s", self->file->name, text);
  png_longjmp(png, 1);
}

/* Warnings are of what costs no pixel: ancillary chunks, an index past the palette. */
static void ignore_warning(png_structp png, png_const_charp text) {
  (void)png, (void)text;
}

static void take_bytes(png_structp png, png_bytep bytes, size_t count) {
  Png *self = png_get_io_ptr(png);
  if (count > self->file->size - self->at)
    png_error(png, "the file is truncated");
  memcpy(bytes, self->file->bytes + self->at, count);
  self->at += count;
}

/* 16-bit grey: Pillow cuts it off at 255, it does not scale. The samples lie packed at the start of the row; from the
 * back they are read before they are overwritten. */
static void rgb_from_grey16(unsigned char *row, size_t width) {
  for (size_t x = width; x-- > 0;)
    memset(row + 3 * x, row[2 * x] != 0 ? 255 : row[2 * x + 1], 3);
}

/* Ask libpng for 8-bit RGB, except from 16-bit grey. */
static void ask_for_rgb(png_structp png, int colour, bool grey16) {
  if (grey16)
    return;
  if (colour == PNG_COLOR_TYPE_PALETTE)
    png_set_palette_to_rgb(png);
  if ((colour & PNG_COLOR_MASK_COLOR) == 0)
    png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png); /* keeps the high byte */
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
}

static void read_rows(Png *self, bool grey16) {
  int passes = png_set_interlace_handling(self->png);
  png_read_update_info(self->png, self->info);
  if (png_get_rowbytes(self->png, self->info) != (grey16 ? 2 : 3) * self->image->width)
    png_error(self->png, "rows of an unexpected length");
  for (int pass = 0; pass < passes; pass++)
    for (size_t y = 0; y < self->image->height; y++)
      png_read_row(self->png, image_row(*self->image, y), NULL);
  for (size_t y = 0; grey16 && y < self->image->height; y++)
    rgb_from_grey16(image_row(*self->image, y), self->image->width);
}

/* The result is in self->status. No variable of this function lives across the jump. */
static void decode(Png *self) {
  if (setjmp(png_jmpbuf(self->png)) != 0)
    return;
  png_set_read_fn(self->png, self, take_bytes);
  png_set_user_limits(self->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);         /* image_start has ours */
  png_set_keep_unknown_chunks(self->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* gamma, profiles, text */
  png_read_info(self->png, self->info);
  int colour = png_get_color_type(self->png, self->info);
  bool grey16 = colour == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(self->png, self->info) == 16;
  self->status = image_start(self->image, self->file, png_get_image_width(self->png, self->info),
                             png_get_image_height(self->png, self->info));
  if (self->status.code != STATUS_OK)
    return;
  ask_for_rgb(self->png, colour, grey16);
  read_rows(self, grey16);
  png_read_end(self->png, NULL);
}

Status image_decode_png(const Encoded *file, Image *image) {
  Png self = {.file = file, .image = image, .status = status_ok()};
  self.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &self, fail_reading, ignore_warning);
  self.info = self.png != NULL ? png_create_info_struct(self.png) : NULL;
  if (self.info != NULL)
    decode(&self);
  else
    self.status = status_error(STATUS_MEMORY, "not enough memory to decode the PNG file %s", file->name);
  png_destroy_read_struct(&self.png, &self.info, NULL);
  return self.status;
}

/* ---- Out ---- */

_Noreturn static void fail_writing(png_structp png, png_const_charp text) {
  Png *self = png_get_error_ptr(png);
  self->status = status_error(STATUS_MEMORY, "cannot encode a PNG file: %s", text);
  png_longjmp(png, 1);
}

/* A write that failed is remembered by the stream and reported by output_commit, with the reason. */
static void give_bytes(png_structp png, png_bytep bytes, size_t count) {
  Png *self = png_get_io_ptr(png);
  fwrite(bytes, 1, count, self->stream);
}

static void flush_nothing(png_structp png) {
  (void)png;
}

static void encode(Png *self) {
  if (setjmp(png_jmpbuf(self->png)) != 0)
    return;
  png_set_write_fn(self->png, self, give_bytes, flush_nothing);
  png_set_user_limits(self->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(self->png, self->info, (png_uint_32)self->image->width, (png_uint_32)self->image->height, 8,
               PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(self->png, self->info);
  for (size_t y = 0; y < self->image->height; y++)
    png_write_row(self->png, image_row(*self->image, y));
  png_write_end(self->png, NULL);
}

static Status encode_to(FILE *stream, Image *image) {
  Png self = {.image = image, .stream = stream, .status = status_ok()};
  self.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &self, fail_writing, ignore_warning);
  self.info = self.png != NULL ? png_create_info_struct(self.png) : NULL;
  if (self.info != NULL)
    encode(&self);
  else
    self.status = status_error(STATUS_MEMORY, "not enough memory to encode a PNG file");
  png_destroy_write_struct(&self.png, &self.info);
  return self.status;
}

Status image_write_png(const char *path, Image image) {
  OutputFile file;
  REQUIRE(image.pixels != NULL && image.width > 0 && image.height > 0, "no picture to write to %s", path);
  TRY(output_open(&file, path));
  Status status = encode_to(file.stream, &image);
  if (status.code == STATUS_OK)
    return output_commit(&file);
  output_abort(&file);
  return status;
}
