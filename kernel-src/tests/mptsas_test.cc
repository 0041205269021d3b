// LSI Logic SAS against a controller that behaves, one that is silent, and ones that mean harm.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "drivers/dma.hh"
#include "drivers/mptsas/controller.hh"
#include "tests/interrupt_line.hh"
#include "tests/simulated_target.hh"

namespace kiln::mptsas {
namespace {

// What a controller does that it should not.
enum class harm : u8 {
    none,
    strange_context,   // answers what was not asked
    late_context,      // answers the same twice
    strange_address,   // a reply where no frame of the driver's is
    crooked_address,   // a reply within a frame
    same_frame_twice,  // a reply in a frame that it has given back
    strange_function,  // a reply to something else
    endless_replies,
    silence,
    fault,  // stops, and says so
};
enum class rudeness : u8 { none, deaf, dumb, boastful, short_answer, wrong_function, error_status };

class simulated_controller final : public registers {
public:
    explicit simulated_controller(u64 sectors) : disk(sectors) {}
    u32 read(usize offset) override {
        std::lock_guard hold(_lock);
        switch (offset) {
            case reg::doorbell: return read_doorbell();
            case reg::interrupt_status: return _status;
            case reg::replies: return next_reply();
            default: return 0;
        }
    }
    void write(usize offset, u32 value) override {
        std::lock_guard hold(_lock);
        switch (offset) {
            case reg::doorbell: write_doorbell(value); break;
            case reg::interrupt_status: acknowledge(); break;
            case reg::interrupt_mask: mask = value; break;
            case reg::requests: serve(value); break;
            case reg::replies: _free.push_back(value); break;
            case reg::diagnostic: hard_resets += (value & diagnostic_reset) != 0 ? 1 : 0; break;
            default: break;
        }
        line.raise();
    }

    interrupt_line line;
    scsi::simulated_target disk;
    harm does = harm::none;
    u32 harms_left = ~u32{0};
    rudeness is = rudeness::none;
    bool answers_resets = true;
    u32 resets = 0, hard_resets = 0, mask = 0, requests_served = 0;
    u32 credits = 64, reply_depth = 64, ports = 8;
    u8 most_devices = 8, facts_flags = 0;

private:
    // ---- the doorbell ----

