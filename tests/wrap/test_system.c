/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls and streams on shared buffers. Each PE has pipes, sockets and files of its own. */
#define _FILE_OFFSET_BITS 64
#include "area.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { FROM = 99, TO = 7 * WT_PAGE + 333, N = 6 * WT_PAGE };

ssize_t __read_chk(int fd, void *buf, size_t n, size_t buf_bytes);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off_t offset, size_t buf_bytes);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t buf_bytes, int flags);
size_t __fread_chk(void *ptr, size_t ptr_bytes, size_t size, size_t n, FILE *stream);

static int temporary(void)
{
    char name[] = "/tmp/hearth_test_system_XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    HT_CHECK(fd >= 0);
    return fd;
}

static void make_read_write(unsigned char *base)
{
    int fd = temporary();
    HT_EQUAL(write(fd, base + FROM, N), N);
    HT_EQUAL(lseek(fd, N / 2, SEEK_SET), N / 2);
    HT_EQUAL(read(fd, base + TO, N), N / 2); /* the file ends there */
    HT_EQUAL(read(fd, base + TO, N), 0);
    HT_EQUAL(__read_chk(fd, base + TO, 5, 10), 0);
    close(fd);
    errno = 0;
    HT_EQUAL(read(fd, base + TO, N), -1);
    HT_EQUAL(errno, EBADF);
    errno = 0;
    HT_EQUAL(write(fd, base + TO, N), -1);
    HT_EQUAL(errno, EBADF);
}

static void make_pread_pwrite(unsigned char *base)
{
    int fd = temporary();
    HT_EQUAL(pwrite(fd, base + FROM, N, 100), N);
    HT_EQUAL(pread(fd, base + TO, N, 101), N - 1);
    HT_EQUAL(pwrite64(fd, base + FROM + 1, N / 2, 0), N / 2);
    HT_EQUAL(pread64(fd, base + TO + 9, N / 2, 0), N / 2);
    HT_EQUAL(__pread64_chk(fd, base + TO + 2 * WT_PAGE, 50, 7, 50), 50);
    errno = 0;
    HT_EQUAL(pread(fd, base + TO, N, -1), -1);
    HT_EQUAL(errno, EINVAL);
    close(fd);
}

static void make_append(unsigned char *base)
{
    char name[] = "/tmp/hearth_test_append_XXXXXX";
    int fd = mkstemp(name), other = open(name, O_WRONLY | O_APPEND);
    unlink(name);
    HT_EQUAL(write(other, base + FROM, 5000), 5000);
    HT_EQUAL(write(other, base + FROM + 5000, 5000), 5000);
    HT_EQUAL(read(fd, base + TO, N), 10000);
    close(other);
    close(fd);
}

/* Buffers of both kinds, empty ones, and a vector that lies in shared memory itself. */
static void make_vectors(unsigned char *base)
{
    static char private[3000];
    int fd = temporary();
    struct iovec out[] = {{base + FROM, 5000},
                          {private, 3000},
                          {NULL, 0},
                          {base + FROM + 9000, 0},
                          {base + FROM + 3 * WT_PAGE, 7000}};
    memset(private, 'p', sizeof private);
    HT_EQUAL(writev(fd, out, 5), 15000);
    HT_EQUAL(pwritev(fd, out, 2, 15000), 8000);
    HT_EQUAL(pwritev2(fd, out, 1, 23000, 0), 5000);
    HT_EQUAL(lseek(fd, 4000, SEEK_SET), 4000);
    struct iovec in[] = {{base + TO, 3000}, {private, 500}, {base + TO + 4000, 20000}};
    HT_EQUAL(readv(fd, in, 2), 3500);
    HT_EQUAL(preadv(fd, in, 3, 10000), 18000); /* to the end of the file */
    struct iovec *shared = hearth_solo_malloc(NULL, sizeof in);
    memcpy(shared, in, sizeof in);
    HT_EQUAL(preadv2(fd, shared, 3, 100, 0), 23500);
    HT_EQUAL(readv(fd, shared, 3), 20500);
    HT_EQUAL(readv(fd, shared, 3), 0);
    volatile int minus_1 = -1; /* or the compiler says so first */
    errno = 0;
    HT_EQUAL(readv(fd, in, minus_1), -1);
    HT_EQUAL(errno, EINVAL);
    errno = 0;
    in[2].iov_len = SIZE_MAX / 2 + 1;
    HT_EQUAL(readv(fd, in, 3), -1);
    HT_EQUAL(errno, EINVAL);
    hearth_solo_free(shared);
    close(fd);
}

static void make_pipe(unsigned char *base)
{
    int ends[2];
    HT_EQUAL(pipe(ends), 0);
    HT_EQUAL(write(ends[1], base + FROM, 1234), 1234);
    HT_EQUAL(read(ends[0], base + TO, N), 1234); /* as much as there is */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    errno = 0;
    HT_EQUAL(read(ends[0], base + TO, N), -1);
    HT_EQUAL(errno, EAGAIN);
    ssize_t in = 0, some;
    while ((some = write(ends[1], base + FROM, N)) > 0) { /* until it is full: the last in part */
        in += some;
    }
    HT_EQUAL(errno, EAGAIN);
    ssize_t out = 0;
    while ((some = read(ends[0], base + TO, N)) > 0) {
        out += some;
    }
    HT_EQUAL(out, in);
    close(ends[0]);
    close(ends[1]);
}

