/* What a calibration learned, how well its codes fit, and what --auto tried and chose. As text and
 * as JSON. */
#ifndef LOOKAT_REPORT_CALIBRATION_OUT_H
#define LOOKAT_REPORT_CALIBRATION_OUT_H

#include <stdio.h>

#include "calibration/learn.h"
#include "calibration/search.h"
#include "checkpoint/checkpoint.h"

struct calibration_report {
    const struct checkpoint *model;
    const struct book *book; /* as it was written; what follows is of its first settings */
    size_t learned;          /* settings that this run learned, the first ones of the book */
    size_t rows;             /* keys, or values, of a head that they were learned from */
    const struct learn_error *errors; /* [learned][L] */
    const struct search *search;      /* NULL without --auto */
    const char *file;                 /* that was written */
};

/* The errors of each layer, or with --auto what was tried and chosen; then the bytes of each head
 * of uneven settings. ERR_FAILED without memory. */
int calibration_put_text(const struct calibration_report *r, FILE *fp, struct err *e);

void calibration_put_json(const struct calibration_report *r, FILE *fp);

#endif
