/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

struct hth_vm hth_vm = {NULL, NULL, 0, -1};
struct hth_graft hth_graft;

/* 0x2000_0000_0000 is where some kernels put libraries when the stack is unlimited, as on many
 * clusters. The last range is one that thread sanitizer leaves to programs. */
static const struct {
    uintptr_t base;
    uint64_t bytes;
} candidates[] = {
    {UINT64_C(0x400000000000), UINT64_C(1) << 44},
    {UINT64_C(0x300000000000), UINT64_C(1) << 44},
    {UINT64_C(0x1000000000), UINT64_C(1) << 37},
};

bool hth_vm_candidate(unsigned index, uint64_t wanted, uintptr_t *base_out, uint64_t *bytes_out)
{
    if (index >= sizeof candidates / sizeof candidates[0]) {
        return false;
    }
    *base_out = candidates[index].base;
    *bytes_out = candidates[index].bytes;
    if (wanted != 0 && wanted < *bytes_out) {
        *bytes_out = (wanted + 0xffff) & ~UINT64_C(0xffff);
    }
    return true;
}

static void quieten(void *memory, uint64_t bytes)
{
    if (madvise(memory, bytes, MADV_DONTFORK) != 0 || madvise(memory, bytes, MADV_DONTDUMP) != 0) {
        hth_log(HTH_LOG_WARN, "madvise on the address range: %s", strerror(errno));
    }
}

bool hth_vm_reserve(uintptr_t base, uint64_t bytes)
{
    int fd = memfd_create("hearth", MFD_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    if (ftruncate(fd, (off_t)bytes) != 0) {
        close(fd);
        return false;
    }
    void *at = mmap((void *)base, bytes, PROT_NONE,
                    MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0);
    if (at != (void *)base) {
        if (at != MAP_FAILED) { /* a kernel that knows no MAP_FIXED_NOREPLACE takes it for a hint */
            munmap(at, bytes);
        }
        close(fd);
        return false;
    }
    hth_vm = (struct hth_vm){at, NULL, bytes, fd};
    quieten(at, bytes);
    return true;
}

int hth_vm_map_alias(void)
{
    void *at =
        mmap(NULL, hth_vm.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, hth_vm.fd, 0);
    if (at == MAP_FAILED) {
        return errno;
    }
    hth_vm.alias = at;
    quieten(at, hth_vm.bytes);
    return 0;
}

/* The word in brackets of a file that lists the choices. */
static void chosen_word(const char *path, char *word, size_t word_bytes)
{
    char line[256] = "";
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(line, sizeof line, file) == NULL) {
            line[0] = '\0';
        }
        fclose(file);
    }
    const char *open = strchr(line, '['), *close = open != NULL ? strchr(open, ']') : NULL;
    int n = close != NULL ? (int)(close - open - 1) : 0;
    snprintf(word, word_bytes, "%.*s", n, n > 0 ? open + 1 : "");
}

