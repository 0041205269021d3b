// The program's address space: its areas, the pages in them, and the figures about both.
//
// There is one, the_address_space(); tests make more on page tables of their own. Addresses are those
// of the ABI: everything lies in [min_address, user_end).
//
// Lock order: _lock (a sleeping reader-writer lock) → locks of the objects that are mapped → memory
// allocation. Held shared by faults, exclusively by whatever changes areas or takes pages away. No user
// memory is touched under it. References to files are let go after it. Context: threads.
#pragma once

#include <atomic>
#include <span>

#include "core/mutex.hh"
#include "lib/result.hh"
#include "mm/page_table.hh"
#include "mm/vma.hh"

namespace kiln {

class page_reaper;
class text_sink;

// vm.mmap_min_addr and vm.max_map_count of Linux.
inline constexpr u64 min_address = 0x10000;
inline constexpr usize max_areas = 65530;
// Between a stack and whatever lies below it (stack_guard_gap).
inline constexpr u64 stack_gap = 256 * page_size;

enum class fault_access : u8 { read, write, execute };

enum class placement : u8 {
    anywhere,         // `address` is a hint
    fixed,            // there, replacing what is there
    fixed_noreplace,  // there, or err::exist
};

struct map_request {
    u64 address = 0;
    u64 length = 0;
    u32 protection = prot::read;
    u32 max_protection = prot::all;
    u32 flags = 0;  // vma_flag
    placement where = placement::anywhere;
    bool below_4g = false;  // MAP_32BIT
    ref<vm_object> object;
    ref<file> backing;
    u64 offset = 0;
    const char* name = nullptr;
    bool populate = false;
};

// RLIMIT_*: set by prlimit, read here. ~0 is no limit.
struct memory_limits {
    std::atomic<u64> stack{8 * MiB};
    std::atomic<u64> data{~u64{0}};
    std::atomic<u64> address_space{~u64{0}};
    std::atomic<u64> locked{8 * MiB};
};

// Where the parts of the program are, for brk, /proc and prctl. Written by the loader and by brk.
struct program_layout {
    u64 mmap_base = 0;
    u64 code_start = 0, code_end = 0, data_start = 0, data_end = 0;
    u64 brk_start = 0, brk = 0;
    u64 stack_start = 0;  // rsp at the entry point
    u64 stack_top = 0;    // end of the highest area of the stack
    u64 arguments_start = 0, arguments_end = 0, environment_start = 0, environment_end = 0;
    u64 auxv_address = 0, auxv_size = 0;
    u64 vdso = 0;
    u64 signal_trampoline = 0;
};

// In pages.
struct memory_usage {
    u64 mapped = 0, peak_mapped = 0;
    u64 resident_anonymous = 0, resident_file = 0, peak_resident = 0;
    u64 private_writable = 0, stack = 0, executable = 0, locked = 0;
    u64 page_table_bytes = 0;
    u64 areas = 0;
    u64 minor_faults = 0, major_faults = 0;
};

class address_space : noncopyable {
public:
    constexpr address_space() = default;
    // Unmaps everything (tests; the program's own lives as long as the machine).
    ~address_space();

    // `root`: a top-level table whose lower half is this address space's. Before anything else.
    void start(u64* root) { _table.start(root); }

    // --- areas (mm/map.cc, protect.cc, remap.cc, advise.cc). Ranges: start is page-aligned or
    //     err::inval; lengths are rounded up.

