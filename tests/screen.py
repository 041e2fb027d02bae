"""Runs a command on a terminal of its own and knows what stands on its screen.

    screen.py COLUMNS ROWS FRAMES COMMAND...   runs it; every time the cursor is brought back (ESC 8),
                                               the screen is written to the file FRAMES, behind a line
                                               "-- column row" with the place of the cursor; at the
                                               end the last screen is printed
    screen.py --talk COLUMNS ROWS COMMAND...   reads lines of standard input, and types each of them
                                               when the command has begun a line with "> "; ^C, ^D and ^\\ stand
                                               for the keys, `wait TEXT` waits until TEXT has come, and
                                               `more N` for N more bytes

The exit status is the command's; 77 where there are no terminals. Only the standard library is
used. The screen knows the sequences that lookat sends, and says so when it meets another."""
import os
import re
import select
import signal
import struct
import sys
import time

try:
    import fcntl
    import pty
    import termios
except ImportError:
    sys.exit(77)

PATIENCE = 60  # seconds without a byte, after which the command is taken to hang


class Screen:
    """Columns and rows of characters; what scrolls out at the top is kept."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines = [[" "] * columns for _ in range(rows)]
        self.gone, self.frames = [], []
        self.x = self.y = 0
        self.saved = (0, 0)
        self.rest = b""

    def down(self):
        if self.y + 1 < self.rows:
            self.y += 1
            return
        self.gone.append(self.lines.pop(0))
        self.lines.append([" "] * self.columns)

    def put(self, c):
        if self.x == self.columns:  # it waited behind the last column
            self.x = 0
            self.down()
        self.lines[self.y][self.x] = c
        self.x += 1

    def sequence(self, kind, number):
        if kind == "A":
            self.y = max(0, self.y - max(1, number))
            self.x = min(self.x, self.columns - 1)
        elif kind == "J" and number == 0:
            self.lines[self.y][self.x:] = [" "] * (self.columns - self.x)
            for y in range(self.y + 1, self.rows):
                self.lines[y] = [" "] * self.columns
        elif kind != "m":
            sys.exit("screen.py: ESC [ %d %s is not known" % (number, kind))

    def feed(self, data):
        """Takes what the terminal was sent; the beginning of a character or a sequence waits."""
        self.rest += data
        try:
            text, self.rest = self.rest.decode("utf-8"), b""
        except UnicodeDecodeError as e:
            if e.end < len(self.rest):
                text, self.rest = self.rest.decode("utf-8", "replace"), b""
            else:
                text, self.rest = self.rest[: e.start].decode("utf-8"), self.rest[e.start :]
        at = 0
        while at < len(text):
            c = text[at]
            if c == "\033":
                found = re.compile(r"\033(?:\[(\d*)([A-Za-z])|([D78]))").match(text, at)
                if not found:
                    self.rest = text[at:].encode() + self.rest
                    return
                at = found.end()
                if found.group(2):
                    self.sequence(found.group(2), int(found.group(1) or 0))
                elif found.group(3) == "D":
                    self.down()
                elif found.group(3) == "7":
                    self.saved = (self.x, self.y)
                else:
                    self.x, self.y = self.saved
                    self.frames.append((self.x, len(self.gone) + self.y, self.text()))
                continue
            at += 1
            if c == "\r":
                self.x = 0
            elif c == "\n":
                self.down()
            elif c >= " ":
                self.put(c)

    def text(self):
        lines = ["".join(line).rstrip() for line in self.gone + self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return "".join(line + "\n" for line in lines)


def start(columns, rows, command):
    try:
        pid, master = pty.fork()
    except OSError:
        sys.exit(77)
    if pid == 0:
        try:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background ignores it
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    return pid, master


def read(master):
    """What has come, b"" at the end."""
    if not select.select([master], [], [], PATIENCE)[0]:
        sys.exit("screen.py: nothing came for %d seconds" % PATIENCE)
    try:
        return os.read(master, 65536)
    except OSError:  # how Linux says that the last writer has gone
        return b""


def status_of(pid):
    status = os.waitpid(pid, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def watch(columns, rows, frames, command):
    screen = Screen(columns, rows)
    pid, master = start(columns, rows, command)
    while data := read(master):
        screen.feed(data)
    with open(frames, "w") as out:
        for x, y, text in screen.frames:
            out.write("-- %d %d\n%s" % (x, y, text))
    sys.stdout.write(screen.text())
    return status_of(pid)


def talk(columns, rows, command):
    keys = {"^C": b"\x03", "^D": b"\x04", "^\\": b"\x1c"}
    pid, master = start(columns, rows, command)
    came, at = b"\n", 0  # the first prompt too is at the beginning of a line

    def until(text, more=0):
        nonlocal came, at
        begin = time.monotonic()
        while text not in came[at:] or len(came) < at + more:
            data = read(master)
            if not data or time.monotonic() - begin > PATIENCE:
                sys.stdout.write(came.decode("utf-8", "replace"))
                sys.exit("screen.py: %r did not come" % text)
            came += data
        at += came[at:].index(text) + len(text) + more

    for line in sys.stdin:
        line = line.rstrip("\n")
        if line.startswith("wait "):
            until(line[5:].encode())
        elif line.startswith("more "):
            until(b"", int(line[5:]))
        elif line in keys:
            os.write(master, keys[line])
        else:
            until(b"\n> ")
            os.write(master, line.encode() + b"\n")
    while data := read(master):
        came += data
    sys.stdout.write(came[1:].decode("utf-8", "replace").replace("\r\n", "\n"))
    return status_of(pid)


def main(words):
    if words and words[0] == "--talk":
        return talk(int(words[1]), int(words[2]), words[3:])
    return watch(int(words[0]), int(words[1]), words[2], words[3:])


sys.exit(main(sys.argv[1:]))
