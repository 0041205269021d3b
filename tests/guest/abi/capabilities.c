/* Capabilities, personality, and other questions start-up code asks. */
#include <linux/capability.h>
#include <sys/personality.h>
#include "t.h"

int main(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    CALL(syscall(SYS_capget, &header, data));
    CALL(personality(0xffffffff));
    header.version = 0;
    CALL(syscall(SYS_capget, &header, data));
    IS(header.version == _LINUX_CAPABILITY_VERSION_3);
    return 0;
}
