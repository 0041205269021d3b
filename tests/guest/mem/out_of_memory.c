/* mmap of more than there can ever be is ENOMEM, and the program goes on. */
#include "t.h"

int main(void) {
    size_t size = 1ul << 46;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SAY("%s", map == MAP_FAILED ? t_error(errno) : "ok");
    IS(malloc(1ul << 46) == NULL);
    char *fine = malloc(1 << 20);
    memset(fine, 1, 1 << 20);
    NUM(fine[12345]);
    return 0;
}
