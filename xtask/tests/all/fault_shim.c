/* Makes a chosen one of the calls with which a program changes files below a folder fail. Loaded with LD_PRELOAD by
 * faults.rs, so that the program under test has no trace of it.
 *
 * EBM_FAULT_BELOW: the folder. EBM_FAULT_AT: which call fails, counted from 1; 0 for none. EBM_FAULT_ERRNO: how.
 * EBM_FAULT_LASTS: whether all later calls fail too. EBM_FAULT_COUNT: the file that gets the number of calls at the end.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *below;
static long failing, lasts, code, calls;

__attribute__((constructor)) static void begin(void) {
    below = getenv("EBM_FAULT_BELOW");
    failing = atol(getenv("EBM_FAULT_AT") ?: "0");
    lasts = atol(getenv("EBM_FAULT_LASTS") ?: "0");
    code = atol(getenv("EBM_FAULT_ERRNO") ?: "0");
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("EBM_FAULT_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld", calls);
        fclose(file);
    }
}

/* Whether the call that changes this path is to fail. */
static int fails(const char *path) {
    char whole[2 * PATH_MAX];
    if (!below)
        return 0;
    if (path[0] == '/' || !getcwd(whole, PATH_MAX))
        snprintf(whole, sizeof whole, "%s", path);
    else
        snprintf(whole + strlen(whole), sizeof whole - strlen(whole), "/%s", path);
    if (strncmp(whole, below, strlen(below)) != 0)
        return 0;
    long call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (failing == 0 || (lasts ? call < failing : call != failing))
        return 0;
    errno = code;
    return 1;
}

static int fails_fd(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return fails(path);
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR | O_APPEND))

ssize_t write(int fd, const void *bytes, size_t count) {
    return fails_fd(fd) ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return fails_fd(fd) ? -1 : REAL(writev)(fd, parts, count);
}

int fsync(int fd) { return fails_fd(fd) ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return fails_fd(fd) ? -1 : REAL(fdatasync)(fd); }

int ftruncate64(int fd, off64_t length) { return fails_fd(fd) ? -1 : REAL(ftruncate64)(fd, length); }

int rename(const char *from, const char *to) { return fails(to) ? -1 : REAL(rename)(from, to); }

int mkdir(const char *path, mode_t mode) { return fails(path) ? -1 : REAL(mkdir)(path, mode); }

int unlink(const char *path) { return fails(path) ? -1 : REAL(unlink)(path); }

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return CHANGES(flags) && fails(path) ? -1 : REAL(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return CHANGES(flags) && fails(path) ? -1 : REAL(open)(path, flags, mode);
}
