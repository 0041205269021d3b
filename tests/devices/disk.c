/* Writes a disk from several threads and reads it back, or reads it back alone: every byte is known.
 *
 *   disk PATH write|check MEGABYTES SEED
 *
 * Pieces are of different sizes, some of them neither beginning nor ending at a sector. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, LARGEST = 1 << 20 };

static int disk;
static uint64_t seed, share;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t word_at(uint64_t index) {
    uint64_t word = (index + seed) * 0x9e3779b97f4a7c15u;
    word ^= word >> 29;
    return word * 0xbf58476d1ce4e5b9u;
}

/* The disk's contents from `offset` on, which is a multiple of 8, as are all pieces' first bytes. */
static void expected(unsigned char *to, uint64_t offset, size_t size) {
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = word_at((offset + i) / 8);
        memcpy(to + i, &word, size - i < 8 ? size - i : 8);
    }
}

/* Sizes repeat: a whole MiB, some sectors, and such that leave sectors in two pieces. */
static size_t piece(unsigned turn, uint64_t left) {
    static const size_t sizes[] = {LARGEST, 4096, 512, 131072, 1000, 24, 65528, LARGEST, 262144, 3000};
    size_t size = sizes[turn % 10];
    return size < left ? size : left;
}

static void *write_share(void *number) {
    unsigned char *bytes = malloc(LARGEST);
    uint64_t at = (uintptr_t)number * share, end = at + share;
    for (unsigned turn = (uintptr_t)number; at < end; ++turn) {
        size_t size = piece(turn, end - at);
        expected(bytes, at, size);
        if (pwrite(disk, bytes, size, at) != (ssize_t)size) {
            fail("write");
        }
        at += size;
    }
    free(bytes);
    return 0;
}

static void *check_share(void *number) {
    unsigned char *bytes = malloc(LARGEST), *wanted = malloc(LARGEST);
    uint64_t at = (uintptr_t)number * share, end = at + share;
    for (unsigned turn = (uintptr_t)number + 3; at < end; ++turn) {
        size_t size = piece(turn, end - at);
        expected(wanted, at, size);
        if (pread(disk, bytes, size, at) != (ssize_t)size) {
            fail("read");
        }
        if (memcmp(bytes, wanted, size) != 0) {
            printf("different within %zu bytes at %llu\n", size, (unsigned long long)at);
            exit(1);
        }
        at += size;
    }
    free(bytes);
    free(wanted);
    return 0;
}

static void by_all(void *(*work)(void *)) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; ++i) {
        pthread_create(&threads[i], 0, work, (void *)i);
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], 0);
    }
}

int main(int count, char **words) {
    if (count != 5 || (disk = open(words[1], O_RDWR)) < 0) {
        fail("disk");
    }
    share = (strtoull(words[3], 0, 10) << 20) / THREADS;
    seed = strtoull(words[4], 0, 10);
    if (strcmp(words[2], "write") == 0) {
        by_all(write_share);
        if (fsync(disk) != 0) {
            fail("fsync");
        }
    }
    by_all(check_share);
    printf("%s MiB are right\n", words[3]);
    return 0;
}
