/* Text and numbers inside HTML and SVG. Names of files, tokens and generated texts may hold any
 * bytes, so all of them pass here: what comes out is valid UTF-8 that a parser of HTML or of XML
 * reads as plain characters, in an element as well as in an attribute between double quotes. */
#ifndef LOOKAT_REPORT_MARKUP_H
#define LOOKAT_REPORT_MARKUP_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "report/text.h"

/* Writes s[n]. The characters & < > " ' become references. Newlines stay; every other character
 * that steers (base/printable.h), every byte that is not valid UTF-8 and the two noncharacters that
 * XML refuses become U+FFFD. */
void markup_text(FILE *fp, const void *s, size_t n);
void markup_cstr(FILE *fp, const char *s);

/* The same for a token that stands alone, as a label: newlines and tabs become the arrows that
 * stand for these keys, and a space becomes U+2423. */
void markup_token(FILE *fp, const void *s, size_t n);

/* Write what printf makes of its arguments, as markup_cstr does. It is cut at 2047 bytes. */
void markup_print(FILE *fp, const char *fmt, ...) ERR_PRINTF(2, 3);
void markup_vprint(FILE *fp, const char *fmt, va_list args);

/* A number for people: three significant digits, "0.00213", "1.05", "1.20e-6"; whole from 1000 on
 * with separators; "NaN" and "inf" where it is not finite. */
struct text_number markup_number(double x);

/* The same with `digits` significant digits, 1 to 9. */
struct text_number markup_digits(double x, int digits);

/* A count for people, rounded and with separators: "3,552". What a uint64_t cannot hold is written
 * as markup_number does. */
struct text_number markup_count(double x);

/* Bytes for people, in decimal units: "96 B", "3.55 kB", "1.9 MB". */
struct text_number markup_bytes(double x);

/* A mean and its error: as many decimals as the error needs, "1.0021 ± 0.0004". Without an error
 * that is finite, the mean alone. */
struct text_number markup_pair(double mean, double error);

#endif
