/* http_server FOLDER LOG [CUT]: a web server on the loopback interface for tests of downloads.
 *
 * Serves the files of one folder over HTTP/1.1: GET and HEAD, "Range: bytes=N-", one request a
 * connection. Prints its port, then answers until it is ended, or for a minute. LOG gets a line for
 * each request: method, path, first byte asked for, status. With CUT the connection of the first
 * GET closes after that many bytes of the file, as a network does that fails. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *folder;
static FILE *request_log;
static long cut = -1;

static int listen_on_loopback(unsigned *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 8) != 0) return -1;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0) return -1;
    *port = ntohs(a.sin_port);
    return fd;
}

/* The head of a request, up to the empty line; 0 where none comes. */
static int read_head(int fd, char *head, size_t room) {
    size_t n = 0;
    head[0] = 0;
    while (!strstr(head, "\r\n\r\n")) {
        ssize_t got = n + 1 < room ? read(fd, head + n, room - 1 - n) : 0;
        if (got <= 0) return 0;
        head[n += (size_t)got] = 0;
    }
    return 1;
}

static void send_bytes(int fd, const char *s, size_t n) {
    while (n > 0) {
        ssize_t sent = send(fd, s, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        s += sent;
        n -= (size_t)sent;
    }
}

static void send_file(int fd, FILE *fp, long first, long end) {
    char buf[16384];
    fseek(fp, first, SEEK_SET);
    for (long at = first; at < end;) {
        size_t want = end - at < (long)sizeof buf ? (size_t)(end - at) : sizeof buf,
               got = fread(buf, 1, want, fp);
        if (!got) return;
        send_bytes(fd, buf, got);
        at += (long)got;
    }
}

static long range_start(const char *head) {
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "Range: bytes=", 13) == 0) return strtol(line + 15, NULL, 10);
    return -1;
}

static void answer(int fd, const char *head) {
    char method[8], path[256], file[1024], reply[256];
    if (sscanf(head, "%7s %255s", method, path) != 2) return;
    snprintf(file, sizeof file, "%s%s", folder, path);
    FILE *fp = strchr(path + 1, '/') || strstr(path, "..") ? NULL : fopen(file, "rb");
    long size = 0, range = range_start(head), first = range > 0 ? range : 0;
    if (fp) {
        fseek(fp, 0, SEEK_END);
        size = ftell(fp);
    }
    int status = !fp ? 404 : first >= size && range >= 0 ? 416 : range >= 0 ? 206 : 200;
    if (status >= 400) first = size;
    fprintf(request_log, "%s %s %ld %d\n", method, path, range, status);
    fflush(request_log);
    int n = snprintf(
        reply, sizeof reply,
        "HTTP/1.1 %d Test\r\nContent-Length: %ld\r\nAccept-Ranges: bytes\r\nConnection: close\r\n",
        status, size - first);
    if (status == 206)
        n += snprintf(reply + n, sizeof reply - (size_t)n, "Content-Range: bytes %ld-%ld/%ld\r\n",
                      first, size - 1, size);
    n += snprintf(reply + n, sizeof reply - (size_t)n, "\r\n");
    send_bytes(fd, reply, (size_t)n);
    if (strcmp(method, "GET") == 0 && status < 400) {
        long end = cut >= 0 && cut < size - first ? first + cut : size;
        send_file(fd, fp, first, end);
        cut = -1;
    }
    if (fp) fclose(fp);
}

int main(int argc, char **argv) {
    unsigned port;
    if (argc < 3) return fprintf(stderr, "usage: http_server FOLDER LOG [CUT]\n"), 2;
    folder = argv[1];
    request_log = fopen(argv[2], "a");
    if (argc > 3) cut = strtol(argv[3], NULL, 10);
    int listener = listen_on_loopback(&port);
    if (!request_log || listener < 0) return perror("http_server"), 1;
    printf("%u\n", port);
    fflush(stdout);
    alarm(60); /* nothing of a test that broke off stays behind */
    for (;;) {
        char head[8192];
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 && errno != EINTR) return perror("http_server"), 1;
        if (fd < 0) continue;
        if (read_head(fd, head, sizeof head)) answer(fd, head);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
}
