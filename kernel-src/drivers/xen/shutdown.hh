// What the host's operator asks of the machine as a whole: `xl shutdown`, `xl reboot` (xenstore's
// control/shutdown; Xen docs/misc/xenstore-paths.pandoc).
#pragma once

namespace kiln::xen {

enum class operator_request { poweroff, reboot };

// Has `obey` called for each request, in a thread that may sleep. Does nothing where there is no store.
// Once.
void watch_shutdown(void (*obey)(operator_request));

}  // namespace kiln::xen