static void make_stream_socket(unsigned char *base)
{
    int ends[2];
    HT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    HT_EQUAL(send(ends[0], base + FROM, 9000, 0), 9000);
    HT_EQUAL(recv(ends[1], base + TO, 100, MSG_PEEK), 100);
    HT_EQUAL(recv(ends[1], base + TO + 3000, 6000, MSG_WAITALL), 6000);
    HT_EQUAL(__recv_chk(ends[1], base + TO + 9000, N, N, 0), 3000);
    close(ends[0]);
    HT_EQUAL(recv(ends[1], base + TO, N, 0), 0);
    errno = 0;
    HT_EQUAL(send(ends[1], base + FROM, 9, MSG_NOSIGNAL), -1);
    HT_EQUAL(errno, EPIPE);
    close(ends[1]);
}

/* Datagrams: cut off, with the sender's address and with a file descriptor beside, all of it
 * shared. */
static void make_datagrams(unsigned char *base)
{
    int ends[2], fd = -1;
    struct {
        struct sockaddr_un address;
        socklen_t bytes;
        struct msghdr header;
        struct iovec parts[2];
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)];
    } *shared = hearth_solo_malloc(NULL, sizeof *shared);
    HT_EQUAL(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    HT_EQUAL(sendto(ends[0], base + FROM, 5000, 0, NULL, 0), 5000);
    HT_EQUAL(recv(ends[1], base + TO, 4000, MSG_TRUNC), 5000);
    struct sockaddr_un me = {.sun_family = AF_UNIX};
    socklen_t bytes = sizeof me.sun_family; /* the kernel finds a name for it */
    HT_EQUAL(bind(ends[0], (struct sockaddr *)&me, bytes), 0);
    bytes = sizeof me;
    getsockname(ends[0], (struct sockaddr *)&me, &bytes);
    HT_EQUAL(send(ends[0], base + FROM + 8, 3000, 0), 3000);
    shared->bytes = sizeof shared->address;
    HT_EQUAL(
        recvfrom(ends[1], base + TO, N, 0, (struct sockaddr *)&shared->address, &shared->bytes),
        3000);
    HT_EQUAL(shared->bytes, bytes);
    HT_EQUAL(memcmp(&shared->address, &me, bytes), 0);

    shared->parts[0] = (struct iovec){base + FROM, 3000};
    shared->parts[1] = (struct iovec){base + FROM + 2 * WT_PAGE, 4000};
    shared->header = (struct msghdr){.msg_iov = shared->parts,
                                     .msg_iovlen = 2,
                                     .msg_control = shared->control,
                                     .msg_controllen = sizeof shared->control};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&shared->header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(rights), &ends[0], sizeof fd);
    HT_EQUAL(sendmsg(ends[0], &shared->header, 0), 7000);
    memset(shared->control, 0, sizeof shared->control);
    shared->parts[0].iov_base = base + TO;
    shared->parts[1].iov_base = base + TO + 2 * WT_PAGE;
    HT_EQUAL(recvmsg(ends[1], &shared->header, 0), 7000);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&shared->header)), sizeof fd);
    HT_CHECK(fd >= 0 && fcntl(fd, F_GETFD) >= 0);
    close(fd);
    close(ends[0]);
    close(ends[1]);
    hearth_solo_free(shared);
}

static void make_streams(unsigned char *base)
{
    FILE *stream = fdopen(temporary(), "w+");
    HT_EQUAL(fwrite(base + FROM, 8, N / 8, stream), N / 8);
    HT_EQUAL(fwrite_unlocked(base + FROM + 1, 1, N, stream), N);
    rewind(stream);
    HT_EQUAL(fread(base + TO, 1000, 3, stream), 3);
    HT_EQUAL(fread_unlocked(base + TO + 3000, 1, 100, stream), 100);
    HT_EQUAL(__fread_chk(base + TO + 3100, N, 1, N - 3100, stream), N - 3100);
    HT_EQUAL(fread(base + TO, 1000, 30, stream), N / 1000); /* and a part of one */
    HT_CHECK(feof(stream));
    HT_EQUAL(fread(base + TO, 0, 30, stream), 0);
    fclose(stream);
}

