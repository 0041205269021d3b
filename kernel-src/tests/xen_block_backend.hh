// A backend of Xen's virtual disks, for tests: one ring's requests, carried out on memory.
#pragma once

#include <algorithm>
#include <vector>

#include "drivers/xen/block_layout.hh"
#include "drivers/xen/shared_ring.hh"
#include "tests/xen_rig.hh"

namespace kiln::xen {

class block_backend {
public:
    block_backend(grant_rig& rig, grant_reference ring, std::vector<std::byte>& disk)
        : _rig(rig),
          _ring(rig.reach(ring, true), front_ring<block_request, block_response>::size),
          _disk(disk) {}

    bool has_request() { return _ring.has_request(); }
    back_ring<block_request, block_response>& ring() { return _ring; }

    // Takes a request and does it; returns what is to be answered.
    block_response carry_out() {
        const auto asked = _ring.take<block_request>();
        ++requests;
        operations.push_back(asked.operation);
        block_response answer{};
        answer.id = asked.id;
        answer.operation = asked.operation;
        if (fails != 0) {
            answer.status = fails;
        } else if (asked.operation == block_operation::indirect) {
            indirect_block_request long_one;
            std::memcpy(&long_one, &asked, sizeof(long_one));
            carry_out_indirect(long_one, answer);
        } else {
            EXPECT_LE(asked.segment_count, most_direct_segments);
            move(asked.operation, asked.sector, asked.segments, asked.segment_count);
        }
        return answer;
    }
    bool answer(const block_response& made) {
        _ring.put(made);
        return _ring.publish();
    }
    void serve() {
        while (has_request()) {
            (void)answer(carry_out());
        }
        _ring.ask_for_event();
    }

    i16 fails = 0;
    bool offers_indirect = true;
    u32 requests = 0, longest = 0;
    std::vector<block_operation> operations;

private:
    void carry_out_indirect(const indirect_block_request& asked, block_response& answer) {
        EXPECT_TRUE(offers_indirect);
        EXPECT_GT(asked.segment_count, most_direct_segments);
        EXPECT_LE(asked.segment_count, segments_of_a_page);
        answer.operation = asked.indirect_operation;
        operations.back() = asked.indirect_operation;
        const auto* segments =
            reinterpret_cast<const block_segment*>(_rig.reach(asked.segment_pages[0], true));
        ASSERT_NE(segments, nullptr) << "a backend that keeps grants mapped maps them writable";
        move(asked.indirect_operation, asked.sector, segments, asked.segment_count);
    }
    void move(block_operation what, u64 sector, const block_segment* segments, u32 count) {
        longest = std::max(longest, count);
        for (u32 i = 0; i < count; ++i) {
            const bool reading = what == block_operation::read;
            std::byte* page = _rig.reach(segments[i].page, true);
            ASSERT_NE(page, nullptr);
            ASSERT_LE(segments[i].first_sector, segments[i].last_sector);
            ASSERT_LT(segments[i].last_sector, page_size / 512);
            std::byte* from = page + usize{segments[i].first_sector} * 512;
            const usize size =
                (usize{segments[i].last_sector} - segments[i].first_sector + 1) * 512;
            ASSERT_LE(sector * 512 + size, _disk.size());
            std::byte* on_disk = &_disk[sector * 512];
            reading ? std::memcpy(from, on_disk, size) : std::memcpy(on_disk, from, size);
            sector += size / 512;
        }
    }

    grant_rig& _rig;
    back_ring<block_request, block_response> _ring;
    std::vector<std::byte>& _disk;
};

}  // namespace kiln::xen
