/* pthread_create and join: results, many at once, detached ones, self and equality. */
#include <pthread.h>
#include "t.h"

static void *square(void *argument) {
    long value = (long)argument;
    return (void *)(value * value);
}

static void *nothing(void *unused) {
    return unused;
}

int main(void) {
    pthread_t threads[50];
    long sum = 0;
    for (long i = 0; i < 50; i++) {
        if (pthread_create(&threads[i], NULL, square, (void *)i)) {
            SAY("cannot create");
        }
    }
    for (int i = 0; i < 50; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    NUM(sum);
    for (int i = 0; i < 1000; i++) {
        pthread_t one;
        if (pthread_create(&one, NULL, nothing, NULL) || pthread_join(one, NULL)) {
            SAY("failed at %d", i);
        }
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    RC(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
    RC(pthread_attr_setstacksize(&attributes, 1 << 20));
    pthread_t loose;
    RC(pthread_create(&loose, &attributes, nothing, NULL));
    RC(pthread_join(pthread_self(), NULL));
    RC(pthread_attr_setstacksize(&attributes, 100));
    IS(gettid() == getpid());
    return 0;
}
