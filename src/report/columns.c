#include "report/columns.h"

#include "report/text.h"

static const struct {
    const char *title, *meaning;
} columns[] = {
    {"attention", "the backend as given to --attn, and in brackets the method that its codebooks "
                  "make of it. * marks one whose "
                  "codebooks were calibrated on this very text: its figures flatter it"},
    {"±",
     "standard error of the mean. Tokens, layers and heads of one window are not independent, so a "
     "window counts as "
     "one sample: with W windows, the spread of their means over the root of W. One window "
     "has none. What is compared "
     "with the baseline is paired, token by token and query by query, so what both find hard "
     "drops out"},
    {"windows", "how many windows of the text were measured; each is run on its own, and its "
                "second half is scored"},
    {"n", "queries compared, of all heads, in one layer"},
    {"stored/token", "bytes that the cache keeps for a token, all layers and heads, keys and "
                     "values, exact few included"},
    {"keys alone, everything", "how many times fewer bytes than the baseline"},
    {"loaded/token", "bytes that attention reads to decode one token, all layers or the row's, the "
                     "mean over tokens spread "
                     "over the windows: packed keys, scales, codebooks, tables and values"},
    {"perplexity", "exp of the mean of -log p(token) over the scored tokens, each backend with its "
                   "own hidden states"},
    {"ratio", "its perplexity over the baseline's: exp of the mean of the differences of -log p, "
              "token by token"},
    {"KLD, KL of predictions",
     "how far its next-token distribution Q is from the baseline's P: the sum over the vocabulary "
     "of "
     "P log(P / Q), in nats; mean over the scored tokens, then median, 99 % quantile and largest"},
    {"same top-1", "share of scored tokens for which the most likely next token is the baseline's"},
    {"RMS dp", "root of the mean square of p(token) less the baseline's"},
    {"cosine", "of a head's output vector with the baseline's, for the same query, keys and "
               "values; mean over queries and heads. "
               "\"layer 0\" is that of layer 0"},
    {"KL, nats", "beside a cosine: of a query's probabilities over its keys, the sum of P log(P / "
                 "Q) with the baseline's as P; "
                 "beside a perplexity: that of predictions, as above"},
    {"Spearman",
     "rank correlation of a query's scores over its keys with the baseline's; rho in the law"},
    {"top-5",
     "share of the five keys with the largest baseline scores that are among its own five largest"},
    {"worst", "of the layers measured the one with the lowest cosine, and that cosine"},
    {"ms in attention", "milliseconds to answer the queries of one decoded token in all layers: "
                        "median, least and most of "
                        "repetitions, each with all backends in turn"},
};

void columns_explain(FILE *fp, bool markdown) {
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (markdown) {
            fprintf(fp, "- **%s**: %s.\n", columns[i].title, columns[i].meaning);
            continue;
        }
        int at = fprintf(fp, "  %s: ", columns[i].title);
        text_wrap(fp, columns[i].meaning, at, 6);
    }
}
