#include "drivers/xen/platform.hh"

#include "drivers/xen/hypercall.hh"

namespace kiln::xen {

result<u64> read_param(u32 index) {
    hvm_parameter request{.domain = domain_self, .index = index};
    TRY(call_with(call::hvm_op, hvm_operation::get_param, request));
    return request.value;
}

void shut_down(shutdown_reason reason) {
    if (on_xen()) {
        shutdown_request request{reason};
        static_cast<void>(call_with(call::sched_op, sched_operation::shutdown, request));
    }
}

void give_way() {
    hypercall(call::sched_op, sched_operation::yield);
}

}  // namespace kiln::xen
