/* /proc/self/cmdline and environ hold what the program was given.
 * @args one "two words" ""
 * @env KILN_TEST="some value"
 */
#include "t.h"

int main(int argc, char **argv) {
    char text[4096];
    int fd = MUST(open("/proc/self/cmdline", O_RDONLY));
    ssize_t size = read(fd, text, sizeof text);
    int strings = 0;
    for (ssize_t i = 0; i < size; i++) {
        strings += text[i] == 0;
    }
    IS(strings == argc);
    IS(strcmp(text, argv[0]) == 0);
    SAY("%s|%s|%s|", text + strlen(text) + 1, argv[2], argv[3]);
    fd = MUST(open("/proc/self/environ", O_RDONLY));
    size = read(fd, text, sizeof text);
    for (ssize_t i = 0; i < size; i += strlen(text + i) + 1) {
        if (strncmp(text + i, "KILN_TEST", 9) == 0) {
            SAY("%s", text + i);
        }
    }
    fd = MUST(open("/proc/self/comm", O_RDONLY));
    size = MUST(read(fd, text, sizeof text));
    text[size] = 0;
    printf("%s", text);
    return 0;
}
