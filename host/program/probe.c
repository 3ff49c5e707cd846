// What kubelet starts for a probe: asks one page of the server in this very container, and ends with 0 if it is well.
//
//   smartnic-probe SOCKET PAGE     such as: smartnic-probe /run/probe/cni.sock /readyz
//
// A port of the node would not do: in an upgrade two pods of ours are on a node, and the old one answers there. The page is printed, and
// kubelet shows it as the reason when the probe fails.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define LIMIT_S 4 // kubelet gives up after 5, without a reason

enum { WELL = 0, NOT_WELL = 1, WRONG_ARGUMENTS = 2 };

static char answer[64 * 1024];

static int not_well(const char *what, const char *path) {
  const char *why = errno == EAGAIN ? "no answer in time" : strerror(errno);
  dprintf(STDOUT_FILENO, "smartnic-probe: %s %s: %s\n", what, path, why);
  return NOT_WELL;
}

int main(int argc, char **argv) {
  struct sockaddr_un server = {.sun_family = AF_UNIX};
  if (argc != 3 || strlen(argv[1]) >= sizeof server.sun_path) {
    dprintf(STDERR_FILENO, "usage: smartnic-probe SOCKET PAGE; a socket's path has at most %zu bytes\n", sizeof server.sun_path - 1);
    return WRONG_ARGUMENTS;
  }
  const char *path = strcpy(server.sun_path, argv[1]);
  signal(SIGPIPE, SIG_IGN);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct timeval limit = {LIMIT_S, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (fd < 0 || connect(fd, (const struct sockaddr *)&server, sizeof server) != 0) return not_well("the server is not there at", path);
  if (dprintf(fd, "GET %s HTTP/1.0\r\n\r\n", argv[2]) < 0) return not_well("the server hung up at", path);
  size_t length = 0;
  for (ssize_t n = 1; n > 0 && length < sizeof answer - 1; length += (size_t)n) {
    n = recv(fd, answer + length, sizeof answer - 1 - length, 0);
    if (n < 0) return not_well("the server is stuck at", path);
  }
  const char *end_of_headers = strstr(answer, "\r\n\r\n");
  const char *page = end_of_headers ? end_of_headers + 4 : answer;
  dprintf(STDOUT_FILENO, "%s", page);
  return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 ? WELL : NOT_WELL;
}
