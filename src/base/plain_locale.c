/* Sets the locale of a thread to C for a while. */
#include "base/plain_locale.h"

#include <locale.h>
#include <stddef.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

struct plain_locale plain_locale_begin(void) {
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) return (struct plain_locale){NULL, NULL};
    return (struct plain_locale){(void *)plain, (void *)uselocale(plain)};
}

void plain_locale_end(struct plain_locale l) {
    if (!l.plain) return;
    uselocale((locale_t)l.before);
    freelocale((locale_t)l.plain);
}
