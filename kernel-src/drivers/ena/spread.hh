// How what arrives is spread over the receive queues: a hash of addresses and ports picks an entry
// of a table, and that names a queue. A device whose table nobody has filled drops what arrives, so
// the table is filled, read back and compared.
// Context: threads; not locked.
#pragma once

#include <span>

#include "drivers/ena/features.hh"

namespace kiln::ena {

class spread {
public:
    result<void> allocate();
    // `queues` are the device's numbers of the queues that receive. err::badmsg when the device has
    // another table than it was given, or refuses it.
    result<void> program(admin_queue& by, const offer& from, std::span<const u16> queues);

private:
    result<void> set_table(admin_queue& by, std::span<const u16> queues);
    result<bool> table_is(admin_queue& by, std::span<const u16> queues);
    result<void> set_hash(admin_queue& by, const offer& from);
    result<void> set_hash_input(admin_queue& by, const offer& from);
    void fill_table(std::span<const u16> queues);

    dma_memory _buffer;  // of one command at a time
    u32 _entries = 0;
};

}  // namespace kiln::ena
