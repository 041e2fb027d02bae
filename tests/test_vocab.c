/* The byte-to-unicode spelling, the hash under the vocabulary, and the builder's rules. */
#include "checkpoint/vocab.h"

#include "test.h"

/* The spelling of each byte as an independent table: 33..126, 161..172, 174..255 are themselves,
 * the rest count up from U+0100. */
static void spelling(void) {
    unsigned next = 256;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool self = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174);
        unsigned c = self ? byte : next++;
        char want[3] = {(char)c, 0, 0}, got[3] = {0};
        if (c >= 128) want[0] = (char)(0xc0 | c >> 6), want[1] = (char)(0x80 | (c & 63));
        uint8_t b = (uint8_t)byte, back[2] = {0};
        size_t n = vocab_spell(&b, 1, got);
        CHECK(n == strlen(want) && strcmp(got, want) == 0, "byte %u is spelled %s", byte, got);
        CHECK(vocab_unspell(got, n, back) == 1 && back[0] == b, "byte %u comes back as %u", byte,
              back[0]);
    }
    CHECK(next == 256 + 68, "%u others", next - 256);
    uint8_t all[256], back[512];
    char spelled[512];
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)(255 - i);
    size_t n = vocab_spell(all, 256, spelled);
    CHECK(vocab_unspell(spelled, n, back) == 256 && memcmp(all, back, 256) == 0,
          "all bytes at once");
}