bool hth_vm_ask_huge(char *why, size_t why_bytes)
{
    static const char path[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    char word[32];
    chosen_word(path, word, sizeof word);
    if (strcmp(word, "never") == 0 || strcmp(word, "deny") == 0 || word[0] == '\0') {
        snprintf(
            why, why_bytes,
            "%s says '%s': the kernel gives none for shared memory ('echo advise > %s' as root "
            "lets programs ask)",
            path, word, path);
        return false;
    }
    /* The alias, by which frames are filled, and the view, by which homes touch theirs first. */
    if (madvise(hth_vm.alias, hth_vm.bytes, MADV_HUGEPAGE) != 0 ||
        madvise(hth_vm.view, hth_vm.bytes, MADV_HUGEPAGE) != 0) {
        snprintf(why, why_bytes, "MADV_HUGEPAGE: %s", strerror(errno));
        return false;
    }
    return true;
}

void hth_vm_refuse_huge(void)
{
    /* EINVAL: the kernel has none to give. */
    (void)madvise(hth_vm.alias, hth_vm.bytes, MADV_NOHUGEPAGE);
    (void)madvise(hth_vm.view, hth_vm.bytes, MADV_NOHUGEPAGE);
}

void hth_vm_release(void)
{
    hth_vm_stop_pager();
    if (hth_vm.view != NULL) {
        munmap(hth_vm.view, hth_vm.bytes);
    }
    if (hth_vm.alias != NULL) {
        munmap(hth_vm.alias, hth_vm.bytes);
    }
    if (hth_vm.fd >= 0) {
        close(hth_vm.fd);
    }
    hth_vm = (struct hth_vm){NULL, NULL, 0, -1};
}

void hth_vm_punch(uint64_t offset, uint64_t bytes)
{
    if (fallocate(hth_vm.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                  (off_t)bytes) != 0) {
        hth_die("giving %llu bytes of memory back failed: %s", (unsigned long long)bytes,
                strerror(errno));
    }
}

void hth_vm_populate(uint64_t offset, uint64_t bytes)
{
#ifdef MADV_POPULATE_WRITE
    uint64_t used = hth_vm_next_used(offset, offset + bytes);
    if (used > offset) {
        madvise(hth_vm.alias + offset, used - offset, MADV_POPULATE_WRITE); /* Linux 5.14 */
    }
#else
    (void)offset;
    (void)bytes;
#endif
}

uint64_t hth_vm_next_used(uint64_t offset, uint64_t end)
{
    off_t at = lseek(hth_vm.fd, (off_t)offset, SEEK_DATA);
    if (at < 0 && errno != ENXIO) {
        return offset; /* not known: taken to have */
    }
    return at < 0 || (uint64_t)at > end ? end : (uint64_t)at;
}

int hth_vm_hide(uint64_t offset, uint64_t bytes)
{
    void *at = mmap(hth_vm.view + offset, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (at == MAP_FAILED) {
        return errno;
    }
    madvise(at, bytes, MADV_NOHUGEPAGE); /* what is touched is told by the page */
    return 0;
}

void *hth_vm_show(uint64_t offset, uint64_t bytes)
{
    void *view = hth_vm.view + offset;
    /* Not libc's mremap: UCX, which MPICH uses, puts its own in its place, which forgets `to`.
     * Somewhere to move it to: a move to where the kernel likes is not made if it could stay. */
    void *to = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (to == MAP_FAILED ||
        syscall(SYS_mremap, view, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != (long)to ||
        mmap(view, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, hth_vm.fd,
             (off_t)offset) == MAP_FAILED) {
        hth_die("making %llu bytes shared failed: %s", (unsigned long long)bytes, strerror(errno));
    }
    quieten(view, bytes);
    int rc = hth_vm_adopt(offset, bytes);
    if (rc != 0) {
        hth_die("making %llu bytes shared failed: %s", (unsigned long long)bytes, strerror(rc));
    }
    return to;
}

int hth_vm_graft(uint64_t offset, uint64_t bytes, void *at)
{
    if (mmap(at, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, hth_vm.fd,
             (off_t)offset) == MAP_FAILED) {
        return errno;
    }
    quieten(at, bytes);
    hth_graft = (struct hth_graft){at, offset, bytes};
    return hth_vm_adopt(offset, bytes);
}

int hth_vm_ungraft(void)
{
    void *at = mmap(hth_graft.at, hth_graft.bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    hth_graft = (struct hth_graft){NULL, 0, 0};
    return at == MAP_FAILED ? errno : 0;
}

void *hth_vm_sparse(uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void hth_vm_sparse_free(void *memory, uint64_t bytes)
{
    if (memory != NULL) {
        munmap(memory, bytes);
    }
}

/* From the kernel's page map, since mincore takes what is swapped out for untouched. Bits 63 and
 * 62: in memory, in swap. */
void hth_vm_touched(const void *memory, uint64_t n, unsigned char *touched)
{
    enum { AT_ONCE = 512 };
    uint64_t first = (uintptr_t)memory / (uint64_t)sysconf(_SC_PAGESIZE), map[AT_ONCE];
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    for (uint64_t at = 0; at < n; at += AT_ONCE) {
        uint64_t some = n - at < AT_ONCE ? n - at : AT_ONCE;
        ssize_t bytes =
            fd < 0 ? -1
                   : pread(fd, map, some * sizeof map[0], (off_t)((first + at) * sizeof map[0]));
        bool known = bytes == (ssize_t)(some * sizeof map[0]);
        for (uint64_t i = 0; i < some; i++) {
            touched[at + i] = !known || map[i] >> 62 != 0;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}
