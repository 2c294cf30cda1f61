/* What a power cut does to files, under a process that does not know it: preloaded, armed from inside.
 *
 * Every call that changes a file of the watched folder is a point, before and after it, and halfway through a write. At a chosen
 * point the process is killed. What was synced is kept in a second folder; the test makes the disk of after the cut from the two.
 * With `fault_full` the disk has no space left. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char watched[PATH_MAX], kept[PATH_MAX];
static volatile int full;
static int journal = -1;
static long points, kill_at = -1;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))
typedef ssize_t (*pwrite_t)(int, const void *, size_t, off_t);
typedef ssize_t (*write_t)(int, const void *, size_t);
typedef int (*sync_t)(int);
typedef int (*truncate_t)(int, off_t);
typedef int (*unlink_t)(const char *);

void fault_arm(const char *folder, const char *synced, long at, int log) {
    strncpy(kept, synced, sizeof kept - 1);
    kill_at = at;
    journal = log;
    points = 0;
    strncpy(watched, folder, sizeof watched - 1);
}

void fault_full(int on) { full = on; }

long fault_points(void) { return points; }

/* The file's name where it lies in the watched folder and outlives the process ("-shm" is made anew), else NULL. */
static const char *inside(const char *path) {
    size_t length = strlen(watched);
    if (!length || strncmp(path, watched, length) || path[length] != '/') return NULL;
    const char *name = path + length + 1, *end = strrchr(name, '-');
    return end && !strcmp(end, "-shm") ? NULL : name;
}

static const char *named(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    return inside(path);
}

static void point(const char *what, const char *name) {
    pthread_mutex_lock(&turn);
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", ++points, what, name);
    if (journal >= 0 && REAL("write", write_t)(journal, line, length) < 0) _exit(98);
    if (points == kill_at) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    pthread_mutex_unlock(&turn);
}

/* A deletion is durable when something is synced after it: file systems with a journal keep the order of such changes. */
static void drop_deleted(void) {
    DIR *folder = opendir(kept);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char live[2 * PATH_MAX], gone[2 * PATH_MAX];
        snprintf(live, sizeof live, "%s/%s", watched, entry->d_name);
        snprintf(gone, sizeof gone, "%s/%s", kept, entry->d_name);
        if (entry->d_name[0] != '.' && access(live, F_OK)) REAL("unlink", unlink_t)(gone);
    }
    if (folder) closedir(folder);
}

/* The synced content of a file, whole or as it was before. */
static void keep(int fd, const char *name) {
    char part[2 * PATH_MAX + 8], whole[2 * PATH_MAX], bytes[1 << 16];
    snprintf(whole, sizeof whole, "%s/%s", kept, name);
    snprintf(part, sizeof part, "%s.part", whole);
    int out = open(part, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    off_t at = 0;
    for (ssize_t got; (got = pread(fd, bytes, sizeof bytes, at)) > 0; at += got)
        if (REAL("write", write_t)(out, bytes, got) != got) _exit(97);
    close(out);
    if (rename(part, whole)) _exit(96);
    drop_deleted();
}

static ssize_t written(int fd, const void *bytes, size_t size, off_t at) {
    char path[PATH_MAX];
    const char *name = watched[0] ? named(fd, path) : NULL;
    pwrite_t real = REAL("pwrite64", pwrite_t);
    if (!name) return real(fd, bytes, size, at);
    struct stat now;
    if (full && !fstat(fd, &now) && at + (off_t)size > now.st_size) {
        errno = ENOSPC;
        return -1;
    }
    point("before write", name);
    size_t half = size / 2;
    if (real(fd, bytes, half, at) != (ssize_t)half) return -1;
    point("within write", name);
    if (real(fd, (const char *)bytes + half, size - half, at + half) != (ssize_t)(size - half)) return -1;
    point("after write", name);
    return size;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return written(fd, bytes, size, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at) { return written(fd, bytes, size, at); }

static int synced(int fd, const char *call) {
    char path[PATH_MAX];
    const char *name = watched[0] ? named(fd, path) : NULL;
    if (!name) return REAL(call, sync_t)(fd);
    point("before sync", name);
    keep(fd, name);
    point("after sync", name);
    return 0;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

static int truncated(int fd, off_t size) {
    char path[PATH_MAX];
    const char *name = watched[0] ? named(fd, path) : NULL;
    if (name) point("before truncate", name);
    int result = REAL("ftruncate64", truncate_t)(fd, size);
    if (name) point("after truncate", name);
    return result;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off_t size) { return truncated(fd, size); }

int unlink(const char *path) {
    const char *name = watched[0] ? inside(path) : NULL;
    if (name) point("before unlink", name);
    int result = REAL("unlink", unlink_t)(path);
    if (name) point("after unlink", name);
    return result;
}
