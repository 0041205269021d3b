// Features of the device: what it offers, and what the driver sets. Context: threads; not locked.
#pragma once

#include "drivers/ena/admin_queue.hh"

namespace kiln::ena {

// Memory that a command names, for what is longer than the command.
struct control_buffer {
    u64 place = 0;
    u32 size = 0;
};

result<answer> run_feature(admin_queue& by, opcode code, feature_command asked,
                           const control_buffer& with);

template <class Body>
result<Body> get_feature(admin_queue& by, feature which, u8 version = 0,
                         const control_buffer& into = {}) {
    feature_command asked{};
    asked.which = static_cast<u8>(which);
    asked.version = version;
    return body_of<Body>(TRY(run_feature(by, opcode::get_feature, asked, into)));
}

template <class Body>
result<void> set_feature(admin_queue& by, feature which, const Body& value,
                         const control_buffer& with = {}) {
    static_assert(sizeof(Body) <= sizeof(feature_command::value));
    feature_command asked{};
    asked.which = static_cast<u8>(which);
    __builtin_memcpy(asked.value, &value, sizeof(value));
    TRY(run_feature(by, opcode::set_feature, asked, with));
    return {};
}

// Whether the device lives on after a command that failed.
inline bool only_refused(err error) {
    return error == err::opnotsupp || error == err::io || error == err::nospc;
}

struct offer {
    device_attributes attributes;
    extended_queue_limits limits;
    push_feature push;  // of no queues when there is none
    offload_feature offloads;
    event_feature events;
    hints_feature hints;
    moderation_feature moderation;

    bool has(feature which) const { return (attributes.features & bit_of(which)) != 0; }
};

// Features that the device does not have or refuses to tell are zeros; it must have attributes and
// limits.
result<offer> ask_offer(admin_queue& by);

// Tells the device what we are. `information` is a page that it may read from now on.
result<void> tell_host(admin_queue& by, const dma_memory& information);

}  // namespace kiln::ena
