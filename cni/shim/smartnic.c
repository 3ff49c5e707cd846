// The executable that the container runtime starts for each pod interface. It sends environment and stdin to the resident server over a
// unix socket and prints the server's answer. The server decides everything about networking.
//
// Wire protocol, one request per connection (more in README.md):
//   request  "smartnic/1 <env-bytes> <stdin-bytes>\n", env-bytes of "NAME=VALUE\0" entries, stdin-bytes of stdin; no half-close
//   answer   "+\n" once the whole request is read and will be carried out,
//            then "<exit> <stdout-bytes> <stderr-bytes>\n", the stdout bytes, the stderr bytes; then the server closes
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "json.h"

#ifndef VERSION
#define VERSION "unknown"
#endif
#ifndef TOTAL_LIMIT_MS // shorter in a test build
#define TOTAL_LIMIT_MS 110000 // runtimes give up at 120 s
#endif
#define DEFAULT_WAIT_MS 20000
#define VERSION_WAIT_MS 200
#define LONGEST_PAUSE_MS 50
#define STDIN_LIMIT (4 * 1024 * 1024)
#define ANSWER_LIMIT (16 * 1024 * 1024) // stdout and stderr together
#define LONGEST_HEADER 32 // "255 16777216 16777216\n" and some room
#define DEFAULT_SOCKET "/run/smartnic/cni.sock"
#define WHERE_TO_LOOK "is the smartnic DaemonSet running on this node? kubectl -n kube-system get pods -l app=smartnic -o wide"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const SENT[] = {"CNI_COMMAND", "CNI_CONTAINERID",    "CNI_NETNS",   "CNI_IFNAME", "CNI_ARGS",
                                   "CNI_PATH",    "CNI_NETNS_OVERRIDE", "TRACEPARENT", "TRACESTATE", "BAGGAGE"};
static const char *const IDEMPOTENT[] = {"DEL", "CHECK", "GC", "STATUS"};
static const int ENDING_SIGNALS[] = {SIGTERM, SIGINT, SIGHUP};

// CNI specification 1.1.0, section 5.
enum { BAD_ENVIRONMENT = 4, IO_FAILURE = 5, UNDECODABLE = 6, TRY_AGAIN = 11 };

enum outcome { ANSWERED, UNREACHED, LOST_BEFORE_TAKEN, LOST_WHILE_WORKING };

struct answer {
  size_t status, stdout_length, stderr_length;
  const char *bytes; // stdout, then stderr
};

// Static and not allocated, because a page costs memory only once it is written to.
static char config[STDIN_LIMIT + 2]; // the text on stdin, NUL-terminated; one byte over the limit shows that there was more
static size_t config_length;
static char received[2 + LONGEST_HEADER + ANSWER_LIMIT];
static size_t received_length;
static struct sockaddr_un server = {.sun_family = AF_UNIX};
static int64_t started; // ms of CLOCK_MONOTONIC
static sigset_t usual_signals;
static volatile sig_atomic_t signal_seen;

static int about(int argc, char **argv);
static int print_versions(void);
static void keep_standard_fds(void);
static void hold_signals(void);
static void release_signals(void);
static void read_config(void);
static void find_server(void);
static struct answer ask(void);
static enum outcome try_once(struct answer *answer, const char **reason);
static int connect_to_server(void);
static bool send_request(int fd);
static size_t gather_environment(struct iovec *parts, size_t *bytes);
static bool receive_answer(int fd, struct answer *answer);
static bool parse_answer(struct answer *answer);
static bool parse_number(const char **p, char end, size_t highest, size_t *number);
static bool may_be_repeated(void);
static int64_t wait_for_server(void);
static int64_t now(void);
static bool ready(int fd, short events, int64_t until);
static bool write_all(int fd, const char *bytes, size_t length);
static const char *variable(const char *name);
static const char *operation(void);
_Noreturn static void fail_unanswered(const char *doing);
_Noreturn static void fail(int code, const char *details, const char *format, ...) __attribute__((format(printf, 3, 4)));
static const char *version_of_config(void);

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  keep_standard_fds();
  if (!*variable("CNI_COMMAND")) return about(argc, argv);
  started = now();
  if (strcmp(variable("CNI_COMMAND"), "VERSION") == 0) return print_versions();
  hold_signals();
  read_config();
  find_server();
  struct answer answer = ask();
  release_signals();
  bool printed = write_all(STDOUT_FILENO, answer.bytes, answer.stdout_length);
  if (!printed) dprintf(STDERR_FILENO, "smartnic: cannot print the server's answer on stdout: %s\n", strerror(errno));
  write_all(STDERR_FILENO, answer.bytes + answer.stdout_length, answer.stderr_length);
  return printed || answer.status ? (int)answer.status : EXIT_FAILURE;
}

