/* Robust mutexes: the next owner hears that the last one died. */
#include <pthread.h>
#include "t.h"

static pthread_mutex_t mutex;

static void *die_with_lock(void *unused) {
    pthread_mutex_lock(&mutex);
    return unused;
}

static void *wait_for_lock(void *unused) {
    RC(pthread_mutex_lock(&mutex));
    RC(pthread_mutex_consistent(&mutex));
    RC(pthread_mutex_unlock(&mutex));
    return unused;
}

static void *die_later(void *unused) {
    pthread_mutex_lock(&mutex);
    t_pause_ms(40);
    return unused;
}

int main(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    RC(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
    pthread_mutex_init(&mutex, &attributes);
    pthread_t thread, other;
    pthread_create(&thread, NULL, die_with_lock, NULL);
    pthread_join(thread, NULL);
    RC(pthread_mutex_trylock(&mutex));
    RC(pthread_mutex_consistent(&mutex));
    RC(pthread_mutex_unlock(&mutex));
    pthread_create(&thread, NULL, die_later, NULL);
    t_pause_ms(10);
    pthread_create(&other, NULL, wait_for_lock, NULL);
    pthread_join(thread, NULL);
    pthread_join(other, NULL);
    pthread_create(&thread, NULL, die_with_lock, NULL);
    pthread_join(thread, NULL);
    RC(pthread_mutex_lock(&mutex));
    RC(pthread_mutex_unlock(&mutex));
    RC(pthread_mutex_lock(&mutex));
    void *head;
    size_t size = 0;
    CALL(syscall(SYS_get_robust_list, 0, &head, &size));
    NUM(size);
    CALL(syscall(SYS_set_robust_list, head, 5));
    return 0;
}
