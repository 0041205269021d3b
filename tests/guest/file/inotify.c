/* inotify: events of a directory and of a file in it, in their order. */
#include <sys/inotify.h>
#include "t.h"

static void show(int fd) {
    char buffer[4096] __attribute__((aligned(8)));
    ssize_t size = read(fd, buffer, sizeof buffer);
    for (char *at = buffer; at < buffer + size;) {
        struct inotify_event *event = (struct inotify_event *)at;
        SAY("watch %d mask %x name %s", event->wd, event->mask, event->len ? event->name : "-");
        at += sizeof *event + event->len;
    }
    SAY("%s", size < 0 ? "nothing more" : "end");
}

int main(void) {
    MUST(mkdir("d", 0755));
    int fd = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    CALL(inotify_add_watch(fd, "d", IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY));
    CALL(inotify_add_watch(fd, "missing", IN_CREATE));
    CALL(inotify_add_watch(fd, "d", 0));
    show(fd);
    t_put("d/a", "text");
    show(fd);
    MUST(mkdir("d/sub", 0755));
    MUST(rename("d/a", "d/b"));
    MUST(unlink("d/b"));
    MUST(rmdir("d/sub"));
    char buffer[4096] __attribute__((aligned(8)));
    ssize_t size = MUST(read(fd, buffer, sizeof buffer));
    int from = 0, to = 0;
    for (char *at = buffer; at < buffer + size;) {
        struct inotify_event *event = (struct inotify_event *)at;
        from = event->mask & IN_MOVED_FROM ? (int)event->cookie : from;
        to = event->mask & IN_MOVED_TO ? (int)event->cookie : to;
        SAY("mask %x name %s", event->mask, event->name);
        at += sizeof *event + event->len;
    }
    IS(from == to && from != 0);
    CALL(inotify_rm_watch(fd, 77));
    CALL(inotify_rm_watch(fd, 1));
    show(fd);
    char small[4];
    t_put("d/c", "x");
    CALL(read(fd, small, sizeof small));
    return 0;
}
