/* System V shared memory: keys, rights, attaching in its ways, and segments that outlive their removal. */
#include <sys/ipc.h>
#include <sys/shm.h>
#include "t.h"

enum { PAGE = 4096, KEY = 0x4b696c6e };

static void getting(void) {
    int id = shmget(KEY, 5000, IPC_CREAT | IPC_EXCL | 0640);
    IS(id >= 0);
    CALL(shmget(KEY, 5000, IPC_CREAT | IPC_EXCL | 0600));
    IS(shmget(KEY, 5000, 0600) == id);
    IS(shmget(KEY, 0, IPC_CREAT) == id);
    CALL(shmget(KEY, 9000, 0600));
    CALL(shmget(KEY + 1, 5000, 0600));
    CALL(shmget(IPC_PRIVATE, 0, 0600));
    CALL(shmget(IPC_PRIVATE, 1ul << 46, 0600));
    struct shmid_ds facts;
    CALL(shmctl(id, IPC_STAT, &facts));
    NUM(facts.shm_segsz);
    NUM(facts.shm_perm.mode & 07777);
    NUM(facts.shm_perm.__key);
    NUM(facts.shm_nattch);
    IS(facts.shm_cpid == getpid());
    NUM(facts.shm_atime);
    IS(facts.shm_ctime > 1000000000);
    facts.shm_perm.mode = 0600;
    CALL(shmctl(id, IPC_SET, &facts));
    CALL(shmctl(id, IPC_STAT, &facts));
    NUM(facts.shm_perm.mode & 07777);
    CALL(shmctl(id, IPC_RMID, NULL));
    IS(shmctl(id, IPC_RMID, NULL) == -1 && (errno == EINVAL || errno == EIDRM));
    CALL(shmctl(-1, IPC_STAT, &facts));
    CALL(shmget(KEY, 0, 0));
}

static void attaching(void) {
    int id = MUST(shmget(IPC_PRIVATE, 3 * PAGE, 0600));
    char *one = shmat(id, NULL, 0);
    char *two = shmat(id, NULL, SHM_RDONLY);
    IS(one != (void *)-1 && two != (void *)-1 && one != two);
    NUM(one[2 * PAGE]);
    strcpy(one + PAGE, "the same memory");
    SAY("%s", two + PAGE);
    CALL(mprotect(two, PAGE, PROT_READ | PROT_WRITE));
    IS(shmat(id, one, 0) == (void *)-1 && errno == EINVAL);
    IS(shmat(id, one + 1, 0) == (void *)-1 && errno == EINVAL);
    IS(shmat(id, NULL, SHM_REMAP) == (void *)-1 && errno == EINVAL);
    IS(shmat(id + 1, NULL, 0) == (void *)-1 && errno == EINVAL);
    IS(shmat(id, one + 5, SHM_RND | SHM_REMAP) == one);
    SAY("%s", one + PAGE);
    struct shmid_ds facts;
    MUST(shmctl(id, IPC_STAT, &facts));
    NUM(facts.shm_nattch);
    IS(facts.shm_atime > 1000000000 && facts.shm_lpid == getpid());
    CALL(shmdt(one + PAGE));
    CALL(shmdt(one + 3));
    CALL(shmctl(id, IPC_RMID, NULL));
    MUST(shmctl(id, IPC_STAT, &facts));
    NUM(facts.shm_perm.mode & 07777);
    char *three = shmat(id, NULL, 0);
    SAY("%s", three + PAGE);
    CALL(shmdt(one));
    CALL(shmdt(one));
    CALL(shmdt(two));
    SAY("%s", three + PAGE);
    CALL(shmdt(three));
    IS(shmctl(id, IPC_STAT, &facts) == -1);
}

/* What the program made of it in the meantime goes, and nothing else. */
static void detaching(void) {
    int id = MUST(shmget(IPC_PRIVATE, 6 * PAGE, 0600));
    char *whole = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(munmap(whole, 8 * PAGE));
    IS(shmat(id, whole + PAGE, 0) == whole + PAGE);
    MUST(mprotect(whole + 2 * PAGE, PAGE, PROT_READ));
    MUST(munmap(whole + 4 * PAGE, PAGE));
    char *own = mmap(whole + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    struct shmid_ds facts;
    MUST(shmctl(id, IPC_STAT, &facts));
    NUM(facts.shm_nattch);
    CALL(shmdt(whole + PAGE));
    unsigned char there[6];
    CALL(mincore(whole + PAGE, PAGE, there));
    CALL(mincore(own, PAGE, there));
    CALL(mincore(own + PAGE, PAGE, there));
    MUST(shmctl(id, IPC_STAT, &facts));
    NUM(facts.shm_nattch);
    MUST(shmctl(id, IPC_RMID, NULL));
}

static void naming(void) {
    int id = MUST(shmget(KEY, PAGE, IPC_CREAT | 0600));
    char *at = shmat(id, NULL, 0), line[256];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) {
        if (strtoul(line, NULL, 16) == (unsigned long)at) {
            fputs(strchr(line, '/'), stdout);
        }
    }
    fclose(maps);
    MUST(shmctl(id, IPC_RMID, NULL));
    MUST(shmdt(at));
}

int main(void) {
    getting();
    attaching();
    detaching();
    naming();
    return 0;
}
