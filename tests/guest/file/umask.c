/* umask is applied to open, mkdir and mkfifo, and returns the mask before. */
#include "t.h"

static void mode(const char *path) {
    struct stat st;
    MUST(stat(path, &st));
    SAY("%s %04o", path, st.st_mode & 07777);
}

int main(void) {
    umask(0);
    CALL(umask(027));
    CALL(umask(01777));
    CALL(umask(027));
    close(MUST(open("f", O_CREAT | O_WRONLY, 0777)));
    mode("f");
    CALL(mkdir("d", 0777));
    mode("d");
    CALL(mkfifo("p", 0666));
    mode("p");
    CALL(chmod("f", 0777));
    mode("f");
    return 0;
}
