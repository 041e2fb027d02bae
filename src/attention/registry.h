/* The codecs, one line each; registry.c lists them for those who walk through all. */
#ifndef LOOKAT_ATTENTION_REGISTRY_H
#define LOOKAT_ATTENTION_REGISTRY_H

#include "attention/codec.h"

extern const struct kv_codec codec_fp32;
extern const struct kv_codec codec_fp16;
extern const struct kv_codec codec_int8;
extern const struct kv_codec codec_int4;
extern const struct kv_codec codec_turbo;
extern const struct kv_codec codec_lookat;
extern const struct kv_codec codec_pq;
extern const struct kv_codec codec_constant;

#endif
