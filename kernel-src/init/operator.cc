// kernel only
#include "init/operator.hh"

#include "core/log.hh"
#include "drivers/devices.hh"
#include "drivers/xen/shutdown.hh"
#include "init/ending.hh"
#include "linux/signal.hh"

namespace kiln {

void end_in_order(exit_action wanted) {
    set_exit_action(wanted);
    send_process_signal(signo::term);
}

void start_listening_to_operator() {
    xen::watch_shutdown([](xen::operator_request asked) {
        end_in_order(asked == xen::operator_request::reboot ? exit_action::reboot
                                                            : exit_action::poweroff);
    });
    watch_power_button([] {
        log_info("the power button was pressed");
        end_in_order(exit_action::poweroff);
    });
}

}  // namespace kiln