static void spelling_refuses(void) {
    uint8_t out[16];
    static const char *bad[] = {
        " ",        "a b",      "\x7f",     "\n",           "\xc2", "a\xc4",   "\xc2\x41",
        "\xc2\xad", "\xc2\x80", "\xc5\x84", "\xe2\x82\xac", "\x80", "\xc1\x81"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(vocab_unspell(bad[i], strlen(bad[i]), out) == -1, "case %zu", i);
    CHECK(vocab_unspell("\xc5\x83", 2, out) == 1 && out[0] == 173, "U+0143 is the last");
}

/* Vectors of the reference implementation (github.com/veorq/SipHash, vectors.h): key 00..0f,
 * messages 00, 01, 02... */
static void siphash(void) {
    const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    uint8_t msg[16];
    for (int i = 0; i < 16; i++) msg[i] = (uint8_t)i;
    CHECK(hash_bytes(key, msg, 0) == 0x726fdb47dd0e0e31, "length 0");
    CHECK(hash_bytes(key, msg, 1) == 0x74f839c593dc67fd, "length 1");
    CHECK(hash_bytes(key, msg, 15) == 0xa129ca6149be45e5, "length 15");
}

static struct vocab_builder b;
static struct arena a;
static struct err e;

static void begin(size_t n, size_t room, size_t merges) {
    e = (struct err){0};
    CHECK(vocab_builder_init(&b, "file", n, room, merges, &a, &e) == OK, "%s", e.msg);
}
static void end(void) {
    vocab_builder_free(&b);
    arena_free(&a);
}
static int set(size_t id, const char *s, enum token_kind kind) {
    return vocab_builder_set(&b, id, s, strlen(s), kind, &e);
}
static bool says(const char *part) {
    return e.code == ERR_REFUSED && strstr(e.msg, part) && strstr(e.msg, "file: ") == e.msg;
}

static char warning[600];
static void take_warning(const char *msg) {
    snprintf(warning + strlen(warning), sizeof warning - strlen(warning), "%s", msg);
}

/* All warnings for a model of this many rows, one after the other, are `want`. */
static void warned_of(const struct vocab *v, size_t rows, const char *want) {
    warning[0] = 0;
    CHECK(vocab_check(v, rows, "file", NULL, &e) == OK &&
              vocab_check(v, rows, "file", take_warning, &e) == OK,
          "%s", e.msg);
    CHECK(strcmp(warning, want) == 0, "\"%s\", expected \"%s\"", warning, want);
}

static void builds(void) {
    begin(5, 40, 3);
    CHECK(set(2, "ab", TOKEN_NORMAL) == OK && set(0, "a", TOKEN_NORMAL) == OK &&
              set(1, "b", TOKEN_NORMAL) == OK,
          "%s", e.msg);
    CHECK(vocab_builder_set_spelled(&b, 3,
                                    "\xc4\xa0"
                                    "b",
                                    3, TOKEN_NORMAL, &e) == OK,
          "%s", e.msg);
    CHECK(vocab_builder_set_spelled(&b, 4, "<| \xc4\xa0 |>", 8, TOKEN_CONTROL, &e) == OK, "%s",
          e.msg);
    CHECK(vocab_builder_find(&b, "ab", 2) == 2 && vocab_builder_find(&b, " b", 2) == 3 &&
              vocab_builder_find(&b, "ba", 2) == -1,
          "find");
    CHECK(vocab_builder_merge_line(&b, "a b", 3, &e) == OK, "%s", e.msg);
    struct vocab v;
    CHECK(vocab_builder_finish(&b, &v, -1, 4, &e) == OK, "%s", e.msg);
    vocab_builder_free(&b);
    CHECK(v.n == 5 && v.offset[5] == 1 + 1 + 2 + 2 + 8 &&
              memcmp(v.bytes, "abab b<| \xc4\xa0 |>", 14) == 0,
          "bytes");
    CHECK(v.kind[4] == 1 && v.kind[3] == 0 && v.bos == -1 && v.eos == 4, "control");
    CHECK(v.n_merges == 1 && v.merges[0].left == 0 && v.merges[0].right == 1 &&
              v.merges[0].merged == 2,
          "merges");
    CHECK(v.match[4] == MATCH_SPECIAL && v.match[3] == 0 && v.n_warnings == 0 && !v.add_bos,
          "match");
    warned_of(&v, 5, "");
    warned_of(
        &v, 6,
        "file: the tokenizer has 5 tokens and the model 6 rows: rows from 5 on are never chosen");
    warned_of(
        &v, 4,
        "file: the tokenizer has 5 tokens and the model 4 rows: tokens from 4 on cannot be used");
    CHECK(vocab_check(&v, 2, "file", take_warning, &e) &&
              says("5 tokens and the model 2 rows: expected a row for each"),
          "%s", e.msg);
    arena_free(&a);
}

/* Tokens longer than any that a message quotes or that fits a small buffer: 200 and 300 times
 * "\xff", which is spelled in two bytes. */
static void long_merges(void) {
    char token[500], line[1100], longer[1500];
    memset(token, 0xff, sizeof token);
    begin(3, 1000, 2);
    for (size_t id = 0; id < 3; id++)
        CHECK(vocab_builder_set(&b, id, token, 200 + 100 * id + 100 * (id == 2), TOKEN_NORMAL,
                                &e) == OK,
              "%s", e.msg);
    size_t n = vocab_spell((uint8_t *)token, 200, line);
    line[n++] = ' ';
    n += vocab_spell((uint8_t *)token, 300, line + n);
    CHECK(vocab_builder_merge_line(&b, line, n, &e) == OK && b.merges[0].left == 0 &&
              b.merges[0].right == 1 && b.merges[0].merged == 2,
          "%s", e.msg);
    CHECK(vocab_builder_merge_line(&b, line, n - 2, &e) && says("is not a token"), "%s", e.msg);
    memset(longer, 'x', sizeof longer);
    CHECK(vocab_builder_merge(&b, "x", 1, longer, sizeof longer, &e) && says("is not a token"),
          "%s", e.msg);
    end();
}

/* What other programs take: ids beyond the tokens, empty tokens, tokens that merges or bytes make
 * although they are special or added. */
static void builder_takes(void) {
    struct vocab v;
    begin(8, 60, 2);
    CHECK(set(0, "!", TOKEN_CONTROL) == OK && set(1, "a", TOKEN_ADDED) == OK &&
              set(2, "b", TOKEN_NORMAL) == OK,
          "%s", e.msg);
    CHECK(set(3, "ab", TOKEN_ADDED) == OK && set(4, "<|endoftext|>", TOKEN_CONTROL) == OK &&
              set(5, "", TOKEN_UNUSED) == OK,
          "%s", e.msg);
    CHECK(set(6, "", TOKEN_NORMAL) == OK && set(7, "a b", TOKEN_ADDED) == OK, "%s", e.msg);
    CHECK(vocab_builder_merge_line(&b, "a b", 3, &e) == OK, "%s", e.msg);
    CHECK(vocab_builder_has(&b, 5) && !vocab_builder_has(&b, 8) &&
              vocab_builder_is(&b, 3, "ab", 2) && !vocab_builder_is(&b, 3, "a", 1),
          "has");
    CHECK(vocab_builder_finish(&b, &v, 8, 50256, &e) == OK, "%s", e.msg);
    static const uint8_t kind[] = {TOKEN_NORMAL,  TOKEN_NORMAL, TOKEN_NORMAL, TOKEN_NORMAL,
                                   TOKEN_CONTROL, TOKEN_UNUSED, TOKEN_UNUSED, TOKEN_ADDED};
    static const uint8_t match[] = {MATCH_SPECIAL, MATCH_TEXT, 0, MATCH_TEXT,
                                    MATCH_SPECIAL, 0,          0, MATCH_TEXT};
    CHECK(memcmp(v.kind, kind, 8) == 0 && memcmp(v.match, match, 8) == 0, "kinds");
    CHECK(v.bos == 4 && v.eos == 4, "bos %d eos %d", v.bos, v.eos);
    warned_of(&v, 8,
              "file: token 6 is emptyfile: the bos token is 8, but there are only 8 tokens: taking "
              "4, <|endoftext|>"
              "file: the eos token is 50256, but there are only 8 tokens: taking 4, <|endoftext|>");
    end();
    begin(1, 9, 0);
    CHECK(set(0, "a", TOKEN_NORMAL) == OK && vocab_builder_finish(&b, &v, -1, 1, &e) == OK &&
              v.bos == -1 && v.eos == -1,
          "%s", e.msg);
    warned_of(&v, 1, "file: the eos token is 1, but there are only 1 tokens: there is none");
    end();
    begin(20, 9, 0);
    for (size_t id = 0; id < 20; id++) CHECK(set(id, "", TOKEN_NORMAL) == OK, "%s", e.msg);
    CHECK(vocab_builder_finish(&b, &v, -1, -1, &e) == OK && v.n_warnings == VOCAB_WARNINGS,
          "%u warnings", v.n_warnings);
    end();
}

static void builder_refuses(void) {
    CHECK(vocab_builder_init(&b, "file", 0, 1, 0, &a, &e) && says("no tokens"), "%s", e.msg);
    end();
    CHECK(vocab_builder_init(&b, "file", VOCAB_MAX + 1, 1, 0, &a, &e) && says("262145 tokens"),
          "%s", e.msg);
    end();
    begin(3, 8, 1);
    CHECK(set(0, "a", TOKEN_NORMAL) == OK, "%s", e.msg);
    CHECK(set(0, "b", TOKEN_NORMAL) && says("id 0 is given twice"), "%s", e.msg);
    CHECK(set(3, "b", TOKEN_NORMAL) && says("id 3 is out of range"), "%s", e.msg);
    CHECK(set(1, "a", TOKEN_NORMAL) && says("tokens 0 and 1 are the same"), "%s", e.msg);
    CHECK(set(1, "12345678", TOKEN_NORMAL) && says("more than 8 bytes"), "%s", e.msg);
    CHECK(vocab_builder_set_spelled(&b, 1, "b c", 3, TOKEN_NORMAL, &e) && says("alphabet"), "%s",
          e.msg);
    CHECK(set(2, "a", TOKEN_CONTROL) == OK && vocab_builder_find(&b, "a", 1) == 0,
          "a control token may look like another");
    struct vocab v;
    CHECK(vocab_builder_finish(&b, &v, -1, -1, &e) && says("id 1 of 3 is missing"), "%s", e.msg);
    CHECK(set(1, "aa", TOKEN_NORMAL) == OK, "%s", e.msg);
    static const char *lines[][2] = {
        {"", "expected two tokens"},        {"ab", "expected two tokens"},
        {" a", "expected two tokens"},      {"a ", "expected two tokens"},
        {"a b", "\"b\" is not a token"},    {"b a", "\"b\" is not a token"},
        {"a aa", "\"aaa\" is not a token"}, {"a  a", "alphabet"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        CHECK(vocab_builder_merge_line(&b, lines[i][0], strlen(lines[i][0]), &e) &&
                  says(lines[i][1]),
              "%s", e.msg);
    CHECK(vocab_builder_merge_line(&b, "a a", 3, &e) == OK, "%s", e.msg);
    CHECK(vocab_builder_merge_line(&b, "a a", 3, &e) && says("more than 1 merges"), "%s", e.msg);
    end();
}

int main(void) {
    RUN(spelling);
    RUN(spelling_refuses);
    RUN(siphash);
    RUN(builds);
    RUN(long_merges);
    RUN(builder_takes);
    RUN(builder_refuses);
    return TEST_RESULT;
}