    result<u64> map(map_request request);
    result<void> unmap(u64 start, u64 length);
    // `downwards`: PROT_GROWSDOWN.
    result<void> protect(u64 start, u64 length, u32 protection, bool downwards = false);
    // mremap(2); flags are MREMAP_*.
    result<u64> remap(u64 old_address, u64 old_length, u64 new_length, u32 flags, u64 new_address);
    // The break after the call: the wanted one or the old one, as Linux's system call.
    u64 set_break(u64 wanted);
    // Forgets pages: private memory reads as zeros or as the file again. err::nomem if parts are not
    // mapped (the rest is done), err::inval if some is locked.
    result<void> discard(u64 start, u64 length, bool locked_too = false);
    // Changes flags of the areas in a range; areas for which `allowed` is false give err::inval.
    result<void> change_flags(u64 start, u64 length, u32 set, u32 clear,
                              bool (*allowed)(const vma&) = nullptr);
    // Kernel pages shown to the program: no references are kept, faults never fill them.
    result<u64> map_fixed_pages(u64 address, std::span<const u64> physical, u32 protection,
                                const char* name);

    // --- pages (mm/fault.cc)

    // Repairs a fault, or says what it is: err::fault (SIGSEGV, SEGV_MAPERR), err::acces (SIGSEGV,
    // SEGV_ACCERR), err::range or err::io (SIGBUS, BUS_ADRERR), err::nomem (memory is out).
    result<void> fault(u64 address, fault_access access);
    // Faults pages in, as a program that reads (or writes) them would. Stops at the first error.
    // `strict`: err::acces where a write is not allowed, err::fault where nothing is; otherwise private
    // writable areas are written and others read.
    result<void> populate(u64 start, u64 length, bool write, bool strict = false);
    // As `populate`, and keeps them in; err::nomem when not all is mapped.
    result<void> lock_range(u64 start, u64 length, bool on_fault);
    result<void> unlock_range(u64 start, u64 length);
    // What areas made from now on get (mlockall(MCL_FUTURE)): vma_flag bits.
    result<void> lock_all(bool current, bool future, bool on_fault);
    void unlock_all();
    // A byte a page: bit 0 says that it is resident. err::nomem when not all is mapped.
    result<void> residency(u64 start, std::span<u8> pages);

    // Copies to or from the program's memory through the direct map, as a debugger would: `force`
    // ignores protection, and writes into the mapping's own copy of a page without changing what the
    // program may do with it (err::fault in shared mappings): that is how code is patched.
    result<void> write_memory(u64 address, std::span<const std::byte> from, bool force = false);
    result<void> read_memory(u64 address, std::span<std::byte> to, bool force = false);

    // --- seen from outside

    // Drops mappings of pages [first, first + count) of an object: after truncation.
    void forget_object_pages(vm_object& object, u64 first, u64 count);
    // Unmaps up to `wanted` pages of files that nobody has written to, the least used first. Returns how
    // many; 0 also when the lock is not free. The page cache can drop them then.
    u64 unmap_clean_pages(u64 wanted);
    // Where an address of a shared mapping really is, so that two mappings of it compare equal
    // (futex). A private address gives a null object and the address itself.
    struct location {
        ref<vm_object> object;
        u64 offset = 0;
    };
    result<location> locate(u64 address);
    // What is behind an address: for msync and MADV_REMOVE. err::fault where nothing is mapped.
    struct backing {
        ref<file> open;
        u64 offset = 0;  // in the file
        u64 end = 0;     // address where the area ends
        bool shared_writable = false;
        bool locked = false;
    };
    result<backing> backing_at(u64 address);
    // Where the next area after the address begins; 0 when there is none.
    u64 next_mapped(u64 address);
    // The protection at an address; err::fault where nothing is mapped.
    result<u32> protection_at(u64 address);
    // Whether [start, start + length) is mapped throughout.
    bool is_mapped(u64 start, u64 length);

    // Calls visit(const vma&) for each area in order, with the lock held shared.
    template <class Visit>
    void for_each_area(Visit visit) {
        shared_guard guard(_lock);
        for (vma* area = _areas.first(); area != nullptr; area = vma_tree::next(*area)) {
            visit(static_cast<const vma&>(*area));
        }
    }
    // What is resident of an area, in pages; inside for_each_area.
    struct residence {
        u64 anonymous = 0, file = 0, file_writable = 0, huge = 0;
    };
    residence residence_of(const vma& area) const;
    memory_usage usage();

