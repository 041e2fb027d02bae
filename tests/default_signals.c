/* default_signals COMMAND...: runs a command that Ctrl-C ends, and a pipe without a reader. A
 * shell's background job starts with SIGINT and SIGQUIT ignored, and some programs start theirs
 * with SIGPIPE ignored, which stays so. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 2) return 77;
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
