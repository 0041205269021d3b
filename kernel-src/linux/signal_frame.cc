// kernel only: works on the program's registers and vector state.
//
// Entering a signal handler and returning from it. The program may write anything into the frame:
// what comes back is checked field by field, since there is no ring 3 that would contain it.
#include "linux/signal_frame.hh"

#include "arch/x86_64/trap_frame.hh"
#include "arch/x86_64/vector_state.hh"
#include "core/user.hh"
#include "lib/bytes.hh"
#include "linux/signal_state.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

inline constexpr u64 flag_tf = 1u << 8, flag_if = 1u << 9, flag_df = 1u << 10, flag_rf = 1u << 16,
                     flag_reserved = 1u << 1;
// What a program may set through sigreturn: AC OF DF TF SF ZF AF PF CF RF. Not IF, IOPL, NT.
inline constexpr u64 restorable_flags = 0x50dd5;
static_assert((restorable_flags & (flag_if | 0x3000 | 0x4000)) == 0);

inline constexpr usize vector_alignment = 64;
inline constexpr usize legacy_alignment = 16;  // what FXRSTOR asks for
inline constexpr usize xsave_header_offset = 512;
inline constexpr usize xsave_header_size = 64;
inline constexpr usize mxcsr_offset = 24;
inline constexpr u32 default_mxcsr = 0x1f80;
// Features of the XSAVE header: x87 and SSE, which every frame has; SSE and AVX, which load MXCSR.
inline constexpr u64 legacy_features = 3, mxcsr_features = 6;

// The thread's buffer, aligned, with room for magic2.
result<std::span<std::byte>> vector_buffer(task& self) {
    const usize wanted = signal_vector_size();
    if (self.vector_area.empty()) {
        TRY(self.vector_area.resize(wanted + vector_alignment));
    }
    auto start = reinterpret_cast<u64>(self.vector_area.data());
    start = align_up(start, vector_alignment);
    return std::span(reinterpret_cast<std::byte*>(start), wanted);
}

result<void> push_vector_state(task& self, u64 to) {
    std::span<std::byte> area = TRY(vector_buffer(self));
    const usize size = vector_state_size();
    store_vector_state(area.first(size));
    fp_software_bytes software{};
    if (vector_state_uses_xsave()) {
        software = {.magic1 = fp_magic1,
                    .extended_size = static_cast<u32>(size + sizeof(u32)),
                    .features = vector_state_features(),
                    .state_size = static_cast<u32>(size),
                    .padding = {}};
        store<u32>(area.data() + size, fp_magic2);
        // Their bytes are there also when they were not in use, for handlers that know of no
        // header.
        std::byte* header = area.data() + xsave_header_offset;
        store<u64>(header, load<u64>(header) | legacy_features);
    }
    __builtin_memcpy(area.data() + fp_software_offset, &software, sizeof(software));
    return copy_to_user(to, area.data(), area.size());
}

struct frame_place {
    u64 vector_state;
    u64 frame;
};

// err::fault when the alternate stack is too small for it, as Linux since 5.14.
result<frame_place> place_frame(const trap_frame& frame, const task& self,
                                const signal_action& action) {
    const alternate_stack& alternate = self.altstack;
    u64 sp = frame.rsp - red_zone_size;
    bool on_alternate = on_altstack(alternate, frame.rsp);
    if ((action.flags & sa_flag::onstack) != 0 && alternate.size != 0 && !on_alternate) {
        sp = alternate.base + alternate.size;
        on_alternate = true;
    }
    frame_place place{};
    place.vector_state = align_down(sp - signal_vector_size(), vector_alignment);
    // The ABI wants rsp + 8 to be a multiple of 16 where a function begins.
    place.frame = align_down(place.vector_state - sizeof(user_rt_sigframe), 16) - 8;
    if (on_alternate && (place.frame <= alternate.base ||
                         place.frame - alternate.base > alternate.size)) {
        return err::fault;
    }
    return place;
}

void fill_registers(user_sigcontext& to, const trap_frame& from, const fault_record& fault) {
    to.r8 = from.r8;
    to.r9 = from.r9;
    to.r10 = from.r10;
    to.r11 = from.r11;
    to.r12 = from.r12;
    to.r13 = from.r13;
    to.r14 = from.r14;
    to.r15 = from.r15;
    to.rdi = from.rdi;
    to.rsi = from.rsi;
    to.rbp = from.rbp;
    to.rbx = from.rbx;
    to.rdx = from.rdx;
    to.rax = from.rax;
    to.rcx = from.rcx;
    to.rsp = from.rsp;
    to.rip = from.rip;
    to.rflags = from.rflags;
    to.cs = user_code_selector;
    to.ss = user_data_selector;
    to.error = fault.error;
    to.trapno = fault.trapno;
    to.cr2 = fault.address;
}

void take_registers(trap_frame& to, const user_sigcontext& from) {
    to.r8 = from.r8;
    to.r9 = from.r9;
    to.r10 = from.r10;
    to.r11 = from.r11;
    to.r12 = from.r12;
    to.r13 = from.r13;
    to.r14 = from.r14;
    to.r15 = from.r15;
    to.rdi = from.rdi;
    to.rsi = from.rsi;
    to.rbp = from.rbp;
    to.rbx = from.rbx;
    to.rdx = from.rdx;
    to.rax = from.rax;
    to.rcx = from.rcx;
    to.rsp = from.rsp;
    to.rip = from.rip;
    to.rflags = (from.rflags & restorable_flags) | flag_if | flag_reserved;
}

