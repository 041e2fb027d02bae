/* The safetensors container: what a good file may look like, and what is read from it. */
#include "bad/folder.h"
#include "bad/tiny_hf.h"
#include "checkpoint/safetensors.h"
#include "stories.h"
#include "test.h"

static struct named_file st;
static struct err e;

static bool opens(const char *header, const void *data, size_t n) {
    struct bytes b = st_file(header, data, n);
    int rc = safetensors_open(&st, folder_write("x.safetensors", b.data, b.size), &e);
    CHECK(rc == OK, "%s: %s", header, e.msg);
    bytes_free(&b);
    return rc == OK;
}

/* Entries out of order, spaces around and after everything, escapes in names, an unknown number
 * type, a scalar and empty tensors. */
static void good_file(void) {
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    if (!opens("{ \"b\" : {\"data_offsets\":[4,8],\"dtype\":\"I32\",\"shape\":[]} "
               ",\n\"__metadata__\":{\"format\":\"pt\",\"\\u0000\":\"\"},"
               "\"none\":{\"dtype\":\"F32\",\"shape\":[3,0,9],\"data_offsets\":[4,4]},\"end\":{"
               "\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[11,11]},"
               "\"\\u0061\\/"
               "\\ud83d\\ude00\":{\"shape\":[1,2,1,1,1,1,1,1],\"dtype\":\"BF16\",\"data_offsets\":["
               "0,4]},"
               "\"\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]}}    \n",
               data, sizeof data))
        return;
    CHECK(st.n == 5, "%zu tensors", st.n);
    const struct named_tensor *a = named_file_find(&st, "a/\xf0\x9f\x98\x80"),
                              *b = named_file_find(&st, "b"), *u8 = named_file_find(&st, "");
    CHECK(a && a->rank == 8 && a->shape[1] == 2 && a->type == DTYPE_BF16 && a->bytes == 4 &&
              a->data[0] == 1,
          "a");
    CHECK(b && b->rank == 0 && b->type == -1 && strcmp(b->dtype, "I32") == 0 && b->begin == 4 &&
              b->data[0] == 5,
          "b");
    CHECK(u8 && u8->bytes == 3 && u8->data[2] == 11, "the tensor without a name");
    CHECK(!named_file_find(&st, "__metadata__") && !named_file_find(&st, "c"), "what is not there");
    named_file_close(&st);
}

/* The length of a header may begin with the bytes that tell another format: pickles of protocols 2
 * to 5, gzip, llm.c. */
static void lengths_like_other_formats(void) {
    static const uint64_t lengths[] = {0x280, 0x380, 0x480, 0x580, 0x8b1f, 20240326, 20240328};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct bytes b = {0};
        enum file_kind kind = KIND_JSON;
        put_u64(&b, lengths[i]);
        put_text(&b, "{}");
        while (b.size < 8 + lengths[i]) put_text(&b, " ");
        int rc = sniff(folder_write("length.safetensors", b.data, b.size), "a model", &kind, &e);
        CHECK(rc == OK && kind == KIND_SAFETENSORS, "length %llu: %s",
              (unsigned long long)lengths[i], e.msg);
        bytes_free(&b);
    }
}

static void no_tensors(void) {
    if (!opens("{}", "", 0)) return;
    CHECK(st.n == 0 && !named_file_find(&st, "a"), "%zu tensors", st.n);
    named_file_close(&st);
}

/* The limits themselves are fine: a name of 255 bytes, 65536 tensors; and a file of that many opens
 * at once. */
static void limits(void) {
    struct bytes json = {0};
    char name[256] = {0};
    memset(name, 'n', 255);
    put_text(&json, "{\"__metadata__\":{}");
    for (int i = 0; i < 65536; i++) {
        char text[400];
        char own[16];
        snprintf(own, sizeof own, "%d", i);
        snprintf(text, sizeof text,
                 ",\"%s\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? own : name);
        put_text(&json, text);
    }
    put_text(&json, "}");
    put_u8(&json, 0);
    if (opens((const char *)json.data, "", 0)) {
        CHECK(st.n == 65536, "%zu tensors", st.n);
        CHECK(named_file_find(&st, name) == &st.tensors[0] &&
                  named_file_find(&st, "65535") == &st.tensors[65535],
              "find");
        CHECK(st.arena.bytes < json.size + ((size_t)16 << 20), "%zu bytes for a file of %zu",
              st.arena.bytes, json.size);
        named_file_close(&st);
    }
    bytes_free(&json);
}

/* The default model in float32 (stories.h): places known from its header, which another program
 * wrote. */
static void stories(void) {
    CHECK(safetensors_open(&st, stories_file("model.safetensors"), &e) == OK, "%s", e.msg);
    CHECK(st.n == 6 * 12 + 4, "%zu tensors", st.n);
    const struct named_tensor *t = named_file_find(&st, "h.0.attn.c_attn.weight");
    CHECK(t && t->begin == 5244928 && t->bytes == 6031360 - 5244928 &&
              t->data == st.file.data + 8 + 7216 + 5244928,
          "place");
    CHECK(t && t->rank == 2 && t->shape[0] == 256 && t->shape[1] == 768 && t->type == DTYPE_F32,
          "shape");
    named_file_close(&st);
}

int main(void) {
    if (!folder_make()) {
        printf("FAIL folder: cannot be made\n");
        return 1;
    }
    RUN(good_file);
    RUN(lengths_like_other_formats);
    RUN(no_tensors);
    RUN(limits);
    RUN(stories);
    folder_remove();
    return TEST_RESULT;
}
