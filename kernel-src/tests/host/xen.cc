#include "tests/host/xen.hh"

#include <atomic>

namespace kiln {
namespace {

std::atomic<host::hypercall_model> answers{nullptr};
std::atomic<void (*)(void*)> upcall{nullptr};
xen::shared_info shared{};

}  // namespace

namespace host {

void set_hypercall_model(hypercall_model model) {
    answers = model;
}

void raise_upcall() {
    if (auto* handler = upcall.load()) {
        handler(nullptr);
    }
}

}  // namespace host

namespace xen {

bool on_xen() {
    return answers.load() != nullptr;
}

i64 hypercall(u32 number, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4) {
    const host::hypercall_model model = answers.load();
    return model == nullptr ? -static_cast<i64>(err::nosys) : model(number, {a0, a1, a2, a3, a4});
}

u64 frame_of(const void* memory) {
    return reinterpret_cast<u64>(memory) >> page_shift;
}

shared_info& the_shared_info() {
    return shared;
}

vcpu_info& vcpu_info_of(u32 cpu) {
    return shared.vcpu[cpu];
}

u32 vcpu_of(u32 cpu) {
    return cpu;
}

result<void*> map_frame(u64 frame) {
    return reinterpret_cast<void*>(frame << page_shift);
}

result<void> start_upcalls(void (*handler)(void*)) {
    upcall = handler;
    return {};
}

}  // namespace xen
}  // namespace kiln
