/* The environment arrives, can be changed, and is found by getenv.
 * @env PLAIN=1 BLANK="two words" EMPTY= EQUALS=a=b QUOTE='"'
 */
#include "t.h"

extern char **environ;

int main(int argc, char **argv) {
    static const char *names[] = {"PLAIN", "BLANK", "EMPTY", "EQUALS", "QUOTE", "LC_ALL", "ABSENT"};
    for (int i = 0; i < 7; i++) {
        const char *value = getenv(names[i]);
        SAY("%s=%s", names[i], value ? value : "(none)");
    }
    IS(environ == argv + argc + 1);
    CALL(setenv("NEW", "value", 1));
    CALL(unsetenv("PLAIN"));
    SAY("%s %d", getenv("NEW"), getenv("PLAIN") == NULL);
    return 0;
}
