// Admin commands of the Elastic Network Adapter, their answers, the features that they get and set,
// and the events that the device tells.
//
// Facts from Amazon's published definitions (ena_admin_defs.h and ena_common_defs.h in
// github.com/amzn/amzn-drivers) and from what its drivers do with them.
#pragma once

#include <type_traits>

#include "lib/types.hh"

namespace kiln::ena {

// Where memory is, for the device.
struct bus_address {
    u32 low;
    u16 high;
    u16 reserved;
};
constexpr bus_address bus_address_of(u64 place) {
    return {static_cast<u32>(place), static_cast<u16>(place >> 32), 0};
}
constexpr u64 place_of(const bus_address& at) {
    return at.low | u64{at.high} << 32;
}

enum class opcode : u8 {
    create_submission = 1,
    create_completion = 3,
    get_feature = 8,
    set_feature = 9,
};

struct command {
    static constexpr u16 id_mask = 0xfff;
    static constexpr u8 phase = 1u << 0, has_buffer = 1u << 2;
    u16 id;
    u8 code;
    u8 flags;
    u32 body[15];
};
static_assert(sizeof(command) == 64);

enum class answer_status : u8 {
    good = 0,
    no_resources = 1,
    unknown_opcode = 2,
    unsupported = 3,
    malformed = 4,
    bad_parameter = 5,
    error = 6,
    busy = 7,
};

struct answer {
    static constexpr u8 phase = 1u << 0;
    u16 id;
    u8 status;
    u8 flags;
    u16 detail;
    u16 commands_head;
    u32 body[14];
};
static_assert(sizeof(answer) == 64);

template <class Body>
command make_command(opcode code, const Body& body) {
    static_assert(std::is_trivially_copyable_v<Body> && sizeof(Body) <= sizeof(command::body));
    command made{};
    made.code = static_cast<u8>(code);
    __builtin_memcpy(made.body, &body, sizeof(body));
    return made;
}
template <class Body>
Body body_of(const answer& from) {
    static_assert(std::is_trivially_copyable_v<Body> && sizeof(Body) <= sizeof(answer::body));
    Body body;
    __builtin_memcpy(&body, from.body, sizeof(body));
    return body;
}

// ---- queues ----

struct create_completion_queue {
    static constexpr u8 interrupts = 1u << 5;
    u8 mode;
    u8 entry_words;
    u16 depth;
    u32 message;
    bus_address ring;
};
struct completion_queue_made {
    u16 index;
    u16 depth;
    u32 numa_register;
    u32 head_register;
    u32 interrupt_register;
};

struct create_submission_queue {
    static constexpr u8 transmits = 1u << 5, receives = 2u << 5;
    // Descriptors in our memory, or in the device's with the headers among them ("low latency").
    static constexpr u8 in_memory = 1, in_device = 3;
    static constexpr u8 contiguous = 1;
    u8 direction;
    u8 reserved_1;
    u8 placement;  // a completion for each descriptor that asks: the upper bits are 0
    u8 shape;
    u16 completion_queue;
    u16 depth;
    bus_address ring;
    bus_address head_writeback;
    u32 reserved_2[2];
};
static_assert(sizeof(create_submission_queue) == 32);
struct submission_queue_made {
    u16 index;
    u16 reserved;
    u32 doorbell;
    u32 device_ring;  // within the memory of BAR 2
    u32 device_headers;
};

// ---- features ----

enum class feature : u8 {
    attributes = 1,
    queue_limits = 2,
    hints = 3,
    push = 4,
    extended_queue_limits = 7,
    hash_function = 10,
    offloads = 11,
    spread_table = 12,
    mtu = 14,
    hash_input = 18,
    moderation = 20,
    events = 26,
    host_attributes = 28,
};
constexpr u32 bit_of(feature which) {
    return 1u << static_cast<u32>(which);
}

struct feature_command {
    u32 buffer_bytes;
    bus_address buffer;
    u8 select;
    u8 which;
    u8 version;
    u8 reserved;
    u32 value[11];
};
static_assert(sizeof(feature_command) == 60);

struct device_attributes {
    // Bits of `capabilities`: reset reasons above 15; zeros in completions are to be checked.
    static constexpr u32 extended_reasons = 1u << 3, checked_zeros = 1u << 4;
    u32 implementation;
    u32 version;
    u32 features;
    u32 capabilities;
    u32 physical_bits;
    u32 virtual_bits;
    u8 mac[6];
    u8 reserved[2];
    u32 largest_mtu;
};

struct queue_limits {
    u32 submission_queues, submission_depth, completion_queues, completion_depth, push_queues,
        push_depth, header_bytes;
    u16 sent_pieces, received_pieces;
};
struct extended_queue_limits {
    static constexpr u8 our_version = 1;
    u8 version;
    u8 reserved[3];
    u32 transmit_submissions, transmit_completions, receive_submissions, receive_completions;
    u32 transmit_submission_depth, transmit_completion_depth, receive_submission_depth,
        receive_completion_depth;
    u32 header_bytes;
    u16 sent_pieces, received_pieces;
};
static_assert(sizeof(extended_queue_limits) == 44);

// Of each pair of fields the first is what the device has, the second what the driver chooses.
struct push_feature {
    static constexpr u8 our_version = 1;
    static constexpr u16 inline_headers = 1, entries_of_128 = 1, several_a_line = 2;
    // Of `modes`.
    static constexpr u16 no_stored_metadata = 1u << 0, limited_bursts = 1u << 1;
    u32 queues;
    u32 depth;
    u16 locations, location;
    u16 entry_sizes, entry_size;
    u16 before_header, descriptors_before;
    u16 strides, stride;
    u8 version;
    u8 recommended_size;
    u16 wide_depth;
    u16 modes;
    u16 burst_bytes;  // between two doorbells
    u32 reserved;
};
static_assert(sizeof(push_feature) == 36);

struct event_feature {
    u32 supported, enabled;
};
struct offload_feature {
    static constexpr u32 sum_ipv4 = 1u << 1, sum_ipv6 = 1u << 3, segments_ipv4 = 1u << 5,
                         segments_ipv6 = 1u << 6;
    u32 transmit, receive, receive_enabled;
};
struct moderation_feature {
    u16 microseconds;  // a unit of delay
    u16 reserved;
};
struct hints_feature {
    static constexpr u16 no_timeout = 0xffff;  // and 0: as the driver likes
    u16 register_read_ms, keep_alive_ms, sent_ms, unsent_limit, command_ms, watchdog_ms,
        sent_pieces, received_pieces;
    u16 reserved[8];
};
struct host_feature {
    bus_address information;
    bus_address debug_area;
    u32 debug_bytes;
};

// ---- how flows are spread over receive queues ----

struct hash_function_feature {
    static constexpr u32 toeplitz = 1u << 1;
    u32 supported, selected, initial;
};
struct hash_key {
    static constexpr u32 most_words = 10;
    u32 words_used;
    u32 reserved;
    u32 words[most_words];
};
struct hash_input_feature {
    static constexpr u16 sorts = 1u << 1 | 1u << 2;  // addresses, ports: both ways are one flow
    u16 supported_sorts, sorted;
};
enum class hash_kind : u8 { tcp4, udp4, tcp6, udp6, ipv4, ipv6, ipv4_fragment, not_ip };
namespace hash_field {
inline constexpr u16 link_addresses = 1u << 0 | 1u << 1, addresses = 1u << 2 | 1u << 3,
                     ports = 1u << 4 | 1u << 5;
}
struct hash_fields {
    static constexpr u32 kinds = 16;
    struct choice {
        u16 fields;
        u16 reserved;
    };
    choice supported[kinds];
    choice selected[kinds];
    choice reserved[2 * kinds];
};
struct spread_feature {
    static constexpr u32 whole_table = 0xffff'ffff;
    u16 smallest, largest, size;  // powers of two
    u8 flags;
    u8 reserved_1;
    u32 inline_index;
    u16 inline_queue;
    u16 reserved_2;
};
struct spread_entry {
    u16 queue;  // the index of a submission queue that receives
    u16 reserved;
};

// ---- what the host is ----

struct host_information {
    static constexpr u32 like_linux = 1;
    static constexpr u16 our_specification = 2 << 8;
    static constexpr u32 knows_moderation = 1u << 2, sets_hash = 1u << 4, sums_ipv6 = 1u << 7;
    u32 system;
    char distribution[128];
    u32 distribution_number;
    char kernel[32];
    u32 kernel_number;
    u32 driver_version;
    u32 network_features[2];
    u16 specification;
    u16 location;  // bus, device, function
    u16 cpus;
    u16 reserved;
    u32 knows;
};
static_assert(sizeof(host_information) == 196);

// ---- events ----

enum class event_group : u16 {
    link = 0,
    fatal = 1,
    warning = 2,
    notification = 3,
    keep_alive = 4,
    reset_request = 7,
};
constexpr u32 bit_of(event_group which) {
    return 1u << static_cast<u32>(which);
}

struct event {
    static constexpr u8 phase = 1u << 0;
    static constexpr u16 new_hints = 2;  // kind of a notification
    u16 group;
    u16 kind;
    u8 flags;
    u8 reserved[3];
    u32 time[2];
    u32 body[12];
};
static_assert(sizeof(event) == 64);

}  // namespace kiln::ena
