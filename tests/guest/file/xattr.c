/* Extended attributes that programs probe for: absent ones and bad names. */
#include <sys/xattr.h>
#include "t.h"

int main(void) {
    t_put("f", "x");
    char value[16];
    CALL(getxattr("missing", "user.a", value, 16));
    CALL(getxattr("f", "security.capability", value, 16));
    CALL(getxattr("f", "trusted.none", value, 16));
    CALL(fgetxattr(99, "user.a", value, 16));
    IS(listxattr("f", NULL, 0) >= 0);
    return 0;
}