    memory_limits limits;
    program_layout layout;
    // The program's file (/proc/self/exe), once loaded.
    ref<file> executable;

    // Checks the invariants of the tree, its counters and the page tables against each other, and
    // ends in an assertion where one does not hold.
    void check();

private:
    // The first area that ends after the address; it may begin after it.
    vma* first_ending_after(u64 address) const {
        return _areas.lower_bound([=](const vma& area) { return area.end > address; });
    }
    vma* area_at(u64 address) const {
        vma* area = first_ending_after(address);
        return area != nullptr && area->start <= address ? area : nullptr;
    }
    vma* area_before(vma* area) const {
        return area == nullptr ? _areas.last() : vma_tree::prev(*area);
    }
    template <class Visit>
    result<void> for_areas_in(u64 start, u64 end, Visit visit);
    template <class Change>
    result<void> change_areas(u64 start, u64 end, dead_areas& dead, Change change);

    void insert(vma& area);
    void take_out(vma& area);
    void count(const vma& area, i64 sign);
    // Makes an area end or begin at the address.
    result<void> split_areas_at(u64 address);
    // Joins an area with its neighbours; returns the area that holds it now.
    vma& merge(vma& area, dead_areas& dead);
    void merge_range(u64 start, u64 end, dead_areas& dead);
    result<void> unmap_locked(u64 start, u64 end, dead_areas& dead);
    void zap(vma& area, u64 start, u64 end, page_reaper& reaper);
    result<u64> find_free(const map_request& request);
    u64 search_down(u64 length, u64 ceiling);
    void note_hole(u64 end);
    result<void> check_limits(const map_request& request, u64 replaced) const;
    void apply_protection(const vma& area, u64 start, u64 end, page_reaper& reaper);

    u64 unmap_clean_pages_of(vma& area, u64 wanted, page_reaper& reaper);

    result<u64> remap_in_place(vma& area, u64 address, u64 old_length, u64 new_length);
    result<u64> remap_elsewhere(u64 old_address, u64 old_length, u64 new_length, u32 flags,
                                u64 new_address, dead_areas& dead);
    result<void> move_pages(u64 from, u64 to, u64 length);
    result<void> move_leaf(u64* slot, unsigned level, u64 from, u64 to);

    result<void> grow_stack(u64 address);
    result<void> fault_once(u64 address, fault_access access);
    result<void> fault_in(vma& area, u64 address, fault_access access);
    result<void> fault_anonymous(vma& area, u64 address, bool write);
    bool fault_large(vma& area, u64 address);
    bool wants_large(const vma& area, u64 address) const;
    result<void> fault_object(vma& area, u64 address, bool write);
    void fault_around(vma& area, u64 address);
    result<void> make_writable(vma& area, u64 address, u64* slot, u64 entry);
    result<void> copy_on_write(vma& area, u64 address, u64* slot, u64 entry);
    result<void> exchange(u64 address, u64* slot, u64 entry, page& fresh, u64 bits);
    result<void> install(u64 address, page& fresh, u64 bits);
    void count_resident(u64 entry, unsigned level, i64 sign);
    result<void> prepare_access(vma& area, u64 address, bool write, bool force);
    template <class Copy>
    result<void> access_memory(u64 address, usize size, bool write, bool force, Copy copy);

    rw_mutex _lock;
    page_table _table;
    vma_tree _areas;
    usize _area_count = 0;
    u32 _future_flags = 0;
    // Search downwards starts here: above it no hole is larger than _largest_skipped.
    u64 _search_top = 0;
    u64 _largest_skipped = 0;
    u64 _reclaim_hand = 0;

    u64 _mapped = 0, _peak_mapped = 0, _private_writable = 0, _stack = 0, _executable = 0,
        _locked = 0;
    std::atomic<i64> _resident_anonymous{0}, _resident_file{0};
    std::atomic<i64> _peak_resident{0};
    std::atomic<u64> _minor_faults{0}, _major_faults{0};
};

address_space& the_address_space();

}  // namespace kiln
