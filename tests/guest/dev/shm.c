/* /dev/shm takes shm_open's files and named semaphores. */
#include <semaphore.h>
#include "t.h"

int main(void) {
    shm_unlink("/kiln-test");
    int fd = MUST(shm_open("/kiln-test", O_CREAT | O_EXCL | O_RDWR, 0600));
    CALL(shm_open("/kiln-test", O_CREAT | O_EXCL | O_RDWR, 0600));
    CALL(ftruncate(fd, 4096));
    int *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int other = MUST(shm_open("/kiln-test", O_RDWR, 0));
    int *b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
    *a = 77;
    NUM(*b);
    IS(a != b);
    CALL(shm_unlink("/kiln-test"));
    CALL(shm_unlink("/kiln-test"));
    *b = 78;
    NUM(*a);
    sem_unlink("/kiln-sem");
    sem_t *sem = sem_open("/kiln-sem", O_CREAT | O_EXCL, 0600, 1);
    IS(sem != SEM_FAILED);
    CALL(sem_wait(sem));
    CALL(sem_trywait(sem));
    CALL(sem_post(sem));
    CALL(sem_trywait(sem));
    CALL(sem_unlink("/kiln-sem"));
    return 0;
}
