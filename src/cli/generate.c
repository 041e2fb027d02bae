#include "cli/command.h"

static int run(const struct args *args, struct err *e) {
    (void)args;
    return err_set(e, ERR_FAILED, "generate is not there yet");
}

const struct command generate_command = {
    .id = CMD_GENERATE,
    .summary = "write text that continues a prompt",
    .usage = "[OPTION]... [TEXT|-]",
    .about = "Writes text that continues a prompt: TEXT, -p TEXT, the contents of a file (-f), or standard input (-).",
    .examples = "lookat generate -p \"Once upon a time\" -n 100\tone continuation of 100 tokens\n",
    .max_args = 1,
    .run = run,
};
