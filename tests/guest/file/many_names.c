/* Many names looked up, made and removed: what is not there stays absent, what is there stays right. */
#include "t.h"

int main(void) {
    char name[64];
    int absent = 0, there = 0;
    struct stat st;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "absent-%d", i);
        absent += stat(name, &st) < 0 && errno == ENOENT;
    }
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "made-%d", i);
        close(MUST(open(name, O_CREAT | O_EXCL | O_WRONLY, 0600)));
    }
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "made-%d", i);
        there += stat(name, &st) == 0 && st.st_nlink == 1;
    }
    SAY("absent %d there %d", absent, there);
    for (int i = 0; i < 500; i += 2) {
        snprintf(name, sizeof name, "made-%d", i);
        MUST(unlink(name));
    }
    there = 0;
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "made-%d", i);
        there += access(name, F_OK) == 0;
    }
    SAY("left %d", there);
    CALL(open("made-0", O_WRONLY));
    CALL(open("absent-7", O_CREAT | O_EXCL | O_WRONLY, 0600));
    CALL(stat("absent-7", &st));
    return 0;
}