// Whether the frame carries a whole XSAVE image, by its magic numbers. One that does not is taken
// for a legacy image, as on Linux.
result<bool> has_xsave_image(u64 address, const fp_software_bytes& software) {
    if (!vector_state_uses_xsave() || software.magic1 != fp_magic1 ||
        software.state_size < fxsave_size + xsave_header_size ||
        software.state_size > vector_state_size() || software.state_size > software.extended_size) {
        return false;
    }
    u32 magic2 = 0;
    TRY(copy_from_user(&magic2, address + software.state_size, sizeof(magic2)));
    return magic2 == fp_magic2;
}

result<void> read_legacy_image(std::span<std::byte> area, u64 address) {
    if (!is_aligned(address, legacy_alignment)) {
        return err::fault;
    }
    TRY(copy_from_user(area.data(), address, fxsave_size));
    if (vector_state_uses_xsave()) {
        store<u64>(area.data() + xsave_header_offset, legacy_features);
    }
    return {};
}

// What the frame's software bytes do not name gets its initial values, whatever the header says.
result<void> read_xsave_image(std::span<std::byte> area, u64 address,
                              const fp_software_bytes& software) {
    if (!is_aligned(address, vector_alignment)) {
        return err::fault;
    }
    TRY(copy_from_user(area.data(), address, software.state_size));
    std::byte* header = area.data() + xsave_header_offset;
    const u64 present = load<u64>(header);
    if ((present & ~vector_state_features()) != 0) {
        return err::inval;
    }
    store<u64>(header, present & software.features);
    if ((software.features & vector_state_features() & mxcsr_features) == 0) {
        store<u32>(area.data() + mxcsr_offset, default_mxcsr);
    }
    return {};
}

result<void> pop_vector_state(task& self, u64 address) {
    if (address == 0) {
        reset_vector_state();
        return {};
    }
    std::span<std::byte> area = TRY(vector_buffer(self)).first(vector_state_size());
    __builtin_memset(area.data(), 0, area.size());
    fp_software_bytes software{};
    TRY(copy_from_user(&software, address + fp_software_offset, sizeof(software)));
    if (TRY(has_xsave_image(address, software))) {
        TRY(read_xsave_image(area, address, software));
    } else {
        TRY(read_legacy_image(area, address));
    }
    return load_vector_state(area);
}

// In Linux's order: where the vector state is refused, the mask and the registers have changed
// already.
result<void> return_from_handler(task& self, trap_frame& frame) {
    const u64 address = frame.rsp - sizeof(u64);  // the return address has been popped
    user_ucontext context;
    TRY(copy_from_user(&context, address + offsetof(user_rt_sigframe, context), sizeof(context)));
    if (context.registers.rip >= user_end) {
        return err::fault;
    }
    change_mask(context.mask);
    take_registers(frame, context.registers);
    if (const auto popped = pop_vector_state(self, context.registers.fpstate); !popped.ok()) {
        reset_vector_state();
        return popped;
    }
    // Linux ignores what is wrong with the stack here, too.
    static_cast<void>(change_altstack(self, context.stack, frame.rsp));
    return {};
}

}  // namespace

result<void> enter_handler(trap_frame& frame, task& self, const signal_info& info,
                           const signal_action& action, signal_set mask_to_save) {
    if ((action.flags & sa_flag::restorer) == 0 || action.handler >= user_end) {
        return err::fault;
    }
    const frame_place place = TRY(place_frame(frame, self, action));
    TRY(push_vector_state(self, place.vector_state));
    user_rt_sigframe image{};
    image.return_address = action.restorer;
    image.context.flags = uc_flag::sigcontext_ss | uc_flag::strict_restore_ss |
                          (vector_state_uses_xsave() ? uc_flag::fp_xstate : 0);
    image.context.stack = self.altstack;
    fill_registers(image.context.registers, frame, self.last_fault);
    image.context.registers.old_mask = mask_to_save;
    image.context.registers.fpstate = place.vector_state;
    image.context.mask = mask_to_save;
    image.info = info;
    TRY(copy_to_user(place.frame, &image, sizeof(image)));
    if ((static_cast<u32>(self.altstack.flags) & ss_flag::autodisarm) != 0) {
        self.altstack = {.flags = ss_flag::disable};
    }
    frame.rdi = static_cast<u64>(info.signo);
    frame.rsi = place.frame + offsetof(user_rt_sigframe, info);
    frame.rdx = place.frame + offsetof(user_rt_sigframe, context);
    frame.rax = 0;
    frame.rip = action.handler;
    frame.rsp = place.frame;
    frame.rflags &= ~(flag_df | flag_rf | flag_tf);
    return {};
}

usize signal_vector_size() {
    return vector_state_size() + (vector_state_uses_xsave() ? sizeof(u32) : 0);
}

bool on_altstack(const alternate_stack& stack, u64 sp) {
    if ((static_cast<u32>(stack.flags) & ss_flag::autodisarm) != 0) {
        return false;
    }
    return sp > stack.base && sp - stack.base <= stack.size;
}

SYSCALL(rt_sigreturn) {
    task& self = *current_task();
    trap_frame& frame = user_frame();
    // Whatever was interrupted is settled: the restored rax is not this call's result.
    frame.vector = syscall_vector + 1;
    if (!return_from_handler(self, frame).ok()) {
        force_segv(self, 0);
    }
    return static_cast<i64>(frame.rax);
}

}  // namespace kiln
