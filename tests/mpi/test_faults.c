/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens to a program that touches what it must not: a program for run_faults.sh, one fault
 * a run, chosen by the first argument. PE 1 is the culprit (PE 0 if it is alone). The second
 * argument, "update", chooses the protocol. Modes that end well print "survived" on PE 0. */
#include <hearth.h>

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct hearth_region *region;
static volatile unsigned char *block; /* 3 pages from the region */
static bool culprit;

/* --- the program's own handler --- */

static sigjmp_buf back;
static volatile sig_atomic_t n_caught, caught_signal;
static void *volatile caught_address;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    n_caught++;
    caught_signal = signal_number;
    caught_address = info->si_addr;
    siglongjmp(back, 1);
}

static void on_fault_plain(int signal_number)
{
    n_caught++;
    caught_signal = signal_number;
    siglongjmp(back, 1);
}

static void install(bool with_info)
{
    struct sigaction action = {0};

    sigemptyset(&action.sa_mask);
    if (with_info) {
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO;
    } else {
        action.sa_handler = on_fault_plain;
    }
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "PE %d: not so: %s\n", hearth_my_pe(), what);
        fflush(stderr);
        _exit(3);
    }
}

/* Touch `address`; the handler must get this signal, and this address. */
static void touch_foreign(volatile unsigned char *address, bool write, int expected_signal)
{
    int before = n_caught;

    caught_address = NULL;
    if (sigsetjmp(back, 1) == 0) {
        if (write)
            *address = 1;
        else
            (void)*address;
        must(false, "the access faults");
    }
    must(n_caught == before + 1, "the program's handler is called once");
    must(caught_signal == expected_signal, "with the signal");
    must(caught_address == NULL || caught_address == (void *)(uintptr_t)address, "at the address");
}

static void use_shared(int round)
{
    int n = hearth_n_pes(), me = hearth_my_pe(), wrong = 0;

    for (int i = me; i < 9000; i += n)
        block[i] = (unsigned char)(i + round);
    hearth_barrier_all();
    for (int i = 0; i < 9000; i++)
        wrong += block[i] != (unsigned char)(i + round);
    must(wrong == 0, "shared memory works as ever");
    hearth_barrier_all();
}

