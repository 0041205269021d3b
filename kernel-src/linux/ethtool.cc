#include "linux/ethtool.hh"

#include <algorithm>

#include "core/user.hh"
#include "lib/format.hh"
#include "lib/vector.hh"

namespace kiln {
namespace {

// linux/ethtool.h.
namespace command {
constexpr u32 get_driver = 0x03, get_link = 0x0a, get_strings = 0x1b, get_statistics = 0x1d,
              get_set_sizes = 0x37;
}
constexpr u32 statistics_set = 1;
constexpr usize string_size = 32;

struct driver_information {
    u32 command;
    char driver[32];
    char version[32];
    char firmware[32];
    char bus[32];
    char expansion[32];
    char reserved[12];
    u32 private_flags;
    u32 statistics;
    u32 tests;
    u32 eeprom_size;
    u32 register_size;
};
static_assert(sizeof(driver_information) == 196);

// As virtio_net of Linux calls them; four a pair of queues.
struct statistic {
    std::string_view direction;
    std::string_view what;
    u64 net::device_counters::*value;
};
constexpr statistic statistics[] = {
    {"rx", "packets", &net::device_counters::received_packets},
    {"rx", "bytes", &net::device_counters::received_bytes},
    {"tx", "packets", &net::device_counters::sent_packets},
    {"tx", "bytes", &net::device_counters::sent_bytes},
};
constexpr u32 statistics_of_a_queue = std::size(statistics);

u32 statistic_count(const net::net_device& card) {
    return card.queue_count() * statistics_of_a_queue;
}

void copy_name(char (&to)[32], std::string_view name) {
    std::copy_n(name.data(), std::min(name.size(), sizeof(to) - 1), to);
}

result<i64> tell_driver(const net::net_device& card, u64 argument) {
    driver_information made{.command = command::get_driver};
    copy_name(made.driver, card.driver());
    copy_name(made.version, "6.1.0-kiln");
    made.statistics = statistic_count(card);
    TRY(user_ptr<driver_information>(argument).write(made));
    return 0;
}

// struct ethtool_sset_info: a mask of sets, of which those that are not there are taken away.
result<i64> tell_set_sizes(const net::net_device& card, u64 argument) {
    const user_ptr<u64> mask(argument + 8);
    const u64 wanted = TRY(mask.read()) & u64{1} << statistics_set;
    TRY(mask.write(wanted));
    if (wanted != 0) {
        TRY(user_ptr<u32>(argument + 16).write(statistic_count(card)));
    }
    return 0;
}

// struct ethtool_gstrings.
result<i64> tell_names(const net::net_device& card, u64 argument) {
    if (TRY(user_ptr<u32>(argument + 4).read()) != statistics_set) {
        return err::opnotsupp;
    }
    TRY(user_ptr<u32>(argument + 8).write(statistic_count(card)));
    u64 to = argument + 12;
    for (u32 queue = 0; queue < card.queue_count(); ++queue) {
        for (const statistic& each : statistics) {
            char name[string_size]{};
            format_to(name, "{}_queue_{}_{}", each.direction, queue, each.what);
            TRY(copy_to_user(to, name, sizeof(name)));
            to += sizeof(name);
        }
    }
    return 0;
}

// struct ethtool_stats.
result<i64> tell_values(const net::net_device& card, u64 argument) {
    TRY(user_ptr<u32>(argument + 4).write(statistic_count(card)));
    u64 to = argument + 8;
    for (u32 queue = 0; queue < card.queue_count(); ++queue) {
        const net::device_counters moved = card.queue_counters(queue);
        for (const statistic& each : statistics) {
            TRY(user_ptr<u64>(to).write(moved.*each.value));
            to += sizeof(u64);
        }
    }
    return 0;
}

}  // namespace

result<i64> ethtool_ioctl(net::interface& which, u64 argument) {
    const u32 wanted = TRY(user_ptr<u32>(argument).read());
    if (wanted == command::get_link) {
        TRY(user_ptr<u32>(argument + 4).write(which.running() ? 1 : 0));
        return 0;
    }
    const net::net_device* const card = which.device();
    if (card == nullptr) {
        return err::opnotsupp;
    }
    switch (wanted) {
        case command::get_driver: return tell_driver(*card, argument);
        case command::get_set_sizes: return tell_set_sizes(*card, argument);
        case command::get_strings: return tell_names(*card, argument);
        case command::get_statistics: return tell_values(*card, argument);
        default: return err::opnotsupp;
    }
}

}  // namespace kiln