static int about(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--version") == 0) {
    return write_all(STDOUT_FILENO, VERSION "\n", sizeof VERSION) ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  if (argc > 1) dprintf(STDERR_FILENO, "smartnic: unknown argument %s; there is only --version\n", argv[1]);
  dprintf(STDERR_FILENO, "smartnic " VERSION ", a CNI plugin for SmartNIC ports on Open vSwitch. The container runtime starts it;\n"
                         "the smartnic server of this node does the work.\n"
                         "CNI protocol versions supported: 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n");
  return argc > 1 ? 2 : EXIT_SUCCESS;
}

/** Needs no server, because runtimes ask before anything else runs. The answer has the question's version; it waits a moment for the question. */
static int print_versions(void) {
  static const char SUPPORTED[] = "[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]";
  char text[sizeof SUPPORTED + 64];
  for (ssize_t n = 1; n > 0 && config_length < STDIN_LIMIT && ready(STDIN_FILENO, POLLIN, started + VERSION_WAIT_MS);) {
    n = read(STDIN_FILENO, config + config_length, STDIN_LIMIT - config_length);
    if (n > 0) config_length += (size_t)n;
  }
  int length = sprintf(text, "{\"cniVersion\":\"%s\",\"supportedVersions\":%s}\n", version_of_config(), SUPPORTED);
  return write_all(STDOUT_FILENO, text, (size_t)length) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/** Occupies closed descriptors 0-2 (reads and writes fail with EBADF there). Otherwise the socket would become our stdout. */
static void keep_standard_fds(void) {
  int fd;
  do fd = open("/", O_PATH | O_CLOEXEC);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

static void note_signal(int number) { signal_seen = number; }

/** From here on the ending signals arrive only inside `ready`. So none is lost between a look at the flag and the wait. */
static void hold_signals(void) {
  sigset_t held;
  sigemptyset(&held);
  for (size_t i = 0; i < COUNT(ENDING_SIGNALS); i++) {
    sigaction(ENDING_SIGNALS[i], &(struct sigaction){.sa_handler = note_signal}, NULL);
    sigaddset(&held, ENDING_SIGNALS[i]);
  }
  sigprocmask(SIG_BLOCK, &held, &usual_signals);
  for (size_t i = 0; i < COUNT(ENDING_SIGNALS); i++) sigdelset(&usual_signals, ENDING_SIGNALS[i]);
}

/** For printing. A signal that is still pending came too late, and SIG_IGN discards it. A new signal ends us as usual. */
static void release_signals(void) {
  for (size_t i = 0; i < COUNT(ENDING_SIGNALS); i++) {
    signal(ENDING_SIGNALS[i], SIG_IGN);
    signal(ENDING_SIGNALS[i], SIG_DFL);
  }
  sigprocmask(SIG_SETMASK, &usual_signals, NULL);
}

static void read_config(void) {
  while (config_length <= STDIN_LIMIT) {
    if (!ready(STDIN_FILENO, POLLIN, started + TOTAL_LIMIT_MS)) {
      fail(IO_FAILURE, "the caller must close stdin behind the network configuration", "stdin did not end within %d ms", TOTAL_LIMIT_MS);
    }
    ssize_t n = read(STDIN_FILENO, config + config_length, sizeof config - 1 - config_length);
    if (n == 0) return;
    if (n > 0) {
      config_length += (size_t)n;
    } else if (errno != EINTR && errno != EAGAIN) {
      fail(IO_FAILURE, "the network configuration must stand on stdin", "cannot read stdin: %s", strerror(errno));
    }
  }
  fail(UNDECODABLE, "shorten the network configuration", "stdin is longer than the limit of %d bytes", STDIN_LIMIT);
}

static void find_server(void) {
  const char *path = *variable("SMARTNIC_SOCKET") ? variable("SMARTNIC_SOCKET") : DEFAULT_SOCKET;
  if (strlen(path) >= sizeof server.sun_path) {
    fail(BAD_ENVIRONMENT, "give a shorter path, or unset it to use " DEFAULT_SOCKET,
         "SMARTNIC_SOCKET is %zu bytes long; the path of a unix socket has at most %zu", strlen(path), sizeof server.sun_path - 1);
  }
  strcpy(server.sun_path, path);
}

/** Tries until there is an answer, or until the wait for a server that (re)starts is over. */
static struct answer ask(void) {
  int64_t wait = wait_for_server(), until = started + wait, pause = 2;
  for (int tries = 1;; tries++) {
    struct answer answer;
    const char *reason;
    enum outcome outcome = try_once(&answer, &reason);
    if (outcome == ANSWERED) return answer;
    if (outcome == LOST_WHILE_WORKING && !may_be_repeated()) {
      fail(TRY_AGAIN, "the runtime should DEL and try again; if it happens again, " WHERE_TO_LOOK,
           "the server at %s died while it worked on %s", server.sun_path, operation());
    }
    if (now() >= until) {
      fail(TRY_AGAIN, WHERE_TO_LOOK, "no server at %s carried out %s: tried %d times in %lld ms, the last time: %s", server.sun_path, operation(),
           tries, (long long)(now() - started), reason);
    }
    int64_t next = now() + pause;
    ready(-1, 0, next < until ? next : until);
    pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
  }
}

static enum outcome try_once(struct answer *answer, const char **reason) {
  int fd = connect_to_server();
  if (fd < 0) {
    *reason = strerror(errno);
    return UNREACHED;
  }
  received_length = 0;
  bool answered = send_request(fd) && receive_answer(fd, answer);
  close(fd);
  if (answered) return ANSWERED;
  *reason = received_length > 0 ? "the server died while it worked" : "the server hung up before it took the request";
  return received_length > 0 ? LOST_WHILE_WORKING : LOST_BEFORE_TAKEN;
}

/** A connected, non-blocking socket. -1 and errno when trying again can help: there is no server, a dead one, or its queue is full. */
static int connect_to_server(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(IO_FAILURE, "is this node out of files or memory?", "cannot make a unix socket: %s", strerror(errno));
  if (connect(fd, (const struct sockaddr *)&server, sizeof server) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  if (error == ENOENT || error == ECONNREFUSED || error == EAGAIN || error == EINTR) return -1;
  if (error == EACCES || error == EPERM) {
    fail(IO_FAILURE, "CNI plugins must be run as root", "connecting to the server at %s needs root: %s", server.sun_path, strerror(error));
  }
  fail(IO_FAILURE, "is this the path of the server's socket? SMARTNIC_SOCKET sets it", "cannot connect to the server at %s: %s",
       server.sun_path, strerror(error));
}

/** False when the server hung up. */
static bool send_request(int fd) {
  char header[64];
  struct iovec parts[COUNT(SENT) + 2], *part = parts;
  size_t env_length, env_count = gather_environment(parts + 1, &env_length);
  int header_length = snprintf(header, sizeof header, "smartnic/1 %zu %zu\n", env_length, config_length);
  parts[0] = (struct iovec){header, (size_t)header_length};
  parts[1 + env_count] = (struct iovec){config, config_length};
  for (size_t left = env_count + 2; left > 0;) {
    struct msghdr message = {.msg_iov = part, .msg_iovlen = left};
    ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (n < 0 && !ready(fd, POLLOUT, started + TOTAL_LIMIT_MS)) fail_unanswered("take");
    size_t sent = n > 0 ? (size_t)n : 0;
    for (; left > 0 && sent >= part->iov_len; part++, left--) sent -= part->iov_len;
    if (left > 0) *part = (struct iovec){(char *)part->iov_base + sent, part->iov_len - sent};
  }
  return true;
}

/** Collects the variables to send, without copying: an environment entry is "NAME=VALUE\0" already. Returns their number. */
static size_t gather_environment(struct iovec *parts, size_t *bytes) {
  size_t count = 0;
  *bytes = 0;
  for (size_t i = 0; i < COUNT(SENT); i++) {
    char *value = getenv(SENT[i]);
    if (!value) continue;
    char *entry = value - strlen(SENT[i]) - 1;
    parts[count] = (struct iovec){entry, strlen(entry) + 1};
    *bytes += parts[count++].iov_len;
  }
  return count;
}

/** False when the server hung up before its answer was complete. Bytes behind the answer are not read. */
static bool receive_answer(int fd, struct answer *answer) {
  while (!parse_answer(answer)) {
    if (!ready(fd, POLLIN, started + TOTAL_LIMIT_MS)) fail_unanswered(received_length > 0 ? "finish" : "take");
    ssize_t n = recv(fd, received + received_length, sizeof received - received_length, 0);
    if (n > 0) received_length += (size_t)n;
    else if (n == 0 || (errno != EINTR && errno != EAGAIN)) return false;
  }
  return true;
}

/** Whether a whole answer has been received. Bytes that can't become an answer end the call. */
static bool parse_answer(struct answer *answer) {
  size_t head = received_length < 2 + LONGEST_HEADER ? received_length : 2 + LONGEST_HEADER;
  const char *p = received + 2, *newline = head > 2 ? memchr(p, '\n', head - 2) : NULL;
  bool good = memcmp(received, "+\n", head < 2 ? head : 2) == 0 && (newline || head < 2 + LONGEST_HEADER);
  if (good && !newline) return false;
  if (good && parse_number(&p, ' ', 255, &answer->status) && parse_number(&p, ' ', ANSWER_LIMIT, &answer->stdout_length) &&
      parse_number(&p, '\n', ANSWER_LIMIT - answer->stdout_length, &answer->stderr_length)) {
    answer->bytes = p;
    return (size_t)(received + received_length - p) >= answer->stdout_length + answer->stderr_length;
  }
  fail(IO_FAILURE, "are this executable and the server of one release? kubectl -n kube-system rollout restart daemonset -l app=smartnic",
       "the server at %s answered '%.*s', which is not \"+\", exit status and sizes (at most %d bytes) of the smartnic/1 protocol",
       server.sun_path, (int)head, received, ANSWER_LIMIT);
}

/** Reads digits up to `end`, and skips `end`. */
static bool parse_number(const char **p, char end, size_t highest, size_t *number) {
  const char *first = *p;
  for (*number = 0; **p >= '0' && **p <= '9'; (*p)++) {
    *number = *number * 10 + (size_t)(**p - '0');
    if (*number > highest) return false;
  }
  return *p > first && *(*p)++ == end;
}

/** An ADD that may have been done must not be sent twice, because the second one would find the interface there. */
static bool may_be_repeated(void) {
  for (size_t i = 0; i < COUNT(IDEMPOTENT); i++) {
    if (strcmp(variable("CNI_COMMAND"), IDEMPOTENT[i]) == 0) return true;
  }
  return false;
}

/** Milliseconds from the configuration's `serverWait` (seconds, 0-110). The default when that is absent or not a number. */
static int64_t wait_for_server(void) {
  const char *value = json_find(config, "serverWait");
  if (!value || (*value != '-' && (*value < '0' || *value > '9'))) return DEFAULT_WAIT_MS;
  char *end;
  double seconds = strtod(value, &end);
  if (end != value + strspn(value, "+-.0123456789eE")) return DEFAULT_WAIT_MS; // strtod accepts more than JSON does: 0x10
  return seconds < 0 ? 0 : seconds * 1000 > TOTAL_LIMIT_MS ? TOTAL_LIMIT_MS : (int64_t)(seconds * 1000);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/** Waits for fd (-1: for nothing). False when `until` came first. An ending signal ends the call here. */
static bool ready(int fd, short events, int64_t until) {
  for (;;) {
    int64_t left = until - now();
    if (left <= 0) return false;
    struct pollfd waited = {fd, events, 0};
    int n = ppoll(&waited, 1, &(struct timespec){left / 1000, left % 1000 * 1000000}, &usual_signals);
    if (signal_seen) {
      fail(TRY_AGAIN, "the server may still finish what it began; the runtime should DEL and try again",
           "interrupted by signal %d while waiting for %s, %s", (int)signal_seen, *server.sun_path ? server.sun_path : "stdin",
           operation());
    }
    if (n > 0) return true;
  }
}

static bool write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, bytes, length);
    if (n >= 0) {
      bytes += n;
      length -= (size_t)n;
    } else if (errno == EAGAIN) {
      poll(&(struct pollfd){fd, POLLOUT, 0}, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

/** Returns an empty text when the variable is not set. */
static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

/** What was asked for, in the words of messages: "ADD net1", "GC". */
static const char *operation(void) {
  static char words[64];
  snprintf(words, sizeof words, "%.32s%s%.15s", variable("CNI_COMMAND"), *variable("CNI_IFNAME") ? " " : "", variable("CNI_IFNAME"));
  return words;
}

_Noreturn static void fail_unanswered(const char *doing) {
  fail(TRY_AGAIN, "the server is there but slow or stuck: kubectl -n kube-system logs -l app=smartnic -c cni",
       "the server at %s did not %s %s within %d ms", server.sun_path, doing, operation(), TOTAL_LIMIT_MS);
}

/** Prints a CNI error on stdout and ends the process. */
_Noreturn static void fail(int code, const char *details, const char *format, ...) {
  static char text[8192]; // 512 + 256 bytes, each up to 6 when quoted, and the frame
  char message[512];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  char *end = text + sprintf(text, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":", version_of_config(), code);
  end = json_quote(end, message);
  end = json_quote(stpcpy(end, ",\"details\":"), details);
  end = stpcpy(end, "}\n");
  release_signals();
  write_all(STDOUT_FILENO, text, (size_t)(end - text));
  exit(EXIT_FAILURE);
}

/** The configuration's `cniVersion` if it looks like one, because an answer must have it. Otherwise the newest version that we know. */
static const char *version_of_config(void) {
  static char version[16];
  const char *value = json_find(config, "cniVersion");
  size_t length = value && *value == '"' ? strspn(value + 1, "0123456789.") : 0;
  if (length == 0 || length >= sizeof version || value[1 + length] != '"') return "1.1.0";
  memcpy(version, value + 1, length);
  return version;
}
