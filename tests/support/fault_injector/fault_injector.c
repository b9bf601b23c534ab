// Preloaded (LD_PRELOAD) into a program to fail or kill it at any of its changes to the disk.
//
//   TARN_FAULT_DIR         only calls on files under this directory count
//   TARN_FAULT_AT          the number of the call that strikes, from 1; none strikes without it
//   TARN_FAULT_KIND        kill:   SIGKILL before the call
//                          tear:   the same, but a write first puts half of its bytes on the disk
//                          short:  a write writes half of its bytes and says so; no error
//                          EINTR:  a call that a signal can interrupt fails once
//                          trace:  none strikes, and every call is reported
//                          ENOSPC, EIO, EDQUOT, EROFS, EACCES: the call fails, and later ones that
//                                  need space fail too, as a full disk stays full; removing works
//   TARN_FAULT_COUNT_FILE  the number of calls that counted is written there at exit
//
// The call that strikes is reported on stderr. stdio's own writes (fwrite) are not seen, for they
// happen inside the C library; iostreams and std::filesystem are.
#undef _FORTIFY_SOURCE  // both turn the functions that are defined here into something else
#undef _FILE_OFFSET_BITS
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// The function of that name which this one hides.
#define REAL(name)                                         \
  ({                                                       \
    static __typeof__(&name) found;                        \
    if (!found) *(void**)&found = dlsym(RTLD_NEXT, #name); \
    found;                                                 \
  })

enum kind { NONE, KILL, TEAR, SHORT, TRACE, ERROR };
enum traits { PLAIN = 0, NEEDS_SPACE = 1, WRITES = 2, INTERRUPTIBLE = 4 };
enum verdict { GO, FAIL, HALF_THEN_DIE, HALF };

static char directory[PATH_MAX];  // empty: nothing counts
static long strike_at;
static enum kind kind;
static int error_number;
static atomic_long calls;
static _Thread_local char seen_path[PATH_MAX];  // of the call being judged, for the report

// Removes "//", "/./" and "/x/.." from an absolute path, in place.
static void normalise(char* path) {
  char* out = path;
  for (const char* in = path; *in != '\0';) {
    const char* name = in + strspn(in, "/");
    const size_t length = strcspn(name, "/");
    in = name + length;
    if (length == 0 || (length == 1 && name[0] == '.')) continue;
    if (length == 2 && name[0] == '.' && name[1] == '.') {
      while (out > path && *--out != '/') continue;
      continue;
    }
    *out++ = '/';
    memmove(out, name, length);
    out += length;
  }
  *out = '\0';
}

// The absolute path, through the links of its directory but not of its last name.
static void resolve(int base, const char* path, char out[PATH_MAX]) {
  char absolute[PATH_MAX] = "";
  if (path[0] != '/' && base == AT_FDCWD) {
    if (getcwd(absolute, sizeof absolute) == NULL) absolute[0] = '\0';
  } else if (path[0] != '/') {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", base);
    const ssize_t length = readlink(link, absolute, sizeof absolute - 1);
    absolute[length > 0 ? length : 0] = '\0';
  }
  snprintf(out, PATH_MAX, "%.*s/%.*s", PATH_MAX / 2 - 2, absolute, PATH_MAX / 2 - 2, path);
  normalise(out);
  char* last = strrchr(out, '/');
  if (last == NULL || last == out) return;
  char name[PATH_MAX], parent[PATH_MAX];
  snprintf(name, sizeof name, "%s", last + 1);
  *last = '\0';
  const bool found = realpath(out, parent) != NULL;
  *last = '/';
  if (found) snprintf(out, PATH_MAX, "%.*s/%.*s", PATH_MAX / 2, parent, PATH_MAX / 2 - 2, name);
}

static bool is_under(const char* path) {
  const size_t length = strlen(directory);
  return length > 0 && strncmp(path, directory, length) == 0 &&
         (path[length] == '\0' || path[length] == '/');
}

static bool path_counts(int base, const char* path) {
  if (directory[0] == '\0' || path == NULL) return false;
  const int saved = errno;
  resolve(base, path, seen_path);
  errno = saved;
  return is_under(seen_path);
}

static bool descriptor_counts(int descriptor) {
  if (directory[0] == '\0') return false;
  const int saved = errno;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, seen_path, sizeof seen_path - 1);
  seen_path[length > 0 ? length : 0] = '\0';
  errno = saved;
  return is_under(seen_path);
}

