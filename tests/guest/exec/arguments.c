/* Arguments arrive as given: blanks, quotes, backslashes, empty ones, bytes above 127.
 * @args one "two words" "" 'quo"te' 'back\slash' 'tab	tab' -- --flag $HOME * äöü
 */
#include "t.h"

int main(int argc, char **argv) {
    NUM(argc);
    for (int i = 1; i < argc; i++) {
        SAY("%d [%s]", i, argv[i]);
    }
    IS(argv[argc] == NULL);
    return argc;
}
