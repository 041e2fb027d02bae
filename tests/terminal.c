/* terminal COMMAND...: runs a command with a terminal as its standard output and prints what comes,
 * in hex, a line for each read. */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int open_pair(int *slave) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    struct termios t;
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return -1;
    *slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (*slave < 0 || tcgetattr(*slave, &t) != 0) return -1;
    t.c_oflag &= ~(tcflag_t)OPOST; /* bytes as written, no carriage returns */
    return tcsetattr(*slave, TCSANOW, &t) == 0 ? master : -1;
}

int main(int argc, char **argv) {
    int slave, master = open_pair(&slave), status = 0;
    if (master < 0 || argc < 2) {
        fprintf(stderr, argc < 2 ? "usage: terminal COMMAND...\n" : "no terminal can be opened\n");
        return 77;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(slave, STDOUT_FILENO);
        close(master);
        close(slave);
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    close(slave); /* the last writer's end makes read fail */
    unsigned char buf[4096];
    for (ssize_t n; (n = read(master, buf, sizeof buf)) > 0; putchar('\n'))
        for (ssize_t i = 0; i < n; i++) printf("%02X", buf[i]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
