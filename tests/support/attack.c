/* What another process of this machine can try on process argv[1]. One line each: its name, and "denied", or what it got.
   With "hold FILE": holds the lock of a server as a program does that takes no precautions. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void say(const char *name, int failed) {
    int denied = failed && (errno == EPERM || errno == EACCES);
    printf("%s %s\n", name, denied ? "denied" : failed ? strerror(errno) : "GOT IT");
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    if (argc == 3 && strcmp(argv[1], "hold") == 0) {
        if (flock(open(argv[2], O_RDWR), LOCK_EX) != 0) return 1;
        puts("ready");
        fflush(stdout);
        return (int)sleep(60);
    }
    int pid = atoi(argv[1]);
    static const char *files[] = {"mem", "environ", "maps", "smaps", "auxv", "pagemap", "syscall", "stack", "io",
                                  "fd", "fdinfo", "map_files", "fd/0", "fd/1", "fd/2", "fd/3", "cwd", "root", "exe"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64], byte;
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        int file = open(path, O_RDONLY);
        /* Of some the check is made when they are read; what is mapped nowhere or is a folder says so with another error. */
        int failed = file < 0 || (read(file, &byte, 1) < 0 && errno != EIO && errno != EISDIR && errno != EINVAL);
        say(files[i], failed);
        if (file >= 0) close(file);
    }
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x1000, 1};
    say("process_vm_readv", process_vm_readv(pid, &here, 1, &there, 1, 0) < 0);
    say("process_vm_writev", process_vm_writev(pid, &here, 1, &there, 1, 0) < 0);
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    say("pidfd_getfd", syscall(SYS_pidfd_getfd, handle, 0, 0) < 0);
    say("ptrace_seize", ptrace(PTRACE_SEIZE, pid, 0, 0) < 0);
    say("ptrace_attach", ptrace(PTRACE_ATTACH, pid, 0, 0) < 0);
    return 0;
}
