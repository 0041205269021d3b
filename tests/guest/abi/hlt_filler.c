/* Code made at run time whose loop begins behind a filling `hlt` and is entered by address only: that is
 * no `hlt`, however often an interrupt comes there. */
#include <sys/time.h>
#include "t.h"

static volatile int alarms;
static void on_alarm(int number) { alarms += number == SIGALRM; }

int main(void) {
    static const unsigned char code[] = {0xf4, /* hlt */ 0x48, 0xff, 0xcf, /* dec rdi */
                                         0x74, 0x02, /* jz out */ 0xff, 0xe6, /* jmp *rsi */ 0xc3};
    unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(page, 0x90, 4096);
    memcpy(page + 39, code, sizeof(code));
    signal(SIGALRM, on_alarm);
    struct itimerval often = {{0, 1000}, {0, 1000}};
    CALL(setitimer(ITIMER_REAL, &often, NULL));
    while (alarms < 300) {
        ((void (*)(long, void *))(page + 40))(100000, page + 40);
    }
    CALL(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL));
    puts("through");
    return 0;
}
