/* Reading an attention spec; the grammar stands at attn_init in backend.h. */
#ifndef LOOKAT_ATTENTION_SPEC_H
#define LOOKAT_ATTENTION_SPEC_H

#include "attention/codec.h"

/* The codecs of the layers 0 .. n_layer - 1: keys[L], values[L], names and options only. ERR_USAGE
 * where the spec cannot be read or leaves a layer out. */
int spec_parse(const char *spec, size_t n_layer, struct codec *keys, struct codec *values,
               struct err *e);

/* Takes the first part of a spec, KEYS[/VALUES][@LAYERS], off *spec, together with the '+' behind
 * it, and reads its two codecs; layers are not looked at. ERR_USAGE where a codec cannot be read.
 */
int spec_next(const char **spec, struct codec *key, struct codec *value, struct err *e);

/* *uses: does a codec that the spec names, for whatever layer, work with codebooks? A word for a
 * whole cache (book_word.h) does. ERR_USAGE where one cannot be read; layers are not looked at. */
int spec_codebooks(const char *spec, bool *uses, struct err *e);

/* Bytes of the first spec of a list between commas. Options are separated by commas too: once a
 * spec has some, a comma ends it where a codec's name follows, as in
 * "fp16,int4:rotate,center,lookat4", which are three. */
size_t spec_first(const char *list);

/* Writes the codec with all its options, such as "int4:group=32,rotate", to out; returns the
 * length, cut to `room` - 1. */
size_t spec_format(const struct codec *c, char *out, size_t room);

#endif
