/* Barriers, reader-writer locks, once, spin locks and semaphores. */
#include <pthread.h>
#include <semaphore.h>
#include "t.h"

static pthread_barrier_t barrier;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_spinlock_t spin;
static sem_t sem;
static int serial, once_runs, written, wrong, spun;

static void run_once(void) {
    once_runs++;
}

static void *work(void *unused) {
    for (int i = 0; i < 100; i++) {
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            serial++;
        }
        pthread_once(&once, run_once);
        pthread_rwlock_rdlock(&lock);
        wrong += written % 2;
        pthread_rwlock_unlock(&lock);
        pthread_rwlock_wrlock(&lock);
        written++;
        sched_yield();
        written++;
        pthread_rwlock_unlock(&lock);
        pthread_spin_lock(&spin);
        spun++;
        pthread_spin_unlock(&spin);
        sem_post(&sem);
    }
    return unused;
}

int main(void) {
    pthread_t threads[4];
    pthread_barrier_init(&barrier, NULL, 4);
    pthread_spin_init(&spin, 0);
    sem_init(&sem, 0, 0);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (int i = 0; i < 400; i++) {
        sem_wait(&sem);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    SAY("%d %d %d %d %d", serial, once_runs, written, wrong, spun);
    CALL(sem_trywait(&sem));
    RC(pthread_rwlock_rdlock(&lock));
    RC(pthread_rwlock_trywrlock(&lock));
    RC(pthread_rwlock_tryrdlock(&lock));
    struct timespec past = {1, 0};
    CALL(sem_timedwait(&sem, &past));
    return 0;
}