static int error_from(const char* name) {
  static const struct {
    const char* name;
    int number;
  } known[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EDQUOT", EDQUOT},
               {"EROFS", EROFS},   {"EACCES", EACCES}, {"EINTR", EINTR}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i) {
    if (strcmp(name, known[i].name) == 0) return known[i].number;
  }
  dprintf(STDERR_FILENO, "fault injector: TARN_FAULT_KIND %s is not known\n", name);
  _exit(125);
}

__attribute__((constructor)) static void set_up(void) {
  const char* under = getenv("TARN_FAULT_DIR");
  const char* at = getenv("TARN_FAULT_AT");
  const char* what = getenv("TARN_FAULT_KIND");
  if (at != NULL && what != NULL) {
    strike_at = atol(at);
    kind = strcmp(what, "kill") == 0    ? KILL
           : strcmp(what, "tear") == 0  ? TEAR
           : strcmp(what, "short") == 0 ? SHORT
           : strcmp(what, "trace") == 0 ? TRACE
                                        : ERROR;
    if (kind == ERROR) error_number = error_from(what);
  }
  if (under != NULL) resolve(AT_FDCWD, under, directory);
}

__attribute__((destructor)) static void report_count(void) {
  const char* file = getenv("TARN_FAULT_COUNT_FILE");
  if (file == NULL) return;
  const int out = REAL(open)(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (out < 0) return;
  dprintf(out, "%ld\n", atomic_load(&calls));
  close(out);
}

_Noreturn static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static void report(const char* call, long number) {
  dprintf(STDERR_FILENO, "fault injector: %s at call %ld: %s %s\n", getenv("TARN_FAULT_KIND"),
          number, call, seen_path);
}

// Counts a call and says what is to become of it; errno is set when it is to fail.
static enum verdict judge(const char* call, bool counts, int traits) {
  if (!counts) return GO;
  const long number = atomic_fetch_add(&calls, 1) + 1;
  if (kind == TRACE) report(call, number);
  if (kind == NONE || kind == TRACE || strike_at <= 0 || number < strike_at) return GO;
  const bool lasts = kind == ERROR && error_number != EINTR && (traits & NEEDS_SPACE);
  if (number > strike_at && !lasts) return GO;
  if (kind == SHORT && !(traits & WRITES)) return GO;
  if (kind == ERROR && error_number == EINTR && !(traits & INTERRUPTIBLE)) return GO;
  if (number == strike_at) report(call, number);
  if (kind == SHORT) return HALF;
  if (kind == TEAR && (traits & WRITES)) return HALF_THEN_DIE;
  if (kind == KILL || kind == TEAR) die();
  errno = error_number;
  return FAIL;
}

// A function that is either done or fails with -1.
#define WRAP(name, parameters, arguments, counts, traits)    \
  int name parameters {                                      \
    if (judge(#name, (counts), (traits)) == FAIL) return -1; \
    return REAL(name) arguments;                             \
  }

WRAP(fsync, (int fd), (fd), descriptor_counts(fd), INTERRUPTIBLE)
WRAP(fdatasync, (int fd), (fd), descriptor_counts(fd), INTERRUPTIBLE)
WRAP(ftruncate, (int fd, off_t n), (fd, n), descriptor_counts(fd), INTERRUPTIBLE)
WRAP(ftruncate64, (int fd, off64_t n), (fd, n), descriptor_counts(fd), INTERRUPTIBLE)
WRAP(truncate, (const char* p, off_t n), (p, n), path_counts(AT_FDCWD, p), INTERRUPTIBLE)
WRAP(truncate64, (const char* p, off64_t n), (p, n), path_counts(AT_FDCWD, p), INTERRUPTIBLE)
WRAP(mkdir, (const char* p, mode_t m), (p, m), path_counts(AT_FDCWD, p), NEEDS_SPACE)
WRAP(mkdirat, (int d, const char* p, mode_t m), (d, p, m), path_counts(d, p), NEEDS_SPACE)
WRAP(unlink, (const char* p), (p), path_counts(AT_FDCWD, p), PLAIN)
WRAP(unlinkat, (int d, const char* p, int f), (d, p, f), path_counts(d, p), PLAIN)
WRAP(rmdir, (const char* p), (p), path_counts(AT_FDCWD, p), PLAIN)
WRAP(remove, (const char* p), (p), path_counts(AT_FDCWD, p), PLAIN)
WRAP(rename, (const char* a, const char* b), (a, b),
     path_counts(AT_FDCWD, a) || path_counts(AT_FDCWD, b), PLAIN)
WRAP(renameat, (int da, const char* a, int db, const char* b), (da, a, db, b),
     path_counts(da, a) || path_counts(db, b), PLAIN)
WRAP(renameat2, (int da, const char* a, int db, const char* b, unsigned f), (da, a, db, b, f),
     path_counts(da, a) || path_counts(db, b), PLAIN)

static bool changes(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

static int traits_of_open(int flags) {
  return flags & O_CREAT ? NEEDS_SPACE | INTERRUPTIBLE : INTERRUPTIBLE;
}

// The mode is there only with the flags that need one, but reading it always does no harm here.
#define WRAP_OPEN(name, parameters, arguments, base, path, last)        \
  int name parameters {                                                 \
    va_list list;                                                       \
    va_start(list, last);                                               \
    const mode_t mode = va_arg(list, mode_t);                           \
    va_end(list);                                                       \
    const bool counts = changes(flags) && path_counts(base, path);      \
    if (judge(#name, counts, traits_of_open(flags)) == FAIL) return -1; \
    return REAL(name) arguments;                                        \
  }

WRAP_OPEN(open, (const char* p, int flags, ...), (p, flags, mode), AT_FDCWD, p, flags)
WRAP_OPEN(open64, (const char* p, int flags, ...), (p, flags, mode), AT_FDCWD, p, flags)
WRAP_OPEN(openat, (int d, const char* p, int flags, ...), (d, p, flags, mode), d, p, flags)
WRAP_OPEN(openat64, (int d, const char* p, int flags, ...), (d, p, flags, mode), d, p, flags)

int creat(const char* path, mode_t mode) { return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

#define WRAP_FOPEN(name)                                                             \
  FILE* name(const char* path, const char* mode) {                                   \
    const bool counts = strpbrk(mode, "wa+") != NULL && path_counts(AT_FDCWD, path); \
    if (judge(#name, counts, NEEDS_SPACE) == FAIL) return NULL;                      \
    return REAL(name)(path, mode);                                                   \
  }

WRAP_FOPEN(fopen)
WRAP_FOPEN(fopen64)

// `half` is the same call for the first half of the bytes.
#define WRAP_WRITE(name, parameters, arguments, half)                                    \
  ssize_t name parameters {                                                              \
    switch (judge(#name, descriptor_counts(fd), NEEDS_SPACE | WRITES | INTERRUPTIBLE)) { \
      case FAIL:                                                                         \
        return -1;                                                                       \
      case HALF:                                                                         \
        return REAL(name) half;                                                          \
      case HALF_THEN_DIE:                                                                \
        if (REAL(name) half < 0) perror("fault injector: " #name);                       \
        die();                                                                           \
      default:                                                                           \
        return REAL(name) arguments;                                                     \
    }                                                                                    \
  }

WRAP_WRITE(write, (int fd, const void* b, size_t n), (fd, b, n), (fd, b, (n + 1) / 2))
WRAP_WRITE(pwrite, (int fd, const void* b, size_t n, off_t at), (fd, b, n, at),
           (fd, b, (n + 1) / 2, at))
WRAP_WRITE(pwrite64, (int fd, const void* b, size_t n, off64_t at), (fd, b, n, at),
           (fd, b, (n + 1) / 2, at))
WRAP_WRITE(writev, (int fd, const struct iovec* v, int n), (fd, v, n), (fd, v, (n + 1) / 2))
WRAP_WRITE(sendfile, (int fd, int in, off_t* at, size_t n), (fd, in, at, n),
           (fd, in, at, (n + 1) / 2))
