/* sendfile, splice, tee and copy_file_range move the bytes that read and write would. */
#include <sys/sendfile.h>
#include "t.h"

int main(void) {
    t_put("f", "0123456789");
    int in = MUST(open("f", O_RDONLY));
    int out = MUST(open("g", O_CREAT | O_RDWR, 0644));
    off_t at = 2;
    CALL(sendfile(out, in, &at, 3));
    NUM(at);
    CALL(lseek(in, 0, SEEK_CUR));
    CALL(sendfile(out, in, NULL, 100));
    CALL(sendfile(out, in, NULL, 100));
    t_show("g");
    CALL(sendfile(in, out, NULL, 1));
    CALL(sendfile(99, in, NULL, 1));
    int p[2];
    MUST(pipe(p));
    loff_t from = 5;
    CALL(splice(in, &from, p[1], NULL, 4, 0));
    NUM(from);
    CALL(splice(p[0], NULL, out, NULL, 4, 0));
    t_show("g");
    CALL(splice(in, NULL, out, NULL, 4, 0));
    loff_t source = 0, target = 0;
    CALL(copy_file_range(in, &source, out, &target, 3, 0));
    t_show("g");
    CALL(copy_file_range(in, &source, out, &target, 3, 1));
    CALL(sendfile(p[1], in, &(off_t){0}, 5));
    char text[8] = {0};
    CALL(read(p[0], text, 8));
    SAY("%s", text);
    return 0;
}
