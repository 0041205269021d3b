/* Interfaces and names that libc asks for: loopback by ioctl, netlink and getaddrinfo. */
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/ioctl.h>
#include "net.h"

int main(void) {
    int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    struct ifreq request = {0};
    strcpy(request.ifr_name, "lo");
    CALL(ioctl(fd, SIOCGIFFLAGS, &request));
    IS(request.ifr_flags & IFF_LOOPBACK && request.ifr_flags & IFF_UP);
    CALL(ioctl(fd, SIOCGIFADDR, &request));
    SAY("%s", inet_ntoa(((struct sockaddr_in *)&request.ifr_addr)->sin_addr));
    CALL(ioctl(fd, SIOCGIFDSTADDR, &request));
    SAY("%s", inet_ntoa(((struct sockaddr_in *)&request.ifr_dstaddr)->sin_addr));
    CALL(ioctl(fd, SIOCGIFMAP, &request));
    NUM(request.ifr_map.mem_start | request.ifr_map.irq);
    CALL(if_nametoindex("lo"));
    strcpy(request.ifr_name, "none");
    CALL(ioctl(fd, SIOCGIFFLAGS, &request));
    struct ifaddrs *all;
    CALL(getifaddrs(&all));
    int loopback = 0;
    for (struct ifaddrs *one = all; one; one = one->ifa_next) {
        loopback += one->ifa_addr && one->ifa_addr->sa_family == AF_INET &&
                    strcmp(one->ifa_name, "lo") == 0;
    }
    NUM(loopback);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    NUM(getaddrinfo("127.0.0.1", "80", &hints, &found));
    hints.ai_flags = AI_PASSIVE;
    hints.ai_family = AF_UNSPEC;
    NUM(getaddrinfo(NULL, "0", &hints, &found));
    char name[65] = {0};
    IS(gethostname(name, sizeof name) == 0 && name[0]);
    return 0;
}
