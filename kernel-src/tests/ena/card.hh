// A model of the Elastic Network Adapter for the tests of its driver, since nobody emulates it.
// Written from the same public definitions as the driver (see drivers/ena/), so it shows that the
// driver does what they say, not that a real device does.
//
// Everything happens in the call that causes it: a doorbell sends, `arrive` fills buffers and calls
// interrupt handlers. Addresses are the host's. What the driver may not do ends the test.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "drivers/ena/commands.hh"
#include "drivers/ena/descriptors.hh"
#include "drivers/ena/machine.hh"
#include "drivers/ena/registers.hh"

namespace kiln::ena::model {

// What kind of card it is; a test changes it before the driver starts.
struct traits {
    u32 cpus = 4;
    u32 messages = 9;
    bool registers_can_be_read = false;
    u32 reset_units = 1, command_units = 1, address_bits = 48;
    u32 controller = 0x00'0001;
    u32 queues = 8, depth = 1024, sent_pieces = 20, received_pieces = 4, header_bytes = 96;
    u64 memory = 1 << 20;
    u32 features = 0;  // filled by the constructor with all that there are
    u32 capabilities = 0;
    u32 largest_mtu = 9216;
    u8 mac[6] = {2, 0x0a, 0x0b, 1, 2, 3};
    push_feature push{};
    offload_feature offloads{0x7f, 0x0f, 0};
    u32 event_groups = 0xff;
    hints_feature hints{};
    u16 delay_unit = 1;
    u16 smallest_table = 5, largest_table = 9;
    traits();
};

// How it misbehaves, from the moment that a test says so.
struct faults {
    bool not_ready, gone, reset_never_begins, reset_never_ends, silent_reads, wrong_register;
    bool silent_commands, wrong_command, mute_table, other_table;
    bool doorbell_outside, lines_outside, interrupt_outside;
    bool holds_sent;  // frames stay unsent
    std::map<u32, answer_status> refuses;  // by feature
    u32 silent_resets;                     // that many resets do not begin
};

struct sent_frame {
    std::string bytes;
    u32 queue;  // the number of the pair
    u32 asked;  // words[1] of the first descriptor of data
    bool has_metadata;
    u32 metadata[2];
    u32 pushed;  // bytes that came as a header
    u32 header;
};

class card final : public machine {
public:
    traits is;
    faults does{};

    card();

    // The driver's side.
    u32 read(u32 where) override;
    void write(u32 where, u32 value) override;
    u64 register_bytes() const override { return registers; }
    bool registers_can_be_read() const override { return is.registers_can_be_read; }
    u64 push_bytes() const override { return is.memory; }
    void push(u64 where, std::span<const u64> line) override;
    u32 messages() const override { return is.messages; }
    result<void> connect(u32 message, void (*handler)(void*), void* context, u32 cpu) override;
    void silence() override { is_silent = true; }
    void cut_off() override { is_cut_off = true; }
    u32 cpus() const override { return is.cpus; }
    u16 location() const override { return 0x28; }

    // The wire's. False when the frame is lost, for which `lost` says why.
    bool arrive(const std::string& frame, u32 flags = 0);
    std::vector<sent_frame> sent;
    struct {
        u32 no_table, no_buffer;
    } lost{};
    // The pair that the frame would be put on; -1: none.
    int pair_of(const std::string& frame) const;

    // Things that happen.
    void tell(event_group group, u32 word = 0, u16 kind = 0);
    void tell_raw(const event& told);
    void send_held();
    void interrupt(u32 message);
    // Completions as no good card would write them; of pair `number`.
    void complete_sent(u32 number, u32 id, u32 flags = 0);
    void complete_received(u32 number, u32 status, u32 length, u32 id, u32 offset = 0);
    void forget_table() { _table.clear(); }

    // What the driver has done.
    bool is_silent = false, is_cut_off = false;
    u32 resets = 0;
    u32 last_reason = 0;
    u32 mtu = 0;
    u32 delays = 0;  // last told
    u32 longest_burst = 0;
    host_information host{};
    std::vector<u16> table() const { return _table; }
    hash_fields hash_input{};
    u32 pairs() const { return static_cast<u32>(_pairs.size()); }
    u32 buffers(u32 number) const;
    u32 interrupts(u32 message) const { return _fired.contains(message) ? _fired.at(message) : 0; }
    bool in_device() const { return !_pairs.empty() && _pairs[0].transmit.in_device; }

private:
    static constexpr u32 registers = 0x4000, doorbells = 0x1000, unmasks = 0x2000;
    // Numbers of the device's that nobody can take for each other.
    static constexpr u16 first_transmit = 3, first_receive = 20, first_completions = 40;

    struct completions {
        u64 place = 0;
        u32 depth = 0, message = 0, written = 0;
        bool interrupts = false;
    };
    struct submissions {
        u64 place = 0;
        u32 depth = 0, taken = 0, told = 0;
        u16 completed_by = 0;
        bool in_device = false;
    };
    struct pair {
        submissions transmit, receive;
        bool has_receive = false;
    };
    struct held {
        u32 number, id;
    };

    void reset(u32 value);
    void answer_read(u32 request);
    u32 value_of(u32 where) const;
    void take_commands(u32 tail);
    answer obey(const command& asked);
    answer create_completions_for(const create_completion_queue& asked);
    answer create_submissions_for(const create_submission_queue& asked);
    answer get(const feature_command& asked);
    answer set(const feature_command& asked);
    answer get_table(const feature_command& asked);
    answer set_table(const feature_command& asked);
    void write_answer(const answer& to);
    void ring(u32 number, bool transmits, u32 tail);
    void send_one(u32 number);
    transmit_descriptor next_in_memory(submissions& from);
    void assemble(u32 number, sent_frame& to, u32& id);
    void assemble_lines(u32 number, sent_frame& to, u32& id);
    bool add(const transmit_descriptor& next, sent_frame& to, u32& id);
    void raise(completions& by);
    u32 hash_of(const std::string& frame) const;
    static u32 lines_of(u32 number) { return number * 512 * 128; }

    u64 _answer_place = 0, _commands = 0, _answers = 0, _events = 0;
    u32 _status = status::ready;
    u32 _commands_taken = 0, _answers_written = 0, _events_written = 0, _events_allowed = 0;
    std::vector<completions> _completions;
    std::vector<pair> _pairs;
    std::vector<u16> _table;
    hash_key _key{};
    u16 _sorts = 0;
    push_feature _push{};
    std::vector<u8> _memory;
    std::vector<held> _held;
    u32 _pushed_lines = 0;
    std::map<u32, bool> _armed, _pending;
    std::map<u32, u32> _fired;
    struct connection {
        void (*handler)(void*);
        void* context;
    };
    std::map<u32, connection> _connected;
};

}  // namespace kiln::ena::model