static void mode_handler(bool with_info)
{
    long page_bytes = sysconf(_SC_PAGESIZE);
    char name[] = "/tmp/hearth_test_faults_XXXXXX";
    int fd = mkstemp(name);
    unsigned char *none =
        mmap(NULL, (size_t)page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *file = mmap(NULL, (size_t)page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    unlink(name);
    must(none != MAP_FAILED && file != MAP_FAILED, "the test's own mappings");
    for (int round = 0; round < 3; round++) {
        use_shared(round);
        must(n_caught == round * 3, "shared memory does not bother the program's handler");
        touch_foreign(none + 123, false, SIGSEGV);
        must(!with_info || caught_address == none + 123, "si_addr of a read");
        touch_foreign(none + 321, true, SIGSEGV);
        must(!with_info || caught_address == none + 321, "si_addr of a write");
        touch_foreign(file + 77, false, SIGBUS); /* the file is empty */
        must(!with_info || caught_address == file + 77, "si_addr of a SIGBUS");
    }
    use_shared(9);
    close(fd);
}

/* --- faults that end the job --- */

static void touch(uintptr_t address, bool write)
{
    if (!culprit)
        return;
    /* Say where, so that the script can look for it in the library's words; not in its form. */
    fprintf(stderr, "TOUCHING PE=%d DECIMAL=%" PRIuPTR "\n", hearth_my_pe(), address);
    fflush(stderr);
    if (write)
        *(volatile unsigned char *)address = 1;
    else
        (void)*(volatile unsigned char *)address;
    fprintf(stderr, "NOTHING HAPPENED\n");
    _exit(0);
}

static void touch_null(void)
{
    volatile int *volatile null = NULL;

    if (culprit)
        *null = 1;
}

/* A SIGBUS that is none of ours: the mapped file is empty. */
static void touch_empty_file(void)
{
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    volatile int *file =
        mmap(NULL, bytes, PROT_READ, MAP_SHARED, memfd_create("empty", MFD_CLOEXEC), 0);

    if (culprit)
        (void)*file;
}

static void mode_fork(void)
{
    int status = 0;
    unsigned char before = block[100];

    use_shared(1);
    before = block[100];
    if (culprit) {
        pid_t child = fork();
        if (child == 0) {
            alarm(10);
            block[100] = (unsigned char)(before + 1);
            _exit(0);
        }
        must(child > 0 && waitpid(child, &status, 0) == child, "fork and waitpid");
        must(!(WIFEXITED(status) && WEXITSTATUS(status) == 0), "the writing child dies");
        must(!(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM), "and does not hang");
        child = fork();
        if (child == 0) {
            alarm(10);
            (void)block[200];
            _exit(0);
        }
        must(child > 0 && waitpid(child, &status, 0) == child, "fork and waitpid");
        must(!(WIFEXITED(status) && WEXITSTATUS(status) == 0), "the reading child dies");
        child = fork();
        if (child == 0)
            _exit(0); /* a child that leaves shared memory alone is fine */
        must(child > 0 && waitpid(child, &status, 0) == child, "fork and waitpid");
        must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the quiet child lives");
    }
    hearth_barrier_all();
    must(block[100] == before, "the parent's data is as it was");
    hearth_barrier_all();
    use_shared(2);
}

/* --- modes --- */

static void run(const char *mode)
{
    uintptr_t first = (uintptr_t)block, page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    bool write = strstr(mode, "write") != NULL;

    if (strcmp(mode, "null") == 0 || strcmp(mode, "ignored") == 0)
        touch_null();
    else if (strcmp(mode, "bus") == 0)
        touch_empty_file();
    else if (strcmp(mode, "handler") == 0)
        mode_handler(true);
    else if (strcmp(mode, "handler-plain") == 0)
        mode_handler(false);
    else if (strncmp(mode, "unallocated", 11) == 0) /* in the region, past the block's last page */
        touch(first + 64 * page_bytes + 7, write);
    else if (strncmp(mode, "freed", 5) == 0) {
        hearth_free((void *)first);
        touch(first + 5, write);
    } else if (strncmp(mode, "past-end", 8) == 0) /* beyond it and its solo parts */
        touch(first + (((uintptr_t)1 << 20) * (uintptr_t)(2 * hearth_n_pes() + 2)) + 9, write);
    else if (strncmp(mode, "nowhere", 7) == 0) /* in the reserved range, far from any region */
        touch((first & ~(((uintptr_t)1 << 44) - 1)) + ((uintptr_t)15 << 40) + 11, write);
    else if (strcmp(mode, "fork") == 0)
        mode_fork();
    else if (strcmp(mode, "abort") == 0 && culprit)
        abort();
    else if (strcmp(mode, "exit") == 0 && culprit)
        exit(7);
    else if (strcmp(mode, "abort") != 0 && strcmp(mode, "exit") != 0)
        must(false, "a known mode");
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;

    attr.name = "victim";
    if (argc > 2 && strcmp(argv[2], "update") == 0)
        attr.protocol = HEARTH_WRITE_UPDATE;
    if (strncmp(mode, "handler", 7) == 0)
        install(strcmp(mode, "handler") == 0);
    if (strcmp(mode, "ignored") == 0)
        signal(SIGSEGV, SIG_IGN);
    if (hearth_init(&argc, &argv)) {
        fprintf(stderr, "%s\n", hearth_error_message());
        return 2;
    }
    culprit = hearth_my_pe() == 1 % hearth_n_pes();
    must(!hearth_region_create(&region, 1 << 20, &attr), "the region");
    block =
        hearth_region_malloc(region, 3 * (size_t)sysconf(_SC_PAGESIZE) * (size_t)hearth_n_pes());
    must(block != NULL, "the block");
    run(mode);
    hearth_barrier_all();
    if (hearth_my_pe() == 0)
        printf("survived\n");
    return hearth_finalize() != 0;
}
