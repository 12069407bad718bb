/* A disk that can fail, for the real binary: LD_PRELOADed, it stands between the program and the files of one folder.
 *
 * It keeps a second folder, the image: what of each file was synced, and which names a sync of their folder made
 * durable. That is what a power cut would leave. A test tells it through a page of shared memory (`struct control`,
 * mirrored in tests/support/disk.rs) at which call to cut, to kill or to fail.
 *
 * A sync that fails loses what it should have written, as Linux does: the pages stay in memory as they are, and count as
 * written from then on, so that no later sync brings them to the disk. (The image keeps a byte for each such page of a
 * file; writing to the page makes it one that the next sync writes.)
 *
 * Files are known by their inode. One that is unlinked or renamed over is kept alive in the image, so that its number
 * is not given to another file while the image still speaks of it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE = 2, SYNC = 4, TRUNCATE = 8, RENAME = 16, UNLINK = 32, SYNC_FOLDER = 64 };
enum action { KILL_BEFORE = 1, KILL_AFTER = 2, FAIL_ONCE = 3, FAIL_FOR_EVER = 4 };

struct control {
    int64_t countdown;   /* matching calls until it happens; 0: nothing is to happen */
    uint64_t kinds;      /* which kinds of call match */
    uint64_t action;     /* what happens then */
    uint64_t error;      /* the errno of a call that fails */
    uint64_t fired;      /* how often it has happened */
    uint64_t frozen;     /* the power is gone: nothing becomes durable any more */
    uint64_t trace;      /* write each call to the file `trace` of the image */
    char file[64];       /* only files whose path ends so */
    char call[128];      /* at which call it happened first */
};

#define FILES 4096
static char folder[PATH_MAX], image[PATH_MAX];
static const char *ignored = ""; /* a sync of a file whose path ends so succeeds and makes nothing durable; empty: of none */
static struct control *control;
static char *names[FILES]; /* of each descriptor: the path within the folder */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int gate = -1; /* flock between processes */

__attribute__((constructor)) static void begin(void) {
    const char *d = getenv("DISK_FOLDER"), *i = getenv("DISK_IMAGE");
    if (!d || !i || !realpath(d, folder) || !realpath(i, image)) { folder[0] = 0; return; }
    if (getenv("DISK_IGNORES_SYNCS_OF")) ignored = getenv("DISK_IGNORES_SYNCS_OF");
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/control", image);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    snprintf(path, sizeof path, "%s/gate", image);
    gate = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED || gate < 0) { fprintf(stderr, "the shim has no image\n"); _exit(99); }
    control = page;
    syscall(SYS_close, fd);
}

static int ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* The path within the folder; nothing where it is elsewhere, or shared memory, which no disk keeps. */
static const char *within(const char *path, char *buffer) {
    if (!folder[0] || !path) return NULL;
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy) return NULL;
    strcpy(copy, path);
    char *slash = strrchr(copy, '/');
    const char *base = slash ? slash + 1 : copy, *parent = slash ? (slash == copy ? "/" : copy) : ".";
    char name[PATH_MAX];
    strcpy(name, base);
    if (slash) *slash = 0;
    char real[PATH_MAX];
    if (!realpath(parent, real)) return NULL;
    size_t length = strlen(folder);
    if (strcmp(name, ".") == 0 || name[0] == 0) name[0] = 0;
    char whole[PATH_MAX * 2];
    snprintf(whole, sizeof whole, name[0] ? "%s/%s" : "%s", real, name);
    if (strncmp(whole, folder, length) != 0 || (whole[length] != '/' && whole[length] != 0)) return NULL;
    snprintf(buffer, PATH_MAX, "%s", whole[length] ? whole + length + 1 : ".");
    return ends_with(buffer, "-shm") ? NULL : buffer;
}

static const char *word(enum kind kind) {
    switch (kind) {
    case CREATE: return "create";
    case WRITE: return "write";
    case SYNC: return "sync";
    case TRUNCATE: return "truncate";
    case RENAME: return "rename";
    case UNLINK: return "unlink";
    default: return "sync-folder";
    }
}

