#include "drivers/mptsas/controller.hh"

#include <algorithm>
#include <bit>

#include "core/log.hh"
#include "core/page.hh"
#include "drivers/dma.hh"
#include "drivers/mmio.hh"
#include "lib/assert.hh"

namespace kiln::mptsas {
namespace {

constexpr usize list_entries = 64 + 2, sense_size = 96, reply_size = 128;
constexpr u32 most_targets = 16;
constexpr u8 task_set_full = 0x28;

// A list of one element stands behind the request; of more, the first does, then where the others are.
struct request_frame {
    scsi_request head;
    list_element first;
    list_element chain;
    u8 unused[128 - sizeof(scsi_request) - 2 * sizeof(list_element)];
};
static_assert(sizeof(request_frame) == 128);

u32 low(const void* memory) {
    return static_cast<u32>(dma_address(memory));
}

u32 high(const void* memory) {
    return static_cast<u32>(dma_address(memory) >> 32);
}

list_element element(const dma_piece& piece, u32 flags) {
    return {flags | list_flag::simple | list_flag::long_address | piece.length, piece.address};
}

}  // namespace

struct controller::shared_memory {
    request_frame requests[most_requests];
    u8 replies[most_requests][reply_size];
    u8 sense[most_requests][sense_size];
    alignas(8) list_element lists[most_requests][list_entries];
};

// ---- setting up ----

result<void> controller::prepare() {
    if (!_handshake.reset()) {
        log_error("mptsas: does not become ready (doorbell {:x})",
                  _registers.read(reg::doorbell));
        return err::io;
    }
    return {};
}

result<void> controller::start() {
    constexpr usize pages = align_up(sizeof(shared_memory), page_size) / page_size;
    // A block of pages is aligned to its size, so no 4 GiB end within it.
    page* block = TRY(alloc_pages(static_cast<u32>(std::bit_width(pages - 1))));
    _memory = static_cast<shared_memory*>(page_data(*block));
    __builtin_memset(static_cast<void*>(_memory), 0, sizeof(shared_memory));
    TRY(ask_facts());
    return open(_requests);
}

result<void> controller::ask_facts() {
    const plain_request asked{.function = static_cast<u8>(function::facts)};
    u32 request[sizeof(asked) / sizeof(u32)], reply[sizeof(facts_reply) / sizeof(u32)];
    __builtin_memcpy(request, &asked, sizeof(asked));
    TRY(_handshake.ask(request, reply));
    facts_reply facts;
    __builtin_memcpy(&facts, reply, sizeof(facts));
    if ((facts.flags & facts_wants_firmware) != 0) {
        log_warning("mptsas: a controller without firmware");
        return err::opnotsupp;
    }
    if (facts.credits == 0 || facts.reply_queue_depth == 0 || facts.ports == 0) {
        log_warning("mptsas: a controller with {} requests, {} replies, {} ports", facts.credits,
                    facts.reply_queue_depth, facts.ports);
        return err::opnotsupp;
    }
    _requests = std::min<u32>(facts.credits, most_requests);
    _reply_count = std::min<u32>(facts.reply_queue_depth, most_requests);
    _targets = std::min(facts.most_devices == 0 ? 256u : facts.most_devices, most_targets);
    _most_devices = facts.most_devices;
    _most_buses = std::max<u8>(facts.most_buses, 1);
    return {};
}

result<void> controller::initialise() {
    const init_request asked{.who = host_driver,
                             .function = static_cast<u8>(function::init),
                             .most_devices = _most_devices,
                             .most_buses = _most_buses,
                             .reply_frame_size = reply_size,
                             .frames_high = high(_memory),
                             .sense_high = high(_memory)};
    u32 request[sizeof(asked) / sizeof(u32)], reply[sizeof(reply_head) / sizeof(u32)];
    __builtin_memcpy(request, &asked, sizeof(asked));
    return _handshake.ask(request, reply);
}

// A SAS port is enabled when it has found its disks.
result<void> controller::enable_port() {
    const plain_request asked{.function = static_cast<u8>(function::port_enable)};
    u32 request[sizeof(asked) / sizeof(u32)], reply[sizeof(reply_head) / sizeof(u32)];
    __builtin_memcpy(request, &asked, sizeof(asked));
    return _handshake.ask(request, reply);
}

result<void> controller::bring_up() {
    TRY(initialise());
    if (!_handshake.wait_for_state(doorbell::operational, _waiting.reset)) {
        return err::io;
    }
    _lent = 0;
    for (u32 i = 0; i < _reply_count; ++i) {
        _lent |= 1u << i;
        _registers.write(reg::replies, low(_memory->replies[i]));
    }
    TRY(enable_port());
    _registers.write(reg::interrupt_mask, interrupt_doorbell);
    return {};
}

bool controller::at_fault() const {
    const u32 state = _registers.read(reg::doorbell) & doorbell::state_mask;
    return state != doorbell::operational;
}

bool controller::quieten() {
    return _handshake.reset();
}

// ---- requests ----

u64 controller::describe(u32 number, u32 target, const scsi::command_block& command,
                         scsi::direction data, std::span<const dma_piece> pieces) {
    KILN_DEBUG_ASSERT(pieces.size() <= list_entries);
    constexpr u32 all_ended = list_flag::last | list_flag::end_of_buffer | list_flag::end_of_list;
    const u32 direction = data == scsi::direction::to_device ? list_flag::to_device : 0;
    request_frame& frame = _memory->requests[number];
    frame = {};
    scsi_request& made = frame.head;
    made.target = static_cast<u8>(target);
    made.function = static_cast<u8>(function::scsi_io);
    made.command_size = command.size;
    made.sense_size = sense_size;
    made.context = number;
    std::copy_n(command.bytes, command.size, made.command);
    made.sense_low = low(_memory->sense[number]);
    made.control = data == scsi::direction::none          ? 0
                   : data == scsi::direction::from_device ? control_read
                                                          : control_write;
    u64 bytes = 0;
    for (const dma_piece& piece : pieces) {
        bytes += piece.length;
    }
    made.data_length = static_cast<u32>(bytes);
    if (pieces.size() <= 1) {
        frame.first = element(pieces.empty() ? dma_piece{} : pieces[0], all_ended | direction);
        return bytes;
    }
    frame.first = element(pieces[0], list_flag::last | direction);
    made.chain_offset = offsetof(request_frame, chain) / sizeof(u32);
    list_element* const list = _memory->lists[number];
    for (usize i = 1; i < pieces.size(); ++i) {
        list[i - 1] = element(pieces[i], direction | (i + 1 == pieces.size() ? all_ended : 0));
    }
    frame.chain = {list_flag::chain | list_flag::long_address |
                       static_cast<u32>((pieces.size() - 1) * sizeof(list_element)),
                   dma_address(list)};
    return bytes;
}

void controller::give(u32 number) {
    device_fence();
    _registers.write(reg::requests, low(&_memory->requests[number]));
}

scsi::answer controller::read_answer(u32 number, u64 asked) const {
    const scsi_reply& given = _answers[number];
    scsi::answer made;
    switch (given.status & status_mask) {
        case status::good:
        case status::recovered:
        case status::overrun:
        case status::underrun:
        case status::wrong_residual: break;
        case status::busy:
        case status::no_resources:
        case status::task_ended:
        case status::management_failed:
        case status::ended_by_controller:
        case status::ended_outside:
            made.reached = true;
            made.status = task_set_full;
            return made;
        default: return made;
    }
    made.reached = (given.scsi_state & scsi_state::no_status) == 0;
    made.status = given.scsi_status;
    made.residual = static_cast<u32>(asked - std::min<u64>(given.moved, asked));
    if ((given.scsi_state & scsi_state::has_sense) != 0) {
        const usize size = std::min<usize>(given.sense_count, sense_size);
        made.why = scsi::read_sense(std::span(_memory->sense[number], size));
    }
    return made;
}

// ---- replies ----

void controller::on_interrupt(bool is_own) {
    if ((_registers.read(reg::interrupt_status) & interrupt_reply) != 0 || is_own) {
        on_own_interrupt();
    }
}

// Of an honest controller no more replies can be waiting than it has requests and reply frames.
bool controller::take_answers() {
    for (u32 taken = 0; taken <= 2 * most_requests; ++taken) {
        const u32 said = _registers.read(reg::replies);
        if (said == no_reply) {
            return true;
        }
        if (!((said & is_address) != 0 ? take_long(said) : take_short(said))) {
            return false;
        }
    }
    return false;
}

// All went well.
bool controller::take_short(u32 number) {
    if (number >= most_requests || !in_flight(number)) {
        return false;
    }
    _answers[number] = {.moved = ~u32{0}};
    finish(number);
    return true;
}

// Half of the address of a reply frame, which the controller gets back.
bool controller::take_long(u32 said) {
    const u32 offset = (said << 1) - low(_memory->replies);
    const u32 frame = offset / reply_size;
    if (offset % reply_size != 0 || frame >= _reply_count || (_lent & 1u << frame) == 0) {
        return false;
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    scsi_reply given;
    __builtin_memcpy(&given, _memory->replies[frame], sizeof(given));
    _registers.write(reg::replies, low(_memory->replies[frame]));
    if (given.function == static_cast<u8>(function::event)) {
        return true;
    }
    const bool known = given.function == static_cast<u8>(function::scsi_io) &&
                       given.context < most_requests && in_flight(given.context);
    if (known) {
        _answers[given.context] = given;
        finish(given.context);
    }
    return known;
}

}  // namespace kiln::mptsas
