/*
 * The first and only process of the Linux guest that Kiln is measured against: loads the virtio
 * modules, gives the network card its address, and becomes the program.
 *
 * /modules.list lists modules in loading order; /program holds the working directory and argv, each
 * ended by a zero byte. Nothing here waits: what the program does not need is not done.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char text[65536];

static void stop(const char *what) {
    perror(what);
    sync();
    reboot(RB_POWER_OFF);
    _exit(1);
}

static size_t slurp(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (size < 0) {
        stop(path);
    }
    text[size] = 0;
    close(fd);
    return size;
}

static void load_modules(void) {
    char list[4096];
    memcpy(list, text, slurp("/modules.list") + 1);
    for (char *rest = list, *path; (path = strsep(&rest, "\n")) && *path;) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) {
            stop(path);
        }
        close(fd);
    }
}

static struct sockaddr address(const char *dotted) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(dotted)};
    struct sockaddr generic;
    memcpy(&generic, &in, sizeof generic);
    return generic;
}

static void bring_up(const char *name, const char *own) {
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strcpy(request.ifr_name, name);
    request.ifr_addr = address(own);
    if (ioctl(fd, SIOCSIFADDR, &request)) {
        stop(name);
    }
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request)) {
        stop(name);
    }
    close(fd);
}

static void set_route(const char *gateway) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    route.rt_gateway = address(gateway);
    route.rt_dst = address("0.0.0.0");
    route.rt_genmask = address("0.0.0.0");
    if (ioctl(fd, SIOCADDRT, &route)) {
        stop(gateway);
    }
    close(fd);
}

static void become_program(void) {
    static char *argv[64];
    size_t size = slurp("/program"), count = 0;
    char *folder = text;
    for (char *at = text + strlen(text) + 1; at < text + size && count < 63;) {
        argv[count++] = at;
        at += strlen(at) + 1;
    }
    if (chdir(folder)) {
        stop(folder);
    }
    execv(argv[0], argv);
    stop(argv[0]);
}

int main(void) {
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sys", "/sys", "sysfs", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    setenv("PATH", "/usr/bin:/bin", 1);
    load_modules();
    bring_up("lo", "127.0.0.1");
    bring_up("eth0", "10.0.2.15");
    set_route("10.0.2.2");
    become_program();
}