static void die(void) {
    control->frozen = 1;
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Before each call: it may end the process, say that the call has to fail (-1), or that the process ends after it (1). */
static int meet(enum kind kind, const char *path) {
    /* The power is gone for every process. */
    if (control->frozen) die();
    if (control->trace) {
        char line[PATH_MAX + 32], file[PATH_MAX + 16];
        int length = snprintf(line, sizeof line, "%s %s\n", word(kind), path);
        snprintf(file, sizeof file, "%s/trace", image);
        int fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
    if (!(control->kinds & kind) || !ends_with(path, control->file)) return 0;
    if (control->action == FAIL_FOR_EVER && control->fired && control->countdown <= 0) {
        __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
        return -1;
    }
    if (control->countdown <= 0 || __atomic_sub_fetch(&control->countdown, 1, __ATOMIC_SEQ_CST) != 0) return 0;
    snprintf(control->call, sizeof control->call, "%s %s", word(kind), path);
    __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
    if (control->action == KILL_BEFORE) die();
    return control->action == KILL_AFTER ? 1 : -1;
}

static int refuse(void) {
    errno = (int)control->error;
    return -1;
}

static long after(int met, long result) {
    if (met == 1) die();
    return result;
}

#define PAGE 4096

/* Which pages of a file a sync has lost: a file with one byte a page; nothing where none is. */
static int lost_pages(int fd, int flags) {
    struct stat found;
    char path[PATH_MAX + 32];
    if (fstat(fd, &found) != 0) return -1;
    snprintf(path, sizeof path, "%s/l%llu", image, (unsigned long long)found.st_ino);
    return syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | flags, 0600);
}

static int is_lost(int lost, off_t page) {
    char is = 0;
    return lost >= 0 && syscall(SYS_pread64, lost, &is, 1, page) == 1 && is;
}

/* A sync has failed: whatever differs from what is durable is lost to the disk. */
static void lose(int fd) {
    static char here[PAGE], durable[PAGE];
    struct stat found;
    char path[PATH_MAX + 32];
    if (fstat(fd, &found) != 0) return;
    snprintf(path, sizeof path, "%s/i%llu", image, (unsigned long long)found.st_ino);
    flock(gate, LOCK_EX);
    int in = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), lost = lost_pages(fd, O_CREAT);
    for (off_t page = 0;; page++) {
        ssize_t got = syscall(SYS_pread64, fd, here, PAGE, page * PAGE);
        if (got <= 0) break;
        ssize_t kept = in < 0 ? 0 : syscall(SYS_pread64, in, durable, PAGE, page * PAGE);
        if (kept != got || memcmp(here, durable, got) != 0) syscall(SYS_pwrite64, lost, "\1", 1, page);
    }
    syscall(SYS_close, lost);
    if (in >= 0) syscall(SYS_close, in);
    flock(gate, LOCK_UN);
}

/* These bytes were written anew: the next sync finds their pages. */
static void is_dirty_again(int fd, off_t at, ssize_t n) {
    int lost = n > 0 ? lost_pages(fd, 0) : -1;
    if (lost < 0) return;
    for (off_t page = at / PAGE; page <= (at + n - 1) / PAGE; page++)
        if (is_lost(lost, page)) syscall(SYS_pwrite64, lost, "", 1, page);
    syscall(SYS_close, lost);
}

/* What the file holds now is what a power cut leaves of it, but for what syncs have lost. Read through the descriptor at
 * hand: to open and close the file anew would drop SQLite's locks on it. */
static void make_durable(int fd) {
    static char buffer[PAGE];
    struct stat found;
    if (control->frozen || fstat(fd, &found) != 0) return;
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/i%llu", image, (unsigned long long)found.st_ino);
    flock(gate, LOCK_EX);
    int out = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int lost = lost_pages(fd, 0);
    off_t at = 0;
    for (;;) {
        ssize_t got = syscall(SYS_pread64, fd, buffer, sizeof buffer, at);
        if (got <= 0) break;
        if (!is_lost(lost, at / PAGE)) syscall(SYS_pwrite64, out, buffer, got, at);
        at += got;
    }
    syscall(SYS_ftruncate, out, at);
    syscall(SYS_close, out);
    if (lost >= 0) syscall(SYS_close, lost);
    flock(gate, LOCK_UN);
}

