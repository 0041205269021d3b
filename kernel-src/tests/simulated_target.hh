// A SCSI target of the tests: a disk whose sectors are in memory.
#pragma once

#include <cstring>
#include <vector>

#include "drivers/scsi/disk.hh"
#include "lib/bytes.hh"

namespace kiln::scsi {

// A target with memory, that answers as the test says before it does its work.
class simulated_target final : public adapter {
public:
    static constexpr u32 sector_size = 512;
    explicit simulated_target(u64 size) : sectors(size), bytes(size * sector_size) {}

    result<answer> execute(u32 target, const command_block& command, direction,
                           std::span<const dma_piece> pieces) override {
        ++commands;
        if (gone) {
            return err::io;
        }
        if (target != 0) {
            return answer{};
        }
        if (!next.empty()) {
            const answer first = next.front();
            next.erase(next.begin());
            if (first.status != 0 || !first.reached) {
                return first;
            }
        }
        return serve(command.bytes, pieces);
    }
    transfer_limits limits() const override { return {.longest = 64 * KiB}; }

    u64 sectors;
    std::vector<u8> bytes;
    std::vector<answer> next;
    u32 commands = 0, flushes = 0;
    u8 device_type = 0, mode = 0;
    u32 claimed_sector_size = sector_size;
    bool gone = false, knows_flush = true;
    u32 residual = 0;

private:
    result<answer> serve(const u8* command, std::span<const dma_piece> pieces) {
        answer good{.reached = true, .residual = residual};
        u8 reply[36]{};
        switch (command[0]) {
            case 0x00: return good;
            case 0x12: reply[0] = device_type; break;
            case 0x1a: reply[2] = mode; break;
            case 0x25:
                store_be<u32>(&reply[0], static_cast<u32>(sectors - 1));
                store_be<u32>(&reply[4], claimed_sector_size);
                break;
            case 0x35:
                ++flushes;
                if (!knows_flush) {
                    return answer{.reached = true, .status = 2,
                                  .why = {sense_key::illegal_request, 0x20, 0}};
                }
                return good;
            case 0x28:
            case 0x2a: return move(command, pieces, good);
            default: return answer{.reached = true, .status = 2, .why = {5, 0x20, 0}};
        }
        std::memcpy(reinterpret_cast<void*>(pieces[0].address), reply, pieces[0].length);
        return good;
    }
    result<answer> move(const u8* command, std::span<const dma_piece> pieces, answer good) {
        usize at = load_be<u32>(&command[2]) * usize{sector_size};
        for (const dma_piece& piece : pieces) {
            auto* memory = reinterpret_cast<u8*>(piece.address);
            if (command[0] == 0x28) {
                std::memcpy(memory, &bytes[at], piece.length);
            } else {
                std::memcpy(&bytes[at], memory, piece.length);
            }
            at += piece.length;
        }
        return good;
    }
};

}  // namespace kiln::scsi
