// One errand to the kernel, in a process of its own, because the kernel may keep whoever goes for as long as it likes, and then not even
// SIGKILL ends him (host/program/errand.ts says what for).
//
//   smartnic-errand NOTE write FILE         writes what stands on stdin to FILE, which must be there
//   smartnic-errand NOTE read FILE          prints what FILE says
//   smartnic-errand NOTE open FILE          opens FILE for reading and writing, and closes it
//   smartnic-errand NOTE netlink PROTOCOL   sends the messages on stdin in one datagram, and prints the kernel's answers until each has its end
//
// NOTE is a file that is locked for as long as this process lives, "-" for none. It then says "PID SECONDS VERB OBJECT".
// Exit status: 0 done; 1 the kernel refused, stdout has the errno as decimal digits; 2 wrong arguments; 75 NOTE is another one's, stdout has
// what it says.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define INPUT_LIMIT (64 * 1024)
#define DATAGRAM_LIMIT (128 * 1024) // the kernel makes none of more than 32 KiB for a dump

// linux/netlink.h, which a C library need not bring.
enum { SOL_NETLINK_ = 270, CAP_ACK = 10, EXT_ACK = 11, GET_STRICT_CHK = 12, MESSAGE_ERROR = 2, MESSAGE_DONE = 3 };
struct message {
  uint32_t length;
  uint16_t type, flags;
  uint32_t sequence, port;
};
struct address {
  uint16_t family, padding;
  uint32_t port, groups;
};

#ifndef SYS_close_range
#define SYS_close_range 436 // the same on all architectures
#endif

enum { DONE = 0, REFUSED = 1, WRONG_ARGUMENTS = 2, ANOTHER_IS_OUT = 75 };

static void take_note(const char *path, const char *verb, const char *object);
static void write_file(const char *path);
static void read_file(const char *path);
static void open_file(const char *path);
static void ask_netlink(const char *protocol);
static int netlink_socket(int protocol);
static size_t count(const char *bytes, size_t length, bool ends_only);
static size_t print_datagram(int fd);
static size_t read_input(void);
static int opened(const char *path, int flags);
static void print(const char *bytes, size_t length);
static void refuse(int number);

static const struct {
  const char *verb;
  void (*go)(const char *object);
} ERRANDS[] = {{"write", write_file}, {"read", read_file}, {"open", open_file}, {"netlink", ask_netlink}};

static char input[INPUT_LIMIT];
static char datagram[DATAGRAM_LIMIT];

int main(int argc, char **argv) {
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0); // Linux 5.9; a descriptor of our parent's would stay open as long as we are kept
  for (size_t i = 0; argc == 4 && i < sizeof ERRANDS / sizeof *ERRANDS; i++) {
    if (strcmp(ERRANDS[i].verb, argv[2]) != 0) continue;
    if (strcmp(argv[1], "-") != 0) take_note(argv[1], argv[2], argv[3]);
    ERRANDS[i].go(argv[3]);
    return DONE;
  }
  dprintf(STDERR_FILENO, "smartnic-errand: started by the smartnic server, for what may take the kernel long; nothing for a person\n");
  return WRONG_ARGUMENTS;
}

/** The lock ends with this process, however it ends, and nobody else has the descriptor. */
static void take_note(const char *path, const char *verb, const char *object) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) refuse(errno);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    if (ftruncate(fd, 0) != 0) refuse(errno);
    dprintf(fd, "%d %lld %s %s\n", (int)getpid(), (long long)time(NULL), verb, object);
    return;
  }
  if (errno != EWOULDBLOCK) refuse(errno);
  ssize_t n = read(fd, input, sizeof input);
  if (n > 0) print(input, (size_t)n);
  exit(ANOTHER_IS_OUT);
}

static void write_file(const char *path) {
  size_t length = read_input();
  int fd = opened(path, O_WRONLY | O_TRUNC);
  if (write(fd, input, length) < 0) refuse(errno);
}

static void read_file(const char *path) {
  ssize_t n = read(opened(path, O_RDONLY), input, sizeof input);
  if (n < 0) refuse(errno);
  print(input, (size_t)n);
}

static void open_file(const char *path) { close(opened(path, O_RDWR)); }

static void ask_netlink(const char *protocol) {
  size_t length = read_input(), left = count(input, length, false);
  int fd = netlink_socket(atoi(protocol));
  if (send(fd, input, length, 0) < 0) refuse(errno);
  while (left > 0) {
    size_t ended = print_datagram(fd);
    left = ended < left ? left - ended : 0;
  }
}

static int netlink_socket(int protocol) {
  static const int OPTIONS[] = {CAP_ACK, EXT_ACK, GET_STRICT_CHK};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) refuse(errno);
  for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) setsockopt(fd, SOL_NETLINK_, OPTIONS[i], &(int){1}, sizeof(int));
  struct address own = {.family = AF_NETLINK};
  if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0) refuse(errno);
  return fd;
}

/** How many messages there are; with `ends_only`, those that are the end of an answer. */
static size_t count(const char *bytes, size_t length, bool ends_only) {
  size_t found = 0;
  struct message message;
  for (size_t at = 0; length - at >= sizeof message;) {
    memcpy(&message, bytes + at, sizeof message);
    if (!ends_only || message.type == MESSAGE_ERROR || message.type == MESSAGE_DONE) found++;
    size_t size = ((size_t)message.length + 3) & ~(size_t)3;
    if (size < sizeof message || size > length - at) break;
    at += size;
  }
  return found;
}

/** Prints one datagram of the kernel; how many requests have their end in it. */
static size_t print_datagram(int fd) {
  struct address from = {0};
  socklen_t size = sizeof from;
  ssize_t n = recvfrom(fd, datagram, sizeof datagram, MSG_TRUNC, (struct sockaddr *)&from, &size);
  if (n < 0 && errno != EINTR) refuse(errno);
  if (n <= 0 || from.port != 0) return 0;
  if ((size_t)n > sizeof datagram) refuse(EMSGSIZE);
  print(datagram, (size_t)n);
  return count(datagram, (size_t)n, true);
}

static size_t read_input(void) {
  size_t length = 0;
  for (ssize_t n = 1; n > 0 && length < sizeof input; length += (size_t)n) {
    n = read(STDIN_FILENO, input + length, sizeof input - length);
    if (n < 0) refuse(errno);
  }
  return length;
}

static int opened(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) refuse(errno);
  return fd;
}

static void print(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(STDOUT_FILENO, bytes, length);
    if (n < 0) exit(REFUSED);
    bytes += n;
    length -= (size_t)n;
  }
}

static void refuse(int number) {
  dprintf(STDOUT_FILENO, "%d", number);
  exit(REFUSED);
}
