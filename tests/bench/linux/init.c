/*
 * The first and only process of the Linux guest that Kiln is measured against: loads the virtio
 * modules, gives the network card its address, and becomes the program.
 *
 * /modules.list lists modules in loading order; /program holds the working directory and argv, each
 * ended by a zero byte. Where there is a folder /image, the program and its root are on the disk that
 * is mounted there; /environment, /mounts (for a tmpfs each) and /hostname are lists like /program.
 * Nothing here waits: what the program does not need is not done.
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

/* Calls a function for each text of a list. */
static void for_each(const char *list, void (*function)(char *)) {
    size_t size = slurp(list);
    for (char *at = text; at < text + size; at += strlen(at) + 1) {
        function(at);
    }
}

static void set_name(char *name) {
    if (sethostname(name, strlen(name))) {
        stop(name);
    }
}

static void set_variable(char *setting) {
    if (putenv(strdup(setting))) {
        stop(setting);
    }
}

static void mount_scratch(char *path) {
    if (mount("tmpfs", path, "tmpfs", 0, NULL)) {
        stop(path);
    }
}

static void mount_views(void) {
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sys", "/sys", "sysfs", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
}

/* The lists are read before the root that holds them is out of reach. */
static void enter_image(void) {
    static char mounts[sizeof text];
    for_each("/hostname", set_name);
    clearenv();
    for_each("/environment", set_variable);
    size_t size = slurp("/mounts");
    memcpy(mounts, text, size);
    if (mount("/dev/vda", "/image", "erofs", MS_RDONLY, NULL) || chroot("/image")) {
        stop("/image");
    }
    mount_views();
    for (char *at = mounts; at < mounts + size; at += strlen(at) + 1) {
        mount_scratch(at);
    }
}

static char **read_program(char **folder) {
    static char *argv[64], program[sizeof text];
    size_t size = slurp("/program"), count = 0;
    memcpy(program, text, size);
    *folder = program;
    for (char *at = program + strlen(program) + 1; at < program + size && count < 63;) {
        argv[count++] = at;
        at += strlen(at) + 1;
    }
    return argv;
}

static void become_program(void) {
    char *folder, **argv = read_program(&folder);
    if (access("/image", F_OK) == 0) {
        enter_image();
    }
    if (chdir(folder)) {
        stop(folder);
    }
    execv(argv[0], argv);
    stop(argv[0]);
}

int main(void) {
    mount_views();
    setenv("PATH", "/usr/bin:/bin", 1);
    load_modules();
    bring_up("lo", "127.0.0.1");
    bring_up("eth0", "10.0.2.15");
    set_route("10.0.2.2");
    become_program();
}
