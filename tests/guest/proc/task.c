/* /proc/self/task has an entry for each thread; names can be set and read. */
#include <dirent.h>
#include <pthread.h>
#include <sys/prctl.h>
#include "t.h"

static pthread_barrier_t barrier;

static int threads(void) {
    DIR *dir = opendir("/proc/self/task");
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void *work(void *unused) {
    prctl(PR_SET_NAME, "a-rather-long-thread-name");
    char name[17] = {0};
    prctl(PR_GET_NAME, name);
    SAY("%s", name);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return unused;
}

int main(void) {
    pthread_barrier_init(&barrier, NULL, 2);
    NUM(threads());
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_barrier_wait(&barrier);
    NUM(threads());
    pthread_setname_np(thread, "short");
    char name[17];
    RC(pthread_getname_np(thread, name, sizeof name));
    SAY("%s", name);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    while (threads() != 1) {
        t_pause_ms(1);
    }
    NUM(threads());
    return 0;
}