/* The names that are in the folder now are what a power cut leaves of it. */
static void make_names_durable(const char *within_folder) {
    if (control->frozen) return;
    char path[PATH_MAX * 2], file[PATH_MAX * 3], temporary[PATH_MAX * 3];
    snprintf(path, sizeof path, "%s/%s", folder, within_folder);
    char flat[PATH_MAX];
    snprintf(flat, sizeof flat, "%s", within_folder);
    for (char *c = flat; *c; c++) if (*c == '/') *c = '%';
    snprintf(file, sizeof file, "%s/n%s", image, flat);
    snprintf(temporary, sizeof temporary, "%s/t%s", image, flat);
    flock(gate, LOCK_EX);
    int out = syscall(SYS_openat, AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    DIR *listing = opendir(path);
    struct dirent *entry;
    while (listing && (entry = readdir(listing))) {
        struct stat found;
        if (ends_with(entry->d_name, "-shm") || fstatat(dirfd(listing), entry->d_name, &found, AT_SYMLINK_NOFOLLOW)) continue;
        if (!S_ISREG(found.st_mode)) continue;
        char line[NAME_MAX + 64];
        int length = snprintf(line, sizeof line, "%llu %s\n", (unsigned long long)found.st_ino, entry->d_name);
        syscall(SYS_write, out, line, length);
    }
    if (listing) closedir(listing);
    syscall(SYS_close, out);
    syscall(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, file, 0);
    flock(gate, LOCK_UN);
}

/* Keeps a file alive that is about to lose its name. */
static void keep(const char *path) {
    struct stat found;
    char grave[PATH_MAX + 32];
    if (fstatat(AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(found.st_mode)) return;
    snprintf(grave, sizeof grave, "%s/g%llu", image, (unsigned long long)found.st_ino);
    syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, grave, 0);
}

static const char *name_of(int fd) { return folder[0] && fd >= 0 && fd < FILES ? names[fd] : NULL; }

static int open_in(int at, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    const char *name = at == AT_FDCWD || (path && path[0] == '/') ? within(path, buffer) : NULL;
    int met = 0;
    if (name) {
        struct stat found;
        if ((flags & O_CREAT) && fstatat(AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW) != 0) met = meet(CREATE, name);
        if (met < 0) return refuse();
        /* The image is made from the descriptor, so it has to be able to read. */
        if ((flags & O_ACCMODE) == O_WRONLY) flags = (flags & ~O_ACCMODE) | O_RDWR;
    }
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (name && fd >= 0 && fd < FILES) {
        pthread_mutex_lock(&mutex);
        free(names[fd]);
        names[fd] = strdup(name);
        pthread_mutex_unlock(&mutex);
    }
    return after(met, fd);
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list more; va_start(more, last); mode = va_arg(more, int); va_end(more); }

int open(const char *path, int flags, ...) { MODE(flags, flags) return open_in(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, flags) return open_in(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, flags) return open_in(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, flags) return open_in(at, path, flags, mode); }

int close(int fd) {
    if (name_of(fd)) {
        pthread_mutex_lock(&mutex);
        free(names[fd]);
        names[fd] = NULL;
        pthread_mutex_unlock(&mutex);
    }
    return syscall(SYS_close, fd);
}

static int meet_write(int fd) {
    const char *name = name_of(fd);
    return name ? meet(WRITE, name) : 0;
}

#define HERE(fd) syscall(SYS_lseek, fd, 0, SEEK_CUR)
#define WRITING(fd, at, call) \
    int met = meet_write(fd); \
    if (met < 0) return refuse(); \
    off_t begin = name_of(fd) ? at : 0; \
    ssize_t written = call; \
    if (name_of(fd)) is_dirty_again(fd, begin, written); \
    return after(met, written);

ssize_t write(int fd, const void *bytes, size_t n) { WRITING(fd, HERE(fd), syscall(SYS_write, fd, bytes, n)) }
ssize_t writev(int fd, const struct iovec *parts, int n) { WRITING(fd, HERE(fd), syscall(SYS_writev, fd, parts, n)) }
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { WRITING(fd, at, syscall(SYS_pwrite64, fd, bytes, n, at)) }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) { WRITING(fd, at, syscall(SYS_pwrite64, fd, bytes, n, at)) }

static int truncate_in(int fd, off_t length) {
    const char *name = name_of(fd);
    int met = name ? meet(TRUNCATE, name) : 0;
    if (met < 0) return refuse();
    int lost = name ? lost_pages(fd, 0) : -1;
    if (lost >= 0) {
        struct stat found;
        off_t pages = (length + PAGE - 1) / PAGE;
        if (fstat(lost, &found) == 0 && found.st_size > pages) syscall(SYS_ftruncate, lost, pages);
        syscall(SYS_close, lost);
    }
    return after(met, syscall(SYS_ftruncate, fd, length));
}
int ftruncate(int fd, off_t length) { return truncate_in(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncate_in(fd, length); }

static int sync_in(int fd, long number) {
    const char *name = name_of(fd);
    struct stat found;
    if (!name || fstat(fd, &found) != 0) return syscall(number, fd);
    int is_folder = S_ISDIR(found.st_mode);
    int met = meet(is_folder ? SYNC_FOLDER : SYNC, name);
    if (met < 0 && !is_folder) {
        pthread_mutex_lock(&mutex);
        lose(fd);
        pthread_mutex_unlock(&mutex);
    }
    if (met < 0) return refuse();
    if (ignored[0] && ends_with(name, ignored)) return after(met, 0);
    /* The real disk is not troubled: what it would keep is not what is asked here. */
    pthread_mutex_lock(&mutex);
    if (is_folder) make_names_durable(name);
    else make_durable(fd);
    pthread_mutex_unlock(&mutex);
    return after(met, 0);
}
int fsync(int fd) { return sync_in(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_in(fd, SYS_fdatasync); }

static int rename_in(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char buffer[PATH_MAX];
    const char *name = within(to, buffer);
    int met = name ? meet(RENAME, name) : 0;
    if (met < 0) return refuse();
    if (name) keep(to);
    return after(met, syscall(SYS_renameat2, from_at, from, to_at, to, flags));
}
int rename(const char *from, const char *to) { return rename_in(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_in(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned f) { return rename_in(a, from, b, to, f); }

static int unlink_in(int at, const char *path, int flags) {
    char buffer[PATH_MAX];
    const char *name = (flags & AT_REMOVEDIR) ? NULL : within(path, buffer);
    int met = name ? meet(UNLINK, name) : 0;
    if (met < 0) return refuse();
    if (name) keep(path);
    return after(met, syscall(SYS_unlinkat, at, path, flags));
}
int unlink(const char *path) { return unlink_in(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlink_in(at, path, flags); }
