/*
 * Files that are written, read, mapped, cut, renamed and removed by many: each reads what it wrote,
 * what is appended stays whole, and a name that is always there is always seen.
 */
#include <dirent.h>
#include "torture.h"

enum { WRITERS = 3, MOST = 40000, RECORD = 32, RECORDS = 400, APPENDERS = 3, LOGS = 4 };

static unsigned char pattern(int self, size_t at) { return (unsigned char)(at * 31 + at / 251 + self * 7 + 1); }

/* --- a file of one's own --- */

static void put_pattern(int fd, int self, size_t size) {
    unsigned char bytes[3001];
    for (size_t at = 0; at < size;) {
        size_t part = 1 + chance(sizeof bytes);
        part = part < size - at ? part : size - at;
        for (size_t i = 0; i < part; i++) {
            bytes[i] = pattern(self, at + i);
        }
        if (!CHECK(pwrite(fd, bytes, part, (off_t)at) == (ssize_t)part)) {
            return;
        }
        at += part;
    }
}

static bool is_pattern(const unsigned char *bytes, int self, size_t from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != pattern(self, from + i)) {
            return false;
        }
    }
    return true;
}

static void check_reading(int fd, int self, size_t size) {
    unsigned char bytes[2500];
    for (int i = 0; i < 4; i++) {
        size_t from = chance((uint32_t)size), most = size - from < sizeof bytes ? size - from : sizeof bytes;
        CHECK(pread(fd, bytes, sizeof bytes, (off_t)from) == (ssize_t)most);
        CHECK(is_pattern(bytes, self, from, most));
    }
}

/* Through a mapping and through calls, the file is the same. */
static void check_mapping(int fd, int self, size_t size) {
    unsigned char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!CHECK(map != MAP_FAILED)) {
        return;
    }
    size_t at = chance((uint32_t)size);
    unsigned char back = 0, other = (unsigned char)~pattern(self, at);
    CHECK(is_pattern(map, self, 0, size));
    map[at] = other;
    CHECK(pread(fd, &back, 1, (off_t)at) == 1 && back == other);
    back = pattern(self, at);
    CHECK(pwrite(fd, &back, 1, (off_t)at) == 1 && map[at] == back);
    CHECK(munmap(map, size) == 0);
}

static void check_cutting(int fd, int self, size_t size) {
    unsigned char bytes[600];
    size_t shorter = chance((uint32_t)size);
    CHECK(ftruncate(fd, (off_t)shorter) == 0);
    CHECK(ftruncate(fd, (off_t)shorter + 300) == 0);
    ssize_t got = pread(fd, bytes, sizeof bytes, (off_t)shorter);
    CHECK(got == 300);
    for (ssize_t i = 0; i < got; i++) {
        CHECK(bytes[i] == 0);
    }
    size_t before = shorter < 200 ? shorter : 200;
    CHECK(pread(fd, bytes, before, (off_t)(shorter - before)) == (ssize_t)before);
    CHECK(is_pattern(bytes, self, shorter - before, before));
}

static void writer(int self) {
    char name[40], other[40];
    snprintf(name, sizeof name, "own-%d", self);
    snprintf(other, sizeof other, "moved/own-%d", self);
    size_t size = 1 + chance(MOST);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (!CHECK(fd >= 0)) {
        return;
    }
    put_pattern(fd, self, size);
    check_reading(fd, self, size);
    check_mapping(fd, self, size);
    CHECK(rename(name, other) == 0);
    CHECK(access(name, F_OK) == -1 && errno == ENOENT);
    check_reading(fd, self, size);
    CHECK(unlink(other) == 0);
    check_cutting(fd, self, size);
    struct stat facts;
    CHECK(fstat(fd, &facts) == 0 && facts.st_nlink == 0);
    close(fd);
}

/* --- a log that many append to; who comes last reads it --- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int appended[LOGS], log_number[LOGS];

static void check_log(const char *name, int number) {
    char record[RECORD + 1] = {0}, wanted[RECORD + 1];
    int counts[APPENDERS] = {0}, fd = open(name, O_RDONLY), records = 0;
    while (read(fd, record, RECORD) == RECORD) {
        int self = record[0] - 'a';
        if (!CHECK(self >= 0 && self < APPENDERS)) {
            break;
        }
        snprintf(wanted, sizeof wanted, "%c of %-20d%06d\n", record[0], number, counts[self]++);
        CHECK(memcmp(record, wanted, RECORD) == 0);
        records++;
    }
    CHECK(records == RECORDS * APPENDERS);
    close(fd);
    CHECK(unlink(name) == 0);
}

static void appender(int self) {
    static int number[APPENDERS];
    int mine = number[self]++, place = mine % LOGS;
    char name[40], record[RECORD + 1];
    /* At most some logs ahead of the slowest. */
    for (;;) {
        pthread_mutex_lock(&log_lock);
        bool mine_now = log_number[place] == mine;
        pthread_mutex_unlock(&log_lock);
        if (mine_now) {
            break;
        }
        if (over) {
            return;
        }
        sched_yield();
    }
    snprintf(name, sizeof name, "log-%d", place);
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    for (int i = 0; i < RECORDS; i++) {
        snprintf(record, sizeof record, "%c of %-20d%06d\n", 'a' + self, mine, i);
        CHECK(write(fd, record, RECORD) == RECORD);
    }
    close(fd);
    pthread_mutex_lock(&log_lock);
    if (++appended[place] == APPENDERS) {
        check_log(name, mine);
        appended[place] = 0;
        log_number[place] = mine + LOGS;
    }
    pthread_mutex_unlock(&log_lock);
}

/* --- a folder in which names come and go --- */

static void namer(int self) {
    char name[40];
    snprintf(name, sizeof name, "names/n%d-%u", self, chance(40));
    if (chance(2)) {
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        CHECK(fd >= 0);
        close(fd);
    } else {
        CHECK(unlink(name) == 0 || errno == ENOENT);
    }
}

static void lister(int self) {
    (void)self;
    int stays = 0;
    DIR *folder = opendir("names");
    if (!CHECK(folder != NULL)) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        stays += strncmp(entry->d_name, "stays-", 6) == 0;
    }
    closedir(folder);
    CHECK(stays == 5);
}

/* Replaces a name that is always there. */
static void replacer(int self) {
    char fresh[40], byte = 0;
    snprintf(fresh, sizeof fresh, "fresh-%d", self);
    t_put(fresh, "x");
    CHECK(rename(fresh, "replaced") == 0);
    int fd = open("replaced", O_RDONLY);
    CHECK(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 'x');
    close(fd);
}

int main(int argc, char **argv) {
    static struct crew crews[] = {{"writers", WRITERS, writer, 0},
                                  {"appenders", APPENDERS, appender, 0},
                                  {"namers", 2, namer, 0},
                                  {"listers", 2, lister, 0},
                                  {"replacers", 2, replacer, 0}};
    int seconds = read_arguments(argc, argv);
    MUST(mkdir("moved", 0700));
    MUST(mkdir("names", 0700));
    for (int i = 0; i < 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "names/stays-%d", i);
        t_put(name, "");
    }
    for (int place = 0; place < LOGS; place++) {
        log_number[place] = place;
    }
    t_put("replaced", "x");
    run_crews(crews, COUNT_OF(crews), seconds, NULL);
    return conclude(crews, COUNT_OF(crews));
}
