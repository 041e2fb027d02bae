/* Numbers are read and written as in C, whatever locale the program has set: in many languages
 * "0.5" is written with a comma, and strtod then ends at the point. The program never leaves the C
 * locale, but a program that the library is part of may. */
#ifndef LOOKAT_BASE_PLAIN_LOCALE_H
#define LOOKAT_BASE_PLAIN_LOCALE_H

/* The two calls stand around what reads or writes numbers. plain_locale_begin sets the locale of
 * the calling thread to C, and plain_locale_end sets it back to what it was. Other threads notice
 * nothing. Without memory the locale stays as it is. */
struct plain_locale {
    void *plain, *before; /* NULL where nothing was changed */
};
struct plain_locale plain_locale_begin(void);
void plain_locale_end(struct plain_locale l);

#endif
