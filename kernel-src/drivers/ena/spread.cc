#include "drivers/ena/spread.hh"

#include <algorithm>

#include "core/log.hh"

namespace kiln::ena {
namespace {

constexpr u32 usual_size = 7, largest_size = 10;  // powers of two
static_assert((sizeof(spread_entry) << largest_size) <= page_size);
static_assert(sizeof(hash_fields) <= page_size);
constexpr u16 not_told = 0xffff;

constexpr u16 all_fields = hash_field::addresses | hash_field::ports;
constexpr struct {
    hash_kind kind;
    u16 fields;
} wanted_input[] = {
    {hash_kind::tcp4, all_fields},
    {hash_kind::udp4, all_fields},
    {hash_kind::tcp6, all_fields},
    {hash_kind::udp6, all_fields},
    {hash_kind::ipv4, hash_field::addresses},
    {hash_kind::ipv6, hash_field::addresses},
    {hash_kind::ipv4_fragment, hash_field::addresses},
    {hash_kind::not_ip, hash_field::link_addresses},
};

result<void> unless_refused(result<void> outcome) {
    return outcome.ok() || only_refused(outcome.error()) ? result<void>() : std::move(outcome);
}

}  // namespace

result<void> spread::allocate() {
    return _buffer.allocate(page_size);
}

// A device may have fixed its hash, and still has a table.
result<void> spread::program(admin_queue& by, const offer& from, std::span<const u16> queues) {
    if (!from.has(feature::spread_table)) {
        return {};
    }
    auto told = set_table(by, queues);
    if (!told.ok()) {
        return only_refused(told.error()) ? err::badmsg : told.error();
    }
    TRY(unless_refused(set_hash(by, from)));
    TRY(unless_refused(set_hash_input(by, from)));
    if (!TRY(table_is(by, queues))) {
        log_error("ena: the device has another table of receive queues than it was given");
        return err::badmsg;
    }
    return {};
}

void spread::fill_table(std::span<const u16> queues) {
    auto* table = _buffer.as<spread_entry>();
    for (u32 i = 0; i < _entries; ++i) {
        table[i] = {queues[i % queues.size()], 0};
    }
}

result<void> spread::set_table(admin_queue& by, std::span<const u16> queues) {
    const auto shape = TRY(get_feature<spread_feature>(by, feature::spread_table));
    if (shape.smallest > largest_size || shape.largest < shape.smallest) {
        log_error("ena: tables of 2^{} to 2^{} entries", shape.smallest, shape.largest);
        return err::opnotsupp;
    }
    const u32 size = std::clamp<u32>(usual_size, shape.smallest, shape.largest);
    _entries = 1u << size;
    fill_table(queues);
    spread_feature told{};
    told.size = static_cast<u16>(size);
    told.inline_index = spread_feature::whole_table;
    return set_feature(by, feature::spread_table, told,
                       {_buffer.place(), _entries * static_cast<u32>(sizeof(spread_entry))});
}

// A device that does not tell its table is believed.
result<bool> spread::table_is(admin_queue& by, std::span<const u16> queues) {
    auto* table = _buffer.as<spread_entry>();
    std::fill_n(table, _entries, spread_entry{not_told, not_told});
    auto got = get_feature<spread_feature>(
        by, feature::spread_table, 0,
        {_buffer.place(), _entries * static_cast<u32>(sizeof(spread_entry))});
    if (!got.ok() && !only_refused(got.error())) {
        return got.error();
    }
    u32 told = 0, right = 0;
    for (u32 i = 0; i < _entries; ++i) {
        const u16 queue = __atomic_load_n(&table[i].queue, __ATOMIC_RELAXED);
        told += queue != not_told ? 1 : 0;
        right += queue == queues[i % queues.size()] ? 1 : 0;
    }
    if (!got.ok() || told == 0) {
        log_warning("ena: the device does not tell its table of receive queues");
        return true;
    }
    return right == _entries;
}

// A key of equal halves puts both directions of a flow on one queue.
result<void> spread::set_hash(admin_queue& by, const offer& from) {
    if (!from.has(feature::hash_function)) {
        return {};
    }
    const auto offered = TRY(get_feature<hash_function_feature>(by, feature::hash_function));
    if ((offered.supported & hash_function_feature::toeplitz) == 0) {
        return err::opnotsupp;
    }
    auto& key = *_buffer.as<hash_key>();
    key = {hash_key::most_words, 0, {}};
    std::fill(std::begin(key.words), std::end(key.words), 0x5a6d'5a6d);
    hash_function_feature chosen{};
    chosen.selected = hash_function_feature::toeplitz;
    chosen.initial = ~u32{0};
    return set_feature(by, feature::hash_function, chosen, {_buffer.place(), sizeof(key)});
}

result<void> spread::set_hash_input(admin_queue& by, const offer& from) {
    if (!from.has(feature::hash_input)) {
        return {};
    }
    const control_buffer with{_buffer.place(), sizeof(hash_fields)};
    auto& input = *_buffer.as<hash_fields>();
    input = {};
    const auto offered = TRY(get_feature<hash_input_feature>(by, feature::hash_input, 0, with));
    for (const auto& each : wanted_input) {
        const auto kind = static_cast<u32>(each.kind);
        input.selected[kind].fields = each.fields & input.supported[kind].fields;
    }
    hash_input_feature chosen{};
    chosen.sorted = offered.supported_sorts & hash_input_feature::sorts;
    return set_feature(by, feature::hash_input, chosen, with);
}

}  // namespace kiln::ena