    u32 read_doorbell() {
        if (!_answer.empty()) {
            const u16 half = _answer.front();
            _answer.pop_front();
            _answer_over = _answer.empty();
            return _state | doorbell::active | half;
        }
        return _state | (_expected != 0 ? doorbell::active : 0);
    }
    void write_doorbell(u32 value) {
        if (_expected != 0) {
            _message.push_back(value);
            if (--_expected == 0) {
                answer_message();
            }
            return;
        }
        if (value == doorbell::reset_message_unit) {
            ++resets;
            if (answers_resets) {
                _state = doorbell::ready;
            }
            _free.clear();
            _replies.clear();
            _answer.clear();
            _status = 0;
        } else if ((value & 0xff00'0000) == doorbell::handshake && is != rudeness::deaf) {
            _expected = value >> doorbell::words_shift & 0xff;
            _message.clear();
            _status |= interrupt_doorbell;
        }
    }
    void acknowledge() {
        if (_answer.empty() && !_answer_over) {
            _status &= ~interrupt_doorbell;
        }
        _answer_over = false;
    }
    template <class Reply>
    void send(Reply reply) {
        reply_head head;
        std::memcpy(&head, &reply, sizeof(head));
        head.function = static_cast<u8>(_message[0] >> 24);
        head.words = sizeof(reply) / 4;
        head.words = is == rudeness::boastful       ? 0xff
                     : is == rudeness::short_answer ? 1
                                                    : head.words;
        head.function += is == rudeness::wrong_function ? 1 : 0;
        head.status = is == rudeness::error_status ? 4 : 0;
        std::memcpy(&reply, &head, sizeof(head));
        u16 halves[sizeof(reply) / 2];
        std::memcpy(halves, &reply, sizeof(reply));
        _answer.assign(halves, halves + sizeof(reply) / 2);
        if (is == rudeness::short_answer) {
            _answer.resize(2);
        }
        _status |= interrupt_doorbell;
    }
    void answer_message() {
        if (is == rudeness::dumb) {
            return;
        }
        switch (static_cast<function>(_message[0] >> 24)) {
            case function::facts: {
                facts_reply facts{};
                facts.credits = static_cast<u16>(credits);
                facts.reply_queue_depth = static_cast<u16>(reply_depth);
                facts.ports = static_cast<u8>(ports);
                facts.most_devices = most_devices;
                facts.flags = facts_flags;
                return send(facts);
            }
            case function::init:
                std::memcpy(&_init, _message.data(), sizeof(_init));
                _state = doorbell::operational;
                break;
            default: break;
        }
        send(reply_head{});
    }

    // ---- requests ----

    u8* memory(u32 low) { return reinterpret_cast<u8*>(u64{_init.frames_high} << 32 | low); }

    void serve(u32 address) {
        ++requests_served;
        scsi_request asked;
        std::memcpy(&asked, memory(address), sizeof(asked));
        const harm now = harms_left != 0 ? does : harm::none;
        harms_left -= now != harm::none ? 1 : 0;
        if (now == harm::silence || now == harm::fault) {
            _state = now == harm::fault ? doorbell::fault : _state;
            return;
        }
        if (now == harm::strange_context) {
            return post(asked.context ^ 1);
        }
        scsi::command_block command;
        std::memcpy(command.bytes, asked.command, sizeof(asked.command));
        const auto pieces = pieces_of(asked, memory(address));
        const auto given = disk.execute(asked.target, command, scsi::direction::none, pieces);
        answer(asked, given.value(), now);
    }
    std::vector<dma_piece> pieces_of(const scsi_request& asked, const u8* frame) {
        std::vector<dma_piece> found;
        const u8* at = frame + sizeof(scsi_request);
        u32 left = asked.data_length;
        for (bool over = left == 0; !over;) {
            list_element element;
            std::memcpy(&element, at, sizeof(element));
            at += sizeof(element);
            const u32 length = element.flags_and_length & list_flag::length_mask;
            EXPECT_EQ(element.flags_and_length & list_flag::chain, list_flag::simple);
            EXPECT_LE(length, left);
            found.push_back({element.address, length});
            left -= length;
            over = (element.flags_and_length & list_flag::end_of_list) != 0;
            if (!over && (element.flags_and_length & list_flag::last) != 0) {
                std::memcpy(&element, frame + asked.chain_offset * 4, sizeof(element));
                EXPECT_EQ(element.flags_and_length & list_flag::chain, list_flag::chain);
                at = reinterpret_cast<const u8*>(element.address);
            }
        }
        EXPECT_EQ(left, 0u);
        return found;
    }
    void answer(const scsi_request& asked, const scsi::answer& given, harm now) {
        if (now == harm::none && given.reached && given.status == 0 && given.residual == 0) {
            return post(asked.context);
        }
        if (now == harm::late_context || now == harm::endless_replies) {
            post(asked.context);
            return post(asked.context);
        }
        scsi_reply made{};
        made.function = asked.function + (now == harm::strange_function ? 1 : 0);
        made.context = asked.context;
        made.status = given.reached ? status::underrun : 0x43;
        made.scsi_status = given.status;
        made.moved = asked.data_length - given.residual;
        if (given.status == 2) {
            const u8 sense[18] = {0x70, 0, given.why.key, 0, 0, 0, 0, 10, 0, 0, 0, 0, given.why.code};
            std::memcpy(memory(asked.sense_low), sense, sizeof(sense));
            made.scsi_state = scsi_state::has_sense;
            made.sense_count = 0xffff'ffff;
        }
        post_long(made, now);
    }
    void post_long(const scsi_reply& made, harm now) {
        ASSERT_FALSE(_free.empty());
        const u32 frame = _free.front();
        _free.pop_front();
        std::memcpy(memory(frame), &made, sizeof(made));
        switch (now) {
            case harm::strange_address: return post(is_address | (frame + 0x10'0000) >> 1);
            case harm::crooked_address: return post(is_address | (frame + 4) >> 1);
            case harm::same_frame_twice:
                _free.clear();
                _free.push_back(frame);
                post(is_address | frame >> 1);
                return post(is_address | frame >> 1);
            default: return post(is_address | frame >> 1);
        }
    }
    void post(u32 reply) {
        _replies.push_back(reply);
        _status |= interrupt_reply;
    }
    u32 next_reply() {
        if (_replies.empty()) {
            _status &= ~interrupt_reply;
            return no_reply;
        }
        const u32 next = _replies.front();
        if (does != harm::endless_replies || _replies.size() > 1) {
            _replies.pop_front();
        }
        return next;
    }

    std::mutex _lock;
    u32 _state = doorbell::operational, _status = 0;
    u32 _expected = 0;
    std::vector<u32> _message;
    std::deque<u16> _answer;
    bool _answer_over = false;
    std::deque<u32> _free, _replies;
    init_request _init{};
};

class tested_controller final : public controller {
public:
    using controller::controller;
    void cut_off() override { was_cut_off = true; }
    bool was_cut_off = false;
};

constexpr patience hurried{20 * ns_per_ms, 20 * ns_per_ms, 5 * ns_per_ms};

struct rig {
    explicit rig(u64 command_patience = 30 * ns_per_s)
        : device(5000), driver(device, hurried, command_patience), disk(driver, 0) {
        std::mt19937 random(1);
        for (u8& each : device.disk.bytes) {
            each = static_cast<u8>(random());
        }
    }
    ~rig() { device.line.disconnect(); }
    result<void> bring_up() {
        TRY(driver.prepare());
        device.line.connect([this] { driver.on_interrupt(); });
        return driver.start();
    }
    void start() {
        ASSERT_TRUE(bring_up().ok());
        ASSERT_TRUE(disk.find().value());
        ASSERT_TRUE(disk.start('a').ok());
    }
    simulated_controller device;
    tested_controller driver;
    scsi::disk disk;
};

TEST(mptsas, reads_and_writes_any_bytes) {
    rig on;
    on.start();
    EXPECT_EQ(on.driver.targets(), 8u);
    EXPECT_EQ(on.device.mask, interrupt_doorbell);
    std::mt19937 random(2);
    std::vector<u8> copy = on.device.disk.bytes;
    for (int i = 0; i < 100; ++i) {
        const usize size = 1 + random() % 400'000;
        const usize offset = random() % (copy.size() - size);
        std::vector<std::byte> buffer(size);
        if (i % 2 == 0) {
            ASSERT_TRUE(on.disk.read(offset, buffer).ok());
            EXPECT_EQ(std::memcmp(buffer.data(), &copy[offset], size), 0);
        } else {
            std::memset(buffer.data(), i, size);
            ASSERT_TRUE(on.disk.write(offset, buffer).ok());
            std::memset(&copy[offset], i, size);
        }
    }
    EXPECT_EQ(copy, on.device.disk.bytes);
    EXPECT_EQ(on.device.resets, 1u);
}

TEST(mptsas, many_buffers_make_one_request) {
    rig on;
    on.start();
    std::vector<std::vector<std::byte>> buffers;
    std::vector<std::span<std::byte>> spans;
    usize total = 0;
    for (usize i = 1; i <= 64; ++i) {
        buffers.emplace_back(i * 37);
        total += i * 37;
    }
    for (auto& each : buffers) {
        spans.emplace_back(each);
    }
    const u32 before = on.device.requests_served;
    ASSERT_TRUE(on.disk.read_scattered(777, spans).ok());
    EXPECT_EQ(on.device.requests_served, before + 1);
    usize at = 777;
    for (const auto& each : buffers) {
        EXPECT_EQ(std::memcmp(each.data(), &on.device.disk.bytes[at], each.size()), 0);
        at += each.size();
    }
}

TEST(mptsas, several_threads_at_once) {
    rig on;
    on.start();
    std::vector<std::thread> threads;
    for (u32 number = 0; number < 4; ++number) {
        threads.emplace_back([&on, number] {
            std::mt19937 random(number);
            for (int i = 0; i < 100; ++i) {
                const usize size = 1 + random() % 10'000;
                const usize offset = random() % (on.device.disk.bytes.size() - size);
                std::vector<std::byte> buffer(size);
                ASSERT_TRUE(on.disk.read(offset, buffer).ok());
                ASSERT_EQ(std::memcmp(buffer.data(), &on.device.disk.bytes[offset], size), 0);
            }
        });
    }
    for (std::thread& each : threads) {
        each.join();
    }
}

TEST(mptsas, errors_and_absent_targets_are_told) {
    rig on;
    on.start();
    std::byte buffer[512];
    on.device.disk.next = {{.reached = true, .status = 2, .why = {3, 0x11, 0}}};
    EXPECT_EQ(on.disk.read(0, buffer).error(), err::io);
    on.device.disk.next = {{.reached = true, .status = 2, .why = {6, 0x29, 0}}};
    EXPECT_TRUE(on.disk.read(0, buffer).ok());
    on.device.disk.residual = 7;
    EXPECT_EQ(on.disk.read(0, buffer).error(), err::io) << "bytes were not moved";
    on.device.disk.residual = 0;
    scsi::disk absent(on.driver, 3);
    EXPECT_FALSE(absent.find().value());
    EXPECT_EQ(on.device.resets, 1u);
}

TEST(mptsas, one_lie_costs_a_reset) {
    for (const harm what : {harm::strange_context, harm::strange_address, harm::crooked_address,
                            harm::strange_function, harm::silence, harm::fault}) {
        rig on(20 * ns_per_ms);
        on.start();
        on.device.does = what;
        on.device.harms_left = 1;
        std::byte buffer[512];
        EXPECT_TRUE(on.disk.read(512, buffer).ok()) << static_cast<int>(what);
        EXPECT_EQ(std::memcmp(buffer, &on.device.disk.bytes[512], sizeof(buffer)), 0);
        EXPECT_GE(on.device.resets, 2u) << static_cast<int>(what);
        EXPECT_FALSE(on.driver.was_cut_off);
    }
}

TEST(mptsas, who_answers_twice_is_not_believed_again) {
    for (const harm what : {harm::late_context, harm::same_frame_twice}) {
        rig on;
        on.start();
        on.device.does = what;
        on.device.harms_left = 1;
        std::byte buffer[512];
        for (int i = 0; i < 3; ++i) {
            EXPECT_TRUE(on.disk.read(512, buffer).ok()) << static_cast<int>(what);
        }
        EXPECT_LE(on.device.resets, 2u);
    }
}

TEST(mptsas, one_that_goes_on_is_switched_off) {
    for (const harm what : {harm::strange_context, harm::strange_address, harm::crooked_address,
                            harm::strange_function, harm::endless_replies, harm::fault}) {
        rig on(20 * ns_per_ms);
        on.start();
        on.device.does = what;
        std::byte buffer[512];
        for (int i = 0; i < 50 && !on.driver.was_cut_off; ++i) {
            (void)on.disk.read(512, buffer);
        }
        EXPECT_TRUE(on.driver.was_cut_off) << static_cast<int>(what);
        const u32 served = on.device.requests_served;
        EXPECT_EQ(on.disk.read(512, buffer).error(), err::io);
        EXPECT_EQ(on.device.requests_served, served) << "it was still asked";
    }
}

TEST(mptsas, interrupts_without_end_switch_it_off) {
    rig on;
    on.start();
    std::byte buffer[512];
    EXPECT_TRUE(on.disk.read(0, buffer).ok());
    on.device.line.disconnect();
    for (u32 i = 0; i < interrupt_watch::most_idle; ++i) {
        on.driver.on_interrupt();
    }
    EXPECT_FALSE(on.driver.was_cut_off) << "a line may be another device's";
    for (u32 i = 0; i < interrupt_watch::most_idle; ++i) {
        on.driver.on_interrupt(true);
    }
    EXPECT_TRUE(on.driver.was_cut_off);
    const u32 served = on.device.requests_served;
    EXPECT_EQ(on.disk.read(0, buffer).error(), err::io);
    EXPECT_EQ(on.device.requests_served, served) << "it was still asked";
}

TEST(mptsas, one_that_does_not_react_to_a_reset_is_switched_off) {
    rig on(20 * ns_per_ms);
    on.start();
    on.device.does = harm::fault;
    on.device.answers_resets = false;
    std::byte buffer[512];
    EXPECT_EQ(on.disk.read(0, buffer).error(), err::io);
    EXPECT_TRUE(on.driver.was_cut_off);
    EXPECT_EQ(on.device.hard_resets, 1u);
}

TEST(mptsas, a_rude_doorbell_is_given_up) {
    for (const rudeness how : {rudeness::deaf, rudeness::dumb, rudeness::boastful,
                               rudeness::short_answer, rudeness::wrong_function,
                               rudeness::error_status}) {
        rig on;
        on.device.is = how;
        EXPECT_FALSE(on.bring_up().ok()) << static_cast<int>(how);
    }
}

TEST(mptsas, impossible_facts_are_refused) {
    for (u32 fact = 0; fact < 4; ++fact) {
        rig on;
        (fact == 0 ? on.device.credits : fact == 1 ? on.device.reply_depth : on.device.ports) = 0;
        on.device.facts_flags = fact == 3 ? facts_wants_firmware : 0;
        EXPECT_EQ(on.bring_up().error(), err::opnotsupp) << fact;
    }
    rig few;
    few.device.credits = few.device.reply_depth = 1;
    few.device.most_devices = 0;
    few.start();
    EXPECT_EQ(few.driver.targets(), 16u);
    std::byte buffer[512];
    EXPECT_TRUE(few.disk.read(0, buffer).ok());
}

}  // namespace
}  // namespace kiln::mptsas
