/* Forty links in a row are followed, forty-one are ELOOP. */
#include "t.h"

int main(void) {
    char name[16] = "f", next[16];
    t_put("f", "end");
    for (int i = 1; i <= 41; i++) {
        snprintf(next, sizeof next, "l%d", i);
        MUST(symlink(name, next));
        strcpy(name, next);
    }
    CALL(access("l39", F_OK));
    CALL(access("l40", F_OK));
    CALL(access("l41", F_OK));
    return 0;
}