/* Texts: those that libc writes and reads by itself, and those that it hands on. */
static void make_texts(unsigned char *base)
{
    char *text = (char *)base + FROM, *line = (char *)base + TO;
    FILE *stream = fdopen(temporary(), "w+");
    memset(text, 'a' + ht_pe(), N);
    text[N - 2] = '\n';
    text[N - 1] = '\0';
    HT_CHECK(fputs(text, stream) >= 0);
    HT_CHECK(fputs_unlocked(text, stream) >= 0);
    HT_EQUAL(fprintf(stream, "%s%d\n", text + N - 100, 17), 102);
    rewind(stream);
    HT_CHECK(fgets(line, N, stream) == line);
    HT_EQUAL(strlen(line), N - 1);
    HT_CHECK(fgets(line, N, stream) == line);
    HT_CHECK(fgets(line, N, stream) == line);
    int *number = (int *)(base + TO + 5 * WT_PAGE - TO % 4);
    HT_EQUAL(fscanf(stream, "%d", number), 1);
    HT_EQUAL(*number, 17);
    fclose(stream);
}

/* A thread reads what another writes, into pages that this PE synchronises meanwhile. */
static int across[2];

static void transfer(void *base, int index)
{
    for (int i = 0; i < 20; i++) {
        if (index == 0) {
            HT_EQUAL(write(across[1], (unsigned char *)base + FROM + i * 100, 1000), 1000);
        } else if (index == 1) {
            HT_EQUAL(read(across[0], (unsigned char *)base + TO + i * 1000, 1000), 1000);
        } else {
            hearth_release();
            hearth_acquire();
        }
    }
}

static void make_threads(unsigned char *base)
{
    HT_EQUAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, across), 0);
    ht_threads(3, transfer, base);
    close(across[0]);
    close(across[1]);
}

static const struct wt_call calls[] = {
    {"read, write", make_read_write, 0},
    {"pread, pwrite", make_pread_pwrite, 0},
    {"append", make_append, 0},
    {"vectors", make_vectors, 0},
    {"pipe", make_pipe, 0},
    {"stream socket", make_stream_socket, 0},
    {"datagrams", make_datagrams, 0},
    {"streams", make_streams, 0},
    {"texts", make_texts, 0},
    {"threads", make_threads, 0},
};

static void test_calls(struct hearth_region *region)
{
    (void)region;
    wt_run(calls, sizeof calls / sizeof calls[0]);
}

/* hearth_touch: what it accepts, and that it changes nothing. */
static void test_touch(struct hearth_region *region)
{
    int fd = temporary();
    size_t bytes = (size_t)ht_n_pes() * 8 * WT_PAGE;
    unsigned char *memory = hearth_region_malloc(region, bytes);
    for (size_t i = (size_t)ht_pe() * 8 * WT_PAGE; i < (size_t)(ht_pe() + 1) * 8 * WT_PAGE; i++) {
        memory[i] = (unsigned char)ht_hash(1, 2, i);
    }
    hearth_barrier_all();
    HT_EQUAL(hearth_touch(memory, bytes, HEARTH_TOUCH_READ), 0);
    HT_EQUAL(hearth_touch(memory, bytes, HEARTH_TOUCH_READ | HEARTH_TOUCH_WRITE), 0);
    hearth_barrier_all();
    size_t wrong = 0;
    for (size_t i = 0; i < bytes; i++) {
        wrong += memory[i] != (unsigned char)ht_hash(1, 2, i);
    }
    HT_EQUAL(wrong, 0);
    HT_EQUAL(hearth_touch(&fd, sizeof fd, HEARTH_TOUCH_WRITE), 0);
    HT_EQUAL(hearth_touch(memory, 0, HEARTH_TOUCH_READ), 0);
    HT_EQUAL(hearth_touch(memory, 1, 0), HEARTH_EINVAL);
    HT_EQUAL(hearth_touch(memory, 1, 4), HEARTH_EINVAL);
    HT_EQUAL(hearth_touch(memory, SIZE_MAX, HEARTH_TOUCH_READ), HEARTH_EINVAL);
    HT_EQUAL(hearth_touch(memory, bytes + (1 << 22), HEARTH_TOUCH_READ), HEARTH_EADDR);
    close(fd);
    hearth_barrier_all();
}

/* What libhearth_wrap does not know fails without, and works with, hearth_touch. */
static void test_other_call(struct hearth_region *region)
{
    char *path = hearth_region_malloc(region, (size_t)ht_n_pes() * 4 * WT_PAGE);
    char *mine = path + (size_t)wt_next() * 4 * WT_PAGE;
    if (ht_attr()->consistency == HEARTH_SEQUENTIAL) {
        ht_skip("a page may be taken at any time");
        return;
    }
    hearth_barrier_all();
    HT_EQUAL(hearth_touch(mine, 4096, HEARTH_TOUCH_WRITE), 0);
    HT_CHECK(getcwd(mine, 4096) == mine && mine[0] == '/');
    hearth_barrier_all();
    HT_CHECK(path[(size_t)ht_pe() * 4 * WT_PAGE] == '/');
    hearth_barrier_all();
}

static const struct ht_test tests[] = {{"calls", test_calls, HT_PROTOCOLS, 4096},
                                       {"touch", test_touch, HT_KINDS, 1 << 20},
                                       {"other call", test_other_call, HT_PROTOCOLS, 1 << 20}};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"test_system", tests, 3, false, 0};
    return ht_main(argc, argv, &program);
}
