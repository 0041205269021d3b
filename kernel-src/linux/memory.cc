// System calls on the address space: mmap, munmap, mprotect, mremap, brk.
#include "fs/file.hh"
#include "linux/descriptors.hh"
#include "linux/syscall.hh"
#include "mm/address_space.hh"
#include "mm/shared_memory.hh"

namespace kiln {
namespace {

// MAP_* (include/uapi/linux/mman.h, arch/x86/include/uapi/asm/mman.h).
namespace map_flag {
constexpr u32 shared = 0x01, private_ = 0x02, shared_validate = 0x03, type_mask = 0x0f, fixed = 0x10,
              anonymous = 0x20, below_4g = 0x40, grows_down = 0x100, deny_write = 0x800,
              executable = 0x1000, locked = 0x2000, no_reserve = 0x4000, populate = 0x8000,
              non_block = 0x10000, stack = 0x20000, huge_tlb = 0x40000, fixed_noreplace = 0x100000;
constexpr u32 huge_size_mask = 0x3fu << 26;
constexpr u32 known = type_mask | fixed | anonymous | below_4g | grows_down | deny_write |
                      executable | locked | no_reserve | populate | non_block | stack | huge_tlb |
                      huge_size_mask | fixed_noreplace;
}  // namespace map_flag

constexpr u32 prot_grows_down = 0x01000000, prot_grows_up = 0x02000000, prot_sem = 0x8;

u32 area_flags(u32 flags) {
    u32 made = 0;
    made |= (flags & map_flag::grows_down) != 0 ? vma_flag::grows_down : 0;
    made |= (flags & map_flag::locked) != 0 ? vma_flag::locked : 0;
    made |= (flags & map_flag::no_reserve) != 0 ? vma_flag::no_reserve : 0;
    // A thread's stack is large and mostly never touched.
    made |= (flags & map_flag::stack) != 0 ? vma_flag::no_huge : 0;
    return made;
}

result<void> check_type(u32 flags, bool has_file) {
    switch (flags & map_flag::type_mask) {
        case map_flag::shared:
        case map_flag::private_:
            return {};
        case map_flag::shared_validate:
            // Only for files; there it refuses what it does not know, and no file here supports SYNC.
            if (!has_file) {
                return err::inval;
            }
            return (flags & ~map_flag::known) != 0 ? err::opnotsupp : result<void>();
        default:
            return err::inval;
    }
}

// What a file adds to the request: its pages, if its mode allows the mapping.
result<void> attach_file(map_request& request, ref<file> backing, u64 offset) {
    const bool shared = (request.flags & vma_flag::shared) != 0;
    if (!backing->readable()) {
        return err::acces;
    }
    if (shared && !backing->writable()) {
        if ((request.protection & prot::write) != 0) {
            return err::acces;
        }
        request.max_protection = prot::all & ~prot::write;
    }
    request.object = TRY(backing->mapping(shared && backing->writable()));
    request.offset = offset;
    request.backing = std::move(backing);
    return {};
}

result<void> attach_anonymous(map_request& request) {
    if ((request.flags & vma_flag::shared) != 0) {
        request.object = TRY(make_shared_memory(align_up(request.length, page_size)));
        request.name = "/dev/zero (deleted)";  // what Linux shows for it
    }
    return {};
}

result<ref<file>> file_of(u32 flags, int fd) {
    if ((flags & map_flag::anonymous) != 0) {
        return ref<file>();
    }
    ref<file> backing = TRY(get_file(fd));
    if ((backing->flags() & open_flag::path) == open_flag::path) {
        return err::badf;
    }
    return backing;
}

}  // namespace

SYSCALL(mmap, u64 address, u64 length, u32 protection, u32 flags, int fd, u64 offset) {
    if (!is_aligned(offset, page_size)) {
        return err::inval;
    }
    ref<file> backing = TRY(file_of(flags, fd));
    if ((flags & map_flag::huge_tlb) != 0) {
        return err::nomem;  // as where no huge pages are reserved
    }
    if (length == 0) {
        return err::inval;
    }
    if (align_up(length, page_size) == 0 || length > user_end) {
        return err::nomem;
    }
    if (backing && offset + align_up(length, page_size) < offset) {
        return err::overflow;
    }
    TRY(check_type(flags, bool(backing)));
    map_request request;
    request.address = address;
    request.length = length;
    request.protection = protection & prot::all;
    request.flags = area_flags(flags);
    if ((flags & map_flag::type_mask) != map_flag::private_) {
        request.flags |= vma_flag::shared;
    }
    if ((flags & (map_flag::fixed | map_flag::fixed_noreplace)) != 0) {
        request.where = (flags & map_flag::fixed_noreplace) != 0 ? placement::fixed_noreplace
                                                                : placement::fixed;
    }
    request.below_4g = (flags & map_flag::below_4g) != 0;
    request.populate = (flags & map_flag::locked) != 0 ||
                       (flags & (map_flag::populate | map_flag::non_block)) == map_flag::populate;
    if ((request.flags & vma_flag::grows_down) != 0 && (backing || (request.flags & vma_flag::shared))) {
        return err::inval;
    }
    if (backing) {
        TRY(attach_file(request, std::move(backing), offset));
    } else {
        TRY(attach_anonymous(request));
    }
    return static_cast<i64>(TRY(the_address_space().map(std::move(request))));
}

SYSCALL(munmap, u64 address, u64 length) {
    TRY(the_address_space().unmap(address, length));
    return 0;
}

static result<i64> change_protection(u64 address, u64 length, u32 protection) {
    const bool downwards = (protection & prot_grows_down) != 0;
    const bool upwards = (protection & prot_grows_up) != 0;
    const u32 wanted = protection & ~(prot_grows_down | prot_grows_up);
    if ((downwards && upwards) || !is_aligned(address, page_size)) {
        return err::inval;
    }
    if (length == 0) {
        return 0;
    }
    if (align_up(length, page_size) == 0 || address + align_up(length, page_size) <= address) {
        return err::nomem;
    }
    if ((wanted & ~(prot::all | prot_sem)) != 0 || upwards) {
        return err::inval;  // no area grows upwards on this machine
    }
    TRY(the_address_space().protect(address, length, wanted & prot::all, downwards));
    return 0;
}

SYSCALL(mprotect, u64 address, u64 length, u32 protection) {
    return change_protection(address, length, protection);
}

// Protection keys are those of a machine without them: only -1 is known.
SYSCALL(pkey_mprotect, u64 address, u64 length, u32 protection, int key) {
    if (key != -1) {
        return err::inval;
    }
    return change_protection(address, length, protection);
}

SYSCALL(pkey_alloc, u32 flags, u32 rights) {
    return flags != 0 || rights > 3 ? err::inval : err::nospc;
}

SYSCALL(pkey_free, int) {
    return err::inval;
}

SYSCALL(brk, u64 wanted) {
    return static_cast<i64>(the_address_space().set_break(wanted));
}

SYSCALL(mremap, u64 old_address, u64 old_length, u64 new_length, u32 flags, u64 new_address) {
    return static_cast<i64>(TRY(
        the_address_space().remap(old_address, old_length, new_length, flags, new_address)));
}

// The order of pages in a mapping cannot be changed here; Linux itself only emulates it with areas.
SYSCALL(remap_file_pages, u64, u64, u64, u64, u32) {
    return err::inval;
}

}  // namespace kiln
