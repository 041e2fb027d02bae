/* JSON text: what json_skip passes is what the other calls can read, piece by piece, and nothing
 * else. */
#include "fuzz.h"

#include "base/json.h"

static bool read_value(struct json *j);

static bool read_string(struct json *j) {
    static char out[1 << 16];
    struct json_str s;
    if (!json_string(j, &s)) return false;
    EXPECT(s.s >= j->text && s.s + s.n < j->text + j->size);
    if (s.n <= sizeof out) EXPECT(json_decode(s, out) <= s.n);
    json_is(s, "model");
    return true;
}

static bool read_number(struct json *j) {
    struct json whole = *j, any = *j;
    uint64_t x;
    double d;
    json_uint(&whole, &x);
    json_whole(&any, &x);
    any = *j;
    json_double(&any, &d); /* refuses what is too long or too large */
    return json_skip(j);
}

static bool read_object(struct json *j) {
    struct json_str key;
    json_enter_object(j);
    while (json_next_key(j, &key))
        if (!read_value(j)) return false;
    return !j->error;
}

static bool read_array(struct json *j) {
    json_enter_array(j);
    while (json_next_item(j))
        if (!read_value(j)) return false;
    return !j->error;
}

static bool read_value(struct json *j) {
    bool b;
    switch (json_peek(j)) {
    case JSON_OBJECT: return read_object(j);
    case JSON_ARRAY: return read_array(j);
    case JSON_STRING: return read_string(j);
    case JSON_NUMBER: return read_number(j);
    case JSON_BOOL: return json_bool(j, &b);
    case JSON_NULL: return json_null(j);
    default: return json_fail(j, "expected a value");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json a = json_open(data, size, 16), b = a, lenient = json_open_lenient(data, size, 16);
    bool skipped = json_skip(&a) && json_end(&a), read = read_value(&b) && json_end(&b);
    EXPECT(skipped == read);
    EXPECT(skipped ? !a.error : a.error && a.error_at <= size);
    if (skipped)
        EXPECT(json_skip(&lenient) && json_end(&lenient));
    else if (json_skip(&lenient))
        json_end(&lenient);
    return 0;
}
