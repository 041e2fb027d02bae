/* What the columns of a comparison's tables mean. */
#ifndef LOOKAT_REPORT_COLUMNS_H
#define LOOKAT_REPORT_COLUMNS_H

#include <stdbool.h>
#include <stdio.h>

/* Every column that some table of `compare` has, with its definition: lines of at most 80 columns,
 * or a Markdown list. */
void columns_explain(FILE *fp, bool markdown);

#endif
